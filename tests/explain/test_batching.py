"""Batches that memory does not suffice for are halved, and all that follow; other failures are those of one item."""

from collections.abc import Sequence
from functools import partial

import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel.explain.batching import Batches, lacks_memory


def test_batches_are_halved_until_they_fit_and_stay_so() -> None:
    tried: list[int] = []
    said: list[str] = []

    def work(items: Sequence[int]) -> list[int]:
        tried.append(len(items))
        if len(items) > 3:
            try:
                raise torch.OutOfMemoryError("on the GPU")
            except torch.OutOfMemoryError as error:
                raise InputError("the network fails") from error
        return [10 * item for item in items]

    batches = Batches(8, said.append)
    assert list(batches.each(work, range(10), True)) == [10 * item for item in range(10)]
    assert tried == [8, 4, 2, 2, 2, 2, 2]
    assert batches.size == 2
    assert [line.rpartition(": ")[2] for line in said] == [
        "memory does not suffice for batches of 8; going on with 4",
        "memory does not suffice for batches of 4; going on with 2",
    ]
    assert list(batches.each(work, [1, 2, 3], True)) == [10, 20, 30]
    assert tried[7:] == [2, 1]


def test_an_item_that_holds_many_images_is_tried_with_fewer_at_once() -> None:
    batches = Batches(16)

    def work(items: Sequence[str]) -> list[str]:
        if batches.size > 3:
            raise MemoryError
        return [f"{item} in {batches.size}" for item in items]

    assert list(batches.each(work, ["a", "b"], False)) == ["a in 2", "b in 2"]


def test_what_is_too_large_by_itself_fails_alone() -> None:
    def work(items: Sequence[int]) -> list[int]:
        if 1 in items:
            raise torch.OutOfMemoryError("too large")
        return list(items)

    first, failure, last = Batches(4).each(work, [0, 1, 2], True)
    assert (first, last) == (0, 2)
    assert isinstance(failure, InputError)
    assert "memory does not suffice (OutOfMemoryError: too large)" in str(failure)
    assert failure.__traceback__ is None  # its frames would hold the tensors


def test_the_first_items_are_as_many_as_memory_suffices_for() -> None:
    tried: list[int] = []

    def work(items: Sequence[int], most: int = 2) -> list[int]:
        tried.append(len(items))
        if len(items) > most:
            raise torch.OutOfMemoryError
        return []

    batches = Batches(16)
    batches.first(work, range(7))
    assert tried == [7, 4, 2]
    assert batches.size == 2
    batches.first(partial(work, most=0), range(7))  # each says it when it has its turn
    assert tried[3:] == [2, 1]


def test_another_failure_takes_no_neighbor_down_and_halves_nothing() -> None:
    def work(items: Sequence[int]) -> list[int]:
        if 1 in items:
            raise InputError("no ones")
        return list(items)

    batches = Batches(4)
    found = list(batches.each(work, [0, 1, 2], True))
    assert [str(each) for each in found] == ["0", "no ones", "2"]
    assert batches.size == 4


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_how_backends_say_it(error: Exception, lacks: bool) -> None:
    assert lacks_memory(error) is lacks
