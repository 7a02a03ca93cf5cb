"""Pixel maps over views: what the public wrappers give, for each method, and no trace in the global generators."""

from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel._seeds import seeded
from captum_superpixel.attr import Contributions, SparsifiedSmoothGrad, ViewTunnel
from captum_superpixel.attr.methods import MethodSettings, attribute_pixels
from captum_superpixel.attr.pixel_maps import PixelMaps, attribute_views
from captum_superpixel.models.networks import SmallCNN, initialize

METHODS = ("Saliency", "IntegratedGradients", "SmoothGrad", "SparsifiedSmoothGrad")
SETTINGS = MethodSettings(n_steps=5, n_samples=4, noise=0.1, baseline=0.25, images_at_once=7, signed=True)
N_VIEWS = 4


@pytest.fixture
def network() -> nn.Module:
    network = SmallCNN(5, width=4)
    initialize(network, torch.Generator().manual_seed(3))
    return network.eval()


@pytest.fixture
def inputs() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def targets() -> Tensor:
    return torch.tensor([0, 4, 2])


def explained(method: str, network: nn.Module, inputs: Tensor, targets: Tensor, n_views: int) -> PixelMaps:
    return attribute_views(method, network, inputs, targets, SETTINGS, seed=11, n_views=n_views)


@pytest.mark.parametrize("method", METHODS)
def test_one_view_is_the_method(method: str, network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    maps = explained(method, network, inputs, targets, 1)
    assert torch.equal(maps.signed, attribute_pixels(method, network, inputs, targets, SETTINGS, seed=11))
    assert torch.equal(maps.magnitude, maps.signed.abs())


def test_views_of_saliency(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """Also where the settings do not keep its signs."""
    options: dict[str, Any] = {"target": targets, "abs": False, "n_views": N_VIEWS}
    leaf = inputs.clone().requires_grad_()
    unsigned = MethodSettings(images_at_once=7)
    maps = attribute_views("Saliency", network, inputs, targets, unsigned, seed=0, n_views=N_VIEWS)
    tunnel = ViewTunnel(Saliency(network))
    assert torch.allclose(maps.signed, tunnel.attribute(leaf, **options), atol=1e-7)
    assert torch.allclose(maps.magnitude, tunnel.attribute(leaf, **options, average="abs"), atol=1e-7)
    assert maps.signed.min() < 0
    assert (maps.magnitude > maps.signed.abs() + 1e-6).any()
    contributions = Contributions(tunnel).attribute(leaf, **options)
    assert torch.allclose(maps.contributions, contributions, atol=1e-7)


def test_views_of_integrated_gradients(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    maps = explained("IntegratedGradients", network, inputs, targets, N_VIEWS)
    tunnel = ViewTunnel(IntegratedGradients(network))
    options: dict[str, Any] = {"target": targets, "baselines": 0.25, "n_steps": 5, "n_views": N_VIEWS, "spread": True}
    assert torch.allclose(maps.signed, tunnel.attribute(inputs.clone().requires_grad_(), **options), atol=1e-6)
    assert torch.equal(maps.magnitude, maps.signed.abs())
    assert torch.equal(maps.contributions, maps.signed)


def test_views_of_smooth_grad(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """Signs and magnitudes are of the same noisy copies."""
    maps = explained("SmoothGrad", network, inputs, targets, N_VIEWS)
    tunnel = ViewTunnel(NoiseTunnel(Saliency(network)))
    # Seven at once are two copies of each of three images.
    options: dict[str, Any] = {"target": targets, "nt_samples": 4, "nt_samples_batch_size": 2, "stdevs": 0.1}
    options |= {"n_views": N_VIEWS, "spread": True}
    for found, absolute in ((maps.signed, False), (maps.magnitude, True)):
        with seeded(11):
            expected = tunnel.attribute(inputs.clone().requires_grad_(), **options, abs=absolute)
        assert torch.allclose(found, expected, atol=1e-7)
    assert (maps.magnitude >= maps.signed.abs() - 1e-6).all()


@pytest.mark.parametrize("n_views", [1, N_VIEWS])
def test_views_of_a_map_without_signs(n_views: int, network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """It is all there is: its own magnitude, and no contributions."""
    maps = explained("SparsifiedSmoothGrad", network, inputs, targets, n_views)
    tunnel: Any = ViewTunnel(SparsifiedSmoothGrad(network))
    options: dict[str, Any] = {"target": targets, "n_samples": 4, "samples_per_batch": 2, "stdevs": 0.1}
    with seeded(11):
        expected = tunnel.attribute(inputs.clone().requires_grad_(), **options, n_views=n_views, spread=True)
    assert expected.min() == 0
    for found in maps:
        assert torch.equal(found, expected)


@pytest.mark.parametrize("n_views", [1, N_VIEWS])
@pytest.mark.parametrize("method", ["Saliency", "SmoothGrad"])
def test_contributions_of_gradients(
    method: str, n_views: int, network: nn.Module, inputs: Tensor, targets: Tensor
) -> None:
    maps = explained(method, network, inputs, targets, n_views)
    # What Contributions multiplies by: of a network whose gradient is 1 everywhere.
    ones = Contributions(Saliency(lambda images: images.sum((1, 2, 3))))
    detail = ones.attribute(inputs.clone().requires_grad_(), abs=False)
    assert detail.min() < 0
    assert torch.allclose(maps.contributions, maps.signed * detail, atol=1e-7)


@pytest.mark.parametrize(
    ("method", "passes"),
    [("Saliency", N_VIEWS), ("IntegratedGradients", 1), ("SmoothGrad", 1), ("SparsifiedSmoothGrad", 1)],
)
def test_passes(method: str, passes: int, network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """Views of gradients are passes, which serve their signs and their magnitudes; else steps and samples."""
    counts: list[int] = []
    network.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    explained(method, network, inputs, targets, 1)
    once = sum(counts)
    counts.clear()
    explained(method, network, inputs, targets, N_VIEWS)
    assert sum(counts) == once * passes
    assert max(counts) <= SETTINGS.images_at_once


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind(method: str, network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    torch.manual_seed(5)
    state, before = torch.get_rng_state(), inputs.clone()
    maps = explained(method, network, inputs, targets, N_VIEWS)
    assert torch.equal(torch.get_rng_state(), state)
    for each in maps:
        assert each.shape == inputs.shape
        assert not each.requires_grad
    assert torch.equal(inputs, before)
    assert all(parameter.grad is None for parameter in network.parameters())
    again = explained(method, network, inputs.clone().requires_grad_(), targets, N_VIEWS)
    assert all(torch.equal(one, other) for one, other in zip(maps, again, strict=True))
    assert not again.contributions.requires_grad


def test_too_many_views_are_refused(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    with pytest.raises(ValueError, match=r"n_views=19, but shifts of at most \[1, 1\] .* only 18 different views"):
        explained("Saliency", network, inputs, targets, 19)


@pytest.mark.parametrize("method", ["FeatureAblation", "Occlusion"])
def test_views_of_methods_without_gradients(method: str, network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    maps = explained(method, network, inputs[..., :8, :8], targets, 2)
    assert (maps.magnitude >= maps.signed.abs() - 1e-6).all()
    assert (maps.magnitude > maps.signed.abs() + 1e-6).any()
