"""The files of a report, and that the tutorial documents all that report.json holds."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from captum_superpixel.study import report as report_module
from captum_superpixel.study.context import Study
from captum_superpixel.study.measurement import Key, Measurement
from captum_superpixel.study.report import to_json, write_report
from captum_superpixel.study.results import SCHEMA_VERSION
from captum_superpixel.study.settings import METHOD_NAMES

DOCUMENT = Path(__file__).parents[2] / "tutorials" / "study-report.md"
# Names that are those of libraries, nulls, methods or stages, not of fields.
FREE = (
    r"^(software|recommended|negative_weights|seconds\.(stages|work)|records\[\]\.(nulls|excess|excess_ci95))\.[^.\[]+"
)
# What tests/study/test_mosaics.py finds in a study that has mosaics.
MOSAICS = (
    *("count", "side", "layout", "shape", "pool", "images"),
    *("least_confidence", "confidence", "probability", "among_most_probable"),
)


def test_json_is_strict() -> None:
    text = to_json({"nan": math.nan, "list": [1.5, -math.inf, (math.inf, "a")], "whole": 2, "yes": True, "none": None})

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    assert json.loads(text, parse_constant=refuse) == {
        "nan": None,
        "list": [1.5, None, [None, "a"]],
        "whole": 2,
        "yes": True,
        "none": None,
    }
    assert text.endswith("}\n")


def fields(value: Any, path: str = "") -> set[str]:
    """Names of all fields, those of lists' members under ``name[]``."""
    found = set()
    if isinstance(value, dict):
        for name, member in value.items():
            inner = re.sub(FREE, r"\1.*", f"{path}.{name}".removeprefix("."))
            found |= {inner} | fields(member, inner)
    elif isinstance(value, list):
        for member in value:
            found |= fields(member, f"{path}[]")
    return found


def documented() -> dict[str, str]:
    """From each field of the tutorial's tables to its range."""
    rows = re.findall(r"^\| `([^`]+)` \|([^|]*)\|([^|]*)\|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: values.strip() for name, values, _ in rows}


def values_of(value: Any, path: str) -> list[Any]:
    """What a report holds at a documented path."""
    for step in re.findall(r"\[\]|[^.\[\]]+", path):
        if step == "[]":
            value = [member for each in value for member in each]
        elif step == "*":
            value = [member for each in value for member in each.values()]
        else:
            value = [each[step] for each in value if each is not None and step in each]
    return list(value)


def test_every_field_is_documented_and_every_documented_field_is_there(tiny_study: Any, sure_study: Any) -> None:
    report = tiny_study.report
    assert report["confidence"] is None
    report["confidence"] = sure_study.report["confidence"]
    report["roar"] = [dict.fromkeys(("method", "grouping", "sign", "fraction", "accuracy", "n"), 0)]
    report["mosaics"] = dict.fromkeys(MOSAICS)
    found = fields(report)
    assert sorted(found - documented().keys()) == []
    assert sorted(documented().keys() - found) == []
    assert report["schema_version"] == SCHEMA_VERSION
    assert f"version {SCHEMA_VERSION}" in DOCUMENT.read_text(encoding="utf-8")


def test_values_lie_in_the_documented_ranges(tiny_study: Any, sure_study: Any) -> None:
    """Ranges are written as in mathematics: [0, 1], or [0, ∞)."""
    report = tiny_study.report | {"confidence": sure_study.report["confidence"]}
    checked = 0
    for name, text in documented().items():
        interval = re.search(r"[\[(](-?[\d.]+|−∞), (-?[\d.]+|∞)[\])]", text)
        if interval is None or name.startswith(("roar", "mosaics")):
            continue
        low, high = (float(end.replace("∞", "inf").replace("−", "-")) for end in interval.groups())
        values = np.array([value for value in values_of([report], name) if value is not None], dtype=float).ravel()
        assert values.size or "or null" in text, name
        assert (values >= low - 1e-9).all(), name
        assert (values <= high + 1e-9).all(), name
        checked += 1
    assert checked > 20


def test_records_have_the_documented_keys(tiny_study: Any) -> None:
    report = tiny_study.report
    for table in (
        "models",
        "groupings",
        "records",
        "pairs",
        "comparisons",
        "verdicts",
        "variance_by_size",
        "mege_reco",
    ):
        keys = {name.split(".")[1].rstrip("[]") for name in documented() if name.startswith(f"{table}[].")}
        for record in report[table]:
            optional = {"nulls", "excess", "excess_ci95"} if table == "records" and "nulls" not in record else set()
            assert set(record) == keys - optional


def test_groupings_of_which_no_row_is_measured_are_not_listed(
    settings_of: Callable[..., Any], study_of: Callable[..., Study]
) -> None:
    """Nor are they called measured by the report to read."""
    study = study_of(settings_of(rows="claimed", n_views=3))
    values = {
        Key("Saliency", row.grouping, row.sign, "insertion_auc", views=row.views): torch.rand(3)
        for row in study.protocol.rows_of("Saliency")
    }
    segments = {grouping.name: 9.0 for grouping in study.protocol.groupings}
    result = report_module.make_report(study, [], [0, 1, 2], Measurement(values, segments=segments, n_images=3))
    names = {grouping["name"] for grouping in result["groupings"]}
    assert names == {row.grouping for method in METHOD_NAMES for row in study.protocol.rows_of(method)}
    assert {"pixels", "ensemble", "blur", "shuffled"} < names < set(segments)
    everything = study_of(settings_of(n_views=3), data=study.data)
    listed = report_module.make_report(everything, [], [0, 1, 2], Measurement(values, segments=segments, n_images=3))
    assert [grouping["name"] for grouping in listed["groupings"]] == list(segments)


def test_the_files(tiny_study: Any) -> None:
    text = (tiny_study.out / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Study of imagefolder")
    headings = ("In short", "Summary of all groupings", "How to read this report", "Claims", "Stability", "Fidelity")
    for heading in (*headings, "Pairs of networks", "Complexity", "MeGe and ReCo", "Time"):
        assert f"\n## {heading}\n" in text
    pictures = {path.name for path in tiny_study.out.glob("*.png")}
    assert set(re.findall(r"^!\[[^]]{40,}\]\((.+)\)$", text, re.MULTILINE)) == pictures
    assert pictures == {"maps.png", "stability.png", "differences.png", "sizes.png"}
    for name in pictures:
        with Image.open(tiny_study.out / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 10


def test_what_was_there_stays_if_writing_fails(
    tiny_study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = tiny_study.report
    (tmp_path / "maps.png").write_bytes(b"old picture")
    (tmp_path / "report.json").write_text("old report")

    class Broken:
        def savefig(self, path: Path, **_: Any) -> None:
            path.write_bytes(b"half a picture")
            raise OSError("no space left")

    monkeypatch.setattr(report_module, "draw_maps", lambda *_: Broken())
    nothing: Any = None
    with pytest.raises(OSError, match="no space left"):
        write_report(nothing, result, tmp_path, nn.Identity(), [0])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "maps.png": "old picture",
        "report.json": "old report",
    }
