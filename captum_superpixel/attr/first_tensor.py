"""Layers that return a tuple with one tensor, such as attention and the blocks of Swin: the tensor alone is read."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from captum.attr import Attribution, LayerLRP
from torch import Tensor
from torch.nn import Module, MultiheadAttention
from torch.utils.hooks import RemovableHandle

__all__ = ["FirstTensor", "first_tensor", "reading_first_tensor"]


class FirstTensor(Module):
    """Stands in for a layer of a method: hooks are given the first tensor of what the layer returns.

    Captum clones all that a layer returns, and fails where that is None or a number. What a hook puts in the place of
    the tensor goes back into the tuple. Where the layer returns something else, hooks are given that, as always.

    Args:
        layer: The layer, which is left as it is.
    """

    layer: Module

    def __init__(self, layer: Module) -> None:
        super().__init__()
        # Not as a part of this module, or names and parameters of the layer would change.
        self.__dict__["layer"] = layer

    def register_forward_hook(self, hook: Callable[..., Any], **options: Any) -> RemovableHandle:
        """Let the layer call a hook with its first tensor; see ``Module.register_forward_hook``."""

        def call(module: Module, inputs: Any, output: Any) -> Any:
            tensor = first_tensor(output)
            if tensor is None or tensor is output:
                return hook(module, inputs, output)
            changed = hook(module, inputs, tensor)
            return None if changed is None else type(output)([changed, *output[1:]])

        handle: RemovableHandle = self.layer.register_forward_hook(call, **options)
        return handle

    def register_forward_pre_hook(self, hook: Callable[..., Any], **options: Any) -> RemovableHandle:
        """Let the layer call a hook before it runs; see ``Module.register_forward_pre_hook``."""
        handle: RemovableHandle = self.layer.register_forward_pre_hook(hook, **options)
        return handle


def first_tensor(output: object) -> Tensor | None:
    """Find the tensor that a module returned, by itself or as the first and only tensor of a tuple or list.

    Examples:
        >>> import torch
        >>> first_tensor((torch.tensor(3), None, 7)), first_tensor((torch.tensor(3), torch.tensor(4)))
        (tensor(3), None)
    """
    if isinstance(output, Tensor):
        return output
    if type(output) not in (tuple, list) or not output or not isinstance(output[0], Tensor):  # type: ignore[index]  # tuples and lists have members
        return None
    return None if any(isinstance(other, Tensor) for other in output[1:]) else output[0]  # type: ignore[index]  # as above


def reading_first_tensor(method: Attribution) -> Attribution:
    """Copy a method of a layer that may return a tuple, so that it reads the tensor in it; others are left alone."""
    layer = getattr(method, "layer", None)
    if not isinstance(layer, Module) or isinstance(layer, FirstTensor) or isinstance(method, LayerLRP):
        return method
    if type(layer).__module__.startswith("torch.nn.") and not isinstance(layer, MultiheadAttention):
        return method  # of torch's own modules only that one, and recurrent ones, return tuples
    result = copy.copy(method)
    vars(result)["layer"] = FirstTensor(layer)
    return result
