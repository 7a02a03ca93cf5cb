"""Processes beside that of the network, which read photographs ahead of it and draw behind it."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar

import torch
from torch import Tensor

from captum_superpixel._checks import readable
from captum_superpixel._networks import describe_error
from captum_superpixel._threads import available_cores

__all__ = ["Task", "Workers", "choose_workers", "pack"]

_Result = TypeVar("_Result")

_FEW = 64
"""Photographs for which processes are not worth starting: each first imports what it works with, for seconds."""
_MOST = 8
"""More than these wait for the network, and each takes memory."""


def choose_workers(asked: int | None, photographs: int, processes: int = 1) -> int:
    """Settle how many worker processes there are.

    Args:
        asked: How many the user wants; None to choose by the cores of this machine.
        photographs: How many there are to be explained by this process.
        processes: How many processes on this machine share its cores.

    Examples:
        >>> choose_workers(None, 10), choose_workers(3, 10)
        (0, 3)
    """
    if asked is not None:
        return asked
    return 0 if photographs < _FEW else min(_MOST, max(0, available_cores() // processes - 1))


class Task(Generic[_Result]):
    """Work on a photograph that was handed to a worker.

    Args:
        photograph: What to name where it fails.
        future: Of what :func:`_run` returns.
    """

    def __init__(self, photograph: Path, future: Future[bytes]) -> None:
        self._photograph, self._future = photograph, future

    def result(self) -> _Result:
        """Wait for the result.

        Raises:
            OSError: If a worker has ended.
            RuntimeError: If the work has failed in a way that it does not answer for itself.
        """
        name = readable(self._photograph)
        try:
            # Of nobody but the worker, which is this program.
            done: _Result = pickle.loads(self._future.result())
        except BrokenProcessPool as error:
            raise OSError(
                f"a worker process has ended at {name}, or at one of those that follow, perhaps for want of memory: "
                "pass fewer --workers"
            ) from error
        except Exception as error:  # whatever was raised there, or cannot be brought here
            raise RuntimeError(f"a worker process failed at {name} ({describe_error(error)})") from error
        return done


class Workers:
    """Hands work on photographs to processes; without any, the work is done by whoever asks for its result.

    The processes are started anew rather than forked off, as threads and GPUs demand. They leave Ctrl-C to the process
    of the network, which ends them, and end with it however it ends.

    Args:
        count: How many processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = (
            ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_begin) if count else None
        )

    @property
    def ahead(self) -> int:
        """How much work may wait, so that no process is idle and no more is held in memory."""
        return 2 * self._count

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def submit(self, photograph: Path, function: Callable[..., _Result], *arguments: Any) -> Task[_Result]:
        """Hand out work on a photograph: a function that a module has, and what it is called with."""
        payload = pack((function, arguments))
        if self._pool is None:
            raise ValueError("there are no worker processes: call the function")
        with _interrupts_held():
            return Task(photograph, self._pool.submit(_run, payload))

    def in_order(
        self, function: Callable[[Path], _Result], photographs: Iterable[Path], *, ahead: int
    ) -> Iterator[_Result]:
        """Call a function with each photograph, so many ahead of whoever takes the results."""
        waiting: deque[Task[_Result]] = deque()
        for photograph in photographs:
            waiting.append(self.submit(photograph, function, photograph))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back, also from processes that start meanwhile, which cannot ignore it yet while they import."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Prepare a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


class _Stopped(SystemExit):
    """This worker is asked to end."""


def _stop(number: int, frame: object) -> NoReturn:
    raise _Stopped(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        # The main thread waits for work that nobody will send.
        os._exit(1)


class _Packer(pickle.Pickler):
    """Pickles of a tensor what it shows alone; otherwise a photograph's map takes all those of its batch along."""

    def reducer_override(self, each: object) -> Any:
        if type(each) is not Tensor or each.numel() == each.untyped_storage().nbytes() // each.element_size():
            return NotImplemented
        shown: Any = each.clone(memory_format=torch.contiguous_format)
        return shown.__reduce_ex__(pickle.HIGHEST_PROTOCOL)


def pack(value: object) -> bytes:
    """Pickle a value for another process; the queues of torch would share its tensors, each by an open file."""
    packed = io.BytesIO()
    _Packer(packed, pickle.HIGHEST_PROTOCOL).dump(value)
    return packed.getvalue()


def _run(payload: bytes) -> bytes:
    function, arguments = pickle.loads(payload)
    try:
        return pack(function(*arguments))
    except _Stopped:
        # The pool would take it for a failure of the work, and go on; what was half-written is removed by now.
        os._exit(128 + signal.SIGTERM)
