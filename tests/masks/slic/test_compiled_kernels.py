"""Kernels of the compiled engine, as the plain Python that they are, against rules that are implemented elsewhere."""

import numpy as np
import pytest
import torch
from skimage.measure import label

from captum_superpixel.masks.slic import _growing
from captum_superpixel.masks.slic.compiled.kernels.components import find_runs, number_components
from captum_superpixel.masks.slic.compiled.kernels.growing import grow


@pytest.mark.parametrize("values", [2, 3, 9])
@pytest.mark.parametrize("seed", range(4))
def test_components_are_those_of_scikit_image_in_reading_order(values: int, seed: int) -> None:
    height, width = 13, 17
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, values, (height, width), dtype=np.int32)
    # A spiral, whose ends meet late.
    labels[2:11, 2], labels[10, 2:15], labels[2:11, 14], labels[4, 4:15], labels[4:9, 4], labels[8, 4:12] = [1] * 6
    starts, firsts = np.zeros(labels.size + 1, np.int32), np.zeros(height + 1, np.int32)
    parents, components = np.zeros((2, labels.size + 1), np.int32)
    pairs = np.zeros(6 * labels.size, np.int32)

    runs = find_runs(labels.ravel(), height, width, starts, firsts)
    count = number_components(labels.ravel(), height, height, width, starts, firsts, parents, components, pairs)

    found = components[:runs].repeat(np.diff(starts[: runs + 1])).reshape(height, width)
    expected = label(labels + 1, connectivity=1, background=0)
    places = np.unique(expected, return_index=True)[1]
    assert count == len(places)
    assert found.tolist() == (np.argsort(np.argsort(places))[expected - 1]).tolist()
    apart = labels[:-1] != labels[1:]
    touching = {*zip(found[:-1][apart], found[1:][apart], strict=True)}
    listed = components[pairs[2 * labels.size :][: 2 * parents[runs]]].reshape(-1, 2)
    assert {*map(tuple, listed.tolist())} == touching


@pytest.mark.parametrize("values", [2, 5])
@pytest.mark.parametrize("shape", [(4, 6, 7), (5, 1, 9), (6, 8, 1)])
def test_those_of_volumes_touch_behind_one_another_too(shape: tuple[int, int, int], values: int) -> None:
    labels = np.random.default_rng(values).integers(0, values, shape, dtype=np.int32)
    depth, rows, width = shape
    starts, firsts = np.zeros(labels.size + 1, np.int32), np.zeros(depth * rows + 1, np.int32)
    parents, components = np.zeros((2, labels.size + 1), np.int32)
    pairs = np.zeros(10 * labels.size, np.int32)

    runs = find_runs(labels.ravel(), depth * rows, width, starts, firsts)
    count = number_components(labels.ravel(), depth * rows, rows, width, starts, firsts, parents, components, pairs)

    found = components[:runs].repeat(np.diff(starts[: runs + 1])).reshape(shape)
    expected = label((labels + 1).squeeze(), connectivity=1, background=0).reshape(shape)
    assert count == expected.max()
    assert len(np.unique(found * (count + 1) + expected)) == count
    firsts_of = np.unique(found, return_index=True)[1]
    assert (np.diff(firsts_of) > 0).all()
    touching = set[tuple[int, int]]()
    for before, after in ((found[:-1], found[1:]), (found[:, :-1], found[:, 1:])):
        touching |= {*zip(before[before != after], after[before != after], strict=True)}
    listed = components[pairs[2 * labels.size :][: 2 * parents[runs]]].reshape(-1, 2)
    assert {*map(tuple, listed.tolist())} == touching


@pytest.mark.parametrize("volume", [False, True])
@pytest.mark.parametrize("least", [40, 90, 10_000])
@pytest.mark.parametrize("shades", [1, 3, 40])
def test_specks_grow_as_in_numpy(shades: int, least: int, volume: bool) -> None:
    """Of few shades many pixels are equally near; those at the far edges count less. Three rows make a slice."""
    rng = np.random.default_rng(shades)
    labels = np.zeros((9, 12), dtype=np.int32)
    # The third is between others, and the last has no room below.
    labels[1, 2:4], labels[2:4, 4], labels[2, 5], labels[8, 10:] = 1, 3, 2, 4
    size, count = labels.size, 5
    rows, columns = np.full(9, 4), np.full(12, 4)
    rows[-1], columns[-1] = 3, 1
    colors = rng.integers(0, shades, (3, *labels.shape)).astype(np.float32)
    means = rng.integers(0, shades, (count, 3))
    areas = torch.from_numpy(np.outer(rows, columns))
    layout = (3, 3, 12) if volume else labels.shape
    sizes = np.bincount(labels.ravel(), areas.numpy().ravel()).astype(np.int64)
    sizes[0] = max(sizes[0], least)
    specks = sizes < least

    number = np.where(specks, specks.cumsum() - 1, -1)
    places, parts = _growing.grow(
        torch.from_numpy(number[labels]).view(1, *layout),
        torch.from_numpy(means[specks]).float(),
        torch.from_numpy(colors).view(1, 3, *layout),
        torch.full((int(specks.sum()),), least),
        areas.view(layout),
    )
    expected = labels.ravel().copy()
    expected[places.numpy()] = np.flatnonzero(specks)[parts.numpy()]

    starts, firsts = np.zeros(size + 1, np.int32), np.zeros(10, np.int32)
    runs = find_runs(labels.ravel(), *labels.shape, starts, firsts)
    # What memory held before must not matter.
    marks, taken, around, ends, weights = rng.integers(-1, count, (5, size), dtype=np.int32)
    keys, missing = rng.integers(-1, count, (2, size))
    found = labels.ravel().copy()
    grow(
        found,
        9,
        layout[-2],
        12,
        runs,
        starts,
        count,
        sizes,
        means.ravel(),
        3,
        least,
        colors.ravel(),
        np.float32(1),
        rows.astype(np.int32),
        np.concatenate([[0], columns.cumsum()]).astype(np.int32),
        marks,
        taken,
        around,
        ends,
        weights,
        keys,
        missing,
    )
    assert found.tolist() == expected.tolist()
    assert (found != labels.ravel()).any()
