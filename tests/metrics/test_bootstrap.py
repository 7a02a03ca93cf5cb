"""Bootstrap intervals of means: coverage, theory, edge cases."""

import math

import numpy as np
import pytest
import torch

from captum_superpixel.metrics.bootstrap import bootstrap_mean


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_covers_the_mean_of_a_normal_distribution() -> None:
    """The percentile interval of 40 images is known to cover a little less than it says."""
    samples = torch.randn(400, 40, generator=seeded(0), dtype=torch.float64) + 3
    intervals = [bootstrap_mean(row, n_resamples=400, generator=seeded(n))[1] for n, row in enumerate(samples)]
    assert 0.90 < np.mean([low < 3 < high for low, high in intervals]) < 0.98


def test_is_as_wide_as_theory_says() -> None:
    values = torch.randn(1000, generator=seeded(1), dtype=torch.float64)
    mean, (low, high) = bootstrap_mean(values, n_resamples=20_000)
    error = values.std(correction=0).item() / 1000**0.5
    assert mean == pytest.approx(values.mean().item())
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.002)


def test_takes_any_range_and_the_generator() -> None:
    values = torch.arange(50) * -7
    assert bootstrap_mean(values)[0] == pytest.approx(-171.5)
    assert bootstrap_mean(values) == bootstrap_mean(values, generator=seeded(0))
    assert bootstrap_mean(values) != bootstrap_mean(values, generator=seeded(1))


def test_of_edge_cases() -> None:
    assert bootstrap_mean(torch.full((7,), 0.25)) == (0.25, (0.25, 0.25))
    mean, interval = bootstrap_mean(torch.tensor([4.0]))
    assert mean == 4
    assert all(map(math.isnan, interval))
    with pytest.raises(ValueError, match=r"values of image 2 are NaN"):
        bootstrap_mean(torch.tensor([0.0, 1.0, torch.nan]))
