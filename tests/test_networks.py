"""A network in training mode is noticed, wherever the function holds it; one that acts alike in both modes is not."""

import functools
import warnings

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel._networks import warn_in_training_mode


class DropPath(nn.Module):
    """As timm and transformers have it."""

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        return x


GLOBAL = nn.Sequential(nn.Dropout())


def noisy() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))


def scripted(network: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        return torch.jit.script(network)


def method_of_a_network():
    return noisy().forward


def closure():
    network = noisy()
    return lambda images: network(images)


@pytest.mark.parametrize(
    "function",
    [
        noisy(),
        nn.Sequential(nn.Dropout2d(0.1)),
        nn.SyncBatchNorm(3),
        nn.Sequential(DropPath(0.1)),
        nn.MultiheadAttention(4, 2, dropout=0.1),
        nn.InstanceNorm2d(3, track_running_stats=True),
        scripted(noisy()),
        method_of_a_network(),
        functools.partial(noisy(), None),
        functools.partial(closure(), None),
        closure(),
        lambda images: GLOBAL(images),
    ],
)
def test_training_mode_is_noticed(function) -> None:
    with pytest.warns(UserWarning, match=r"is in training mode and holds .*call network.eval\(\) first") as found:
        warn_in_training_mode(function)
    assert len(found) == 1


@pytest.mark.parametrize(
    "function",
    [
        noisy().eval(),
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()),
        nn.Sequential(nn.Dropout(0.0), DropPath(0.0), nn.MultiheadAttention(4, 2), nn.LayerNorm(3)),
        nn.Sequential(nn.InstanceNorm2d(3), nn.BatchNorm2d(3, track_running_stats=False)),
        nn.Sequential(noisy().eval()),
        scripted(noisy().eval()),
        torch.relu,
        lambda images: images,
        [].append,
        None,
    ],
)
def test_what_acts_alike_in_both_modes(function) -> None:
    warn_in_training_mode(function)


def test_exported_networks() -> None:
    exported = torch.export.export(noisy().eval(), (torch.rand(1, 3, 4, 4),)).module()
    warn_in_training_mode(exported)


def test_one_frozen_layer_is_not_the_others() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3).eval(), nn.Dropout())
    with pytest.warns(UserWarning, match="the network Sequential is in training mode and holds Dropout: its"):
        warn_in_training_mode(network)


def test_the_warning_stands_at_the_callers_line() -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn_in_training_mode(noisy())
    assert found[0].filename == __file__
