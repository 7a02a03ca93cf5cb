"""What was done in a study, and what the words of its report mean."""

from collections.abc import Mapping

from captum_superpixel._texts import joined
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.study.metric_table import MAX_NULL, METRICS
from captum_superpixel.study.results import NULL_MAP, Report
from captum_superpixel.study.rows import PIXELS
from captum_superpixel.study.settings import METHOD_NAMES, POSSIBLE_METHODS
from captum_superpixel.study.tables import number, spelled

__all__ = ["how_to_read", "introduction", "on_localization"]


def introduction(result: Report) -> list[str]:
    """Say what was done, what the signs of maps mean, and what views are, in a paragraph.

    Args:
        result: What ``report.json`` holds.
    """
    data, networks = result["dataset"], [model["name"] for model in result["models"]]
    methods, signs = (list(dict.fromkeys(record[name] for record in result["records"])) for name in ("method", "sign"))
    others = [g["name"] for g in result["groupings"] if g["kind"] not in (PIXELS, NULL_MAP)]
    null_maps = [g["name"] for g in result["groupings"] if g["kind"] == NULL_MAP]
    count = spelled(len(networks), "network").capitalize()
    same = "the same " if len(networks) > 1 else ""
    images = spelled(data["explained_images"], "image")
    by = f" by {joined(methods)}" if methods else ""
    text = f"{count} ({joined(networks)}) explain{'s' * (len(networks) == 1)} {same}{images}{by}."
    if others:
        text += (
            f" Each map is measured as it is (*{PIXELS}*) and smoothed: *{joined(others)}*, which “Networks, images "
            "and groupings” describes."
        )
    if null_maps:
        names = joined(null_maps)
        text += f" Beside them stand {NULL_MAP}s, which know nothing of what they seem to explain: *{names}*."
    meanings = {
        "signed": "*Signed* maps keep the sign of each pixel, positive where it raises the score of the class (for "
        "gradients: where a higher value would), negative where it lowers it, so that the two cancel within a group.",
        "magnitude": "*Magnitude* maps are absolute values, taken before averaging: how strong a pixel is, in "
        "whichever direction.",
        "evidence": "*Evidence* maps are contributions (for gradients: times what tells the image from a blurred one), "
        "whose positive and negative parts are averaged apart, the latter by a weight"
        f"{_weights(result['negative_weights'])}: what speaks against the class counts in part against what speaks for "
        "it.",
    }
    told = [text, *(meaning for sign, meaning in meanings.items() if sign in signs)]
    if unsigned := [method for method in methods if method in METHODS and not METHODS[method].signed]:
        told.append(
            f"Maps of {joined(unsigned)} have no signs: they say how often an element is among the largest tenth of "
            "the gradients of noisy copies, of either sign. Their signed and their magnitude rows are the same, and "
            "their evidence is the mean of what they are, not of contributions."
        )
    if views := sorted({record["views"] for record in result["records"]} - {1}):
        spread = [method for method in POSSIBLE_METHODS[1:] if method in {*METHOD_NAMES, *methods}]
        told.append(
            "*Views* are flipped and slightly shifted copies of the image, over which a map is the average. They take "
            f"Saliency {joined(views, 'or')} passes in place of one; {joined(spread)}, whose steps and samples each "
            "take another view, no more than without."
        )
    return [" ".join(told), ""]


def _weights(of: Mapping[str, float]) -> str:
    if len(set(of.values())) < 2:
        return "".join(f" of {weight:g}" for weight in set(of.values()))
    return f" of {joined(f'{weight:g} ({method})' for method, weight in of.items())}"


def how_to_read(result: Report) -> list[str]:
    """Explain nulls, chance-corrected values, intervals, and every measure that was taken, in a line.

    Args:
        result: What ``report.json`` holds.
    """
    measured = {record["metric"]: METRICS[record["metric"]] for record in result["records"]}
    if not measured:
        return []
    lines = ["## How to read this report", ""]
    if any(metric.has_nulls for metric in measured.values()):
        lines += [
            "**Nulls.** Maps that say nothing can look alike: whatever is averaged over the same segments shares their "
            "outlines. So each similarity of two networks' maps is set against what it would be without agreement. "
            "*Permutation*: the pixels of both maps are shuffled before grouping; what is left is made by grouping. "
            "*Random network*: a trained network's map against that of an untrained one (a randomized model) of the "
            "same architecture; what is left is made by the image and the architecture. The latter is the harder one, "
            "as a rule.",
            "",
            "**Chance-corrected (excess).** (value − null) / (1 − null): 1 is perfect agreement, 0 is no more than the "
            f"null, below 0 is less. Where the null is above {MAX_NULL} there is none, but a dash: divided by the "
            "little that is left of 1, noise would look like a result.",
            "",
        ]
    lines += [
        "**Intervals** in brackets are 95 % bootstrap intervals over the explained images; those of differences are "
        "paired by image. They say how far a number would move with other images. They do *not* say how far it would "
        "move with other trained networks: for that, repeat the study with another `--seed`. Those of the claims are "
        "corrected for their number by Holm's method, the others are not: of a hundred intervals of differences that "
        "are 0, about five exclude it. Over fewer than some 25 images they are too narrow. Dashes stand where there is "
        "none: for a single image, or where a null is 1 in some of the resamples. Verdicts were made before rounding.",
        "",
        "**Measures:**",
        "",
    ]
    for metric in (metric for name, metric in METRICS.items() if name in measured and metric.printed):
        meaning = f": {metric.meaning}" if metric.meaning else ""
        direction = "" if metric.family == "complexity" else f", {metric.direction}"
        lines.append(f"- *{metric.title}* ({metric.family}{direction}){meaning}.")
    return [*lines, ""]


def on_localization(result: Report) -> str:
    """Say on which maps localization is measured, and how mosaics were made, where there are any.

    Args:
        result: What ``report.json`` holds.
    """
    told = "Of the first network's maps, where the data know which pixels are the object's."
    made = result.get("mosaics")
    if not made:
        return told
    side, cells = made["side"], made["side"] ** 2
    size = "x".join(map(str, made["shape"]))
    layout = "at its full size" if made["layout"] == "full" else "scaled to a cell"
    recurring = made["count"] * cells / made["images"]
    again = (
        f", each in {recurring:.1f} mosaics on average; the intervals take mosaics for independent, and are somewhat "
        "too narrow"
        if recurring > 1
        else ""
    )
    return (
        f"{told} The grid pointing game needs no such knowledge. It is played on {spelled(made['count'], 'mosaic')} "
        f"({size}) of {side} x {side} held-out images of different classes, each image {layout}: {made['images']} "
        f"images out of the {made['pool']} that the first network is surest of, which it gives a probability of "
        f"{number(made['least_confidence'])} or more when they stand alone (on average {number(made['confidence'])})"
        f"{again}. In a mosaic a class of its images has a probability of {number(made['probability'])} on average, "
        f"and {made['among_most_probable']:.0%} of them are among the {spelled(cells)} most probable ones. Each mosaic "
        "is explained for one class, whose cell is drawn at random, and the figure is the share of the positive scores "
        f"in this cell: by chance {number(1 / cells)}. Magnitudes have no sign, and what speaks against the class "
        "counts in them as what speaks for it. Maps are grouped on the mosaic as the network sees it. Superpixels "
        "hardly cross the straight borders between its images, which favors them somewhat, and squares, where their "
        "number along a side is even, do not cross them at all; blurs and filters do."
    )
