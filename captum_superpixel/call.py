"""One call of ``attribute``, bound to the method's signature: its arguments can be read and replaced by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from captum.attr import Attribution


def signature_of(method: Attribution) -> inspect.Signature:
    """Signature of ``method.attribute``; a wrapper that only passes arguments on states it as ``call_signature``."""
    stated = getattr(method, "call_signature", None)
    return stated if isinstance(stated, inspect.Signature) else inspect.signature(method.attribute)


class AttributeCall:
    """A call ``method.attribute(inputs, *args, **kwargs)`` that has not been made yet.

    Args:
        method: Attribution method.
        inputs: Its first argument.
        args: Further positional arguments.
        kwargs: Keyword arguments.

    Raises:
        TypeError: If the arguments do not fit the method's signature.
    """

    def __init__(self, method: Attribution, inputs: object, args: tuple[object, ...], kwargs: Mapping[str, object]):
        self._method = method
        self._signature = signature_of(method)
        try:
            arguments = self._signature.bind(inputs, *args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{type(method).__name__}.attribute{self._signature}: {error}") from None
        parameters = self._signature.parameters.values()
        self._first = next(iter(parameters)).name
        self._extra_name = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), "")
        self._extra: dict[str, Any] = arguments.pop(self._extra_name, {})
        self._arguments: dict[str, Any] = arguments

    def get(self, name: str) -> Any:
        """Value of an argument, or None if it was not passed."""
        return self._arguments.get(name, self._extra.get(name))

    def take(self, name: str) -> Any:
        """Remove an argument and return its value, or None if it was not passed."""
        return self._arguments.pop(name, None) if name in self._arguments else self._extra.pop(name, None)

    def __call__(self, inputs: object, **replaced: object) -> Any:
        """Make the call with these inputs, and with some arguments replaced."""
        arguments, extra = self._arguments | {self._first: inputs}, dict(self._extra)
        for name, value in replaced.items():
            (arguments if name in self._signature.parameters else extra)[name] = value
        if extra:
            arguments[self._extra_name] = extra
        bound = inspect.BoundArguments(self._signature, arguments)
        return self._method.attribute(*bound.args, **bound.kwargs)
