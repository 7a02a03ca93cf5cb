"""How much goes through the network together: photographs, steps, noisy copies; less once memory did not suffice."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from captum_superpixel._checks import InputError
from captum_superpixel._networks import describe_error

__all__ = ["Batches", "lacks_memory"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")
"""What backends without an error of their own say in a RuntimeError."""


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that memory does not suffice.

    Examples:
        >>> lacks_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory")), lacks_memory(ValueError("other"))
        (True, False)
    """
    while error is not None:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS):
            return True
        error = error.__cause__ or error.__context__
    return False


class Batches:
    """Works on batches, which are halved, with all that follow, where memory does not suffice.

    Args:
        size: How many images the network is given at once at first.
        report: Called with a line where this turns out to be too many.

    Attributes:
        size: How many it is given at once from now on.
    """

    def __init__(self, size: int = 1, report: Callable[[str], object] | None = None) -> None:
        self.size, self._report = size, report

    def each(
        self, function: Callable[[Sequence[_Item]], Sequence[_Result]], items: Sequence[_Item], together: bool
    ) -> Iterator[_Result | InputError]:
        """Work on items together; one by one if that is not wanted or fails, so that none takes the others down.

        Args:
            function: From items to as many results. It is to heed ``size``, for an item may hold several images.
            items: What is worked on.
            together: Whether it may be given several at once.

        Yields:
            What became of each item, in their order.
        """
        if together and len(items) > self.size:
            first = self.size  # it may be smaller in between
            yield from self.each(function, items[:first], True)
            yield from self.each(function, items[first:], True)
            return
        if together and len(items) > 1:
            results, _, memory = _attempt(function, items)
            if results is not None:
                yield from results
                return
            if memory:
                self._halve(len(items))
                yield from self.each(function, items, True)
                return
        for item in items:
            results, failure, memory = _attempt(function, [item])
            while results is None and memory and self.size > 1:
                self._halve(self.size)
                results, failure, memory = _attempt(function, [item])
            if results is None:
                yield failure
            else:
                yield from results

    def first(self, function: Callable[[Sequence[_Item]], Sequence[_Result]], items: Sequence[_Item]) -> None:
        """Give a function as many of the first items as memory suffices for; what goes wrong otherwise is its own."""
        while True:
            results, _, memory = _attempt(function, items[: self.size])
            if results is not None or not memory or self.size == 1:
                return
            self._halve(min(self.size, len(items)))

    def _halve(self, tried: int) -> None:
        self.size = (min(self.size, tried) + 1) // 2
        gc.collect()
        torch.cuda.empty_cache()  # of what is not in use; does nothing where there is no GPU
        if self._report is not None:
            self._report(f"note: memory does not suffice for batches of {tried}; going on with {self.size}")


def _attempt(
    function: Callable[[Sequence[_Item]], Sequence[_Result]], items: Sequence[_Item]
) -> tuple[Sequence[_Result] | None, InputError, bool]:
    """The results; or None, with what went wrong and whether that was a lack of memory."""
    try:
        return function(items), InputError(""), False
    except (InputError, MemoryError, torch.OutOfMemoryError) as error:
        text = str(error) if isinstance(error, InputError) else f"memory does not suffice ({describe_error(error)})."
        # Another error than that one, whose frames hold the tensors that took the memory.
        return None, InputError(text), lacks_memory(error)
