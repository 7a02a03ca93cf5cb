"""What generators share about images: against SciPy and scikit-image, and computed once."""

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from skimage.color import rgb2lab
from skimage.measure import block_reduce
from torch import Tensor

from captum_superpixel.masks.slic._shared_pixels import Scratch, SharedPixels

Noise = Callable[..., Tensor]


@pytest.mark.parametrize("shape", [(2, 3, 7, 5), (1, 3, 1, 4), (2, 4, 6, 1), (1, 1, 1, 1)])
@pytest.mark.parametrize("blurred", [False, True])
def test_colors_are_those_of_scikit_image_after_a_blur_by_scipy(
    shape: tuple[int, ...], blurred: bool, noise: Noise
) -> None:
    images = noise(*shape)
    pixels = images.double().numpy()
    if blurred:
        pixels = convolve(pixels, np.outer([1, 2, 1], [1, 2, 1])[None, None] / 16, mode="nearest")
    if shape[1] in (1, 3):
        expected = rgb2lab(pixels * np.ones((3, 1, 1)), channel_axis=1) - np.array([50, 0, 0]).reshape(3, 1, 1)
        expected = expected[:, : shape[1]]
    else:
        expected = 100 * pixels - 50
    assert SharedPixels(images).colors(blurred=blurred).numpy() == pytest.approx(expected, abs=0.02)


def test_an_image_of_many_pixels_is_converted_in_parts(noise: Noise) -> None:
    images = noise(2, 3, 400, 301)
    colors = SharedPixels(images).colors(blurred=False)
    for rows in (slice(3), slice(200, 260), slice(399, 400)):
        assert torch.equal(colors[:, :, rows], SharedPixels(images[:, :, rows]).colors(blurred=False))


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_shrinking_averages_blocks(factor: int, noise: Noise) -> None:
    images = noise(2, 3, 13, 8)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (0, 3), (0, 0)), mode="edge")
    expected = block_reduce(padded, (1, 1, factor, factor), np.mean)[:, :, : -(-13 // factor)]
    assert SharedPixels(images).shrunk((factor, factor)).images.numpy() == pytest.approx(expected, abs=1e-6)


def test_volumes_are_shrunk_along_each_axis_by_itself_and_blurred_along_all(noise: Noise) -> None:
    volumes = noise(2, 2, 5, 9, 12)
    padded = np.pad(volumes.numpy(), ((0, 0), (0, 0), (0, 1), (0, 3), (0, 0)), mode="edge")
    expected = block_reduce(padded, (1, 1, 2, 4, 1), np.mean)[:, :, :3, :3]
    assert SharedPixels(volumes).shrunk((2, 4, 1)).images.numpy() == pytest.approx(expected, abs=1e-6)
    weights = np.einsum("i,j,k->ijk", *[[1, 2, 1]] * 3)[None, None] / 64
    blurred = 100 * convolve(volumes.double().numpy(), weights, mode="nearest") - 50
    assert SharedPixels(volumes).colors(blurred=True).numpy() == pytest.approx(blurred, abs=1e-4)


def test_what_was_computed_is_kept(noise: Noise) -> None:
    pixels = SharedPixels(noise(2, 3, 9, 9))
    assert pixels.colors(blurred=True) is pixels.colors(blurred=True)
    assert pixels.colors(blurred=True) is not pixels.colors(blurred=False)
    assert pixels.shrunk((4, 4)) is pixels.shrunk((4, 4))
    assert pixels.shrunk((1, 1)) is pixels


def test_memory_is_given_back_at_once(noise: Noise) -> None:
    pixels = SharedPixels(noise(1, 3, 16, 16))
    pixels.shrunk((1, 1)).colors(blurred=True)
    pixels.shrunk((4, 4)).colors(blurred=False)
    there = weakref.ref(pixels)
    gc.disable()
    try:
        del pixels
        assert there() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("before", [True, False])
def test_some_of_the_images_have_the_colors_that_they_have_among_all(before: bool, noise: Noise) -> None:
    images = noise(4, 3, 6, 7)
    chosen = torch.tensor([True, False, False, True])
    pixels = SharedPixels(images)
    if before:
        pixels.colors(blurred=True)
    selected = pixels.select(chosen)
    assert torch.equal(selected.images, images[chosen])
    for blurred in (True, False):
        assert torch.equal(selected.colors(blurred=blurred), pixels.colors(blurred=blurred)[chosen])


def test_the_images_are_left_alone(noise: Noise) -> None:
    images = noise(1, 1, 5, 6).expand(2, 3, 5, 6)
    before = images.clone()
    pixels = SharedPixels(images)
    pixels.colors(blurred=True)
    pixels.colors(blurred=False)
    pixels.shrunk((2, 2)).colors(blurred=False)
    assert torch.equal(images, before)


def test_scratch_is_lent_by_name() -> None:
    scratch = Scratch(torch.device("cpu"))
    first = scratch.lend("first", 2, 3)
    assert first.shape == (2, 3)
    assert first.dtype == torch.float32
    assert scratch.lend("first", 2).data_ptr() == first.data_ptr()
    assert scratch.lend("other", 2).data_ptr() != first.data_ptr()
    assert scratch.lend("first", 4, 4).shape == (4, 4)
