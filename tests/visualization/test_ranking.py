"""Ranks without NaN, and places for numbers, by hand-drawn masks."""

import numpy as np
import pytest
import torch

from captum_superpixel.regions import region_table
from captum_superpixel.visualization._ranking import inner_point, list_regions, ranked_regions

MASK = np.array([[4, 4, 7, 7, 9], [4, 4, 7, 7, 9]])
VALUES = np.array([[1.0, 1, -5, -5, 3], [1, 1, -5, -5, 3]])


@pytest.mark.parametrize(("by", "ids"), [("score", [9, 4, 7]), ("magnitude", [7, 9, 4])])
def test_finite_maps_are_ranked_as_the_table_ranks_them(by, ids):
    ranked = ranked_regions(VALUES, MASK, by)
    assert [region.id for region in ranked] == ids
    table = region_table(torch.from_numpy(VALUES)[None, None], torch.from_numpy(MASK)[None, None], by=by)
    assert ranked == list(table)


def test_regions_that_hold_nan_are_left_out():
    values = VALUES.copy()
    values[0, 4] = np.nan
    assert [region.id for region in ranked_regions(values, MASK, "score")] == [4, 7]
    assert ranked_regions(np.full_like(VALUES, np.nan), MASK, "score") == []


def test_a_map_of_zeros_ranks_none_and_a_region_alone_is_the_first():
    assert ranked_regions(np.zeros_like(VALUES), MASK, "score") == []
    assert [region.rank for region in ranked_regions(VALUES, np.zeros_like(MASK), "score")] == [1]


def test_an_unknown_ranking():
    with pytest.raises(ValueError, match="by='area'"):
        ranked_regions(VALUES, MASK, "area")


@pytest.mark.parametrize(
    ("mask", "place"),
    [
        ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], (1, 1)),
        ([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0]], (0, 1)),
        ([[1, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]], (2, 3)),
        ([[0, 0], [0, 1]], (1, 1)),
    ],
    ids=["square", "ring", "frying pan", "pixel"],
)
def test_numbers_stand_inside(mask, place):
    labels = np.array(mask)
    region = next(region for region in list_regions(labels.astype(float), labels, "score") if region.id == 1)
    point = inner_point(labels, region)
    assert labels[int(point[0]), int(point[1])] == 1
    assert point == place
