"""Agg's renderer with a memory for lines of letters, each of which matplotlib would load, lay out and draw anew."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends import backend_agg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont

from captum_superpixel._threads import ignored_warnings

__all__ = ["Painter", "paint"]

_LINES = 512
"""Lines that are remembered, in some kilobytes each: the words of a dozen pictures."""
_AGG: Any = backend_agg
"""Matplotlib does not annotate it."""


class _Look(NamedTuple):
    """How a line is written.

    Attributes:
        prop: Family, weight and size.
        path: The font that is found for them.
        dpi: Pixels per inch.
        flags: How letters are fitted to pixels.
        factors: How finely that is, and how letters of older fonts move together: what some versions let users choose.
    """

    prop: FontProperties
    path: str
    dpi: float
    flags: Any
    factors: tuple[Any, ...]


class _Line(NamedTuple):
    """A line of letters as it was drawn.

    Attributes:
        coverage: ``(H, W)`` uint8, how much of each pixel the letters cover.
        left: Pixels from where the line begins to the first of these.
        end: Likewise, to the row below the last.
    """

    coverage: npt.NDArray[np.uint8]
    left: int
    end: int


class Painter(_AGG.RendererAgg):  # type: ignore[misc]  # of a class that is not annotated
    """Draws lines that are upright or turned to the left from memory, and begins them at whole pixels.

    Args:
        width: Pixels of the picture.
        height: Likewise.
        dpi: Pixels per inch.
    """

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        """Measure a line, in pixels."""
        if ismath:
            measured: tuple[float, float, float] = super().get_text_width_height_descent(s, prop, ismath)
            return measured
        return _measure_line(s, self._look(prop))

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
    ) -> None:
        """Draw a line that begins at ``x``, ``y``, counted from the upper left corner."""
        if ismath or angle not in (0, 90) or not gc.get_antialiased() or gc.get_alpha() not in (None, 1):
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)
            return
        line = _draw_line(s, self._look(prop), angle)
        letters = np.empty((*line.coverage.shape, 4), dtype=np.uint8)
        letters[..., :3] = np.round(255 * np.array(gc.get_rgb()[:3]))
        opacity = gc.get_rgb()[3]
        letters[..., 3] = line.coverage if opacity == 1 else np.round(opacity * line.coverage)
        # Agg counts rows from below, and the first row of a picture is its lowest.
        self.draw_image(gc, round(x) + line.left, self.height - round(y) - line.end, letters[::-1])

    def _look(self, prop: FontProperties) -> _Look:
        factors = (mpl.rcParams["text.hinting_factor"], mpl.rcParams["text.kerning_factor"])
        return _Look(prop.copy(), findfont(prop), self.dpi, _AGG.get_hinting_flag(), factors)


def paint(figure: Figure, dpi: int) -> npt.NDArray[np.uint8]:
    """Draw a figure without layout engine: ``(H, W, 3)``."""
    figure.set_dpi(dpi)
    painter = Painter(*(round(dpi * inches) for inches in figure.get_size_inches()), dpi)
    # Names may have letters that matplotlib's font has not; boxes stand for them.
    with ignored_warnings(UserWarning):
        figure.draw(painter)
    pixels = np.asarray(painter.buffer_rgba())
    # A fifth of the time of a copy of ``pixels[..., :3]``.
    return np.stack([pixels[..., channel] for channel in range(3)], axis=-1)


@lru_cache(_LINES)
def _measure_line(text: str, look: _Look) -> tuple[float, float, float]:
    """Find width, height and descent of a line."""
    measured: tuple[float, float, float] = _AGG.RendererAgg(1, 1, look.dpi).get_text_width_height_descent(
        text, look.prop, False
    )
    return measured


@lru_cache(_LINES)
def _draw_line(text: str, look: _Look, angle: float) -> _Line:
    """Draw a line by itself, in black."""
    width, height, _ = _measure_line(text, look)
    # Letters may hang out of what is measured.
    margin = round(height) + 2
    across, along = round(width) + 2 * margin, round(height) + 2 * margin
    if angle:
        across, along = along, across
    left, low = (margin + round(height) if angle else margin), along - margin
    renderer = _AGG.RendererAgg(across, along, look.dpi)
    renderer.draw_text(renderer.new_gc(), left, low, text, look.prop, angle)
    coverage = np.asarray(renderer.buffer_rgba())[..., 3]
    rows, columns = (np.flatnonzero(coverage.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return _Line(np.zeros((1, 1), dtype=np.uint8), 0, 0)
    top, bottom, first, last = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    return _Line(coverage[top:bottom, first:last].copy(), int(first) - left, int(bottom) - low)
