"""What a panel shows, apart from where: pictures upon each other, numbers, a note, a list, a color bar and a title."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from captum_superpixel.visualization._color_bar import ColorBar, draw_bar
from captum_superpixel.visualization._figures import draw_layers, draw_note
from captum_superpixel.visualization._layers import Layer
from captum_superpixel.visualization._score_list import Listing, draw_listing
from captum_superpixel.visualization._sureness import Number

__all__ = ["Panel", "draw_panel"]


@dataclass(frozen=True)
class Panel:
    """What a panel shows.

    Attributes:
        layers: Pictures from the lowest to the uppermost; the first has the pixels in which numbers are placed.
        numbers: In the pictures.
        note: In their middle; empty for none.
        title: Above them; None for none.
        listing: Below them; None for none.
        bar: Beside them; None for none.
    """

    layers: list[Layer]
    numbers: list[Number]
    note: str = ""
    title: str | None = None
    listing: Listing | None = None
    bar: ColorBar | None = None


def draw_panel(figure: Figure, axis: Axes, panel: Panel) -> None:
    """Draw a panel in an axis, whose units are then the pixels of its first picture."""
    draw_layers(axis, panel.layers)
    for number in panel.numbers:
        axis.text(number.column, number.row, number.text, **number.looks)
    if panel.note:
        draw_note(axis, panel.note)
    if panel.listing is not None:
        draw_listing(axis, panel.listing)
    if panel.bar is not None:
        draw_bar(figure, axis, panel.bar)
    if panel.title is not None:
        axis.set_title(panel.title)
