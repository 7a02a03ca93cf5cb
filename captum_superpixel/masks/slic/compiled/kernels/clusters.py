"""k-means on color and place for one image, in whole numbers: the steps of ``_clustering``, pixel by pixel.

Letters in shapes: K planes of colors, R rows of Q cells, and S samples or pixels in a row. The 3x3 cells around one are
numbered from 0 to 8, row by row.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic import _clustering as clustering
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, bits_of, fused, kernel

__all__ = ["assign", "move_centers", "take_samples"]

_FAR = np.float32(clustering._FAR)
_ZERO = np.float32(0)
_ONE = np.float32(1)
_MINUS_TWO = np.float32(-2)

_ROUND = np.float32(1.5 * 2**23)
"""Added to a number below 2**22 it leaves no bits for a fraction: the sum rounds as ``torch.round`` does."""


@kernel
def _quantize(value: np.float32, units: np.float32) -> np.float32:
    """Count a color in units, a whole number."""
    return (value * units + _ROUND) - _ROUND


@kernel
def _mean(total: np.float32, number: np.float32) -> np.float32:
    return (total / number + _ROUND) - _ROUND


@kernel
def take_samples(
    colors: Floats,
    planes: int,
    size: int,
    width: int,
    units: np.float32,
    rows: Ints,
    n_rows: int,
    columns: Ints,
    n_columns: int,
    out: Floats,
) -> None:
    """Take pixels ``(K, n_rows, n_columns)`` of colors ``(K, size)``, in units."""
    for line in range(planes * n_rows):
        plane, y = line // n_rows, line % n_rows
        start = plane * size + rows[y] * width
        for x in range(n_columns):
            out[line * n_columns + x] = _quantize(colors[start + columns[x]], units)


@fused
def _lay_out(
    centers: Floats,
    planes: int,
    row: int,
    n_rows: int,
    n_columns: int,
    down: Floats,
    right: Floats,
    bounds: Ints,
    units: Floats,
    stride: int,
    factors: Floats,
) -> None:
    """Write what the pixels in a row of cells are to be multiplied by, for each of the centers around their cell.

    Args:
        centers: Shape ``(R, Q, K + 2)``.
        planes: K.
        row: Which row of cells.
        n_rows: R.
        n_columns: Q.
        down: How far below each row of cells its neighbors start, ``(R, 3)``.
        right: Likewise for the columns, ``(Q, 3)``.
        bounds: Where the pixels of each cell start in a row, and the end, ``(Q + 1,)``.
        units: Where the pixels are in their cells.
        stride: How many numbers long the rows of the factors are.
        factors: Shape ``(9, K + 2, stride)``, overwritten: for each pixel the square of the center's vector with the
            product of both columns, the factor of the pixel's row, and those of its colors.
    """
    length = planes + 2
    for neighbor in range(9):
        r = row + neighbor // 3 - 1
        start = neighbor * length * stride
        for column in range(n_columns):
            q = column + neighbor % 3 - 1
            first, last = bounds[column], bounds[column + 1]
            if r < 0 or r >= n_rows or q < 0 or q >= n_columns:
                for part in range(length):
                    _spread(_FAR if part == 0 else _ZERO, start + part * stride + first, last - first, factors)
                continue
            center = (r * n_columns + q) * length
            y_place = centers[center + planes] + down[3 * row + neighbor // 3]
            x_place = centers[center + planes + 1] + right[3 * column + neighbor % 3]
            square = y_place * y_place + x_place * x_place
            for plane in range(planes):
                value = centers[center + plane]
                square += value * value
                _spread(_MINUS_TWO * value, start + (2 + plane) * stride + first, last - first, factors)
            _spread(_MINUS_TWO * y_place, start + stride + first, last - first, factors)
            x_place *= _MINUS_TWO
            for x in range(first, last):
                factors[start + x] = square + x_place * units[x]


@kernel
def _spread(value: np.float32, start: int, count: int, out: Floats) -> None:
    """Write a number some times."""
    for place in range(start, start + count):
        out[place] = value


@fused
def _compare(
    factors: Floats,
    planes: int,
    stride: int,
    count: int,
    values: Floats,
    size: int,
    at: int,
    y_units: np.float32,
    least: Floats,
    nearest: Ints,
) -> None:
    """Find the nearest of nine centers for a row of pixels.

    Args:
        factors: As ``_lay_out`` makes them.
        planes: K.
        stride: How many numbers long the rows of the factors are.
        count: How many pixels.
        values: Their colors, ``(K, size)``, from ``at`` on.
        size: How many pixels ``values`` has.
        at: Where the row begins there.
        y_units: Where the row is in its cells.
        least: The least score, ``(count,)``, overwritten.
        nearest: A bit for each of the nearest centers, ``(count,)``, overwritten.
    """
    length = planes + 2
    for x in range(count):
        least[x] = _FAR
        nearest[x] = 0
    for neighbor in range(0, 9, 3):
        first = neighbor * length * stride
        second, third = first + length * stride, first + 2 * length * stride
        bit = 1 << neighbor
        if planes == 3:
            for x in range(count):
                red, green, blue = values[at + x], values[at + size + x], values[at + 2 * size + x]
                a = factors[first + x] + factors[first + stride + x] * y_units
                a += factors[first + 2 * stride + x] * red + factors[first + 3 * stride + x] * green
                a += factors[first + 4 * stride + x] * blue
                b = factors[second + x] + factors[second + stride + x] * y_units
                b += factors[second + 2 * stride + x] * red + factors[second + 3 * stride + x] * green
                b += factors[second + 4 * stride + x] * blue
                c = factors[third + x] + factors[third + stride + x] * y_units
                c += factors[third + 2 * stride + x] * red + factors[third + 3 * stride + x] * green
                c += factors[third + 4 * stride + x] * blue
                low = min(min(a, b), min(c, least[x]))
                found = nearest[x] if low == least[x] else 0
                found |= bit if a == low else 0
                found |= 2 * bit if b == low else 0
                found |= 4 * bit if c == low else 0
                least[x] = low
                nearest[x] = found
        else:
            for which in range(3):
                start = first + which * length * stride
                for x in range(count):
                    score = factors[start + x] + factors[start + stride + x] * y_units
                    for plane in range(planes):
                        score += factors[start + (2 + plane) * stride + x] * values[at + plane * size + x]
                    if score < least[x]:
                        least[x] = score
                        nearest[x] = bit << which
                    elif score == least[x]:
                        nearest[x] |= bit << which


@kernel
def move_centers(
    samples: Floats,
    planes: int,
    n_rows: int,
    n_columns: int,
    n_lines: int,
    n_points: int,
    iterations: int,
    down: Floats,
    right: Floats,
    bounds: Ints,
    line_units: Floats,
    units: Floats,
    factors: Floats,
    least: Floats,
    nearest: Ints,
    sums: Floats,
    centers: Floats,
) -> None:
    """Run k-means from the mean color and place of each cell.

    Args:
        samples: Shape ``(K, R * n_lines, Q * n_points)``, in units.
        planes: K.
        n_rows: R.
        n_columns: Q.
        n_lines: How many rows of samples a cell has.
        n_points: How many samples each of these has.
        iterations: How often the centers move.
        down: As for ``_lay_out``.
        right: Likewise.
        bounds: Likewise, of the samples.
        line_units: Where these are in their cell, ``(n_lines,)``.
        units: Likewise in their cell's columns, for each sample of a row.
        factors: Memory for ``(9, K + 2, Q * n_points)``.
        least: Memory for ``Q * n_points``.
        nearest: Likewise.
        sums: Memory for ``(R, Q, 9, K + 3)``.
        centers: Shape ``(R, Q, K + 2)``, overwritten.
    """
    cells, length = n_rows * n_columns, planes + 2
    per_row = n_columns * n_points
    size = n_rows * n_lines * per_row
    width = length + 1
    # At first each sample counts for its own cell, the middle one of nine.
    for place in range(cells * 9 * width):
        sums[place] = _ZERO
    for line in range(n_rows * n_lines):
        first_cell = line // n_lines * n_columns
        for x in range(per_row):
            to = ((first_cell + x // n_points) * 9 + 4) * width
            for plane in range(planes):
                sums[to + plane] += samples[plane * size + line * per_row + x]
            sums[to + planes] += line_units[line % n_lines]
            sums[to + planes + 1] += units[x]
            sums[to + planes + 2] += _ONE
    _collect(sums, planes, n_rows, n_columns, down, right, centers)
    for _ in range(iterations):
        for place in range(cells * 9 * width):
            sums[place] = _ZERO
        for row in range(n_rows):
            _lay_out(centers, planes, row, n_rows, n_columns, down, right, bounds, units, per_row, factors)
            for line in range(n_lines):
                at = (row * n_lines + line) * per_row
                y_units = line_units[line]
                _compare(factors, planes, per_row, per_row, samples, size, at, y_units, least, nearest)
                _add_up(samples, planes, size, at, nearest, n_columns, n_points, row * n_columns, y_units, units, sums)
        _collect(sums, planes, n_rows, n_columns, down, right, centers)


@fused
def _add_up(
    samples: Floats,
    planes: int,
    size: int,
    at: int,
    nearest: Ints,
    n_columns: int,
    n_points: int,
    cell: int,
    y_units: np.float32,
    units: Floats,
    sums: Floats,
) -> None:
    """Add a row of samples to the sums of the centers that they are nearest to, to all of them where they tie."""
    width = planes + 3
    x = 0
    for column in range(n_columns):
        for _ in range(n_points):
            bits = nearest[x]
            neighbor = 0
            while bits:
                while not bits & 1:
                    bits >>= 1
                    neighbor += 1
                to = ((cell + column) * 9 + neighbor) * width
                if planes == 3:
                    # The sums stand side by side, and are added to by one instruction.
                    sums[to] += samples[at + x]
                    sums[to + 1] += samples[size + at + x]
                    sums[to + 2] += samples[2 * size + at + x]
                else:
                    for plane in range(planes):
                        sums[to + plane] += samples[plane * size + at + x]
                sums[to + planes] += y_units
                sums[to + planes + 1] += units[x]
                sums[to + planes + 2] += _ONE
                bits >>= 1
                neighbor += 1
            x += 1


@kernel
def _collect(
    sums: Floats, planes: int, n_rows: int, n_columns: int, down: Floats, right: Floats, centers: Floats
) -> None:
    """Move each center to the mean of what the 3x3 cells around it say of it, if that is anything."""
    length, width = planes + 2, planes + 3
    for row in range(n_rows):
        for column in range(n_columns):
            center = (row * n_columns + column) * length
            # The sums that the cell keeps for itself, of which it is the middle one of nine, take the others in.
            own = ((row * n_columns + column) * 9 + 4) * width
            for neighbor in range(9):
                # As this neighbor's own neighbor, the cell is on the opposite side.
                r, q = row + 1 - neighbor // 3, column + 1 - neighbor % 3
                if r < 0 or r >= n_rows or q < 0 or q >= n_columns or neighbor == 4:
                    continue
                other = ((r * n_columns + q) * 9 + neighbor) * width
                number = sums[other + length]
                if number > _ZERO:
                    for part in range(planes):
                        sums[own + part] += sums[other + part]
                    sums[own + planes] += sums[other + planes] - down[3 * r + neighbor // 3] * number
                    sums[own + planes + 1] += sums[other + planes + 1] - right[3 * q + neighbor % 3] * number
                    sums[own + length] += number
            if sums[own + length] > _ZERO:
                for part in range(length):
                    centers[center + part] = _mean(sums[own + part], sums[own + length])


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
    down: Floats,
    right: Floats,
    row_starts: Ints,
    column_starts: Ints,
    row_units: Floats,
    column_units: Floats,
    factors: Floats,
    values: Floats,
    least: Floats,
    nearest: Ints,
    labels: Ints,
) -> None:
    """Write the nearest cluster of each pixel, of several the first, into ``labels`` ``(H, W)``.

    Args:
        colors: Shape ``(K, H, W)``.
        planes: K.
        height: H.
        width: W.
        units: How many units a color is counted in.
        centers: Shape ``(R, Q, K + 2)``.
        n_rows: R.
        n_columns: Q.
        down: As for ``_lay_out``.
        right: Likewise.
        row_starts: The first pixel of each row of cells, and the end, ``(R + 1,)``.
        column_starts: Likewise for the columns, ``(Q + 1,)``.
        row_units: Where the rows of a cell are.
        column_units: Where the pixels of a row are in their cells.
        factors: Memory for ``(9, K + 2, W)``.
        values: Memory for ``(K, W)``.
        least: Memory for ``W``.
        nearest: Likewise.
        labels: Overwritten.
    """
    for row in range(n_rows):
        _lay_out(centers, planes, row, n_rows, n_columns, down, right, column_starts, column_units, width, factors)
        for y in range(row_starts[row], row_starts[row + 1]):
            for plane in range(planes):
                for x in range(width):
                    values[plane * width + x] = _quantize(colors[(plane * height + y) * width + x], units)
            y_units = row_units[y - row_starts[row]]
            _compare(factors, planes, width, width, values, width, 0, y_units, least, nearest)
            for column in range(n_columns):
                own = (row - 1) * n_columns + column - 1
                for x in range(column_starts[column], column_starts[column + 1]):
                    bits = nearest[x]
                    # The exponent of the lowest of the bits is its number.
                    neighbor = (bits_of(np.float32(bits & -bits)) >> 23) - 127
                    third = (neighbor * 11) >> 5
                    labels[y * width + x] = own + third * (n_columns - 3) + neighbor
