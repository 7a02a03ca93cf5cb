"""Signs and limits, by hand and against Captum's own scaling."""

import numpy as np
import pytest
from captum.attr import visualization as captum_visualization
from numpy.testing import assert_allclose, assert_array_equal

from captum_superpixel.visualization._color_scale import (
    ColorScale,
    check_outlier_perc,
    choose_sign,
    find_scale,
    note,
    take_sign,
)

SIGNED = np.random.default_rng(0).normal(size=(8, 9))
NAN = np.nan


@pytest.mark.parametrize("sign", ["all", "positive", "absolute_value"])
@pytest.mark.parametrize("outlier_perc", [0.5, 2, 30, 99])
def test_scaled_as_captum_scales(sign, outlier_perc):
    _, axis = captum_visualization.visualize_image_attr(
        SIGNED[..., None], method="heat_map", sign=sign, outlier_perc=outlier_perc, use_pyplot=False
    )
    values = take_sign(SIGNED, sign)
    scaled = find_scale([values], sign, outlier_perc).apply(values)
    assert_allclose(scaled, axis.images[0].get_array())


def test_nothing_is_clipped_where_captum_finds_no_threshold():
    values = take_sign(SIGNED, "positive")  # the sum of these, times 0.01, times 100, is above the sum
    assert find_scale([values], "positive", 0) == ColorScale(SIGNED.max(), diverging=False)


def test_the_negative_part_is_the_positive_part_of_the_opposite():
    assert_array_equal(take_sign(SIGNED, "negative"), take_sign(-SIGNED, "positive"))
    assert_array_equal(take_sign(SIGNED, "positive") - take_sign(SIGNED, "negative"), SIGNED)


@pytest.mark.parametrize(
    ("maps", "sign"),
    [
        ([[1.0, 0]], "positive"),
        ([[1.0, -1]], "all"),
        ([[-1.0, -2]], "all"),
        ([[0.0, 0]], "positive"),
        ([[NAN, 1]], "positive"),
        ([[NAN, NAN]], "positive"),
        ([[1.0, 2], [-1, 0]], "all"),
    ],
)
def test_the_sign_that_is_chosen(maps, sign):
    assert choose_sign([np.array([values]) for values in maps], None) == sign


def test_the_limit_is_common_to_all_maps_and_does_not_see_nan():
    scale = find_scale([np.array([[1.0, NAN]]), np.array([[-4.0, 2]])], "all", 0)
    assert scale == ColorScale(4.0, diverging=True, clipped=False)
    assert_array_equal(scale.apply(np.array([[NAN, -4, 2]])), [[NAN, -1, 0.5]])


def test_outliers_are_clipped():
    values = np.array([[1.0] * 98 + [2.0]])
    scale = find_scale([values], "positive", 2.5)
    assert scale == ColorScale(1.0, diverging=False, clipped=True)
    assert scale.apply(values).max() == 1
    assert find_scale([values], "positive", 0) == ColorScale(2.0, diverging=False)


@pytest.mark.parametrize(
    ("values", "limit", "expected"),
    [
        ([0.0, 0], 0, [0, 0]),
        ([NAN, NAN], 0, [NAN, NAN]),
        ([NAN, 0], 0, [NAN, 0]),
        ([3.0, 3], 3, [1, 1]),
        ([-3.0, -3], 3, [-1, -1]),
        ([5e-324, 0], 5e-324, [1, 0]),
        ([1.7e308, -1.7e308], 1.7e308, [1, -1]),
    ],
    ids=["zero", "NaN", "NaN and zero", "constant", "negative", "smallest", "largest"],
)
def test_degenerate_maps(values, limit, expected):
    scale = find_scale([np.array([values])], "all", 2)
    assert scale.limit == limit
    assert_array_equal(scale.apply(np.array([values])), [expected])


def test_everything_an_outlier_still_leaves_a_limit():
    assert find_scale([np.array([[0.0, 0, 5]])], "positive", 100).limit == 5


REST = np.linspace(0.1, 1, 19)


@pytest.mark.parametrize("size", [1, 100, 5000], ids=["pixel", "small region", "most of the picture"])
@pytest.mark.parametrize("outlier", [10, 1e3, 1e6])
@pytest.mark.parametrize("sign", ["all", "positive"])
def test_an_outlier_of_any_size_leaves_the_rest_a_third_of_the_colors(size, outlier, sign):
    """One region of twenty: Captum's limit is the outlier itself, which holds nearly all of the total."""
    values = np.concatenate([np.repeat(REST, 100), np.full(size, outlier)])
    scale = find_scale([values[None]], sign, 2)
    assert (scale.clipped, scale.lowest, scale.highest) == (True, 0, outlier)
    assert scale.apply(values)[:1900].max() >= 1 / 3 - 1e-9
    assert scale.limit == pytest.approx(3) or size == 1
    assert find_scale([values[None]], sign, 0).limit == outlier


def test_an_outlier_among_equals():
    assert find_scale([np.array([[1.0] * 30 + [-1e4]])], "all", 2).limit == 3


@pytest.mark.parametrize(("count", "limit"), [(1, 3 * 1.9), (3, 6), (4, 3e3)])
def test_a_twentieth_of_sixty_values_may_be_outliers(count, limit):
    values = np.concatenate([np.linspace(0.1, 2, 60 - count), [1e3, 2e3, 3e3, 4e3][:count]])
    assert find_scale([values[None]], "all", 2).limit == pytest.approx(limit, rel=0.03)


@pytest.mark.parametrize(
    "values",
    [[0.0] * 30 + [5], [1e-9] * 30 + [5], [5.0, 5 + 1e-12, 5 - 1e-12, 0]],
    ids=["zeros", "rounding of zeros", "rounding of the largest"],
)
def test_what_is_nothing_but_rounding_is_not_shown(values):
    assert find_scale([np.array([values])], "all", 2).limit == pytest.approx(5)


def test_ordinary_maps_are_scaled_by_captums_rule_alone():
    values = np.abs(np.random.default_rng(1).laplace(size=(40, 50)))
    sums = np.sort(values, axis=None).cumsum()
    expected = np.sort(values, axis=None)[np.searchsorted(sums, 0.98 * sums[-1])]
    assert find_scale([values], "positive", 2).limit == expected


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.0, 0.0], "all zero"),
        ([0.0, -0.0, NAN], "all zero"),
        ([0.25, 0.25], "constant: 0.25"),
        ([-2.0, -2.0, NAN], "constant: -2"),
        ([0.1, 0.1 + 1e-16], "constant: 0.1"),
        ([NAN, NAN], "no finite value"),
        ([0.0, 1e-300], ""),
        ([-1.7e308, 1.7e308], ""),
    ],
)
def test_notes(values, text):
    assert note(np.array([values])) == text


def test_errors():
    with pytest.raises(ValueError, match=r"sign='both' is unknown.*'absolute_value'"):
        choose_sign([SIGNED], "both")
    with pytest.raises(ValueError, match=r"outlier_perc=101: pass a percentage"):
        check_outlier_perc(101)
    with pytest.raises(ValueError, match=r"outlier_perc must be finite and at least 0, but -1"):
        check_outlier_perc(-1)
    with pytest.raises(TypeError, match=r"outlier_perc must be a number, but '2'"):
        check_outlier_perc("2")
