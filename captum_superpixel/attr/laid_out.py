"""Methods whose layer has channels last or tokens, made to give maps ``(N, C, h, w)``."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

from captum.attr import Attribution, LayerGradCam, NoiseTunnel
from torch import Tensor
from torch.nn import LayerNorm, Module, MultiheadAttention, RMSNorm

from captum_superpixel._networks import first_logits, networks_of
from captum_superpixel.attr._captum import AttributeCall, has_layer_output, innermost, log_usage
from captum_superpixel.attr._failures import layer_of
from captum_superpixel.attr._grad_cam import LaidOutGradCam, is_grad_cam
from captum_superpixel.attr._wrapper import Wrapper
from captum_superpixel.attr.first_tensor import reading_first_tensor
from captum_superpixel.attr.given_layout import GivenLayout, ReshapeTransform
from captum_superpixel.attr.grouping import lay_over
from captum_superpixel.attr.layouts import Layout, LayoutError, channel_axis_of_type, find_layout
from captum_superpixel.attr.observing import Observation, observe, regroups_places

__all__ = [
    "LaidOut",
    "LayerReader",
    "ReshapeTransform",
    "check_reshape_transform",
    "looks_at_layer",
    "read_layer",
    "with_layout",
]


def looks_at_layer(method: Attribution) -> bool:
    """Whether a method's maps are those of a layer, or are made with a Grad-CAM of one."""
    return has_layer_output(method) or any(isinstance(held, LayerGradCam) for held in _held(method))


def with_layout(method: Attribution, lay_out: ReshapeTransform) -> Attribution:
    """Copy a method, and the methods that it holds, so that Grad-CAM weighs the channels of the laid out layer.

    Grad-CAM averages the gradients of a channel over the places: over the wrong axes where the channels are not the
    second one, so that its map cannot be laid out afterwards. Other methods give each element of the layer its own
    value, and are left as they are, but that of a layer that returns a tuple with one tensor they read the tensor.

    Args:
        method: Any attribution method, wrappers included.
        lay_out: From the output of the layer, and from its gradient, to ``(N, C, h, w)``.
    """
    method = reading_first_tensor(method)
    if is_grad_cam(method):
        return LaidOutGradCam(cast(LayerGradCam, method), lay_out)
    held = {name: value for name, value in vars(method).items() if isinstance(value, Attribution)}
    changed = {name: with_layout(value, lay_out) for name, value in held.items()}
    if all(changed[name] is held[name] for name in held):
        return method
    result = copy.copy(method)
    vars(result).update(changed)
    return result


class LayerReader:
    """Lays the output of a method's layer, and maps of it, out as ``(N, C, h, w)``: as told, or as it finds by itself.

    Args:
        method: The method.
        inputs: Of the network, tensors ``(N, *)``.
        image: Which of them the layer is laid over.
        further: Further arguments of the network.
        at_input: Whether the method looks at the layer's input.
        reshape_transform: From the output to ``(N, C, h, w)``, None to find the layout. Only outputs of layers of
            images are looked into; those of series and volumes have channels first.
    """

    def __init__(
        self,
        method: Attribution,
        inputs: tuple[Tensor, ...],
        image: int,
        further: tuple[Any, ...] = (),
        at_input: bool = False,
        reshape_transform: ReshapeTransform | None = None,
    ) -> None:
        self._method = innermost(method)
        self._needed = _gives_layer_output(method)
        self._inputs, self._image, self._further = inputs, image, further
        self._at_input = at_input
        dimensions = inputs[image].dim() - 2
        self._given = None if reshape_transform is None else GivenLayout(reshape_transform, dimensions)
        self._layouts: dict[tuple[int, ...], Layout] = {}

    def __call__(self, output: Tensor) -> Tensor:
        """Lay an output out.

        Raises:
            LayoutError: If it cannot be, or the transform returns no map.
        """
        if self._given is not None:
            return self._given(output)
        if self._inputs[self._image].dim() != 4:
            return output
        shape = tuple(output.shape[1:])
        if shape not in self._layouts:
            self._layouts[shape] = self._find(shape)
        return self._layouts[shape](output)

    def map_of(self, maps: object, interpolate_mode: str) -> Tensor:
        """Lay the map that the method returned over the image, ``(N, C, H, W)``.

        Raises:
            TypeError: If it is no tensor.
            ValueError: If there are several, or it cannot be laid over the image.
        """
        name, images = type(self._method).__name__, self._inputs[self._image]
        if isinstance(maps, (list, tuple)):
            if len(maps) != 1:
                raise ValueError(
                    f"{name} returned maps of {len(maps)} layers or outputs: group one output of one layer at a time"
                )
            maps = maps[0]
        if not isinstance(maps, Tensor):
            raise TypeError(f"the map of {name} must be a tensor, but is a {type(maps).__name__}")
        laid_out = self(maps) if self._needed else maps
        if laid_out.dim() != images.dim() or not 1 <= images.dim() - 2 <= 3:
            raise ValueError(
                f"{name} returned a map of shape {tuple(laid_out.shape)} for an input of shape {tuple(images.shape)}: "
                "only a spatial layer can be laid over the input; choose a convolution, or pass reshape_transform="
            )
        return lay_over(laid_out, images.shape[2:], interpolate_mode)

    def _find(self, shape: tuple[int, ...]) -> Layout:
        images, layer = self._inputs[self._image], layer_of(self._method)
        whole = (len(images), *shape)
        networks = list(networks_of(self._method.forward_func))
        try:
            if layer is None or _is_plain(networks, layer, whole, images):
                return find_layout(whole, images.shape, layer)
            seen = self._observe(networks, layer)
            observed = seen.layers[layer].shape
            if observed is not None and observed[1:] != shape:
                return find_layout(whole, images.shape)  # a map of a method's own
            return seen.layout(layer)
        except LayoutError as error:
            name, what = type(self._method).__name__, "layer" if layer is None else f"layer {type(layer).__name__}"
            raise LayoutError(f"the {what} of {name} cannot be laid over the images: {error}") from None

    def _observe(self, networks: list[Module], layer: Module) -> Observation:
        def run(images: Tensor) -> Any:
            inputs = [*self._inputs[: self._image], images, *self._inputs[self._image + 1 :]]
            output = self._method.forward_func(*inputs, *self._further)
            try:
                return first_logits(output)
            except ValueError:
                return output

        modules = {module: name for network in (*networks, layer) for name, module in network.named_modules()}
        if self._at_input:
            modules = {layer: modules[layer]}
        named = [(name, module) for module, name in modules.items()]
        return observe(run, named, self._inputs[self._image], self._at_input)


def read_layer(
    method: Attribution,
    call: AttributeCall,
    inputs: tuple[Tensor, ...],
    image: int,
    reshape_transform: ReshapeTransform | None,
) -> LayerReader | None:
    """Let a call lay its layer's output out, and return what lays its maps out; None where there is no layer.

    Args:
        method: The method that is called.
        call: The call, which has not been made yet.
        inputs: Of the network.
        image: Which of them the layer is laid over.
        reshape_transform: From the layer's output to ``(N, C, h, w)``, None to find the layout.
    """
    if not looks_at_layer(method):
        return None
    at_input = bool(call.get("attribute_to_layer_input"))
    reader = LayerReader(method, inputs, image, call.further_arguments, at_input, reshape_transform)
    call.change = partial(with_layout, lay_out=reader)
    return reader


class LaidOut(Wrapper):
    """A method whose layer is laid out: its maps are ``(N, C, h, w)``.

    Args:
        method: Any attribution method.
        layout: Of its layer.
    """

    # What wraps it warns.
    warns_of_network = False

    def __init__(self, method: Attribution, layout: Layout | GivenLayout) -> None:
        super().__init__(with_layout(method, layout))
        self.layout = layout

    @log_usage
    def attribute(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Attribute with the method; its arguments are its own, but for a ``layer_mask``, which is of the map."""
        if kwargs.get("layer_mask") is not None:
            kwargs["layer_mask"] = self.layout.to_layer(kwargs["layer_mask"])
        maps: Any = cast(Any, self.attribution_method).attribute(inputs, *args, **kwargs)
        return self.layout(maps) if _gives_layer_output(self.attribution_method) else maps


def check_reshape_transform(transform: object, method: Attribution) -> None:
    """Raise TypeError or ValueError unless this is None, or a callable for the maps of a layer."""
    if transform is None:
        return
    if not callable(transform):
        raise TypeError(
            f"reshape_transform must be a callable from a layer's output to (N, C, h, w), but is a "
            f"{type(transform).__name__}"
        )
    if not looks_at_layer(method):
        raise ValueError(
            f"reshape_transform lays out the output of a layer, and {type(innermost(method)).__name__} looks at none: "
            "leave it out, or use a method of a layer, such as LayerGradCam"
        )


def _gives_layer_output(method: Attribution) -> bool:
    """Whether maps have the layout of the layer still, after :func:`with_layout`."""
    while isinstance(method, NoiseTunnel) or hasattr(method, "call_signature"):
        if isinstance(method, LaidOut) or hasattr(method, "reshape_transform"):
            return False
        method = cast(NoiseTunnel, method).attribution_method
    return has_layer_output(method) and not (is_grad_cam(method) or isinstance(method, LaidOutGradCam))


def _held(method: Attribution) -> Iterator[Attribution]:
    for value in vars(innermost(method)).values():
        if isinstance(value, Attribution):
            yield value
            yield from _held(value)


def _is_plain(networks: list[Module], layer: Module, shape: tuple[int, ...], images: Tensor) -> bool:
    """Whether an output has its channels first beyond doubt, so that the network need not run once more."""
    if len(shape) != 4 or any(regroups_places(network.modules()) for network in networks):
        return False
    if channel_axis_of_type(layer, shape) == 1:
        return True
    mixing = (LayerNorm, RMSNorm, MultiheadAttention)
    if not networks or any(isinstance(module, mixing) for network in networks for module in network.modules()):
        return False
    try:
        return find_layout(shape, images.shape).channel_axis == 1
    except LayoutError:
        return False
