"""The entry into the compiled code: the segments of one image by one setting, step by step as in ``_segmenting``."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.assigning import assign
from captum_superpixel.masks.slic.compiled.kernels.centers import move_centers
from captum_superpixel.masks.slic.compiled.kernels.colors import convert, take_slice
from captum_superpixel.masks.slic.compiled.kernels.components import fill_runs
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel
from captum_superpixel.masks.slic.compiled.kernels.samples import take_samples
from captum_superpixel.masks.slic.compiled.kernels.scaling import SCALED
from captum_superpixel.masks.slic.compiled.kernels.settling import keep_largest, settle, take_over
from captum_superpixel.masks.slic.compiled.kernels.voxel_clusters import cluster_voxels
from captum_superpixel.masks.slic.compiled.kernels.writing import write_runs

__all__ = ["COLORS", "FIND", "SETTLE", "WRITE", "segment"]

COLORS, FIND, SETTLE, WRITE = 1, 2, 4, 8
"""What ``segment`` is to do, a bit each; see there."""

_ZERO = np.float32(0)


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
        image: Shape ``(C, H, W)`` or ``(C, D, H, W)``, from 0 to 1; or images, with ``SCALED``, as the caller has them,
            ``factor`` times as large, of which the last rows and columns may be cut off.
        statistics: As for ``take_row``.
        colors: Its colors ``(max(C, 3), D, H, W)``. Of volumes those planes that one or two channels leave are 0.
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
    channels, depth, rows, width = sizes[0], sizes[18], sizes[1], sizes[2]
    n_layers, n_rows, n_columns = sizes[19], sizes[4], sizes[5]
    n_slices, n_samples, stride = sizes[21], sizes[6], sizes[7]
    length, pitch = sizes[15], sizes[16]
    iterations, wanted, least, enough = sizes[8], sizes[9], sizes[10], sizes[11]
    # Of one or two channels, the rest of three are 0: three are compared faster than any other number.
    planes = max(channels, 3)
    height, deep = depth * rows, 1 if depth > 1 else 0
    size = height * width
    units = float_tables[0][0]
    labels = ints[0]
    if steps & COLORS:
        _convert(steps, image, statistics, sizes, floats, colors)
    count = 0
    if steps & FIND:
        centers, down, right, factors, scores = floats[5], float_tables[3], float_tables[4], floats[2], floats[3]
        y_units, x_units, starts = float_tables[5], float_tables[6], int_tables[0]
        take_samples(
            colors,
            planes,
            size,
            rows,
            width,
            deep,
            units,
            int_tables[5],
            starts,
            int_tables[1],
            n_layers,
            n_rows,
            n_columns,
            int_tables[2],
            n_slices,
            n_samples,
            float_tables[9],
            y_units,
            x_units,
            floats[0],
            stride,
            floats[1],
            length,
        )
        if deep:
            cluster_voxels(colors, sizes, float_tables, int_tables, floats, ints, longs)
        else:
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
        count = keep_largest(height, rows, width, channels, wanted, least, colors, units, int_tables, ints, longs)
        if count < enough:
            return count
    else:
        count = take_over(height, width, int_tables, ints, longs)
    if steps & SETTLE and (count < wanted or not steps & FIND):
        settle(height, rows, width, channels, count, colors, units, int_tables, ints, longs)
    if steps & WRITE:
        write_runs(
            height,
            rows,
            width,
            ints[2],
            ints[3],
            ints[4],
            ints[7],
            sizes[22],
            sizes[12],
            sizes[23],
            sizes[24],
            sizes[13],
            sizes[14],
            out,
        )
    else:
        fill_runs(ints[2], ints[3][height], ints[4], ints[7], labels)
    return count


@kernel
def _convert(steps: int, image: Floats, statistics: Floats, sizes: Longs, floats: list[Floats], colors: Floats) -> None:
    """Find the colors of an image, or of each slice of a volume."""
    channels, depth, height, width = sizes[0], sizes[18], sizes[1], sizes[2]
    size = depth * height * width
    source_height, source_width, factor, source = height, width, 1, image
    if steps & SCALED:
        source_height, source_width, factor = sizes[13], sizes[14], sizes[12]
    for z in range(depth):
        if depth > 1:
            source = floats[11]
            take_slice(image, channels, depth, height * width, z, sizes[3], source)
        convert(
            steps,
            source,
            statistics,
            source_height,
            source_width,
            factor,
            channels,
            height,
            width,
            size,
            z * height * width,
            sizes[3],
            floats[8],
            floats[9],
            floats[6],
            floats[10],
            colors,
        )
    # Those of a volume, which may be large, are in memory that is 0 from the beginning.
    for place in range(channels * size, 3 * size if depth == 1 else 0):
        colors[place] = _ZERO
