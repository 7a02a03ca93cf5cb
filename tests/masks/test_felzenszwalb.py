"""Felzenszwalb against direct calls of scikit-image."""

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.color import gray2rgb, rgb2lab
from skimage.segmentation import felzenszwalb
from torch import Tensor

from captum_superpixel.attr._xrai_segments import segment_at_scales
from captum_superpixel.masks import Felzenszwalb

Array = NDArray[np.floating]
AsArrays = Callable[[Tensor], list[Array]]
CountComponents = Callable[..., int]
Photographs = Callable[[int], Tensor]


@pytest.mark.parametrize(
    ("generator", "options"),
    [
        (Felzenszwalb(), {"scale": 5 * 8, "sigma": 0.8, "min_size": 4}),
        (Felzenszwalb(scale=90, sigma=0.5, min_size=12), {"scale": 90, "sigma": 0.5, "min_size": 12}),
    ],
)
def test_it_is_that_of_scikit_image(
    generator: Felzenszwalb, options: dict[str, float], photographs: Photographs, as_arrays: AsArrays
) -> None:
    inputs = photographs(64)
    for mask, image in zip(generator(inputs), as_arrays(inputs), strict=True):
        assert np.array_equal(mask[0].numpy(), felzenszwalb(rgb2lab(image) / 100, **options))
    gray = inputs[:, :1]
    for mask, image in zip(generator(gray), as_arrays(gray), strict=True):
        assert np.array_equal(mask[0].numpy(), felzenszwalb(rgb2lab(gray2rgb(image[..., 0])) / 100, **options))


def test_plain_compares_in_rgb(photographs: Photographs, as_arrays: AsArrays) -> None:
    inputs = photographs(64)
    plain = Felzenszwalb(100, 0.5, 50, plain=True)(inputs)
    for mask, image in zip(plain, as_arrays(inputs), strict=True):
        assert np.array_equal(mask[0].numpy(), felzenszwalb(image, scale=100, sigma=0.5, min_size=50))
    assert not torch.equal(plain, Felzenszwalb(100, 0.5, 50)(inputs))


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_it_compares_other_channels_as_they_are(channels: int, photographs: Photographs, as_arrays: AsArrays) -> None:
    inputs = torch.cat([photographs(32), photographs(32).flip(2)], dim=1)[:, :channels]
    for mask, image in zip(Felzenszwalb(scale=30)(inputs), as_arrays(inputs), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            expected = felzenszwalb(image, scale=30, sigma=0.8, min_size=4)
        assert np.array_equal(mask[0].numpy(), expected)


def test_it_keeps_to_the_least_size_and_connects_diagonally(
    photographs: Photographs, count_components: CountComponents
) -> None:
    for mask in Felzenszwalb(min_size=15)(photographs(64))[:, 0].numpy():
        assert np.bincount(mask.ravel()).min() >= 15
        assert count_components(mask, 2) == mask.max() + 1


@pytest.mark.parametrize(
    ("segment", "times"), [(Felzenszwalb(num_threads=1), 10), (segment_at_scales, 1)], ids=["Felzenszwalb", "XRAI"]
)
def test_threads_neither_hear_warnings_nor_leave_filters_behind(
    segment: Callable[[Tensor], object], times: int
) -> None:
    """Of four channels scikit-image warns, which is an error here: from one thread it was silent, from eight not."""
    inputs, before = torch.rand(1, 4, 12, 12), list(warnings.filters)
    gate = threading.Barrier(8, timeout=60)

    def work(_: int) -> None:
        gate.wait()
        for _ in range(times):
            segment(inputs)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert warnings.filters == before
