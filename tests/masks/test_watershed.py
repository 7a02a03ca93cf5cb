"""Watershed against direct calls of scikit-image, and what it promises of its segments."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2gray, rgb2lab
from skimage.filters import gaussian, sobel
from skimage.measure import label
from skimage.morphology import local_minima
from skimage.segmentation import watershed
from torch import Tensor

from captum_superpixel.masks import Watershed

Array = NDArray[np.floating]
AsArrays = Callable[[Tensor], list[Array]]
CountComponents = Callable[..., int]
ExplainedVariation = Callable[[Array, NDArray[np.integer]], float]
Merge = Callable[[NDArray[np.integer], Array, int], NDArray[np.integer]]
Photographs = Callable[[int], Tensor]
SamePartition = Callable[[NDArray[np.integer], NDArray[np.integer]], bool]


def gradient_of(features: Array) -> Array:
    return np.sqrt(sum(sobel(features[..., channel]) ** 2 for channel in range(features.shape[-1])))


@pytest.mark.parametrize("sigma", [0, 1.5])
def test_it_merges_the_basins_of_scikit_image(
    sigma: float, photographs: Photographs, as_arrays: AsArrays, same_partition: SamePartition, merge: Merge
) -> None:
    inputs = photographs(64)
    for mask, image in zip(Watershed(20, sigma=sigma)(inputs), as_arrays(inputs), strict=True):
        colors = rgb2lab(image)
        basins = watershed(gradient_of(gaussian(colors, sigma, channel_axis=-1) if sigma else colors))
        assert basins.max() >= 20
        assert same_partition(mask[0].numpy(), merge(basins - 1, colors, 20))


@pytest.mark.parametrize("compactness", [2, 20])
@pytest.mark.parametrize("n_segments", [16, 20])
def test_compact_basins_grow_around_the_markers_of_scikit_image(
    n_segments: int,
    compactness: float,
    photographs: Photographs,
    as_arrays: AsArrays,
    same_partition: SamePartition,
    merge: Merge,
) -> None:
    """Of 16 there is a grid; for 20 the next one is merged."""
    inputs = photographs(64)
    masks = Watershed(n_segments, compactness=compactness)(inputs)
    for mask, image in zip(masks, as_arrays(inputs), strict=True):
        colors = rgb2lab(image)
        found = (watershed(gradient_of(colors), markers, compactness=compactness) for markers in range(n_segments, 99))
        basins = next(basins for basins in found if basins.max() >= n_segments)
        assert (basins.max() == 16) == (n_segments == 16)
        assert same_partition(mask[0].numpy(), merge(basins - 1, colors, n_segments))


def test_compactness_shortens_borders(photographs: Photographs, count_components: CountComponents) -> None:
    """Measured by the pairs of neighbors that are of two segments."""
    lengths = []
    for compactness in (0, 0.1, 1, 10, 1000):
        masks = Watershed(30, compactness=compactness)(photographs(64))
        assert [count_components(mask[0]) for mask in masks] == [30] * 4
        lengths.append(sum(int((masks.diff(dim=dim) != 0).sum()) for dim in (2, 3)))
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < 0.7 * lengths[0]


@pytest.mark.parametrize(("n_segments", "compactness"), [(250, 0.001), (20, 0)])
def test_plain_is_that_of_the_gallery_of_scikit_image(
    n_segments: int, compactness: float, photographs: Photographs, as_arrays: AsArrays, same_partition: SamePartition
) -> None:
    inputs = photographs(64)
    plain = Watershed(n_segments, compactness=compactness, plain=True)
    for mask, image in zip(plain(inputs), as_arrays(inputs), strict=True):
        theirs = watershed(sobel(rgb2gray(image)), markers=n_segments, compactness=compactness)
        assert same_partition(mask[0].numpy(), theirs)
    gray = inputs[:, :1]
    for mask, image in zip(plain(gray), as_arrays(gray), strict=True):
        theirs = watershed(sobel(rgb2gray(image.repeat(3, axis=-1))), markers=n_segments, compactness=compactness)
        assert same_partition(mask[0].numpy(), theirs)
    blurred = Watershed(n_segments, 1.5, compactness, plain=True)(inputs[:1])
    theirs = watershed(sobel(gaussian(rgb2gray(as_arrays(inputs)[0]), 1.5)), n_segments, compactness=compactness)
    assert same_partition(blurred[0, 0].numpy(), theirs)


def test_it_explains_more_color_than_from_a_regular_grid_of_markers(
    photographs: Photographs, as_arrays: AsArrays, explained_variation: ExplainedVariation
) -> None:
    inputs = photographs(96)
    for mask, image in zip(Watershed(100)(inputs), as_arrays(inputs), strict=True):
        theirs = watershed(gradient_of(rgb2lab(image)), 100) - 1
        assert explained_variation(image, mask[0].numpy()) > explained_variation(image, theirs)


def test_it_keeps_the_minima_beside_the_grid(
    photographs: Photographs, as_arrays: AsArrays, explained_variation: ExplainedVariation
) -> None:
    # 200 segments are more than a photograph of 32 pixels has minima, and less than it has pixels.
    inputs = photographs(32)
    for mask, image in zip(Watershed(200)(inputs), as_arrays(inputs), strict=True):
        assert label(local_minima(gradient_of(rgb2lab(image))), connectivity=1).max() < 200
        theirs = watershed(gradient_of(rgb2lab(image)), 196) - 1
        assert mask.max() == 199
        assert explained_variation(image, mask[0].numpy()) > explained_variation(image, theirs)
