"""Metrics: their ranges, symmetries and scale invariance, for maps of any dtype, layout and content."""

from typing import Any

import pytest
import torch
from fuzzed_inputs import FLOATS, INTEGERS, feature_masks, linear_network, seeds, shapes, tensors, tried
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from untouched import all_untouched

from captum_superpixel import metrics
from captum_superpixel.feature_masks import looks_channels_last

DTYPES = (*FLOATS, *INTEGERS[:5])


@st.composite
def maps_of_images(draw: st.DrawFn, count: int = 1, side: int = 14, least: int = 1) -> list[Tensor]:
    shape = draw(shapes((2,), (1, 4), (1, 4), side=side).filter(lambda shape: not looks_channels_last(shape)))
    shape = (*shape[:2], *(max(least, length) for length in shape[2:]))
    return [draw(tensors(shape, DTYPES)) for _ in range(count)]


@pytest.mark.parametrize("name", metrics.SIMILARITIES)
@tried(12)
@given(maps_of_images(2, least=11))
def test_similarities(name: str, maps: list[Tensor]) -> None:
    """One of a map and itself, symmetric, of each image by itself, and the same for a multiple of a map."""
    similarity = metrics.SIMILARITIES[name]
    first, second = maps
    with all_untouched(maps):
        values = similarity(first, second)
    assert (values.shape, values.dtype) == ((len(first),), torch.float64)
    assert ((values >= -1) & (values <= 1)).all()
    assert torch.allclose(similarity(second, first), values, atol=1e-9)
    itself = similarity(first, first)
    silent = first.double().flatten(1).eq(0).all(1)
    flat = (first.double().abs().sum(1).flatten(1).var(1, correction=0) == 0) if name == "rank_correlation" else silent
    assert torch.allclose(itself[~flat], torch.ones_like(itself[~flat]), atol=1e-6)
    assert torch.allclose(similarity(first.double() * 4, second), values, atol=1e-9)
    for number in range(len(first)):
        alone = similarity(first[number : number + 1], second[number : number + 1])
        assert torch.allclose(alone[0], values[number], atol=1e-12)


@tried(25)
@given(maps_of_images(), st.data())
def test_localization(maps: list[Tensor], data: st.DataObject) -> None:
    """Shares from 0 to 1; an object and all but it share out all of the relevance; the whole image has all of it."""
    (attributions,) = maps
    objects = torch.rand(
        len(attributions), 1, *attributions.shape[2:], generator=torch.Generator().manual_seed(data.draw(seeds))
    )
    objects = objects > 0.5
    objects.flatten(1)[:, 0] = True
    for name, metric in metrics.LOCALIZATION.items():
        with all_untouched((attributions, objects)):
            values = metric(attributions, objects)
        assert values.shape == (len(attributions),)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), name
        assert torch.allclose(metric(attributions, torch.ones_like(objects)), torch.ones_like(values))
    rest = ~objects
    if rest.flatten(1).any(1).all():
        both = [metrics.relevance_mass_accuracy(attributions, part) for part in (objects, rest)]
        assert torch.allclose(both[0] + both[1], torch.ones_like(both[0]))


@tried(15)
@given(st.data())
def test_the_cells_of_a_mosaic_share_out_the_relevance(data: st.DataObject) -> None:
    side = data.draw(st.integers(1, 3))
    shape = data.draw(shapes((2,), (1, 4), (1, 4), side=4))
    shape = (*shape[:2], shape[2] * side, shape[3] * side)
    if looks_channels_last(shape):
        return
    attributions = data.draw(tensors(shape, DTYPES))
    cells = [torch.full((len(attributions),), cell) for cell in range(side * side)]
    with all_untouched((attributions,)):
        values = torch.stack([metrics.grid_pointing_game(attributions, cell, side=side) for cell in cells])
    assert torch.allclose(values.sum(0), torch.ones_like(values[0]))


@pytest.mark.parametrize("curve", [metrics.insertion_curve, metrics.deletion_curve])
@tried(12)
@given(st.data())
def test_curves_run_between_the_image_and_the_baseline(curve: Any, data: st.DataObject) -> None:
    shape = data.draw(shapes((2, 3), (1, 3), (1, 3), side=6).filter(lambda shape: not looks_channels_last(shape)))
    images = data.draw(tensors(shape, FLOATS[:2], ("noise", "zeros", "steps")))
    attributions = data.draw(tensors((shape[0], data.draw(st.sampled_from((1, shape[1]))), *shape[2:]), DTYPES[:4]))
    mask = data.draw(st.one_of(st.none(), feature_masks(shape)))
    network = linear_network(shape).to(images.dtype)
    arguments = {"feature_mask": mask, "baselines": data.draw(st.sampled_from(("blur", "mean", "zero")))}
    arguments["n_steps"] = data.draw(st.sampled_from((None, 1, 3)))
    with all_untouched((images, attributions, mask), network):
        found = curve(network, images, attributions, 1, **arguments)
    probability = network(images).softmax(1)[:, 1].double()
    place = 0 if curve is metrics.deletion_curve else -1
    assert torch.allclose(found.scores[:, place], probability, atol=1e-5)
    assert found.fractions[:, 0].eq(0).all()
    assert found.fractions[:, -1].eq(1).all()
    assert (found.fractions.diff(dim=1) >= 0).all()
    assert ((found.area >= -1e-9) & (found.area <= 1 + 1e-9)).all()
    for number in range(len(images)):
        own = mask if mask is None or len(mask) == 1 else mask[number : number + 1]
        part = slice(number, number + 1)
        alone = curve(network, images[part], attributions[part], 1, **{**arguments, "feature_mask": own})
        assert torch.allclose(alone.area[0], found.area[number], atol=1e-5)


@tried(12)
@given(st.data())
def test_insertion_of_a_map_is_deletion_of_its_reverse(data: st.DataObject) -> None:
    """Of an additive function: what is inserted last is deleted first."""
    shape = data.draw(shapes((2,), (1, 3), (1, 3), side=5).filter(lambda shape: not looks_channels_last(shape)))
    images = data.draw(tensors(shape, (torch.float64,), ("noise", "steps")))
    order = torch.rand(shape[0], 1, *shape[2:], generator=torch.Generator().manual_seed(data.draw(seeds)))
    options = {"baselines": "zero", "softmax": False, "n_steps": None}
    inserted = metrics.insertion_auc(lambda x: x.flatten(1).sum(1), images, order, None, **options)
    deleted = metrics.deletion_auc(lambda x: x.flatten(1).sum(1), images, -order, None, **options)
    assert torch.allclose(inserted, deleted)


@tried(12)
@given(maps_of_images(side=8), st.data())
def test_complexity(maps: list[Tensor], data: st.DataObject) -> None:
    (attributions,) = maps
    mask = data.draw(feature_masks(tuple(attributions.shape)))
    with all_untouched((attributions, mask)):
        entropy, regions = metrics.entropy(attributions), metrics.effective_regions(attributions, mask)
    silent = attributions.double().flatten(1).eq(0).all(1)
    assert torch.equal(entropy.isnan(), silent)
    assert torch.equal(regions.isnan(), silent)
    pixels = attributions[0, 0].numel()
    assert (entropy[~silent] <= torch.tensor(float(pixels), dtype=torch.float64).log() + 1e-9).all()
    assert ((regions[~silent] >= 1) & (regions[~silent] <= pixels)).all()


@tried(6)
@given(st.data())
def test_metrics_with_chance_take_their_own(data: st.DataObject) -> None:
    """The same call gives the same number, whatever happened to the global generators."""
    shape = data.draw(shapes((2,), (1, 2), (1, 3), side=6).filter(lambda shape: min(shape[2:]) > 3))
    images = data.draw(tensors(shape, FLOATS[:2], ("noise", "steps", "zeros")))
    attributions = data.draw(tensors(shape, FLOATS[:2]))
    network = linear_network(shape).to(images.dtype)
    for metric in (metrics.road, metrics.mu_fidelity):
        options: dict[str, Any] = {"fractions": (0.3,)} if metric is metrics.road else {"n_subsets": 5}
        with all_untouched((images, attributions), network):
            first = metric(network, images, attributions, 1, **options)
        torch.rand(3)
        second = metric(network, images, attributions, 1, **options)
        scores = [getattr(found, "score", found).nan_to_num(7) for found in (first, second)]
        assert torch.equal(*scores)
