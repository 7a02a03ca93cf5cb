"""Jobs: done once and kept, with what of a damaged or foreign file is noticed, and shared out over processes."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from captum_superpixel._files import write_signed
from captum_superpixel.study.jobs import Job, Store, StoreError, World, join_world, run_jobs

SETTINGS = {"epochs": 3, "network": "small_cnn", "classes": ("a", "b"), "noise": 0.12, "size": None}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "parts")


def test_what_is_saved_comes_back(store: Store) -> None:
    weights = {"w": torch.randn(3, 4), "n": torch.tensor(7), "half": torch.ones(2, dtype=torch.bfloat16)}
    store.save("network-0", SETTINGS, {"weights": weights, "losses": [0.5, 0.25], "name": "first"})
    loaded = store.load("network-0", SETTINGS)
    assert loaded is not None
    assert {name: loaded[name] for name in ("losses", "name")} == {"losses": [0.5, 0.25], "name": "first"}
    for name, tensor in weights.items():
        assert loaded["weights"][name].dtype == tensor.dtype
        assert torch.equal(loaded["weights"][name], tensor)
    assert [path.name for path in store.folder.iterdir()] == ["network-0.pt"]


def test_what_was_never_saved_is_none(store: Store) -> None:
    assert store.load("network-0", SETTINGS) is None
    store.save("network-0", SETTINGS, {})
    assert store.load("network-1", SETTINGS) is None


def test_saving_again_replaces(store: Store) -> None:
    store.save("part", {"epochs": 3}, {"value": 1})
    store.save("part", {"epochs": 4}, {"value": 2})
    assert store.load("part", {"epochs": 4}) == {"value": 2}


def test_a_part_that_cannot_be_saved_leaves_the_old_one(store: Store) -> None:
    store.save("part", SETTINGS, {"value": 1})
    with pytest.raises(AttributeError, match="lambda"):
        store.save("part", SETTINGS, {"value": lambda: 2})
    assert store.load("part", SETTINGS) == {"value": 1}
    assert len(list(store.folder.iterdir())) == 1


def test_other_settings_are_named_with_both_values(store: Store) -> None:
    store.save("network-0", SETTINGS, {})
    wanted = {**SETTINGS, "epochs": 16, "classes": ["a", "c"]}
    shown = re.escape("classes=['a', 'b'] (now ['a', 'c']), epochs=3 (now 16): delete it")
    with pytest.raises(StoreError, match=shown) as caught:
        store.load("network-0", wanted)
    assert str(store.path("network-0")) in str(caught.value)


def test_other_settings_inside_of_others_are_named_alone(store: Store) -> None:
    made_with = {"data": "f00d", "settings": {f"option{i}": i for i in range(30)} | {"n_steps": 20}}
    store.save("images-00000", made_with, {})
    wanted = {"data": "f00d", "settings": {**made_with["settings"], "n_steps": 40}}  # type: ignore[dict-item]
    with pytest.raises(StoreError, match=r"other settings, settings\.n_steps=20 \(now 40\): delete"):
        store.load("images-00000", wanted)


def test_a_setting_that_is_new_is_named(store: Store) -> None:
    store.save("part", {"epochs": 3}, {})
    with pytest.raises(StoreError, match=r"settings, size=absent \(now None\): delete"):
        store.load("part", {"epochs": 3, "size": None})


def test_settings_are_compared_as_json(store: Store) -> None:
    """A tuple is a list, a path its name: what was read from a report is the same as what was given."""
    store.save("part", {"mean": (0.5, 0.25), "root": Path("images")}, {"value": 1})
    assert store.load("part", {"mean": [0.5, 0.25], "root": "images"}) == {"value": 1}


def written(content: object) -> bytes:
    serialized = io.BytesIO()
    torch.save(content, serialized)
    return serialized.getvalue()


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "unsigned", "other pickle", "no part", "renamed"])
def test_a_damaged_or_foreign_file_is_named(damage: str, store: Store) -> None:
    store.save("network-0", SETTINGS, {"weights": torch.arange(1000.0)})
    path = store.path("network-0")
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("no network")
    elif damage == "unsigned":
        path.write_bytes(written({"made_with": json.loads(json.dumps(SETTINGS)), "content": {}}))
    elif damage == "other pickle":
        write_signed(path, written([1, 2, 3]))
    elif damage == "no part":
        write_signed(path, written({"made_with": json.loads(json.dumps(SETTINGS))}))
    else:
        store.save("network-1", SETTINGS, {"weights": torch.arange(1000.0)})
        store.path("network-1").replace(path)
    with pytest.raises(
        StoreError, match=r"is damaged or no part of a study .*: delete it to have it made again"
    ) as caught:
        store.load("network-0", SETTINGS)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("place", [0, 17, 31, 32, 33, 0.25, 0.5, 0.75, -1])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_noticed_anywhere(place: float, bit: int, store: Store) -> None:
    """In the checksum, in the head of what it is of, in the settings and weights, and at the end."""
    store.save("network-0", SETTINGS, {"weights": torch.randn(500)})
    path = store.path("network-0")
    content = bytearray(path.read_bytes())
    content[int(place * len(content)) if isinstance(place, float) else place] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"network-0\.pt is damaged or no part of a study \(ValueError\)"):
        store.load("network-0", SETTINGS)


def test_nothing_in_a_file_is_executed(store: Store, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    store.folder.mkdir()
    write_signed(store.path("network-0"), written({"made_with": SETTINGS, "content": {"x": Malicious()}}))
    with pytest.raises(StoreError, match=r"network-0\.pt is damaged .*\(UnpicklingError\)"):
        store.load("network-0", SETTINGS)
    assert not (tmp_path / "executed").exists()


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
