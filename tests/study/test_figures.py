"""The figures of a report: they show the numbers of the records, and no text lies on another."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.context import Study
from captum_superpixel.study.figures import alt_texts, draw_differences, draw_maps, draw_sizes, draw_stability
from captum_superpixel.study.protocol import METHOD_NAMES, Protocol, Row, standard_groupings
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


def test_maps(settings_of: Callable[..., StudySettings], study_of: Callable[..., Study]) -> None:
    """Magnitudes of one view, and last what is recommended for the method, as it is displayed."""
    groupings = standard_groupings(6, n_views=3, counts=(6,))
    settings = MethodSettings(n_steps=2, n_samples=2, noise=0.1, signed=True)
    recommended: dict[str, Any] = {
        "Saliency": Row("ensemble", "evidence", 3),
        "IntegratedGradients": Row("blur", "evidence"),
        "SmoothGrad": Row("pixels", "magnitude", 3),
    }
    protocol = Protocol(settings, METHOD_NAMES, groupings, recommended=recommended)
    study = study_of(settings_of(), protocol=protocol)
    network = small_cnn(3, generator=torch.Generator().manual_seed(0)).eval()
    figure = draw_maps(study, network, [5, 9, 13, 14, 20, 21])
    images = [image for axis in figure.axes for image in axis.get_images()]
    assert len(images) == 3 * 3 * (1 + 5 + 1)
    texts = check_texts(figure)
    titles = [f"{method}: maps of the first network" for method in METHOD_NAMES]
    assert [text for text in texts if text in titles] == titles
    assert ["magnitude" in text for text in texts if "relative to" in text] == [True] * 3
    for grouping in groupings:
        assert texts.count(grouping.name) == (3 if "drawn" in grouping.roles else 0)
    for name in ("ensemble\nevidence, 3 views", "blur\nevidence", "pixels\nmagnitude, 3 views"):
        assert texts.count(name) == 1
    shown = [study.data.classes[study.data.held_out.labels[index]] for index in (5, 9, 13)]
    assert 3 * shown == [text.split()[-1] for text in texts if text.startswith("label")]


def test_stability_is_drawn_from_the_records(tiny_study: Any) -> None:
    result = tiny_study.report
    figure = draw_stability(result)
    assert figure is not None
    texts = check_texts(figure)
    for method in METHOD_NAMES:
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


def test_no_stability_no_picture(tiny_study: Any) -> None:
    result = tiny_study.report
    fidelity = [record for record in result["records"] if record["family"] == "fidelity"]
    assert draw_stability(result | {"records": fidelity}) is None
    stability = [record for record in result["records"] if record["family"] == "stability"]
    assert draw_stability(result | {"records": stability}) is None


def test_differences_are_those_of_the_comparisons(result: dict[str, Any]) -> None:
    """A panel for each measure that something is claimed of, and in it every case against pixels and the controls."""
    figure = draw_differences(result)
    assert figure is not None
    texts = check_texts(figure)
    panels = {
        "chance-corrected SSIM": ("ssim", "excess over random_network"),
        "chance-corrected top-10 % IoU": ("top_k_iou", "excess over random_network"),
        "insertion − deletion": ("insertion_minus_deletion", "value"),
    }
    assert [axis.get_title() for axis in figure.axes] == list(panels)
    assert {"Saliency", "IntegratedGradients", "signed", "magnitude"} <= set(texts)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 3 * 4
    for axis, (metric, quantity) in zip(figure.axes, panels.values(), strict=True):
        found = [
            each
            for each in result["comparisons"]
            if (each["metric"], each["quantity"]) == (metric, quantity)
            and f"{each['grouping']} − {each['against']}" in labels
        ]
        assert len(found) == 3 * 4 * 2 * 2
        points = {
            (labels[round(float(line.get_ydata()[0]))], round(float(line.get_xdata()[0]), 9))
            for line in axis.get_lines()
            if line.get_marker() == "o"
        }
        expected = {(f"{each['grouping']} − {each['against']}", round(each["difference"], 9)) for each in found}
        assert points == expected
        hollow = [
            line for line in axis.get_lines() if line.get_marker() == "o" and line.get_markerfacecolor() == "white"
        ]
        assert len(hollow) == len([each for each in found if each["sign"] == "magnitude"])
        bars = {tuple(line.get_xdata()) for line in axis.get_lines() if line.get_marker() != "o"}
        assert {tuple(each["ci95"]) for each in found} <= bars


def test_no_difference_is_drawn_where_there_is_no_figure(result: dict[str, Any]) -> None:
    for record in result["comparisons"]:
        record["difference"], record["ci95"] = None, [None, None]
    figure = draw_differences(result)
    assert figure is not None
    assert not [line for axis in figure.axes for line in axis.get_lines() if line.get_marker() == "o"]
    assert draw_differences(result | {"comparisons": []}) is None


def test_a_single_image_has_a_point_without_a_bar(result: dict[str, Any]) -> None:
    for record in result["comparisons"]:
        record["ci95"] = [None, None]
    figure = draw_differences(result)
    assert figure is not None
    assert len([line for line in figure.axes[0].get_lines() if line.get_marker() == "o"]) == 3 * 4 * 2 * 2


def test_a_single_panel_is_wide_enough_for_the_legend(result: dict[str, Any], tiny_study: Any) -> None:
    fidelity = [each for each in result["comparisons"] if each["metric"] == "insertion_minus_deletion"]
    third = [each | {"method": "SmoothGrad"} for each in fidelity]
    one_method = [each for each in tiny_study.report["variance_by_size"] if each["method"] == "SmoothGrad"]
    for figure in (draw_differences({"comparisons": fidelity + third}), draw_sizes({"variance_by_size": one_method})):
        assert figure is not None
        assert len(figure.axes) == 1
        texts = check_texts(figure)
        assert {"SmoothGrad", "magnitude"} <= set(texts) or "pixels shuffled first" in texts
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_sizes_are_drawn_from_the_records(tiny_study: Any) -> None:
    figure = draw_sizes(tiny_study.report)
    assert figure is not None
    check_texts(figure)
    assert [axis.get_title() for axis in figure.axes] == list(METHOD_NAMES)
    for axis in figure.axes:
        drawn = {point for line in axis.get_lines() for point in zip(line.get_xdata(), line.get_ydata(), strict=True)}
        for record in tiny_study.report["variance_by_size"]:
            if record["method"] == axis.get_title():
                size = record["mean_segment_pixels"]
                assert {(size, record["variance_ratio"]), (size, record["shuffled_ratio"]), (size, 1 / size)} <= drawn
    assert draw_sizes({"variance_by_size": []}) is None


def test_every_figure_is_described(result: dict[str, Any]) -> None:
    texts = alt_texts(result)
    assert set(texts) == {"maps.png", "stability.png", "differences.png", "sizes.png"}
    assert "Saliency and IntegratedGradients" in texts["maps.png"]
    assert all("]" not in text and text.endswith(".") for text in texts.values())
