"""From maps and masks to a ranked table of regions, and to the mask of the most important ones."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer, checked_share
from captum_superpixel._untyped import find_objects
from captum_superpixel.feature_masks import MaskLike
from captum_superpixel.pooling import Reduction, segment_scores
from captum_superpixel.regions.scores import Draws, Ranking, Sureness, find_sureness, find_ties, score_regions
from captum_superpixel.regions.table import Region, RegionTable, name_score

__all__ = ["region_table", "top_regions"]

_ROUNDING = 1e-12
"""A sum that is smaller than what was asked for by less than this share of it is so by rounding alone."""


def region_table(
    attributions: Tensor,
    feature_mask: MaskLike,
    *,
    score: Reduction = "mean",
    by: Ranking = "score",
    draws: Draws | None = None,
    k: int | None = None,
) -> RegionTable:
    """List the segments of each image: where they lie, their scores, and how sure several maps or draws make these.

    One table holds all images of a batch: each row names its image, and is ranked within it. Ranks say only what scores
    say: equal scores share a rank (1, 2, 2, 4), a region that holds a NaN or infinite value has neither score nor rank,
    and where all scores of an image are 0 none of its regions has a rank. The table says so when it is printed.

    Args:
        attributions: A map per image, ``(N, C, H, W)``, or M maps per image, ``(M, N, C, H, W)``, from several models,
            seeds or noise samples. Floating-point; NaN and infinite values cost the regions that hold them, in any
            of the maps, their score. Maps of volumes, ``(N, C, D, H, W)`` or ``(M, N, C, D, H, W)``, go with a mask of
            volumes, and those of series, ``(N, C, L)``, with one of series.
        feature_mask: Segment ids ``(1 or N, 1, H, W)``, any non-negative int64, as tensor or NumPy array; ``(H, W)`` is
            one mask for all images, ``(N, H, W)`` one each unless N is C. For volumes ``(1 or N, 1, D, H, W)``, and for
            series ``(1 or N, 1, L)``, with all these axes.
        score: What the score of a segment is, over its pixels and all C channels: ``"mean"``, which for methods that
            perturb segments is the effect of the segment, since their maps hold the whole effect in every pixel and
            channel (FeatureAblation: f(x) - f(x without the segment); Shapley values add up to f(x) - f(baseline));
            ``"sum"``, what the segment adds to the sum of the map (IntegratedGradients' add up to the difference of
            the outputs); ``"abs_mean"``, the mean of the magnitudes; or ``"max"``, the largest value with its sign.
        by: Rank by the signed ``"score"``, evidence for the target first and evidence against it last, or by its
            ``"magnitude"``. Regions of equal rank stand in the order of their ids, and those without a rank last.
        draws: What ``perturbed_attributions`` returns for the images, or its maps ``(J, N, C, H, W)``: what the maps
            might have been, had training gone otherwise. Each region then has an ``interval`` in which its score lies
            in an independently trained network, in 95 % of cases. At least 2, better 12; fewer than 8 are warned of.
        k: With draws, each region also has ``stays_top``, the probability that it is among the top k of an
            independently trained network. From 2 to the number of regions less 1; for the first region alone the
            probability is overconfident. Only of maps without negative values, or for ``score="abs_mean"``: by signed
            scores it ranks regions less well, and over all regions its calibration error was about twice as large.

    Returns:
        One row per segment. ``rank`` is None where there is none; ``score``, and what else follows from the map, is NaN
        in the regions without a score, which are left out of the shares of the others. ``share`` is the magnitude of
        the score over the summed magnitudes of the scores of all segments of the image, and 0 throughout for a map that
        is zero; it is the share of a gradient method's attribution for ``score="sum"`` alone, since a mean does not
        count how large a segment is. ``channel_scores`` are the scores of each channel by itself. For several maps,
        scores are means over the maps, and shares and ranks are those of the mean scores. ``stays_top`` and
        ``interval`` are those of :mod:`captum_superpixel.regions.confidence`, and NaN for regions without a rank; how
        well they are calibrated, the printed table says. Numbers are float64 whatever the dtype of the maps.

    Raises:
        TypeError: If the attributions or the draws are not floating-point, the mask is not of integers, or ``k`` is
            not an integer.
        ValueError: If the shapes do not fit or are not those of images, the mask has several channels or negative ids,
            or an option is unknown; if there are fewer than 2 draws, or NaN in them; if ``k`` is below 2, an image has
            no more regions than that, scores are signed, or there are no draws.

    Warns:
        UserWarning: If there are fewer than 8 draws.

    Examples:
        >>> mask = torch.tensor([[[[0, 0, 1, 1], [0, 0, 2, 2]]]])
        >>> maps = torch.tensor([[[[1.0, 1.0, 6.0, 6.0], [1.0, 1.0, -1.0, -1.0]]]])
        >>> print(region_table(maps, mask))
        image  rank  id  area  of image   row  column  rows  columns  mean attribution   share
            0     1   1     2    25.0 %  0.00    2.50   0:1      2:4                 6  75.0 %
            0     2   0     4    50.0 %  0.50    0.50   0:2      0:2                 1  12.5 %
            0     3   2     2    25.0 %  1.00    2.50   1:2      2:4                -1  12.5 %
        share: of the summed magnitudes of all regions' scores
        >>> first = region_table(torch.stack([maps, 2 * maps, -maps]), mask)[0]
        >>> first.score, round(first.standard_error, 2), round(first.sign_agreement, 2)
        (4.0, 5.29, 0.67)
        >>> draws = maps + torch.randn(12, 1, 1, 2, 4, generator=torch.Generator().manual_seed(0))
        >>> table = region_table(maps, mask, score="abs_mean", draws=draws, k=2)
        >>> print([f"{region.id}: {region.stays_top:.2f}" for region in table])
        ['1: 1.00', '0: 0.53', '2: 0.47']
    """
    scored = score_regions(attributions, feature_mask, score, by)
    sure = find_sureness(draws, k, attributions, scored, score)
    places = [_locate(*image) for image in zip(scored.ids.numpy(), scored.labels.numpy(), strict=True)]
    pixels = scored.labels[0].numel()
    total = scored.magnitudes.sum(dim=1, keepdim=True)
    shares = (scored.means.abs() / torch.where(total > 0, total, 1)).tolist()
    ranks, tied = scored.ranks.tolist(), find_ties(scored.ranks).tolist()
    means, channels = scored.means.tolist(), scored.channels.mean(dim=0).movedim(1, 2).tolist()
    errors, agreement = _spread(scored.totals)
    chances, lows, highs = _as_lists(sure)
    rows = []
    for n, order in enumerate(scored.order.tolist()):
        image_places = places[n % len(places)]
        # Other images of the batch may have more regions; what this one lacks comes last.
        for place in order[: len(image_places)]:
            id_, area, centroid, bounding_box = image_places[place]
            rows.append(
                Region(
                    image=n,
                    rank=ranks[n][place] or None,
                    id=id_,
                    area=area,
                    area_share=area / pixels,
                    centroid=centroid,
                    bounding_box=bounding_box,
                    score=means[n][place],
                    channel_scores=tuple(channels[n][place]),
                    share=shares[n][place],
                    standard_error=errors[n][place] if errors else None,
                    sign_agreement=agreement[n][place] if agreement else None,
                    tied=tied[n][place],
                    stays_top=chances[n][place] if chances else None,
                    interval=(lows[n][place], highs[n][place]) if lows else None,
                )
            )
    return RegionTable(tuple(rows), name_score(score), k)


def top_regions(
    attributions: Tensor,
    feature_mask: MaskLike,
    *,
    k: int | None = None,
    fraction: float | None = None,
    mass: float | None = None,
    score: Reduction = "mean",
    by: Ranking = "score",
) -> Tensor:
    """Mark the most important regions of each image.

    Regions are taken whole, in the order of ``region_table``, until there are enough. Exactly one of ``k``,
    ``fraction`` and ``mass`` says when. Regions without a rank, such as those that hold a NaN or infinite value and all
    of a map that is zero, are never marked, so that there may be fewer than asked for. Where only some of several
    regions of equal rank are needed, those with the smaller ids are taken.

    Args:
        attributions: A map per image, ``(N, C, H, W)``, or M maps per image, ``(M, N, C, H, W)``, whose mean scores
            count; maps of volumes and series as in ``region_table``.
        feature_mask: Segment ids ``(1 or N, 1, *spatial)``, as in ``region_table``.
        k: How many regions, from 1 to the number that the image has; fewer are marked if fewer have a rank.
        fraction: Enough to cover at least this share of the image's area, from 0 (none) to 1 (all).
        mass: Enough to hold at least this share of the total, from 0 (none) to 1: of the positive scores for
            ``by="score"``, of the magnitudes of the scores for ``by="magnitude"``; no more regions are marked than that
            takes. Regions that hold nothing are never marked, so an image may have none. Scores are added up as they
            are: choose ``score="sum"`` if the share of a gradient method's attribution is meant.
        score: What the score of a region is, as in ``region_table``.
        by: What regions are ranked by, as in ``region_table``.

    Returns:
        Boolean tensor ``(N, 1, *spatial)`` on the device of the attributions, true inside the regions.

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
    share = checked_share("fraction", fraction) if fraction is not None else 0.0
    share = checked_share("mass", mass) if mass is not None else share
    scored = score_regions(attributions, feature_mask, score, by)
    count = len(scored.means)
    ones = torch.ones_like(scored.labels[:, None], dtype=torch.float64)
    areas = segment_scores(ones, scored.labels[:, None], "sum")[:, 0].nan_to_num(0).expand(count, -1)
    if k is not None:
        present = (areas > 0).sum(dim=1)
        short = present < min(limit, areas.shape[1] + 1)  # tensors hold no larger integers than theirs
        if short.any():
            few = int(short.nonzero()[0])
            raise ValueError(
                f"k={limit}, but image {few} has only {int(present[few])} regions: ask for at most as many"
            )
        ordered = torch.arange(areas.shape[1], device=areas.device).expand(count, -1) < limit
    else:
        weights = areas
        if mass is not None:
            weights = scored.magnitudes if by == "magnitude" else scored.means.nan_to_num(0).clamp(min=0)
        ordered = _reach(weights.gather(1, scored.order), share)
    chosen = torch.zeros_like(ordered).scatter_(1, scored.order, ordered) & (scored.ranks > 0)
    labels = scored.labels.flatten(1).expand(count, -1)
    marked = chosen.gather(1, labels).view(count, 1, *scored.labels.shape[1:])
    return marked.to(attributions.device)


_Place = tuple[int, int, tuple[float, ...], tuple[int, ...]]
"""Id, area, centroid and bounding box."""


def _locate(ids: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> list[_Place]:
    """Find where the segments of one image lie, from their ids ``(*spatial)`` and their labels ``(*spatial)``."""
    # skimage.measure.regionprops finds the same, but takes five times as long for 100 segments of 224 x 224 pixels.
    flat = labels.ravel()
    areas = np.bincount(flat)
    # Axis by axis: the indices of a large volume along all of them would take gigabytes.
    places = (np.arange(length).reshape(-1, *[1] * after) for after, length in enumerate(reversed(labels.shape)))
    means = [np.bincount(flat, np.broadcast_to(place, labels.shape).ravel()) / areas for place in places]
    boxes = [(*(side.start for side in sides), *(side.stop for side in sides)) for sides in find_objects(labels + 1)]
    centroids = zip(*(mean.tolist() for mean in reversed(means)), strict=True)
    return list(zip(np.unique(ids).tolist(), areas.tolist(), centroids, boxes, strict=True))


def _spread(totals: Tensor) -> tuple[list[list[float]], list[list[float]]]:
    """Find standard errors and sign agreements ``(N, K)`` of scores ``(M, N, K)``; empty lists for a single map."""
    count = len(totals)
    if count == 1:
        return [], []
    errors = totals.std(dim=0) / math.sqrt(count)
    signs = torch.stack([(totals.sign() == sign).sum(dim=0) for sign in (-1, 0, 1)])
    agreement = signs.amax(dim=0).double() / count
    return errors.tolist(), agreement.masked_fill(errors.isnan(), torch.nan).tolist()


def _as_lists(sure: Sureness | None) -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """Take probabilities, lower and upper bounds ``(N, K)`` apart; empty lists for what there is not."""
    if sure is None:
        return [], [], []
    return [] if sure.stays_top is None else sure.stays_top.tolist(), sure.low.tolist(), sure.high.tolist()


def _reach(weights: Tensor, share: float) -> Tensor:
    """Mark as few as possible of the first in each row ``(N, K)`` that add up to this share of the row's sum."""
    sums = weights.cumsum(dim=1)
    before = torch.cat([torch.zeros_like(sums[:, :1]), sums[:, :-1]], dim=1)
    return before < share * (1 - _ROUNDING) * sums[:, -1:]
