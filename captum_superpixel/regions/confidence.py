"""How sure a region is: from the scores of draws to the probability that it stays on top, and to an interval."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer
from captum_superpixel._float64 import widen

__all__ = [
    "CALIBRATION",
    "COVERAGE",
    "FEWEST_DRAWS",
    "check_top",
    "describe_interval",
    "describe_stays_top",
    "margins",
    "prediction_interval",
    "probability_above_zero",
    "stays_top",
    "write_probability",
    "z_scores",
]

CALIBRATION = (
    "expected calibration error for the top 3, by mean magnitudes: .03 to .08 on CIFAR-10, and .03 to .13 on ImageNet, "
    "where more regions stayed than was said"
)
"""How far the probabilities were from the frequencies, and where that was measured."""
COVERAGE = "intervals that say 95 % held 92 to 95 % of these scores on CIFAR-10, and 91 to 95 % on ImageNet"
"""How often the intervals held what they say, and where that was measured."""
FEWEST_DRAWS = 8
"""With fewer draws the probabilities rank regions less well than was measured."""
_FLOOR = 0.01
"""Added to the variance of the margins, so that few draws that happen to agree do not make a region certain."""
_NORMAL = 1.96
"""Standard deviations of a normal distribution to each side that hold 95 % of it."""
_EQUAL = 1e-10
"""Scores whose spread is no more than this share of the largest magnitude differ by rounding alone."""


def stays_top(draws: Tensor, k: int) -> Tensor:
    r"""Estimate for each region the probability that it is among the top k of an independently trained network.

    In each draw j the scores of an image's regions become z-scores, and the margin of region r is its distance from
    the k-th largest of the others,

    .. math:: m_j = z_j(r) - z_j^{(k)}(\text{others}), \qquad
        p = \frac{1}{1 + e^{-g}}, \quad g = \frac{\operatorname{mean}(m)}{\sqrt{\operatorname{var}(m) + 0.01}}.

    Nothing is fitted. The variance has J - 1 in its denominator.

    Args:
        draws: Scores of K regions in J draws, ``(J, K)`` or ``(J, N, K)`` for N images, floating-point: what
            ``perturbed_attributions`` gives, averaged over the regions. NaN in a draw for a region that an image lacks.
        k: How many regions are on top, from 2 on. For a single one the probabilities are overconfident.

    Returns:
        ``(K,)`` or ``(N, K)``, from 0 to 1; NaN where a draw is NaN, and where an image has no more than k regions, all
        of which are on top whatever the network.

    Raises:
        TypeError: If ``k`` is not an integer, or the draws are not floating-point.
        ValueError: If ``k`` is below 2, there are fewer than 2 draws, or they have another shape.

    Notes:
        For scores that are magnitudes. Of signed scores the probabilities are not calibrated on ImageNet;
        ``region_table`` refuses them.

    Examples:
        Region 0 leads clearly, 1 and 2 change places, 3 is far behind:

        >>> draws = torch.tensor([[9.0, 4.0, 3.0, 0.0], [8.0, 3.0, 4.0, 0.0], [9.0, 4.0, 3.0, 0.0]])
        >>> [round(p, 2) for p in stays_top(draws, k=2).tolist()]
        [1.0, 0.56, 0.44, 0.0]
    """
    return probability_above_zero(margins(draws, check_top(k)))


def probability_above_zero(distances: Tensor) -> Tensor:
    """Make of the margins of each region in J draws the probability that its margin in another network is above 0.

    Args:
        distances: ``(J, ...)``, from :func:`margins`, of at least 2 draws.

    Returns:
        ``(...)``, from 0 to 1; NaN where a margin is NaN.

    Examples:
        >>> probability_above_zero(torch.tensor([[0.1, 0.1], [0.1, -0.1]])).tolist()
        [0.731..., 0.5]
    """
    # NaN as it is: of few draws one that is missing is not to be passed over in silence.
    return torch.sigmoid(distances.mean(dim=0) / (distances.var(dim=0) + _FLOOR).sqrt())


def margins(draws: Tensor, k: int) -> Tensor:
    """Measure in each draw how far each region is from the k-th largest of the others, in z-scores.

    Args:
        draws: Scores ``(J, K)`` or ``(J, N, K)``, as for :func:`stays_top`.
        k: How many regions are on top, from 1 on: of the single first region it is the probability that is not to be
            had, not the margin.

    Returns:
        Of the shape of the draws, above 0 for regions among the top k, below for others, 0 for those that tie.

    Raises:
        TypeError: If ``k`` is not an integer, or the draws are not floating-point.
        ValueError: If ``k`` is below 1, there are fewer than 2 draws, or they have another shape.

    Examples:
        >>> margins(torch.tensor([[3.0, 2.0, 1.0, 0.0]] * 2), k=2)[0].mul(5**0.5 / 2).round(decimals=4).tolist()
        [2.0, 1.0, -1.0, -2.0]
    """
    z = z_scores(_checked_draws(draws))
    top = checked_integer("k", k)
    ordered = z.nan_to_num(-math.inf).sort(dim=-1, descending=True).values
    if ordered.shape[-1] <= top:
        return torch.full_like(z, torch.nan)
    last_in, first_out = ordered[..., top - 1 : top], ordered[..., top : top + 1]
    # Without a region that is among the top k, the k-th largest of the others is the next one.
    distances = z - torch.where(z >= last_in, first_out, last_in)
    return distances.masked_fill(first_out.isinf(), torch.nan)


def prediction_interval(scores: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    r"""Find between which bounds the score of each region lies in an independently trained network, in 95 % of cases.

    Both networks are draws from what training might have given, so that their difference has twice the variance of one:
    the interval is :math:`z(r) \pm 1.96 \sqrt 2 \operatorname{SD}_j z_j(r)`. Networks differ in the scale of all scores
    of an image together; z-scores leave that out, and the mean and the standard deviation of this map's scores bring
    the bounds back to its units.

    Args:
        scores: Of the regions in the map itself, ``(K,)`` or ``(N, K)``.
        draws: In J draws, ``(J, K)`` or ``(J, N, K)``, as for :func:`stays_top`.

    Returns:
        Lower and upper bounds of the shape of the scores and in their units, for scores of the other network that were
        shifted and scaled to this map's mean and standard deviation over the image's regions. NaN where a score or a
        draw is NaN, and where all scores of an image are equal.

    Raises:
        TypeError: If the draws are not floating-point.
        ValueError: If there are fewer than 2 draws, or the shapes do not fit.

    Notes:
        The lower bound of a magnitude may be below 0: another network's lowest score may be farther from its mean than
        this map's is.

    Examples:
        >>> scores = torch.tensor([6.0, 2.0, 1.0])
        >>> draws = torch.stack([scores, 5 * scores + 7, scores - 1])
        >>> torch.equal(torch.stack(prediction_interval(scores, draws)).round(), torch.stack([scores, scores]))
        True
    """
    checked = _checked_draws(draws)
    if scores.shape != checked.shape[1:]:
        raise ValueError(
            f"scores of shape {tuple(scores.shape)} do not fit draws of shape {tuple(checked.shape)}: pass draws of "
            f"shape (J, {', '.join(map(str, scores.shape))})"
        )
    scores = widen(scores)
    _, spread = _center_and_spread(scores)
    margin = _NORMAL * math.sqrt(2) * z_scores(checked).std(dim=0)
    half = (margin * spread).masked_fill(spread == 0, torch.nan)
    return scores - half, scores + half


def z_scores(scores: Tensor) -> Tensor:
    """Subtract the mean over the regions and divide by the standard deviation, with their number in its denominator.

    Args:
        scores: ``(..., K)``, NaN for regions that an image lacks.

    Returns:
        Of the same shape; 0 throughout where all scores are equal.

    Examples:
        >>> z_scores(torch.tensor([[1.0, 5.0, torch.nan], [7.0, 7.0, 7.0]])).tolist()
        [[-1.0, 1.0, nan], [0.0, 0.0, 0.0]]
    """
    scores = widen(scores)
    center, spread = _center_and_spread(scores)
    return (scores - center) / spread.masked_fill(spread == 0, math.inf)


def check_top(k: object) -> int:
    """Return ``k``, the number of regions on top.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is below 2.
    """
    number = checked_integer("k", k)
    if number == 1:
        raise ValueError(
            "k=1: the probability that a single region stays the first is overconfident, as measured, and is not given;"
            " pass k=2 or more"
        )
    return number


def describe_stays_top(k: int | str) -> str:
    """Say what a probability of staying on top means, and what it does not.

    Examples:
        >>> describe_stays_top(3).partition(";")[0]
        '80 % means that about 8 of 10 such regions were again among the top 3 in an independently trained network'
    """
    return (
        f"80 % means that about 8 of 10 such regions were again among the top {k} in an independently trained network; "
        f"it says nothing about faithfulness ({CALIBRATION})"
    )


def describe_interval() -> str:
    """Say what an interval means, and how often it held."""
    return (
        "where the score lies in an independently trained network, whose scores are brought to the mean and spread of "
        f"these ({COVERAGE})"
    )


def write_probability(probability: float) -> str:
    """Write a probability in whole percent, neither as none nor as certainty; a dash for NaN.

    Examples:
        >>> [write_probability(p) for p in (0.804, 0.001, 0.999, float("nan"))]
        ['80 %', '< 1 %', '> 99 %', '–']
    """
    if math.isnan(probability):
        return "–"
    if probability < 0.005:
        return "< 1 %"
    return "> 99 %" if probability >= 0.995 else f"{100 * probability:.0f} %"


def _checked_draws(draws: object) -> Tensor:
    if not isinstance(draws, Tensor) or not draws.is_floating_point():
        what = getattr(draws, "dtype", type(draws).__name__)
        raise TypeError(f"draws must be a floating-point tensor of scores, but {what} was passed")
    if draws.ndim not in (2, 3):
        raise ValueError(f"draws must have shape (J, K) or (J, N, K), but have shape {tuple(draws.shape)}")
    if len(draws) < 2:
        raise ValueError(f"{len(draws)} draws have no spread: pass at least 2, better {FEWEST_DRAWS} or more")
    # In half precision the squares of scores overflow.
    return widen(draws)


def _center_and_spread(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the regions, ``(..., 1)``, the latter exactly 0 where all scores are equal."""
    center = scores.nanmean(dim=-1, keepdim=True)
    spread = (scores - center).square().nanmean(dim=-1, keepdim=True).sqrt()
    largest = scores.abs().nan_to_num(0).amax(dim=-1, keepdim=True)
    return center, torch.where(spread > _EQUAL * largest, spread, torch.zeros_like(spread))
