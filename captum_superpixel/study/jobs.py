"""Pieces of a study's work: done once, kept as soon as they are there, and shared out over processes."""

import datetime as dt
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import torch
from torch import distributed

from captum_superpixel._files import read_signed, write_signed

__all__ = ["Content", "Job", "Store", "StoreError", "World", "join_world", "run_jobs"]

T = TypeVar("T")

Content: TypeAlias = dict[str, Any]
"""The result of a job: tensors, numbers, strings, and dictionaries and lists of them."""

# A process that has trained its networks waits for those that still train.
_PATIENCE = dt.timedelta(days=7)


class StoreError(ValueError):
    """A part in the output folder cannot be used; the message names the file and what to do."""


@dataclass(frozen=True)
class Store:
    """Finished parts of a study, one file each, tied to the settings that they were made with.

    Each file is written whole or not at all, with a checksum over all of it.

    Args:
        folder: Where the files are.
    """

    folder: Path

    def path(self, name: str) -> Path:
        """Where the part of that name is."""
        return self.folder / f"{name}.pt"

    def save(self, name: str, made_with: Mapping[str, Any], content: Content) -> None:
        """Keep a part.

        Args:
            name: Of the part.
            made_with: The settings that decide what is in it, as JSON can hold them.
            content: What is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        serialized = io.BytesIO()
        torch.save({"made_with": _as_json(made_with), "content": content}, serialized)
        write_signed(self.path(name), serialized.getvalue())

    def load(self, name: str, made_with: Mapping[str, Any]) -> Content | None:
        """The content of a part, or None where there is none.

        Args:
            name: Of the part.
            made_with: The settings that it must have been made with.

        Raises:
            StoreError: If the file is damaged, or was made with other settings.
        """
        path = self.path(name)
        if not path.exists():
            return None
        advice = "delete it to have it made again, or choose another --out"
        # A file with the right checksum may still be another program's, which fails in as many ways as there are files.
        try:
            stored = torch.load(io.BytesIO(read_signed(path)), weights_only=True)
            found: dict[str, Any] = stored["made_with"]
            content: Content = stored["content"]
        except Exception as error:
            raise StoreError(f"{path} is damaged or no part of a study ({type(error).__name__}): {advice}") from error
        wanted = _as_json(made_with)
        if found != wanted:
            shown = ", ".join(list(_differences(found, wanted))[:4])
            raise StoreError(f"{path} was made with other settings, {shown}: {advice}")
        return content


@dataclass(frozen=True)
class World:
    """The processes that share the work, and what they tell one another.

    Args:
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
def join_world() -> Iterator[World]:
    """Join the processes that ``torchrun`` started; without it, this process is alone.

    Examples:
        >>> with join_world() as alone:
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


def _as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a file: a tuple is a list there, and a path its name."""
    read: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return read


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Name what differs, with both values; of settings within settings only those that do."""
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new or (key in found) != (key in wanted):
            shown = [repr(settings[key]) if key in settings else "absent" for settings in (found, wanted)]
            yield f"{prefix}{key}={shown[0]} (now {shown[1]})"
