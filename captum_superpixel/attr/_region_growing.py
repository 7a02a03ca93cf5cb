"""XRAI's region growing on one image: which of many overlapping regions to add next, by the density of attribution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from captum_superpixel._untyped import csr_array, find_objects, maximum_filter1d

_REDUCTION_ERROR = 64
"""NumPy's pairwise sum of n values is off by at most (16 + log2 n) roundings of the sum of the magnitudes."""


@dataclass(frozen=True)
class Regions:
    """Overlapping sets of pixels of one image, none of them empty, in the order in which ties are decided.

    Args:
        pixels: Flat indices of each region's pixels, ascending within a region, one region after the other: ``(L,)``.
        starts: Where each of the M regions begins in ``pixels``, and at last L: ``(M + 1,)``.
        shape: ``(H, W)`` of the image.
    """

    pixels: NDArray[np.int64]
    starts: NDArray[np.int64]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def split(self) -> list[NDArray[np.int64]]:
        """The pixels of each region."""
        return np.split(self.pixels, self.starts[1:-1])

    @classmethod
    def from_labels(cls, segmentations: Iterable[NDArray[np.integer]], dilation_radius: int = 0) -> Regions:
        """Take every segment of every segmentation as a region, in ascending order of the ids.

        Args:
            segmentations: At least one array of segment ids, each of shape ``(H, W)``.
            dilation_radius: By how many pixels each segment grows over its neighbors, as a disk; 0 for none.

        Returns:
            The regions; those of a dilated segmentation overlap.

        Examples:
            >>> [region.tolist() for region in Regions.from_labels([np.array([[4, 4, 9]])]).split()]
            [[0, 1], [2]]
            >>> [region.tolist() for region in Regions.from_labels([np.array([[4, 4, 9]])], 1).split()]
            [[0, 1, 2], [1, 2]]
        """
        pixels: list[NDArray[np.int64]] = []
        sizes: list[NDArray[np.int64]] = []
        for labels in segmentations:
            shape = (labels.shape[0], labels.shape[1])
            order = np.argsort(labels, axis=None, kind="stable")
            ordered = labels.ravel()[order]
            begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
            counts = np.diff(begins, append=labels.size)
            if dilation_radius:
                ranks = np.empty(labels.size, dtype=np.int64)
                ranks[order] = np.repeat(np.arange(1, len(begins) + 1), counts)
                grown = dilate(ranks.reshape(shape), dilation_radius)
                pixels += grown
                sizes.append(np.array([len(region) for region in grown]))
            else:
                pixels.append(order)
                sizes.append(counts)
        return cls(np.concatenate(pixels), np.concatenate([[0], *sizes]).cumsum(), shape)


def dilate(labels: NDArray[np.int64], radius: int) -> list[NDArray[np.int64]]:
    """Grow every segment over its neighbors, by all pixels within a distance.

    Args:
        labels: Ids from 1 to K, all of them present: ``(H, W)``.
        radius: Distance in pixels, at least 1.

    Returns:
        Ascending flat indices of the pixels of each of the K grown segments.
    """
    width = labels.shape[1]
    reach = [isqrt(radius**2 - row**2) for row in range(radius + 1)]
    grown = []
    for index, (rows, columns) in enumerate(find_objects(labels), start=1):
        top, left = max(rows.start - radius, 0), max(columns.start - radius, 0)
        crop = labels[top : rows.stop + radius, left : columns.stop + radius] == index
        wide = {r: maximum_filter1d(crop.view(np.uint8), 2 * r + 1, axis=1, mode="constant") for r in set(reach)}
        result = wide[reach[0]].copy()
        for row in range(1, min(radius + 1, len(crop))):
            result[row:] |= wide[reach[row]][:-row]
            result[:-row] |= wide[reach[row]][row:]
        y, x = np.nonzero(result)
        grown.append((y + top) * width + (x + left))
    return grown


def grow_in_turn(
    values: NDArray[np.floating], regions: Regions, area_threshold: float = 1.0, min_pixel_diff: int = 50
) -> NDArray[np.floating]:
    """Add regions one by one, each time the one whose yet uncovered pixels have the largest mean ("full" XRAI).

    Equal means are decided by the order of the regions. Means are those of NumPy over the pixels in the order of the
    image, in the type of the values, so that the choices are those of the plain algorithm to the last bit. But only
    few of them are computed: running sums, with bounds on their error, tell which regions can be the best.

    Args:
        values: Attribution of each pixel, finite: ``(H * W,)``.
        regions: M regions.
        area_threshold: Stop once a larger fraction of the image is covered, in (0, 1].
        min_pixel_diff: Leave out regions that would add fewer pixels.

    Returns:
        ``(H * W,)``: the mean that each pixel was added with; what no region covered gets its own mean.
    """
    owners, begins = _owners(regions)
    left = regions.split()
    remaining = np.diff(regions.starts)
    exactly = values.astype(np.float64)
    sums = np.add.reduceat(exactly[regions.pixels], regions.starts[:-1])
    magnitudes = np.add.reduceat(np.abs(exactly)[regions.pixels], regions.starts[:-1])
    drift = np.finfo(np.float64).eps * (values.size + len(regions)) * magnitudes
    rounding = _REDUCTION_ERROR * np.finfo(values.dtype).eps

    means = np.empty(len(regions), dtype=values.dtype)
    stale = np.ones(len(regions), dtype=bool)
    covered = np.zeros(values.size, dtype=bool)
    result = np.empty_like(values)
    alive = np.arange(len(regions))
    area = 0
    while area / values.size <= area_threshold:
        # A region without new pixels has no mean, so at least one is needed even where 0 are asked for.
        alive = alive[remaining[alive] >= max(min_pixel_diff, 1)]
        if not len(alive):
            break
        about = sums[alive] / remaining[alive]
        slack = (rounding * magnitudes[alive] + drift[alive]) / remaining[alive]
        candidates = alive[about + slack >= (about - slack).max()]
        for index in candidates[stale[candidates]]:
            left[index] = left[index][~covered[left[index]]]
            means[index] = values[left[index]].mean()
        stale[candidates] = False
        best = candidates[means[candidates].argmax()]
        added = left[best]
        result[added] = means[best]
        covered[added] = True
        area += len(added)

        owner, repeats = _take(owners, begins, added)
        lost = np.repeat(exactly[added], repeats)
        counts = np.bincount(owner, minlength=len(regions))
        remaining = remaining - counts
        sums -= np.bincount(owner, lost, len(regions))
        magnitudes -= np.bincount(owner, np.abs(lost), len(regions))
        stale |= counts > 0
    return _fill(result, values, covered)


def grow_ranked(values: NDArray[np.floating], regions: Regions, min_pixel_diff: int = 50) -> NDArray[np.floating]:
    """Add regions in descending order of the mean over all of their pixels, overlaps or not ("fast" XRAI).

    Args:
        values: Attribution of each pixel, finite: ``(H * W,)``.
        regions: M regions.
        min_pixel_diff: Leave out regions that would add fewer pixels.

    Returns:
        ``(H * W,)``: the mean over the pixels that were added together; what no region covered gets its own mean.
    """
    parts = regions.split()
    means = np.array([values[part].mean() for part in parts])
    covered = np.zeros(values.size, dtype=bool)
    result = np.empty_like(values)
    for index in np.argsort(-means, kind="stable"):
        added = parts[index][~covered[parts[index]]]
        if len(added) >= max(min_pixel_diff, 1):
            result[added] = values[added].mean()
            covered[added] = True
    return _fill(result, values, covered)


def _owners(regions: Regions) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """Which regions hold each pixel: their indices, pixel by pixel, and where each pixel's begin."""
    size = regions.shape[0] * regions.shape[1]
    entries = np.ones(len(regions.pixels), dtype=bool)
    matrix = csr_array((entries, regions.pixels, regions.starts), shape=(len(regions), size)).tocsc()
    return matrix.indices, matrix.indptr


def _take(
    owners: NDArray[np.integer], begins: NDArray[np.integer], pixels: NDArray[np.int64]
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """The owners of some pixels, one pixel after the other, and how many each has."""
    lengths = begins[pixels + 1] - begins[pixels]
    ends = np.cumsum(lengths)
    places = np.arange(ends[-1]) + np.repeat(begins[pixels] - ends + lengths, lengths)
    return owners[places], lengths


def _fill(
    result: NDArray[np.floating], values: NDArray[np.floating], covered: NDArray[np.bool_]
) -> NDArray[np.floating]:
    """Give the pixels that no region covered their own mean."""
    if not covered.all():
        result[~covered] = values[~covered].mean()
    return result
