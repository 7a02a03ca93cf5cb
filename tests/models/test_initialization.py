"""Weights drawn before any training."""

import pytest
import torch
from torch import nn

from captum_superpixel.models.initialization import initialize


def test_weights_have_the_variance_of_he_et_al() -> None:
    network = nn.Sequential(nn.Conv2d(128, 256, 3), nn.Linear(400, 300))
    initialize(network, torch.Generator().manual_seed(0))
    assert network[0].weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)
    assert network[1].weight.std().item() == pytest.approx((1 / 400) ** 0.5, rel=0.01)
    assert not network[0].bias.any()
    assert not network[1].bias.any()


def test_other_layers_are_left_alone() -> None:
    norm = nn.BatchNorm2d(3)
    nn.init.constant_(norm.weight, 5)
    initialize(norm)
    assert norm.weight.tolist() == [5, 5, 5]


def test_global_generator_is_the_default() -> None:
    layer, again = nn.Linear(4, 4), nn.Linear(4, 4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        initialize(layer)
    initialize(again, torch.Generator().manual_seed(3))
    assert torch.equal(layer.weight, again.weight)
