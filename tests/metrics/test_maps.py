"""What metrics ask of maps, and their magnitudes."""

import math
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel.metrics._maps import add_channels, check_alike, check_maps, magnitudes


def test_good_maps_come_back_detached() -> None:
    maps = torch.ones(2, 3, 4, 5, requires_grad=True)
    checked = check_maps("maps", maps)
    assert not checked.requires_grad
    assert checked.data_ptr() == maps.data_ptr()
    assert check_maps("maps", torch.ones(7, 2, 3, 4, 5), "M, N, C, H, W").shape == (7, 2, 3, 4, 5)


def test_maps_of_other_dimensions() -> None:
    with pytest.raises(
        ValueError,
        match=re.escape("(N, C, H, W), but has shape (4, 5): (H, W), of one image without channels, becomes (1, 1,"),
    ):
        check_maps("heat", torch.ones(4, 5))
    with pytest.raises(ValueError, match=re.escape("shape (1, 2, 3, 4, 5): choose one of several batches, heat[0]")):
        check_maps("heat", torch.ones(1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match=re.escape("heat must have shape (M, N, C, H, W), but has shape (2, 3, 4, 5)")):
        check_maps("heat", torch.ones(2, 3, 4, 5), "M, N, C, H, W")
    with pytest.raises(ValueError, match=re.escape("heat of shape (0, 3, 4, 5) holds nothing")):
        check_maps("heat", torch.ones(0, 3, 4, 5))


@pytest.mark.parametrize(
    ("shape", "layout", "said"),
    [
        (
            (6, 32, 32),
            "N, C, H, W",
            "(N, H, W), of 6 images without channels, becomes (6, 1, 32, 32) by heat[:, None]; (C, H, W), of one image "
            "with 6 channels, becomes (1, 6, 32, 32) by heat[None]",
        ),
        (
            (5, 4, 8, 8),
            "M, N, C, H, W",
            "(M, N, H, W), of 5 models and 4 images without channels, becomes (5, 4, 1, 8, 8) by heat[:, :, None]; "
            "(M, C, H, W), of 5 models and one image with 4 channels, becomes (5, 1, 4, 8, 8) by heat[:, None]",
        ),
        ((8, 9), "N, C, H, W", "(H, W), of one image without channels, becomes (1, 1, 8, 9) by heat[None, None]"),
        (
            (5, 8, 9),
            "M, N, C, H, W",
            "(M, H, W), of 5 models and one image without channels, becomes (5, 1, 1, 8, 9) by heat[:, None, None]",
        ),
    ],
)
def test_each_reading_comes_with_the_shape_that_it_leads_to(shape: tuple[int, ...], layout: str, said: str) -> None:
    heat = torch.ones(shape)
    with pytest.raises(ValueError, match=re.escape(f"has shape {shape}: {said}") + "$"):
        check_maps("heat", heat, layout)
    for expected, advice in re.findall(r"becomes (\(.*?\)) by (heat\[.*?\])", said):
        advised = eval(advice, {"heat": heat})
        assert str(tuple(advised.shape)) == expected
        assert check_maps("heat", advised, layout) is not None


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_that_come_last(channels: int) -> None:
    maps = torch.rand(2, 20, 24, channels)
    with pytest.raises(ValueError, match=re.escape(f"heat of shape (2, 20, 24, {channels}) seem to have their")):
        check_maps("heat", maps)
    assert check_maps("heat", maps.movedim(-1, -3)).shape == (2, channels, 20, 24)
    of_models = torch.stack([maps] * 5)
    with pytest.raises(ValueError, match=re.escape("pass heat.movedim(-1, -3)")):
        check_maps("heat", of_models, "M, N, C, H, W")
    assert check_maps("heat", of_models.movedim(-1, -3), "M, N, C, H, W").shape == (5, 2, channels, 20, 24)
    with pytest.raises(ValueError, match=re.escape("(H, W, C), of one image with its channels last")) as info:
        check_maps("heat", maps[0])
    advised = eval(str(info.value).split(" by ")[1], {"heat": maps[0]})
    assert torch.equal(check_maps("heat", advised), maps[:1].movedim(-1, 1))


@pytest.mark.parametrize("shape", [(2, 8, 15, 3), (2, 3, 20, 3), (2, 64, 7, 4), (2, 20, 24, 2), (2, 20, 24, 5)])
def test_small_maps_and_strips_are_what_they_seem(shape: tuple[int, ...]) -> None:
    assert check_maps("heat", torch.ones(shape)).shape == shape


def test_scores_that_are_not_finite_are_counted_and_the_first_named() -> None:
    maps = torch.zeros(12, 1, 2, 2)
    maps[3, 0, 1, 1], maps[5, 0, 0, 0] = math.nan, -math.inf
    with pytest.raises(ValueError, match=re.escape("2 of 12 entries of maps (index 3, 5) hold NaN or infinite")):
        check_maps("maps", maps)
    with pytest.raises(ValueError, match=re.escape("12 of 12 entries of maps (index 0, 1, 2, 3, 4, 5, 6, 7, …) hold")):
        check_maps("maps", maps * math.nan)


def test_what_is_not_a_tensor_of_real_numbers() -> None:
    with pytest.raises(TypeError, match=r"maps must be a tensor of shape \(N, C, H, W\), but a NoneType was passed"):
        check_maps("maps", None)
    with pytest.raises(TypeError, match=r"maps has dtype torch\.complex128: .* maps\.abs\(\)"):
        check_maps("maps", torch.ones(1, 1, 2, 2, dtype=torch.complex128))


def test_maps_of_two_shapes() -> None:
    with pytest.raises(ValueError, match=re.escape("maps_a has shape (1, 2, 3, 3) and maps_b (2, 2, 3, 3)")):
        check_alike(torch.ones(1, 2, 3, 3), torch.ones(2, 2, 3, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.int8])
def test_magnitudes_are_sums_of_float64(dtype: torch.dtype) -> None:
    maps = torch.tensor([[-128.0, 64], [100, -1], [127, 0]]).reshape(1, 3, 1, 2).to(dtype)
    expected = torch.tensor([[[128.0 + 100 + maps[0, 2, 0, 0].double(), 65]]], dtype=torch.float64)
    assert torch.equal(magnitudes(maps), expected)


def test_magnitudes_keep_every_leading_dimension() -> None:
    assert magnitudes(torch.ones(6, 2, 3, 4, 5), channels=2).shape == (6, 2, 4, 5)
    assert magnitudes(torch.ones(6, 2, 3, 4, 5)).shape == (6, 3, 4, 5)


def test_the_smallest_integer_has_a_magnitude() -> None:
    assert magnitudes(torch.tensor([[[[-128, 3]]]], dtype=torch.int8)).tolist() == [[[128, 3]]]


def test_numbers_whose_sum_overflows_are_finite() -> None:
    largest = torch.finfo(torch.float32).max
    assert check_maps("maps", torch.full((1, 1, 2, 2), largest)).max() == largest
    for broken in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match=r"1 of 2 entries of maps \(index 1\)"):
            check_maps("maps", torch.tensor([largest, broken]).view(2, 1, 1, 1).expand(2, 1, 2, 2))


@pytest.mark.parametrize("channels", [3, 7, 40])
@pytest.mark.parametrize("added", [add_channels, magnitudes])
def test_how_channels_lie_in_memory_changes_no_bit(added: Callable[[Tensor], Tensor], channels: int) -> None:
    maps = torch.randn(2, channels, 9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(added(maps.to(memory_format=torch.channels_last)), added(maps))
    np.testing.assert_allclose(add_channels(maps), maps.numpy().sum(axis=1), atol=1e-12)
