"""What the panel of the top regions shows, from checked arguments on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from captum_superpixel._blur import gaussian_blur
from captum_superpixel._checks import checked_choice, checked_integer
from captum_superpixel.regions import Ranking, Region, RegionTable, top_regions
from captum_superpixel.visualization._color_scale import note
from captum_superpixel.visualization._described import RegionScore
from captum_superpixel.visualization._layers import border_layer, image_layer
from captum_superpixel.visualization._panel import Panel
from captum_superpixel.visualization._ranking import ranked_regions
from captum_superpixel.visualization._sureness import FEW, describe_chances, outline_layer, place_ranks, read_confidence
from captum_superpixel.visualization._volumes import SliceIndex, choose_slice, lay_out, locate_in_slice
from captum_superpixel.visualization.images import FloatArray, ImageLike, check_same_size, to_image, to_map, to_mask

__all__ = ["Backdrop", "describe_top_regions"]

Backdrop = Literal["blur", "grey", "dim"]
_BLUR = 0.05
"""Standard deviation of the blur, as a share of the longer side of the picture."""


def describe_top_regions(
    image: ImageLike,
    attributions: ImageLike,
    feature_mask: ImageLike,
    *,
    k: int | None = None,
    fraction: float | None = None,
    mass: float | None = None,
    slice_index: SliceIndex = None,
    slice_axis: int = 0,
    by: Ranking = "score",
    score: RegionScore = "mean",
    background: Backdrop = "blur",
    confidence: RegionTable | None = None,
    border_color: Any = "white",
    title: str | None = None,
    ranked: Sequence[Region] | None = None,
) -> Panel:
    """Check the arguments of ``visualize_top_regions``, and settle what is drawn; ``ranked``, where that is known."""
    checked_choice("background", background, get_args(Backdrop))
    known: RegionScore = checked_choice("score", score, get_args(RegionScore))
    (image, attributions, feature_mask), spatial = lay_out(image, attributions, feature_mask)
    picture, values, mask = to_image(image), to_map(attributions, channels=known), to_mask(feature_mask)
    check_same_size(picture, {"attributions": values, "feature_mask": mask})
    chances = read_confidence(confidence, mask)
    # Ranks do not depend on the unit, but sums of the largest numbers overflow.
    values_in_unit = values / (np.nanmax(np.abs(values), initial=0) or 1)
    if ranked is None:
        ranked = ranked_regions(values_in_unit, mask, by, known)
    shown = _shown(values_in_unit, mask, ranked, {"k": k, "fraction": fraction, "mass": mass}, by, known)
    equal = _count_equal(mask, shown, ranked)
    best = np.unique(mask[shown]).tolist()
    remark, total, share = note(values), len(np.unique(mask)), 100 * shown.mean()
    lit, where = picture, ""
    if spatial is not None:
        cut = choose_slice(values, spatial, slice_axis, slice_index, first=shown)
        # Of a line that meets regions that are shown, the picture shows these alone, and nothing in front of them.
        lit = cut.picture(np.where(shown[..., None], picture, 0))
        picture, mask, shown, where = cut.picture(picture), cut(mask), cut(shown), f"\n{cut.describe()}"
    layers, numbers = [image_layer(np.where(shown[..., None], lit, _hide(picture, background)))], []
    if confidence is not None:
        there = set(np.unique(mask[shown]).tolist())
        layers.append(outline_layer(mask, {id_: chances[id_] for id_ in sorted(there) if id_ in chances}, border_color))
        regions = locate_in_slice([region for region in confidence if region.id in there], mask)
        numbers = place_ranks(mask, regions, chances, "black", 11 if len(regions) <= FEW else 8)
    elif shown.any() and not shown.all():
        layers.append(border_layer(shown.astype(np.int64), border_color, edge=True))
    if title is None:
        whole = "picture" if spatial is None else "volume"
        title = f"top {len(best)} of {total} regions, {share:.3g} % of the {whole}{where}"
        title += f"\n{equal} more have the score of the last" if equal else ""
        title += f"\n{describe_chances(confidence.k)}" if confidence is not None and confidence.k else ""
    return Panel(layers, numbers, f"map: {remark}" if remark else "", title)


def _shown(
    values: FloatArray,
    mask: npt.NDArray[np.int64],
    ranked: Sequence[Region],
    enough: Mapping[str, Any],
    by: Ranking,
    score: RegionScore,
) -> npt.NDArray[np.bool_]:
    """Mark the regions that are shown."""
    if [name for name, value in enough.items() if value is not None] == ["k"]:
        return np.isin(mask, [region.id for region in ranked[: checked_integer("k", enough["k"])]])
    maps, masks = torch.from_numpy(values)[None, None], torch.from_numpy(mask)[None, None]
    shown: npt.NDArray[np.bool_] = top_regions(maps, masks, **enough, score=score, by=by)[0, 0].numpy()
    return shown


def _count_equal(mask: npt.NDArray[np.int64], shown: npt.NDArray[np.bool_], ranked: Sequence[Region]) -> int:
    """Count the regions that are hidden though they share the rank of one that is not."""
    best = set(np.unique(mask[shown]).tolist())
    ranks = {region.rank for region in ranked if region.id in best}
    return sum(region.rank in ranks for region in ranked) - len(best)


def _hide(picture: FloatArray, background: Backdrop) -> FloatArray:
    if background == "grey":
        return np.full_like(picture, 0.5)
    if background == "dim":
        return np.repeat(0.3 * picture.mean(axis=-1, keepdims=True), 3, axis=-1)
    # Float32 has three times the digits that are seen, and takes half of the time.
    blurred = gaussian_blur(torch.from_numpy(picture).float().movedim(-1, 0), _BLUR * max(picture.shape[:2]))
    return blurred.movedim(0, -1).clamp(0, 1).double().numpy()
