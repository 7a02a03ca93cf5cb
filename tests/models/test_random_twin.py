"""Randomized models: what is drawn anew, what stays, and where the randomness comes from."""

import copy

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel.models.networks import resnet20, small_cnn
from captum_superpixel.models.random_twin import random_twin


@pytest.fixture
def images() -> Tensor:
    return torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 + 1


def learned(network: nn.Module) -> nn.Module:
    """As if trained: no parameter and no statistic has the value that it starts with, and no two are equal."""
    generator = torch.Generator().manual_seed(9)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return network.eval()


class Scaled(nn.Module):
    """Parameters of its own that nothing resets, as in a ConvNeXt or a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(30))
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.dropout(images.flatten(1)[:, :30] * self.scale)


class Forgetful(nn.Linear):
    """Its ``reset_parameters`` leaves out what a subclass added."""

    def __init__(self) -> None:
        super().__init__(5, 6)
        self.extra = nn.Parameter(torch.arange(50.0))


def test_every_parameter_is_drawn_anew(images: Tensor) -> None:
    model = learned(resnet20())
    twin = random_twin(model, images, torch.Generator().manual_seed(0))
    for (name, parameter), own in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert not (parameter == own).any(), name
        if ".bn" in name or name.startswith("bn"):
            assert set(own.tolist()) == {1.0 if name.endswith("weight") else 0.0}, name
    assert twin.linear.weight.std().item() == pytest.approx(64**-0.5, rel=0.1)
    assert not twin.linear.bias.any()


def test_the_original_stays_as_it_was(images: Tensor) -> None:
    model = learned(resnet20()).train()
    state = copy.deepcopy(model.state_dict())
    twin = random_twin(model, images, torch.Generator().manual_seed(0))
    assert model.training
    assert not any(module.training for module in twin.modules())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_randomness_is_the_generators(images: Tensor) -> None:
    model = learned(small_cnn())
    before = torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    first, next_one = (random_twin(model, images, generator) for _ in range(2))
    again = random_twin(model, images, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b in zip(first.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert not torch.equal(first.classifier.weight, next_one.classifier.weight)


def test_statistics_are_those_of_the_images(images: Tensor) -> None:
    """Three batches of four: the mean over batches of their mean and of their unbiased variance."""
    twin = random_twin(learned(small_cnn()), images, torch.Generator().manual_seed(0), batch_size=4)
    stem, norm = twin.features[0], twin.features[1]
    activations = [stem(batch).detach() for batch in images.split(4)]
    mean = torch.stack([batch.mean((0, 2, 3)) for batch in activations]).mean(0)
    variance = torch.stack([batch.var((0, 2, 3)) for batch in activations]).mean(0)
    assert torch.allclose(norm.running_mean, mean, atol=1e-6)
    assert torch.allclose(norm.running_var, variance, rtol=1e-5)
    assert norm.momentum == nn.BatchNorm2d(1).momentum


def test_statistics_know_no_dropout(images: Tensor) -> None:
    """What an evaluated network computes, dropout included, is what its last normalization sees."""
    model = learned(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.9), nn.BatchNorm2d(4)))
    twin = random_twin(model, images, torch.Generator().manual_seed(0))
    assert torch.allclose(twin[2].running_mean, twin[0](images).mean((0, 2, 3)), atol=1e-5)


def test_one_batch_is_normalized_at_every_depth(images: Tensor) -> None:
    """In evaluation mode the images come out of the last normalisation as they would in training mode."""
    twin = random_twin(learned(resnet20()), images, torch.Generator().manual_seed(0))
    outputs = []
    twin.layer3[2].bn2.register_forward_hook(lambda *arguments: outputs.append(arguments[2].detach()))
    twin(images)
    assert outputs[0].mean((0, 2, 3)).abs().max() < 0.05
    assert torch.allclose(outputs[0].var((0, 2, 3)), torch.ones(64), rtol=0.02)


def test_an_odd_image_is_no_batch_by_itself(images: Tensor) -> None:
    """One value per channel has no variance: PyTorch refuses it."""
    model = learned(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Flatten()))
    twin = random_twin(model, images[:3], batch_size=2)
    assert torch.allclose(twin[1].running_mean, images[:3].mean((0, 2, 3)), atol=1e-6)


def test_parameters_that_nothing_resets_are_shuffled(images: Tensor) -> None:
    model = learned(Scaled())
    assert isinstance(model.scale, Tensor)
    twin = random_twin(model, images, torch.Generator().manual_seed(0))
    assert not torch.equal(twin.scale, model.scale)
    assert torch.equal(twin.scale.sort().values, model.scale.sort().values)

    forgetful = Forgetful()
    other = random_twin(forgetful, images, torch.Generator().manual_seed(0))
    assert not torch.equal(other.extra, forgetful.extra)
    assert torch.equal(other.extra.sort().values, forgetful.extra)


def test_attention_is_reset(images: Tensor) -> None:
    model = learned(nn.MultiheadAttention(8, 2))
    twin = random_twin(model, images, torch.Generator().manual_seed(0))
    assert twin.in_proj_weight.mean().abs() < 0.1 < model.in_proj_weight.mean()
    assert not twin.in_proj_bias.any()


def test_images_without_a_batch_normalisation_are_not_needed(images: Tensor) -> None:
    class Counting(nn.Linear):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Counting.calls += 1
            return x

    random_twin(Counting(2, 2), images[:0])
    assert Counting.calls == 0


def test_dtype_is_kept(images: Tensor) -> None:
    twin = random_twin(learned(small_cnn()).double(), images.double())
    assert twin(images.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("shape", "batch_size", "message"),
    [
        ((3, 16, 16), 64, r"inputs has shape \(3, 16, 16\)"),
        ((1, 3, 16, 16), 64, "inputs holds 1 images; .* at least 2"),
        ((0, 3, 16, 16), 64, "inputs holds 0 images"),
        ((4, 3, 16, 16), 1, "batch_size=1 must be at least 2"),
    ],
)
def test_bad_inputs(shape: tuple[int, ...], batch_size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_twin(small_cnn(), torch.zeros(shape), batch_size=batch_size)
