"""Pictures laid onto each other in the pixels of a figure, where matplotlib would resample each in float64."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.transforms import Transform
from PIL import Image

from captum_superpixel.visualization.panels import Layer

__all__ = ["Picture", "flatten", "resize"]

_SHARP = 3
"""From this enlargement on, pixels have edges, as ``interpolation="antialiased"`` of matplotlib has it."""

_OPAQUE = 255


class Picture(Artist):
    """Pixels in a figure.

    Args:
        pixels: ``(H, W, 4)`` uint8.
        place: Moves the lower left corner of the figure to that of the picture.
        left: Pixels from there, as ``bottom``.
        bottom: Likewise.
    """

    def __init__(self, pixels: npt.NDArray[np.uint8], place: Transform, left: int = 0, bottom: int = 0) -> None:
        super().__init__()
        self._pixels, self._place, self._corner = pixels, place, (left, bottom)

    def draw(self, renderer: Any) -> None:
        """Copy the pixels, whose first row is the lowest to matplotlib."""
        left, bottom = np.round(self._place.transform(self._corner)).astype(int).tolist()
        # Agg takes none that cannot be written to, as those of Pillow cannot.
        renderer.draw_image(renderer.new_gc(), left, bottom, np.require(self._pixels[::-1], requirements=["C", "W"]))


def flatten(layers: Sequence[Layer], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Lay pictures onto each other, of which the first is opaque.

    Args:
        layers: From the lowest to the uppermost.
        size: Width and height in pixels.

    Returns:
        ``(H, W, 4)``.
    """
    first, *others = layers
    lowest = Image.fromarray(first.to_uint8()).convert("RGB")
    # To lay pictures of a size onto each other before they are resized leaves fewer to resize.
    while others and others[0].palette is None and others[0].pixels.shape[:2] == first.pixels.shape[:2]:
        _lay(Image.fromarray(others.pop(0).to_uint8()).convert("RGBA"), lowest)
    whole = resize(lowest, size)
    for layer in others:
        if layer.palette is None or (layer.palette[2:, 3] < _OPAQUE).any():
            _lay(resize(Image.fromarray(layer.to_uint8()).convert("RGBA"), size), whole)
            continue
        colors = layer.palette[1:]
        for color, share in zip(colors[:, :3].tolist(), _shares(layer.pixels, colors[:, 3], size), strict=True):
            whole.paste(tuple(color), (0, 0, *size), share)
    return np.asarray(whole.convert("RGBA"))


def _shares(pixels: npt.NDArray[Any], opacities: npt.NDArray[np.uint8], size: tuple[int, int]) -> list[Image.Image]:
    """Find how much of each pixel the colors of a palette cover of what is there when their turn has come.

    Each color is within the area of those before it. These areas are resized, as one channel each instead of four.
    """
    areas = []
    for number, opacity in enumerate(opacities.tolist(), 1):
        area = Image.fromarray((pixels >= number).view(np.uint8) * np.uint8(opacity))
        areas.append(np.array(resize(area, size)))
    for lower, upper in pairwise(areas):
        # What is within is laid on next, and covers its part of this color too.
        both = np.nonzero(upper)
        within, whole = upper[both].astype(np.int64), lower[both]
        lower[both] = _OPAQUE * (whole - within).clip(min=0) // (_OPAQUE - within).clip(min=1)
    return [Image.fromarray(area) for area in areas]


def _lay(upper: Image.Image, lower: Image.Image) -> None:
    lower.paste(upper, (0, 0), upper)


def resize(image: Image.Image, size: tuple[int, int], *, sharp: bool = False) -> Image.Image:
    """Resize a picture as ``interpolation="antialiased"`` of matplotlib does; ``sharp``, as ``"nearest"``."""
    factors = {size[0] / image.width, size[1] / image.height}
    sharp = sharp or factors <= {1, 2} or min(factors) > _SHARP
    return image.resize(size, Image.Resampling.NEAREST if sharp else Image.Resampling.HAMMING)
