"""The layers, numbers, scores and colors of a picture with its superpixels."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from skimage.segmentation import find_boundaries

from captum_superpixel.regions import region_table
from captum_superpixel.visualization import visualize_superpixels
from captum_superpixel.visualization._figures import NAN_LABEL

GENERATOR = np.random.default_rng(0)
IMAGE = GENERATOR.random((3, 20, 30))
MASK = np.zeros((20, 30), dtype=np.int64)
MASK[:10, 10:] = 5
MASK[10:, 15:] = 2**62
VALUES = np.select([MASK == 0, MASK == 5], [-2.0, 1.0], 4.0)
"""Ranks by score: 2**62, 5, 0; by magnitude: 2**62, 0, 5."""
NAN = np.nan


def layers(axis):
    """The picture, the map, the stripes if there are any, and the borders."""
    return [layer.get_array() for layer in axis.images]


def legend(axis):
    found = axis.get_legend()
    return [] if found is None else [text.get_text() for text in found.get_texts() if text.get_text().strip()]


def test_the_layers_lie_on_each_other():
    figure, axis = visualize_superpixels(IMAGE, VALUES, MASK, title="three regions")
    picture, values, borders = axis.images
    assert picture.get_extent() == values.get_extent() == borders.get_extent() == [-0.5, 29.5, 19.5, -0.5]
    assert axis.get_xlim() == (-0.5, 29.5)
    assert axis.get_ylim() == (19.5, -0.5)
    assert axis.get_title() == "three regions"
    assert len(figure.axes) == 2
    red, green, blue = np.moveaxis(picture.get_array(), -1, 0)
    assert_array_equal(red, green)
    assert_array_equal(red, blue)
    assert red.min() >= 0.2
    assert red.max() <= 0.85


def test_the_map_is_diverging_and_centered_where_it_has_two_signs(colorbar):
    figure, axis = visualize_superpixels(IMAGE, VALUES, MASK, outlier_perc=0)
    assert axis.images[1].get_clim() == (-1, 1)
    assert_allclose(axis.images[1].get_array(), VALUES / 4)
    bar = colorbar(figure)
    assert bar.get_ylim() == (-1, 1)
    assert [text.get_text() for text in bar.get_yticklabels()] == ["-4", "-2", "0", "2", "4"]
    assert bar.get_ylabel() == "attribution"


@pytest.mark.parametrize(
    ("sign", "expected", "name"),
    [
        ("positive", VALUES.clip(min=0), "positive attribution"),
        ("negative", (-VALUES).clip(min=0), "magnitude of the negative attribution"),
        ("absolute_value", abs(VALUES), "magnitude"),
    ],
)
def test_one_sign_runs_from_zero(sign, expected, name, colorbar):
    figure, axis = visualize_superpixels(IMAGE, VALUES, MASK, sign=sign, outlier_perc=0)
    assert axis.images[1].get_clim() == (0, 1)
    assert_allclose(axis.images[1].get_array(), expected / expected.max())
    assert colorbar(figure).get_ylabel().replace("\n", " ") == name


@pytest.mark.parametrize(("outlier_perc", "limit"), [(0, 8), (20, 3), (80, 1)])
def test_outliers_are_clipped(outlier_perc, limit):
    values = np.repeat([8.0, 3, 1], [1, 10, 62]).reshape(1, 73)  # 8, 30 and 62 of 100
    _, axis = visualize_superpixels(np.zeros((1, 73)), values, np.zeros((1, 73), int), outlier_perc=outlier_perc)
    assert_allclose(axis.images[1].get_array(), (values / limit).clip(max=1))


def test_the_picture_is_seen_where_the_map_is_zero():
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, alpha_overlay=0.7)
    opacity = axis.images[1].get_cmap()(np.array([0.0, 0.25, 0.5, 0.75, 1.0]))[:, 3]
    assert_allclose(opacity, [0.7, 0.5, 0, 0.5, 0.7], atol=0.03)
    red, blue = axis.images[1].get_cmap()(np.array([1.0, 0.0]))[:, [0, 2]]
    assert red[0] > red[1]
    assert blue[1] > blue[0]


@pytest.mark.parametrize(
    ("values", "options", "label"),
    [
        (VALUES, {}, "attribution"),
        (abs(VALUES), {}, "attribution or its magnitude"),
        (abs(VALUES), {"sign": "all"}, "attribution"),
        (abs(VALUES), {"sign": "absolute_value"}, "magnitude"),
        (abs(VALUES), {"sign": "absolute_value", "quantity": "magnitude"}, "magnitude"),
        (abs(VALUES), {"sign": "absolute_value", "quantity": "effect"}, "magnitude of the effect"),
        (VALUES, {"quantity": "effect"}, "effect"),
        (VALUES, {"score_name": "effect"}, "effect"),
        (VALUES, {"score_name": "summed effect", "score": "sum"}, "attribution"),
        (VALUES, {"score_name": "summed effect", "score": "sum", "quantity": "effect"}, "effect"),
    ],
)
def test_the_color_bar_says_what_the_colors_are(values, options, label, colorbar):
    """Nothing is called positive that may be a magnitude, nor a magnitude that may have a sign."""
    figure, _ = visualize_superpixels(IMAGE, values, MASK, outlier_perc=0, **options)
    assert colorbar(figure).get_ylabel() == label


@pytest.mark.parametrize(
    ("options", "low", "high"),
    [
        ({}, "against", "for the class"),
        ({"class_name": "$x_1$ cat"}, "against", "for $x_1$ cat"),
        ({"class_name": ""}, "", ""),
        ({"class_name": "cat", "sign": "positive"}, "", "for cat"),
        ({"class_name": "cat", "sign": "negative"}, "", "against cat"),
        ({"class_name": "cat", "sign": "absolute_value"}, "", ""),
        ({"class_name": "great white shark, white shark, man-eater, man-eating shark"}, "against",
         "for great white\nshark, white\nshark, man-…"),
    ],
)  # fmt: skip
def test_the_ends_of_the_color_bar(options, low, high, colorbar):
    bar = colorbar(visualize_superpixels(IMAGE, VALUES, MASK, **options)[0])
    assert [text.get_text() for text in sorted(bar.texts, key=lambda text: text.get_position()[1])] == [low, high]
    assert not any(text.get_parse_math() for text in bar.texts)


@pytest.mark.parametrize(
    ("outliers", "words", "extend"),
    [
        ([1e5], "beyond the scale: up to 100 thousands", "max"),
        ([-500], "beyond the scale: down to -500", "min"),
        ([-500, 700], "beyond the scale: down to -500 and up to 700", "both"),
        ([], "", "neither"),
    ],
)
def test_an_outlier_neither_mutes_the_map_nor_stays_unsaid(outliers, words, extend, colorbar):
    values = np.resize(np.linspace(-1, 1, 41), (20, 30))
    values.flat[: len(outliers)] = outliers
    figure, axis = visualize_superpixels(IMAGE, values, MASK)
    shown = axis.images[1].get_array()
    assert np.abs(shown.ravel()[len(outliers) :]).max() >= 1 / 3
    bar = colorbar(figure)
    assert " ".join(bar.get_ylabel().split()) == f"attribution {words}".strip()
    assert bar._colorbar.extend == extend


def test_a_region_that_holds_nearly_everything_does_not_mute_the_others(colorbar):
    labels = np.arange(600).reshape(20, 30) // 60
    values = np.array([1000.0, 5, 4, 3, 2, 1, -1, -2, -3, -4])[labels]
    figure, axis = visualize_superpixels(IMAGE, values, labels, k=2)
    assert_allclose(axis.images[1].get_array(), (values / 15).clip(-1, 1))
    assert "up to 1000" in colorbar(figure).get_ylabel()
    assert legend(axis) == ["for", "1:  1000", "2:  5.00", "against", "10:  -4.00"]


def test_small_numbers_are_written_in_a_unit(colorbar):
    figure, axis = visualize_superpixels(IMAGE, VALUES * 1e-6, MASK, k=3, outlier_perc=0)
    assert colorbar(figure).get_ylabel() == "attribution, in millionths"
    assert colorbar(figure).get_yticklabels()[-1].get_text() == "4"
    assert legend(axis) == ["for", "1:  4.00", "2:  1.00", "against", "3:  -2.00"]
    assert axis.get_legend().get_title().get_text() == "rank: mean attribution, in millionths"


@pytest.mark.parametrize(
    ("options", "ids", "scores"),
    [
        ({}, [2**62, 5, 0], ["for", "1:  4.00", "2:  1.00", "against", "3:  -2.00"]),
        ({"k_against": 0}, [2**62, 5, 0], ["1:  4.00", "2:  1.00", "3:  -2.00"]),
        ({"class_name": ""}, [2**62, 5, 0], ["1:  4.00", "2:  1.00", "3:  -2.00"]),
        ({"by": "magnitude"}, [2**62, 0, 5], ["1:  4.00", "2:  -2.00", "3:  1.00"]),
    ],
)
def test_the_best_regions_are_numbered_inside_and_listed(options, ids, scores):
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=9, **options)
    assert [text.get_text() for text in axis.texts] == ["1", "2", "3"]
    places = [tuple(int(place) for place in text.get_position()) for text in axis.texts]
    assert [MASK[row, column] for column, row in places] == ids
    assert all(text.get_path_effects() for text in axis.texts)
    assert legend(axis) == scores
    assert [text.get_text() for text in visualize_superpixels(IMAGE, VALUES, MASK, k=1)[1].texts] == ["1", "3"]
    assert not visualize_superpixels(IMAGE, VALUES, MASK)[1].texts


def test_the_strongest_against_are_listed_from_the_last_rank_on():
    labels = np.arange(600).reshape(20, 30) // 60
    values = np.array([3.0, -1, 2, -4, 1, -2, 0, 0.5, -3, -0.5])[labels]

    def listed(**options):
        return legend(visualize_superpixels(IMAGE, values, labels, **options)[1])

    assert listed(k=2) == ["for", "1:  3.00", "2:  2.00", "against", "10:  -4.00"]
    assert listed(k=3, k_against=2) == ["for", "1:  3.00", "2:  2.00", "3:  1.00", "against", "10:  -4.00", "9:  -3.00"]
    assert listed(k=9) == [
        "for", "1:  3.00", "2:  2.00", "3:  1.00", "4:  0.500",
        "against", "10:  -4.00", "9:  -3.00", "8:  -2.00", "7:  -1.00", "6:  -0.500",
    ]  # fmt: skip
    assert listed(k_against=1) == ["against", "10:  -4.00"]
    _, axis = visualize_superpixels(IMAGE, -abs(values) - 1, labels, k=1)
    assert legend(axis) == ["for", "none", "against", "10:  -5.00"]
    assert legend(visualize_superpixels(IMAGE, abs(values), labels, k=2, sign="all")[1])[-2:] == ["against", "none"]


@pytest.mark.parametrize("by", ["score", "magnitude"])
def test_sums_rank_and_are_listed_as_the_table_does(by, colorbar):
    maps = torch.from_numpy(np.stack([VALUES, 2 * VALUES, VALUES]))
    figure, axis = visualize_superpixels(IMAGE, maps, MASK, k=3, by=by, score="sum", k_against=0, outlier_perc=0)
    table = region_table(maps[None], torch.from_numpy(MASK)[None, None], score="sum", by=by)
    assert legend(axis) == [f"{region.rank}:  {region.score:.0f}" for region in table]
    assert axis.get_legend().get_title().get_text() == "rank: summed attribution"
    assert colorbar(figure).get_yticklabels()[-1].get_text() == "4"  # below 4 * 4 / 3
    assert colorbar(figure).get_ylabel() == "attribution"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "mean attribution"),
        ({"sign": "all"}, "mean attribution"),
        ({"sign": "positive"}, "mean positive attribution"),
        ({"sign": "negative"}, "mean magnitude of the negative attribution"),
        ({"sign": "absolute_value"}, "mean magnitude"),
        ({"score_name": "effect", "sign": "all"}, "effect"),
        ({"quantity": "effect", "score": "sum"}, "summed effect"),
    ],
)
def test_the_list_of_scores_says_what_they_are(options, expected):
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=3, **options)
    assert axis.get_legend().get_title().get_text().splitlines()[0] == f"rank: {expected}"


@pytest.mark.parametrize("shape", [(20, 30), (60, 20), (12, 60)])
@pytest.mark.parametrize("k", [1, 4, 10, 30])
def test_no_text_lies_on_another_or_beyond_the_figure(shape, k, colorbar):
    labels = np.arange(shape[0] * shape[1]).reshape(shape) * 60 // (shape[0] * shape[1])
    values = GENERATOR.normal(size=60)[labels]
    values[0, 0], values[0, 1], values[-1, -1] = NAN, 1e4, -1e4
    figure, axis = visualize_superpixels(
        np.zeros(shape), values, labels, k=k, class_name="Cardigan, Cardigan Welsh corgi of a long name"
    )
    figure.draw_without_rendering()
    bar = colorbar(figure)
    texts = [*bar.texts, *bar.get_yticklabels(), bar.yaxis.label, *axis.get_legend().get_texts()]
    boxes = [text.get_window_extent() for text in [*texts, axis.get_legend().get_title()] if text.get_text().strip()]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    page = figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)


def test_equal_regions_share_a_rank_and_are_not_numbered_in_part():
    labels = np.arange(600).reshape(20, 30) // 100
    values = np.array([3.0, 1, 1, 0, 0, 0])[labels]

    def drawn(k):
        _, axis = visualize_superpixels(IMAGE, values, labels, k=k)
        found = axis.get_legend().get_title().get_text().splitlines()
        return [text.get_text() for text in axis.texts], legend(axis), found[1:]

    equal = "=: equal scores share a rank"
    assert drawn(1) == (["1"], ["1:  3.00"], [])
    assert drawn(2) == (["1"], ["1:  3.00"], ["2 regions have the score 1 and share rank 2"])
    assert drawn(3) == (["1", "2=", "2="], ["1:  3.00", "2=:  1.00", "2=:  1.00"], [equal])
    assert drawn(4)[2] == [equal, "3 regions have the score 0 and share rank 4"]
    assert drawn(6)[0] == ["1", "2=", "2=", "4=", "4=", "4="]
    _, axis = visualize_superpixels(IMAGE, np.array([1.0, 1, 1, 0, 0, 0])[labels], labels, k=2)
    assert axis.get_legend().get_title().get_text().splitlines()[1:] == ["3 regions have the score 1 and share rank 1"]
    assert not axis.texts


def test_an_effect_that_stands_in_every_channel_counts_once(colorbar):
    figure, axis = visualize_superpixels(IMAGE, np.stack([VALUES] * 3), MASK, k=3, outlier_perc=0)
    assert legend(axis) == ["for", "1:  4.00", "2:  1.00", "against", "3:  -2.00"]
    assert colorbar(figure).get_yticklabels()[-1].get_text() == "4"


def test_all_scores_have_three_digits():
    values = np.select([MASK == 0, MASK == 5], [0.5, 123.4], 4.25)
    _, axis = visualize_superpixels(IMAGE, values, MASK, k=3, outlier_perc=50)
    assert legend(axis) == ["1:  123", "2:  4.25", "3:  0.500"]


def test_evidence_against_is_ranked_by_what_is_drawn():
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=1, sign="negative")
    assert legend(axis) == ["1:  2.00"]


def test_borders_are_between_the_segments():
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, border_color="lime")
    layer = layers(axis)[-1]
    factor = layer.shape[0] // 20
    assert layer.shape == (20 * factor, 30 * factor, 4)
    assert max(layer.shape) >= 600
    expected = find_boundaries(np.kron(MASK, np.ones((factor, factor), dtype=int)), mode="thick")
    assert_array_equal(layer[..., 3] == 255, expected)
    assert_array_equal(np.unique(layer[expected], axis=0), [[0, 255, 0, 255]])
    assert not layer[~expected].any()


def test_large_images_are_not_enlarged():
    mask = np.arange(1024) // 64 + 16 * (np.arange(1024)[:, None] // 64)
    _, axis = visualize_superpixels(np.zeros((1024, 1024)), mask * 1.0, mask)
    assert layers(axis)[-1].shape == (1024, 1024, 4)


@pytest.mark.parametrize(
    ("values", "remark", "limit"),
    [
        (np.zeros((20, 30)), "all zero", 0),
        (np.full((20, 30), 0.25), "constant: 0.25", 1),
        (np.full((20, 30), -0.25), "constant: -0.25", -1),
        (np.full((20, 30), NAN), "no finite value", None),
        (np.full((20, 30), np.inf), "no finite value", None),
    ],
    ids=["zero", "constant", "negative constant", "NaN", "infinite"],
)
def test_degenerate_maps_say_what_they_are_and_rank_nothing(values, remark, limit, colorbar):
    figure, axis = visualize_superpixels(IMAGE, values, MASK, k=3)
    figure.draw_without_rendering()
    assert [text.get_text() for text in axis.texts] == [remark]
    drawn = axis.images[1].get_array().compressed()
    assert set(drawn) == (set() if limit is None else {limit})
    assert legend(axis) == ([NAN_LABEL] if limit is None else [])
    ticks = [text.get_text() for text in colorbar(figure).get_yticklabels()]
    assert ticks == (["0"] if not limit else ticks)


@pytest.mark.parametrize("scale", [1e-310, 1e-30, 1e30, 4e307])
def test_scores_and_colors_do_not_depend_on_the_unit(scale):
    figure, axis = visualize_superpixels(IMAGE, VALUES * scale, MASK, k=3, outlier_perc=0)
    figure.draw_without_rendering()
    assert_allclose(axis.images[1].get_array(), VALUES / 4, rtol=1e-6)
    assert [MASK[int(t.get_position()[1]), int(t.get_position()[0])] for t in axis.texts] == [2**62, 5, 0]


def test_nan_is_striped_explained_and_without_rank():
    values = VALUES.copy()
    values[12:15, 20:25] = NAN
    _, axis = visualize_superpixels(IMAGE, values, MASK, k=3)
    stripes = layers(axis)[2]
    factor = len(stripes) // 20
    assert_array_equal(stripes[::factor, ::factor, 3] == 255, np.isnan(values))
    assert len(np.unique(stripes[stripes[..., 3] > 0], axis=0)) == 2
    assert_array_equal(axis.images[1].get_array().mask, np.isnan(values))
    assert legend(axis) == ["for", "1:  1.00", NAN_LABEL, "against", "2:  -2.00"]


def test_layouts_and_kinds_do_not_matter():
    expected = layers(visualize_superpixels(IMAGE, VALUES, MASK)[1])
    image = torch.from_numpy(IMAGE)[None].requires_grad_()
    maps = torch.stack([torch.from_numpy(VALUES)] * 3)[None]
    tensors = visualize_superpixels(image, maps, torch.from_numpy(MASK)[None, None])[1]
    arrays = visualize_superpixels(IMAGE.transpose(1, 2, 0), VALUES[..., None], MASK[..., None])[1]
    for axis in (tensors, arrays):
        for layer, wanted in zip(layers(axis), expected, strict=True):
            assert_allclose(layer, wanted, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (32, 32), (7, 301)])
def test_any_size_is_drawn(size):
    values = GENERATOR.normal(size=size)
    mask = np.arange(values.size).reshape(size) % 4
    figure, axis = visualize_superpixels(np.abs(values), values, mask, k=4)
    figure.draw_without_rendering()
    assert axis.images[1].get_array().shape == size


def test_the_axis_of_the_caller_is_used():
    figure = Figure()
    axes = figure.subplots(1, 2)
    returned = visualize_superpixels(IMAGE, VALUES, MASK, plt_fig_axis=(figure, axes[1]), show_colorbar=False)
    assert returned == (figure, axes[1])
    assert not axes[0].images
    assert len(axes[1].images) == 3
    assert len(figure.axes) == 2


def test_an_error_leaves_the_axis_of_the_caller_empty():
    figure = Figure()
    axis = figure.subplots()
    with pytest.raises(ValueError, match="by='area'"):
        visualize_superpixels(IMAGE, VALUES, MASK, by="area", plt_fig_axis=(figure, axis))
    assert not axis.images


def test_pyplot_knows_nothing_unless_asked():
    settings = dict(mpl.rcParams)
    figure, _ = visualize_superpixels(IMAGE, VALUES, MASK, k=2)
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings
    known, _ = visualize_superpixels(IMAGE, VALUES, MASK, use_pyplot=True)
    try:
        assert plt.get_fignums() == [known.number]
    finally:
        plt.close(known)
    assert figure.get_size_inches().tolist() == [6, 6]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"attributions": VALUES.T}, ValueError, "attributions is 30 x 20.*image is 20 x 30"),
        ({"feature_mask": MASK[:5]}, ValueError, "feature_mask is 5 x 30"),
        ({"image": np.stack([IMAGE] * 2)}, ValueError, "image has shape .2, 3, 20, 30., a batch of 2"),
        ({"k": 0}, ValueError, "k must be at least 1, but 0"),
        ({"k": 1, "k_against": -1}, ValueError, "k_against must be at least 0, but -1"),
        ({"k": 1, "k_against": 2, "by": "magnitude"}, ValueError, "k_against=2 with by='magnitude'"),
        ({"score": "max"}, ValueError, "score='max' is unknown: choose one of 'mean', 'sum'"),
        ({"k": 2.5}, TypeError, "k must be an integer, but 2.5"),
        ({"sign": "both"}, ValueError, "sign='both' is unknown"),
        ({"by": "size"}, ValueError, "by='size'"),
        ({"outlier_perc": 150}, ValueError, "outlier_perc=150"),
        ({"alpha_overlay": 1.5}, ValueError, "alpha_overlay is a share from 0 to 1, but 1.5 was"),
        ({"alpha_overlay": -1}, ValueError, "alpha_overlay must be finite and at least 0, but -1"),
    ],
)
def test_errors(arguments, error, message):
    call = {"image": IMAGE, "attributions": VALUES, "feature_mask": MASK, **arguments}
    with pytest.raises(error, match=message):
        visualize_superpixels(**call)


def test_pictures_stand_upright_whatever_the_user_has_set():
    """The origin of matplotlib's images may be set to the lower left."""
    figure, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=2)
    with mpl.rc_context({"image.origin": "lower"}):
        other, same = visualize_superpixels(IMAGE, VALUES, MASK, k=2)
    for drawn in (figure, other):
        drawn.draw_without_rendering()
    assert [image.origin for image in same.images] == [image.origin for image in axis.images] == ["upper"] * 3
    assert same.get_ylim() == axis.get_ylim()
