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
from captum_superpixel.visualization._figures import NAN_LABEL, nan_handle
from captum_superpixel.visualization._sureness import describe_chances

__all__ = [
    "COLUMN_GAP",
    "HANDLE",
    "HANDLE_HEIGHT",
    "HANDLE_PAD",
    "HEADING_SIZE",
    "LIST_APART",
    "LIST_BELOW",
    "LIST_PAD",
    "Listing",
    "ScoreList",
    "describe_scores",
    "draw_listing",
    "list_scores",
]

LIST_BELOW = 0.01
"""Between a picture and its list, as a share of the picture's height."""
LIST_PAD, LIST_APART = 0.4, 0.5
"""Around the list, and between that and what is above, in sizes of its letters, as what follows."""
HANDLE, HANDLE_HEIGHT, HANDLE_PAD, COLUMN_GAP = 1.0, 0.7, 0.3, 0.8
"""Width and height of the patch that explains the stripes, the gap behind it, and that between columns."""
HEADING_SIZE = 9
"""Points."""
_MANY = 20
"""Entries beyond which they are written smaller."""
_SIZES = {False: (9, 1.1), True: (7, 0.8)}
"""Size of the letters in points, and inches that an entry takes, of few and of many entries. A line with more than fit
would make the picture small."""
_COLUMNS = 5
_LETTER = 0.07
"""Inches that a letter of the heading takes."""


@dataclass(frozen=True)
class Listing:
    """What is written below a map.

    Attributes:
        heading: In lines; empty for none.
        columns: Entries, as many in each column; empty for nothing.
        bold: Entries that are headings of others.
        holes: Whether the last entry of the first column names the stripes, which are shown beside it.
        size: Of the letters of entries, in points.
    """

    heading: str
    columns: list[list[str]]
    bold: frozenset[str]
    holes: bool
    size: float

    @property
    def row_gap(self) -> float:
        """Between entries, in sizes of letters."""
        return 0.3 if self.size < 9 else 0.5


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


def describe_scores(
    listed: ScoreList, score_name: str, unit: Unit, holes: bool, width: float, k: int | None = None
) -> Listing | None:
    """Write the scores in columns, say which are equal, and name the stripes where there are holes in the map.

    Args:
        listed: The regions.
        score_name: What the scores are.
        unit: Of the colors, in which the scores are written too unless they would be long.
        holes: Whether there are stripes.
        width: Inches that there are for the list.
        k: Among how many top regions each stays with the probability that is listed too; None without that.

    Returns:
        The list; None where there is nothing to list.
    """
    regions = listed.regions
    own = find_common_unit(region.score for region in regions)
    unit = unit if unit.suits(max((abs(region.score) for region in regions), default=0.0)) else own
    size, entry = _SIZES[len(regions) > _MANY]
    columns = _arrange(listed, unit, max(1, min(_COLUMNS, int(width / entry))))
    if holes:
        # At the end of the first column, so that the others stay as they are.
        columns = [[*column, "" if number else NAN_LABEL] for number, column in enumerate(columns or [[]])]
    heading = [f"rank: {unit.add_to(score_name)}"] if regions or listed.ties else []
    heading += [describe_chances(k)] if k is not None and regions else []
    heading += ["=: equal scores share a rank"] if any(region.tied for region in regions) else []
    heading += listed.ties
    if not columns and not heading:
        return None
    folded = "\n".join(fold(line, max(20, int(width / _LETTER)), 3) for line in heading)
    return Listing(folded, columns, frozenset(listed.groups) - {""}, holes, size)


def draw_listing(axis: Axes, listing: Listing) -> None:
    """Write the list below an axis."""
    handles: list[Artist] = [
        Line2D([], [], color="none", label=text or " ") for column in listing.columns for text in column
    ]
    if listing.holes:
        handles[len(listing.columns[0]) - 1] = nan_handle()
    legend = axis.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -LIST_BELOW),
        ncols=max(1, len(listing.columns)),
        alignment="center",
        frameon=False,
        handlelength=HANDLE,
        handletextpad=HANDLE_PAD,
        columnspacing=COLUMN_GAP,
        fontsize=listing.size,
        labelspacing=listing.row_gap,
        title=listing.heading or None,
        title_fontsize=HEADING_SIZE,
    )
    for text in legend.get_texts():
        if text.get_text() in listing.bold:
            text.set_fontweight("bold")


def _arrange(listed: ScoreList, unit: Unit, fitting: int) -> list[list[str]]:
    """Write the entries in at most so many columns of one height, each group filled up to whole columns."""
    groups = []
    for heading, regions in listed.groups.items():
        entries = [f"{show_rank(region)}:  {unit.write(region.score)}{_chance(region)}" for region in regions]
        groups.append([heading, *(entries or ["none"])] if heading else entries)
    if not any(listed.groups.values()):
        return []
    count = sum(len(group) for group in groups)
    if fitting < len(groups):
        return [[text for group in groups for text in group]]
    # No heading stands in a column of its own.
    least = 1 if "" in listed.groups else 2
    rows = next(rows for rows in range(least, count + 1) if sum(math.ceil(len(g) / rows) for g in groups) <= fitting)
    full = [text for group in groups for text in [*group, *[""] * (-len(group) % rows)]]
    return [full[start : start + rows] for start in range(0, len(full), rows)]


def _chance(region: Region) -> str:
    return "" if region.stays_top is None else f",  {write_probability(region.stays_top)}"
