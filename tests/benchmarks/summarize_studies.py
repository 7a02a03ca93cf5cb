"""The tables of tutorials/evidence.md, from the reports of studies.

    captum-superpixel study --seed 0 --out digits-0
    captum-superpixel study --seed 1 --out digits-1
    python tests/benchmarks/summarize_studies.py digits-0/report.json digits-1/report.json

Prints, for every method, the groupings beside each other (of the first report), and every claim in all reports.
"""

import argparse
import json
import re
from pathlib import Path

from tabulate import tabulate

from captum_superpixel.study.metric_table import METRICS, PERMUTATION, RANDOM_NETWORK

COLUMNS = {name: metric.title.partition(" (")[0] for name, metric in METRICS.items() if metric.compared}


def number(value):
    if value is None:
        return "–"
    rounded = round(value, 3) + 0.0  # which makes -0.0 a 0.0
    return re.sub(r"^(-?)0\.", r"\1.", f"{rounded:.3f}").replace("-", "−")


def spread(low, high):
    return f"{number(low)} to {number(high)}"


def show(header, rows):
    # All cells are text: tabulate would read numbers and write them anew.
    print("\n" + tabulate(rows, header, tablefmt="github", disable_numparse=True))


def groupings(report):
    """A row per grouping and sign: the raw value, both excesses, and the fidelity with intervals."""
    of = {(r["method"], r["grouping"], r["sign"], r["metric"]): r for r in report["records"]}
    rows = list(dict.fromkeys(key[:3] for key in of))
    present = [(metric, title) for metric, title in COLUMNS.items() if any(key[3] == metric for key in of)]
    for method in dict.fromkeys(row[0] for row in rows):
        header = ["grouping", "sign"]
        for metric, title in present:
            similar = "excess" in next(r for key, r in of.items() if key[3] == metric)
            header += [title, "over shuffled pixels", "over a random network"] if similar else [title]
        print(f"\n**{method}**")
        body = []
        for _, grouping, sign in (row for row in rows if row[0] == method):
            cells = [grouping, sign]
            for metric, _title in present:
                record = of[method, grouping, sign, metric]
                if "excess" not in record:
                    cells.append(f"{number(record['value'])} ({spread(*record['ci95'])})")
                    continue
                cells += [number(record["value"]), number(record["excess"][PERMUTATION]), beyond(record)]
            body.append(cells)
        show(header, body)


SMALL = (
    ("pixels", "magnitude", "pixels"),
    ("blur", "magnitude", "blurred"),
    ("cell ensemble", "magnitude", "square cells, four sizes"),
    ("Slic", "signed", "`Slic(30)`, signed: the paper's mean"),
    ("Slic", "magnitude", "`Slic(30)`, magnitudes"),
    ("ensemble", "signed", "`multiscale()`, signed"),
    ("ensemble", "magnitude", "`multiscale()`, magnitudes"),
)
SMALL_METRICS = ("ssim", "top_k_iou", "insertion_minus_deletion")


def small(report):
    """The README's table: every method, some ways of grouping."""
    of = {(r["method"], r["grouping"], r["sign"], r["metric"]): r for r in report["records"]}
    header = ["method", "map", "SSIM", "over shuffled pixels", "over a random network"]
    header += ["IoU", "IoU over a random network", "insertion − deletion"]
    body = []
    for method in dict.fromkeys(key[0] for key in of):
        shown = method
        for grouping, sign, title in SMALL:
            ssim, iou, fidelity = (of[method, grouping, sign, metric] for metric in SMALL_METRICS)
            cells = [shown, title, number(ssim["value"]), number(ssim["excess"][PERMUTATION]), beyond(ssim)]
            cells += [number(iou["value"]), beyond(iou), f"{number(fidelity['value'])} ({spread(*fidelity['ci95'])})"]
            body.append(cells)
            shown = ""
    show(header, body)


def beyond(record):
    """The excess over the random-network null and its interval."""
    return f"{number(record['excess'][RANDOM_NETWORK])} ({spread(*record['excess_ci95'][RANDOM_NETWORK])})"


def claims(reports):
    """A row per claim and method, a column per report."""
    found = [{verdict["claim"]: verdict["methods"] for verdict in report["verdicts"]} for report in reports.values()]
    if not found or not found[0]:
        return
    body = []
    for claim, methods in found[0].items():
        for method in methods:
            cells = []
            for each in found:
                result = each.get(claim, {}).get(method)
                cells.append(
                    "–"
                    if result is None
                    else f"{number(result['difference'])} ({spread(*result['ci95'])}) {result['verdict']}"
                )
            body.append([claim, method, *cells])
    show(["claim", "method", *reports], body)


def sizes(report):
    """Variance over models by the size of segments."""
    if not report["variance_by_size"]:
        return
    header = ["method", "segments", "pixels", "variance, pixels' = 1", "one over pixels", "shuffled"]
    body = []
    for r in report["variance_by_size"]:
        pixels = r["mean_segment_pixels"]
        cells = [r["method"], r["family"], f"{pixels:.1f}", f"{number(r['variance_ratio'])} ({spread(*r['ci95'])})"]
        cells += [number(1 / pixels), number(r["shuffled_ratio"]), number(r["across_model_variance"])]
        body.append(cells)
    show([*header, "relative to energy"], body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, nargs="+", metavar="report.json")
    parser.add_argument("--small", action="store_true", help="a short table of the first report instead")
    options = parser.parse_args()
    reports = {path.parent.name or str(path): json.loads(path.read_text(encoding="utf-8")) for path in options.reports}
    first = next(iter(reports.values()))
    if options.small:
        small(first)
        return
    groupings(first)
    claims(reports)
    sizes(first)


if __name__ == "__main__":
    main()
