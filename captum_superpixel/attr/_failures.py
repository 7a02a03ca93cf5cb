"""Why a call of Captum failed, where its own message does not say so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from captum.attr import Attribution
from torch import Tensor
from torch.nn import Module

from captum_superpixel._checks import listed
from captum_superpixel.attr.first_tensor import FirstTensor


@dataclass
class Probe:
    """What a network and the layer of a method return; nothing where the network fails by itself."""

    ran: bool = False
    output: Any = None
    of_layer: dict[str, Any] = field(default_factory=dict)
    """By the path below the layer, ``""`` for itself, in the order in which the modules finished."""


@torch.no_grad()
def probe(method: Attribution, inputs: tuple[Any, ...]) -> Probe:
    """Run a method's network once, and note what it and the method's layer return.

    Args:
        method: The method that looks into the network, no wrapper of it.
        inputs: All arguments of the network.
    """
    seen, layer = Probe(), layer_of(method)
    handles = []
    for name, module in layer.named_modules() if layer is not None else ():

        def note(module: Module, arguments: object, output: object, name: str = name) -> None:
            seen.of_layer[name] = output

        handles.append(module.register_forward_hook(note))
    try:
        seen.output, seen.ran = method.forward_func(*inputs), True
    except Exception:  # what the network raises is what the method raised
        pass
    finally:
        for handle in handles:
            handle.remove()
    return seen


def inference_cause(error: Exception, tensors: tuple[object, ...]) -> str | None:
    """Say that gradients were asked for of tensors of an inference mode, if that is why there was an error."""
    if not isinstance(error, RuntimeError):
        return None
    if torch.is_inference_mode_enabled():
        if "grad" not in str(error):
            return None
        return (
            "attribute was called inside of torch.inference_mode(), where nothing has a gradient: call it outside, or "
            "under torch.no_grad(), which Captum lifts"
        )
    if "nference tensor" not in str(error):
        return None
    if any(isinstance(tensor, Tensor) and tensor.is_inference() for tensor in tensors):
        return (
            "the inputs were made inside of torch.inference_mode(), and can have no gradient: pass copies made outside "
            "of it, inputs.clone()"
        )
    return (
        "the network's parameters, or further arguments, were made inside of torch.inference_mode(), and can have no "
        "gradient: make or load them outside of it, or pass tensor.clone()"
    )


def integer_cause(error: Exception, inputs: tuple[object, ...]) -> str | None:
    """Say that the inputs are integers, if that is why a gradient or an operation of torch was missing."""
    kinds = [tensor.dtype for tensor in inputs if isinstance(tensor, Tensor) and not tensor.is_floating_point()]
    no_gradient = ("does not require grad", "appears to not have been used in the graph", "can require gradients")
    if not kinds or not any(text in str(error) for text in (*no_gradient, "not implemented for '")):
        return None
    lacks = "few operations" if "not implemented for '" in str(error) else "no gradients"
    return f"torch has {lacks} for inputs of {kinds[0]}: pass inputs.float(), scaled as the network takes them"


def gradient_cause(error: Exception, method: Attribution, seen: Probe) -> str | None:
    """Say that the network's output has no gradient, if that is why a method that asks for one failed."""
    if not isinstance(error, RuntimeError) or not seen.ran:
        return None
    if "does not require grad" not in str(error) and "appears to not have been used in the graph" not in str(error):
        return None
    if layer_of(method) is not None and "does not require grad" not in str(error):
        return None
    return (
        "the network's output has no gradient with respect to the inputs, as that of a black box, or of a network that "
        "detaches its images or runs under torch.no_grad(): use a method that asks for none, such as KernelShap, Lime, "
        "FeatureAblation, ShapleyValueSampling or Occlusion, or let the network pass gradients on"
    )


def output_cause(method: Attribution, seen: Probe, feature_mask: object, batch_size: int) -> str | None:
    """Say what is wrong with the output of a layer or of the network, if something is."""
    layer = layer_of(method)
    if layer is not None and seen.ran:
        output = seen.of_layer.get("")
        name = type(layer).__name__
        if not seen.of_layer:
            return f"the layer {name} does not run when the network does: choose one that does"
        if not _holds_tensors(output):
            found = [path for path, value in seen.of_layer.items() if path and isinstance(value, Tensor)]
            inside = f", such as layer.{found[-1]}" if found else ""
            return (
                f"the layer {name} returns {describe_type(output)}, no tensor: choose a layer that returns one{inside}"
            )
    masks = feature_mask if isinstance(feature_mask, tuple) else (feature_mask,)
    sizes = [len(mask) for mask in masks if isinstance(mask, Tensor)]
    one_number = isinstance(seen.output, (int, float)) or (
        isinstance(seen.output, Tensor) and seen.output.numel() == 1 and seen.output.dim() < 2
    )
    if batch_size > 1 and one_number and max(sizes, default=1) > 1:
        return (
            f"the network returned one number for {batch_size} images, of which each has its mask: let it return a "
            "number for each image, or pass one mask for all of them, for example feature_mask=mask[:1]"
        )
    return None


def layer_of(method: Attribution) -> Module | None:
    """The layer that a method looks into, by itself or by a method that it holds."""
    for holder in (method, *(value for value in vars(method).values() if isinstance(value, Attribution))):
        layer = getattr(holder, "layer", None)
        if isinstance(layer, Module):
            return layer.layer if isinstance(layer, FirstTensor) else layer
    return None


def _holds_tensors(output: object) -> bool:
    return isinstance(output, Tensor) or (
        isinstance(output, tuple) and len(output) > 0 and all(isinstance(part, Tensor) for part in output)
    )


def describe_type(output: object) -> str:
    """Name the class of what a module returned, and those of the first members of a tuple or list.

    Examples:
        >>> describe_type({}), describe_type((3, None))
        ('a dict', 'a tuple (int, NoneType)')
    """
    members = [type(member).__name__ for member in output] if isinstance(output, (tuple, list)) else []
    return f"a {type(output).__name__}{f' ({listed(members)})' if members else ''}"
