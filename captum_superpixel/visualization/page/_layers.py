"""Pictures, maps and masks, encoded as the compact text of the interactive page."""

from __future__ import annotations

import base64
import io
import math
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

from captum_superpixel.visualization._color_scale import ColorScale
from captum_superpixel.visualization.images import FloatArray

__all__ = ["LEVELS", "encode_labels", "encode_map", "encode_picture", "quantize", "ramp", "to_text"]

LEVELS = 127
"""Steps of color on each side of zero."""
_COARSE_LEVELS = 12
"""Fewer steps for maps that must lose pixels: they compress better, so that fewer pixels are lost."""
_LOSSLESS = 128_000
"""Bytes up to which a picture is kept without loss."""
_SHRINK, _LEAP = 0.95, 0.4
"""The greatest and the least factor by which the sides of a map are multiplied in one step."""
_SMALLEST = 16
"""A map whose longer side has no more pixels than this is not made smaller."""
# Red, for the target, and blue, against it, can be told apart with all common kinds of color vision. These are the
# colors on white at equal steps of strength; each channel stays above the white that their opacity leaves.
_POSITIVE = [(255, 255, 255), (253, 208, 166), (246, 150, 104), (226, 92, 70), (184, 44, 58)]
_NEGATIVE = [(255, 255, 255), (186, 212, 244), (130, 172, 230), (84, 128, 205), (44, 80, 170)]
_OPACITY, _RISE = 0.86, 0.4
"""Opacity of the strongest color, and how fast it is reached: weak values too hide more of the picture than not."""


def encode_picture(image: FloatArray) -> tuple[str, bytes]:
    """Compress a picture: PNG as long as that takes at most 128 kB, else JPEG of quality 90 with full colors.

    Args:
        image: ``(H, W, 3)`` in ``[0, 1]``.

    Returns:
        The media type and the bytes.
    """
    picture = Image.fromarray((image * 255).round().astype(np.uint8))
    data = _save(picture, "PNG")
    if len(data) <= _LOSSLESS:
        return "image/png", data
    return "image/jpeg", _save(picture, "JPEG", quality=90, subsampling=0)


def encode_labels(labels: npt.NDArray[np.int64]) -> dict[str, str]:
    """Compress labels by storing for each pixel which neighbor's label it has.

    A picture of the labels would have to be read back from a canvas, which browsers may refuse or blur.

    Args:
        labels: ``(H, W)``, from 0 to K - 1.

    Returns:
        ``symbols``, one byte per pixel: 0 for the label of the pixel above, 1 for that to the left, 2 for that above
        and to the right, 3 for none of these; and ``literals``, the labels of the pixels with a 3 in reading order, as
        little-endian 32-bit integers. Both are deflated and in base64.
    """
    padded = np.pad(labels, ((1, 0), (1, 1)), constant_values=-1)
    above, left, right = padded[:-1, 1:-1], padded[1:, :-2], padded[:-1, 2:]
    symbols = np.select([labels == above, labels == left, labels == right], [0, 1, 2], default=3).astype(np.uint8)
    literals = labels[symbols == 3].astype("<u4")
    return {name: to_text(zlib.compress(a.tobytes(), 9)) for name, a in (("symbols", symbols), ("literals", literals))}


def encode_map(values: FloatArray, scale: ColorScale, budget: float) -> bytes:
    """Compress a map to a PNG whose palette holds its colors, with fewer pixels if it would be too large.

    Args:
        values: ``(H, W)``, may hold NaN.
        scale: What the strongest color stands for.
        budget: Bytes that the PNG may have; it is larger only if even a map of 16 pixels a side would be.

    Returns:
        A PNG in which zeros are transparent. Several pixels that become one have their mean, or no color if one is NaN.
    """
    data = _to_png(values, scale, LEVELS)
    if len(data) <= budget:
        return data
    unit = scale.apply(values).astype(np.float32)
    height, width = values.shape
    factor = 1.0
    while True:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(Image.fromarray(unit).resize(size, Image.Resampling.BOX), dtype=np.float64)
        data = _to_png(small, ColorScale(1.0, scale.diverging), _COARSE_LEVELS)
        if len(data) <= budget or max(size) <= _SMALLEST:
            return data
        # The number of bytes is about proportional to that of pixels.
        factor *= min(_SHRINK, max(math.sqrt(max(budget, 0) / len(data)), _LEAP))


def quantize(values: FloatArray, scale: ColorScale, levels: int = LEVELS) -> npt.NDArray[np.uint8]:
    """Number the colors of values.

    NaN is 0, the most negative value 1, zero is ``levels + 1`` and the most positive value ``2 * levels + 1``.

    Examples:
        >>> quantize(np.array([np.nan, -2.0, 0.0, 1.0, 9.0]), ColorScale(2.0, diverging=True), levels=2)
        array([0, 1, 3, 4, 5], dtype=uint8)
    """
    steps = np.round(scale.apply(values) * levels) + levels + 1
    return np.where(np.isnan(steps), 0, steps).astype(np.uint8)


def ramp(levels: int = LEVELS) -> npt.NDArray[np.uint8]:
    """List the colors that ``quantize`` numbers: ``(2 * levels + 2, 4)``, red, green, blue and opacity.

    Zero and NaN are transparent. On white the others give the colors at the top of this file, whatever their opacity;
    on a picture they differ from those by what the picture is darker than white, times 1 - opacity.
    """
    colors = np.zeros((2 * levels + 2, 4))
    strength = np.arange(1, levels + 1) / levels
    opacity = _OPACITY * strength**_RISE
    for stops, places in ((_NEGATIVE, slice(levels, 0, -1)), (_POSITIVE, slice(levels + 2, None))):
        for channel in range(3):
            on_white = np.interp(strength, np.linspace(0, 1, len(stops)), [stop[channel] for stop in stops])
            colors[places, channel] = (on_white - 255 * (1 - opacity)) / opacity
        colors[places, 3] = 255 * opacity
    return colors.round().clip(0, 255).astype(np.uint8)


def to_text(data: bytes) -> str:
    """Encode bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def _to_png(values: FloatArray, scale: ColorScale, levels: int) -> bytes:
    colors = ramp(levels)
    picture = Image.fromarray(quantize(values, scale, levels)).convert("P")
    picture.putpalette(colors[:, :3].tobytes())
    return _save(picture, "PNG", transparency=colors[:, 3].tobytes())


def _save(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
