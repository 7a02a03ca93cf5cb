"""Panels side by side: the same size, apart, nothing beyond the edges of the figure and little around it."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.text import Text

from captum_superpixel.explain.arrangement import Sheet, arrange
from captum_superpixel.explain.letters import paint
from captum_superpixel.visualization._described import describe_superpixels
from captum_superpixel.visualization._layers import Layer
from captum_superpixel.visualization._panel import Panel

DPI = 120
SHAPES = pytest.mark.parametrize(("height", "width"), [(40, 40), (20, 90), (90, 20)], ids=["square", "wide", "tall"])


def make(height: int, width: int, *, heading: str = "heading", title: str = "title", listed: int = 2) -> Figure:
    """Three panels, of which the second has a list and a color bar."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    channels_first = np.moveaxis(pixels, -1, 0)
    mask = np.arange(height * width).reshape(height, width) // 40
    values = np.linspace(-1, 1, height * width).reshape(height, width)
    described = describe_superpixels(channels_first, values, mask, k=listed, title=title, class_name="a class")
    panels = [Panel([Layer(pixels)], [], title=title), described.fit(4, 4), Panel([Layer(pixels)], [], title=title)]
    return arrange(Sheet(heading, panels, (None, None, None)))


def extents(figure: Figure) -> list[npt.NDArray[np.float64]]:
    """Left, bottom, right and top of the frame and the texts of each panel, ``(1 + T, 4)``."""
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    panels: list[list[Any]] = []
    for artist in figure.artists:
        # Of a panel, the frame is what is measured first.
        if isinstance(artist, Rectangle):
            panels.append([])
        if isinstance(artist, Rectangle | Text):
            panels[-1].append(artist.get_window_extent(renderer).extents)
    return [np.array(boxes) for boxes in panels]


@SHAPES
@pytest.mark.parametrize(
    "texts",
    [
        {},
        {"title": "a title that is far wider than a narrow panel"},
        {"heading": "wide\n" + "wide " * 60},
        {"listed": 12},
    ],
    ids=["short", "title", "heading", "list"],
)
def test_nothing_is_lost_and_nothing_overlaps(height: int, width: int, texts: dict[str, Any]) -> None:
    figure = make(height, width, **texts)
    panels = extents(figure)
    heading = figure.texts[0].get_window_extent().extents
    boxes = np.concatenate(panels)
    size = figure.get_size_inches() * DPI
    assert (np.concatenate([boxes, heading[None]]) > 0).all()
    assert (np.concatenate([boxes, heading[None]])[:, 2:] < size).all()
    # Between the panels there is a gap that nothing reaches into, of a quarter of an inch at least.
    for left, right in pairwise(panels):
        assert left[:, 2].max() + 30 < right[:, 0].min()
    assert boxes[:, 3].max() < heading[1]
    # Twelve pixels are a tenth of an inch, the margin.
    assert min(boxes[:, 0].min(), heading[0]) == pytest.approx(12, abs=2)
    assert size[0] - max(boxes[:, 2].max(), heading[2]) == pytest.approx(12, abs=2)
    assert size[1] - heading[3] == pytest.approx(12, abs=2)
    # The list ends as far below its last line as a legend of matplotlib does.
    assert 12 <= boxes[:, 1].min() < 20


@SHAPES
def test_pictures_have_whole_pixels_the_shape_of_what_they_show_and_one_height(height: int, width: int) -> None:
    frames = np.array([boxes[0] for boxes in extents(make(height, width))])
    np.testing.assert_allclose(frames, frames.round(), atol=1e-6)
    sizes = frames[:, 2:] - frames[:, :2]
    assert (np.ptp(sizes, axis=0) < 1e-6).all()
    assert (np.ptp(frames[:, 1]) < 1e-6).all()
    assert sizes[0, 1] / sizes[0, 0] == pytest.approx(height / width, rel=0.01)


def test_color_bars_stand_beside_their_panel_and_are_as_high() -> None:
    figure = make(40, 40)
    frame = extents(figure)[1][0]
    bars = [each.get_window_extent().extents for each in figure.artists if isinstance(each, PathPatch)]
    bar = max(bars, key=lambda extent: extent[3] - extent[1])
    assert bar[[1, 3]] == pytest.approx(frame[[1, 3]])
    assert 0 < bar[0] - frame[2] < 20
    assert (bar[3] - bar[1]) / (bar[2] - bar[0]) == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize(("height", "width"), [(8, 2000), (2000, 8), (1, 64), (1, 900)])
def test_pictures_that_are_very_narrow_have_a_pixel_at_least(height: int, width: int) -> None:
    figure = make(height, width)
    frames = np.array([boxes[0] for boxes in extents(figure)])
    assert (frames[:, 2:] - frames[:, :2] >= 1 - 1e-6).all()
    assert paint(figure, DPI).min() == 0
