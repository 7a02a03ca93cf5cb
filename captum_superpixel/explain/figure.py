"""The picture of an explanation: the photograph, its map over the borders of its superpixels, and its top regions."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from captum_superpixel._checks import readable
from captum_superpixel._texts import cut, fold
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.arrangement import arrange
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

__all__ = ["draw"]

_TITLE = 100
"""Letters that a line of a picture's title has room for."""


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
    side = 4.2 * min(2.0, height / width)
    # What is drawn is fitted to panels of about this size, and the panels to what was drawn.
    figure = Figure(figsize=(15, side + 3), layout="none")  # type: ignore[arg-type]  # missing in its annotations
    axes = figure.subplots(1, 3)
    picture, shown, mask = explanation.picture, explanation.shown, explanation.mask
    # What speaks against a class is in the page, which has both.
    shown = shown.clamp(min=0) if evidence else shown
    sure = table if table.k is not None else None
    axes[0].imshow(picture.permute(1, 2, 0).numpy(), origin="upper")
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
    letters = max(1, int(12 * min(4.2, side * width / height)))
    second = f"evidence for {class_of(explanation)}, and regions" if evidence else "map and regions"
    headings = (cut(readable(explanation.photograph.name), 2 * letters), second, axes[2].get_title())
    for axis, title in zip(axes, headings, strict=True):
        axis.set_title("\n".join(fold(line, letters, 4) for line in title.split("\n")), fontsize=11, parse_math=False)
    heading = figure.suptitle("\n".join(_titles(explanation)), parse_math=False)
    (bar,) = (axis for axis in figure.axes if axis not in axes)
    # Names may have letters that matplotlib's font has not; boxes stand for them.
    with ignored_warnings(UserWarning):
        arrange(figure, axes, (None, bar, None), heading)
    return figure


def _titles(explanation: Explanation) -> list[str]:
    """Say what is explained, what is predicted, and how the map was made, in a line each or together."""
    lines = [f"{what}: {_heading(one)}" for what, one in find_roles(explanation).items()]
    lines = [", ".join(lines)] if sum(map(len, lines)) < _TITLE else lines
    return [*lines, readable(explanation.how)]


def _heading(prediction: Prediction) -> str:
    return f"{cut(readable(write_name(prediction)), _TITLE - 10)}{write_chance(prediction)}"
