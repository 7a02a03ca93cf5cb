"""Similarities of two maps: by hand, against NumPy, SciPy and scikit-image, and at their edges."""

import inspect
import math
import re
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cosine
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import Tensor

from captum_superpixel import metrics
from captum_superpixel.metrics.stability import (
    SIMILARITIES,
    cosine_similarity,
    rank_correlation,
    ssim,
    top_k_intersection,
    top_k_iou,
    top_pixels,
)

METRICS = [ssim, top_k_intersection, top_k_iou, cosine_similarity, rank_correlation]
OF_MAGNITUDES = [metric for metric in METRICS if metric is not cosine_similarity]
WITHIN_0_AND_1 = [top_k_intersection, top_k_iou]

Metric = Callable[[Tensor, Tensor], Tensor]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def tied(*shape: int, seed: int = 0, levels: int = 4) -> Tensor:
    """Maps of a few levels, so that most pixels tie."""
    return torch.randint(-levels, levels + 1, shape, generator=torch.Generator().manual_seed(seed)).float()


def row(*scores: float) -> Tensor:
    return torch.tensor(scores).reshape(1, 1, 1, -1)


def display_scaled(image: np.ndarray, percentile: float = 99) -> np.ndarray:
    """Scale one map (C, H, W) to [0, 1], written as for a single picture."""
    magnitude = np.abs(image.astype(np.float64)).sum(axis=0)
    low, high = magnitude.min(), np.percentile(magnitude, percentile)
    if high == low:
        return np.zeros_like(magnitude)
    return (np.clip(magnitude, low, high) - low) / (high - low)


# All metrics


def test_every_metric_of_two_batches_of_maps_is_in_the_table() -> None:
    functions = [each for each in vars(metrics).values() if inspect.isfunction(each)]
    pairwise = [each for each in functions if list(inspect.signature(each).parameters)[:2] == ["maps_a", "maps_b"]]
    assert {each.__name__ for each in pairwise} == set(SIMILARITIES)
    assert list(SIMILARITIES.values()) == METRICS
    assert metrics.SIMILARITIES is SIMILARITIES


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("make", [noise, tied])
def test_a_map_is_like_itself(metric: Metric, make: Callable[..., Tensor]) -> None:
    maps = make(5, 3, 16, 13)
    assert torch.equal(metric(maps, maps), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("make", [noise, tied])
def test_neither_order_nor_scale_matters(metric: Metric, make: Callable[..., Tensor]) -> None:
    a, b = make(4, 3, 16, 13), make(4, 3, 16, 13, seed=1)
    torch.testing.assert_close(metric(b, a), metric(a, b), rtol=0, atol=1e-14)
    torch.testing.assert_close(metric(8 * a, b / 1024), metric(a, b), rtol=0, atol=1e-14)
    torch.testing.assert_close(metric(a.double() * 2.0**-600, b.double() * 2.0**600), metric(a, b), rtol=0, atol=1e-14)


@pytest.mark.parametrize("metric", METRICS)
def test_one_image_alone_is_the_same_as_in_a_batch(metric: Metric) -> None:
    a = torch.cat([noise(3, 2, 12, 16), tied(2, 2, 12, 16), torch.zeros(1, 2, 12, 16)])
    b = torch.cat([noise(3, 2, 12, 16, seed=1), tied(2, 2, 12, 16, seed=1), torch.ones(1, 2, 12, 16)])
    alone = torch.cat([metric(one, other) for one, other in zip(a.split(1), b.split(1), strict=True)])
    assert torch.equal(metric(a, b), alone)


@pytest.mark.parametrize("metric", OF_MAGNITUDES)
def test_signs_do_not_matter_to_metrics_of_magnitudes(metric: Metric) -> None:
    a, b = noise(3, 2, 14, 14), noise(3, 2, 14, 14, seed=1)
    assert torch.equal(metric(a, b), metric(a.abs(), -b.abs()))


@pytest.mark.parametrize("metric", OF_MAGNITUDES)
def test_channels_are_summed_by_magnitude(metric: Metric) -> None:
    a, b = tied(3, 3, 14, 14), tied(3, 3, 14, 14, seed=1)
    assert torch.equal(metric(a, b), metric(a.abs().sum(1, keepdim=True), b.abs().sum(1, keepdim=True)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.float16, torch.bfloat16, torch.float32, torch.bool),
        *(torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    ],
)
def test_every_real_dtype_gives_float64(metric: Metric, dtype: torch.dtype) -> None:
    a, b = tied(3, 2, 12, 12).abs().to(dtype), tied(3, 2, 12, 12, seed=1).abs().to(dtype)
    value = metric(a, b)
    assert value.dtype == torch.float64
    assert torch.equal(value, metric(a.double(), b.double()))


@pytest.mark.parametrize("metric", METRICS)
def test_half_precision_is_not_summed_in_half_precision(metric: Metric) -> None:
    a, b = (100 * noise(2, 3, 24, 24, seed=seed).half() for seed in (0, 1))  # squares pass 65504, sums lose digits
    assert torch.equal(metric(a, b), metric(a.double(), b.double()))


@pytest.mark.parametrize("metric", METRICS)
def test_gradients_and_strides_are_no_obstacle(metric: Metric) -> None:
    a, b = noise(2, 12, 13, 3).permute(0, 3, 1, 2).requires_grad_(), noise(2, 3, 12, 13, seed=1)
    value = metric(a, b)
    assert not value.requires_grad
    assert torch.equal(value, metric(a.detach().contiguous(), b))


@pytest.mark.parametrize("metric", METRICS)
def test_maps_that_cannot_be_compared(metric: Metric) -> None:
    maps = noise(3, 2, 12, 12)
    broken = maps.clone()
    broken[1, 0, 3, 3] = math.nan
    with pytest.raises(ValueError, match=re.escape("maps_a has shape (3, 2, 12, 12) and maps_b (3, 1, 12, 12)")):
        metric(maps, maps[:, :1])
    with pytest.raises(ValueError, match=re.escape("1 of 3 entries of maps_b (index 1) hold NaN")):
        metric(maps, broken)
    with pytest.raises(ValueError, match=re.escape("maps_a must have shape (N, C, H, W), but has shape (12, 12)")):
        metric(maps[0, 0], maps[0, 0])
    with pytest.raises(TypeError, match=r"maps_b must be a tensor .* but a ndarray was passed"):
        metric(maps, maps.numpy())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"maps_a has dtype torch\.complex64"):
        metric(maps.cfloat(), maps)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # ssim, top_k_intersection, top_k_iou, cosine_similarity, rank_correlation
        (0.0, 0.0, [1, 1, 1, 0, 0]),
        (0.0, 2.0, [1, 1, 1, 0, 0]),
        (3.0, 2.0, [1, 1, 1, 1, 0]),
        (3.0, -2.0, [1, 1, 1, -1, 0]),
    ],
)
def test_two_constant_maps(metric: Metric, a: float, b: float, expected: list[float]) -> None:
    value = metric(torch.full((1, 1, 12, 12), a), torch.full((1, 1, 12, 12), b))
    assert value.tolist() == [pytest.approx(expected[METRICS.index(metric)], abs=1e-15)]


@pytest.mark.parametrize("metric", METRICS)
def test_a_constant_map_beside_one_that_is_not(metric: Metric) -> None:
    maps, flat = noise(4, 1, 20, 20), torch.zeros(4, 1, 20, 20)
    if metric in (cosine_similarity, rank_correlation):
        assert torch.equal(metric(maps, flat), torch.zeros(4, dtype=torch.float64))
        assert torch.equal(rank_correlation(maps, flat + 0.1), torch.zeros(4, dtype=torch.float64))
    else:
        assert torch.equal(metric(maps, flat), metric(maps, flat + 0.1))
        assert (metric(maps, flat) < 0.3).all()


# SSIM


@pytest.mark.parametrize("make", [noise, tied])
@pytest.mark.parametrize(("percentile", "sigma"), [(99.0, 1.5), (90.0, 1.0), (100, 2)])
def test_ssim_is_that_of_scikit_image(make: Callable[..., Tensor], percentile: float, sigma: float) -> None:
    a, b = make(6, 3, 19, 24), make(6, 3, 19, 24, seed=1)
    b = 0.5 * a + b
    expected = [
        structural_similarity(
            display_scaled(one, percentile),
            display_scaled(other, percentile),
            gaussian_weights=True,
            sigma=sigma,
            use_sample_covariance=False,
            data_range=1,
        )
        for one, other in zip(a.numpy(), b.numpy(), strict=True)
    ]
    torch.testing.assert_close(
        ssim(a, b, percentile=percentile, sigma=sigma), torch.tensor(expected), rtol=0, atol=1e-12
    )


def test_ssim_of_many_pairs_is_that_of_each() -> None:
    """Twenty pairs of this size are filtered together in two parts."""
    a, b = noise(20, 1, 32, 32), noise(20, 1, 32, 32, seed=1)
    b = 0.5 * a + b
    assert torch.equal(ssim(a, b), torch.cat([ssim(a[i : i + 1], b[i : i + 1]) for i in range(20)]))


def test_ssim_of_many_pairs_takes_no_more_memory_than_that_of_few() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(24, 1, 256, 256, generator=generator) for _ in range(2))
    peaks = []
    for count in (4, 24):
        tracemalloc.start()
        ssim(first[:count], second[:count])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # What is between the maps and their similarities is of NumPy, which says what it takes.
    assert peaks[1] < 1.3 * peaks[0]


def test_ssim_in_one_window_by_the_published_formula() -> None:
    a, b = noise(1, 1, 11, 11).abs(), noise(1, 1, 11, 11, seed=1).abs()
    x, y = display_scaled(a[0].numpy()), display_scaled(b[0].numpy())
    bell = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights = np.outer(bell, bell) / bell.sum() ** 2
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    variances = (weights * (x - mean_x) ** 2).sum() + (weights * (y - mean_y) ** 2).sum()
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    assert ssim(a, b).item() == pytest.approx(luminance * (2 * covariance + 9e-4) / (variances + 9e-4), abs=1e-12)


def test_ssim_clips_the_highest_hundredth_and_weighs_by_1_5_pixels_by_default() -> None:
    a, b = noise(3, 2, 24, 24), noise(3, 2, 24, 24, seed=1)
    b = a + b
    assert torch.equal(ssim(a, b), ssim(a, b, percentile=99, sigma=1.5))
    for other in ({"percentile": 100}, {"percentile": 98}, {"sigma": 3.0}, {"sigma": 1.4}):
        assert ((ssim(a, b) - ssim(a, b, **other)).abs() > 1e-4).all()


def test_ssim_clips_the_highest_pixels_and_ignores_level_and_contrast() -> None:
    maps = torch.arange(400.0).reshape(1, 1, 20, 20)
    spiked = maps.clone()
    spiked[..., -1, -1] = 1e6  # the percentile .99 of 400 pixels is between the fifth and the fourth largest
    assert ssim(maps, spiked).item() == 1
    assert ssim(maps, spiked, percentile=100).item() < 0.5
    assert ssim(maps, 7 * maps + 100).item() == pytest.approx(1, abs=1e-12)


def test_ssim_of_a_map_of_few_pixels_sees_nothing_unless_the_percentile_is_raised() -> None:
    one, other = torch.zeros(1, 1, 20, 20), torch.zeros(1, 1, 20, 20)
    one[..., 9, 9], other[..., 12, 6] = 1, 1
    assert ssim(one, other).item() == 1
    assert ssim(one, other, percentile=100).item() < 0.95


def test_ssim_of_opposite_maps_is_negative() -> None:
    checkers = ((torch.arange(16)[:, None] + torch.arange(16)) % 2).float().reshape(1, 1, 16, 16)
    assert ssim(checkers, 1 - checkers).item() < -0.9


@pytest.mark.parametrize(
    ("size", "sigma", "window"), [((10, 32), 1.5, 11), ((32, 10), 1.5, 11), ((6, 6), 1.0, 9), ((10, 20), 3, 23)]
)
def test_ssim_of_images_smaller_than_the_window(size: tuple[int, int], sigma: float, window: int) -> None:
    maps = noise(1, 1, *size)
    with pytest.raises(ValueError, match=f"maps are {size[0]} x {size[1]} pixels, smaller .* {window} x {window} .*"):
        ssim(maps, maps, sigma=sigma)


def test_ssim_of_images_as_large_as_the_window() -> None:
    assert ssim(noise(1, 1, 11, 11), noise(1, 1, 11, 11)).item() == 1


@pytest.mark.parametrize("percentile", [0, -1, 100.5, math.nan])
def test_ssim_with_a_wrong_percentile(percentile: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"percentile={percentile} is not in (0, 100]")):
        ssim(noise(1, 1, 12, 12), noise(1, 1, 12, 12), percentile=percentile)


@pytest.mark.parametrize("sigma", [0, -1.5, math.nan, math.inf])
def test_ssim_with_a_wrong_sigma(sigma: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"sigma must be finite and above 0, but {float(sigma)} was passed")):
        ssim(noise(1, 1, 12, 12), noise(1, 1, 12, 12), sigma=sigma)


# Top k


def test_top_k_by_hand() -> None:
    a = torch.tensor([[[[9.0, 8, 0], [0, -7, 0], [0, 0, 6]]]])
    b = torch.tensor([[[[0.0, 8, 0], [0, 9, 7], [6, 0, 0]]]])
    assert top_k_intersection(a, b, k=4).item() == 2 / 4
    assert top_k_iou(a, b, k=4).item() == pytest.approx(2 / 6)
    assert top_k_intersection(a, b, k=1).item() == 0
    assert top_k_intersection(a, b, k=9).item() == 1


def test_the_last_tie_is_broken_in_row_major_order() -> None:
    scores = torch.tensor([[5.0, 1, 3], [3, 5, 3], [3, 1, 1]])
    expected = {
        1: [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
        2: [[1, 0, 0], [0, 1, 0], [0, 0, 0]],
        3: [[1, 0, 1], [0, 1, 0], [0, 0, 0]],
        4: [[1, 0, 1], [1, 1, 0], [0, 0, 0]],
        6: [[1, 0, 1], [1, 1, 1], [1, 0, 0]],
        7: [[1, 1, 1], [1, 1, 1], [1, 0, 0]],
    }
    for k, marked in expected.items():
        assert top_pixels(scores.reshape(1, 9), k).reshape(3, 3).int().tolist() == marked, k


@pytest.mark.parametrize("make", [noise, tied, partial(tied, levels=1)])
@pytest.mark.parametrize("k", [1, 7, 35, 199, 200])
def test_top_pixels_are_those_of_a_stable_sort(make: Callable[..., Tensor], k: int) -> None:
    scores = make(6, 200)
    marked = top_pixels(scores, k).numpy()
    order = np.argsort(-scores.numpy(), axis=1, kind="stable")[:, :k]
    assert [set(np.flatnonzero(one)) for one in marked] == [set(one) for one in order]


def test_zeros_of_both_signs_tie() -> None:
    assert top_pixels(torch.tensor([[-0.0, 0.0, 0.0, -0.0, 1.0]]), 3).int().tolist() == [[1, 1, 0, 0, 1]]


@pytest.mark.parametrize("make", [noise, tied])
@pytest.mark.parametrize("k", [0.1, 0.25, 17])
def test_top_k_against_sets(make: Callable[..., Tensor], k: float) -> None:
    a, b = make(6, 3, 11, 9), make(6, 3, 11, 9, seed=1)
    count = k if isinstance(k, int) else round(k * 99)
    tops = [
        [set(np.argsort(-np.abs(one).sum(0).ravel(), kind="stable")[:count]) for one in maps.double().numpy()]
        for maps in (a, b)
    ]
    pairs = list(zip(*tops, strict=True))
    assert top_k_intersection(a, b, k).tolist() == [len(one & other) / count for one, other in pairs]
    assert top_k_iou(a, b, k).tolist() == pytest.approx([len(one & other) / len(one | other) for one, other in pairs])


def test_a_share_is_a_tenth_by_default_rounded_and_at_least_one_pixel() -> None:
    one, other = noise(3, 1, 20, 20), noise(3, 1, 20, 20, seed=1)
    assert torch.equal(top_k_intersection(one, other), top_k_intersection(one, other, 40))
    assert torch.equal(top_k_iou(one, other), top_k_iou(one, other, 40))
    a, b = row(5, 4, 3, 2, 1), row(5, 3, 4, 1, 2)
    assert torch.equal(top_k_intersection(a, b, 0.01), top_k_intersection(a, b, 1))
    assert torch.equal(top_k_intersection(a, b, 0.35), top_k_intersection(a, b, 2))
    assert top_k_intersection(a, b, 2).item() == 0.5
    assert torch.equal(top_k_intersection(a, b, 0.65), top_k_intersection(a, b, 3))
    assert torch.equal(top_k_intersection(a, b, np.float32(0.4)), top_k_intersection(a, b, np.int64(2)))


@pytest.mark.parametrize("metric", WITHIN_0_AND_1)
def test_top_k_of_maps_that_share_no_pixel(metric: Metric) -> None:
    assert metric(row(1, 1, 0, 0), row(0, 0, 1, 1), 2).item() == 0


@pytest.mark.parametrize("metric", WITHIN_0_AND_1)
def test_a_wrong_k(metric: Metric) -> None:
    maps = noise(1, 1, 3, 4)
    for k, bound in ((0, "least 1"), (-1, "least 1"), (13, "most 12"), (10**30, "most 12")):
        with pytest.raises(ValueError, match=f"^k as a number of pixels must be at {bound}, but {k} was passed"):
            metric(maps, maps, k)
    for share in (0.0, 1.0, -0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=re.escape(f"k={share} is no share of the pixels in (0, 1)")):
            metric(maps, maps, share)
    for other in (True, "0.1", None):
        with pytest.raises(TypeError, match=re.escape(f"k as a number of pixels must be an integer, but {other!r} (")):
            metric(maps, maps, other)


def test_independent_maps_share_the_share_on_average() -> None:
    a, b = noise(400, 1, 20, 20), noise(400, 1, 20, 20, seed=1)
    mean = top_k_intersection(a, b, 0.1).mean().item()
    # 40 of 400 pixels, 40 drawn: the hypergeometric standard deviation of the share is .045, of the mean .0022.
    assert mean == pytest.approx(0.1, abs=0.009)


# Cosine and ranks


def test_cosine_by_hand() -> None:
    a = torch.tensor([[[[3.0, 4.0]]], [[[1.0, 0.0]]], [[[1.0, 1.0]]], [[[0.0, 0.0]]]])
    b = torch.tensor([[[[4.0, 3.0]]], [[[0.0, 5.0]]], [[[-2.0, -2.0]]], [[[1.0, 2.0]]]])
    torch.testing.assert_close(cosine_similarity(a, b), torch.tensor([24 / 25, 0, -1, 0]).double())


def test_cosine_is_that_of_scipy_over_all_elements() -> None:
    a, b = noise(5, 3, 6, 7), noise(5, 3, 6, 7, seed=1)
    expected = [1 - cosine(one.ravel(), other.ravel()) for one, other in zip(a.double(), b.double(), strict=True)]
    torch.testing.assert_close(cosine_similarity(a, b), torch.tensor(expected), rtol=0, atol=1e-12)
    torch.testing.assert_close(cosine_similarity(-a, b), -cosine_similarity(a, b), rtol=0, atol=0)


def test_cosine_does_not_leave_its_range_by_rounding() -> None:
    maps = torch.randn(200, 3, 6, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for factor in (3, -3):
        value = cosine_similarity(maps, factor * maps)
        torch.testing.assert_close(value, torch.full_like(value, math.copysign(1, factor)), rtol=0, atol=1e-15)
        assert (value.abs() <= 1).all()


def test_cosine_of_maps_of_one_sign_is_not_negative() -> None:
    assert (cosine_similarity(noise(9, 1, 4, 4).abs(), noise(9, 1, 4, 4, seed=1).abs()) > 0).all()


def test_rank_correlation_by_hand_with_ties() -> None:
    # Ranks 1.5 1.5 3 4 and 1 2.5 2.5 4, less 2.5: products 1.5, 0, 0, 2.25; squares 4.5 and 4.5.
    assert rank_correlation(row(0, 0, -2, 7), row(1, 3, -3, 5)).item() == 3.75 / 4.5
    assert rank_correlation(row(1, 2, 3), row(3, 2, 1)).item() == -1
    assert rank_correlation(row(1, 2, 3), row(1, 1, 1)).item() == 0


@pytest.mark.parametrize("make", [noise, tied, partial(tied, levels=1)])
def test_rank_correlation_is_that_of_scipy(make: Callable[..., Tensor]) -> None:
    a, b = make(6, 3, 16, 15), make(6, 3, 16, 15, seed=1)
    expected = [
        spearmanr(np.abs(one).sum(0).ravel(), np.abs(other).sum(0).ravel()).statistic
        for one, other in zip(a.double().numpy(), b.double().numpy(), strict=True)
    ]
    torch.testing.assert_close(rank_correlation(a, b), torch.tensor(expected), rtol=0, atol=1e-12)


def test_rank_correlation_of_many_ties_in_a_large_map_does_not_overflow() -> None:
    a, b = tied(1, 1, 224, 224, levels=1), tied(1, 1, 224, 224, seed=1, levels=1)
    expected = spearmanr(a.abs().ravel().numpy(), b.abs().ravel().numpy()).statistic
    assert rank_correlation(a, b).item() == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(a, 4 - a.abs()).item() == -1
