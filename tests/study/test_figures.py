"""The pictures of a report: what is in them, and that their texts do not overlap."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.data import load_data
from captum_superpixel.study.explaining import METHODS, Explainer
from captum_superpixel.study.figures import draw_maps, draw_stability
from captum_superpixel.study.groupings import standard_groupings
from captum_superpixel.study.measuring import Protocol
from captum_superpixel.study.settings import StudySettings


def check_texts(figure: Any) -> list[str]:
    """All texts that are seen; none lies on another, or beyond the edge."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    # Matplotlib has labels of ticks beyond the axes, too, which it does not draw.
    ticks = {label for axis in figure.axes for label in (*axis.get_xticklabels(), *axis.get_yticklabels())}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    texts = [text for text in texts if text not in ticks]
    boxes = {text: text.get_window_extent(canvas.get_renderer()) for text in texts}
    width, height = canvas.get_width_height()
    for text, box in boxes.items():
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    for one, other in combinations(texts, 2):
        assert not boxes[one].padded(-1).overlaps(boxes[other].padded(-1)), (one, other)
    return [text.get_text() for text in texts]


@pytest.fixture
def result(tiny_study: Any) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((tiny_study.out / "report.json").read_text())
    return report


def test_maps(squares_root: Path) -> None:
    settings = StudySettings(dataset="imagefolder", root=str(squares_root), size=24).resolved()
    data = load_data(settings)
    explainer = Explainer(n_steps=2, n_samples=2)
    protocol = Protocol(explainer, METHODS, standard_groupings(6, counts=(6,), denormalize=data.denormalize))
    network = small_cnn(3, generator=torch.Generator().manual_seed(0)).eval()
    figure = draw_maps(network, protocol, data, [5, 9, 13, 14, 20, 21], 0, torch.device("cpu"))
    images = [image for axis in figure.axes for image in axis.get_images()]
    assert len(images) == 4 * (1 + 3 * 4)
    texts = check_texts(figure)
    assert [text for text in texts if text in METHODS] == list(METHODS)
    for name in ("pixels", "cells", "Slic", "ensemble"):
        assert texts.count(name) == 3
    shown = [data.classes[data.held_out.labels[index]] for index in (5, 9, 13, 14)]
    assert [text.split()[-1] for text in texts if text.startswith("label")] == shown


def test_stability_is_drawn_from_the_records(result: dict[str, Any]) -> None:
    figure = draw_stability(result)
    assert figure is not None
    texts = check_texts(figure)
    for method in METHODS:
        (axis,) = (axis for axis in figure.axes if axis.get_title() == method)
        drawn = {
            (round(float(line.get_xdata()[0]), 9), round(float(line.get_ydata()[0]), 9))
            for line in axis.get_lines()
            if len(line.get_xdata()) == 1
        }
        of = {(r["grouping"], r["sign"], r["metric"]): r for r in result["records"] if r["method"] == method}
        expected = {
            (
                round(record["excess"]["random_network"], 9),
                round(of[grouping, sign, "insertion_minus_deletion"]["value"], 9),
            )
            for (grouping, sign, metric), record in of.items()
            if metric == "ssim"
        }
        assert len(expected) > 7
        assert expected <= drawn
    assert texts.count("Felzenszwalb") == 3 * 2


def test_no_stability_no_picture(result: dict[str, Any]) -> None:
    fidelity = [record for record in result["records"] if record["family"] == "fidelity"]
    assert draw_stability(result | {"records": fidelity}) is None
    stability = [record for record in result["records"] if record["family"] == "stability"]
    assert draw_stability(result | {"records": stability}) is None
