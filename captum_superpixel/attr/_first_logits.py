"""Methods of networks that return objects: copies that explain the logits in them, the methods themselves untouched."""

from __future__ import annotations

import copy
import types
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from captum.attr import Attribution
from torch import Tensor
from torch.nn import Module

from captum_superpixel._networks import first_logits

Method = TypeVar("Method", bound=Attribution)

_KNOWN: WeakValueDictionary[int, Attribution] = WeakValueDictionary()
"""The methods that were found to explain a network that returns objects, by their ``id``."""


def returns_objects(method: Attribution) -> bool:
    """Whether the network of a method is known to return objects."""
    return _KNOWN.get(id(method)) is method


def remember(method: Attribution) -> None:
    """Note that the network of a method returns objects."""
    _KNOWN[id(method)] = method


def is_plain(output: object) -> bool:
    """Whether Captum can explain an output as it is."""
    return isinstance(output, (Tensor, int, float))


def with_first_logits(method: Method) -> Method:
    """Copy a method, and the methods that it holds, for the logits of what its network returns.

    What is returned as a tensor or a number stays so. The copy shares the network, its layers and the settings; what
    methods that work by hooks keep while they run is its own.

    Args:
        method: Any attribution method, wrappers included.
    """

    def adapt(function: Callable[..., Any]) -> Callable[..., Any]:
        return _LogitsOfNetwork(function) if isinstance(function, Module) else _LogitsOf(function)

    return with_forward(method, adapt)


def with_forward(method: Method, adapt: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Method:
    """Copy a method, and the methods that it holds, for another network.

    Args:
        method: Any attribution method, wrappers included.
        adapt: From the network, or the function, that is explained to the one that the copy explains.
    """
    made: dict[int, Callable[..., Any]] = {}

    def adapted(function: Callable[..., Any]) -> Callable[..., Any]:
        if id(function) not in made:
            made[id(function)] = adapt(function)
        return made[id(function)]

    def copied(method: Any) -> Any:
        result = copy.copy(method)
        for name, value in vars(method).items():
            if value is method.forward_func:
                vars(result)[name] = adapted(value)
            elif isinstance(value, Attribution):
                vars(result)[name] = copied(value)
            elif isinstance(value, types.MethodType) and value.__self__ is method:
                vars(result)[name] = types.MethodType(value.__func__, result)
            elif isinstance(value, list):
                vars(result)[name] = list(value)
        return result

    result: Method = copied(method)
    return result


class _LogitsOf:
    """A function that returns the logits of what another returns."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return logits_of(self.function(*args, **kwargs))


class _LogitsOfNetwork(Module):
    """A network that returns the logits of what another returns, with all layers of that, for hooks to be set."""

    def __init__(self, network: Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return logits_of(self.network(*args, **kwargs))


def logits_of(output: object) -> object:
    """Return an output as it is if Captum can explain it, else the logits in it."""
    return output if is_plain(output) else first_logits(output)
