"""The tables of the report: they hold the numbers of the records, all rows of them, and nothing empty."""

import copy
import math
import re
from typing import Any

import pytest
import torch

from captum_superpixel.study.markdown import to_markdown
from captum_superpixel.study.measuring import Key, Measurement
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.protocol import SIGNS, standard_groupings
from captum_superpixel.study.results import Resamples, comparisons, records, verdicts

STANDARD = standard_groupings(12)
GROUPINGS = [grouping.name for grouping in STANDARD]
METHODS = ("Saliency", "IntegratedGradients")
FAMILIES = ("stability", "fidelity", "localization")
Row = dict[str, str]


@pytest.fixture(scope="module")
def measurement() -> Measurement:
    generator = torch.Generator().manual_seed(0)
    values = {}
    for method in METHODS:
        for grouping in GROUPINGS:
            for sign in SIGNS:
                for metric, described in METRICS.items():
                    for kind in ("value", "permutation", "random_network") if described.has_nulls else ("value",):
                        drawn = torch.rand(12, generator=generator, dtype=torch.float64) - 0.5
                        values[Key(method, grouping, sign, metric, kind)] = drawn
    return Measurement(values, n_images=12)


@pytest.fixture(scope="module")
def made(measurement: Measurement) -> dict[str, Any]:
    resamples = Resamples(measurement, 0)
    compared = comparisons(resamples, STANDARD)
    return {
        "software": {"torch": "2.4.0"},
        "settings": {"fidelity_images": 100, "road_images": 8, "seed": 3},
        "dataset": {"name": "cifar10", "shape": [3, 32, 32], "explained_images": 12, "held_out_images": 500},
        "models": [
            {"name": "resnet20 1", "parameters": 272474, "train_images": 25000, "accuracy": 0.8765},
            {"name": "resnet20", "parameters": 10, "train_images": None, "accuracy": 0.5},
        ],
        "groupings": [{"name": name, "averages": f"{name} | all", "mean_segments": 29.6} for name in GROUPINGS],
        "records": records(resamples, STANDARD),
        "comparisons": compared,
        "verdicts": verdicts(compared, STANDARD),
        "variance_by_size": [],
    }


@pytest.fixture
def result(made: dict[str, Any]) -> dict[str, Any]:
    """A report of its own for each test."""
    return copy.deepcopy(made)


def tables(text: str) -> dict[str, list[Row]]:
    """The tables of a document by the heading above, those without one by their first column."""
    found: dict[str, list[Row]] = {}
    heading = ""
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if line.startswith("#"):
            heading = line.lstrip("# ")
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells
            name = heading if heading not in found else f"{heading}: {header[0]}"
            rows = found.setdefault(name, [])
        elif set(line) != set("|:-"):
            assert len(cells) == len(header), line
            rows.append(dict(zip(header, cells, strict=True)))
    return found


def number(cell: str) -> float:
    return math.nan if cell == "–" else float(cell.replace("−", "-"))


def numbers(cell: str) -> tuple[float, float, float]:
    """A value and its interval."""
    value, low, high = re.split(r" \[|, |\]", cell)[:3]
    return number(value), number(low), number(high)


def test_no_grouping_and_no_metric_is_left_out(result: dict[str, Any]) -> None:
    found = tables(to_markdown(result))
    assert [row["grouping"] for row in found["Study of cifar10: grouping"]] == GROUPINGS
    for method in METHODS:
        titles = {title for family in FAMILIES for title in found[f"{method}: {family}"][0]}
        for metric in METRICS.values():
            shown = any(title.removesuffix(" (lower is better)") == metric.title for title in titles)
            assert shown == metric.printed, metric.title
        for family in FAMILIES:
            rows = [(row["grouping"], row["sign"]) for row in found[f"{method}: {family}"]]
            assert rows == [(grouping, sign) for grouping in GROUPINGS for sign in SIGNS]


STABILITY_COLUMNS = {
    "SSIM": "ssim",
    "top-10 % IoU": "top_k_iou",
    "top-10 % intersection": "top_k_intersection",
    "cosine (signed)": "cosine_similarity",
    "rank correlation": "rank_correlation",
}
OTHER_COLUMNS = {
    "fidelity": {
        "insertion": "insertion_auc",
        "deletion (lower is better)": "deletion_auc",
        "insertion − deletion": "insertion_minus_deletion",
        "ROAD (least − most relevant first)": "road",
    },
    "localization": {
        "pointing game": "pointing_game",
        "mass accuracy": "relevance_mass_accuracy",
        "rank accuracy": "relevance_rank_accuracy",
    },
}


def record_of(result: dict[str, Any], method: str, row: Row, metric: str) -> dict[str, Any]:
    (record,) = [
        each
        for each in result["records"]
        if (each["method"], each["grouping"], each["sign"], each["metric"])
        == (method, row["grouping"], row["sign"], metric)
    ]
    return dict(record)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["fidelity", "localization"])
def test_values_and_intervals_of_every_row(family: str, method: str, result: dict[str, Any]) -> None:
    rows = tables(to_markdown(result))[f"{method}: {family}"]
    assert [(row["grouping"], row["sign"]) for row in rows] == [(g, s) for g in GROUPINGS for s in SIGNS]
    printed = [metric for metric in METRICS.values() if metric.family == family and metric.printed]
    for row in rows:
        assert set(row) >= {"grouping", "sign", *OTHER_COLUMNS[family]}
        assert len(row) == 2 + len(printed)
        for column, metric in OTHER_COLUMNS[family].items():
            record = record_of(result, method, row, metric)
            assert numbers(row[column]) == pytest.approx((record["value"], *record["ci95"]), abs=0.00051)


@pytest.mark.parametrize("method", METHODS)
def test_stability_beside_both_nulls(method: str, result: dict[str, Any]) -> None:
    text = to_markdown(result)
    # The columns of the nulls have one name under every metric, so they are told apart by their place.
    start = text.index(f"### {method}: stability")
    lines = [line for line in text[start:].split("\n#")[0].splitlines() if line.startswith("|")]
    header, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:]))
    assert len(rows) == len(GROUPINGS) * len(SIGNS)
    for cells in rows:
        row = dict(zip(("grouping", "sign"), cells, strict=False))
        for column, metric in STABILITY_COLUMNS.items():
            place = header.index(column)
            record = record_of(result, method, row, metric)
            assert header[place + 1 : place + 3] == ["over permutation", "over random network"]
            assert number(cells[place]) == pytest.approx(record["value"], abs=0.00051)
            assert number(cells[place + 1]) == pytest.approx(record["excess"]["permutation"], abs=0.00051)
            expected = (record["excess"]["random_network"], *record["excess_ci95"]["random_network"])
            assert numbers(cells[place + 2]) == pytest.approx(expected, abs=0.00051)
        variance = record_of(result, method, row, "across_model_variance")["value"]
        assert number(cells[header.index("variance over models (lower is better)")]) == pytest.approx(
            variance, abs=0.00051
        )


def test_the_worst_row_is_there_too(measurement: Measurement, result: dict[str, Any]) -> None:
    """Where grouping loses, the table of claims says no, with the interval."""
    worst = {Key("Saliency", "Slic", "signed", "ssim"): torch.full((12,), -0.9, dtype=torch.float64)}
    compared = comparisons(Resamples(Measurement(measurement.values | worst), 0), STANDARD)
    text = to_markdown(result | {"verdicts": verdicts(compared, STANDARD)})
    claims = {row["claim"]: row for row in tables(text)["What grouping buys"]}
    for against in ("pixels", "cells"):
        (expected,) = [
            each
            for each in compared
            if (each["method"], each["sign"], each["metric"], each["quantity"], each["grouping"], each["against"])
            == ("Saliency", "signed", "ssim", "value", "Slic", against)
        ]
        cell = claims[f"raw SSIM: signed Slic above {against}"]["Saliency"]
        assert numbers(cell) == pytest.approx((expected["difference"], *expected["ci95"]), abs=0.00051)
        assert cell.endswith("*no*")
    assert len(claims) == len(verdicts(compared, STANDARD))
    assert all(set(row) == {"claim", *METHODS} for row in claims.values())


def test_a_claim_that_was_not_measured_for_a_method_is_empty(result: dict[str, Any]) -> None:
    interval = {"difference": 0.1, "ci95": [0.05, 0.15], "verdict": "yes"}
    made = [{"claim": "a", "methods": {"Saliency": interval}}, {"claim": "b", "methods": {"SmoothGrad": interval}}]
    rows = tables(to_markdown(result | {"verdicts": made}))["What grouping buys"]
    assert rows == [
        {"claim": "a", "Saliency": "0.100 [0.050, 0.150] *yes*", "SmoothGrad": ""},
        {"claim": "b", "Saliency": "", "SmoothGrad": "0.100 [0.050, 0.150] *yes*"},
    ]


def test_setting_networks_and_groupings(result: dict[str, Any]) -> None:
    text = to_markdown(result)
    assert text.startswith("# Study of cifar10\n")
    assert text.endswith("\n")
    assert "12 of 500 held-out images (3x32x32) explained" in text
    # No more than were explained, whatever was asked for.
    assert "insertion and deletion on 12, ROAD on 8. Seed 3. torch 2.4.0." in text
    found = tables(text)
    assert found["Study of cifar10"] == [
        {"network": "resnet20 1", "parameters": "272,474", "training images": "25000", "accuracy": "87.6%"},
        {"network": "resnet20", "parameters": "10", "training images": "user-supplied", "accuracy": "50.0%"},
    ]
    # A bar inside of a cell does not end it.
    assert found["Study of cifar10: grouping"][0] == {
        "grouping": "pixels",
        "averages over": r"pixels \| all",
        "segments per image": "30",
    }


def test_numbers_that_are_none_are_dashes(result: dict[str, Any]) -> None:
    for record in result["records"]:
        record["ci95"] = [math.nan, math.nan]
        if record["metric"] == "ssim":
            record["excess"] = {"permutation": math.nan}
        if record["metric"] == "across_model_variance":
            record["value"] = None
    text = to_markdown(result)
    assert "nan" not in text.lower()
    assert "None" not in text
    found = tables(text)
    cell = found["Saliency: localization"][0]["pointing game"]
    assert re.fullmatch(r"−?\d\.\d{3} \[–, –\]", cell)
    row = found["Saliency: stability"][0]
    assert row["variance over models (lower is better)"] == "–"
    (line, *_) = re.findall(r"^\| pixels +\| signed +\|.*", text, re.MULTILINE)
    assert re.match(r"\| pixels +\| signed +\| −?\d\.\d{3} +\| – +\| – +\|", line)


def test_one_network_has_no_stability(result: dict[str, Any]) -> None:
    without = [record for record in result["records"] if record["family"] != "stability"]
    text = to_markdown(result | {"records": without, "verdicts": []})
    assert "tability" not in text
    assert "What grouping buys" not in text
    assert "Saliency: fidelity" in tables(text)


SIZE = {
    "method": "Saliency",
    "family": "cells",
    "mean_segment_pixels": 16.0,
    "variance_ratio": 0.25,
    "ci95": [0.2, 0.3],
    "shuffled_ratio": 0.0625,
    "across_model_variance": 1.5,
    "n": 12,
}


def test_sizes_have_a_table_of_their_own(measurement: Measurement, result: dict[str, Any]) -> None:
    """And no rows among the groupings, where all of their cells would be empty."""
    names = ("Slic 16", "cells 16")
    sizes = {
        Key("Saliency", name, "signed", "across_model_variance"): torch.ones(12, dtype=torch.float64) for name in names
    }
    resamples = Resamples(Measurement(measurement.values | sizes), 0)
    text = to_markdown(result | {"records": records(resamples, STANDARD), "variance_by_size": [SIZE]})
    found = tables(text)
    assert {row["grouping"] for row in found["Saliency: stability"]} == set(GROUPINGS)
    assert {row["grouping"] for row in found["Saliency: fidelity"]} == set(GROUPINGS)
    assert found["Variance over models by the size of segments"] == [
        {
            "method": "Saliency",
            "segments": "cells",
            "pixels per segment": "16.0",
            "variance over models, of pixels' = 1": "0.250 [0.200, 0.300]",
            "1/|S|".replace("|", r"\|"): "0.062",
            "with shuffled pixels": "0.062",
            "relative to the mean map's energy": "1.500",
        }
    ]


def test_mege_roar_and_time(result: dict[str, Any]) -> None:
    mege = {"method": "Saliency", "grouping": "Slic", "sign": "signed", "mege": 0.75, "reco": math.nan, "n": 40}
    roar = [
        {"method": "Saliency", "grouping": "Slic", "sign": "signed", "fraction": fraction, "accuracy": accuracy}
        for fraction, accuracy in ((0.9, 0.25), (0.1, 0.875))
    ]
    seconds = {"stages": {"training": 61.25}, "work": {"ROAD": 1.2, "attribution: Saliency": 24.0}}
    found = tables(to_markdown(result | {"mege_reco": [mege], "roar": roar, "seconds": seconds}))
    of = {"method": "Saliency", "grouping": "Slic", "sign": "signed"}
    assert found["MeGe and ReCo"] == [{**of, "MeGe": "0.750", "ReCo": "–", "n": "40"}]
    assert found["ROAR"] == [{**of, "10%": "0.875", "90%": "0.250"}]
    assert found["Time"] == [{"stage": "training", "seconds": "61.2"}]
    work = found["Time: work on the explained images"]
    assert [row["work on the explained images"] for row in work] == ["attribution: Saliency", "ROAD"]
    assert work[1] == {"work on the explained images": "ROAD", "seconds": "1.2", "milliseconds per image": "100.0"}
