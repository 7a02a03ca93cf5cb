"""One image, as the caller has it, is scaled to [0, 1] and averaged by blocks, with the roundings of torch.

That is what ``ImageMaskGenerator.scale_pixels`` and ``SharedPixels.shrunk`` do, without arrays in between.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, divide, kernel

__all__ = ["NORMALIZED", "REVERSED", "SCALED", "halve", "scale", "take_row"]

SCALED, NORMALIZED, REVERSED = 16, 32, 64
"""How rows are taken from an image, a bit each; see ``take_row``."""

_ZERO = np.float32(0)
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)

_LEAST, _MOST = np.float32(2.0**-60), np.float32(2.0**60)
"""Between these, numbers are divided by a range through its inverse; what is then near 0 is 0 in all that follows."""


@kernel
def scale(
    how: int,
    image: Floats,
    channels: int,
    height: int,
    width: int,
    factor: int,
    statistics: Floats,
    lines: Floats,
    pixels: Floats,
    halved: Floats,
) -> None:
    """Scale an image, and average blocks of its pixels.

    Args:
        how: As for ``take_row``, with ``SCALED``.
        image: Shape ``(C, H, W)``, on which ``prepare`` has looked.
        channels: C.
        height: H.
        width: W.
        factor: How long the blocks are, a power of two.
        statistics: As for ``take_row``.
        lines: Memory for two rows.
        pixels: Memory for the pixels that are left after at most one halving. The result is here if the number of
            halvings is odd or 0.
        halved: Memory for those that are left after two, or else the result.
    """
    first = min(factor, 2)
    rows, columns = (height + first - 1) // first, (width + first - 1) // first
    for line in range(channels * rows):
        take_row(
            how,
            image,
            channels,
            line // rows,
            line % rows,
            first,
            height,
            width,
            statistics,
            lines,
            pixels,
            line * columns,
        )
    while factor > 2:
        halve(pixels, channels, rows, columns, halved)
        pixels, halved = halved, pixels
        rows, columns, factor = (rows + 1) // 2, (columns + 1) // 2, factor // 2


@kernel
def take_row(
    how: int,
    image: Floats,
    channels: int,
    channel: int,
    y: int,
    factor: int,
    height: int,
    width: int,
    statistics: Floats,
    lines: Floats,
    out: Floats,
    to: int,
) -> None:
    """Scale a row of a channel, or two, of whose pixels blocks are averaged.

    Args:
        how: ``SCALED``, or else the image is scaled already, and pixels are taken as they are; with it ``NORMALIZED``
            if the statistics are those that ``prepare`` was given, and ``REVERSED`` if the channels are to be in the
            opposite order.
        image: Shape ``(C, H, W)``.
        channels: C.
        channel: Which of them.
        y: Which row of blocks.
        factor: How long the blocks are, 1 or 2.
        height: H.
        width: W.
        statistics: Those of ``prepare``, or else its bounds.
        lines: Memory for two rows.
        out: From ``to`` on the row is written.
        to: See there.
    """
    source = channels - 1 - channel if how & REVERSED else channel
    start = (source * height + factor * y) * width
    if not how & SCALED:
        for x in range(width):
            out[to + x] = image[start + x]
    elif factor == 1:
        _scale(image, start, width, how, statistics, channels, source, out, to)
    else:
        below = width if factor * y + 1 < height else 0
        _scale(image, start, width, how, statistics, channels, source, lines, 0)
        _scale(image, start + below, width, how, statistics, channels, source, lines, width)
        _average(lines, 0, width, width, out, to)


@kernel
def _scale(
    image: Floats,
    at: int,
    count: int,
    how: int,
    statistics: Floats,
    channels: int,
    channel: int,
    out: Floats,
    to: int,
) -> None:
    """Scale some values of a channel."""
    if how & NORMALIZED:
        factor, term = statistics[channel], statistics[channels + channel]
        for place in range(count):
            out[to + place] = min(max(image[at + place] * factor + term, _ZERO), _ONE)
    else:
        low, extent = statistics[0], statistics[1]
        if _LEAST < extent < _MOST:
            inverse = _ONE / extent
            for place in range(count):
                out[to + place] = divide(image[at + place] * _HALF - low, extent, inverse)
        else:
            for place in range(count):
                out[to + place] = (image[at + place] * _HALF - low) / extent


@kernel
def halve(image: Floats, channels: int, height: int, width: int, out: Floats) -> None:
    """Average blocks of 2x2 pixels of ``(C, H, W)``; at the far edges the last pixels repeat."""
    rows, columns = (height + 1) // 2, (width + 1) // 2
    for line in range(channels * rows):
        upper = (line // rows * height + 2 * (line % rows)) * width
        below = width if 2 * (line % rows) + 1 < height else 0
        _average(image, upper, below, width, out, line * columns)


@kernel
def _average(image: Floats, upper: int, below: int, width: int, out: Floats, to: int) -> None:
    """Average blocks of 2x2 pixels of a row and of that which comes ``below`` some pixels after it."""
    lower = upper + below
    for x in range(width // 2):
        first = image[upper + 2 * x] + image[lower + 2 * x]
        second = image[upper + 2 * x + 1] + image[lower + 2 * x + 1]
        out[to + x] = (first + second) * _QUARTER
    if width % 2:
        first = image[upper + width - 1] + image[lower + width - 1]
        out[to + width // 2] = (first + first) * _QUARTER
