"""Figures as files: what savefig would write, though everything is drawn once, and nothing lost at the edges."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from PIL import Image

from captum_superpixel.explain.figure import save_figure


def make() -> Figure:
    figure = Figure(figsize=(4, 3), layout="compressed")
    for number, axis in enumerate(figure.subplots(1, 2)):
        drawn = axis.imshow(np.arange(12).reshape(3, 4) % (5 + number), interpolation="nearest")
        axis.set_title("title")
    figure.colorbar(drawn, ax=axis)
    return figure


def pixels(path: Path) -> npt.NDArray[np.float64]:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image, dtype=np.float64)


def test_it_is_what_savefig_writes(tmp_path: Path) -> None:
    make().savefig(tmp_path / "theirs.png", dpi=120, bbox_inches="tight")
    save_figure(make(), tmp_path / "ours.png")
    Image.open(tmp_path / "theirs.png").convert("RGB").save(tmp_path / "theirs.png")
    ours, theirs = (pixels(tmp_path / f"{name}.png") for name in ("ours", "theirs"))
    assert np.abs(np.subtract(ours.shape, theirs.shape)).max() <= 1
    # Lines and letters may lie half a pixel apart.
    height, width = (min(sides) for sides in zip(ours.shape[:2], theirs.shape[:2], strict=True))
    differences = np.abs(ours[:height, :width] - theirs[:height, :width])
    assert differences.mean() < 6
    assert np.median(differences) == 0


def test_everything_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = []
    original = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, renderer: (count.append(1), original(self, renderer))[1])
    save_figure(make(), tmp_path / "ours.png")
    assert len(count) == 1


def test_what_reaches_beyond_the_figure_is_kept(tmp_path: Path) -> None:
    figure = make()
    save_figure(figure, tmp_path / "inside.png")
    figure.text(1.5, 0.5, "outside", color="red")
    save_figure(figure, tmp_path / "outside.png")
    inside, outside = (pixels(tmp_path / f"{name}.png") for name in ("inside", "outside"))
    red = np.array([255, 0, 0])
    assert outside.shape[1] > inside.shape[1] + 200
    assert (outside[:, -60:] == red).all(axis=-1).any()
    assert not (inside == red).all(axis=-1).any()
