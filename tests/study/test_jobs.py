"""Jobs: done once, kept as soon as they are done, returned in their order."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from captum_superpixel.study.distributed import World
from captum_superpixel.study.jobs import Job, run_jobs
from captum_superpixel.study.store import Store, StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def jobs(ran: list[int]) -> Callable[..., list[Job]]:
    """Jobs that note their number when they run; the one ``failing`` raises."""

    def make(count: int, failing: int | None = None, seed: int = 0) -> list[Job]:
        def run(number: int) -> dict[str, Any]:
            ran.append(number)
            if number == failing:
                raise KeyboardInterrupt
            return {"square": number**2}

        return [Job(f"job-{i}", {"seed": seed, "i": i}, partial(run, i)) for i in range(count)]

    return make


def squares(results: list[dict[str, Any]]) -> list[int]:
    return [result["square"] for result in results]


def test_results_come_in_the_order_of_the_jobs(jobs: Callable[..., list[Job]], store: Store, ran: list[int]) -> None:
    reports: list[int] = []
    results = run_jobs(jobs(4)[::-1], store, World(), finished=reports.append)
    assert squares(results) == [9, 4, 1, 0]
    assert ran == [3, 2, 1, 0]
    assert reports == [1, 2, 3, 4]
    assert sorted(path.name for path in store.folder.iterdir()) == [f"job-{i}.pt" for i in range(4)]


@pytest.mark.parametrize("share", [False, True])
def test_what_is_kept_is_not_done_again(
    share: bool, jobs: Callable[..., list[Job]], store: Store, ran: list[int]
) -> None:
    run_jobs([jobs(3)[1]], store, World(), share=share)
    reports: list[int] = []
    assert squares(run_jobs(jobs(3), store, World(), share=share, finished=reports.append)) == [0, 1, 4]
    assert ran == [1, 0, 2]
    assert reports == [2, 3]
    assert squares(run_jobs(jobs(3), store, World(), share=share)) == [0, 1, 4]
    assert ran == [1, 0, 2]


def test_an_interruption_keeps_what_was_done_before(
    jobs: Callable[..., list[Job]], store: Store, ran: list[int]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs(4, failing=2), store, World())
    assert sorted(path.name for path in store.folder.iterdir()) == ["job-0.pt", "job-1.pt"]
    ran.clear()
    assert squares(run_jobs(jobs(4), store, World())) == [0, 1, 4, 9]
    assert ran == [2, 3]


def test_results_of_other_settings_are_noticed_before_any_work(
    jobs: Callable[..., list[Job]], store: Store, ran: list[int]
) -> None:
    run_jobs([jobs(3)[2]], store, World())
    ran.clear()
    with pytest.raises(StoreError, match=r"job-2\.pt was made with other settings, seed=0 \(now 1\)"):
        run_jobs(jobs(3, seed=1), store, World())
    assert ran == []


def test_no_jobs(store: Store) -> None:
    assert run_jobs([], store, World()) == []
