"""A method called with views of the inputs: its arguments go along with them, and its maps are of their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from captum.attr import Attribution, GradientAttribution
from torch import Tensor

from captum_superpixel.attr._captum import AttributeCall, describe, has_layer_output
from captum_superpixel.attr._view_batches import show_batch, view_arguments, with_shown_references
from captum_superpixel.attr._views import View
from captum_superpixel.attr._wrapper import as_tensors
from captum_superpixel.attr.laid_out import LayerReader, ReshapeTransform, read_layer

__all__ = ["at_full_size", "explain_views", "read_layer_of_maps"]


def read_layer_of_maps(
    method: Attribution,
    call: AttributeCall,
    inputs: tuple[Tensor, ...],
    image: int,
    reshape_transform: ReshapeTransform | None,
) -> LayerReader | None:
    """Let a call lay its layer's output out, and return what lays its maps over the image; None for maps of inputs.

    Args:
        method: The method that is called.
        call: The call, which has not been made yet.
        inputs: Of the network.
        image: Which of them the layer is laid over.
        reshape_transform: From the layer's output to ``(N, C, h, w)``, None to find the layout.
    """
    reader = read_layer(method, call, inputs, image, reshape_transform)
    # Grad-CAM inside of a method that attributes to the inputs has its layer laid out, too.
    return reader if has_layer_output(method) else None


def at_full_size(maps: Any, reader: LayerReader | None) -> Any:
    """Lay the map of a layer over the image; maps of inputs stay as they are."""
    if reader is None:
        return maps
    laid_over = reader.map_of(maps, "bilinear")
    return (laid_over,) if isinstance(maps, tuple) else laid_over


def explain_views(
    method: Attribution,
    call: AttributeCall,
    inputs: Tensor | tuple[Tensor, ...],
    views: Sequence[View],
    largest: Sequence[Sequence[int]],
    reader: LayerReader | None,
) -> Any:
    """Explain views of the inputs, and leave the maps at the places of the views.

    Args:
        method: The method that is called.
        call: The call, which stays as it is.
        inputs: Of the network, with N examples.
        views: V of them, which are explained together.
        largest: The largest shift along each spatial axis of each input, in pixels; none for what is no image.
        reader: Lays maps of a layer over the image; None for maps of the inputs.

    Returns:
        What the method returns, of ``N * V`` examples, all views of an image in a row; of a layer at full size.

    Raises:
        TypeError: If maps are not tensors.
        ValueError: If maps have not the places of the inputs.
    """
    tensors = inputs if isinstance(inputs, tuple) else (inputs,)
    seen = tuple(show_batch(tensor, views, sizes) for tensor, sizes in zip(tensors, largest, strict=True))
    if isinstance(method, GradientAttribution):
        # Captum would warn of each view that it asks for gradients.
        seen = tuple(one.requires_grad_() if one.is_floating_point() else one for one in seen)
    shown = call.with_method(method)
    shown.change = partial(_change, call.change, views, tensors, largest)
    arguments = view_arguments(call, tensors, views, largest)
    maps = at_full_size(shown(seen if isinstance(inputs, tuple) else seen[0], **arguments), reader)
    over = range(len(tensors)) if reader is None else [_image_of(largest)]
    _check_maps(
        as_tensors(maps, method),
        method,
        len(tensors[0]) * len(views),
        [tensors[index] for index in over],
        [largest[index] for index in over],
    )
    return maps


def _image_of(largest: Sequence[Sequence[int]]) -> int:
    """Which of the inputs is the first image."""
    return next((index for index, sizes in enumerate(largest) if sizes), 0)


def _change(
    change: Callable[[Attribution], Attribution],
    views: Sequence[View],
    tensors: tuple[Tensor, ...],
    largest: Sequence[Sequence[int]],
    method: Attribution,
) -> Attribution:
    """Copy a method as a call does, and with references that go along with the views."""
    return with_shown_references(change(method), tensors, views, largest)


def _check_maps(
    maps: tuple[Tensor, ...],
    method: Attribution,
    count: int,
    over: Sequence[Tensor],
    sizes: Sequence[Sequence[int]],
) -> None:
    """Raise ValueError unless maps have the places of the inputs, or of the image that a layer was laid over."""
    if len(maps) != len(over):
        raise ValueError(f"{describe(method)} returned {len(maps)} maps for {len(over)} inputs: views need one of each")
    for one, tensor, shifts in zip(maps, over, sizes, strict=True):
        if len(one) != count or (shifts and one.shape[2:] != tensor.shape[2:]):
            raise ValueError(
                f"{describe(method)} returned a map of shape {tuple(one.shape)} for {count} views of shape "
                f"{tuple(tensor.shape[1:])}: only maps of the places of the image can be brought back to it"
            )
