"""How images are laid out for the compiled code: as volumes, of which images have one slice, and series one row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, product
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch.nn.functional import pad

from captum_superpixel.masks.slic._cells import Axis
from captum_superpixel.masks.slic.compiled.kernels.clusters import LANES
from captum_superpixel.masks.slic.compiled.kernels.components import REMEMBERED
from captum_superpixel.masks.slic.compiled.kernels.samples import SIDE

__all__ = ["Layout", "Lengths", "multiple"]

Lengths: TypeAlias = Mapping[type, Sequence[int]]
"""How many numbers of memory, of each type."""

_CPU = torch.device("cpu")


class Layout(NamedTuple):
    """The cells and samples of volumes of one size.

    Args:
        axes: Slices, rows and columns.
        samples: Which of the pixels of a cell are samples, along each axis.
        factors: How many pixels of the original each pixel stands for along each axis.
        spatial: The depth, height and width of the original.
    """

    axes: tuple[Axis, ...]
    samples: tuple[range, ...]
    factors: tuple[int, ...]
    spatial: tuple[int, ...]

    @property
    def reach(self) -> int:
        """With the cells of how many layers a pixel is compared."""
        return self.axes[0].reach

    @property
    def pitch(self) -> int:
        """How many columns of centers there are, with a frame and with what fills up."""
        return multiple(self.axes[2].count, LANES) + 2

    @property
    def stride(self) -> int:
        """How many samples a slice of a cell has, with what fills up."""
        return multiple(len(self.samples[1]) * len(self.samples[2]), LANES)

    def length(self, planes: int) -> int:
        """Count what is added up of a sample: colors, row, column, 1, and the slice, if there are several."""
        return multiple(planes + 3 + self.deep, SIDE)

    @property
    def deep(self) -> int:
        """Whether there are several slices, 0 or 1."""
        return int(self.axes[0].size > 1)

    def sizes(self, channels: int, blurred: int, iterations: int, wanted: int, least: int, enough: int) -> list[int]:
        """List the numbers that ``segments.segment`` reads, by their places."""
        (depth, height, width), (layers, rows, columns) = zip(
            *((axis.size, axis.count) for axis in self.axes), strict=True
        )
        slices, lines, points = map(len, self.samples)
        thickness, factor, breadth = self.factors
        return [
            *(channels, height, width, blurred),
            *(rows, columns, lines * points, self.stride),
            *(iterations, wanted, least, enough),
            *(factor, *self.spatial[1:]),
            *(self.length(max(channels, 3)), self.pitch),
            # Where ``scale`` leaves the image in the memory of ``scaling_lengths``.
            5 if factor.bit_length() % 2 else 4,
            *(depth, layers, self.reach, slices),
            *(thickness, breadth, self.spatial[0]),
        ]

    def float_tables(self) -> list[Any]:
        """List the places and distances that it reads, in units."""
        behind, down, right = self.axes
        slices, lines, points = self.samples
        spare = [0.0] * LANES
        margin = self.pitch - 1 - right.count
        return [
            down.units(range(down.longest), _CPU),
            [*right.units(range(right.longest), _CPU)[right.places(range(right.count))[1]].tolist(), *spare],
            pad(down.neighbors()[0], (0, 0, 1, 1)),
            pad(right.neighbors()[0].T, (1, margin)),
            [*down.units(lines, _CPU).repeat_interleave(len(points)).tolist(), *spare],
            [*right.units(points, _CPU).repeat(len(lines)).tolist(), *spare],
            behind.units(range(behind.longest), _CPU),
            pad(behind.neighbors()[0], (0, 0, 1, 1)),
            behind.units(slices, _CPU),
        ]

    def int_tables(self) -> list[Sequence[int]]:
        """List the places and areas that it reads, in pixels."""
        behind, down, right = self.axes
        slice_areas, row_areas, column_areas = (
            [min(factor, length - start) for start in range(0, length, factor)]
            for factor, length in zip(self.factors, self.spatial, strict=True)
        )
        return [
            (*down.starts, down.size),
            (*right.starts, right.size),
            [(z * down.size + y) * right.size + x for z, y, x in product(*self.samples)],
            [area * row for area in slice_areas for row in row_areas],
            [0, *accumulate(column_areas)],
            (*behind.starts, behind.size),
        ]

    def lengths(self, channels: int, wanted: int) -> dict[type, tuple[int, ...]]:
        """Count the numbers of memory to work in, of each type."""
        (depth, height, width), (layers, rows, columns) = zip(
            *((axis.size, axis.count) for axis in self.axes), strict=True
        )
        slices, lines, points = map(len, self.samples)
        planes, size, cells = max(channels, 3), depth * height * width, layers * rows * columns
        length = self.length(planes)
        if self.deep:
            framed = (layers + self.reach - 1) * (rows + 2) * (columns + 2)
            factors, centers = rows * columns * self.reach * 9 * (planes + 4), framed * (planes + 4)
        else:
            framed = (rows + 2) * (columns + 2)
            factors, centers = 9 * (planes + 3) * (self.pitch - 2), (planes + 3) * (rows + 2) * self.pitch
        # Each row touches two before it in volumes.
        pairs = (10 if self.deep else 6) * size
        return {
            np.float32: (
                planes * cells * slices * self.stride,
                cells * slices * lines * points * length,
                factors,
                2 * LANES,
                framed * self.reach * 9 * length,
                centers,
                width + 2,
                length,
                2 * self.spatial[2],
                3 * channels * width,
                channels * width,
                channels * height * width if self.deep else 0,
            ),
            np.int32: (
                size + LANES,
                cells * slices * self.stride,
                size + 1,
                depth * height + 1,
                size,
                size + 1,
                size,
                size,
                pairs,
                LANES,
            ),
            np.int64: (
                max(cells, wanted) * channels,
                size,
                size * channels,
                size * channels,
                max(size, REMEMBERED),
            ),
        }


def multiple(number: int, of: int) -> int:
    """Round a number up to a multiple of another."""
    return math.ceil(number / of) * of
