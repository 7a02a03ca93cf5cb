"""The layers that all figures are made of: picture, map, borders, hatching, colour bar; no pyplot unless asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.ndimage
import skimage.segmentation

from captum_superpixel.visualization.images import FloatArray
from captum_superpixel.visualization.scaling import Scale, Sign

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

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
    "require_matplotlib",
    "see_through",
    "unit_text",
]

Layout = Literal["constrained", "compressed"]
NAN_LABEL = "not finite"
_find_boundaries: Callable[..., npt.NDArray[np.bool_]] = skimage.segmentation.find_boundaries
_dilate: Callable[..., npt.NDArray[np.bool_]] = scipy.ndimage.binary_dilation  # type: ignore[attr-defined]
_SIDE = 600
"""Pixels to which the longer side of a mask is enlarged, so that borders are lines between pixels of the picture."""
_PALE = 0.4
"""Share of each half of a diverging map's colours that is too pale to be laid over a picture."""
_DEFAULT_CMAPS = {True: "RdBu_r", False: "inferno"}
_MEANINGS: dict[Sign, str] = {
    "all": "attribution",
    "positive": "positive attribution",
    "negative": "negative attribution, magnitude",
    "absolute_value": "attribution, magnitude",
}


def require_matplotlib() -> None:
    """Raise an ImportError that says what to install, unless matplotlib is there."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'matplotlib, which draws the figures, is not installed: pip install "captum-superpixel[demo]"'
        ) from error


def new_figure(fig_size: tuple[float, float], use_pyplot: bool, layout: Layout = "constrained") -> Figure:
    """Make an empty figure that lays itself out, and that pyplot knows of only if asked to."""
    require_matplotlib()
    if use_pyplot:
        from matplotlib import pyplot as plt

        return plt.figure(figsize=fig_size, layout=layout)
    from matplotlib.figure import Figure

    return Figure(figsize=fig_size, layout=layout)


def one_axis(
    plt_fig_axis: tuple[Figure, Axes] | None, use_pyplot: bool, fig_size: tuple[float, float]
) -> tuple[Figure, Axes]:
    """Take the caller's figure and axis, or make them."""
    require_matplotlib()
    if plt_fig_axis is not None:
        return plt_fig_axis
    figure = new_figure(fig_size, use_pyplot)
    return figure, figure.add_subplot()


def choose_cmap(cmap: str | Colormap | None, diverging: bool) -> Colormap:
    """Take the caller's colours, or ones that the colour-blind tell apart: red and blue, or dark to light."""
    import matplotlib as mpl

    if cmap is None:
        cmap = _DEFAULT_CMAPS[diverging]
    return mpl.colormaps[cmap] if isinstance(cmap, str) else cmap


def see_through(cmap: Colormap, diverging: bool, alpha: float) -> Colormap:
    """Let the picture be seen where a map is small: opacity grows with the magnitude, from 0 to ``alpha``."""
    from matplotlib.colors import ListedColormap

    steps = np.linspace(-1 if diverging else 0, 1, 255)
    # The pale colours around zero would be a fog over the picture, which stands for zero already.
    vivid = np.sign(steps) * (_PALE + (1 - _PALE) * np.abs(steps)) if diverging else steps
    colors = cmap((vivid + 1) / 2 if diverging else vivid)
    colors[:, 3] = alpha * np.sqrt(np.abs(steps))
    return ListedColormap(colors, name=f"see-through {cmap.name}")


def draw_image(axis: Axes, image: FloatArray, faint: bool = False) -> AxesImage:
    """Draw a picture ``(H, W, 3)`` without ticks; or grey and faint under what is laid over it."""
    if faint:
        luminance = image @ np.array([0.299, 0.587, 0.114])
        image = np.repeat((0.2 + 0.65 * luminance)[..., None], 3, axis=-1)
    drawn = axis.imshow(image, interpolation="antialiased")
    axis.set(xticks=[], yticks=[])
    return drawn


def draw_map(axis: Axes, values: FloatArray, scale: Scale, cmap: Colormap) -> AxesImage:
    """Draw a map ``(H, W)`` in the colours of its scale, and stripes where it is NaN."""
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
    """Draw the borders between segments ``(H, W)``; a dark edge shows those of any colour on any ground."""
    from matplotlib.colors import to_rgba

    factor = _enlargement(mask.shape)
    large = mask.repeat(factor, 0).repeat(factor, 1)
    line = _find_boundaries(large, mode="thick")
    layer = np.zeros((*large.shape, 4), dtype=np.uint8)
    if edge:
        layer[_dilate(line)] = (0, 0, 0, 255)
    layer[line] = np.round(255 * np.array(to_rgba(color)))
    _overlay(axis, layer, mask.shape)


def draw_note(axis: Axes, text: str) -> None:
    """Write in the middle of an axis what its map, of one colour throughout, does not tell."""
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
    from matplotlib.patches import Patch

    return Patch(facecolor="0.59", edgecolor="0.27", hatch="//////", linewidth=0, label=NAN_LABEL)


def draw_colorbar(
    figure: Figure,
    axes: Axes | npt.NDArray[Any],
    cmap: Colormap,
    scale: Scale,
    sign: Sign,
    *,
    explanation: str = "",
    own: bool = False,
    **options: Any,
) -> None:
    """Draw one colour bar beside the axes, in the units of the maps, or relative to each map's own strongest value."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

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
    # What is see-through is seen over a picture that is grey.
    bar.ax.set_facecolor("0.5")


def unit_text(scale: Scale) -> str:
    """Name the unit in which numbers of this scale are written, if it is not 1."""
    return "" if scale.exponent == 0 else f" ($\\times 10^{{{scale.exponent}}}$)"


def _enlargement(shape: tuple[int, ...]) -> int:
    return max(1, -(-_SIDE // max(shape)))


def _overlay(axis: Axes, layer: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    """Lay an enlarged picture over the one of ``shape`` (H, W), in the coordinates of the latter."""
    height, width = shape[0], shape[1]
    axis.imshow(layer, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="antialiased")
