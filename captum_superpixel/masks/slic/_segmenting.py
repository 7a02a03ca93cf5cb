"""SLIC of a few images by one or several settings at the same time, which share what they can."""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel.masks._components import least_area, number_by_first
from captum_superpixel.masks.grid import choose_cells, equal_side
from captum_superpixel.masks.slic._cells import make_cells
from captum_superpixel.masks.slic._clustering import Clustering
from captum_superpixel.masks.slic._largest import Shades, keep_largest
from captum_superpixel.masks.slic._shared_pixels import SharedPixels

_CELLS = 0.8
"""Cells for each segment that is asked for: the other segments are connected components that k-means cuts off."""

_ENOUGH = 0.9
"""The share of ``n_segments`` below which an image is segmented again from more cells."""

_DETAIL = {1: 1024, 2: 32, 3: 16}
"""How many blocks of pixels wide a segment has to stay, for its borders to be as good as those between pixels, by the
number of axes. In volumes, where blocks are eight voxels and noise is common, borders of 16 blocks are as good; in
series, where pixels are few, blocks would save little."""

_BLURRED = 12
"""The side of a cell, in pixels, from which a blur pays: it halves the number of specks and keeps the borders."""


class Setting(NamedTuple):
    """What SLIC is to do; sorted, those stand together that have cells of the same size.

    Args:
        n_segments: The number of segments.
        iterations: The number of k-means iterations.
        spacing: How far apart adjacent pixels are along each axis.
        compactness: The weight of place against color.
    """

    n_segments: int
    iterations: int
    spacing: tuple[float, ...]
    compactness: float


class AtOnce(NamedTuple):
    """How many pixels are treated at the same time, which bounds the memory and keeps to caches.

    Args:
        assigned: How many are compared with centers.
        segmented: How many, counted once for each setting, go through all steps together.
    """

    assigned: int
    segmented: int


def segment_pixels(settings: Sequence[Setting], pixels: SharedPixels, at_once: AtOnce) -> list[Tensor]:
    """Segment N images by SLIC: ``(N, *spatial)`` for each setting, the same as for that setting and image alone."""
    spatial = tuple(pixels.images.shape[2:])
    found: dict[int, Tensor] = {}
    order = sorted(range(len(settings)), key=settings.__getitem__)
    with _full_precision(pixels.images.device):
        for factors, group in groupby(order, lambda index: _shrink_factors(spatial, settings[index])):
            shrunk = pixels.shrunk(factors)
            indices = list(group)
            step = max(1, at_once.segmented // shrunk.images[:, 0].numel())
            for first in range(0, len(indices), step):
                part = indices[first : first + step]
                chosen = [settings[index] for index in part]
                areas = _block_areas(spatial, factors, shrunk.images.device) if max(factors) > 1 else None
                chosen = [_in_blocks(setting, factors) for setting in chosen]
                segments = _segment(chosen, shrunk, at_once.assigned, areas=areas)
                for axis, (length, factor) in enumerate(zip(spatial, factors, strict=True), start=2):
                    if factor > 1:
                        segments = segments.repeat_interleave(factor, axis).narrow(axis, 0, length)
                found.update(zip(part, segments, strict=True))
    return [found[index] for index in range(len(settings))]


def segment_valid_pixels(setting: Setting, pixels: SharedPixels, at_once: AtOnce, valid: Tensor) -> Tensor:
    """Segment the valid pixels of one image by SLIC, without treating blocks as one; all are ``(*spatial)``."""
    cells = _CELLS * valid.numel() / int(valid.sum())
    with _full_precision(pixels.images.device):
        return _segment([setting], pixels, at_once.assigned, cells=cells, valid=valid)[0, 0]


def _segment(
    settings: Sequence[Setting],
    pixels: SharedPixels,
    at_once: int,
    *,
    cells: float = _CELLS,
    areas: Tensor | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    """Segment N images by G sorted settings.

    Those that differ in compactness alone move their centers as one batch, and the clusters of all are connected
    together.

    Args:
        settings: What to do.
        pixels: The images.
        at_once: How many pixels are compared with centers at the same time.
        cells: How many cells to start from for each segment; images in which these leave too few segments get more.
        areas: How many pixels of the original each of these stands for, ``(*spatial)``; with None one.
        valid: Which pixels are to be segmented, ``(*spatial)`` bool; with None all. The others get other labels.

    Returns:
        Shape ``(G, N, *spatial)``.
    """
    count, channels, *lengths = pixels.images.shape
    spatial, device = tuple(lengths), pixels.images.device
    clusters, centers = [], []
    compared: list[tuple[Tensor, float]] = []
    for (n_segments, iterations, spacing), group in groupby(settings, lambda setting: setting[:3]):
        shape = _choose_cells(spatial, spacing, cells * n_segments)
        grids = [make_cells(spatial, shape, channels, setting.compactness, device, spacing) for setting in group]
        clustering = Clustering(grids, iterations=iterations, pixels_at_once=at_once, scratch=pixels.scratch)
        blurred = min(map(operator.floordiv, spatial, shape)) >= _BLURRED
        values = pixels.colors(blurred=blurred)
        assigned, moved = clustering(values)
        clusters.append(assigned.flatten(0, 1))
        centers.append(moved.flatten(0, 1)[..., :channels])
        compared += [(values, grid.units) for grid in grids]
    most = max(moved.shape[1] for moved in centers)
    colors = torch.cat([pad(moved, (0, 0, 0, most - moved.shape[1])) for moved in centers])
    total = math.prod(spatial) if areas is None else int(areas.sum())
    if valid is not None:
        total = int(valid.sum())
    # In volumes segments are as large as they have to be if the fewest are found: to find specks again where some
    # are missing would cost as much as all else.
    fewest = [setting.n_segments for setting in settings]
    if len(spatial) > 2:
        fewest = [math.ceil(_ENOUGH * number) for number in fewest]
    asked = [setting.n_segments for setting in settings for _ in range(count)]
    smallest = [least_area(total, number) for number in fewest for _ in range(count)]
    wanted, least = torch.tensor([asked, smallest], device=device).unbind()

    def shades(rows: Tensor) -> Tensor:
        # All images of a setting together: on other devices operations take their time however little there is to do.
        of_settings = [0] * len(rows) if len(compared) == 1 else [row // count for row in rows.tolist()]
        runs = [(setting, len(list(run))) for setting, run in groupby(of_settings)]
        parts = torch.split(rows, [length for _, length in runs])
        colored = [
            compared[setting][0].index_select(0, part - setting * count).mul_(compared[setting][1]).round_()
            for (setting, _), part in zip(runs, parts, strict=True)
        ]
        return torch.cat(colored) if len(colored) > 1 else colored[0]

    joined = torch.cat(clusters) if len(clusters) > 1 else clusters[0]
    segments, counts = keep_largest(joined, colors, wanted, least=least, areas=areas, valid=valid, shades=shades)
    del clusters, joined
    segments = segments.view(len(settings), count, *spatial)
    missing = {row: number - found for row, (number, found) in enumerate(zip(asked, counts.tolist(), strict=True))}
    fewer = [row for row, number in missing.items() if number > 0]
    for index, setting in enumerate(settings):
        most = setting.n_segments - math.ceil(_ENOUGH * setting.n_segments)
        too_few = [row % count for row in fewer if row // count == index and missing[row] > most]
        cut = math.prod(_choose_cells(spatial, setting.spacing, cells * setting.n_segments))
        if too_few and cut < math.prod(spatial):
            chosen = torch.tensor(too_few, device=device)
            again = _segment([setting], pixels.select(chosen), at_once, cells=1.3 * cells, areas=areas, valid=valid)
            segments[index].index_copy_(0, chosen, again[0])
    if fewer:
        flat = segments.flatten(0, 1)
        chosen = torch.tensor(fewer, device=device)
        flat[chosen] = _without_smaller(flat[chosen], lambda rows: shades(chosen[rows]), areas, valid)
    return segments


def _without_smaller(segments: Tensor, shades: Shades, areas: Tensor | None, valid: Tensor | None) -> Tensor:
    """Let segments grow or join that are below a tenth of the mean size, where they are fewer than was asked for.

    Args:
        segments: Shape ``(N, *spatial)``, numbered from 0 in each image; at invalid pixels the number of segments.
        shades: Gives the colors of the pixels of some of the images.
        areas: As for ``_segment``.
        valid: As for ``_segment``.

    Returns:
        Segments numbered likewise, ``(N, *spatial)``.
    """
    flat = segments.flatten(1)
    # Ones take no memory for each pixel.
    weights = flat.new_ones(()).expand_as(flat[0]) if areas is None else areas.flatten()
    if valid is not None:
        weights = weights * valid.flatten()
    most = int(flat.max()) + 1
    sizes = flat.new_zeros(len(flat), most).scatter_add_(1, flat, weights.expand_as(flat))
    counts = (sizes > 0).sum(dim=1)
    total = int(weights.sum())
    least = counts.new_tensor([least_area(total, count) for count in counts.tolist()])
    if valid is None and not ((sizes > 0) & (sizes < least[:, None])).any():
        # What is left is the order of the numbers, that of first pixels.
        before = counts.cumsum(0) - counts
        numbers = number_by_first(flat + torch.arange(len(flat), device=flat.device)[:, None] * most)
        return numbers.sub_(before[:, None]).view(segments.shape)
    of_pixels = shades(torch.arange(len(flat), device=flat.device))
    columns = [(column.flatten(1).long() * weights) for column in of_pixels.unbind(1)]
    sums = torch.stack([torch.zeros_like(sizes).scatter_add_(1, flat, column) for column in columns], dim=2)
    means = sums.div(sizes.clamp(min=1)[..., None], rounding_mode="floor").to(of_pixels.dtype)
    merged, left = keep_largest(
        segments.int(),
        means,
        counts,
        least=least,
        areas=areas,
        valid=valid,
        shades=lambda rows: of_pixels[rows],
        connected=valid is None,
    )
    return merged if torch.equal(left, counts) else _without_smaller(merged, shades, areas, valid)


def _choose_cells(spatial: tuple[int, ...], spacing: tuple[float, ...], count: float) -> tuple[int, ...]:
    """Choose how many cells each axis of an image is cut into, which are about ``count`` cells."""
    return choose_cells(spatial, count, elongation=1 / 3, symmetric=False, spacing=spacing)


def _segment_sides(spatial: tuple[int, ...], setting: Setting) -> list[float]:
    """Say how many pixels long a segment is along each axis, if all are squares or cubes."""
    extents = list(map(operator.mul, spatial, setting.spacing))
    if len(spatial) == 2:
        side = math.sqrt(math.prod(extents) / setting.n_segments)
        return [side / step for step in setting.spacing]
    # In plates thinner than a cube they are as thick as the plate.
    side = equal_side(extents, setting.n_segments)
    return [min(side, extent) / step for extent, step in zip(extents, setting.spacing, strict=True)]


def _in_blocks(setting: Setting, factors: tuple[int, ...]) -> Setting:
    """Say how far apart blocks of so many pixels are, where pixels are as far apart as the setting says."""
    return setting._replace(spacing=tuple(map(operator.mul, setting.spacing, factors)))


def _shrink_factors(spatial: tuple[int, ...], setting: Setting) -> tuple[int, ...]:
    """Say how many pixels long the blocks are along each axis that are treated as one: the largest powers of two."""
    spare = [side / _DETAIL[len(spatial)] for side in _segment_sides(spatial, setting)]
    return tuple(1 << max(0, math.floor(math.log2(blocks))) for blocks in spare)


def _block_areas(spatial: tuple[int, ...], factors: tuple[int, ...], device: torch.device) -> Tensor:
    """Count the pixels in blocks of ``factors`` along each axis, of which those at the far edges may lack some."""
    areas = torch.ones((), dtype=torch.int64, device=device)
    for length, factor in zip(spatial, factors, strict=True):
        along = [min(factor, length - start) for start in range(0, length, factor)]
        areas = areas[..., None] * torch.tensor(along, device=device)
    return areas


def _full_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Keep autocast from rounding the factors of the clustering to 8 bits."""
    # Asked first whether it is on: devices that lack it raise an error where it is turned off.
    if torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()
