"""A picture with its map and its superpixels, of which the most important are numbered."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from captum_superpixel.regions import Ranking, RegionTable
from captum_superpixel.visualization import _figures
from captum_superpixel.visualization._color_scale import VisualizeSign
from captum_superpixel.visualization._described import RegionScore, describe_superpixels
from captum_superpixel.visualization._panel import draw_panel
from captum_superpixel.visualization._volumes import SliceIndex
from captum_superpixel.visualization.images import ImageLike

__all__ = ["RegionScore", "visualize_superpixels"]


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
    # All is settled before anything is drawn, so that an error leaves the caller's axis as it was.
    described = describe_superpixels(
        image,
        attributions,
        feature_mask,
        k=k,
        k_against=k_against,
        slice_index=slice_index,
        slice_axis=slice_axis,
        by=by,
        score=score,
        score_name=score_name,
        quantity=quantity,
        class_name=class_name,
        sign=sign,
        confidence=confidence,
        outlier_perc=outlier_perc,
        cmap=cmap,
        alpha_overlay=alpha_overlay,
        border_color=border_color,
        show_colorbar=show_colorbar,
        title=title,
    )
    figure, axis = _figures.one_axis(plt_fig_axis, use_pyplot, fig_size)
    box = axis.get_window_extent()
    draw_panel(figure, axis, described.fit(box.width / axis.figure.dpi, box.height / axis.figure.dpi))
    return figure, axis
