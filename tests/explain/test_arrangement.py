"""Panels side by side: the same size, apart, nothing beyond the edges of the figure and little around it."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from captum_superpixel.explain.arrangement import arrange

DPI = 120


def make(height: int, width: int, *, heading: str = "heading", title: str = "title", listed: int = 1) -> Figure:
    figure = Figure(figsize=(15, 7))
    axes = figure.subplots(1, 3)
    for axis in axes:
        drawn = axis.imshow(np.arange(height * width).reshape(height, width))
        axis.set(title=title, xticks=[], yticks=[])
    bar = figure.colorbar(drawn, ax=axes[1], label="a label\nof two lines")
    axes[1].text(0.5, -0.02, "entry\n" * listed, transform=axes[1].transAxes, va="top", ha="center")
    arrange(figure, axes, (None, bar.ax, None), figure.suptitle(heading))
    return figure


def boxes(figure: Figure) -> list[Any]:
    canvas: Any = FigureCanvasAgg(figure)
    renderer = canvas.get_renderer()
    return [axis.get_tightbbox(renderer) for axis in figure.axes]


@pytest.mark.parametrize(("height", "width"), [(40, 40), (20, 90), (90, 20)], ids=["square", "wide", "tall"])
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
    *panels, bar = boxes(figure)
    size = figure.get_size_inches() * DPI
    heading = figure.texts[0].get_window_extent()
    for box in (*panels, bar, heading):
        assert (box.min > 0).all()
        assert (box.max < size).all()
    assert panels[0].x1 < panels[1].x0
    assert bar.x1 < panels[2].x0
    assert max(box.y1 for box in (*panels, bar)) < heading.y0
    # Twelve pixels are a tenth of an inch, the margin.
    left, right = min(panels[0].x0, heading.x0), max(panels[2].x1, heading.x1)
    assert (left, size[0] - right) == pytest.approx((12, 12), abs=2)
    assert min(box.y0 for box in (*panels, bar)) == pytest.approx(12, abs=2)
    assert size[1] - heading.y1 == pytest.approx(12, abs=2)


def places(figure: Figure) -> list[tuple[float, ...]]:
    return [axis.get_window_extent().bounds for axis in figure.axes[:3]]


@pytest.mark.parametrize(("height", "width"), [(40, 40), (20, 90), (90, 20)], ids=["square", "wide", "tall"])
def test_panels_have_whole_pixels_the_shape_of_their_pictures_and_one_height(height: int, width: int) -> None:
    bounds = np.array(places(make(height, width)))
    np.testing.assert_allclose(bounds, bounds.round(), atol=1e-6)
    assert (np.ptp(bounds[:, 1:], axis=0) < 1e-6).all()
    assert bounds[0, 3] / bounds[0, 2] == pytest.approx(height / width, rel=0.01)


def test_color_bars_stand_beside_their_panel_and_are_as_high() -> None:
    figure = make(40, 40)
    panel: Axes = figure.axes[1]
    bar = figure.axes[3]
    bar.apply_aspect()
    frame, beside = panel.get_window_extent(), bar.get_window_extent()
    assert (beside.y0, beside.y1) == pytest.approx((frame.y0, frame.y1), abs=1)
    assert 0 < beside.x0 - frame.x1 < 20
    assert beside.height / beside.width == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize(("height", "width"), [(8, 2000), (2000, 8), (1, 64)])
def test_frames_keep_their_place_when_they_are_drawn(height: int, width: int) -> None:
    """Though no whole pixels have exactly the shape of a picture that is so narrow."""
    figure = make(height, width)
    before = places(figure)
    figure.draw_without_rendering()
    np.testing.assert_allclose(places(figure), before, atol=1e-6)
