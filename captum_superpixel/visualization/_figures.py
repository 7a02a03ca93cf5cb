"""The layers of all figures: picture, map, borders, stripes and color bar, without pyplot unless it is asked for."""

from __future__ import annotations

from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from captum_superpixel._untyped import binary_dilation, find_boundaries
from captum_superpixel.visualization._color_scale import ColorScale, VisualizeSign
from captum_superpixel.visualization.images import FloatArray

__all__ = [
    "NAN_LABEL",
    "choose_cmap",
    "draw_borders",
    "draw_colorbar",
    "draw_image",
    "draw_map",
    "draw_note",
    "nan_handle",
    "new_figure",
    "one_axis",
    "see_through",
    "unit_text",
]

Layout = Literal["constrained", "compressed"]
NAN_LABEL = "not finite"
_SIDE = 600
"""Pixels to which the longer side of a mask is enlarged, so that borders run between the pixels of the picture."""
_PALE = 0.4
"""Share of each half of a diverging colormap that is too pale to be laid over a picture."""
_DEFAULT_CMAPS = {True: "RdBu_r", False: "inferno"}
_MEANINGS: dict[VisualizeSign, str] = {
    "all": "attribution",
    "positive": "positive attribution",
    "negative": "negative attribution, magnitude",
    "absolute_value": "attribution, magnitude",
}


def new_figure(fig_size: tuple[float, float], use_pyplot: bool, layout: Layout = "constrained") -> Figure:
    """Make an empty figure with automatic layout, which pyplot knows of only if it is asked to."""
    return (plt.figure if use_pyplot else Figure)(figsize=fig_size, layout=layout)


def one_axis(
    plt_fig_axis: tuple[Figure, Axes] | None, use_pyplot: bool, fig_size: tuple[float, float]
) -> tuple[Figure, Axes]:
    """Take the caller's figure and axis, or make them."""
    if plt_fig_axis is not None:
        return plt_fig_axis
    figure = new_figure(fig_size, use_pyplot)
    return figure, figure.add_subplot()


def choose_cmap(cmap: str | Colormap | None, diverging: bool) -> Colormap:
    """Take the caller's colors, or some that the color-blind can tell apart: red and blue, or dark to light."""
    if cmap is None:
        cmap = _DEFAULT_CMAPS[diverging]
    return mpl.colormaps[cmap] if isinstance(cmap, str) else cmap


def see_through(cmap: Colormap, diverging: bool, alpha: float) -> Colormap:
    """Let the picture show where a map is small: opacity grows with the magnitude, from 0 to ``alpha``."""
    steps = np.linspace(-1 if diverging else 0, 1, 255)
    # The pale colors around zero would veil the picture, which itself stands for zero.
    vivid = np.sign(steps) * (_PALE + (1 - _PALE) * np.abs(steps)) if diverging else steps
    colors = cmap((vivid + 1) / 2 if diverging else vivid)
    colors[:, 3] = alpha * np.sqrt(np.abs(steps))
    return ListedColormap(colors, name=f"see-through {cmap.name}")


def draw_image(axis: Axes, image: FloatArray, faint: bool = False) -> AxesImage:
    """Draw a picture ``(H, W, 3)`` without ticks; ``faint``, in grey and low contrast, below a map."""
    if faint:
        luminance = image @ np.array([0.299, 0.587, 0.114])
        image = np.repeat((0.2 + 0.65 * luminance)[..., None], 3, axis=-1)
    drawn = axis.imshow(image, interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    return drawn


def draw_map(axis: Axes, values: FloatArray, scale: ColorScale, cmap: Colormap) -> AxesImage:
    """Draw a map ``(H, W)`` in the colors of its scale, and stripes where it is NaN."""
    holes = np.isnan(values)
    low = -1 if scale.diverging else 0
    shown = np.ma.masked_array(scale.apply(np.where(holes, 0, values)), holes)
    drawn = axis.imshow(shown, cmap=cmap, vmin=low, vmax=1, interpolation="antialiased")
    if holes.any():
        factor = _enlargement(values.shape)
        large = holes.repeat(factor, 0).repeat(factor, 1)
        rows, columns = np.ogrid[: large.shape[0], : large.shape[1]]
        period = max(large.shape) // 24 + 3
        stripes = np.zeros((*large.shape, 4), dtype=np.uint8)
        stripes[large] = (150, 150, 150, 255)
        stripes[large & ((rows + columns) % period < period / 3)] = (70, 70, 70, 255)
        _overlay(axis, stripes, values.shape)
    axis.set(xticks=[], yticks=[])
    return drawn


def draw_borders(axis: Axes, mask: npt.NDArray[np.integer], color: Any, *, edge: bool = False) -> None:
    """Draw the borders between segments ``(H, W)``; a dark edge sets them off from a picture of any color."""
    factor = _enlargement(mask.shape)
    large = mask.repeat(factor, 0).repeat(factor, 1)
    line = find_boundaries(large, mode="thick")
    layer = np.zeros((*large.shape, 4), dtype=np.uint8)
    if edge:
        layer[binary_dilation(line)] = (0, 0, 0, 255)
    layer[line] = np.round(255 * np.array(to_rgba(color)))
    _overlay(axis, layer, mask.shape)


def draw_note(axis: Axes, text: str) -> None:
    """Write a note in the middle of an axis, whose map is of one color throughout."""
    axis.text(
        0.5,
        0.5,
        text,
        transform=axis.transAxes,
        ha="center",
        va="center",
        fontsize=9,
        color="black",
        bbox={"boxstyle": "round", "facecolor": "white", "alpha": 0.85, "edgecolor": "0.5"},
    )


def nan_handle() -> Artist:
    """Make the entry of a legend that explains the stripes."""
    return Patch(facecolor="0.59", edgecolor="0.27", hatch="//////", linewidth=0, label=NAN_LABEL)


def draw_colorbar(
    figure: Figure,
    axes: Axes | npt.NDArray[Any],
    cmap: Colormap,
    scale: ColorScale,
    sign: VisualizeSign,
    *,
    explanation: str = "",
    own: bool = False,
    **options: Any,
) -> None:
    """Draw one color bar beside the axes, in the units of the maps, or relative to each map's own strongest value."""
    low = -1 if scale.diverging else 0
    extend = ("both" if scale.diverging else "max") if scale.clipped else "neither"
    mappable = ScalarMappable(Normalize(low, 1), cmap)
    bar = figure.colorbar(mappable, ax=axes, extend=extend, **options)
    if own:
        places = [low, 0, 1] if scale.diverging else [0, 0.5, 1]
        texts = [f"{100 * place:.0f} %" for place in places]
    elif scale.limit:
        places = [low, low / 2, 0, 0.5, 1] if scale.diverging else [0, 0.25, 0.5, 0.75, 1]
        texts = [f"{place * (scale.limit / scale.unit):.2g}" for place in places]
    else:
        places, texts = [0], ["0"]
    bar.set_ticks(places, labels=texts)
    bar.set_label(_MEANINGS[sign] + ("" if own else unit_text(scale)) + (f"\n{explanation}" if explanation else ""))
    # See-through colors are seen over a grey picture.
    bar.ax.set_facecolor("0.5")


def unit_text(scale: ColorScale) -> str:
    """Name the power of ten in which numbers of this scale are written, if it is not 1."""
    return "" if scale.exponent == 0 else f" ($\\times 10^{{{scale.exponent}}}$)"


def _enlargement(shape: tuple[int, ...]) -> int:
    return max(1, -(-_SIDE // max(shape)))


def _overlay(axis: Axes, layer: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    """Lay an enlarged picture over the one of ``shape`` (H, W), in the coordinates of the latter."""
    height, width = shape[0], shape[1]
    axis.imshow(layer, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="antialiased")
