"""The answer in short: by hand, and held against the verdicts and the comparisons of random values."""

from typing import Any

from captum_superpixel.study.headline import HEADLINE, find_headline, in_short
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.tables import number

KINDS = {"pixels": "pixels", "ensemble": "superpixels", "blur": "control", "noise": "null map"}
BEST = {"grouping": "ensemble", "sign": "evidence", "views": 8}
TITLE = {metric: METRICS[metric].title for metric in HEADLINE}


def report(verdicts: list[dict[str, Any]], comparisons: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    methods = dict.fromkeys(record["method"] for record in (*verdicts, *comparisons))
    given = {
        "groupings": [{"name": name, "kind": kind} for name, kind in KINDS.items()],
        "recommended": dict.fromkeys(methods, BEST),
        "records": [],
    }
    return {**given, "verdicts": verdicts, "comparisons": comparisons, **options}


def compared(against: str, difference: float | None, ci95: list[float | None], **options: Any) -> dict[str, Any]:
    given = {
        "method": "Saliency",
        **BEST,
        "against": against,
        "against_sign": "evidence",
        "against_views": 8,
        "metric": "insertion_auc",
        "quantity": "value",
        "difference": difference,
        "ci95": ci95,
        "n": 25,
    }
    return given | options


def claimed(against: str, difference: float, verdict: str, **options: Any) -> dict[str, Any]:
    """A claim whose corrected interval reaches .2 to either side."""
    made = compared(against, difference, [difference - 0.1, difference + 0.1], **options)
    return {**made, "ci95_holm": [difference - 0.2, difference + 0.2], "verdict": verdict}


def rows(lines: list[str]) -> dict[tuple[str, str], list[str]]:
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in "\n".join(lines).splitlines() if "|" in line]
    return {(row[0], row[1]): row[2:] for row in cells if not row[0].startswith(":-")}


def test_in_short_by_hand() -> None:
    other = {"method": "SmoothGrad"}
    old = {"against_sign": "magnitude", "against_views": 1}
    deletion = {"metric": "deletion_auc"}
    lines = in_short(
        report(
            [
                claimed("noise", 0.5, "yes"),
                claimed("noise", 0.1, "undecided", **other),
                claimed("pixels", 0.3, "yes", **old),
                claimed("pixels", 0.4, "yes", **old, **other),
                claimed("blur", -0.3, "no"),
                claimed("blur", 0.25, "yes", **other),
            ],
            [
                compared("blur", 0.3, [0.25, 0.35], **deletion),
                compared("blur", 0.1, [0.05, 0.15], **deletion, **other),
                # Neither a rival of any claim, nor of the recommended row.
                compared("cells", -0.3, [-0.4, -0.2]),
                compared("pixels", -0.3, [-0.4, -0.2], sign="signed"),
            ],
            records=[
                {"method": "Saliency", **BEST, "metric": "insertion_auc", "value": 0.5},
                {"method": "SmoothGrad", **BEST, "metric": "insertion_auc", "value": 0.75},
                {"method": "SmoothGrad", **BEST, "sign": "signed", "metric": "insertion_auc", "value": 0.875},
                {"method": "Saliency", **BEST, "metric": "deletion_auc", "value": 0.5},
                {"method": "SmoothGrad", **BEST, "metric": "deletion_auc", "value": 0.75},
            ],
        )
    )
    assert [line for line in lines if line.startswith("- ")] == [
        "- against pixels and what was recommended before (*pixels (magnitude)*): better in both comparisons.",
        "- against controls, which smooth without superpixels (*blur*): better in 1 of four comparisons, worse in 3. "
        "**Worse than blur in insertion (Saliency) and deletion.**",
        "- against null maps, which know nothing of what they seem to explain (*noise*): better in 1 of two "
        "comparisons, undecided in 1. Not measurably better than noise in insertion (SmoothGrad).",
    ]
    assert lines[0].startswith("The recommended map is *ensemble (evidence, 8 views)* for Saliency and SmoothGrad.")
    assert "corrected for all 6 claims" in "\n".join(lines)
    assert [label for label, rank in rows(lines) if rank == "best"] == [
        "its value",
        "minus pixels (magnitude)",
        "minus blur",
        "minus noise (null map)",
    ]
    assert rows(lines) == {
        ("the recommended map", "method"): ["insertion ↑", "deletion ↓"],
        ("its value", "worst"): ["0.500", "0.750"],
        ("its value", "best"): ["0.750", "0.500"],
        ("minus pixels (magnitude)", "worst"): ["0.300 ± 0.200 yes", ""],
        ("minus pixels (magnitude)", "best"): ["0.400 ± 0.200 yes", ""],
        ("minus blur", "worst"): ["−0.300 ± 0.200 no", "0.300 (0.250, 0.350) no"],
        ("minus blur", "best"): ["0.250 ± 0.200 yes", "0.100 (0.050, 0.150) no"],
        ("minus noise (null map)", "worst"): ["0.100 ± 0.200 undecided", ""],
        ("minus noise (null map)", "best"): ["0.500 ± 0.200 yes", ""],
    }


def test_a_difference_without_a_figure_is_a_dash() -> None:
    ssim = {"metric": "ssim", "quantity": "excess over random_network"}
    noise = claimed("noise", 0.5, "yes")
    lines = in_short(report([noise], [compared("noise", None, [None, None], **ssim)]))
    assert rows(lines)["minus noise (null map)", ""] == ["–", "0.500 ± 0.200 yes"]
    assert "better in one comparison." in "\n".join(lines)
    assert "Worst" not in "\n".join(lines)


def test_few_images_are_said_to_be_few() -> None:
    for n, said in ((25, False), (24, True)):
        text = "\n".join(in_short(report([claimed("noise", 0.5, "yes", n=n)], [])))
        assert (f"Some claims are over {n} images only" in text) == said


def test_methods_may_have_rows_of_their_own() -> None:
    row = {"grouping": "ensemble", "sign": "magnitude", "views": 8}
    blur = {"method": "SmoothGrad", "sign": "magnitude", "against_sign": "magnitude"}
    made = report([claimed("blur", 0.3, "yes"), claimed("blur", -0.3, "no", **blur)], [])
    lines = in_short(made | {"recommended": {"Saliency": BEST, "SmoothGrad": row}})
    assert "*ensemble (evidence, 8 views)* for Saliency and *ensemble (magnitude, 8 views)* for SmoothGrad" in lines[0]
    assert rows(lines)["minus blur", "worst"] == ["−0.300 ± 0.200 no"]
    assert rows(lines)["minus blur", "best"] == ["0.300 ± 0.200 yes"]


def test_nothing_claimed_nothing_to_say(result: dict[str, Any]) -> None:
    assert in_short(result | {"verdicts": []}) == in_short(result | {"recommended": {}}) == []


def test_every_finding_is_a_verdict_or_a_comparison(result: dict[str, Any], drawn: Any) -> None:
    found = find_headline(result)
    rivals = {claim.rival for claim in drawn.claims if claim.row == drawn.recommended["Saliency"]}
    measured = [metric for metric in HEADLINE if METRICS[metric].compared]
    of_nulls = [metric for metric in measured if METRICS[metric].family != "stability"]
    nulls = {rival for rival in rivals if drawn.kinds[rival.grouping] == "null map"}
    assert len(found) == 2 * (len(rivals - nulls) * len(measured) + len(nulls) * len(of_nulls))
    kinds = [finding.kind for finding in found]
    assert kinds == sorted(kinds, key=lambda kind: kind == "null map")
    assert kinds[-1] == "null map" != kinds[0]
    for finding in found:
        (record,) = [
            each
            for each in result["verdicts" if finding.claimed else "comparisons"]
            if {name: each[name] for name in BEST} == BEST
            and (each["method"], each["metric"]) == (finding.method, finding.metric)
            and each["quantity"] == ("excess over random_network" if METRICS[finding.metric].has_nulls else "value")
            and finding.rival.partition(" (")[0] == each["against"]
            and (finding.kind == "null map" or (each["against_sign"] == "magnitude") == ("(" in finding.rival))
        ]
        assert finding.difference == record["difference"]
        assert finding.interval == record["ci95_holm" if finding.claimed else "ci95"]
        assert number(finding.gain) == number(
            finding.difference if METRICS[finding.metric].higher_is_better else -record["difference"]
        )
