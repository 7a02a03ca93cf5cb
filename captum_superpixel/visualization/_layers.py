"""The pictures that lie on each other in a panel: image, map, stripes and borders, apart from how they are drawn."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from matplotlib.colors import Colormap, to_rgba

from captum_superpixel.visualization._color_scale import ColorScale
from captum_superpixel.visualization.images import FloatArray

__all__ = ["Layer", "border_layer", "enlarge", "image_layer", "map_layers"]

_Kind = TypeVar("_Kind", np.int64, np.integer[Any], np.bool_)

_SIDE = 600
"""Pixels to which the longer side of a mask is enlarged, so that borders run between the pixels of the picture."""
_ALL, _BEFORE, _AFTER = slice(None), slice(-1), slice(1, None)
_NEIGHBORS = (
    ((_ALL, _AFTER), (_ALL, _BEFORE)),
    ((_ALL, _BEFORE), (_ALL, _AFTER)),
    ((_AFTER, _ALL), (_BEFORE, _ALL)),
    ((_BEFORE, _ALL), (_AFTER, _ALL)),
)
"""Pixels that have a neighbor at their left, right, above and below, and these neighbors."""


class Layer(NamedTuple):
    """A picture that fills a panel.

    Attributes:
        pixels: ``(H, W, 3)`` or ``(H, W, 4)``, uint8 or of ``[0, 1]``; values ``(H, W)`` of ``[low, 1]``, masked where
            nothing is drawn; or numbers ``(H, W)`` of colors.
        cmap: Colors of values; None for others.
        low: What the first color stands for.
        palette: ``(colors, 4)`` uint8, of numbers, the first transparent; None for others.
    """

    pixels: npt.NDArray[Any]
    cmap: Colormap | None = None
    low: float = 0.0
    palette: npt.NDArray[np.uint8] | None = None

    def to_uint8(self) -> npt.NDArray[np.uint8]:
        """``(H, W, 3)`` or ``(H, W, 4)``, the colors."""
        colors: npt.NDArray[np.uint8]
        if self.cmap is not None:
            colors = self.cmap((self.pixels - self.low) / (1 - self.low), bytes=True)
        elif self.palette is not None:
            colors = self.palette[self.pixels]
        elif self.pixels.dtype == np.uint8:
            colors = self.pixels
        else:
            colors = np.round(255 * self.pixels).astype(np.uint8)
        return colors


def image_layer(image: FloatArray, faint: bool = False) -> Layer:
    """A picture ``(H, W, 3)``; ``faint``, in gray and low contrast, below a map."""
    if faint:
        luminance = image @ np.array([0.299, 0.587, 0.114])
        image = np.repeat((0.2 + 0.65 * luminance)[..., None], 3, axis=-1)
    return Layer(image)


def map_layers(values: FloatArray, scale: ColorScale, cmap: Colormap) -> list[Layer]:
    """A map ``(H, W)`` in the colors of its scale, and stripes where it is NaN."""
    holes = np.isnan(values)
    shown = np.ma.masked_array(scale.apply(np.where(holes, 0, values)), holes)
    drawn = Layer(shown, cmap, -1 if scale.diverging else 0)
    return [drawn, _stripes(holes)] if holes.any() else [drawn]


def border_layer(mask: npt.NDArray[np.integer], color: Any, *, edge: bool = False) -> Layer:
    """The borders between segments ``(H, W)``; a dark edge sets them off from a picture of any color."""
    line = _borders(mask, _enlargement(mask.shape))
    drawn = np.round(255 * np.array(to_rgba(color))).astype(int).tolist()
    if not edge:
        return Layer(line.view(np.uint8), palette=np.array([[0, 0, 0, 0], drawn], dtype=np.uint8))
    numbers = line.view(np.uint8) + _beside(line)
    return Layer(numbers, palette=np.array([[0, 0, 0, 0], [0, 0, 0, 255], drawn], dtype=np.uint8))


def enlarge(mask: npt.NDArray[_Kind]) -> npt.NDArray[_Kind]:
    """Enlarge a mask ``(H, W)``, so that lines are thin beside its pixels."""
    factor = _enlargement(mask.shape)
    return mask.repeat(factor, 0).repeat(factor, 1)


def _enlargement(shape: tuple[int, ...]) -> int:
    return max(1, -(-_SIDE // max(shape)))


def _stripes(holes: npt.NDArray[np.bool_]) -> Layer:
    large = enlarge(holes)
    rows, columns = np.ogrid[: large.shape[0], : large.shape[1]]
    period = max(large.shape) // 24 + 3
    stripes = np.zeros((*large.shape, 4), dtype=np.uint8)
    stripes[large] = (150, 150, 150, 255)
    stripes[large & ((rows + columns) % period < period / 3)] = (70, 70, 70, 255)
    return Layer(stripes)


def _borders(mask: npt.NDArray[np.integer], factor: int) -> npt.NDArray[np.bool_]:
    """Mark the pixels of an enlarged mask ``(H, W)`` that differ from one beside, above or below them.

    It is ``find_boundaries(enlarged, mode="thick")`` of scikit-image, but the pixels of the mask are compared rather
    than those of the enlarged one, which takes a fiftieth of the time.
    """
    height, width = mask.shape
    across = np.zeros((height, width, factor), dtype=bool)
    across[:, :-1, -1] |= mask[:, 1:] != mask[:, :-1]
    across[:, 1:, 0] |= mask[:, 1:] != mask[:, :-1]
    along = np.zeros((height, factor, width), dtype=bool)
    along[:-1, -1] |= mask[1:] != mask[:-1]
    along[1:, 0] |= mask[1:] != mask[:-1]
    lines: npt.NDArray[np.bool_] = across.reshape(height, -1).repeat(factor, 0) | along.reshape(-1, width).repeat(
        factor, 1
    )
    return lines


def _beside(line: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mark the pixels ``(H, W)`` that are marked, and those beside, above or below them, as a dilation by a cross."""
    wider = line.copy()
    for here, there in _NEIGHBORS:
        wider[here] |= line[there]
    return wider
