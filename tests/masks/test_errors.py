"""Whatever cannot be segmented is refused, with the value that was passed and what to do instead."""

import re
from typing import Any

import numpy as np
import pytest
import torch

from captum_superpixel.masks import Felzenszwalb, Grid, Quickshift, SkimageSlic, Slic, Watershed

ALL = [Slic, SkimageSlic, Watershed, Felzenszwalb, Quickshift, Grid]
COUNTED = [Slic, SkimageSlic, Watershed, Grid]


@pytest.mark.parametrize("cls", COUNTED)
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "n_segments must be at least 1, but 0 was passed"),
        (-3, ValueError, "n_segments must be at least 1, but -3 was passed"),
        (50.0, TypeError, "n_segments must be an integer, but 50.0 (float) was passed"),
        (True, TypeError, "n_segments must be an integer, but True (bool) was passed"),
        # Which NumPy 1 shows as True (bool_).
        (np.True_, TypeError, f"must be an integer, but {np.True_!r} ({type(np.True_).__name__}) was passed"),
        ("9", TypeError, "n_segments must be an integer, but '9' (str) was passed"),
        (None, TypeError, "n_segments must be an integer, but None (NoneType) was passed"),
    ],
)
def test_n_segments(cls: type, value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        cls(value)


@pytest.mark.parametrize("cls", COUNTED)
def test_more_segments_than_pixels(cls: type) -> None:
    message = "n_segments=13, but an image of the inputs of shape (2, 3, 3, 4) has only 12 pixels: ask for at most 12"
    with pytest.raises(ValueError, match=re.escape(message)):
        cls(13)(torch.rand(2, 3, 3, 4))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Slic(compactness=0), ValueError, "compactness must be finite and above 0, but 0.0"),
        (lambda: Slic(compactness=10**400), ValueError, "compactness must be a number that a float holds"),
        (
            lambda: Slic(denormalize=(10**400, 1)),
            ValueError,
            "the mean of denormalize must be a number that a float",
        ),
        (lambda: Slic(compactness="10"), TypeError, "compactness must be a number, but '10' (str)"),
        (lambda: Slic(max_num_iter=0), ValueError, "max_num_iter must be at least 1, but 0"),
        (lambda: SkimageSlic(compactness=0), ValueError, "compactness must be finite and above 0, but 0.0"),
        (lambda: SkimageSlic(compactness="10"), TypeError, "compactness must be a number, but '10' (str)"),
        (lambda: SkimageSlic(compactness=True), TypeError, "compactness must be a number, but True (bool)"),
        (lambda: SkimageSlic(sigma=-1), ValueError, "sigma must be finite and at least 0, but -1.0"),
        (lambda: SkimageSlic(max_num_iter=0), ValueError, "max_num_iter must be at least 1, but 0"),
        (lambda: SkimageSlic(num_threads=0), ValueError, "num_threads must be at least 1, but 0"),
        (lambda: SkimageSlic(num_threads=1.5), TypeError, "num_threads must be an integer, but 1.5 (float)"),
        (lambda: Watershed(sigma=float("nan")), ValueError, "sigma must be finite and at least 0, but nan"),
        (lambda: Watershed(compactness=-1), ValueError, "compactness must be finite and at least 0, but -1.0"),
        (lambda: Watershed(compactness="1"), TypeError, "compactness must be a number, but '1' (str)"),
        (lambda: Watershed(plain="no"), ValueError, "plain='no' is unknown: choose one of False, True"),
        (lambda: SkimageSlic(plain=None), ValueError, "plain=None is unknown: choose one of False, True"),
        (lambda: Felzenszwalb(plain=1), ValueError, "plain=1 is unknown: choose one of False, True"),
        (lambda: Felzenszwalb(scale=0), ValueError, "scale must be finite and above 0, but 0.0"),
        (lambda: Felzenszwalb(sigma=float("inf")), ValueError, "sigma must be finite and at least 0, but inf"),
        (lambda: Felzenszwalb(min_size=0), ValueError, "min_size must be at least 1, but 0"),
        (lambda: Quickshift(kernel_size=0.5), ValueError, "kernel_size must be finite and at least 1, but 0.5"),
        (lambda: Quickshift(max_dist=0), ValueError, "max_dist must be finite and above 0, but 0.0"),
        (lambda: Quickshift(ratio=-0.1), ValueError, "ratio must be finite and at least 0, but -0.1"),
        (lambda: Quickshift(max_side=0), ValueError, "max_side must be at least 1, but 0"),
    ],
)
def test_settings_of_the_engines(build: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        build()


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("order", ["RGB", "gbr", None, 3, ["rgb"]])
def test_channel_order(cls: type, order: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"channel_order={order!r} is unknown: choose one of 'rgb', 'bgr'")):
        cls(channel_order=order)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (True, TypeError, "denormalize must be None or a pair (mean, std), but True (bool)"),
        ("ab", TypeError, "denormalize must be None or a pair (mean, std), but 'ab' (str)"),
        ((0.5,), ValueError, "denormalize must be a pair (mean, std), but it has 1 members"),
        ((0.5, 0.5, 0.5), ValueError, "denormalize must be a pair (mean, std), but it has 3 members"),
        (("0.5", 1), TypeError, "the mean of denormalize must be a number or a sequence of numbers, but is '0.5'"),
        ((0.5, None), TypeError, "the std of denormalize must be a number or a sequence of numbers, but is None"),
        ((0.5, [True]), TypeError, "the std of denormalize must be a number or a sequence of numbers, but is [True]"),
        (([], 1), TypeError, "the mean of denormalize must be a number or a sequence of numbers, but is []"),
        (([0.5, float("nan")], 1), ValueError, "the mean of denormalize must be finite, but [0.5, nan]"),
        ((0, float("inf")), ValueError, "the std of denormalize must be finite, but [inf]"),
        ((0, [1, 0.0, 1]), ValueError, "the std of denormalize must not be zero, but [1.0, 0.0, 1.0]"),
        (([0, 0], [1, 1, 1]), ValueError, "denormalize holds 2 means and 3 stds"),
    ],
)
def test_denormalize(cls: type, value: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        cls(denormalize=value)


@pytest.mark.parametrize("cls", ALL)
def test_statistics_of_another_number_of_channels(cls: type) -> None:
    inputs = torch.rand(2, 4, 16, 16)
    with pytest.raises(ValueError, match=re.escape("3 means, but the inputs of shape (2, 4, 16, 16) have 4 chan")):
        cls(denormalize=([0.5] * 3, 1))(inputs)
    with pytest.raises(ValueError, match=re.escape("3 stds, but the inputs of shape (2, 4, 16, 16) have 4 chan")):
        cls(denormalize=(0, [0.5] * 3))(inputs)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("value", [np.zeros((1, 3, 16, 16)), [[1.0]], None, (torch.rand(1, 3, 16, 16),)])
def test_inputs_that_are_no_tensor(cls: type, value: object) -> None:
    with pytest.raises(TypeError, match=f"inputs must be a tensor .* but a {type(value).__name__} was passed"):
        cls()(value)


@pytest.mark.parametrize("cls", ALL)
def test_complex_inputs(cls: type) -> None:
    with pytest.raises(TypeError, match=re.escape("inputs have dtype torch.complex64: pass real pixels")):
        cls()(torch.rand(1, 3, 16, 16, dtype=torch.complex64))


@pytest.mark.parametrize(
    ("cls", "shape", "message"),
    [
        (SkimageSlic, (4, 20), "SkimageSlic segments inputs of shape (N, C, H, W) or (N, C, D, H, W), but these have"),
        (SkimageSlic, (4, 3, 20), "these have shape (4, 3, 20): add the batch to a single image by inputs[None]"),
        (SkimageSlic, (), "these have shape (): pass your own mask as feature_mask="),
        (Slic, (2, 3, 4, 4, 4, 4), "these have shape (2, 3, 4, 4, 4, 4): pass your own mask"),
        (
            Slic,
            (3, 8, 8),
            "Slic segments inputs of shape (N, C, H, W) or (N, C, D, H, W), but these have shape (3, 8, 8)",
        ),
        (Watershed, (2, 3, 8, 8, 8), "these have shape (2, 3, 8, 8, 8): segment volumes by Slic, SkimageSlic or Grid"),
        (Felzenszwalb, (2, 3, 8, 8, 8), "Felzenszwalb segments inputs of shape (N, C, H, W), but these have shape (2,"),
        (Quickshift, (4, 20), "or give None for this input in a tuple of mask generators"),
        (Grid, (4, 20), "Grid segments inputs of shape (N, C, W) or (N, C, H, W) or (N, C, D, H, W), but these have"),
        (Grid, (1, 1, 2, 2, 2, 2), "these have shape (1, 1, 2, 2, 2, 2)"),
    ],
)
def test_inputs_of_another_shape(cls: type, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        cls()(torch.rand(shape))


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (2, 0, 16, 16), (2, 3, 0, 16), (2, 3, 16, 0)])
def test_inputs_without_pixels(cls: type, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{cls.__name__} was given inputs of shape {shape}")):
        cls()(torch.rand(shape))


@pytest.mark.parametrize("cls", ALL[:-1])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_pixels_that_are_not_finite(cls: type, value: float, dtype: torch.dtype) -> None:
    inputs = torch.rand(12, 3, 16, 16).to(dtype)
    inputs[3, 1, 4, 4] = value
    with pytest.raises(ValueError, match=re.escape("1 of 12 images (index 3) hold NaN or infinite pixels")):
        cls()(inputs)
    inputs[:9, 0, 2, 2] = value
    with pytest.raises(ValueError, match=re.escape("9 of 12 images (index 0, 1, 2, 3, 4, 5, 6, 7, …) hold")):
        cls()(inputs)
