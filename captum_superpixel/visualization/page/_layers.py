"""Pictures, maps and masks as the compact text that the interactive page holds them in."""

from __future__ import annotations

import base64
import io
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from captum_superpixel.visualization.images import FloatArray
from captum_superpixel.visualization.scaling import Scale

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["LEVELS", "encode_labels", "encode_map", "encode_picture", "quantise", "ramp", "to_data_url", "to_text"]

LEVELS = 127
"""Steps of a colour on each side of zero."""
_COARSE_LEVELS = 12
_LOSSLESS = 128_000
"""Bytes up to which a picture is kept as it is."""
_SHRINK, _LEAP = 0.95, 0.4
_SMALLEST = 16
# Red for evidence in favour and blue for evidence against are told apart by all common kinds of colour vision.
_POSITIVE = [(255, 184, 120), (240, 90, 45), (196, 20, 50)]
_NEGATIVE = [(160, 205, 250), (60, 135, 220), (30, 75, 175)]


def encode_picture(image: FloatArray) -> tuple[str, bytes]:
    """Compress a picture: PNG as long as that takes at most 128 kB, else JPEG of quality 90 with full colours.

    Args:
        image: ``(H, W, 3)`` in ``[0, 1]``.

    Returns:
        The media type and the bytes.
    """
    picture = _pillow().fromarray((image * 255).round().astype(np.uint8))
    data = _save(picture, "PNG")
    if len(data) <= _LOSSLESS:
        return "image/png", data
    return "image/jpeg", _save(picture, "JPEG", quality=90, subsampling=0)


def encode_labels(labels: npt.NDArray[np.int64]) -> dict[str, str]:
    """Compress labels by saying of each pixel which neighbour's label it has.

    Unlike a picture of the labels, this needs no canvas to be read back, which browsers may refuse or blur.

    Args:
        labels: ``(H, W)``, from 0 to K - 1.

    Returns:
        ``symbols``, a byte a pixel: 0 for the label of the pixel above, 1 left, 2 above and right, 3 none of these; and
        ``literals``, the labels of the pixels with a 3 in reading order, as little-endian 32-bit integers. Both are
        deflated and base64.
    """
    padded = np.pad(labels, ((1, 0), (1, 1)), constant_values=-1)
    above, left, right = padded[:-1, 1:-1], padded[1:, :-2], padded[:-1, 2:]
    symbols = np.select([labels == above, labels == left, labels == right], [0, 1, 2], default=3).astype(np.uint8)
    literals = labels[symbols == 3].astype("<u4")
    return {name: to_text(zlib.compress(a.tobytes(), 9)) for name, a in (("symbols", symbols), ("literals", literals))}


def encode_map(values: FloatArray, scale: Scale, budget: float) -> bytes:
    """Compress a map to a PNG whose palette holds its colours, with fewer pixels where that is needed.

    Args:
        values: ``(H, W)``, may hold NaN.
        scale: What the strongest colour stands for.
        budget: Bytes that the PNG may have. If even a tiny map takes more, it has more.

    Returns:
        A PNG with transparent zeros. Of several pixels made one, it shows the mean, and nothing if one is NaN.
    """
    data = _to_png(values, scale, LEVELS)
    if len(data) <= budget:
        return data
    images, unit = _pillow(), scale.apply(values).astype(np.float32)
    height, width = values.shape
    factor = 1.0
    while True:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(images.fromarray(unit).resize(size, images.Resampling.BOX), dtype=np.float64)
        data = _to_png(small, Scale(1.0, scale.diverging), _COARSE_LEVELS)
        if len(data) <= budget or max(size) <= _SMALLEST:
            return data
        # The bytes go with the number of pixels.
        factor *= min(_SHRINK, max(math.sqrt(max(budget, 0) / len(data)), _LEAP))


def quantise(values: FloatArray, scale: Scale, levels: int = LEVELS) -> npt.NDArray[np.uint8]:
    """Number the colours of values.

    NaN is 0, the most negative value 1, zero is ``levels + 1`` and the most positive value ``2 * levels + 1``.

    Examples:
        >>> quantise(np.array([np.nan, -2.0, 0.0, 1.0, 9.0]), Scale(2.0, diverging=True), levels=2)
        array([0, 1, 3, 4, 5], dtype=uint8)
    """
    steps = np.round(scale.apply(values) * levels) + levels + 1
    return np.where(np.isnan(steps), 0, steps).astype(np.uint8)


def ramp(levels: int = LEVELS) -> npt.NDArray[np.uint8]:
    """List the colours that ``quantise`` numbers, as ``(2 * levels + 2, 4)`` red, green, blue and opacity."""
    colours = np.zeros((2 * levels + 2, 4))
    strength = np.arange(1, levels + 1) / levels
    for stops, places in ((_NEGATIVE, slice(levels, 0, -1)), (_POSITIVE, slice(levels + 2, None))):
        for channel in range(3):
            at = np.linspace(0, 1, len(stops))
            colours[places, channel] = np.interp(strength, at, [stop[channel] for stop in stops])
        colours[places, 3] = 245 * strength**0.9
    return colours.round().astype(np.uint8)


def to_text(data: bytes) -> str:
    """Encode bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def to_data_url(media_type: str, data: bytes) -> str:
    """Make an address that holds its content."""
    return f"data:{media_type};base64,{to_text(data)}"


def _to_png(values: FloatArray, scale: Scale, levels: int) -> bytes:
    colours = ramp(levels)
    picture = _pillow().fromarray(quantise(values, scale, levels)).convert("P")
    picture.putpalette(colours[:, :3].tobytes())
    return _save(picture, "PNG", transparency=colours[:, 3].tobytes())


def _save(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            'Pillow, which compresses the pictures of the page, is not installed: pip install "captum-superpixel[demo]"'
        ) from error
    return Image
