"""Tables that the clustering of SLIC looks up, kept on the device of the images from one batch to the next.

They depend on how images are cut into cells, not on what these show. To make one takes some ten short operations of
torch, and to bring it to another device makes the host wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import ParamSpec, TypeAlias, cast

import torch
from torch import Tensor

from captum_superpixel.masks.slic._cells import Axis

__all__ = ["Ranges", "find_in_cells", "number_first_neighbors", "number_pixels", "place_features", "weigh_by_order"]

Arguments = ParamSpec("Arguments")
Ranges: TypeAlias = tuple[range, ...]
"""Cells along each axis, or pixels of each cell, counted from its start."""

_LARGEST = 2**18
"""How many numbers a table has that is kept, at most: others take memory, and little time beside their images."""

_MOST = 16
"""How many tables of a kind are kept: ``multiscale`` needs four."""

_EXACT = 18
"""So many different powers of two have a sum that float32 holds, with room to spare."""


def _kept(size: Callable[Arguments, int]) -> Callable[[Callable[Arguments, Tensor]], Callable[Arguments, Tensor]]:
    """Keep what a function makes, unless ``size``, of the same arguments, says that it is large."""

    def decorate(make: Callable[Arguments, Tensor]) -> Callable[Arguments, Tensor]:
        @wraps(make)
        def make_on_cpu(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Tensor:
            # Whatever the user's default device is, which would be asked for each of the short operations.
            with torch.device("cpu"):
                return make(*args, **kwargs)

        remember = cast(Callable[Arguments, Tensor], lru_cache(_MOST)(make_on_cpu))

        @wraps(make)
        def find(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Tensor:
            return (remember if size(*args, **kwargs) <= _LARGEST else make_on_cpu)(*args, **kwargs)

        return find

    return decorate


@_kept(lambda axes, cells, chosen, device: math.prod(map(len, (*cells, *chosen))))
def number_pixels(axes: tuple[Axis, ...], cells: Ranges, chosen: Ranges, device: torch.device) -> Tensor:
    """Number some pixels of some cells in the image: the ``(cells * chosen,)``, cell by cell."""
    strides = _strides([axis.size for axis in axes])
    pixels = [axis.pixels(*which) * stride for axis, stride, *which in zip(axes, strides, cells, chosen, strict=True)]
    return _spread_sum(pixels).flatten().to(device)


@_kept(lambda grids, chosen, device: len(grids) * (len(chosen) + 2) * math.prod(map(len, chosen)))
def place_features(grids: tuple[tuple[Axis, ...], ...], chosen: Ranges, device: torch.device) -> Tensor:
    """Say where some pixels of a cell are, from its middle, in the units of each grid, and add 1 and 2**11.

    Returns:
        Shape ``(G, D + 2, chosen)``, float32.
    """
    sides = [len(part) for part in chosen]
    features = torch.empty(len(grids), len(sides) + 2, *sides, dtype=torch.float32)
    for places, axes in zip(features, grids, strict=True):
        for number, (axis, pixels) in enumerate(zip(axes, chosen, strict=True)):
            units = axis.units(pixels, features.device)
            places[number] = units.view(-1, *[1] * (len(sides) - 1 - number))
    features[:, -2] = 1
    features[:, -1] = 2**11
    return features.flatten(2).to(device)


@_kept(lambda axes, block, device: math.prod(len(part) * axis.longest for axis, part in zip(axes, block, strict=True)))
def find_in_cells(axes: tuple[Axis, ...], block: Ranges, device: torch.device) -> Tensor:
    """Say for each pixel of a block of cells, in reading order, where it is if all cells are as long as the longest.

    Returns:
        Shape ``(pixels,)``, numbers in the order of cells and, in each, of pixels.
    """
    strides = _strides([*(len(part) for part in block), *(axis.longest for axis in axes)])
    rows = []
    for axis, part, across, along in zip(axes, block, strides, strides[len(axes) :], strict=False):
        cell, point = axis.places(part)
        rows.append((cell * across + point * along)[:, None])
    return _spread_sum(rows).flatten().to(device)


@_kept(lambda axes, block, device: math.prod(map(len, block)))
def number_first_neighbors(axes: tuple[Axis, ...], block: Ranges, device: torch.device) -> Tensor:
    """Number, for each cell of a block, the first cell of those around it, in reading order of the image.

    Returns:
        Shape ``(L,)``, int32; at the edges of the image these numbers are those of no or of other cells.
    """
    strides = _strides([axis.count for axis in axes])
    before = sum(axis.reach // 2 * stride for axis, stride in zip(axes, strides, strict=True))
    own = [torch.tensor(part)[:, None] * stride for part, stride in zip(block, strides, strict=True)]
    return (_spread_sum(own).flatten().int() - before).to(device)


@_kept(lambda around, device: around)
def weigh_by_order(around: int, device: torch.device) -> Tensor:
    """Give each of some centers a power of two, the first the largest.

    The exponent of a sum of these is then that of the first. Of more of them than float32 can add up there are two
    parts, whose sums are to be compared.

    Returns:
        Shape ``(parts, around)``, float32; 0 for the centers of other parts.
    """
    weights = torch.zeros(math.ceil(around / _EXACT), around, dtype=torch.float32)
    for number, row in enumerate(weights):
        part = slice(number * _EXACT, (number + 1) * _EXACT)
        row[part] = 2.0 ** torch.arange(around - 1, -1, -1, dtype=torch.float32)[part]
    return weights.to(device)


def _strides(shape: Sequence[int]) -> list[int]:
    """Say how far apart neighbors along each axis are in a contiguous array."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _spread_sum(parts: Sequence[Tensor]) -> Tensor:
    """Add up what holds along each of D axes ``(A, B)`` for all of them: ``(A of each axis, B of each axis)``."""
    dimensions = len(parts)
    total = torch.zeros((), dtype=torch.int64)
    for axis, part in enumerate(parts):
        layout = [1] * (2 * dimensions)
        layout[axis], layout[dimensions + axis] = part.shape
        total = total + part.view(layout)
    return total
