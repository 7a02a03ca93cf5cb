"""What all figures share: how they are made, and pictures and notes in axes; without pyplot unless it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from captum_superpixel.visualization._layers import Layer

__all__ = [
    "HATCH",
    "NAN_LABEL",
    "NOTE",
    "choose_cmap",
    "draw_layers",
    "draw_note",
    "nan_handle",
    "new_figure",
    "one_axis",
    "picture_inches",
    "see_through",
]

Layout = Literal["constrained", "compressed"]
NAN_LABEL = "not finite"
HATCH: dict[str, Any] = {"facecolor": "0.59", "edgecolor": "0.27", "hatch": "//////", "linewidth": 0}
"""How the patch beside ``NAN_LABEL`` looks."""
NOTE: dict[str, Any] = {
    "ha": "center",
    "va": "center",
    "fontsize": 9,
    "color": "black",
    "bbox": {"boxstyle": "round", "facecolor": "white", "alpha": 0.85, "edgecolor": "0.5"},
}
"""How a note looks."""
_PALE = 0.4
"""Share of each half of a diverging colormap that is too pale to be laid over a picture."""
_DEFAULT_CMAPS = {True: "RdBu_r", False: "inferno"}


def new_figure(fig_size: tuple[float, float], use_pyplot: bool, layout: Layout = "constrained") -> Figure:
    """Make an empty figure with automatic layout, which pyplot knows of only if it is asked to."""
    return (plt.figure if use_pyplot else Figure)(figsize=fig_size, layout=layout)


def one_axis(
    plt_fig_axis: tuple[Figure, Axes] | None, use_pyplot: bool, fig_size: tuple[float, float]
) -> tuple[Figure, Axes]:
    """Take the caller's figure and axis, or make them."""
    if plt_fig_axis is not None:
        return plt_fig_axis
    figure = new_figure(fig_size, use_pyplot, "compressed")
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


def draw_layers(axis: Axes, layers: Sequence[Layer]) -> None:
    """Draw pictures onto each other without ticks, in the coordinates of the first."""
    height, width = layers[0].pixels.shape[:2]
    for layer in layers:
        colors: dict[str, Any] = {} if layer.cmap is None else {"cmap": layer.cmap, "vmin": layer.low, "vmax": 1}
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        pixels = layer.pixels if layer.palette is None else layer.to_uint8()
        axis.imshow(pixels, extent=extent, origin="upper", interpolation="antialiased", **colors)
    axis.set(xticks=[], yticks=[])


def draw_note(axis: Axes, text: str) -> None:
    """Write a note in the middle of an axis, whose map is of one color throughout."""
    axis.text(0.5, 0.5, text, transform=axis.transAxes, **NOTE)


def nan_handle() -> Artist:
    """Make the entry of a legend that explains the stripes."""
    return Patch(label=NAN_LABEL, **HATCH)


def picture_inches(axis: Axes) -> tuple[float, float]:
    """Estimate width and height of the picture in an axis before the figure is laid out."""
    box = axis.get_window_extent()
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    ratio = abs((top - bottom) / (right - left))
    width = min(box.width, box.height / ratio) / axis.figure.dpi
    return float(width), float(width * ratio)
