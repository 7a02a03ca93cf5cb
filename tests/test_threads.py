"""Work divided over threads: every part once, results in order, nothing recorded, settings left as they were."""

import threading

import pytest
import torch

from captum_superpixel._threads import available_cores, call_each, undivided_operations


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
