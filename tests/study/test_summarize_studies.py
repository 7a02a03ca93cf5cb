"""The script that makes the tables of the evidence page: every row and every claim, with the numbers of the report."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "summarize_studies.py"


@pytest.fixture
def printed(
    result: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """What the script prints of the report of random values, with options."""
    spec = importlib.util.spec_from_file_location("summarize_studies", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def run(*options: str, **changes: Any) -> str:
        path = tmp_path / "pair" / "report.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(result | {"schema_version": 2} | changes))
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(path), *options])
        script.main()
        return capsys.readouterr().out

    return run


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]


def brief(value: float) -> str:
    """Without the zero before the point, and with a minus sign."""
    return f"{value:.3f}".replace("0.", ".").replace("-", "−").replace("−.000", ".000")


def with_interval(value: float, ends: list[float]) -> str:
    return f"{brief(value)} ({brief(ends[0])} to {brief(ends[1])})"


def test_every_row_and_every_claim(printed: Any, result: dict[str, Any], drawn: Any) -> None:
    text = printed()
    for method in drawn.recommended:
        section = text[text.index(f"**{method}**") :].split("\n**")[0]
        rows = cells(section)
        assert [tuple(row[:3]) for row in rows].count(("pixels", "evidence", "8")) == 2
        nulls = [row[0] for row in rows if row[0].endswith("(null map)")]
        assert nulls == ["another image (null map)", "centered Gaussian (null map)"]
    for record in result["records"]:
        if record["metric"] == "insertion_auc":
            assert with_interval(record["value"], record["ci95"]) in text
        if record["metric"] == "ssim":
            excess = record["excess"]["random_network"], record["excess_ci95"]["random_network"]
            assert with_interval(*excess) in text
    claims = {(row[0], row[1]): row[2] for row in cells(text) if " above " in row[0]}
    assert len(claims) == len(result["verdicts"])
    for verdict in result["verdicts"]:
        expected = f"{with_interval(verdict['difference'], verdict['ci95_holm'])} {verdict['verdict']}"
        assert claims[verdict["claim"], verdict["method"]] == expected


def test_the_small_table_has_the_recommended_row_first(printed: Any) -> None:
    rows = cells(printed("--small"))
    assert [row[1] for row in rows[2:11]] == [
        "**ensemble (evidence, 8 views)**",
        "Slic (signed)",
        "pixels (magnitude)",
        "ensemble (magnitude)",
        "blur (evidence, 8 views)",
        "guided filter (evidence, 8 views)",
        "cell ensemble (evidence, 8 views)",
        "another image (magnitude, 8 views), null map",
        "centered Gaussian (magnitude), null map",
    ]
    assert [row[0] for row in rows[2:] if row[0]] == ["Saliency", "IntegratedGradients"]


def test_a_report_of_another_version_is_refused(printed: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        printed(schema_version=1)
    assert "the report of pair has version 1, and this script reads 2" in capsys.readouterr().err
