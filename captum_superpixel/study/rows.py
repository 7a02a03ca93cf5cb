"""Rows: the ways from an image to a map that are measured for every method."""

from typing import Literal, NamedTuple, TypeAlias

__all__ = ["PIXELS", "SIGNS", "MapSign", "Row"]

PIXELS = "pixels"
"""The grouping that leaves maps as they are, which others are held against."""

MapSign: TypeAlias = Literal["signed", "magnitude", "evidence"]
"""How the positive and negative values of a map are treated: kept, taken as magnitudes, or averaged apart."""

SIGNS: tuple[MapSign, ...] = ("signed", "magnitude")


class Row(NamedTuple):
    """A way from an image to a map that is measured for every method, and has a row in the report's tables.

    Args:
        grouping: Of pixels, by name.
        sign: ``"signed"``, ``"magnitude"`` or ``"evidence"``.
        views: Over how many views of the image the map is averaged; 1 for the image as it is.
    """

    grouping: str
    sign: MapSign
    views: int = 1
