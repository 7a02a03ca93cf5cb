"""k-means on colour and place for batches of images: the clustering of SLIC, in whole numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel.masks.cells import CellGrid
from captum_superpixel.masks.color import rgb_to_lab_

_FAR = 2.0**24
"""A score above that of any centre: the square of a distance less a constant is below 3 * 2**22."""

_SAMPLES = 8
"""About how many samples a cell has in each direction while the centres move."""

_BLURRED = 12
"""The side of a cell, in pixels, from which a blur pays: it halves the number of specks and keeps the borders."""


class Clustering:
    """Assigns pixels to clusters.

    Args:
        grid: The cells of the images, a cluster each.
        iterations: How often the centres move.
        pixels_at_once: About how many pixels are treated at the same time, which bounds the memory.
    """

    def __init__(self, grid: CellGrid, *, iterations: int, pixels_at_once: int) -> None:
        self.grid = grid
        self.iterations = iterations
        self.pixels_at_once = pixels_at_once
        self.blur = min(*grid.rows.lengths, *grid.columns.lengths) >= _BLURRED
        self._memory: dict[str, Tensor] = {}

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Assign every pixel of a batch to a cluster.

        Args:
            images: Shape ``(N, C, H, W)``, float32 in [0, 1].

        Returns:
            Clusters ``(N, H, W)``, int32, numbered like the cells, row by row; and the centres ``(N, K, C + 2)``, their
            colours and places in units.
        """
        rows, columns = self.grid.rows, self.grid.columns
        features = self._features(images, rows.spread(_SAMPLES), columns.spread(_SAMPLES))
        centres = self._move_centres(features, len(images))
        clusters = torch.empty(len(images), rows.size, columns.size, dtype=torch.int32, device=images.device)
        lines = max(1, self.pixels_at_once // (len(rows.lengths) * columns.size))
        images_at_once = max(1, lines // rows.longest)
        for first in range(0, len(images), images_at_once):
            part = slice(first, first + images_at_once)
            factors = self._score_factors(centres[part])
            for top in range(0, rows.longest, lines):
                self._assign(clusters[part], images[part], factors, range(top, min(top + lines, rows.longest)))
        return clusters, centres.flatten(1, 2)

    def _space(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """Lend memory, the same for the same name: to allocate it anew would cost more than to compute with it."""
        size = math.prod(shape)
        if name not in self._memory or self._memory[name].numel() < size:
            self._memory[name] = like.new_empty(size)
        return self._memory[name][:size].view(shape)

    def _features(self, images: Tensor, lines: range, points: range) -> Tensor:
        """Lay out pixels cell by cell: colours and places in units, 1, and 2**11.

        Args:
            images: Shape ``(N, C, H, W)``.
            lines: Which rows of each cell, counted from its start. What is past its end is in the next cell.
            points: Which columns of each cell.

        Returns:
            Shape ``(N * rows * columns, C + 4, P)``.
        """
        grid = self.grid
        colours = self._take_rows(images, lines)
        starts = grid.columns.starts
        if points.step > 1:
            columns = torch.tensor([start + point for start in starts for point in points], device=images.device)
            colours = colours.index_select(3, columns)
            starts, points = tuple(range(0, colours.shape[3], len(points))), range(len(points))
            places = grid.columns.spread(_SAMPLES)
        else:
            places = points
        count, channels = colours.shape[:2]
        if channels == 3:
            colours = rgb_to_lab_(colours, self._space("lab", colours, 3, *colours.shape))
            colours[:, 0].sub_(50)
        else:
            colours.mul_(100).sub_(50)
        colours.mul_(grid.units).round_()
        shape = (*grid.shape, channels + 4, len(lines), len(points))
        features = self._space(f"features {len(lines)}x{len(points)}", colours, count, *shape)
        cells = colours.view(count, channels, grid.rows.count, len(lines), -1).transpose(1, 2)
        for index, start in enumerate(starts):
            features[:, :, index, :channels] = cells[..., start + points.start : start + points.stop]
        features[:, :, :, channels] = grid.rows.units(lines, images.device)[:, None]
        features[:, :, :, channels + 1] = grid.columns.units(places, images.device)
        features[:, :, :, channels + 2] = 1
        features[:, :, :, channels + 3] = 2**11
        return features.view(-1, channels + 4, len(lines) * len(points))

    def _take_rows(self, images: Tensor, lines: range) -> Tensor:
        """Copy some rows of each cell, blurred by the weights 1, 2, 1 in both directions where that pays."""
        size = images.shape[2]
        rows = torch.tensor([start + line for start in self.grid.rows.starts for line in lines], device=images.device)
        shape = (*images.shape[:2], len(rows), images.shape[3])
        taken = torch.index_select(images, 2, rows, out=self._space("taken", images, *shape))
        if not self.blur:
            return taken
        other = self._space("other", images, *shape)
        taken.mul_(2)
        taken.add_(torch.index_select(images, 2, (rows - 1).clamp_(min=0), out=other))
        taken.add_(torch.index_select(images, 2, (rows + 1).clamp_(max=size - 1), out=other))
        blurred = torch.mul(taken, 2, out=other)
        blurred[..., 1:].add_(taken[..., :-1])
        blurred[..., :1].add_(taken[..., :1])
        blurred[..., :-1].add_(taken[..., 1:])
        blurred[..., -1:].add_(taken[..., -1:])
        return blurred.mul_(1 / 16)

    def _move_centres(self, features: Tensor, count: int) -> Tensor:
        """Run k-means from the mean colour and place of each cell: centres ``(N, rows, columns, C + 2)``."""
        size = features.shape[1] - 2
        rows, columns = self.grid.shape
        centres = (features[:, :size].sum(dim=2) / features.shape[2]).round_().view(count, rows, columns, size)
        points = features[:, : size + 1].transpose(1, 2)
        for _ in range(self.iterations):
            nearest = self._nearest(self._score_factors(centres), features)
            # A pixel that is as near to two centres counts for both.
            sums = torch.bmm(nearest, points).view(count, rows, columns, 9, size + 1)
            sums[..., size - 2 : size] -= self.grid.offsets * sums[..., size:]
            total = _collect(sums)
            number = total[..., size:]
            centres = torch.where(number > 0, (total[..., :size] / number.clamp(min=1)).round_(), centres)
        return centres

    def _score_factors(self, centres: Tensor) -> Tensor:
        """Say what to multiply the features of a cell by, to compare the centres around it.

        Such a score is the square of the distance less that of the pixel's own vector. The centre's square is split in
        two, so that no factor has more than 11 bits.

        Args:
            centres: Shape ``(N, rows, columns, C + 2)``.

        Returns:
            Shape ``(N * rows * columns, 9, C + 4)``.
        """
        count, rows, columns, size = centres.shape
        factors = centres.new_empty(count, rows, columns, 9, size + 2)
        nearby = factors[..., :size]
        around = pad(centres, (0, 0, 1, 1, 1, 1))
        image, row, column, _ = around.stride()
        factors.view(count, rows, columns, 3, 3, size + 2)[..., :size] = around.as_strided(
            (count, rows, columns, 3, 3, size), (image, row, column, row, column, 1)
        )
        nearby[..., size - 2 :] += self.grid.offsets
        squares = nearby.square().sum(dim=-1).masked_fill_(self.grid.outside, _FAR)
        nearby.mul_(-2).masked_fill_(self.grid.outside[..., None], 0)
        high = torch.floor(squares / 2**11)
        factors[..., size] = squares - high * 2**11
        factors[..., size + 1] = high
        return factors.view(-1, 9, size + 2)

    def _nearest(self, factors: Tensor, features: Tensor) -> Tensor:
        """Mark the nearest of nine centres by 1, the others by 0: ``(L, 9, P)``; several where they are as near."""
        shape = (len(features), 9, features.shape[2])
        scores = torch.bmm(factors, features, out=self._space("scores", features, *shape))
        least = torch.amin(scores, dim=1, keepdim=True, out=self._space("least", features, shape[0], 1, shape[2]))
        return scores.le_(least)

    def _assign(self, clusters: Tensor, images: Tensor, factors: Tensor, lines: range) -> None:
        """Write the nearest cluster of each pixel in some rows of each cell into ``clusters``, ``(N, H, W)``."""
        rows, columns = self.grid.rows, self.grid.columns
        features = self._features(images, lines, range(columns.longest))
        nearest = self._nearest(factors, features)
        # A power of two for each centre: the exponent of their sum is that of the first of those that are nearest.
        weights = 2.0 ** torch.arange(8, -1, -1, dtype=torch.float32, device=images.device)
        powers = self._space("least", features, len(nearest), 1, features.shape[2])
        torch.bmm(weights.expand(len(nearest), 1, 9), nearest, out=powers)
        # From the position in the 3x3 neighbourhood to the number of the cell: 11 k // 32 is k // 3 for k below 9.
        position = powers.view(torch.int32).bitwise_right_shift_(23).neg_().add_(127 + 8)
        third = torch.mul(position, 11, out=self._space("third", features, *position.shape).view(torch.int32))
        position += third.bitwise_right_shift_(5).mul_(columns.count - 3)
        own = torch.arange(rows.count * columns.count, dtype=torch.int32, device=images.device) - (columns.count + 1)
        number = position.view(len(images), len(own), -1).add_(own[:, None])
        number = number.view(len(images), rows.count, columns.count, len(lines), columns.longest)
        strips = self._space("strips", features, len(images), rows.count, len(lines), columns.size).view(torch.int32)
        for index, (start, length) in enumerate(zip(columns.starts, columns.lengths, strict=True)):
            strips[..., start : start + length] = number[:, :, index, :, :length]
        for index, (start, length) in enumerate(zip(rows.starts, rows.lengths, strict=True)):
            if (end := min(length, lines.stop)) > lines.start:
                clusters[:, start + lines.start : start + end] = strips[:, index, : end - lines.start]


def _collect(sums: Tensor) -> Tensor:
    """Add up what each cell says about its 3x3 neighbours, ``(N, rows, columns, 9, F)``, by neighbour.

    Returns:
        Shape ``(N, rows, columns, F)``.
    """
    count, rows, columns, _, size = sums.shape
    padded = pad(sums, (0, 0, 0, 0, 1, 1, 1, 1))
    image, row, column, neighbour, _ = padded.stride()
    # The cell a rows down and b columns right, from one before, has this one as its neighbour 8 - 3 a - b.
    strides = (image, row, column, row - 3 * neighbour, column - neighbour, 1)
    return padded.as_strided((count, rows, columns, 3, 3, size), strides, 8 * neighbour).sum(dim=(3, 4))
