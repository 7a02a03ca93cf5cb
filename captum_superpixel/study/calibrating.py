"""Whether regions stay on top in other networks as often as was said: cases of pairs of networks, and intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from captum_superpixel.metrics.bootstrap import interval
from captum_superpixel.metrics.calibration import auroc, brier_skill, expected_calibration_error
from captum_superpixel.regions.confidence import margins, prediction_interval, probability_above_zero, z_scores

__all__ = [
    "Cases",
    "Figure",
    "assess",
    "held",
    "is_top",
    "of_third_networks",
    "pair_cases",
    "resample",
    "said",
    "shares",
]

_BINS = 10
_AT_ONCE = 2**22
"""Weights that are held at a time, at most, in several arrays of 32 MiB."""

Figure: TypeAlias = dict[str, Any]
"""``value``, and the 95 % intervals ``ci95`` over images and ``ci95_networks`` over images and networks."""
_Statistic: TypeAlias = Callable[["Cases", Tensor], Tensor]


class Cases(NamedTuple):
    """What was said of a region of an image by what one network knows, and what it was in another network.

    Args:
        predicted: ``(P,)`` float64, a probability, or what else orders the cases.
        happened: ``(P,)`` bool.
        networks: ``(P, 2 or 3)`` int64, those that the case depends on: the user's own, the other, and a third if the
            prediction is made from it.
        images: ``(P,)`` int64.
    """

    predicted: Tensor
    happened: Tensor
    networks: Tensor
    images: Tensor


def is_top(scores: Tensor, k: int) -> Tensor:
    """Mark the k regions of the largest scores, of equal ones the first.

    Args:
        scores: ``(..., K)``, NaN for regions that an image lacks.
        k: How many, at most K.

    Returns:
        ``(..., K)`` bool.

    Examples:
        >>> is_top(torch.tensor([1.0, 3.0, torch.nan, 3.0]), 1).tolist()
        [False, True, False, False]
    """
    order = scores.nan_to_num(-torch.inf).argsort(dim=-1, descending=True, stable=True)[..., :k]
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, True)


def said(draws: Tensor, k: int) -> Tensor:
    """Estimate the probability that each region is among the top k of another network, of a single first region too.

    Args:
        draws: Scores ``(J, ..., K)``.
        k: From 1 on. That of 1 is measured here; :func:`captum_superpixel.regions.confidence.stays_top` refuses it.

    Returns:
        ``(..., K)``.
    """
    flat = margins(draws.flatten(1, -2), k)
    return probability_above_zero(flat).reshape(draws.shape[1:])


def pair_cases(predicted: Tensor, happened: Tensor, counted: Tensor) -> Cases:
    """List the cases of all pairs of different networks.

    Args:
        predicted: ``(M, N, K)``, what is said from each of M networks of K regions of N images, or ``(M, M, N, K)``,
            what is said from the first of the other. NaN is left out.
        happened: ``(M, M, N, K)`` bool, what the regions of the first network are in the second one.
        counted: ``(M, N, K)`` bool, the regions of each network that count.
    """
    count = len(happened)
    spread = (predicted if predicted.dim() == 4 else predicted[:, None]).expand(happened.shape)
    others = ~torch.eye(count, dtype=torch.bool)[:, :, None, None]
    places = (counted[:, None] & others & ~spread.isnan()).nonzero()
    first, second, images, _ = at = places.unbind(dim=1)
    return Cases(spread[at].double(), happened[at], torch.stack([first, second], dim=1), images)


def of_third_networks(predicted: Tensor, happened: Tensor, counted: Tensor) -> Cases:
    """List the cases in which a third network is asked, in place of the user's own, whose regions are looked at.

    Args:
        predicted: ``(M, M, N, K)``, what the second network says of the regions of the first.
        happened: As for :func:`pair_cases`, of at least 3 networks.
        counted: Likewise.
    """
    found = []
    for third in range(len(happened)):
        by_third = predicted[:, third, None].expand(happened.shape).clone()
        by_third[third], by_third[:, third] = torch.nan, torch.nan
        cases = pair_cases(by_third, happened, counted)
        asked = cases.networks.new_full((len(cases.images), 1), third)
        found.append(cases._replace(networks=torch.cat([cases.networks, asked], dim=1)))
    return Cases(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def held(scores: Tensor, draws: Tensor, others: Tensor) -> Cases:
    """List how often prediction intervals held the scores of the other networks.

    Args:
        scores: ``(M, N, K)`` of each network's regions in its own map.
        draws: ``(M, J, N, K)`` in draws.
        others: ``(M, M, N, K)`` of the first network's regions in the maps of the second.

    Returns:
        Cases of which nothing is predicted, as all intervals say 95 %.
    """
    # In z-scores the bounds are those of any unit, and other networks' scores are comparable with them.
    own = z_scores(scores.double())
    bounds = [prediction_interval(one, several.double()) for one, several in zip(own, draws, strict=True)]
    low, high = (torch.stack(parts)[:, None] for parts in zip(*bounds, strict=True))
    found = z_scores(others.double())
    known = ~(low.isnan() | high.isnan())
    stated = torch.full_like(scores, 0.95, dtype=torch.float64)
    return pair_cases(stated, (low <= found) & (found <= high), known[:, 0] & ~scores.isnan())


def resample(cases: Cases, n_resamples: int, seed: int, *, networks: bool) -> Iterator[Tensor]:
    """Draw how often each case occurs in bootstrap resamples.

    Args:
        cases: P of them.
        n_resamples: How many.
        seed: Of the draws.
        networks: Whether networks are resampled as well, with replacement: a case then occurs as often as its image and
            its networks together, so that pairs of one network with itself are none. Not for fewer than 3 networks.

    Yields:
        Weights ``(R, P)`` float64 of some of the resamples, all together ``n_resamples``.
    """
    generator = torch.Generator().manual_seed(seed)
    _, used = torch.unique(cases.images, return_inverse=True)
    count, n_networks = int(used.max()) + 1, int(cases.networks.max()) + 1
    at_once = max(1, _AT_ONCE // len(used))
    for start in range(0, n_resamples, at_once):
        rows = min(at_once, n_resamples - start)
        weights = _times_drawn(rows, count, generator)[:, used]
        if networks:
            drawn = _times_drawn(rows, n_networks, generator)
            for column in cases.networks.unbind(dim=1):
                weights = weights * drawn[:, column]
        yield weights


def _times_drawn(rows: int, count: int, generator: torch.Generator) -> Tensor:
    """How often each of several things is drawn in as many draws with replacement, ``(rows, count)``."""
    drawn = torch.randint(count, (rows, count), generator=generator)
    times = torch.zeros(rows, count, dtype=torch.float64)
    return times.scatter_add_(1, drawn, torch.ones_like(times))


def assess(cases: Cases, *, probabilities: bool, n_resamples: int = 1000, seed: int = 0) -> dict[str, Figure]:
    """Tell how well what was said fits what happened.

    Args:
        cases: All of them.
        probabilities: Whether predictions are probabilities; of others the order alone is looked at.
        n_resamples: For the intervals.
        seed: Of the resamples.

    Returns:
        ``auroc``, and of probabilities ``brier_skill`` and ``calibration_error``, of 10 bins, each with its intervals.
        Those over networks are NaN for fewer than 3, and all are of a single image. With few networks they are rather
        too narrow; that of the calibration error, which is positive by chance, lies rather too high.
    """
    predicted, happened = cases.predicted, cases.happened
    statistics: dict[str, tuple[float, _Statistic]] = {"auroc": (auroc(predicted, happened), _aurocs)}
    if probabilities:
        statistics["brier_skill"] = (brier_skill(predicted, happened), _brier_skills)
        statistics["calibration_error"] = (expected_calibration_error(predicted, happened, _BINS), _calibration_errors)
    return _with_intervals(cases, statistics, n_resamples, seed)


def shares(cases: Cases, *, n_resamples: int = 1000, seed: int = 0) -> Figure:
    """Tell how often it happened, with its intervals."""
    statistics: dict[str, tuple[float, _Statistic]] = {"share": (float(cases.happened.double().mean()), _shares)}
    return _with_intervals(cases, statistics, n_resamples, seed)["share"]


def _with_intervals(
    cases: Cases, statistics: dict[str, tuple[float, _Statistic]], n_resamples: int, seed: int
) -> dict[str, Figure]:
    ends: dict[str, list[list[float]]] = {name: [] for name in statistics}
    alone = len(torch.unique(cases.images)) == 1  # resamples of a single image are all alike, which is not certainty
    for networks in (False, True):
        if alone or (networks and int(cases.networks.max()) < 2):
            resampled = {name: torch.full((1,), torch.nan, dtype=torch.float64) for name in statistics}
        else:
            drawn: dict[str, list[Tensor]] = {name: [] for name in statistics}
            for weights in resample(cases, n_resamples, seed, networks=networks):
                some = weights[weights.sum(dim=1) > 0]  # a single network drawn again and again makes no pair
                for name, (_, function) in statistics.items():
                    drawn[name].append(function(cases, some))
            resampled = {name: torch.cat(parts) for name, parts in drawn.items()}
        for name, values in resampled.items():
            known = values[~values.isnan()]
            ends[name].append(list(interval(known)) if len(known) else [torch.nan, torch.nan])
    return {
        name: {"value": value, "ci95": ends[name][0], "ci95_networks": ends[name][1]}
        for name, (value, _) in statistics.items()
    }


def _aurocs(cases: Cases, weights: Tensor) -> Tensor:
    """``(R,)`` of weights ``(R, P)``."""
    order = cases.predicted.argsort()
    weights, happened = weights[:, order], cases.happened[order].double()
    _, group = torch.unique_consecutive(cases.predicted[order], return_inverse=True)
    empty = weights.new_zeros(len(weights), int(group[-1]) + 1)
    yes, no = (empty.index_add(1, group, weights * part) for part in (happened, 1 - happened))
    wins = (yes * (no.cumsum(dim=1) - no / 2)).sum(dim=1)
    return wins / (yes.sum(dim=1) * no.sum(dim=1))


def _brier_skills(cases: Cases, weights: Tensor) -> Tensor:
    happened = cases.happened.double()
    rate = _shares(cases, weights)
    error = weights @ (cases.predicted - happened).square() / weights.sum(dim=1)
    base = rate * (1 - rate)
    # Of a resample in which all or none came true, the base rate knows everything: that is no skill, not one of -inf.
    return 1 - error / base.masked_fill(base == 0, torch.nan)


def _calibration_errors(cases: Cases, weights: Tensor) -> Tensor:
    bins = (cases.predicted * _BINS).long().clamp(max=_BINS - 1)
    gaps = weights * (cases.predicted - cases.happened.double())
    return weights.new_zeros(len(weights), _BINS).index_add(1, bins, gaps).abs().sum(dim=1) / weights.sum(dim=1)


def _shares(cases: Cases, weights: Tensor) -> Tensor:
    return weights @ cases.happened.double() / weights.sum(dim=1)
