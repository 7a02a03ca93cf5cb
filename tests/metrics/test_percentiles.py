"""Percentiles of rows: those of NumPy to the last bit, however the scores are distributed."""

import numpy as np
import pytest

from captum_superpixel.metrics._percentiles import percentile_of_rows

LENGTHS = (1, 2, 5, 1024, 2**13 - 1, 2**13, 50_176)


@pytest.mark.parametrize("percentile", [1e-9, 1, 50, 97.5, 99, 99.99, 100])
@pytest.mark.parametrize("length", LENGTHS)
def test_percentiles_are_those_of_numpy(length: int, percentile: float) -> None:
    rng = np.random.default_rng(length)
    rows = np.stack(
        [
            rng.normal(size=length),
            rng.exponential(size=length) * 1e300,
            rng.integers(0, 3, size=length).astype(float),  # ties
            np.sort(rng.normal(size=length)),
            np.zeros(length),
            (np.arange(length) % 200 == 7).astype(float),  # fewer than one in a hundred
        ]
    )
    np.testing.assert_array_equal(percentile_of_rows(rows, percentile), np.percentile(rows, percentile, axis=1))


@pytest.mark.parametrize("step", range(2, 40))
def test_high_scores_at_regular_places_are_not_missed(step: int) -> None:
    row = np.arange(20_000.0)
    row[::step] += 1e6
    assert percentile_of_rows(row[None], 99) == np.percentile(row, 99)


def test_a_score_between_two_is_interpolated() -> None:
    row = np.zeros(10_001)
    row[[3, 5000]] = 10, 20
    assert percentile_of_rows(row[None], 99.995).tolist() == pytest.approx([15])


def test_the_score_below_a_percentile_counts_where_all_that_were_looked_at_first_are_above_it() -> None:
    row = np.zeros(20_001)
    row[: 200 * 17 : 17] = 1  # the 200 highest; the percentile lies at place 19,800.5, halfway from the last zero
    assert percentile_of_rows(row[None], 19_800.5 / 200).tolist() == pytest.approx([0.5])


def test_the_rows_stay_as_they_are() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 10_000))
    before = rows.copy()
    percentile_of_rows(rows, 99)
    np.testing.assert_array_equal(rows, before)
