"""Labels beside points, placed so that none covers another label, a point or the edge of the axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

__all__ = ["place_labels"]

_ANGLES = np.deg2rad([0, 180, 90, 270, 45, 135, 225, 315, 22, 158, 202, 338, 68, 112, 248, 292])
"""Sides first: a label to the right of a point is the easiest to read."""
_DISTANCES = (7, 12, 18, 26, 36, 48, 62, 78, 96)
"""In points of 1/72 inch."""
_FAR = 15
"""Beyond this distance, a line leads from the label to its point."""
_MARGIN = 1.5
_THIN = 3
"""A thinner obstacle, such as an error bar, may be crossed by a line, though not covered by a label."""
Boxes = npt.NDArray[np.float64]


def place_labels(
    axis: Axes, points: Sequence[tuple[float, float]], labels: Sequence[str], colors: Sequence[Any], obstacles: Boxes
) -> None:
    """Write each label as near to its point as there is room, one after the other.

    The figure must have been laid out, and must keep its size: places depend on how large text is in the data's units.

    Args:
        axis: Where the points are.
        points: ``(x, y)`` in data coordinates.
        labels: The text for each point.
        colors: The color of each label.
        obstacles: ``(P, 4)``, left, bottom, right and top in pixels of what labels must not cover.
    """
    pixels = axis.figure.dpi / 72
    frame = axis.get_window_extent()
    bounds = np.array([frame.x0, frame.y0, frame.x1, frame.y1])
    taken = obstacles
    for point, label, color in zip(points, labels, colors, strict=True):
        center = axis.transData.transform(point)
        text = axis.annotate(
            label, point, xytext=(0, 0), textcoords="offset points", ha="center", va="center", fontsize=8, color=color
        )
        size = text.get_window_extent()
        half = np.array([size.width, size.height]) / 2 + _MARGIN * pixels
        offsets = np.array([_offset(angle, distance, half / pixels) for distance in _DISTANCES for angle in _ANGLES])
        middles = center + offsets * pixels
        boxes = np.concatenate([middles - half, middles + half], axis=1)
        outside = np.maximum(bounds[:2] - boxes[:, :2], 0).sum(1) + np.maximum(boxes[:, 2:] - bounds[2:], 0).sum(1)
        elsewhere = ((center < taken[:, :2]) | (center > taken[:, 2:])).any(axis=1)
        thick = (taken[:, 2:] - taken[:, :2]).min(axis=1) > _THIN * pixels
        # A label that covers something is worst, then a line through something, then a long distance.
        costs = 10 * _overlap(boxes, taken).sum(axis=1) + outside * half.sum()
        costs += _crossed(center, middles, taken[elsewhere & thick]) * half.prod()
        costs += np.repeat(_DISTANCES, len(_ANGLES)) * 2 * pixels
        best = int(costs.argmin())
        text.set_position(tuple(offsets[best]))
        taken = np.concatenate([taken, boxes[best : best + 1]])
        if best >= len(_ANGLES) * sum(distance <= _FAR for distance in _DISTANCES):
            # To the nearest place on the label's edge: a line to its middle would strike the label through.
            edge = np.clip(0, offsets[best] - half / pixels, offsets[best] + half / pixels)
            axis.annotate(
                "",
                point,
                xytext=tuple(edge),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3},
            )


def _offset(angle: float, distance: float, half: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Find the offset in a direction at which ``distance`` lies between a point and a box of half the size ``half``."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    reach = np.divide(half, np.abs(direction), out=np.full(2, np.inf), where=np.abs(direction) > 1e-9).min()
    moved: npt.NDArray[np.float64] = direction * (min(reach, half.sum()) + distance)
    return moved


def _crossed(start: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], boxes: Boxes) -> npt.NDArray[np.int64]:
    """Count the boxes ``(B, 4)`` on the line from one point to each of the ends ``(E, 2)``: ``(E,)``."""
    way = start + np.linspace(0, 1, 24)[:, None, None] * (ends - start)
    inside = np.concatenate([way[:, :, None] > boxes[:, :2], way[:, :, None] < boxes[:, 2:]], axis=-1)
    count: npt.NDArray[np.int64] = inside.all(axis=-1).any(axis=0).sum(axis=-1)
    return count


def _overlap(boxes: Boxes, others: Boxes) -> npt.NDArray[np.float64]:
    """Measure the area that each of the boxes ``(B, 4)`` shares with each of the others ``(O, 4)``: ``(B, O)``."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared: npt.NDArray[np.float64] = (high - low).clip(min=0).prod(axis=-1)
    return shared
