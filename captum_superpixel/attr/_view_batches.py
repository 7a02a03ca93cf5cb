"""Batches of views: what a method is called with, and the way back from the maps that it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from captum_superpixel.attr._captum import AttributeCall
from captum_superpixel.attr._views import View, show, shown_places, take_back

__all__ = ["Average", "add_back", "divide_by_shown", "see_rows", "show_batch", "view_arguments"]

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
    maps = maps.detach().abs() if average == "abs" else maps.detach()
    by_view = maps.reshape(-1, len(views), *maps.shape[1:])
    parts = [
        take_back(by_view[:, index], _fit(view, sizes), sizes) if sizes else by_view[:, index]
        for index, view in enumerate(views)
    ]
    return torch.stack(parts).sum(dim=0)


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
            replaced[name] = _for_inputs(value, tensors, views, largest)
    if len(views) > 1:
        count = len(tensors[0])
        for name in ("target", "additional_forward_args"):
            value = call.get(name)
            if value is not None:
                replaced[name] = _repeat(value, count, len(views))
    return replaced


def _for_inputs(
    value: Any, tensors: tuple[Tensor, ...], views: Sequence[View], largest: Sequence[Sequence[int]]
) -> Any:
    """Show the views of what has the places of the inputs; a list of masks is an ensemble."""
    if isinstance(value, list):
        return [_for_inputs(one, tensors, views, largest) for one in value]
    if isinstance(value, tuple):
        return tuple(
            _aligned(one, tensor, views, sizes) for one, tensor, sizes in zip(value, tensors, largest, strict=True)
        )
    return _aligned(value, tensors[0], views, largest[0])


def _aligned(value: Any, tensor: Tensor, views: Sequence[View], sizes: Sequence[int]) -> Any:
    """Show the views of a baseline or a mask of the spatial size of an input; anything else stays as it is."""
    found = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
    if not isinstance(found, Tensor) or not sizes or found.shape[-len(sizes) :] != tensor.shape[2:]:
        if isinstance(found, Tensor) and len(views) > 1 and len(found) == len(tensor) > 1:
            return found.repeat_interleave(len(views), dim=0)
        return value
    if found.dim() < tensor.dim():
        # (*spatial) is one mask for all, (N, *spatial) one for each.
        found = found[None, None] if found.dim() == len(sizes) else found[:, None]
    if len(views) > 1 and len(found) == 1:
        found = found.expand(len(tensor), *found.shape[1:])
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
