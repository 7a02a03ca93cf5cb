"""What a mask generator is by its contents: two that could make different masks never have the same identity."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import importlib.metadata
import inspect
from pathlib import PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._hashes import hash_tensor

__all__ = ["identify"]

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice)
_KNOWN = (__name__.split(".")[0], "abc", "builtins", "enum", "typing")
"""Packages whose classes are known by their names, since their code changes with a version alone."""

_version = functools.cache(functools.partial(importlib.metadata.version, "captum-superpixel"))


def identify(generator: object) -> str:
    """Name a generator by its class and the contents of its fields: other contents, another name.

    Attributes that are not fields count too; fields that take no part in comparisons do not. Of classes outside of this
    package the code counts, but not that of what it calls. The version of this package is always a part of it.

    Args:
        generator: A frozen dataclass. Its fields hold numbers, strings, paths, tensors, arrays, and tuples, lists,
            sets, dictionaries and frozen dataclasses of these.

    Returns:
        The name of the class, shortened to what every file system takes, and 16 hexadecimal digits.

    Raises:
        TypeError: If the generator or what it holds has no such contents; the message says which, and what to do.

    Examples:
        >>> from captum_superpixel.masks import Grid
        >>> identify(Grid(4)) == identify(Grid(4)), identify(Grid(4)) == identify(Grid(5))
        (True, False)
    """
    name = type(generator).__name__
    if not _is_frozen_dataclass(generator):
        raise TypeError(
            f"masks in a directory need a generator that is a frozen dataclass, as Slic() is, but {generator!r} was "
            "passed: without its fields, nothing tells whose masks they are; omit directory"
        )
    text = repr((_version(), _describe(generator, name)))
    return f"{name[:40]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _describe(value: Any, name: str) -> Any:
    """Nested tuples of plain values that differ where the contents do; ``name`` says in messages what this is."""
    kind = _full_name(type(value))
    if isinstance(value, Tensor) and value.layout == torch.strided:
        return kind, hash_tensor(value)
    if (type(value) is np.ndarray or isinstance(value, np.generic)) and not value.dtype.hasobject:
        return kind, str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    if isinstance(value, enum.Enum):
        return kind, value.name
    if type(value) in _PLAIN or isinstance(value, (PurePath, torch.dtype, torch.device)):
        return kind, repr(value)
    if type(value) in (tuple, list, torch.Size) or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return kind, *(_describe(item, f"{name}[{index}]") for index, item in enumerate(value))
    if type(value) in (set, frozenset):
        return kind, *sorted((_describe(item, name) for item in value), key=repr)
    if type(value) is dict:
        return kind, *((_describe(key, name), _describe(item, f"{name}[{key!r}]")) for key, item in value.items())
    if _is_frozen_dataclass(value):
        return kind, _describe_class(type(value)), _describe_attributes(value, name)
    raise TypeError(
        f"{name} is a {type(value).__name__}, which has no contents that masks in a directory could be known by: omit "
        "directory, or let the field be dataclasses.field(compare=False) and say in another one, such as a version, "
        "what it is"
    )


def _full_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _is_frozen_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type) and value.__dataclass_params__.frozen  # type: ignore[attr-defined]  # every dataclass has it


def _describe_attributes(value: Any, name: str) -> list[Any]:
    fields = {field.name: field.compare for field in dataclasses.fields(value)}
    # What a cached property keeps follows from the rest.
    further = [
        key
        for key in sorted(getattr(value, "__dict__", {}))
        if key not in fields and not isinstance(getattr(type(value), key, None), functools.cached_property)
    ]
    counted = [*(key for key, compare in fields.items() if compare), *further]
    return [(key, _describe(getattr(value, key), f"{name}.{key}")) for key in counted]


def _describe_class(cls: type) -> list[Any]:
    """The methods and attributes of a class and of those it derives from, which someone may have changed."""
    described: list[Any] = []
    fields = {field.name for field in dataclasses.fields(cls)}
    for base in cls.__mro__:
        if base.__module__.split(".")[0] in _KNOWN:
            continue
        for key, member in sorted(vars(base).items()):
            function = _function_of(member)
            if function is not None:
                # Functions that dataclasses make follow from the fields.
                if function.__code__.co_filename != "<string>":
                    described.append((key, _describe_function(function, f"{base.__name__}.{key}")))
            elif not (key in fields or key.startswith("__") or key == "_abc_impl" or inspect.isdatadescriptor(member)):
                described.append((key, _describe_reference(member, f"{base.__name__}.{key}")))
    return described


def _function_of(member: object) -> FunctionType | None:
    """The function behind a method, property or decorator."""
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, member)
    function = inspect.unwrap(member) if callable(member) else member
    return function if isinstance(function, FunctionType) else None


def _describe_function(function: FunctionType, name: str, within: tuple[FunctionType, ...] = ()) -> Any:
    """The code of a function, and the values that it was made with."""
    if function in within:
        return "itself"
    within = (*within, function)
    bound: list[Any] = []
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            bound.append(_describe_reference(cell.cell_contents, f"{variable} in {name}", within))
        except ValueError:  # nothing is in the cell yet
            bound.append(None)
    defaults = _describe((function.__defaults__, function.__kwdefaults__), f"the defaults of {name}")
    return _describe_code(function.__code__), defaults, bound


def _describe_reference(value: object, name: str, within: tuple[FunctionType, ...] = ()) -> Any:
    """What a function or class refers to: functions, classes and modules beside contents."""
    if isinstance(value, FunctionType):
        return _describe_function(value, name, within)
    if isinstance(value, type):
        return _full_name(value)
    if isinstance(value, ModuleType):
        return value.__name__
    return _describe(value, name)


def _describe_code(code: CodeType) -> Any:
    constants = [_describe_code(item) if isinstance(item, CodeType) else _describe(item, "") for item in code.co_consts]
    return code.co_code.hex(), code.co_names, constants
