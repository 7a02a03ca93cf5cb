"""A picture of which only the most important regions are shown."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from captum_superpixel.regions import Ranking, RegionTable
from captum_superpixel.visualization import _figures
from captum_superpixel.visualization._described import RegionScore
from captum_superpixel.visualization._described_top import Backdrop, describe_top_regions
from captum_superpixel.visualization._panel import draw_panel
from captum_superpixel.visualization._volumes import SliceIndex
from captum_superpixel.visualization.images import ImageLike

__all__ = ["Backdrop", "visualize_top_regions"]


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
    # All is settled before anything is drawn, so that an error leaves the caller's axis as it was.
    panel = describe_top_regions(
        image,
        attributions,
        feature_mask,
        k=k,
        fraction=fraction,
        mass=mass,
        slice_index=slice_index,
        slice_axis=slice_axis,
        by=by,
        score=score,
        background=background,
        confidence=confidence,
        border_color=border_color,
        title=title,
    )
    figure, axis = _figures.one_axis(plt_fig_axis, use_pyplot, fig_size)
    draw_panel(figure, axis, panel)
    return figure, axis
