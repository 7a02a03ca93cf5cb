"""The layers, numbers, scores and colors of a picture with its superpixels."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from skimage.segmentation import find_boundaries

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
    return [] if found is None else [text.get_text() for text in found.get_texts()]


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
        ("negative", (-VALUES).clip(min=0), "negative attribution, magnitude"),
        ("absolute_value", abs(VALUES), "attribution, magnitude"),
    ],
)
def test_one_sign_runs_from_zero(sign, expected, name, colorbar):
    figure, axis = visualize_superpixels(IMAGE, VALUES, MASK, sign=sign, outlier_perc=0)
    assert axis.images[1].get_clim() == (0, 1)
    assert_allclose(axis.images[1].get_array(), expected / expected.max())
    assert colorbar(figure).get_ylabel() == name


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


def test_small_numbers_are_written_in_a_unit(colorbar):
    figure, axis = visualize_superpixels(IMAGE, VALUES * 1e-6, MASK, k=3, outlier_perc=0)
    assert colorbar(figure).get_ylabel() == r"attribution ($\times 10^{-6}$)"
    assert colorbar(figure).get_yticklabels()[-1].get_text() == "4"
    assert legend(axis) == ["1:  4.00", "2:  1.00", "3:  -2.00"]
    assert r"10^{-6}" in axis.get_legend().get_title().get_text()


@pytest.mark.parametrize(
    ("by", "ids", "scores"), [("score", [2**62, 5, 0], [4, 1, -2]), ("magnitude", [2**62, 0, 5], [4, -2, 1])]
)
def test_the_best_regions_are_numbered_inside_and_listed(by, ids, scores):
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=9, by=by)
    assert [text.get_text() for text in axis.texts] == ["1", "2", "3"]
    places = [tuple(int(place) for place in text.get_position()) for text in axis.texts]
    assert [MASK[row, column] for column, row in places] == ids
    assert all(text.get_path_effects() for text in axis.texts)
    assert legend(axis) == [f"{rank}:  {score}.00" for rank, score in enumerate(scores, 1)]
    assert len(visualize_superpixels(IMAGE, VALUES, MASK, k=2)[1].texts) == 2
    assert not visualize_superpixels(IMAGE, VALUES, MASK)[1].texts


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "mean attribution of the regions"),
        ({"sign": "all"}, "mean attribution of the regions"),
        ({"sign": "positive"}, "mean positive attribution of the regions"),
        ({"sign": "negative"}, "mean negative attribution, magnitude, of the regions"),
        ({"sign": "absolute_value"}, "mean magnitude of the regions"),
        ({"score_name": "effect", "sign": "all"}, "effect of the regions"),
    ],
)
def test_the_list_of_scores_says_what_they_are(options, expected):
    _, axis = visualize_superpixels(IMAGE, VALUES, MASK, k=3, **options)
    assert axis.get_legend().get_title().get_text().splitlines()[0] == f"{expected}, by rank"


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
    assert legend(axis) == ["1:  4.00", "2:  1.00", "3:  -2.00"]
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
    assert legend(axis) == ["1:  1.00", "2:  -2.00", NAN_LABEL]


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
