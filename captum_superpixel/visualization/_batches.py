"""Batches of pictures, of maps by method and model, and of predictions, checked against one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from captum_superpixel.visualization.images import FloatArray, ImageLike, check_same_size, to_image, to_map

__all__ = ["Batch", "Classes", "Column", "name_classes", "read_columns", "read_images"]

Batch = ImageLike | Sequence[ImageLike]
"""One tensor or array with a first axis of N, or a sequence of N."""
Classes = Tensor | Sequence[int | str]
"""One class per image: its index or its name."""


@dataclass(frozen=True)
class Column:
    """The maps of one method of one model.

    Attributes:
        model: Name of the model; empty where there is only one, without a name.
        method: Name of the method.
        maps: N maps ``(H, W)``, each of the size of its image.
    """

    model: str
    method: str
    maps: list[FloatArray]


def read_images(images: Batch) -> list[FloatArray]:
    """Turn a batch into pictures ``(H, W, 3)`` in ``[0, 1]``.

    Raises:
        TypeError: If the images are not numbers.
        ValueError: If there are none, or a single image without an axis for the batch was passed.
    """
    return [to_image(image, f"images[{n}]") for n, image in enumerate(_split(images, "images"))]


def read_columns(attributions: Mapping[str, Any], images: list[FloatArray]) -> list[Column]:
    """Turn a dictionary of maps by method, or of such dictionaries by model, into columns.

    Raises:
        TypeError: If it is not a dictionary, or something in it is not numbers.
        ValueError: If it is empty, or the maps do not fit the images.
    """
    if not isinstance(attributions, Mapping):
        raise TypeError(
            f"attributions is a {type(attributions).__name__}: pass a dictionary from the name of a method to its maps"
        )
    nested = {isinstance(value, Mapping) for value in attributions.values()}
    if len(nested) == 2:
        raise TypeError("attributions holds both dictionaries and maps: pass maps by method, or by model and method")
    by_model = attributions if nested == {True} else {"": attributions}
    columns = []
    for model, methods in by_model.items():
        for method, batch in methods.items():
            name = f"attributions[{model!r}][{method!r}]" if model else f"attributions[{method!r}]"
            maps = [to_map(values, f"{name}[{n}]", channels="mean") for n, values in enumerate(_split(batch, name))]
            if len(maps) != len(images):
                raise ValueError(f"{name} holds {len(maps)} maps for {len(images)} images: pass one per image")
            for n, (values, image) in enumerate(zip(maps, images, strict=True)):
                check_same_size(image, {f"{name}[{n}]": values})
            columns.append(Column(str(model), str(method), maps))
    if not columns:
        raise ValueError("attributions holds no method: pass at least one")
    return columns


def name_classes(
    classes: Classes | Mapping[str, Classes] | None,
    name: str,
    count: int,
    models: Sequence[str],
    class_names: Sequence[str] | None,
) -> dict[str, list[str]]:
    """Name the classes of the images, for each model that has its own; the key ``""`` stands for all models.

    Raises:
        ValueError: If there is not one class per image, a model is unknown, or an index has no name.
    """
    if classes is None:
        return {}
    by_model = classes if isinstance(classes, Mapping) else {"": classes}
    named = {}
    for model, members in by_model.items():
        if model and model not in models:
            raise ValueError(f"{name} has the model {model!r}, but attributions has {', '.join(map(repr, models))}")
        values = members.tolist() if isinstance(members, Tensor) else list(members)
        if len(values) != count:
            raise ValueError(f"{name} holds {len(values)} classes for {count} images: pass one per image")
        named[model] = [_name(value, name, class_names) for value in values]
    return named


def _name(value: int | str, name: str, class_names: Sequence[str] | None) -> str:
    if isinstance(value, str):
        return value
    if class_names is None:
        return f"class {value}"
    if not 0 <= value < len(class_names):
        raise ValueError(f"{name} holds the class {value}, but class_names has {len(class_names)} names")
    return str(class_names[value])


def _split(batch: Batch, name: str) -> list[ImageLike]:
    """Split a batch into its members, which have no axis for the batch."""
    if not isinstance(batch, (Tensor, np.ndarray, list, tuple)):
        raise TypeError(f"{name} is a {type(batch).__name__}: pass a tensor, an array or a list of them")
    if not isinstance(batch, (list, tuple)) and batch.ndim != 4:
        slices = f"; of volumes one slice each, such as {name}[:, :, 0]" if batch.ndim == 5 else ""
        raise ValueError(
            f"{name} has shape {tuple(batch.shape)}: pass a batch, (N, C, H, W) or (N, H, W, C), or a list of N{slices}"
        )
    if not len(batch):
        raise ValueError(f"{name} is empty: pass at least one")
    return list(batch)
