"""One self-contained page to look into the explanation of a picture, region by region, in any browser."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import string
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from captum_superpixel._checks import checked_number
from captum_superpixel._files import replacing
from captum_superpixel.regions import Ranking
from captum_superpixel.visualization.images import FloatArray, ImageLike, to_image, to_map, to_mask
from captum_superpixel.visualization.page import _layers as layers
from captum_superpixel.visualization.ranking import ranked_regions
from captum_superpixel.visualization.scaling import Scale, check_outlier_perc, choose_sign, find_scale, note

__all__ = ["save_html"]

_IntArray = npt.NDArray[np.int64]
_ALLOWANCE = 200_000
"""Bytes that a page may have beyond twice those of its picture."""
_EXACT = 2**53
"""Integers above have no number of their own in JavaScript."""
_FLAT = 1e-6
"""How far, in parts of the scale, the pixels of a region may differ and still be drawn as one value."""


def save_html(
    path: str | os.PathLike[str],
    image: ImageLike,
    attributions: ImageLike | Mapping[str, ImageLike],
    feature_mask: ImageLike | Mapping[str, ImageLike],
    *,
    pixel_attributions: ImageLike | Mapping[str, ImageLike] | None = None,
    title: str | None = None,
    class_name: str | None = None,
    probability: float | None = None,
    by: Ranking = "score",
    outlier_perc: float = 2,
) -> Path:
    """Write a page that shows the explanation of a picture and answers for each of its regions.

    Pointing at a region, with the mouse or by the keyboard, outlines it and shows its rank, score and share. A slider
    leaves only the top regions, choices switch between methods and between superpixel and pixel maps, and a sortable
    table of the regions follows the picture as the picture follows the table. The page is one file that needs neither
    a network nor a server, and asks the browser to forbid it any.

    Args:
        path: File to write; one that is there is replaced, as a whole or not at all.
        image: The picture, ``(C, H, W)`` or ``(H, W, C)``, in the layouts and ranges of ``to_image``.
        attributions: A map of it, ``(C, H, W)`` or ``(H, W)``, as ``SuperpixelGrouped`` returns it; or several by the
            names of their methods.
        feature_mask: Segment ids ``(H, W)`` or ``(1, H, W)``, any non-negative int64; or those of each method by name.
        pixel_attributions: The maps before grouping, to switch to; a map, or maps by the names of their methods, which
            may be fewer than those of ``attributions``.
        title: Heading of the page, such as the name of the photograph. Any text.
        class_name: What the maps explain, such as the predicted class. Any text.
        probability: Of that class, from 0 to 1.
        by: Rank regions by their signed ``"score"`` or by its ``"magnitude"``, as in ``region_table``.
        outlier_perc: Values that together hold at most this percentage of a map's magnitude are drawn as the strongest
            colour, as in ``captum.attr.visualization``. Scores are not clipped.

    Returns:
        The path.

    Raises:
        ImportError: If Pillow is not installed.
        TypeError: If an argument is of a type that has no meaning here.
        ValueError: If maps, masks and picture are of different sizes, a method's name is missing in one of the
            mappings, a number is out of its range, or ``path`` cannot be a file.

    Notes:
        The score of a region is the mean of its pixels, summed over the channels, and its share the score's magnitude
        over the sum of the magnitudes, as in ``region_table``. A region with a value that is NaN or infinite has no
        score and no rank. Every map has a colour scale of its own.

        The picture is embedded as PNG if that takes at most 128 kB, else as JPEG of quality 90. A page is smaller than
        twice the embedded picture plus 200 kB: pixel maps are shown with fewer pixels where they would not fit, and the
        page says with how many. Only masks can exceed this, as several different ones of thousands of regions do.

    Examples:
        >>> import tempfile, torch
        >>> mask = torch.arange(64).view(1, 8, 8) // 16
        >>> maps = {"Saliency": mask.double(), "Lime": -mask.double()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = save_html(f"{folder}/cat.html", torch.rand(3, 8, 8), maps, mask, class_name="cat")
        ...     "<strong>cat</strong>" in page.read_text(encoding="utf-8")
        True
    """
    target = _checked_path(path)
    heading = _checked_text("title", title) or "Explanation"
    explained = _describe(_checked_text("class_name", class_name), probability)
    clipping = check_outlier_perc(outlier_perc)
    picture = to_image(image)
    shape = picture.shape[:2]
    maps = {name: _fit(to_map(one, label), shape, label) for name, label, one in _named("attributions", attributions)}
    pixels = _pixel_maps(pixel_attributions, maps, shape)
    masks = _masks(feature_mask, maps, shape)

    media_type, compressed = layers.encode_picture(picture)
    numbered = _number_masks(list(masks.values()))
    data: dict[str, Any] = {
        "width": shape[1],
        "height": shape[0],
        "ramp": layers.to_text(layers.ramp().tobytes()),
        "masks": [_mask_data(mask) for mask in numbered],
        "methods": [],
    }
    waiting: list[tuple[dict[str, Any], FloatArray, Scale]] = []
    for name, values in maps.items():
        place = next(i for i, mask in enumerate(numbered) if np.array_equal(mask, masks[name]))
        method, grouped = _method_data(name, values, masks[name], by, clipping)
        data["methods"].append({**method, "mask": place})
        if not grouped:
            waiting.append((method["regions"], values, _scale(values, clipping)))
        if name in pixels:
            scale = _scale(pixels[name], clipping)
            data["methods"][-1]["pixels"] = _layer_data(pixels[name], scale)
            waiting.append((data["methods"][-1]["pixels"], pixels[name], scale))

    address = layers.to_data_url(media_type, compressed)
    rest = 2 * len(compressed) + _ALLOWANCE - len(_assemble(heading, explained, address, data))
    for done, (layer, values, scale) in enumerate(waiting):
        share = rest / (len(waiting) - done)
        # Base64 makes 4 bytes of 3; the rest of a layer's text is short.
        layer["png"] = layers.to_data_url("image/png", layers.encode_map(values, scale, 0.75 * (share - 64)))
        rest -= len(layer["png"])
    page = _assemble(heading, explained, address, data)
    with replacing(target) as temporary:
        temporary.write_bytes(page)
    return target


def _checked_path(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.is_dir():
        raise ValueError(
            f"path={str(target)!r} is a folder: pass the name of a file in it, such as {target / 'page.html'}"
        )
    if not target.parent.is_dir():
        raise ValueError(f"path={str(target)!r} is in a folder that does not exist: make {str(target.parent)!r} first")
    return target


def _checked_text(name: str, text: str | None) -> str:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{name} must be text or None, but {text!r} ({type(text).__name__}) was passed")
    return text or ""


def _describe(class_name: str, probability: float | None) -> str:
    """Write the line below the heading, escaped, or nothing."""
    if probability is None:
        chance = ""
    else:
        number = checked_number("probability", probability)
        if number > 1:
            raise ValueError(f"probability={probability} is above 1: for a percentage, divide by 100")
        chance = f"probability {100 * number:.1f} %"
    parts = [f"Class <strong>{html.escape(class_name)}</strong>" if class_name else "", chance]
    text = ", ".join(part for part in parts if part)
    return f'<p class="prediction">{text}</p>' if text else ""


def _named(what: str, values: ImageLike | Mapping[str, ImageLike]) -> list[tuple[str, str, ImageLike]]:
    """List names, what to call the values in an error, and the values; a single one has the name ``""``."""
    if not isinstance(values, Mapping):
        return [("", what, values)]
    if not values:
        raise ValueError(f"{what} is empty: pass at least one map by the name of its method")
    for name in values:
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"{what} has the key {name!r}: pass the names of the methods, as text that is not empty")
    return [(name, f"{what}[{name!r}]", one) for name, one in values.items()]


def _fit(values: FloatArray, shape: tuple[int, ...], label: str) -> FloatArray:
    if values.shape != shape:
        raise ValueError(f"{label} is of {values.shape} pixels (H, W), but image is of {shape}: pass maps of its size")
    return values


def _pixel_maps(
    values: ImageLike | Mapping[str, ImageLike] | None, maps: Mapping[str, FloatArray], shape: tuple[int, ...]
) -> dict[str, FloatArray]:
    if values is None:
        return {}
    named = _named("pixel_attributions", values)
    if not isinstance(values, Mapping):
        if len(maps) > 1:
            raise ValueError(
                f"pixel_attributions is one map, but attributions has {_list(maps)}: pass one by each name"
            )
        named = [(next(iter(maps)), "pixel_attributions", values)]
    elif set(values) - set(maps):
        unknown = sorted(set(values) - set(maps))
        raise ValueError(f"pixel_attributions has {_list(unknown)}, which attributions has not: it has {_list(maps)}")
    return {name: _fit(to_map(one, label), shape, label) for name, label, one in named}


def _masks(
    values: ImageLike | Mapping[str, ImageLike], maps: Mapping[str, FloatArray], shape: tuple[int, ...]
) -> dict[str, _IntArray]:
    if isinstance(values, Mapping) and set(values) != set(maps):
        raise ValueError(
            f"feature_mask has masks for {_list(values)}, but attributions has {_list(maps)}: pass one mask, or one by "
            "each of these names"
        )
    masks = {}
    for name, label, one in _named("feature_mask", values):
        masks[name] = to_mask(one, label)
        if masks[name].shape != shape:
            raise ValueError(
                f"{label} is of {masks[name].shape} pixels (H, W), but image is of {shape}: pass one that fits"
            )
    if not isinstance(values, Mapping):
        return dict.fromkeys(maps, masks[""])
    return masks


def _list(names: Mapping[str, Any] | list[str]) -> str:
    return ", ".join(repr(name) for name in names if name) or "a single map without a name"


def _number_masks(masks: list[_IntArray]) -> list[_IntArray]:
    """List the masks that differ, once each."""
    different: list[_IntArray] = []
    for mask in masks:
        if not any(np.array_equal(mask, other) for other in different):
            different.append(mask)
    return different


def _mask_data(mask: _IntArray) -> dict[str, Any]:
    ids, labels = np.unique(mask, return_inverse=True)
    exact = ids[-1] < _EXACT
    names = ids.tolist() if exact else [str(number) for number in ids.tolist()]
    return {"ids": names, **layers.encode_labels(labels.reshape(mask.shape))}


def _method_data(
    name: str, values: FloatArray, mask: _IntArray, by: Ranking, clipping: float
) -> tuple[dict[str, Any], bool]:
    """Describe a method's regions, and say whether their scores are all that its map shows."""
    ids, labels = np.unique(mask, return_inverse=True)
    labels = labels.reshape(mask.shape)
    scores, shares = np.full(len(ids), np.nan), np.full(len(ids), np.nan)
    # What is left of a region that has no score must not count in the shares of the others.
    broken = np.bincount(labels.ravel(), np.isnan(values).ravel()) > 0
    regions = ranked_regions(np.where(broken[labels], np.nan, values), mask, by)
    order = np.searchsorted(ids, np.array([region.id for region in regions], dtype=np.int64))
    scores[order] = [region.score for region in regions]
    shares[order] = [region.share for region in regions]
    scale = _scale(values, clipping)
    painted = scores[labels]
    grouped = bool(np.allclose(values, painted, rtol=_FLAT, atol=_FLAT * scale.limit, equal_nan=True))
    method = {
        "name": name,
        "scores": _numbers(scores),
        "shares": _numbers(shares),
        "order": order.tolist(),
        "paint": layers.to_text(layers.quantise(scores, scale).tobytes()),
        "regions": _layer_data(values, scale),
    }
    return method, grouped


def _scale(values: FloatArray, clipping: float) -> Scale:
    return find_scale([values], choose_sign([values], None), clipping)


def _layer_data(values: FloatArray, scale: Scale) -> dict[str, Any]:
    return {"limit": float(f"{scale.limit:.6g}"), "diverging": scale.diverging, "note": note(values)}


def _numbers(values: FloatArray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.tolist()]


def _assemble(heading: str, explained: str, picture: str, data: Mapping[str, Any]) -> bytes:
    """Fill the page; what is not ours comes in escaped."""
    parts = resources.files("captum_superpixel.visualization.page")
    page, style, script = (
        (parts / f"page.{kind}").read_text(encoding="utf-8").strip() for kind in ("html", "css", "js")
    )
    policy = (
        f"default-src 'none'; img-src data:; style-src {_source(style)}; script-src {_source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    # "<" could end the script element that the data stand in; in JSON it can only be part of a string.
    encoded = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    filled = string.Template(page).substitute(
        policy=html.escape(policy),
        title=html.escape(heading),
        prediction=explained,
        style=style,
        picture=picture,
        data=encoded,
        script=script,
    )
    # File names may hold bytes that are no text.
    return filled.encode("utf-8", errors="replace")


def _source(text: str) -> str:
    """Name an inline element in a content security policy by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
