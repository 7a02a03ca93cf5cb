"""The grid of images, methods and models: what stands where, in which colors, on which page."""

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from captum_superpixel.visualization import visualize_comparison
from captum_superpixel.visualization._figures import NAN_LABEL

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.random((3, 3, 8, 12))
ONE = GENERATOR.normal(size=(3, 1, 8, 12))
TWO = GENERATOR.normal(size=(3, 3, 8, 12)) * 5
MAPS = {"one": ONE, "two": TWO}


def drawn(axis):
    return axis.images[0].get_array()


def headings(figure):
    return [axis for axis in figure.axes if axis.get_label() == "heading"]


def test_each_image_has_a_row_and_each_method_a_column():
    figure, axes = visualize_comparison(IMAGES, MAPS, outlier_perc=0, title="both")
    assert axes.shape == (3, 3)
    assert [axis.get_title() for axis in axes[0]] == ["", "one", "two"]
    assert not any(axis.get_title() for axis in axes[1:].flat)
    limit = max(abs(ONE.mean(1)).max(), abs(TWO.mean(1)).max())
    for n, row in enumerate(axes):
        assert_array_equal(drawn(row[0]), IMAGES[n].transpose(1, 2, 0))
        assert_allclose(drawn(row[1]), ONE[n].mean(0) / limit)
        assert_allclose(drawn(row[2]), TWO[n].mean(0) / limit)
        assert {axis.images[0].get_clim() for axis in row[1:]} == {(-1, 1)}
    assert figure.get_suptitle() == "both"
    assert figure.get_supxlabel() == ""
    assert len(figure.axes) == 10


def test_cells_are_aligned_and_do_not_overlap(colorbar):
    figure, axes = visualize_comparison(IMAGES, MAPS, predictions=["a long name of a class of animals"] * 3)
    figure.draw_without_rendering()
    boxes = np.array([[axis.get_window_extent().extents for axis in row] for row in axes])
    assert np.ptp(boxes[:, :, [0, 2]], axis=0).max() < 1
    assert np.ptp(boxes[:, :, [1, 3]], axis=1).max() < 1
    assert (boxes[:, 1:, 0] > boxes[:, :-1, 2]).all()
    assert (boxes[:-1, :, 1] > boxes[1:, :, 3]).all()
    assert_allclose((boxes[..., 2] - boxes[..., 0]) / (boxes[..., 3] - boxes[..., 1]), 12 / 8, rtol=1e-6)
    labels = [axis.yaxis.label.get_window_extent() for axis in axes[:, 0]]
    assert min(label.x0 for label in labels) >= 0
    assert max(label.x1 for label in labels) < boxes[0, 0, 0]
    bar = colorbar(figure)
    assert bar.get_window_extent().x0 > boxes[..., 2].max()


@pytest.mark.parametrize(
    ("scale", "name", "ticks"),
    [
        ("common", "one scale for all maps", ["-8", "-4", "0", "4", "8"]),
        ("own", "relative to the strongest of each map", ["-100 %", "0 %", "100 %"]),
    ],
)
def test_there_is_one_color_bar_that_names_the_scale(scale, name, ticks, colorbar):
    maps = {"a": np.full((2, 1, 4, 4), 2.0), "b": np.full((2, 1, 4, 4), -8.0)}
    maps["a"][0, 0, 0, 0] = maps["b"][0, 0, 0, 0] = 1
    figure, axes = visualize_comparison(IMAGES[:2, :, :4, :4], maps, scale=scale, outlier_perc=0)
    bar = colorbar(figure)
    assert " ".join(bar.get_ylabel().split()) == f"attribution {name}"
    assert [text.get_text() for text in bar.get_yticklabels()] == ticks
    strongest = [[float(drawn(axis)[1, 1]) for axis in row[1:]] for row in axes]
    assert strongest == ([[0.25, -1]] * 2 if scale == "common" else [[1, -1]] * 2)


def test_no_color_bar_if_none_is_wanted():
    figure, axes = visualize_comparison(IMAGES, MAPS, show_colorbar=False)
    assert len(figure.axes) == axes.size


def test_maps_of_one_sign_run_from_zero(colorbar):
    figure, axes = visualize_comparison(IMAGES, {"one": abs(ONE), "two": TWO**2})
    assert {axis.images[0].get_clim() for axis in axes[:, 1:].flat} == {(0, 1)}
    assert colorbar(figure).get_ylabel().startswith("attribution or its magnitude")


@pytest.mark.parametrize(
    ("options", "label", "ends"),
    [
        ({}, "attribution", {"against", "for the class"}),
        ({"class_name": "cat", "quantity": "effect"}, "effect", {"against", "for cat"}),
        ({"class_name": ""}, "attribution", set()),
        ({"sign": "absolute_value"}, "magnitude", set()),
    ],
)
@pytest.mark.parametrize("scale", ["common", "own"])
def test_the_color_bar_says_what_its_colors_are_and_its_ends_speak_for(options, label, ends, scale, colorbar):
    bar = colorbar(visualize_comparison(IMAGES, MAPS, scale=scale, **options)[0])
    assert bar.get_ylabel().splitlines()[0] == label
    assert {text.get_text() for text in bar.texts} - {""} == ends


@pytest.mark.parametrize(("scale", "words"), [("common", "beyond the scale: up to 1000"), ("own", "up to 5,263 %")])
def test_an_outlier_neither_mutes_its_map_nor_stays_unsaid(scale, words, colorbar):
    maps = np.linspace(-5, 5, 96).reshape(1, 1, 8, 12)
    maps[0, 0, 3, 4] = 1000
    figure, axes = visualize_comparison(IMAGES[:1], {"m": maps}, scale=scale)
    limit = 3 * np.sort(np.abs(maps), axis=None)[-1 - 5]
    assert drawn(axes[0, 1])[0, 0] == pytest.approx(-5 / limit)
    label = " ".join(colorbar(figure).get_ylabel().split())
    assert words.replace("5,263", f"{100 * 1000 / limit:,.0f}") in label


def test_one_sign_is_drawn_of_all_maps():
    _, axes = visualize_comparison(IMAGES, MAPS, sign="negative", outlier_perc=0)
    limit = max(-ONE.mean(1).min(), -TWO.mean(1).min())
    for n, row in enumerate(axes):
        assert_allclose(drawn(row[1]), (-ONE[n].mean(0)).clip(min=0) / limit)
        assert_allclose(drawn(row[2]), (-TWO[n].mean(0)).clip(min=0) / limit)


@pytest.mark.parametrize("scale", ["common", "own"])
def test_outliers_are_clipped(scale):
    maps = {"m": np.arange(1.0, 97).reshape(1, 1, 8, 12)}
    for outlier_perc in (0, 2, 30):
        _, axes = visualize_comparison(IMAGES[:1], maps, scale=scale, outlier_perc=outlier_perc)
        limit = np.searchsorted(np.arange(1, 97).cumsum(), (1 - outlier_perc / 100) * 96 * 97 / 2) + 1
        assert_allclose(drawn(axes[0, 1]), (maps["m"][0, 0] / limit).clip(max=1))


def test_models_stand_beside_each_other_under_their_names():
    predictions = {"A": [0, 1, 2], "B": torch.tensor([2, 1, 0])}
    figure, axes = visualize_comparison(
        IMAGES, {"A": MAPS, "B": {"two": TWO}}, predictions=predictions, class_names=["cat", "dog", "$x_1$ <b>"]
    )
    assert [axis.get_title() for axis in axes[0]] == ["", "one", "two", "two"]
    assert [axis.texts[0].get_text() for axis in headings(figure)] == ["A", "B"]
    figure.draw_without_rendering()
    cells = [axis.get_window_extent() for axis in axes[0]]
    spans = [axis.get_window_extent() for axis in headings(figure)]
    assert spans[0].x0 == pytest.approx(cells[1].x0, abs=1)
    assert spans[0].x1 == pytest.approx(cells[2].x1, abs=1)
    assert spans[1].x0 == pytest.approx(cells[3].x0, abs=1)
    assert min(span.y0 for span in spans) > max(cell.y1 for cell in cells)
    assert [axis.get_ylabel() for axis in axes[:, 0]] == [
        "A: cat\nB: $x_1$ <b>",
        "A: dog\nB: dog",
        "A: $x_1$ <b>\nB: cat",
    ]
    assert not axes[0, 0].yaxis.label.get_parse_math()


def test_classes_are_named_or_numbered():
    def texts(**classes):
        return [axis.get_ylabel() for axis in visualize_comparison(IMAGES, MAPS, **classes)[1][:, 0]]

    assert texts() == ["", "", ""]
    assert texts(predictions=torch.tensor([2, 0, 1])) == [f"predicted: class {n}" for n in (2, 0, 1)]
    assert texts(predictions=["a cat of the sea"] * 3)[0] == "predicted: a cat of\nthe sea"
    assert texts(labels=["a", "b", "c"], predictions=[0, 1, 2], class_names="xyz") == [
        f"label: {label}\npredicted: {name}" for label, name in zip("abc", "xyz", strict=True)
    ]


def test_large_batches_are_paged_with_the_same_colors():
    images, maps = GENERATOR.random((19, 6, 6, 1)), GENERATOR.normal(size=(19, 6, 6, 1))
    pages = [visualize_comparison(images, {"m": maps}, page=page, outlier_perc=0) for page in (1, 2, 3)]
    assert [axes.shape for _, axes in pages] == [(8, 2), (8, 2), (3, 2)]
    assert [figure.get_supxlabel() for figure, _ in pages] == [
        "images 1 to 8 of 19 (page 1 of 3)",
        "images 9 to 16 of 19 (page 2 of 3)",
        "images 17 to 19 of 19 (page 3 of 3)",
    ]
    together = np.stack([drawn(row[1]) for _, axes in pages for row in axes])
    assert_allclose(together, maps[..., 0] / abs(maps).max())
    _, axes = visualize_comparison(images, {"m": maps}, max_rows=19)
    assert axes.shape == (19, 2)


def test_sizes_may_differ_in_a_list():
    shapes = [(8, 16), (20, 10), (5, 5)]
    images = [GENERATOR.random((3, *shape)) for shape in shapes]
    maps = [GENERATOR.normal(size=shape) for shape in shapes]
    masks = [np.arange(height * width).reshape(height, width) % 2 for height, width in shapes]
    figure, axes = visualize_comparison(images, {"m": maps}, feature_mask=masks)
    figure.draw_without_rendering()
    for row, (height, width) in zip(axes, shapes, strict=True):
        assert drawn(row[1]).shape == (height, width)
        box = row[1].get_window_extent()
        assert box.height / box.width == pytest.approx(height / width)


@pytest.mark.parametrize("count", [1, 3])
def test_borders_are_drawn_on_the_images(count):
    masks = torch.arange(96).view(1, 1, 8, 12).repeat(count, 1, 1, 1) // 48
    _, axes = visualize_comparison(IMAGES, MAPS, feature_mask=masks)
    assert [[len(axis.images) for axis in row] for row in axes] == [[2, 1, 1]] * 3
    line = axes[2, 0].images[1].get_array()[..., 3] > 0
    middle = len(line) // 2
    assert line[middle - 1 : middle + 1].all()
    assert line.sum() == 2 * line.shape[1]


def test_blended_maps_lie_on_the_faint_picture():
    _, axes = visualize_comparison(IMAGES, MAPS, blend=True)
    faint, values = (layer.get_array() for layer in axes[1, 2].images)
    assert faint.shape == (8, 12, 3)
    assert values.shape == (8, 12)
    assert axes[1, 2].images[1].get_cmap()(0.5)[3] == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("scale", ["common", "own"])
@pytest.mark.parametrize("blend", [False, True])
def test_degenerate_maps_beside_others(scale, blend, colorbar):
    maps = np.stack([np.zeros((8, 12)), np.full((8, 12), -2.0), np.full((8, 12), np.nan)])[:, None]
    figure, axes = visualize_comparison(IMAGES, {"bad": maps, "good": ONE}, scale=scale, blend=blend)
    figure.draw_without_rendering()
    notes = [[text.get_text() for text in axis.texts] for axis in axes[:, 1]]
    assert notes == [["all zero"], ["constant: -2"], ["no finite value"]]
    assert not any(axis.texts for axis in axes[:, 2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [NAN_LABEL]
    bar = colorbar(figure)
    assert bar.get_ylim() == (-1, 1)


def test_nothing_but_zeros(colorbar):
    figure, axes = visualize_comparison(IMAGES, {"zero": 0 * ONE})
    figure.draw_without_rendering()
    assert not any(drawn(axis).any() for axis in axes[:, 1])
    assert [text.get_text() for text in colorbar(figure).get_yticklabels()] == ["0"]


def test_axes_of_the_caller():
    figure = Figure()
    axes = figure.subplots(3, 3)
    returned, used = visualize_comparison(IMAGES, {"A": {"m": ONE}, "B": {"m": TWO}}, plt_fig_axis=(figure, axes))
    assert returned is figure
    assert_array_equal(used, axes)
    assert [axis.get_title() for axis in axes[0]] == ["", "A\nm", "B\nm"]
    with pytest.raises(ValueError, match="plt_fig_axis has 9 axes, but 3 rows of 2"):
        visualize_comparison(IMAGES, {"m": ONE}, plt_fig_axis=(figure, axes))


def test_pyplot_knows_nothing_unless_asked():
    visualize_comparison(IMAGES, MAPS)
    assert plt.get_fignums() == []
    known, _ = visualize_comparison(IMAGES, MAPS, use_pyplot=True, fig_size=(5, 4))
    try:
        assert plt.get_fignums() == [known.number]
        assert known.get_size_inches().tolist() == [5, 4]
    finally:
        plt.close(known)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"images": IMAGES[0]}, ValueError, r"images has shape \(3, 8, 12\): pass a batch"),
        ({"images": "cat.png"}, TypeError, "images is a str"),
        ({"images": []}, ValueError, "images is empty"),
        ({"attributions": ONE}, TypeError, "attributions is a ndarray: pass a dictionary"),
        ({"attributions": {}}, ValueError, "attributions holds no method"),
        ({"attributions": {"A": {}}}, ValueError, "attributions holds no method"),
        ({"attributions": {"A": {"m": ONE}, "m": ONE}}, TypeError, "both dictionaries and maps"),
        ({"attributions": {"m": ONE[:2]}}, ValueError, r"attributions\['m'\] holds 2 maps for 3 images"),
        ({"attributions": {"A": {"m": ONE[:2]}}}, ValueError, r"attributions\['A'\]\['m'\] holds 2"),
        ({"attributions": {"m": ONE[..., :5]}}, ValueError, r"attributions\['m'\]\[0\] is 8 x 5.*image is 8 x 12"),
        ({"predictions": [1, 2]}, ValueError, "predictions holds 2 classes for 3 images"),
        ({"predictions": {"A": [1, 2, 3]}}, ValueError, "predictions has the model 'A'"),
        ({"labels": [0, 1, 9], "class_names": ["a", "b"]}, ValueError, "labels holds the class 9, but .* 2 names"),
        ({"feature_mask": np.zeros((2, 1, 8, 12), int)}, ValueError, "feature_mask holds 2 masks for 3 images"),
        ({"feature_mask": np.zeros((1, 1, 8, 5), int)}, ValueError, r"feature_mask\[0\] is 8 x 5"),
        ({"scale": "both"}, ValueError, "scale='both' is unknown: choose one of 'common', 'own'"),
        ({"page": 2}, ValueError, "page=2, but 3 images, 8 per page, are 1 pages"),
        ({"page": 0}, ValueError, "page must be at least 1, but 0"),
        ({"max_rows": 0}, ValueError, "max_rows must be at least 1, but 0"),
        ({"sign": "any"}, ValueError, "sign='any'"),
        ({"outlier_perc": 101}, ValueError, "outlier_perc=101"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        visualize_comparison(**{"images": IMAGES, "attributions": MAPS, **arguments})
