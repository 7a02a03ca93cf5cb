"""What the panel of a map over its superpixels shows, from checked arguments on; sizes of texts wait for that of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from matplotlib.colors import Colormap, to_rgba

from captum_superpixel._checks import checked_choice, checked_integer, checked_share
from captum_superpixel.regions import Ranking, Region, RegionTable
from captum_superpixel.visualization import _color_scale, _figures, _wording
from captum_superpixel.visualization._color_bar import ColorBar, describe_bar
from captum_superpixel.visualization._color_scale import ColorScale, VisualizeSign
from captum_superpixel.visualization._layers import Layer, border_layer, image_layer, map_layers
from captum_superpixel.visualization._panel import Panel
from captum_superpixel.visualization._ranking import ranked_regions
from captum_superpixel.visualization._score_list import ScoreList, describe_scores, list_scores
from captum_superpixel.visualization._sureness import FEW, Number, outline_layer, place_ranks, read_confidence
from captum_superpixel.visualization._volumes import SliceIndex, choose_slice, lay_out, locate_in_slice
from captum_superpixel.visualization.images import FloatArray, ImageLike, check_same_size, to_image, to_map, to_mask

__all__ = ["DescribedSuperpixels", "RegionScore", "describe_superpixels"]

RegionScore = Literal["mean", "sum"]
"""What the score of a region is: a ``Reduction`` that keeps the signs of its pixels."""

_SMALL = 2.5
"""Numbers are smaller in a picture of which a side is shorter than this, in inches, and where there are many."""
_BEHIND = 0.3
"""Opacity of the other borders where outlines say how sure regions are."""
_OUTLINES = ("black", "#08306b")
"""Of the numbers, those that speak against the class last."""


@dataclass(frozen=True)
class DescribedSuperpixels:
    """A map over its superpixels, of which nothing is drawn yet.

    Attributes:
        layers: Pictures from the lowest to the uppermost.
        values: ``(H, W)``, the map.
        ranked: Its regions by rank.
        mask: ``(H, W)``, the segments.
        listed: The regions whose scores are listed.
        numbered: Those that are numbered.
        chances: Probabilities by the ids of regions.
        k: Among how many top regions these stay.
        scale: Of the colors.
        colors: From the least value to the largest.
        score_name: What the scores are.
        label: What the colors are.
        ends: What the ends of the color bar stand for.
        has_bar: Whether there is one.
        note: In the middle of the map; empty for none.
        title: Above it; None for none.
    """

    layers: list[Layer]
    values: FloatArray
    ranked: list[Region]
    mask: npt.NDArray[np.int64]
    listed: ScoreList
    numbered: ScoreList
    chances: Mapping[int, float]
    k: int | None
    scale: ColorScale
    colors: Colormap
    score_name: str
    label: str
    ends: tuple[str, str]
    has_bar: bool
    note: str
    title: str | None

    def fit(self, width: float, height: float) -> Panel:
        """Fit what is written to the place of the panel, of so many inches."""
        ratio = self.mask.shape[0] / self.mask.shape[1]
        across = min(width, height / ratio)
        listing = describe_scores(
            self.listed, self.score_name, self.scale.unit, bool(np.isnan(self.values).any()), width, self.k
        )
        bar = self._bar((across, across * ratio)) if self.has_bar else None
        return Panel(self.layers, self._numbers(min(across, across * ratio)), self.note, self.title, listing, bar)

    def _numbers(self, side: float) -> list[Number]:
        """Number regions in a picture whose shorter side has so many inches."""
        size = 11 if len(self.numbered.regions) <= FEW and side > _SMALL else 8
        return [
            number
            for heading, regions in self.numbered.groups.items()
            for number in place_ranks(self.mask, regions, self.chances, _OUTLINES[heading == "against"], size)
        ]

    def _bar(self, size: tuple[float, float]) -> ColorBar:
        clipping = _wording.describe_clipping(self.scale)
        return describe_bar(self.colors, self.scale, self.label, size, ends=self.ends, explanation=clipping)


def describe_superpixels(
    image: ImageLike,
    attributions: ImageLike,
    feature_mask: ImageLike,
    *,
    k: int | None = None,
    k_against: int | None = None,
    slice_index: SliceIndex = None,
    slice_axis: int = 0,
    by: Ranking = "score",
    score: RegionScore = "mean",
    score_name: str | None = None,
    quantity: str | None = None,
    class_name: str | None = None,
    sign: VisualizeSign | None = None,
    confidence: RegionTable | None = None,
    outlier_perc: float = 2,
    cmap: str | Colormap | None = None,
    alpha_overlay: float = 0.9,
    border_color: Any = (1, 1, 1, 0.8),
    show_colorbar: bool = True,
    title: str | None = None,
) -> DescribedSuperpixels:
    """Check the arguments of ``visualize_superpixels``, and settle what is drawn."""
    (image, attributions, feature_mask), spatial = lay_out(image, attributions, feature_mask)
    picture, values, mask = to_image(image), to_map(attributions, channels="mean"), to_mask(feature_mask)
    check_same_size(picture, {"attributions": values, "feature_mask": mask})
    known: RegionScore = checked_choice("score", score, get_args(RegionScore))
    outlier_perc = _color_scale.check_outlier_perc(outlier_perc)
    alpha = checked_share("alpha_overlay", alpha_overlay)
    taken = _color_scale.choose_sign([values], sign)
    counts = _counts(k, k_against, by, taken == "all" and class_name != "")
    scored = to_map(attributions) if known == "sum" else values
    values, scored = _color_scale.take_sign(values, taken), _color_scale.take_sign(scored, taken)
    scale = _color_scale.find_scale([values], taken, outlier_perc)
    note = _color_scale.note(values)
    label = score_name if known == "mean" else None
    if quantity is not None or label is None:
        label = _wording.name_colors(quantity or "attribution", sign, scale.diverging)
    chances = read_confidence(confidence, mask)
    ranked = ranked_regions(scored, mask, by, known)
    if chances:
        ranked = [replace(region, stays_top=chances.get(region.id)) for region in ranked]
    listed = ScoreList({}, []) if note else list_scores(ranked, *counts)
    numbered = listed
    if spatial is not None:
        cut = choose_slice(values, spatial, slice_axis, slice_index)
        picture, values, mask = cut.picture(picture), cut(values), cut(mask)
        numbered = ScoreList({name: locate_in_slice(group, mask) for name, group in listed.groups.items()}, [])
        title = cut.describe() if title is None else title
    colors = _figures.see_through(_figures.choose_cmap(cmap, scale.diverging), scale.diverging, alpha)
    layers = [image_layer(picture, faint=True), *map_layers(values, scale, colors)]
    layers.append(border_layer(mask, border_color if not chances else to_rgba(border_color, _BEHIND)))
    if chances:
        outlined = {r.id: chances[r.id] for r in numbered.regions if r.id in chances}
        layers.append(outline_layer(mask, outlined, border_color))
    return DescribedSuperpixels(
        layers=layers,
        values=values,
        ranked=ranked,
        mask=mask,
        listed=listed,
        numbered=numbered,
        chances=chances,
        k=confidence.k if confidence else None,
        scale=scale,
        colors=colors,
        score_name=score_name or _wording.name_scores(quantity or "attribution", sign, scale.diverging, known),
        label=label,
        ends=_wording.name_ends(taken, class_name),
        has_bar=show_colorbar,
        note=note,
        title=title,
    )


def _counts(k: int | None, k_against: int | None, by: Ranking, has_sides: bool) -> tuple[int, int]:
    """Check how many regions are numbered, of those that speak for the class and of those against it."""
    count = 0 if k is None else checked_integer("k", k)
    if k_against is None:
        return count, math.ceil(count / 2) if has_sides and by == "score" else 0
    against = checked_integer("k_against", k_against, minimum=0)
    if against and by != "score":
        raise ValueError(
            f"k_against={against} with by={by!r}: the strongest regions against the class are then among the first k; "
            'leave k_against out, or rank by="score"'
        )
    return count, against
