"""Complexity: drawings, SciPy's entropy, and what pooling does to either measure."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from captum_superpixel.metrics.complexity import effective_regions, entropy
from captum_superpixel.pooling import pool_segments

Draw = Callable[..., Tensor]

BOTH = pytest.mark.parametrize("measure", [entropy, effective_regions])


def drawn(*rows: str) -> Tensor:
    """A map of digits."""
    return torch.tensor([[[[float(digit) for digit in row] for row in rows]]])


@pytest.mark.parametrize(
    ("rows", "pixels"),
    [
        (("000", "090", "000"), 1),
        (("050", "000", "050"), 2),
        (("110", "110"), 4),
        (("777", "777"), 6),
    ],
)
def test_an_even_map_has_the_entropy_of_its_pixels(rows: tuple[str, ...], pixels: int) -> None:
    for map_ in (drawn(*rows), -drawn(*rows), drawn(*rows) / 3):
        assert entropy(map_).item() == pytest.approx(math.log(pixels), abs=1e-12)


def test_entropy_by_hand() -> None:
    # Shares of 1/2, 1/4, 1/8 and 1/8 are worth 1.75 bits.
    map_ = torch.tensor([[[[4.0, -2.0]], [[0.0, 0.0]]], [[[2.0, 1.0]], [[1.0, 1.0]]]])
    assert entropy(torch.tensor([[[[4.0, -2.0, 1.0, -1.0]]]])).item() == pytest.approx(1.75 * math.log(2))
    # Channels are summed by magnitude: 4 and 2 beside nothing; 3 and 2 of 5.
    expected = [stats.entropy([4, 2]), stats.entropy([3, 2])]
    assert entropy(map_).tolist() == pytest.approx(expected)


def test_entropy_is_that_of_scipy(random: Draw) -> None:
    maps = random(5, 3, 9, 7)
    shares = maps.abs().sum(dim=1).flatten(1).numpy()
    np.testing.assert_allclose(entropy(maps).numpy(), stats.entropy(shares, axis=1), rtol=1e-12)


def test_averaging_magnitudes_never_lowers_the_entropy_and_makes_few_regions(random: Draw) -> None:
    maps = random(6, 3, 16, 12) ** 3
    mask = torch.arange(16 * 12).reshape(1, 1, 16, 12) // 31
    pooled = pool_segments(maps.abs(), mask)
    assert (entropy(pooled) > entropy(maps)).all()
    assert (effective_regions(maps) > 50).all()
    assert (effective_regions(pooled) <= 7).all()
    assert torch.equal(effective_regions(pooled), effective_regions(pooled, mask))


@pytest.mark.parametrize(
    ("rows", "share", "regions"),
    [
        (("000", "090", "000"), 0.9, 1),
        (("050", "000", "050"), 0.9, 1),  # one value, however many pixels have it
        (("777", "777"), 1.0, 1),
        (("991", "111"), 0.9, 2),  # 18 of 22 are too few
        (("991", "111"), 0.8, 1),
        (("321", "000"), 0.9, 3),  # 5 of 6 are too few
        (("321", "000"), 5 / 6, 2),
        (("321", "000"), 0.5, 1),
        (("411", "111"), 0.5, 1),  # the ones hold 5 of 9, more than the four
        (("411", "111"), 0.6, 2),
    ],
)
def test_regions_of_the_map_itself(rows: tuple[str, ...], share: float, regions: int) -> None:
    for map_ in (drawn(*rows), -drawn(*rows), drawn(*rows) / 3):
        assert effective_regions(map_, share=share).tolist() == [regions]


def test_pixels_are_counted_by_a_mask_of_pixels() -> None:
    map_ = drawn("991", "111")
    pixels = torch.arange(6).reshape(2, 3)
    for share, number in ((0.8, 2), (0.9, 4), (1.0, 6), (0.3, 1)):  # of 22: 18 of two, 19 of three, 20 of four
        assert effective_regions(map_, pixels, share=share).tolist() == [number]
    # Ten equal pixels: nine hold nine tenths, however their sum is rounded.
    for value in (1.0, 0.1, 1 / 3, 1e-300, 1e308):
        equal = torch.full((1, 1, 2, 5), value, dtype=torch.float64)
        assert effective_regions(equal, torch.arange(10).reshape(2, 5)).tolist() == [9]
        assert effective_regions(equal).tolist() == [1]
        assert entropy(equal).item() == pytest.approx(math.log(10))


def test_segments_of_a_mask_are_counted_by_their_sums() -> None:
    mask = torch.tensor([[[[4, 4, 4, 9]]], [[[1, 2, 2, 3]]]])
    maps = torch.tensor([[[[1.0, -2.0, 1.0, 3.0]], [[0.0, 0.0, 1.0, 0.0]]], [[[5.0, 1.0, 1.0, 1.0]], [[0.0] * 4]]])
    # First 5 and 3, then 5, 2 and 1.
    for share, numbers in ((0.6, [1, 1]), (0.625, [1, 1]), (0.7, [2, 2]), (0.9, [2, 3])):
        assert effective_regions(maps, mask, share=share).tolist() == numbers
        assert effective_regions(maps, mask.numpy(), share=share).tolist() == numbers
    assert effective_regions(maps, torch.tensor([[0, 0, 0, 1]])).tolist() == [2, 1 + 1]


def test_two_masks_serve_four_maps_in_a_row(random: Draw) -> None:
    maps, masks = random(4, 1, 1, 6), torch.tensor([[[[0, 0, 0, 1, 1, 2]]], [[[0, 1, 2, 3, 4, 5]]]])
    each = masks.repeat_interleave(2, dim=0)
    assert torch.equal(effective_regions(maps, masks), effective_regions(maps, each))


def test_against_a_loop(random: Draw) -> None:
    maps, mask = random(5, 2, 9, 7), (torch.arange(63).reshape(9, 7) ** 2) % 23
    values = effective_regions(maps, mask, share=0.75).tolist()
    for n in range(5):
        magnitude = maps[n].abs().sum(dim=0).numpy()
        sums = sorted((magnitude[mask.numpy() == i].sum() for i in range(23)), reverse=True)
        number = next(k for k in range(1, 24) if sum(sums[:k]) >= 0.75 * sum(sums))
        assert values[n] == number
    assert effective_regions(maps, mask, share=1).tolist() == [len(mask.unique())] * 5


@BOTH
def test_what_changes_nothing(measure: Callable[[Tensor], Tensor], random: Draw) -> None:
    maps = random(4, 3, 6, 5).round(decimals=1)
    value = measure(maps)
    assert value.dtype == torch.float64
    for same in (-maps, maps.abs(), 1024 * maps, 1e-300 * maps, 1e200 * maps, maps.flip(3), maps[:, [2, 1, 0]]):
        torch.testing.assert_close(measure(same), value)
    torch.testing.assert_close(torch.cat([measure(map_[None]) for map_ in maps]), value)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
def test_dtypes(measure: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    maps = torch.arange(-8, 16).reshape(2, 1, 3, 4)
    torch.testing.assert_close(measure(maps.to(dtype)), measure(maps.double()))


@BOTH
def test_a_map_without_magnitude_has_no_shares(measure: Callable[[Tensor], Tensor]) -> None:
    maps = torch.zeros(3, 2, 4, 4)
    maps[1, 0, 2, 2] = -1
    assert measure(maps).isnan().tolist() == [True, False, True]


@BOTH
@pytest.mark.parametrize(
    ("maps", "error", "message"),
    [
        ([[1.0]], TypeError, r"attributions must be a tensor .* a list was passed"),
        (torch.zeros(4, 4), ValueError, r"attributions must have shape .* but has shape \(4, 4\)"),
        (torch.full((2, 1, 4, 4), torch.inf), ValueError, r"2 of 2 entries of attributions"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.complex64), TypeError, r"dtype torch\.complex64"),
    ],
)
def test_bad_maps(measure: Callable[[Tensor], Tensor], maps, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        measure(maps)


def test_bad_shares_and_masks() -> None:
    maps = torch.ones(2, 1, 4, 4)
    for share, message in ((0, r"above 0, but 0\.0"), (90, r"from 0 to 1, but 90"), (float("nan"), r"but nan")):
        with pytest.raises(ValueError, match=message):
            effective_regions(maps, share=share)
    with pytest.raises(TypeError, match=r"share must be a number, but '0\.9'"):
        effective_regions(maps, share="0.9")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"feature_mask of shape \(2, 3, 4, 4\)"):
        effective_regions(maps, torch.zeros(2, 3, 4, 4, dtype=torch.long))
    with pytest.raises(TypeError, match=r"feature_mask has dtype torch\.float32"):
        effective_regions(maps, torch.zeros(4, 4))
