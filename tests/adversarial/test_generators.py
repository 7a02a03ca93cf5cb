"""Mask generators: the contract that all of them keep for images of any size, dtype, layout and content."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fuzzed_inputs import FLOATS, INTEGERS, PATTERNS, seeds, shapes, tensors, tried
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from untouched import all_untouched

from captum_superpixel.feature_masks import looks_channels_last
from captum_superpixel.masks import (
    GENERATORS,
    Cached,
    Grid,
    PatchAligned,
    Precomputed,
    Slic,
    from_proposals,
    hierarchy,
    is_counted,
    multiscale,
)
from captum_superpixel.masks.base import segment_with_all

SINGLE = [name for name in GENERATORS if name != "multiscale"]
SPATIAL: dict[str, tuple[int, ...]] = {name: GENERATORS[name].spatial_dimensions for name in SINGLE}  # type: ignore[attr-defined]
EXACT = ("skimage_slic", "watershed")
"""What makes as many segments as it is asked for, unless an image is of one color."""


def made(name: str, n_segments: int, **settings: Any) -> Any:
    return GENERATORS[name](*([n_segments] if is_counted(name) else []), **settings)


@st.composite
def batches(draw: st.DrawFn, spatial: tuple[int, ...] = (2,), *, side: int = 14) -> Tensor:
    shape = draw(shapes(spatial, side=side).filter(lambda shape: not looks_channels_last(shape)))
    return draw(tensors(shape, (*FLOATS, *INTEGERS)))


def check_contract(generator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The promises to ``SuperpixelGrouped``; returns the mask."""
    with all_untouched((images,)):
        mask = generator(images)
    assert mask.shape == (len(images), 1, *images.shape[2:])
    assert (mask.dtype, mask.device, mask.requires_grad) == (torch.int64, images.device, False)
    for labels in mask:
        assert torch.equal(labels.unique(), torch.arange(int(labels.max()) + 1))
    assert torch.equal(generator(images.contiguous()), mask)
    for number in range(len(images)):
        assert torch.equal(generator(images[number : number + 1])[0], mask[number])
    return mask


@pytest.mark.parametrize("name", SINGLE)
@tried(12)
@given(st.data())
def test_all_generators_keep_the_contract(name: str, data: st.DataObject) -> None:
    images = data.draw(batches(SPATIAL[name]))
    pixels = images[0, 0].numel()
    settings: dict[str, Any] = {"channel_order": data.draw(st.sampled_from(("rgb", "bgr")))}
    if data.draw(st.booleans()):
        settings["denormalize"] = (0.5, 0.25)
    n_segments = data.draw(st.integers(1, pixels))
    mask = check_contract(made(name, n_segments, **settings), images)
    assert name not in EXACT or {len(labels.unique()) for labels in mask} <= {1, n_segments}


@pytest.mark.parametrize("name", [name for name in SINGLE if name != "grid"])
@tried(6)
@given(st.data())
def test_an_image_of_one_color_is_one_segment_beside_any_other(name: str, data: st.DataObject) -> None:
    images = data.draw(batches(SPATIAL[name])).double()
    images = torch.cat([images, torch.full_like(images[:1], data.draw(st.integers(-300, 300)))])
    mask = made(name, data.draw(st.integers(1, images[0, 0].numel())))(images)
    assert mask[-1].eq(0).all()


@pytest.mark.parametrize("name", SINGLE)
@tried(6)
@given(st.data())
def test_invalid_pixels_are_a_segment_of_their_own_and_decide_nothing(name: str, data: st.DataObject) -> None:
    images = data.draw(batches(SPATIAL[name], side=9)).float()
    valid = (
        torch.rand(len(images), 1, *images.shape[2:], generator=torch.Generator().manual_seed(data.draw(seeds))) > 0.3
    )
    valid.flatten(1)[:, 0] = True
    generator = made(name, data.draw(st.integers(1, int(valid.flatten(1).sum(1).min()))))
    holes = torch.where(valid, images, torch.nan)
    with all_untouched((holes, valid)):
        mask = generator(holes, mask=valid)
    assert torch.equal(generator(torch.where(valid, images, -1e9), mask=valid), mask)
    for labels, where in zip(mask, valid, strict=True):
        assert torch.equal(labels.unique(), torch.arange(int(labels.max()) + 1))
        assert where.all() or torch.equal(labels == labels.max(), ~where)


@tried(10)
@given(batches(side=10), st.data())
def test_several_generators_together_give_what_each_gives(images: Tensor, data: st.DataObject) -> None:
    pixels = images[0, 0].numel()
    names = data.draw(st.lists(st.sampled_from(SINGLE), min_size=1, max_size=4))
    generators = [made(name, data.draw(st.integers(1, pixels))) for name in names]
    generators += multiscale(tuple(data.draw(st.lists(st.integers(1, pixels), min_size=1, max_size=2, unique=True))))
    with all_untouched((images,)):
        together = segment_with_all(generators, images)
    assert all(torch.equal(mask, one(images)) for mask, one in zip(together, generators, strict=True))


@tried(12)
@given(st.data())
def test_patches_are_whole_and_segmented_by_their_means(data: st.DataObject) -> None:
    patch = data.draw(st.integers(1, 3))
    small = data.draw(batches(side=5))
    images = small.repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    if looks_channels_last(images.shape):
        return
    generator = Grid(data.draw(st.integers(1, small[0, 0].numel())))
    mask = check_contract(PatchAligned(generator, patch), images)
    assert torch.equal(mask, generator(small).repeat_interleave(patch, 2).repeat_interleave(patch, 3))


@tried(15)
@given(batches(side=10), st.data())
def test_levels_are_nested(images: Tensor, data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))
    leaves = made("slic", data.draw(st.integers(1, images[0, 0].numel())))
    with all_untouched((images,)):
        levels = hierarchy(images, counts, mask_generator=leaves)
    finest = leaves(images)
    for count, level in zip(counts, levels, strict=True):
        assert torch.equal(level, hierarchy(images, [count], feature_mask=finest)[0])
        for coarse, fine in zip(level, finest, strict=True):
            assert torch.equal(coarse.unique(), torch.arange(min(count, int(fine.max()) + 1)))
            assert all(len(coarse[fine == leaf].unique()) == 1 for leaf in fine.unique())


@tried(12)
@given(batches(side=8), st.sampled_from(SINGLE), st.integers(0, 4))
def test_what_is_kept_is_what_would_be_made(images: Tensor, name: str, place: int) -> None:
    generator = made(name, 1 + place)
    if is_counted(name) and images[0, 0].numel() < 1 + place:
        return
    expected = generator(images)
    cached = Cached(generator, max_images=max(1, place))
    precomputed = Precomputed.from_images(images, expected)
    for _ in range(2):
        assert torch.equal(check_contract(cached, images), expected)
    assert torch.equal(check_contract(precomputed, images), expected)
    assert torch.equal(precomputed[:], expected)


@tried(20)
@given(st.lists(st.integers(0, 2**24), min_size=1, max_size=6), st.integers(1, 6), st.integers(1, 6))
def test_proposals_of_any_overlap_make_one_partition(bits: list[int], height: int, width: int) -> None:
    places = torch.arange(height * width).view(height, width)
    proposals = torch.stack([(number >> places % 24) % 2 > 0 for number in bits])
    with all_untouched((proposals,)):
        mask = from_proposals(proposals)
    assert mask.shape == (1, 1, height, width)
    assert torch.equal(mask.unique(), torch.arange(int(mask.max()) + 1))


def test_the_patterns_tell_generators_apart() -> None:
    """Or the tests above would say little."""
    images = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    masks = [made(name, 9)(images) for name in SINGLE]
    assert sum(len(mask.unique()) > 1 for mask in masks) == len(SINGLE)
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == len(SINGLE)
    assert len(PATTERNS) == 8
    assert Slic(9)(images).max() > 0
