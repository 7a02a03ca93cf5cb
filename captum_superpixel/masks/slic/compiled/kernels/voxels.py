"""The nearest cluster of every voxel of one volume, as ``assigning`` finds that of every pixel.

Letters in shapes: K planes of colors, L layers of R rows of Q cells. Cells are compared with those of A layers, 3, or 1
where there is one layer; the 3x3 cells around one in a layer are numbered from 0 to 8, row by row.

Centers are ``(L + A - 1, R + 2, Q + 2, K + 4)``: colors, row and column, the square of the colors, and the slice. In
the frame around those of the volume the square is ``OUTSIDE``, and the rest 0.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.clusters import FAR, quantize
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, fused, kernel

__all__ = ["assign_voxels", "lay_out_voxels"]

_SIDE = 8
"""So many voxels are treated side by side, as in ``assigning``."""

_MINUS_TWO = np.float32(-2)


@fused
def lay_out_voxels(
    centers: Floats,
    planes: int,
    layer: int,
    reach: int,
    row: int,
    n_rows: int,
    n_columns: int,
    pitch: int,
    behind: Floats,
    down: Floats,
    right: Floats,
    factors: Floats,
    to: int,
) -> None:
    """Write what the voxels in a row of cells are to be multiplied by, for each of the centers around their cell.

    Args:
        centers: See above.
        planes: K.
        layer: Which layer of cells.
        reach: A.
        row: Which row of cells.
        n_rows: R.
        n_columns: Q.
        pitch: How far apart the rows of ``right`` are.
        behind: How far behind each layer of cells its neighbors start, ``(L + 2, 3)``.
        down: Likewise for the rows, ``(R + 2, 3)``.
        right: Likewise for the columns, ``(3, pitch)``.
        factors: From ``to`` on ``(Q, A, 9, K + 4)`` are overwritten: the square of the center's vector, and the factors
            of the voxel's row, of its column, of its colors, and of its slice. The score that they give is the square
            of the distance to the center, less that of the voxel's own vector.
        to: See there.
    """
    length = planes + 4
    for cell in range(n_columns * reach * 9):
        column, part, side = cell // (reach * 9), cell // 9 % reach, cell % 9
        line = (layer + part) * (n_rows + 2) + row + side // 3
        center, factor = (line * (n_columns + 2) + column + side % 3) * length, to + cell * length
        y = centers[center + planes] + down[3 * (row + 1) + side // 3]
        x = centers[center + planes + 1] + right[side % 3 * pitch + column + 1]
        z = centers[center + planes + 3] + behind[3 * (layer + 1) + part + (3 - reach) // 2]
        factors[factor] = ((y * y + x * x) + z * z) + centers[center + planes + 2]
        factors[factor + 1], factors[factor + 2] = _MINUS_TWO * y, _MINUS_TWO * x
        for plane in range(planes):
            factors[factor + 3 + plane] = _MINUS_TWO * centers[center + plane]
        factors[factor + 3 + planes] = _MINUS_TWO * z


@kernel
def assign_voxels(
    colors: Floats,
    planes: int,
    height: int,
    width: int,
    size: int,
    units: np.float32,
    centers: Floats,
    n_layers: int,
    n_rows: int,
    n_columns: int,
    pitch: int,
    reach: int,
    behind: Floats,
    down: Floats,
    right: Floats,
    layer_starts: Ints,
    row_starts: Ints,
    column_starts: Ints,
    slice_units: Floats,
    row_units: Floats,
    column_units: Floats,
    factors: Floats,
    scores: Floats,
    labels: Ints,
) -> None:
    """Write the nearest cluster of each voxel, of several the first, into ``labels`` ``(D, H, W)``.

    Args:
        colors: Shape ``(K, D, H, W)``, and memory for ``LANES`` more.
        planes: K.
        height: H.
        width: W.
        size: How many voxels there are.
        units: How many units a color is counted in.
        centers: As for ``lay_out_voxels``; likewise the others that stand there.
        n_layers: L.
        n_rows: See there.
        n_columns: See there.
        pitch: See there.
        reach: See there.
        behind: See there.
        down: See there.
        right: See there.
        layer_starts: The first slice of each layer of cells, and the end, ``(L + 1,)``.
        row_starts: Likewise for the rows, ``(R + 1,)``.
        column_starts: Likewise for the columns, ``(Q + 1,)``.
        slice_units: Where the slices of a cell are.
        row_units: Where its rows are.
        column_units: Where the voxels of a row are in their cells, ``(W + LANES,)``.
        factors: Memory for ``(R, Q, A, 9, K + 4)``.
        scores: Memory for ``2 * LANES`` numbers.
        labels: Overwritten; memory for ``LANES`` more.
    """
    length = n_columns * reach * 9 * (planes + 4)
    for layer in range(n_layers):
        for row in range(n_rows):
            lay_out_voxels(
                centers,
                planes,
                layer,
                reach,
                row,
                n_rows,
                n_columns,
                pitch,
                behind,
                down,
                right,
                factors,
                row * length,
            )
        for line in range(layer_starts[layer] * n_rows, layer_starts[layer + 1] * n_rows):
            z, row = line // n_rows, line % n_rows
            # The first of the cells around the first of the row.
            before = ((layer - reach // 2) * n_rows + row - 1) * n_columns - 1
            for y in range(row_starts[row], row_starts[row + 1]):
                _assign_row(
                    colors,
                    planes,
                    size,
                    (z * height + y) * width,
                    units,
                    slice_units[z - layer_starts[layer]],
                    row_units[y - row_starts[row]],
                    column_units,
                    column_starts,
                    factors,
                    row * length,
                    before,
                    n_rows,
                    n_columns,
                    reach,
                    scores,
                    labels,
                )


@kernel
def _assign_row(
    colors: Floats,
    planes: int,
    size: int,
    start: int,
    units: np.float32,
    z_units: np.float32,
    y_units: np.float32,
    column_units: Floats,
    column_starts: Ints,
    factors: Floats,
    begin: int,
    before: int,
    n_rows: int,
    n_columns: int,
    reach: int,
    scores: Floats,
    labels: Ints,
) -> None:
    """Assign the voxels of a row, which begins at ``start``; around its first cell, the first is that of ``before``."""
    for column in range(n_columns):
        for first in range(column_starts[column], column_starts[column + 1], _SIDE):
            for lane in range(_SIDE):
                scores[_SIDE + lane] = FAR
            for part in range(reach):
                factor = begin + (column * reach + part) * 9 * (planes + 4)
                own = before + part * n_rows * n_columns + column
                if planes == 3:
                    _assign_colors(
                        colors,
                        size,
                        start + first,
                        units,
                        z_units,
                        y_units,
                        column_units,
                        first,
                        factors,
                        factor,
                        own,
                        n_columns,
                        scores,
                        labels,
                    )
                else:
                    _assign_any(
                        colors,
                        planes,
                        size,
                        start + first,
                        units,
                        z_units,
                        y_units,
                        column_units,
                        first,
                        factors,
                        factor,
                        own,
                        n_columns,
                        scores,
                        labels,
                    )


@fused
def _assign_colors(
    colors: Floats,
    size: int,
    at: int,
    units: np.float32,
    z_units: np.float32,
    y_units: np.float32,
    column_units: Floats,
    first: int,
    factors: Floats,
    begin: int,
    own: int,
    n_columns: int,
    scores: Floats,
    labels: Ints,
) -> None:
    """Assign some voxels of three planes, from place ``at`` on, ``first`` in their row, to the centers of a layer.

    Only those that are nearer than the last ``_SIDE`` scores say, which are changed.
    """
    for lane in range(_SIDE):
        red, green = quantize(colors[at + lane], units), quantize(colors[size + at + lane], units)
        blue, x_units = quantize(colors[2 * size + at + lane], units), column_units[first + lane]
        least, nearest = scores[_SIDE + lane], labels[at + lane]
        for neighbor in range(9):
            factor = begin + 7 * neighbor
            score = (factors[factor] + factors[factor + 6] * z_units) + factors[factor + 1] * y_units
            score += factors[factor + 2] * x_units + factors[factor + 3] * red
            score += factors[factor + 4] * green + factors[factor + 5] * blue
            nearest = np.int32(own + neighbor // 3 * n_columns + neighbor % 3) if score < least else nearest
            least = min(score, least)
        scores[_SIDE + lane], labels[at + lane] = least, nearest


@fused
def _assign_any(
    colors: Floats,
    planes: int,
    size: int,
    at: int,
    units: np.float32,
    z_units: np.float32,
    y_units: np.float32,
    column_units: Floats,
    first: int,
    factors: Floats,
    begin: int,
    own: int,
    n_columns: int,
    scores: Floats,
    labels: Ints,
) -> None:
    """Do what ``_assign_colors`` does, of any number of planes."""
    for neighbor in range(9):
        factor = begin + (planes + 4) * neighbor
        flat = (factors[factor] + factors[factor + 3 + planes] * z_units) + factors[factor + 1] * y_units
        for lane in range(_SIDE):
            scores[lane] = flat + factors[factor + 2] * column_units[first + lane]
        for plane in range(planes):
            for lane in range(_SIDE):
                scores[lane] += factors[factor + 3 + plane] * quantize(colors[plane * size + at + lane], units)
        for lane in range(_SIDE):
            if scores[lane] < scores[_SIDE + lane]:
                scores[_SIDE + lane] = scores[lane]
                labels[at + lane] = own + neighbor // 3 * n_columns + neighbor % 3
