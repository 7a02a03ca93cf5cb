"""What is shown and what is hidden of a picture."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import gaussian_filter

from captum_superpixel.regions import top_regions
from captum_superpixel.visualization import visualize_top_regions
from captum_superpixel.visualization._described import describe_superpixels
from captum_superpixel.visualization._described_top import describe_top_regions

GENERATOR = np.random.default_rng(0)
IMAGE = GENERATOR.random((20, 30, 3))
MASK = np.arange(20)[:, None] // 5 * 3 + np.arange(30) // 10
VALUES = GENERATOR.normal(size=12)[MASK] + GENERATOR.normal(size=(20, 30)) * 0.1
"""Twelve regions of 50 pixels."""


def picture(axis):
    return axis.images[0].get_array()


@pytest.mark.parametrize("background", ["blur", "grey", "dim"])
@pytest.mark.parametrize(
    "options",
    [{"k": 3}, {"fraction": 0.4}, {"mass": 0.5}, {"k": 3, "by": "magnitude"}, {"mass": 0.5, "by": "magnitude"}],
)
def test_the_top_regions_are_shown_and_only_they(background, options):
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, background=background, **options)
    marked = top_regions(torch.from_numpy(VALUES)[None, None], torch.from_numpy(MASK)[None, None], **options)
    shown = marked[0, 0].numpy()
    assert_array_equal(picture(axis)[shown], IMAGE[shown])
    assert not np.isclose(picture(axis)[~shown], IMAGE[~shown]).all(axis=-1).any()
    count = len(np.unique(MASK[shown]))
    assert axis.get_title() == f"top {count} of 12 regions, {100 * count / 12:.3g} % of the picture"


def test_sums_prefer_what_is_large():
    mask = np.zeros((20, 30), dtype=np.int64)
    mask[:2, :2] = 1
    values = np.where(mask, 3.0, 1.0)
    for score, area in (("mean", 4), ("sum", 596)):
        _, axis = visualize_top_regions(IMAGE, np.stack([values] * 2), mask, k=1, score=score, background="grey")
        assert (picture(axis) != 0.5).any(axis=-1).sum() == area
    _, axis = visualize_top_regions(IMAGE, values, mask, mass=0.9, score="sum", background="grey")
    assert (picture(axis) != 0.5).any(axis=-1).sum() == 596


def test_backgrounds():
    def hidden(background):
        _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=1, background=background)
        return picture(axis)[MASK.flat[np.argmax(np.bincount(MASK.ravel(), VALUES.ravel())[MASK])] != MASK]

    assert_array_equal(np.unique(hidden("grey")), [0.5])
    dim = hidden("dim")
    assert_array_equal(dim[:, 0], dim[:, 1])
    assert dim.max() <= 0.3
    assert hidden("blur").std() < IMAGE.std() / 2


def test_the_blur_is_a_gaussian_of_a_twentieth_of_the_longer_side():
    def blur(values):
        return gaussian_filter(values, 1.5, axes=(0, 1), mode="constant", truncate=20)

    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, fraction=0, background="blur")
    assert_allclose(picture(axis), blur(IMAGE) / blur(np.ones_like(IMAGE)), atol=1e-6)


def test_a_line_runs_around_what_is_shown():
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=1, border_color="red")
    line = axis.images[1]
    assert line.get_extent() == [-0.5, 29.5, 19.5, -0.5]
    pixels = line.get_array()
    assert_array_equal(np.unique(pixels[pixels[..., 3] > 0], axis=0), [[0, 0, 0, 255], [255, 0, 0, 255]])
    assert len(visualize_top_regions(IMAGE, VALUES, MASK, k=12)[1].images) == 1


def test_more_regions_than_there_are_show_all():
    _, axis = visualize_top_regions(IMAGE, VALUES, MASK, k=99, title="everything")
    assert_allclose(picture(axis), IMAGE)
    assert axis.get_title() == "everything"


@pytest.mark.parametrize("by", ["score", "magnitude"])
@pytest.mark.parametrize("options", [{"k": 99}, {"fraction": 11 / 12}, {"mass": 1}])
def test_regions_that_hold_nan_come_last(by, options):
    values = np.abs(VALUES) if by == "magnitude" or "mass" in options else VALUES.copy()
    values[0, 0] = np.nan
    _, axis = visualize_top_regions(IMAGE, values, MASK, background="grey", by=by, **options)
    shown = (picture(axis) != 0.5).any(axis=-1)
    assert_array_equal(shown, MASK != 0)


def test_a_map_of_zeros_shows_no_region():
    for options in ({"k": 3}, {"fraction": 0.2}, {"mass": 0.5}):
        _, axis = visualize_top_regions(IMAGE, np.zeros((20, 30)), MASK, background="grey", **options)
        assert_array_equal(picture(axis), 0.5)
        assert axis.get_title() == "top 0 of 12 regions, 0 % of the picture"


def test_the_title_counts_equal_regions_that_are_hidden():
    values = np.where(MASK < 5, 1.0, MASK < 7)
    values[MASK == 0] = 2
    for options in ({"k": 3}, {"fraction": 3 / 12}, {"mass": 4 / 8}):
        _, axis = visualize_top_regions(IMAGE, values, MASK, **options)
        expected = "top 3 of 12 regions, 25 % of the picture\n4 more have the score of the last"
        assert axis.get_title() == expected
    assert "\n" not in visualize_top_regions(IMAGE, values, MASK, k=7)[1].get_title()


@pytest.mark.parametrize(
    ("values", "remark"),
    [(0.0, "map: all zero"), (-3.0, "map: constant: -3"), (np.nan, "map: no finite value")],
)
@pytest.mark.parametrize("options", [{"k": 3}, {"fraction": 0.2}, {"mass": 0.5}])
def test_degenerate_maps(values, remark, options):
    figure, axis = visualize_top_regions(IMAGE, np.full((20, 30), values), MASK, **options)
    figure.draw_without_rendering()
    assert [text.get_text() for text in axis.texts] == [remark]
    assert picture(axis).shape == (20, 30, 3)


def test_largest_numbers_are_ranked():
    scaled = VALUES / np.abs(VALUES).max() * 1.7e308
    expected = picture(visualize_top_regions(IMAGE, VALUES, MASK, k=3)[1])
    assert_array_equal(picture(visualize_top_regions(IMAGE, scaled, MASK, k=3)[1]), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "nothing was given: pass exactly one of k, fraction and mass"),
        ({"k": 1, "mass": 0.5}, ValueError, "k=1 and mass=0.5"),
        ({"k": 0}, ValueError, "k must be at least 1, but 0"),
        ({"fraction": 2}, ValueError, "fraction"),
        ({"k": 1, "background": "black"}, ValueError, "background='black' is unknown: choose one of 'blur'"),
        ({"k": 1, "score": "max"}, ValueError, "score='max' is unknown: choose one of 'mean', 'sum'"),
        ({"k": 1, "by": "size"}, ValueError, "by='size'"),
        ({"k": 1, "attributions": VALUES.T}, ValueError, "attributions is 30 x 20"),
    ],
)
def test_errors(arguments, error, message):
    call = {"image": IMAGE, "attributions": VALUES, "feature_mask": MASK, **arguments}
    with pytest.raises(error, match=message):
        visualize_top_regions(**call)


@pytest.mark.parametrize("top", [1, 3, 7])
def test_regions_that_were_ranked_for_the_map_are_ranked_for_the_picture_too(top):
    generator = np.random.default_rng(0)
    mask = np.arange(20 * 30).reshape(20, 30) // 40
    # Some are equal, and one holds a NaN.
    scores = generator.integers(-3, 4, mask.max() + 1) * 1e-3
    values = scores[mask]
    values[-1, -1] = np.nan
    picture = generator.random((20, 30, 3))
    ranked = describe_superpixels(picture, values, mask, sign="all").ranked
    given = describe_top_regions(picture, values, mask, k=top, ranked=ranked)
    found = describe_top_regions(picture, values, mask, k=top)
    assert given.title == found.title
    for here, there in zip(given.layers, found.layers, strict=True):
        assert_array_equal(here.pixels, there.pixels)
