"""The regions of an ensemble's own map: connected ones, each of pixels that have about the same value in it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import checked_integer
from captum_superpixel._untyped import Floats, label
from captum_superpixel.feature_masks import MaskLike, check_region_mask
from captum_superpixel.pooling import check_attributions

__all__ = ["ensemble_regions"]

_SPECK = 30
"""How many times smaller than the mean a region is from which on it is a speck. Larger ones that are left by Ward's
criterion have the strongest colors of the map, and a reader would miss them in the list."""
_ROUNDING = 1e-12
"""Two parts whose joining costs less than this share of the map's variation hold the same value."""

Labels = NDArray[np.int64]


def ensemble_regions(attributions: Tensor, feature_masks: Sequence[MaskLike], n_regions: int | None = None) -> Tensor:
    """Find the regions of maps that are means over several segmentations.

    The map of an ensemble shows the segments of none of its members: it is constant only where all of them agree, on
    connected components that are far too many and too small to be listed. These are joined, neighbor to neighbor,
    always the two whose joining changes the map least when each region is given its mean (Ward's criterion), until
    there are ``n_regions``. When twice as many are left, those smaller than a thirtieth of the mean area of
    ``n_regions`` join the neighbor of the nearest value. The borders of the regions are therefore where the map changes
    most, and along the borders of the members' segments.

    Args:
        attributions: Maps ``(N, C, H, W)``, of which the mean over the channels counts. Floating-point. Those of
            volumes are ``(N, C, D, H, W)``, of series ``(N, C, L)``.
        feature_masks: The segment ids of each of the M members of the ensemble, ``(1 or N, 1, *spatial)`` each.
        n_regions: How many regions at most; None for the median of the members' numbers of segments in each image, of
            an even number of members the lower of the middle two. Neighbors of equal value are one region, so a map may
            have fewer: one that is zero has one.

    Returns:
        Region ids ``(N, 1, *spatial)`` int64 on the device of the attributions, numbered from 0 in reading order in
        each image, each region connected. Pixels that are NaN or infinite share no region with others.

    Raises:
        TypeError: If the attributions are not floating-point, a mask is not of integers, or ``n_regions`` is not.
        ValueError: If the shapes do not fit, there is no mask, or ``n_regions`` is below 1.

    References:
        Ward, "Hierarchical grouping to optimize an objective function", Journal of the American Statistical
        Association 58 (1963), doi:10.1080/01621459.1963.10500845.

    Examples:
        >>> halves, thirds = torch.tensor([[[[0, 0, 0, 1, 1, 1]]]]), torch.tensor([[[[0, 0, 1, 1, 2, 2]]]])
        >>> maps = torch.tensor([[[[4.0, 4.0, 3.5, -1.0, -1.2, -1.2]]]])
        >>> ensemble_regions(maps, [halves, thirds]).tolist()
        [[[[0, 0, 0, 1, 1, 1]]]]
    """
    shape = tuple(check_attributions(attributions).shape)
    if len(shape) not in (3, 4, 5) or not attributions.numel():
        raise ValueError(f"attributions of shape {shape} are no maps of images: pass (N, C, H, W)")
    # Typed loosely: a tensor has the methods of a sequence, and would be taken for one mask per image.
    given: object = feature_masks
    if isinstance(given, (Tensor, np.ndarray)) or not len(feature_masks):
        raise ValueError("feature_masks must be a list of one mask per member of the ensemble, of at least one")
    limit = None if n_regions is None else checked_integer("n_regions", n_regions)
    masks = [check_region_mask(mask, shape) for mask in feature_masks]
    values = attributions.detach().cpu().double().mean(dim=1).numpy()
    found = [
        _join(image, [mask[n % len(mask), 0].cpu().numpy() for mask in masks], limit) for n, image in enumerate(values)
    ]
    return torch.from_numpy(np.stack(found))[:, None].to(attributions.device)


def _join(values: Floats, masks: list[NDArray[np.int64]], limit: int | None) -> Labels:
    """Find the regions of one image, from its map ``(*spatial)`` and the members' ids ``(*spatial)``."""
    if limit is None:
        counts = sorted(len(np.unique(mask)) for mask in masks)
        limit = counts[(len(counts) - 1) // 2]
    finite = np.isfinite(values)
    components = _overlay([*masks, finite.astype(np.int64)])
    areas = np.bincount(components.ravel())
    means = np.bincount(components.ravel(), np.where(finite, values, 0).ravel()) / areas
    parts = _Parts(areas.tolist(), means.tolist(), _touching(components), _first(finite, components, len(areas)))
    spread = float(np.square(values[finite] - values[finite].mean()).sum()) if finite.any() else 0.0
    # Specks join when some regions are still to be joined, so that no fewer than asked for are left in the end.
    parts.join_nearest(2 * limit, _ROUNDING * spread)
    parts.join_specks(math.ceil(values.size / (_SPECK * limit)))
    parts.join_nearest(limit, _ROUNDING * spread)
    _, first, numbers = np.unique(parts.roots()[components], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[numbers].reshape(values.shape)


def _overlay(masks: list[NDArray[np.int64]]) -> Labels:
    """Number the connected components on which all masks ``(*spatial)`` are constant, from 0."""
    joint = np.zeros(masks[0].size, dtype=np.int64)
    for mask in masks:
        ids, labels = np.unique(mask, return_inverse=True)
        joint = np.unique(joint * len(ids) + labels.ravel(), return_inverse=True)[1].ravel()
    found = label(joint.reshape(masks[0].shape), connectivity=1, background=-1)
    components: Labels = np.asarray(found, dtype=np.int64) - 1
    return components


def _touching(components: Labels) -> set[tuple[int, int]]:
    """List the pairs of components that share an edge of a pixel or a face of a voxel, the lower number first."""
    found = []
    for axis in range(components.ndim):
        along = np.moveaxis(components, axis, 0)
        apart = along[:-1] != along[1:]
        found.append(np.stack([along[:-1][apart], along[1:][apart]], axis=1))
    both = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return {(int(low), int(high)) for low, high in both}


def _first(values: NDArray[np.bool_], components: Labels, count: int) -> list[bool]:
    """Take of each component the value that its pixels share."""
    shared = np.zeros(count, dtype=np.bool_)
    shared[components.ravel()] = values.ravel()
    return shared.tolist()


class _Parts:
    """Components of one image that become fewer by joining neighbors.

    Args:
        areas: Pixels of each.
        means: Mean of the map over each.
        pairs: Those that touch.
        finite: Whether each holds finite values; those that do not join only their like.
    """

    def __init__(self, areas: list[int], means: list[float], pairs: set[tuple[int, int]], finite: list[bool]) -> None:
        self.areas, self.means = areas, means
        self.count = len(areas)
        self._parents = list(range(len(areas)))
        self._neighbors: list[set[int]] = [set() for _ in areas]
        for one, other in pairs:
            if finite[one] == finite[other]:
                self._neighbors[one].add(other)
                self._neighbors[other].add(one)

    def join_nearest(self, limit: int, negligible: float) -> None:
        """Join the two whose joining costs least, until ``limit`` are left and every joining would cost something."""
        heap = [
            (self._cost(one, two), one, two) for one, near in enumerate(self._neighbors) for two in near if one < two
        ]
        heapq.heapify(heap)
        while heap:
            cost, one, two = heapq.heappop(heap)
            if self.count <= limit and cost > negligible:
                return
            # Costs of parts that have changed meanwhile stand in the heap anew.
            if two in self._neighbors[one] and cost == self._cost(one, two):
                self._join(one, two)
                for other in self._neighbors[one]:
                    heapq.heappush(heap, (self._cost(one, other), min(one, other), max(one, other)))

    def join_specks(self, least: int) -> None:
        """Let those with fewer than ``least`` pixels join the neighbor of the nearest mean, the smallest first."""
        heap = [(self.areas[part], part) for part in range(len(self.areas)) if self._parents[part] == part]
        heapq.heapify(heap)
        while heap:
            area, part = heapq.heappop(heap)
            if area >= least:
                return
            if self._parents[part] != part or area != self.areas[part] or not self._neighbors[part]:
                continue
            nearest = min(self._neighbors[part], key=lambda other: (abs(self.means[other] - self.means[part]), other))
            self._join(nearest, part)
            heapq.heappush(heap, (self.areas[nearest], nearest))

    def roots(self) -> Labels:
        """Tell which part each component has become a part of."""
        roots = np.array(self._parents)
        while (roots[roots] != roots).any():
            roots = roots[roots]
        return roots

    def _cost(self, one: int, two: int) -> float:
        """By how much the squared differences of the pixels from the mean of their part add up to more."""
        areas = self.areas[one], self.areas[two]
        difference: float = self.means[one] - self.means[two]
        return areas[0] * areas[1] / (areas[0] + areas[1]) * difference**2

    def _join(self, one: int, two: int) -> None:
        """Make the second a part of the first."""
        area = self.areas[one] + self.areas[two]
        self.means[one] += (self.means[two] - self.means[one]) * (self.areas[two] / area)
        self.areas[one] = area
        self._parents[two] = one
        self.count -= 1
        for other in self._neighbors[two]:
            self._neighbors[other].discard(two)
            if other != one:
                self._neighbors[other].add(one)
                self._neighbors[one].add(other)
        self._neighbors[two] = set()
