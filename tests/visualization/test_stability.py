"""Points, bars and names in the figure of a study."""

import math
from itertools import combinations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from captum_superpixel.visualization import visualize_stability

METHODS = ["Saliency", "Integrated gradients"]
GROUPINGS = ["pixels", "one SLIC", "ensemble of 13", "ensemble of cells", "blur"]


def records(seed=0, methods=METHODS, groupings=GROUPINGS, spread=0.05):
    generator = np.random.default_rng(seed)
    made = []
    for method in methods:
        for sign in ("magnitude", "signed"):
            for grouping in groupings:
                x, y = generator.normal(0.2, spread, 2)
                made.append(
                    {
                        "method": method,
                        "grouping": grouping,
                        "sign": sign,
                        "x": x,
                        "x_ci95": (x - 0.01, x + 0.02),
                        "y": y,
                        "y_ci95": (y - 0.03, y + 0.015),
                    }
                )
    return made


def markers(axis):
    return [container.lines[0] for container in axis.containers]


def names(axis):
    return [text for text in axis.texts if text.get_text() and "finite" not in text.get_text()]


def test_each_method_has_a_panel_and_each_record_a_point():
    report = records()
    figure, axes = visualize_stability(report, title="study", x_label="stable", y_label="faithful")
    assert [axis.get_title() for axis in axes] == METHODS
    assert figure.axes == list(axes)
    for axis, method in zip(axes, METHODS, strict=True):
        members = [record for record in report if record["method"] == method]
        assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in markers(axis)] == [
            (record["x"], record["y"]) for record in members
        ]
        assert [text.get_text() for text in names(axis)] == [record["grouping"] for record in members]
    assert (figure.get_suptitle(), figure.get_supxlabel(), figure.get_supylabel()) == ("study", "stable", "faithful")
    assert axes[0].get_xlim() == axes[1].get_xlim()
    assert axes[0].get_ylim() == axes[1].get_ylim()


def test_the_bars_reach_to_the_ends_of_the_intervals():
    report = records(methods=["m"])
    _, (axis,) = visualize_stability(report)
    for container, record in zip(axis.containers, report, strict=True):
        horizontal, vertical = (bar.get_segments()[0] for bar in container.lines[2])
        assert_allclose(horizontal, [(end, record["y"]) for end in record["x_ci95"]])
        assert_allclose(vertical, [(record["x"], end) for end in record["y_ci95"]])


def test_a_grouping_looks_the_same_everywhere_and_like_no_other():
    many = [f"g{n}" for n in range(12)]
    _, axes = visualize_stability(records(groupings=many))
    looks = [[(to_hex(line.get_color()), line.get_marker()) for line in markers(axis)] for axis in axes]
    assert looks[0] == looks[1]
    assert looks[0][:12] == looks[0][12:]
    assert len(set(looks[0])) == 12


def test_the_first_sign_is_filled_and_the_second_hollow():
    figure, (axis,) = visualize_stability(records(methods=["m"]))
    hollow = [to_hex(line.get_markerfacecolor()) == "#ffffff" for line in markers(axis)]
    assert hollow == [False] * 5 + [True] * 5
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["magnitude", "signed"]
    figure, _ = visualize_stability([record for record in records() if record["sign"] == "signed"])
    assert not figure.legends


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spread", [0.05, 0.01])
def test_names_cover_neither_each_other_nor_points_nor_the_frame(seed, spread):
    figure, axes = visualize_stability(records(seed, spread=spread))
    figure.draw_without_rendering()
    for axis in axes:
        boxes = [text.get_window_extent() for text in names(axis)]
        for one, other in combinations(boxes, 2):
            assert not one.overlaps(other)
        frame = axis.get_window_extent()
        assert all(box.x0 >= frame.x0 and box.x1 <= frame.x1 for box in boxes)
        assert all(box.y0 >= frame.y0 and box.y1 <= frame.y1 for box in boxes)
        for line in markers(axis):
            center = axis.transData.transform((line.get_xdata()[0], line.get_ydata()[0]))
            assert not any(box.contains(*center) for box in boxes)


def test_a_lone_name_stands_beside_its_point():
    figure, (axis,) = visualize_stability([{"method": "m", "grouping": "pixels", "x": 1, "y": 2}])
    figure.draw_without_rendering()
    (text,) = names(axis)
    box, point = text.get_window_extent(), axis.transData.transform((1, 2))
    assert 0 < box.x0 - point[0] < 20
    assert box.y0 < point[1] < box.y1


def test_names_and_points_of_one_color():
    _, (axis,) = visualize_stability(records(methods=["m"]))
    assert [text.get_color() for text in names(axis)] == [line.get_color() for line in markers(axis)]


def test_intervals_may_be_missing_or_beside_the_value():
    report = [
        {"method": "m", "grouping": "a", "x": 1.0, "y": 1.0},
        {"method": "m", "grouping": "b", "x": 2.0, "y": 2.0, "x_ci95": None, "y_ci95": (3.0, 4.0)},
        {"method": "m", "grouping": "c", "x": 3.0, "y": 3.0, "x_ci95": (math.nan, 4.0)},
    ]
    figure, (axis,) = visualize_stability(report)
    figure.draw_without_rendering()
    reached = [[np.ptp(bar.get_segments()[0], axis=0).max() for bar in c.lines[2]] for c in axis.containers]
    assert reached == [[0, 0], [0, 2], [1, 0]]


@pytest.mark.parametrize("bad", [math.nan, math.inf, None, np.float32("nan")])
def test_what_is_not_finite_is_left_out_and_said(bad):
    report = [
        {"method": "m", "grouping": "a", "x": bad, "y": 1.0},
        {"method": "m", "grouping": "b", "x": 0.5, "y": 1.0},
        {"method": "n", "grouping": "a", "x": 0.5, "y": bad},
    ]
    figure, axes = visualize_stability(report)
    figure.draw_without_rendering()
    assert [[text.get_text() for text in names(axis)] for axis in axes] == [["b"], []]
    assert all("1 not finite" in [text.get_text() for text in axis.texts] for axis in axes)


def test_many_methods_take_several_rows():
    _, axes = visualize_stability(records(methods=list("abcde"), groupings=["g"]))
    rows = [axis.get_subplotspec().rowspan.start for axis in axes]
    assert rows == [0, 0, 0, 1, 1]


def test_axes_of_the_caller_and_pyplot():
    figure = Figure(figsize=(9, 4))
    axes = figure.subplots(1, 2)
    returned, used = visualize_stability(records(), plt_fig_axis=(figure, axes))
    assert returned is figure
    assert list(used) == list(axes)
    assert plt.get_fignums() == []
    known, _ = visualize_stability(records(), use_pyplot=True, fig_size=(7, 3))
    try:
        assert plt.get_fignums() == [known.number]
    finally:
        plt.close(known)


@pytest.mark.parametrize(
    ("report", "error", "message"),
    [
        ([], ValueError, "report has no records"),
        ([{"method": "m", "x": 1}], ValueError, "record 0 of the report lacks grouping, y: it has method, x"),
        ([{"method": "m", "grouping": "g", "x": "1", "y": 2}], TypeError, "x of record 0 must be a number, but '1'"),
        (
            [{"method": "m", "grouping": "g", "x": 1, "y": 2, "y_ci95": (1, 2, 3)}],
            ValueError,
            r"y_ci95 of record 0 is \(1, 2, 3\)",
        ),
    ],
)
def test_errors(report, error, message):
    with pytest.raises(error, match=message):
        visualize_stability(report)


def test_too_few_axes():
    figure = Figure()
    with pytest.raises(ValueError, match="plt_fig_axis has 1 axes, but the report has 2 methods"):
        visualize_stability(records(), plt_fig_axis=(figure, figure.subplots()))
