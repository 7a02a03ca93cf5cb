"""The cells that images are cut into, one for each cluster, and the units in which distances are counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

_LONGEST = 2040
"""No vector of features is longer than so many units, which leaves room for rounding below 2**11."""

_LAB_RADIUS = 137.0
"""The largest distance of an sRGB color to middle gray in CIELAB, in whose units lightness alone is counted too."""


@dataclass(frozen=True)
class Axis:
    """One axis of an image, cut into cells.

    Args:
        size: How many pixels long it is.
        count: How many cells it is cut into.
        pixel_units: How many units apart two adjacent pixels are.
    """

    size: int
    count: int
    pixel_units: float

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first pixel of each cell."""
        return tuple(index * self.size // self.count for index in range(self.count))

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """How many pixels long each cell is: ``longest``, as the last is, or one less."""
        return tuple(end - start for start, end in zip(self.starts, (*self.starts[1:], self.size), strict=True))

    @property
    def longest(self) -> int:
        """How many pixels long the longest cell is."""
        return math.ceil(self.size / self.count)

    @property
    def reach(self) -> int:
        """How many cells along it a pixel is compared with: its own, and those before and after unless it is alone."""
        return min(self.count, 2) * 2 - 1

    def spread(self, samples: int) -> range:
        """Choose about so many pixels of every cell, evenly, counted from its start."""
        length = self.size // self.count
        step = max(1, round(length / samples))
        count = length // step
        first = (length - step * (count - 1)) // 2
        return range(first, first + step * count, step)

    def pixels(self, cells: range, chosen: range) -> Tensor:
        """Number some pixels of some cells, counted from the starts of these, in the image: ``(cells, chosen)``."""
        return torch.tensor(self.starts[cells.start : cells.stop])[:, None] + torch.tensor(chosen)

    def extent(self, cells: range) -> slice:
        """Say which pixels are in some cells."""
        return slice(self.starts[cells.start], (*self.starts, self.size)[cells.stop])

    def places(self, cells: range) -> tuple[Tensor, Tensor]:
        """List the pixels of some cells: in which of these each is, counted from the first, and where there."""
        lengths = torch.tensor(self.lengths[cells.start : cells.stop])
        cell = torch.arange(len(cells)).repeat_interleave(lengths)
        return cell, torch.arange(len(cell)) - (lengths.cumsum(0) - lengths)[cell]

    def units(self, pixels: range, device: torch.device) -> Tensor:
        """Say where some pixels of a cell are, from its middle, in units."""
        middle = (self.longest - 1) / 2
        units = [round((pixel - middle) * self.pixel_units) for pixel in pixels]
        return torch.tensor(units, dtype=torch.float32, device=device)

    def neighbors(self) -> tuple[Tensor, Tensor]:
        """Compare each cell with the one before it, itself, and the next.

        Returns:
            How far away they start, in units, and whether they are outside the image; both ``(count, 3)``.
        """
        starts = torch.tensor([round(start * self.pixel_units) for start in self.starts], dtype=torch.float32)
        index = torch.arange(self.count)[:, None] + torch.arange(-1, 2)
        inside = index.clamp(0, self.count - 1)
        return starts[inside] - starts[:, None], index != inside


@dataclass(frozen=True, eq=False)
class CellGrid:
    """The cells of an image or a volume, of D dimensions.

    Args:
        axes: Its axes, in the order of its dimensions.
        units: How many units a feature (CIELAB, or other channels from 0 to 100) is counted in.
        offsets: Shape ``(*shape, A, D)``: how far away, in units, each of the A cells around one starts, including it,
            as many along each axis as its ``reach``; 0 for those outside the image.
    """

    axes: tuple[Axis, ...]
    units: float
    offsets: Tensor

    @property
    def reach(self) -> tuple[int, ...]:
        """How many cells a pixel is compared with along each axis; their product is the A above."""
        return tuple(axis.reach for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many cells there are along each axis."""
        return tuple(axis.count for axis in self.axes)


@lru_cache(maxsize=64)
def make_cells(
    spatial: tuple[int, ...],
    shape: tuple[int, ...],
    channels: int,
    compactness: float,
    device: torch.device,
    spacing: tuple[float, ...] | None = None,
) -> CellGrid:
    """Cut images into cells.

    The unit is such that the products and sums of the clustering are whole numbers which float32 holds, whatever the
    order of the additions, and their factors are ones that even TensorFloat-32 holds. So neither the batch nor the
    threads nor the device change a label.

    Args:
        spatial: The lengths of the axes of the images, in pixels.
        shape: How many cells each axis is cut into.
        channels: How many channels the images have, of which one is lightness, and three are CIELAB.
        compactness: How far apart in color two pixels are as far apart as two cells.
        device: Where the images are.
        spacing: How far apart adjacent pixels are along each axis; None for 1.
    """
    spacing = spacing or (1.0,) * len(spatial)
    weight = compactness / _side_of_cells([size * step for size, step in zip(spatial, spacing, strict=True)], shape)
    radius = _LAB_RADIUS if channels in (1, 3) else 50 * math.sqrt(channels)
    # A center lies among the pixels of the three cells around its own along each axis, and is compared with the pixels
    # of those around its own.
    sizes = zip(spatial, shape, spacing, strict=True)
    farthest = [2.5 * weight * step * (size // count + 2) for size, count, step in sizes]
    units = _LONGEST / math.hypot(radius, *farthest)
    axes = tuple(
        Axis(size, count, weight * step * units) for size, count, step in zip(spatial, shape, spacing, strict=True)
    )
    dimensions = len(axes)
    reach = [axis.reach for axis in axes]
    with torch.device("cpu"):
        offsets = torch.empty(*shape, *reach, dimensions, dtype=torch.float32)
        outside = torch.zeros(*shape, *reach, dtype=torch.bool)
        for index, axis in enumerate(axes):
            layout = [1] * (2 * dimensions)
            layout[index], layout[dimensions + index] = axis.count, axis.reach
            away, beyond = (table if axis.reach == 3 else table[:, 1:2] for table in axis.neighbors())
            offsets[..., index] = away.view(layout)
            outside |= beyond.view(layout)
        offsets.masked_fill_(outside[..., None], 0)
    return CellGrid(axes, units, offsets.view(*shape, math.prod(reach), dimensions).to(device))


def _side_of_cells(extents: Sequence[float], shape: Sequence[int]) -> float:
    """Say how long the side is of a square or cube as large as a cell of images of these ``extents``.

    In volumes an axis that is not cut, and is less than half as long as the cells are along another one, does not
    count: cells in a thin plate are the squares that they would be in an image of it, and their side is that of these.
    """
    if len(extents) == 2:
        return math.sqrt(math.prod(extents) / math.prod(shape))
    lengths = [extent / count for extent, count in zip(extents, shape, strict=True)]
    longest = max(lengths)
    counted = [length for length, count in zip(lengths, shape, strict=True) if count > 1 or length >= longest / 2]
    return float(math.prod(counted) ** (1 / len(counted)))
