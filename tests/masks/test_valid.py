"""Images with holes: invalid pixels in a segment of their own, whatever the engine, and without a say in the others."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import InputXGradient
from torch import Tensor

from captum_superpixel import SuperpixelGrouped, pool_segments
from captum_superpixel.masks import (
    Cached,
    Felzenszwalb,
    Grid,
    Precomputed,
    Quickshift,
    SkimageSlic,
    Slic,
    Watershed,
    multiscale,
)

CountComponents = Callable[..., int]
Noise = Callable[..., Tensor]
Photographs = Callable[[int], Tensor]
PLAIN = [SkimageSlic(20, plain=True), Watershed(20, plain=True), Felzenszwalb(plain=True)]
GENERATORS = [
    Slic(20),
    SkimageSlic(20),
    Watershed(20),
    Felzenszwalb(),
    Quickshift(),
    *PLAIN,
    Grid(20),
    Cached(Slic(20)),
]
COUNTED = [Slic(20), SkimageSlic(20), Watershed(20), Watershed(20, compactness=0.5)]


def disks(size: int, count: int = 4) -> Tensor:
    """Valid inside of a disk, of another radius in each image: ``(count, 1, size, size)``."""
    place = torch.arange(size) - (size - 1) / 2
    distance = (place[:, None] ** 2 + place**2).sqrt()
    radii = torch.linspace(0.3, 0.5, count) * size
    return (distance < radii.view(-1, 1, 1))[:, None]


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("fill", [float("nan"), float("inf"), 1e9])
def test_invalid_pixels_are_the_last_segment_whatever_is_in_them(
    generator: Any, fill: float, photographs: Photographs
) -> None:
    images, valid = photographs(48).float(), disks(48)
    mask = generator(torch.where(valid, images, fill), mask=valid)
    assert mask.dtype == torch.int64
    assert mask.shape == (4, 1, 48, 48)
    for image, where in zip(mask, valid, strict=True):
        assert image.unique().tolist() == list(range(int(image.max()) + 1))
        assert torch.equal(image == image.max(), ~where)
        assert len(image.unique()) > 5
    assert torch.equal(mask, generator(images, mask=valid))
    assert torch.equal(mask, torch.cat([generator(images[i : i + 1], mask=valid[i : i + 1]) for i in range(4)]))
    assert torch.equal(mask.flip(0), generator(images.flip(0), mask=valid.flip(0)))


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_mask_of_all_pixels_changes_nothing_and_one_may_hold_for_all_images(
    generator: Any, photographs: Photographs
) -> None:
    images = photographs(40).float()
    whole = torch.ones(1, 1, 40, 40, dtype=torch.bool)
    assert torch.equal(generator(images, mask=whole), generator(images))
    half = whole.clone()
    half[..., :20] = False
    assert torch.equal(generator(images, mask=half), generator(images, mask=half.repeat(4, 1, 1, 1)))
    assert torch.equal(generator(images, mask=half), generator(images, mask=half[0, 0]))
    some = torch.cat([whole, half, whole, half])
    assert torch.equal(generator(images, mask=some)[::2], generator(images)[::2])


@pytest.mark.parametrize("generator", COUNTED)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_segments_are_connected_and_about_as_many_as_asked_for(
    generator: Any, channels: int, photographs: Photographs, count_components: CountComponents
) -> None:
    images = torch.cat([photographs(64), photographs(64).flip(3)], dim=1)[:, :channels].float()
    valid = disks(64)
    for image, where in zip(generator(images, mask=valid)[:, 0], valid[:, 0], strict=True):
        inside = torch.where(where, image, -1)
        found = int(inside.max()) + 1
        assert 16 <= found <= 20
        assert generator.n_segments == found or isinstance(generator, Slic)
        outside = count_components(torch.where(where, 0, torch.arange(64 * 64).view(64, 64))) - 1
        apart = torch.where(where, image, 100 + torch.arange(64 * 64).view(64, 64))
        assert count_components(apart) == found + outside
        if isinstance(generator, Slic):
            assert image[where].bincount().min() >= where.sum() / 200


@pytest.mark.parametrize("generator", COUNTED)
def test_nothing_crosses_a_gap(generator: Any, photographs: Photographs) -> None:
    valid = torch.ones(1, 1, 48, 48, dtype=torch.bool)
    valid[..., 20:23, :] = False
    for image in generator(photographs(48), mask=valid)[:, 0]:
        assert not set(image[:20].unique().tolist()) & set(image[23:].unique().tolist())


@pytest.mark.parametrize("generator", COUNTED)
def test_every_island_has_a_segment(generator: Any, noise: Noise) -> None:
    valid = noise(2, 1, 40, 40, seed=3) < 0.5
    mask = generator(noise(2, 3, 40, 40), mask=valid)
    for image, where in zip(mask[:, 0], valid[:, 0], strict=True):
        assert torch.equal(image == image.max(), ~where)
    one = generator(torch.zeros(2, 3, 40, 40), mask=valid)
    assert torch.equal(one, (~valid).long())


def test_the_range_and_hot_pixels_are_those_of_the_valid_part(photographs: Photographs) -> None:
    images, valid = photographs(48).float(), disks(48)
    hot = torch.where(valid, images, 1e6)
    hot[0, :, 24, 24] = 1e6
    assert torch.equal(Slic(20)(hot, mask=valid)[1:], Slic(20)(images, mask=valid)[1:])
    assert len(Slic(20)(hot, mask=valid)[0].unique()) > 15


def test_a_grid_never_looks_at_values() -> None:
    images = torch.full((1, 4, 6, 6), float("nan"))
    assert torch.equal(Grid(4)(images), Grid(4)(torch.zeros(1, 4, 6, 6)))
    valid = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    valid[..., :2, :2] = valid[..., 3, 3] = False
    expected = [[3, 3, 0, 0], [3, 3, 0, 0], [1, 1, 2, 2], [1, 1, 2, 3]]
    assert Grid(4)(torch.zeros(1, 1, 4, 4), mask=valid)[0, 0].tolist() == expected
    line = torch.tensor([[[False, True, True, True]]])
    assert Grid(2)(torch.zeros(1, 1, 4), mask=line).tolist() == [[[2, 0, 1, 1]]]


def test_volumes(noise: Noise) -> None:
    volume = noise(1, 1, 6, 12, 12)
    valid = torch.ones(1, 1, 6, 12, 12, dtype=torch.bool)
    valid[..., :4] = False
    for generator in (SkimageSlic(8), Grid(8)):
        mask = generator(torch.where(valid, volume, float("nan")), mask=valid)
        assert torch.equal(mask == mask.max(), ~valid)


def test_masks_made_before_are_cut(noise: Noise) -> None:
    images = noise(2, 3, 4, 4)
    made = Precomputed.from_images(images, Grid(4)(images))
    valid = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    valid[..., :2, :3] = False
    assert torch.equal(made(images, mask=valid), Grid(4)(images, mask=valid))


def test_kept_masks_know_what_was_valid(photographs: Photographs) -> None:
    images, valid = photographs(32), disks(32)
    cached = Cached(Slic(20))
    assert torch.equal(cached(images), Slic(20)(images))
    assert torch.equal(cached(images, mask=valid), Slic(20)(images, mask=valid))
    assert torch.equal(cached(images, mask=valid.flip(0)), Slic(20)(images, mask=valid.flip(0)))
    assert torch.equal(cached(images), Slic(20)(images))


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (torch.ones(2, 1, 16, 16), ValueError, "mask has dtype torch.float32, but must be bool"),
        (torch.ones(2, 3, 16, 16).bool(), ValueError, "mask has shape (2, 3, 16, 16), but for inputs of shape (2, 3,"),
        (torch.ones(3, 16, 16).bool(), ValueError, "mask has shape (3, 16, 16), but for inputs"),
        (torch.ones(3, 1, 16, 16).bool(), ValueError, "it must be (2, 1, 16, 16), or (1, 1, 16, 16) for all images"),
        (torch.zeros(1, 1, 16, 16).bool(), ValueError, "mask has no valid pixel in 1 of 1 images (index 0)"),
        (torch.arange(2).view(2, 1, 1, 1).expand(2, 1, 16, 16) > 0, ValueError, "in 1 of 2 images (index 0)"),
        ("all", TypeError, "mask must be a tensor or NumPy array of bool, true where pixels are valid, but a str"),
    ],
)
def test_masks_that_do_not_fit(generator: Any, mask: Any, error: type[Exception], message: str, noise: Noise) -> None:
    with pytest.raises(error, match=re.escape(message)):
        generator(noise(2, 3, 16, 16), mask=mask)


@pytest.mark.parametrize("generator", COUNTED)
def test_too_few_valid_pixels_and_nan_among_them(generator: Any, noise: Noise) -> None:
    images, valid = noise(2, 3, 16, 16), torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    valid[0], valid[1, :, :3, :4] = True, True
    with pytest.raises(ValueError, match=r"n_segments=20, but 1 of 2 images \(index 1\) have .* the first 12"):
        generator(images, mask=valid)
    images[0, 0, 5, 5] = float("nan")
    with pytest.raises(ValueError, match=r"1 of 1 images \(index 0\) hold NaN"):
        generator(images[:1], mask=valid[:1])


def test_an_ensemble_of_masks_with_holes_groups_what_a_network_says_of_filled_images(photographs: Photographs) -> None:
    valid = disks(48)
    tiles = torch.where(valid, photographs(48).float() / 255, torch.nan)
    weights = torch.linspace(0.1, 1, 3 * 48 * 48).view(3, 48, 48)
    method = InputXGradient(lambda images: (images.square() * weights).flatten(1).sum(1))
    generators = multiscale((8, 16))
    grouped = SuperpixelGrouped(method, generators)
    with pytest.raises(ValueError, match=r"4 of 4 images .* or set them apart by mask=valid"):
        grouped.attribute(tiles)
    masks = [generator(tiles, mask=valid) for generator in generators]
    maps = grouped.attribute(torch.where(valid, tiles, 0).requires_grad_(), feature_mask=masks)
    plain = method.attribute(torch.where(valid, tiles, 0).requires_grad_())
    torch.testing.assert_close(maps, torch.stack([pool_segments(plain, mask) for mask in masks]).mean(dim=0))
    assert (maps.movedim(1, 3)[~valid[:, 0]] == 0).all()
    assert (maps.movedim(1, 3)[valid[:, 0]] != 0).all()
    # A network that makes NaN of NaN at the same place alone: it stays in the segment of the invalid pixels.
    holes = grouped.attribute(tiles.requires_grad_(), feature_mask=masks).isnan()
    assert torch.equal(holes, ~valid.expand_as(holes))


@pytest.mark.parametrize("generator", GENERATORS[:-2])
def test_the_advice_to_pass_a_mask_is_right(generator: Any, photographs: Photographs) -> None:
    images, valid = photographs(48).float(), disks(48)
    images[~valid.expand_as(images)] = torch.nan
    with pytest.raises(ValueError, match=r"4 of 4 images .* set them apart by mask=valid"):
        generator(images)
    assert torch.equal(generator(images, mask=valid).flatten(1).amax(1), generator(images, mask=valid)[:, 0, 0, 0])


@pytest.mark.parametrize("generator", GENERATORS)
def test_layouts_of_which_pixels_are_valid(generator: Any, noise: Noise) -> None:
    images, valid = noise(2, 3, 16, 16), disks(16, 2)
    own, shared = generator(images, mask=valid), generator(images, mask=valid[:1])
    for mask in (valid[:, 0], valid.numpy(), valid[:, 0].numpy()):
        assert torch.equal(generator(images, mask=mask), own)
    for mask in (valid[0, 0], valid[0], valid[0, 0].numpy(), valid[0].numpy()[:, ::-1, ::-1]):
        assert torch.equal(generator(images, mask=mask), shared)
