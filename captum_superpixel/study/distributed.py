"""The processes of a study, one or several under ``torchrun``, and what they tell one another."""

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import distributed

__all__ = ["World", "world"]

T = TypeVar("T")

# A process that has trained its networks waits for those that still train.
_PATIENCE = dt.timedelta(days=7)


@dataclass(frozen=True)
class World:
    """The processes that share the work.

    Attributes:
        rank: This process, 0 to size - 1.
        size: How many there are.
        local_rank: This process among those of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def device(self, name: str | None = None) -> torch.device:
        """The device of this process.

        Args:
            name: Of the device, as PyTorch has it; ``"cuda"`` and None give each process of a machine a GPU in turn,
                None the CPU where there is none.

        Raises:
            ValueError: If there is no such device.
        """
        if name is None:
            name = "cuda" if torch.cuda.is_available() else "cpu"
        # PyTorch says in many ways that a device is missing: its name, its driver, its being built without.
        try:
            if name == "cuda":
                name = f"cuda:{self.local_rank % max(1, torch.cuda.device_count())}"
            device = torch.device(name)
            torch.empty(0, device=device)
        except (AssertionError, NotImplementedError, RuntimeError) as error:
            cause = str(error).splitlines()[0]
            raise ValueError(f"device {name!r} cannot be used ({cause}): pass cpu, cuda or cuda:0") from error
        return device

    def broadcast(self, value: T, source: int = 0) -> T:
        """Give every process the value that process ``source`` passed."""
        if self.size == 1:
            return value
        values: list[Any] = [value if self.rank == source else None]
        distributed.broadcast_object_list(values, source)
        received: T = values[0]
        return received

    def gather(self, value: T) -> list[T]:
        """Collect the values of all processes, in the order of their ranks, at process 0; elsewhere an empty list."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.first else None
        distributed.gather_object(value, values)
        return values or []


@contextmanager
def world() -> Iterator[World]:
    """Join the processes that ``torchrun`` started; without it, this process is alone.

    Examples:
        >>> with world() as alone:
        ...     alone.size
        1
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    # Only objects in main memory travel, so gloo does on machines with GPUs too.
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield World(distributed.get_rank(), size, int(os.environ.get("LOCAL_RANK", "0")))
    finally:
        distributed.destroy_process_group()
