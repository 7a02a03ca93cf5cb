"""The summary: drawn by hand, with every conclusion that it may come to, and held against independent counts."""

import re
from dataclasses import replace
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
        "views": 1,
        "metric": "ssim",
        "quantity": "excess over random_network",
        "n": 99,
    }
    difference = None if low is None or high is None else (low + high) / 2
    made = {**given, "grouping": grouping, "against": against, "difference": difference, "ci95": [low, high]} | options
    return {"against_sign": made["sign"], "against_views": made["views"], **made}


def summary_of(*comparisons: Record) -> str:
    kinds = {"noise": "null map", "pixels": "pixels"}
    return "\n".join(
        summarize(
            {
                "comparisons": list(comparisons),
                "groupings": [{"name": name, "kind": kind} for name, kind in kinds.items()],
            }
        )
    )


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
        "- Better than pixels in every case: Slic in chance-corrected SSIM.",
        "- Worse than pixels in at least one case: ensemble in ROAD.",
        "- Neither better nor worse than pixels in any case: none.",
        "- Better than every control (cells) in every case: none.",
        "- Worse than a control in at least one case:",
        "  - than cells: Slic in chance-corrected SSIM.",
    ]
    assert text.split("\n\n")[2].splitlines() == [
        "- **Chance-corrected SSIM** (stability, higher is better):",
        "  - Against pixels, Slic is better in both; ensemble is better in 1 of 2 (undecided in "
        "1). The worst difference is 0.100 [0.000, 0.200] (ensemble, Saliency, magnitude), "
        "the best 0.400 [0.200, 0.600] (Slic, Saliency, magnitude).",
        "  - Against the controls, Slic is worse in 1 of 2 (undecided in 1). "
        "The worst difference is −0.300 [−0.400, −0.200] (Slic, Saliency, signed), "
        "the best 0.100 [−0.100, 0.300] (Slic, Saliency, magnitude).",
        "  - Raw, without that correction, against pixels, Slic is better; ensemble is worse.",
    ]


def test_rows_of_another_sign_or_views_and_null_maps_have_no_part_in_it() -> None:
    """They differ in more than the grouping, or are no rival that smooths."""
    text = summary_of(
        comparison("ensemble", "pixels", 0.1, 0.2, sign="evidence", views=8),
        comparison("ensemble", "pixels", -0.2, -0.1, sign="evidence", views=8, against_views=1),
        comparison("ensemble", "pixels", -0.2, -0.1, sign="evidence", views=8, against_sign="magnitude"),
        comparison("ensemble", "noise", -0.2, -0.1, sign="evidence", views=8),
    )
    assert "- Better than pixels in every case: ensemble in chance-corrected SSIM.\n" in text
    assert "with evidence maps, over 8 views" in text
    assert "The difference is 0.150 [0.100, 0.200] (ensemble, Saliency, evidence, 8 views)." in text
    assert "noise" not in text
    assert "1 intervals" in text


def test_lower_is_better_where_it_is() -> None:
    """What is worse is the higher deletion, in the counts and in the sentences."""
    options = {"metric": "across_model_variance", "quantity": "value"}
    described = METRICS["across_model_variance"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METRICS, "across_model_variance", replace(described, compared=True, claimed=True))
        text = summary_of(
            comparison("Slic", "pixels", 0.1, 0.2, **options),
            comparison("ensemble", "pixels", -0.2, -0.1, **options),
        )
    assert "- Better than pixels in every case: ensemble in variance over models.\n" in text
    assert "- Worse than pixels in at least one case: Slic in variance over models.\n" in text
    assert "The worst difference is 0.150 [0.100, 0.200] (Slic, " in text
    assert "the best −0.150 [−0.200, −0.100] (ensemble, " in text


def test_ties_are_ties() -> None:
    text = summary_of(comparison("Slic", "pixels", -0.1, 0.1), comparison("ensemble", "pixels", 0.0, 0.1))
    assert "- Better than pixels in every case: none.\n- Worse than pixels in at least one case: none.\n" in text
    assert "- Neither better nor worse than pixels in any case: Slic and ensemble in chance-corrected SSIM.\n" in text
    assert "Slic and ensemble are undecided." in text
    assert "control" not in text


@pytest.mark.parametrize("sign", [1, -1])
def test_the_conclusion_follows_the_sign_of_the_differences(sign: int) -> None:
    ends = sorted((0.1 * sign, 0.2 * sign))
    text = summary_of(comparison("Slic", "pixels", *ends), comparison("Slic", "blur", *ends))
    better, worse = ("Slic in chance-corrected SSIM", "none")[::sign]
    assert (
        f"- Better than pixels in every case: {better}.\n- Worse than pixels in at least one case: {worse}.\n" in text
    )
    assert f"- Better than every control (blur) in every case: {better}.\n" in text
    lost = ("- Worse than a control in at least one case: none.\n", "one case:\n  - than blur: Slic in chance-cor")
    assert (lost[0] in text, lost[1] in text) == (sign > 0, sign < 0)


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
    assert "Slic is better in 1 of 2 (without a figure in 1)." in text
    assert "- Better than pixels in every case: none." in text
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
    assert "- Better than pixels in every case: Slic in chance-corrected SSIM.\n" in text


def judged(record: Record) -> str:
    low, high = record["ci95"]
    higher = METRICS[record["metric"]].higher_is_better
    return "undecided" if low <= 0 <= high else "better" if (low > 0) == higher else "worse"


def test_counts_and_numbers_are_those_of_the_comparisons(result: dict[str, Any]) -> None:
    text = "\n".join(summarize(result))
    wanted = {
        name: "excess over random_network" if metric.has_nulls else "value"
        for name, metric in METRICS.items()
        if metric.compared
    }
    kinds = {grouping["name"]: grouping["kind"] for grouping in result["groupings"]}
    records = [
        each
        for each in result["comparisons"]
        if wanted[each["metric"]] == each["quantity"]
        and (each["sign"], each["views"]) == (each["against_sign"], each["against_views"])
        and kinds[each["against"]] != "null map"
    ]
    counted = 0
    for candidate in ("Slic", "Felzenszwalb", "ensemble"):
        heading = f"\n*{candidate}*, in how many cases better / undecided / worse than:\n\n"
        table = text.split(heading)[1].split("\n\n")[0]
        header, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
        assert len(rows) == len(wanted)
        for metric, (title, *cells) in zip(wanted, rows, strict=True):
            assert title.endswith(METRICS[metric].title)
            for against, cell in zip(header[1:], cells, strict=True):
                of = (candidate, against, metric)
                found = [judged(r) for r in records if (r["grouping"], r["against"], r["metric"]) == of]
                counts = [found.count(verdict) for verdict in ("better", "undecided", "worse")]
                assert cell == " / ".join(map(str, counts)), of
                counted += len(found)
    assert counted == len(records)
    assert f"{len(records)} intervals stand behind" in text
    where = r"\((\w+)(?: against ([\w ]+))?, (\w+), (\w+)(?:, (\d) views)?\)"
    printed = re.findall(r"(−?\d\.\d{3} \[[^]]+\]) " + where, text)
    claimed = [metric for metric in wanted if METRICS[metric].claimed]
    assert len(printed) == 2 * 2 * len(claimed)
    for numbers, grouping, against, method, sign, views in printed:
        key = grouping, against or "pixels", method, sign, int(views or 1)
        names = ("grouping", "against", "method", "sign", "views")
        same = [record for record in records if tuple(record[name] for name in names) == key]
        assert numbers in [with_ci(each["difference"], each["ci95"]) for each in same]
    for metric in claimed:
        of_pixels = [each["difference"] for each in records if (each["metric"], each["against"]) == (metric, "pixels")]
        assert f"The worst difference is {number(min(of_pixels))} [" in text
        assert f", the best {number(max(of_pixels))} [" in text


def test_the_summary_is_no_wall_of_text(result: dict[str, Any]) -> None:
    """Sentences on what is claimed alone; the rest is in the tables. No line but the caveats' is long."""
    lines = [line for line in summarize(result) if line and not line.startswith("|")]
    sentences = [line for line in lines if line.startswith("  - Against")]
    assert len(sentences) == 2 * sum(metric.claimed for metric in METRICS.values())
    assert max(map(len, lines)) < 600
