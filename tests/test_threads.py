"""Work divided over threads: every part once, results in order, nothing recorded, settings left as they were."""

import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import captum_superpixel
from captum_superpixel._threads import Lock, available_cores, call_each, ignored_warnings, undivided_operations
from captum_superpixel.masks import Cached, Grid


@pytest.mark.parametrize("threads", [1, 2, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_results_are_in_the_order_of_the_parts(count: int, threads: int) -> None:
    assert call_each(lambda part: part**2, range(count), threads) == [part**2 for part in range(count)]


def test_parts_run_at_the_same_time() -> None:
    gate = threading.Barrier(3, timeout=20)
    assert sorted(call_each(lambda part: (gate.wait(), part)[1], range(3), threads=3)) == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_no_gradients_are_recorded_and_inference_mode_goes_along(threads: int) -> None:
    weight = torch.ones(2, requires_grad=True)
    assert [result.requires_grad for result in call_each(lambda part: weight * part, [1, 2], threads)] == [False] * 2
    with torch.inference_mode():
        inferred = call_each(lambda part: torch.ones(part).is_inference(), [1, 2], threads)
    assert inferred == [True, True]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_of_a_part_comes_through(threads: int) -> None:
    with pytest.raises(ZeroDivisionError, match="division or modulo by zero"):
        call_each(lambda part: 1 // part, [1, 0], threads)


def test_operations_are_undivided_for_a_while() -> None:
    before = torch.get_num_threads()
    with undivided_operations() as threads:
        assert threads == before
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_cores_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert available_cores() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert available_cores() == 1


def test_eight_threads_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    inside: list[int] = []
    gate = threading.Barrier(8, timeout=20)

    def ignore(number: int) -> list[int]:
        gate.wait()
        together = []
        for _ in range(5):
            with ignored_warnings(UserWarning, module=__name__):
                inside.append(number)
                time.sleep(0.001 * (1 + number % 3))
                together.append(len(inside))
                warnings.warn("not to be heard", UserWarning, stacklevel=1)
                inside.remove(number)
        return together

    assert call_each(ignore, range(8), threads=8) == [[1] * 5] * 8
    assert warnings.filters == before


def test_only_the_warnings_of_the_category_and_the_modules_are_ignored() -> None:
    with pytest.raises(RuntimeWarning, match="heard"), ignored_warnings(UserWarning, module=__name__):
        warnings.warn("heard", RuntimeWarning, stacklevel=1)
    with pytest.raises(UserWarning, match="heard"), ignored_warnings(UserWarning, module=r"PIL\."):
        warnings.warn("heard", UserWarning, stacklevel=1)


def test_warnings_are_ignored_by_how_they_begin() -> None:
    with ignored_warnings(UserWarning, message="not to|never"):
        warnings.warn("never heard", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="heard, never"):
            warnings.warn("heard, never", UserWarning, stacklevel=1)


def test_a_thread_may_ignore_more_while_it_ignores_some() -> None:
    with ignored_warnings(UserWarning, message="outer"):
        with ignored_warnings(UserWarning, message="inner"):
            warnings.warn("inner", UserWarning, stacklevel=1)
            warnings.warn("outer", UserWarning, stacklevel=1)
        warnings.warn("outer", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="inner"):
            warnings.warn("inner", UserWarning, stacklevel=1)


def test_filters_are_changed_in_one_place_alone() -> None:
    """Anywhere else two threads could put back each other's."""
    package = Path(captum_superpixel.__file__).parent
    uses = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"catch_warnings|simplefilter|filterwarnings|resetwarnings", path.read_text())
    }
    assert uses == {"_threads.py"}


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
of_threads = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def run_forked(function: Callable[[], object]) -> int:
    """Exit status of a child that calls a function, negative if it had to be stopped."""
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(20)  # lest a child that waits stays behind
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@forks
@of_threads
def test_a_forked_process_waits_for_no_thread_that_it_has_not() -> None:
    held, done = threading.Event(), threading.Event()
    lock, cached = Lock(), Cached(Grid(4))

    def hold() -> None:
        with lock, cached._lock, ignored_warnings(UserWarning):
            held.set()
            done.wait(60)

    def use() -> None:
        with lock, ignored_warnings(UserWarning):
            cached(torch.zeros(1, 3, 4, 4))

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    try:
        assert run_forked(use) == 0
    finally:
        done.set()
        thread.join()


@forks
@of_threads
def test_a_process_that_is_forked_off_inside_of_a_lock_leaves_it() -> None:
    lock = Lock()

    def leave() -> None:
        lock.__exit__()
        with lock:
            pass

    with lock:
        assert run_forked(leave) == 0


def test_one_thread_at_a_time_has_a_lock() -> None:
    lock, order = Lock(), []

    def enter() -> None:
        with lock:
            order.append("other")

    thread = threading.Thread(target=enter)
    with lock, lock:
        thread.start()
        thread.join(0.05)
        order.append("this")
    thread.join(60)
    assert order == ["this", "other"]
