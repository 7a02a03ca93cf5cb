"""SparsifiedSmoothGrad: its definition in NumPy, identities of its maps, and what other wrappers make of it."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import DeepLift, GradientAttribution, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel import Contributions, SparsifiedSmoothGrad, SuperpixelGrouped, ViewTunnel, pool_segments
from captum_superpixel._seeds import seeded
from captum_superpixel.attr.recommended import recommended
from captum_superpixel.attr.sparsified_smooth_grad import sparsify
from captum_superpixel.models.networks import SmallCNN, initialize

N_ELEMENTS = 3 * 16 * 16


@pytest.fixture
def network() -> nn.Module:
    network = SmallCNN(5, width=4)
    initialize(network, torch.Generator().manual_seed(3))
    return network.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([0, 4, 2])


def noisy_gradients(network: nn.Module, images: Tensor, n_samples: int, noise: float) -> np.ndarray:
    """Gradients (N, samples, elements) of what NoiseTunnel shows a network, the copies of an image in a row."""
    copies = images.repeat_interleave(n_samples, dim=0)
    copies = (copies + torch.normal(0.0, torch.full_like(copies, noise))).requires_grad_()
    network(copies)[range(len(copies)), TARGETS.repeat_interleave(n_samples)].sum().backward()
    assert copies.grad is not None
    return copies.grad.reshape(len(images), n_samples, -1).double().numpy()


def test_the_largest_tenth_of_each_copy_becomes_1(network: nn.Module, images: Tensor) -> None:
    """By sorting in NumPy, of the same noise; so does ``ZeroOneExplainer`` in the code of Levine et al."""
    with seeded(7):
        found = SparsifiedSmoothGrad(network).attribute(images, target=TARGETS, n_samples=6, stdevs=0.2)
    with seeded(7):
        magnitudes = np.abs(noisy_gradients(network, images, 6, 0.2))
    order = np.argsort(magnitudes, axis=-1)
    kept = np.zeros_like(magnitudes)
    np.put_along_axis(kept, order[..., -76:], 1.0, axis=-1)  # a tenth of 768 is 76.8
    assert np.allclose(found.flatten(1).numpy(), kept.mean(axis=1), atol=1e-6)
    assert torch.allclose(found.sum((1, 2, 3)), torch.full((3,), 76.0))


def test_the_relaxed_form_falls_to_the_last_that_is_kept(network: nn.Module, images: Tensor) -> None:
    options: dict[str, Any] = {"n_samples": 4, "stdevs": 0.2, "sparsity": 0.25, "saturation": 0.02}
    with seeded(7):
        found = SparsifiedSmoothGrad(network).attribute(images, target=TARGETS, **options)
    with seeded(7):
        magnitudes = np.abs(noisy_gradients(network, images, 4, 0.2))
    expected = np.zeros_like(magnitudes)
    for image, copy in np.ndindex(3, 4):
        descending = np.sort(magnitudes[image, copy])[::-1]
        for element, value in enumerate(magnitudes[image, copy]):
            if value >= descending[192 - 1]:  # a quarter of 768
                expected[image, copy, element] = min(1.0, value / descending[15 - 1])  # two hundredths are 15.36
    assert np.allclose(found.flatten(1).numpy(), expected.mean(axis=1), atol=1e-5)
    assert len(found.unique()) > 100


def test_by_hand() -> None:
    gradients = torch.tensor([[[4.0, -8.0], [1.0, 2.0]], [[0.0, 3.0], [0.0, 0.0]]])
    assert sparsify(gradients, 0.5, 0.5).tolist() == [[[1, 1], [0, 0]], [[0, 1], [0, 0]]]
    assert sparsify(gradients, 1, 0.25).tolist() == [[[0.5, 1], [0.125, 0.25]], [[0, 1], [0, 0]]]
    # No share is so small that nothing is kept.
    assert sparsify(gradients, 1e-6, 1e-6).tolist() == [[[0, 1], [0, 0]], [[0, 1], [0, 0]]]
    # A share in binary may fall short of the number that it stands for.
    hundred = torch.arange(1.0, 101)[None]
    assert 0.29 * 100 < 29
    assert sparsify(hundred, 0.29, 0.29).sum() == 29


def test_ties_are_all_kept_and_broken_gradients_seen() -> None:
    assert sparsify(torch.tensor([[2.0, -2, 2, 1]]), 0.25, 0.25).tolist() == [[1, 1, 1, 0]]
    broken = sparsify(torch.tensor([[2.0, float("nan"), 3, 1], [1, 2, 3, 4]]), 0.5, 0.5)
    assert broken[0, 1].isnan()
    assert broken[1].tolist() == [0, 0, 1, 1]


def test_neither_scale_nor_sign_of_the_output_matters(network: nn.Module, images: Tensor) -> None:
    def explain(scale: float) -> Tensor:
        method = SparsifiedSmoothGrad(lambda inputs: scale * network(inputs))
        with seeded(0):
            found: Tensor = method.attribute(images, target=TARGETS, n_samples=5, stdevs=0.1)
        return found

    assert torch.equal(explain(1), explain(-8))


def test_an_image_alone_is_as_in_a_batch_given_the_same_noise(network: nn.Module, images: Tensor) -> None:
    """The first image meets the same noise; all of them do where there is none, whatever the gradients beside."""
    method = SparsifiedSmoothGrad(network)
    options: dict[str, Any] = {"n_samples": 8, "stdevs": 0.3}
    with seeded(2):
        together = method.attribute(images, target=TARGETS, **options)
    with seeded(2):
        alone = method.attribute(images[:1], target=TARGETS[:1], **options)
    assert torch.allclose(together[:1], alone, atol=1e-6)
    factors = torch.tensor([1.0, 1e4, 1e-4])

    def scaled(inputs: Tensor, factor: Tensor) -> Tensor:
        return network(inputs) * factor[:, None]

    silent = SparsifiedSmoothGrad(scaled)
    together = silent.attribute(images, target=TARGETS, additional_forward_args=factors, n_samples=2, stdevs=0)
    for index in range(3):
        one = slice(index, index + 1)
        alone = silent.attribute(
            images[one], target=TARGETS[one], additional_forward_args=factors[one], n_samples=1, stdevs=0.0
        )
        assert torch.equal(together[one], alone)


@pytest.mark.parametrize(("at_once", "passes"), [(None, [21]), (3, [9, 9, 3]), (99, [21])])
def test_how_many_copies_the_network_is_given(
    at_once: int | None, passes: list[int], network: nn.Module, images: Tensor
) -> None:
    counts: list[int] = []
    network.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    maps = SparsifiedSmoothGrad(network).attribute(images, target=1, n_samples=7, samples_per_batch=at_once)
    assert counts == passes
    # Shares of seven copies.
    assert torch.allclose(maps * 7, (maps * 7).round(), atol=1e-5)
    assert maps.max() > 1 / 7


def test_noise_and_generator_are_those_of_a_noise_tunnel(network: nn.Module, images: Tensor) -> None:
    """By default 15 % of the range, which is 1 here but for what is not drawn."""
    noise = 0.15 * float(images.max() - images.min())
    with seeded(4):
        NoiseTunnel(Saliency(network)).attribute(images, nt_samples=25, stdevs=noise, target=1)
        after = torch.rand(3)
    before = images.clone()
    with seeded(4):
        found = SparsifiedSmoothGrad(network).attribute(images, target=1)
        assert torch.equal(torch.rand(3), after)
    with seeded(4):
        assert torch.equal(SparsifiedSmoothGrad(network).attribute(images, target=1, stdevs=noise), found)
    assert torch.equal(images, before)
    assert not images.requires_grad
    assert not found.requires_grad


def test_several_inputs_are_sparsified_each_by_itself(images: Tensor) -> None:
    other = torch.rand(3, 10, generator=torch.Generator().manual_seed(2))

    def network(pictures: Tensor, numbers: Tensor) -> Tensor:
        return (pictures**2).sum((1, 2, 3)) + 1e6 * (numbers**2).sum(1)

    found = SparsifiedSmoothGrad(network).attribute((images, other), n_samples=1, stdevs=(0.0, 0.1))
    assert isinstance(found, tuple)
    expected = sparsify(images, 0.1, 0.1)
    assert torch.equal(found[0], expected)
    assert found[1].sum(1).tolist() == [1, 1, 1]
    alone = SparsifiedSmoothGrad(lambda pictures: network(pictures, other)).attribute((images,), n_samples=1, stdevs=0)
    assert isinstance(alone, tuple)
    assert torch.equal(alone[0], expected)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples must be at least 1, but 0"),
        ({"n_samples": 2.5}, TypeError, r"n_samples must be an integer, but 2.5 \(float\)"),
        ({"samples_per_batch": 0}, ValueError, "samples_per_batch must be at least 1, but 0"),
        ({"sparsity": 0}, ValueError, r"sparsity must be finite and above 0, but 0\.0"),
        ({"sparsity": 10}, ValueError, "sparsity is a share from 0 to 1, but 10 was passed"),
        ({"saturation": 0.2}, ValueError, r"saturation=0\.2 is above sparsity=0\.1: .* pass at most the latter"),
        ({"saturation": 0.0}, ValueError, r"saturation must be finite and above 0, but 0\.0"),
        ({"stdevs": -1}, ValueError, r"stdevs must be finite and at least 0, but -1\.0"),
        ({"stdevs": "much"}, TypeError, r"stdevs must be a number, but 'much' \(str\)"),
        ({"stdevs": (0.1, 0.2)}, ValueError, "2 stdevs for 1 inputs: pass a number, or one for each"),
    ],
)
def test_wrong_arguments(
    options: dict[str, Any], error: type[Exception], message: str, network: nn.Module, images: Tensor
) -> None:
    with pytest.raises(error, match=message):
        SparsifiedSmoothGrad(network).attribute(images, target=0, **options)


def test_inputs_without_gradients(network: nn.Module) -> None:
    with pytest.raises(TypeError, match=r"inputs have dtype torch.uint8, .* pass inputs.float\(\)"):
        SparsifiedSmoothGrad(network).attribute(torch.zeros(1, 3, 16, 16, dtype=torch.uint8), target=0)


def test_it_is_grouped_like_any_gradient_method(network: nn.Module, images: Tensor) -> None:
    mask = torch.arange(256).view(1, 1, 16, 16) // 16
    grouped: Any = SuperpixelGrouped(SparsifiedSmoothGrad(network), None)
    assert isinstance(grouped, GradientAttribution)
    options: dict[str, Any] = {"target": TARGETS, "n_samples": 3, "stdevs": 0.1}
    with seeded(0):
        found = grouped.attribute(images, feature_mask=mask, **options)
    with seeded(0):
        pixels = SparsifiedSmoothGrad(network).attribute(images, **options)
    assert torch.allclose(found, pool_segments(pixels, mask), atol=1e-6)
    with seeded(0):
        method = SuperpixelGrouped(SparsifiedSmoothGrad(lambda inputs: SimpleNamespace(logits=network(inputs))), None)
        assert torch.equal(method.attribute(images, feature_mask=mask, **options), found)
    # The noise around it is the tunnel's, which takes the argument of that name; without it, it does nothing.
    tunnel = NoiseTunnel(SparsifiedSmoothGrad(network))
    with seeded(0):
        found = tunnel.attribute(images, nt_samples=1, stdevs=0.0, target=TARGETS, n_samples=3)
    with seeded(0):
        torch.normal(0.0, torch.zeros_like(images))
        assert torch.equal(found, SparsifiedSmoothGrad(network).attribute(images, target=TARGETS, n_samples=3))


def test_views(network: nn.Module, images: Tensor) -> None:
    """Without noise, each of two copies that sees one view is a pass of its own over each of two views."""
    tunnel: Any = ViewTunnel(SparsifiedSmoothGrad(network))
    options: dict[str, Any] = {"target": TARGETS, "stdevs": 0.0, "max_shift": 0, "n_views": 2}
    counts: list[int] = []
    network.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    found = tunnel.attribute(images, n_samples=2, spread=True, **options)
    assert sum(counts) == 6
    assert torch.allclose(found, tunnel.attribute(images, n_samples=1, **options), atol=1e-6)
    by_hand = [Saliency(network).attribute(each.requires_grad_(), TARGETS) for each in (images.clone(), images.flip(3))]
    first, second = (sparsify(each, 0.1, 0.1) for each in by_hand)
    assert torch.allclose(found, (first + second.flip(3)) / 2, atol=1e-6)
    # In the order in which views are seen where copies are passed by twos: 0, 1 and 0 again.
    thirds = tunnel.attribute(images, n_samples=3, samples_per_batch=2, spread=True, **options)
    assert torch.allclose(thirds, (2 * first + second.flip(3)) / 3, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda method: method, ViewTunnel, NoiseTunnel])
def test_a_map_without_signs_has_no_contributions(wrap: Callable[[Any], Any], network: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"SparsifiedSmoothGrad\(SmallCNN\)\)? gives maps without signs"):
        Contributions(wrap(SparsifiedSmoothGrad(network)))


def test_what_is_recommended(network: nn.Module, images: Tensor) -> None:
    """As of SmoothGrad, magnitudes of all images, over views that cost nothing."""
    method = recommended(SparsifiedSmoothGrad(network))
    assert method.reductions == ("abs_mean", "abs_mean")
    assert method.passes == 1
    assert repr(method).count("reduction='abs_mean'), n_views=8, spread=True") == 2
    options: dict[str, Any] = {"target": TARGETS, "n_samples": 8, "stdevs": 0.1}
    with seeded(0):
        found = method.attribute(images, **options)
    with seeded(0):
        tunnel: Any = ViewTunnel(SparsifiedSmoothGrad(network))
        pixels = tunnel.attribute(images, n_views=8, spread=True, **options)
    pooled = [pool_segments(pixels, mask) for mask in method.feature_mask(images)]
    assert torch.allclose(found, torch.stack(pooled).mean(0), atol=1e-6)
    with pytest.raises(ValueError, match="gives maps without signs"):
        method.attribute(images, reduction="evidence", **options)
    # Inside of a tunnel too, of which other methods have evidence.
    assert recommended(NoiseTunnel(SparsifiedSmoothGrad(network))).reductions == ("abs_mean", "abs_mean")
    assert recommended(NoiseTunnel(DeepLift(network))).reductions == ("abs_mean", "evidence")
