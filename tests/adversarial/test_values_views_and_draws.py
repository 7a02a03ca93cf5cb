"""OwenValues, Contributions, ViewTunnel, XRAI and perturbed_attributions: completeness, identities, and no traces."""

from typing import Any

import pytest
import torch
from captum.attr import InputXGradient, Saliency
from fuzzed_inputs import feature_masks, linear_network, seeds, shapes, tensors, tried
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from untouched import all_untouched

from captum_superpixel import (
    XRAI,
    Contributions,
    OwenValues,
    SuperpixelGrouped,
    ViewTunnel,
    perturbed_attributions,
    pool_segments,
)
from captum_superpixel.masks import Grid

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning")

CALM = ("noise", "zeros", "constant", "steps", "alternating", "tiny")


@st.composite
def explained(
    draw: st.DrawFn, spatial: tuple[int, ...] = (2,), *, side: int = 6, least: int = 1, nonlinear: bool = True
) -> tuple[Tensor, nn.Module]:
    shape = draw(shapes(spatial, (1, 3), (1, 3), side=side))
    shape = (*shape[:2], *(max(least, length) for length in shape[2:]))
    images = draw(tensors(shape, (torch.float64, torch.float32), CALM))
    return images, linear_network(shape, seed=draw(seeds), nonlinear=nonlinear).to(images.dtype)


def close(first: Tensor, second: Tensor) -> bool:
    tolerance = 1e-3 if torch.float32 in (first.dtype, second.dtype) else 1e-8
    return torch.allclose(
        first.double(), second.double(), rtol=tolerance, atol=tolerance * max(1, second.abs().max().item())
    )


@tried(25)
@given(explained((2, 3)), st.data())
def test_owen_values_add_up_at_every_budget(case: tuple[Tensor, nn.Module], data: st.DataObject) -> None:
    images, network = case
    mask = data.draw(feature_masks(tuple(images.shape)))
    budget, target = data.draw(st.integers(2, 60)), data.draw(st.integers(0, 2))
    at_once = data.draw(st.integers(1, 5))
    shares = data.draw(st.sampled_from(("size", "change")))
    owen = OwenValues(network)
    options: dict[str, Any] = {"target": target, "n_evaluations": budget, "per_pixel": True, "shares": shares}
    with all_untouched((images, mask), network):
        maps = owen.attribute(images, feature_mask=mask, **options)
    difference = (network(images) - network(torch.zeros_like(images)))[:, target].detach()
    assert close(maps.flatten(1).sum(1), difference)
    if shares == "size":
        assert close(pool_segments(maps, mask, pool_channels=True), maps)
    for number in range(len(images)):
        own = mask if len(mask) == 1 else mask[number : number + 1]
        alone = owen.attribute(images[number : number + 1], feature_mask=own, perturbations_per_eval=at_once, **options)
        assert close(alone[0], maps[number])


@tried(10)
@given(explained(nonlinear=False), st.data())
def test_owen_values_of_a_sum_are_its_parts(case: tuple[Tensor, nn.Module], data: st.DataObject) -> None:
    """Where each node of the tree was split, for which a tree of seven leaves never takes as many evaluations."""
    images, network = case
    mask = data.draw(feature_masks(tuple(images.shape)).filter(lambda mask: len(set(mask.reshape(-1).tolist())) <= 7))
    weights = network[1].weight[0].view(1, *images.shape[1:]).detach()
    expected = pool_segments(images * weights, mask, pool_channels=True)
    for shares in ("size", "change"):
        options: dict[str, Any] = {"target": 0, "n_evaluations": 2000, "per_pixel": True, "shares": shares}
        maps = OwenValues(network).attribute(images, feature_mask=mask, **options)
        # Within a superpixel, too, values are shared by how far pixels are from the baseline.
        assert close(maps if shares == "size" else pool_segments(maps, mask, pool_channels=True), expected)


@tried(20)
@given(explained((1, 2, 3)), st.data())
def test_contributions_are_the_gradient_times_what_differs(case: tuple[Tensor, nn.Module], data: st.DataObject) -> None:
    images, network = case
    reference = data.draw(st.sampled_from((0.0, 0.5, "tensor", "function", "blur")))
    if reference == "blur" and images.ndim != 4:
        reference = 0.0
    other = data.draw(tensors(tuple(images.shape), (images.dtype,), CALM))
    given_as: Any = {"tensor": other, "function": lambda x: x / 2}.get(reference, reference)
    method = Contributions(Saliency(network), reference=given_as)
    with all_untouched((images, other), network):
        maps = method.attribute(images, target=1).detach()
    if reference != "blur":
        gradient = Saliency(network).attribute(images.clone(), target=1, abs=False)
        minus = other if reference == "tensor" else images / 2 if reference == "function" else reference
        assert close(maps, gradient * (images - minus))
    passed = Contributions(InputXGradient(network), reference=given_as).attribute(images, target=1)
    assert close(passed.detach(), InputXGradient(network).attribute(images, target=1).detach())


@tried(20)
@given(explained((2, 3), least=2, side=7), st.data())
def test_one_view_is_the_method_and_views_of_a_sum_keep_its_gradient(
    case: tuple[Tensor, nn.Module], data: st.DataObject
) -> None:
    images, network = case
    method = Saliency(network)
    options: dict[str, Any] = {"target": 2, "abs": False}
    with all_untouched((images,), network):
        one = ViewTunnel(method).attribute(images, n_views=1, **options)
    assert close(one.detach(), method.attribute(images, **options))
    n_views, at_once = data.draw(st.integers(1, 4)), data.draw(st.sampled_from((None, 1, 3)))
    views: dict[str, Any] = {"n_views": n_views, "flip": data.draw(st.booleans()), "max_shift": 1}
    with all_untouched((images,), network):
        maps = ViewTunnel(method).attribute(images, views_per_batch=at_once, **views, **options)
    for number in range(len(images)):
        alone = ViewTunnel(method).attribute(images[number : number + 1], **views, **options)
        assert close(alone[0], maps[number])
    # Of the sum of all pixels the gradient is 1 everywhere, in every view.
    level = ViewTunnel(Saliency(lambda x: x.flatten(1).sum(1))).attribute(images, **views)
    assert close(level.detach(), torch.ones_like(images))


@tried(10)
@given(explained(least=2, side=6), st.data())
def test_perturbed_attributions_leave_no_trace(case: tuple[Tensor, nn.Module], data: st.DataObject) -> None:
    images, network = case
    mask = data.draw(feature_masks(tuple(images.shape)))
    method = data.draw(st.sampled_from((Saliency(network), SuperpixelGrouped(Saliency(network), Grid(2)))))
    options: dict[str, Any] = {"target": 1, "n_draws": 2, "views": data.draw(st.booleans())}
    options |= {"feature_mask": mask} if isinstance(method, SuperpixelGrouped) else {}
    strength = data.draw(st.sampled_from((0.0, 0.1)))
    with all_untouched((images, mask), network):
        draws = perturbed_attributions(method, network, images, strength=strength, **options)
    assert draws.attributions.shape == (2, *images.shape)
    again = perturbed_attributions(method, network, images, strength=strength, **options)
    assert torch.equal(again.attributions, draws.attributions)
    if strength == 0 and not options["views"]:
        plain = {"feature_mask": mask} if isinstance(method, SuperpixelGrouped) else {}
        assert close(draws.attributions[1], method.attribute(images, target=1, **plain).detach())


@tried(10)
@given(explained(least=2, side=7), st.data())
def test_xrai_gives_each_region_one_value(case: tuple[Tensor, nn.Module], data: st.DataObject) -> None:
    images, network = case
    mask = data.draw(feature_masks(tuple(images.shape)))
    algorithm = data.draw(st.sampled_from(("full", "fast")))
    method = XRAI(Saliency(network), algorithm=algorithm, min_pixel_diff=1)
    with all_untouched((images, mask), network):
        maps = method.attribute(images, target=0, feature_mask=mask)
    assert maps.shape == (len(images), 1, *images.shape[2:])
    if algorithm == "fast":
        assert close(pool_segments(maps, mask), maps)
    for number in range(len(images)):
        own = mask if len(mask) == 1 else mask[number : number + 1]
        assert close(method.attribute(images[number : number + 1], target=0, feature_mask=own)[0], maps[number])
