"""The tables of the report: they hold the numbers of the records, all rows of them, and nothing empty."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from captum_superpixel.study.markdown import to_markdown
from captum_superpixel.study.measurement import Key, Measurement
from captum_superpixel.study.metric_table import METRICS

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
PRINTED = [name for name, metric in METRICS.items() if metric.printed and metric.family != "complexity"]
NULL = " (null map)"


def heading(name: str) -> str:
    return f"{METRICS[name].title} ({'higher' if METRICS[name].higher_is_better else 'lower'} is better)"


def rows_of(drawn: Any) -> list[tuple[str, str, str]]:
    """The rows of a table as it writes them: null maps come last, and are called so; a grouping's stand together."""
    nulls = [row for row in drawn.rows if drawn.kinds[row.grouping] == "null map"]
    others = [(row.grouping, row.sign, str(row.views)) for row in drawn.rows if row not in nulls]
    return others + [(row.grouping + NULL, row.sign, str(row.views)) for row in nulls]


def record_of(result: dict[str, Any], method: str, row: Row, metric: str) -> dict[str, Any]:
    (record,) = [
        each
        for each in result["records"]
        if (each["method"], each["grouping"], each["sign"], str(each["views"]), each["metric"])
        == (method, row["grouping"].removesuffix(NULL), row["sign"], row["views"], metric)
    ]
    return dict(record)


def test_no_row_and_no_metric_is_left_out(result: dict[str, Any], drawn: Any) -> None:
    text = to_markdown(result)
    found = tables(text)
    named = [row["grouping"] for row in found["Networks, images and groupings: grouping"]]
    assert named == list(dict.fromkeys(row[0].removesuffix(NULL) for row in rows_of(drawn)))
    for name, metric in METRICS.items():
        of_metric = {key: rows for key, rows in found.items() if key.startswith(f"{heading(name)}")}
        assert len(of_metric) == (name in PRINTED) * (2 if metric.has_nulls else 1), name
        for rows in of_metric.values():
            assert all(list(row) == ["grouping", "sign", "views", *METHODS] for row in rows)
            known = [row for row in rows_of(drawn) if metric.family != "stability" or not row[0].endswith(NULL)]
            assert [(row["grouping"], row["sign"], row["views"]) for row in rows] == known
    families = ("Claims", "Stability", "Fidelity", "Localization", "Complexity")
    places = [text.index(f"\n## {family}\n") for family in families]
    assert places == sorted(places)
    assert text.count("The rows at the bottom, each called a null map") == 2


def test_complexity_has_one_table_that_says_why_it_is_there(result: dict[str, Any], drawn: Any) -> None:
    """The methods stand beside each other in a cell, and nothing is called better."""
    text = to_markdown(result)
    rows = tables(text)["Complexity"]
    assert "is alike between networks for nothing" in text
    assert "In each cell: Saliency / IntegratedGradients." in text
    assert [(row["grouping"], row["sign"], row["views"]) for row in rows] == rows_of(drawn)
    for row in rows:
        assert row["segments"] == "30"
        for metric in ("entropy", "effective_regions"):
            values = [record_of(result, method, row, metric)["value"] for method in METHODS]
            assert list(map(number, row[METRICS[metric].title].split(" / "))) == pytest.approx(values, abs=0.00051)
    assert "complexity" not in {record["family"] for record in result["comparisons"] if "family" in record}
    without = [record for record in result["records"] if record["family"] != "complexity"]
    assert "Complexity" not in to_markdown(result | {"records": without})


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


def test_a_null_near_one_leaves_a_dash_and_says_why(
    drawn_measurement: Measurement, result: dict[str, Any], found_in: Callable[[Measurement], dict[str, Any]]
) -> None:
    """In the table, the claims and the summary alike; a null of .9 itself still has a figure."""
    near = dict(drawn_measurement.values)
    for key in drawn_measurement.values:
        if key.metric == "ssim" and key.kind == "random_network" and key.grouping in ("ensemble", "blur"):
            near[key] = torch.full((12,), 0.901 if key.grouping == "ensemble" else 0.9, dtype=torch.float64)
    text = to_markdown(result | found_in(Measurement(near)))
    found = tables(text)
    for row in found[f"SSIM (higher is better) / {CORRECTED}"]:
        assert [row[method] == "–" for method in METHODS] == [row["grouping"] == "ensemble"] * len(METHODS)
    for row in found["Claims / Chance-corrected SSIM:"]:
        assert [row[method] == "–" for method in METHODS] == [not row["row"].startswith("Slic")] * len(METHODS)
    section = text[text.index("### SSIM (higher") :].split("\n###")[0]
    assert section.rstrip().endswith("–: the null is above 0.9.")
    assert text.count("–: the null is above 0.9.") == 1
    assert "ensemble is without a figure in all 10." in text
    assert "–: the null is above" not in to_markdown(result)


def test_tables_fit_a_page(result: dict[str, Any]) -> None:
    """Texts of 130 characters and 7 columns at most, with three methods, as a study has them.

    The table in short is wider by what its intervals and verdicts take, and breaks lines in its cells; those of counts
    have as many columns as there are rivals.
    """
    third = METHODS[0], "SmoothGrad"
    changed: dict[str, Any] = {
        name: [*result[name], *(each | {"method": third[1]} for each in result[name] if each["method"] == third[0])]
        for name in ("records", "comparisons", "verdicts")
    }
    found = tables(to_markdown(result | changed | {"variance_by_size": [SIZE]}))
    assert len(found) > 25
    for name, rows in found.items():
        widths = [max(len(header), *(len(row[header]) for row in rows)) for header in rows[0]]
        counts = "in how many cases" in name
        assert len(widths) <= (9 if counts else 7), name
        assert sum(widths) <= (190 if name.startswith("In short") else 130), name


def test_more_methods_than_fit_a_page_are_split(result: dict[str, Any]) -> None:
    more = [{**r, "method": f"m{place}"} for place in range(4) for r in result["records"] if r["method"] == METHODS[0]]
    found = tables(to_markdown(result | {"records": more}))
    assert list(found["insertion (higher is better)"][0]) == ["grouping", "sign", "views", "m0", "m1", "m2"]
    assert list(found["insertion (higher is better): grouping"][0]) == ["grouping", "sign", "views", "m3"]


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
    assert (
        text.index("## In short")
        < text.index("(differences.png)")
        < text.index("## Summary of all")
        < text.index("## How to read")
        < text.index("\n## Figures\n")
    )
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
    "predicted_ratio": 0.25 / 1.25,
    "predicted_ratio_ci95": [0.15, 0.24],
    "correlation": 0.146,
    "correlation_ci95": [-0.004, 0.19],
    "measured_over_predicted": 1.25,
    "measured_over_predicted_ci95": [None, None],
    "across_model_variance": 1.5,
    "n": 12,
}


def test_sizes_have_a_table_of_their_own(
    drawn_measurement: Measurement, result: dict[str, Any], found_in: Callable[[Measurement], dict[str, Any]]
) -> None:
    """And no rows among the groupings, where all of their cells would be empty."""
    names = ("Slic 16", "cells 16")
    sizes = {
        Key("Saliency", name, "signed", "across_model_variance"): torch.ones(12, dtype=torch.float64) for name in names
    }
    made = found_in(Measurement(drawn_measurement.values | sizes))
    found = tables(to_markdown(result | {"records": made["records"], "variance_by_size": [SIZE]}))
    assert not set(names) & {row["grouping"] for row in found["variance over models (lower is better)"]}
    assert not set(names) & {row["grouping"] for row in found["insertion (higher is better)"]}
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
    caption = "Saliency, predicted from the correlation of pixels:"
    assert found[f"Saliency: variance / {caption}"] == [
        {
            "segments": "cells",
            "pixels per segment": "16.0",
            "correlation": "0.146 [−0.004, 0.190]",
            "predicted": "0.200 [0.150, 0.240]",
            "measured over predicted": "1.250 [–, –]",
        }
    ]
    without = SIZE | {"predicted_ratio": None}
    assert caption not in to_markdown(result | {"variance_by_size": [without]})


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


def test_rows_of_a_grouping_stand_together_whatever_was_measured_first(result: dict[str, Any], drawn: Any) -> None:
    """A study measures all rows of one view before those of several."""
    by_views = sorted(result["records"], key=lambda record: record["views"])
    assert by_views != result["records"]
    found = tables(to_markdown(result | {"records": by_views}))
    rows = found["insertion (higher is better)"]
    assert [(row["grouping"], row["sign"], row["views"]) for row in rows] == rows_of(drawn)
