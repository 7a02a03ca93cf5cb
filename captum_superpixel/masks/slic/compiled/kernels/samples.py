"""The pixels of one image that its centers move on, laid out cell by cell.

Letters in shapes are those of ``clusters``. A cell has S samples in each of T slices; S' are these and what fills up
the last ``LANES``. What is added up of a sample fills F numbers: its K colors, row and column, 1, in volumes its slice,
and zeros.
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
    height: int,
    width: int,
    deep: int,
    units: np.float32,
    layer_starts: Ints,
    row_starts: Ints,
    column_starts: Ints,
    n_layers: int,
    n_rows: int,
    n_columns: int,
    places: Ints,
    n_slices: int,
    n_samples: int,
    z_units: Floats,
    y_units: Floats,
    x_units: Floats,
    values: Floats,
    stride: int,
    points: Floats,
    length: int,
) -> None:
    """Take samples of colors ``(K, size)``, in units.

    Args:
        colors: Shape ``(K, D, H, W)``.
        planes: K.
        size: How many pixels there are.
        height: H.
        width: W.
        deep: Whether there are several slices, 0 or 1.
        units: How many units a color is counted in.
        layer_starts: The first slice of each layer of cells.
        row_starts: Likewise for the rows.
        column_starts: Likewise for the columns.
        n_layers: L.
        n_rows: R.
        n_columns: Q.
        places: How many pixels each sample comes after the first of its cell, ``(T, S)``.
        n_slices: T.
        n_samples: S.
        z_units: Where these slices are in a cell, in units, ``(T,)``.
        y_units: Where the rows of the samples are, ``(S',)``.
        x_units: Where the columns are.
        values: Their colors, ``(L, R, Q, T, K, S')``, overwritten but for what fills up.
        stride: S'.
        points: What is added up, ``(L, R, Q, T, S, F)``, overwritten.
        length: F.
    """
    # The slices of cells are counted on: those of the first cell come first.
    for part in range(n_layers * n_rows * n_columns * n_slices):
        cell, first = part // n_slices, part % n_slices * n_samples
        line = layer_starts[cell // (n_rows * n_columns)] * height + row_starts[cell // n_columns % n_rows]
        start = line * width + column_starts[cell % n_columns]
        for sample in range(n_samples):
            place = start + places[first + sample]
            point = (part * n_samples + sample) * length
            at = part * planes * stride + sample
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
                for rest in range(planes + 3, length):
                    points[point + rest] = _ZERO
            points[point + planes] = y_units[sample]
            points[point + planes + 1] = x_units[sample]
            points[point + planes + 2] = _ONE
        for sample in range(n_samples if deep else 0):
            points[(part * n_samples + sample) * length + planes + 3] = z_units[part % n_slices]
