"""Grids, drawn by hand."""

import numpy as np
import pytest
import torch

from captum_superpixel.masks import Grid


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
