"""Which layouts and ranges are taken for what, by hand-drawn arrays."""

import numpy as np
import pytest
import torch
from captum.attr import visualization as captum_visualization

from captum_superpixel.visualization.images import check_same_size, to_image, to_map, to_mask

GENERATOR = np.random.default_rng(0)
COLOR = GENERATOR.random((5, 7, 3))


@pytest.mark.parametrize(
    "image",
    [
        COLOR,
        COLOR.transpose(2, 0, 1),
        COLOR[None],
        torch.from_numpy(COLOR),
        torch.from_numpy(COLOR).permute(2, 0, 1)[None].requires_grad_(),
    ],
    ids=["HWC array", "CHW array", "NHWC array", "HWC tensor", "NCHW tensor with a gradient"],
)
def test_both_layouts_are_the_same_image(image):
    np.testing.assert_array_equal(to_image(image), COLOR)


def test_the_first_axis_decides_where_both_could_be_the_channels():
    cube = GENERATOR.random((3, 3, 3))
    np.testing.assert_array_equal(to_image(cube), cube.transpose(1, 2, 0))
    np.testing.assert_array_equal(to_map(cube), cube.sum(axis=0))
    np.testing.assert_array_equal(to_image(cube[:1])[..., 0], cube[0])


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7), (5, 7, 1), (1, 1, 5, 7)])
def test_grey_images_get_three_equal_channels(shape):
    image = to_image(COLOR[..., 0].reshape(shape))
    np.testing.assert_array_equal(image, np.stack([COLOR[..., 0]] * 3, axis=-1))


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[0, 51], [102, 255]], dtype=np.uint8), [[0, 0.2], [0.4, 1]]),
        (torch.tensor([[0, 51], [102, 255]]), [[0, 0.2], [0.4, 1]]),
        (np.array([[0, 51], [102, 204]], dtype=np.int64), [[0, 0.2], [0.4, 0.8]]),
        (np.array([[-100, 0], [100, 300]]), [[0, 0.25], [0.5, 1]]),
        (np.array([[True, False]]), [[1, 0]]),
        (torch.tensor([[True, False]]), [[1, 0]]),
        (np.array([[0.25, 0.5]]), [[0.25, 0.5]]),
        (np.array([[-1.0, 0.0, 3.0]]), [[0, 0.25, 1]]),
        (np.array([[0.0, 51.0, 255.0]]), [[0, 0.2, 1]]),
        (np.array([[-1e-4, 0.5, 1.0001]]), [[0, 0.5, 1]]),
        (np.array([[7.0, 7.0]]), [[0.5, 0.5]]),
        (np.array([[np.nan, 0.0, 2.0, np.inf]]), [[0.5, 0, 1, 0.5]]),
        (np.array([[np.nan]]), [[0.5]]),
        (np.array([[-1.7e308, 0.0, 1.7e308]]), [[0, 0.5, 1]]),
        (torch.tensor([[0.0, 0.5, 2.0]], dtype=torch.bfloat16), [[0, 0.25, 1]]),
    ],
    ids=[
        "bytes", "integer tensor", "integers of bytes", "other integers", "booleans", "boolean tensor", "floats",
        "normalized", "floats to 255", "overshoot", "flat outside", "not finite", "all NaN", "largest", "bfloat16",
    ],
)  # fmt: skip
def test_ranges(image, expected):
    np.testing.assert_allclose(to_image(image)[..., 0], expected, atol=1e-3 if "bfloat" in str(image.dtype) else 2e-4)


def test_a_normalized_image_is_scaled_by_all_its_channels_together():
    image = np.zeros((3, 1, 2))
    image[0, 0] = -1, 3
    np.testing.assert_allclose(to_image(image)[0], [[0, 0.25, 0.25], [1, 0.25, 0.25]])


def test_channels_are_added_as_captum_adds_them():
    attributions = GENERATOR.normal(size=(5, 7, 3))
    figure, axis = captum_visualization.visualize_image_attr(
        attributions, method="heat_map", sign="all", outlier_perc=0, use_pyplot=False
    )
    ours = to_map(attributions)
    np.testing.assert_allclose(axis.images[0].get_array(), ours / np.abs(ours).max())
    assert figure.axes


def test_maps_of_any_number_of_channels():
    attributions = GENERATOR.normal(size=(12, 5, 7))
    np.testing.assert_allclose(to_map(attributions), attributions.sum(axis=0))
    np.testing.assert_array_equal(to_map(torch.arange(6).view(2, 3)), [[0, 1, 2], [3, 4, 5]])


def test_channels_are_averaged_where_asked_for():
    attributions = GENERATOR.normal(size=(3, 5, 7))
    mean = attributions.mean(axis=0)
    np.testing.assert_allclose(to_map(attributions, channels="mean"), mean)
    np.testing.assert_allclose(to_map(attributions.transpose(1, 2, 0), channels="mean"), mean)
    np.testing.assert_allclose(to_map(mean, channels="mean"), mean)


def test_what_is_not_finite_in_a_map_is_nan():
    attributions = np.array([[[1, np.inf, 1, 1.7e308]], [[1, -np.inf, np.nan, 1.7e308]]])
    np.testing.assert_array_equal(to_map(attributions), [[2, np.nan, np.nan, np.nan]])


@pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3), (1, 1, 2, 3), (2, 3, 1)])
def test_masks(shape):
    ids = np.array([[0, 5, 5], [2**62, 7, 7]])
    mask = to_mask(torch.from_numpy(ids.reshape(shape)))
    assert mask.dtype == np.int64
    np.testing.assert_array_equal(mask, ids)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: to_image(np.zeros((4, 5, 5))), ValueError, r"image has shape \(4, 5, 5\)"),
        (lambda: to_image(np.zeros((5, 5, 4)), "cat"), ValueError, r"cat has shape \(5, 5, 4\).*alpha"),
        (lambda: to_image(np.zeros((2, 3, 5, 5))), ValueError, r"batch of 2.*image\[0\]"),
        (lambda: to_image(np.zeros(5)), ValueError, r"shape \(5,\)"),
        (lambda: to_image(np.zeros((3, 0, 5))), ValueError, r"shape \(3, 0, 5\).*not empty"),
        (lambda: to_image(np.array([["a"]])), TypeError, "ndarray of <U1"),
        (lambda: to_image(torch.zeros(2, 2, dtype=torch.complex64)), TypeError, "torch.complex64"),
        (lambda: to_map(np.zeros((2, 1, 5, 5))), ValueError, r"attributions has shape \(2, 1, 5, 5\)"),
        (lambda: to_map(np.array([[1j]])), TypeError, "complex128"),
        (lambda: to_mask(np.zeros((2, 2))), TypeError, "feature_mask is of float64"),
        (lambda: to_mask(torch.ones(2, 2, dtype=torch.bool)), TypeError, "of bool"),
        (lambda: to_mask(np.array([[0, -3]])), ValueError, "the id -3"),
        (lambda: to_mask(np.zeros((3, 4, 5), dtype=int)), ValueError, r"shape \(3, 4, 5\)"),
        (lambda: to_mask(np.zeros((3, 1, 4, 5), dtype=int)), ValueError, "batch of 3"),
        (
            lambda: check_same_size(np.zeros((4, 5, 3)), {"map": np.zeros((5, 4))}),
            ValueError,
            "map is 5 x 4.*image is 4 x 5",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
