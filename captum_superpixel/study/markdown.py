"""The report of a study as tables to read."""

from collections.abc import Iterable, Sequence
from typing import Any

from captum_superpixel._untyped import tabulate
from captum_superpixel.study.metric_table import METRICS, PERMUTATION, RANDOM_NETWORK
from captum_superpixel.study.results import Record, Report

__all__ = ["to_markdown"]

_NOTES = {
    "stability": """\
Between the maps of different networks: the raw value; its excess over the permutation null, maps whose pixels were
shuffled before grouping; and its excess over the random-network null, a trained network's map against that of an
untrained one (a randomized model), with a 95 % bootstrap interval over images. An excess is the chance-corrected value:
1 is perfect agreement, 0 is none beyond the null. Variance over models is that of the map relative to the energy of the
mean map.""",
    "fidelity": """\
Of the first network's maps: probability of the explained class while pixels are inserted into, or deleted from, the
image, most relevant first; ROAD as in Rong et al. Insertion and deletion against a blurred image; signed maps rank
pixels by their signed score.""",
    "localization": "",
}


def to_markdown(result: Report) -> str:
    """Write the tables of a report.

    Args:
        result: What ``report.json`` holds.

    Returns:
        Markdown, ending in a line break.
    """
    lines = [f"# Study of {result['dataset']['name']}", ""]
    lines += _setting(result)
    if result["verdicts"]:
        lines += ["## What grouping buys", ""]
        lines += [
            "Difference, 95 % interval, paired by image; *yes*: it lies above 0, *no*: below.",
            "",
        ]
        lines += _verdicts(result["verdicts"])
    of = {(r["method"], r["grouping"], r["sign"], r["metric"]): r for r in result["records"]}
    methods = list(dict.fromkeys(r["method"] for r in result["records"]))
    rows = list(dict.fromkeys((r["grouping"], r["sign"]) for r in result["records"]))
    for family, note in _NOTES.items():
        if not any(record["family"] == family for record in result["records"]):
            continue
        lines += [f"## {family.capitalize()}", ""] + ([note, ""] if note else [])
        for method in methods:
            lines += [f"### {method}: {family}", "", *_family_table(of, method, rows, family)]
    lines += _variance(result["variance_by_size"])
    lines += _mege_reco(result.get("mege_reco") or [])
    lines += _roar(result.get("roar") or [])
    lines += _seconds(result)
    return "\n".join(lines) + "\n"


def _setting(result: Report) -> list[str]:
    data, settings, software = result["dataset"], result["settings"], result["software"]
    size = "x".join(map(str, data["shape"]))
    fidelity, road = (min(settings[f"{name}_images"], data["explained_images"]) for name in ("fidelity", "road"))
    lines = [
        f"{data['explained_images']} of {data['held_out_images']} held-out images ({size}) explained, the first "
        f"that all networks classify rightly; insertion and deletion on {fidelity}, ROAD on {road}. "
        f"Seed {settings['seed']}. " + ", ".join(f"{name} {number}" for name, number in software.items()) + ".",
        "",
    ]
    models = [
        [m["name"], f"{m['parameters']:,}", m["train_images"] or "user-supplied", f"{m['accuracy']:.1%}"]
        for m in result["models"]
    ]
    lines += _table(["network", "parameters", "training images", "accuracy"], models)
    groupings = [[g["name"], g["averages"], f"{g['mean_segments']:.0f}"] for g in result["groupings"]]
    return lines + _table(["grouping", "averages over", "segments per image"], groupings)


def _verdicts(verdicts: Sequence[Record]) -> list[str]:
    methods = list(dict.fromkeys(method for verdict in verdicts for method in verdict["methods"]))
    rows = []
    for verdict in verdicts:
        found = [verdict["methods"].get(method) for method in methods]
        rows.append(
            [verdict["claim"], *("" if f is None else f"{_with_ci(f, 'difference')} *{f['verdict']}*" for f in found)]
        )
    return _table(["claim", *methods], rows)


def _family_table(of: dict[Any, Record], method: str, rows: Sequence[tuple[str, str]], family: str) -> list[str]:
    """A row for each grouping and sign; a similarity stands beside its excess over both nulls."""
    measured = {metric for measured_method, _, _, metric in of if measured_method == method}
    columns = [
        (name, metric)
        for name, metric in METRICS.items()
        if metric.family == family and metric.printed and name in measured
    ]
    header = ["grouping", "sign"]
    for _, metric in columns:
        header += [metric.title if metric.higher_is_better else f"{metric.title} (lower is better)"]
        header += ["over permutation", "over random network"] if metric.has_nulls else []
    body = []
    for grouping, sign in rows:
        row = [grouping, sign]
        for name, metric in columns:
            record = of.get((method, grouping, sign, name))
            if record is None:
                row += [""] * (3 if metric.has_nulls else 1)
            elif metric.has_nulls:
                row += [_number(record["value"]), _number(record["excess"].get(PERMUTATION))]
                row += [_excess(record, RANDOM_NETWORK)]
            else:
                # The interval of the variance is in report.json alone: the table is wide as it is.
                row += [_number(record["value"]) if family == "stability" else _with_ci(record, "value")]
        body.append(row)
    return _table(header, body)


def _variance(records: Sequence[Record]) -> list[str]:
    if not records:
        return []
    rows = [
        [
            r["method"],
            r["family"],
            f"{r['mean_segment_pixels']:.1f}",
            _with_ci(r, "variance_ratio"),
            _number(1 / r["mean_segment_pixels"]),
            _number(r["shuffled_ratio"]),
            _number(r["across_model_variance"]),
        ]
        for r in records
    ]
    header = ["method", "segments", "pixels per segment", "variance over models, of pixels' = 1", "1/|S|"]
    header += ["with shuffled pixels", "relative to the mean map's energy"]
    note = (
        "Signed maps. 1/|S| is what independent noise would leave; what lies above it is shared by neighboring pixels."
    )
    return ["## Variance over models by the size of segments", "", note, "", *_table(header, rows)]


def _mege_reco(records: Sequence[Record]) -> list[str]:
    if not records:
        return []
    rows = [[r["method"], r["grouping"], r["sign"], _number(r["mege"]), _number(r["reco"]), r["n"]] for r in records]
    return ["## MeGe and ReCo", "", *_table(["method", "grouping", "sign", "MeGe", "ReCo", "n"], rows)]


def _roar(records: Sequence[Record]) -> list[str]:
    if not records:
        return []
    fractions = sorted({r["fraction"] for r in records})
    of = {(r["method"], r["grouping"], r["sign"], r["fraction"]): r["accuracy"] for r in records}
    rows = [
        [*key, *(_number(of.get((*key, fraction))) for fraction in fractions)]
        for key in dict.fromkeys((r["method"], r["grouping"], r["sign"]) for r in records)
    ]
    note = "Accuracy of networks retrained on images without their most relevant pixels: the lower, the better the map."
    return ["## ROAR", "", note, "", *_table(["method", "grouping", "sign", *(f"{f:.0%}" for f in fractions)], rows)]


def _seconds(result: Report) -> list[str]:
    if "seconds" not in result:
        return []
    stages = [[name, f"{seconds:.1f}"] for name, seconds in result["seconds"]["stages"].items()]
    images = result["dataset"]["explained_images"]
    work = [
        [name, f"{seconds:.1f}", f"{1000 * seconds / images:.1f}"]
        for name, seconds in sorted(result["seconds"]["work"].items(), key=lambda item: -item[1])
    ]
    return [
        "## Time",
        "",
        *_table(["stage", "seconds"], stages),
        *_table(["work on the explained images", "seconds", "milliseconds per image"], work),
    ]


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    # All cells are text: tabulate would read numbers and write them anew.
    return [tabulate(cells[1:], cells[0], tablefmt="pipe", disable_numparse=True), ""]


def _number(value: float | None) -> str:
    if value is None or value != value:
        return "–"
    return f"{value:.3f}".replace("-", "−")


def _with_ci(record: Record, name: str) -> str:
    low, high = record["ci95"]
    return f"{_number(record[name])} [{_number(low)}, {_number(high)}]"


def _excess(record: Record, null: str) -> str:
    if null not in record["excess"]:
        return "–"
    low, high = record["excess_ci95"][null]
    return f"{_number(record['excess'][null])} [{_number(low)}, {_number(high)}]"
