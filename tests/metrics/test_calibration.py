"""Calibration: by hand, against SciPy's Mann-Whitney U, and against transcriptions that go case by case."""

import math
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from torch import Tensor

from captum_superpixel.metrics import (
    auroc,
    brier_skill,
    expected_calibration_error,
    interval_coverage,
    reliability_curve,
)


def cases(count: int = 500, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Probabilities of two digits, of which many are equal, and outcomes that are likelier where these are higher."""
    generator = torch.Generator().manual_seed(seed)
    predicted = torch.rand(count, generator=generator, dtype=torch.float64).round(decimals=2)
    return predicted, torch.rand(count, generator=generator) < predicted**2


def test_auroc_is_the_statistic_of_mann_and_whitney() -> None:
    predicted, happened = cases()
    scores, outcomes = predicted.numpy(), happened.numpy()
    positive, negative = scores[outcomes], scores[~outcomes]
    expected = mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))
    assert auroc(predicted, happened) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("predicted", "happened", "expected"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], 1.0),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 0.0),
        ([0.5, 0.5, 0.5], [1, 0, 0], 0.5),
        ([3.0, 1.0, 2.0], [1, 1, 0], 0.5),
        ([0.5, 0.5, 0.1], [1, 0, 0], 0.75),
    ],
)
def test_auroc_by_hand(predicted: list[float], happened: list[int], expected: float) -> None:
    assert auroc(torch.tensor(predicted), torch.tensor(happened)) == expected


def test_auroc_knows_only_the_order_and_its_reverse() -> None:
    predicted, happened = cases()
    assert auroc(predicted.exp() - 9, happened) == auroc(predicted, happened)
    assert auroc(-predicted, happened) == pytest.approx(1 - auroc(predicted, happened))


@pytest.mark.parametrize("happened", [torch.ones(4), torch.zeros(4)])
@pytest.mark.parametrize("measure", [auroc, brier_skill])
def test_where_all_or_none_came_true_nothing_is_to_be_told(
    measure: Callable[[Tensor, Tensor], float], happened: Tensor
) -> None:
    assert math.isnan(measure(torch.tensor([0.1, 0.4, 0.6, 0.9]), happened))


def test_brier_skill_by_hand_and_by_transcription() -> None:
    predicted, happened = cases()
    base = float(happened.double().mean())
    errors = [(p - y) ** 2 for p, y in zip(predicted.tolist(), happened.tolist(), strict=True)]
    expected = 1 - np.mean(errors) / (base * (1 - base))
    assert brier_skill(predicted, happened) == pytest.approx(expected, rel=1e-12)
    assert brier_skill(happened.float(), happened) == 1
    assert brier_skill(torch.full((500,), base, dtype=torch.float64), happened) == pytest.approx(0, abs=1e-12)
    assert brier_skill(1 - happened.float(), happened) == pytest.approx(1 - 1 / (base * (1 - base)))


def calibration_error(predicted: NDArray[np.float64], happened: NDArray[np.bool_], n_bins: int) -> float:
    """Bin by bin, from the edges of the bins."""
    error, edges = 0.0, np.arange(n_bins + 1) / n_bins
    for number, (low, high) in enumerate(pairwise(edges)):
        inside = (predicted >= low) & ((predicted < high) | (number == n_bins - 1))
        if inside.any():
            error += inside.mean() * abs(predicted[inside].mean() - happened[inside].mean())
    return error


@pytest.mark.parametrize("n_bins", [1, 4, 10])
def test_the_calibration_error_is_that_of_a_transcription(n_bins: int) -> None:
    predicted, happened = cases()
    # Off the edges, at which products of rounded numbers may fall to either side.
    predicted = (predicted + 0.003).clamp(max=1)
    expected = calibration_error(predicted.numpy(), happened.numpy(), n_bins)
    assert expected > 0.02
    assert expected_calibration_error(predicted, happened, n_bins) == pytest.approx(expected, rel=1e-12)


def test_probabilities_that_come_true_are_calibrated() -> None:
    generator = torch.Generator().manual_seed(0)
    predicted = torch.rand(200_000, generator=generator)
    happened = torch.rand(200_000, generator=generator) < predicted
    assert expected_calibration_error(predicted, happened) < 0.005
    assert expected_calibration_error(torch.tensor([1.0, 0.0]), torch.tensor([True, False])) == 0
    assert expected_calibration_error(torch.tensor([1.0, 0.0]), torch.tensor([False, True])) == 1


def test_the_reliability_curve_by_hand() -> None:
    predicted = torch.tensor([0.0, 0.25, 0.5, 0.625, 1.0])
    curve = reliability_curve(predicted, torch.tensor([0, 1, 0, 1, 1]), n_bins=4)
    assert curve.counts.tolist() == [1, 1, 2, 1]  # a bin holds its lower bound, and the last one its upper one too
    assert curve.predicted.tolist() == [0, 0.25, 0.5625, 1]
    assert curve.happened.tolist() == [0, 1, 0.5, 1]
    empty = reliability_curve(predicted[3:4], torch.tensor([True]), n_bins=4)
    assert empty.counts.tolist() == [0, 0, 1, 0]
    assert empty.predicted.isnan().tolist() == empty.happened.isnan().tolist() == [True, True, False, True]


def test_coverage_of_normal_intervals() -> None:
    values = torch.randn(100_000, generator=torch.Generator().manual_seed(0))
    half = torch.full_like(values, 1.96)
    assert interval_coverage(-half, half, values) == pytest.approx(0.95, abs=0.003)
    assert interval_coverage(values, values, values) == 1
    assert interval_coverage(values + 1, values + 2, values) == interval_coverage(values - 2, values - 1, values) == 0


MEASURES = pytest.mark.parametrize("measure", [auroc, brier_skill, expected_calibration_error, reliability_curve])


@MEASURES
@pytest.mark.parametrize(
    ("predicted", "happened", "error", "message"),
    [
        (torch.rand(3), torch.ones(2), ValueError, "must be equally many, but there are 3 and 2"),
        (torch.rand(3, 1), torch.ones(3), ValueError, "predicted must have shape (P,), one number per case, but has"),
        (torch.rand(0), torch.ones(0), ValueError, "but has shape (0,)"),
        (torch.tensor([0.1, math.nan]), torch.ones(2), ValueError, "predicted of case 1 are NaN or infinite"),
        (torch.rand(2), torch.tensor([1, 2]), ValueError, "happened must be True or False, 1 or 0, but holds 2"),
        ([0.5], torch.ones(1), TypeError, "predicted must be a tensor of P real numbers, but list was passed"),
        (torch.rand(1), torch.ones(1, dtype=torch.cfloat), TypeError, "happened must be a tensor of P real"),
    ],
)  # fmt: skip
def test_cases_that_do_not_fit(
    measure: Callable[..., Any], predicted: Tensor, happened: Tensor, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        measure(predicted, happened)


@pytest.mark.parametrize("measure", [brier_skill, expected_calibration_error, reliability_curve])
@pytest.mark.parametrize("odd", [-0.1, 1.5])
def test_what_is_no_probability(measure: Callable[..., Any], odd: float) -> None:
    with pytest.raises(ValueError, match=f"predicted must be probabilities from 0 to 1, but holds {odd}"):
        measure(torch.tensor([0.5, odd]), torch.tensor([0, 1]))


def test_bins_and_intervals_that_make_no_sense() -> None:
    predicted, happened = cases()
    with pytest.raises(ValueError, match="n_bins must be at least 1, but 0"):
        expected_calibration_error(predicted, happened, 0)
    with pytest.raises(ValueError, match="low is above high in interval 1: 3 and 2"):
        interval_coverage(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 2.0]), torch.zeros(2))
    with pytest.raises(ValueError, match="but there are 2, 2 and 3"):
        interval_coverage(torch.zeros(2), torch.ones(2), torch.zeros(3))
