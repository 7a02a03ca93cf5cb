"""Texts, lists and color bars around a picture lie where matplotlib's axes, legends and color bars have them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from torch import Tensor

from captum_superpixel.explain.bar_placing import place_bar
from captum_superpixel.explain.letters import Painter, paint
from captum_superpixel.explain.placing import Placed, place_panel
from captum_superpixel.visualization._described import describe_superpixels
from captum_superpixel.visualization._panel import Panel, draw_panel

DPI = 120
CORNER, SIZE = np.array([150, 500]), (480, 360)
"""Pixels of a figure in which the lower left corner of a picture lies, and of the picture."""
GENERATOR = np.random.default_rng(0)
MASK = np.arange(30 * 40).reshape(30, 40) // 50
SCORES = GENERATOR.normal(size=MASK.max() + 1)
OUTLIER = SCORES + 100 * (np.arange(len(SCORES)) == 3)
HOLES = np.where(np.arange(len(SCORES)) % 5 == 0, np.nan, SCORES)


def make(scores: npt.NDArray[np.float64], **options: Any) -> Panel:
    height = options.pop("height", 3)
    described = describe_superpixels(np.full((30, 40), 0.5), scores[MASK], MASK, title="a title", **options)
    return described.fit(4, height)


CASES = {
    "signs": make(SCORES, k=7, class_name="a class of a long name"),
    "magnitudes": make(abs(SCORES), k=10, sign="absolute_value"),
    "beyond": make(OUTLIER, k=10),
    "beyond both": make(OUTLIER * np.where(np.arange(len(SCORES)) < 12, 1, -80), k=3),
    "holes": make(HOLES, k=9),
    "holes alone": make(HOLES),
    "many": make(SCORES, k=24),
    "equal": make(np.round(abs(SCORES)), k=20),
    "zero": make(0 * SCORES, k=20),
    "short": make(SCORES, k=4, height=0.8),
    "no bar": make(SCORES, k=4, show_colorbar=False),
}


def place(panel: Panel, region: Tensor | None = None) -> tuple[Figure, Placed]:
    figure = Figure(figsize=(10, 8), dpi=DPI)
    placed = place_panel(figure, Painter(1, 1, DPI), panel, SIZE, region)
    if panel.bar is not None:
        place_bar(placed, panel.bar)
    return figure, placed


def their(panel: Panel) -> tuple[Figure, npt.NDArray[np.float64]]:
    """Drawn in axes of the same place, and how far all of it reaches: left, bottom, right, top."""
    figure = Figure(figsize=(10, 8), dpi=DPI)
    axis = figure.add_axes((0, 0, 1, 1))
    draw_panel(figure, axis, panel)
    axis.title.set_fontsize(11)
    axis.set_aspect("auto")
    whole = np.array([10, 8]) * DPI
    axis.set_position((*(CORNER / whole), *(SIZE / whole)))
    for bar in figure.axes[1:]:
        left = CORNER[0] + SIZE[0] + round(0.02 * SIZE[0])
        bar.set_position((left / whole[0], CORNER[1] / whole[1], SIZE[1] / whole[0], SIZE[1] / whole[1]))
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [each.get_tightbbox(canvas.get_renderer()).extents for each in figure.axes]
    return figure, np.concatenate([np.min(boxes, axis=0)[:2], np.max(boxes, axis=0)[2:]])


def texts(figure: Figure) -> list[tuple[str, npt.NDArray[np.float64]]]:
    """What is written, and its left, bottom, right and top."""
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    found = [each for each in figure.findobj(Text) if each.get_text().strip() and each.get_visible()]
    return sorted(
        ((each.get_text(), each.get_window_extent(renderer).extents) for each in found),
        key=lambda pair: (pair[0], *pair[1].round()),
    )


@pytest.mark.parametrize("panel", CASES.values(), ids=CASES.keys())
def test_texts_lie_where_matplotlib_has_them(panel: Panel) -> None:
    figure, placed = place(panel)
    placed.place.translate(*CORNER)
    ours, theirs = texts(figure), texts(their(panel)[0])
    assert [text for text, _ in ours] == [text for text, _ in theirs]
    assert len(ours) > 3
    for (text, here), (_, there) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(here, there, atol=1.01, err_msg=text)


@pytest.mark.parametrize("panel", CASES.values(), ids=CASES.keys())
def test_what_belongs_to_a_panel_reaches_as_far(panel: Panel) -> None:
    around = place(panel)[1].around
    ours = np.array([-around.left, -around.bottom, SIZE[0] + around.right, SIZE[1] + around.top])
    _, reach = their(panel)
    np.testing.assert_allclose(ours + np.tile(CORNER, 2), reach, atol=2)


def both(panel: Panel) -> list[npt.NDArray[np.int64]]:
    """The pixels ``(H, W, 3)`` of a panel that is placed here, and by matplotlib."""
    figure, placed = place(panel)
    placed.place.translate(*CORNER)
    figure.set_layout_engine("none")
    canvas: Any = FigureCanvasAgg(their(panel)[0])
    canvas.draw()
    return [paint(figure, DPI).astype(int), np.asarray(canvas.buffer_rgba())[..., :3].astype(int)]


@pytest.mark.parametrize("panel", CASES.values(), ids=CASES.keys())
def test_pictures_are_those_of_matplotlib_but_for_edges(panel: Panel) -> None:
    """Letters may lie half a pixel apart, and pictures are resampled by another filter."""
    ours, theirs = both(panel)
    differences = np.abs(ours - theirs)
    assert differences.mean() < 1.5
    assert np.quantile(differences, 0.97) <= 8


@pytest.mark.parametrize("name", [name for name, panel in CASES.items() if panel.bar is not None])
def test_color_bars_are_those_of_matplotlib(name: str) -> None:
    """Colors, triangles and ticks, which are few of the pixels of a figure."""
    bar = CASES[name].bar
    assert bar is not None
    # Rows are counted from above.
    low = 8 * DPI - CORNER[1]
    rows = slice(low - SIZE[1], low)
    left = CORNER[0] + SIZE[0] + round(0.02 * SIZE[0])
    right = left + round(SIZE[1] / bar.aspect)
    ours, theirs = both(CASES[name])
    middle = (left + right) // 2
    filled = np.abs(ours - theirs)[rows, middle - 1 : middle + 2]
    # But for the frame, and where a triangle begins.
    assert (filled.max(axis=(1, 2)) <= 8).mean() > 0.97
    tips = {"lower": slice(low - 9, low - 4), "upper": slice(low - SIZE[1] + 4, low - SIZE[1] + 9)}
    for has, tip in zip(bar.triangles, tips.values(), strict=True):
        assert not has or np.abs(ours - theirs)[tip, middle].max() <= 8
    ticks = [pixels[rows, right + 3].max(axis=1) < 128 for pixels in (ours, theirs)]
    assert ticks[0].any() == (name != "zero")
    np.testing.assert_allclose(np.flatnonzero(ticks[0]), np.flatnonzero(ticks[1]), atol=1)


def test_stripes_in_the_list_are_those_of_matplotlib() -> None:
    """They stand for what is not finite, beside the last entry of the first column."""
    ours, theirs = both(CASES["holes"])
    gray = [(np.ptp(pixels, axis=2) == 0) & (abs(pixels[..., 0] - 150) < 4) for pixels in (ours, theirs)]
    below = slice(8 * DPI - CORNER[1] + 20, None)
    found = [np.argwhere(each[below]) for each in gray]
    assert len(found[0]) > 50
    for corner in (np.min, np.max):
        np.testing.assert_allclose(corner(found[0], axis=0), corner(found[1], axis=0), atol=4)


def test_what_a_target_is_about_is_outlined_to_the_borders_of_the_picture() -> None:
    region = torch.zeros(30, 40, dtype=torch.bool)
    region[10:, 20:] = True
    figure, placed = place(make(SCORES), region)
    placed.place.translate(*CORNER)
    pixels = paint(figure, DPI)
    yellow = (np.abs(pixels.astype(int) - (255, 230, 26)) < 60).all(axis=-1)
    rows, columns = np.nonzero(yellow)
    # A pixel of the picture is 12 of the figure, whose rows are counted from above.
    top, left = 8 * DPI - CORNER[1] - SIZE[1], CORNER[0]
    assert (rows.min(), columns.min()) == pytest.approx((top + 120, left + 240), abs=3)
    assert (rows.max(), columns.max()) == pytest.approx((top + 360, left + 480), abs=3)
    assert not yellow[top + 130 : top + 350, left + 250 : left + 470].any()
    for whole in (None, torch.ones(30, 40, dtype=torch.bool)):
        figure, placed = place(make(SCORES), whole)
        placed.place.translate(*CORNER)
        assert not (np.abs(paint(figure, DPI).astype(int) - (255, 230, 26)) < 30).all(axis=-1).any()
