"""What moving centers and assigning pixels have in common: whole numbers, and the factors that scores are made of.

Letters in shapes: K planes of colors, R rows of Q cells, P columns of these with a frame and with what fills up the
last ``LANES``. The 3x3 cells around one are numbered from 0 to 8, row by row.

Centers are ``(K + 3, R + 2, P)``: colors, row and column, and the square of the colors. In the frame around those of
the image, and in what fills up, this is ``OUTSIDE``, and the rest 0.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic import _clustering as clustering
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, fused, kernel

__all__ = ["FAR", "LANES", "OUTSIDE", "lay_out", "quantize", "round_to_whole"]

FAR = np.float32(clustering._FAR)

OUTSIDE = np.float32(4 * FAR)
"""Where there is no center, the scores are above ``FAR``."""

LANES = 16
"""So many pixels are treated side by side: loops of as many steps become one step of a vector processor."""

_MINUS_TWO = np.float32(-2)

_ROUND = np.float32(1.5 * 2**23)
"""Added to a number below 2**22 it leaves no bits for a fraction: the sum rounds as ``torch.round`` does."""


@kernel
def round_to_whole(value: np.float32) -> np.float32:
    """Round a number below 2**22 to a whole number, halves to even ones."""
    return (value + _ROUND) - _ROUND


@kernel
def quantize(value: np.float32, units: np.float32) -> np.float32:
    """Count a color in units, a whole number."""
    return round_to_whole(value * units)


@fused
def lay_out(
    centers: Floats, planes: int, row: int, n_rows: int, pitch: int, down: Floats, right: Floats, factors: Floats
) -> None:
    """Write what the pixels in a row of cells are to be multiplied by, for each of the centers around their cell.

    Args:
        centers: Shape ``(K + 3, R + 2, P)``.
        planes: K.
        row: Which row of cells.
        n_rows: R.
        pitch: P.
        down: How far below each row of cells its neighbors start, ``(R + 2, 3)``.
        right: Likewise for the columns, ``(3, P)``.
        factors: Shape ``(9, K + 3, P - 2)``, overwritten: the square of the center's vector, and the factors of the
            pixel's row, of its column, and of its colors. The score that they give is the square of the distance to the
            center, less that of the pixel's own vector.
    """
    size, stride = (n_rows + 2) * pitch, pitch - 2
    for neighbor in range(9):
        place = (row + neighbor // 3) * pitch + neighbor % 3
        away, side = down[3 * (row + 1) + neighbor // 3], neighbor % 3 * pitch + 1
        start = neighbor * (planes + 3) * stride
        for first in range(0, stride, LANES):
            for step in range(LANES):
                lane = first + step
                y = centers[planes * size + place + lane] + away
                x = centers[(planes + 1) * size + place + lane] + right[side + lane]
                factors[start + lane] = (y * y + x * x) + centers[(planes + 2) * size + place + lane]
                factors[start + stride + lane] = _MINUS_TWO * y
                factors[start + 2 * stride + lane] = _MINUS_TWO * x
            for plane in range(planes):
                for step in range(LANES):
                    lane = first + step
                    value = centers[plane * size + place + lane]
                    factors[start + (3 + plane) * stride + lane] = _MINUS_TWO * value
