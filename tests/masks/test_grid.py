"""Grids, drawn by hand."""

import math

import numpy as np
import pytest
import torch

from captum_superpixel.masks import Grid
from captum_superpixel.masks.grid import choose_cells


def test_a_square_in_quarters() -> None:
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert Grid(4)(torch.rand(1, 3, 4, 4))[0, 0].tolist() == expected


def test_cells_that_do_not_divide_the_image_differ_by_one_pixel() -> None:
    expected = [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [2, 2, 2, 3, 3], [2, 2, 2, 3, 3]]
    assert Grid(4)(torch.rand(1, 3, 5, 5))[0, 0].tolist() == expected


def test_a_wide_image_has_more_columns_than_rows() -> None:
    assert Grid(3)(torch.rand(1, 1, 2, 6))[0, 0].tolist() == [[0, 0, 1, 1, 2, 2]] * 2
    assert Grid(3)(torch.rand(1, 1, 6, 2))[0, 0].tolist() == [[0] * 2] * 2 + [[1] * 2] * 2 + [[2] * 2] * 2
    wide = Grid(50)(torch.rand(1, 1, 32, 64))[0, 0]
    assert (len(wide[:, 0].unique()), len(wide[0].unique())) == (5, 10)


def test_signals_and_volumes() -> None:
    assert Grid(3)(torch.rand(2, 1, 6)).tolist() == [[[0, 0, 1, 1, 2, 2]]] * 2
    assert Grid(8)(torch.rand(1, 1, 2, 2, 2))[0, 0].tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    layer = [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
    assert Grid(4)(torch.rand(1, 1, 2, 4, 4))[0, 0].tolist() == [layer, layer]


def test_the_mask_depends_on_the_shape_alone() -> None:
    mask = Grid(9, denormalize=(0.5, 0.5), channel_order="bgr")(torch.rand(3, 2, 20, 30))
    assert torch.equal(mask, Grid(9)(torch.zeros(1, 5, 20, 30)).expand(3, 1, 20, 30))
    mask[0] = -1
    assert mask[1:].min() == 0


@pytest.mark.parametrize("shape", [(32, 32), (48, 64), (224, 224), (30, 200), (16, 16, 16)])
@pytest.mark.parametrize("n_segments", [10, 20, 50, 100, 300])
def test_cells_are_near_in_number_near_to_square_and_of_equal_size(shape: tuple[int, ...], n_segments: int) -> None:
    mask = Grid(n_segments)(torch.zeros(1, 1, *shape))[0, 0]
    axes = range(mask.ndim)
    counts = [len(mask[tuple(slice(None) if axis == other else 0 for other in axes)].unique()) for axis in axes]
    assert int(mask.max()) + 1 == np.prod(counts)
    assert np.prod(counts) == pytest.approx(n_segments, rel=0.1 if len(shape) == 2 else 0.4)
    sides = np.array(shape) / counts
    assert sides.max() / sides.min() < 2
    sizes = mask.flatten().bincount()
    assert sizes.max() <= np.prod(np.ceil(sides))
    assert sizes.min() >= np.prod(np.floor(sides))


@pytest.mark.parametrize("height", [1, 2, 5, 37, 224])
@pytest.mark.parametrize("width", [1, 3, 64, 501])
@pytest.mark.parametrize("count", [0.8, 1.6, 7.0, 80.0, 1e6])
def test_cells_fit_the_image_and_are_about_as_many_as_asked_for(height: int, width: int, count: float) -> None:
    rows, columns = choose_cells((height, width), count, elongation=1 / 3)
    assert 1 <= rows <= height
    assert 1 <= columns <= width
    possible = min(count, height * width)
    assert rows * columns == pytest.approx(possible, rel=0.35, abs=0.6)
    if 7 <= count <= height * width / 9 and min(height, width) > 30:
        assert rows * columns == pytest.approx(count, rel=0.15)


def test_of_choices_that_fit_equally_well_the_one_with_fewer_rows_is_taken() -> None:
    assert choose_cells((7, 7), 20, elongation=0.3) == (4, 5)
    assert choose_cells((16, 16, 16), 2, elongation=0.3) == (1, 1, 2)


@pytest.mark.parametrize("side", [5, 7, 32, 48])
def test_or_rounding_decides(side: int) -> None:
    """The logarithms of 4/5 and 5/4 differ in the last bit, and so do the costs of 5 by 4 and 4 by 5 cells."""

    def cost(choice: tuple[int, ...]) -> float:
        rows, columns = choice
        return abs(math.log(side * columns / (rows * side))) + 3 * abs(math.log(rows * columns / count))

    for count in np.arange(1, 60) * 0.8:
        choices = [
            (rows, min(side, max(1, columns)))
            for rows in range(1, min(side, math.ceil(count)) + 1)
            for columns in (math.floor(count / rows), math.ceil(count / rows))
        ]
        chosen = choose_cells((side, side), count, elongation=1 / 3, symmetric=False)
        assert chosen == min(choices, key=cost)
        assert cost(chosen) == pytest.approx(cost(choose_cells((side, side), count, elongation=1 / 3)))


def test_the_weight_decides_between_square_cells_and_the_number() -> None:
    """Seven cells in a square are a row of seven, or 2 by 3 that are nearly square, or 3 by 3 that are two too many."""
    assert choose_cells((70, 70), 7, elongation=0.01) == (1, 7)
    assert choose_cells((70, 70), 7, elongation=0.15) == (2, 3)
    assert choose_cells((70, 70), 7, elongation=10) == (3, 3)
