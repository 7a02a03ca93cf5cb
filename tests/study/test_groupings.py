"""Groupings: the identities of pixels, cells, ensembles and blur, and what the study compares."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from captum_superpixel.masks import Felzenszwalb, Grid, Slic, multiscale
from captum_superpixel.pooling import pool_segments
from captum_superpixel.study.groupings import SIGNS, Grouping, standard_groupings

ndimage: Any = scipy.ndimage
NAMES = ["pixels", "cells", "cell ensemble", "Slic", "Felzenszwalb", "ensemble", "blur"]
STANDARD = {grouping.name: grouping for grouping in standard_groupings(12)}


@pytest.fixture
def images() -> Tensor:
    """Three images (3, 3, 24, 20): blocks of colour, a gradient, and noise."""
    generator = torch.Generator().manual_seed(2)
    blocks = torch.rand(3, 4, 4, generator=generator).repeat_interleave(6, 1).repeat_interleave(5, 2)
    ramp = torch.linspace(0, 1, 20).expand(3, 24, 20)
    return torch.stack([blocks, ramp, torch.rand(3, 24, 20, generator=generator)])


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(3, 3, 24, 20, generator=torch.Generator().manual_seed(4))


def test_the_standard_groupings(images: Tensor) -> None:
    assert list(STANDARD) == NAMES
    assert STANDARD["cells"].generators == (Grid(12),)
    assert STANDARD["Slic"].generators == (Slic(12),)
    assert STANDARD["Felzenszwalb"].generators == (Felzenszwalb(),)
    assert list(STANDARD["ensemble"].generators) == multiscale()
    cells = {generator.n_segments for generator in STANDARD["cell ensemble"].generators}  # type: ignore[attr-defined]
    assert cells == {generator.n_segments for generator in multiscale()}
    assert STANDARD["blur"].blur == 1.5 / 32
    assert len({grouping.describe() for grouping in STANDARD.values()}) == 7


def test_the_counts_and_the_preprocessing_reach_all_generators() -> None:
    groupings = standard_groupings(9, counts=(5, 8), denormalize=(0.5, 0.25), channel_order="bgr")
    of = {grouping.name: grouping.generators for grouping in groupings}
    assert list(of["ensemble"]) == multiscale((5, 8), denormalize=(0.5, 0.25), channel_order="bgr")
    assert of["cell ensemble"] == (Grid(5), Grid(8))
    for generator in (*of["Slic"], *of["Felzenszwalb"]):
        assert (generator.denormalize, generator.channel_order) == (Slic(denormalize=(0.5, 0.25)).denormalize, "bgr")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", SIGNS)
def test_constant_maps_stay(name: str, sign: str, images: Tensor) -> None:
    pool, _ = STANDARD[name].bind(images)
    constant = torch.tensor([-2.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(3, 3, 24, 20)
    expected = constant.abs() if sign == "magnitude" else constant
    assert torch.allclose(pool(constant, sign), expected, atol=1e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_grouping_is_linear_and_magnitudes_are_pooled_before(name: str, images: Tensor, maps: Tensor) -> None:
    pool, _ = STANDARD[name].bind(images)
    other = maps.roll(3, dims=-1)
    assert torch.allclose(pool(2 * maps - other, "signed"), 2 * pool(maps, "signed") - pool(other, "signed"), atol=1e-5)
    assert torch.equal(pool(maps, "magnitude"), pool(maps.abs(), "signed"))
    assert torch.equal(pool(-maps, "magnitude"), pool(maps, "magnitude"))
    assert (pool(maps, "magnitude") >= pool(maps, "signed").abs() - 1e-6).all()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "blur"])
def test_grouping_keeps_the_sum_of_each_channel(name: str, images: Tensor, maps: Tensor) -> None:
    pool, _ = STANDARD[name].bind(images)
    assert torch.allclose(pool(maps, "signed").sum((2, 3)), maps.sum((2, 3)), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_an_image_alone_and_in_a_batch(name: str, images: Tensor, maps: Tensor) -> None:
    together, _ = STANDARD[name].bind(images)
    alone = [STANDARD[name].bind(images[i : i + 1])[0](maps[i : i + 1], "signed") for i in range(3)]
    assert torch.allclose(together(maps, "signed"), torch.cat(alone), atol=1e-6)


def test_pixels_are_left_as_they_are(images: Tensor, maps: Tensor) -> None:
    pool, segments = STANDARD["pixels"].bind(images)
    assert segments == 24 * 20
    assert torch.equal(pool(maps, "signed"), maps)
    assert torch.equal(pool(maps, "magnitude"), maps.abs())


def test_a_cell_for_every_pixel_is_pixels(images: Tensor, maps: Tensor) -> None:
    pool, segments = Grouping("all", (Grid(24 * 20),)).bind(images)
    assert segments == 24 * 20
    assert torch.equal(pool(maps, "signed"), maps)


def test_cells_are_the_means_of_blocks(images: Tensor, maps: Tensor) -> None:
    pool, segments = Grouping("cells", (Grid(30),)).bind(images)  # 6 by 5 of 4 x 4 pixels
    assert segments == 30
    blocks = maps.view(3, 3, 6, 4, 5, 4).mean(dim=(3, 5))
    expected = blocks.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.allclose(pool(maps, "signed"), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["cell ensemble", "ensemble"])
def test_an_ensemble_is_the_mean_over_its_members(name: str, images: Tensor, maps: Tensor) -> None:
    pool, segments = STANDARD[name].bind(images)
    masks = [generator(images) for generator in STANDARD[name].generators]
    expected = torch.zeros_like(maps)
    for mask in masks:
        expected += pool_segments(maps, mask) / len(masks)
    assert torch.allclose(pool(maps, "signed"), expected, atol=1e-6)
    counts = [len(set(mask[i].flatten().tolist())) for mask in masks for i in range(3)]
    assert segments == pytest.approx(np.mean(counts))


def test_the_mean_number_of_segments_is_over_the_images(images: Tensor) -> None:
    counts = [len(mask.unique()) for mask in Felzenszwalb()(images)]
    assert len(set(counts)) > 1
    assert STANDARD["Felzenszwalb"].bind(images)[1] == pytest.approx(np.mean(counts))


@pytest.mark.parametrize("spatial", [(24, 20), (32, 64)])
def test_blur_against_scipy(spatial: tuple[int, int], maps: Tensor) -> None:
    maps = torch.randn(2, 3, *spatial, generator=torch.Generator().manual_seed(1))
    pool, _ = STANDARD["blur"].bind(maps)
    sigma = 1.5 * min(spatial) / 32
    for image, blurred in zip(maps, pool(maps, "signed"), strict=True):
        for channel, result in zip(image.numpy(), blurred.numpy(), strict=True):
            expected = channel.astype(np.float64)
            for axis in (0, 1):
                expected = ndimage.gaussian_filter1d(expected, sigma, axis=axis, mode="reflect")
            np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_maps_are_not_written_to(name: str, images: Tensor, maps: Tensor) -> None:
    before = maps.clone()
    pool: Callable[..., Tensor] = STANDARD[name].bind(images)[0]
    for sign in SIGNS:
        pool(maps, sign)
    assert torch.equal(maps, before)
