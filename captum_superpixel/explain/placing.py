"""The artists of a panel in pixels from the lower left corner of its picture: frame, numbers, texts, list, outline.

Matplotlib's axes, legends and color bars find out where they lie each time they are made, measured and drawn, which
takes three times as long as to draw what they hold.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Bbox, BboxBase, TransformedBbox
from torch import Tensor

from captum_superpixel._untyped import find_contours
from captum_superpixel.explain.compositing import Picture, flatten
from captum_superpixel.explain.letters import Painter
from captum_superpixel.explain.outlines import YELLOW
from captum_superpixel.visualization import panels
from captum_superpixel.visualization.panels import HATCH, NOTE, Listing, Panel

__all__ = ["LINE", "Around", "Placed", "place_panel"]

LINE: dict[str, Any] = {"linewidth": 0.8, "edgecolor": "black"}
"""How frames look."""
_TITLE, _ABOVE = 11, 6
"""Points of a title's letters, and between a title and its picture."""
_OUTLINE: dict[str, Any] = {
    "edgecolor": tuple(channel / 255 for channel in YELLOW),
    "linewidth": 2,
    "path_effects": [withStroke(linewidth=4, foreground="black")],
}
"""How the outline of what a target is about looks."""


class Around(NamedTuple):
    """How far what belongs to a panel reaches beyond its picture, in pixels."""

    left: float
    right: float
    top: float
    bottom: float


class Placed:
    """Artists around the lower left corner of a picture, which is placed when all are measured.

    Args:
        figure: To which they are added.
        painter: Measures them.
        size: Width and height of the picture, in pixels.

    Attributes:
        place: Moves the lower left corner of the figure to that of the picture.
        pixels: In a point of 1/72 inch.
        size: Of the picture.
    """

    def __init__(self, figure: Figure, painter: Painter, size: tuple[int, int]) -> None:
        self.place, self.pixels, self.size = Affine2D(), painter.dpi / 72, size
        self._figure, self._painter = figure, painter
        self._texts: list[Text] = []
        self._measured: dict[Text, tuple[float, float, BboxBase]] = {}
        self._boxes = [Bbox.from_extents(0, 0, *size)]

    def add(self, artist: Artist, zorder: float) -> None:
        """Add what lies within what is counted to the panel."""
        artist.set_transform(self.place)
        artist.set_zorder(zorder)
        self._figure.add_artist(artist)

    def write(self, x: float, y: float, text: str, **looks: Any) -> Text:
        """Write a text, which belongs to the panel."""
        # Names may hold what would be mathematics to matplotlib.
        written = Text(x, y, text, **{"color": "black", "parse_math": False, **looks})
        self.add(written, written.get_zorder())
        self._texts.append(written)
        return written

    def measure(self, text: Text) -> BboxBase:
        """Find where a text lies, before anything is placed; it may be moved once it is measured."""
        x, y = text.get_position()
        if text not in self._measured:
            self._measured[text] = (x, y, text.get_window_extent(self._painter))
        before_x, before_y, box = self._measured[text]
        return box.translated(x - before_x, y - before_y)

    def ascent(self, text: Text) -> float:
        """Find how far high letters of a text reach above its line, even if it has none."""
        _, height, descent = self._painter.get_text_width_height_descent("lp", text.get_fontproperties(), False)
        return height - descent

    def cover(self, left: float, bottom: float, right: float, top: float) -> None:
        """Count to the panel what is no text."""
        self._boxes.append(Bbox.from_extents(left, bottom, right, top))

    @property
    def around(self) -> Around:
        """How far all this reaches beyond the picture."""
        whole = Bbox.union([*self._boxes, *map(self.measure, self._texts)])
        return Around(-whole.x0, whole.x1 - self.size[0], whole.y1 - self.size[1], -whole.y0)


def place_panel(figure: Figure, painter: Painter, panel: Panel, size: tuple[int, int], region: Tensor | None) -> Placed:
    """Make the artists of a panel, but for its color bar.

    Args:
        figure: To which they are added.
        painter: Measures them.
        panel: What is shown.
        size: Width and height of the picture, in pixels.
        region: ``(H, W)`` bool, what is outlined; None for nothing.
    """
    placed = Placed(figure, painter, size)
    width, height = size
    placed.add(Picture(flatten(panel.layers, size), placed.place), 0)
    placed.add(Rectangle((0, 0), width, height, fill=False, **LINE), 2.5)
    rows, columns = panel.layers[0].pixels.shape[:2]
    for number in panel.numbers:
        x, y = width * (number.column + 0.5) / columns, height * (1 - (number.row + 0.5) / rows)
        placed.write(x, y, number.text, **number.looks)
    if panel.note:
        placed.write(width / 2, height / 2, panel.note, **NOTE)
    if panel.title:
        placed.write(width / 2, height + _ABOVE * placed.pixels, panel.title, ha="center", fontsize=_TITLE)
    if panel.listing is not None:
        _write_listing(placed, panel.listing)
    if region is not None and not region.all():
        _draw_outline(placed, region)
    return placed


def _write_listing(placed: Placed, listing: Listing) -> None:
    """Write a list below the picture, where matplotlib's legend would have it."""
    letter = listing.size * placed.pixels
    gap, before = listing.row_gap * letter, (panels.HANDLE + panels.HANDLE_PAD) * letter
    center, pad = placed.size[0] / 2, panels.LIST_PAD * letter
    top = -panels.LIST_BELOW * placed.size[1] - panels.LIST_APART * letter - pad
    lowest = [top]
    if listing.heading:
        looks = {"ha": "center", "va": "top", "multialignment": "left", "fontsize": panels.HEADING_SIZE}
        lowest = [placed.measure(placed.write(center, top, listing.heading, **looks)).y0]
        top = lowest[0] - gap
    columns, widths = [], []
    for column in listing.columns:
        below, written = top, []
        for text in column:
            weight = "bold" if text in listing.bold else "normal"
            entry = placed.write(0, 0, text or " ", va="baseline", fontsize=listing.size, fontweight=weight)
            box = placed.measure(entry)
            entry.set_y(below - max(box.y1, placed.ascent(entry)))
            below = entry.get_position()[1] + box.y0 - gap
            written.append(entry)
        columns.append(written)
        widths.append(before + max(placed.measure(text).width for text in written))
        lowest.append(below + gap)
    between = panels.COLUMN_GAP * letter
    left = center - (sum(widths) + between * (len(widths) - 1)) / 2
    if listing.holes:
        place = placed.measure(columns[0][-1])
        side, height = panels.HANDLE * letter, panels.HANDLE_HEIGHT * letter
        placed.add(Rectangle((left, place.y0 + (place.height - height) / 2), side, height, **HATCH), 1)
        placed.cover(left, place.y0, left + side, place.y1)
    for written, width in zip(columns, widths, strict=True):
        for entry in written:
            entry.set_x(left + before)
        left += width + between
    placed.cover(center, min(lowest) - pad, center, 0)


def _draw_outline(placed: Placed, region: Tensor) -> None:
    """Draw the outline of a region ``(H, W)`` bool, which is closed at the borders of the picture."""
    sides = np.array(region.shape)
    # What is around the picture is outside.
    padded = np.pad(region.cpu().numpy().astype(float), 1)
    paths = []
    for contour in find_contours(padded, 0.5):
        # A pixel of the picture is half a pixel from its corner, and a whole one from that of what is padded.
        y, x = ((contour - 0.5) / sides).T
        paths.append(Path(np.stack([x * placed.size[0], (1 - y) * placed.size[1]], axis=1)))
    outline = PathPatch(Path.make_compound_path(*paths), fill=False, **_OUTLINE)
    placed.add(outline, 2)
    outline.set_clip_box(TransformedBbox(Bbox.from_extents(0, 0, *placed.size), placed.place))
