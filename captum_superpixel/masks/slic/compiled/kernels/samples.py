"""The pixels of one image that its centers move on, laid out cell by cell.

Letters in shapes are those of ``clusters``. A cell has S samples; S' are these and what fills up the last ``LANES``.
What is added up of a sample fills F numbers: its K colors, row and column, 1, and zeros.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.clusters import quantize
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, kernel

__all__ = ["SIDE", "take_samples"]

SIDE = 8
"""So many numbers are added at the same time: F is a multiple of it."""

_ZERO = np.float32(0)
_ONE = np.float32(1)


@kernel
def take_samples(
    colors: Floats,
    planes: int,
    size: int,
    width: int,
    units: np.float32,
    row_starts: Ints,
    column_starts: Ints,
    n_rows: int,
    n_columns: int,
    places: Ints,
    n_samples: int,
    y_units: Floats,
    x_units: Floats,
    values: Floats,
    stride: int,
    points: Floats,
    length: int,
) -> None:
    """Take samples of colors ``(K, size)``, in units.

    Args:
        colors: Shape ``(K, H, W)``.
        planes: K.
        size: How many pixels there are.
        width: W.
        units: How many units a color is counted in.
        row_starts: The first pixel of each row of cells.
        column_starts: Likewise for the columns.
        n_rows: R.
        n_columns: Q.
        places: How many pixels each sample comes after the first of its cell, ``(S,)``.
        n_samples: S.
        y_units: Where these rows are in a cell, in units.
        x_units: Where the columns are.
        values: Their colors, ``(R, Q, K, S')``, overwritten but for what fills up.
        stride: S'.
        points: What is added up, ``(R, Q, S, F)``, overwritten.
        length: F.
    """
    for cell in range(n_rows * n_columns):
        start = row_starts[cell // n_columns] * width + column_starts[cell % n_columns]
        for sample in range(n_samples):
            place = start + places[sample]
            point = (cell * n_samples + sample) * length
            at = cell * planes * stride + sample
            if planes == 3:
                # Loops of a few steps would cost several times as much.
                red, green = quantize(colors[place], units), quantize(colors[size + place], units)
                blue = quantize(colors[2 * size + place], units)
                values[at], values[at + stride], values[at + 2 * stride] = red, green, blue
                points[point], points[point + 1], points[point + 2] = red, green, blue
                points[point + 6] = points[point + 7] = _ZERO
            else:
                for plane in range(planes):
                    value = quantize(colors[plane * size + place], units)
                    values[at + plane * stride] = value
                    points[point + plane] = value
                for part in range(planes + 3, length):
                    points[point + part] = _ZERO
            points[point + planes] = y_units[sample]
            points[point + planes + 1] = x_units[sample]
            points[point + planes + 2] = _ONE
