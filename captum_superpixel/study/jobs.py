"""Pieces of a study's work: done once, kept as soon as they are there, and shared out over processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from captum_superpixel.study.distributed import World
from captum_superpixel.study.store import Store

__all__ = ["Job", "run_jobs"]

Content = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A piece of work whose result does not depend on the other pieces, nor on the process that does it.

    Attributes:
        name: Of the part in the store.
        made_with: The settings that decide the result.
        run: Does the work; the result is what :meth:`Store.save` can hold.
    """

    name: str
    made_with: Mapping[str, Any]
    run: Callable[[], Content]


def run_jobs(
    jobs: Sequence[Job],
    store: Store,
    processes: World,
    *,
    share: bool = False,
    finished: Callable[[int], None] | None = None,
) -> list[Content]:
    """Do what is not in the store yet, one job a process at a time, and keep each result.

    Args:
        jobs: In the order of the results; all processes pass the same.
        store: Where finished parts are.
        processes: Who shares the work.
        share: Whether all processes get the results, or the first alone.
        finished: Called at the first process with the number of finished jobs after each round.

    Returns:
        The results in the order of the jobs; an empty list at other processes than the first, unless shared.

    Raises:
        StoreError: If a part in the store is damaged or was made with other settings.
    """
    done: dict[str, Content] = {}
    if processes.first:
        kept = {job.name: store.load(job.name, job.made_with) for job in jobs}
        done = {name: content for name, content in kept.items() if content is not None}
    present = processes.broadcast(set(done))
    missing = [job for job in jobs if job.name not in present]
    for first in range(0, len(missing), processes.size):
        turn = missing[first : first + processes.size]
        mine = turn[processes.rank].run() if processes.rank < len(turn) else None
        for job, content in zip(turn, processes.gather(mine), strict=False):
            if content is not None:
                store.save(job.name, job.made_with, content)
                done[job.name] = content
        if finished is not None and processes.first:
            finished(len(done))
    results = [done[job.name] for job in jobs] if processes.first else []
    return processes.broadcast(results) if share else results
