"""Records, comparisons and verdicts, held against sums by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel.study.measurement import Key, Measurement
from captum_superpixel.study.results import Record, Resamples, comparisons, records, verdict_of
from captum_superpixel.study.rows import Row

ROWS = [Row(name, "signed") for name in ("pixels", "cells", "Slic", "ensemble")]
PAIR = (Row("Slic", "signed"), Row("pixels", "signed"))


def recorded(values: dict[Key, Tensor], seed: int = 0) -> list[Record]:
    return records(Resamples(Measurement(values), seed), ROWS)


def compared(values: dict[Key, Tensor], *pairs: tuple[Row, Row]) -> list[Record]:
    return comparisons(Resamples(Measurement(values), 0), pairs or [PAIR])


def of(grouping: str, metric: str = "ssim", kind: str = "value", sign: str = "signed") -> Key:
    return Key("Saliency", grouping, sign, metric, kind)


def only(found: list[dict[str, Any]], **wanted: object) -> dict[str, Any]:
    (record,) = [each for each in found if all(each[name] == value for name, value in wanted.items())]
    return record


def normal(count: int, mean: float, std: float, seed: int) -> Tensor:
    values = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return mean + std * (values - values.mean()) / values.std()


def test_a_record_by_hand() -> None:
    values = {
        of("pixels"): torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64),
        of("pixels", kind="permutation"): torch.tensor([0.1, 0.1, 0.4], dtype=torch.float64),
        of("pixels", kind="random_network"): torch.tensor([0.5, 0.6, 0.4], dtype=torch.float64),
    }
    (record,) = recorded(values)
    assert {name: record[name] for name in ("method", "grouping", "sign", "views", "metric", "family", "n")} == {
        "method": "Saliency",
        "grouping": "pixels",
        "sign": "signed",
        "views": 1,
        "metric": "ssim",
        "family": "stability",
        "n": 3,
    }
    assert "kind" not in record
    assert record["value"] == pytest.approx(0.4)
    assert record["nulls"] == pytest.approx({"permutation": 0.2, "random_network": 0.5})
    # (value - null) / (1 - null) of the means, not the mean of the images' ratios
    assert record["excess"] == pytest.approx({"permutation": 0.25, "random_network": -0.2})
    for name, low, high in (("permutation", 1 / 9, 1 / 3), ("random_network", -0.6, 1 / 3)):
        assert low - 1e-9 <= record["excess_ci95"][name][0] <= record["excess"][name]
        assert record["excess"][name] <= record["excess_ci95"][name][1] <= high + 1e-9
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize(("null", "reported"), [(0.9, True), (0.901, False), (1.0, False)])
def test_a_null_near_one_has_no_excess(null: float, reported: bool) -> None:
    """Of a null of .98 a similarity of .93 would be an excess of -2.5. The value, the null and the other null stay."""
    base = normal(50, 0.93, 0.01, seed=10)
    values = {of(name): base + gain for name, gain in (("pixels", 0.0), ("Slic", 0.01))}
    values |= {of(name, kind="permutation"): 0 * base + null for name in ("pixels", "Slic")}
    values |= {of(name, kind="random_network"): 0 * base + 0.5 for name in ("pixels", "Slic")}
    record = only(recorded(values), grouping="Slic")
    assert record["nulls"] == pytest.approx({"permutation": null, "random_network": 0.5})
    assert record["excess"]["random_network"] == pytest.approx(0.88)
    difference = only(compared(values), quantity="excess over permutation")
    if reported:
        assert record["excess"]["permutation"] == pytest.approx((0.94 - null) / (1 - null))
        assert difference["difference"] == pytest.approx(0.01 / (1 - null))
    else:
        numbers = [record["excess"]["permutation"], *record["excess_ci95"]["permutation"]]
        assert np.isnan([*numbers, difference["difference"], *difference["ci95"]]).all()
    assert only(compared(values), quantity="value")["difference"] == pytest.approx(0.01)


def test_one_null_near_one_is_enough_for_no_difference() -> None:
    """A difference of two excesses needs both."""
    base = normal(50, 0.93, 0.01, seed=10)
    values = {of("pixels"): base, of("Slic"): base + 0.01}
    values |= {of("pixels", kind="random_network"): 0 * base + 0.2, of("Slic", kind="random_network"): 0 * base + 0.95}
    difference = only(compared(values), quantity="excess over random_network")
    assert np.isnan([difference["difference"], *difference["ci95"]]).all()
    assert verdict_of(difference) == "undecided"


def test_which_values_become_records() -> None:
    two = torch.tensor([0.25, 0.75])
    values = {
        of("pixels"): two,
        of("pixels", kind="permutation"): two,
        of("pixels", "across_model_variance"): two,
        of("pixels", "summed_variance"): two,
        of("Slic 16", "across_model_variance"): two,
        of("pixels", "road"): two[:1],
        of("pixels", "pointing_game"): two,
    }
    found = recorded(values)
    assert [(record["metric"], record["family"], record["n"]) for record in found] == [
        ("ssim", "stability", 2),
        ("across_model_variance", "stability", 2),
        ("road", "fidelity", 1),
        ("pointing_game", "localization", 2),
    ]
    assert set(found[0]["nulls"]) == set(found[0]["excess"]) == set(found[0]["excess_ci95"]) == {"permutation"}
    for record in found[1:]:
        assert not {"nulls", "excess", "excess_ci95"} & set(record)
    assert all(math.isnan(bound) for bound in found[2]["ci95"])  # one image says nothing about others


def test_intervals_are_those_of_a_mean() -> None:
    """Of 400 values a bootstrap is close to mean +- 1.96 s / sqrt(n)."""
    values = normal(400, 0.5, 0.2, seed=1)
    (record,) = recorded({of("pixels", "road"): values})
    assert record["value"] == pytest.approx(0.5)
    assert record["ci95"] == pytest.approx([0.5 - 1.96 * 0.01, 0.5 + 1.96 * 0.01], abs=0.002)


def test_the_seed_decides_the_intervals() -> None:
    values = {of("pixels"): normal(30, 0.5, 0.2, 1), of("pixels", kind="permutation"): normal(30, 0.1, 0.1, 2)}
    first, again, other = (recorded(values, seed)[0] for seed in (0, 0, 1))
    assert first == again
    assert first["ci95"] != other["ci95"]
    assert first["value"] == other["value"]


def test_a_variance_without_a_mean_map_is_left_out() -> None:
    """A map of zeros from all networks has no relative variance: the other images still have."""
    values = torch.tensor([1.0, float("nan"), 3.0, float("inf")])
    (record,) = recorded({of("pixels", "across_model_variance"): values})
    assert (record["value"], record["n"]) == (2.0, 2)
    nothing = torch.full((2,), float("nan"))
    (record,) = recorded({of("pixels", "across_model_variance"): nothing})
    assert record["n"] == 0
    assert np.isnan([record["value"], *record["ci95"]]).all()


def test_comparisons_are_paired_by_image() -> None:
    """Images differ far more than groupings do, but the difference is the same for each."""
    easy = normal(40, 0.5, 0.15, seed=3)
    values = {
        of("pixels"): easy,
        of("Slic"): easy + 0.05,
        of("pixels", kind="permutation"): 0 * easy,
        of("Slic", kind="permutation"): 0 * easy + 0.2,
    }
    found = compared(values)
    assert [(record["quantity"], record["grouping"], record["against"]) for record in found] == [
        ("value", "Slic", "pixels"),
        ("excess over permutation", "Slic", "pixels"),
    ]
    assert found[0]["difference"] == pytest.approx(0.05)
    assert found[0]["ci95"] == pytest.approx([0.05, 0.05])
    assert found[0]["n"] == 40
    # The excess (easy + .05 - .2) / .8 less easy is .25 easy - .1875.
    assert found[1]["difference"] == pytest.approx(0.25 * 0.5 - 0.1875)
    width = 0.25 * 1.96 * 0.15 / math.sqrt(40)
    assert found[1]["ci95"] == pytest.approx([-0.0625 - width, -0.0625 + width], abs=0.003)
    assert json.loads(json.dumps(found)) == found


def test_rows_are_compared_as_asked_for_by_the_metrics_that_are_compared() -> None:
    two = torch.tensor([0.25, 0.75])
    best, old, pixels = Row("ensemble", "evidence", 8), Row("ensemble", "magnitude"), Row("pixels", "magnitude")
    metrics = ("ssim", "top_k_iou", "insertion_minus_deletion", "cosine_similarity", "across_model_variance")
    values = {
        Key("Saliency", row.grouping, row.sign, metric, "value", row.views): two + place
        for metric in metrics
        for place, row in enumerate((best, old, pixels, best._replace(views=1)))
    }
    asked = [(best, old), (best, pixels), (old, pixels), (best, old), (best, Row("blur", "evidence", 8))]
    found = compared(values, *asked)
    names = ("grouping", "sign", "views", "against", "against_sign", "against_views")
    pairs = [tuple(record[name] for name in names) for record in found if record["metric"] == "ssim"]
    assert sorted(pairs) == sorted([(*best, *old), (*best, *pixels), (*old, *pixels)])
    assert {record["metric"] for record in found} == set(metrics[:3])
    assert len(found) == 3 * 3
    assert only(found, metric="ssim", sign="evidence", against="pixels")["difference"] == pytest.approx(-2)


def test_an_excess_needs_both_nulls() -> None:
    two = torch.tensor([0.25, 0.75])
    values = {of("pixels"): two, of("Slic"): two, of("Slic", kind="random_network"): two}
    assert [record["quantity"] for record in compared(values)] == ["value"]


def test_a_row_has_its_sign_and_its_views() -> None:
    two = torch.tensor([0.25, 0.75])
    values = {of("pixels")._replace(views=views): two + views for views in (1, 8)}
    found = records(Resamples(Measurement(values), 0), [Row("pixels", "signed", 8)])
    assert [(record["views"], record["value"]) for record in found] == [(8, 8.5)]


@pytest.mark.parametrize(("metric", "above"), [("ssim", "yes"), ("deletion_auc", "no")])
def test_better_is_above_or_below_as_the_metric_has_it(metric: str, above: str) -> None:
    below = {"yes": "no", "no": "yes"}[above]
    ends = ([0.1, 0.2], [-0.2, -0.1], [-0.1, 0.1], [math.nan, math.nan], [1e-15, 1e-15], [-1e-15, -1e-15])
    found = [verdict_of({"metric": metric, "ci95": each}) for each in ends]
    assert found == [above, below, *["undecided"] * 4]


def test_nothing_was_measured() -> None:
    assert recorded({}) == compared({}) == []


def test_metrics_of_as_many_images_are_resampled_together() -> None:
    """So sums and differences of the resamples are the resamples of the sums and differences."""
    first, second = normal(30, 0.5, 0.1, 1), normal(30, 0.2, 0.3, 2)
    values = {of("a"): first, of("b", "road"): second, of("c"): first - second, of("d", "road"): second[:20]}
    resamples = Resamples(Measurement(values), 3)
    a, b, c, d = (resamples.means(key) for key in values)
    assert torch.allclose(a - b, c)
    assert len(a) == len(d) == 2000
    assert a.std().item() == pytest.approx(0.1 / math.sqrt(30), rel=0.1)
    assert b.mean().item() == pytest.approx(0.2, abs=0.01)
