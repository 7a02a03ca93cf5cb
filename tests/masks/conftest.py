"""Images, small and as bytes, and what the tests of several mask generators measure of their segments."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data
from skimage.color import rgb2lab
from skimage.measure import label
from skimage.transform import resize
from torch import Tensor

from captum_superpixel.masks._components import merge_smallest


@lru_cache
def _photographs(size: int) -> Tensor:
    images = []
    for load in (data.astronaut, data.chelsea, data.coffee, data.rocket):
        photograph = load()
        side = min(photograph.shape[:2])
        square = resize(photograph[:side, :side], (size, size), anti_aliasing=True, preserve_range=True)
        images.append(torch.from_numpy(square.round().astype(np.uint8)).movedim(-1, 0))
    return torch.stack(images)


@pytest.fixture
def photographs() -> Callable[[int], Tensor]:
    """Four photographs ``(4, 3, size, size)``, uint8."""
    return lambda size: _photographs(size).clone()


@pytest.fixture
def noise() -> Callable[..., Tensor]:
    """Random numbers from 0 to 1 of any shape, by a seed."""
    return lambda *shape, seed=0: torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def as_arrays() -> Callable[[Tensor], list[NDArray[np.floating]]]:
    """Images ``(N, C, *spatial)`` as arrays ``(*spatial, C)``, each from 0 to 1."""

    def convert(inputs: Tensor) -> list[NDArray[np.floating]]:
        scaled = [(image - image.min()) / (image.max() - image.min()) for image in inputs.float()]
        return [image.movedim(0, -1).numpy().copy() for image in scaled]

    return convert


@pytest.fixture
def same_partition() -> Callable[[NDArray[np.integer], NDArray[np.integer]], bool]:
    """Whether two masks are equal but for the names of their segments."""

    def compare(first: NDArray[np.integer], second: NDArray[np.integer]) -> bool:
        pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
        return pairs.shape[1] == len(np.unique(first)) == len(np.unique(second))

    return compare


@pytest.fixture
def merge() -> Callable[[NDArray[np.integer], NDArray[np.floating], int], NDArray[np.integer]]:
    """`merge_smallest` of arrays: components ``(*spatial)``, features ``(*spatial, F)`` and the number of segments."""

    def call(components: NDArray[np.integer], features: NDArray[np.floating], n_segments: int) -> NDArray[np.integer]:
        numbers = torch.from_numpy(np.asarray(components, dtype=np.int64))
        merged: NDArray[np.integer] = merge_smallest(numbers, torch.from_numpy(features), n_segments).numpy()
        return merged

    return call


@pytest.fixture
def count_components() -> Callable[..., int]:
    """The number of connected components of a mask ``(*spatial)``; with a connectivity of 2, diagonal ones touch."""
    return lambda mask, connectivity=1: int(label(np.asarray(mask), connectivity=connectivity, background=-1).max())


@pytest.fixture
def explained_variation() -> Callable[[NDArray[np.floating], NDArray[np.integer]], float]:
    """The part of the variance of the CIELAB colors of an image ``(H, W, 3)`` that the segments' means carry."""

    def explain(image: NDArray[np.floating], mask: NDArray[np.integer]) -> float:
        colors = rgb2lab(image).reshape(-1, 3)
        number = np.unique(mask.ravel(), return_inverse=True)[1]
        counts = np.bincount(number)
        means = np.stack([np.bincount(number, column) for column in colors.T], axis=1) / counts[:, None]
        return float(means[number].var(axis=0).sum() / colors.var(axis=0).sum())

    return explain
