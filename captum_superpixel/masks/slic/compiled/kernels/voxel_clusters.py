"""The clusters of the voxels of one volume: centers that move, and the nearest one of every voxel."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel
from captum_superpixel.masks.slic.compiled.kernels.voxel_centers import move_voxel_centers
from captum_superpixel.masks.slic.compiled.kernels.voxels import assign_voxels

__all__ = ["cluster_voxels"]


@kernel
def cluster_voxels(
    colors: Floats,
    sizes: Longs,
    float_tables: list[Floats],
    int_tables: list[Ints],
    floats: list[Floats],
    ints: list[Ints],
    longs: list[Longs],
) -> None:
    """Write the cluster of each voxel into the first of ``ints``, and the colors of clusters into that of ``longs``.

    Args:
        colors: As for ``segments.segment``, of which samples have been taken; likewise the others that stand there.
        sizes: See there.
        float_tables: See there.
        int_tables: See there.
        floats: See there.
        ints: See there.
        longs: See there.
    """
    channels, depth, rows, width = sizes[0], sizes[18], sizes[1], sizes[2]
    n_layers, n_rows, n_columns = sizes[19], sizes[4], sizes[5]
    n_slices, n_samples, stride = sizes[21], sizes[6], sizes[7]
    length, pitch, reach, iterations = sizes[15], sizes[16], sizes[20], sizes[8]
    planes = max(channels, 3)
    size = depth * rows * width
    units = float_tables[0][0]
    centers, down, right, factors, scores = floats[5], float_tables[3], float_tables[4], floats[2], floats[3]
    behind = float_tables[8]
    move_voxel_centers(
        floats[0],
        stride,
        floats[1],
        length,
        planes,
        n_layers,
        n_rows,
        n_columns,
        pitch,
        reach,
        n_slices,
        n_samples,
        iterations,
        behind,
        down,
        right,
        float_tables[9],
        float_tables[5],
        float_tables[6],
        factors,
        scores,
        ints[1],
        ints[9],
        floats[4],
        floats[7],
        centers,
    )
    assign_voxels(
        colors,
        planes,
        rows,
        width,
        size,
        units,
        centers,
        n_layers,
        n_rows,
        n_columns,
        pitch,
        reach,
        behind,
        down,
        right,
        int_tables[5],
        int_tables[0],
        int_tables[1],
        float_tables[7],
        float_tables[1],
        float_tables[2],
        factors,
        scores,
        ints[0],
    )
    for cell in range(n_layers * n_rows * n_columns):
        line = (cell // (n_rows * n_columns) + reach // 2) * (n_rows + 2) + cell // n_columns % n_rows + 1
        place = (line * (n_columns + 2) + cell % n_columns + 1) * (planes + 4)
        for channel in range(channels):
            longs[0][cell * channels + channel] = np.int64(centers[place + channel])
