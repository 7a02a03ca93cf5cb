"""Compiles the marked functions: Numba makes code for LLVM of them, and LLVM machine code, which needs no Numba."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.batches import segment_all
from captum_superpixel.masks.slic.compiled.kernels.marking import FUSED, KERNEL, Floats, Ints, Longs, divide
from captum_superpixel.masks.slic.compiled.kernels.scaling import halve, scale
from captum_superpixel.masks.slic.compiled.kernels.segments import segment

__all__ = ["ENTRIES", "build"]

ENTRIES: dict[str, Any] = {"segment": segment, "segment_all": segment_all, "scale": scale, "halve": halve}
"""The functions that Python calls, by the names that they have in the machine code."""


def build(machine: Any) -> bytes:
    """Compile ``ENTRIES`` and what they call.

    Args:
        machine: LLVM's description of this computer, from ``llvmlite.binding``.

    Returns:
        Object code.

    Raises:
        ImportError: If Numba is not installed.
    """
    numba: Any = importlib.import_module("numba")
    llvm: Any = importlib.import_module("llvmlite.binding")
    # Without such instructions, what stands in ``divide`` itself is faster.
    fused = not machine.triple.startswith(("x86_64", "i")) or llvm.get_host_cpu_features().get("fma")
    compiled: dict[Any, Any] = {divide: _division(numba)} if fused else {}
    with _optimized_once(numba):
        for entry in ENTRIES.values():
            _compile(entry, numba, compiled)
    module = llvm.parse_assembly(f'target triple = "{machine.triple}"')
    names = {}
    for name, entry in ENTRIES.items():
        (result,) = compiled[entry].overloads.values()
        names[result.fndesc.llvm_func_name] = name
        module.link_in(llvm.parse_assembly(_without_overlap(compiled[entry].inspect_llvm(result.signature.args))))
    for function in module.functions:
        if function.name in names:
            function.name = names[function.name]
        elif not function.is_declaration:
            # All that is called is then optimized where it is called, and no error has to be handed up.
            function.linkage = "internal"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


@contextmanager
def _optimized_once(numba: Any) -> Iterator[None]:
    """Keep Numba from optimizing each function by itself and again in each that calls it, a third of the time."""
    # What Numba reads of its settings once, when it compiles for the first time, is to stay as it is.
    numba.njit("int64()")(lambda: 0)
    before = numba.config.OPT
    numba.config.OPT = type(before)(0)
    try:
        yield
    finally:
        numba.config.OPT = before


def _compile(function: Any, numba: Any, compiled: dict[Any, Any]) -> Any:
    """Compile a marked function and those that it calls; ``compiled`` has what is there already, and takes the rest."""
    if function not in compiled:
        names = dict(function.__globals__)
        for name in function.__code__.co_names:
            if hasattr(names.get(name), KERNEL):
                names[name] = _compile(names[name], numba, compiled)
        hints = typing.get_type_hints(function)
        arguments = [_type_of(hints[name], numba.types) for name in inspect.signature(function).parameters]
        compiled[function] = numba.njit(
            _type_of(hints["return"], numba.types)(*arguments),
            error_model="numpy",
            fastmath={"contract", "reassoc", "nsz", "nnan"} if hasattr(function, FUSED) else False,
            no_cpython_wrapper=True,
            no_cfunc_wrapper=True,
        )(FunctionType(function.__code__, names, function.__name__))
    return compiled[function]


def _division(numba: Any) -> Any:
    """Make ``divide`` of one multiplication and two steps that multiply and add.

    That is Markstein's theorem: the remainder of the rounded product corrects it to the nearest float.

    References:
        Brisebarre et al., "Accelerating Correctly Rounded Floating-Point Division when the Divisor Is Known in
        Advance", IEEE Transactions on Computers 53(8), 2004, https://doi.org/10.1109/TC.2004.37
    """

    def type_of_call(context: Any, value: Any, divisor: Any, inverse: Any) -> Any:
        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value, divisor, inverse = arguments
            quotient = builder.fmul(value, inverse)
            remainder = builder.fma(builder.fneg(quotient), divisor, value)
            return builder.fma(remainder, inverse, quotient)

        return numba.float32(numba.float32, numba.float32, numba.float32), write

    return numba.extending.intrinsic(type_of_call)


def _without_overlap(code: str) -> str:
    """Tell LLVM that what a function is given by address never overlaps, which it would check before many a loop."""
    lines = code.splitlines()
    return "\n".join(
        line.replace("ptr %arg.", "ptr noalias %arg.") if line.startswith("define") else line for line in lines
    )


def _type_of(hint: Any, types: Any) -> Any:
    """Find Numba's type for an annotation; arrays become pointers."""
    if typing.get_origin(hint) is list:
        return types.CPointer(_type_of(typing.get_args(hint)[0], types))
    return {
        int: types.int64,
        np.int32: types.int32,
        np.float32: types.float32,
        type(None): types.void,
        Floats: types.CPointer(types.float32),
        Ints: types.CPointer(types.int32),
        Longs: types.CPointer(types.int64),
    }[hint]
