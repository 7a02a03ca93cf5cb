"""The figures of a report: they show the numbers of the records, and no text lies on another."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.context import Study
from captum_superpixel.study.figures import alt_texts, draw_differences, draw_maps, draw_sizes, draw_stability
from captum_superpixel.study.groupings import standard_groupings
from captum_superpixel.study.headline import HEADLINE, find_headline
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.rows import Row
from captum_superpixel.study.settings import METHOD_NAMES, StudySettings


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
    assert figure.get_size_inches()[0] == pytest.approx(1.7 * 7 + 1.6)
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


def test_a_recommended_map_is_not_drawn_twice(
    settings_of: Callable[..., StudySettings], study_of: Callable[..., Study]
) -> None:
    """Magnitudes of one view are drawn anyway."""
    groupings = standard_groupings(6, n_views=1, counts=(6,))
    recommended: dict[str, Any] = {"Saliency": Row("ensemble", "magnitude")}
    protocol = Protocol(MethodSettings(signed=True), ("Saliency",), groupings, recommended=recommended)
    network = small_cnn(3, generator=torch.Generator().manual_seed(0)).eval()
    figure = draw_maps(study_of(settings_of(), protocol=protocol), network, [5])
    assert [text.get_text() for text in figure.findobj(Text)].count("ensemble") == 1
    assert len([image for axis in figure.axes for image in axis.get_images()]) == 1 + 5


def test_stability_is_drawn_from_the_records(result: dict[str, Any], drawn: Any) -> None:
    """Hollow is what has the recommended sign and views, filled the same by magnitude, and superpixels."""
    figure = draw_stability(result)
    assert figure is not None
    texts = check_texts(figure)
    assert {"magnitude, one view", "evidence, eight views"} <= set(texts)
    for method in drawn.recommended:
        (axis,) = (axis for axis in figure.axes if axis.get_title() == method)
        points = [line for line in axis.get_lines() if len(line.get_xdata()) == 1 and line.get_marker() != "None"]
        of = {
            (Row(r["grouping"], r["sign"], r["views"]), r["metric"]): r
            for r in result["records"]
            if r["method"] == method
        }
        best = [row for row in drawn.rows if row[1:] == ("evidence", 8)]
        names = {row.grouping for row in best} | {"Slic", "Felzenszwalb"}
        filled = [Row(name, "magnitude") for name in names]
        expected = {}
        for row in (*best, *filled):
            x = of[row, "ssim"]["excess"]["random_network"]
            expected[round(x, 9), round(of[row, "insertion_minus_deletion"]["value"], 9)] = row in filled
        assert len(expected) == 5 + 7
        found = {
            (round(float(line.get_xdata()[0]), 9), round(float(line.get_ydata()[0]), 9)): line.get_markerfacecolor()
            != "white"
            for line in points
        }
        assert found == expected
    assert texts.count("Felzenszwalb") == 2
    assert texts.count("guided filter") == 2 * 2


def test_methods_may_have_rows_of_their_own(result: dict[str, Any]) -> None:
    """Hollow is in each panel what is recommended for its method."""
    row = {"grouping": "ensemble", "sign": "magnitude", "views": 8}
    figure = draw_stability(result | {"recommended": result["recommended"] | {"Saliency": row}})
    assert figure is not None
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["magnitude, one view", "sign and views as recommended for the method"]
    of = {
        (each["method"], each["sign"], each["views"]): each["excess"]["random_network"]
        for each in result["records"]
        if (each["grouping"], each["metric"]) == ("ensemble", "ssim")
    }
    for method, best in (("Saliency", ("magnitude", 8)), ("IntegratedGradients", ("evidence", 8))):
        (axis,) = (axis for axis in figure.axes if axis.get_title() == method)
        hollow = [line.get_xdata()[0] for line in axis.get_lines() if line.get_markerfacecolor() == "white"]
        assert any(value == pytest.approx(of[method, *best]) for value in hollow)


def test_every_row_of_one_view_may_be_all_that_is_recommended(result: dict[str, Any]) -> None:
    """Then nothing is hollow."""
    row = {"grouping": "ensemble", "sign": "magnitude", "views": 1}
    figure = draw_stability(result | {"recommended": dict.fromkeys(result["recommended"], row)})
    assert figure is not None
    assert not figure.legends


def test_no_stability_no_picture(tiny_study: Any) -> None:
    result = tiny_study.report
    fidelity = [record for record in result["records"] if record["family"] == "fidelity"]
    assert draw_stability(result | {"records": fidelity}) is None
    stability = [record for record in result["records"] if record["family"] == "stability"]
    assert draw_stability(result | {"records": stability}) is None


def test_differences_are_those_of_the_table_in_short(result: dict[str, Any]) -> None:
    """A panel for each of its measures, a row for each rival, a point for each method; better is to the right."""
    figure = draw_differences(result)
    assert figure is not None
    texts = check_texts(figure)
    found = find_headline(result)
    titles = ["chance-corrected SSIM", "chance-corrected top-10 % IoU"]
    titles += ["insertion", "deletion", "insertion − deletion"]
    assert [axis.get_title() for axis in figure.axes] == titles
    assert {"Saliency", "IntegratedGradients", "a claim, interval corrected"} <= set(texts)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "− pixels (magnitude)"
    assert labels[-1] == "− centered Gaussian (null map)"
    assert len(labels) == len({finding.rival for finding in found}) == 7
    for axis, metric in zip(figure.axes, HEADLINE, strict=True):
        of_metric = [finding for finding in found if finding.metric == metric]
        lines = [line for line in axis.get_lines() if line.get_marker() == "o"]
        points = {
            (labels[round(float(line.get_ydata()[0]))], round(float(line.get_xdata()[0]), 9)): line for line in lines
        }
        null = " (null map)"
        expected = {
            (f"− {each.rival}{null * (each.kind == 'null map')}", round(each.difference or 0, 9)): each
            for each in of_metric
        }
        assert points.keys() == expected.keys()
        for point, finding in expected.items():
            assert (points[point].get_markerfacecolor() != "white") == finding.claimed
        bars = {tuple(line.get_xdata()) for line in axis.get_lines() if line.get_marker() != "o"}
        assert {tuple(finding.interval) for finding in of_metric} <= bars
        left, right = axis.get_xlim()
        assert (left < right) == (metric != "deletion_auc")


def test_no_difference_is_drawn_where_there_is_no_figure(result: dict[str, Any]) -> None:
    for record in (*result["comparisons"], *result["verdicts"]):
        record["difference"], record["ci95"], record["ci95_holm"] = None, [None, None], [None, None]
    figure = draw_differences(result)
    assert figure is not None
    assert not [line for axis in figure.axes for line in axis.get_lines() if line.get_marker() == "o"]
    assert draw_differences(result | {"comparisons": [], "verdicts": []}) is None


def test_a_single_image_has_a_point_without_a_bar(result: dict[str, Any]) -> None:
    for record in (*result["comparisons"], *result["verdicts"]):
        record["ci95"], record["ci95_holm"] = [None, None], [None, None]
    figure = draw_differences(result)
    assert figure is not None
    points = [[line for line in axis.get_lines() if line.get_marker() == "o"] for axis in figure.axes]
    assert [len(of_axis) for of_axis in points] == [5 * 2, 5 * 2, 7 * 2, 7 * 2, 7 * 2]  # null maps have no stability


def test_a_single_panel_is_wide_enough_for_the_legend(result: dict[str, Any], tiny_study: Any) -> None:
    third = {"IntegratedGradients": "SmoothGrad"}
    fidelity = {
        "comparisons": [],
        "recommended": {**result["recommended"], "SmoothGrad": result["recommended"]["Saliency"]},
    }
    of_insertion = [each for each in result["verdicts"] if each["metric"] == "insertion_minus_deletion"]
    more = [each | {"method": third[each["method"]]} for each in of_insertion if each["method"] in third]
    fidelity["verdicts"] = of_insertion + more
    one_method = [each for each in tiny_study.report["variance_by_size"] if each["method"] == "SmoothGrad"]
    for figure in (draw_differences(result | fidelity), draw_sizes({"variance_by_size": one_method})):
        assert figure is not None
        assert len(figure.axes) == 1
        texts = check_texts(figure)
        assert {"SmoothGrad", "no claim, 95 % interval"} <= set(texts) or "pixels shuffled first" in texts
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_sizes_are_drawn_from_the_records(tiny_study: Any) -> None:
    figure = draw_sizes(tiny_study.report)
    assert figure is not None
    check_texts(figure)
    assert [axis.get_title() for axis in figure.axes] == ["Saliency", "SmoothGrad"]
    for axis in figure.axes:
        drawn = {point for line in axis.get_lines() for point in zip(line.get_xdata(), line.get_ydata(), strict=True)}
        for record in tiny_study.report["variance_by_size"]:
            if record["method"] == axis.get_title():
                size = record["mean_segment_pixels"]
                assert {(size, record["variance_ratio"]), (size, record["shuffled_ratio"]), (size, 1 / size)} <= drawn
                assert (size, record["predicted_ratio"]) in drawn
    label = "predicted from correlation"
    assert label in check_texts(figure)
    unknown = [record | {"predicted_ratio": None} for record in tiny_study.report["variance_by_size"]]
    assert label not in check_texts(draw_sizes({"variance_by_size": unknown}))
    assert draw_sizes({"variance_by_size": []}) is None


def test_every_figure_is_described(result: dict[str, Any]) -> None:
    texts = alt_texts(result)
    assert set(texts) == {"maps.png", "stability.png", "differences.png", "sizes.png"}
    assert "Saliency and IntegratedGradients" in texts["maps.png"]
    assert "last the recommended map" in texts["maps.png"]
    assert all("]" not in text and text.endswith(".") for text in texts.values())
