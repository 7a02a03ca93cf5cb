"""k-means on a sample of the voxels of one volume, as ``centers`` runs it on a sample of pixels.

Letters in shapes are those of ``voxels`` and ``samples``.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.centers import add, lowest, take_away
from captum_superpixel.masks.slic.compiled.kernels.clusters import FAR, LANES, OUTSIDE, round_to_whole
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, fused, kernel
from captum_superpixel.masks.slic.compiled.kernels.voxels import lay_out_voxels

__all__ = ["move_voxel_centers"]

_ZERO = np.float32(0)


@kernel
def move_voxel_centers(
    values: Floats,
    stride: int,
    points: Floats,
    length: int,
    planes: int,
    n_layers: int,
    n_rows: int,
    n_columns: int,
    pitch: int,
    reach: int,
    n_slices: int,
    n_samples: int,
    iterations: int,
    behind: Floats,
    down: Floats,
    right: Floats,
    z_units: Floats,
    y_units: Floats,
    x_units: Floats,
    factors: Floats,
    scores: Floats,
    nearest: Ints,
    found: Ints,
    sums: Floats,
    totals: Floats,
    centers: Floats,
) -> None:
    """Run k-means from the mean color and place of each cell, as ``move_centers`` does.

    Args:
        values: As from ``take_samples``; likewise ``points``.
        stride: S'.
        points: See there.
        length: F.
        planes: K.
        n_layers: L.
        n_rows: R.
        n_columns: Q.
        pitch: As for ``lay_out_voxels``.
        reach: A.
        n_slices: T.
        n_samples: S.
        iterations: How often the centers move.
        behind: As for ``lay_out_voxels``; likewise ``down`` and ``right``.
        down: See there.
        right: See there.
        z_units: Where the slices of the samples are in a cell, ``(T,)``.
        y_units: Where their rows are, ``(S',)``.
        x_units: Where their columns are.
        factors: Memory for ``(Q, A, 9, K + 4)``.
        scores: Memory for ``2 * LANES`` numbers.
        nearest: Memory for ``(L, R, Q, T, S')``: to which of the centers around its cell a sample is nearest, a bit for
            each of the nine of each layer.
        found: Memory for ``LANES`` numbers.
        sums: Memory for ``(L + A - 1, R + 2, Q + 2, A, 9, F)``. Around those of the cells are sums of nothing.
        totals: Memory for F numbers.
        centers: Shape ``(L + A - 1, R + 2, Q + 2, K + 4)``, overwritten.
    """
    around, area, margin = n_columns + 2, (n_rows + 2) * (n_columns + 2), reach // 2
    for place in range((n_layers + reach - 1) * area):
        for part in range(planes + 4):
            centers[place * (planes + 4) + part] = OUTSIDE if part == planes + 2 else _ZERO
        for part in range(place * reach * 9 * length, (place + 1) * reach * 9 * length):
            sums[part] = _ZERO
    # Each sample counts for its own cell first, the middle one of all.
    middle = 9 * margin + 4
    for iteration in range(iterations + 1):
        for line in range(n_layers * n_rows):
            layer, row = line // n_rows, line % n_rows
            own = (layer + margin) * area + (row + 1) * around + 1
            if iteration:
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
                    0,
                )
            for part in range(n_columns * n_slices):
                to, column = line * n_columns * n_slices + part, part // n_slices
                cell = (own + column) * reach * 9 * length
                if iteration:
                    _compare(
                        values,
                        stride,
                        planes,
                        reach,
                        z_units[part % n_slices],
                        y_units,
                        x_units,
                        factors,
                        column * reach * 9 * (planes + 4),
                        scores,
                        points,
                        to,
                        n_samples,
                        length,
                        nearest,
                        found,
                        sums,
                        cell,
                    )
                else:
                    for sample in range(n_samples):
                        nearest[to * stride + sample] = np.int32(1 << middle)
                        add(points, (to * n_samples + sample) * length, length, sums, cell + middle * length)
        for cell in range(n_layers * n_rows * n_columns):
            layer, row, column = cell // (n_rows * n_columns), cell // n_columns % n_rows, cell % n_columns
            own = (layer + margin) * area + (row + 1) * around + column + 1
            _move(
                sums,
                length,
                planes,
                reach,
                own,
                area,
                around,
                layer,
                row,
                column,
                pitch,
                behind,
                down,
                right,
                totals,
                centers,
            )


@kernel
def _compare(
    values: Floats,
    stride: int,
    planes: int,
    reach: int,
    z_units: np.float32,
    y_units: Floats,
    x_units: Floats,
    factors: Floats,
    begin: int,
    scores: Floats,
    points: Floats,
    part: int,
    n_samples: int,
    length: int,
    nearest: Ints,
    found: Ints,
    sums: Floats,
    own: int,
) -> None:
    """Find the nearest centers for the samples of a slice of a cell, and change the sums where they are others.

    Args:
        values: As for ``move_voxel_centers``; likewise the others that stand there.
        stride: See there.
        planes: See there.
        reach: See there.
        z_units: Where the slice is in the cell.
        y_units: See there.
        x_units: See there.
        factors: What they are to be multiplied by.
        begin: Where the factors of the cell begin.
        scores: See there.
        points: See there.
        part: The number of the slice, counted on from cell to cell.
        n_samples: See there.
        length: See there.
        nearest: See there; changed for these samples.
        found: See there.
        sums: See there; changed for the cell.
        own: Where its sums begin.
    """
    for first in range(0, n_samples, LANES):
        at, to = part * planes * stride + first, part * stride + first
        for lane in range(LANES):
            scores[LANES + lane] = FAR
            found[lane] = 0
        for layer in range(reach):
            factor, bits = begin + layer * 9 * (planes + 4), 9 * layer
            if planes == 3:
                _compare_colors(
                    values, stride, at, z_units, y_units, x_units, first, factors, factor, bits, scores, found
                )
            else:
                _compare_any(
                    values, planes, stride, at, z_units, y_units, x_units, first, factors, factor, bits, scores, found
                )
        for lane in range(min(n_samples - first, LANES)):
            if found[lane] != nearest[to + lane]:
                point = (part * n_samples + first + lane) * length
                before, now = nearest[to + lane], found[lane]
                nearest[to + lane] = now
                while before:
                    take_away(points, point, length, sums, own + lowest(before) * length)
                    before &= before - 1
                while now:
                    add(points, point, length, sums, own + lowest(now) * length)
                    now &= now - 1


@fused
def _compare_colors(
    values: Floats,
    stride: int,
    at: int,
    z_units: np.float32,
    y_units: Floats,
    x_units: Floats,
    first: int,
    factors: Floats,
    begin: int,
    bits: int,
    scores: Floats,
    nearest: Ints,
) -> None:
    """Find the nearest centers of some samples of three planes in one layer: bits in ``nearest``, from ``bits`` on.

    Only those that are nearer than the last ``LANES`` scores say, which are changed, or as near.
    """
    for lane in range(LANES):
        red, green, blue = values[at + lane], values[at + stride + lane], values[at + 2 * stride + lane]
        y, x = y_units[first + lane], x_units[first + lane]
        least, found = scores[LANES + lane], nearest[lane]
        for neighbor in range(9):
            factor = begin + 7 * neighbor
            score = (factors[factor] + factors[factor + 6] * z_units) + factors[factor + 1] * y
            score += factors[factor + 2] * x + factors[factor + 3] * red
            score += factors[factor + 4] * green + factors[factor + 5] * blue
            bit = np.int32(1 << (bits + neighbor))
            also = np.int32(found | bit) if score == least else found
            found = bit if score < least else also
            least = min(score, least)
        scores[LANES + lane], nearest[lane] = least, found


@fused
def _compare_any(
    values: Floats,
    planes: int,
    stride: int,
    at: int,
    z_units: np.float32,
    y_units: Floats,
    x_units: Floats,
    first: int,
    factors: Floats,
    begin: int,
    bits: int,
    scores: Floats,
    nearest: Ints,
) -> None:
    """Do what ``_compare_colors`` does, of any number of planes."""
    for neighbor in range(9):
        factor = begin + (planes + 4) * neighbor
        square = factors[factor] + factors[factor + 3 + planes] * z_units
        for lane in range(LANES):
            place = factors[factor + 1] * y_units[first + lane] + factors[factor + 2] * x_units[first + lane]
            scores[lane] = square + place
        for plane in range(planes):
            for lane in range(LANES):
                scores[lane] += factors[factor + 3 + plane] * values[at + plane * stride + lane]
        for lane in range(LANES):
            if scores[lane] < scores[LANES + lane]:
                scores[LANES + lane] = scores[lane]
                nearest[lane] = 1 << (bits + neighbor)
            elif scores[lane] == scores[LANES + lane]:
                nearest[lane] |= 1 << (bits + neighbor)


@fused
def _move(
    sums: Floats,
    length: int,
    planes: int,
    reach: int,
    own: int,
    area: int,
    around: int,
    layer: int,
    row: int,
    column: int,
    pitch: int,
    behind: Floats,
    down: Floats,
    right: Floats,
    totals: Floats,
    centers: Floats,
) -> None:
    """Move a center, the one numbered ``own``, to the mean of what the cells around it say of it, if anything."""
    for part in range(length):
        totals[part] = _ZERO
    for neighbor in range(9 * reach):
        # As this neighbor's own neighbor, the cell is on the opposite side.
        part, line, side = reach // 2 - neighbor // 9, 1 - neighbor // 3 % 3, 1 - neighbor % 3
        start = ((own + part * area + line * around + side) * reach * 9 + neighbor) * length
        number = sums[start + planes + 2]
        if number > _ZERO:
            add(sums, start, length, totals, 0)
            totals[planes] -= down[3 * (row + 1 + line) + 1 - line] * number
            totals[planes + 1] -= right[(1 - side) * pitch + column + 1 + side] * number
            totals[planes + 3] -= behind[3 * (layer + 1 + part) + 1 - part] * number
    number = totals[planes + 2]
    if number > _ZERO:
        square, center = _ZERO, own * (planes + 4)
        for part in range(planes + 4):
            value = round_to_whole(totals[part] / number)
            square += value * value if part < planes else _ZERO
            centers[center + part] = value
        centers[center + planes + 2] = square
