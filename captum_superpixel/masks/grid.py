"""Equal cells in rows and columns, whatever the image shows: the baseline for all superpixels."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import torch
from torch import Tensor

from captum_superpixel.masks.base import CountedMaskGenerator

_ELONGATION = 0.22
"""A cell twice as long as wide weighs as much as a number of cells that is 16 % off."""


@dataclass(frozen=True, repr=False)
class Grid(CountedMaskGenerator):
    """Cells of equal size in rows and columns, numbered in raster order.

    The mask depends on the shape of the inputs alone, whose values may be NaN. With ``mask=``, cells are cut to their
    valid pixels, and those without any are left out. Signals ``(N, C, L)``, images ``(N, C, H, W)`` and volumes
    ``(N, C, D, H, W)``.

    Args:
        n_segments: The number of cells to come near to, at least 1 and at most the number of pixels. Cells are as
            square as possible: 100 is 10 by 10, 50 is 7 by 7, and on images twice as wide as high 5 by 10.
        denormalize: Accepted like the other generators do; without effect.
        channel_order: Accepted like the other generators do; without effect.

    Examples:
        >>> import torch
        >>> Grid(n_segments=4)(torch.zeros(1, 3, 4, 4))[0, 0]
        tensor([[0, 0, 1, 1],
                [0, 0, 1, 1],
                [2, 2, 3, 3],
                [2, 2, 3, 3]])
    """

    spatial_dimensions: ClassVar[tuple[int, ...]] = (1, 2, 3)

    def _check_finite(self, inputs: Tensor) -> None:
        """Accept any values: they are not looked at."""

    def _check_valid(self, valid: Tensor) -> None:
        """Accept any number of valid pixels: cells without one are left out."""

    def scale_pixels(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Leave the inputs ``(N, C, *spatial)`` as they are: only their shape matters."""
        return inputs.detach(), torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)

    @classmethod
    def segment_together(cls, generators: Sequence[Self], images: Tensor, flat: Tensor) -> list[Tensor]:
        """Divide inputs ``(N, C, *spatial)`` into a feature mask ``(N, 1, *spatial)`` each; see the base class."""
        return [generator._divide(images) for generator in generators]

    def _divide(self, images: Tensor) -> Tensor:
        spatial = tuple(images.shape[2:])
        counts = choose_cells(spatial, self.n_segments, elongation=_ELONGATION)
        mask = torch.zeros((), dtype=torch.int64, device=images.device)
        for length, count in zip(spatial, counts, strict=True):
            mask = mask[..., None] * count + torch.arange(length, device=images.device) * count // length
        return mask.repeat(images.shape[0], 1, *[1] * len(spatial))


@lru_cache(maxsize=256)
def choose_cells(
    spatial: tuple[int, ...],
    count: float,
    *,
    elongation: float,
    symmetric: bool = True,
    spacing: tuple[float, ...] | None = None,
) -> tuple[int, ...]:
    """Choose how many cells along each dimension make about ``count`` of them, near to square.

    Args:
        spatial: How many pixels long each dimension is.
        count: How many cells to come near to.
        elongation: How much a cell that is e times as long as wide weighs against a number that is e times too large.
        symmetric: Whether, of choices that fit equally well, such as 4 by 5 and 5 by 4 cells in a square, the one with
            fewer rows is taken, and not the one that the rounding of logarithms favors. The labels of ``Slic`` depend
            on the latter.
        spacing: How far apart adjacent pixels are along each dimension; None for 1.

    Examples:
        >>> choose_cells((60, 100), 15, elongation=0.3)
        (3, 5)
    """
    pairs = itertools.permutations if symmetric else itertools.combinations
    extents = spatial if spacing is None else tuple(map(operator.mul, spatial, spacing))

    def misfit(counts: tuple[int, ...]) -> float:
        axes = zip(extents, counts, strict=True)
        ratios = [length * other / (number * width) for (length, number), (width, other) in pairs(axes, 2)]
        longest = max((abs(math.log(ratio)) for ratio in ratios), default=0.0)
        return abs(math.log(math.prod(counts) / count)) / elongation + longest

    leading_counts = [range(1, min(length, math.ceil(count)) + 1) for length in spatial[:-1]]
    if len(spatial) > 2:
        # Of the products of two axes there may be 100,000; those near to cubes are a few hundred.
        side = equal_side(extents, count)
        ideals = [extent / side for extent in extents[:-1]]
        leading_counts = [
            range(max(1, min(math.floor(ideal / 2), counts[-1])), min(math.ceil(2 * ideal), counts[-1]) + 1)
            for ideal, counts in zip(ideals, leading_counts, strict=True)
        ]
    candidates = []
    for leading in itertools.product(*leading_counts):
        exact = count / math.prod(leading)
        candidates += [(*leading, min(spatial[-1], max(1, last))) for last in (math.floor(exact), math.ceil(exact))]
    return min(candidates, key=misfit)


def equal_side(extents: Sequence[float], count: float) -> float:
    """Say how long the sides of about ``count`` cubes are that fill a box; a box that is flatter is filled by plates.

    Examples:
        >>> equal_side((8, 8, 8), 64), equal_side((1, 8, 8), 4)
        (2.0, 4.0)
    """
    left = sorted(extents)
    side = (math.prod(left) / count) ** (1 / len(left))
    while len(left) > 1 and left[0] < side:
        left = left[1:]
        side = (math.prod(left) / count) ** (1 / len(left))
    return float(side)
