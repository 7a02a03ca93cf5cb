"""The nearest cluster of every pixel of one image, in the manner of ``_clustering``."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.clusters import FAR, lay_out, quantize
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, fused, inlined, kernel

__all__ = ["WIDE", "assign"]

_SIDE = 8
"""So many pixels are treated side by side: with more, more of the last in a row of a cell would be in vain."""

WIDE = _SIDE
"""So many are where the rest of the row is longer than ``_SIDE``; twice as many where registers hold them (see
``building``).
"""


@kernel
def assign(
    colors: Floats,
    planes: int,
    height: int,
    width: int,
    units: np.float32,
    centers: Floats,
    n_rows: int,
    n_columns: int,
    pitch: int,
    down: Floats,
    right: Floats,
    row_starts: Ints,
    column_starts: Ints,
    row_units: Floats,
    column_units: Floats,
    factors: Floats,
    scores: Floats,
    labels: Ints,
) -> None:
    """Write the nearest cluster of each pixel, of several the first, into ``labels`` ``(H, W)``.

    The pixels of a cell are treated in steps, the last of which reaches beyond its end. What that writes is overwritten
    when it is the turn of the pixels there, and past the end of the image there is memory to spare.

    Args:
        colors: Shape ``(K, H, W)``, and memory for ``LANES`` more.
        planes: K.
        height: H.
        width: W.
        units: How many units a color is counted in.
        centers: Shape ``(K + 3, R + 2, P)``.
        n_rows: R.
        n_columns: Q.
        pitch: P.
        down: As for ``lay_out``.
        right: Likewise.
        row_starts: The first pixel of each row of cells, and the end, ``(R + 1,)``.
        column_starts: Likewise for the columns, ``(Q + 1,)``.
        row_units: Where the rows of a cell are.
        column_units: Where the pixels of a row are in their cells, ``(W + LANES,)``.
        factors: Memory for ``(9, K + 3, P - 2)``.
        scores: Memory for ``2 * LANES`` numbers.
        labels: Overwritten; memory for ``LANES`` more.
    """
    size, stride = height * width, pitch - 2
    for row in range(n_rows):
        lay_out(centers, planes, row, n_rows, pitch, down, right, factors)
        for y in range(row_starts[row], row_starts[row + 1]):
            y_units = row_units[y - row_starts[row]]
            for column in range(n_columns):
                own = (row - 1) * n_columns + column - 1
                first, last = column_starts[column], column_starts[column + 1]
                while first < last:
                    at = y * width + first
                    # Numbers that are known when this is compiled: loops of them become steps of a vector processor.
                    count = WIDE if planes == 3 and last - first > _SIDE else _SIDE
                    if planes != 3:
                        _assign_any(
                            colors,
                            planes,
                            size,
                            at,
                            units,
                            y_units,
                            column_units,
                            first,
                            factors,
                            column,
                            stride,
                            own,
                            n_columns,
                            scores,
                            labels,
                        )
                    elif count > _SIDE:
                        _assign_colors(
                            colors,
                            size,
                            at,
                            WIDE,
                            units,
                            y_units,
                            column_units,
                            first,
                            factors,
                            column,
                            stride,
                            own,
                            n_columns,
                            labels,
                        )
                    else:
                        _assign_colors(
                            colors,
                            size,
                            at,
                            _SIDE,
                            units,
                            y_units,
                            column_units,
                            first,
                            factors,
                            column,
                            stride,
                            own,
                            n_columns,
                            labels,
                        )
                    first += count


@inlined
@fused
def _assign_colors(
    colors: Floats,
    size: int,
    at: int,
    count: int,
    units: np.float32,
    y_units: np.float32,
    column_units: Floats,
    first: int,
    factors: Floats,
    column: int,
    apart: int,
    own: int,
    n_columns: int,
    labels: Ints,
) -> None:
    """Assign ``count`` pixels of three planes, from ``at`` on, whose row in the image begins ``first`` before that."""
    for lane in range(count):
        red, green = quantize(colors[at + lane], units), quantize(colors[size + at + lane], units)
        blue, x_units = quantize(colors[2 * size + at + lane], units), column_units[first + lane]
        least, nearest = FAR, np.int32(own)
        for neighbor in range(9):
            factor = 6 * neighbor * apart + column
            score = (factors[factor] + factors[factor + apart] * y_units) + factors[factor + 2 * apart] * x_units
            score += factors[factor + 3 * apart] * red + factors[factor + 4 * apart] * green
            score += factors[factor + 5 * apart] * blue
            nearest = np.int32(own + neighbor // 3 * n_columns + neighbor % 3) if score < least else nearest
            least = min(score, least)
        labels[at + lane] = nearest


@fused
def _assign_any(
    colors: Floats,
    planes: int,
    size: int,
    at: int,
    units: np.float32,
    y_units: np.float32,
    column_units: Floats,
    first: int,
    factors: Floats,
    column: int,
    apart: int,
    own: int,
    n_columns: int,
    scores: Floats,
    labels: Ints,
) -> None:
    """Do what ``_assign_colors`` does, of any number of planes."""
    for lane in range(_SIDE):
        scores[_SIDE + lane] = FAR
    for neighbor in range(9):
        factor = (planes + 3) * neighbor * apart + column
        for lane in range(_SIDE):
            place = factors[factor + apart] * y_units + factors[factor + 2 * apart] * column_units[first + lane]
            scores[lane] = factors[factor] + place
        for plane in range(planes):
            for lane in range(_SIDE):
                value = quantize(colors[plane * size + at + lane], units)
                scores[lane] += factors[factor + (3 + plane) * apart] * value
        for lane in range(_SIDE):
            if scores[lane] < scores[_SIDE + lane]:
                scores[_SIDE + lane] = scores[lane]
                labels[at + lane] = own + neighbor // 3 * n_columns + neighbor % 3
