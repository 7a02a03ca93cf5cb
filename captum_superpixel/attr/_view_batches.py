"""Batches of views: what a method is called with, and the way back from the maps that it returns."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from captum.attr import Attribution, DeepLiftShap, GradientShap, LayerDeepLiftShap, LayerGradientShap
from torch import Tensor

from captum_superpixel.attr._captum import AttributeCall, innermost, permutes_across_images
from captum_superpixel.attr._views import View, show, shown_places, take_back
from captum_superpixel.attr._wrapper import Wrapper
from captum_superpixel.feature_masks import check_feature_mask

__all__ = [
    "Average",
    "add_back",
    "bring_back",
    "divide_by_shown",
    "mixes_examples",
    "see_rows",
    "show_batch",
    "view_arguments",
    "with_shown_references",
]

Average = Literal["mean", "abs"]

_ALIGNED = ("baselines", "feature_mask")
"""Arguments that have the places of the inputs."""


def show_batch(tensor: Tensor, views: Sequence[View], sizes: Sequence[int]) -> Tensor:
    """Show views of a batch, all views of an image in a row."""
    return torch.stack([_show(tensor.detach(), view, sizes) for view in views], dim=1).flatten(0, 1)


def see_rows(rows: Tensor, views: Sequence[View], sizes: Sequence[int], numbers: Tensor) -> Tensor:
    """Show each row of a batch as the view with its number, so that gradients go back to the place of the image."""
    if not sizes:
        return rows
    result = torch.empty_like(rows)
    for number in sorted(set(numbers.tolist())):
        at = (numbers == number).nonzero().flatten().to(rows.device)
        result = result.index_copy(0, at, _show(rows.index_select(0, at), views[number], sizes))
    return result


def _show(tensor: Tensor, view: View, sizes: Sequence[int]) -> Tensor:
    """Show a view of an image; of a volume with the axes that the view has no shift for as they are."""
    return show(tensor, _fit(view, sizes), sizes) if sizes else tensor


def _fit(view: View, sizes: Sequence[int]) -> View:
    """Take the last of the shifts, for an input of fewer spatial axes than that by which views were chosen."""
    return View(view.shift[len(view.shift) - len(sizes) :], view.flip)


def add_back(maps: Tensor, views: Sequence[View], sizes: Sequence[int], average: Average) -> Tensor:
    """Bring the maps of views back, all views of an image in a row, and add them up: ``(N * V, …)`` to ``(N, …)``."""
    # Half precision ends at 65,504, and the sum over views need not.
    maps = maps.detach().to(torch.promote_types(maps.dtype, torch.float32))
    maps = maps.abs() if average == "abs" else maps
    by_view = maps.reshape(-1, len(views), *maps.shape[1:])
    parts = [
        take_back(by_view[:, index], _fit(view, sizes), sizes) if sizes else by_view[:, index]
        for index, view in enumerate(views)
    ]
    return torch.stack(parts).sum(dim=0)


def bring_back(maps: Tensor, view: View, sizes: Sequence[int]) -> Tensor:
    """Bring the maps ``(N, …)`` of one view back; what it does not show gets the reflection of what it shows.

    Regions at the border would otherwise seem to matter less.
    """
    return show(maps, _fit(view, sizes).inverse(), sizes) if sizes else maps


def divide_by_shown(total: Tensor, views: Sequence[View], sizes: Sequence[int]) -> Tensor:
    """Divide sums over views by how many of them show each pixel."""
    if not sizes:
        return total / len(views)
    spatial = total.shape[total.dim() - len(sizes) :]
    shown = sum((shown_places(_fit(view, sizes), sizes, spatial, total.device) for view in views), start=0.0)
    return total / torch.as_tensor(shown, device=total.device).to(total.dtype)


def view_arguments(
    call: AttributeCall, tensors: tuple[Tensor, ...], views: Sequence[View], largest: Sequence[Sequence[int]]
) -> dict[str, object]:
    """The arguments that a view changes, or that have a value for each image."""
    replaced: dict[str, object] = {}
    for name in _ALIGNED:
        value = call.get(name)
        if value is not None:
            replaced[name] = _for_inputs(value, tensors, views, largest, is_mask=name == "feature_mask")
    if len(views) > 1:
        count = len(tensors[0])
        for name in ("target", "additional_forward_args"):
            value = call.get(name)
            if value is not None:
                replaced[name] = _repeat(value, count, len(views))
    return replaced


def mixes_examples(method: Attribution, call: AttributeCall) -> bool:
    """Whether a method explains an example by others of its batch, or by all of its baselines."""
    inner = innermost(method)
    if isinstance(inner, (DeepLiftShap, GradientShap, LayerDeepLiftShap, LayerGradientShap)):
        return True
    return permutes_across_images(method) or bool(call.get("draw_baseline_from_distrib"))


def with_shown_references(
    method: Attribution, tensors: tuple[Tensor, ...], views: Sequence[View], largest: Sequence[Sequence[int]]
) -> Attribution:
    """Copy a method, and the methods that it wraps, so that the references of contributions are of the views, too."""
    inner = vars(method).get("attribution_method")
    changed = inner if not isinstance(inner, Attribution) else with_shown_references(inner, tensors, views, largest)
    shown: dict[str, Any] = {} if changed is inner else {"attribution_method": changed}
    # Contributions, and what makes them by itself.
    if isinstance(method, Wrapper) and "reference" in vars(method):
        reference = vars(method)["reference"]
        # A single one is of the images, which need not be the first of the inputs.
        image = 0 if isinstance(reference, tuple) else next(n for n, sizes in enumerate(largest) if sizes)
        shown["reference"] = _for_inputs(reference, tensors[image:], views, largest[image:], is_mask=False)
    if not shown:
        return method
    result = copy.copy(method)
    vars(result).update(shown)
    return result


def _for_inputs(
    value: Any,
    tensors: tuple[Tensor, ...],
    views: Sequence[View],
    largest: Sequence[Sequence[int]],
    *,
    is_mask: bool,
) -> Any:
    """Show the views of what has the places of the inputs; a list of masks is an ensemble."""
    if isinstance(value, list):
        return [_for_inputs(one, tensors, views, largest, is_mask=is_mask) for one in value]
    if isinstance(value, tuple):
        return tuple(
            _aligned(one, tensor, views, sizes, is_mask)
            for one, tensor, sizes in zip(value, tensors, largest, strict=True)
        )
    return _aligned(value, tensors[0], views, largest[0], is_mask)


def _aligned(value: Any, tensor: Tensor, views: Sequence[View], sizes: Sequence[int], is_mask: bool) -> Any:
    """Show the views of a baseline or a mask of the spatial size of an input; anything else stays as it is."""
    if is_mask and isinstance(value, list):
        return [_aligned(one, tensor, views, sizes, is_mask) for one in value]
    if is_mask and isinstance(value, (Tensor, np.ndarray)):
        value = check_feature_mask(value, tensor.shape)
    if not isinstance(value, Tensor):
        return value
    count = len(tensor)
    found = value if value.dim() >= tensor.dim() else value[(None,) * (tensor.dim() - value.dim())]
    if len(views) > 1 and count % len(found) == 0:
        # As the images are repeated, so is what belongs to each of them, or to so many in a row.
        found = found.repeat_interleave(count // len(found), dim=0)
    if not sizes:
        return found.repeat_interleave(len(views), dim=0) if len(found) == count else value
    if found.shape[2:] != tensor.shape[2:]:
        return found.repeat_interleave(len(views), dim=0) if 1 < len(value) == count else value
    return torch.stack([_show(found, view, sizes) for view in views], dim=1).flatten(0, 1)


def _repeat(value: Any, count: int, times: int) -> Any:
    """Repeat what holds a value for each of ``count`` images, each of them in a row."""
    if isinstance(value, tuple) and not all(isinstance(part, int) for part in value):
        return tuple(_repeat(part, count, times) if isinstance(part, Tensor) else part for part in value)
    if isinstance(value, Tensor) and value.dim() and len(value) == count:
        return value.repeat_interleave(times, dim=0)
    if isinstance(value, list) and len(value) == count:
        return [one for one in value for _ in range(times)]
    return value
