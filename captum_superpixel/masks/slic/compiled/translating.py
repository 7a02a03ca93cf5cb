"""Translates the marked functions into code for LLVM by Numba, without making machine code of each on the way."""

from __future__ import annotations

import gc
import importlib
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.marking import (
    FUSED,
    KERNEL,
    Floats,
    Ints,
    Longs,
    bits_of,
    divide,
    float_of,
)

__all__ = ["Translator"]

_PASSES = {
    "untyped_passes": (
        "TranslateByteCode",
        "FixupArgs",
        "IRProcessing",
        "RewriteSemanticConstants",
        "DeadBranchPrune",
        "ReconstructSSA",
    ),
    "typed_passes": (
        "NopythonTypeInference",
        "PreLowerStripPhis",
        "IRLegalization",
        "NativeLowering",
        "NoPythonBackend",
    ),
}
"""Those of Numba's steps, by the modules that they are in, which plain loops over numbers need: two thirds of its
time.
"""

_OTHERS = ("compiler", "compiler_lock", "compiler_machinery", "cpu_options", "registry")
"""What else of it is needed."""


class Translator:
    """Translates marked functions, and those that they call, each once and by itself.

    Numba's own compiler would make machine code of each, optimize it there and again in each that calls it, and pass
    errors up, of which there are none: that is half of its time.

    Args:
        fused: Whether the processor multiplies and adds in one step. Where it does not, what stands in ``divide`` is
            faster than what replaces it.
        constants: Names of the kernels' modules that have another value for this processor.

    Attributes:
        codes: The code of each function, in LLVM's language.
        symbols: The name that each has there.

    Raises:
        ImportError: If Numba is not installed.
    """

    def __init__(self, *, fused: bool, constants: Mapping[str, int]) -> None:
        self._numba: Any = importlib.import_module("numba")
        core = {name: importlib.import_module(f"numba.core.{name}") for name in (*_PASSES, *_OTHERS)}
        self._compiler: Any = core["compiler"]
        self._lock: Any = core["compiler_lock"].global_compiler_lock
        self._target: Any = core["registry"].cpu_target
        self._fast: Any = core["cpu_options"].FastMathOptions({"contract", "reassoc", "nsz", "nnan"})
        self._passes = _choose_passes(core)
        self.codes: list[str] = []
        self.symbols: dict[Any, str] = {}
        # What Numba has of its own for these are more functions to be translated.
        self._names = {
            **constants,
            "int": self._converted(),
            "min": self._extreme("<"),
            "max": self._extreme(">"),
        }
        types = self._numba.types
        self._callable: dict[Any, Any] = {
            bits_of: self._reinterpreted(types.float32, types.int32),
            float_of: self._reinterpreted(types.int32, types.float32),
        }
        if fused:
            self._callable[divide] = self._division()

    def translate_all(self, functions: Iterable[Any]) -> None:
        """Translate marked functions, and all that they call, while no other thread compiles by Numba."""
        with self._lock:
            # What Numba reads of its settings once, when this is made, is to stay as it is.
            self._target.target_context.codegen()
            config = self._numba.config
            level, collects = config.OPT, gc.isenabled()
            # Each function would be optimized by itself, and all of them are together, later; and among the many
            # objects that are made there is little garbage, which to look for takes a fifth of the time.
            config.OPT = type(level)(0)
            gc.disable()
            try:
                for function in functions:
                    self._translate(function)
            finally:
                config.OPT = level
                if collects:
                    gc.enable()

    def _translate(self, function: Any) -> Any:
        """Translate a marked function, unless that has been done; give what stands for it in others."""
        if function not in self._callable:
            hints = typing.get_type_hints(function)
            arguments = [self._type_of(hints[name]) for name in inspect.signature(function).parameters]
            signature = self._type_of(hints["return"])(*arguments)
            flags = self._compiler.Flags()
            flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = flags.noalias = True
            flags.error_model = "numpy"
            if hasattr(function, FUSED):
                flags.fastmath = self._fast
            made = self._compiler.compile_extra(
                self._target.typing_context,
                self._target.target_context,
                self._with_others(function),
                signature.args,
                signature.return_type,
                flags,
                {},
                pipeline_class=self._passes,
            )
            self.codes.append(made.library.get_llvm_str())
            self.symbols[function] = made.fndesc.llvm_func_name
            self._callable[function] = self._called(inspect.signature(function).parameters, made.fndesc, signature)
        return self._callable[function]

    def _with_others(self, function: Any) -> FunctionType:
        """Let a function find what stands for those that it calls."""
        names = {**function.__globals__, **self._names}
        for name in function.__code__.co_names:
            if hasattr(names.get(name), KERNEL):
                names[name] = self._translate(names[name])
        return FunctionType(function.__code__, names, function.__name__)

    def _called(self, parameters: Iterable[str], described: Any, signature: Any) -> Any:
        """Write a call of a function whose code is elsewhere."""

        def write(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
            function = context.declare_function(builder.module, described)
            call = context.call_conv.call_function
            return call(builder, function, signature.return_type, signature.args, arguments)[1]

        return self._intrinsic(parameters, lambda *_: (signature, write))

    def _division(self) -> Any:
        """Make ``divide`` of one multiplication and two steps that multiply and add.

        That is Markstein's theorem: the remainder of the rounded product corrects it to the nearest float.

        References:
            Brisebarre et al., "Accelerating Correctly Rounded Floating-Point Division when the Divisor Is Known in
            Advance", IEEE Transactions on Computers 53(8), 2004, https://doi.org/10.1109/TC.2004.37
        """
        number = self._numba.types.float32

        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            value, divisor, inverse = arguments
            quotient = builder.fmul(value, inverse)
            remainder = builder.fma(builder.fneg(quotient), divisor, value)
            return builder.fma(remainder, inverse, quotient)

        return self._intrinsic(("value", "divisor", "inverse"), lambda *_: (number(number, number, number), write))

    def _extreme(self, order: str) -> Any:
        """Make ``min`` or ``max`` of two numbers: as in Python the second only if it comes before the first."""
        types = self._numba.types

        def type_of(context: Any, first: Any, second: Any) -> Any:
            common = context.unify_types(types.unliteral(first), types.unliteral(second))

            def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                compare = builder.fcmp_ordered if common in types.real_domain else builder.icmp_signed
                return builder.select(compare(order, arguments[1], arguments[0]), arguments[1], arguments[0])

            return common(common, common), write

        return self._intrinsic(("first", "second"), type_of)

    def _converted(self) -> Any:
        """Make ``int`` of a number."""
        types = self._numba.types

        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return context.cast(builder, arguments[0], signature.args[0], signature.return_type)

        return self._intrinsic(("value",), lambda _, value: (types.int64(types.unliteral(value)), write))

    def _reinterpreted(self, before: Any, after: Any) -> Any:
        """Read the bits of a number of one type as one of another."""

        def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(after))

        return self._intrinsic(("value",), lambda *_: (after(before), write))

    def _intrinsic(self, parameters: Iterable[str], type_of: Callable[..., Any]) -> Any:
        """Make something that Numba translates a call of by what is given; it asks how many arguments that takes."""
        names = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("context", *parameters)]

        def described(*arguments: Any) -> Any:
            return type_of(*arguments)

        described.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
        return self._numba.extending.intrinsic(described)

    def _type_of(self, hint: Any) -> Any:
        """Find Numba's type for an annotation; arrays become pointers."""
        types = self._numba.types
        if typing.get_origin(hint) is list:
            return types.CPointer(self._type_of(typing.get_args(hint)[0]))
        return {
            int: types.int64,
            np.int32: types.int32,
            np.float32: types.float32,
            type(None): types.void,
            Floats: types.CPointer(types.float32),
            Ints: types.CPointer(types.int32),
            Longs: types.CPointer(types.int64),
        }[hint]


def _choose_passes(core: dict[str, Any]) -> Any:
    """Make a compiler of Numba's that takes the chosen steps alone."""

    def define_pipelines(_: Any) -> list[Any]:
        passes = core["compiler_machinery"].PassManager("kernel")
        for module, names in _PASSES.items():
            for name in names:
                passes.add_pass(getattr(core[module], name), name)
        passes.finalize()
        return [passes]

    return type("Passes", (core["compiler"].CompilerBase,), {"define_pipelines": define_pipelines})
