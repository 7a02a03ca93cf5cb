"""A full disk: every writer stops with the system's error, leaves what was there, and nothing half-written."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="Windows limits no process's files")

# To a process whose files may hold a hundred bytes, a disk is full in the middle of a file.
PROGRAM = """
import resource, signal, sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from captum_superpixel._store import Store
from captum_superpixel.cli import main
from captum_superpixel.masks import Cached, Grid, Precomputed
from captum_superpixel.visualization import save_html

Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save("cat.png")
Path("tiny.py").write_text(
    "from torch import nn\\n"
    "def make(): return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())\\n"
)
sys.path.insert(0, ".")
images, mask = torch.rand(4, 3, 16, 16), Grid(9)(torch.rand(4, 3, 16, 16))
cached, store = Cached(Grid(100), "cache"), Store(Path("parts"))
explain = ["explain", "cat.png", "--model", "tiny:make", "--method", "Saliency", "--size", "32"]
WRITERS = {
    "Precomputed.save": lambda: Precomputed(torch.randint(0, 200, (4, 1, 16, 16))).save("masks.npz"),
    "Cached": lambda: cached(images),
    "Store.save": lambda: store.save("part", {}, {"weights": torch.rand(1000)}),
    "save_html": lambda: save_html("page.html", images[0], images[0], mask[0]),
    "explain --format png": lambda: main([*explain, "--format", "png"]),
    "explain --format html": lambda: main([*explain, "--format", "html"]),
    "explain --format npz": lambda: main([*explain, "--format", "npz"]),
}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for name, write in WRITERS.items():
    before = {path for path in Path().rglob("*") if path.is_file()}
    try:
        outcome = f"returned {write()}"
    except OSError as error:
        outcome = f"OSError {error.errno}"
    left = sorted(str(path) for path in Path().rglob("*") if path.is_file() and path not in before)
    print(f"{name}: {outcome}, left {left}")
"""


def test_every_writer_meets_a_full_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    outcomes = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ", left " in line)
    writers = ["Precomputed.save", "Cached", "Store.save", "save_html"]
    commands = [f"explain --format {kind}" for kind in ("png", "html", "npz")]
    assert outcomes == {
        **dict.fromkeys(writers, "OSError 27, left []"),
        **dict.fromkeys(commands, "returned 1, left []"),
    }
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(errors) == 3
    for line in errors:
        assert line.startswith("captum-superpixel: error: ")
        assert "cat.png" in line
        assert "[Errno 27] File too large" in line
    assert "Traceback" not in done.stderr
