"""The colors of one image: blurred, and brought to CIELAB, with the roundings of torch."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic import _color as color
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, bits_of, float_of, kernel

__all__ = ["convert"]

_ZERO = np.float32(0)
_HALF = np.float32(0.5)
_SIXTEENTH = np.float32(1 / 16)
_TWO = np.float32(2)
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
def convert(image: Floats, channels: int, height: int, width: int, blurred: int, row: Floats, colors: Floats) -> None:
    """Do what ``SharedPixels.colors`` does for one image.

    Args:
        image: Shape ``(C, H, W)``.
        channels: C; one channel is gray.
        height: H.
        width: W.
        blurred: Whether to average pixels with their neighbors first, 0 or 1.
        row: Memory for ``W + 2`` numbers.
        colors: Shape ``(max(C, 3), H, W)``, overwritten; what one or two channels leave is 0.
    """
    size = height * width
    # Row by row, which stay in the cache from one step to the next.
    for y in range(height):
        at = y * width
        for channel in range(channels):
            if blurred:
                _blur(image, channel * size, height, width, y, row, colors)
            else:
                for place in range(channel * size + at, channel * size + at + width):
                    colors[place] = image[place]
        if channels == 1:
            _to_lightness(colors, at, width)
        elif channels == 3:
            _to_lab(colors, size, at, width)
        else:
            for channel in range(channels):
                for place in range(channel * size + at, channel * size + at + width):
                    colors[place] = colors[place] * _HUNDRED - _FIFTY
    for place in range(channels * size, 3 * size):
        colors[place] = _ZERO


@kernel
def _blur(image: Floats, at: int, height: int, width: int, y: int, row: Floats, out: Floats) -> None:
    """Average a row of a channel, which begins ``at`` some place, with its neighbors, or with itself."""
    here = at + y * width
    above, below = here, here
    if y > 0:
        above -= width
    if y < height - 1:
        below += width
    for x in range(width):
        row[x + 1] = (image[here + x] * _TWO + image[above + x]) + image[below + x]
    row[0], row[width + 1] = row[1], row[width]
    for x in range(width):
        out[here + x] = ((row[x + 1] * _TWO + row[x]) + row[x + 2]) * _SIXTEENTH


@kernel
def _to_lab(colors: Floats, size: int, at: int, count: int) -> None:
    """Bring some pixels of sRGB ``(3, size)``, from one on, to CIELAB in place, lightness less 50."""
    for place in range(at, at + count):
        red, green, blue = _linear(colors[place]), _linear(colors[size + place]), _linear(colors[2 * size + place])
        x = _root((red * _XR + green * _XG) + blue * _XB)
        y = _root((red * _YR + green * _YG) + blue * _YB)
        z = _root((red * _ZR + green * _ZG) + blue * _ZB)
        colors[place] = (y * _LIGHT_SCALE - _LIGHT_OFFSET) - _FIFTY
        colors[size + place] = (x - y) * _A_SCALE
        colors[2 * size + place] = (y - z) * _B_SCALE


@kernel
def _to_lightness(colors: Floats, at: int, count: int) -> None:
    """Bring gray in sRGB to the lightness that three such channels have, less 50, in place."""
    for place in range(at, at + count):
        light = _linear(colors[place])
        y = _root((light * _YR + light * _YG) + light * _YB)
        colors[place] = (y * _LIGHT_SCALE - _LIGHT_OFFSET) - _FIFTY


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
