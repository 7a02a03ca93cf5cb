"""k-means on color and place for batches of images: the clustering of SLIC, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel.masks.slic._cells import CellGrid
from captum_superpixel.masks.slic._shared_pixels import Scratch

_FAR = 2.0**24
"""A score above that of any center: the square of a distance less a constant is below 3 * 2**22."""

_SAMPLES = 8
"""About how many samples a cell has in each direction while the centers move."""


class Clustering:
    """Assigns pixels to clusters, by several grids at the same time, which differ in compactness alone.

    Letters in shapes: G grids, N images of C channels, L cells per image, P pixels in each.

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
        self.rows, self.columns = grids[0].rows, grids[0].columns
        self.units = torch.tensor([grid.units for grid in grids], device=scratch.device).view(-1, 1, 1, 1, 1)
        self.offsets = torch.stack([grid.offsets for grid in grids])[:, None]

    def __call__(self, colors: Tensor) -> tuple[Tensor, Tensor]:
        """Assign every pixel of a batch to a cluster, for every grid.

        Args:
            colors: Shape ``(N, C, H, W)``, float32, contiguous: CIELAB, or other channels from 0 to 100, around 0.

        Returns:
            Clusters ``(G, N, H, W)``, int32, numbered like the cells, row by row; and the centers ``(G, N, L, C + 2)``,
            their colors and places in units.
        """
        rows, columns = self.rows, self.columns
        bands = range(rows.count)
        features = self._features(colors, bands, rows.spread(_SAMPLES), columns.spread(_SAMPLES))
        centers = self._move_centers(features)
        count, _, height, width = colors.shape
        clusters = torch.empty(len(self.grids), count, height, width, dtype=torch.int32, device=colors.device)
        # Several images at the same time, or some rows of the cells of one.
        at_once = self.pixels_at_once // len(self.grids)
        images_at_once = max(1, at_once // (height * width))
        bands_at_once = rows.count if images_at_once > 1 else max(1, at_once // (rows.longest * width))
        for first in range(0, count, images_at_once):
            part = slice(first, first + images_at_once)
            factors = self._score_factors(centers[:, part])
            for top in range(0, rows.count, bands_at_once):
                self._assign(clusters[:, part], colors[part], factors, bands[top : top + bands_at_once])
        return clusters, centers.flatten(2, 3)

    def _features(self, colors: Tensor, bands: range, lines: range, points: range) -> Tensor:
        """Lay out pixels cell by cell: colors and places in units, 1, and 2**11.

        Args:
            colors: Shape ``(N, C, H, W)``.
            bands: Which rows of cells.
            lines: Which rows of each cell, counted from its start. What is past its end is in the next cell.
            points: Which columns of each cell.

        Returns:
            Shape ``(G, N, L, C + 4, P)``.
        """
        count, channels, _, width = colors.shape
        down, right = self.rows.pixels(bands, lines) * width, self.columns.pixels(range(self.columns.count), points)
        index = (down[:, None, :, None] + right[None, :, None, :]).flatten().to(colors.device)
        taken = self.scratch.lend("taken", count * channels, len(index))
        torch.gather(colors.view(count * channels, -1), 1, index.expand(len(taken), -1), out=taken)
        cells, size = len(bands) * self.columns.count, len(lines) * len(points)
        features = self.scratch.lend("features", len(self.grids), count, cells, channels + 4, size)
        values = taken.view(count, channels, cells, size).transpose(1, 2)
        torch.mul(values, self.units, out=features[..., :channels, :]).round_()
        places = features.view(*features.shape[:4], len(lines), len(points))
        for image, grid in zip(places, self.grids, strict=True):
            image[:, :, channels] = grid.rows.units(lines, colors.device)[:, None]
            image[:, :, channels + 1] = grid.columns.units(points, colors.device)
        features[..., channels + 2, :] = 1
        features[..., channels + 3, :] = 2**11
        return features

    def _move_centers(self, features: Tensor) -> Tensor:
        """Run k-means from the mean color and place of each cell: centers ``(G, N, rows, columns, C + 2)``."""
        size = features.shape[3] - 2
        shape = (*features.shape[:2], self.rows.count, self.columns.count)
        centers = (features[..., :size, :].sum(dim=4) / features.shape[4]).round_().view(*shape, size)
        points = features[..., : size + 1, :].flatten(0, 2).transpose(1, 2)
        for _ in range(self.iterations):
            nearest = self._nearest(self._score_factors(centers), features)
            # A pixel that is as near to two centers counts for both.
            sums = torch.bmm(nearest, points).view(*shape, 9, size + 1)
            number = sums[..., size:]
            sums[..., size - 2 : size].addcmul_(self.offsets, number, value=-1)
            total = _collect_(sums.view(*shape, 3, 3, size + 1))
            number = total[..., size:]
            centers = torch.where(number > 0, (total[..., :size] / number.clamp(min=1)).round_(), centers)
        return centers

    def _score_factors(self, centers: Tensor) -> Tensor:
        """Say what to multiply the features of a cell by, to compare the centers around it.

        Such a score is the square of the distance less that of the pixel's own vector: the center's square, and -2
        times its product with the pixel. The square is split in two, so that no factor has more than 11 bits.

        Args:
            centers: Shape ``(G, N, rows, columns, C + 2)``.

        Returns:
            Shape ``(G, N, rows, columns, 9, C + 4)``.
        """
        *shape, size = centers.shape
        # Around the image are centers that are far from everything.
        around = pad(centers * -2, (0, 1, 1, 1, 1, 1))
        around[..., size] = _FAR
        around[..., 1:-1, 1:-1, size] = centers[..., : size - 2].square().sum(dim=-1)
        *strides, row, column, _ = around.stride()
        factors = centers.new_empty(*shape, 9, size + 2)
        factors.view(*shape, 3, 3, size + 2)[..., : size + 1] = around.as_strided(
            (*shape, 3, 3, size + 1), (*strides, row, column, row, column, 1)
        )
        places = factors[..., size - 2 : size].sub_(self.offsets, alpha=2)
        squares = factors[..., size].clone()
        for place in places.unbind(-1):
            squares.addcmul_(place, place, value=0.25)
        high = torch.mul(squares, 2**-11, out=factors[..., size + 1]).floor_()
        torch.sub(squares, high, alpha=2**11, out=factors[..., size])
        return factors

    def _nearest(self, factors: Tensor, features: Tensor) -> Tensor:
        """Mark the nearest of nine centers by 1, the others by 0: ``(G * N * L, 9, P)``; several where they tie."""
        factors, features = factors.reshape(-1, *factors.shape[-2:]), features.flatten(0, 2)
        length, size = len(features), features.shape[2]
        scores = torch.bmm(factors, features, out=self.scratch.lend("scores", length, 9, size))
        least = torch.amin(scores, dim=1, keepdim=True, out=self.scratch.lend("least", length, 1, size))
        return scores.le_(least)

    def _assign(self, clusters: Tensor, colors: Tensor, factors: Tensor, bands: range) -> None:
        """Write the nearest cluster of each pixel in some rows of cells into ``clusters``, ``(G, N, H, W)``."""
        rows, columns = self.rows, self.columns
        features = self._features(colors, bands, range(rows.longest), range(columns.longest))
        nearest = self._nearest(factors[:, :, bands.start : bands.stop], features)
        # A power of two for each center: the exponent of their sum is that of the first of those that are nearest.
        weights = 2.0 ** torch.arange(8, -1, -1, dtype=torch.float32, device=colors.device)
        powers = self.scratch.lend("least", len(nearest), 1, nearest.shape[2])
        torch.bmm(weights.expand(len(nearest), 1, 9), nearest, out=powers)
        # From the position in the 3x3 neighborhood to the number of the cell: 11 k // 32 is k // 3 for k below 9.
        position = powers.view(torch.int32).bitwise_right_shift_(23).neg_().add_(127 + 8)
        third = torch.mul(position, 11, out=self.scratch.lend("third", *position.shape).view(torch.int32))
        position += third.bitwise_right_shift_(5).mul_(columns.count - 3)
        own = torch.arange(bands.start * columns.count, bands.stop * columns.count, dtype=torch.int32)
        number = position.view(-1, len(own), position.shape[2])
        number += (own - (columns.count + 1)).to(colors.device)[:, None]
        # Back from the order of the cells to that of the image.
        (band, line), (column, point) = rows.places(bands), columns.places(range(columns.count))
        down = (band * columns.count * rows.longest + line) * columns.longest
        right = column * rows.longest * columns.longest + point
        index = (down[:, None] + right).flatten().to(colors.device)
        number = number.flatten(1).gather(1, index.expand(len(number), -1))
        top = rows.starts[bands.start]
        target = clusters[:, :, top : top + len(down)]
        target.copy_(number.view(target.shape))


def _collect_(sums: Tensor) -> Tensor:
    """Add up what each cell says about its 3x3 neighbors, ``(G, N, rows, columns, 3, 3, F)``, by neighbor.

    What it says about those outside the image is zero. The sums are overwritten.

    Returns:
        Shape ``(G, N, rows, columns, F)``.
    """
    above, own, below = sums.unbind(4)
    own[:, :, 1:] += below[:, :, :-1]
    own[:, :, :-1] += above[:, :, 1:]
    left, own, right = own.unbind(4)
    own[:, :, :, 1:] += right[:, :, :, :-1]
    own[:, :, :, :-1] += left[:, :, :, 1:]
    return own
