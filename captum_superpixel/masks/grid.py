"""Equal cells in rows and columns, whatever the image shows: the baseline for all superpixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import torch
from torch import Tensor

from captum_superpixel.masks.base import CountedMaskGenerator


@dataclass(frozen=True, repr=False)
class Grid(CountedMaskGenerator):
    """Cells of equal size in rows and columns, numbered in raster order.

    The mask depends on the shape of the inputs alone. Signals ``(N, C, L)``, images ``(N, C, H, W)`` and volumes
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

    def scale_pixels(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Leave the inputs ``(N, C, *spatial)`` as they are: only their shape matters."""
        return inputs.detach(), torch.zeros(len(inputs), dtype=torch.bool, device=inputs.device)

    @classmethod
    def segment_together(cls, generators: Sequence[Self], images: Tensor, flat: Tensor) -> list[Tensor]:
        """Divide inputs ``(N, C, *spatial)`` into a feature mask ``(N, 1, *spatial)`` each; see the base class."""
        return [generator._divide(images) for generator in generators]

    def _divide(self, images: Tensor) -> Tensor:
        spatial = tuple(images.shape[2:])
        mask = torch.zeros((), dtype=torch.int64, device=images.device)
        for length, count in zip(spatial, _cells(spatial, self.n_segments), strict=True):
            mask = mask[..., None] * count + torch.arange(length, device=images.device) * count // length
        return mask.repeat(images.shape[0], 1, *[1] * len(spatial))


@lru_cache(maxsize=256)
def _cells(spatial: tuple[int, ...], n_segments: int) -> tuple[int, ...]:
    """Find the number of cells along each dimension: near to ``n_segments`` in all, and near to square."""

    def cost(counts: tuple[int, ...]) -> float:
        sides = [math.log(length / count) for length, count in zip(spatial, counts, strict=True)]
        # A cell twice as long as wide weighs as much as a number of cells that is 16 % off.
        return abs(math.log(math.prod(counts) / n_segments)) + 0.22 * (max(sides) - min(sides))

    candidates = []
    for leading in itertools.product(*(range(1, min(length, n_segments) + 1) for length in spatial[:-1])):
        exact = n_segments / math.prod(leading)
        candidates += [(*leading, min(spatial[-1], max(1, last))) for last in (math.floor(exact), math.ceil(exact))]
    return min(candidates, key=cost)
