"""Pieces of a study's work: computed once, stored when finished, and shared over processes."""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import distributed

from captum_superpixel._checks import InputError
from captum_superpixel._store import Content, Store

__all__ = ["Job", "World", "join_world", "read_world", "run_jobs"]

T = TypeVar("T")

# A process that has trained its networks waits for those that still train.
_PATIENCE = dt.timedelta(days=7)


@dataclass(frozen=True)
class World:
    """The processes that share the work, and what they tell one another.

    Args:
        rank: This process, 0 to size - 1.
        size: How many there are.
        local_rank: This process among those of its machine.
        local_size: How many there are on its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

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


def read_world() -> World:
    """Read from the environment which of the processes that ``torchrun`` started this is; without it, it is alone.

    Work that is divided beforehand needs no more: nothing is told to the others, and nobody waits for them.

    Raises:
        InputError: If the variables do not go together, so that some of the work would be nobody's.
    """
    names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_size": "LOCAL_WORLD_SIZE"}
    given = {name: value for name, variable in names.items() if (value := os.environ.get(variable))}
    if given.get("size", "1") == "1":
        return World()
    wrong = [f"{names[name]}={value}" for name, value in given.items() if not value.isdecimal()]
    if not wrong:
        world = World(**{name: int(value) for name, value in given.items()})
        if "rank" in given and world.rank < world.size and world.local_size:
            return world
        wrong = [f"{names[name]}={value}" for name, value in given.items()]
    raise InputError(
        f"the environment holds {', '.join(wrong)}, which does not tell which of the processes that share the work "
        "this is: start them with torchrun, or unset WORLD_SIZE to let this one do all of it."
    )


@contextmanager
def join_world() -> Iterator[World]:
    """Join the processes that ``torchrun`` started; without it, this process is alone.

    Examples:
        >>> with join_world() as alone:
        ...     alone.size
        1
    """
    world = read_world()
    if world.size == 1:
        yield World()
        return
    # Only objects in main memory travel, so gloo does on machines with GPUs too.
    distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield world
    finally:
        distributed.destroy_process_group()


@dataclass(frozen=True)
class Job:
    """A piece of work whose result does not depend on the other pieces, nor on the process that does it.

    Args:
        name: Of the part in the store.
        made_with: The settings that decide the result.
        run: Does the work.
    """

    name: str
    made_with: Mapping[str, Any]
    run: Callable[[], Content]


def run_jobs(
    jobs: Sequence[Job],
    store: Store,
    world: World,
    *,
    share: bool = False,
    finished: Callable[[int], None] | None = None,
) -> list[Content]:
    """Do what is not in the store yet, one job per process at a time, and keep each result.

    Args:
        jobs: In the order of the results; all processes pass the same.
        store: Where finished parts are.
        world: Who shares the work.
        share: Whether all processes get the results, or the first alone.
        finished: Called at the first process with the number of finished jobs after each round.

    Returns:
        The results in the order of the jobs; an empty list at other processes than the first, unless shared.

    Raises:
        StoreError: If a part in the store is damaged or was made with other settings.
    """
    done: dict[str, Content] = {}
    if world.first:
        kept = {job.name: store.load(job.name, job.made_with) for job in jobs}
        done = {name: content for name, content in kept.items() if content is not None}
    present = world.broadcast(set(done))
    missing = [job for job in jobs if job.name not in present]
    for first in range(0, len(missing), world.size):
        turn = missing[first : first + world.size]
        mine = turn[world.rank].run() if world.rank < len(turn) else None
        for job, content in zip(turn, world.gather(mine), strict=False):
            if content is not None:
                store.save(job.name, job.made_with, content)
                done[job.name] = content
        if finished is not None and world.first:
            finished(len(done))
    results = [done[job.name] for job in jobs] if world.first else []
    return world.broadcast(results) if share else results
