"""Marks functions that Numba compiles: plain Python on arrays, which to the compiled code are memory and no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FUSED",
    "INLINED",
    "KERNEL",
    "Floats",
    "Ints",
    "Longs",
    "bits_of",
    "divide",
    "float_of",
    "fused",
    "inlined",
    "kernel",
]

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int32]
Longs: TypeAlias = NDArray[np.int64]

Function = TypeVar("Function", bound=Callable[..., object])

KERNEL = "__captum_superpixel_kernel__"
FUSED = "__captum_superpixel_fused__"
INLINED = "__captum_superpixel_inlined__"


def kernel(function: Function) -> Function:
    """Mark a function to be compiled, in which every multiplication and every addition rounds by itself.

    Arrays that are passed to one function must not overlap, unless all of them are only read.
    """
    setattr(function, KERNEL, True)
    return function


def fused(function: Function) -> Function:
    """Mark a function to be compiled that computes in whole numbers: their sums do not depend on the order of terms.

    Numbers are multiplied and added in one step, and none is infinite or NaN. Divisions round as ever.
    """
    setattr(function, FUSED, True)
    return kernel(function)


def inlined(function: Function) -> Function:
    """Say of a marked function that it is to be a part of what calls it, however large: where it does little work."""
    setattr(function, INLINED, True)
    return function


@kernel
def bits_of(value: np.float32) -> np.int32:
    """Read the bits of a float as an integer."""
    return np.float32(value).view(np.int32)


@kernel
def float_of(bits: np.int32) -> np.float32:
    """Read the bits of an integer as a float."""
    return np.int32(bits).view(np.float32)


@kernel
def divide(value: np.float32, divisor: np.float32, inverse: np.float32) -> np.float32:
    """Divide by a number whose inverse is known, ``1 / divisor`` rounded, to the nearest float.

    Machine code of processors that multiply and add in one step does it in three of these (see ``translating``), which
    take a third of the time of a division. Both, and the quotient, must be far from the least and the largest floats.
    """
    return value / divisor
