"""Worker processes: the same files as without, failures that name their photograph, and an end however it comes."""

import importlib
import operator
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel._threads import available_cores
from captum_superpixel.cli import main
from captum_superpixel.explain.workers import Workers, choose_workers, pack

NETWORK = ["--model", "explain_net:load", "--size", "16", "--masks", "grid:4", "--method", "Saliency"]


def test_how_many_there_are() -> None:
    assert choose_workers(None, 63) == 0
    assert choose_workers(None, 64) == min(8, available_cores() - 1)
    assert choose_workers(None, 10_000, processes=available_cores()) == 0
    assert choose_workers(5, 1) == 5


def test_failures_name_the_photograph() -> None:
    with Workers(1) as workers:
        assert workers.submit(Path("a.png"), operator.add, 1, 2).result() == 3
        assert list(workers.in_order(os.fspath, [Path("a"), Path("b"), Path("c")], ahead=1)) == ["a", "b", "c"]
        failing = workers.submit(Path("bad.png"), operator.truediv, 1, 0)
        with pytest.raises(RuntimeError, match=r"failed at bad\.png \(ZeroDivisionError: division by zero\)"):
            failing.result()
        ending = workers.submit(Path("last.png"), os._exit, 1)
        with pytest.raises(OSError, match=r"has ended at last\.png, or .*: pass fewer --workers"):
            ending.result()


def test_they_write_what_is_written_without_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "photos").mkdir()
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{seed}.png")
    (folder / "photos" / "bad.png").write_text("no picture")
    said = []
    for count in ("0", "1"):
        options = ["--format", "png", "--format", "npz", "--batch-size", "2", "--workers", count, "--out", "out"]
        assert main(["explain", "photos", *NETWORK, *options]) == 1
        said.append(capsys.readouterr())
        Path("out").rename(f"out{count}")
    assert said[0] == said[1]
    assert "1 of 4 photographs could not be explained:" in said[1].err
    names = sorted(path.name for path in Path("out0").iterdir() if path.is_file())
    assert names == sorted([*(f"{seed}.{kind}" for seed in range(3) for kind in ("npz", "png")), "index.html"])
    for name in ("index.html", *(f"{seed}.png" for seed in range(3))):
        assert Path("out0", name).read_bytes() == Path("out1", name).read_bytes()
    for seed in range(3):
        ours, theirs = (np.load(Path(out, f"{seed}.npz")) for out in ("out0", "out1"))
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals cannot be held back")
def test_ctrl_c_is_held_back_from_a_process_that_starts() -> None:
    def held() -> set[int]:
        return signal.pthread_sigmask(signal.SIG_BLOCK, [])

    with Workers(1) as workers:
        first = workers.submit(Path("a"), signal.pthread_sigmask, signal.SIG_BLOCK, [])
        assert signal.SIGINT not in held()
        assert signal.SIGINT in first.result()


def test_what_is_sent_of_a_batch_is_one_photograph() -> None:
    batch = torch.arange(640_000.0).view(64, 10_000)
    packed = pack({"map": batch[3], "turned": batch[:2].T})
    assert len(packed) < 4 * 31_000
    sent = pickle.loads(packed)
    assert torch.equal(sent["map"], batch[3])
    assert torch.equal(sent["turned"], batch[:2].T)


def test_one_that_is_asked_to_end_leaves_nothing_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import signal; from pathlib import Path; from captum_superpixel._files import replacing\n"
        "def write_half():\n"
        "    with replacing(Path('out/map.npz').absolute()) as temporary:\n"
        "        temporary.touch()\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
    )
    Path("half.py").write_text(program)
    Path("out").mkdir()
    monkeypatch.syspath_prepend(Path.cwd())
    write_half = importlib.import_module("half").write_half
    with Workers(1) as workers, pytest.raises(OSError, match=r"a worker process has ended at a\.png"):
        workers.submit(Path("a.png"), write_half).result()
    assert list(Path("out").iterdir()) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are listed by /proc")
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_they_end_with_the_process_of_the_network(way: signal.Signals) -> None:
    program = (
        "import os, signal, time; from pathlib import Path; from captum_superpixel.explain.workers import Workers\n"
        "if __name__ == '__main__':\n"
        # Whatever a shell starts in the background ignores Ctrl-C, and so do its children.
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    with Workers(1) as workers:\n"
        "        print(workers.submit(Path('a'), os.getpid).result(), flush=True)\n"
        "        time.sleep(600)\n"
    )
    Path("wait.py").write_text(program)
    with subprocess.Popen(
        [sys.executable, "wait.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            worker = int(process.stdout.readline())
            # Ctrl-C goes to all processes of a terminal.
            (os.killpg if way == signal.SIGINT else os.kill)(process.pid, way)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert said.count("KeyboardInterrupt") == (way == signal.SIGINT)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()
