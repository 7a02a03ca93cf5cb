"""Compiles the marked functions: code for LLVM is made of them, and of that machine code, which needs no Numba."""

from __future__ import annotations

import importlib
from typing import Any

from captum_superpixel.masks.slic.compiled.kernels import assigning
from captum_superpixel.masks.slic.compiled.kernels.batches import segment_all
from captum_superpixel.masks.slic.compiled.kernels.marking import INLINED
from captum_superpixel.masks.slic.compiled.kernels.scaling import halve, scale
from captum_superpixel.masks.slic.compiled.kernels.segments import segment
from captum_superpixel.masks.slic.compiled.translating import Translator

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
    llvm: Any = importlib.import_module("llvmlite.binding")
    features = llvm.get_host_cpu_features()
    fused = not machine.triple.startswith(("x86_64", "i")) or bool(features.get("fma"))
    wide = {"WIDE": 2 * assigning.WIDE} if features.get("avx512f") else {}
    translator = Translator(fused=fused, constants=wide)
    translator.translate_all(ENTRIES.values())
    module = llvm.parse_assembly(f'target triple = "{machine.triple}"')
    for code in translator.codes:
        module.link_in(llvm.parse_assembly(code))
    functions = {function: module.get_function(symbol) for function, symbol in translator.symbols.items()}
    for function, found in functions.items():
        # Small functions are optimized where they are called, and large ones by themselves: if all were one, its
        # registers would not be enough, and LLVM would take half as long again.
        found.linkage = "linkonce_odr"
        if hasattr(function, INLINED):
            found.add_function_attribute("alwaysinline")
    for name, entry in ENTRIES.items():
        functions[entry].name, functions[entry].linkage = name, "external"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    for function in module.functions:
        if function.name not in ENTRIES and not function.is_declaration:
            function.linkage = "internal"
    return bytes(machine.emit_object(module))
