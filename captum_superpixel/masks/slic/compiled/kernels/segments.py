"""The entry into the compiled code: the segments of one image by one setting, step by step as in ``_segmenting``."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks import _components
from captum_superpixel.masks.slic.compiled.kernels.assigning import assign
from captum_superpixel.masks.slic.compiled.kernels.centers import move_centers
from captum_superpixel.masks.slic.compiled.kernels.clusters import quantize
from captum_superpixel.masks.slic.compiled.kernels.colors import convert
from captum_superpixel.masks.slic.compiled.kernels.components import (
    count_areas,
    fill_runs,
    find_runs,
    renumber,
    write_runs,
)
from captum_superpixel.masks.slic.compiled.kernels.growing import grow
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel
from captum_superpixel.masks.slic.compiled.kernels.merging import connect
from captum_superpixel.masks.slic.compiled.kernels.samples import take_samples
from captum_superpixel.masks.slic.compiled.kernels.scaling import SCALED

__all__ = ["COLORS", "FIND", "SETTLE", "WRITE", "segment"]

COLORS, FIND, SETTLE, WRITE = 1, 2, 4, 8
"""What ``segment`` is to do, a bit each; see there."""

_SPECK = _components._SPECK


@kernel
def segment(
    steps: int,
    image: Floats,
    statistics: Floats,
    colors: Floats,
    sizes: Longs,
    float_tables: list[Floats],
    int_tables: list[Ints],
    floats: list[Floats],
    ints: list[Ints],
    longs: list[Longs],
    out: Longs,
) -> int:
    """Segment an image.

    Args:
        steps: What to do: ``COLORS`` converts the image; ``FIND`` finds segments, and nothing else follows if they are
            fewer than would be enough; ``SETTLE`` lets segments grow or join that are below a tenth of the mean size,
            if there are fewer than wanted; ``WRITE`` writes them. And how ``take_row`` takes the rows of the image.
        image: Shape ``(C, H, W)``, from 0 to 1; or with ``SCALED`` as the caller has it, ``factor`` times as large, of
            which the last rows and columns may be cut off.
        statistics: As for ``take_row``.
        colors: Its colors ``(max(C, 3), H, W)``.
        sizes: What ``tables.Plan`` says of sizes and numbers.
        float_tables: What it says of places.
        int_tables: Likewise.
        floats: Memory as ``tables.Plan`` asks for.
        ints: Likewise. Without ``WRITE`` the first holds the segments afterwards, and without ``FIND`` before.
        longs: Likewise.
        out: The mask, as large as what the caller has; overwritten.

    Returns:
        How many segments there are, if any were to be found.
    """
    channels, height, width, blurred = sizes[0], sizes[1], sizes[2], sizes[3]
    n_rows, n_columns, n_samples, stride = sizes[4], sizes[5], sizes[6], sizes[7]
    length, pitch = sizes[15], sizes[16]
    iterations, wanted, least, enough = sizes[8], sizes[9], sizes[10], sizes[11]
    # Of one or two channels, the rest of three are 0: three are compared faster than any other number.
    planes = max(channels, 3)
    size = height * width
    units = float_tables[0][0]
    labels = ints[0]
    if steps & COLORS:
        source_height, source_width, factor = height, width, 1
        if steps & SCALED:
            source_height, source_width, factor = sizes[13], sizes[14], sizes[12]
        convert(
            steps,
            image,
            statistics,
            source_height,
            source_width,
            factor,
            channels,
            height,
            width,
            blurred,
            floats[8],
            floats[9],
            floats[6],
            floats[10],
            colors,
        )
    count = 0
    if steps & FIND:
        centers, down, right, factors, scores = floats[5], float_tables[3], float_tables[4], floats[2], floats[3]
        y_units, x_units, starts = float_tables[5], float_tables[6], int_tables[0]
        take_samples(
            colors,
            planes,
            size,
            width,
            units,
            starts,
            int_tables[1],
            n_rows,
            n_columns,
            int_tables[2],
            n_samples,
            y_units,
            x_units,
            floats[0],
            stride,
            floats[1],
            length,
        )
        move_centers(
            floats[0],
            stride,
            floats[1],
            length,
            planes,
            n_rows,
            n_columns,
            pitch,
            n_samples,
            iterations,
            down,
            right,
            y_units,
            x_units,
            factors,
            scores,
            ints[1],
            ints[9],
            floats[4],
            floats[7],
            centers,
        )
        assign(
            colors,
            planes,
            height,
            width,
            units,
            centers,
            n_rows,
            n_columns,
            pitch,
            down,
            right,
            starts,
            int_tables[1],
            float_tables[1],
            float_tables[2],
            factors,
            scores,
            labels,
        )
        for cell in range(n_rows * n_columns):
            place = (cell // n_columns + 1) * pitch + cell % n_columns + 1
            for channel in range(channels):
                longs[0][cell * channels + channel] = np.int64(centers[channel * (n_rows + 2) * pitch + place])
        count = _keep_largest(height, width, channels, wanted, least, colors, units, int_tables, ints, longs)
        if count < enough:
            return count
    else:
        count = _take_over(height, width, int_tables, ints, longs)
    if steps & SETTLE and (count < wanted or not steps & FIND):
        _settle(height, width, channels, count, colors, units, int_tables, ints, longs)
    if steps & WRITE:
        write_runs(height, width, ints[2], ints[3], ints[4], ints[7], sizes[12], sizes[13], sizes[14], out)
    else:
        fill_runs(ints[2], ints[3][height], ints[4], ints[7], labels)
    return count


@kernel
def _take_over(height: int, width: int, int_tables: list[Ints], ints: list[Ints], longs: list[Longs]) -> int:
    """Find the runs and sizes of segments that are there as labels already, as ``connect`` leaves them; count them."""
    labels, run_starts, row_firsts, components, segments = ints[0], ints[2], ints[3], ints[4], ints[7]
    count = 0
    for run in range(find_runs(labels, height, width, run_starts, row_firsts)):
        components[run] = labels[run_starts[run]]
        count = max(count, components[run] + 1)
    for segment in range(count):
        segments[segment] = segment
    count_areas(height, width, run_starts, row_firsts, components, count, int_tables[3], int_tables[4], longs[1])
    return count


@kernel
def _keep_largest(
    height: int,
    width: int,
    channels: int,
    wanted: int,
    least: int,
    colors: Floats,
    units: np.float32,
    int_tables: list[Ints],
    ints: list[Ints],
    longs: list[Longs],
) -> int:
    """Turn labels, whose colors are in ``longs[0]``, into segments, of which those below ``least`` grow first.

    What is found is left in ``ints`` as from ``connect``, and not written into the labels yet.
    """
    labels, cluster_colors, sizes, means = ints[0], longs[0], longs[1], longs[3]
    row_areas, column_areas = int_tables[3], int_tables[4]
    bound = 0
    while True:
        count = connect(
            labels,
            height,
            width,
            cluster_colors,
            channels,
            wanted,
            bound,
            row_areas,
            column_areas,
            ints[2],
            ints[3],
            ints[4],
            ints[5],
            ints[6],
            ints[7],
            ints[8],
            sizes,
            longs[2],
            means,
            longs[4],
        )
        specks = 0
        for segment in range(count):
            specks += 1 if sizes[segment] < least else 0
        if specks == 0 or bound > 0:
            return count
        fill_runs(ints[2], ints[3][height], ints[4], ints[7], labels)
        grow(
            labels,
            height,
            width,
            ints[3][height],
            ints[2],
            count,
            sizes,
            means,
            channels,
            least,
            colors,
            units,
            row_areas,
            column_areas,
            ints[4],
            ints[5],
            ints[6],
            ints[7],
            ints[8],
            longs[4],
            longs[2],
        )
        for place in range(count * channels):
            cluster_colors[place] = means[place]
        # That may have cut segments: components are found anew, and none of them is to be too small.
        bound = least


@kernel
def _settle(
    height: int,
    width: int,
    channels: int,
    count: int,
    colors: Floats,
    units: np.float32,
    int_tables: list[Ints],
    ints: list[Ints],
    longs: list[Longs],
) -> None:
    """Let segments grow or join that are below a tenth of the mean size of those there are, until none is."""
    labels, means, sizes = ints[0], longs[0], longs[1]
    run_starts, row_firsts, components, segments, numbers = ints[2], ints[3], ints[4], ints[7], ints[6]
    row_areas, column_areas = int_tables[3], int_tables[4]
    while True:
        total, specks = 0, 0
        for segment in range(count):
            total += sizes[segment]
        least = (total + _SPECK * count - 1) // (_SPECK * count)
        for segment in range(count):
            specks += 1 if sizes[segment] < least else 0
        if specks == 0:
            # What is left is the order of the numbers, that of first pixels.
            renumber(row_firsts[height], components, segments, numbers, count)
            return
        fill_runs(run_starts, row_firsts[height], components, segments, labels)
        for place in range(count * channels):
            means[place] = 0
        for y in range(height):
            for run in range(row_firsts[y], row_firsts[y + 1]):
                first, last, segment = run_starts[run], run_starts[run + 1], segments[components[run]]
                for channel in range(channels):
                    total = 0
                    for place in range(first, last):
                        x = place - y * width
                        shade = np.int64(quantize(colors[channel * height * width + place], units))
                        total += shade * (column_areas[x + 1] - column_areas[x])
                    means[segment * channels + channel] += total * row_areas[y]
        for segment in range(count):
            for channel in range(channels):
                means[segment * channels + channel] //= sizes[segment]
        left = _keep_largest(height, width, channels, count, least, colors, units, int_tables, ints, longs)
        if left == count:
            return
        count = left
