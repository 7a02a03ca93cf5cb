"""A picture with its map and its superpixels, of which the most important are numbered."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_rgba
from matplotlib.figure import Figure

from captum_superpixel._checks import checked_choice, checked_integer, checked_share
from captum_superpixel.regions import Ranking, RegionTable
from captum_superpixel.visualization import _color_scale, _figures, _wording
from captum_superpixel.visualization._color_scale import VisualizeSign
from captum_superpixel.visualization._ranking import ranked_regions
from captum_superpixel.visualization._score_list import ScoreList, draw_scores, list_scores
from captum_superpixel.visualization._sureness import FEW, draw_outlines, read_confidence, write_ranks
from captum_superpixel.visualization._volumes import SliceIndex, choose_slice, lay_out, locate_in_slice
from captum_superpixel.visualization.images import ImageLike, check_same_size, to_image, to_map, to_mask

__all__ = ["RegionScore", "visualize_superpixels"]

RegionScore = Literal["mean", "sum"]
"""What the score of a region is: a ``Reduction`` that keeps the signs of its pixels."""

_SMALL = 2.5
"""Numbers are smaller in a picture of which a side is shorter than this, in inches, and where there are many."""
_BEHIND = 0.3
"""Opacity of the other borders where outlines say how sure regions are."""
_OUTLINES = ("black", "#08306b")
"""Of the numbers, those that speak against the class last."""


def visualize_superpixels(
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
    plt_fig_axis: tuple[Figure, Axes] | None = None,
    outlier_perc: float = 2,
    cmap: str | Colormap | None = None,
    alpha_overlay: float = 0.9,
    border_color: Any = (1, 1, 1, 0.8),
    show_colorbar: bool = True,
    title: str | None = None,
    fig_size: tuple[float, float] = (6, 6),
    use_pyplot: bool = False,
) -> tuple[Figure, Axes]:
    """Draw a picture, over it the map, over that the borders of the superpixels.

    The picture is drawn in gray and shows through the map where the map is near zero. Stripes and a legend mark where
    the map is NaN or infinite; a note says so if it is zero or constant throughout.

    Args:
        image: ``(C, H, W)`` or ``(H, W, C)`` with C 1 or 3, or ``(H, W)``, told apart and scaled to ``[0, 1]`` as
            :func:`to_image` describes: a first axis of 1 or 3 is that of the channels.
        attributions: Its map, ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``. Channels, of any number, are averaged.
        feature_mask: Its segment ids, ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)``.
        slice_index: Which slice of a volume is drawn, counted from 0; None for the one whose map has the largest sum of
            magnitudes. ``"max"`` projects all of them: each pixel has the value and the segment of the voxel of the
            largest magnitude on its line, of equal ones the first; borders are drawn where these segments meet. The
            picture is that of the brightest voxels. Volumes, their maps and masks are ``(1, C, D, H, W)``; their
            regions are scored and ranked as a whole. Without effect on images.
        slice_axis: Across which axis of a volume it is taken or projected: 0 for slices, 1 for rows, 2 for columns.
        k: Number the first k regions by rank, or all if there are fewer, and list their scores. None numbers none.
            Of a map with signs these are regions whose scores are positive, those that speak for the class. Equal
            scores share a rank, marked by ``=``; of equal regions that are too many for k none is numbered, which
            the list says. A region that holds a NaN has no rank, nor has any region of a map that is zero, and those of
            a constant map are not numbered.
        k_against: How many of the regions that speak most against the class are numbered and listed too, by their
            ranks, the strongest first. None takes half of k where signs are drawn and ranks are by score, otherwise 0,
            with which the first k are numbered whatever their signs.
        by: Rank by the ``"score"`` of what is drawn, or by its ``"magnitude"``.
        score: What the score of a region is, as in :func:`~captum_superpixel.region_table`: the ``"mean"`` over its
            pixels and channels, or their ``"sum"``. Colors do not depend on it.
        score_name: What the scores are, for the heading of their list. None says so by ``score``, ``quantity`` and
            ``sign``, such as ``"mean attribution"``.
        quantity: What the map holds, for the label of the color bar, such as ``"effect"`` for a method that perturbs
            regions. None is ``score_name`` if that is given, for a mean is what the colors of a region are; otherwise
            ``"attribution"``.
        class_name: What the map explains, for the ends of the color bar: "for" it and "against". None for "the class";
            empty for a map that does not speak of a class.
        sign: What is drawn: ``"all"`` values, or the magnitude of the ``"positive"`` ones, of the ``"negative"`` ones
            or of both, ``"absolute_value"``. None chooses ``"all"`` for a map with negative values. A map without them
            may hold magnitudes, as ``Saliency`` and ``reduction="abs_mean"`` give them, or signed values that happen
            to be positive, and the color bar leaves this open: pass ``"absolute_value"`` for the former, ``"all"`` for
            the latter.
        confidence: The table of ``region_table(…, draws=…, k=…)`` for this picture. The regions that are numbered are
            then outlined, the firmer the likelier each stays among the top k of an independently trained network, and
            this probability stands below the rank and in the list.
        plt_fig_axis: Figure and axis to draw on; new ones by default. A figure with ``layout="constrained"`` makes room
            for the color bar and the scores.
        outlier_perc: Percentage of the map's total that may lie beyond the strongest color. Even if a few outliers hold
            more than that, they do not mute the rest: the strongest color is at most three times the largest value
            that is left without the largest twentieth of the different values. The color bar says how far values
            reach. 0 clips nothing.
        cmap: A colormap with zero in the middle for ``sign="all"``, at the lower end otherwise. None chooses red for
            positive and blue for negative values, or from black through red to yellow.
        alpha_overlay: Opacity of the strongest color, from 0 to 1.
        border_color: Color of the borders, any that matplotlib knows.
        show_colorbar: Whether to draw a color bar.
        title: Title of the axis.
        fig_size: Width and height in inches of a new figure.
        use_pyplot: Whether a new figure is made by pyplot, so that a notebook shows it; otherwise the state of pyplot
            is left alone.

    Returns:
        The figure and the axis, whose units are the pixels of the picture.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If the shapes do not go together, or an option is unknown or out of its range.

    Examples:
        >>> import torch
        >>> from captum_superpixel.masks import Grid
        >>> image = torch.rand(3, 32, 32)
        >>> mask = Grid(4)(image[None])
        >>> attributions = torch.tensor([0.5, -2.0, 1.0, -0.1])[mask[0]]
        >>> figure, axis = visualize_superpixels(image, attributions, mask, k=1, class_name="cat", title="four squares")
        >>> [text.get_text() for text in axis.texts]
        ['1', '4']
    """
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
    remark = _color_scale.note(values)
    label = score_name if known == "mean" else None
    if quantity is not None or label is None:
        label = _wording.name_colors(quantity or "attribution", sign, scale.diverging)
    named = score_name or _wording.name_scores(quantity or "attribution", sign, scale.diverging, known)
    # Ranked before anything is drawn, so that an error leaves the caller's axis as it was.
    chances = read_confidence(confidence, mask)
    ranked = [replace(region, stays_top=chances.get(region.id)) for region in ranked_regions(scored, mask, by, known)]
    listed = ScoreList({}, []) if remark else list_scores(ranked, *counts)
    numbered = listed
    if spatial is not None:
        cut = choose_slice(values, spatial, slice_axis, slice_index)
        picture, values, mask = cut.picture(picture), cut(values), cut(mask)
        numbered = ScoreList({name: locate_in_slice(group, mask) for name, group in listed.groups.items()}, [])
        title = cut.describe() if title is None else title
    figure, axis = _figures.one_axis(plt_fig_axis, use_pyplot, fig_size)
    colors = _figures.see_through(_figures.choose_cmap(cmap, scale.diverging), scale.diverging, alpha)
    _figures.draw_image(axis, picture, faint=True)
    _figures.draw_map(axis, values, scale, colors)
    _figures.draw_borders(axis, mask, border_color if not chances else to_rgba(border_color, _BEHIND))
    if chances:
        draw_outlines(axis, mask, {r.id: chances[r.id] for r in numbered.regions if r.id in chances}, border_color)
    _draw_numbers(axis, mask, numbered, chances)
    if remark:
        _figures.draw_note(axis, remark)
    draw_scores(axis, listed, named, scale.unit, bool(np.isnan(values).any()), confidence.k if confidence else None)
    if show_colorbar:
        ends, clipping = _wording.name_ends(taken, class_name), _wording.describe_clipping(scale)
        _figures.draw_colorbar(figure, axis, colors, scale, label, ends=ends, explanation=clipping)
    if title is not None:
        axis.set_title(title)
    return figure, axis


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


def _draw_numbers(axis: Axes, mask: npt.NDArray[np.int64], listed: ScoreList, chances: Mapping[int, float]) -> None:
    large = len(listed.regions) <= FEW and min(_figures.picture_inches(axis)) > _SMALL
    for heading, regions in listed.groups.items():
        write_ranks(axis, mask, regions, chances, _OUTLINES[heading == "against"], 11 if large else 8)
