"""One process alone, and two that do the same study as one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from captum_superpixel.study.distributed import World, world


def test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with world() as alone:
        assert alone == World(rank=0, size=1, local_rank=0)
        assert alone.first
        assert alone.broadcast({"a": 1}) == {"a": 1}
        assert alone.gather("mine") == ["mine"]
    assert not torch.distributed.is_initialized()


def test_the_device_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert World().device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert World().device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    ranks = [World(rank=5, size=8, local_rank=rank) for rank in (0, 1, 2, 3)]
    assert [rank.device().index for rank in ranks] == [0, 1, 0, 1]
    assert [rank.device("cuda").index for rank in ranks] == [0, 1, 0, 1]
    assert [rank.device("cuda:1").index for rank in ranks] == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(ValueError, match=f"device '{name}' cannot be used"):
        World().device(name)


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
    out = tmp_path / "out"
    # standalone: torchrun takes a port that is free.
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "captum_superpixel.cli", *tiny_study.arguments, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines.count("imagefolder: 60 training images, 24 held-out images, 3 classes") == 1
    # The first process trains the first and the third network, the other one the second in silence.
    assert [line[9:23] for line in lines if line.startswith("training network")] == ["network 1 of 3", "network 3 of 3"]
    assert [line for line in lines if line.startswith("Wrote")] == [f"Wrote {out}"]
    assert {path.name for path in out.rglob("*.pt")} == {path.name for path in tiny_study.out.rglob("*.pt")}
    found, expected = (json.loads((folder / "report.json").read_text()) for folder in (out, tiny_study.out))
    assert found.pop("seconds")["processes"] == 2
    assert expected.pop("seconds")["processes"] == 1
    assert_close(found, expected)
