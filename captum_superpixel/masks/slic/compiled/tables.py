"""What the compiled code is told of a setting and a size of images: numbers, tables, and memory to work in."""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from captum_superpixel.masks._components import least_area
from captum_superpixel.masks.slic import _segmenting as segmenting
from captum_superpixel.masks.slic._cells import Axis, make_cells
from captum_superpixel.masks.slic._clustering import _SAMPLES
from captum_superpixel.masks.slic._segmenting import Setting
from captum_superpixel.masks.slic.compiled.kernels.clusters import LANES
from captum_superpixel.masks.slic.compiled.kernels.looking import BLOCK
from captum_superpixel.masks.slic.compiled.layout import Layout, Lengths, multiple

__all__ = ["Memory", "Plan", "make_plan", "scaling_lengths"]

_CPU = torch.device("cpu")

_ENOUGH = segmenting._ENOUGH

_ALIGNMENT = 64


class Plan:
    """How images of one size are segmented by one setting.

    Args:
        setting: What to do.
        shape: C and the lengths of the one to three axes of the images; one channel is gray.
        factors: How many pixels of the original each pixel stands for along each axis.
        spatial: How long the axes of the original are.
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
        self, setting: Setting, shape: tuple[int, ...], factors: tuple[int, ...], spatial: tuple[int, ...], cells: float
    ) -> None:
        channels, *long_axes = shape
        lengths = tuple(long_axes)
        self._arguments = (setting, shape, factors, spatial, cells)
        spacing = segmenting._in_blocks(setting, factors).spacing
        counts = segmenting._choose_cells(lengths, spacing, cells * setting.n_segments)
        grid = make_cells(lengths, counts, channels, setting.compactness, _CPU, spacing)
        self.blurred = min(map(operator.floordiv, lengths, counts)) >= segmenting._BLURRED
        self.wanted = setting.n_segments
        self.enough = math.ceil(_ENOUGH * setting.n_segments) if math.prod(counts) < math.prod(lengths) else 0
        self.planes, self.size = max(channels, 3), math.prod(lengths)
        fewest = self.wanted if len(lengths) < 3 else math.ceil(_ENOUGH * self.wanted)
        # An image has one slice, and a series one row of one.
        missing = 3 - len(lengths)
        axes = (*[Axis(1, 1, 0.0)] * missing, *grid.axes)
        layout = Layout(
            axes,
            tuple(axis.spread(_SAMPLES[len(lengths)]) for axis in axes),
            (*[1] * missing, *factors),
            (*[1] * missing, *spatial),
        )
        blur = int(self.blurred) * (2 if len(lengths) == 1 else 1)
        least = least_area(math.prod(spatial), fewest)
        numbers = layout.sizes(channels, blur, setting.iterations, self.wanted, least, self.enough)
        self.arrays: tuple[list[NDArray[Any]], ...] = (
            [np.array(numbers, dtype=np.int64)],
            [
                torch.as_tensor(values, dtype=torch.float32).flatten().numpy()
                for values in ([grid.units], *layout.float_tables())
            ],
            [torch.as_tensor(values, dtype=torch.int32).flatten().numpy() for values in layout.int_tables()],
        )
        self.sizes = self.arrays[0][0].ctypes.data
        self.float_tables, self.int_tables = (_pointers([a.ctypes.data for a in part]) for part in self.arrays[1:])
        self.lengths = layout.lengths(channels, self.wanted)
        self._deep = layout.deep

    def new_colors(self) -> NDArray[np.float32]:
        """Allocate memory for colors; of volumes it is 0, so that planes that are left so take none."""
        size = self.planes * self.size + LANES
        return np.zeros(size, np.float32) if self._deep else np.empty(size, np.float32)

    @property
    def finer(self) -> Plan:
        """The plan for images in which this one leaves too few segments."""
        *others, cells = self._arguments
        return make_plan(*others, 1.3 * cells)


@lru_cache(maxsize=64)
def make_plan(
    setting: Setting, shape: tuple[int, ...], factors: tuple[int, ...], spatial: tuple[int, ...], cells: float
) -> Plan:
    """Find the plan for these arguments of :class:`Plan`, whatever the user's default device is."""
    with _CPU:
        return Plan(setting, shape, factors, spatial, cells)


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


def _aligned(size: int) -> int:
    return multiple(size, _ALIGNMENT)


def _pointers(addresses: Sequence[int]) -> ctypes.Array[ctypes.c_void_p]:
    return (ctypes.c_void_p * len(addresses))(*addresses)
