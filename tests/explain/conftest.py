"""A folder with photographs and a module of small networks, which is the current one."""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from captum_superpixel.cli import main

mpl.use("Agg")

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.features = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.linear = nn.Linear(24, 5)

    def forward(self, images):
        return self.linear(self.pool(self.features(self.relu(self.conv(images)))).flatten(1))

def load():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Net()
    for parameter in net.parameters():
        parameter.data *= 4
    return net

def red():
    # Class 1 is the sum of the red channel (the last, for a network that takes blue first), class 0 nothing.
    class Red(nn.Module):
        def forward(self, images):
            return torch.stack([0 * images.sum((1, 2, 3)), images[:, 0].sum((1, 2))], dim=1)
    return Red()

def rooted():
    # A sum of roots of the red channel, whose gradient at 0 is infinite.
    class Rooted(nn.Module):
        def forward(self, images):
            roots = images[:, 0].clamp(min=0).sqrt().sum((1, 2))
            return torch.stack([roots, -roots], dim=1)
    return Rooted()

def probable():
    return nn.Sequential(load(), nn.Softmax(1))

def flat():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))

def one_at_a_time():
    class One(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 4, 3))
            self.linear = nn.Linear(4, 5)
        def forward(self, images):
            return self.linear(self.features(images).mean((2, 3)).reshape(1, 4))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return One()

def by_neighbors():
    class Neighbors(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 4, 3))
            self.linear = nn.Linear(4, 5)
        def forward(self, images):
            features = self.features(images).mean((2, 3))
            return self.linear(features * features.mean(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Neighbors()

def functional():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 6, 3), nn.Linear(6, 5)
        def forward(self, images):
            return self.linear(torch.relu(self.conv(images)).mean((2, 3)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Functional()

def named():
    net = load()
    net.labels = ("tabby, tabby cat", "tiger cat", "lynx", "crane", "crane")
    return net

def greedy():
    class Greedy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = load()
            self.sizes = []
        def forward(self, images):
            if len(images) > 2:
                raise torch.OutOfMemoryError("out of memory")
            self.sizes.append(len(images))
            return self.net(images)
    return Greedy()

def broken_on_black():
    class Picky(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = load()
        def forward(self, images):
            if (images.detach().flatten(1).std(dim=1) == 0).any():
                raise RuntimeError("not black")
            return self.net(images)
    return Picky()
"""


def photograph(path: Path, height: int = 24, width: int = 20, seed: int = 0, mode: str = "RGB") -> Path:
    """Write a picture of four colors and some noise."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 200, (2, 2, 3))
    rows, columns = np.arange(height) * 2 // height, np.arange(width) * 2 // width
    pixels = (colors[rows[:, None], columns] + rng.integers(0, 50, (height, width, 3))).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "explain_net", raising=False)
    (tmp_path / "explain_net.py").write_text(MODULE)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    photograph(tmp_path / "cat.png")
    return tmp_path


@pytest.fixture
def files(folder: Path) -> Callable[[], list[str]]:
    """List all files and folders, but for those that were there and what is kept of explanations."""
    before = set(folder.rglob("*"))

    def new() -> set[Path]:
        return {path for path in set(folder.rglob("*")) - before if ".explained" not in path.parts}

    return lambda: sorted(str(path.relative_to(folder)) for path in new())


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str], files: Callable[[], list[str]]) -> Callable[..., str]:
    """Run ``explain`` with arguments that cannot be used; nothing may be written. The error, which is one line."""

    def run(*arguments: str) -> str:
        assert main(["explain", *arguments]) == 2
        assert files() == []
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("captum-superpixel: error: ")
        assert captured.err.count("\n") == 1
        return captured.err

    return run
