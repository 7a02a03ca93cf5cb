"""The cells that images are cut into, one for each cluster, and the units in which distances are counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

_LONGEST = 2040
"""No vector of features is longer than so many units, which leaves room for rounding below 2**11."""

_LAB_RADIUS = 137.0
"""The largest distance of an sRGB color to middle gray in CIELAB."""


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
    """The cells of an image.

    Args:
        rows: Its vertical axis.
        columns: Its horizontal axis.
        units: How many units a feature (CIELAB, or other channels from 0 to 100) is counted in.
        offsets: Shape ``(rows, columns, 9, 2)``: how far away, in units, each cell of the 3x3 neighborhood starts; 0
            for those outside the image.
    """

    rows: Axis
    columns: Axis
    units: float
    offsets: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of cells there are."""
        return self.rows.count, self.columns.count


@lru_cache(maxsize=64)
def make_cells(
    height: int, width: int, shape: tuple[int, int], channels: int, compactness: float, device: torch.device
) -> CellGrid:
    """Cut images into cells.

    The unit is such that the products and sums of the clustering are whole numbers which float32 holds, whatever the
    order of the additions, and their factors are ones that even TensorFloat-32 holds. So neither the batch nor the
    threads nor the device change a label.

    Args:
        height: The height of the images.
        width: Their width.
        shape: How many rows and columns of cells.
        channels: How many channels the images have.
        compactness: How far apart in color two pixels are as far apart as two cells.
        device: Where the images are.
    """
    weight = compactness / math.sqrt(height * width / math.prod(shape))
    radius = _LAB_RADIUS if channels == 3 else 50 * math.sqrt(channels)
    # A center lies among the pixels of 3x3 cells, and is compared with the pixels of those around its own.
    farthest = [2.5 * weight * (size // count + 2) for size, count in zip((height, width), shape, strict=True)]
    units = _LONGEST / math.hypot(radius, *farthest)
    rows, columns = Axis(height, shape[0], weight * units), Axis(width, shape[1], weight * units)
    (down, above), (right, left) = rows.neighbors(), columns.neighbors()
    offsets = torch.stack([down[:, None, :, None].expand(*shape, 3, 3), right[:, None].expand(*shape, 3, 3)], dim=-1)
    outside = (above[:, None, :, None] | left[:, None])[..., None]
    offsets.masked_fill_(outside, 0)
    return CellGrid(rows, columns, units, offsets.view(*shape, 9, 2).to(device))
