"""One self-contained page on which the explanation of a picture is inspected region by region, in any browser."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import string
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from captum_superpixel._checks import checked_share
from captum_superpixel._files import check_output_file, replacing
from captum_superpixel._region_table import SHARE
from captum_superpixel.regions import Ranking
from captum_superpixel.visualization._color_scale import (
    ColorScale,
    check_outlier_perc,
    choose_sign,
    find_scale,
    note,
)
from captum_superpixel.visualization._ranking import list_regions
from captum_superpixel.visualization.images import FloatArray, ImageLike, to_image
from captum_superpixel.visualization.page import _layers
from captum_superpixel.visualization.page._inputs import (
    ByName,
    IntArray,
    read_maps,
    read_masks,
    read_pixel_maps,
    read_score_names,
)

__all__ = ["save_html"]

_ALLOWANCE = 200_000
"""Bytes that a page may have beyond twice those of its picture."""
_EXACT = 2**53
"""Larger integers have no exact number in JavaScript."""
_FLAT = 1e-6
"""How far, in parts of the scale, the pixels of a region may differ and still be drawn as one value."""

_Waiting = tuple[dict[str, Any], FloatArray, ColorScale]
"""A layer without its picture, the map to be drawn in it, and the map's scale."""


def save_html(
    path: str | os.PathLike[str],
    image: ImageLike,
    attributions: ByName,
    feature_mask: ByName,
    *,
    pixel_attributions: ByName | None = None,
    title: str | None = None,
    class_name: str | None = None,
    probability: float | None = None,
    by: Ranking = "score",
    score_name: str | Mapping[str, str] = "mean attribution",
    outlier_perc: float = 2,
) -> Path:
    """Write a page that shows the explanation of a picture and the numbers of each of its regions.

    Pointing at a region, with the mouse or by the keyboard, outlines it and shows its rank, score and share. A slider
    leaves only the top regions, choices switch between methods and between superpixel and pixel maps, and a sortable
    table of the regions follows the picture as the picture follows the table. The page is one file that needs neither
    a network nor a server, and tells the browser to forbid it both.

    Args:
        path: File to write; an existing one is replaced, as a whole or not at all.
        image: The picture, ``(C, H, W)`` or ``(H, W, C)``, in the layouts and ranges of ``to_image``.
        attributions: Its map, ``(C, H, W)`` or ``(H, W)``, as ``SuperpixelGrouped`` returns it, or several by the names
            of their methods.
        feature_mask: Segment ids ``(H, W)`` or ``(1, H, W)``, any non-negative int64, or those of each method by name.
        pixel_attributions: The map before grouping, to switch to, or maps by the names of their methods, which may be
            fewer than those of ``attributions``.
        title: Heading of the page, such as the name of the photograph. Any text.
        class_name: What the maps explain, such as the predicted class. Any text.
        probability: Of that class, from 0 to 1.
        by: Rank regions by their signed ``"score"`` or by its ``"magnitude"``, as in ``region_table``.
        score_name: What the page says that a score is, such as ``"effect"`` for a method that perturbs regions; or
            that of each method by name. Any text.
        outlier_perc: Values that together hold at most this percentage of a map's magnitude have the strongest color,
            as in ``captum.attr.visualization``. Scores are not clipped.

    Returns:
        The path.

    Raises:
        TypeError: If an argument has another type.
        ValueError: If maps, masks and picture have different sizes, a method's name is missing in one of the mappings,
            a number is out of its range, or ``path`` cannot be a file.

    Notes:
        The score of a region is the mean of its pixels and channels, and its share the score's magnitude over the
        summed magnitudes of the scores of all regions, as in ``region_table``. A region that holds a NaN or infinite
        value has no score and no rank, equal scores share a rank (marked ``=``), and where all scores are 0 there
        are no ranks. Every map has its own color scale.

        The picture is embedded as PNG if that takes at most 128 kB, else as JPEG of quality 90. A page is smaller than
        twice the embedded picture plus 200 kB: pixel maps that would not fit are shown with fewer pixels, and the page
        says with how many. Only masks can exceed this, such as several different ones of thousands of regions.

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
    heading = _checked_text("title", title) or "Explanation"
    explained = _describe(_checked_text("class_name", class_name), probability)
    clipping = check_outlier_perc(outlier_perc)
    picture = to_image(image)
    shape = picture.shape[:2]
    maps = read_maps(attributions, shape)
    pixels = read_pixel_maps(pixel_attributions, maps, shape)
    masks = read_masks(feature_mask, maps, shape)

    names = read_score_names(score_name, maps)

    data, waiting = _page_data(maps, pixels, masks, by, clipping)
    for method in data["methods"]:
        method["scoreName"] = names[method["name"]]
    media_type, compressed = _layers.encode_picture(picture)
    address = _layers.to_data_url(media_type, compressed)
    # Maps are embedded last, in the bytes that the rest of the page leaves for them.
    rest = 2 * len(compressed) + _ALLOWANCE - len(_assemble(heading, explained, address, by, data))
    for done, (layer, values, scale) in enumerate(waiting):
        share = rest / (len(waiting) - done)
        # Base64 makes 4 bytes of 3; the rest of a layer's text is short.
        layer["png"] = _layers.to_data_url("image/png", _layers.encode_map(values, scale, 0.75 * (share - 64)))
        rest -= len(layer["png"])
    page = _assemble(heading, explained, address, by, data)
    with replacing(target) as temporary:
        temporary.write_bytes(page)
    return target


def _checked_text(name: str, text: str | None) -> str:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{name} must be text or None, but {text!r} ({type(text).__name__}) was passed")
    return text or ""


def _describe(class_name: str, probability: float | None) -> str:
    """Write the line below the heading, escaped; empty if nothing is known."""
    chance = "" if probability is None else f"probability {100 * checked_share('probability', probability):.1f} %"
    parts = [f"Class <strong>{html.escape(class_name)}</strong>" if class_name else "", chance]
    text = ", ".join(part for part in parts if part)
    return f'<p class="prediction">{text}</p>' if text else ""


def _page_data(
    maps: Mapping[str, FloatArray],
    pixels: Mapping[str, FloatArray],
    masks: Mapping[str, IntArray],
    by: Ranking,
    clipping: float,
) -> tuple[dict[str, Any], list[_Waiting]]:
    """Collect what the page's script reads, and the maps that are still to be embedded in it."""
    distinct = _distinct(masks.values())
    methods, waiting = [], []
    for name, values in maps.items():
        place = next(i for i, mask in enumerate(distinct) if np.array_equal(mask, masks[name]))
        method, grouped = _method_data(name, values, masks[name], by, clipping)
        method["mask"] = place
        if not grouped:
            waiting.append((method["regions"], values, _scale(values, clipping)))
        if name in pixels:
            scale = _scale(pixels[name], clipping)
            method["pixels"] = _layer_data(pixels[name], scale)
            waiting.append((method["pixels"], pixels[name], scale))
        methods.append(method)
    height, width = distinct[0].shape
    data = {
        "width": width,
        "height": height,
        "ramp": _layers.to_text(_layers.ramp().tobytes()),
        "masks": [_mask_data(mask) for mask in distinct],
        "methods": methods,
    }
    return data, waiting


def _distinct(masks: Iterable[IntArray]) -> list[IntArray]:
    """List the masks, each of several equal ones once."""
    different: list[IntArray] = []
    for mask in masks:
        if not any(np.array_equal(mask, other) for other in different):
            different.append(mask)
    return different


def _mask_data(mask: IntArray) -> dict[str, Any]:
    ids, labels = np.unique(mask, return_inverse=True)
    exact = ids[-1] < _EXACT
    names = ids.tolist() if exact else [str(number) for number in ids.tolist()]
    return {"ids": names, **_layers.encode_labels(labels.reshape(mask.shape))}


def _method_data(
    name: str, values: FloatArray, mask: IntArray, by: Ranking, clipping: float
) -> tuple[dict[str, Any], bool]:
    """Describe a method's regions, and tell whether its map shows nothing but their scores."""
    ids, labels = np.unique(mask, return_inverse=True)
    labels = labels.reshape(mask.shape)
    scores, shares = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
    regions = list_regions(values, mask, by)
    places = np.searchsorted(ids, np.array([region.id for region in regions], dtype=np.int64))
    scores[places] = [region.score for region in regions]
    shares[places] = [region.share for region in regions]
    ranks = [region.rank for region in regions if region.rank is not None]
    scale = _scale(values, clipping)
    painted = scores[labels]
    grouped = bool(np.allclose(values, painted, rtol=_FLAT, atol=_FLAT * scale.limit, equal_nan=True))
    method = {
        "name": name,
        "scores": _numbers(scores),
        "shares": _numbers(shares),
        "order": places[: len(ranks)].tolist(),
        "ties": [place for place in range(1, len(ranks)) if ranks[place] == ranks[place - 1]],
        "paint": _layers.to_text(_layers.quantize(scores, scale).tobytes()),
        "regions": _layer_data(values, scale),
    }
    return method, grouped


def _scale(values: FloatArray, clipping: float) -> ColorScale:
    return find_scale([values], choose_sign([values], None), clipping)


def _layer_data(values: FloatArray, scale: ColorScale) -> dict[str, Any]:
    return {"limit": float(f"{scale.limit:.6g}"), "diverging": scale.diverging, "note": note(values)}


def _numbers(values: FloatArray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]


def _assemble(heading: str, explained: str, picture: str, by: Ranking, data: Mapping[str, Any]) -> bytes:
    """Fill the template of the page; text of the caller is escaped."""
    parts = resources.files("captum_superpixel.visualization.page")
    names = ("page.html", "page.css", "masks.js", "drawing.js", "page.js")
    page, style, *scripts = ((parts / name).read_text(encoding="utf-8").strip() for name in names)
    script = "\n\n".join(scripts)
    policy = (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    # "<" could end the script element that holds the data; in JSON it can only be part of a string.
    encoded = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    filled = string.Template(page).substitute(
        policy=html.escape(policy),
        title=html.escape(heading),
        prediction=explained,
        style=style,
        picture=picture,
        data=encoded,
        script=script,
        first="highest score" if by == "score" else "score of the largest magnitude",
        share=SHARE,
    )
    # Names of files may hold bytes that are not text.
    return filled.encode("utf-8", errors="replace")


def _source(text: str) -> str:
    """Name an inline element in a content security policy by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
