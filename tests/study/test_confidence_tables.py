"""The section of a report on how sure regions are: its sentences, its rows, and what is left out with two networks."""

import math
from typing import Any

import pytest

from captum_superpixel.study.confidence_tables import confidence_tables
from captum_superpixel.study.predictors import ALL, DRAWN, FURTHER, OWN_RANK, OWN_TOP


def figure(value: float, networks: float = 0.5) -> dict[str, Any]:
    return {"value": value, "ci95": [value - 0.1, value + 0.1], "ci95_networks": [value - networks, value + networks]}


def record(predictor: str, auroc: float, *, k: int = 3, skill: float | None = None, **changes: Any) -> dict[str, Any]:
    probable = {"brier_skill": skill and figure(skill), "calibration_error": skill and figure(skill / 10)}
    place = {"method": "Saliency", "regions": "Slic(30)", "sign": "magnitude", "k": k, "which": OWN_TOP}
    return {**place, "predictor": predictor, "n": 36, "base_rate": 0.4, "auroc": figure(auroc), **probable, **changes}


@pytest.fixture
def found() -> dict[str, Any]:
    records = [
        record(DRAWN["joint"], 0.75, skill=0.2),
        record(DRAWN["joint"], 0.8, skill=0.3, regions="ensemble"),
        record(DRAWN["joint"], 0.95, skill=0.9, sign="signed"),
        record(DRAWN["noise"], 0.6, skill=-0.1),
        record(OWN_RANK, 0.55),
        record(FURTHER, 0.7, skill=0.1),
        record(DRAWN["joint"], 0.85, skill=0.4, which=ALL, base_rate=0.1, n=1200),
    ]
    coverage = [
        {"method": "Saliency", "regions": "Slic(30)", "sign": "magnitude", "predictor": DRAWN[kind], "n": 9}
        for kind in ("joint", "errors")
    ]
    coverage[0]["held"], coverage[1]["held"] = figure(0.94), figure(0.6)
    return {
        "images": 12,
        "networks": 3,
        "draws": 12,
        "keep": 0.85,
        "strengths": [0.1, 0.104, 0.2],
        "records": records,
        "coverage": coverage,
        "mean_maps": [],
        "top_regions": [],
    }


def test_what_was_found_in_sentences(found: dict[str, Any]) -> None:
    text = "\n".join(confidence_tables(found, ["![seen](reliability.png)", ""]))
    for told in (
        "Each of three networks was in turn a user's own: 12 draws",
        "maps of the same twelve images show",
        "keep 85% of a network's predictions are 0.100, 0.104 and 0.200",
        # Of magnitudes alone.
        "Of the own top 3 by magnitudes, AUROC 0.750 to 0.800 (own rank 0.550, one more network 0.700, input noise "
        "alone 0.600); Brier skill 0.200 to 0.300; calibration error 0.020 to 0.030.",
        "Intervals that say 95 % held 0.940 of the other networks' scores.",
        "For signed scores `region_table` gives no probability",
        "![seen](reliability.png)",
    ):
        assert told in text, told


def test_rows(found: dict[str, Any]) -> None:
    text = "\n".join(confidence_tables(found))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| Sal")]
    assert rows[0] == [
        *("Saliency", "Slic(30)", "3", "36", "0.400", "0.750 [0.650, 0.850] [0.250, 1.250]"),
        *("0.200 [0.100, 0.300] [−0.300, 0.700]", "0.020 [−0.080, 0.120] [−0.480, 0.520]"),
    ]
    assert [row[0] for row in rows[:3]] == ["Saliency", "Saliency", "Saliency, signed"]
    assert rows[3][3:5] == ["1200", "0.100"]
    asked = [row[2] for row in rows if len(row) == 6]
    # Of the first segmentation; the ensemble's are in report.json.
    assert asked == [f"**{DRAWN['joint']}**"] * 2 + [DRAWN["noise"], OWN_RANK, FURTHER]
    rank = next(row for row in rows if OWN_RANK in row)
    assert rank[-2:] == ["–", "–"]
    assert rows[-1] == ["Saliency", "Slic(30)", DRAWN["errors"], "0.600 [0.500, 0.700] [0.100, 1.100]"]
    assert "### The mean map" not in text


def test_two_networks_have_no_interval_over_networks(found: dict[str, Any]) -> None:
    found["networks"] = 2
    for each in found["records"]:
        each["auroc"]["ci95_networks"] = [math.nan, math.nan]
    text = "\n".join(confidence_tables(found))
    assert "With two networks there is no interval over networks, and no further network" in text
    assert "| 0.750 [0.650, 0.850] " in text
    assert "0.750 [0.650, 0.850] [" not in text


def test_mean_maps_are_shown_where_they_were_measured(found: dict[str, Any]) -> None:
    names = (
        "ssim",
        "ssim_excess",
        "top_k_iou",
        "top_k_iou_excess",
        "insertion",
        "deletion",
        "insertion_minus_deletion",
    )
    one = {name: {"value": 0.5, "ci95": [0.4, 0.6]} for name in names}
    found["mean_maps"] = [{"method": "Saliency", "map": "joint", "smoothing": "blur", "n": 2, **one}]
    found["top_regions"] = [
        {"method": "Saliency", "map": "own", "regions": "Slic(30)", "k": 3, "n": 2, "iou": one["ssim"]}
    ]
    text = "\n".join(confidence_tables(found))
    assert "beside means of as many maps (two images)" in text
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| Sal")]
    assert rows[-2] == ["Saliency", "mean of 12 draws", "blur", *["0.500 [0.400, 0.600]"] * 5]
    assert rows[-1] == ["Saliency", "the map itself", "Slic(30)", "3", "0.500 [0.400, 0.600]"]


def test_nothing_is_said_where_nothing_was_asked() -> None:
    assert confidence_tables(None) == []
