"""The summary: drawn by hand, with every conclusion that it may come to, and held against independent counts."""

import re
from typing import Any

import pytest

from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.summary import summarize
from captum_superpixel.study.tables import number, with_ci

Record = dict[str, Any]


def comparison(grouping: str, against: str, low: float | None, high: float | None, **options: Any) -> Record:
    """A difference in the middle of its interval."""
    given = {
        "method": "Saliency",
        "sign": "signed",
        "metric": "ssim",
        "quantity": "excess over random_network",
        "n": 99,
    }
    difference = None if low is None or high is None else (low + high) / 2
    return {
        **given,
        "grouping": grouping,
        "against": against,
        "difference": difference,
        "ci95": [low, high],
        **options,
    }


def summary_of(*comparisons: Record) -> str:
    return "\n".join(summarize({"comparisons": list(comparisons)}))


def test_a_summary_by_hand() -> None:
    text = summary_of(
        comparison("Slic", "pixels", 0.1, 0.3),
        comparison("Slic", "pixels", 0.2, 0.6, sign="magnitude"),
        comparison("Slic", "cells", -0.4, -0.2),
        comparison("Slic", "cells", -0.1, 0.3, sign="magnitude"),
        comparison("ensemble", "pixels", 0.1, 0.3),
        comparison("ensemble", "pixels", 0.0, 0.2, sign="magnitude"),
        comparison("ensemble", "Slic", 0.1, 0.5),
        comparison("Slic", "pixels", 0.1, 0.3, quantity="value"),
        comparison("ensemble", "pixels", -0.3, -0.1, quantity="value"),
        comparison("ensemble", "pixels", -0.3, -0.1, metric="road", quantity="value"),
    )
    assert text.split("\n\n")[0].splitlines() == [
        "- Above pixels in every case: Slic in chance-corrected SSIM.",
        "- Below pixels in at least one case: ensemble in ROAD.",
        "- Neither above nor below pixels in any case: none.",
        "- Above every control (cells) in every case: none.",
        "- Below a control in at least one case: Slic in chance-corrected SSIM.",
    ]
    assert text.split("\n\n")[2].splitlines() == [
        "- **Chance-corrected SSIM** (stability, higher is better):",
        "  - Against pixels (two comparisons each), Slic is above in both; ensemble is above in 1 of 2 (undecided in "
        "1). The worst difference is 0.100 [0.000, 0.200] (ensemble, Saliency, magnitude), "
        "the best 0.400 [0.200, 0.600] (Slic, Saliency, magnitude).",
        "  - Against the controls (two comparisons each), Slic is below in 1 of 2 (undecided in 1). "
        "The worst difference is −0.300 [−0.400, −0.200] (Slic, Saliency, signed), "
        "the best 0.100 [−0.100, 0.300] (Slic, Saliency, magnitude).",
        "  - Raw, without that correction, against pixels, Slic is above; ensemble is below.",
        "- **ROAD** (fidelity, higher is better):",
        "  - Against pixels (one comparison each), ensemble is below. "
        "The difference is −0.200 [−0.300, −0.100] (ensemble, Saliency, signed).",
    ]


def test_ties_are_ties() -> None:
    text = summary_of(comparison("Slic", "pixels", -0.1, 0.1), comparison("ensemble", "pixels", 0.0, 0.1))
    assert "- Above pixels in every case: none.\n- Below pixels in at least one case: none.\n" in text
    assert "- Neither above nor below pixels in any case: Slic and ensemble in chance-corrected SSIM.\n" in text
    assert "Slic and ensemble are undecided." in text
    assert "control" not in text


@pytest.mark.parametrize("sign", [1, -1])
def test_the_conclusion_follows_the_sign_of_the_differences(sign: int) -> None:
    ends = sorted((0.1 * sign, 0.2 * sign))
    text = summary_of(comparison("Slic", "pixels", *ends), comparison("Slic", "blur", *ends))
    above, below = ("Slic in chance-corrected SSIM", "none")[::sign]
    assert f"- Above pixels in every case: {above}.\n- Below pixels in at least one case: {below}.\n" in text
    assert (
        f"Above every control (blur) in every case: {above}.\n- Below a control in at least one case: {below}.\n"
        in text
    )


def test_nothing_to_compare() -> None:
    text = summary_of()
    assert text.startswith("Nothing was measured by which groupings could be compared")
    assert "|" not in text


def test_one_image_decides_nothing() -> None:
    road = {"difference": 0.5, "n": 1, "metric": "road", "quantity": "value"}
    text = summary_of(comparison("Slic", "pixels", None, None, **road), comparison("Slic", "pixels", 0.1, 0.2, n=4))
    assert "- **ROAD** (fidelity, higher is better): measured on one image, which gives no interval" in text
    assert text.count("ROAD") == 1  # neither among the conclusions nor in the table
    assert "0.500" not in text
    assert "Some intervals are over four images only." in text
    alone = summary_of(comparison("Slic", "pixels", None, None, **road))
    assert alone.strip() == "Every measure was taken on a single image, which gives no interval: nothing is decided."


def test_many_images_need_no_warning() -> None:
    text = summary_of(comparison("Slic", "pixels", 0.1, 0.2, n=25))
    assert "images only" not in text
    assert "one image" not in text
    assert "null is above" not in text


def test_a_difference_without_a_figure_is_not_a_tie() -> None:
    """It is missing since a null is near 1: what is left decides."""
    text = summary_of(
        comparison("Slic", "pixels", 0.1, 0.2),
        comparison("Slic", "pixels", None, None, difference=float("nan"), sign="magnitude"),
    )
    assert "Slic is above in 1 of 2 (without a figure in 1)." in text
    assert "- Above pixels in every case: none." in text
    assert "There is no figure where a null is above 0.9." in text
    assert "1 / 0 / 0" in text
    assert "nan" not in text


def test_as_many_by_chance_as_intervals_say() -> None:
    """Of 95 % intervals of nothing one in forty lies above 0."""
    many = [comparison("Slic", "pixels", -0.1, 0.1, method=f"m{place}") for place in range(80)]
    assert "80 intervals stand behind this summary" in summary_of(*many)
    assert "about 2 would still lie above 0 by chance" in summary_of(*many)
    assert "about 0.050 would still" in summary_of(*many[:2])


def test_without_a_random_network_the_permutation_is_the_null() -> None:
    text = summary_of(
        comparison("Slic", "pixels", 0.1, 0.2, quantity="excess over permutation"),
        comparison("Slic", "pixels", -0.2, -0.1, quantity="value"),
    )
    assert "- Above pixels in every case: Slic in chance-corrected SSIM.\n" in text


def judged(record: Record) -> str:
    low, high = record["ci95"]
    return "above" if low > 0 else "below" if high < 0 else "undecided"


def test_counts_and_numbers_are_those_of_the_comparisons(result: dict[str, Any]) -> None:
    text = "\n".join(summarize(result))
    wanted = {
        name: "excess over random_network" if metric.has_nulls else "value"
        for name, metric in METRICS.items()
        if metric.compared
    }
    records = [each for each in result["comparisons"] if wanted[each["metric"]] == each["quantity"]]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if " against " in line and "|" in line
    ]
    assert len(rows) == len({(each["grouping"], each["against"]) for each in records})
    for label, *cells in rows:
        for metric, cell in zip(wanted, cells, strict=True):
            found = [
                judged(each)
                for each in records
                if (f"{each['grouping']} against {each['against']}", each["metric"]) == (label, metric)
            ]
            counts = [found.count(verdict) for verdict in ("above", "undecided", "below")]
            assert cell == " / ".join(map(str, counts)), (label, metric)
    assert f"{len(records)} intervals stand behind" in text
    printed = re.findall(r"(−?\d\.\d{3} \[[^]]+\]) \((\w+)(?: against ([\w ]+))?, (\w+), (\w+)\)", text)
    assert len(printed) == 2 * 2 * len(wanted)
    for numbers, grouping, against, method, sign in printed:
        key = grouping, against or "pixels", method, sign
        same = [r for r in records if (r["grouping"], r["against"], r["method"], r["sign"]) == key]
        assert numbers in [with_ci(each["difference"], each["ci95"]) for each in same]
    for metric in wanted:
        of_pixels = [each["difference"] for each in records if (each["metric"], each["against"]) == (metric, "pixels")]
        assert f"The worst difference is {number(min(of_pixels))} [" in text
        assert f", the best {number(max(of_pixels))} [" in text
