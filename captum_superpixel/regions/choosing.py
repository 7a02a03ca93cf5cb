"""Which regions of an image come first, and which speak against a class, without a part of those that are equal."""

from __future__ import annotations

from collections.abc import Sequence

from captum_superpixel._numbers import find_unit
from captum_superpixel.regions.table import Region

__all__ = ["first_regions", "strongest_regions"]


def first_regions(regions: Sequence[Region], k: int) -> tuple[list[Region], str]:
    """Take the first k regions of one image that have a rank, and no part of those that are equal.

    Args:
        regions: In the order of their ranks.
        k: How many.

    Returns:
        At most k regions, and a line that says which equal regions do not fit; empty if all do.
    """
    ranked = [region for region in regions if region.rank is not None]
    if len(ranked) <= k or ranked[k].rank != ranked[k - 1].rank:
        return ranked[:k], ""
    equal = [region for region in ranked if region.rank == ranked[k].rank]
    score = find_unit(abs(equal[0].score)).show(equal[0].score)
    line = f"{len(equal)} regions have the score {score} and share rank {equal[0].rank}"
    return ranked[: ranked.index(equal[0])], line


def strongest_regions(
    regions: Sequence[Region], k: int, k_against: int
) -> tuple[list[Region], list[Region], list[str]]:
    """Take the regions of one image that speak most for a class, and those that speak most against it.

    Args:
        regions: In the order of their ranks.
        k: How many at most of those whose scores are positive.
        k_against: How many at most of those whose scores are negative.

    Returns:
        The former, the highest score first; the latter, the most negative first; and lines on the equal regions that
        do not fit, of which no part is taken.
    """
    ranked = sorted((region for region in regions if region.rank is not None), key=lambda region: -region.score)
    positive = [region for region in ranked if region.score > 0]
    negative = [region for region in reversed(ranked) if region.score < 0]
    chosen, lines = [], []
    for side, count in ((positive, k), (negative, k_against)):
        first, ties = first_regions(side, count) if count else ([], "")
        chosen.append(first)
        lines += [ties] if ties else []
    return chosen[0], chosen[1], lines
