"""The colors of one image: blurred, and brought to CIELAB, with the roundings of torch."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic import _color as color
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, bits_of, float_of, kernel
from captum_superpixel.masks.slic.compiled.kernels.scaling import take_row

__all__ = ["convert", "take_slice"]

_HALF = np.float32(0.5)
_QUARTER = np.float32(0.25)
_SIXTEENTH = np.float32(1 / 16)
_TWO = np.float32(2)
_FOUR = np.float32(4)
_THREE = np.float32(3)
_FIFTY = np.float32(50)
_HUNDRED = np.float32(100)

_LINEAR_LIMIT = np.float32(color._LINEAR_LIMIT)
_LINEAR_SLOPE = np.float32(color._LINEAR_SLOPE)
_JOINT = np.float32(color._CURVE[0] - color._LINEAR_LIMIT * color._LINEAR_SLOPE)
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(coefficient) for coefficient in color._CURVE[1:])
(_XR, _XG, _XB), (_YR, _YG, _YB), (_ZR, _ZG, _ZB) = (
    tuple(np.float32(weight / white) for weight in weights)
    for weights, white in zip(color._XYZ, color._WHITE, strict=True)
)
_ROOT_LIMIT = np.float32(color._ROOT_LIMIT)
_ROOT_SLOPE = np.float32(color._ROOT_SLOPE)
_THIRD = np.float32(1 / 3)
_THIRD_OF_EXPONENT = np.float32(color._THIRD_OF_EXPONENT)
_LIGHT_SCALE = np.float32(116)
_LIGHT_OFFSET = np.float32(16)
_A_SCALE = np.float32(500)
_B_SCALE = np.float32(200)


@kernel
def convert(
    how: int,
    image: Floats,
    statistics: Floats,
    source_height: int,
    source_width: int,
    factor: int,
    channels: int,
    height: int,
    width: int,
    size: int,
    begin: int,
    blurred: int,
    lines: Floats,
    rows: Floats,
    sums: Floats,
    means: Floats,
    colors: Floats,
) -> None:
    """Do what ``SharedPixels.colors`` does for one image, row by row, which stay in the cache between the steps.

    Args:
        how: How rows are taken from the image; see ``take_row``.
        image: Shape ``(C, source_height, source_width)``.
        statistics: As for ``take_row``.
        source_height: See there.
        source_width: See there.
        factor: How long the blocks of pixels are that are averaged, 1 or 2.
        channels: C; one channel is gray.
        height: How many rows of blocks there are, H.
        width: How many columns, W.
        size: How many pixels the colors are of: ``H * W``, or of a volume, whose slices are converted one by one, all.
        begin: The first of them that is here.
        blurred: Whether to average pixels with their neighbors first, 0 or 1; in series, along the row alone, 2.
        lines: Memory for two rows of the source.
        rows: Memory for three rows ``(3, C, W)``.
        sums: Memory for ``W + 2`` numbers.
        means: Memory for a row ``(C, W)``.
        colors: Shape ``(C, size)``, of which these pixels are overwritten.
    """
    taken = 0
    for y in range(height):
        while taken <= min(y + blurred, height - 1):
            for channel in range(channels):
                to = (taken % 3 * channels + channel) * width
                take_row(
                    how,
                    image,
                    channels,
                    channel,
                    taken,
                    factor,
                    source_height,
                    source_width,
                    statistics,
                    lines,
                    rows,
                    to,
                )
            taken += 1
        source, at, to = rows, y % 3 * channels * width, begin + y * width
        if blurred:
            above, below = max(y - 1, 0) % 3 * channels * width, min(y + 1, height - 1) % 3 * channels * width
            for part in range(0, channels * width, width):
                _blur(rows, at + part, above + part, below + part, width, blurred, sums, means, part)
            source, at = means, 0
        if channels == 1:
            _to_lightness(source, at, width, colors, to)
        elif channels == 3:
            _to_lab(source, at, width, colors, size, to)
        else:
            for channel in range(channels):
                for x in range(width):
                    colors[channel * size + to + x] = source[at + channel * width + x] * _HUNDRED - _FIFTY


@kernel
def take_slice(image: Floats, channels: int, depth: int, area: int, z: int, blurred: int, pixels: Floats) -> None:
    """Take a slice of a volume, or average it with its neighbors first, or with itself.

    Args:
        image: Shape ``(C, D, area)``.
        channels: C.
        depth: D.
        area: How many pixels a slice has.
        z: Which slice.
        blurred: Whether to average it, 0 or 1.
        pixels: Shape ``(C, area)``, overwritten.
    """
    before, after = (min(z, 1) * -area, min(depth - 1 - z, 1) * area) if blurred else (0, 0)
    for channel in range(channels):
        here, to = (channel * depth + z) * area, channel * area
        for place in range(area):
            if blurred:
                total = (image[here + place] * _TWO + image[here + before + place]) + image[here + after + place]
                pixels[to + place] = total * _QUARTER
            else:
                pixels[to + place] = image[here + place]


@kernel
def _blur(
    rows: Floats, here: int, above: int, below: int, width: int, blurred: int, sums: Floats, means: Floats, to: int
) -> None:
    """Average a row, which begins ``here``, with its neighbors, or with itself; of a series just along it."""
    for x in range(width):
        # Four times a number is exact, and one that is added up of four is not.
        total = (rows[here + x] * _TWO + rows[above + x]) + rows[below + x]
        sums[x + 1] = rows[here + x] * _FOUR if blurred == 2 else total
    sums[0], sums[width + 1] = sums[1], sums[width]
    for x in range(width):
        means[to + x] = ((sums[x + 1] * _TWO + sums[x]) + sums[x + 2]) * _SIXTEENTH


@kernel
def _to_lab(values: Floats, at: int, count: int, colors: Floats, size: int, to: int) -> None:
    """Bring pixels of sRGB ``(3, count)`` to CIELAB ``(3, size)``, lightness less 50."""
    for x in range(count):
        red, green = _linear(values[at + x]), _linear(values[at + count + x])
        blue, place = _linear(values[at + 2 * count + x]), to + x
        x_root = _root((red * _XR + green * _XG) + blue * _XB)
        y_root = _root((red * _YR + green * _YG) + blue * _YB)
        z_root = _root((red * _ZR + green * _ZG) + blue * _ZB)
        colors[place] = (y_root * _LIGHT_SCALE - _LIGHT_OFFSET) - _FIFTY
        colors[size + place] = (x_root - y_root) * _A_SCALE
        colors[2 * size + place] = (y_root - z_root) * _B_SCALE


@kernel
def _to_lightness(values: Floats, at: int, count: int, colors: Floats, to: int) -> None:
    """Bring gray in sRGB to the lightness that three such channels have, less 50."""
    for x in range(count):
        light = _linear(values[at + x])
        y_root = _root((light * _YR + light * _YG) + light * _YB)
        colors[to + x] = (y_root * _LIGHT_SCALE - _LIGHT_OFFSET) - _FIFTY


@kernel
def _linear(value: np.float32) -> np.float32:
    """Find the linear light of a value of sRGB; see ``_color._linearize_``."""
    high = value if value > _LINEAR_LIMIT else _LINEAR_LIMIT
    low = value if value < _LINEAR_LIMIT else _LINEAR_LIMIT
    curve = ((high * _C7 + _C6) * high + _C5) * high
    curve = (((curve + _C4) * high + _C3) * high + _C2) * high
    return (((curve + _C1) * high) + _JOINT) + low * _LINEAR_SLOPE


@kernel
def _root(value: np.float32) -> np.float32:
    """Find the cube root, below a limit its tangent; see ``_color._compress_``."""
    high = value if value > _ROOT_LIMIT else _ROOT_LIMIT
    low = value if value < _ROOT_LIMIT else _ROOT_LIMIT
    start = np.float32(bits_of(high)) * _THIRD + _THIRD_OF_EXPONENT
    root = float_of(np.int32(start))
    cube = (root * root) * root
    upper = high * _TWO + cube
    root = (root * upper) / ((cube * _THREE + upper) * _HALF)
    return root + (low - _ROOT_LIMIT) * _ROOT_SLOPE
