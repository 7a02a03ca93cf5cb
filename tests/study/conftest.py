"""Images that a small network learns in seconds, and a study of them that several files look at."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captum_superpixel.cli import main

_CLASSES = ("blue", "green", "red")


def write_squares(folder: Path, count: int, seed: int, size: int = 24) -> None:
    """Write pictures of a blue, a green or a red square on noise, in turn, one folder a class."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        pixels = rng.integers(0, 120, (size, size, 3), dtype=np.uint8)
        top, left = rng.integers(2, size - 12, 2)
        pixels[top : top + 10, left : left + 10, 2 - number % 3] = 250
        path = folder / _CLASSES[number % 3] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def squares() -> Callable[..., None]:
    """Write pictures of squares into a folder: the function above."""
    return write_squares


@pytest.fixture(scope="session")
def squares_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 pictures to train on and 24 to explain, 24 pixels wide, in three classes; for reading only."""
    root = tmp_path_factory.mktemp("squares")
    write_squares(root / "train", 60, seed=1)
    write_squares(root / "val", 24, seed=2)
    return root


@dataclass(frozen=True)
class TinyStudy:
    """A finished study; its folder is for reading only.

    Attributes:
        out: Its folder.
        arguments: Of the command line, without ``--out``.
        lines: What was printed.
    """

    out: Path
    arguments: tuple[str, ...]
    lines: tuple[str, ...]


@pytest.fixture(scope="session")
def tiny_study(squares_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    """Three networks, three methods, four images in two chunks, and MeGe, in a few seconds."""
    options = (
        f"--dataset imagefolder --root {squares_root} --network small_cnn --size 24 --epochs 6 --models 3 --mege 3"
    )
    options += " --images 4 --chunk 2 --fidelity-images 3 --road-images 1 --segments 8 --steps 2 --samples 2 --draws 1"
    arguments = ("study", *options.split())
    out = tmp_path_factory.mktemp("tiny-study") / "out"
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *values, **_: printed.append(" ".join(map(str, values))))
        status = main([*arguments, "--out", str(out)])
    if status:
        raise RuntimeError("\n".join(printed))
    return TinyStudy(out, arguments, tuple(printed))
