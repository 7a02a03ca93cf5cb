"""How well segments follow an image and what people drew in it: the measures of the literature on superpixels.

Labels are arrays ``(H, W)`` of integers from 0: S segments, or the R regions of a reference. Numbers may be unused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

Labels = NDArray[np.integer]


def contingency(segments: Labels, regions: Labels) -> NDArray[np.int64]:
    """Count the pixels that each segment shares with each region: ``(S, R)``."""
    shape = int(segments.max()) + 1, int(regions.max()) + 1
    joint = segments.astype(np.int64).ravel() * shape[1] + regions.ravel()
    return np.bincount(joint, minlength=shape[0] * shape[1]).reshape(shape)


def undersegmentation_error(segments: Labels, regions: Labels) -> float:
    """Tell what share of the pixels leaks: for each region, of each segment in it the smaller part, inside or outside.

    References:
        Neubert and Protzel, "Superpixel Benchmark and Comparison", Forum Bildverarbeitung 2012, equation 3.
    """
    shared = contingency(segments, regions)
    return float(np.minimum(shared, shared.sum(axis=1, keepdims=True) - shared).sum() / segments.size)


def achievable_accuracy(segments: Labels, regions: Labels) -> float:
    """Tell what share of the pixels is right if each segment is given the region that most of it is in.

    References:
        Liu et al., "Entropy Rate Superpixel Segmentation", CVPR 2011, https://doi.org/10.1109/CVPR.2011.5995323
    """
    return float(contingency(segments, regions).max(axis=1).sum() / segments.size)


def boundaries(labels: Labels) -> NDArray[np.bool_]:
    """Mark the pixels whose right or lower neighbor has another label: lines of one pixel, ``(H, W)``."""
    marked = np.zeros(labels.shape, dtype=bool)
    marked[:-1] |= labels[:-1] != labels[1:]
    marked[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return marked


def share_near(marked: NDArray[np.bool_], others: NDArray[np.bool_], tolerance: int) -> float:
    """Tell what share of the marked pixels has one of the others at most ``tolerance`` rows and columns away.

    Of the boundaries of a reference beside those of segments this is boundary recall, and the other way round boundary
    precision. Where nothing is marked, nothing is missed: 1.
    """
    near = maximum_filter(others.view(np.uint8), size=2 * tolerance + 1, mode="constant").view(bool)
    return float(near[marked].mean()) if marked.any() else 1.0


def explained_variation(segments: Labels, colors: NDArray[np.floating]) -> float:
    """Tell what share of the variance of colors ``(H, W, C)`` the mean colors of the segments explain.

    References:
        Moore et al., "Superpixel Lattices", CVPR 2008, https://doi.org/10.1109/CVPR.2008.4587471
    """
    number, values = segments.ravel(), colors.reshape(-1, colors.shape[-1])
    sizes = np.bincount(number)
    sums = np.stack([np.bincount(number, channel) for channel in (values - values.mean(axis=0)).T], axis=1)
    explained = np.square(sums).sum(axis=1) / np.maximum(sizes, 1)
    return float(explained.sum() / np.square(values - values.mean(axis=0)).sum())


def compactness(segments: Labels) -> float:
    """Average the isoperimetric quotients of the segments by size; 0.785 for squares.

    The perimeter of a segment is the number of its pixels' sides toward other segments or the outside.

    References:
        Schick et al., "Measuring and Evaluating the Compactness of Superpixels", ICPR 2012.
    """
    padded = np.pad(segments.astype(np.int64), 1, constant_values=-1)
    inner = padded[1:-1, 1:-1]
    count = int(inner.max()) + 1
    around = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    sides = sum(np.bincount(inner[inner != other], minlength=count) for other in around)
    sizes = np.bincount(inner.ravel())
    return float((4 * np.pi * sizes**2 / np.square(np.maximum(sides, 1))).sum() / inner.size)
