"""Where the panels of an explanation's picture lie: side by side, as far apart as what is written around them takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from torch import Tensor

from captum_superpixel.explain.bar_placing import place_bar
from captum_superpixel.explain.letters import Painter
from captum_superpixel.explain.placing import place_panel
from captum_superpixel.explain.rendering import DPI, MARGIN
from captum_superpixel.visualization.panels import Panel

__all__ = ["Sheet", "arrange"]

_WIDEST, _TALLEST = 4.45, 8.8
"""Inches of a picture at most."""
_GAP = 0.3
"""Inches between panels, and what belongs to them."""
_BELOW = 0.12
"""Inches between the heading and what follows."""
_HEADING = 12
"""Points of its letters."""


class Sheet(NamedTuple):
    """What a figure shows.

    Attributes:
        heading: Above all.
        panels: From left to right, their first pictures of one shape.
        regions: ``(H, W)`` bool for each, what is outlined in it; None for nothing.
    """

    heading: str
    panels: Sequence[Panel]
    regions: Sequence[Tensor | None]


def arrange(sheet: Sheet) -> Figure:
    """Put panels into a figure that has the size that they take.

    Matplotlib's constrained layout measures everything three times, and once more to cut the figure to what is drawn.
    Here it is measured once, because the pictures have a size of their own, and the figure gets one.
    """
    figure = Figure(dpi=DPI, facecolor="white", edgecolor="white", layout="none")  # type: ignore[arg-type]  # missing in its annotations
    painter = Painter(1, 1, DPI)
    rows, columns = sheet.panels[0].layers[0].pixels.shape[:2]
    # Whole pixels, so that pictures lie on those of the figure.
    width = max(1, round(DPI * min(_WIDEST, _TALLEST * columns / rows)))
    height = max(1, round(width * rows / columns))
    placed = []
    for panel, region in zip(sheet.panels, sheet.regions, strict=True):
        placed.append(place_panel(figure, painter, panel, (width, height), region))
        if panel.bar is not None:
            place_bar(placed[-1], panel.bar)
    heading = figure.suptitle(sheet.heading, fontsize=_HEADING, fontweight="normal", color="black", parse_math=False)
    around = [each.around for each in placed]
    above = heading.get_window_extent(painter)
    gap, margin = round(_GAP * DPI), round(MARGIN * DPI)
    row = sum(width + each.left + each.right for each in around) + gap * (len(placed) - 1)
    across = max(row, above.width) + 2 * margin
    bottom = margin + max(each.bottom for each in around)
    top = max(each.top for each in around) + _BELOW * DPI + above.height + margin
    total = (round(across), round(bottom) + height + round(top))
    figure.set_size_inches(total[0] / DPI, total[1] / DPI)
    start = (across - row) / 2
    for one, each in zip(placed, around, strict=True):
        start += each.left
        one.place.translate(round(start), round(bottom))
        start += width + each.right + gap
    heading.set_position((0.5, 1 - margin / total[1]))
    return figure
