"""One image, as the caller has it, is looked at: whether it can be scaled to [0, 1], and how.

That is what ``ImageMaskGenerator.scale_pixels`` finds out.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks import _scaling as scaling
from captum_superpixel.masks.slic.compiled.kernels.clusters import LANES
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, bits_of, fused, kernel

__all__ = ["BLOCK", "NOT_FINITE", "ONE_COLOR", "PREPARED", "UNSURE", "prepare"]

PREPARED, NOT_FINITE, ONE_COLOR, UNSURE = range(4)
"""What ``prepare`` has found; see there."""

BLOCK = LANES * LANES
"""So many values are looked at together: ``LANES`` times as many, that are ``LANES`` apart."""

_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)

_FLAT = np.float32(scaling._FLAT)
_SHARE = np.float32(0.53)
"""A little more than the half that ``_scaling`` looks for: what is found here need not be looked for again."""

_FEWEST = scaling._FEWEST
_OUTLIERS = scaling._OUTLIERS
_INFINITE = 0x7F800000
_MAGNITUDE = 0x7FFFFFFF


@kernel
def prepare(
    image: Floats,
    channels: int,
    size: int,
    normalized: int,
    statistics: Floats,
    bounds: Floats,
    lows: Floats,
    highs: Floats,
    magnitudes: Ints,
) -> int:
    """Look at the values of an image, and find out how it is to be scaled.

    Args:
        image: Shape ``(C, H, W)``, any values.
        channels: C.
        size: H * W.
        normalized: Whether the statistics are given, 0 or 1.
        statistics: If so, what the channels are to be multiplied by, and what is then added to each, ``(2, C)``.
        bounds: Memory for ``2 * (C + LANES)`` numbers. Without statistics half of the least value and of the range are
            at its front afterwards.
        lows: Memory for ``C * (H * W / LANES + BLOCK)`` numbers; likewise ``highs``.
        highs: See there.
        magnitudes: Memory for ``LANES`` numbers.

    Returns:
        ``PREPARED``; or why not: ``NOT_FINITE`` if a value is NaN or infinite, ``ONE_COLOR`` if no channel varies by
        more than rounding, and ``UNSURE`` if there may be outliers, for which it is to be looked more closely.
    """
    runs = 0
    for channel in range(channels):
        runs = _find_bounds(image, channel * size, size, lows, highs, runs, bounds, 2 * channels, magnitudes)
        if runs < 0:
            return NOT_FINITE
        low, high = bounds[2 * channels], bounds[2 * channels + LANES]
        if normalized:
            low, high = _normalize(low, statistics, channels, channel), _normalize(high, statistics, channels, channel)
        bounds[2 * channel], bounds[2 * channel + 1] = min(low, high), max(low, high)
    if _is_flat(bounds, channels):
        return ONE_COLOR
    if not normalized:
        low, high = bounds[0], bounds[1]
        for channel in range(1, channels):
            low, high = min(low, bounds[2 * channel]), max(high, bounds[2 * channel + 1])
        most = channels * max(1, size // _OUTLIERS)
        if size >= _FEWEST and not _has_no_outliers(image, channels * size, lows, highs, runs, low, high, most):
            return UNSURE
        # Halved, because the range can be twice the largest number.
        low, high = low * _HALF, high * _HALF
        bounds[0], bounds[1] = low, high - low if high > low else _ONE
    return PREPARED


@fused
def _find_bounds(
    image: Floats,
    at: int,
    size: int,
    lows: Floats,
    highs: Floats,
    runs: int,
    bounds: Floats,
    to: int,
    magnitudes: Ints,
) -> int:
    """Find the bounds of values and of runs of them.

    Args:
        image: Where the values are.
        at: Where they begin.
        size: How many there are.
        lows: The least of each run, to which they are appended.
        highs: Likewise the largest.
        runs: How many of them there are.
        bounds: At ``to`` the least of all is written, and ``LANES`` further the largest. What is between is used.
        to: See there.
        magnitudes: Memory for ``LANES`` numbers.

    Returns:
        How many runs there are now; -1 if a value is not finite.
    """
    for lane in range(LANES):
        bounds[to + lane] = bounds[to + LANES + lane] = image[at]
        magnitudes[lane] = 0
    for first in range(at, at + size - BLOCK + 1, BLOCK):
        for lane in range(LANES):
            low = high = image[first + lane]
            most = np.int32(bits_of(low) & _MAGNITUDE)
            for step in range(1, LANES):
                value = image[first + step * LANES + lane]
                low, high = min(low, value), max(high, value)
                most = max(most, np.int32(bits_of(value) & _MAGNITUDE))
            lows[runs + lane], highs[runs + lane] = low, high
            bounds[to + lane] = min(bounds[to + lane], low)
            bounds[to + LANES + lane] = max(bounds[to + LANES + lane], high)
            magnitudes[lane] = max(magnitudes[lane], most)
        runs += LANES
    for place in range(at + size // BLOCK * BLOCK, at + size):
        value, lane = image[place], place % LANES
        lows[runs] = highs[runs] = value
        bounds[to + lane] = min(bounds[to + lane], value)
        bounds[to + LANES + lane] = max(bounds[to + LANES + lane], value)
        magnitudes[lane] = max(magnitudes[lane], np.int32(bits_of(value) & _MAGNITUDE))
        runs += 1
    for lane in range(1, LANES):
        bounds[to] = min(bounds[to], bounds[to + lane])
        bounds[to + LANES] = max(bounds[to + LANES], bounds[to + LANES + lane])
        magnitudes[0] = max(magnitudes[0], magnitudes[lane])
    return -1 if magnitudes[0] >= _INFINITE else runs


@kernel
def _is_flat(bounds: Floats, channels: int) -> int:
    """Say whether no channel varies by more than rounding, as in ``_scaling``."""
    largest, widest = _ZERO, _ZERO
    for channel in range(channels):
        low, high = bounds[2 * channel], bounds[2 * channel + 1]
        largest = max(largest, max(abs(low), abs(high)))
        widest = max(widest, high - low)
    return 1 if widest <= _FLAT * largest else 0


@kernel
def _has_no_outliers(
    image: Floats,
    size: int,
    lows: Floats,
    highs: Floats,
    runs: int,
    low: np.float32,
    high: np.float32,
    most: int,
) -> int:
    """Say whether it is certain that there are no outliers, of which there might be ``most`` at either end.

    There are none where more values than that are in the upper part of the range, more in the lower, and these are
    half of the range apart: then no gap is wider than the values that it leaves. In most images that is seen from
    the bounds of runs.
    """
    low, high = low * _HALF, high * _HALF
    step, half = _HALF * (high - low), _SHARE * (high - low)
    inner_low, inner_high = high, low
    for _ in range(8):
        if _count_from(highs, runs, (inner_high + step) / _HALF) > most:
            inner_high += step
        if _count_to(lows, runs, (inner_low - step) / _HALF) > most:
            inner_low -= step
        if inner_high - inner_low >= half:
            return 1
        step *= _HALF
    if _count_from(image, size, (inner_low + half) / _HALF) > most:
        return 1
    return 1 if _count_to(image, size, (inner_high - half) / _HALF) > most else 0


@fused
def _count_from(values: Floats, count: int, bound: np.float32) -> int:
    """Count values that are not below a bound."""
    found = np.int32(0)
    for place in range(count):
        found = np.int32(found + (1 if values[place] >= bound else 0))
    return int(found)


@fused
def _count_to(values: Floats, count: int, bound: np.float32) -> int:
    """Count values that are not above a bound."""
    found = np.int32(0)
    for place in range(count):
        found = np.int32(found + (1 if values[place] <= bound else 0))
    return int(found)


@kernel
def _normalize(value: np.float32, statistics: Floats, channels: int, channel: int) -> np.float32:
    """Bring a value of a channel back to [0, 1]."""
    return min(max(value * statistics[channel] + statistics[channels + channel], _ZERO), _ONE)
