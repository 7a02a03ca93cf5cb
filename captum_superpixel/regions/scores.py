"""Scores and ranks of the regions of maps, and how sure draws make them: what the table of regions is made from."""

from __future__ import annotations

import math
import warnings
from typing import Literal, NamedTuple, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._checks import checked_choice, is_finite, listed
from captum_superpixel.feature_masks import check_region_mask, rank_rows
from captum_superpixel.pooling import Reduction, check_attributions, segment_scores
from captum_superpixel.regions.confidence import FEWEST_DRAWS, check_top, prediction_interval, stays_top

__all__ = ["Draws", "Ranking", "Scored", "Sureness", "find_sureness", "find_ties", "score_regions"]

Ranking = Literal["score", "magnitude"]

_EQUAL = 1e-10
"""Scores that differ by no more than this share of their magnitude do so by rounding alone, and are equal."""


class _HasAttributions(Protocol):
    @property
    def attributions(self) -> Tensor: ...


Draws = Tensor | _HasAttributions
"""J maps per image, ``(J, N, C, *spatial)``, or what ``perturbed_attributions`` returns, which holds them."""


class Sureness(NamedTuple):
    """How sure draws make the regions; NaN for those without a rank, and for those that an image lacks."""

    stays_top: Tensor | None
    """``(N, K)``, from 0 to 1; None where nobody asked."""
    low: Tensor
    """``(N, K)``, the lower bounds of the scores."""
    high: Tensor
    """``(N, K)``, the upper bounds of the scores."""


class Scored(NamedTuple):
    """K is the largest number of segments of an image; those that an image lacks have the score NaN and come last."""

    ids: Tensor
    """``(1 or N, *spatial)``, as the caller numbered them."""
    labels: Tensor
    """``(1 or N, *spatial)``, numbered from 0 in each image."""
    channels: Tensor
    """``(M, N, C, K)``"""
    totals: Tensor
    """``(M, N, K)``"""
    means: Tensor
    """``(N, K)``"""
    magnitudes: Tensor
    """``(N, K)``, 0 for segments without a score."""
    ranks: Tensor
    """``(N, K)``, from 1; 0 for segments without a rank."""
    order: Tensor
    """``(N, K)``, the labels by rank, then those without one."""


def score_regions(attributions: object, feature_mask: object, score: object, by: object) -> Scored:
    """Validate, and score the segments on the CPU in float64, where sums do not depend on the order of threads."""
    known: Reduction = checked_choice("score", score, get_args(Reduction))
    ranking: Ranking = checked_choice("by", by, get_args(Ranking))
    maps = _checked_maps(attributions, feature_mask)
    mask = check_region_mask(feature_mask, maps.shape[1:]).cpu()
    labels = rank_rows(mask.flatten(1)).view(mask.shape)
    finite = None if is_finite(maps) else maps.isfinite()
    if finite is not None:
        maps = maps.where(finite, 0)
    channels = torch.stack([segment_scores(part.cpu().double(), labels, known) for part in maps])
    present = ~channels[0, :, 0].isnan()
    if finite is not None:
        holes = (~finite).any(dim=0).any(dim=1, keepdim=True).cpu().double()
        channels = channels.masked_fill(segment_scores(holes, labels, "max") > 0, torch.nan)
    totals = _over_channels(channels, known)
    means = totals.mean(dim=0)
    magnitudes = means.abs().nan_to_num(0)
    ranks = _rank(means if ranking == "score" else means.abs())
    last = torch.where(present, ranks.shape[1] + 1, ranks.shape[1] + 2)
    order = torch.argsort(torch.where(ranks > 0, ranks, last), dim=1, stable=True)
    return Scored(mask[:, 0], labels[:, 0], channels, totals, means, magnitudes, ranks, order)


def find_sureness(draws: object, k: object, attributions: Tensor, scored: Scored, score: Reduction) -> Sureness | None:
    """Score the regions in draws, and find how sure these make them; None where there are no draws."""
    if draws is None:
        if k is not None:
            raise ValueError(f"k={k!r} without draws: pass draws=perturbed_attributions(…) too, or leave k out")
        return None
    top = None if k is None else check_top(k)
    known = _scored_pixels(scored, attributions.shape[-1 - scored.labels.ndim :])
    maps = _checked_draws(draws, attributions, known)
    if top is not None:
        _check_top_of_images(top, scored, score, signed=any((each < 0).any() for each in (*maps, attributions)))
    totals = torch.stack([_score_map(part, scored.labels[:, None], score) for part in maps])
    totals = totals.masked_fill(scored.means.isnan(), torch.nan)
    low, high = prediction_interval(scored.means, totals)
    unranked = scored.ranks == 0
    chances = None if top is None else stays_top(totals, top).masked_fill(unranked, torch.nan)
    return Sureness(chances, low.masked_fill(unranked, torch.nan), high.masked_fill(unranked, torch.nan))


def _checked_draws(draws: object, attributions: Tensor, known: Tensor) -> Tensor:
    """Return draws as ``(J, N, C, *spatial)``, zero where the map has no scores."""
    given = getattr(draws, "attributions", draws)
    if not isinstance(given, Tensor) or not given.is_floating_point():
        what = getattr(given, "dtype", f"a {type(given).__name__}")
        raise TypeError(
            "draws must be a floating-point tensor (J, N, C, *spatial), or what perturbed_attributions returns, but "
            f"{what} was passed"
        )
    shape, expected = tuple(given.shape), tuple(attributions.shape)
    if len(expected) > known.ndim:
        raise ValueError(
            f"draws go with one map per image, but attributions of shape {expected} are {expected[0]} maps per image: "
            "pass the map of the network itself"
        )
    if shape[1:] != expected:
        raise ValueError(
            f"draws of shape {shape} do not fit attributions of shape {expected}: pass J draws of these maps, "
            f"{('J', *expected)}".replace("'", "")
        )
    if shape[0] < 2:
        raise ValueError(
            f"draws of shape {shape} are {shape[0]} map{'' if shape[0] == 1 else 's'} per image, which have no spread: "
            f"pass at least 2, better {FEWEST_DRAWS} or more"
        )
    if shape[0] < FEWEST_DRAWS:
        warnings.warn(
            f"{shape[0]} draws are few: {FEWEST_DRAWS} are the least with which what they say was measured, and 12 the "
            "default of perturbed_attributions",
            UserWarning,
            stacklevel=4,
        )
    maps = given.detach().where(known.to(given.device), 0)
    if not is_finite(maps):
        broken = (~maps.isfinite()).flatten(1).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(
            f"draws {listed(broken)} of {shape[0]} hold NaN or infinite values where the map has none: leave these "
            "draws out"
        )
    return maps


def _check_top_of_images(top: int, scored: Scored, score: Reduction, signed: bool) -> None:
    """Raise ValueError where no probability that regions stay among the first of an image is to be had."""
    if signed and score != "abs_mean":
        raise ValueError(
            f"k={top} with score={score!r} of maps that have negative values: the probability that a region stays on "
            'top is not calibrated for signed scores; pass score="abs_mean", or leave k out and have the intervals '
            "alone"
        )
    ranked = (scored.ranks > 0).sum(dim=1)
    few = ((ranked > 0) & (ranked <= top)).nonzero().flatten().tolist()
    if few:
        raise ValueError(
            f"k={top}, but image {few[0]} has only {int(ranked[few[0]])} regions with a rank, which are all among its "
            f"top {top} in any network: pass a smaller k, or more segments"
        )


def _scored_pixels(scored: Scored, shape: torch.Size) -> Tensor:
    """Mark the pixels of the regions that have a score, ``(N, 1, *spatial)``."""
    labels = scored.labels.flatten(1).expand(shape[0], -1)
    return (~scored.means.isnan()).gather(1, labels).view(shape[0], 1, *shape[2:])


def _score_map(maps: Tensor, labels: Tensor, score: Reduction) -> Tensor:
    """Score the regions ``(1 or N, 1, *spatial)`` of finite maps ``(N, C, *spatial)``: ``(N, K)``."""
    return _over_channels(segment_scores(maps.cpu().double(), labels, score)[None], score)[0]


def _rank(values: Tensor) -> Tensor:
    """Rank the values of each row ``(N, K)``, the largest first: equal ones alike, NaN and rows of zeros as 0."""
    known = ~values.isnan()
    known &= (values.nan_to_num(0) != 0).any(dim=1, keepdim=True)
    ordered, order = torch.sort(values.masked_fill(~known, -math.inf), dim=1, descending=True)
    before, after = ordered[:, :-1], ordered[:, 1:]
    lower = before - after > _EQUAL * torch.maximum(before.abs(), after.abs())
    places = torch.arange(values.shape[1], device=values.device).expand_as(values).clone()
    # Members of a group have the place of its first.
    places[:, 1:] = torch.where(lower, places[:, 1:], 0)
    return torch.zeros_like(order).scatter_(1, order, places.cummax(dim=1).values + 1).masked_fill(~known, 0)


def find_ties(ranks: Tensor) -> Tensor:
    """Mark the ranks of each row ``(N, K)`` that occur there more than once; 0 is none."""
    counts = ranks.new_zeros(len(ranks), ranks.shape[1] + 1)
    counts.scatter_add_(1, ranks, torch.ones_like(ranks))
    return (counts.gather(1, ranks) > 1) & (ranks > 0)


def _over_channels(channels: Tensor, score: Reduction) -> Tensor:
    """Make one score of those of the channels, ``(M, N, C, K)`` to ``(M, N, K)``: that of all pixels and channels."""
    if score == "sum":
        return channels.sum(dim=2)
    # All channels of a segment have as many pixels, so that the mean of their means is that of all.
    return channels.amax(dim=2) if score == "max" else channels.mean(dim=2)


def _checked_maps(attributions: object, feature_mask: object) -> Tensor:
    """Return the maps as ``(M, N, C, *spatial)``, whose number of axes the mask decides.

    A mask ``(1 or N, 1, D, H, W)`` is of volumes, one of ``(1 or N, 1, L)`` beside maps ``(N, C, L)`` of series, and
    all others are of images.
    """
    maps = check_attributions(attributions).detach()
    shape = tuple(maps.shape)
    layout = tuple(feature_mask.shape) if isinstance(feature_mask, (Tensor, np.ndarray)) else ()
    axes = 2
    if len(layout) == 5 and len(shape) > 4:
        axes = 3
    elif len(layout) == len(shape) == 3 and layout[1] == 1:
        axes = 1
    if len(shape) not in (axes + 2, axes + 3):
        spatial = {1: "L", 2: "H, W", 3: "D, H, W"}[axes]
        raise ValueError(
            f"attributions of shape {shape} are not maps of {'volumes' if axes == 3 else 'images'}: pass "
            f"(N, C, {spatial}), or (M, N, C, {spatial}) for M maps per image"
        )
    if maps.numel() == 0:
        raise ValueError(f"attributions of shape {shape} hold no pixels: pass at least one map of one image")
    return maps if maps.dim() == axes + 3 else maps[None]
