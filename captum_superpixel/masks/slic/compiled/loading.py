"""Machine code on this computer: its description, what loads it, and the functions in it."""

from __future__ import annotations

import ctypes
import importlib
from typing import Any

__all__ = ["Library", "describe_machine"]

_INT, _POINTER = ctypes.c_int64, ctypes.c_void_p

_SIGNATURES = {
    "segment": (_INT, *[_POINTER] * 10),
    "segment_all": (_INT, _INT, _POINTER, _INT, *[_POINTER] * 11),
    "scale": (_INT, _POINTER, *[_INT] * 4, *[_POINTER] * 4),
    "halve": (_POINTER, _INT, _INT, _INT, _POINTER),
}
"""The arguments of each function. Numba puts two pointers before them: to the result, and to an error, of which there
are none; what it returns says whether there was one.
"""


def describe_machine() -> tuple[Any, str]:
    """Describe this computer to LLVM, and in words that differ where machine code does.

    Raises:
        ImportError: If llvmlite, which comes with Numba, is not installed.
    """
    llvm: Any = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    machine = target.create_target_machine(cpu=name, features=features, opt=3, codemodel="jitdefault", jit=True)
    return machine, f"{machine.triple} {name} {features} LLVM {llvm.llvm_version_info}"


class Library:
    """Machine code in memory, whose functions several threads may call.

    Args:
        code: Object code from ``build``.
    """

    def __init__(self, code: bytes) -> None:
        llvm: Any = importlib.import_module("llvmlite.binding")
        # What loads the code takes the description over, and would free one that it shares for a second time.
        machine, _ = describe_machine()
        empty = llvm.parse_assembly(f'target triple = "{machine.triple}"')
        self._engine = llvm.create_mcjit_compiler(empty, machine)
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        self._functions = {
            name: ctypes.CFUNCTYPE(ctypes.c_int32, _POINTER, _POINTER, *arguments)(
                self._engine.get_function_address(name)
            )
            for name, arguments in _SIGNATURES.items()
        }

    def segment(self, *arguments: Any) -> int:
        """Call ``kernels.segments.segment``, without Python's lock; arrays and lists of them are passed by address."""
        result = ctypes.c_int64()
        self._functions["segment"](ctypes.addressof(result), None, *arguments)
        return result.value

    def segment_all(self, *arguments: Any) -> int:
        """Call ``kernels.batches.segment_all`` likewise."""
        result = ctypes.c_int64()
        self._functions["segment_all"](ctypes.addressof(result), None, *arguments)
        return result.value

    def scale(self, *arguments: Any) -> None:
        """Call ``kernels.scaling.scale`` likewise."""
        result = ctypes.c_int64()
        self._functions["scale"](ctypes.addressof(result), None, *arguments)

    def halve(self, *arguments: int) -> None:
        """Call ``kernels.scaling.halve`` likewise."""
        result = ctypes.c_int64()
        self._functions["halve"](ctypes.addressof(result), None, *arguments)
