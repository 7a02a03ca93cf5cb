"""Pictures beside their maps by several methods and several models, in one grid with one color bar."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from captum_superpixel._checks import checked_choice, checked_integer
from captum_superpixel.visualization import _color_scale, _figures, _wording
from captum_superpixel.visualization._batches import Batch, Classes, Column, name_classes, read_columns, read_images
from captum_superpixel.visualization._color_bar import describe_bar, draw_bar
from captum_superpixel.visualization._color_scale import ColorScale, VisualizeSign
from captum_superpixel.visualization._layers import border_layer, image_layer, map_layers
from captum_superpixel.visualization.images import FloatArray, ImageLike, check_same_size, to_mask

__all__ = ["ScaleScope", "visualize_comparison"]

ScaleScope = Literal["common", "own"]
_EXPLANATIONS: dict[ScaleScope, str] = {
    "common": "one scale for all maps",
    "own": "relative to the strongest of each map",
}
_WRAP = 20
"""Characters in a line of the text beside a row."""


def visualize_comparison(
    images: Batch,
    attributions: Mapping[str, Batch] | Mapping[str, Mapping[str, Batch]],
    *,
    predictions: Classes | Mapping[str, Classes] | None = None,
    labels: Classes | None = None,
    class_names: Sequence[str] | None = None,
    feature_mask: Batch | None = None,
    scale: ScaleScope = "common",
    blend: bool = False,
    max_rows: int = 8,
    page: int = 1,
    sign: VisualizeSign | None = None,
    quantity: str = "attribution",
    class_name: str | None = None,
    plt_fig_axis: tuple[Figure, npt.NDArray[Any]] | None = None,
    outlier_perc: float = 2,
    cmap: str | Colormap | None = None,
    border_color: Any = (1, 1, 1, 0.8),
    show_colorbar: bool = True,
    title: str | None = None,
    fig_size: tuple[float, float] | None = None,
    use_pyplot: bool = False,
) -> tuple[Figure, npt.NDArray[Any]]:
    """Draw one row per image: the image, then its map by each method of each model.

    A batch of more than ``max_rows`` images is drawn in pages, one per call; the figure says which page it is and how
    many there are. The colors are the same on all pages.

    Args:
        images: ``(N, C, H, W)``, ``(N, H, W, C)`` with C 1 or 3, or a list of N images of any sizes, told apart and
            scaled to ``[0, 1]``, each by itself, as :func:`to_image` describes.
        attributions: From the name of a method to its N maps, ``(N, C, H, W)``, ``(N, H, W, C)`` or a list; or from
            the name of a model to such a dictionary. Channels are averaged.
        predictions: The class that is predicted for each image, as its index or name; or a dictionary from the name of
            a model to the classes that it predicts.
        labels: The true classes, as indices or names.
        class_names: Names of the classes, by index.
        feature_mask: Segment ids ``(1 or N, 1, H, W)``, or a list, whose borders are drawn on the images.
        scale: ``"common"``: equal colors are equal values in all maps of the batch; or ``"own"``: the strongest color
            is the strongest value of each map. The color bar says which.
        blend: Whether maps are laid over the picture, or drawn alone.
        max_rows: Images per page.
        page: Which page to draw, from 1.
        sign: What is drawn of all maps, as in :func:`visualize_superpixels`.
        quantity: What the maps hold, for the label of the color bar.
        class_name: What all maps explain, for the ends of the color bar of maps with signs; None for "the class", and
            empty for maps that do not speak of a class.
        plt_fig_axis: Figure and array of axes, with as many rows as the page has images and one column more than there
            are maps per image; new ones by default.
        outlier_perc: Percentage of the maps' total that may lie beyond the strongest color, which a few outliers do not
            determine, as in :func:`visualize_superpixels`. 0 clips nothing.
        cmap: Colormap, as in :func:`visualize_superpixels`.
        border_color: Color of the borders, any that matplotlib knows.
        show_colorbar: Whether to draw the color bar.
        title: Title of the figure.
        fig_size: Width and height in inches of a new figure; by default, as large as its grid needs.
        use_pyplot: Whether a new figure is made by pyplot, so that a notebook shows it; otherwise the state of pyplot
            is left alone.

    Returns:
        The figure and the axes, ``(rows, 1 + maps per image)``. Other axes of the figure are the headings of the models
        and the color bar.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If there is not one map and one class per image, a map is not of the size of its image, there is no
            such page, or an option is unknown or out of its range.

    Examples:
        >>> import torch
        >>> images, maps = torch.rand(10, 3, 32, 32), torch.randn(10, 3, 32, 32)
        >>> figure, axes = visualize_comparison(images, {"Saliency": maps, "absolute": maps.abs()}, page=2)
        >>> axes.shape
        (2, 3)
        >>> figure.get_supxlabel()
        'images 9 to 10 of 10 (page 2 of 2)'
    """
    checked_choice("scale", scale, get_args(ScaleScope))
    outlier_perc = _color_scale.check_outlier_perc(outlier_perc)
    pictures = read_images(images)
    columns = read_columns(attributions, pictures)
    models = list(dict.fromkeys(column.model for column in columns))
    texts = _row_texts(
        name_classes(labels, "labels", len(pictures), [], class_names),
        name_classes(predictions, "predictions", len(pictures), models, class_names),
        len(pictures),
    )
    masks = _read_masks(feature_mask, pictures)
    rows = _page_rows(len(pictures), max_rows, page)
    taken = _color_scale.choose_sign([values for column in columns for values in column.maps], sign)
    drawn = [Column(c.model, c.method, [_color_scale.take_sign(values, taken) for values in c.maps]) for c in columns]
    common = _color_scale.find_scale([values for column in drawn for values in column.maps], taken, outlier_perc)
    colors = _figures.choose_cmap(cmap, common.diverging)
    colors = _figures.see_through(colors, common.diverging, 0.9) if blend else colors
    figure, axes = _grid(plt_fig_axis, [pictures[row] for row in rows], drawn, bool(any(texts)), fig_size, use_pyplot)
    owns = []
    for axis_row, row in zip(axes, rows, strict=True):
        _draw_picture(axis_row[0], pictures[row], masks[row] if masks else None, border_color, texts[row])
        for axis, column in zip(axis_row[1:], drawn, strict=True):
            values = column.maps[row]
            own = _color_scale.find_scale([values], taken, outlier_perc)
            owns.append(own)
            below = pictures[row] if blend else None
            _draw_map(axis, values, common if scale == "common" else own, colors, below)
    if show_colorbar:
        clipped = any(own.clipped for own in owns) if scale == "own" else common.clipped
        sizes = [_figures.picture_inches(axis) for axis in axes[:, 0]]
        bar = describe_bar(
            colors,
            dataclasses.replace(common, clipped=clipped),
            _wording.name_colors(quantity, sign, common.diverging),
            (sizes[0][0], sum(height for _, height in sizes)),
            ends=_wording.name_ends(taken, class_name),
            explanation=_explain_scale(scale, common, owns),
            own=scale == "own",
        )
        draw_bar(figure, axes, bar, aspect=min(40, 15 * len(rows)))
    if any(np.isnan(column.maps[row]).any() for column in drawn for row in rows):
        figure.legend(handles=[_figures.nan_handle()], loc="outside lower right", frameon=False, fontsize=9)
    if len(rows) < len(pictures):
        pages = math.ceil(len(pictures) / max_rows)
        figure.supxlabel(
            f"images {rows[0] + 1} to {rows[-1] + 1} of {len(pictures)} (page {page} of {pages})", fontsize=9
        )
    if title is not None:
        figure.suptitle(title)
    return figure, axes


def _draw_picture(
    axis: Axes, picture: FloatArray, mask: npt.NDArray[np.int64] | None, border_color: Any, text: str
) -> None:
    """Draw the image of a row, with the borders of its segments and what is known of its classes."""
    layers = [image_layer(picture)]
    _figures.draw_layers(axis, layers if mask is None else [*layers, border_layer(mask, border_color)])
    if text:
        axis.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=9, labelpad=6, parse_math=False)


def _draw_map(axis: Axes, values: FloatArray, scale: ColorScale, colors: Colormap, below: FloatArray | None) -> None:
    """Draw a map, over the image that lies below it if there is one."""
    under = [] if below is None else [image_layer(below, faint=True)]
    _figures.draw_layers(axis, [*under, *map_layers(values, scale, colors)])
    if remark := _color_scale.note(values):
        _figures.draw_note(axis, remark)


def _explain_scale(scope: ScaleScope, common: ColorScale, owns: Sequence[ColorScale]) -> str:
    """Say of what maps the scale is, and how far values reach beyond it."""
    if scope == "common":
        return "; ".join(text for text in (_EXPLANATIONS[scope], _wording.describe_clipping(common)) if text)
    reaches = [max(own.highest, -own.lowest) / own.limit for own in owns if own.clipped]
    if not reaches:
        return _EXPLANATIONS[scope]
    return f"relative to the limit of each map, which outliers exceed: up to {100 * max(reaches):,.0f} %"


def _page_rows(count: int, max_rows: int, page: int) -> range:
    max_rows, page = checked_integer("max_rows", max_rows), checked_integer("page", page)
    pages = math.ceil(count / max_rows)
    if page > pages:
        raise ValueError(f"page={page}, but {count} images, {max_rows} per page, are {pages} pages")
    return range((page - 1) * max_rows, min(page * max_rows, count))


def _read_masks(feature_mask: Batch | None, pictures: list[FloatArray]) -> list[npt.NDArray[np.int64]]:
    if feature_mask is None:
        return []
    members: list[ImageLike] = list(feature_mask)
    if len(members) not in (1, len(pictures)):
        raise ValueError(
            f"feature_mask holds {len(members)} masks for {len(pictures)} images: pass one, or one per image"
        )
    masks = [to_mask(mask, f"feature_mask[{n}]") for n, mask in enumerate(members)]
    masks = masks * len(pictures) if len(masks) == 1 else masks
    for n, (mask, picture) in enumerate(zip(masks, pictures, strict=True)):
        check_same_size(picture, {f"feature_mask[{n}]": mask})
    return masks


def _row_texts(labels: dict[str, list[str]], predictions: dict[str, list[str]], count: int) -> list[str]:
    """Write the text beside each row: the label, then what each model predicts."""
    texts = []
    for row in range(count):
        lines = [f"label: {labels[''][row]}"] if labels else []
        lines += [f"{model or 'predicted'}: {classes[row]}" for model, classes in predictions.items()]
        texts.append("\n".join("\n".join(textwrap.wrap(line, _WRAP)) for line in lines))
    return texts


def _grid(
    plt_fig_axis: tuple[Figure, npt.NDArray[Any]] | None,
    pictures: list[FloatArray],
    columns: list[Column],
    texts: bool,
    fig_size: tuple[float, float] | None,
    use_pyplot: bool,
) -> tuple[Figure, npt.NDArray[Any]]:
    """Make the axes, or take the caller's, and write the names of methods and models above them."""
    shape = (len(pictures), 1 + len(columns))
    if plt_fig_axis is not None:
        figure, given = plt_fig_axis
        axes = np.array(given, dtype=object)
        if axes.size != math.prod(shape):
            raise ValueError(f"plt_fig_axis has {axes.size} axes, but {shape[0]} rows of {shape[1]} are drawn")
        axes = axes.reshape(shape)
        for axis, column in zip(axes[0, 1:], columns, strict=True):
            _head(axis, f"{column.model}\n{column.method}" if column.model else column.method)
        return figure, axes
    heights = [picture.shape[0] / picture.shape[1] for picture in pictures]
    named = any(column.model for column in columns)
    side = 1.7 if len(columns) > 3 else 2.1
    if fig_size is None:
        fig_size = (side * shape[1] + 0.9 + 1.3 * texts, side * sum(heights) + 0.6 + 0.35 * named)
    figure = _figures.new_figure(fig_size, use_pyplot, "compressed")
    grid = figure.add_gridspec(shape[0] + 1, shape[1], height_ratios=[0.16 if named else 1e-3, *heights])
    axes = np.array([[figure.add_subplot(grid[1 + r, c]) for c in range(shape[1])] for r in range(shape[0])])
    start = 1
    for model, group in groupby(columns, key=lambda column: column.model):
        members = list(group)
        for axis, column in zip(axes[0, start:], members, strict=False):
            _head(axis, column.method)
        if model:
            heading = figure.add_subplot(grid[0, start : start + len(members)])
            heading.set(xticks=[], yticks=[], label="heading")
            heading.spines[["left", "right", "top"]].set_visible(False)
            heading.patch.set_visible(False)
            heading.text(0.5, 0.3, model, ha="center", va="bottom", fontsize=11, parse_math=False)
        start += len(members)
    return figure, axes


def _head(axis: Axes, text: str) -> None:
    lines = [line for part in text.split("\n") for line in textwrap.wrap(part, _WRAP + 2)]
    axis.set_title("\n".join(lines), fontsize=9, parse_math=False)
