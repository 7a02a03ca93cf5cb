"""Watershed against direct calls of scikit-image, and what it promises of its segments."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import rgb2lab
from skimage.filters import gaussian, sobel
from skimage.measure import label
from skimage.morphology import local_minima
from skimage.segmentation import watershed
from torch import Tensor

from captum_superpixel.masks import Watershed

Array = NDArray[np.floating]
AsArrays = Callable[[Tensor], list[Array]]
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
