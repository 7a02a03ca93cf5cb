"""The report of a study to read: a summary in sentences, what the words mean, the figures, and the tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from captum_superpixel._texts import joined
from captum_superpixel.study.claim_tables import claim_tables
from captum_superpixel.study.confidence_tables import confidence_tables
from captum_superpixel.study.explanations import how_to_read, introduction, on_localization
from captum_superpixel.study.headline import in_short
from captum_superpixel.study.metric_table import MAX_NULL, METRICS, PERMUTATION, RANDOM_NETWORK, Metric
from captum_superpixel.study.pairs import pair_tables
from captum_superpixel.study.results import NULL_MAP, Record, Report
from captum_superpixel.study.summary import summarize
from captum_superpixel.study.tables import number, table, with_ci

__all__ = ["to_markdown"]

_FAMILIES = {
    "stability": "How alike the maps of different networks are.",
    "fidelity": "Of the first network's maps. Pixels are ranked from the highest score to the lowest, those of signed "
    "maps with their sign.",
}
_METHODS_PER_TABLE = 3
"""So that a table fits a page."""
_ROW_HEADER = ("grouping", "sign", "views")


def to_markdown(result: Report, pictures: Mapping[str, str] | None = None) -> str:
    """Write a report: what was found first, then how to read it, then all of it.

    Args:
        result: What ``report.json`` holds.
        pictures: The figures that stand beside it: from the name of a file to what it shows.

    Returns:
        Markdown, ending in a line break.
    """
    shown = pictures or {}
    lines = [f"# Study of {result['dataset']['name']}", "", *introduction(result)]
    if short := in_short(result):
        lines += ["## In short", "", *short, *_picture(shown, "differences.png")]
    lines += ["## Summary of all groupings", "", *summarize(result)]
    lines += how_to_read(result)
    figures = [line for name in ("stability.png", "maps.png") for line in _picture(shown, name)]
    lines += ["## Figures", "", *figures] if figures else []
    lines += _setting(result)
    lines += claim_tables(result)
    kinds = {grouping["name"]: grouping["kind"] for grouping in result["groupings"]}
    for family, note in (_FAMILIES | {"localization": on_localization(result)}).items():
        lines += _family(result["records"], kinds, family, note)
    lines += pair_tables(result)
    lines += confidence_tables(result.get("confidence"), _picture(shown, "reliability.png"))
    lines += _complexity(result["records"], result["groupings"])
    lines += _variance(result["variance_by_size"], _picture(shown, "sizes.png"))
    lines += _mege_reco(result.get("mege_reco") or [])
    lines += _roar(result.get("roar") or [])
    lines += _made_with(result)
    lines += _seconds(result)
    return "\n".join(lines) + "\n"


def _picture(pictures: Mapping[str, str], name: str) -> list[str]:
    return [f"![{pictures[name]}]({name})", ""] if name in pictures else []


def _setting(result: Report) -> list[str]:
    data, settings = result["dataset"], result["settings"]
    size = "x".join(map(str, data["shape"]))
    fidelity, road = (min(settings[f"{name}_images"], data["explained_images"]) for name in ("fidelity", "road"))
    lines = [
        "## Networks, images and groupings",
        "",
        f"{data['explained_images']} of {data['held_out_images']} held-out images ({size}) were explained, the first "
        f"that all networks classify correctly; insertion and deletion on {fidelity} of them, ROAD on {road}. The "
        "accuracy is that on all held-out images.",
        "",
    ]
    models = [
        [
            m["name"],
            f"{m['parameters']:,}",
            f"{m['train_images']:,}" if m["train_images"] else "user-supplied",
            f"{m['accuracy']:.1%}",
        ]
        for m in result["models"]
    ]
    lines += table(["network", "parameters", "training images", "accuracy"], models)
    groupings = [
        [g["name"], g.get("meaning") or g["averages"], f"{g['mean_segments']:.0f}"]
        for g in sorted(result["groupings"], key=lambda grouping: grouping["kind"] == NULL_MAP)
    ]
    return lines + table(["grouping", "what is averaged over", "segments per image"], groupings)


def _family(records: Sequence[Record], kinds: Mapping[str, str], family: str, note: str) -> list[str]:
    found = [record for record in records if record["family"] == family]
    if not found:
        return []
    if any(kinds[record["grouping"]] == NULL_MAP for record in found):
        note += f" The rows at the bottom, each called a {NULL_MAP}, know nothing of what they seem to explain."
    lines = [f"## {family.capitalize()}", "", note, ""]
    for name, metric in METRICS.items():
        of_metric = [record for record in found if record["metric"] == name]
        if of_metric and metric.printed:
            lines += [f"### {metric.title} ({metric.direction})", "", *_metric(of_metric, kinds, metric)]
    return lines


def _metric(records: Sequence[Record], kinds: Mapping[str, str], metric: Metric) -> list[str]:
    """A row for each grouping, sign and number of views, a column for each method; chance-corrected values first."""
    if not metric.has_nulls:
        return _by_method(records, kinds, lambda record: with_ci(record["value"], record["ci95"]))

    def corrected(record: Record) -> str:
        interval = record["excess_ci95"].get(RANDOM_NETWORK, (None, None))
        return with_ci(record["excess"].get(RANDOM_NETWORK), interval)

    def raw(record: Record) -> str:
        return f"{number(record['value'])} ({number(record['excess'].get(PERMUTATION))})"

    lines = ["Chance-corrected over the random network, with 95 % intervals:", ""]
    lines += _by_method(records, kinds, corrected)
    lines += ["Raw, and in parentheses chance-corrected over the permutation:", "", *_by_method(records, kinds, raw)]
    if any((null or 0) > MAX_NULL for record in records for null in record["nulls"].values()):
        lines += [f"–: the null is above {MAX_NULL}.", ""]
    return lines


def _by_method(records: Sequence[Record], kinds: Mapping[str, str], cell: Callable[[Record], str]) -> list[str]:
    of = {(*_row(record), record["method"]): record for record in records}
    methods = list(dict.fromkeys(record["method"] for record in records))
    rows = _rows(records, kinds)
    lines = []
    for start in range(0, len(methods), _METHODS_PER_TABLE):
        shown = methods[start : start + _METHODS_PER_TABLE]
        cells = [
            [*_labels(row, kinds), *(cell(of[*row, method]) if (*row, method) in of else "" for method in shown)]
            for row in rows
        ]
        lines += table([*_ROW_HEADER, *shown], cells)
    return lines


def _row(record: Record) -> tuple[str, str, int]:
    return record["grouping"], record["sign"], record["views"]


def _rows(records: Sequence[Record], kinds: Mapping[str, str]) -> list[tuple[str, str, int]]:
    """The rows of a table: null maps last, and each grouping's together, in the order of the report's groupings."""
    order = sorted(kinds, key=lambda name: kinds[name] == NULL_MAP)
    return sorted(dict.fromkeys(map(_row, records)), key=lambda row: order.index(row[0]))


def _labels(row: tuple[str, str, int], kinds: Mapping[str, str]) -> tuple[str, str, int]:
    grouping, sign, views = row
    return (f"{grouping} ({NULL_MAP})" if kinds[grouping] == NULL_MAP else grouping), sign, views


def _complexity(records: Sequence[Record], groupings: Sequence[Record]) -> list[str]:
    """One table of what is neither better nor worse, the methods beside each other in a cell."""
    found = [record for record in records if record["family"] == "complexity"]
    if not found:
        return []
    kinds = {grouping["name"]: grouping["kind"] for grouping in groupings}
    segments = {grouping["name"]: f"{grouping['mean_segments']:.0f}" for grouping in groupings}
    metrics, methods = (list(dict.fromkeys(record[name] for record in found)) for name in ("metric", "method"))
    of = {(*_row(record), record["metric"], record["method"]): number(record["value"]) for record in found}
    rows = [
        [
            *_labels(row, kinds),
            segments[row[0]],
            *(" / ".join(of.get((*row, metric, method), "–") for method in methods) for metric in metrics),
        ]
        for row in _rows(found, kinds)
    ]
    note = (
        "How much there is in the first network's maps. A map that few numbers describe, such as a Gaussian in the "
        "middle or a handful of large segments, is alike between networks for nothing: this table is here so that it "
        "is recognized, and similarities are held against those of maps as complex. Neither higher nor lower is "
        f"better. In each cell: {' / '.join(methods)}. *Segments*: of one segmentation; else pixels."
    )
    header = [*_ROW_HEADER, "segments", *(METRICS[metric].title for metric in metrics)]
    return ["## Complexity", "", note, "", *table(header, rows)]


def _variance(records: Sequence[Record], picture: Sequence[str]) -> list[str]:
    if not records:
        return []
    lines = [
        "## Variance over networks by the size of segments",
        "",
        "Variance of signed grouped maps over the networks, that of pixel maps being 1 (lower is better). 1/|S|, |S| "
        "being the pixels of a segment, is what independent noise would leave; what lies above it is shared by "
        "neighboring pixels. *Shuffled*: of maps whose pixels were permuted first. *Relative*: to the energy of the "
        "mean map. *Correlation*: over networks, of two pixels of a segment, were it that of any two pixels of the "
        "image that lie as far apart in the same direction; *predicted*: the variance (1 + (|S| − 1) correlation) / "
        "|S| that is then left. Where *measured over predicted* is not 1, it matters which pixels a segment holds, not "
        "only how far apart they are: they vary together more or less than others, or maps vary most where segments "
        "are small (above 1) or large (below).",
        "",
        *picture,
    ]
    for method in dict.fromkeys(record["method"] for record in records):
        of_method = [record for record in records if record["method"] == method]
        rows = [
            [
                *_size(r),
                with_ci(r["variance_ratio"], r["ci95"]),
                number(1 / r["mean_segment_pixels"]),
                number(r["shuffled_ratio"]),
                number(r["across_model_variance"]),
            ]
            for r in of_method
        ]
        header = ["segments", "pixels per segment", "variance (pixels: 1)", "1/|S|", "shuffled", "relative"]
        lines += [f"### {method}: variance", "", *table(header, rows)]
        names = ("correlation", "predicted_ratio", "measured_over_predicted")
        predicted = [
            [*_size(r), *(with_ci(r[name], r[f"{name}_ci95"]) for name in names)]
            for r in of_method
            if number(r["predicted_ratio"]) != "–"
        ]
        if predicted:
            header = ["segments", "pixels per segment", "correlation", "predicted", "measured over predicted"]
            lines += [f"{method}, predicted from the correlation of pixels:", "", *table(header, predicted)]
    return lines


def _size(record: Record) -> tuple[str, str]:
    return record["family"], f"{record['mean_segment_pixels']:.1f}"


def _mege_reco(records: Sequence[Record]) -> list[str]:
    if not records:
        return []
    rows = [[r["method"], r["grouping"], r["sign"], number(r["mege"]), number(r["reco"]), r["n"]] for r in records]
    note = (
        "Of networks that were each trained without one part of the images (higher is better). MeGe: how well maps "
        "carry over to a network that has not seen the image. ReCo: how well they tell a right answer from a wrong one."
    )
    return ["## MeGe and ReCo", "", note, "", *table(["method", "grouping", "sign", "MeGe", "ReCo", "images"], rows)]


def _roar(records: Sequence[Record]) -> list[str]:
    if not records:
        return []
    fractions = sorted({r["fraction"] for r in records})
    of = {(r["method"], r["grouping"], r["fraction"]): r["accuracy"] for r in records}
    rows = [
        [*key, *(number(of.get((*key, fraction))) for fraction in fractions)]
        for key in dict.fromkeys((r["method"], r["grouping"]) for r in records)
    ]
    signs = joined(dict.fromkeys(r["sign"] for r in records))
    note = (
        f"Accuracy of networks retrained on images without their most relevant pixels, by the share that was removed "
        f"({signs} maps; lower is better, below all that of the random order)."
    )
    return ["## ROAR", "", note, "", *table(["method", "grouping", *(f"{f:.0%}" for f in fractions)], rows)]


def _made_with(result: Report) -> list[str]:
    software = ", ".join(f"{name} {version}" for name, version in result["software"].items())
    lines = ["## Made with", "", f"Seed {result['settings']['seed']}. {software}. All settings are in report.json.", ""]
    return lines + [f"- {g['name']}: `{g['averages']}`" for g in result["groupings"]] + [""]


def _seconds(result: Report) -> list[str]:
    if "seconds" not in result:
        return []
    seconds: dict[str, Any] = result["seconds"]
    stages = [[name, f"{spent:.1f}"] for name, spent in seconds["stages"].items()]
    images = result["dataset"]["explained_images"]
    work = [
        [name, f"{spent:.1f}", f"{1000 * spent / images:.1f}"]
        for name, spent in sorted(seconds["work"].items(), key=lambda item: -item[1])
    ]
    header = ["work on the explained images", "seconds", "milliseconds per image"]
    return ["## Time", "", *table(["stage", "seconds"], stages), *table(header, work)]
