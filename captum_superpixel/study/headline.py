"""The answer of a study in short: the recommended maps against pixels, earlier advice, controls and null maps."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from captum_superpixel._texts import joined
from captum_superpixel.study.metric_table import METRICS, RANDOM_NETWORK
from captum_superpixel.study.results import FEW_IMAGES, NULL_MAP, Record, Report, verdict_of
from captum_superpixel.study.rows import Row
from captum_superpixel.study.tables import number, row_label, spelled, table

__all__ = ["HEADLINE", "Finding", "find_headline", "in_short"]

HEADLINE = ("ssim", "top_k_iou", "insertion_auc", "deletion_auc", "insertion_minus_deletion")
"""The metrics of the table in short; similarities are chance-corrected over the random network."""
_CASE = "comparison"


@dataclass(frozen=True)
class Finding:
    """The difference between the recommended map of a method and a rival, by one metric.

    Args:
        method: Of attribution.
        rival: As the tables call it.
        kind: Of the rival's grouping, as in the report.
        metric: By name.
        difference: The recommended map's value minus the rival's, or None.
        interval: Corrected for the number of claims, where this is one; else the 95 % interval.
        verdict: ``"yes"`` where the recommended map is better, ``"no"`` where it is worse, or ``"undecided"``.
        claimed: Whether it is a claim.
    """

    method: str
    rival: str
    kind: str
    metric: str
    difference: float | None
    interval: Sequence[float | None]
    verdict: str
    claimed: bool

    @property
    def has_figure(self) -> bool:
        """Whether there is a difference, and an interval to judge it by."""
        return "–" not in (number(self.difference), number(self.interval[0]))

    @property
    def gain(self) -> float:
        """The difference, positive where the recommended map is better."""
        difference = self.difference or 0.0
        return difference if METRICS[self.metric].higher_is_better else -difference


def find_headline(result: Report) -> list[Finding]:
    """What the claims about the recommended maps come to, and the same comparisons by what is not claimed.

    Args:
        result: What ``report.json`` holds.

    Returns:
        A finding for each rival, metric of :data:`HEADLINE` and method that was measured; null maps come last.
    """
    kinds = {grouping["name"]: grouping["kind"] for grouping in result["groupings"]}
    recommended = _recommended(result)

    def about(records: Sequence[Record]) -> dict[tuple[str, Row, str], Record]:
        return {
            (record["method"], _rival(record), record["metric"]): record
            for record in records
            if recommended.get(record["method"]) == _row(record) and record["quantity"] == _quantity(record["metric"])
        }

    claims, compared = about(result["verdicts"]), about(result["comparisons"])
    rivals = sorted(dict.fromkeys(rival for _, rival, _ in claims), key=lambda row: kinds[row.grouping] == NULL_MAP)
    found = []
    for rival in rivals:
        kind = kinds[rival.grouping]
        for metric in HEADLINE:
            for method, row in recommended.items():
                what = method, rival, metric
                record = claims.get(what) or compared.get(what)
                if record is None:
                    continue
                same = kind == NULL_MAP or rival[1:] == row[1:]
                found.append(
                    Finding(
                        method=method,
                        rival=rival.grouping if same else row_label(*rival),
                        kind=kind,
                        metric=metric,
                        difference=record["difference"],
                        interval=record["ci95_holm"] if what in claims else record["ci95"],
                        verdict=record["verdict"] if what in claims else verdict_of(record),
                        claimed=what in claims,
                    )
                )
    return found


def in_short(result: Report) -> list[str]:
    """Say in a few sentences and a table what the recommended maps are better than, and what not.

    Args:
        result: What ``report.json`` holds.

    Returns:
        Lines of Markdown, without a heading; none where nothing was compared.
    """
    found = find_headline(result)
    if not found:
        return []
    by_row: dict[str, list[str]] = {}
    for method, row in _recommended(result).items():
        by_row.setdefault(row_label(*row), []).append(method)
    recommended = joined(f"*{row}* for {joined(methods)}" for row, methods in by_row.items())
    lines = [
        f"The recommended map is {recommended}. By each method, and each measure of the table below, it is (where no "
        "method is named, all are meant):",
        "",
    ]
    for kinds, word in (
        (("pixels", "superpixels"), "pixels and what was recommended before"),
        (("control",), "controls, which smooth without superpixels"),
        ((NULL_MAP,), "null maps, which know nothing of what they seem to explain"),
    ):
        lines += _sentences([finding for finding in found if finding.kind in kinds], word)
    return [*lines, "", *_table(result, found)]


def _recommended(result: Report) -> dict[str, Row]:
    return {method: _row(row) for method, row in result["recommended"].items()}


def _row(record: Record) -> Row:
    return Row(record["grouping"], record["sign"], record["views"])


def _rival(record: Record) -> Row:
    return Row(record["against"], record["against_sign"], record["against_views"])


def _quantity(metric: str) -> str:
    return f"excess over {RANDOM_NETWORK}" if METRICS[metric].has_nulls else "value"


def _sentences(found: Sequence[Finding], what: str) -> list[str]:
    decided = [finding for finding in found if finding.has_figure]
    if not decided:
        return []
    rivals = joined(dict.fromkeys(f"*{finding.rival}*" for finding in found))
    text = f"- against {what} ({rivals}): {_counts(decided)}."
    text += _where(" **Worse than", decided, "no", ".**")
    if decided[0].kind == NULL_MAP:
        text += _where(" Not measurably better than", decided, "undecided", ".")
    return [text]


def _counts(found: Sequence[Finding]) -> str:
    counts = Counter(finding.verdict for finding in found)
    words = (("yes", "better"), ("no", "worse"), ("undecided", "undecided"))
    (word, count), *others = ((word, counts[verdict]) for verdict, word in words if counts[verdict])
    if not others:
        every = "both" if count == 2 else f"{'all ' * (count > 2)}{spelled(count)}"
        return f"{word} in {every} {_CASE}{'s' * (count > 1)}"
    more = ", ".join(f"{other} in {many}" for other, many in others)
    return f"{word} in {count} of {spelled(len(found), _CASE)}, {more}"


def _where(before: str, found: Sequence[Finding], verdict: str, after: str) -> str:
    """Name rivals with this verdict, in which measures, and for which methods; nothing where there are none."""
    methods = {finding.method for finding in found}
    of: dict[str, dict[str, list[str]]] = {}
    for finding in found:
        if finding.verdict == verdict:
            of.setdefault(finding.rival, {}).setdefault(METRICS[finding.metric].title, []).append(finding.method)

    def told(measures: dict[str, list[str]]) -> str:
        found = ((metric, "" if len(of) == len(methods) else f" ({joined(of)})") for metric, of in measures.items())
        return joined(f"{metric}{those}" for metric, those in found)

    return f"{before} {'; than '.join(f'{rival} in {told(of[rival])}' for rival in of)}{after}" if of else ""


def _table(result: Report, found: Sequence[Finding]) -> list[str]:
    metrics = [metric for metric in HEADLINE if any(finding.metric == metric for finding in found)]
    methods = list(dict.fromkeys(finding.method for finding in found))
    ranks = ("worst", "best") if len(methods) > 1 else ("",)
    rows = [["its value", rank, *(_own_value(result, metric, rank) for metric in metrics)] for rank in ranks]
    for rival, kind in dict.fromkeys((finding.rival, finding.kind) for finding in found):
        of_rival = [finding for finding in found if finding.rival == rival]
        label = f"minus {rival}" + (f" ({NULL_MAP})" if kind == NULL_MAP else "")
        rows += [[label, rank, *(_difference(of_rival, metric, rank) for metric in metrics)] for rank in ranks]
    titles = [f"{METRICS[metric].title} {'↑' if METRICS[metric].higher_is_better else '↓'}" for metric in metrics]
    text = "↑: higher is better; ↓: lower is better."
    if similarities := [METRICS[metric].title for metric in metrics if METRICS[metric].has_nulls]:
        text += f" {joined(similarities)} chance-corrected over the random network."
    text += (
        f" After ±: how far the interval reaches that is corrected for all {len(result['verdicts'])} claims of this "
        "study; in parentheses, where nothing is claimed: the 95 % interval, not corrected. *yes*: the recommended map "
        "is better; *no*: it is worse; *undecided*: the interval holds 0."
    )
    if len(methods) > 1:
        text += f" *Worst* and *best*: of {spelled(len(methods), 'method')}, in each cell by itself."
    if (fewest := min(verdict["n"] for verdict in result["verdicts"])) < FEW_IMAGES:
        text += f" Some claims are over {spelled(fewest, 'image')} only, too few to rely on their verdicts."
    return [text, "", *table(["the recommended map", "method", *titles], rows)]


def _own_value(result: Report, metric: str, rank: str) -> str:
    recommended = _recommended(result)
    values = [
        record["excess"].get(RANDOM_NETWORK) if METRICS[metric].has_nulls else record["value"]
        for record in result["records"]
        if record["metric"] == metric and recommended.get(record["method"]) == _row(record)
    ]
    present = [value for value in values if number(value) != "–"]
    if not present:
        return "–" if values else ""
    worst_first = sorted(present, reverse=not METRICS[metric].higher_is_better)
    return number(worst_first[0 if rank == "worst" else -1])


def _difference(found: Sequence[Finding], metric: str, rank: str) -> str:
    of_metric = [finding for finding in found if finding.metric == metric]
    with_figure = sorted((finding for finding in of_metric if finding.has_figure), key=lambda finding: finding.gain)
    if not with_figure:
        return "–" if of_metric else ""
    finding = with_figure[0 if rank == "worst" else -1]
    low, high = (end or 0.0 for end in finding.interval)
    interval = f"± {number((high - low) / 2)}" if finding.claimed else f"({number(low)}, {number(high)})"
    return f"{number(finding.difference)} {interval} {finding.verdict}"
