"""A picture of which only the most important regions are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from captum_superpixel._blur import gaussian_blur
from captum_superpixel._checks import checked_choice, checked_integer
from captum_superpixel.regions import Ranking, RegionTable, top_regions
from captum_superpixel.visualization import _figures
from captum_superpixel.visualization._color_scale import note
from captum_superpixel.visualization._ranking import ranked_regions
from captum_superpixel.visualization._sureness import FEW, describe_chances, draw_outlines, read_confidence, write_ranks
from captum_superpixel.visualization._volumes import SliceIndex, choose_slice, lay_out, locate_in_slice
from captum_superpixel.visualization.images import FloatArray, ImageLike, check_same_size, to_image, to_map, to_mask
from captum_superpixel.visualization.superpixels import RegionScore

__all__ = ["Backdrop", "visualize_top_regions"]

Backdrop = Literal["blur", "grey", "dim"]
_BLUR = 0.05
"""Standard deviation of the blur, as a share of the longer side of the picture."""


def visualize_top_regions(
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
    plt_fig_axis: tuple[Figure, Axes] | None = None,
    border_color: Any = "white",
    title: str | None = None,
    fig_size: tuple[float, float] = (6, 6),
    use_pyplot: bool = False,
) -> tuple[Figure, Axes]:
    """Draw a picture of which only the most important regions are left as they are.

    Exactly one of ``k``, ``fraction`` and ``mass`` says how many regions these are, as in
    :func:`~captum_superpixel.top_regions`. Regions that hold a NaN have no rank and are never shown, nor is any region
    of a map that is zero. If the map is zero or constant, so that the order means nothing, a note says so, and the
    title says how many regions that are hidden have the same score as the last one shown.

    Args:
        image: ``(C, H, W)`` or ``(H, W, C)`` with C 1 or 3, or ``(H, W)``, told apart and scaled to ``[0, 1]`` as
            :func:`to_image` describes: a first axis of 1 or 3 is that of the channels.
        attributions: Its map, ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``. Channels, of any number, are averaged.
        feature_mask: Its segment ids, ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)``.
        slice_index: Which slice of a volume is drawn, counted from 0; None for the one whose map has the largest sum of
            magnitudes. ``"max"`` projects all of them: the regions are shown as if nothing were in front of them, by
            their brightest voxel on each line; the rest is drawn from the brightest voxel of the whole line. Volumes,
            their maps and masks are ``(1, C, D, H, W)``; their regions are scored and ranked as a whole. Without effect
            on images.
        slice_axis: Across which axis of a volume it is taken or projected: 0 for slices, 1 for rows, 2 for columns.
        k: How many regions; all if there are fewer.
        fraction: Enough to cover at least this share of the picture.
        mass: Enough to hold at least this share of the positive scores (of the magnitudes for ``by="magnitude"``).
        by: Rank by the ``"score"`` of the region, or by its ``"magnitude"``. For the evidence against the class, pass
            ``-attributions``.
        score: What the score is, as in :func:`~captum_superpixel.region_table`: the ``"mean"`` over the pixels and
            channels of the region, or their ``"sum"``.
        background: How the other regions are drawn: ``"blur"`` blurs them, ``"grey"`` hides them, ``"dim"`` takes away
            their color and most of their light.
        confidence: The table of ``region_table(…, draws=…, k=…)`` for this picture. Each region that is shown is then
            outlined, the firmer the likelier it stays among the top k of an independently trained network, and has its
            rank and this probability written in it.
        plt_fig_axis: Figure and axis to draw on; new ones by default.
        border_color: Color of the line around what is shown, any that matplotlib knows.
        title: Title of the axis; by default, how many regions are shown and how much of the picture they cover, and
            how many equal ones are not.
        fig_size: Width and height in inches of a new figure.
        use_pyplot: Whether a new figure is made by pyplot, so that a notebook shows it; otherwise the state of pyplot
            is left alone.

    Returns:
        The figure and the axis, whose units are the pixels of the picture.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If the shapes do not go together, not exactly one of ``k``, ``fraction`` and ``mass`` is given, or
            an option is unknown or out of its range.

    Examples:
        >>> import torch
        >>> from captum_superpixel.masks import Grid
        >>> image, attributions = torch.rand(3, 32, 32), torch.randn(3, 32, 32)
        >>> figure, axis = visualize_top_regions(image, attributions, Grid(16)(image[None]), fraction=0.25)
        >>> axis.get_title()
        'top 4 of 16 regions, 25 % of the picture'
    """
    checked_choice("background", background, get_args(Backdrop))
    known: RegionScore = checked_choice("score", score, get_args(RegionScore))
    (image, attributions, feature_mask), spatial = lay_out(image, attributions, feature_mask)
    picture, values, mask = to_image(image), to_map(attributions, channels=known), to_mask(feature_mask)
    check_same_size(picture, {"attributions": values, "feature_mask": mask})
    chances = read_confidence(confidence, mask)
    shown, equal = _shown(values, mask, {"k": k, "fraction": fraction, "mass": mass}, by, known)
    best = np.unique(mask[shown]).tolist()
    remark, total, share = note(values), len(np.unique(mask)), 100 * shown.mean()
    lit, where = picture, ""
    if spatial is not None:
        cut = choose_slice(values, spatial, slice_axis, slice_index, first=shown)
        # Of a line that meets regions that are shown, the picture shows these alone, and nothing in front of them.
        lit = cut.picture(np.where(shown[..., None], picture, 0))
        picture, mask, shown, where = cut.picture(picture), cut(mask), cut(shown), f"\n{cut.describe()}"
    figure, axis = _figures.one_axis(plt_fig_axis, use_pyplot, fig_size)
    _figures.draw_image(axis, np.where(shown[..., None], lit, _hide(picture, background)))
    if confidence is not None:
        there = set(np.unique(mask[shown]).tolist())
        draw_outlines(axis, mask, {id_: chances[id_] for id_ in sorted(there) if id_ in chances}, border_color)
        regions = locate_in_slice([region for region in confidence if region.id in there], mask)
        write_ranks(axis, mask, regions, chances, "black", 11 if len(regions) <= FEW else 8)
    elif shown.any() and not shown.all():
        _figures.draw_borders(axis, shown.astype(np.int64), border_color, edge=True)
    if remark:
        _figures.draw_note(axis, f"map: {remark}")
    if title is None:
        whole = "picture" if spatial is None else "volume"
        title = f"top {len(best)} of {total} regions, {share:.3g} % of the {whole}{where}"
        title += f"\n{equal} more have the score of the last" if equal else ""
        title += f"\n{describe_chances(confidence.k)}" if confidence is not None and confidence.k else ""
    axis.set_title(title)
    return figure, axis


def _shown(
    values: FloatArray,
    mask: npt.NDArray[np.int64],
    enough: Mapping[str, Any],
    by: Ranking,
    score: RegionScore,
) -> tuple[npt.NDArray[np.bool_], int]:
    """Mark the regions, and count those that are hidden though they share the rank of one that is not."""
    # Ranks do not depend on the unit, but sums of the largest numbers overflow.
    values = values / (np.nanmax(np.abs(values), initial=0) or 1)
    ranked = ranked_regions(values, mask, by, score)
    if [name for name, value in enough.items() if value is not None] == ["k"]:
        shown = np.isin(mask, [region.id for region in ranked[: checked_integer("k", enough["k"])]])
    else:
        maps, masks = torch.from_numpy(values)[None, None], torch.from_numpy(mask)[None, None]
        shown = top_regions(maps, masks, **enough, score=score, by=by)[0, 0].numpy()
    best = set(np.unique(mask[shown]).tolist())
    ranks = {region.rank for region in ranked if region.id in best}
    return shown, sum(region.rank in ranks for region in ranked) - len(best)


def _hide(picture: FloatArray, background: Backdrop) -> FloatArray:
    if background == "grey":
        return np.full_like(picture, 0.5)
    if background == "dim":
        return np.repeat(0.3 * picture.mean(axis=-1, keepdims=True), 3, axis=-1)
    blurred = gaussian_blur(torch.from_numpy(picture).movedim(-1, 0), _BLUR * max(picture.shape[:2]))
    return blurred.movedim(0, -1).clamp(0, 1).numpy()
