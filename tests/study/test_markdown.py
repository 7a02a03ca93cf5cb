"""The tables of the report: they hold the numbers of the records, all rows of them, and nothing empty."""

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
Row = dict[str, str]


def tables(text: str) -> dict[str, list[Row]]:
    """The tables of a document by the heading above and, where a line ends in a colon before the table, that line."""
    found: dict[str, list[Row]] = {}
    heading = caption = ""
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if line.startswith("#"):
            heading, caption = line.lstrip("# "), ""
        elif line.endswith(":"):
            caption = line
        if not line.startswith("|"):
            header = []
        elif not header:
            header = cells
            name = " / ".join(filter(None, (heading, caption)))
            rows = found.setdefault(name if name not in found else f"{name}: {header[0]}", [])
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


CORRECTED = "Chance-corrected over the random network, with 95 % intervals:"
RAW = "Raw, and in parentheses chance-corrected over the permutation:"
PRINTED = [name for name, metric in METRICS.items() if metric.printed]


def heading(name: str) -> str:
    return f"{METRICS[name].title} ({'higher' if METRICS[name].higher_is_better else 'lower'} is better)"


def record_of(result: dict[str, Any], method: str, row: Row, metric: str) -> dict[str, Any]:
    (record,) = [
        each
        for each in result["records"]
        if (each["method"], each["grouping"], each["sign"], each["metric"])
        == (method, row["grouping"], row["sign"], metric)
    ]
    return dict(record)


def test_no_grouping_and_no_metric_is_left_out(result: dict[str, Any]) -> None:
    text = to_markdown(result)
    found = tables(text)
    assert [row["grouping"] for row in found["Networks, images and groupings: grouping"]] == GROUPINGS
    for name, metric in METRICS.items():
        of_metric = {key: rows for key, rows in found.items() if key.startswith(f"{heading(name)}")}
        assert len(of_metric) == metric.printed * (2 if metric.has_nulls else 1), name
        for rows in of_metric.values():
            assert all(list(row) == ["grouping", "sign", *METHODS] for row in rows)
            assert [(row["grouping"], row["sign"]) for row in rows] == [(g, s) for g in GROUPINGS for s in SIGNS]
    places = [text.index(f"\n## {family}\n") for family in ("Stability", "Fidelity", "Localization")]
    assert places == sorted(places)


@pytest.mark.parametrize("name", [name for name in PRINTED if not METRICS[name].has_nulls])
def test_values_and_intervals_of_every_row(name: str, result: dict[str, Any]) -> None:
    for row in tables(to_markdown(result))[heading(name)]:
        for method in METHODS:
            record = record_of(result, method, row, name)
            assert numbers(row[method]) == pytest.approx((record["value"], *record["ci95"]), abs=0.00051)


@pytest.mark.parametrize("name", [name for name in PRINTED if METRICS[name].has_nulls])
def test_a_similarity_beside_both_nulls(name: str, result: dict[str, Any]) -> None:
    found = tables(to_markdown(result))
    for row, raw in zip(found[f"{heading(name)} / {CORRECTED}"], found[f"{heading(name)} / {RAW}"], strict=True):
        for method in METHODS:
            record = record_of(result, method, row, name)
            expected = (record["excess"]["random_network"], *record["excess_ci95"]["random_network"])
            assert numbers(row[method]) == pytest.approx(expected, abs=0.00051)
            value, permutation = re.fullmatch(r"(\S+) \((\S+)\)", raw[method]).groups()  # type: ignore[union-attr]
            assert number(value) == pytest.approx(record["value"], abs=0.00051)
            assert number(permutation) == pytest.approx(record["excess"]["permutation"], abs=0.00051)


def test_a_null_near_one_leaves_a_dash_and_says_why(drawn_measurement: Measurement, result: dict[str, Any]) -> None:
    """In the table, the claims and the summary alike; a null of .9 itself still has a figure."""
    near = dict(drawn_measurement.values)
    for key in drawn_measurement.values:
        if key.metric == "ssim" and key.kind == "random_network" and key.grouping in ("ensemble", "blur"):
            near[key] = torch.full((12,), 0.901 if key.grouping == "ensemble" else 0.9, dtype=torch.float64)
    resamples = Resamples(Measurement(near), 0)
    compared = comparisons(resamples, STANDARD)
    changed = {"records": records(resamples, STANDARD), "comparisons": compared}
    text = to_markdown(result | changed | {"verdicts": verdicts(compared, STANDARD)})
    found = tables(text)
    for row in found[f"SSIM (higher is better) / {CORRECTED}"]:
        assert [row[method] == "–" for method in METHODS] == [row["grouping"] == "ensemble"] * len(METHODS)
    for row in found["Claims / SSIM over the random network, magnitude maps:"]:
        assert [row[method] for method in METHODS] == ["–"] * len(METHODS)
    section = text[text.index("### SSIM (higher") :].split("\n###")[0]
    assert section.rstrip().endswith("–: the null is above 0.9.")
    assert text.count("–: the null is above 0.9.") == 1
    assert "ensemble is without a figure in all 4." in text
    assert "–: the null is above" not in to_markdown(result)


def test_tables_fit_a_page(result: dict[str, Any]) -> None:
    """Texts of 110 characters and 7 columns at most, with three methods, as a study has them."""
    third = METHODS[0], "SmoothGrad"
    changed: dict[str, Any] = {
        name: [*result[name], *(each | {"method": third[1]} for each in result[name] if each["method"] == third[0])]
        for name in ("records", "comparisons")
    }
    for verdict in result["verdicts"]:
        verdict["methods"][third[1]] = verdict["methods"][third[0]]
    found = tables(to_markdown(result | changed | {"variance_by_size": [SIZE]}))
    assert len(found) > 25
    for name, rows in found.items():
        widths = [max(len(header), *(len(row[header]) for row in rows)) for header in rows[0]]
        assert len(widths) <= 7, name
        assert sum(widths) <= 110, name


def test_more_methods_than_fit_a_page_are_split(result: dict[str, Any]) -> None:
    more = [{**r, "method": f"m{place}"} for place in range(4) for r in result["records"] if r["method"] == METHODS[0]]
    found = tables(to_markdown(result | {"records": more}))
    assert list(found["insertion (higher is better)"][0]) == ["grouping", "sign", "m0", "m1", "m2"]
    assert list(found["insertion (higher is better): grouping"][0]) == ["grouping", "sign", "m3"]


def test_the_worst_row_is_there_too(drawn_measurement: Measurement, result: dict[str, Any]) -> None:
    """Where grouping loses, the table of claims says no, with the interval."""
    worst = {Key("Saliency", "Slic", "signed", "ssim"): torch.full((12,), -0.9, dtype=torch.float64)}
    compared = comparisons(Resamples(Measurement(drawn_measurement.values | worst), 0), STANDARD)
    text = to_markdown(result | {"verdicts": verdicts(compared, STANDARD)})
    found = tables(text)
    claims = {row["claim"]: row for row in found["Claims / Raw SSIM, signed maps:"]}
    for against in ("pixels", "cells"):
        (expected,) = [
            each
            for each in compared
            if (each["method"], each["sign"], each["metric"], each["quantity"], each["grouping"], each["against"])
            == ("Saliency", "signed", "ssim", "value", "Slic", against)
        ]
        cell = claims[f"Slic above {against}"]["Saliency"]
        assert numbers(cell) == pytest.approx((expected["difference"], *expected["ci95"]), abs=0.00051)
        assert cell.endswith("*no*")
    rows = [row for name, rows in found.items() if name.startswith("Claims") for row in rows]
    assert len(rows) == len(verdicts(compared, STANDARD))
    assert all(set(row) == {"claim", *METHODS} for row in rows)


def test_a_claim_that_was_not_measured_for_a_method_is_empty(result: dict[str, Any]) -> None:
    interval = {"difference": 0.1, "ci95": [0.05, 0.15], "verdict": "yes"}
    tie = {"difference": 0.1, "ci95": [-0.05, 0.15], "verdict": "undecided"}
    made = [{"claim": "a", "methods": {"Saliency": interval}}, {"claim": "b", "methods": {"SmoothGrad": tie}}]
    rows = tables(to_markdown(result | {"verdicts": made}))["Claims"]
    assert rows == [
        {"claim": "a", "Saliency": "0.100 [0.050, 0.150] *yes*", "SmoothGrad": ""},
        {"claim": "b", "Saliency": "", "SmoothGrad": "0.100 [−0.050, 0.150]"},
    ]


def test_setting_networks_and_groupings(result: dict[str, Any]) -> None:
    text = to_markdown(result)
    assert text.startswith("# Study of cifar10\n")
    assert text.endswith("\n")
    assert "Two networks (resnet20 1 and resnet20) explain the same twelve images by Saliency and Integr" in text
    assert "12 of 500 held-out images (3x32x32) were explained" in text
    # No more than were explained, whatever was asked for.
    assert "insertion and deletion on 12 of them, ROAD on 8." in text
    assert "Seed 3. torch 2.4.0." in text
    found = tables(text)
    assert found["Networks, images and groupings"] == [
        {"network": "resnet20 1", "parameters": "272,474", "training images": "25,000", "accuracy": "87.6%"},
        {"network": "resnet20", "parameters": "10", "training images": "user-supplied", "accuracy": "50.0%"},
    ]
    # A bar inside of a cell does not end it.
    assert found["Networks, images and groupings: grouping"][0] == {
        "grouping": "pixels",
        "what is averaged over": r"pixels in words \| none",
        "segments per image": "30",
    }
    assert "\n- Slic: `Slic | all`\n" in text


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
    assert re.fullmatch(r"−?\d\.\d{3} \[–, –\]", found["pointing game (higher is better)"][0]["Saliency"])
    assert found["variance over models (lower is better)"][0]["Saliency"] == "–"
    assert found[f"SSIM (higher is better) / {CORRECTED}"][0]["Saliency"] == "–"
    assert re.fullmatch(r"−?\d\.\d{3} \(–\)", found[f"SSIM (higher is better) / {RAW}"][0]["Saliency"])


def test_one_network_has_no_stability(result: dict[str, Any]) -> None:
    without = {
        "records": [record for record in result["records"] if record["family"] != "stability"],
        "comparisons": [
            each for each in result["comparisons"] if "ssim" not in each["metric"] and "top_k" not in each["metric"]
        ],
        "models": result["models"][:1],
        "verdicts": [],
    }
    text = to_markdown(result | without)
    assert "One network (resnet20 1) explains twelve images by" in text
    for absent in ("tability", "Claims", "chance-corrected", "Chance-corrected", "Nulls"):
        assert absent not in text
    assert "insertion (higher is better)" in tables(text)


def test_pictures_are_linked_where_they_are_there(result: dict[str, Any]) -> None:
    pictures = {"maps.png": "the maps", "differences.png": "the differences", "sizes.png": "the sizes"}
    text = to_markdown(result | {"variance_by_size": [SIZE]}, pictures)
    links = re.findall(r"^!\[(.+)\]\((.+)\)$", text, re.MULTILINE)
    assert {name: alt for alt, name in links} == pictures
    assert text.index("(differences.png)") < text.index("## How to read") < text.index("\n## Figures\n")
    assert (
        text.index("\n## Figures\n") < text.index("(maps.png)") < text.index("## Variance over") < text.index("(sizes")
    )
    assert "![" not in to_markdown(result)
    assert "## Figures" not in to_markdown(result)


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


def test_sizes_have_a_table_of_their_own(drawn_measurement: Measurement, result: dict[str, Any]) -> None:
    """And no rows among the groupings, where all of their cells would be empty."""
    names = ("Slic 16", "cells 16")
    sizes = {
        Key("Saliency", name, "signed", "across_model_variance"): torch.ones(12, dtype=torch.float64) for name in names
    }
    resamples = Resamples(Measurement(drawn_measurement.values | sizes), 0)
    text = to_markdown(result | {"records": records(resamples, STANDARD), "variance_by_size": [SIZE]})
    found = tables(text)
    assert {row["grouping"] for row in found["variance over models (lower is better)"]} == set(GROUPINGS)
    assert {row["grouping"] for row in found["insertion (higher is better)"]} == set(GROUPINGS)
    assert found["Saliency: variance"] == [
        {
            "segments": "cells",
            "pixels per segment": "16.0",
            "variance (pixels: 1)": "0.250 [0.200, 0.300]",
            "1/|S|".replace("|", r"\|"): "0.062",
            "shuffled": "0.062",
            "relative": "1.500",
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
    of = {"method": "Saliency", "grouping": "Slic"}
    assert found["MeGe and ReCo"] == [{**of, "sign": "signed", "MeGe": "0.750", "ReCo": "–", "images": "40"}]
    assert found["ROAR"] == [{**of, "10%": "0.875", "90%": "0.250"}]
    assert found["Time"] == [{"stage": "training", "seconds": "61.2"}]
    work = found["Time: work on the explained images"]
    assert [row["work on the explained images"] for row in work] == ["attribution: Saliency", "ROAD"]
    assert work[1] == {"work on the explained images": "ROAD", "seconds": "1.2", "milliseconds per image": "100.0"}
