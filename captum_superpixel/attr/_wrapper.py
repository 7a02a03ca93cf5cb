"""What wrappers of an attribution method share: they are gradient methods exactly when the wrapped method is one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any, Self, cast

from captum.attr import Attribution, GradientAttribution, NoiseTunnel
from torch import Tensor

from captum_superpixel._networks import warn_caller, warn_in_training_mode
from captum_superpixel.attr._captum import check_method, signature_of
from captum_superpixel.attr.hooks import missing_hooks

__all__ = ["Wrapper", "as_tensors", "held_methods", "warn_of_network"]


class Wrapper(Attribution):
    """An attribution that holds another, ``attribution_method``, and explains by it.

    NoiseTunnel and our own wrappers ask for gradients of the inputs of a ``GradientAttribution`` alone, so a wrapper
    must be one exactly when the wrapped method is.

    Raises:
        TypeError: If ``attribution_method`` is not an attribution instance.
        ValueError: If it has no maps.
    """

    warns_of_network = True

    def __new__(cls, attribution_method: Attribution | None = None, *args: object, **kwargs: object) -> Self:
        """Choose the class that is a GradientAttribution exactly when the wrapped method is one."""
        if isinstance(attribution_method, GradientAttribution) and not issubclass(cls, GradientAttribution):
            return cast(Self, super().__new__(_gradient_class(cast(Any, cls))))
        return super().__new__(cls)

    def __init__(self, attribution_method: Attribution) -> None:
        check_method(attribution_method)
        if isinstance(self, GradientAttribution):
            GradientAttribution.__init__(self, attribution_method.forward_func)
        else:
            Attribution.__init__(self, attribution_method.forward_func)
        self.attribution_method = attribution_method

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether the wrapped method multiplies by the inputs (global) or not (local)."""
        return bool(self.attribution_method.multiplies_by_inputs)

    @property
    def call_signature(self) -> inspect.Signature:
        """Signature of the wrapped method's ``attribute``, to which calls are bound."""
        return signature_of(self.attribution_method)

    def attribute_future(self, *args: object, **kwargs: object) -> None:
        """Raise NotImplementedError: Captum's futures cannot be worked on."""
        raise NotImplementedError(f"attribute_future is not implemented for {type(self).__name__}: call attribute")

    def __reduce__(self) -> tuple[Any, ...]:
        # The class with the gradient base is made on the fly, and cannot be found by name.
        return _restore, (type(self).__dict__.get("_public_class", type(self)), self.__dict__)


def warn_of_network(method: Attribution, wrapped: Attribution) -> None:
    """Warn of a network in training mode, and of hooks that find nothing, unless a method inside does so by itself.

    Args:
        method: A method of ours.
        wrapped: The method that it explains by.
    """
    if any(getattr(inner, "warns_of_network", False) for inner in held_methods(wrapped)):
        return
    warn_in_training_mode(method.forward_func)
    if text := missing_hooks(wrapped):
        warn_caller(text)


def held_methods(method: Attribution) -> Iterator[Attribution]:
    """Yield a method, and those that it wraps, from the outermost to the innermost."""
    yield method
    while isinstance(method, NoiseTunnel) or hasattr(method, "call_signature"):
        method = cast(NoiseTunnel, method).attribution_method
        yield method


def as_tensors(values: object, method: Attribution | None = None) -> tuple[Tensor, ...]:
    """Tuple of the tensors of the inputs, or of the maps that a method returned.

    Raises:
        TypeError: If they are not tensors.
        ValueError: If there are none, or one holds no example or no number.
    """
    tensors = values if isinstance(values, tuple) else (values,)
    what = "inputs" if method is None else f"the maps of {type(method).__name__}"
    if not tensors:
        raise ValueError(f"{what} are an empty tuple")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{what} must be a tensor or a tuple of tensors, but hold a {type(tensor).__name__}")
        if tensor.dim() == 0 or tensor.shape[0] == 0:
            raise ValueError(f"{what} of shape {tuple(tensor.shape)} hold no example: pass (N, C, *spatial) with N > 0")
        if tensor.numel() == 0:
            raise ValueError(f"{what} of shape {tuple(tensor.shape)} hold no number: none of the lengths may be 0")
    return tensors


@functools.cache
def _gradient_class(cls: Any) -> Any:
    body = {"__module__": cls.__module__, "__doc__": cls.__doc__, "_public_class": cls}
    return type(cls.__name__, (cls, GradientAttribution), body)


def _restore(cls: type[Wrapper], state: dict[str, Any]) -> Wrapper:
    wrapper = cls.__new__(cls, state["attribution_method"])
    wrapper.__dict__.update(state)
    return wrapper
