"""k-means in whole numbers, against NumPy in 64-bit integers."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from captum_superpixel.masks.slic._cells import Axis, CellGrid, choose_cells, make_cells
from captum_superpixel.masks.slic._clustering import Clustering
from captum_superpixel.masks.slic._color import rgb_to_lab
from captum_superpixel.masks.slic._scratch import Scratch

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
        return rgb_to_lab(images) - torch.tensor([50.0, 0, 0]).view(3, 1, 1)
    return images * 100 - 50


def cluster(
    images: torch.Tensor, *grids: CellGrid, iterations: int, pixels_at_once: int = 10**6
) -> tuple[torch.Tensor, torch.Tensor]:
    clustering = Clustering(grids, iterations=iterations, pixels_at_once=pixels_at_once, scratch=Scratch(CPU))
    return clustering(around_zero(images))


def nearest_cluster(image: torch.Tensor, centres: NDArray[np.int64], grid: CellGrid) -> NDArray[np.int64]:
    """Compare each pixel with the centres of the 3x3 cells around its own, in reading order, in 64-bit integers."""
    colours = torch.round(around_zero(image[None])[0] * grid.units).long().numpy()
    vertical, horizontal = places(grid.rows), places(grid.columns)
    origins = [[round(s * axis.pixel_units) for s in axis.starts] for axis in (grid.rows, grid.columns)]
    row_of = np.repeat(np.arange(grid.rows.count), grid.rows.lengths)
    column_of = np.repeat(np.arange(grid.columns.count), grid.columns.lengths)
    best = np.zeros(image.shape[1:], dtype=np.int64)
    for y, x in product(range(image.shape[1]), range(image.shape[2])):
        least = math.inf
        for i, j in product(range(row_of[y] - 1, row_of[y] + 2), range(column_of[x] - 1, column_of[x] + 2)):
            if 0 <= i < grid.rows.count and 0 <= j < grid.columns.count:
                centre = centres[i * grid.columns.count + j]
                origin = origins[0][i], origins[1][j]
                place = np.array([vertical[y] - origin[0], horizontal[x] - origin[1]])
                distance = np.square(colours[:, y, x] - centre[:-2]).sum() + np.square(place - centre[-2:]).sum()
                if distance < least:
                    least, best[y, x] = distance, i * grid.columns.count + j
    return best


@pytest.mark.parametrize(
    ("height", "width", "cells"), [(24, 30, (4, 5)), (23, 31, (3, 7)), (5, 40, (1, 6)), (7, 7, (7, 7))]
)
@pytest.mark.parametrize("channels", [2, 3])
@pytest.mark.parametrize("compactness", [0.5, 10.0, 300.0])
def test_each_pixel_goes_to_the_nearest_centre(
    height: int, width: int, cells: tuple[int, int], channels: int, compactness: float
) -> None:
    images = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(3))
    grid = make_cells(height, width, cells, channels, compactness, CPU)
    (clusters,), (centres,) = cluster(images, grid, iterations=2, pixels_at_once=100)
    for image, numbers, centre in zip(images, clusters, centres, strict=True):
        assert np.array_equal(numbers.numpy(), nearest_cluster(image, centre.long().numpy(), grid))


@pytest.mark.parametrize("pixels_at_once", [100, 700, 1500, 10**6])
def test_several_grids_at_a_time_give_what_each_gives_alone(pixels_at_once: int) -> None:
    images = torch.rand(3, 3, 23, 31, generator=torch.Generator().manual_seed(4))
    grids = [make_cells(23, 31, (3, 7), 3, compactness, CPU) for compactness in (20.0, 1.0, 5.0)]
    clusters, centres = cluster(images, *grids, iterations=3, pixels_at_once=pixels_at_once)
    assert clusters.shape == (3, 3, 23, 31)
    assert centres.shape == (3, 3, 21, 5)
    for grid, numbers, moved in zip(grids, clusters, centres, strict=True):
        (alone,), (moved_alone,) = cluster(images, grid, iterations=3)
        assert torch.equal(numbers, alone)
        assert torch.equal(moved, moved_alone)
    assert not torch.equal(clusters[0], clusters[1])


def test_centres_are_the_means_of_their_pixels() -> None:
    """Cells of 8x8 pixels are sampled at every pixel; ties, which count twice, do not occur in this image."""
    image = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1))
    grid = make_cells(24, 24, (3, 3), 3, 10.0, CPU)
    before = cluster(image, grid, iterations=1)[0][0, 0].numpy()
    after = cluster(image, grid, iterations=2)[1][0, 0].numpy()
    colours = torch.round(around_zero(image)[0] * grid.units).numpy()
    vertical, horizontal = places(grid.rows), places(grid.columns)
    for number in range(9):
        inside = before == number
        rows, columns = np.nonzero(inside)
        start = [
            round(a.starts[i] * a.pixel_units)
            for a, i in zip((grid.rows, grid.columns), divmod(number, 3), strict=True)
        ]
        mean = [
            *colours[:, inside].mean(axis=1),
            vertical[rows].mean() - start[0],
            horizontal[columns].mean() - start[1],
        ]
        assert after[number] == pytest.approx(np.array(mean), abs=0.51)


@pytest.mark.parametrize("compactness", [1e-3, 10.0, 1e5])
@pytest.mark.parametrize(
    ("shape", "cells"), [((32, 32), (6, 6)), ((224, 224), (9, 9)), ((1024, 700), (1, 1)), ((3, 900), (1, 90))]
)
@pytest.mark.parametrize("channels", [1, 3, 12])
def test_no_number_has_more_bits_than_the_arithmetic(
    compactness: float, shape: tuple[int, int], cells: tuple[int, int], channels: int
) -> None:
    """Factors fit the 11 bits of TensorFloat-32, and squared distances the 24 of float32, for the extremes of all."""
    grid = make_cells(*shape, cells, channels, compactness, CPU)
    colour = 137 if channels == 3 else 50 * math.sqrt(channels)
    reach = [2.5 * max(axis.lengths) * axis.pixel_units + 1 for axis in (grid.rows, grid.columns)]
    longest = math.hypot(colour * grid.units, *reach) + math.sqrt(channels + 2)
    assert longest <= 2**11
    assert longest**2 + 2 * longest**2 < 2**24
    assert torch.equal(grid.offsets, grid.offsets.round())


@pytest.mark.parametrize("height", [1, 2, 5, 37, 224])
@pytest.mark.parametrize("width", [1, 3, 64, 501])
@pytest.mark.parametrize("count", [0.8, 1.6, 7.0, 80.0, 1e6])
def test_cells_fit_the_image_and_are_about_as_many_as_asked_for(height: int, width: int, count: float) -> None:
    rows, columns = choose_cells(height, width, count)
    assert 1 <= rows <= height
    assert 1 <= columns <= width
    possible = min(count, height * width)
    assert rows * columns == pytest.approx(possible, rel=0.35, abs=0.6)
    if 7 <= count <= height * width / 9 and min(height, width) > 30:
        assert rows * columns == pytest.approx(count, rel=0.15)


@pytest.mark.parametrize(("size", "count"), [(10, 3), (7, 7), (224, 9), (1, 1), (100, 1)])
def test_an_axis_is_cut_into_cells_that_differ_by_a_pixel_at_most(size: int, count: int) -> None:
    axis = Axis(size, count, 1.0)
    assert sum(axis.lengths) == size
    assert set(axis.lengths) <= {axis.longest, axis.longest - 1}
    assert axis.lengths[-1] == axis.longest
    samples = axis.spread(8)
    assert samples[0] >= 0
    assert samples[-1] < min(axis.lengths)
    assert len(samples) >= min(6, min(axis.lengths))


def test_an_axis_tells_which_pixels_its_cells_have() -> None:
    """Seven pixels in three cells: 0 and 1, 2 and 3, 4 to 6."""
    axis = Axis(7, 3, 1.0)
    assert axis.pixels(range(3), range(3)).tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert axis.pixels(range(1, 3), range(1, 2)).tolist() == [[3], [5]]
    assert [part.tolist() for part in axis.places(range(3))] == [[0, 0, 1, 1, 2, 2, 2], [0, 1, 0, 1, 0, 1, 2]]
    assert [part.tolist() for part in axis.places(range(1, 3))] == [[0, 0, 1, 1, 1], [0, 1, 0, 1, 2]]
