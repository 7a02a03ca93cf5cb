"""Where the panels of an explanation's picture lie: side by side, as far apart as what is written around them takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from captum_superpixel.explain.rendering import DPI, MARGIN

__all__ = ["arrange"]

_WIDEST, _TALLEST = 4.45, 8.8
"""Inches of a panel at most."""
_GAP = 0.3
"""Inches between panels, and what belongs to them."""
_BAR = 0.02
"""Between a panel and its color bar, as a share of the panel's width."""
_BELOW = 0.12
"""Inches between the heading and what follows."""


class _Around(NamedTuple):
    """How far what belongs to a panel reaches beyond its picture, in pixels."""

    left: float
    right: float
    top: float
    bottom: float


def arrange(figure: Figure, panels: Sequence[Axes], bars: Sequence[Axes | None], heading: Text) -> None:
    """Give a figure the size that its panels take, and put them into it.

    Matplotlib's constrained layout measures everything three times, and once more to cut the figure to what is drawn.
    Here it is measured once, because the panels have a size of their own, and the figure gets one.

    Args:
        figure: Without layout engine.
        panels: Axes with a picture of the same shape each, from left to right.
        bars: The color bar of each, if it has one, which comes to lie to its right.
        heading: What stands above them.
    """
    figure.set_dpi(DPI)
    (left, right), (low, high) = panels[0].get_xlim(), panels[0].get_ylim()
    ratio = abs((high - low) / (right - left))
    # Whole pixels, so that pictures lie on those of the figure.
    width = max(1, round(DPI * min(_WIDEST, _TALLEST / ratio)))
    height = max(1, round(width * ratio))
    for panel, bar in zip(panels, bars, strict=True):
        # Whole pixels are of nearly the picture's shape; a panel of exactly that would not fill them.
        panel.set_aspect("auto")
        _place(figure, panel, bar, (0, 0, width, height))
    around = [_measure(figure, panel, bar) for panel, bar in zip(panels, bars, strict=True)]
    above = heading.get_window_extent()
    gap, margin = round(_GAP * DPI), round(MARGIN * DPI)
    row = sum(width + each.left + each.right for each in around) + gap * (len(panels) - 1)
    across = max(row, above.width) + 2 * margin
    bottom = margin + max(each.bottom for each in around)
    top = max(each.top for each in around) + _BELOW * DPI + above.height + margin
    total = (round(across), round(bottom) + height + round(top))
    figure.set_size_inches(total[0] / DPI, total[1] / DPI)
    start = (across - row) / 2
    for panel, bar, each in zip(panels, bars, around, strict=True):
        start += each.left
        _place(figure, panel, bar, (round(start), round(bottom), width, height))
        start += width + each.right + gap
    heading.set_position((0.5, 1 - margin / total[1]))


def _place(figure: Figure, panel: Axes, bar: Axes | None, box: tuple[int, int, int, int]) -> None:
    """Put a panel and its color bar into a figure: left, bottom, width and height in pixels."""
    left, bottom, width, height = box
    places = [(panel, box)]
    if bar is not None:
        # The bar is as high as the panel, and as wide as its own aspect says, from the left edge of this box on.
        places.append((bar, (left + width + round(_BAR * width), bottom, height, height)))
    across, along = figure.get_size_inches() * DPI
    for axis, (x, y, w, h) in places:
        axis.set_position((x / across, y / along, w / across, h / along))
        axis.set_in_layout(True)


def _measure(figure: Figure, panel: Axes, bar: Axes | None) -> _Around:
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    picture, whole = panel.get_window_extent(), panel.get_tightbbox(renderer)
    boxes = [whole, *([bar.get_tightbbox(renderer)] if bar is not None else [])]
    drawn = [box for box in boxes if box is not None]
    return _Around(
        picture.x0 - min(box.x0 for box in drawn),
        max(box.x1 for box in drawn) - picture.x1,
        max(box.y1 for box in drawn) - picture.y1,
        picture.y0 - min(box.y0 for box in drawn),
    )
