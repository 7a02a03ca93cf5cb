"""The picture of an explanation: the photograph, its map over the borders of its superpixels, and its top regions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from captum_superpixel._checks import readable
from captum_superpixel._texts import cut, fold
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.arrangement import Sheet, arrange
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
from captum_superpixel.visualization.panels import Layer, Panel, describe_superpixels, describe_top_regions

__all__ = ["describe", "draw"]

_TITLE = 100
"""Letters that a line of a picture's title has room for."""
_HIGH = 4.2
"""Inches to which the texts of a square picture are fitted."""
_PLACE, _ROOM, _SHARE = 3.42, 3, 0.77
"""Inches of width to which texts below and beside a picture are fitted, and of height beyond the picture, of all of
which a share counts."""
_LETTERS = 12
"""Letters of a panel's title in an inch."""


def draw(explanation: Explanation, top: int) -> Figure:
    """Draw what :func:`describe` says, in a figure that pyplot's state does not hold."""
    # Names may have letters that matplotlib's font has not; boxes stand for them.
    with ignored_warnings(UserWarning):
        return arrange(describe(explanation, top))


def describe(explanation: Explanation, top: int) -> Sheet:
    """Show the photograph, its map over the borders of its superpixels, and its top regions.

    Args:
        explanation: What to draw.
        top: How many regions are numbered and shown.
    """
    table, evidence, magnitudes = explanation.table, holds_evidence(explanation), holds_magnitudes(explanation)
    quantity = "evidence" if evidence else METHODS[explanation.method].quantity
    height, width = explanation.picture.shape[1:]
    picture, shown, mask = explanation.picture, explanation.shown, explanation.mask
    # What speaks against a class is in the page, which has both.
    shown = shown.clamp(min=0) if evidence else shown
    sure = table if table.k is not None else None
    superpixels = describe_superpixels(
        picture,
        shown,
        mask,
        k=top,
        score_name=None if evidence else table.score_name,
        quantity=quantity,
        class_name=class_of(explanation),
        sign="absolute_value" if magnitudes else "positive" if evidence else "all",
        confidence=sure,
    )
    count = min(top, len(speaking_regions(explanation)))
    enough: dict[str, Any] = {"k": count} if count else {"fraction": 0, "title": describe_none(explanation)}
    best = describe_top_regions(picture, shown, mask, **enough, confidence=sure, ranked=superpixels.ranked)
    side = _HIGH * min(2.0, height / width)
    panels = [
        Panel([Layer(picture.permute(1, 2, 0).numpy())], []),
        superpixels.fit(_PLACE, _SHARE * (side + _ROOM)),
        best,
    ]
    letters = max(1, int(_LETTERS * min(_HIGH, side * width / height)))
    second = f"evidence for {class_of(explanation)}, and regions" if evidence else "map and regions"
    headings = (cut(readable(explanation.photograph.name), 2 * letters), second, best.title or "")
    folded = ["\n".join(fold(line, letters, 4) for line in title.split("\n")) for title in headings]
    return Sheet(
        "\n".join(_titles(explanation)),
        [replace(panel, title=title) for panel, title in zip(panels, folded, strict=True)],
        (explanation.region, explanation.region, None),
    )


def _titles(explanation: Explanation) -> list[str]:
    """Say what is explained, what is predicted, and how the map was made, in a line each or together."""
    lines = [f"{what}: {_heading(one)}" for what, one in find_roles(explanation).items()]
    lines = [", ".join(lines)] if sum(map(len, lines)) < _TITLE else lines
    return [*lines, readable(explanation.how)]


def _heading(prediction: Prediction) -> str:
    return f"{cut(readable(write_name(prediction)), _TITLE - 10)}{write_chance(prediction)}"
