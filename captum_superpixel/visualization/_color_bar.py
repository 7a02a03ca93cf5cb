"""What a color bar says: its colors, the numbers beside it and what its ends stand for, and how matplotlib draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from captum_superpixel._texts import fold
from captum_superpixel.visualization._color_scale import ColorScale

__all__ = ["BAR_GAP", "BAR_SIZE", "BAR_TRIANGLE", "ColorBar", "describe_bar", "draw_bar"]

BAR_SIZE = 9
"""Of its letters, in points."""
BAR_TRIANGLE = 0.05
"""Length of the triangle at an end of a color bar, as a share of the bar's length without triangles."""
BAR_GAP = 0.02
"""Between a picture and its color bar, as a share of the picture's width."""
_ROW = 0.05
"""Share of the picture's width that matplotlib's layout takes for a color bar."""
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
_BEYOND = 0.01
"""How far from an end stands what it is for, as a share of the bar's length without triangles."""


@dataclass(frozen=True)
class ColorBar:
    """What a color bar says.

    Attributes:
        cmap: The colors, from ``low`` to 1.
        low: What the first color stands for, -1 or 0.
        extend: At which ends values are clipped, in matplotlib's words: there it ends in a triangle.
        places: Of the numbers, from ``low`` to 1.
        texts: The numbers.
        label: What the colors are, in lines.
        is_short: Whether the label is written horizontally.
        ends: What the lower and the upper end stand for, in lines.
        aspect: How many times as long as wide it is, triangles included.
    """

    cmap: Colormap
    low: float
    extend: str
    places: list[float]
    texts: list[str]
    label: str
    is_short: bool
    ends: tuple[str, str]
    aspect: float

    @property
    def triangles(self) -> tuple[bool, bool]:
        """Whether the lower and the upper end is a triangle."""
        return self.extend in ("min", "both"), self.extend in ("max", "both")

    @property
    def end_places(self) -> tuple[float, float]:
        """Where what the ends stand for is written, from 0, the lower end without triangle, to 1, the upper one."""
        lower, upper = self.triangles
        return -_BEYOND - BAR_TRIANGLE * lower, 1 + _BEYOND + BAR_TRIANGLE * upper


def describe_bar(
    cmap: Colormap,
    scale: ColorScale,
    label: str,
    size: tuple[float, float],
    *,
    ends: tuple[str, str] = ("", ""),
    explanation: str = "",
    own: bool = False,
) -> ColorBar:
    """Say what a color bar shows, in the units of the maps, or relative to each map's own strongest value.

    Args:
        cmap: The colors.
        scale: Of the maps; where values beyond it are drawn, the bar ends in a triangle.
        label: What the colors are.
        size: Width of the pictures beside it, and height of all of them together, in inches.
        ends: What the lower and the upper end stand for; empty for nothing.
        explanation: A further line of the label.
        own: Whether each map has a scale of its own.
    """
    low = -1 if scale.diverging else 0
    width, height = size
    if own:
        places: list[float] = [low, 0, 1] if scale.diverging else [0, 0.5, 1]
        texts = [f"{100 * place:.0f} %" for place in places]
    else:
        places, texts = _ticks(scale, max(2, min(_TICKS, int(height / _TICK))))
        label = scale.unit.add_to(label)
    is_short = height < _SHORT
    letters = _LABEL_WIDTH if is_short else int(height / _LETTER)
    lines = [line for line in (label, explanation) if line]
    return ColorBar(
        cmap,
        low,
        _extend(scale, own),
        places,
        texts,
        "\n".join(fold(line, letters, _LABEL_LINES) for line in lines),
        is_short,
        (fold(ends[0], _END_WIDTH, _END_LINES), fold(ends[1], _END_WIDTH, _END_LINES)),
        # It would else be at most twenty times as long as it is wide, which is the shorter the narrower the pictures.
        max(20, min(60, 20 * height / width)),
    )


def draw_bar(figure: Figure, axes: Axes | npt.NDArray[Any], bar: ColorBar, **options: Any) -> None:
    """Draw a color bar beside one axis or an array of them; ``options`` are those of ``Figure.colorbar``."""
    options = {"fraction": _ROW, "pad": BAR_GAP, "aspect": bar.aspect, **options}
    drawn = figure.colorbar(ScalarMappable(Normalize(bar.low, 1), bar.cmap), ax=axes, extend=bar.extend, **options)
    drawn.set_ticks(bar.places, labels=bar.texts, fontsize=BAR_SIZE)
    turned: dict[str, Any] = {"rotation": 0, "ha": "left", "va": "center"} if bar.is_short else {}
    drawn.set_label(bar.label, fontsize=BAR_SIZE, parse_math=False, **turned)
    # Triangles are outside of the axis of the bar.
    for place, end, side in zip(bar.end_places, bar.ends, ("top", "bottom"), strict=True):
        drawn.ax.text(0, place, end, transform=drawn.ax.transAxes, va=side, fontsize=BAR_SIZE, parse_math=False)
    # See-through colors are seen over a gray picture.
    drawn.ax.set_facecolor("0.5")


def _extend(scale: ColorScale, own: bool) -> str:
    """Say at which ends of the color bar values are clipped, in matplotlib's words."""
    if not scale.clipped:
        return "neither"
    if own:
        return "both" if scale.diverging else "max"
    below, above = scale.lowest < -scale.limit, scale.highest > scale.limit
    return {(True, True): "both", (True, False): "min"}.get((below, above), "max")


def _ticks(scale: ColorScale, intervals: int) -> tuple[list[float], list[str]]:
    """Choose round numbers in the scale's unit, with so many intervals at most: their places in colors, and texts."""
    if not scale.limit:
        return [0], ["0"]
    limit = scale.unit.scale(scale.limit)
    locator = MaxNLocator(nbins=intervals, steps=_STEPS)
    values = np.asarray(locator.tick_values(-limit if scale.diverging else 0, limit))
    values = values[np.abs(values) <= limit * (1 + 1e-9)]
    return (values / limit).tolist(), [np.format_float_positional(round(value, 6), trim="-") for value in values]
