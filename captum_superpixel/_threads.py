"""Divides work on the CPU over threads that compute on one core each, and keeps what they share as it was."""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

__all__ = ["Lock", "available_cores", "call_each", "ignored_warnings", "undivided_operations"]

Part = TypeVar("Part")
Result = TypeVar("Result")


class Lock:
    """A lock that one thread has at a time, as often as it asks, and that nobody has in a process forked off.

    A process forked off while another thread had it would otherwise wait for a thread that it has not.

    Examples:
        >>> lock = Lock()
        >>> with lock, lock:
        ...     print("mine")
        mine
    """

    def __init__(self) -> None:
        self._held = threading.local()
        self.renew()
        _LOCKS.add(self)

    def renew(self) -> None:
        """Let it be as new."""
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        # What is released is what was acquired, also in a process that this thread forked off in between.
        self._held.__dict__.setdefault("locks", []).append(lock)

    def __exit__(self, *_: object) -> None:
        self._held.locks.pop().release()


_LOCKS: weakref.WeakSet[Lock] = weakref.WeakSet()


def _renew_locks() -> None:
    for lock in _LOCKS:
        lock.renew()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_renew_locks)

_FILTERS_LOCK = Lock()


def available_cores() -> int:
    """Count the cores that this process may use, which containers and schedulers limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def undivided_operations() -> Iterator[int]:
    """Let torch run every operation on one core; gives the number of threads that it used before.

    After each operation that several threads share they wait for one another. Where there are hundreds of short ones,
    that costs more than it brings, and on a busy machine a hundred times more.
    """
    threads = torch.get_num_threads()
    # A setting of this thread, and of those that are started before it is taken back.
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def ignored_warnings(category: type[Warning], *, message: str = "", module: str = "") -> Iterator[None]:
    """Ignore some warnings; of the threads that come here, one at a time is inside.

    What it waits for in other threads must not come here too.

    Args:
        category: The class of the warnings.
        message: A regular expression that their texts begin with.
        module: A regular expression that the names of the modules which give them begin with.
    """
    # Filters belong to the process, not to a thread: of two threads that change them at the same time, the one that
    # ends last would put back what the other had set. The lock holds off threads of ours alone, not those of a caller
    # who changes filters too; the fewer warnings are ignored, the less these miss.
    with _FILTERS_LOCK, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=message, category=category, module=module)
        yield


def call_each(function: Callable[[Part], Result], parts: Sequence[Part], threads: int) -> list[Result]:
    """Call a function with every part, in as many threads, none of which records gradients.

    Returns:
        What the calls returned, in the order of the parts.

    Examples:
        >>> call_each(lambda number: number**2, range(4), threads=2)
        [0, 1, 4, 9]
    """
    threads = min(threads, len(parts))
    if threads <= 1:
        with torch.no_grad():
            return [function(part) for part in parts]
    inference = torch.is_inference_mode_enabled()

    def call(part: Part) -> Result:
        with torch.inference_mode(inference), torch.no_grad():
            return function(part)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, parts))
