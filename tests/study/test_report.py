"""The files of a report and its pictures, and that the tutorial documents all that report.json holds."""

import json
import math
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image
from torch import nn

from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study import report as report_module
from captum_superpixel.study.context import Study
from captum_superpixel.study.protocol import METHOD_NAMES, Protocol, standard_groupings
from captum_superpixel.study.report import draw_maps, draw_stability, to_json, write_report
from captum_superpixel.study.results import SCHEMA_VERSION
from captum_superpixel.study.settings import StudySettings

DOCUMENT = Path(__file__).parents[2] / "tutorials" / "study-report.md"
# Names that are those of libraries, nulls, methods or stages, not of fields.
FREE = r"^(software|seconds\.(stages|work)|verdicts\[\]\.methods|records\[\]\.(nulls|excess|excess_ci95))\.[^.\[]+"


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
            value = [each[step] for each in value if step in each]
    return list(value)


def test_every_field_is_documented_and_every_documented_field_is_there(tiny_study: Any) -> None:
    report = tiny_study.report
    report["roar"] = [dict.fromkeys(("method", "grouping", "sign", "fraction", "accuracy", "n"), 0)]
    found = fields(report)
    assert sorted(found - documented().keys()) == []
    assert sorted(documented().keys() - found) == []
    assert report["schema_version"] == SCHEMA_VERSION
    assert f"version {SCHEMA_VERSION}" in DOCUMENT.read_text(encoding="utf-8")


def test_values_lie_in_the_documented_ranges(tiny_study: Any) -> None:
    """Ranges are written as in mathematics: [0, 1], or [0, ∞)."""
    report = tiny_study.report
    checked = 0
    for name, text in documented().items():
        interval = re.search(r"[\[(](-?[\d.]+|−∞), (-?[\d.]+|∞)[\])]", text)
        if interval is None or name.startswith("roar"):
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
    for table in ("models", "groupings", "records", "comparisons", "verdicts", "variance_by_size", "mege_reco"):
        keys = {name.split(".")[1].rstrip("[]") for name in documented() if name.startswith(f"{table}[].")}
        for record in report[table]:
            optional = {"nulls", "excess", "excess_ci95"} if table == "records" and "nulls" not in record else set()
            assert set(record) == keys - optional


def test_the_files(tiny_study: Any) -> None:
    text = (tiny_study.out / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Study of imagefolder")
    for heading in ("What grouping buys", "Stability", "Fidelity", "MeGe and ReCo", "Time"):
        assert f"\n## {heading}\n" in text
    for name in ("maps.png", "stability.png"):
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


def check_texts(figure: Any) -> list[str]:
    """All texts that are seen; none lies on another, or beyond the edge."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    # Matplotlib has labels of ticks beyond the axes, too, which it does not draw.
    ticks = {label for axis in figure.axes for label in (*axis.get_xticklabels(), *axis.get_yticklabels())}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    texts = [text for text in texts if text not in ticks]
    boxes = {text: text.get_window_extent(canvas.get_renderer()) for text in texts}
    width, height = canvas.get_width_height()
    for text, box in boxes.items():
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= width + 1, text
        assert box.y1 <= height + 1, text
    for one, other in combinations(texts, 2):
        assert not boxes[one].padded(-1).overlaps(boxes[other].padded(-1)), (one, other)
    return [text.get_text() for text in texts]


def test_maps(settings_of: Callable[..., StudySettings], study_of: Callable[..., Study]) -> None:
    groupings = standard_groupings(6, counts=(6,))
    protocol = Protocol(MethodSettings(n_steps=2, n_samples=2, noise=0.1, signed=True), METHOD_NAMES, groupings)
    study = study_of(settings_of(), protocol=protocol)
    network = small_cnn(3, generator=torch.Generator().manual_seed(0)).eval()
    figure = draw_maps(study, network, [5, 9, 13, 14, 20, 21])
    images = [image for axis in figure.axes for image in axis.get_images()]
    assert len(images) == 4 * (1 + 3 * 4)
    texts = check_texts(figure)
    assert [text for text in texts if text in METHOD_NAMES] == list(METHOD_NAMES)
    for grouping in groupings:
        assert texts.count(grouping.name) == (3 if "drawn" in grouping.roles else 0)
    shown = [study.data.classes[study.data.held_out.labels[index]] for index in (5, 9, 13, 14)]
    assert [text.split()[-1] for text in texts if text.startswith("label")] == shown


def test_stability_is_drawn_from_the_records(tiny_study: Any) -> None:
    result = tiny_study.report
    figure = draw_stability(result)
    assert figure is not None
    texts = check_texts(figure)
    for method in METHOD_NAMES:
        (axis,) = (axis for axis in figure.axes if axis.get_title() == method)
        drawn = {
            (round(float(line.get_xdata()[0]), 9), round(float(line.get_ydata()[0]), 9))
            for line in axis.get_lines()
            if len(line.get_xdata()) == 1
        }
        of = {(r["grouping"], r["sign"], r["metric"]): r for r in result["records"] if r["method"] == method}
        expected = {
            (
                round(record["excess"]["random_network"], 9),
                round(of[grouping, sign, "insertion_minus_deletion"]["value"], 9),
            )
            for (grouping, sign, metric), record in of.items()
            if metric == "ssim"
        }
        assert len(expected) > 7
        assert expected <= drawn
    assert texts.count("Felzenszwalb") == 3 * 2


def test_no_stability_no_picture(tiny_study: Any) -> None:
    result = tiny_study.report
    fidelity = [record for record in result["records"] if record["family"] == "fidelity"]
    assert draw_stability(result | {"records": fidelity}) is None
    stability = [record for record in result["records"] if record["family"] == "stability"]
    assert draw_stability(result | {"records": stability}) is None
