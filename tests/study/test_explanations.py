"""What a report says of its words: once, before the numbers, and of nothing that was not measured."""

import re
from typing import Any

from captum_superpixel.study.markdown import to_markdown
from captum_superpixel.study.metric_table import METRICS


def test_every_measure_is_explained_in_a_line_with_its_direction(result: dict[str, Any]) -> None:
    text = to_markdown(result)
    explained = dict(re.findall(r"^- \*(.+)\* \(\w+, (\w+) is better\): .{20,}\.$", text, re.MULTILINE))
    assert explained == {
        METRICS[name].title: "higher" if METRICS[name].higher_is_better else "lower"
        for name in METRICS
        if METRICS[name].printed and METRICS[name].family != "complexity"
    }
    assert re.search(r"^- \*entropy\* \(complexity\): .{20,}\.$", text, re.MULTILINE)
    fidelity = [record for record in result["records"] if record["family"] == "fidelity"]
    assert "*SSIM* (stability" not in to_markdown(result | {"records": fidelity})


def test_the_summary_comes_first_and_words_before_tables(result: dict[str, Any]) -> None:
    """Signed and magnitude are explained once, before any number, and intervals before the tables."""
    text = to_markdown(result)
    headings = re.findall(r"^## (.+)", text, re.MULTILINE)
    assert headings[:3] == ["In short", "Summary of all groupings", "How to read this report"]
    for words in (
        "*Signed* maps keep the sign",
        "*Magnitude* maps are absolute values",
        "*Evidence* maps are contributions",
        "by a weight of 0.5: ",
        "*Views* are flipped and slightly shifted copies",
        "null maps, which know nothing of what they seem to explain: *another image and centered Gaussian*.",
    ):
        assert text.count(words) == 1
        assert text.index(words) < text.index("## In short")
    for words in (
        "bootstrap intervals over the explained images",
        "other trained networks",
        "corrected for their number by Holm's method, the others are not",
    ):
        assert text.index("## How to read") < text.index(words) < text.index("\n## Networks, images and groupings")
    only_signed = [record for record in result["records"] if record["sign"] == "signed"]
    for absent in ("*Magnitude* maps", "*Evidence* maps", "*Views*"):
        assert absent not in to_markdown(result | {"records": only_signed})
    weights = {"Saliency": 0.5, "SmoothGrad": 0.25}
    text = to_markdown(result | {"negative_weights": weights})
    assert "by a weight of 0.5 (Saliency) and 0.25 (SmoothGrad): " in text


def test_what_maps_without_signs_are(result: dict[str, Any]) -> None:
    """And that their views cost nothing; of neither is anything said where they were not measured."""
    words = "Maps of SparsifiedSmoothGrad have no signs: "
    text = to_markdown(result)
    assert words not in text
    assert "; IntegratedGradients and SmoothGrad, whose steps and samples" in text
    others = [record | {"method": "SparsifiedSmoothGrad"} for record in result["records"]]
    text = to_markdown(result | {"records": [*result["records"], *others]})
    assert text.count(words) == 1
    assert "Their signed and their magnitude rows are the same" in text
    assert "; IntegratedGradients, SmoothGrad and SparsifiedSmoothGrad, whose steps and samples" in text


def test_nothing_measured_nothing_to_read(result: dict[str, Any]) -> None:
    nothing = {"records": [], "comparisons": [], "verdicts": []}
    text = to_markdown(result | nothing)
    assert "How to read" not in text
    assert "explain the same twelve images. Each map" in text
    assert "*Signed* maps" not in text
    assert "## Networks, images and groupings" in text
