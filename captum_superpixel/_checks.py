"""Checks of what callers pass, with errors that say what was passed and what to pass."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

_Choice = TypeVar("_Choice")

_LONGEST = 1024
"""Bits of a number from which on messages leave it out."""
_MOST_UNEVEN = 1e9
"""By how much distances along two axes may differ at most: with far larger ratios, numbers overflow."""


class InputError(ValueError):
    """What the user passed cannot be used; the message is one line that says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(readable(one_line(message)))


def readable(text: object) -> str:
    r"""Make any text fit for a line of a terminal: names of files and classes may hold whatever they like.

    Examples:
        >>> readable("two\nlines") == "two\ufffdlines"
        True
    """
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))


def one_line(text: object, limit: int | None = None) -> str:
    r"""Write a text in one line, and cut it off where it is longer than a limit.

    Args:
        text: What is written, such as an error for its message.
        limit: How many letters are kept; None for all.

    Examples:
        >>> one_line(ValueError("two\nlines")), one_line("a long text", 6)
        ('two lines', 'a long ...')
    """
    line = " ".join(str(text).split())
    return line if limit is None or len(line) <= limit else f"{line[:limit]} ..."


def listed(values: Sequence[object], limit: int = 8) -> str:
    """Name the first of many values in a message.

    Examples:
        >>> listed([3, 5]), listed(range(100), 3)
        ('3, 5', '0, 1, 2, …')
    """
    return ", ".join(map(str, values[:limit])) + (", …" if len(values) > limit else "")


def checked_choice(name: str, value: object, choices: Sequence[_Choice]) -> _Choice:
    """Return ``value``, one of the choices.

    Raises:
        ValueError: If it is not among the choices.

    Examples:
        >>> checked_choice("by", "size", ["score", "magnitude"])
        Traceback (most recent call last):
        ValueError: by='size' is unknown: choose one of 'score', 'magnitude'
    """
    for choice in choices:
        if isinstance(value, type(choice)) and value == choice:
            return choice
    raise ValueError(f"{name}={value!r} is unknown: choose one of {', '.join(map(repr, choices))}")


def checked_integer(name: str, value: object, *, minimum: int = 1, maximum: int = 2**63 - 1) -> int:
    """Return ``value`` as an int.

    Raises:
        TypeError: If it is not an integer, or a bool.
        ValueError: If it is below ``minimum`` or above ``maximum``, by default the largest that int64 holds.
    """
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]  # TypeError is the answer
    except TypeError:
        raise TypeError(f"{name} must be an integer, but {value!r} ({type(value).__name__}) was passed") from None
    # Python writes no number of more than some thousand digits.
    shown = number if number.bit_length() < _LONGEST else f"one of {number.bit_length()} bits"
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, but {shown} was passed")
    if number > maximum:
        raise ValueError(f"{name} must be at most {maximum}, but {shown} was passed")
    return number


def checked_number(name: str, value: object, *, minimum: float = 0.0, exclusive: bool = False) -> float:
    """Return ``value`` as a float.

    Raises:
        TypeError: If it is not a number, or a bool.
        ValueError: If it is infinite, NaN or below ``minimum`` (or, with ``exclusive``, equal to it).
    """
    if isinstance(value, bool) or not isinstance(value, (Real, np.number)):
        raise TypeError(f"{name} must be a number, but {value!r} ({type(value).__name__}) was passed")
    number = _as_float(name, value)
    if not math.isfinite(number) or number < minimum or (exclusive and number == minimum):
        bound = f"above {minimum:g}" if exclusive else f"at least {minimum:g}"
        raise ValueError(f"{name} must be finite and {bound}, but {number} was passed")
    return number


def _as_float(name: str, value: Real | np.number[Any]) -> float:
    try:
        return float(value)
    except OverflowError:
        message = f"{name} must be a number that a float holds, up to 1.8e308, but a larger one was passed"
        raise ValueError(message) from None


def checked_share(name: str, value: object, *, exclusive: bool = False) -> float:
    """Return ``value``, a number from 0 to 1 (with ``exclusive``, above 0), as a float.

    Raises:
        TypeError: If it is not a number, or a bool.
        ValueError: If it is NaN or out of range.
    """
    share = checked_number(name, value, exclusive=exclusive)
    if share > 1:
        raise ValueError(f"{name} is a share from 0 to 1, but {share:g} was passed: for a percentage, divide by 100")
    return share


def is_finite(values: Tensor) -> bool:
    """Whether every number of a tensor of any dtype is finite, found in a thirtieth of the time of ``isfinite``.

    Examples:
        >>> import torch
        >>> [is_finite(torch.tensor(numbers)) for numbers in ([1, 2], [3e38, 3e38], [torch.inf, -torch.inf])]
        [True, True, False]
    """
    if not (values.is_floating_point() or values.is_complex()):
        return True
    # No sum with a NaN or an infinity in it is finite; one of large numbers may overflow, and they are looked through.
    return bool(values.detach().sum().isfinite()) or bool(values.isfinite().all())


def check_finite(values: Tensor, rows: str, numbers: str, advice: str) -> None:
    """Raise unless every number of a batch of shape ``(N, ...)``, none of it empty, is finite.

    Args:
        values: Of any real dtype.
        rows: What the N entries are, for the message.
        numbers: What an entry is made of, for the message.
        advice: What to do.

    Raises:
        ValueError: If entries hold NaN or infinity; it lists them.
    """
    if is_finite(values):
        return
    finite = values.detach().flatten(1).isfinite().all(dim=1)
    broken = (~finite).nonzero().flatten().tolist()
    raise ValueError(
        f"{len(broken)} of {len(finite)} {rows} (index {listed(broken)}) hold NaN or infinite {numbers}: {advice}"
    )


def checked_denormalize(value: object) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return ``denormalize`` as ``(mean, std)``, two tuples of floats, or None.

    Raises:
        TypeError: If it is not None or a pair, or its members are not numbers or sequences of numbers.
        ValueError: If a number is not finite, a std is 0, or the two lengths do not go together.
    """
    if value is None:
        return None
    if not isinstance(value, (tuple, list)):
        raise TypeError(
            f"denormalize must be None or a pair (mean, std), but {value!r} ({type(value).__name__}) was passed"
        )
    if len(value) != 2:
        raise ValueError(f"denormalize must be a pair (mean, std), but it has {len(value)} members: {value!r}")
    mean, std = _floats("mean", value[0]), _floats("std", value[1])
    if 0.0 in std:
        raise ValueError(f"the std of denormalize must not be zero, but {list(std)} was passed")
    if len({len(mean), len(std)} - {1}) > 1:
        raise ValueError(f"denormalize holds {len(mean)} means and {len(std)} stds: pass one of each per channel")
    return mean, std


def checked_spacing(value: object) -> tuple[float, ...] | None:
    """Return the distances of adjacent pixels along each axis as floats; None where none are given.

    Raises:
        TypeError: If it is not None or a sequence of numbers.
        ValueError: If a distance is not finite and above 0, or they differ too much.
    """
    if value is None:
        return None
    members = value.tolist() if isinstance(value, np.ndarray) or _is_tensor(value) else value
    if not isinstance(members, (tuple, list)):
        raise TypeError(f"spacing must be a sequence of numbers, one for each spatial axis, but {value!r} was passed")
    spacing = tuple(
        checked_number(f"spacing[{axis}]", distance, exclusive=True) for axis, distance in enumerate(members)
    )
    if spacing and max(spacing) / _MOST_UNEVEN > min(spacing):
        raise ValueError(
            f"spacing={spacing} holds distances that differ by more than a factor of {_MOST_UNEVEN:g}, of which the "
            "smaller would not count: pass them in one unit"
        )
    return spacing


def _is_tensor(value: object) -> TypeGuard[Tensor]:
    # Commands that only read their options use this file too, and do not wait for PyTorch.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _floats(name: str, value: object) -> tuple[float, ...]:
    """Return a number, a sequence of numbers, an array or a tensor as a tuple of floats."""
    if _is_tensor(value):
        value = value.detach().flatten().tolist()
    elif isinstance(value, np.ndarray):
        value = value.ravel().tolist()
    members: list[Any] = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    if not members or not all(
        isinstance(member, (Real, np.number)) and not isinstance(member, bool) for member in members
    ):
        raise TypeError(f"the {name} of denormalize must be a number or a sequence of numbers, but is {value!r}")
    numbers = tuple(_as_float(f"the {name} of denormalize", member) for member in members)
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"the {name} of denormalize must be finite, but {list(numbers)} was passed")
    return numbers
