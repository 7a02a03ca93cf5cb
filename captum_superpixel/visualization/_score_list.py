"""The list below a map of the scores of its numbered regions, those for a class and those against it in columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from captum_superpixel._numbers import Unit, find_common_unit
from captum_superpixel._texts import fold
from captum_superpixel.regions import Region
from captum_superpixel.regions.choosing import first_regions, strongest_regions
from captum_superpixel.regions.confidence import write_probability
from captum_superpixel.regions.table import show_rank
from captum_superpixel.visualization import _figures
from captum_superpixel.visualization._sureness import describe_chances

__all__ = ["ScoreList", "draw_scores", "list_scores"]

_MANY = 20
"""Entries beyond which they are written smaller."""
_SIZES = {False: (9, 1.1), True: (7, 0.8)}
"""Size of the letters in points, and inches that an entry takes, of few and of many entries. A line with more than fit
would make the picture small."""
_COLUMNS = 5
_LETTER = 0.07
"""Inches that a letter of the heading takes."""


@dataclass(frozen=True)
class ScoreList:
    """The regions that are numbered and listed.

    Attributes:
        groups: By heading, each in the order of the list; a single group without one where signs are not told apart.
        ties: Lines on regions that are left out because they are equal.
    """

    groups: dict[str, list[Region]]
    ties: list[str]

    @property
    def regions(self) -> list[Region]:
        """All regions of the list."""
        return [region for group in self.groups.values() for region in group]


def list_scores(ranked: Sequence[Region], k: int, k_against: int) -> ScoreList:
    """Choose what to list.

    Args:
        ranked: The regions by rank.
        k: How many of the first; with ``k_against``, of those whose scores are positive.
        k_against: How many of those whose scores are the most negative; 0 not to tell signs apart.

    Returns:
        The list, empty groups included.
    """
    if not k_against:
        first, ties = first_regions(ranked, k) if k else ([], "")
        return ScoreList({"": first}, [ties] if ties else [])
    for_, against, ties_of_both = strongest_regions(ranked, k, k_against)
    return ScoreList({**({"for": for_} if k else {}), "against": against}, ties_of_both)


def draw_scores(axis: Axes, listed: ScoreList, score_name: str, unit: Unit, holes: bool, k: int | None = None) -> None:
    """List the scores below the axis, say which are equal, and explain the stripes where there are holes in the map.

    Args:
        axis: Of the map.
        listed: The regions.
        score_name: What the scores are.
        unit: Of the colors, in which the scores are written too unless they would be long.
        holes: Whether there are stripes.
        k: Among how many top regions each stays with the probability that is listed too; None without that.
    """
    regions = listed.regions
    own = find_common_unit(region.score for region in regions)
    unit = unit if unit.suits(max((abs(region.score) for region in regions), default=0.0)) else own
    width = float(axis.get_window_extent().width / axis.figure.dpi)
    size, entry = _SIZES[len(regions) > _MANY]
    fitting = max(1, min(_COLUMNS, int(width / entry)))
    handles, columns = _arrange(listed, unit, fitting)
    if holes:
        # At the end of the first column, so that the others stay as they are.
        rows = len(handles) // max(1, columns)
        for column in range(max(1, columns)):
            last = _entry("") if column else _figures.nan_handle()
            handles.insert((column + 1) * (rows + 1) - 1, last)
    heading = [f"rank: {unit.add_to(score_name)}"] if regions or listed.ties else []
    heading += [describe_chances(k)] if k is not None and regions else []
    heading += ["=: equal scores share a rank"] if any(region.tied for region in regions) else []
    heading += listed.ties
    if not handles and not heading:
        return
    legend = axis.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=max(1, columns),
        alignment="center",
        frameon=False,
        handlelength=1,
        handletextpad=0.3,
        columnspacing=0.8,
        fontsize=size,
        labelspacing=0.3 if size < 9 else 0.5,
        title="\n".join(fold(line, max(20, int(width / _LETTER)), 3) for line in heading) or None,
        title_fontsize=9,
    )
    for text in legend.get_texts():
        if text.get_text() in listed.groups:
            text.set_fontweight("bold")


def _arrange(listed: ScoreList, unit: Unit, fitting: int) -> tuple[list[Artist], int]:
    """Make the entries of the legend, each group filled up to whole columns, and count the columns."""
    groups = []
    for heading, regions in listed.groups.items():
        entries = [f"{show_rank(region)}:  {unit.write(region.score)}{_chance(region)}" for region in regions]
        groups.append([heading, *(entries or ["none"])] if heading else entries)
    if not any(listed.groups.values()):
        return [], 0
    count = sum(len(group) for group in groups)
    if fitting < len(groups):
        return [_entry(text) for group in groups for text in group], 1
    # No heading stands in a column of its own.
    least = 1 if "" in listed.groups else 2
    rows = next(rows for rows in range(least, count + 1) if sum(math.ceil(len(g) / rows) for g in groups) <= fitting)
    full = [text for group in groups for text in [*group, *[""] * (-len(group) % rows)]]
    return [_entry(text) for text in full], len(full) // rows


def _chance(region: Region) -> str:
    return "" if region.stays_top is None else f",  {write_probability(region.stays_top)}"


def _entry(text: str) -> Artist:
    return Line2D([], [], color="none", label=text or " ")
