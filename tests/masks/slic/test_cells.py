"""The cells of an image: which pixels they have, and units in which no number is too long for the arithmetic."""

import math

import pytest
import torch

from captum_superpixel.masks.slic._cells import Axis, make_cells


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


@pytest.mark.parametrize("compactness", [1e-3, 10.0, 1e5])
@pytest.mark.parametrize(
    ("shape", "cells"), [((32, 32), (6, 6)), ((224, 224), (9, 9)), ((1024, 700), (1, 1)), ((3, 900), (1, 90))]
)
@pytest.mark.parametrize("channels", [1, 3, 12])
def test_no_number_has_more_bits_than_the_arithmetic(
    compactness: float, shape: tuple[int, int], cells: tuple[int, int], channels: int
) -> None:
    """Factors fit the 11 bits of TensorFloat-32, and squared distances the 24 of float32, for the extremes of all."""
    grid = make_cells(shape, cells, channels, compactness, torch.device("cpu"))
    color = 137 if channels in (1, 3) else 50 * math.sqrt(channels)
    reach = [2.5 * max(axis.lengths) * axis.pixel_units + 1 for axis in grid.axes]
    longest = math.hypot(color * grid.units, *reach) + math.sqrt(channels + 2)
    assert longest <= 2**11
    assert longest**2 + 2 * longest**2 < 2**24
    assert torch.equal(grid.offsets, grid.offsets.round())


@pytest.mark.parametrize(("cells", "around"), [((3, 4, 5), 27), ((1, 5, 8), 9), ((4, 1, 1), 3), ((1, 1, 1), 1)])
def test_axes_that_are_not_cut_have_no_cells_around(cells: tuple[int, ...], around: int) -> None:
    grid = make_cells((40, 40, 40), cells, 1, 10.0, torch.device("cpu"))
    assert math.prod(grid.reach) == around
    assert grid.offsets.shape == (*cells, around, 3)
    assert (grid.offsets[..., around // 2, :] == 0).all()
