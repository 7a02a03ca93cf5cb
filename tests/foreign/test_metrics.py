"""Metrics on another device, in float32 where it has no float64."""

from collections.abc import Callable

import pytest
import torch
from foreign_device import Case
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel.masks import Grid

Check = Callable[..., None]

A, B = torch.randn(2, 3, 3, 14, 12, generator=torch.Generator().manual_seed(0))
MODELS = torch.randn(3, 4, 2, 12, 10, generator=torch.Generator().manual_seed(1))
CORRECT = torch.rand(3, 4, generator=torch.Generator().manual_seed(2)) > 0.3
IMAGES = torch.rand(3, 3, 14, 12, generator=torch.Generator().manual_seed(3))
OBJECTS = torch.rand(3, 1, 14, 12, generator=torch.Generator().manual_seed(4)) > 0.6
MASKS = Grid(6)(IMAGES)
VALUES = torch.rand(6, generator=torch.Generator().manual_seed(5))
EVENTS = torch.tensor([0, 1, 1, 0, 1, 0])


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(nn.Flatten(), nn.Linear(504, 5)).eval()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def faithful(metric: Callable[..., object], **options: object) -> Case:
    return lambda on: metric(on(network()), on(IMAGES), on(A), on(torch.tensor([0, 1, 4])), **options)


def compared(metric: Callable[..., object], other: Tensor) -> Case:
    return lambda on: metric(on(A), on(other))


CASES: dict[str, Case] = {
    **{name: compared(metric, B) for name, metric in metrics.SIMILARITIES.items()},
    **{name: compared(metric, OBJECTS) for name, metric in metrics.LOCALIZATION.items()},
    "pointing_game, tolerance": lambda on: metrics.pointing_game(on(A), OBJECTS, tolerance=2),
    "grid_pointing_game": lambda on: metrics.grid_pointing_game(on(A), torch.tensor([0, 3, 1])),
    "another device": lambda on: metrics.ssim(on(A), B),
    "across_model_variance": lambda on: metrics.across_model_variance(on(MODELS)),
    "mege_reco": lambda on: tuple(metrics.mege_reco(on(MODELS), on(CORRECT))),
    "mege_reco, l2": lambda on: tuple(metrics.mege_reco(on(MODELS), CORRECT, distance="l2")),
    "entropy": lambda on: metrics.entropy(on(A)),
    "effective_regions": lambda on: [metrics.effective_regions(on(A), mask) for mask in (None, MASKS, on(MASKS))],
    "insertion_auc": faithful(metrics.insertion_auc, n_steps=5),
    "deletion_auc": faithful(metrics.deletion_auc, n_steps=5, baselines="mean"),
    "insertion_curve, regions": faithful(metrics.insertion_curve, feature_mask=MASKS),
    "deletion_curve, baselines": lambda on: metrics.deletion_curve(
        on(network()), on(IMAGES), on(A), 1, baselines=on(IMAGES.flip(0)), feature_mask=on(MASKS), n_steps=None
    ),
    "road": lambda on: (
        metrics.road(on(network()), on(IMAGES), on(A), 1, fractions=(0.2, 0.6), generator=seeded()).score
    ),
    "noisy_linear_imputation": lambda on: metrics.noisy_linear_imputation(on(IMAGES), on(OBJECTS), generator=seeded()),
    "mu_fidelity": lambda on: metrics.mu_fidelity(
        on(network()), on(IMAGES), on(A), 1, n_subsets=10, generator=seeded()
    ),
    "mu_fidelity, regions": lambda on: metrics.mu_fidelity(
        on(network()), on(IMAGES), on(A), 1, feature_mask=MASKS, n_subsets=10, generator=seeded()
    ),
    "irof": faithful(metrics.irof, feature_mask=MASKS),
    "permute_pixels": lambda on: metrics.permute_pixels(on(A), seeded()),
    "centered_gaussian": lambda on: metrics.centered_gaussian(on(A)),
    "another_image": lambda on: metrics.another_image(on(A)),
    "shuffled": lambda on: metrics.shuffled(on(A), seeded()),
    "excess": lambda on: metrics.excess(on(VALUES), 0.2),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_metrics(case: Case, check: Check, has_float64: bool) -> None:
    check(case, rounding=1e-9 if has_float64 else 2e-5)


ON_THE_HOST: dict[str, Case] = {
    "null_corrected": lambda on: metrics.null_corrected(
        metrics.ssim, on(A), on(B), n_draws=2, generator=seeded(), n_resamples=50
    ),
    "against_null": lambda on: metrics.against_null(on(VALUES), on(VALUES / 2), n_resamples=50, generator=seeded()),
    "bootstrap_mean": lambda on: metrics.bootstrap_mean(on(VALUES), n_resamples=50, generator=seeded()),
    "auroc": lambda on: metrics.auroc(on(VALUES), on(EVENTS)),
    "brier_skill": lambda on: metrics.brier_skill(on(VALUES), on(EVENTS)),
    "expected_calibration_error": lambda on: metrics.expected_calibration_error(on(VALUES), on(EVENTS)),
    "reliability_curve": lambda on: tuple(metrics.reliability_curve(on(VALUES), on(EVENTS))),
    "interval_coverage": lambda on: metrics.interval_coverage(on(VALUES - 0.2), on(VALUES), on(VALUES.flip(0))),
}


@pytest.mark.parametrize("case", ON_THE_HOST.values(), ids=ON_THE_HOST)
def test_metrics_that_end_on_the_host(case: Case, check: Check, has_float64: bool) -> None:
    check(case, host=True, rounding=1e-9 if has_float64 else 2e-5)
