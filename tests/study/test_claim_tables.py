"""The tables of claims: all of them, with corrected intervals, the lost ones as well."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from captum_superpixel.study.claim_tables import claim_tables
from captum_superpixel.study.measurement import Key, Measurement
from captum_superpixel.study.tables import row_label

METHODS = ("Saliency", "IntegratedGradients")


def tables(result: dict[str, Any]) -> dict[str, list[dict[str, str]]]:
    """Rows by the line above each table, without its colon."""
    found = {}
    for name, text in re.findall(r"^([^|\n]+):\n\n((?:\|.*\n)+)", "\n".join(claim_tables(result)) + "\n", re.MULTILINE):
        header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
        found[name] = [dict(zip(header, row, strict=True)) for row in rows]
    return found


def numbers(cell: str) -> tuple[float, ...]:
    """A value and its interval."""
    return tuple(float(part.replace("−", "-")) for part in re.split(r" \[|, |\]", cell)[:3])


def test_the_worst_row_is_there_too(
    drawn_measurement: Measurement, result: dict[str, Any], found_in: Callable[[Measurement], dict[str, Any]]
) -> None:
    """Where grouping loses, the table of claims says no, with the corrected interval; and no claim is left out."""
    worst = {Key("Saliency", "Slic", "signed", "ssim"): torch.full((12,), -0.9, dtype=torch.float64)}
    changed = found_in(Measurement(drawn_measurement.values | worst))
    found = tables(result | changed)
    claims = {(row["row"], row["above"]): row for row in found["Raw SSIM"]}
    for against in ("pixels", "cells"):
        (expected,) = [
            each
            for each in changed["verdicts"]
            if (each["method"], each["sign"], each["metric"], each["quantity"], each["grouping"], each["against"])
            == ("Saliency", "signed", "ssim", "value", "Slic", against)
        ]
        cell = claims["Slic (signed)", against]["Saliency"]
        assert numbers(cell) == pytest.approx((expected["difference"], *expected["ci95_holm"]), abs=0.00051)
        assert cell.endswith("*no*")
    rows = [row for of_measure in found.values() for row in of_measure]
    assert len(rows) * len(METHODS) == len(changed["verdicts"])
    assert all(set(row) == {"row", "above", *METHODS} for row in rows)


def test_what_the_claims_are_about(result: dict[str, Any]) -> None:
    """Rivals of another sign or number of views are named with them, null maps at the bottom and as such."""
    text = "\n".join(claim_tables(result))
    rows = tables(result)["Insertion minus deletion"]
    assert [(row["row"], row["above"]) for row in rows] == [
        ("recommended", name)
        for name in (
            "pixels (magnitude)",
            "ensemble (magnitude)",
            "blur",
            "guided filter",
            "cell ensemble",
            "another image (null map)",
            "centered Gaussian (null map)",
        )
    ]
    decided = sum(verdict["verdict"] != "undecided" for verdict in result["verdicts"])
    assert f"These {len(result['verdicts'])} are one family, and corrected" in text
    assert f"; {decided} of them are." in text


def verdict(method: str, against: str, low: float, high: float, word: str) -> dict[str, Any]:
    row = {"grouping": "Slic", "sign": "signed", "views": 1}
    rival = {"against": against, "against_sign": "signed", "against_views": 1}
    found = {"difference": 0.1, "ci95": [0.09, 0.11], "ci95_holm": [low, high], "verdict": word}
    metric = {"metric": "ssim", "quantity": "value"}
    return {"claim": f"raw: {row_label(**row)} above", "method": method, **row, **rival, **metric, **found}


def test_a_claim_that_was_not_measured_for_a_method_is_empty(result: dict[str, Any]) -> None:
    made = [
        verdict("Saliency", "pixels", 0.05, 0.15, "yes"),
        verdict("SmoothGrad", "cells", -0.05, 0.15, "undecided"),
    ]
    rows = tables(result | {"verdicts": made})["Raw"]
    assert rows == [
        {"row": "Slic (signed)", "above": "pixels", "Saliency": "0.100 [0.050, 0.150] *yes*", "SmoothGrad": ""},
        {"row": "Slic (signed)", "above": "cells", "Saliency": "", "SmoothGrad": "0.100 [−0.050, 0.150]"},
    ]
