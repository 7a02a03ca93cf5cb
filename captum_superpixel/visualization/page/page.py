"""One self-contained page on which the explanation of a picture is inspected region by region, in any browser."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from captum_superpixel._checks import checked_choice
from captum_superpixel._files import check_output_file, replacing
from captum_superpixel._pages import fill_page, read_parts, to_data_url
from captum_superpixel.regions import Ranking, RegionTable
from captum_superpixel.regions.confidence import describe_stays_top
from captum_superpixel.regions.table import SHARE, name_score
from captum_superpixel.visualization._color_scale import check_outlier_perc
from captum_superpixel.visualization.images import ImageLike, to_image
from captum_superpixel.visualization.page import _layers
from captum_superpixel.visualization.page._inputs import (
    ByName,
    read_class_names,
    read_confidences,
    read_maps,
    read_masks,
    read_pixel_maps,
    read_score_names,
    read_signs,
)
from captum_superpixel.visualization.page._outlines import read_outline
from captum_superpixel.visualization.page._regions import (
    PageScore,
    Waiting,
    describe_confidence,
    describe_masks,
    describe_methods,
)
from captum_superpixel.visualization.page._texts import checked_text, describe_classes, list_remarks, write_headline

__all__ = ["save_html"]

_ALLOWANCE = 200_000
"""Bytes that a page may have beyond twice those of its picture."""
_LEAST = 50_000
"""Bytes that maps may have in any case, however many the numbers of the regions take."""
_PARTS = ("page.html", "page.css")
_SCRIPTS = ("masks.js", "numbers.js", "drawing.js", "table.js", "saving.js", "page.js")


def save_html(
    path: str | os.PathLike[str],
    image: ImageLike,
    attributions: ByName,
    feature_mask: ByName,
    *,
    pixel_attributions: ByName | None = None,
    title: str | None = None,
    class_name: str | Mapping[str, str | None] | None = None,
    probability: float | None = None,
    predicted_name: str | None = None,
    predicted_probability: float | None = None,
    headline: Mapping[str, str] | None = None,
    score: PageScore = "mean",
    by: Ranking = "score",
    score_name: str | Mapping[str, str] | None = None,
    signed: bool | Mapping[str, bool] | None = None,
    remarks: Sequence[str] = (),
    confidence: RegionTable | Mapping[str, RegionTable] | None = None,
    outline: ImageLike | None = None,
    outlier_perc: float = 2,
) -> Path:
    """Write a page that shows the explanation of a picture and the numbers of each of its regions.

    Pointing at a region, with the mouse, a finger or the keyboard, outlines it and shows its rank, score and share. A
    slider leaves only the top regions, choices switch between methods and between superpixel and pixel maps, and a
    sortable table of the regions follows the picture as the picture follows the table. Buttons save the picture as it
    is seen as PNG, and the table as CSV. The page is one file that needs neither a network nor a server, and tells the
    browser to forbid it both.

    Args:
        path: File to write; an existing one is replaced, as a whole or not at all.
        image: The picture, ``(C, H, W)`` or ``(H, W, C)``, in the layouts and ranges of ``to_image``.
        attributions: Its map, ``(C, H, W)`` or ``(H, W)``, as ``SuperpixelGrouped`` returns it, or several by the names
            of their methods.
        feature_mask: Segment ids ``(H, W)`` or ``(1, H, W)``, any non-negative int64, or those of each method by name.
        pixel_attributions: The map before grouping, to switch to, or maps by the names of their methods, which may be
            fewer than those of ``attributions``.
        title: Heading of the page, such as the name of the photograph. Any text; on a phone two lines of a long one are
            shown, and the rest at the push of a button.
        class_name: What the maps explain, such as the predicted class, or what each of them does by name. Any text.
            None for a class without a name; empty for maps that explain none, such as activations.
        probability: Of that class, from 0 to 1.
        predicted_name: The class that the network predicts, named beside the explained one if it is another.
        predicted_probability: Of the predicted class, from 0 to 1.
        headline: What stands below the heading instead of the classes and their probabilities, where these would not be
            true: texts by what they are, such as ``{"Explained": "output 2 = -1.5"}`` of a network whose outputs are
            no classes.
        score: What the score of a region is, as in ``region_table``: the ``"mean"`` over its pixels and channels, or
            the ``"sum"``, what the region adds to the sum of the map. Colors are those of the mean over the channels,
            whichever is chosen.
        by: Rank regions by their signed ``"score"`` or by its ``"magnitude"``, as in ``region_table``.
        score_name: What the page says that a score is, such as ``"effect"`` for a method that perturbs regions; or
            that of each method by name. Any text. None says ``"mean attribution"`` or ``"summed attribution"``.
        signed: Whether signs say for or against the class, of all methods or of each by name; the ends of the color
            scale say so. None takes a map without negative values for one of magnitudes.
        remarks: What a reader should know before believing the maps, such as warnings; listed below the heading.
        confidence: How sure the regions are: the table of ``region_table(…, draws=…, k=…)`` for this picture, or those
            of the methods that have one by name. The table then has a column, the picture firm and faint outlines, and
            a slider leaves the regions that are at least so sure.
        outline: The part of the picture that is explained, such as a box, ``(H, W)`` bool; its border is drawn over the
            map. None, and all of the picture, have none.
        outlier_perc: Values that together hold at most this percentage of a map's magnitude have the strongest color,
            as in ``captum.attr.visualization``. Scores are not clipped.

    Returns:
        The path.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If maps, masks and picture have different sizes, a method's name is missing in one of the mappings,
            a number is out of its range, an option is unknown, or ``path`` cannot be a file.

    Notes:
        The share of a region is the magnitude of its score over the summed magnitudes of the scores of all regions, as
        in ``region_table``. A region that holds a NaN or infinite value has no score and no rank, equal scores share a
        rank (marked ``=``), and where all scores are 0 there are no ranks. Every map has its own color scale. The
        picture under a map is lightened, so that the map's colors stay close to those of its legend, which is drawn on
        the mean color of the lightened picture.

        The picture is embedded as PNG if that takes at most 128 kB, else as JPEG of quality 90. A page is smaller than
        twice the embedded picture plus 200 kB: pixel maps that would not fit are shown with fewer pixels, and the page
        says with how many. Only regions by the thousand can exceed this: each takes at most 20 bytes per method and 20
        per mask, and masks of scattered pixels at most 8 bytes per pixel; 50 kB remain for the maps.

    Examples:
        >>> import tempfile, torch
        >>> mask = torch.arange(64).view(1, 8, 8) // 16
        >>> maps = {"Saliency": mask.double(), "Lime": -mask.double()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = save_html(f"{folder}/cat.html", torch.rand(3, 8, 8), maps, mask, class_name="cat")
        ...     "<strong>cat</strong>" in page.read_text(encoding="utf-8")
        True
    """
    target = Path(path)
    check_output_file(target, "path")
    heading = checked_text("title", title) or "Explanation"
    predicted = checked_text("predicted_name", predicted_name)
    notes = list_remarks(remarks)
    clipping = check_outlier_perc(outlier_perc)
    chosen: PageScore = checked_choice("score", score, get_args(PageScore))
    picture = to_image(image)
    shape = picture.shape[:2]
    maps = read_maps(attributions, shape)
    sums = read_maps(attributions, shape, "sum") if chosen == "sum" else {}
    pixels = read_pixel_maps(pixel_attributions, maps, shape)
    masks = read_masks(feature_mask, maps, shape)
    names = read_score_names(score_name, maps, name_score(chosen))
    signs = read_signs(signed, maps, pixels)
    classes = read_class_names(class_name, maps)
    sure = read_confidences(confidence, masks)
    border = read_outline(outline, shape)
    explained = ", ".join(dict.fromkeys(filter(None, classes.values())))
    described_classes = describe_classes(explained, probability, predicted, predicted_probability)

    distinct, described = describe_masks(masks.values())
    methods, waiting = describe_methods(maps, sums, pixels, masks, by, clipping)
    for name, method in zip(maps, methods, strict=True):
        place = next(i for i, mask in enumerate(distinct) if mask is masks[name] or (mask == masks[name]).all())
        method.update(mask=place, scoreName=names[name], signed=signs[name], className=classes[name])
        method.update(describe_confidence(sure[name]) if name in sure else {})
    data = {
        "width": shape[1],
        "height": shape[0],
        "title": heading,
        "score": chosen,
        "mean": (255 * picture.mean(axis=(0, 1))).round(1).tolist(),
        "ramp": _layers.to_text(_layers.ramp().tobytes()),
        "stays": describe_stays_top("{k}"),
        "outline": border,
        "masks": described,
        "methods": methods,
    }
    media_type, compressed = _layers.encode_picture(picture)
    texts = {
        "title": html.escape(heading),
        "prediction": described_classes if headline is None else write_headline(headline),
        "remarks": notes,
        "picture": to_data_url(media_type, compressed),
        "first": "highest score" if by == "score" else "score of the largest magnitude",
    }
    # Maps are embedded last, in the bytes that the rest of the page leaves for them.
    _embed(waiting, max(2 * len(compressed) + _ALLOWANCE - len(_assemble(texts, data)), _LEAST))
    page = _assemble(texts, data)
    with replacing(target) as temporary:
        temporary.write_bytes(page)
    return target


def _embed(waiting: Sequence[Waiting], rest: int) -> None:
    """Embed the maps in what is left of the bytes, shared evenly."""
    for done, (layer, values, scale) in enumerate(waiting):
        share = rest / (len(waiting) - done)
        # Base64 makes 4 bytes of 3; the rest of a layer's text is short.
        layer["png"] = to_data_url("image/png", _layers.encode_map(values, scale, 0.75 * (share - 64)))
        rest -= len(layer["png"])


def _assemble(texts: Mapping[str, str], data: Mapping[str, Any]) -> bytes:
    """Fill the template of the page; text of the caller is escaped already."""
    page, style, *scripts = read_parts("captum_superpixel.visualization.page", _PARTS + _SCRIPTS)
    # "<" could end the script element that holds the data; in JSON it can only be part of a string.
    encoded = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return fill_page(page, {**texts, "data": encoded, "share": SHARE}, style, "\n\n".join(scripts))
