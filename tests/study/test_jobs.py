"""Jobs: computed once, stored when finished, and shared over processes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel._store import Store, StoreError
from captum_superpixel.study.jobs import Job, World, join_world, read_world, run_jobs


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "parts")


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
                raise KeyboardInterrupt(f"job {number}")
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
    with pytest.raises(KeyboardInterrupt, match="job 2"):
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


def test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_world() as alone:
        assert alone == World(rank=0, size=1, local_rank=0)
        assert alone.first
        assert alone.broadcast({"a": 1}) == {"a": 1}
        assert alone.gather("mine") == ["mine"]
    assert not torch.distributed.is_initialized()


def assert_close(found: Any, expected: Any, path: str = "report") -> None:
    """Equal, numbers up to rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for name in expected:
            assert_close(found[name], expected[name], f"{path}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_close(one, other, f"{path}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-4, rel=1e-4), path
    else:
        assert found == expected, path


def test_two_processes_find_what_one_finds(tiny_study: Any, tmp_path: Path) -> None:
    """They take up what one has left and share the rest: a network, both chunks, two methods of MeGe."""
    out = tmp_path / "out"
    shutil.copytree(tiny_study.out / "parts", out / "parts")
    missing = ["network-1", "images-00000", "images-00002", "mege-Saliency", "mege-SmoothGrad"]
    for name in (*missing, *(f"predictions-{number}" for number in range(3))):
        (out / "parts" / f"{name}.pt").unlink()
    # standalone: torchrun takes a port that is free.
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "captum_superpixel.cli", *tiny_study.arguments, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines.count("imagefolder: 60 training images, 24 held-out images, 3 classes") == 1
    assert [line[9:23] for line in lines if line.startswith("training network")] == ["network 2 of 3"]
    # The first process compares by Saliency, and the other one by SmoothGrad in silence.
    assert [line for line in lines if line.startswith("comparing")] == ["comparing Saliency over 3 folds"]
    assert [line for line in lines if line.startswith("Wrote")] == [f"Wrote {out}"]
    assert {path.name for path in out.rglob("*.pt")} == {path.name for path in tiny_study.out.rglob("*.pt")}
    found, expected = json.loads((out / "report.json").read_text()), tiny_study.report
    assert found.pop("seconds")["processes"] == 2
    assert expected.pop("seconds")["processes"] == 1
    assert_close(found, expected)


@pytest.mark.parametrize(
    ("environment", "world"),
    [
        ({}, World()),
        ({"RANK": "1"}, World()),
        ({"WORLD_SIZE": "", "RANK": ""}, World()),
        ({"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}, World()),
        ({"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}, World(3, 4, 1, 2)),
    ],
)
def test_the_environment_says_which_process_this_is(
    environment: dict[str, str], world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert read_world() == world


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "2"}, r"holds WORLD_SIZE=2, which"),  # nobody would do the other half
        ({"WORLD_SIZE": "2", "RANK": "2"}, r"holds RANK=2, WORLD_SIZE=2, which"),
        ({"WORLD_SIZE": "2", "RANK": "-1"}, r"holds RANK=-1, which"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, r"holds RANK=0, WORLD_SIZE=0, which"),
        ({"WORLD_SIZE": "two", "RANK": "x"}, r"holds RANK=x, WORLD_SIZE=two, which"),
    ],
)
def test_an_environment_that_leaves_work_undone_is_refused(
    environment: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(InputError, match=said):
        read_world()
