"""Whether probabilities come true: how well they rank, how far they are from frequencies, how often intervals hold."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer, listed
from captum_superpixel._untyped import rankdata

__all__ = [
    "ReliabilityCurve",
    "auroc",
    "brier_skill",
    "expected_calibration_error",
    "interval_coverage",
    "reliability_curve",
]


class ReliabilityCurve(NamedTuple):
    """What was predicted and what happened, by bins of equal width of the prediction, from 0 to 1.

    Args:
        predicted: ``(B,)``, the mean prediction in each bin; NaN in an empty one.
        happened: ``(B,)``, how often it came true there; NaN in an empty one.
        counts: ``(B,)`` int64, how many predictions there are.
    """

    predicted: Tensor
    happened: Tensor
    counts: Tensor


def auroc(predicted: Tensor, happened: Tensor) -> float:
    """Area under the receiver operating characteristic: how well predictions tell what happens from what does not.

    It is the probability that of two cases, one of which came true, this one has the higher prediction; equal ones
    count a half. Only the order of the predictions matters, not whether they are calibrated.

    Args:
        predicted: ``(P,)``, any real numbers: probabilities, or what else orders the cases.
        happened: ``(P,)``, bool, or numbers that are 0 or 1.

    Returns:
        From 0 to 1, .5 by chance; NaN where all or none came true.

    Raises:
        TypeError: If an argument is not a tensor of real numbers.
        ValueError: If shapes do not fit, predictions are NaN or infinite, or outcomes are neither 0 nor 1.

    References:
        Hanley, McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
        Radiology 143 (1982), doi:10.1148/radiology.143.1.7063747.

    Examples:
        >>> auroc(torch.tensor([0.9, 0.4, 0.6, 0.1]), torch.tensor([True, True, False, False]))
        0.75
    """
    scores, outcomes = _checked(predicted, happened)
    positive = outcomes.bool()
    count = int(positive.sum())
    if count in (0, len(outcomes)):
        return torch.nan
    ranks = torch.from_numpy(rankdata(scores.numpy()))
    wins = float(ranks[positive].sum()) - count * (count + 1) / 2
    return wins / (count * (len(outcomes) - count))


def brier_skill(predicted: Tensor, happened: Tensor) -> float:
    """Brier skill score: which share of the squared error of the base rate the predictions take away.

    Args:
        predicted: ``(P,)``, probabilities.
        happened: ``(P,)``, bool, or numbers that are 0 or 1.

    Returns:
        At most 1, for predictions that are all right; 0 for predicting for every case how often it happens among these
        cases; below 0 for worse. NaN where all or none came true, of which the base rate knows everything.

    Raises:
        TypeError: If an argument is not a tensor of real numbers.
        ValueError: If shapes do not fit, predictions are no probabilities, or outcomes are neither 0 nor 1.

    References:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950),
        doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Examples:
        >>> brier_skill(torch.tensor([0.75, 0.75, 0.25, 0.25]), torch.tensor([True, True, False, False]))
        0.75
    """
    chances, outcomes = _checked_probabilities(predicted, happened)
    base = (outcomes.mean() - outcomes).square().mean()
    skill = 1 - (chances - outcomes).square().mean() / base
    return float(skill) if base > 0 else torch.nan


def expected_calibration_error(predicted: Tensor, happened: Tensor, n_bins: int = 10) -> float:
    r"""Expected calibration error: by how much predictions differ from frequencies, on average over the cases.

    .. math:: \sum_b \frac{n_b}{P} \left| \bar p_b - \bar y_b \right|

    over bins of equal width from 0 to 1, with the mean prediction and the mean outcome of each.

    Args:
        predicted: ``(P,)``, probabilities.
        happened: ``(P,)``, bool, or numbers that are 0 or 1.
        n_bins: How many bins.

    Returns:
        From 0 to 1; 0 is calibrated.

    Raises:
        TypeError: If an argument is not a tensor of real numbers, or ``n_bins`` is not an integer.
        ValueError: If shapes do not fit, predictions are no probabilities, outcomes are neither 0 nor 1, or ``n_bins``
            is below 1.

    Notes:
        Few cases per bin have an error by chance even where predictions are calibrated, so that it is only to be
        compared between equally many cases and bins.

    References:
        Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015,
        doi:10.1609/aaai.v29i1.9602. Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML
        2017, arXiv:1706.04599.

    Examples:
        Two of four come true of those with 75 %, and none of those with 0 %:

        >>> predicted = torch.tensor([0.75] * 4 + [0.0] * 4)
        >>> expected_calibration_error(predicted, torch.tensor([1, 1, 0, 0, 0, 0, 0, 0]))
        0.125
    """
    curve = reliability_curve(predicted, happened, n_bins)
    gaps = (curve.predicted - curve.happened).abs().nan_to_num(0)
    return float((gaps * curve.counts).sum() / curve.counts.sum())


def reliability_curve(predicted: Tensor, happened: Tensor, n_bins: int = 10) -> ReliabilityCurve:
    """Compare predictions with frequencies, bin by bin, as a reliability diagram draws them.

    Args:
        predicted: ``(P,)``, probabilities.
        happened: ``(P,)``, bool, or numbers that are 0 or 1.
        n_bins: How many bins of equal width from 0 to 1; each holds its lower bound, and the last one 1 too.

    Returns:
        The mean prediction, the frequency and the number of cases of each bin, float64 on the CPU.

    Raises:
        TypeError: If an argument is not a tensor of real numbers, or ``n_bins`` is not an integer.
        ValueError: If shapes do not fit, predictions are no probabilities, outcomes are neither 0 nor 1, or ``n_bins``
            is below 1.

    Examples:
        >>> curve = reliability_curve(torch.tensor([0.1, 0.3, 0.9, 1.0]), torch.tensor([0, 1, 1, 1]), n_bins=2)
        >>> curve.predicted.tolist(), curve.happened.tolist(), curve.counts.tolist()
        ([0.2..., 0.9...], [0.5, 1.0], [2, 2])
    """
    chances, outcomes = _checked_probabilities(predicted, happened)
    count = checked_integer("n_bins", n_bins)
    bins = (chances * count).long().clamp(max=count - 1)
    counts = torch.bincount(bins, minlength=count)
    # Empty bins divide nothing by nothing.
    means = [torch.bincount(bins, values, minlength=count) / counts for values in (chances, outcomes)]
    return ReliabilityCurve(means[0], means[1], counts)


def interval_coverage(low: Tensor, high: Tensor, values: Tensor) -> float:
    """Tell how often intervals held what they were to hold.

    Args:
        low: ``(P,)``, lower bounds.
        high: ``(P,)``, upper bounds.
        values: ``(P,)``, what turned out; on a bound it is held.

    Returns:
        From 0 to 1, to be compared with the share that the intervals promise.

    Raises:
        TypeError: If an argument is not a tensor of real numbers.
        ValueError: If shapes do not fit, numbers are NaN or infinite, or a lower bound is above the upper one.

    Examples:
        >>> low, high = torch.zeros(4), torch.ones(4)
        >>> interval_coverage(low, high, torch.tensor([-0.1, 0.0, 0.5, 1.0]))
        0.75
    """
    lows, highs, found = (_cases(name, each) for name, each in (("low", low), ("high", high), ("values", values)))
    if not lows.shape == highs.shape == found.shape:
        raise ValueError(
            f"low, high and values must be equally many, but there are {len(lows)}, {len(highs)} and {len(found)}"
        )
    if crossed := (lows > highs).nonzero().flatten().tolist():
        raise ValueError(f"low is above high in interval {crossed[0]}: {lows[crossed[0]]:g} and {highs[crossed[0]]:g}")
    return float(((lows <= found) & (found <= highs)).double().mean())


def _cases(name: str, values: object) -> Tensor:
    """Return one finite number per case, ``(P,)``, as float64 on the CPU."""
    if not isinstance(values, Tensor) or values.is_complex():
        what = getattr(values, "dtype", type(values).__name__)
        raise TypeError(f"{name} must be a tensor of P real numbers, but {what} was passed")
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must have shape (P,), one number per case, but has shape {tuple(values.shape)}")
    broken = (~values.isfinite()).nonzero().flatten().tolist()
    if broken:
        raise ValueError(f"{name} of case {listed(broken)} are NaN or infinite: leave these cases out")
    return values.detach().cpu().double()


def _checked(predicted: object, happened: object) -> tuple[Tensor, Tensor]:
    """Return both as float64 on the CPU."""
    scores, outcomes = _cases("predicted", predicted), _cases("happened", happened)
    if scores.shape != outcomes.shape:
        raise ValueError(
            f"predicted and happened must be equally many, but there are {len(scores)} and {len(outcomes)}"
        )
    odd = outcomes[(outcomes != 0) & (outcomes != 1)]
    if len(odd):
        raise ValueError(f"happened must be True or False, 1 or 0, but holds {odd[0]:g}")
    return scores, outcomes


def _checked_probabilities(predicted: object, happened: object) -> tuple[Tensor, Tensor]:
    chances, outcomes = _checked(predicted, happened)
    odd = chances[(chances < 0) | (chances > 1)]
    if len(odd):
        raise ValueError(f"predicted must be probabilities from 0 to 1, but holds {odd[0]:g}")
    return chances, outcomes
