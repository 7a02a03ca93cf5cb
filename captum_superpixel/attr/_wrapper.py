"""What wrappers of an attribution method share: they are gradient methods exactly when the wrapped method is one."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Self, cast

from captum.attr import Attribution, GradientAttribution

from captum_superpixel.attr._captum import check_method, signature_of

__all__ = ["Wrapper"]


class Wrapper(Attribution):
    """An attribution that holds another, ``attribution_method``, and explains by it.

    NoiseTunnel and our own wrappers ask for gradients of the inputs of a ``GradientAttribution`` alone, so a wrapper
    must be one exactly when the wrapped method is.

    Raises:
        TypeError: If ``attribution_method`` is not an attribution instance.
        ValueError: If it has no maps.
    """

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


@functools.cache
def _gradient_class(cls: Any) -> Any:
    body = {"__module__": cls.__module__, "__doc__": cls.__doc__, "_public_class": cls}
    return type(cls.__name__, (cls, GradientAttribution), body)


def _restore(cls: type[Wrapper], state: dict[str, Any]) -> Wrapper:
    wrapper = cls.__new__(cls, state["attribution_method"])
    wrapper.__dict__.update(state)
    return wrapper
