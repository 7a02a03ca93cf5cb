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
from matplotlib.ticker import MaxNLocator

from captum_superpixel._texts import fold
from captum_superpixel.visualization._color_scale import ColorScale
from captum_superpixel.visualization.images import FloatArray

__all__ = [
    "NAN_LABEL",
    "choose_cmap",
    "draw_borders",
    "draw_colorbar",
    "draw_image",
    "draw_map",
    "draw_note",
    "enlarge",
    "nan_handle",
    "new_figure",
    "one_axis",
    "overlay",
    "picture_inches",
    "see_through",
]

Layout = Literal["constrained", "compressed"]
NAN_LABEL = "not finite"
_SIDE = 600
"""Pixels to which the longer side of a mask is enlarged, so that borders run between the pixels of the picture."""
_PALE = 0.4
"""Share of each half of a diverging colormap that is too pale to be laid over a picture."""
_DEFAULT_CMAPS = {True: "RdBu_r", False: "inferno"}
_TICKS, _TICK = 6, 0.25
"""Intervals between the numbers of a color bar at most, and inches that each takes."""
_STEPS = (1, 2, 2.5, 4, 5, 10)
_SHORT = 1.2
"""Inches of a color bar below which its label is written horizontally, in lines of ``_LABEL_WIDTH`` letters."""
_LETTER = 0.09
"""Inches that a letter of the color bar's label takes."""
_END_WIDTH, _END_LINES = 16, 3
"""Letters per line, and lines, of what is written at the ends of a color bar."""
_LABEL_WIDTH, _LABEL_LINES = 24, 6
_ALL, _BEFORE, _AFTER = slice(None), slice(-1), slice(1, None)
_NEIGHBORS = (
    ((_ALL, _AFTER), (_ALL, _BEFORE)),
    ((_ALL, _BEFORE), (_ALL, _AFTER)),
    ((_AFTER, _ALL), (_BEFORE, _ALL)),
    ((_BEFORE, _ALL), (_AFTER, _ALL)),
)
"""Pixels that have a neighbor at their left, right, above and below, and these neighbors."""
_TRIANGLE = 0.05
"""Length of the triangle at an end of a color bar, as a share of the bar's length."""


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


def draw_image(axis: Axes, image: FloatArray, faint: bool = False) -> AxesImage:
    """Draw a picture ``(H, W, 3)`` without ticks; ``faint``, in gray and low contrast, below a map."""
    if faint:
        luminance = image @ np.array([0.299, 0.587, 0.114])
        image = np.repeat((0.2 + 0.65 * luminance)[..., None], 3, axis=-1)
    drawn = axis.imshow(image, origin="upper", interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    return drawn


def draw_map(axis: Axes, values: FloatArray, scale: ColorScale, cmap: Colormap) -> AxesImage:
    """Draw a map ``(H, W)`` in the colors of its scale, and stripes where it is NaN."""
    holes = np.isnan(values)
    low = -1 if scale.diverging else 0
    shown = np.ma.masked_array(scale.apply(np.where(holes, 0, values)), holes)
    drawn = axis.imshow(shown, cmap=cmap, vmin=low, vmax=1, origin="upper", interpolation="antialiased")
    if holes.any():
        factor = _enlargement(values.shape)
        large = holes.repeat(factor, 0).repeat(factor, 1)
        rows, columns = np.ogrid[: large.shape[0], : large.shape[1]]
        period = max(large.shape) // 24 + 3
        stripes = np.zeros((*large.shape, 4), dtype=np.uint8)
        stripes[large] = (150, 150, 150, 255)
        stripes[large & ((rows + columns) % period < period / 3)] = (70, 70, 70, 255)
        overlay(axis, stripes, values.shape)
    axis.set(xticks=[], yticks=[])
    return drawn


def draw_borders(axis: Axes, mask: npt.NDArray[np.integer], color: Any, *, edge: bool = False) -> None:
    """Draw the borders between segments ``(H, W)``; a dark edge sets them off from a picture of any color."""
    line = _borders(enlarge(mask))
    layer = np.zeros((*line.shape, 4), dtype=np.uint8)
    if edge:
        layer[_beside(line)] = (0, 0, 0, 255)
    layer[line] = np.round(255 * np.array(to_rgba(color)))
    overlay(axis, layer, mask.shape)


def _borders(mask: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Mark the pixels of a mask ``(H, W)`` that differ from one beside, above or below them.

    It is ``find_boundaries(mask, mode="thick")`` of scikit-image, in a tenth of its time, which was more than it takes
    to draw what is found.
    """
    line = np.zeros(mask.shape, dtype=bool)
    for here, there in _NEIGHBORS:
        line[here] |= mask[here] != mask[there]
    return line


def _beside(line: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Mark the pixels ``(H, W)`` that are marked, and those beside, above or below them, as a dilation by a cross."""
    wider = line.copy()
    for here, there in _NEIGHBORS:
        wider[here] |= line[there]
    return wider


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
    label: str,
    *,
    ends: tuple[str, str] = ("", ""),
    explanation: str = "",
    own: bool = False,
    **options: Any,
) -> None:
    """Draw one color bar beside the axes, in the units of the maps, or relative to each map's own strongest value.

    Args:
        figure: Of the axes.
        axes: One axis or an array of them.
        cmap: The colors.
        scale: Of the maps; where values beyond it are drawn, the bar ends in a triangle.
        label: What the colors are.
        ends: What the lower and the upper end stand for; empty for nothing.
        explanation: A further line of the label.
        own: Whether each map has a scale of its own.
        options: Of ``Figure.colorbar``.
    """
    low = -1 if scale.diverging else 0
    column = [picture_inches(axis) for axis in np.atleast_2d(np.array(axes, dtype=object))[:, 0]]
    height = sum(inches for _, inches in column)
    # The bar would else be at most twenty times as long as it is wide, which is the shorter the narrower the pictures.
    options = {"fraction": 0.05, "pad": 0.02, "aspect": max(20, min(60, 20 * height / column[0][0])), **options}
    bar = figure.colorbar(ScalarMappable(Normalize(low, 1), cmap), ax=axes, extend=_extend(scale, own), **options)
    if own:
        places: list[float] = [low, 0, 1] if scale.diverging else [0, 0.5, 1]
        texts = [f"{100 * place:.0f} %" for place in places]
    else:
        places, texts = _ticks(scale, max(2, min(_TICKS, int(height / _TICK))))
        label = scale.unit.add_to(label)
    bar.set_ticks(places, labels=texts, fontsize=9)
    lines = [line for line in (label, explanation) if line]
    turned: dict[str, Any] = {"rotation": 0, "ha": "left", "va": "center"} if height < _SHORT else {}
    width = _LABEL_WIDTH if turned else int(height / _LETTER)
    text = "\n".join(fold(line, width, _LABEL_LINES) for line in lines)
    bar.set_label(text, fontsize=9, parse_math=False, **turned)
    # Triangles are outside of the axis of the bar.
    for place, end, side in ((-0.01, ends[0], "top"), (1.01, ends[1], "bottom")):
        beyond = _TRIANGLE * (place > 0.5 or -1) if _has_triangle(bar.extend, place) else 0
        bar.ax.text(
            0,
            place + beyond,
            fold(end, _END_WIDTH, _END_LINES),
            transform=bar.ax.transAxes,
            va=side,
            fontsize=9,
            parse_math=False,
        )
    # See-through colors are seen over a gray picture.
    bar.ax.set_facecolor("0.5")


def _extend(scale: ColorScale, own: bool) -> str:
    """Say at which ends of the color bar values are clipped, in matplotlib's words."""
    if not scale.clipped:
        return "neither"
    if own:
        return "both" if scale.diverging else "max"
    below, above = scale.lowest < -scale.limit, scale.highest > scale.limit
    return {(True, True): "both", (True, False): "min"}.get((below, above), "max")


def _has_triangle(extend: str, place: float) -> bool:
    return extend == "both" or extend == ("max" if place > 0.5 else "min")


def _ticks(scale: ColorScale, intervals: int) -> tuple[list[float], list[str]]:
    """Choose round numbers in the scale's unit, with so many intervals at most: their places in colors, and texts."""
    if not scale.limit:
        return [0], ["0"]
    limit = scale.unit.scale(scale.limit)
    locator = MaxNLocator(nbins=intervals, steps=_STEPS)
    values = np.asarray(locator.tick_values(-limit if scale.diverging else 0, limit))
    values = values[np.abs(values) <= limit * (1 + 1e-9)]
    return (values / limit).tolist(), [np.format_float_positional(round(value, 6), trim="-") for value in values]


def picture_inches(axis: Axes) -> tuple[float, float]:
    """Estimate width and height of the picture in an axis before the figure is laid out."""
    box = axis.get_window_extent()
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    ratio = abs((top - bottom) / (right - left))
    width = min(box.width, box.height / ratio) / axis.figure.dpi
    return float(width), float(width * ratio)


def enlarge(mask: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Enlarge a mask ``(H, W)``, so that lines are thin beside its pixels."""
    factor = _enlargement(mask.shape)
    return mask.repeat(factor, 0).repeat(factor, 1)


def _enlargement(shape: tuple[int, ...]) -> int:
    return max(1, -(-_SIDE // max(shape)))


def overlay(axis: Axes, layer: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    """Lay an enlarged picture over the one of ``shape`` (H, W), in the coordinates of the latter."""
    height, width = shape[0], shape[1]
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    axis.imshow(layer, extent=extent, origin="upper", interpolation="antialiased")
