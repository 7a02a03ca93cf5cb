"""Scaling of images to [0, 1] by their own range, which a few outliers do not decide."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["are_flat", "scale_by_range"]

_FLAT = 1e-6
"""A channel that varies by less than this, relative to the largest magnitude, is constant but for rounding."""

_OUTLIERS = 1000
"""How many pixels an image has for each that may be an outlier, of which it may always have one."""

_RUN = 128
"""How many pixels long the runs are of which the bounds are looked at first for outliers."""

_FEWEST = 64
"""How many pixels an image has at least, for one of them to be an outlier."""


def scale_by_range(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Scale each image to [0, 1] by its range over all channels, from its minimum to its maximum but for outliers.

    Where some values are farther above (or below) all others than those are apart, they are clipped to the largest (or
    least) of the others. They may be as many as a thousandth of the pixels have, at least one pixel's; images with
    fewer than 64 pixels have none, nor have those that would be flat without. So a hot pixel does not flatten the rest,
    and photographs, which have no such gap in their values, are scaled by their minimum and maximum to the last bit.

    Args:
        pixels: Images of shape ``(N, C, *spatial)``, finite, float32 or float64.

    Returns:
        The scaled images ``(N, C, *spatial)``, and which of them are flat: ``(N,)`` bool.
    """
    run_lows, run_highs = _run_bounds(pixels)
    lows, highs = run_lows.amin(dim=2), run_highs.amax(dim=2)
    # Halved, because the range of a float32 image can be twice the largest float32.
    low, high = (lows / 2).amin(dim=1), (highs / 2).amax(dim=1)
    halved = pixels / 2
    low, high = _clip_outliers_(halved, run_lows / 2, run_highs / 2, low, high)
    low, high = (bound.view(-1, *[1] * (pixels.ndim - 1)) for bound in (low, high))
    return halved.sub_(low).div_(torch.where(high > low, high - low, 1)), _within_rounding(lows, highs)


def are_flat(pixels: Tensor) -> Tensor:
    """Say in which images ``(N, C, *spatial)`` no channel varies by more than rounding: ``(N,)`` bool."""
    flattened = pixels.flatten(2)
    return _within_rounding(flattened.amin(dim=2), flattened.amax(dim=2))


def _clip_outliers_(
    pixels: Tensor, run_lows: Tensor, run_highs: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, Tensor]:
    """Clip the outliers of images ``(N, C, *spatial)`` as ``scale_by_range`` says, and give the new bounds ``(N,)``.

    A gap is wider than all other values are apart only if these, less as many at either end as may be outliers, take
    less than half of the range. That is ruled out first, by the bounds of runs of pixels, ``(N, C, R)``.
    """
    flattened = pixels.flatten(2)
    _, channels, size = flattened.shape
    if size < _FEWEST:
        return low, high
    most = channels * max(1, size // _OUTLIERS)
    # Most images are found to have none by the bounds of runs, and most others by counting: sorting is slow.
    inner_low = -torch.topk(-run_lows.flatten(1), most + 1).values[:, -1]
    inner_high = torch.topk(run_highs.flatten(1), most + 1).values[:, -1]
    half = 0.52 * (high - low)
    suspects = torch.nonzero(inner_high - inner_low < half).flatten()
    if not len(suspects):
        return low, high
    values = flattened.flatten(1)[suspects]
    above = (values >= (inner_low + half)[suspects, None]).sum(dim=1) > most
    below = (values <= (inner_high - half)[suspects, None]).sum(dim=1) > most
    left = torch.nonzero(~(above | below)).flatten()
    if not len(left):
        return low, high
    suspects, values = suspects[left], values[left]
    upper, lower = _largest_of_rest(values, most), -_largest_of_rest(-values, most)
    flat = upper - lower <= _FLAT * torch.maximum(upper.abs(), lower.abs())
    low = low.index_copy(0, suspects, torch.where(flat, low[suspects], lower))
    high = high.index_copy(0, suspects, torch.where(flat, high[suspects], upper))
    bounds = [bound.view(-1, *[1] * (pixels.ndim - 1)) for bound in (low, high)]
    pixels.clamp_(*bounds)
    return low, high


def _largest_of_rest(values: Tensor, most: int) -> Tensor:
    """Find the largest value of images ``(N, L)`` that is no outlier, of which there are at most ``most``: ``(N,)``."""
    least = -torch.topk(-values, most + 1).values[:, -1:]
    ascending = torch.topk(values, most + 1).values.flip(1)
    gaps, ranges = ascending.diff(dim=1), ascending[:, :-1] - least
    before = (gaps > ranges).cumsum(dim=1) == 0
    return ascending.gather(1, before.sum(dim=1, keepdim=True)).squeeze(1)


def _run_bounds(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Find the least and the largest value in R runs of pixels of images ``(N, C, *spatial)``: both ``(N, C, R)``."""
    flattened = pixels.flatten(2)
    length = max(1, min(_RUN, flattened.shape[2] // 16))
    whole = flattened.shape[2] // length * length
    runs, rest = flattened[..., :whole].reshape(*flattened.shape[:2], -1, length), flattened[..., whole:]
    lows, highs = runs.amin(dim=3), runs.amax(dim=3)
    if rest.shape[2]:
        lows = torch.cat([lows, rest.amin(dim=2, keepdim=True)], dim=2)
        highs = torch.cat([highs, rest.amax(dim=2, keepdim=True)], dim=2)
    return lows, highs


def _within_rounding(lows: Tensor, highs: Tensor) -> Tensor:
    """Say which images are of one color, from the bounds ``(N, C)`` of their channels: ``(N,)`` bool."""
    tolerance = _FLAT * torch.maximum(lows.abs(), highs.abs()).amax(dim=1)
    return (highs - lows).amax(dim=1) <= tolerance
