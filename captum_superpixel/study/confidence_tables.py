"""How sure regions are, as a section of a study's report: what was said, what came true, what else could be asked."""

from collections.abc import Iterable, Sequence
from typing import Any

from captum_superpixel._texts import joined
from captum_superpixel.study.mean_maps import OWN
from captum_superpixel.study.predictors import ALL, DRAWN, FURTHER, OWN_RANK, OWN_TOP
from captum_superpixel.study.region_scores import ENSEMBLE
from captum_superpixel.study.results import Record
from captum_superpixel.study.tables import number, spelled, table, with_ci

__all__ = ["confidence_tables", "name_map"]

_FIGURES = {"auroc": "AUROC", "brier_skill": "Brier skill", "calibration_error": "calibration error"}
_SAID = DRAWN["joint"]
_FEW_NETWORKS = 3
_MAPS = {
    OWN: "the map itself",
    "views": "mean of {} views",
    "noise": "mean of {} noisy images",
    "joint": "mean of {} draws",
}


def confidence_tables(found: Record | None, picture: Sequence[str] = ()) -> list[str]:
    """Write what was found of how sure regions are.

    Args:
        found: What ``report.json`` holds as ``confidence``.
        picture: The lines that show the reliability figure, if there is one.

    Returns:
        Lines of Markdown; none where it was not measured.
    """
    if not found:
        return []
    lines = ["## How sure a region is", "", *_introduction(found), *_summary(found), *picture]
    lines += _said(found, OWN_TOP, "Of the regions of the own top k, how many *stayed* there in another network:")
    lines += _said(found, ALL, "Of all regions, how many were among the top k of another network:")
    lines += _asked(found) + _coverage(found) + _mean_maps(found) + _top_regions(found)
    return lines


def name_map(kind: str, draws: int) -> str:
    """Name a map, or the mean of some of them.

    Examples:
        >>> name_map("joint", 12)
        'mean of 12 draws'
    """
    return _MAPS[kind].format(draws)


def _introduction(found: Record) -> list[str]:
    networks, draws = found["networks"], found["draws"]
    strengths = joined(number(strength) for strength in found["strengths"])
    text = (
        f"Each of {spelled(networks, 'network')} was in turn a user's own: {draws} draws of "
        "`perturbed_attributions`, which perturb its weights and shift the image a little, say of each region with "
        "which probability it is among the top k of another network (`stays_top` in `region_table`). What the other "
        f"networks' maps of the same {spelled(found['images'], 'image')} show is what this is held against. Nothing is "
        f"fitted to other networks. The strengths that keep {found['keep']:.0%} of a network's predictions are "
        f"{strengths}. Regions are segments of Slic, and those of the ensemble's own map."
    )
    if any(record["sign"] == "signed" for record in found["records"]):
        text += (
            " For signed scores `region_table` gives no probability, as it is not calibrated everywhere; they stand "
            "here to be compared."
        )
    figures = (
        "*AUROC*: how well what was said tells the regions that stay from the others; .5 is chance, and all that the "
        "base rate reaches. *Brier skill*: the share of the base rate's squared error that is taken away; 0 is no "
        "better than the base rate, below 0 is worse. *Calibration error*: by how much probabilities differ from "
        "frequencies, expected, in 10 bins; it is above 0 by chance, and both of its intervals lie rather too high."
    )
    if networks < _FEW_NETWORKS:
        intervals = (
            "In brackets stand 95 % bootstrap intervals over images. With two networks there is no interval over "
            "networks, and no further network that could be asked in place of the own one: both are left out."
        )
    else:
        intervals = (
            "In brackets stand two 95 % bootstrap intervals: over images; and over images and networks, both drawn "
            "with replacement, which is rather too narrow for few networks. *One more network*: what the map of a "
            "network that is neither the own nor the other says of the region."
        )
    return [text, "", figures, "", intervals, ""]


def _summary(found: Record) -> list[str]:
    """The range of the figures over methods and regions, by magnitudes."""
    magnitudes = [record for record in found["records"] if record["which"] == OWN_TOP and record["sign"] == "magnitude"]
    lines = []
    for k in dict.fromkeys(record["k"] for record in magnitudes):
        of_k = [record for record in magnitudes if record["k"] == k]

        def span(predictor: str, name: str, of_k: Sequence[Record] = of_k) -> str:
            return _span(record[name]["value"] for record in of_k if record["predictor"] == predictor)

        text = f"- Of the own top {k} by magnitudes, AUROC {span(_SAID, 'auroc')} (own rank {span(OWN_RANK, 'auroc')}"
        if any(record["predictor"] == FURTHER for record in of_k):
            text += f", one more network {span(FURTHER, 'auroc')}"
        text += f", input noise alone {span(DRAWN['noise'], 'auroc')})" if _has(of_k, DRAWN["noise"]) else ")"
        text += f"; Brier skill {span(_SAID, 'brier_skill')}; calibration error {span(_SAID, 'calibration_error')}."
        lines.append(text)
    held = [record["held"]["value"] for record in found["coverage"] if record["predictor"] == _SAID]
    if held:
        lines.append(f"- Intervals that say 95 % held {_span(held)} of the other networks' scores.")
    return [*lines, ""] if lines else []


def _has(records: Iterable[Record], predictor: str) -> bool:
    return any(record["predictor"] == predictor for record in records)


def _span(values: Iterable[float | None]) -> str:
    known = sorted(value for value in values if value is not None and number(value) != "–")
    if not known:
        return "–"
    low, high = number(known[0]), number(known[-1])
    return low if low == high else f"{low} to {high}"


def _said(found: Record, which: str, note: str) -> list[str]:
    rows = [
        [*_place(record), record["n"], number(record["base_rate"]), *_figures(record)]
        for record in found["records"]
        if record["which"] == which and record["predictor"] == _SAID
    ]
    rate = "stayed" if which == OWN_TOP else "happened"
    header = ["method", "regions", "k", "cases", rate, *_FIGURES.values()]
    return [note, "", *table(header, rows)] if rows else []


def _asked(found: Record) -> list[str]:
    records = [record for record in found["records"] if record["which"] == OWN_TOP]
    first = next((record["regions"] for record in records if record["regions"] != ENSEMBLE), None)
    rows = [
        [*_place(record, regions=False), f"**{asked}**" if asked == _SAID else asked, *_figures(record)]
        for record in records
        if record["regions"] == first
        for asked in [record["predictor"]]
    ]
    note = (
        f"About the own top k, in {first}; other regions are in report.json. What orders regions but gives no "
        "probability has no skill and no error. *Fitted*: by a logistic regression on other images, as the skill and "
        "the error of one more network are, too."
    )
    header = ["method", "k", "asked", *_FIGURES.values()]
    return ["### What else could be asked", "", note, "", *table(header, rows)] if rows else []


def _coverage(found: Record) -> list[str]:
    rows = [[*_place(record, k=False), record["predictor"], _cell(record["held"])] for record in found["coverage"]]
    note = (
        "How often 95 % intervals of a region's score (in z-scores within the image, ± 1.96 √2 standard deviations of "
        "the draws) held its score in another network:"
    )
    header = ["method", "regions", "draws", "held"]
    return ["### Intervals that say 95 %", "", note, "", *table(header, rows)] if rows else []


def _mean_maps(found: Record) -> list[str]:
    records = found["mean_maps"]
    if not records:
        return []
    rows = [
        [
            record["method"],
            name_map(record["map"], found["draws"]),
            record["smoothing"],
            *(
                _cell(record[name])
                for name in ("ssim_excess", "top_k_iou_excess", "insertion", "deletion", "insertion_minus_deletion")
            ),
        ]
        for record in records
    ]
    note = (
        f"The mean magnitude of the draws as a map of its own, beside means of as many maps "
        f"({spelled(records[0]['n'], 'image')}). SSIM and top-10 % IoU of two networks' maps, chance-corrected over "
        "the random network; insertion and deletion of one network's map for each image, each in turn; intervals over "
        "images:"
    )
    header = ["method", "map", "smoothing", "SSIM", "top-10 % IoU", "insertion", "deletion", "difference"]
    return ["### The mean map of the draws", "", note, "", *table(header, rows)]


def _top_regions(found: Record) -> list[str]:
    rows = [
        [r["method"], name_map(r["map"], found["draws"]), r["regions"], r["k"], _cell(r["iou"])]
        for r in found["top_regions"]
    ]
    note = "How far the top k regions of two networks are the same ones, over the union:"
    return [note, "", *table(["method", "map", "regions", "k", "IoU"], rows)] if rows else []


def _place(record: Record, *, regions: bool = True, k: bool = True) -> list[Any]:
    """What stands at the beginning of a row."""
    signed = ", signed" if record["sign"] == "signed" else ""
    place = [f"{record['method']}{signed}"]
    return place + ([record["regions"]] if regions else []) + ([record["k"]] if k else [])


def _figures(record: Record) -> list[str]:
    return [_cell(record[name]) for name in _FIGURES]


def _cell(figure: Record | None) -> str:
    """A value, its interval over images, and that over images and networks where there is one."""
    if figure is None:
        return "–"
    text = with_ci(figure["value"], figure["ci95"])
    low, high = figure.get("ci95_networks", (None, None))
    return text if "–" in (number(low), number(high), text) else f"{text} [{number(low)}, {number(high)}]"
