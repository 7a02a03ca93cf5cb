"""Merges the connected pieces of an image into a given number of connected segments."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from captum_superpixel._untyped import label


def connected_pieces(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number the connected pieces of a segmentation, so that no number stands in two separate places.

    Args:
        labels: Non-negative labels of shape ``(*spatial)``.

    Returns:
        Pieces ``(*spatial)``, numbered from 0 without gaps. Pixels touch where they share an edge (voxels: a face).

    Examples:
        >>> connected_pieces(np.array([[5, 0, 5], [5, 0, 5]])).tolist()
        [[0, 1, 2], [0, 1, 2]]
    """
    return np.asarray(label(labels, connectivity=1, background=-1), dtype=np.int64) - 1


def merge_pieces(pieces: NDArray[np.int64], features: NDArray[np.floating], n_segments: int) -> NDArray[np.int64]:
    """Merge the smallest pieces into the neighbours of the nearest colour until ``n_segments`` are left.

    Half of the surplus at a time, the smallest pieces first: each joins the neighbour with the nearest mean (of
    several, the one with the lowest number); sizes and means are then taken anew. So segments are connected where
    pieces are.

    Args:
        pieces: Connected pieces of shape ``(*spatial)``, numbered from 0 without gaps.
        features: What the pixels are compared by, of shape ``(*spatial, F)``.
        n_segments: How many segments to leave, at least 1.

    Returns:
        Segments ``(*spatial)``, numbered from 0 without gaps: ``n_segments`` of them, or all pieces if they are fewer.

    Examples:
        >>> values = np.array([[0.0, 0.1, 0.9, 1.0, 1.0]])
        >>> merge_pieces(np.array([[0, 0, 1, 2, 2]]), values[..., None], n_segments=2).tolist()
        [[0, 0, 1, 1, 1]]
    """
    flat = pieces.ravel()
    sizes = np.bincount(flat).astype(np.float64)
    sums = _sum_groups(flat, features.reshape(flat.size, -1))
    first, second = _touching(pieces)
    segment_of = np.arange(sizes.size)
    while sizes.size > n_segments:
        merging = np.argsort(sizes, kind="stable")[: (sizes.size - n_segments + 1) // 2]
        partners = _nearest_neighbours(merging, sums / sizes[:, None], first, second)
        renamed = _unite(merging, partners, sizes.size)
        sizes = _sum_groups(renamed, sizes[:, None])[:, 0]
        sums = _sum_groups(renamed, sums)
        first, second = renamed[first], renamed[second]
        apart = first != second
        first, second = first[apart], second[apart]
        segment_of = renamed[segment_of]
    return segment_of[pieces]


def _sum_groups(groups: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Add up the rows of ``(L, F)`` values by group: ``(G, F)``."""
    return np.stack([np.bincount(groups, weights=column) for column in values.T], axis=1)


def _touching(pieces: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List every ordered pair of pieces that touch, once."""
    ends = []
    for axis in range(pieces.ndim):
        moved = np.moveaxis(pieces, axis, 0)
        border = moved[:-1] != moved[1:]
        ends.append(np.stack([moved[:-1][border], moved[1:][border]]))
    count = int(pieces.max()) + 1
    first, second = np.concatenate(ends, axis=1)
    pairs = np.unique(np.minimum(first, second) * count + np.maximum(first, second))
    lower, higher = pairs // count, pairs % count
    return np.concatenate([lower, higher]), np.concatenate([higher, lower])


def _nearest_neighbours(
    merging: NDArray[np.intp], means: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Find for each merging piece the neighbour with the nearest mean, of several the one with the lowest number."""
    concerned = np.zeros(len(means), dtype=bool)
    concerned[merging] = True
    chosen = concerned[first]
    first, second = first[chosen], second[chosen]
    distances = np.square(means[first] - means[second]).sum(axis=1)
    least = np.full(len(means), np.inf)
    np.minimum.at(least, first, distances)
    nearest = distances == least[first]
    partners = np.full(len(means), len(means), dtype=np.int64)
    np.minimum.at(partners, first[nearest], second[nearest])
    return partners[merging]


def _unite(merging: NDArray[np.intp], partners: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Number the groups that form when each merging piece joins its partner, in the order of their lowest numbers."""
    itself = np.arange(count)
    parent = itself.copy()
    parent[merging] = partners
    # Nearest neighbours with ties to the lowest number form no cycle longer than two: the lower of two is the root.
    mutual = (parent[parent] == itself) & (itself < parent)
    parent[mutual] = itself[mutual]
    while not np.array_equal(parent, parent[parent]):
        parent = parent[parent]
    least = np.full(count, count)
    np.minimum.at(least, parent, itself)
    name = least[parent]
    group: NDArray[np.int64] = (np.cumsum(name == itself) - 1)[name]
    return group
