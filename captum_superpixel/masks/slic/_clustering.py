"""k-means on color and place for batches of images or volumes: the clustering of SLIC, in whole numbers.

The steps are, for each image by itself:

1. Cells: along each axis of length L, cell k of K begins at pixel ``k * L // K``. Colors and the places of pixels in
   their cells are counted in units (``_cells``) and rounded to whole numbers.
2. Samples: about ``_SAMPLES`` pixels of each cell along each axis, evenly spaced. The first centers are their means,
   rounded.
3. Iterations: each sample goes to the nearest of the centers of the cells around its own, of which there are three
   along each axis that is cut, and to all that are equally near. Centers become the means of their samples, rounded;
   those without samples stay where they are.
4. Assignment: every pixel goes to the nearest of the centers of the cells around its own, of several to that of the
   cell which comes first in reading order.

What follows is in ``_largest``: connected components, of which the surplus is merged, and specks that grow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel.masks.slic._cells import Axis, CellGrid
from captum_superpixel.masks.slic._kept_tables import (
    Ranges,
    find_in_cells,
    number_first_neighbors,
    number_pixels,
    place_features,
    weigh_by_order,
)
from captum_superpixel.masks.slic._shared_pixels import Scratch

_FAR = 2.0**24
"""A score above that of any center: the square of a distance less a constant is below 3 * 2**22."""

_SAMPLES = {1: 64, 2: 8, 3: 5}
"""About how many samples a cell has along each axis while the centers move, by the number of axes."""

_DIVIDING = {3: (11, 5), 9: (57, 9)}
"""How to divide whole numbers below 27, rounded down: 11 k // 2**5 is k // 3, and 57 k // 2**9 is k // 9."""


class Clustering:
    """Assigns pixels to clusters, by several grids at the same time, which differ in compactness alone.

    Letters in shapes: G grids, N images of C channels and D axes, L cells per image, P pixels in each, A cells around
    each, itself included.

    Args:
        grids: The cells of the images, a cluster each.
        iterations: How often the centers move.
        pixels_at_once: About how many pixels are assigned at the same time, which bounds the memory.
        scratch: Memory to work in.
    """

    def __init__(self, grids: Sequence[CellGrid], *, iterations: int, pixels_at_once: int, scratch: Scratch) -> None:
        self.grids = grids
        self.iterations = iterations
        self.pixels_at_once = pixels_at_once
        self.scratch = scratch
        self.axes = grids[0].axes
        self.reach = grids[0].reach
        units = torch.tensor([grid.units for grid in grids], dtype=torch.float32, device=scratch.device)
        self.units = units.view(-1, 1, 1, 1, 1)
        self.offsets = torch.stack([grid.offsets for grid in grids])[:, None]

    def __call__(self, colors: Tensor) -> tuple[Tensor, Tensor]:
        """Assign every pixel of a batch to a cluster, for every grid.

        Args:
            colors: Shape ``(N, C, *spatial)``, float32, contiguous: CIELAB, or other channels from 0 to 100, around 0.

        Returns:
            Clusters ``(G, N, *spatial)``, int32, numbered like the cells, in reading order; and the centers
            ``(G, N, L, C + D)``, their colors and places in units.
        """
        axes, dimensions = self.axes, len(self.axes)
        features = self._features(
            colors,
            tuple(range(axis.count) for axis in axes),
            tuple(axis.spread(_SAMPLES[dimensions]) for axis in axes),
        )
        centers = self._move_centers(features)
        count, _, *spatial = colors.shape
        clusters = torch.empty(len(self.grids), count, *spatial, dtype=torch.int32, device=colors.device)
        # Several images at the same time, or some cells of one.
        at_once = self.pixels_at_once // len(self.grids)
        images_at_once = max(1, at_once // math.prod(spatial))
        for first in range(0, count, images_at_once):
            part = slice(first, first + images_at_once)
            factors = self._score_factors(centers[:, part])
            for block in _blocks(axes, at_once):
                self._assign(clusters[:, part], colors[part], factors, block)
        return clusters, centers.flatten(2, -2)

    def _features(self, colors: Tensor, cells: Ranges, chosen: Ranges) -> Tensor:
        """Lay out pixels cell by cell: colors and places in units, 1, and 2**11.

        Args:
            colors: Shape ``(N, C, *spatial)``.
            cells: Which cells along each axis.
            chosen: Which pixels of each cell along each axis, counted from its start. What is past its end is in the
                next cell.

        Returns:
            Shape ``(G, N, L, C + D + 2, P)``, of the L cells chosen.
        """
        count, channels = colors.shape[:2]
        axes, dimensions = self.axes, len(self.axes)
        index = number_pixels(axes, cells, chosen, colors.device)
        taken = self.scratch.lend("taken", count * channels, len(index))
        torch.gather(colors.view(count * channels, -1), 1, index.expand(len(taken), -1), out=taken)
        sides = [len(part) for part in chosen]
        length, size = math.prod(len(part) for part in cells), math.prod(sides)
        features = self.scratch.lend("features", len(self.grids), count, length, channels + dimensions + 2, size)
        values = taken.view(count, channels, length, size).transpose(1, 2)
        torch.mul(values, self.units, out=features[..., :channels, :]).round_()
        grids = tuple(grid.axes for grid in self.grids)
        features[..., channels:, :] = place_features(grids, chosen, colors.device)[:, None, None]
        return features

    def _move_centers(self, features: Tensor) -> Tensor:
        """Run k-means from the mean color and place of each cell: centers ``(G, N, *shape, C + D)``."""
        dimensions = len(self.axes)
        size = features.shape[3] - 2
        shape = (*features.shape[:2], *(axis.count for axis in self.axes))
        centers = (features[..., :size, :].sum(dim=4) / features.shape[4]).round_().view(*shape, size)
        points = features[..., : size + 1, :].flatten(0, 2).transpose(1, 2)
        for _ in range(self.iterations):
            nearest = self._nearest(self._score_factors(centers), features)
            # A pixel that is as near to two centers counts for both.
            sums = torch.bmm(nearest, points).view(*shape, math.prod(self.reach), size + 1)
            number = sums[..., size:]
            sums[..., size - dimensions : size].addcmul_(self.offsets, number, value=-1)
            total = _collect_(sums.view(*shape, *self.reach, size + 1), dimensions)
            number = total[..., size:]
            centers = torch.where(number > 0, (total[..., :size] / number.clamp(min=1)).round_(), centers)
        return centers

    def _score_factors(self, centers: Tensor) -> Tensor:
        """Say what to multiply the features of a cell by, to compare the centers around it.

        Such a score is the square of the distance less that of the pixel's own vector: the center's square, and -2
        times its product with the pixel. The square is split in two, so that no factor has more than 11 bits.

        Args:
            centers: Shape ``(G, N, *shape, C + D)``.

        Returns:
            Shape ``(G, N, *shape, A, C + D + 2)``.
        """
        *shape, size = centers.shape
        dimensions = len(self.axes)
        # Around the image are centers that are far from everything.
        margins = [reach // 2 for reach in self.reach]
        around = pad(centers * -2, (0, 1, *(margin for margin in reversed(margins) for _ in range(2))))
        around[..., size] = _FAR
        squares = centers[..., : size - dimensions].square().sum(dim=-1)
        inside = (slice(margin, margin + axis.count) for margin, axis in zip(margins, self.axes, strict=True))
        around[..., size][:, :, *inside] = squares
        strides = around.stride()[:-1]
        factors = centers.new_empty(*shape, math.prod(self.reach), size + 2)
        factors.view(*shape, *self.reach, size + 2)[..., : size + 1] = around.as_strided(
            (*shape, *self.reach, size + 1), (*strides, *strides[2:], 1)
        )
        places = factors[..., size - dimensions : size].sub_(self.offsets, alpha=2)
        squares = factors[..., size].clone()
        for place in places.unbind(-1):
            squares.addcmul_(place, place, value=0.25)
        high = torch.mul(squares, 2**-11, out=factors[..., size + 1]).floor_()
        torch.sub(squares, high, alpha=2**11, out=factors[..., size])
        return factors

    def _nearest(self, factors: Tensor, features: Tensor) -> Tensor:
        """Mark the nearest of the centers around by 1, others by 0: ``(G * N * L, A, P)``; several where they tie."""
        factors, features = factors.reshape(-1, *factors.shape[-2:]), features.flatten(0, 2)
        length, around, size = len(features), factors.shape[1], features.shape[2]
        scores = torch.bmm(factors, features, out=self.scratch.lend("scores", length, around, size))
        least = torch.amin(scores, dim=1, keepdim=True, out=self.scratch.lend("least", length, 1, size))
        return scores.le_(least)

    def _assign(self, clusters: Tensor, colors: Tensor, factors: Tensor, block: Ranges) -> None:
        """Write the nearest cluster of each pixel in a block of cells into ``clusters``, ``(G, N, *spatial)``."""
        axes, device = self.axes, colors.device
        features = self._features(colors, block, tuple(range(axis.longest) for axis in axes))
        within = tuple(slice(part.start, part.stop) for part in block)
        nearest = self._nearest(factors[:, :, *within], features)
        position = self._first_position(nearest)
        # Back from the order of the cells to that of the image.
        number = position.view(-1, math.prod(map(len, block)), position.shape[2])
        number += number_first_neighbors(axes, block, device)[:, None]
        index = find_in_cells(axes, block, device)
        number = number.flatten(1).gather(1, index.expand(len(number), -1))
        target = clusters[:, :, *(axis.extent(part) for axis, part in zip(axes, block, strict=True))]
        target.copy_(number.view(target.shape))

    def _first_position(self, nearest: Tensor) -> Tensor:
        """Find the first of the centers that are nearest, ``(G * N * L, A, P)``.

        Returns:
            Shape ``(G * N * L, 1, P)``, int32: how far its cell is, in the numbers of cells, from the first of those
            around the pixel's own, which would be outside the image for cells at its edges.
        """
        length, around, size = nearest.shape
        weights = weigh_by_order(around, nearest.device)
        parts = len(weights)
        powers = self.scratch.lend("powers" if parts > 1 else "least", length, parts, size)
        torch.bmm(weights.expand(length, -1, -1), nearest, out=powers)
        if parts > 1:
            powers = torch.amax(powers, dim=1, keepdim=True, out=self.scratch.lend("least", length, 1, size))
        position = powers.view(torch.int32).bitwise_right_shift_(23).neg_().add_(127 + around - 1)
        # From the position in the neighborhood to the number of the cell.
        *_, rows, columns = (1, 1, *(axis.count for axis in self.axes))
        *_, down, right = (1, 1, *self.reach)
        terms = []
        for name, divisor, step in (("row", right, columns - right), ("plane", down * right, (rows - down) * columns)):
            if around > divisor and step:
                factor, shift = _DIVIDING[divisor]
                term = torch.mul(position, factor, out=self.scratch.lend(name, *position.shape).view(torch.int32))
                terms.append(term.bitwise_right_shift_(shift).mul_(step))
        for term in terms:
            position += term
        return position


def _blocks(axes: Sequence[Axis], pixels: int) -> Iterator[Ranges]:
    """Divide the cells of an image into blocks of about so many pixels: ranges of cells along each axis.

    They have all cells along the last axes, as many along one as fit, and one along each before it. Images are cut into
    rows of cells.
    """
    sizes = [axis.size for axis in axes]
    # The axis along which cells are counted out: the first of which one cell, as long as the others, is few enough.
    cut, last = 0, len(axes) - (2 if len(axes) == 2 else 1)
    while cut < last and axes[cut].longest * math.prod(sizes[cut + 1 :]) > pixels:
        cut += 1
    layer = math.prod(axis.longest for axis in axes[: cut + 1]) * math.prod(sizes[cut + 1 :])
    step = max(1, pixels // layer)
    steps = [*[1] * cut, step, *(axis.count for axis in axes[cut + 1 :])]
    yield from (
        tuple(map(lambda first, step, axis: range(first, min(first + step, axis.count)), firsts, steps, axes))
        for firsts in product(*(range(0, axis.count, step) for axis, step in zip(axes, steps, strict=True)))
    )


def _collect_(sums: Tensor, dimensions: int) -> Tensor:
    """Add up what each cell says about the cells around it, ``(G, N, *shape, *reach, F)``, by these.

    What it says about those outside the image is zero. The sums are overwritten.

    Returns:
        Shape ``(G, N, *shape, F)``.
    """
    for axis in range(2, 2 + dimensions):
        if sums.shape[2 + dimensions] == 1:
            sums = sums.squeeze(2 + dimensions)
            continue
        before, own, after = sums.unbind(2 + dimensions)
        last = own.shape[axis] - 1
        own.narrow(axis, 1, last).add_(after.narrow(axis, 0, last))
        own.narrow(axis, 0, last).add_(before.narrow(axis, 1, last))
        sums = own
    return sums
