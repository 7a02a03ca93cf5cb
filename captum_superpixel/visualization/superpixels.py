"""One picture with its map and its superpixels, and the most important ones numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from captum_superpixel._checks import checked_integer, checked_number
from captum_superpixel._region_table import Region
from captum_superpixel.regions import Ranking
from captum_superpixel.visualization import figures, scaling
from captum_superpixel.visualization.images import ImageLike, check_same_size, to_image, to_map, to_mask
from captum_superpixel.visualization.ranking import inner_point, ranked_regions
from captum_superpixel.visualization.scaling import Sign

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["visualize_superpixels"]

_ENTRY = 1.1
"""Inches that an entry of the legend takes: more of them in a line than fit would make the picture small."""
_FEW = 12
_SMALL = 3
"""Inches: numbers are smaller in a narrower axis, and where there are more than a few."""


def visualize_superpixels(
    image: ImageLike,
    attributions: ImageLike,
    feature_mask: ImageLike,
    *,
    k: int | None = None,
    by: Ranking = "score",
    sign: Sign | None = None,
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

    The picture is greyed, and is seen through the map where the map is near zero. If the map is NaN or infinite
    somewhere, stripes and a legend say so; if it is zero or constant throughout, a note does.

    Args:
        image: ``(C, H, W)`` or ``(H, W, C)`` with C 1 or 3, or ``(H, W)``, told apart and scaled to ``[0, 1]`` as
            :func:`to_image` says: if the first axis is 1 or 3 wide, it is the channels.
        attributions: Its map, ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``, of any number of channels, which are added.
        feature_mask: Its segment ids, ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)``.
        k: Number the regions of rank 1 to k, and list their scores; all that there are, if fewer. None numbers none.
            A region that holds a NaN has no rank, nor has any of a map that is constant.
        by: Rank by the ``"score"``, the mean over the region of what is drawn, or by its ``"magnitude"``.
        sign: What is drawn: ``"all"``, or the magnitude of what is ``"positive"``, ``"negative"``, or of both,
            ``"absolute_value"``. None chooses ``"all"`` for a map that is negative anywhere, else ``"positive"``.
        plt_fig_axis: Figure and axis to draw on; new ones by default. A figure with ``layout="constrained"`` makes room
            for the colour bar and the scores.
        outlier_perc: Percentage of the map's total that may lie beyond the strongest colour.
        cmap: Colours, those of zero in the middle for ``sign="all"``, at the lower end otherwise. None chooses red
            for positive and blue for negative values, or black over red to yellow.
        alpha_overlay: Opacity of the strongest colour, from 0 to 1.
        border_color: Colour of the borders, any that matplotlib knows.
        show_colorbar: Whether to draw a colour bar.
        title: Title of the axis.
        fig_size: Width and height in inches of a new figure.
        use_pyplot: Whether pyplot is to know of a new figure, and so to show it in a notebook; without, its state is
            left alone.

    Returns:
        The figure and the axis. The axis is in pixels of the picture.

    Raises:
        ImportError: If matplotlib is not installed.
        TypeError: If an argument is not of the type above.
        ValueError: If the shapes do not go together, or an option is unknown or out of its range.

    Examples:
        >>> import torch
        >>> from captum_superpixel.masks import Grid
        >>> image, attributions = torch.rand(3, 32, 32), torch.randn(3, 32, 32)
        >>> mask = Grid(4)(image[None])
        >>> figure, axis = visualize_superpixels(image, attributions, mask, k=2, title="four squares")
        >>> [text.get_text() for text in axis.texts]
        ['1', '2']
    """
    picture, values, mask = to_image(image), to_map(attributions), to_mask(feature_mask)
    check_same_size(picture, {"attributions": values, "feature_mask": mask})
    limit = 0 if k is None else checked_integer("k", k)
    outlier_perc = scaling.check_outlier_perc(outlier_perc)
    alpha = checked_number("alpha_overlay", alpha_overlay)
    if alpha > 1:
        raise ValueError(f"alpha_overlay={alpha_overlay}: pass an opacity from 0 to 1")
    sign = scaling.choose_sign([values], sign)
    values = scaling.take_sign(values, sign)
    scale = scaling.find_scale([values], sign, outlier_perc)
    remark = scaling.note(values)
    # Ranked before anything is drawn, so that an error leaves the caller's axis as it was; in the unit in which scores
    # are written, because sums of the largest numbers overflow.
    regions = ranked_regions(values / scale.unit, mask, by)[: 0 if remark else limit]
    figure, axis = figures.one_axis(plt_fig_axis, use_pyplot, fig_size)
    colors = figures.see_through(figures.choose_cmap(cmap, scale.diverging), scale.diverging, alpha)
    figures.draw_image(axis, picture, faint=True)
    figures.draw_map(axis, values, scale, colors)
    figures.draw_borders(axis, mask, border_color)
    _number(axis, mask, regions)
    if remark:
        figures.draw_note(axis, remark)
    _list(axis, regions, scale, bool(np.isnan(values).any()))
    if show_colorbar:
        figures.draw_colorbar(figure, axis, colors, scale, sign, fraction=0.05, pad=0.02)
    if title is not None:
        axis.set_title(title)
    return figure, axis


def _number(axis: Axes, mask: npt.NDArray[np.int64], regions: list[Region]) -> None:
    from matplotlib.patheffects import withStroke

    for rank, region in enumerate(regions, 1):
        row, column = inner_point(mask, region)
        axis.text(
            column,
            row,
            str(rank),
            ha="center",
            va="center",
            fontsize=11 if len(regions) <= _FEW and _inches(axis) > _SMALL else 8,
            fontweight="bold",
            color="white",
            path_effects=[withStroke(linewidth=2.5, foreground="black")],
        )


def _list(axis: Axes, regions: list[Region], scale: scaling.Scale, holes: bool) -> None:
    """Say below the axis which scores the numbers stand for, and what the stripes mean."""
    from matplotlib.lines import Line2D

    handles: list[Artist] = [
        # Three digits, zeros too; of 123 nothing is left but the point.
        Line2D([], [], color="none", label=f"{rank}:  {format(region.score, '#.3g').rstrip('.')}")
        for rank, region in enumerate(regions, 1)
    ]
    if holes:
        handles.append(figures.nan_handle())
    if handles:
        axis.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.01),
            ncols=max(1, min(5, len(handles), int(_inches(axis) / _ENTRY))),
            frameon=False,
            handlelength=1,
            handletextpad=0.3,
            columnspacing=0.8,
            fontsize=9,
            title=f"mean attribution of the regions{figures.unit_text(scale)}, by rank" if regions else None,
            title_fontsize=9,
        )


def _inches(axis: Axes) -> float:
    return float(axis.get_window_extent().width / axis.figure.dpi)
