"""The nulls and their intervals: identities, known chance levels, enumeration, and SciPy's bootstrap."""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel.metrics.null import (
    NullCorrected,
    against_null,
    excess,
    null_corrected,
    paired_difference,
    permute_pixels,
)
from captum_superpixel.metrics.stability import ssim
from captum_superpixel.pooling import pool_segments

Array = NDArray[np.float64]
Statistic = Callable[..., Any]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(count: int, seed: int, channels: int = 1, size: int = 12) -> Tensor:
    return torch.randn(count, channels, size, size, generator=seeded(seed))


def cosine(maps_a: Tensor, maps_b: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(maps_a.flatten(1).double(), maps_b.flatten(1).double())


def overlap(maps_a: Tensor, maps_b: Tensor, k: int = 14) -> Tensor:
    """Share of the k highest pixels in common: of independent orders k / pixels on average."""
    tops = [maps.flatten(1).topk(k).indices for maps in (maps_a, maps_b)]
    return (tops[0][:, :, None] == tops[1][:, None, :]).sum(dim=(1, 2)) / k


def likeness(maps_a: Tensor, maps_b: Tensor) -> Tensor:
    return 1 / (1 + (maps_a.double() - maps_b.double()).square().mean(dim=(1, 2, 3)))


def scipy_interval(columns: list[Tensor], statistic: Statistic, paired: bool = True) -> tuple[float, float]:
    resample = scipy.stats.bootstrap  # type: ignore[attr-defined]
    arrays, rng = [column.numpy() for column in columns], np.random.default_rng(0)
    result = resample(arrays, statistic, paired=paired, method="percentile", n_resamples=20_000, rng=rng)
    return tuple(result.confidence_interval)


def excess_of_means(values: Array, nulls: Array, axis: int = -1) -> Array:
    return np.asarray((values.mean(axis=axis) - nulls.mean(axis=axis)) / (1 - nulls.mean(axis=axis)))


def cells(count: int, size: int, side: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(size) // side, torch.arange(size) // side, indexing="ij")
    return (rows * size + columns).expand(count, 1, size, size)


def pair_of_columns(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = seeded(seed)
    nulls = 0.3 + 0.2 * torch.rand(count, generator=generator, dtype=torch.float64)
    return nulls + 0.4 * torch.rand(count, generator=generator, dtype=torch.float64), nulls


class TestExcess:
    def test_of_numbers(self) -> None:
        assert excess(0.7, 0.4) == pytest.approx(0.5)
        assert excess(1, 0.99) == 1
        assert excess(0.25, 0.25) == 0
        assert isinstance(excess(1, 0), float)

    def test_of_tensors_broadcasts(self) -> None:
        values = torch.tensor([[0.5, 1.0, 0.0]], dtype=torch.float64)
        nulls = torch.tensor([[0.0], [0.5]], dtype=torch.float64)
        assert excess(values, nulls).tolist() == [[0.5, 1, 0], [0, 1, -1]]
        assert excess(values, 0.5).tolist() == [[0, 1, -1]]
        assert excess(torch.tensor([1, 0]), 0.5).tolist() == [1, -1]
        assert excess(1.0, nulls).tolist() == [[1], [1]]

    def test_numbers_are_not_rounded_to_float32(self) -> None:
        nulls = torch.tensor([0.1], dtype=torch.float64)
        assert excess(0.6, nulls).item() == pytest.approx(5 / 9, rel=1e-14)
        assert excess(0.6, 0.1) == pytest.approx(5 / 9, rel=1e-14)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_keeps_the_dtype_of_a_tensor(self, dtype: torch.dtype) -> None:
        assert excess(torch.tensor([0.5], dtype=dtype), 0.25).dtype == dtype
        assert excess(0.5, torch.tensor([0.25], dtype=dtype)).dtype == dtype

    def test_above_a_null_of_1_nothing_can_be_shown(self) -> None:
        assert math.isnan(excess(1.0, 1.0))
        assert math.isnan(excess(1.0, 1 - 1e-9))
        assert math.isnan(excess(1.0, 1 + 1e-9))
        assert excess(1.0, 1 - 2e-6) == pytest.approx(1)
        of_tensor = excess(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.5]))
        assert of_tensor.isnan().tolist() == [True, False]

    def test_nan_stays_nan(self) -> None:
        assert math.isnan(excess(float("nan"), 0.5))
        assert excess(torch.tensor([0.5, torch.nan]), 0.0).isnan().tolist() == [False, True]

    def test_of_wrong_arguments(self) -> None:
        with pytest.raises(ValueError, match=r"^null exceeds 1 \(1\.5 at index 0\)"):
            excess(0.5, 1.5)
        with pytest.raises(ValueError, match=r"^value exceeds 1 \(2 at index 1\)"):
            excess(torch.tensor([0.5, 2.0]), 0.5)
        with pytest.raises(ValueError, match=r"value of shape \(2,\) and null of shape \(3,\) do not broadcast"):
            excess(torch.zeros(2), torch.zeros(3))
        with pytest.raises(TypeError, match=r"null must be a real number or a tensor of such, but str was passed"):
            excess(0.5, "0")  # type: ignore[call-overload]
        with pytest.raises(TypeError, match=r"value must be a real number .* torch.complex64 was passed"):
            excess(torch.zeros(2, dtype=torch.complex64), 0.5)


class TestPermutePixels:
    def test_only_the_order_changes_and_the_channels_of_a_pixel_stay_together(self) -> None:
        first = noise(5, 0)
        permuted = permute_pixels(torch.cat([first, 10 * first], dim=1), seeded(1))
        assert torch.equal(permuted[:, 1], 10 * permuted[:, 0])
        assert not torch.equal(permuted[:, :1], first)
        assert torch.equal(permuted[:, 0].flatten(1).sort().values, first.flatten(1).sort().values)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool])
    def test_integers_of_any_kind_are_permuted_alike(self, dtype: torch.dtype) -> None:
        numbers = torch.randint(2, (2, 3, 4, 5), generator=seeded(0))
        permuted = permute_pixels(numbers.to(dtype), seeded(1))
        assert permuted.dtype == dtype
        assert torch.equal(permuted.long(), permute_pixels(numbers, seeded(1)))

    def test_each_map_has_a_permutation_of_its_own(self) -> None:
        permuted = permute_pixels(noise(1, 0).expand(6, -1, -1, -1), seeded(1))
        assert len({tuple(pixels) for pixels in permuted.flatten(1).tolist()}) == 6

    def test_every_order_is_equally_likely(self) -> None:
        permuted = permute_pixels(torch.tensor([[[[0, 1, 2]]]]).expand(6000, -1, -1, -1), seeded(2)).flatten(1)
        counts = Counter(map(tuple, permuted.tolist()))
        assert len(counts) == 6
        assert scipy.stats.chisquare(list(counts.values())).pvalue > 0.001

    def test_the_generator_decides(self) -> None:
        maps, before = noise(3, 0), torch.random.get_rng_state()
        assert torch.equal(permute_pixels(maps, seeded(1)), permute_pixels(maps, seeded(1)))
        assert not torch.equal(permute_pixels(maps, seeded(1)), permute_pixels(maps, seeded(2)))
        assert torch.equal(torch.random.get_rng_state(), before)


class TestNullCorrected:
    @pytest.mark.parametrize("metric", [cosine, overlap, likeness])
    def test_identical_maps_have_an_excess_of_1(self, metric: Callable[[Tensor, Tensor], Tensor]) -> None:
        maps = noise(10, 0, channels=2)
        result = null_corrected(metric, maps, maps.clone(), pool=lambda m: pool_segments(m, cells(10, 12, 4)))
        assert result.value == pytest.approx(1)
        assert result.null < 0.99
        assert result.excess == pytest.approx(1)
        assert result.ci95_excess == pytest.approx((1, 1))

    @pytest.mark.parametrize(("metric", "chance"), [(cosine, 0.0), (overlap, 14 / 144)])
    def test_the_null_of_pixels_is_the_level_of_chance(
        self, metric: Callable[[Tensor, Tensor], Tensor], chance: float
    ) -> None:
        maps = noise(40, 0)
        result = null_corrected(metric, maps, maps + 0.1 * noise(40, 1), n_draws=25)
        spread = float(metric(noise(400, 2), noise(400, 3)).std())
        assert result.null == pytest.approx(chance, abs=4 * spread / (40 * 25) ** 0.5)
        assert result.excess == pytest.approx((result.value - chance) / (1 - chance), abs=0.02)

    def test_the_null_is_the_mean_over_all_pairs_of_permutations(self) -> None:
        """Three pixels of which two are pooled: 36 pairs of orders, whatever the two maps had in common."""
        a, b = torch.tensor([[[[0.0, 1.0, 5.0]]]]), torch.tensor([[[[2.0, 0.0, 4.0]]]])
        segments = torch.tensor([[[[0, 0, 1]]]])
        orders = list(itertools.permutations(range(3)))
        pooled = [[pool_segments(maps[..., list(order)], segments) for order in orders] for maps in (a, b)]
        exact = float(torch.cat([likeness(*pair) for pair in itertools.product(*pooled)]).mean())
        result = null_corrected(likeness, a, b, partial(pool_segments, feature_mask=segments), 4000)
        assert result.value == pytest.approx(float(likeness(pool_segments(a, segments), pool_segments(b, segments))))
        assert result.null == pytest.approx(exact, abs=0.012)
        # Permuting both alike, after pooling, or only one of them would give these.
        together = float(torch.cat([likeness(*pair) for pair in zip(*pooled, strict=True)]).mean())
        assert abs(together - exact) > 0.03

    def test_pooled_noise_looks_alike_and_has_no_excess(self) -> None:
        """The reason for the null: the raw value rises with the segments, the excess does not."""
        a, b = noise(200, 0, size=24).abs(), noise(200, 1, size=24).abs()
        pixels = null_corrected(ssim, a, b, n_draws=2)
        pooled = null_corrected(ssim, a, b, lambda m: pool_segments(m, cells(200, 24, 8)), 2)
        assert pooled.value > pixels.value + 0.05
        assert abs(pixels.excess) < 0.02
        assert abs(pooled.excess) < 0.05
        assert pooled.ci95_excess[0] < 0 < pooled.ci95_excess[1]

    def test_one_segment_an_image_leaves_only_the_null(self) -> None:
        a, b = noise(20, 0, channels=3), noise(20, 1, channels=3)
        whole = partial(pool_segments, feature_mask=torch.zeros(1, 1, 12, 12, dtype=torch.int64))
        result = null_corrected(likeness, a, b, whole)
        torch.testing.assert_close(result.values, result.nulls)
        assert result.excess == pytest.approx(0, abs=1e-4)
        magnitudes = null_corrected(cosine, a[:, :1].abs(), b[:, :1].abs(), whole)
        assert magnitudes.null == pytest.approx(1)
        assert math.isnan(magnitudes.excess)
        assert all(map(math.isnan, magnitudes.ci95_excess))

    def test_constant_maps_are_their_own_null(self) -> None:
        result = null_corrected(likeness, torch.zeros(4, 1, 5, 5), torch.full((4, 1, 5, 5), 0.5))
        assert result.value == pytest.approx(1 / 1.25)
        assert result.excess == pytest.approx(0, abs=1e-12)

    def test_the_pool_is_called_for_both_maps_and_for_both_in_each_draw(self) -> None:
        seen: list[Tensor] = []

        def pool(maps: Tensor) -> Tensor:
            seen.append(maps)
            return maps

        a, b = noise(4, 0, channels=2), noise(4, 1, channels=2)
        with_pool = null_corrected(cosine, a, b, pool, n_draws=3)
        assert len(seen) == 2 + 2 * 3
        assert torch.equal(torch.cat(seen[:2]), torch.cat([a, b]))
        assert all(maps.shape == a.shape for maps in seen)
        assert with_pool.null == null_corrected(cosine, a, b, n_draws=3).null

    def test_the_null_is_the_mean_over_draws(self) -> None:
        a, b, generator = noise(6, 0), noise(6, 1), seeded(9)
        draws = [cosine(permute_pixels(a, generator), permute_pixels(b, generator)) for _ in range(4)]
        result = null_corrected(cosine, a, b, n_draws=4, generator=seeded(9))
        torch.testing.assert_close(result.nulls, torch.stack(draws).mean(dim=0))
        torch.testing.assert_close(result.values, cosine(a, b))

    def test_10_draws_and_2000_resamples_are_the_default(self) -> None:
        calls: list[int] = []

        def metric(maps_a: Tensor, maps_b: Tensor) -> Tensor:
            calls.append(len(maps_a))
            return cosine(maps_a, maps_b)

        result = null_corrected(metric, noise(6, 0), noise(6, 1))
        assert len(calls) == 1 + 10
        stated = null_corrected(cosine, noise(6, 0), noise(6, 1), n_draws=10, n_resamples=2000)
        assert result.ci95_excess == stated.ci95_excess
        again = against_null(result.values, result.nulls)
        assert again.ci95_excess == against_null(result.values, result.nulls, n_resamples=2000).ci95_excess
        other = against_null(result.nulls, result.values)
        assert paired_difference(result, other) == paired_difference(result, other, n_resamples=2000)

    def test_randomness_is_passed_in(self) -> None:
        a, b, before = noise(6, 0), noise(6, 1), torch.random.get_rng_state()
        by_default = null_corrected(cosine, a, b)
        assert str(by_default) == str(null_corrected(cosine, a, b, generator=seeded(0)))
        assert by_default.null != null_corrected(cosine, a, b, generator=seeded(1)).null
        assert torch.equal(torch.random.get_rng_state(), before)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_results_are_float64_and_the_maps_stay_as_they_were(self, dtype: torch.dtype) -> None:
        a, b = noise(4, 0).to(dtype).requires_grad_(), noise(4, 1).to(dtype)
        result = null_corrected(cosine, a, b)
        assert result.values.dtype == result.nulls.dtype == torch.float64
        assert not result.values.requires_grad
        assert torch.equal(a.detach(), noise(4, 0).to(dtype))

    @pytest.mark.parametrize(
        ("error", "message", "changed"),
        [
            (ValueError, r"pool returned shape \(4, 1, 6, 12\) for maps of shape", {"pool": lambda m: m[:, :, ::2]}),
            (ValueError, r"pool returned ndarray for maps of shape \(4, 1, 12, 12\)", {"pool": lambda m: m.numpy()}),
            (ValueError, r"metric returned 2 numbers for 4 images", {"metric": lambda a, b: cosine(a, b)[:2]}),
            (ValueError, r"results must have shape .*has shape \(\)", {"metric": lambda a, b: cosine(a, b).sum()}),
            (TypeError, r"results must be a tensor .* but float was passed", {"metric": lambda a, b: 0.5}),
            (ValueError, r"results of image 0, 1, 2, 3 are NaN", {"metric": lambda a, b: cosine(a, b) * torch.nan}),
            (ValueError, r"values exceeds 1 \(2 at index 0\)", {"metric": lambda a, b: cosine(a, a) * 2}),
            (ValueError, r"n_draws must be at least 1, but 0 was passed", {"n_draws": 0}),
            (TypeError, r"n_draws must be an integer, but 2\.5 \(float\) was passed", {"n_draws": 2.5}),
            (ValueError, r"n_resamples must be at least 1, but -1 was passed", {"n_resamples": -1}),
            (TypeError, r"generator=3 is not a torch\.Generator", {"generator": 3}),
            (ValueError, r"maps_a has shape \(4, 1, 12, 12\) and maps_b \(3,", {"maps_b": noise(3, 0)}),
        ],
    )
    def test_of_wrong_arguments(self, error: type[Exception], message: str, changed: dict[str, Any]) -> None:
        arguments: dict[str, Any] = {"metric": cosine, "maps_a": noise(4, 0), "maps_b": noise(4, 1)}
        with pytest.raises(error, match=message):
            null_corrected(**(arguments | changed))


class TestAgainstNull:
    def test_excess_is_that_of_the_means(self) -> None:
        """The mean of the ratios, 0.5, 0.5 and -99, would say that nothing is left."""
        values, nulls = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.0, 0.99])
        result = against_null(values, nulls)
        assert result.value == pytest.approx(1 / 3)
        assert result.null == pytest.approx(0.33)
        assert result.excess == pytest.approx((1 / 3 - 0.33) / 0.67)
        assert result.n_images == 3
        assert result.values.tolist() == values.tolist()
        assert result.nulls.tolist() == nulls.double().tolist()

    def test_intervals_are_those_of_scipy(self) -> None:
        values, nulls = pair_of_columns(60, 3)
        result = against_null(values, nulls, n_resamples=20_000, generator=seeded(4))
        assert result.ci95_value == pytest.approx(scipy_interval([values], np.mean), abs=0.004)
        assert result.ci95_excess == pytest.approx(scipy_interval([values, nulls], excess_of_means), abs=0.004)
        low, high = scipy_interval([values, nulls], excess_of_means, paired=False)
        assert high - low > result.ci95_excess[1] - result.ci95_excess[0] + 0.01

    def test_one_image_has_no_interval(self) -> None:
        result = against_null(torch.tensor([0.75]), torch.tensor([0.5]))
        assert result.excess == 0.5
        assert all(map(math.isnan, (*result.ci95_value, *result.ci95_excess)))
        assert str(result) == "0.750 (95 % interval nan to nan), null 0.500, excess 0.500 (nan to nan), 1 image"

    def test_result_is_frozen_and_shows_itself(self) -> None:
        result = against_null(*pair_of_columns(9, 0))
        with pytest.raises(dataclasses.FrozenInstanceError, match="value"):
            result.value = 1.0  # type: ignore[misc]
        assert "tensor" not in repr(result)
        assert str(result).endswith(f"{result.ci95_excess[1]:.3f}), 9 images")

    def test_of_wrong_arguments(self) -> None:
        values, nulls = pair_of_columns(5, 0)
        with pytest.raises(ValueError, match=r"there are 5 values and 4 nulls"):
            against_null(values, nulls[:4])
        with pytest.raises(ValueError, match=r"values must have shape \(N,\), one number per image, .* \(5, 1\)"):
            against_null(values[:, None], nulls)
        with pytest.raises(ValueError, match=r"nulls must have shape \(N,\), one number per image, .* \(0,\)"):
            against_null(values, nulls[:0])
        with pytest.raises(ValueError, match=r"nulls exceeds 1 \(1\.25 at index 2\)"):
            against_null(values, torch.tensor([0.0, 0.0, 1.25, 0.0, 0.0]))
        broken = values.clone()
        broken[1], broken[3] = torch.nan, torch.inf
        with pytest.raises(ValueError, match=r"values of image 1, 3 are NaN or infinite"):
            against_null(broken, nulls)
        with pytest.raises(TypeError, match=r"nulls must be a tensor of N real numbers, but list was passed"):
            against_null(values, nulls.tolist())  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"n_resamples must be at least 1, but 0 was passed"):
            against_null(values, nulls, n_resamples=0)


class TestPairedDifference:
    def results(self, count: int = 40) -> tuple[NullCorrected, NullCorrected]:
        values, nulls = pair_of_columns(count, 6)
        better = values + 0.05 + 0.02 * torch.rand(count, generator=seeded(7), dtype=torch.float64)
        return against_null(better, nulls + 0.01), against_null(values, nulls)

    def test_is_that_of_scipy(self) -> None:
        a, b = self.results()

        def statistic(*columns: Array, axis: int = -1) -> Array:
            value_a, null_a, value_b, null_b = columns
            return excess_of_means(value_a, null_a, axis) - excess_of_means(value_b, null_b, axis)

        difference, interval = paired_difference(a, b, n_resamples=20_000)
        columns = [a.values, a.nulls, b.values, b.nulls]
        assert interval == pytest.approx(scipy_interval(columns, statistic), abs=0.0005)
        assert difference == pytest.approx(float(statistic(*[column.numpy() for column in columns])))

    def test_finds_what_two_intervals_hide(self) -> None:
        a, b = self.results()
        assert a.ci95_excess[0] < b.ci95_excess[1]
        _, (low, _) = paired_difference(a, b)
        assert low > 0

    def test_changes_sign_with_the_order(self) -> None:
        a, b = self.results()
        difference, (low, high) = paired_difference(a, b)
        reverse, (reverse_low, reverse_high) = paired_difference(b, a)
        assert (reverse, reverse_low, reverse_high) == pytest.approx((-difference, -high, -low))

    def test_with_itself_is_nothing(self) -> None:
        a, _ = self.results()
        assert paired_difference(a, a) == (0, (0, 0))

    def test_of_one_image_has_no_interval(self) -> None:
        difference, interval = paired_difference(*self.results(1))
        assert math.isfinite(difference)
        assert all(map(math.isnan, interval))

    def test_of_wrong_arguments(self) -> None:
        a, _ = self.results(5)
        with pytest.raises(ValueError, match=r"a is over 5 images and b over 4"):
            paired_difference(a, self.results(4)[0])
        with pytest.raises(TypeError, match=r"must be NullCorrected, but are NullCorrected and float"):
            paired_difference(a, 0.5)  # type: ignore[arg-type]
