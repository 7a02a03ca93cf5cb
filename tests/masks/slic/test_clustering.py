"""k-means in whole numbers, against NumPy in 64-bit integers."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from captum_superpixel.masks.slic._cells import Axis, CellGrid, make_cells
from captum_superpixel.masks.slic._clustering import Clustering
from captum_superpixel.masks.slic._color import rgb_to_lab
from captum_superpixel.masks.slic._shared_pixels import Scratch

CPU = torch.device("cpu")


def places(axis: Axis) -> NDArray[np.int64]:
    """Give the place of every pixel along an axis, in units: that of its cell, and that in the cell."""
    return np.concatenate(
        [
            round(start * axis.pixel_units) + axis.units(range(length), CPU).long().numpy()
            for start, length in zip(axis.starts, axis.lengths, strict=True)
        ]
    )


def around_zero(images: torch.Tensor) -> torch.Tensor:
    """Bring images in [0, 1] to CIELAB, or to 0 to 100, less 50 where 50 is the middle."""
    if images.shape[1] == 3:
        return rgb_to_lab(images) - torch.tensor([50.0, 0, 0]).view(3, *[1] * (images.ndim - 2))
    return images * 100 - 50


def cluster(
    images: torch.Tensor, *grids: CellGrid, iterations: int, pixels_at_once: int = 10**6
) -> tuple[torch.Tensor, torch.Tensor]:
    clustering = Clustering(grids, iterations=iterations, pixels_at_once=pixels_at_once, scratch=Scratch(CPU))
    return clustering(around_zero(images))


def nearest_cluster(image: torch.Tensor, centers: NDArray[np.int64], grid: CellGrid) -> NDArray[np.int64]:
    """Compare each pixel with the centers of the cells around its own, in reading order, in 64-bit integers."""
    colors = torch.round(around_zero(image[None])[0] * grid.units).long().numpy()
    channels = len(colors)
    where = list(map(places, grid.axes))
    origins = [[round(s * axis.pixel_units) for s in axis.starts] for axis in grid.axes]
    cell_of = [np.repeat(np.arange(axis.count), axis.lengths) for axis in grid.axes]
    best = np.zeros(image.shape[1:], dtype=np.int64)
    for pixel in np.ndindex(*image.shape[1:]):
        least = math.inf
        for cell in product(*(range(cells[at] - 1, cells[at] + 2) for cells, at in zip(cell_of, pixel, strict=True))):
            if all(0 <= index < count for index, count in zip(cell, grid.shape, strict=True)):
                number = int(np.ravel_multi_index(cell, grid.shape))
                place = [axis[at] - starts[i] for axis, at, starts, i in zip(where, pixel, origins, cell, strict=True)]
                apart = np.array([*colors[:, *pixel], *place]) - centers[number]
                distance = np.square(apart[:channels]).sum() + np.square(apart[channels:]).sum()
                if distance < least:
                    least, best[pixel] = distance, number
    return best


@pytest.mark.parametrize(
    ("spatial", "cells"),
    [
        ((24, 30), (4, 5)),
        ((23, 31), (3, 7)),
        ((5, 40), (1, 6)),
        ((7, 7), (7, 7)),
        ((5, 6, 8), (2, 3, 3)),
        ((4, 5, 12), (4, 1, 3)),
    ],
)
@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("compactness", [0.5, 10.0, 300.0])
def test_each_pixel_goes_to_the_nearest_center(
    spatial: tuple[int, ...], cells: tuple[int, ...], channels: int, compactness: float
) -> None:
    images = torch.rand(2, channels, *spatial, generator=torch.Generator().manual_seed(3))
    grid = make_cells(spatial, cells, channels, compactness, CPU, (2.5, 1.0, 1.0)[-len(spatial) :])
    (clusters,), (centers,) = cluster(images, grid, iterations=2, pixels_at_once=100)
    for image, numbers, center in zip(images, clusters, centers, strict=True):
        assert np.array_equal(numbers.numpy(), nearest_cluster(image, center.long().numpy(), grid))


def test_of_centers_that_are_equally_near_the_first_takes_a_voxel() -> None:
    """All 27 tie: the sum of 27 powers of two would round up to the next one."""
    volume = torch.full((1, 2, 12, 12, 12), 0.5)
    grid = make_cells((12, 12, 12), (4, 4, 4), 2, 1e-6, CPU)
    cells = torch.arange(12) // 3
    first = (cells - 1).clamp(min=0)
    expected = (first[:, None, None] * 4 + first[:, None]) * 4 + first
    assert torch.equal(cluster(volume, grid, iterations=1)[0][0, 0].long(), expected)


@pytest.mark.parametrize("pixels_at_once", [100, 700, 1500, 10**6])
def test_several_grids_at_a_time_give_what_each_gives_alone(pixels_at_once: int) -> None:
    images = torch.rand(3, 3, 23, 31, generator=torch.Generator().manual_seed(4))
    grids = [make_cells((23, 31), (3, 7), 3, compactness, CPU) for compactness in (20.0, 1.0, 5.0)]
    clusters, centers = cluster(images, *grids, iterations=3, pixels_at_once=pixels_at_once)
    assert clusters.shape == (3, 3, 23, 31)
    assert centers.shape == (3, 3, 21, 5)
    for grid, numbers, moved in zip(grids, clusters, centers, strict=True):
        (alone,), (moved_alone,) = cluster(images, grid, iterations=3)
        assert torch.equal(numbers, alone)
        assert torch.equal(moved, moved_alone)
    assert not torch.equal(clusters[0], clusters[1])


def test_centers_are_the_means_of_their_pixels() -> None:
    """Cells of 8x8 pixels are sampled at every pixel; ties, which count twice, do not occur in this image."""
    image = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    grid = make_cells((24, 24), (3, 3), 3, 10.0, CPU)
    before = cluster(image, grid, iterations=1)[0][0, 0].numpy()
    after = cluster(image, grid, iterations=2)[1][0, 0].numpy()
    colors = torch.round(around_zero(image)[0] * grid.units).numpy()
    vertical, horizontal = map(places, grid.axes)
    for number in range(9):
        inside = before == number
        rows, columns = np.nonzero(inside)
        start = [round(a.starts[i] * a.pixel_units) for a, i in zip(grid.axes, divmod(number, 3), strict=True)]
        mean = [
            *colors[:, inside].mean(axis=1),
            vertical[rows].mean() - start[0],
            horizontal[columns].mean() - start[1],
        ]
        assert after[number] == pytest.approx(np.array(mean), abs=0.51)
