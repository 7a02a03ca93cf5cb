"""The maps and masks that the page shows, by the names of their methods, checked against the picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from captum_superpixel.regions import RegionTable
from captum_superpixel.visualization._sureness import read_confidence
from captum_superpixel.visualization.images import FloatArray, ImageLike, to_map, to_mask
from captum_superpixel.visualization.page._texts import checked_text

__all__ = [
    "ByName",
    "IntArray",
    "read_class_names",
    "read_confidences",
    "read_maps",
    "read_masks",
    "read_pixel_maps",
    "read_score_names",
    "read_signs",
]

_Value = TypeVar("_Value")

IntArray = npt.NDArray[np.int64]
ByName = ImageLike | Mapping[str, ImageLike]
"""One map or mask, whose method has the name ``""``, or several by the names of their methods."""


def read_maps(
    attributions: ByName, shape: tuple[int, ...], channels: Literal["sum", "mean"] = "mean"
) -> dict[str, FloatArray]:
    """Turn the attributions into maps ``(H, W)`` by the names of their methods, channels averaged or added.

    Raises:
        TypeError: If a name is not text, or a map is not numbers.
        ValueError: If there is no map, or one is not of the picture's ``shape`` (H, W).
    """
    return {name: _to_map(one, label, shape, channels) for name, label, one in _named("attributions", attributions)}


def read_pixel_maps(
    values: ByName | None, maps: Mapping[str, FloatArray], shape: tuple[int, ...]
) -> dict[str, FloatArray]:
    """Turn the maps before grouping into maps ``(H, W)`` by the names of their methods, some of those of ``maps``.

    Raises:
        TypeError: If a name is not text, or a map is not numbers.
        ValueError: If a name is not one of ``maps``, or a map is not of the picture's ``shape`` (H, W).
    """
    if values is None:
        return {}
    named = _named("pixel_attributions", values)
    if not isinstance(values, Mapping):
        if len(maps) > 1:
            raise ValueError(
                f"pixel_attributions is one map, but attributions has {_quoted(maps)}: pass one by each name"
            )
        named = [(next(iter(maps)), "pixel_attributions", values)]
    elif unknown := sorted(set(values) - set(maps)):
        raise ValueError(
            f"pixel_attributions has {_quoted(unknown)}, which attributions has not: it has {_quoted(maps)}"
        )
    return {name: _to_map(one, label, shape) for name, label, one in named}


def read_masks(values: ByName, maps: Mapping[str, FloatArray], shape: tuple[int, ...]) -> dict[str, IntArray]:
    """Turn the feature masks into one mask ``(H, W)`` for each of ``maps``.

    Raises:
        TypeError: If a mask is not of integers.
        ValueError: If the names are not those of ``maps``, or a mask is not of the picture's ``shape`` (H, W).
    """
    if isinstance(values, Mapping) and set(values) != set(maps):
        raise ValueError(
            f"feature_mask has masks for {_quoted(values)}, but attributions has {_quoted(maps)}: pass one mask, or "
            "one by each of these names"
        )
    masks = {}
    for name, label, one in _named("feature_mask", values):
        masks[name] = to_mask(one, label)
        if masks[name].shape != shape:
            raise ValueError(
                f"{label} is of {masks[name].shape} pixels (H, W), but image is of {shape}: pass one that fits"
            )
    return masks if isinstance(values, Mapping) else dict.fromkeys(maps, masks[""])


def read_class_names(
    values: str | Mapping[str, str | None] | None, maps: Mapping[str, FloatArray]
) -> dict[str, str | None]:
    """Say for each of ``maps`` what it explains: a name, None for a class without one, or empty for no class at all.

    Raises:
        TypeError: If a name is neither text nor None.
        ValueError: If the methods are not those of ``maps``.
    """
    named = _by_method("class_name", values, maps)
    for one in named.values():
        checked_text("class_name", one)
    return named


def read_score_names(
    values: str | Mapping[str, str] | None, maps: Mapping[str, FloatArray], default: str
) -> dict[str, str]:
    """Say for each of ``maps`` what its scores are.

    Raises:
        TypeError: If a name of a score is not text.
        ValueError: If the methods are not those of ``maps``.
    """
    named = _by_method("score_name", default if values is None else values, maps)
    for one in named.values():
        if not isinstance(one, str) or not one.strip():
            raise TypeError(f"score_name must be text that is not empty, but {one!r} ({type(one).__name__}) was passed")
    return named


def read_confidences(
    values: RegionTable | Mapping[str, RegionTable] | None, masks: Mapping[str, IntArray]
) -> dict[str, RegionTable]:
    """Take the tables that say how sure the regions of methods are, of those that have one.

    Raises:
        TypeError: If one is no table.
        ValueError: If a name is not one of ``masks``, or a table is of several images, of other regions than the mask,
            or without probabilities.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        if len(masks) > 1:
            raise ValueError(
                f"confidence is one table, but attributions has {_quoted(masks)}: pass one by each name that has one"
            )
        values = dict.fromkeys(masks, values)
    if unknown := sorted(set(values) - set(masks)):
        raise ValueError(f"confidence has {_quoted(unknown)}, which attributions has not: it has {_quoted(masks)}")
    for name, table in values.items():
        read_confidence(table, masks[name])
    return dict(values)


def read_signs(
    values: bool | Mapping[str, bool] | None, maps: Mapping[str, FloatArray], pixels: Mapping[str, FloatArray]
) -> dict[str, bool]:
    """Tell for each of ``maps`` whether its sign says for or against; if unknown, only where values are negative.

    Raises:
        TypeError: If an answer is not a bool.
        ValueError: If the methods are not those of ``maps``, or magnitudes are negative.
    """
    negative = {
        name: bool((one < 0).any() or (name in pixels and (pixels[name] < 0).any())) for name, one in maps.items()
    }
    if values is None:
        return negative
    signs = _by_method("signed", values, maps)
    for name, one in signs.items():
        if not isinstance(one, bool):
            raise TypeError(f"signed must be a bool, but {one!r} ({type(one).__name__}) was passed")
        if not one and negative[name]:
            which = f" of {name!r}" if name else ""
            raise ValueError(f"signed=False, but the map{which} has negative values: pass magnitudes, or signed=True")
    return signs


def _by_method(what: str, values: _Value | Mapping[str, _Value], maps: Mapping[str, FloatArray]) -> dict[str, _Value]:
    """Give each of ``maps`` its value, or the only one."""
    if not isinstance(values, Mapping):
        return dict.fromkeys(maps, values)
    if set(values) != set(maps):
        raise ValueError(
            f"{what} has {_quoted(values)}, but attributions has {_quoted(maps)}: pass one value for all, or one by "
            "each of these names"
        )
    return {name: values[name] for name in maps}


def _named(what: str, values: ByName) -> list[tuple[str, str, ImageLike]]:
    """List names, what to call the values in an error, and the values; a single one has the name ``""``."""
    if not isinstance(values, Mapping):
        return [("", what, values)]
    if not values:
        raise ValueError(f"{what} is empty: pass at least one map by the name of its method")
    for name in values:
        if not isinstance(name, str) or not name.strip():
            raise TypeError(f"{what} has the key {name!r}: pass the names of the methods, as text that is not empty")
    return [(name, f"{what}[{name!r}]", one) for name, one in values.items()]


def _to_map(
    values: ImageLike, label: str, shape: tuple[int, ...], channels: Literal["sum", "mean"] = "mean"
) -> FloatArray:
    one = to_map(values, label, channels=channels)
    if one.shape != shape:
        raise ValueError(f"{label} is of {one.shape} pixels (H, W), but image is of {shape}: pass maps of its size")
    return one


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names if name) or "a single map without a name"
