"""One pass of a network, watched: what each layer returns, how often, from which operations, and of what it depends."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.nn import Module

from captum_superpixel._seeds import remember_generators
from captum_superpixel.attr._failures import describe_type
from captum_superpixel.attr.first_tensor import first_tensor
from captum_superpixel.attr.layouts import (
    Layout,
    LayoutError,
    Surroundings,
    channel_axis_of_type,
    find_layout,
    is_normalized_last,
)

__all__ = ["Observation", "Observed", "observe", "regroups_places"]

_CHANNELS_FIRST = ("Convolution", "BatchNorm", "MaxPool", "AvgPool", "Upsample", "GroupNorm")
_AXES_KEPT = {
    *("Relu", "LeakyRelu", "Prelu", "Gelu", "Silu", "Elu", "Hardtanh", "Hardswish", "Hardsigmoid", "Mish", "Sigmoid"),
    *("Tanh", "Softplus", "Threshold", "Clamp", "Softmax", "Add", "Sub", "Mul", "Div", "Pow", "Neg", "NativeDropout"),
    *("Clone", "Copy", "ToCopy", "Alias", "Cat", "Slice", "ConstantPadNd", "ReflectionPad2D", "BackwardHookFunction"),
}
"""Operations of autograd whose result has the axes of what they are given."""
_REGROUPING = ("Hiera", "MobileViTV2")
"""How the classes of networks begin that keep places in another order than rows and columns in some of their layers."""


@dataclass
class Observed:
    """What a layer returned when it ran last.

    Attributes:
        name: Its dotted name.
        module: The layer.
        output: What it returned: a description of its type where that was no tensor.
        shape: Of the tensor, or of the first in a tuple, if that is the only one; None where there is none.
        edge: Where gradients of the tensor arrive; None without any.
        calls: How often it ran.
    """

    name: str
    module: Module
    output: str = ""
    shape: tuple[int, ...] | None = None
    edge: GradientEdge | None = None
    calls: int = 0


@dataclass
class Observation:
    """One pass of a network.

    Attributes:
        images: ``(N, C, H, W)``, what it ran on: a leaf that requires a gradient.
        layers: All layers that ran, in the order in which they finished last.
        outcome: What the network returned.
    """

    images: Tensor
    layers: dict[Module, Observed] = field(default_factory=dict)
    outcome: Any = None

    def __post_init__(self) -> None:
        self._depending: dict[Node, bool] = {}
        self._around: Surroundings | None = None

    def depends_on_image(self, edge: GradientEdge | None) -> bool:
        """Whether a tensor was computed from the images, by operations that pass gradients on."""
        if edge is None:
            return False
        known, stack = self._depending, [edge.node]
        known.setdefault(get_gradient_edge(self.images).node, True)
        while stack:
            node = stack[-1]
            before = [parent for parent, _ in node.next_functions if parent is not None]
            unknown = [parent for parent in before if parent not in known]
            if node in known or not unknown:
                known.setdefault(node, any(known[parent] for parent in before))
                stack.pop()
            else:
                stack += unknown
        return known[edge.node]

    def layout(self, layer: Module) -> Layout:
        """Find how the output of a layer that ran lies over the images.

        Raises:
            LayoutError: If it has no places, more than one reading, or does not depend on the images.
        """
        seen = self.layers[layer]
        if seen.shape is None:
            raise LayoutError(f"it returns {seen.output}, no tensor", "choose a layer that returns one")
        if self._can_tell and not self.depends_on_image(seen.edge):
            raise LayoutError(
                f"its output {seen.shape} does not depend on the images, so that a map of it says nothing of them",
                "choose a layer that does",
            )
        axis = None if seen.edge is None else _channel_axis_of_operations(seen.edge.node, len(seen.shape))
        around = Surroundings(self._surroundings.grids, self._surroundings.token_counts, axis)
        found = find_layout(seen.shape, self.images.shape, layer, around)
        if regroups_places(self.layers) and self._is_out_of_order(seen):
            raise LayoutError(
                f"the places of its output {seen.shape} are not in the order of rows and columns, but patch by patch",
                "choose a layer behind those that work on patches, such as the next convolution or the last stage, or "
                "pass reshape_transform=, a function from the layer's output to (N, C, h, w) that restores the order",
            )
        return found

    def reached(self, layers: Mapping[Module, Callable[[Tensor], Tensor]]) -> set[Module]:
        """Find the layers at whose places what the network returns depends on what they return.

        Tokens of the image behind the last attention of a network that classifies by its class token are not.

        Args:
            layers: The layouts of layers that depend on the images, from output, or its gradient, to ``(N, C, h, w)``.
        """
        found: set[Module] = set()
        output: Tensor = self.outcome

        def note(layer: Module, index: int, gradients: tuple[Tensor | None, ...]) -> None:
            gradient = gradients[index]
            if gradient is not None and bool(layers[layer](gradient).any()):
                found.add(layer)

        with ExitStack() as hooks:
            for layer in layers:
                edge = self.layers[layer].edge
                if edge is not None:
                    hooks.callback(edge.node.register_prehook(partial(note, layer, edge.output_nr)).remove)
            # Other weights for each output: probabilities add up to a constant, and have no gradient then.
            weights = torch.linspace(1, 2, output.numel(), dtype=output.dtype, device=output.device)
            torch.autograd.grad((output * weights.view(output.shape)).sum(), self.images)
        return found

    def _is_out_of_order(self, seen: Observed) -> bool:
        """Whether the places of a layer of such a network as ``regroups_places`` knows are regrouped."""
        if any(type(module).__name__.startswith("Hiera") for module in self.layers):
            # The tokens of a mask unit stand together until pooling has left one of each.
            tokens = [other.shape[1] for other in self.layers.values() if other.shape and len(other.shape) == 3]
            grid = [count for count in tokens if count > 1]
            return seen.shape is not None and len(seen.shape) == 3 and seen.shape[1] > min(grid)
        # Breadth first: the last operation that unfolded or folded.
        known: set[Node] = set()
        level = [] if seen.edge is None else [seen.edge.node]
        while level:
            names = [node.name() for node in level]
            if any(name.startswith("Col2Im") for name in names):
                return False
            if any(name.startswith("Im2Col") for name in names):
                return True
            parents = {parent for node in level for parent, _ in node.next_functions if parent is not None}
            known.update(level)
            level = list(parents - known)
        return False

    @property
    def _can_tell(self) -> bool:
        """Whether gradients say what depends on the images: what the network returns does."""
        tensors = [self.outcome] if isinstance(self.outcome, Tensor) else []
        return any(tensor.requires_grad and self.depends_on_image(get_gradient_edge(tensor)) for tensor in tensors)

    @property
    def _surroundings(self) -> Surroundings:
        if self._around is None:
            grids, counts = set(), set()
            for seen in self.layers.values():
                shape = seen.shape
                if shape is None or shape[0] != len(self.images) or not self.depends_on_image(seen.edge):
                    continue
                axis = channel_axis_of_type(seen.module, shape) if len(shape) == 4 else None
                if axis is not None:
                    grids.add((shape[2], shape[3]) if axis == 1 else (shape[1], shape[2]))
                if is_normalized_last(seen.module, shape):
                    counts.add(shape[1])
            self._around = Surroundings({grid for grid in grids if grid != (1, 1)}, counts)
        return self._around


def observe(
    run: Callable[[Tensor], Any], modules: Iterable[tuple[str, Module]], images: Tensor, at_input: bool = False
) -> Observation:
    """Run a network once, and note what its layers return.

    Args:
        run: From images to what the network returns.
        modules: The layers by their names.
        images: ``(N, C, H, W)``.
        at_input: Whether what the layers are given is noted, instead.
    """
    bring_back, here = remember_generators(), threading.get_ident()
    with torch.enable_grad():
        seen = Observation(images.detach().clone().requires_grad_())

        def note(name: str, module: Module, values: Any) -> None:
            if threading.get_ident() != here:  # another one that uses the network at the same time
                return
            calls = seen.layers.pop(module).calls if module in seen.layers else 0
            tensor = first_tensor(values)
            seen.layers[module] = Observed(
                name,
                module,
                output="a tensor" if tensor is not None else describe_type(values),
                shape=None if tensor is None else tuple(tensor.shape),
                edge=get_gradient_edge(tensor) if tensor is not None and tensor.requires_grad else None,
                calls=calls + 1,
            )

        def before(name: str, module: Module, arguments: Any) -> None:
            note(name, module, arguments)

        def after(name: str, module: Module, arguments: Any, output: Any) -> None:
            note(name, module, output)

        with ExitStack() as hooks:
            for name, module in modules:
                handle = (
                    module.register_forward_pre_hook(partial(before, name))
                    if at_input
                    else module.register_forward_hook(partial(after, name))
                )
                hooks.callback(handle.remove)
            seen.outcome = run(seen.images)
    bring_back()
    return seen


def regroups_places(modules: Iterable[Module]) -> bool:
    """Whether a network of these modules may keep places patch by patch, or in another order, within some layers."""
    return any(type(module).__name__.startswith(_REGROUPING) for module in modules)


def _channel_axis_of_operations(node: Node, rank: int) -> int | None:
    """Follow elementwise operations and permutations back to one whose channels are known; None if there is none."""
    stack = [(node, tuple(range(rank)))]
    for _ in range(100):
        if not stack:
            break
        node, axes = stack.pop()
        name = re.sub(r"Backward\w*$", "", node.name())
        if any(part in name for part in _CHANNELS_FIRST):
            return axes.index(1) if rank == 4 else None
        saved: Any = node
        if name == "NativeLayerNorm":
            return axes.index(rank - 1) if len(saved._saved_normalized_shape) == 1 else None
        if name == "Permute":
            dims = [_signed(dim) % rank for dim in saved._saved_dims]
            axes = tuple(dims[axis] for axis in axes)
        elif name == "Transpose":
            one, other = (_signed(dim) % rank for dim in (saved._saved_dim0, saved._saved_dim1))
            axes = tuple({one: other, other: one}.get(axis, axis) for axis in axes)
        elif name not in _AXES_KEPT:
            continue
        parents = [parent for parent, _ in node.next_functions if parent is not None]
        stack += [(parent, axes) for parent in reversed(parents)]
    return None


def _signed(value: int) -> int:
    """Autograd keeps negative dimensions as unsigned numbers of 64 bits."""
    return value - 2**64 if value >= 2**63 else value
