"""The reliability figure shows the bins of the records that have enough cases, and no text lies on another."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from captum_superpixel.study.predictors import ALL, DRAWN, OWN_TOP
from captum_superpixel.study.reliability import describe_reliability, draw_reliability

PANELS = (
    ("Saliency", "magnitude", "Slic(30)"),
    ("Saliency", "magnitude", "ensemble"),
    ("IntegratedGradients", "signed", "Slic(30)"),
    ("IntegratedGradients", "magnitude", "Slic(30)"),
    ("IntegratedGradients", "magnitude", "ensemble"),
)


def record(method: str, sign: str, regions: str, k: int, **changes: Any) -> dict[str, Any]:
    middles = (np.arange(10) + 0.5) / 10
    curve = {"predicted": middles.tolist(), "happened": (middles**2).tolist(), "counts": [5, 9, *[10] * 5, 40, 0, 60]}
    curve["predicted"][8] = curve["happened"][8] = None
    made = {"method": method, "sign": sign, "regions": regions, "k": k, "which": OWN_TOP, "curve": curve}
    return made | {"predictor": DRAWN["joint"], "calibration_error": {"value": 0.01 * k}} | changes


def test_panels_lines_and_points() -> None:
    records = [record(*panel, k) for panel in PANELS for k in (3, 5)]
    hidden = [record(*PANELS[0], 3, which=ALL), record(*PANELS[0], 3, predictor="own rank", curve=None)]
    figure = draw_reliability([*records, *hidden])
    assert figure is not None
    seen = [axis for axis in figure.axes if axis.get_visible()]
    assert len(seen) == len(PANELS)
    for axis in seen:
        diagonal, *lines = axis.get_lines()
        assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
        assert len(lines) == 2
        for line, points in zip(lines, axis.collections, strict=True):
            places = np.array([0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.95])
            assert np.asarray(line.get_xydata()) == pytest.approx(np.stack([places, places**2], axis=1))
            assert np.argmax(points.get_sizes()) == 6
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    # Each column has its numbers, also the one whose last panel is missing.
    for column, last in zip(figure.axes[:3], (3, 1, 5), strict=True):
        below = figure.axes[last] if last != 1 else column
        assert [label.get_text() for label in below.get_xticklabels() if label.get_visible()] == ["0.0", "0.5", "1.0"]
    ticks = {label for axis in figure.axes for label in (*axis.get_xticklabels(), *axis.get_yticklabels())}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text() and text not in ticks]
    texts = [text for text in texts if text.axes is None or text.axes.get_visible()]
    boxes = [text.get_window_extent(canvas.get_renderer()).padded(-1) for text in texts]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    labels = {text.get_text() for text in texts}
    assert {
        "top 3",
        "top 5",
        "as said",
        "IntegratedGradients\nsigned, Slic(30)",
        "Saliency\nmagnitude, ensemble",
    } <= labels


def test_without_enough_cases_there_is_no_figure() -> None:
    few = record(*PANELS[0], 3)
    few["curve"]["counts"] = [9] * 10
    assert draw_reliability([few]) is None
    assert draw_reliability([]) is None


def test_what_is_seen_is_told() -> None:
    records = [record(*panel, k) for panel in PANELS for k in (3, 5)]
    told = describe_reliability({"records": [*records, record(*PANELS[0], 9, which=ALL)]})
    assert told.endswith("The expected calibration error is 0.03 to 0.05.")
