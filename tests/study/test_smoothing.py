"""Ways of smoothing: identities, independent references, and nulls that know nothing of what they stand beside."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import norm
from torch import Tensor

from captum_superpixel.attr import segment_images
from captum_superpixel.masks import Felzenszwalb, Grid, Slic, multiscale
from captum_superpixel.masks.base import ImageMaskGenerator
from captum_superpixel.pooling import pool_segments
from captum_superpixel.study import smoothing
from captum_superpixel.study.guided_filter import guided_filter
from captum_superpixel.study.smoothing import (
    AnotherImage,
    Blur,
    CenteredGaussian,
    GuidedFilter,
    Pixels,
    Segmented,
    Segments,
    Shuffled,
    Smoothing,
)

CELLS = Segments((Grid(12), Grid(5)))
LINEAR: dict[str, Smoothing] = {
    "pixels": Pixels(),
    "cells": CELLS,
    "Slic": Segments((Slic(12),)),
    "ensemble": Segments(tuple(multiscale((6, 12)))),
    "blur": Blur(3 / 32),
    "guided filter": GuidedFilter(8 / 32, 0.01),
    "another image": AnotherImage(CELLS),
    "shuffled": Shuffled(CELLS),
}


@pytest.fixture
def images() -> Tensor:
    """Three images (3, 3, 24, 20): blocks of color, a gradient, and noise."""
    generator = torch.Generator().manual_seed(2)
    blocks = torch.rand(3, 4, 4, generator=generator).repeat_interleave(6, 1).repeat_interleave(5, 2)
    ramp = torch.linspace(0, 1, 20).expand(3, 24, 20)
    return torch.stack([blocks, ramp, torch.rand(3, 24, 20, generator=generator)])


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(3, 3, 24, 20, generator=torch.Generator().manual_seed(4))


def smoothed(way: Smoothing, images: Tensor, maps: Tensor, seed: int = 0) -> Tensor:
    return way.bind(Segmented(images))[0](maps, seed)


@pytest.mark.parametrize("name", LINEAR)
def test_constant_maps_stay(name: str, images: Tensor) -> None:
    constant = torch.tensor([-2.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(3, 3, 24, 20)
    assert torch.allclose(smoothed(LINEAR[name], images, constant), constant, atol=1e-5)


@pytest.mark.parametrize("name", LINEAR)
def test_smoothing_is_linear_and_leaves_the_maps_alone(name: str, images: Tensor, maps: Tensor) -> None:
    before, other = maps.clone(), maps.roll(3, dims=-1)
    smooth, _ = LINEAR[name].bind(Segmented(images))
    assert torch.allclose(smooth(2 * maps - other, 5), 2 * smooth(maps, 5) - smooth(other, 5), atol=1e-5)
    assert torch.equal(maps, before)


@pytest.mark.parametrize("name", [name for name in LINEAR if name not in ("another image", "shuffled")])
def test_an_image_alone_and_in_a_batch(name: str, images: Tensor, maps: Tensor) -> None:
    alone = [smoothed(LINEAR[name], images[i : i + 1], maps[i : i + 1]) for i in range(3)]
    assert torch.allclose(smoothed(LINEAR[name], images, maps), torch.cat(alone), atol=1e-6)


@pytest.mark.parametrize("name", ["pixels", "cells", "Slic", "ensemble", "shuffled"])
def test_means_over_segments_keep_the_sum_of_each_channel(name: str, images: Tensor, maps: Tensor) -> None:
    assert torch.allclose(smoothed(LINEAR[name], images, maps).sum((2, 3)), maps.sum((2, 3)), atol=1e-3)


def test_pixels_are_left_as_they_are(images: Tensor, maps: Tensor) -> None:
    smooth, count = Pixels().bind(Segmented(images))
    assert count == 24 * 20
    assert torch.equal(smooth(maps), maps)


def test_a_cell_for_every_pixel_is_pixels(images: Tensor, maps: Tensor) -> None:
    smooth, count = Segments((Grid(24 * 20),)).bind(Segmented(images))
    assert count == 24 * 20
    assert torch.equal(smooth(maps), maps)


def test_cells_are_the_means_of_blocks(images: Tensor, maps: Tensor) -> None:
    smooth, count = Segments((Grid(30),)).bind(Segmented(images))  # 6 by 5 of 4 x 4 pixels
    assert count == 30
    blocks = maps.view(3, 3, 6, 4, 5, 4).mean(dim=(3, 5))
    assert torch.allclose(smooth(maps), blocks.repeat_interleave(4, 2).repeat_interleave(4, 3), atol=1e-6)


@pytest.mark.parametrize("generators", [tuple(multiscale((6, 12))), (Grid(5), Grid(9))])
def test_an_ensemble_is_the_mean_over_its_members(
    generators: tuple[ImageMaskGenerator, ...], images: Tensor, maps: Tensor
) -> None:
    smooth, count = Segments(generators).bind(Segmented(images))
    masks = [generator(images) for generator in generators]
    expected = sum((pool_segments(maps, mask) for mask in masks), start=torch.zeros(())) / len(masks)
    assert torch.allclose(smooth(maps), expected, atol=1e-6)
    assert count == pytest.approx(np.mean([len(set(mask[i].flatten().tolist())) for mask in masks for i in range(3)]))


def test_the_mean_number_of_segments_is_over_the_images(images: Tensor) -> None:
    counts = [len(mask.unique()) for mask in Felzenszwalb()(images)]
    assert len(set(counts)) > 1
    assert Segments((Felzenszwalb(),)).bind(Segmented(images))[1] == pytest.approx(np.mean(counts))


@pytest.mark.parametrize("spatial", [(24, 20), (32, 64)])
def test_blur_against_scipy(spatial: tuple[int, int]) -> None:
    """A Gaussian of 3/64 of the shorter side, whose weights beyond the border are shared out over those inside."""
    maps = torch.randn(2, 3, *spatial, generator=torch.Generator().manual_seed(1))

    def gaussian(values: Any) -> Any:
        return ndimage.gaussian_filter(values, 1.5 * min(spatial) / 32, mode="constant", truncate=12)

    inside = gaussian(np.ones(spatial))
    for image, blurred in zip(maps, smoothed(Blur(1.5 / 32), maps, maps), strict=True):
        for channel, result in zip(image.numpy(), blurred.numpy(), strict=True):
            np.testing.assert_allclose(result, gaussian(channel.astype(np.float64)) / inside, atol=1e-5)


@pytest.mark.parametrize("denormalize", [None, (0.5, 0.25), ((0.1, 0.2, 0.3), (0.5, 1.0, 2.0))])
def test_the_guide_is_the_picture(denormalize: Any, images: Tensor, maps: Tensor) -> None:
    """Its pixels in [0, 1], gray, and windows that grow with the shorter side."""
    mean, std = (torch.tensor(each).reshape(-1, 1, 1) for each in denormalize or (0.0, 1.0))
    guide = images.mean(dim=1, keepdim=True)
    found = smoothed(GuidedFilter(0.25, 0.02, denormalize), (images - mean) / std, maps)
    assert torch.allclose(found, guided_filter(maps, guide, radius=5, eps=0.02), atol=1e-5)
    assert not torch.allclose(found, guided_filter(maps, guide, radius=4, eps=0.02), atol=1e-3)
    # What lies beyond is no brighter than white.
    bright = (3 * images - mean) / std
    white = (3 * images).clamp(0, 1).mean(dim=1, keepdim=True)
    again = smoothed(GuidedFilter(0.25, 0.02, denormalize), bright, maps)
    assert torch.allclose(again, guided_filter(maps, white, radius=5, eps=0.02), atol=1e-5)


def test_a_guided_filter_of_small_images_has_windows() -> None:
    maps = torch.rand(1, 1, 3, 3)
    found = smoothed(GuidedFilter(0.1, 0.02), torch.rand(1, 1, 3, 3), maps)
    assert not torch.allclose(found, maps)


def test_the_centered_gaussian_knows_nothing(images: Tensor, maps: Tensor) -> None:
    rows, columns = (norm.pdf(np.arange(size), (size - 1) / 2, size / 4) for size in (24, 20))
    expected = np.outer(rows, columns) / (rows.max() * columns.max())
    for given in (maps, 0 * maps):
        found = smoothed(CenteredGaussian(0.25), images, given)
        assert found.shape == maps.shape
        assert found.dtype == maps.dtype
        for channel in found.flatten(0, 1).numpy():
            np.testing.assert_allclose(channel / channel.max(), expected, atol=1e-6)


def test_another_image_in_its_own_segments(images: Tensor, maps: Tensor) -> None:
    slic = Segments((Slic(12),))
    own = torch.cat([smoothed(slic, images[i : i + 1], maps[i : i + 1]) for i in range(3)])
    smooth, count = AnotherImage(slic).bind(Segmented(images))
    assert torch.allclose(smooth(maps), own[[1, 2, 0]], atol=1e-6)
    assert count == slic.bind(Segmented(images))[1]


def test_shuffled_maps_hold_the_same_pixels_by_their_seed(images: Tensor, maps: Tensor) -> None:
    smooth, count = Shuffled(Pixels()).bind(Segmented(images))
    assert count == 24 * 20
    shuffled = smooth(maps, 3)
    for before, after in zip(maps, shuffled, strict=True):
        assert sorted(map(tuple, before.flatten(1).T.tolist())) == sorted(map(tuple, after.flatten(1).T.tolist()))
    assert (shuffled == maps).double().mean() < 0.05
    assert torch.equal(smooth(maps, 3), shuffled)
    assert (smooth(maps, 4) == shuffled).double().mean() < 0.05
    assert torch.allclose(smoothed(Shuffled(CELLS), images, maps, 3), smoothed(CELLS, images, shuffled), atol=1e-6)


def test_texts_differ() -> None:
    texts = {way.describe() for way in (*LINEAR.values(), CenteredGaussian())}
    assert len(texts) == len(LINEAR) + 1
    assert Blur(3 / 32).describe() == "Gaussian blur, standard deviation 0.094 of the shorter side"


def test_images_are_segmented_once_for_all(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ImageMaskGenerator] = []

    def noted(generators: Any, inputs: Tensor) -> list[Tensor]:
        asked.extend(generators)
        return segment_images(generators, inputs)

    monkeypatch.setattr(smoothing, "segment_images", noted)
    segmented = Segmented(images)
    masks = segmented.by([Grid(4), Grid(30), Grid(4)])
    assert torch.equal(masks[0], Grid(4)(images))
    assert torch.equal(masks[1], Grid(30)(images))
    assert masks[2] is masks[0]
    for kind in (Segments((Grid(30),)), AnotherImage(Segments((Grid(30), Grid(9)))), Shuffled(Segments((Grid(4),)))):
        kind.bind(segmented)
    assert asked == [Grid(4), Grid(30), Grid(9)]
