"""A picture with its map and its superpixels, of which the most important are numbered."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from captum_superpixel._checks import checked_choice, checked_integer, checked_share
from captum_superpixel._region_table import first_regions, show_rank
from captum_superpixel.regions import Ranking, Region
from captum_superpixel.visualization import _color_scale, _figures
from captum_superpixel.visualization._color_scale import ColorScale, VisualizeSign
from captum_superpixel.visualization._ranking import inner_point, ranked_regions
from captum_superpixel.visualization.images import ImageLike, check_same_size, to_image, to_map, to_mask

__all__ = ["visualize_superpixels"]

_ENTRY = 1.1
"""Inches that an entry of the legend takes. A line with more than fit would make the picture small."""
_NAMES: dict[VisualizeSign, str] = {
    "all": "mean attribution",
    "positive": "mean positive attribution",
    "negative": "mean negative attribution, magnitude,",
    "absolute_value": "mean magnitude",
}
_FEW = 12
_SMALL = 3
"""Numbers are written smaller in an axis narrower than this, in inches, and where there are more than ``_FEW``."""


def visualize_superpixels(
    image: ImageLike,
    attributions: ImageLike,
    feature_mask: ImageLike,
    *,
    k: int | None = None,
    by: Ranking = "score",
    score_name: str | None = None,
    sign: VisualizeSign | None = None,
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

    The picture is drawn in grey and shows through the map where the map is near zero. Stripes and a legend mark where
    the map is NaN or infinite; a note says so if it is zero or constant throughout.

    Args:
        image: ``(C, H, W)`` or ``(H, W, C)`` with C 1 or 3, or ``(H, W)``, told apart and scaled to ``[0, 1]`` as
            :func:`to_image` describes: a first axis of 1 or 3 is that of the channels.
        attributions: Its map, ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``. Channels, of any number, are averaged.
        feature_mask: Its segment ids, ``(H, W)``, ``(1, H, W)`` or ``(1, 1, H, W)``.
        k: Number the first k regions by rank, or all if there are fewer, and list their scores. None numbers none.
            Equal scores share a rank, marked by ``=``; of equal regions that are too many for k none is numbered, which
            the list says. A region that holds a NaN has no rank, nor has any region of a map that is zero, and those of
            a constant map are not numbered.
        by: Rank by the ``"score"``, the mean over the region of what is drawn, or by its ``"magnitude"``.
        score_name: What the scores are, for the heading of their list, such as ``"effect"`` for the map of a method
            that perturbs regions. None says of what they are the mean: ``"mean attribution"``, or, as ``sign`` has it,
            of its positive or negative part or its magnitude.
        sign: What is drawn: ``"all"`` values, or the magnitude of the ``"positive"`` ones, of the ``"negative"`` ones
            or of both, ``"absolute_value"``. None chooses ``"all"`` for a map with negative values, otherwise
            ``"positive"``.
        plt_fig_axis: Figure and axis to draw on; new ones by default. A figure with ``layout="constrained"`` makes room
            for the color bar and the scores.
        outlier_perc: Percentage of the map's total that may lie beyond the strongest color.
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
        >>> image, attributions = torch.rand(3, 32, 32), torch.randn(3, 32, 32)
        >>> mask = Grid(4)(image[None])
        >>> figure, axis = visualize_superpixels(image, attributions, mask, k=2, title="four squares")
        >>> [text.get_text() for text in axis.texts]
        ['1', '2']
    """
    picture, values, mask = to_image(image), to_map(attributions, channels="mean"), to_mask(feature_mask)
    check_same_size(picture, {"attributions": values, "feature_mask": mask})
    limit = 0 if k is None else checked_integer("k", k)
    outlier_perc = _color_scale.check_outlier_perc(outlier_perc)
    alpha = checked_share("alpha_overlay", alpha_overlay)
    named = score_name or _NAMES["all" if sign is None else checked_choice("sign", sign, list(_NAMES))]
    sign = _color_scale.choose_sign([values], sign)
    values = _color_scale.take_sign(values, sign)
    scale = _color_scale.find_scale([values], sign, outlier_perc)
    remark = _color_scale.note(values)
    # Ranked before anything is drawn, so that an error leaves the caller's axis as it was, and in the unit in which
    # scores are written, because sums of the largest numbers overflow.
    ranked = ranked_regions(values / scale.unit, mask, by)
    regions, ties = first_regions(ranked, limit) if limit and not remark else ([], "")
    figure, axis = _figures.one_axis(plt_fig_axis, use_pyplot, fig_size)
    colors = _figures.see_through(_figures.choose_cmap(cmap, scale.diverging), scale.diverging, alpha)
    _figures.draw_image(axis, picture, faint=True)
    _figures.draw_map(axis, values, scale, colors)
    _figures.draw_borders(axis, mask, border_color)
    _draw_numbers(axis, mask, regions)
    if remark:
        _figures.draw_note(axis, remark)
    _draw_legend(axis, regions, named, ties, scale, bool(np.isnan(values).any()))
    if show_colorbar:
        _figures.draw_colorbar(figure, axis, colors, scale, sign, fraction=0.05, pad=0.02)
    if title is not None:
        axis.set_title(title)
    return figure, axis


def _draw_numbers(axis: Axes, mask: npt.NDArray[np.int64], regions: list[Region]) -> None:
    for region in regions:
        row, column = inner_point(mask, region)
        axis.text(
            column,
            row,
            show_rank(region),
            ha="center",
            va="center",
            fontsize=11 if len(regions) <= _FEW and _inches(axis) > _SMALL else 8,
            fontweight="bold",
            color="white",
            path_effects=[withStroke(linewidth=2.5, foreground="black")],
        )


def _draw_legend(axis: Axes, regions: list[Region], score_name: str, ties: str, scale: ColorScale, holes: bool) -> None:
    """List below the axis the scores of the numbered regions, say which are equal, and explain the stripes."""
    handles: list[Artist] = [
        # Three digits, zeros included; "123." would end in a point.
        Line2D([], [], color="none", label=f"{show_rank(region)}:  {format(region.score, '#.3g').rstrip('.')}")
        for region in regions
    ]
    if holes:
        handles.append(_figures.nan_handle())
    heading = [f"{score_name} of the regions{_figures.unit_text(scale)}, by rank"] if regions or ties else []
    heading += ["=: equal scores share a rank"] if any(region.tied for region in regions) else []
    heading += [ties] if ties else []
    if handles or heading:
        axis.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.01),
            ncols=max(1, min(5, len(handles), int(_inches(axis) / _ENTRY))),
            alignment="center",
            frameon=False,
            handlelength=1,
            handletextpad=0.3,
            columnspacing=0.8,
            fontsize=9,
            title="\n".join(heading) or None,
            title_fontsize=9,
        )


def _inches(axis: Axes) -> float:
    return float(axis.get_window_extent().width / axis.figure.dpi)
