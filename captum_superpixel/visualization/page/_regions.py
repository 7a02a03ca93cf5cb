"""What the page knows of regions: their ids, ranks, scores and colors, as compact text."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from captum_superpixel.regions import Ranking, RegionTable
from captum_superpixel.visualization._color_scale import ColorScale, choose_sign, find_scale, note
from captum_superpixel.visualization._ranking import list_regions
from captum_superpixel.visualization.images import FloatArray
from captum_superpixel.visualization.page import _layers
from captum_superpixel.visualization.page._inputs import IntArray

__all__ = ["PageScore", "Waiting", "describe_confidence", "describe_masks", "describe_methods"]

PageScore = Literal["mean", "sum"]
"""What the score of a region is: the mean over it, or what it adds to the sum of the map."""
Waiting = tuple[dict[str, Any], FloatArray, ColorScale]
"""A layer without its picture, the map to be drawn in it, and the map's scale."""

_FLAT = 1e-6
"""How far, in parts of the scale, the pixels of a region may differ and still be drawn as one value."""


def describe_masks(masks: Iterable[IntArray]) -> tuple[list[IntArray], list[dict[str, Any]]]:
    """List the masks, each of several equal ones once, and what the page holds of them."""
    distinct: list[IntArray] = []
    for mask in masks:
        if not any(np.array_equal(mask, other) for other in distinct):
            distinct.append(mask)
    return distinct, [_describe_mask(mask) for mask in distinct]


def describe_methods(
    maps: Mapping[str, FloatArray],
    sums: Mapping[str, FloatArray],
    pixels: Mapping[str, FloatArray],
    masks: Mapping[str, IntArray],
    by: Ranking,
    clipping: float,
) -> tuple[list[dict[str, Any]], list[Waiting]]:
    """Describe the regions and the maps of each method.

    Args:
        maps: ``(H, W)`` each, which are shown; their means over the regions are the scores.
        sums: The maps whose sums over the regions are the scores instead; empty if the means are.
        pixels: Maps before grouping, of some of the methods.
        masks: Segment ids ``(H, W)`` of each method.
        by: What to rank by.
        clipping: Percentage of a map's magnitude that may lie beyond the strongest color.

    Returns:
        What the page holds of each method, and the maps that are still to be embedded in it.
    """
    methods, waiting = [], []
    for name, values in maps.items():
        method, grouped = _describe_method(name, values, sums.get(name), masks[name], by, clipping)
        if not grouped:
            waiting.append((method["regions"], values, _scale(values, clipping)))
        if name in pixels:
            scale = _scale(pixels[name], clipping)
            method["pixels"] = _describe_layer(pixels[name], scale)
            waiting.append((method["pixels"], pixels[name], scale))
        methods.append(method)
    return methods, waiting


def describe_confidence(table: RegionTable) -> dict[str, Any]:
    """Describe how sure the regions of a method are, in the order of their ids."""
    rows = sorted(table, key=lambda region: region.id)
    bounds = np.array([region.interval for region in rows], dtype=np.float64)
    return {
        "stays": table.k,
        "chances": _pack(np.array([region.stays_top for region in rows], dtype=np.float64), "<f8"),
        "lows": _pack(bounds[:, 0], "<f8"),
        "highs": _pack(bounds[:, 1], "<f8"),
    }


def _describe_mask(mask: IntArray) -> dict[str, Any]:
    ids, labels = np.unique(mask, return_inverse=True)
    # Differences of ids are mostly 1, and compress to nothing.
    return {
        "count": len(ids),
        "ids": _pack(np.diff(ids, prepend=0), "<i8"),
        **_layers.encode_labels(labels.reshape(mask.shape)),
    }


def _describe_method(
    name: str, values: FloatArray, sums: FloatArray | None, mask: IntArray, by: Ranking, clipping: float
) -> tuple[dict[str, Any], bool]:
    """Describe a method's regions, and tell whether its map shows nothing but one value a region."""
    ids, labels = np.unique(mask, return_inverse=True)
    labels = labels.reshape(mask.shape)
    ranks, means = _read(ids, values, mask, by, "mean")
    scores = means
    if sums is not None:
        ranks, scores = _read(ids, sums, mask, by, "sum")
    scale = _scale(values, clipping)
    grouped = bool(np.allclose(values, means[labels], rtol=_FLAT, atol=_FLAT * scale.limit, equal_nan=True))
    method = {
        "name": name,
        "scores": _pack(scores, "<f8"),
        "ranks": _pack(ranks, "<u4"),
        "paint": _pack(_layers.quantize(means, scale), "u1"),
        "regions": _describe_layer(values, scale),
    }
    return method, grouped


def _read(
    ids: IntArray, values: FloatArray, mask: IntArray, by: Ranking, score: PageScore
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Take ranks (0 is none) and scores of a map ``(H, W)`` from the table of its regions, in the order of the ids."""
    table = list_regions(values, mask, by, score)
    places = np.searchsorted(ids, np.array([region.id for region in table], dtype=np.int64))
    ranks, scores = np.zeros(len(ids), dtype=np.int64), np.full(len(ids), np.nan)
    ranks[places] = [region.rank or 0 for region in table]
    scores[places] = [region.score for region in table]
    return ranks, scores


def _scale(values: FloatArray, clipping: float) -> ColorScale:
    return find_scale([values], choose_sign([values], None), clipping)


def _describe_layer(values: FloatArray, scale: ColorScale) -> dict[str, Any]:
    return {
        "limit": float(f"{scale.limit:.6g}"),
        "diverging": scale.diverging,
        "below": scale.clipped and scale.lowest < -scale.limit,
        "above": scale.clipped and scale.highest > scale.limit,
        "note": note(values),
    }


def _pack(values: npt.NDArray[Any], dtype: str) -> str:
    """Write numbers as deflated little-endian bytes in base64: as JSON they would take several times as much."""
    return _layers.to_text(zlib.compress(values.astype(dtype).tobytes(), 9))
