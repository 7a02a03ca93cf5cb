"""How sure regions are, drawn: sure ones outlined firmly, unsure ones faintly, with the probability below the rank."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgba
from matplotlib.patheffects import withStroke

from captum_superpixel._untyped import binary_dilation, find_boundaries
from captum_superpixel.regions import Region, RegionTable
from captum_superpixel.regions.confidence import write_probability
from captum_superpixel.regions.table import show_rank
from captum_superpixel.visualization._layers import Layer, enlarge
from captum_superpixel.visualization._ranking import inner_point

__all__ = ["FEW", "Number", "describe_chances", "outline_layer", "place_ranks", "read_confidence"]


class Number(NamedTuple):
    """What is written into a region.

    Attributes:
        row: Of the pixel in which it is centered.
        column: Likewise.
        text: The rank of the region, or the probability that it stays.
        side: Of the text that lies on the middle of the pixel: ``"center"``, ``"bottom"`` or ``"top"``.
        outline: Color around its letters.
        size: Of its letters, in points.
    """

    row: float
    column: float
    text: str
    side: str
    outline: str
    size: float

    @property
    def looks(self) -> dict[str, Any]:
        """How matplotlib writes it."""
        return {
            "ha": "center",
            "va": self.side,
            "fontsize": self.size,
            "fontweight": "bold",
            "color": "white",
            "path_effects": [withStroke(linewidth=2.5, foreground=self.outline)],
        }


FEW = 15
"""Regions up to which their numbers are large."""
_FAINTEST = 0.25
"""Opacity of the outline of a region that surely does not stay."""
_FIRMEST = 3
"""Pixels by which the line of a region that surely stays is thicker to each side, of a picture enlarged to 600."""


def read_confidence(table: object, mask: npt.NDArray[np.int64]) -> dict[int, float]:
    """Take the probabilities of the regions of one picture, by their ids.

    Args:
        table: What ``region_table`` returns for draws and k, of one image; None for nothing.
        mask: Segment ids ``(H, W)`` of the picture.

    Returns:
        Those that are known; empty without a table.

    Raises:
        TypeError: If it is no table.
        ValueError: If it holds several images or no probabilities, or other regions than the picture.
    """
    if table is None:
        return {}
    if not isinstance(table, RegionTable):
        raise TypeError(f"confidence must be a RegionTable or None, but {type(table).__name__} was passed")
    if table.k is None:
        raise ValueError("confidence has no probabilities: pass region_table(…, draws=…, k=3)")
    images = {region.image for region in table}
    if len(images) > 1:
        raise ValueError(f"confidence holds {len(images)} images, but a picture is one: pass table.of_image(0) of it")
    ids = set(np.unique(mask).tolist())
    if other := {region.id for region in table} ^ ids:
        raise ValueError(
            f"confidence and feature_mask have other regions: {min(other)} is in one of them alone; pass the table "
            "that was made with this mask"
        )
    return {region.id: region.stays_top for region in table if not math.isnan(region.stays_top or 0.0)}  # type: ignore[misc]  # k says that there are probabilities


def describe_chances(k: int) -> str:
    """Say what the percentages are."""
    return f"%: chance of the top {k} in another network"


def outline_layer(mask: npt.NDArray[np.int64], chances: Mapping[int, float], color: Any) -> Layer:
    """Outlines of regions of a mask ``(H, W)``, the firmer the likelier each stays; the firmer of two is on top."""
    large = enlarge(mask)
    layer = np.zeros((*large.shape, 4), dtype=np.uint8)
    for id_, chance in sorted(chances.items(), key=lambda item: item[1]):
        line = find_boundaries(large == id_, mode="thick")
        if thicker := round(_FIRMEST * chance):
            line = binary_dilation(line, iterations=thicker)
        opacity = round(255 * (_FAINTEST + (1 - _FAINTEST) * chance))
        # A dark edge sets the line off from a picture of any color.
        layer[binary_dilation(line)] = (0, 0, 0, opacity)
        layer[line] = np.round(255 * np.array(to_rgba(color, opacity / 255)))
    return Layer(layer)


def place_ranks(
    mask: npt.NDArray[np.int64], regions: Sequence[Region], chances: Mapping[int, float], outline: str, size: float
) -> list[Number]:
    """Write the ranks of regions into them, and below each the probability that it stays, if that is known."""
    numbers = []
    for region in regions:
        row, column = inner_point(mask, region)
        chance = chances.get(region.id)
        side = "center" if chance is None else "bottom"
        numbers.append(Number(row, column, show_rank(region), side, outline, size))
        if chance is not None:
            numbers.append(Number(row, column, write_probability(chance), "top", outline, 0.75 * size))
    return numbers
