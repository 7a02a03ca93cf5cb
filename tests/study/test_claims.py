"""Claims: Holm's method against its definition and SciPy, and verdicts against sums by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from captum_superpixel.study.claims import ALPHA, holm, verdicts
from captum_superpixel.study.measurement import Key, Measurement
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.protocol import Claim
from captum_superpixel.study.results import Record, Resamples
from captum_superpixel.study.rows import Row

PIXELS, SLIC, CELLS = (Row(name, "signed") for name in ("pixels", "Slic", "cells"))
BEST = Row("ensemble", "evidence", 8)
FIDELITY = sum(metric.claimed and metric.family == "fidelity" for metric in METRICS.values())


def of(row: Row, metric: str = "ssim", kind: str = "value", method: str = "Saliency") -> Key:
    return Key(method, row.grouping, row.sign, metric, kind, row.views)


def normal(count: int, mean: float, std: float, seed: int) -> Tensor:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return mean + std * (values - values.mean()) / values.std()


def judged(values: dict[Key, Tensor], *claims: Claim) -> list[Record]:
    return verdicts(Resamples(Measurement(values), 0), claims)


def step_down(p_values: list[float], alpha: float) -> list[bool]:
    """Holm's procedure as he states it: the smallest against alpha / m, and so on, until the first that fails."""
    decided = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        if p_values[place] > alpha / (len(p_values) - rank):
            break
        decided[place] = True
    return decided


def test_the_example_of_holm_by_hand() -> None:
    """.01 * 4, then .02 * 3, then .022 * 2 = .044, which may not fall below the .06 before it, then .5."""
    corrected = holm([0.02, 0.5, 0.01, 0.022])
    assert corrected.adjusted.tolist() == pytest.approx([0.06, 0.5, 0.04, 0.06])
    # .02 is above .05 / 3, so what follows keeps that level, .022 < .05 / 2 included.
    assert corrected.levels.tolist() == pytest.approx([0.05 / 3, 0.05 / 3, 0.05 / 4, 0.05 / 3])


@pytest.mark.parametrize("seed", range(20))
def test_decisions_are_those_of_the_step_down(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_values = (rng.random(15) ** 6).tolist()
    corrected = holm(p_values, 0.1)
    decided = step_down(p_values, 0.1)
    assert (corrected.adjusted <= 0.1).tolist() == decided
    assert [p <= level for p, level in zip(p_values, corrected.levels, strict=True)] == decided


def test_of_many_true_nulls_hardly_any_family_decides_anything() -> None:
    """At most alpha of the families, where uncorrected tests would decide something in 1 - .95 ** 20 = 64 % of them."""
    rng = np.random.default_rng(0)
    families = rng.random((2000, 20))
    false = [bool((holm(family).adjusted <= 0.05).any()) for family in families]
    assert 0.03 < np.mean(false) < 0.06
    assert (families < 0.05).any(axis=1).mean() > 0.6


def test_a_test_that_could_not_be_made_counts_in_the_number() -> None:
    corrected = holm([0.02, math.nan, math.nan])
    assert corrected.adjusted.tolist() == pytest.approx([0.06, 1, 1])
    assert holm([0.02]).adjusted.tolist() == [0.02]


def test_verdicts_by_hand() -> None:
    """z is the difference over the deviation of its resamples, which is close to s / sqrt(n)."""
    base, noise = normal(400, 0.5, 0.1, seed=4), normal(400, 0.0, 0.2, seed=5)
    values = {of(PIXELS): base, of(CELLS): base + 0.05 + noise / 5, of(SLIC): base + 0.026 + noise}
    (pixels, cells) = judged(values, Claim(SLIC, PIXELS, "raw"), Claim(SLIC, CELLS, "raw"))
    assert pixels["difference"] == pytest.approx(0.026)
    assert pixels["p"] == pytest.approx(2 * norm.sf(0.026 / 0.01), rel=0.35)
    assert cells["difference"] == pytest.approx(-0.024)
    assert cells["p"] == pytest.approx(2 * norm.sf(0.024 / 0.008), rel=0.35)
    assert cells["p"] < pixels["p"]
    assert (pixels["verdict"], cells["verdict"]) == ("yes", "no")
    # The smaller of two p-values is doubled, the other stays.
    assert cells["p_holm"] == pytest.approx(2 * cells["p"])
    assert pixels["p_holm"] == pytest.approx(max(pixels["p"], 2 * cells["p"]))
    reach = norm.isf(0.05 / 2 / 2) * 0.008
    assert cells["ci95_holm"] == pytest.approx([-0.024 - reach, -0.024 + reach], abs=0.002)
    assert cells["ci95"] == pytest.approx([-0.024 - 1.96 * 0.008, -0.024 + 1.96 * 0.008], abs=0.002)
    assert json.loads(json.dumps([pixels, cells])) == [pixels, cells]


def test_the_number_of_claims_decides_what_one_alone_would() -> None:
    """A difference of 2.2 standard deviations is decided alone, and not among five that say nothing."""
    base, noise = normal(400, 0.5, 0.1, seed=4), normal(400, 0.0, 0.2, seed=5)
    values = {of(PIXELS): base, of(SLIC): base + 0.022 + noise}
    others = [Row(f"cells {place}", "signed") for place in range(5)]
    values |= {of(row): base + 0.022 + noise + normal(400, 0, 0.1, seed=6) for row in others}
    claim = Claim(SLIC, PIXELS, "raw")
    (alone,) = judged(values, claim)
    among = judged(values, claim, *(Claim(SLIC, row, "raw") for row in others))
    assert (alone["verdict"], among[0]["verdict"]) == ("yes", "undecided")
    assert alone["p"] == alone["p_holm"] == among[0]["p"]
    assert among[0]["p_holm"] == pytest.approx(6 * alone["p"])
    assert alone["ci95_holm"][0] > 0 > among[0]["ci95_holm"][0]


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_excludes_0_exactly_where_the_claim_is_decided(seed: int) -> None:
    base = normal(50, 0.5, 0.1, seed=seed)
    rivals = [Row(f"cells {place}", "signed") for place in range(12)]
    values = {of(SLIC): base}
    for place, row in enumerate(rivals):
        values[of(row)] = base + normal(50, 0.01 * (place - 6), 0.06, seed=100 * seed + place)
    found = judged(values, *(Claim(SLIC, row, "raw") for row in rivals))
    for record in found:
        low, high = record["ci95_holm"]
        assert record["verdict"] == ("yes" if low > 0 else "no" if high < 0 else "undecided")
        assert low < record["difference"] < high
    assert {record["verdict"] for record in found} == {"yes", "no", "undecided"}


def test_what_of_the_metrics_is_claimed() -> None:
    """Similarities raw or in excess of the random network, fidelity by its values, and each as often as once."""
    two = torch.tensor([0.25, 0.75])
    values = {
        of(row, metric, kind): two
        for row in (BEST, PIXELS)
        for metric, described in METRICS.items()
        for kind in (("value", "permutation", "random_network") if described.has_nulls else ("value",))
    }
    claims = [Claim(BEST, PIXELS, what) for what in ("raw", "corrected", "fidelity", "raw")]
    found = [(record["metric"], record["quantity"]) for record in judged(values, *claims)]
    claimed = {name: metric for name, metric in METRICS.items() if metric.claimed}
    similarities = [name for name, metric in claimed.items() if metric.has_nulls]
    assert {"ssim", "top_k_iou"} <= set(similarities)
    assert found == [
        *((name, "value") for name in similarities),
        *((name, "excess over random_network") for name in similarities),
        *((name, "value") for name, metric in claimed.items() if metric.family == "fidelity"),
    ]
    texts = [record["claim"] for record in judged(values, *claims)]
    assert texts[0] == "raw SSIM: ensemble (evidence, 8 views) above pixels (signed)"
    assert "chance-corrected SSIM: ensemble (evidence, 8 views) above pixels (signed)" in texts
    assert "insertion minus deletion: ensemble (evidence, 8 views) above pixels (signed)" in texts


def test_claims_over_the_random_network_are_about_the_excess() -> None:
    """Raw similarity rises, what is left over the null falls: the verdict is on the latter."""
    base = normal(50, 0.4, 0.05, seed=6)
    values = {of(PIXELS): base, of(BEST): base + 0.3}
    values |= {of(PIXELS, kind="random_network"): 0 * base + 0.2, of(BEST, kind="random_network"): 0 * base + 0.68}
    raw, corrected = judged(values, Claim(BEST, PIXELS, "raw"), Claim(BEST, PIXELS, "corrected"))
    assert (raw["verdict"], corrected["verdict"]) == ("yes", "no")
    assert corrected["difference"] == pytest.approx((0.7 - 0.68) / 0.32 - (0.4 - 0.2) / 0.8)


def test_a_claim_may_be_about_some_methods() -> None:
    base = normal(20, 0.5, 0.1, seed=8)
    gains = {"Saliency": 0.1, "SmoothGrad": -0.1}
    values = {}
    for method, gain in gains.items():
        values |= {of(PIXELS, method=method): base, of(SLIC, method=method): base + gain}
    found = judged(values, Claim(SLIC, PIXELS, "raw"))
    assert {record["method"]: record["verdict"] for record in found} == {"Saliency": "yes", "SmoothGrad": "no"}
    (one,) = judged(values, Claim(SLIC, PIXELS, "raw", methods=("SmoothGrad",)))
    assert one["method"] == "SmoothGrad"


@pytest.mark.parametrize(
    ("pixels", "slic", "null"),
    [
        (torch.tensor([0.1]), torch.tensor([0.9]), None),  # one image
        (torch.tensor([0.1, 0.2]), torch.tensor([0.9, 0.8]), torch.tensor([0.95, 0.95])),  # a null near 1
    ],
)
def test_no_figure_no_verdict(pixels: Tensor, slic: Tensor, null: Tensor | None) -> None:
    values = {of(PIXELS): pixels, of(SLIC): slic}
    if null is not None:
        values |= {of(row, kind="random_network"): null for row in (PIXELS, SLIC)}
    (record,) = judged(values, Claim(SLIC, PIXELS, "raw" if null is None else "corrected"))
    assert record["verdict"] == "undecided"
    assert np.isnan([record["p"], record["p_holm"], *record["ci95_holm"]]).all()


def test_equal_values_and_rounding_decide_nothing() -> None:
    base = normal(20, 0.5, 0.1, seed=9)
    for gain in (0.0, 1e-15):
        (record,) = judged({of(PIXELS): base, of(SLIC): base + gain}, Claim(SLIC, PIXELS, "raw"))
        assert (record["p"], record["verdict"]) == (1, "undecided")
    constant = torch.full((20,), 0.5, dtype=torch.float64)
    (record,) = judged({of(PIXELS): constant, of(SLIC): constant + 1e-13}, Claim(SLIC, PIXELS, "raw"))
    low, high = record["ci95_holm"]
    assert low <= 0 <= high  # as always where nothing is decided
    (record,) = judged({of(PIXELS): base, of(SLIC): base + 0.25}, Claim(SLIC, PIXELS, "raw"))
    assert record["p"] < 1e-9
    assert record["verdict"] == "yes"


def test_nothing_was_measured() -> None:
    assert judged({}, Claim(SLIC, PIXELS, "raw")) == []
    assert judged({of(SLIC): torch.tensor([0.1, 0.2])}, Claim(SLIC, PIXELS, "raw")) == []


def test_all_claims_of_a_study_are_one_family(result: dict[str, Any]) -> None:
    assert ALPHA == 0.05
    decided = [record["p_holm"] <= 0.05 for record in result["verdicts"]]
    assert decided == [record["verdict"] != "undecided" for record in result["verdicts"]]
    assert len(decided) == 2 * (4 * 2 + 2 * 2 + 5 * 2 + 7 * FIDELITY)
