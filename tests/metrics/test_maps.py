"""What metrics ask of maps, and their magnitudes."""

import math
import re

import pytest
import torch

from captum_superpixel.metrics._maps import check_alike, check_maps, magnitudes


def test_good_maps_come_back_detached() -> None:
    maps = torch.ones(2, 3, 4, 5, requires_grad=True)
    checked = check_maps("maps", maps)
    assert not checked.requires_grad
    assert checked.data_ptr() == maps.data_ptr()
    assert check_maps("maps", torch.ones(7, 2, 3, 4, 5), "M, N, C, H, W").shape == (7, 2, 3, 4, 5)


def test_maps_of_other_dimensions() -> None:
    with pytest.raises(
        ValueError, match=re.escape("(N, C, H, W), but has shape (4, 5): maps (H, W) of one image become")
    ):
        check_maps("heat", torch.ones(4, 5))
    with pytest.raises(ValueError, match=re.escape("shape (1, 2, 3, 4, 5): choose one of several batches, heat[0]")):
        check_maps("heat", torch.ones(1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match=re.escape("heat must have shape (M, N, C, H, W), but has shape (2, 3, 4, 5)")):
        check_maps("heat", torch.ones(2, 3, 4, 5), "M, N, C, H, W")
    with pytest.raises(ValueError, match=re.escape("heat of shape (0, 3, 4, 5) holds nothing")):
        check_maps("heat", torch.ones(0, 3, 4, 5))


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
    assert magnitudes(torch.ones(6, 2, 3, 4, 5)).shape == (6, 2, 4, 5)
