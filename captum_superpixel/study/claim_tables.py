"""The claims of a study as tables of its report: what is claimed, and what the images say of it."""

from collections.abc import Mapping

from captum_superpixel.study.claims import ALPHA
from captum_superpixel.study.results import NULL_MAP, Record, Report
from captum_superpixel.study.tables import row_label, table, with_ci

__all__ = ["claim_tables"]


def claim_tables(result: Report) -> list[str]:
    """Write all claims: a table for each measure, in it a row for each claim, null maps last, a column for each method.

    Args:
        result: What ``report.json`` holds.

    Returns:
        Lines of Markdown; none where nothing was claimed.
    """
    verdicts = result["verdicts"]
    if not verdicts:
        return []
    methods = list(dict.fromkeys(verdict["method"] for verdict in verdicts))
    decided = sum(verdict["verdict"] != "undecided" for verdict in verdicts)
    lines = [
        "## Claims",
        "",
        "What the paper claims of superpixels, and this library of the maps that it recommends: the difference, its "
        f"interval, *yes* or *no*; neither word: undecided. These {len(verdicts)} are one family, and corrected for "
        f"their number by Holm's method: the chance that any of them is decided though nothing differs is at most "
        f"{ALPHA:.0%}. So are the intervals, which exclude 0 where a claim is decided; {decided} of them are. No other "
        "interval of this report is corrected. A rival without a sign has that of the row, and its views.",
        "",
    ]
    kinds = {grouping["name"]: grouping["kind"] for grouping in result["groupings"]}
    tables: dict[str, dict[tuple[str, str], dict[str, str]]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: kinds[verdict["against"]] == NULL_MAP):
        measure = verdict["claim"].rpartition(": ")[0]
        row = _claimant(verdict, result["recommended"]), _rival(verdict, kinds)
        tables.setdefault(measure, {}).setdefault(row, {})[verdict["method"]] = _cell(verdict)
    for measure in dict.fromkeys(verdict["claim"].rpartition(": ")[0] for verdict in verdicts):
        rows = [[*row, *(cells.get(method, "") for method in methods)] for row, cells in tables[measure].items()]
        lines += [f"{measure[0].upper()}{measure[1:]}:", "", *table(["row", "above", *methods], rows)]
    return lines


def _claimant(verdict: Record, recommended: Mapping[str, Record]) -> str:
    row = {name: verdict[name] for name in ("grouping", "sign", "views")}
    return "recommended" if recommended.get(verdict["method"]) == row else row_label(**row)


def _rival(verdict: Record, kinds: Mapping[str, str]) -> str:
    rival, sign, views = verdict["against"], verdict["against_sign"], verdict["against_views"]
    if kinds[rival] == NULL_MAP:
        return f"{rival} ({NULL_MAP})"
    return rival if (sign, views) == (verdict["sign"], verdict["views"]) else row_label(rival, sign, views)


def _cell(verdict: Record) -> str:
    word = f" *{verdict['verdict']}*" if verdict["verdict"] in ("yes", "no") else ""
    return with_ci(verdict["difference"], verdict["ci95_holm"]) + word
