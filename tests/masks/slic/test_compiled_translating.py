"""What stands for Python's own functions in the compiled kernels gives what Python gives."""

import ctypes
import gc
import importlib
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from captum_superpixel.masks.slic.compiled.kernels.marking import (
    Floats,
    Ints,
    Longs,
    bits_of,
    divide,
    float_of,
    fused,
    kernel,
)
from captum_superpixel.masks.slic.compiled.loading import describe_machine

pytest.importorskip("numba")


@kernel
def _extremes(floats: Floats, ints: Ints, out: Longs) -> int:
    """Numbers of two types, literals, and a float that is cut off."""
    out[0] = min(ints[0], ints[1])
    out[1] = max(ints[0], 7)
    out[2] = int(max(floats[0], floats[1]))
    out[3] = int(min(floats[0], floats[1]))
    out[4] = max(min(out[0], out[1]), int(ints[1]))
    return int(ints[0])


@kernel
def _bits(floats: Floats, ints: Ints, out: Floats) -> None:
    ints[0] = bits_of(floats[0])
    out[0] = float_of(ints[1])
    out[1] = divide(floats[0], floats[1], np.float32(1) / floats[1])


@fused
def _twice(value: np.float32) -> np.float32:
    return value + value


_NUMBER = 3


@kernel
def _number(out: Longs) -> int:
    out[0] = _NUMBER
    return _NUMBER + 1


@kernel
def _calls(floats: Floats) -> int:
    """Call one function twice, and one that calls others."""
    floats[1] = _twice(_twice(floats[0]))
    return _extremes_of_one(floats, 3)


@kernel
def _extremes_of_one(floats: Floats, most: int) -> int:
    return min(int(floats[0]), most)


def _compiled(function: Any, *, fused: bool | None = None, **constants: int) -> Any:
    """Compile a function for this computer, which then takes the addresses of arrays; the engine must be kept."""
    translating: Any = importlib.import_module("captum_superpixel.masks.slic.compiled.translating")
    llvm: Any = importlib.import_module("llvmlite.binding")
    machine, _ = describe_machine()
    has_fused = bool(llvm.get_host_cpu_features().get("fma"))
    translator = translating.Translator(fused=has_fused if fused is None else fused, constants=constants)
    translator.translate_all([function])
    module = llvm.parse_assembly(f'target triple = "{machine.triple}"')
    for code in translator.codes:
        module.link_in(llvm.parse_assembly(code))
    engine = llvm.create_mcjit_compiler(module, machine)
    address = engine.get_function_address(translator.symbols[function])

    def call(*arrays: Any) -> int:
        result = ctypes.c_int64()
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in arrays]
        made = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * (2 + len(arrays)))(address)
        assert made(ctypes.addressof(result), None, *pointers) in (0, -2), engine
        return result.value

    return call


@pytest.mark.parametrize("ints", [(3, 9), (9, 3), (-2, -2), (-(2**31), 2**31 - 1)])
@pytest.mark.parametrize("floats", [(0.5, -3.75), (-1e6, 1e6), (2.0, 2.0)])
def test_least_largest_and_int_are_those_of_python(ints: tuple[int, int], floats: tuple[float, float]) -> None:
    numbers, whole = np.array(floats, np.float32), np.array(ints, np.int32)
    found, expected = np.zeros((2, 5), np.int64)

    returned = _compiled(_extremes)(numbers, whole, found)

    assert returned == _extremes(numbers, whole, expected)
    assert found.tolist() == expected.tolist()
    assert expected[:4].tolist() == [min(ints), max(ints[0], 7), int(max(floats)), int(min(floats))]


@pytest.mark.parametrize("fused", [False, None])
def test_bits_are_read_and_quotients_round_to_the_nearest(fused: bool | None) -> None:
    """None is whatever this processor has."""
    call = _compiled(_bits, fused=fused)
    for value, divisor in np.random.default_rng(0).uniform(0.01, 3, (200, 2)).astype(np.float32):
        ints, out = np.array([0, 0x3FC00000], np.int32), np.zeros(2, np.float32)
        call(np.array([value, divisor]), ints, out)
        assert ints[0] == struct.unpack("<i", struct.pack("<f", value))[0]
        assert out.tolist() == [1.5, value / divisor]


def test_functions_call_others_whose_code_is_elsewhere() -> None:
    floats = np.array([2.5, 0], np.float32)

    assert _compiled(_calls)(floats) == 2
    assert floats[1] == 10


def test_numbers_of_a_module_can_differ_by_processor() -> None:
    found = np.zeros(1, np.int64)

    assert _compiled(_number)(found) == 4
    assert found == 3
    assert _compiled(_number, _NUMBER=16)(found) == 17
    assert found == 16


def test_garbage_is_collected_again_and_settings_are_as_before() -> None:
    numba: Any = importlib.import_module("numba")
    level = numba.config.OPT

    _compiled(_calls)

    assert gc.isenabled()
    assert numba.config.OPT is level


def test_threads_wait_for_one_another() -> None:
    """Numba's compiler knows no threads, and its settings are those of all of them."""
    numba: Any = importlib.import_module("numba")
    level = numba.config.OPT

    with ThreadPoolExecutor(4) as threads:
        calls = list(threads.map(lambda _: _compiled(_calls), range(8)))

    assert numba.config.OPT is level
    assert gc.isenabled()
    for call in calls:
        assert call(np.array([2.5, 0], np.float32)) == 2
