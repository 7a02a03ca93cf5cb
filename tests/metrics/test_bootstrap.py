"""Bootstrap resamples and intervals: SciPy's, coverage, theory, edge cases."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from captum_superpixel.metrics.bootstrap import bootstrap_mean, interval, resampled_means

Draw = Callable[..., Tensor]


def test_resampled_means_are_those_that_scipy_takes_of_the_columns(random: Draw) -> None:
    """One sample (D, N) in SciPy's terms, of which it draws the same N for all D; here in batches of another size."""
    table = random(30, 4)
    seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(9)))
    expected = scipy.stats.bootstrap(
        (table.T.numpy(),),
        np.mean,
        axis=-1,
        n_resamples=200,
        batch=7,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    means = resampled_means(table, 200, torch.Generator().manual_seed(9))
    np.testing.assert_allclose(means.numpy(), expected.bootstrap_distribution.T, rtol=0, atol=1e-14)
    for column, low, high in zip(means.T, *expected.confidence_interval, strict=True):
        assert interval(column) == pytest.approx((low, high))


def test_the_same_images_are_drawn_for_all_columns(random: Draw) -> None:
    values = random(25)
    means = resampled_means(torch.stack([values, values, 3 * values - 2], dim=1), 500)
    assert torch.equal(means[:, 0], means[:, 1])
    torch.testing.assert_close(means[:, 2], 3 * means[:, 0] - 2)
    assert len(means[:, 0].unique()) > 400


@pytest.mark.parametrize("at_once", [1, 64])
def test_resamples_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch, at_once: int, random: Draw) -> None:
    table = random(30, 2)
    whole = resampled_means(table, 101)
    monkeypatch.setattr("captum_superpixel.metrics.bootstrap._DRAWN_AT_ONCE", at_once)
    torch.testing.assert_close(resampled_means(table, 101), whole, rtol=0, atol=1e-14)


def test_each_call_draws_from_the_generator(random: Draw) -> None:
    table, generator = random(12, 1), torch.Generator().manual_seed(0)
    first, second = resampled_means(table, 50, generator), resampled_means(table, 50, generator)
    assert torch.equal(first, resampled_means(table, 50))
    assert not torch.equal(first, second)
    assert resampled_means(table).shape == (2000, 1)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_say_nothing_about_others(count: int) -> None:
    means = resampled_means(torch.ones(count, 3), 5)
    assert means.shape == (5, 3)
    assert means.dtype == torch.float64
    assert means.isnan().all()


def test_an_interval_goes_from_the_2_5th_to_the_97_5th_percentile() -> None:
    assert interval(torch.arange(201.0, dtype=torch.float64)) == (5, 195)
    assert all(map(math.isnan, interval(torch.tensor([0.0, torch.nan]))))


def test_covers_the_mean_of_a_normal_distribution(random: Draw) -> None:
    """The percentile interval of 40 images is known to cover a little less than it says."""
    samples = random(400, 40) + 3
    intervals = [
        bootstrap_mean(row, n_resamples=400, generator=torch.Generator().manual_seed(n))[1]
        for n, row in enumerate(samples)
    ]
    assert 0.90 < np.mean([low < 3 < high for low, high in intervals]) < 0.98


def test_is_as_wide_as_theory_says(random: Draw) -> None:
    values = random(1000, seed=1)
    mean, (low, high) = bootstrap_mean(values, n_resamples=20_000)
    error = values.std(correction=0).item() / 1000**0.5
    assert mean == pytest.approx(values.mean().item())
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.002)


def test_takes_any_range_and_the_generator() -> None:
    values = torch.arange(50) * -7
    assert bootstrap_mean(values)[0] == pytest.approx(-171.5)
    assert bootstrap_mean(values) == bootstrap_mean(values, n_resamples=2000)
    assert bootstrap_mean(values) == bootstrap_mean(values, generator=torch.Generator().manual_seed(0))
    assert bootstrap_mean(values) != bootstrap_mean(values, generator=torch.Generator().manual_seed(1))


def test_of_edge_cases() -> None:
    assert bootstrap_mean(torch.full((7,), 0.25)) == (0.25, (0.25, 0.25))
    mean, of_one = bootstrap_mean(torch.tensor([4.0]))
    assert mean == 4
    assert all(map(math.isnan, of_one))
    with pytest.raises(ValueError, match=r"values of image 2 are NaN"):
        bootstrap_mean(torch.tensor([0.0, 1.0, torch.nan]))


def test_of_wrong_options() -> None:
    table = torch.rand(3, 2)
    with pytest.raises(ValueError, match="n_resamples must be at least 1, but 0 was passed"):
        resampled_means(table, 0)
    with pytest.raises(TypeError, match=r"n_resamples must be an integer, but 2\.5 \(float\) was passed"):
        resampled_means(table, 2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"generator=3 is not a torch\.Generator"):
        resampled_means(table, 5, 3)  # type: ignore[arg-type]
