"""From maps and masks to a ranked table of regions, and to the mask of the most important ones."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer, checked_number
from captum_superpixel._region_table import Region, RegionTable, name_images
from captum_superpixel.feature_masks import check_feature_mask, rank_rows
from captum_superpixel.pooling import Reduction, check_reduction, segment_scores

__all__ = ["Region", "RegionTable", "region_table", "top_regions"]

Ranking = Literal["score", "magnitude"]

_ROUNDING = 1e-12
"""A sum that falls short of what was asked for by less than this share of it, falls short by rounding alone."""


def region_table(
    attributions: Tensor, feature_mask: Tensor, *, reduction: Reduction = "mean", by: Ranking = "score"
) -> RegionTable:
    """List the segments of each image with their place, their score and, over several maps, how far to trust it.

    All images of a batch are in one table; its rows say of which image they are, and are ranked within their image.

    Args:
        attributions: A map of each image, ``(N, C, H, W)``; or M of them, ``(M, N, C, H, W)``, of several models, seeds
            or noise samples. Floating-point, finite.
        feature_mask: Segment ids ``(1 or N, 1, H, W)``, any non-negative int64.
        reduction: What the score of a segment's channel is: ``"mean"`` of its pixels, the value that a grouped map
            shows, and the effect of the segment for methods that perturb segments; ``"sum"``, what the segment adds to
            the total of the map, and so the reduction to choose if shares of a gradient method's attribution are meant;
            ``"abs_mean"``, the mean of the magnitudes; or ``"max"``.
        by: Rank by the signed ``"score"``, evidence for the target first and evidence against it last, or by its
            ``"magnitude"``. Of equal regions, the one with the smaller id comes first.

    Returns:
        A row a segment. ``score`` is the sum of its channels' scores. ``share`` is ``|score|`` over the sum of the
        ``|score|`` of the image, and 0 throughout for a map that is zero. Of several maps, scores are means over the
        maps, and the share and rank are those of the mean score. Numbers are float64 whatever the dtype of the maps.

    Raises:
        TypeError: If the attributions are not floating-point, or the mask is not of integers.
        ValueError: If the shapes do not fit or are not those of images, the mask has ids for each channel or negative
            ones, an attribution is NaN or infinite, or an option is unknown.

    Examples:
        >>> mask = torch.tensor([[[[0, 0, 1, 1], [0, 0, 2, 2]]]])
        >>> maps = torch.tensor([[[[1.0, 1.0, 6.0, 6.0], [1.0, 1.0, -1.0, -1.0]]]])
        >>> print(region_table(maps, mask))
        image  rank  id  area  of image   row  column  rows  columns  score   share
            0     1   1     2    25.0 %  0.00    2.50   0:1      2:4      6  75.0 %
            0     2   0     4    50.0 %  0.50    0.50   0:2      0:2      1  12.5 %
            0     3   2     2    25.0 %  1.00    2.50   1:2      2:4     -1  12.5 %
        >>> first = region_table(torch.stack([maps, 2 * maps, -maps]), mask)[0]
        >>> first.score, round(first.standard_error, 2), round(first.sign_agreement, 2)
        (4.0, 5.29, 0.67)
    """
    scored = _score(attributions, feature_mask, reduction, by)
    count, pixels = len(scored.means), scored.labels[0].numel()
    total = scored.magnitudes.sum(dim=1, keepdim=True)
    shares = (scored.magnitudes / torch.where(total > 0, total, 1)).tolist()
    ids, areas, centroids, boxes = (place.expand(count, *place.shape[1:]).tolist() for place in _locate(scored))
    means, channels = scored.means.tolist(), scored.channels.mean(dim=0).movedim(1, 2).tolist()
    errors, agreement = _spread(scored.totals)
    rows = [
        Region(
            image=n,
            rank=rank,
            id=ids[n][k],
            area=areas[n][k],
            area_share=areas[n][k] / pixels,
            centroid=tuple(centroids[n][k]),
            bounding_box=tuple(boxes[n][k]),
            score=means[n][k],
            channel_scores=tuple(channels[n][k]),
            share=shares[n][k],
            standard_error=errors[n][k] if errors else None,
            sign_agreement=agreement[n][k] if agreement else None,
        )
        for n, order in enumerate(scored.order.tolist())
        for rank, k in enumerate(order, start=1)
        if areas[n][k]  # other images of the batch may have more regions
    ]
    return RegionTable(tuple(rows))


def top_regions(
    attributions: Tensor,
    feature_mask: Tensor,
    *,
    k: int | None = None,
    fraction: float | None = None,
    mass: float | None = None,
    reduction: Reduction = "mean",
    by: Ranking = "score",
) -> Tensor:
    """Mark the most important regions of each image.

    Regions are taken whole, in the order of ``region_table``, until there are enough. Exactly one of ``k``,
    ``fraction`` and ``mass`` says when.

    Args:
        attributions: A map of each image, ``(N, C, H, W)``; or M of them, ``(M, N, C, H, W)``, whose mean score counts.
        feature_mask: Segment ids ``(1 or N, 1, H, W)``, any non-negative int64.
        k: How many regions, from 1 to the number that the image has.
        fraction: Enough to cover at least this share of the image's area, from 0 (none) to 1 (all).
        mass: Enough to hold at least this share of the total, from 0 (none) to 1: of the positive scores for
            ``by="score"``, of the magnitudes of the scores for ``by="magnitude"``; no smaller number of regions holds
            it. Regions that hold nothing are never marked, so an image may have none. Scores are added up as they are:
            choose ``reduction="sum"`` if the share of a gradient method's attribution is meant.
        reduction: What the score of a region is, as in ``region_table``.
        by: What regions are ranked by, as in ``region_table``.

    Returns:
        Boolean tensor ``(N, 1, H, W)`` on the device of the attributions, true inside the regions.

    Raises:
        TypeError: If ``k`` is not an integer, a share not a number, the attributions are not floating-point, or the
            mask is not of integers.
        ValueError: If none or several of ``k``, ``fraction`` and ``mass`` are given, one is out of its range, or
            ``region_table`` would raise it.

    Examples:
        >>> mask = torch.tensor([[[[0, 0, 1, 1], [0, 0, 2, 2]]]])
        >>> maps = torch.tensor([[[[1.0, 1.0, 6.0, 6.0], [1.0, 1.0, -1.0, -1.0]]]])
        >>> top_regions(maps, mask, k=1).int().tolist()
        [[[[0, 0, 1, 1], [0, 0, 0, 0]]]]
        >>> top_regions(maps, mask, fraction=0.5).int().tolist()
        [[[[1, 1, 1, 1], [1, 1, 0, 0]]]]
    """
    criteria = {"k": k, "fraction": fraction, "mass": mass}
    given = [f"{name}={value!r}" for name, value in criteria.items() if value is not None]
    if len(given) != 1:
        raise ValueError(f"{' and '.join(given) or 'nothing'} was given: pass exactly one of k, fraction and mass")
    limit = checked_integer("k", k) if k is not None else 0
    share = _checked_share("fraction", fraction) if fraction is not None else 0.0
    share = _checked_share("mass", mass) if mass is not None else share
    scored = _score(attributions, feature_mask, reduction, by)
    count = len(scored.means)
    areas = _areas(scored.labels, scored.means.shape[1]).expand(count, -1)
    if k is not None:
        present = (areas > 0).sum(dim=1)
        if (present < limit).any():
            few = int((present < limit).nonzero()[0])
            raise ValueError(
                f"k={limit}, but image {few} has only {int(present[few])} regions: ask for at most as many"
            )
        ordered = torch.arange(areas.shape[1]).expand(count, -1) < limit
    else:
        weights = areas.double()
        if mass is not None:
            weights = scored.magnitudes if by == "magnitude" else scored.means.nan_to_num(0).clamp(min=0)
        ordered = _reach(weights.gather(1, scored.order), share)
    chosen = torch.zeros_like(ordered).scatter_(1, scored.order, ordered)
    labels = scored.labels.flatten(1).expand(count, -1)
    marked = chosen.gather(1, labels).view(count, 1, *scored.labels.shape[1:])
    return marked.to(attributions.device)


class _Scored(NamedTuple):
    """K is the largest number of segments of an image; what an image lacks has the score NaN and the last rank."""

    ids: Tensor
    """``(1 or N, H, W)``, as the caller numbered them."""
    labels: Tensor
    """``(1 or N, H, W)``, numbered from 0 in each image."""
    channels: Tensor
    """``(M, N, C, K)``"""
    totals: Tensor
    """``(M, N, K)``"""
    means: Tensor
    """``(N, K)``"""
    magnitudes: Tensor
    """``(N, K)``, 0 for segments that an image lacks."""
    order: Tensor
    """``(N, K)``, the labels by rank."""


def _score(attributions: object, feature_mask: object, reduction: object, by: object) -> _Scored:
    """Validate, and score the segments on the CPU in float64, where sums do not depend on the order of threads."""
    known = check_reduction(reduction)
    if by not in ("score", "magnitude"):
        raise ValueError(f"by={by!r} is unknown: choose 'score' or 'magnitude'")
    maps = _checked_maps(attributions)
    mask = _checked_mask(feature_mask, tuple(maps.shape[1:])).cpu()
    labels = rank_rows(mask.flatten(1)).view(mask.shape)
    channels = torch.stack([segment_scores(part.cpu().double(), labels, known) for part in maps])
    totals = channels.sum(dim=2)
    means = totals.mean(dim=0)
    magnitudes = means.abs().nan_to_num(0)
    ranked = means if by == "score" else means.abs()
    order = torch.argsort(ranked.nan_to_num(-math.inf), dim=1, descending=True, stable=True)
    return _Scored(mask[:, 0], labels[:, 0], channels, totals, means, magnitudes, order)


def _checked_maps(attributions: object) -> Tensor:
    """Return the maps as ``(M, N, C, H, W)``."""
    if not isinstance(attributions, Tensor) or not attributions.is_floating_point():
        what = attributions.dtype if isinstance(attributions, Tensor) else f"a {type(attributions).__name__}"
        raise TypeError(f"attributions must be a floating-point tensor, but {what} was passed")
    shape = tuple(attributions.shape)
    if len(shape) not in (4, 5):
        raise ValueError(
            f"attributions of shape {shape} are not maps of images: pass (N, C, H, W), or (M, N, C, H, W) for M maps "
            "of each image"
        )
    if attributions.numel() == 0:
        raise ValueError(f"attributions of shape {shape} hold no pixels: pass at least one map of one image")
    maps = attributions.detach()
    maps = maps if maps.dim() == 5 else maps[None]
    finite = torch.isfinite(maps).flatten(2).all(dim=2).all(dim=0)
    if not finite.all():
        broken = (~finite).nonzero().flatten().tolist()
        raise ValueError(
            f"the attributions of {name_images(broken)} hold NaN or infinite values, which have no rank: find out "
            "why, or replace them by torch.nan_to_num(attributions)"
        )
    return maps


def _checked_mask(feature_mask: object, shape: tuple[int, ...]) -> Tensor:
    """Return the mask ``(1 or N, 1, H, W)`` of maps of shape ``(N, C, H, W)``."""
    if isinstance(feature_mask, Tensor) and feature_mask.dim() == 5:
        raise ValueError(
            f"feature_mask of shape {tuple(feature_mask.shape)} is that of volumes, but regions are of images: pass "
            "the slices of a volume as a batch, with a mask of shape (1 or N, 1, H, W)"
        )
    mask = check_feature_mask(feature_mask, shape)
    if mask.shape[0] not in (1, shape[0]) or mask.shape[1] != 1:
        raise ValueError(
            f"feature_mask of shape {tuple(mask.shape)} does not fit the maps of shape {shape}: pass "
            f"ids of shape (1 or {shape[0]}, 1, {shape[2]}, {shape[3]})"
        )
    return mask


def _checked_share(name: str, value: object) -> float:
    number = checked_number(name, value)
    if number > 1:
        raise ValueError(f"{name} is a share from 0 to 1, but {number:g} was passed: for a percentage, divide by 100")
    return number


def _areas(labels: Tensor, count: int) -> Tensor:
    """Count the pixels of each segment: ``(B, H, W)`` to ``(B, count)``."""
    flat = labels.flatten(1)
    return torch.zeros(len(flat), count, dtype=torch.long).scatter_add_(1, flat, torch.ones_like(flat))


def _locate(scored: _Scored) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find ids ``(B, K)``, areas ``(B, K)``, centroids ``(B, K, 2)`` and bounding boxes ``(B, K, 4)`` of segments."""
    labels = scored.labels.flatten(1)
    batch, (height, width) = len(labels), scored.labels.shape[1:]
    blank = torch.zeros(batch, scored.means.shape[1], dtype=torch.long)
    areas = _areas(scored.labels, blank.shape[1])
    ids = blank.scatter(1, labels, scored.ids.flatten(1))
    grid = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    steps = [axis.flatten().expand(batch, -1) for axis in grid]
    sums = [blank.scatter_add(1, labels, step) for step in steps]
    lows = [blank.scatter_reduce(1, labels, step, "amin", include_self=False) for step in steps]
    highs = [blank.scatter_reduce(1, labels, step, "amax", include_self=False) + 1 for step in steps]
    centroids = torch.stack(sums, dim=2) / areas[..., None].clamp(min=1).double()
    return ids, areas, centroids, torch.stack(lows + highs, dim=2)


def _spread(totals: Tensor) -> tuple[list[list[float]], list[list[float]]]:
    """Find standard errors and sign agreements ``(N, K)`` of scores ``(M, N, K)``; nothing for a single map."""
    count = len(totals)
    if count == 1:
        return [], []
    errors = totals.std(dim=0) / math.sqrt(count)
    signs = torch.stack([(totals.sign() == sign).sum(dim=0) for sign in (-1, 0, 1)])
    return errors.tolist(), (signs.amax(dim=0).double() / count).tolist()


def _reach(weights: Tensor, share: float) -> Tensor:
    """Mark the first of each row ``(N, K)`` that add up to this share of the row, and no more than are needed."""
    sums = weights.cumsum(dim=1)
    before = torch.cat([torch.zeros_like(sums[:, :1]), sums[:, :-1]], dim=1)
    return before < share * (1 - _ROUNDING) * sums[:, -1:]
