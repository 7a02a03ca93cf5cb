"""Records, comparisons and verdicts, held against sums by hand."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel.study.measuring import Key, Measurement
from captum_superpixel.study.results import COMPARED, comparisons, records, verdicts


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
    (record,) = records(Measurement(values, n_images=3), seed=0)
    assert {name: record[name] for name in ("method", "grouping", "sign", "metric", "family", "n")} == {
        "method": "Saliency",
        "grouping": "pixels",
        "sign": "signed",
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


def test_which_values_become_records() -> None:
    two = torch.tensor([0.25, 0.75])
    values = {
        of("pixels"): two,
        of("pixels", kind="permutation"): two,
        of("pixels", "across_model_variance"): two,
        of("pixels", "summed_variance"): two,
        of("pixels", "road"): two[:1],
        of("pixels", "pointing_game"): two,
    }
    found = records(Measurement(values), seed=0)
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
    (record,) = records(Measurement({of("pixels", "road"): values}), seed=0)
    assert record["value"] == pytest.approx(0.5)
    assert record["ci95"] == pytest.approx([0.5 - 1.96 * 0.01, 0.5 + 1.96 * 0.01], abs=0.002)


def test_the_seed_decides_the_intervals() -> None:
    values = {of("pixels"): normal(30, 0.5, 0.2, 1), of("pixels", kind="permutation"): normal(30, 0.1, 0.1, 2)}
    first, again, other = (records(Measurement(values), seed)[0] for seed in (0, 0, 1))
    assert first == again
    assert first["ci95"] != other["ci95"]
    assert first["value"] == other["value"]


def test_a_variance_without_a_mean_map_is_left_out() -> None:
    """A map of zeros from all networks has no relative variance: the other images still have."""
    values = torch.tensor([1.0, float("nan"), 3.0, float("inf")])
    (record,) = records(Measurement({of("pixels", "across_model_variance"): values}), seed=0)
    assert (record["value"], record["n"]) == (2.0, 2)
    nothing = torch.full((2,), float("nan"))
    (record,) = records(Measurement({of("pixels", "across_model_variance"): nothing}), seed=0)
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
    found = comparisons(Measurement(values), seed=0)
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


def test_candidates_are_compared_with_every_control() -> None:
    names = ("pixels", "cells", "cell ensemble", "Slic", "Felzenszwalb", "ensemble", "blur", "Slic 16")
    two = torch.tensor([0.25, 0.75])
    values = {of(name, metric): two for name in names for metric in (*COMPARED, "deletion_auc")}
    found = comparisons(Measurement(values), seed=0)
    pairs = {(record["grouping"], record["against"]) for record in found}
    controls = {"pixels", "cells", "cell ensemble", "blur"}
    others = {("Slic", "Felzenszwalb"), ("Felzenszwalb", "Slic"), ("ensemble", "Slic"), ("ensemble", "Felzenszwalb")}
    assert pairs == others | {(name, each) for name in ("Slic", "Felzenszwalb", "ensemble") for each in controls}
    assert {record["metric"] for record in found} == set(COMPARED)
    assert len(found) == len(pairs) * len(COMPARED)


def test_an_excess_needs_both_nulls() -> None:
    two = torch.tensor([0.25, 0.75])
    values = {of("pixels"): two, of("Slic"): two, of("Slic", kind="random_network"): two}
    assert [record["quantity"] for record in comparisons(Measurement(values), seed=0)] == ["value"]


def test_verdicts_follow_the_intervals() -> None:
    base = normal(50, 0.5, 0.1, seed=4)
    noise = normal(50, 0.0, 0.1, seed=5)
    values = {of("pixels"): base, of("cells"): base + 0.1, of("Slic"): base + 0.05 + noise / 5}
    values |= {of("pixels", "top_k_iou"): base, of("Slic", "top_k_iou"): base + noise}
    found = verdicts(comparisons(Measurement(values), seed=0))
    assert {record["claim"]: record["methods"]["Saliency"]["verdict"] for record in found} == {
        "raw SSIM: signed Slic above pixels": "yes",
        "raw SSIM: signed Slic above cells": "no",
        "raw top-10 % IoU: signed Slic above pixels": "undecided",
    }
    assert found[0]["methods"]["Saliency"]["difference"] == pytest.approx(0.05)
    low, high = found[0]["methods"]["Saliency"]["ci95"]
    assert 0 < low < 0.05 < high < 0.07


def test_the_claims_over_the_random_network_are_about_the_excess() -> None:
    """Raw similarity rises, what is left over the null falls: the verdict is on the latter."""
    base = normal(50, 0.4, 0.05, seed=6)
    values: dict[Key, Tensor] = {}
    for sign in ("signed", "magnitude"):
        values |= {of("pixels", sign=sign): base, of("ensemble", sign=sign): base + 0.3}
        values |= {of("pixels", kind="random_network", sign=sign): 0 * base + 0.2}
        values |= {of("ensemble", kind="random_network", sign=sign): 0 * base + 0.68}
    found = verdicts(comparisons(Measurement(values), seed=0))
    assert [record["claim"] for record in found] == [
        f"SSIM over the random network: {sign} ensemble above pixels" for sign in ("signed", "magnitude")
    ]
    for record in found:
        verdict = record["methods"]["Saliency"]
        assert verdict["verdict"] == "no"
        assert verdict["difference"] == pytest.approx((0.7 - 0.68) / 0.32 - (0.4 - 0.2) / 0.8)


def test_insertion_minus_deletion_is_claimed_for_both_signs() -> None:
    base = normal(50, 0.1, 0.05, seed=7)
    metric = "insertion_minus_deletion"
    values = {of(name, metric, sign=sign): base for name in ("ensemble", "blur") for sign in ("signed", "magnitude")}
    values[of("ensemble", metric, sign="magnitude")] = base + 0.1
    found = {record["claim"]: record["methods"] for record in verdicts(comparisons(Measurement(values), seed=0))}
    assert found["insertion minus deletion: magnitude ensemble above blur"]["Saliency"]["verdict"] == "yes"
    tied = found["insertion minus deletion: signed ensemble above blur"]["Saliency"]
    assert (tied["difference"], tied["ci95"], tied["verdict"]) == (0, [0, 0], "undecided")


def test_one_image_decides_nothing() -> None:
    values = {of("pixels"): torch.tensor([0.1]), of("Slic"): torch.tensor([0.9])}
    (record,) = verdicts(comparisons(Measurement(values), seed=0))
    assert record["methods"]["Saliency"]["verdict"] == "undecided"


def test_nothing_was_measured() -> None:
    assert records(Measurement(), 0) == comparisons(Measurement(), 0) == verdicts([]) == []


def test_every_method_has_its_verdict() -> None:
    base = normal(20, 0.5, 0.1, seed=8)
    values: dict[Key, Tensor] = {}
    for method, gain in (("Saliency", 0.1), ("SmoothGrad", -0.1)):
        values |= {of("pixels")._replace(method=method): base, of("Slic")._replace(method=method): base + gain}
    (record,) = verdicts(comparisons(Measurement(values), seed=0))
    assert {method: found["verdict"] for method, found in record["methods"].items()} == {
        "Saliency": "yes",
        "SmoothGrad": "no",
    }
    assert only(records(Measurement(values), 0), method="SmoothGrad", grouping="Slic")["value"] == pytest.approx(0.4)
