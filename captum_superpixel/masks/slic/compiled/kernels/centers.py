"""k-means on a sample of the pixels of one image, cell by cell, in the manner of ``_clustering``.

Letters in shapes are those of ``clusters`` and ``samples``.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.clusters import (
    FAR,
    LANES,
    OUTSIDE,
    lay_out,
    round_to_whole,
)
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, bits_of, fused, kernel
from captum_superpixel.masks.slic.compiled.kernels.samples import SIDE

__all__ = ["add", "lowest", "move_centers", "take_away"]

_ZERO = np.float32(0)
_OWN = np.int32(1 << 4)


@kernel
def move_centers(
    values: Floats,
    stride: int,
    points: Floats,
    length: int,
    planes: int,
    n_rows: int,
    n_columns: int,
    pitch: int,
    n_samples: int,
    iterations: int,
    down: Floats,
    right: Floats,
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
    """Run k-means from the mean color and place of each cell.

    What samples add to the sums is a whole number, so that those that go to other centers than before can be taken from
    the sums of these and added to those of the others, and all that stay be left alone.

    Args:
        values: As from ``take_samples``; likewise ``points``.
        stride: S'.
        points: See there.
        length: F.
        planes: K.
        n_rows: R.
        n_columns: Q.
        pitch: P.
        n_samples: S.
        iterations: How often the centers move.
        down: As for ``lay_out``; likewise ``right``.
        right: See there.
        y_units: Where the rows of the samples are in a cell, ``(S',)``.
        x_units: Where their columns are.
        factors: Memory for ``(9, K + 3, P - 2)``.
        scores: Memory for ``2 * LANES`` numbers.
        nearest: Memory for ``(R, Q, S')``: to which of the nine centers around its cell a sample is nearest, a bit for
            each center.
        found: Memory for ``LANES`` numbers.
        sums: Memory for ``(R + 2, Q + 2, 9, F)``. Around those of the cells are sums of nothing.
        totals: Memory for F numbers.
        centers: Shape ``(K + 3, R + 2, P)``, overwritten.
    """
    around, size = n_columns + 2, (n_rows + 2) * pitch
    for place in range((planes + 2) * size):
        centers[place] = _ZERO
    for place in range((planes + 2) * size, (planes + 3) * size):
        centers[place] = OUTSIDE
    for place in range((n_rows + 2) * around * 9 * length):
        sums[place] = _ZERO
    for row in range(n_rows):
        # Each sample counts for its own cell first, the middle one of nine. One cell after the other, so that sums are
        # not added to again before they have arrived in memory.
        for sample in range(n_samples):
            for column in range(n_columns):
                cell, own = row * n_columns + column, (row + 1) * around + column + 1
                nearest[cell * stride + sample] = _OWN
                add(points, (cell * n_samples + sample) * length, length, sums, (own * 9 + 4) * length)
    for iteration in range(iterations + 1):
        for row in range(n_rows if iteration else 0):
            lay_out(centers, planes, row, n_rows, pitch, down, right, factors)
            for column in range(n_columns):
                _compare(
                    values,
                    stride,
                    planes,
                    y_units,
                    x_units,
                    factors,
                    column,
                    pitch - 2,
                    scores,
                    points,
                    row * n_columns + column,
                    n_samples,
                    length,
                    nearest,
                    found,
                    sums,
                    ((row + 1) * around + column + 1) * 9 * length,
                )
        for row in range(n_rows):
            for column in range(n_columns):
                _move(sums, length, planes, row, column, n_rows, around, pitch, down, right, totals, centers)


@kernel
def _compare(
    values: Floats,
    stride: int,
    planes: int,
    y_units: Floats,
    x_units: Floats,
    factors: Floats,
    column: int,
    apart: int,
    scores: Floats,
    points: Floats,
    cell: int,
    n_samples: int,
    length: int,
    nearest: Ints,
    found: Ints,
    sums: Floats,
    own: int,
) -> None:
    """Find the nearest of nine centers for the samples of a cell, and change the sums where they are others.

    Args:
        values: As for ``move_centers``; likewise the others that stand there.
        stride: See there.
        planes: See there.
        y_units: See there.
        x_units: See there.
        factors: What they are to be multiplied by.
        column: The column of the cell.
        apart: How far apart the factors of a cell are.
        scores: See there.
        points: See there.
        cell: The number of the cell.
        n_samples: See there.
        length: See there.
        nearest: See there; changed for the samples of the cell.
        found: See there.
        sums: See there; changed for the cell.
        own: Where its sums begin.
    """
    for first in range(0, n_samples, LANES):
        at, to = cell * planes * stride + first, cell * stride + first
        if planes == 3:
            _compare_colors(values, stride, at, y_units, x_units, first, factors, column, apart, found)
        else:
            _compare_any(values, planes, stride, at, y_units, x_units, first, factors, column, apart, scores, found)
        changed = np.int32(0)
        for lane in range(LANES):
            changed = np.int32(changed | (np.int32(1 << lane) if found[lane] != nearest[to + lane] else np.int32(0)))
        # What fills up is no sample.
        changed = np.int32(changed & ((1 << min(n_samples - first, LANES)) - 1))
        while changed:
            lane = lowest(changed)
            point = (cell * n_samples + first + lane) * length
            before, now = nearest[to + lane], found[lane]
            nearest[to + lane] = now
            while before:
                take_away(points, point, length, sums, own + lowest(before) * length)
                before &= before - 1
            while now:
                add(points, point, length, sums, own + lowest(now) * length)
                now &= now - 1
            changed &= changed - 1


@kernel
def lowest(bits: np.int32) -> int:
    """Find the number of the lowest of some bits: the exponent of that bit as a float."""
    return int(bits_of(np.float32(bits & -bits)) >> 23) - 127


@fused
def _compare_colors(
    values: Floats,
    stride: int,
    at: int,
    y_units: Floats,
    x_units: Floats,
    first: int,
    factors: Floats,
    column: int,
    apart: int,
    nearest: Ints,
) -> None:
    """Find the nearest centers of some samples of three planes: bits in ``nearest``."""
    for lane in range(LANES):
        red, green, blue = values[at + lane], values[at + stride + lane], values[at + 2 * stride + lane]
        y, x = y_units[first + lane], x_units[first + lane]
        least, found = FAR, np.int32(0)
        for neighbor in range(9):
            factor = 6 * neighbor * apart + column
            score = (factors[factor] + factors[factor + apart] * y) + factors[factor + 2 * apart] * x
            score += factors[factor + 3 * apart] * red + factors[factor + 4 * apart] * green
            score += factors[factor + 5 * apart] * blue
            bit = np.int32(1 << neighbor)
            also = np.int32(found | bit) if score == least else found
            found = bit if score < least else also
            least = min(score, least)
        nearest[lane] = found


@fused
def _compare_any(
    values: Floats,
    planes: int,
    stride: int,
    at: int,
    y_units: Floats,
    x_units: Floats,
    first: int,
    factors: Floats,
    column: int,
    apart: int,
    scores: Floats,
    nearest: Ints,
) -> None:
    """Do what ``_compare_colors`` does, of any number of planes."""
    for lane in range(LANES):
        scores[LANES + lane] = FAR
        nearest[lane] = 0
    for neighbor in range(9):
        factor = (planes + 3) * neighbor * apart + column
        for lane in range(LANES):
            place = (
                factors[factor + apart] * y_units[first + lane] + factors[factor + 2 * apart] * x_units[first + lane]
            )
            scores[lane] = factors[factor] + place
        for plane in range(planes):
            for lane in range(LANES):
                scores[lane] += factors[factor + (3 + plane) * apart] * values[at + plane * stride + lane]
        for lane in range(LANES):
            if scores[lane] < scores[LANES + lane]:
                scores[LANES + lane] = scores[lane]
                nearest[lane] = 1 << neighbor
            elif scores[lane] == scores[LANES + lane]:
                nearest[lane] |= 1 << neighbor


@fused
def add(points: Floats, point: int, length: int, sums: Floats, to: int) -> None:
    """Add a sample to a sum."""
    for part in range(SIDE):
        sums[to + part] += points[point + part]
    for first in range(SIDE, length, SIDE):
        for part in range(first, first + SIDE):
            sums[to + part] += points[point + part]


@fused
def take_away(points: Floats, point: int, length: int, sums: Floats, to: int) -> None:
    """Subtract a sample from a sum that has it."""
    for part in range(SIDE):
        sums[to + part] -= points[point + part]
    for first in range(SIDE, length, SIDE):
        for part in range(first, first + SIDE):
            sums[to + part] -= points[point + part]


@fused
def _move(
    sums: Floats,
    length: int,
    planes: int,
    row: int,
    column: int,
    n_rows: int,
    around: int,
    pitch: int,
    down: Floats,
    right: Floats,
    totals: Floats,
    centers: Floats,
) -> None:
    """Move a center to the mean of what the 3x3 cells around it say of it, if that is anything."""
    own = (row + 1) * around + column + 1
    number, below, beside = _ZERO, _ZERO, _ZERO
    for neighbor in range(9):
        # As this neighbor's own neighbor, the cell is on the opposite side.
        other = own + (1 - neighbor // 3) * around + 1 - neighbor % 3
        found = sums[(other * 9 + neighbor) * length + planes + 2]
        number += found
        below += down[3 * (row + 2 - neighbor // 3) + neighbor // 3] * found
        beside += right[neighbor % 3 * pitch + column + 2 - neighbor % 3] * found
    if number <= _ZERO:
        return
    for first in range(0, length, SIDE):
        for step in range(SIDE):
            part, total = first + step, _ZERO
            for neighbor in range(9):
                other = own + (1 - neighbor // 3) * around + 1 - neighbor % 3
                total += sums[(other * 9 + neighbor) * length + part]
            total -= below if part == planes else _ZERO
            total -= beside if part == planes + 1 else _ZERO
            totals[part] = round_to_whole(total / number)
    size, place = (n_rows + 2) * pitch, (row + 1) * pitch + column + 1
    square = _ZERO
    for part in range(planes + 2):
        value = totals[part]
        centers[part * size + place] = value
        square += value * value if part < planes else _ZERO
    centers[(planes + 2) * size + place] = square
