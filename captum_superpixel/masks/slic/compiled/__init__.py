"""The same SLIC as by torch, bit for bit, in machine code for the CPU, which Numba and LLVM make once per computer."""

from captum_superpixel.masks.slic.compiled.engine import compile_engine, describe_engine, find_library
from captum_superpixel.masks.slic.compiled.segmenting import (
    Scaling,
    applies,
    scales,
    segment_images,
    segment_inputs,
    would_apply,
)

__all__ = [
    "Scaling",
    "applies",
    "compile_engine",
    "describe_engine",
    "find_library",
    "scales",
    "segment_images",
    "segment_inputs",
    "would_apply",
]
