"""The layer that a method looks at: named, or the last one that gives a map; and a list of those that do."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from captum.attr import Attribution
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from captum_superpixel._checks import InputError
from captum_superpixel.attr.first_tensor import reading_first_tensor
from captum_superpixel.attr.given_layout import GivenLayout, ReshapeTransform
from captum_superpixel.attr.laid_out import LaidOut
from captum_superpixel.attr.layouts import Layout, LayoutError
from captum_superpixel.attr.observing import Observation, observe

__all__ = ["FoundLayer", "find_layer", "list_layers", "usable_layers"]

LIST = "list"
"""What stands for a name to see all layers."""


@dataclass(frozen=True)
class FoundLayer:
    """A layer that gives a map.

    Attributes:
        name: Its dotted name.
        module: The layer.
        layout: How its output is a map.
        why: Why it is the one, in words; empty for a layer that the user named.
    """

    name: str
    module: nn.Module
    layout: Layout | GivenLayout
    why: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the map."""
        height, width = self.layout.size
        return height, width

    def __str__(self) -> str:
        """Name and size, as in ``layer: features.12 (13 x 13), the last that gives a map``."""
        height, width = self.size
        return f"layer: {self.name} ({height} x {width}){f', {self.why}' if self.why else ''}"

    def lay_out(self, method: Attribution) -> Attribution:
        """Make a method of the layer give maps ``(N, C, h, w)``."""
        layout = self.layout
        if isinstance(layout, Layout) and layout.rank == 4 and layout.channel_axis == 1:
            return reading_first_tensor(method)
        return LaidOut(method, layout)


def find_layer(
    model: nn.Module,
    name: str | None,
    method: str | None,
    inputs: Tensor,
    transform: ReshapeTransform | None = None,
) -> FoundLayer:
    """Find a layer of a network: by its name, or the last one that gives a map.

    A layer that is chosen has at least two rows and columns; is no part of an attention, whose queries, keys and values
    are not what the network works on from block to block; has other channels than one for each class, which would show
    of a class nothing but itself; and is no Dropout or Identity, which only return what another layer did.

    Args:
        model: The network, from images to logits.
        name: The layer's name among ``model.named_modules()``; None if the user named none.
        method: The name of the method that needs it; None where the layers are only listed.
        inputs: ``(1, C, H, W)``.
        transform: From the output of the layer that the user named to ``(N, C, h, w)``; None to find how it lies.

    Raises:
        InputError: If there is no such layer, or it gives no map of at least two places that depends on the image and
            that the logits depend on, or the transform makes none.
    """
    modules = {known: module for known, module in model.named_modules() if known}
    if name is not None and name not in modules:
        near = [known for known in modules if known.endswith(f".{name}")]
        near += [known for known in difflib.get_close_matches(name, modules, n=5, cutoff=0.5) if known not in near]
        hint = f"near names are {', '.join(near[:5])}" if near else f"--layer {LIST} shows all that give a map"
        raise InputError(f"--layer {name} is no module of this network, which has {len(modules)}; {hint}.")
    seen = _observe(model, inputs)
    if name is not None and transform is not None:
        return _transformed(seen, name, modules[name], transform)
    usable = _usable(seen)
    if name in usable:
        return usable[name]
    if not usable:
        hidden = any(module for module in modules.values() if hasattr(module, "original_name"))
        cause = " (TorchScript does not show what its modules return)" if hidden else ""
        asked = f"--method {method}" if name is None and method is not None else f"--layer {name or LIST}"
        raise InputError(
            f"{asked} needs a layer that gives a map, and no module of this network gives one that depends on the "
            f"image{cause}: use a method without a layer, such as IntegratedGradients."
        )
    fitting = [layer for layer in usable.values() if _is_fit(layer, seen, modules)] or list(usable.values())
    if name is not None:
        others = ", ".join(layer.name for layer in fitting[-3:])
        told = ", or say by --reshape-transform how its output is a map" if _could_be_told(seen, modules[name]) else ""
        raise InputError(
            f"--layer {name} cannot be used: {_reason(seen, modules[name])}; use such as {others} "
            f"(--layer {LIST} shows all){told}."
        )
    # LayerLRP has rules for single layers alone, and for few kinds of them.
    simple = [layer for layer in fitting if isinstance(layer.module, nn.Conv2d)] if method == "LayerLRP" else []
    last = (simple or fitting)[-1]
    return FoundLayer(last.name, last.module, last.layout, why="the last that gives a map")


def usable_layers(model: nn.Module, inputs: Tensor) -> dict[str, FoundLayer]:
    """Find the layers that give a map of at least two places, in the order in which they finish.

    Their output depends on the image and the logits on it, place by place; they run once in a pass.

    Args:
        model: The network, from images to logits.
        inputs: ``(1, C, H, W)``.

    Examples:
        >>> import torch
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> list(usable_layers(model, torch.rand(1, 3, 8, 8)))
        ['0']
    """
    return _usable(_observe(model, inputs))


def list_layers(model: nn.Module, inputs: Tensor) -> str:
    """Say which layers give a map, a line each: the size of the map, the name and the class.

    Raises:
        InputError: If there are none.
    """
    chosen = find_layer(model, None, None, inputs)
    rows = [
        ("->" if name == chosen.name else "", f"{layer.size[0]} x {layer.size[1]}", name, type(layer.module).__name__)
        for name, layer in usable_layers(model, inputs).items()
    ]
    size, name = (max(len(row[column]) for row in rows) for column in (1, 2))
    lines = [f"{mark:2} {sizes:>{size}}  {known:{name}}  {kind}" for mark, sizes, known, kind in rows]
    return "\n".join(["layers that give a map, by height and width; -> is used without --layer:", *lines])


def _observe(model: nn.Module, inputs: Tensor) -> Observation:
    return observe(model, [(name, module) for name, module in model.named_modules() if name], inputs)


def _usable(seen: Observation) -> dict[str, FoundLayer]:
    layouts: dict[nn.Module, Layout] = {}
    for module in seen.layers:
        try:
            layout = seen.layout(module)
        except LayoutError:
            continue
        if layout.size[0] * layout.size[1] > 1 and seen.layers[module].calls == 1:
            layouts[module] = layout
    reached = seen.reached(layouts)
    found = [(seen.layers[module].name, module, layout) for module, layout in layouts.items() if module in reached]
    return {name: FoundLayer(name, module, layout) for name, module, layout in found}


def _transformed(seen: Observation, name: str, module: nn.Module, transform: ReshapeTransform) -> FoundLayer:
    """The layer that the user named, laid out as the user says."""
    observed = seen.layers.get(module)
    if observed is None or observed.shape is None or observed.calls > 1:
        raise InputError(f"--layer {name} cannot be used: {_reason(seen, module)}.")
    layout = GivenLayout(transform, shape=observed.shape[1:])
    try:
        height, width = layout.size
    except LayoutError as error:
        raise InputError(f"--layer {name} with --reshape-transform: {error}.") from error
    if height * width == 1:
        raise InputError(f"--layer {name} with --reshape-transform gives a map of a single place: it must return more.")
    if not seen.depends_on_image(observed.edge) or module not in seen.reached({module: layout}):
        raise InputError(
            f"--layer {name} cannot be used: its output does not depend on the image, or the logits not on the "
            f"{height} x {width} places that --reshape-transform makes of it; --layer {LIST} shows layers that can."
        )
    return FoundLayer(name, module, layout, why="as --reshape-transform lays it out")


def _reason(seen: Observation, module: nn.Module) -> str:
    """Why a module of the network is none of the usable layers."""
    if module not in seen.layers:
        return "it does not run when the network does"
    if seen.layers[module].calls > 1:
        return f"it runs {seen.layers[module].calls} times in a pass, and has no single output"
    try:
        layout = seen.layout(module)
    except LayoutError as error:
        return error.reason
    if layout.size == (1, 1):
        return f"its output {seen.layers[module].shape} has a single place, and is no map"
    return f"the logits do not depend on the {layout.size[0]} x {layout.size[1]} places of its output"


def _could_be_told(seen: Observation, module: nn.Module) -> bool:
    """Whether a module may give a map that only the user knows the layout of."""
    observed = seen.layers.get(module)
    if observed is None or observed.calls > 1 or observed.shape is None or len(observed.shape) < 3:
        return False
    try:
        seen.layout(module)
    except LayoutError:
        return seen.depends_on_image(observed.edge)
    return False


def _is_fit(layer: FoundLayer, seen: Observation, modules: dict[str, nn.Module]) -> bool:
    """Whether a layer is one that people would look at: see ``find_layer``."""
    parts = layer.name.split(".")
    above = [modules[".".join(parts[:count])] for count in range(1, len(parts))]
    in_attention = any("attention" in type(module).__name__.lower() for module in above)
    layout = layer.layout
    shape = seen.layers[layer.module].shape or ()
    channels = shape[layout.channel_axis] if isinstance(layout, Layout) else 0
    passes_on = isinstance(layer.module, (nn.Identity, _DropoutNd))
    return min(layer.size) > 1 and not in_attention and not passes_on and channels != seen.outcome.shape[-1]
