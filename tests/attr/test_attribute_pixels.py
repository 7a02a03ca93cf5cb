"""Pixel maps: Captum's own results, for each image by itself, and no trace in the global generators."""

from functools import partial

import pytest
import torch
from captum.attr import Attribution, IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel._seeds import seeded
from captum_superpixel.attr import SparsifiedSmoothGrad
from captum_superpixel.attr.methods import MethodSettings, attribute_pixels
from captum_superpixel.models.networks import SmallCNN, initialize

METHODS = ("Saliency", "IntegratedGradients", "SmoothGrad", "SparsifiedSmoothGrad")
NOISY = METHODS[2:]
SIGNED = MethodSettings(signed=True)
FEW = MethodSettings(n_steps=3, n_samples=2, signed=True)


@pytest.fixture
def network() -> nn.Module:
    network = SmallCNN(5, width=4)
    initialize(network, torch.Generator().manual_seed(3))
    return network.eval()


@pytest.fixture
def inputs() -> Tensor:
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def targets() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 0])


def test_saliency_is_the_signed_gradient(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    maps = attribute_pixels("Saliency", network, inputs, targets, SIGNED, seed=0)
    leaf = inputs.clone().requires_grad_()
    network(leaf)[range(6), targets].sum().backward()
    assert torch.equal(maps, leaf.grad)  # type: ignore[arg-type]
    assert torch.equal(maps, Saliency(network).attribute(leaf, target=targets, abs=False))
    assert maps.min() < 0


def test_integrated_gradients_are_captums_and_complete(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    settings = MethodSettings(n_steps=30, baseline=0.25)
    maps = attribute_pixels("IntegratedGradients", network, inputs, targets, settings, seed=0)
    method: Attribution = IntegratedGradients(network)
    expected = method.attribute(inputs, baselines=0.25, target=targets, n_steps=30)
    assert torch.allclose(maps, expected, atol=1e-6)
    with torch.no_grad():
        change = (network(inputs) - network(torch.full_like(inputs, 0.25)))[range(6), targets]
    assert torch.allclose(maps.sum((1, 2, 3)), change, atol=0.02 * change.abs().max().item())


@pytest.mark.parametrize("n_samples", [1, 5])
def test_smooth_grad_is_captums_with_the_same_seed(
    n_samples: int, network: nn.Module, inputs: Tensor, targets: Tensor
) -> None:
    settings = MethodSettings(n_samples=n_samples, noise=0.2, images_at_once=256)
    maps = attribute_pixels("SmoothGrad", network, inputs, targets, settings, seed=11)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        expected = NoiseTunnel(Saliency(network)).attribute(
            inputs.clone().requires_grad_(),
            nt_type="smoothgrad",
            nt_samples=n_samples,
            stdevs=0.2,
            target=targets,
            abs=False,
        )
    assert torch.allclose(maps, expected, atol=1e-7)
    assert torch.equal(maps, attribute_pixels("SmoothGrad", network, inputs, targets, settings, seed=11))
    assert not torch.allclose(maps, attribute_pixels("SmoothGrad", network, inputs, targets, settings, seed=12))


def test_sparsified_smooth_grad_has_the_copies_of_smooth_grad(
    network: nn.Module, inputs: Tensor, targets: Tensor
) -> None:
    settings = MethodSettings(n_samples=3, images_at_once=12, signed=True)
    maps = attribute_pixels("SparsifiedSmoothGrad", network, inputs, targets, settings, seed=11)
    with seeded(11):
        # Twelve at once are two copies of each of six images.
        expected = SparsifiedSmoothGrad(network).attribute(inputs, target=targets, n_samples=3, samples_per_batch=2)
    assert torch.equal(maps, expected)
    louder = MethodSettings(n_samples=3, images_at_once=12, noise=0.4)
    with seeded(11):
        expected = SparsifiedSmoothGrad(network).attribute(
            inputs, target=targets, n_samples=3, samples_per_batch=2, stdevs=0.4
        )
    assert torch.equal(attribute_pixels("SparsifiedSmoothGrad", network, inputs, targets, louder, 11), expected)
    assert not torch.equal(maps, expected)


def test_smooth_grad_is_the_mean_of_gradients_at_noisy_copies(inputs: Tensor, targets: Tensor) -> None:
    """Of half the sum of squares, whose gradient is the image: the mean over n copies errs by noise / sqrt(n)."""

    class Squares(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.square().sum((1, 2, 3))[:, None].expand(-1, 5) / 2

    settings = MethodSettings(n_samples=25, noise=0.5)
    maps = attribute_pixels("SmoothGrad", Squares(), inputs, targets, settings, seed=0)
    assert (maps - inputs).std().item() == pytest.approx(0.5 / 5, rel=0.05)
    assert abs((maps - inputs).mean().item()) < 0.01


@pytest.mark.parametrize("method", ["Saliency", "IntegratedGradients"])
def test_an_image_alone_and_in_a_batch(method: str, network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    settings = MethodSettings(n_steps=7, signed=True)
    explain = partial(attribute_pixels, method, network, settings=settings, seed=0)
    together = explain(inputs, targets)
    alone = torch.cat([explain(inputs[i : i + 1], targets[i : i + 1]) for i in range(len(inputs))])
    assert torch.allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("images_at_once", [1, 4, 7])
def test_memory_is_no_matter_of_figures(
    method: str, images_at_once: int, network: nn.Module, inputs: Tensor, targets: Tensor
) -> None:
    """Less memory gives the same maps; of methods whose noise is drawn in another order, other draws."""
    counts: list[int] = []
    network.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    small, large = (
        MethodSettings(6, 150 if method in NOISY else 1, noise=0.05, images_at_once=count, signed=True)
        for count in (images_at_once, 6 * 150)
    )
    maps = attribute_pixels(method, network, inputs, targets, small, seed=0)
    # Captum takes no less than a step, or a noisy copy, of all images of a batch.
    assert max(counts) <= max(images_at_once, 1 if method == "Saliency" else len(inputs))
    expected = attribute_pixels(method, network, inputs, targets, large, seed=0)
    if method in NOISY:
        assert torch.nn.functional.cosine_similarity(maps.flatten(1), expected.flatten(1)).min() > 0.97
    else:
        assert torch.allclose(maps, expected, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind(method: str, network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    torch.manual_seed(5)
    state, before = torch.get_rng_state(), inputs.clone()
    maps = attribute_pixels(method, network, inputs, targets, FEW, seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert maps.shape == inputs.shape
    assert not maps.requires_grad
    assert torch.equal(inputs, before)
    assert not inputs.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_frozen_networks_and_inputs_that_require_gradients(
    method: str, network: nn.Module, inputs: Tensor, targets: Tensor
) -> None:
    expected = attribute_pixels(method, network, inputs, targets, FEW, 0)
    leaf = inputs.clone().requires_grad_()
    assert torch.equal(attribute_pixels(method, network.requires_grad_(False), leaf, targets, FEW, 0), expected)
    assert leaf.grad is None


def test_an_unknown_method_is_named(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    with pytest.raises(ValueError, match="method='GradCam' is unknown or needs a layer: choose one of 'Saliency'"):
        attribute_pixels("GradCam", network, inputs, targets, SIGNED, seed=0)


def test_seeded_restores_the_generator_after_an_error() -> None:
    state = torch.get_rng_state()
    drawn = []

    def draw() -> None:
        with seeded(3):
            drawn.append(torch.rand(3))
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        draw()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(drawn[0], torch.rand(3, generator=torch.Generator().manual_seed(3)))
