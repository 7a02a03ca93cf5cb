"""The segments of one image, from its clusters on: the largest stay, and none is left that is too small."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks import _components
from captum_superpixel.masks.slic.compiled.kernels.clusters import quantize
from captum_superpixel.masks.slic.compiled.kernels.components import count_areas, fill_runs, find_runs, renumber
from captum_superpixel.masks.slic.compiled.kernels.growing import grow
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel
from captum_superpixel.masks.slic.compiled.kernels.merging import connect

__all__ = ["keep_largest", "settle", "take_over"]

_SPECK = _components._SPECK


@kernel
def take_over(height: int, width: int, int_tables: list[Ints], ints: list[Ints], longs: list[Longs]) -> int:
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
def keep_largest(
    height: int,
    rows: int,
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
            rows,
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
            rows,
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
def settle(
    height: int,
    rows: int,
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
        left = keep_largest(height, rows, width, channels, count, least, colors, units, int_tables, ints, longs)
        if left == count:
            return
        count = left
