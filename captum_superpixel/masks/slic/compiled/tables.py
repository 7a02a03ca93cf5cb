"""What the compiled code is told of a setting and a size of images: numbers, tables, and memory to work in."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from captum_superpixel.masks._components import least_area
from captum_superpixel.masks.slic import _segmenting as segmenting
from captum_superpixel.masks.slic._cells import make_cells
from captum_superpixel.masks.slic._clustering import _SAMPLES
from captum_superpixel.masks.slic._segmenting import Setting
from captum_superpixel.masks.slic.compiled.kernels.clusters import LANES
from captum_superpixel.masks.slic.compiled.kernels.components import REMEMBERED
from captum_superpixel.masks.slic.compiled.kernels.looking import BLOCK
from captum_superpixel.masks.slic.compiled.kernels.samples import SIDE

__all__ = ["Lengths", "Memory", "Plan", "make_plan", "scaling_lengths"]

_CPU = torch.device("cpu")

_ALIGNMENT = 64


class Plan:
    """How images of one size are segmented by one setting.

    Args:
        setting: What to do.
        shape: C, H and W of the images; one channel is gray.
        factor: How many pixels of the original wide each pixel stands for.
        spatial: The height and width of the original.
        cells: How many cells to start from for each segment.

    Attributes:
        blurred: Whether pixels are averaged with their neighbors first.
        wanted: How many segments are asked for.
        enough: How many are enough, of which a finer plan exists for images that have fewer; else 0.
        sizes: Numbers, as a pointer; likewise ``float_tables`` and ``int_tables``, pointers to pointers.
        lengths: How many numbers of memory to work in are needed, of each type.
        planes: How many planes of colors there are, of which those beyond the channels are 0.
        size: How many pixels.
    """

    def __init__(
        self, setting: Setting, shape: tuple[int, int, int], factor: int, spatial: tuple[int, int], cells: float
    ) -> None:
        channels, height, width = shape
        self._arguments = (setting, shape, factor, spatial, cells)
        spacing = segmenting._in_blocks(setting, (factor, factor)).spacing
        rows, columns = segmenting._choose_cells((height, width), spacing, cells * setting.n_segments)
        grid = make_cells((height, width), (rows, columns), channels, setting.compactness, _CPU, spacing)
        down, right = grid.axes
        lines, points = down.spread(_SAMPLES[2]), right.spread(_SAMPLES[2])
        self.blurred = min(height // rows, width // columns) >= segmenting._BLURRED
        self.wanted = setting.n_segments
        finer = rows * columns < height * width
        self.enough = math.ceil(segmenting._ENOUGH * setting.n_segments) if finer else 0
        self.planes, self.size = planes, size = max(channels, 3), height * width
        n_samples = len(lines) * len(points)
        filled, length = _multiple(n_samples, LANES), _multiple(planes + 3, SIDE)
        pitch, spare = _multiple(columns, LANES) + 2, [0.0] * LANES
        self.arrays: tuple[list[NDArray[Any]], ...] = (
            [
                np.array(
                    [
                        *(channels, height, width, self.blurred),
                        *(rows, columns, n_samples, filled),
                        *(setting.iterations, self.wanted),
                        *(least_area(math.prod(spatial), setting.n_segments), self.enough),
                        *(factor, *spatial),
                        *(length, pitch),
                        # Where ``scale`` leaves the image in the memory of ``scaling_lengths``.
                        5 if factor.bit_length() % 2 else 4,
                    ],
                    dtype=np.int64,
                )
            ],
            [
                torch.as_tensor(values, dtype=torch.float32).flatten().numpy()
                for values in (
                    [grid.units],
                    down.units(range(down.longest), _CPU),
                    [*right.units(range(right.longest), _CPU)[right.places(range(columns))[1]].tolist(), *spare],
                    pad(down.neighbors()[0], (0, 0, 1, 1)),
                    pad(right.neighbors()[0].T, (1, pitch - 1 - columns)),
                    [*down.units(lines, _CPU).repeat_interleave(len(points)).tolist(), *spare],
                    [*right.units(points, _CPU).repeat(len(lines)).tolist(), *spare],
                )
            ],
            [
                torch.as_tensor(values, dtype=torch.int32).flatten().numpy()
                for values in (
                    *((*axis.starts, axis.size) for axis in grid.axes),
                    [line * width + point for line in lines for point in points],
                    _areas(spatial[0], factor),
                    [0, *accumulate(_areas(spatial[1], factor))],
                )
            ],
        )
        self.sizes = self.arrays[0][0].ctypes.data
        self.float_tables, self.int_tables = (_pointers([a.ctypes.data for a in part]) for part in self.arrays[1:])
        n_cells = rows * columns
        self.lengths: dict[type, tuple[int, ...]] = {
            np.float32: (
                planes * n_cells * filled,
                n_cells * n_samples * length,
                9 * (planes + 3) * (pitch - 2),
                2 * LANES,
                (rows + 2) * (columns + 2) * 9 * length,
                (planes + 3) * (rows + 2) * pitch,
                width + 2,
                length,
                2 * spatial[1],
                3 * channels * width,
                channels * width,
            ),
            np.int32: (
                size + LANES,
                n_cells * filled,
                size + 1,
                height + 1,
                size,
                size + 1,
                size,
                size,
                6 * size,
                LANES,
            ),
            np.int64: (
                max(n_cells, self.wanted) * planes,
                size,
                size * planes,
                size * planes,
                max(size, REMEMBERED),
            ),
        }

    @property
    def finer(self) -> Plan:
        """The plan for images in which this one leaves too few segments."""
        *others, cells = self._arguments
        return make_plan(*others, 1.3 * cells)


@lru_cache(maxsize=64)
def make_plan(
    setting: Setting, shape: tuple[int, int, int], factor: int, spatial: tuple[int, int], cells: float
) -> Plan:
    """Find the plan for these arguments of :class:`Plan`, whatever the user's default device is."""
    with _CPU:
        return Plan(setting, shape, factor, spatial, cells)


Lengths: TypeAlias = Mapping[type, Sequence[int]]


@lru_cache(maxsize=64)
def scaling_lengths(channels: int, height: int, width: int, factor: int) -> Lengths:
    """Count the numbers of memory, of each type, that images need in which the plan finds segments.

    They are for bounds, the least and largest of runs, two rows, pixels that are left after one halving and after two,
    if there are so many (see ``kernels.scaling``), and colors; and ``LANES`` integers.
    """
    runs = channels * (height * width // LANES + BLOCK)
    first, second = (channels * -(-height // blocks) * -(-width // blocks) if factor > 2 else 0 for blocks in (2, 4))
    shrunk = -(-height // factor) * -(-width // factor)
    floats = (2 * (channels + LANES), runs, runs, 2 * width, first, second, max(channels, 3) * shrunk + LANES)
    return {np.float32: floats, np.int32: (LANES,)}


class Memory:
    """Memory for the compiled code to work in.

    Args:
        lengths: How many numbers of each type.
        block: Where to take it from; with None it is allocated.
        labels: The memory for segments; with None a part of this.

    Attributes:
        floats: A pointer to pointers; likewise ``ints`` and ``longs``.
    """

    def __init__(self, lengths: Lengths, block: NDArray[np.uint8] | None = None, labels: int | None = None) -> None:
        self.block = np.empty(self.size(lengths), dtype=np.uint8) if block is None else block
        address = _aligned(self.block.ctypes.data)
        pointers = []
        for dtype in (np.float32, np.int32, np.int64):
            addresses = []
            for length in lengths.get(dtype, ()):
                addresses.append(address)
                address += _aligned(length * np.dtype(dtype).itemsize)
            if dtype is np.int32:
                addresses[0] = self.labels = addresses[0] if labels is None else labels
            pointers.append(_pointers(addresses))
        self.floats, self.ints, self.longs = pointers

    @staticmethod
    def size(lengths: Lengths) -> int:
        """Count the bytes that it needs."""
        sizes = (_aligned(n * np.dtype(dtype).itemsize) for dtype, counts in lengths.items() for n in counts)
        return _ALIGNMENT + sum(sizes)


def _areas(length: int, factor: int) -> list[int]:
    """Count the pixels along one axis that each block stands for, of which the last may be cut off."""
    return [min(factor, length - start) for start in range(0, length, factor)]


def _multiple(number: int, of: int) -> int:
    return -(-number // of) * of


def _aligned(size: int) -> int:
    return _multiple(size, _ALIGNMENT)


def _pointers(addresses: Sequence[int]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(addresses))(*addresses)
