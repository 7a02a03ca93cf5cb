"""Figures as files: what savefig would write, though everything is drawn once, and nothing lost at the edges."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.figure import Figure
from PIL import Image

from captum_superpixel.explain.rendering import draw_pixels, save_figure


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


def test_pictures_lie_as_matplotlib_lays_them(tmp_path: Path) -> None:
    """In the pixels of the figure and by another filter: the same, but for edges."""
    generator = np.random.default_rng(0)
    smooth = np.add.outer(np.linspace(0, 1, 60), np.linspace(0, 2, 90)) / 3
    veil = np.zeros((120, 180, 4), dtype=np.uint8)
    veil[30:60, 90:] = (255, 0, 0, 128)

    def layered() -> Figure:
        figure = Figure(figsize=(3, 2))
        axis = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axis.imshow(np.repeat(smooth[..., None], 3, axis=2), interpolation="antialiased")
        holes = np.ma.masked_array(smooth, smooth > 0.9)
        axis.imshow(holes, alpha=None, cmap="viridis", interpolation="antialiased")
        axis.imshow(veil, extent=(-0.5, 89.5, 59.5, -0.5), interpolation="antialiased")
        axis.plot(generator.uniform(0, 80, 5), [10, 20, 30, 40, 50], color="white")
        return figure

    layered_before = generator.bit_generator.state
    layered().savefig(tmp_path / "theirs.png", dpi=120)
    generator.bit_generator.state = layered_before
    ours = draw_pixels(layered()).astype(float)
    Image.open(tmp_path / "theirs.png").convert("RGB").save(tmp_path / "theirs.png")
    theirs = pixels(tmp_path / "theirs.png")
    assert ours.shape == theirs.shape
    differences = np.abs(ours - theirs)
    assert differences.mean() < 1
    assert np.quantile(differences, 0.95) <= 3


def test_the_figure_stays_as_it_was(tmp_path: Path) -> None:
    figure = make()
    save_figure(figure, tmp_path / "first.png")
    assert [len(axis.images) for axis in figure.axes[:2]] == [1, 1]
    assert all(image.get_visible() for axis in figure.axes for image in axis.images)
    assert len(figure.axes[0].artists) == 0
    figure.axes[0].images[0].set_visible(False)
    save_figure(figure, tmp_path / "second.png")
    first, second = (pixels(tmp_path / f"{name}.png") for name in ("first", "second"))
    width = first.shape[1] // 2
    assert second[:, : width // 2].mean() > first[:, : width // 2].mean() + 10
    figure.axes[0].images[0].set_visible(True)
    save_figure(figure, tmp_path / "third.png")
    np.testing.assert_array_equal(pixels(tmp_path / "third.png"), first)


@pytest.mark.parametrize("size", [(4, 60), (60, 4)], ids=["wide", "tall"])
def test_pictures_lie_within_the_frame_of_their_axis(size: tuple[int, int], tmp_path: Path) -> None:
    """Which is narrower than the place that the axis was given, as it has the shape of the picture."""
    figure = Figure(figsize=(2, 2))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(np.zeros((*size, 3)))
    axis.axis("off")
    ours = draw_pixels(figure).astype(float)
    dark = (ours == 0).all(axis=-1)
    found = (dark.any(axis=1).sum(), dark.any(axis=0).sum())
    assert found == pytest.approx((4 * size[0], 4 * size[1]), abs=1)


@pytest.mark.parametrize(
    "options",
    [{"extent": (0.5, 2.5, 2.5, 0.5)}, {"alpha": 0.5}, {"origin": "lower"}],
    ids=lambda each: next(iter(each)),
)
def test_pictures_that_do_not_fill_their_axis_are_left_to_matplotlib(options: dict[str, Any], tmp_path: Path) -> None:
    def half() -> Figure:
        figure = Figure(figsize=(2, 2))
        axis = figure.add_axes((0, 0, 1, 1))
        axis.imshow(np.arange(16).reshape(4, 4), cmap="gray")
        axis.imshow(np.arange(4).reshape(2, 2), **{"extent": (-0.5, 3.5, 3.5, -0.5), **options})
        axis.set(xlim=(-0.5, 3.5), ylim=(3.5, -0.5))
        return figure

    half().savefig(tmp_path / "theirs.png", dpi=120)
    ours = draw_pixels(half()).astype(float)
    Image.open(tmp_path / "theirs.png").convert("RGB").save(tmp_path / "theirs.png")
    np.testing.assert_array_equal(ours, pixels(tmp_path / "theirs.png"))
