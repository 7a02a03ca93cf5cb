"""Quickshift against direct calls of scikit-image."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.segmentation import quickshift
from skimage.transform import resize
from torch import Tensor

from captum_superpixel.masks import Quickshift

Array = NDArray[np.floating]
AsArrays = Callable[[Tensor], list[Array]]
Photographs = Callable[[int], Tensor]


@pytest.mark.parametrize(
    ("generator", "options"),
    [
        (Quickshift(), {"kernel_size": 8 / 6, "max_dist": 7 * 8 / 6, "ratio": 0.5}),
        # As the gallery of scikit-image has it.
        (Quickshift(kernel_size=3, max_dist=6, ratio=0.5), {"kernel_size": 3, "max_dist": 6, "ratio": 0.5}),
        (Quickshift(2, 5, 0.75), {"kernel_size": 2, "max_dist": 5, "ratio": 0.75}),
    ],
)
def test_it_is_that_of_scikit_image(
    generator: Quickshift, options: dict[str, float], photographs: Photographs, as_arrays: AsArrays
) -> None:
    inputs = photographs(64)
    for mask, image in zip(generator(inputs), as_arrays(inputs), strict=True):
        assert np.array_equal(mask[0].numpy(), quickshift(image, **options))
    several = torch.cat([inputs, inputs.flip(2)], dim=1)[:, :5]
    for mask, image in zip(generator(several), as_arrays(several), strict=True):
        assert np.array_equal(mask[0].numpy(), quickshift(image * np.float32(100), convert2lab=False, **options))


def test_it_reduces_large_images(photographs: Photographs, as_arrays: AsArrays) -> None:
    inputs = photographs(96)[:2, :, :72]
    for mask, image in zip(Quickshift(max_side=32)(inputs), as_arrays(inputs), strict=True):
        reduced = resize(image, (24, 32), order=1, anti_aliasing=True).astype(np.float32)
        size = (24 * 32) ** 0.25
        labels = quickshift(reduced, kernel_size=max(1, size / 6), max_dist=7 * max(1, size / 6), ratio=0.5)
        assert np.array_equal(mask[0].numpy(), labels.repeat(3, axis=0).repeat(3, axis=1))
    assert torch.equal(Quickshift(max_side=96)(inputs), Quickshift()(inputs))
