"""The regions of one picture in the order of their scores, and where in each of them a number can stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from captum_superpixel._untyped import distance_transform_edt
from captum_superpixel.pooling import Reduction
from captum_superpixel.regions import Ranking, Region, RegionTable, region_table
from captum_superpixel.visualization.images import FloatArray

__all__ = ["inner_point", "list_regions", "ranked_regions"]


def ranked_regions(
    values: FloatArray, mask: npt.NDArray[np.int64], by: Ranking, score: Reduction = "mean"
) -> list[Region]:
    """List the regions that have a rank: those that hold no NaN, unless all scores are 0.

    Args:
        values: ``(H, W)``, may hold NaN.
        mask: Segment ids ``(H, W)``.
        by: What to rank by, as in :func:`~captum_superpixel.region_table`.
        score: What the score of a region is, as there.

    Returns:
        The regions, the most important first, as in ``region_table``.

    Raises:
        ValueError: If ``by`` or ``score`` is unknown.

    Examples:
        >>> mask = np.array([[4, 4, 7, 7, 9]])
        >>> [region.id for region in ranked_regions(np.array([[1.0, np.nan, 2.0, 2.0, 3.0]]), mask, "score")]
        [9, 7]
    """
    # Sums of the largest numbers overflow. A power of two takes no digit from any number.
    power = float(np.ldexp(1.0, np.frexp(np.nanmax(np.abs(values), initial=0.0))[1] - 1))
    ranked = [region for region in list_regions(values / power, mask, by, score) if region.rank is not None]
    return [replace(region, score=power * region.score, channel_scores=(power * region.score,)) for region in ranked]


def list_regions(
    values: FloatArray, mask: npt.NDArray[np.int64], by: Ranking, score: Reduction = "mean"
) -> RegionTable:
    """Make the table of all regions of one picture, from its map ``(H, W)`` and its mask ``(H, W)``."""
    maps, masks = torch.from_numpy(values)[None, None], torch.from_numpy(mask)[None, None]
    return region_table(maps, masks, score=score, by=by)


def inner_point(mask: npt.NDArray[np.int64], region: Region) -> tuple[float, float]:
    """Find where a number stands best in a region: the pixel that is farthest from the region's border.

    The centroid would not do: that of a ring lies outside it.

    Args:
        mask: Segment ids ``(H, W)``.
        region: One of them.

    Returns:
        Its row and its column; of several, the one nearest to the centroid.

    Examples:
        >>> ring = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 1, 1], [1, 1, 1, 1, 1]])
        >>> region = next(region for region in list_regions(ring.astype(float), ring, "score") if region.id == 1)
        >>> inner_point(ring, region)
        (1.0, 3.0)
    """
    top, left, bottom, right = region.bounding_box
    inside = np.pad(mask[top:bottom, left:right] == region.id, 1)
    depth = distance_transform_edt(inside)[1:-1, 1:-1]
    rows, columns = np.nonzero(depth >= depth.max() - 1e-9)
    offsets = (rows + top - region.centroid[0]) ** 2 + (columns + left - region.centroid[1]) ** 2
    nearest = int(offsets.argmin())
    return float(rows[nearest] + top), float(columns[nearest] + left)
