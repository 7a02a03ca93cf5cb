"""The tables of tutorials/evidence.md, from the reports of studies.

    captum-superpixel study --seed 0 --out digits-0
    captum-superpixel study --seed 1 --out digits-1
    python tests/benchmarks/summarize_studies.py digits-0/report.json digits-1/report.json

Prints, for every method, the rows beside each other (of the first report), what the recommended maps are better than in
all reports, and every claim in all reports.
"""

import argparse
import json
import re
from pathlib import Path

from tabulate import tabulate

from captum_superpixel.study.headline import find_headline
from captum_superpixel.study.metric_table import METRICS, PERMUTATION, RANDOM_NETWORK
from captum_superpixel.study.results import NULL_MAP, SCHEMA_VERSION
from captum_superpixel.study.tables import row_label

TITLES = {name: metric.title.partition(" (")[0] for name, metric in METRICS.items()}
SIMILARITIES = [name for name, metric in METRICS.items() if metric.has_nulls and metric.compared]
OTHERS = [name for name, metric in METRICS.items() if metric.compared and not metric.has_nulls]
COMPLEXITY = [name for name, metric in METRICS.items() if metric.family == "complexity"]
WORDS = ("yes", "undecided", "no")


def number(value):
    if value is None:
        return "–"
    rounded = round(value, 3) + 0.0  # which makes -0.0 a 0.0
    return re.sub(r"^(-?)0\.", r"\1.", f"{rounded:.3f}").replace("-", "−")


def spread(low, high):
    return f"{number(low)} to {number(high)}"


def with_interval(value, interval):
    return f"{number(value)} ({spread(*interval)})" if value is not None else "–"


def show(header, rows):
    # All cells are text: tabulate would read numbers and write them anew.
    print("\n" + tabulate(rows, header, tablefmt="github", disable_numparse=True))


def row_of(record):
    return record["grouping"], record["sign"], record["views"]


def in_order(report):
    """Whether each grouping is a null map, by name, and these last."""
    of = {grouping["name"]: grouping["kind"] == NULL_MAP for grouping in report["groupings"]}
    return dict(sorted(of.items(), key=lambda item: item[1]))


def rows(report):
    """For each method how alike the maps are, and how faithful: a row each for grouping, sign and views, nulls last."""
    of = {(record["method"], *row_of(record), record["metric"]): record for record in report["records"]}
    nulls, measured = in_order(report), {key[-1] for key in of}
    keys = sorted(dict.fromkeys(key[1:4] for key in of), key=lambda key: list(nulls).index(key[0]))
    for method in dict.fromkeys(key[0] for key in of):
        print(f"\n**{method}**")
        for header, cells_of, metrics in (
            (["raw", "over shuffled pixels", "over a random network"], similar, SIMILARITIES),
            ([""], plain, OTHERS + COMPLEXITY),
        ):
            shown = [metric for metric in metrics if metric in measured]
            if not shown:
                continue
            titles = [f"{TITLES[metric]} {part}".strip() for metric in shown for part in header]
            body = [
                [*labels(key, nulls), *(cell for metric in shown for cell in cells_of(of[method, *key, metric]))]
                for key in keys
                if (method, *key, shown[0]) in of  # null maps have no stability
            ]
            show(["grouping", "sign", "views", *titles], body)


def labels(key, nulls):
    grouping, sign, views = key
    return f"{grouping} ({NULL_MAP})" if nulls[grouping] else grouping, sign, str(views)


def similar(record):
    return number(record["value"]), number(record["excess"].get(PERMUTATION)), beyond(record)


def beyond(record):
    """The excess over the random-network null and its interval."""
    return with_interval(record["excess"].get(RANDOM_NETWORK), record["excess_ci95"].get(RANDOM_NETWORK))


def plain(record):
    if record["family"] == "complexity":
        return (number(record["value"]),)
    return (with_interval(record["value"], record["ci95"]),)


def in_short(reports):
    """The recommended maps minus their rivals: the worst and the best of methods and reports, and counts."""
    found = [finding for report in reports.values() for finding in find_headline(report)]
    metrics = list(dict.fromkeys(finding.metric for finding in found))
    body = []
    for rival in dict.fromkeys(finding.rival for finding in found):
        for what, cell in (("worst", extreme(min)), ("best", extreme(max)), ("yes / undecided / no", tally)):
            of = [[f for f in found if (f.rival, f.metric) == (rival, metric) and f.has_figure] for metric in metrics]
            body.append([rival if what == "worst" else "", what, *(cell(each) if each else "–" for each in of)])
    show(["the recommended map minus", "", *(TITLES[metric] for metric in metrics)], body)


def extreme(choose):
    def cell(found):
        finding = choose(found, key=lambda finding: finding.gain)
        return f"{with_interval(finding.difference, finding.interval)} {finding.verdict}"

    return cell


def tally(found):
    return " / ".join(str([finding.verdict for finding in found].count(word)) for word in WORDS)


SMALL_METRICS = ("ssim", "top_k_iou", "insertion_auc", "deletion_auc", "insertion_minus_deletion")


def small(report):
    """The README's table: for every method the recommended row, its rivals, and what the paper has."""
    of = {(record["method"], *row_of(record), record["metric"]): record for record in report["records"]}
    nulls = in_order(report)
    shown = [metric for metric in SMALL_METRICS if any(key[-1] == metric for key in of)]
    body = []
    for method, recommended in report["recommended"].items():
        best = row_of(recommended)
        rivals = [
            (verdict["against"], verdict["against_sign"], verdict["against_views"])
            for verdict in report["verdicts"]
            if verdict["method"] == method and row_of(verdict) == best
        ]
        rivals = sorted(dict.fromkeys(rivals), key=lambda key: nulls[key[0]])
        of_paper = [("Slic", "signed", 1)] if (method, "Slic", "signed", 1, shown[0]) in of else []
        for key in (best, *of_paper, *rivals):
            title = row_label(*key) + (f", {NULL_MAP}" if nulls[key[0]] else "")
            found = [of.get((method, *key, metric)) for metric in shown]
            cells = ["–" if r is None else beyond(r) if "excess" in r else plain(r)[0] for r in found]
            bold = "**" if key == best else ""
            body.append([method if key == best else "", f"{bold}{title}{bold}", *cells])
    titles = [TITLES[m] + (" over a random network" if METRICS[m].has_nulls else "") for m in shown]
    show(["method", "map", *titles], body)


def claims(reports):
    """A row per claim and method, a column per report: the difference, its corrected interval, and the verdict."""
    found = [
        {(verdict["claim"], verdict["method"]): verdict for verdict in report["verdicts"]}
        for report in reports.values()
    ]
    body = [
        [
            *claim,
            *(
                f"{with_interval(of[claim]['difference'], of[claim]['ci95_holm'])} {of[claim]['verdict']}"
                if claim in of
                else "–"
                for of in found
            ),
        ]
        for claim in dict.fromkeys(claim for of in found for claim in of)
    ]
    if body:
        show(["claim", "method", *reports], body)


def sizes(report):
    """Variance over models by the size of segments."""
    if not report["variance_by_size"]:
        return
    header = ["method", "segments", "pixels", "variance, pixels' = 1", "one over pixels", "shuffled"]
    body = []
    for r in report["variance_by_size"]:
        pixels = r["mean_segment_pixels"]
        cells = [r["method"], r["family"], f"{pixels:.1f}", with_interval(r["variance_ratio"], r["ci95"])]
        cells += [number(1 / pixels), number(r["shuffled_ratio"]), number(r["across_model_variance"])]
        body.append(cells)
    show([*header, "relative to energy"], body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", metavar="report.json")
    parser.add_argument("--small", action="store_true", help="a short table of the first report instead")
    options = parser.parse_args()
    reports = {path.parent.name or str(path): json.loads(path.read_text(encoding="utf-8")) for path in options.reports}
    for name, report in reports.items():
        if report["schema_version"] != SCHEMA_VERSION:
            parser.error(
                f"the report of {name} has version {report['schema_version']}, and this script reads {SCHEMA_VERSION}: "
                "run the study again with the same --out, which makes the report anew from what was kept"
            )
    first = next(iter(reports.values()))
    if options.small:
        small(first)
        return
    in_short(reports)
    rows(first)
    claims(reports)
    sizes(first)


if __name__ == "__main__":
    main()
