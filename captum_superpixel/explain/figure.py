"""The picture of an explanation: the photograph, its map over the borders of its superpixels, and its top regions."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from captum_superpixel._checks import readable
from captum_superpixel._files import replacing
from captum_superpixel._texts import cut, fold
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.classes import Prediction
from captum_superpixel.explain.explanation import Explanation
from captum_superpixel.explain.meaning import (
    class_of,
    describe_none,
    find_roles,
    holds_evidence,
    holds_magnitudes,
    speaking_regions,
    write_chance,
    write_name,
)
from captum_superpixel.explain.outlines import draw_outline
from captum_superpixel.visualization import visualize_superpixels, visualize_top_regions

__all__ = ["draw", "save_figure"]

_TITLE = 100
"""Letters that a line of a picture's title has room for."""
_DPI = 120
_MARGIN = 0.1
"""Inches around what is drawn."""
_FAST = 1
"""Of the levels of compression: a third of the time of the usual one, for files that are hardly larger."""


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, cut to what is drawn, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    with replacing(path) as temporary:
        _render(figure).save(temporary, format="png", dpi=(_DPI, _DPI), compress_level=_FAST)


def _render(figure: Figure) -> Image.Image:
    """Draw a figure, which is laid out then and keeps its layout.

    ``Figure.savefig`` would draw everything once more to see where it comes to lie, and would compress a channel in
    which nothing shines through.
    """
    # Names may have letters that matplotlib's font has not; boxes stand for them.
    with ignored_warnings(UserWarning):
        canvas: Any = FigureCanvasAgg(figure)
        figure.set_dpi(_DPI)
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        drawn = figure.get_tightbbox(canvas.get_renderer())
        width, height = canvas.get_width_height()
        if drawn.x0 < 0 or drawn.y0 < 0 or drawn.x1 * _DPI > width or drawn.y1 * _DPI > height:
            # Something reaches beyond the figure, such as a title of wide letters.
            return _widened(figure)
        canvas.draw()
    (left, bottom), (right, top) = np.round(drawn.padded(_MARGIN).get_points() * _DPI).astype(int).tolist()
    cut_out = Image.new("RGB", (right - left, top - bottom), "white")
    cut_out.paste(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"), (-left, top - height))
    return cut_out


def _widened(figure: Figure) -> Image.Image:
    """Draw a figure with all that reaches beyond it."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=_MARGIN)
    return Image.open(content).convert("RGB")


def draw(explanation: Explanation, top: int) -> Figure:
    """Draw the photograph, its map over the borders of its superpixels, and its top regions.

    Args:
        explanation: What to draw.
        top: How many regions are numbered and shown.

    Returns:
        A figure that pyplot's state does not hold.
    """
    table, evidence, magnitudes = explanation.table, holds_evidence(explanation), holds_magnitudes(explanation)
    quantity = "evidence" if evidence else METHODS[explanation.method].quantity
    height, width = explanation.picture.shape[1:]
    # Below the map its scores are listed in three columns, one of them of those against, and lines say what they are.
    listed = min(top, len(table))
    titles = _titles(explanation)
    lines = math.ceil(listed / 3) if magnitudes or evidence else 1 + math.ceil(listed / 2)
    lines += any(math.isnan(region.score) for region in table) + 2 * any(region.tied for region in table)
    lines += table.k is not None
    rest = 1.65 + 0.19 * lines + 0.2 * (len(titles) - 2)
    side = 4.2 * min(2.0, height / width)
    figure = Figure(figsize=(15, side + rest), layout=ConstrainedLayoutEngine(wspace=0.06, compress=True))
    axes = figure.subplots(1, 3)
    picture, shown, mask = explanation.picture, explanation.shown, explanation.mask
    # What speaks against a class is in the page, which has both.
    shown = shown.clamp(min=0) if evidence else shown
    sure = table if table.k is not None else None
    axes[0].imshow(picture.permute(1, 2, 0).numpy())
    axes[0].set(xticks=[], yticks=[])
    visualize_superpixels(
        picture,
        shown,
        mask,
        k=top,
        score_name=None if evidence else table.score_name,
        quantity=quantity,
        class_name=class_of(explanation),
        sign="absolute_value" if magnitudes else "positive" if evidence else "all",
        confidence=sure,
        plt_fig_axis=(figure, axes[1]),
    )
    count = min(top, len(speaking_regions(explanation)))
    enough: dict[str, Any] = {"k": count} if count else {"fraction": 0, "title": describe_none(explanation)}
    visualize_top_regions(picture, shown, mask, **enough, confidence=sure, plt_fig_axis=(figure, axes[2]))
    draw_outline(axes[:2], explanation.region)
    # A letter takes about a twelfth of an inch.
    letters = int(12 * min(4.2, side * width / height))
    second = f"evidence for {class_of(explanation)}, and regions" if evidence else "map and regions"
    headings = (cut(readable(explanation.photograph.name), 2 * letters), second, axes[2].get_title())
    for axis, title in zip(axes, headings, strict=True):
        axis.set_title("\n".join(fold(line, letters, 4) for line in title.split("\n")), fontsize=11, parse_math=False)
    figure.suptitle("\n".join(titles), parse_math=False)
    return figure


def _titles(explanation: Explanation) -> list[str]:
    """Say what is explained, what is predicted, and how the map was made, in a line each or together."""
    lines = [f"{what}: {_heading(one)}" for what, one in find_roles(explanation).items()]
    lines = [", ".join(lines)] if sum(map(len, lines)) < _TITLE else lines
    return [*lines, readable(explanation.how)]


def _heading(prediction: Prediction) -> str:
    return f"{cut(readable(write_name(prediction)), _TITLE - 10)}{write_chance(prediction)}"
