"""Scaling to [0, 1] by the image's own range, which outliers do not flatten, and which is exact for photographs."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from captum_superpixel.masks import Slic, Watershed

Photographs = Callable[[int], Tensor]


def by_bounds(images: Tensor) -> Tensor:
    """Scale by the minimum and maximum, halved as in the package, because their difference may overflow."""
    pixels = images.float() / 2
    low, high = pixels.flatten(1).amin(dim=1), pixels.flatten(1).amax(dim=1)
    return (pixels - low.view(-1, 1, 1, 1)) / (high - low).view(-1, 1, 1, 1)


def scaled(images: Tensor) -> Tensor:
    return Slic().scale_pixels(images)[0]


@pytest.mark.parametrize("size", [16, 32, 64, 224])
def test_photographs_are_scaled_by_their_bounds_bit_for_bit(size: int, photographs: Photographs) -> None:
    for images in (photographs(size), photographs(size).float() / 255, 4 * photographs(size).float() - 300):
        assert torch.equal(scaled(images), by_bounds(images))


@pytest.mark.parametrize("size", [8, 32, 64])
@pytest.mark.parametrize("value", [900.0, -700.0, 1e5, -1e30])
def test_one_hot_pixel_does_not_flatten_an_image(size: int, value: float, photographs: Photographs) -> None:
    images = photographs(size).float()
    expected = scaled(images)
    hot = images.clone()
    hot[:, :, 3, 5] = value
    found = scaled(hot)
    extreme = torch.full((4, 3), float(value > 0))
    assert torch.equal(found[:, :, 3, 5], extreme)
    found[:, :, 3, 5] = expected[:, :, 3, 5]
    # The bounds may have lost one pixel, but no more.
    assert (found - expected).abs().max() < 0.25
    assert (found - expected).abs().median() < 0.02


def test_a_hot_pixel_of_one_channel_and_a_dead_one_are_clipped_to_the_others() -> None:
    image = torch.linspace(0, 1, 3 * 256).view(1, 3, 16, 16)
    hot = image.clone()
    hot[0, 1, 8, 8], hot[0, 2, 2, 2] = 50.0, -40.0
    found = scaled(hot)
    assert found[0, 1, 8, 8] == 1
    assert found[0, 2, 2, 2] == 0
    rest = image != hot
    assert torch.allclose(found[~rest], image[~rest])


def test_the_gap_decides_and_the_number_of_pixels() -> None:
    image = torch.linspace(0, 1, 1024).view(1, 1, 32, 32)
    near, many = image.clone(), image.clone()
    near[0, 0, 0, 0] = 1.99  # less than a range above the rest
    many[0, 0, 0, :2] = 9.0  # two pixels of 1,024 are a bright spot
    assert torch.equal(scaled(near), by_bounds(near))
    assert torch.equal(scaled(many), by_bounds(many))
    many[0, 0, 0, 1] = 0.0
    assert torch.allclose(scaled(many)[0, 0, 1:], image[0, 0, 1:])


def test_a_dot_on_one_color_is_no_outlier() -> None:
    dot = torch.zeros(1, 3, 32, 32)
    dot[..., 5, 7] = 1
    assert torch.equal(scaled(dot), dot)
    assert torch.equal(scaled(dot[..., :7, :9]), dot[..., :7, :9])


def test_each_image_is_scaled_by_itself(photographs: Photographs) -> None:
    images = photographs(48).float()
    images[1, :, 0, 0] = 1e4
    images[2, 0, 4, 4] = -1e4
    together = scaled(images)
    assert torch.equal(together, torch.cat([scaled(image[None]) for image in images]))
    assert torch.equal(together[0], by_bounds(images)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int32])
def test_a_hot_pixel_changes_few_labels(dtype: torch.dtype, photographs: Photographs) -> None:
    images = photographs(64)[:2].to(dtype)
    hot = images.clone()
    hot[:, :, 20, 20] = 30000
    for generator in (Slic(30), Watershed(30)):
        assert (generator(hot) != 0).float().mean() > 0.9
        assert all(len(mask.unique()) >= 24 for mask in generator(hot))


def test_nan_and_infinity_are_refused_still(photographs: Photographs) -> None:
    for value in (float("nan"), float("inf")):
        images = photographs(32).float()
        images[2, 0, 3, 3] = value
        with pytest.raises(ValueError, match=r"1 of 4 images \(index 2\) hold NaN or infinite"):
            Slic()(images)
