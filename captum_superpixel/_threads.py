"""Divides work on the CPU over threads that compute on one core each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part = TypeVar("Part")


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


def for_each(function: Callable[[Part], object], parts: Sequence[Part], threads: int) -> None:
    """Call a function with every part, in as many threads, none of which records gradients."""
    if min(threads, len(parts)) == 1:
        for part in parts:
            function(part)
        return
    inference = torch.is_inference_mode_enabled()

    def call(part: Part) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            function(part)

    with ThreadPoolExecutor(min(threads, len(parts))) as pool:
        list(pool.map(call, parts))
