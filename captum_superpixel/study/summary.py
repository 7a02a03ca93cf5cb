"""The summary of a study in sentences, made from its comparisons: what is better, by how much, and what is not."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from captum_superpixel._texts import joined
from captum_superpixel.study.metric_table import MAX_NULL, METRICS, PERMUTATION, RANDOM_NETWORK
from captum_superpixel.study.results import FEW_IMAGES, NULL_MAP, Record, Report, verdict_of
from captum_superpixel.study.rows import PIXELS
from captum_superpixel.study.tables import number, spelled, table, with_ci

__all__ = ["summarize"]

# The harder null first; a metric without nulls is compared by its value.
_QUANTITIES = (f"excess over {RANDOM_NETWORK}", f"excess over {PERMUTATION}", "value")
# In the order in which they are told, by what :func:`_verdict` returns.
_WORDS = {"yes": "better", "no": "worse", "undecided": "undecided", "": "without a figure"}


@dataclass(frozen=True)
class _Measure:
    """A metric, what of it is compared, and all of its comparisons.

    Args:
        metric: Its name.
        quantity: ``"value"``, or an excess.
        records: The comparisons of that quantity.
        raw: Those of the value itself, where the quantity is another one.
    """

    metric: str
    quantity: str
    records: tuple[Record, ...]
    raw: tuple[Record, ...]

    @property
    def title(self) -> str:
        title = METRICS[self.metric].title
        return title if self.quantity == "value" else f"chance-corrected {title}"

    @property
    def has_intervals(self) -> bool:
        return any(record["n"] > 1 for record in self.records)


def summarize(result: Report) -> list[str]:
    """Write the summary of a report.

    Args:
        result: What ``report.json`` holds, of which ``comparisons`` is read, and ``groupings`` for their kinds.

    Returns:
        Lines of Markdown, without a heading. Compared are rows of the same sign and number of views alone, which differ
        in nothing but the grouping; null maps have no part in it.
    """
    measures = _measures(_alike(result))
    if not measures:
        return [
            "Nothing was measured by which groupings could be compared: that takes two networks (stability), or images "
            "for insertion and deletion (fidelity).",
            "",
        ]
    if not any(measure.has_intervals for measure in measures):
        return ["Every measure was taken on a single image, which gives no interval: nothing is decided.", ""]
    records = [record for measure in measures for record in measure.records]
    candidates = list(dict.fromkeys(record["grouping"] for record in records))
    controls = [
        name
        for name in dict.fromkeys(record["against"] for record in records)
        if name not in candidates and name != PIXELS
    ]
    decidable = [measure for measure in measures if measure.has_intervals]
    lines = [*_in_short(decidable, candidates, controls), "", _words(measures), ""]
    for measure in measures:
        lines += _measure_sentences(measure, candidates, controls)
    return [*lines, "", *_caveats(measures), *_at_a_glance(decidable, candidates)]


def _alike(result: Report) -> list[Record]:
    """Comparisons that differ in the grouping alone, with a grouping that knows something."""
    null_maps = {grouping["name"] for grouping in result["groupings"] if grouping["kind"] == NULL_MAP}
    return [
        record
        for record in result["comparisons"]
        if (record["sign"], record["views"]) == (record["against_sign"], record["against_views"])
        and record["against"] not in null_maps
    ]


def _measures(comparisons: Sequence[Record]) -> list[_Measure]:
    found = []
    for metric in (name for name, described in METRICS.items() if described.compared):
        of = {
            quantity: tuple(r for r in comparisons if (r["metric"], r["quantity"]) == (metric, quantity))
            for quantity in _QUANTITIES
        }
        quantity = next((quantity for quantity in _QUANTITIES if of[quantity]), None)
        if quantity is not None:
            raw = of["value"] if quantity != "value" else ()
            found.append(_Measure(metric, quantity, of[quantity], raw))
    return found


def _verdict(record: Record) -> str:
    """That of :func:`verdict_of`, but empty where there is no figure, since a null is near 1."""
    return "" if number(record["difference"]) == "–" else verdict_of(record)


def _against(records: Iterable[Record], candidate: str, rivals: Sequence[str]) -> list[Record]:
    return [r for r in records if r["grouping"] == candidate and r["against"] in rivals]


def _in_short(measures: Sequence[_Measure], candidates: Sequence[str], controls: Sequence[str]) -> list[str]:
    """Which groupings are better, or worse, in all cases or in some, and in which measures."""

    def found(holds: Callable[[list[str]], bool], rivals: Sequence[str]) -> str:
        titles: dict[str, list[str]] = {}
        for measure in measures:
            of = {name: [_verdict(r) for r in _against(measure.records, name, rivals)] for name in candidates}
            names = [name for name, verdicts in of.items() if verdicts and holds(verdicts)]
            if names:
                titles.setdefault(joined(names), []).append(measure.title)
        return "; ".join(f"{names} in {joined(of)}" for names, of in titles.items()) or "none"

    def always(verdicts: list[str]) -> bool:
        return set(verdicts) == {"yes"}

    def worse(verdicts: list[str]) -> bool:
        return "no" in verdicts

    def undecided(verdicts: list[str]) -> bool:
        return not {"yes", "no"} & set(verdicts)

    lines = [
        f"- Better than pixels in every case: {found(always, [PIXELS])}.",
        f"- Worse than pixels in at least one case: {found(worse, [PIXELS])}.",
        f"- Neither better nor worse than pixels in any case: {found(undecided, [PIXELS])}.",
    ]
    if controls:
        lines.append(f"- Better than every control ({joined(controls)}) in every case: {found(always, controls)}.")
        lost = {control: found(worse, [control]) for control in controls}
        told = [f"  - than {control}: {names}." for control, names in lost.items() if names != "none"]
        lines += ["- Worse than a control in at least one case:" + " none." * (not told), *told]
    return lines


def _words(measures: Sequence[_Measure]) -> str:
    records = [record for measure in measures for record in measure.records]
    methods, signs = (list(dict.fromkeys(record[name] for record in records)) for name in ("method", "sign"))
    views = sorted({record["views"] for record in records})
    over = f", over {joined(views, 'or')} views" if views != [1] else ""
    corrected = any(measure.quantity != "value" for measure in measures)
    text = (
        f"A case is one method ({joined(methods, 'or')}) with {joined(signs, 'or')} maps{over}; both groupings are "
        "taken with the same sign and views. *Better* and *worse* mean that the 95 % interval of the difference, "
        "paired by image, lies on that side of 0; *undecided* that it holds 0: a tie as far as these images tell, "
        "which is no proof of equality."
    )
    if corrected:
        text += " *Chance-corrected* values are in excess of a null: of what maps reach that cannot agree."
    return text


def _measure_sentences(measure: _Measure, candidates: Sequence[str], controls: Sequence[str]) -> list[str]:
    """The counts, the worst and the best; of measures that nothing is claimed of the table below has to do."""
    described = METRICS[measure.metric]
    head = f"- **{measure.title[0].upper()}{measure.title[1:]}** ({described.family}, {described.direction})"
    if not measure.has_intervals:
        return [f"{head}: measured on one image, which gives no interval; nothing is decided."]
    if not described.claimed:
        return []
    lines = [f"{head}:"]
    for rivals, name in (([PIXELS], "pixels"), (controls, "the controls")):
        if counts := _counts(measure.records, candidates, rivals):
            lines.append(f"  - Against {name}, {counts}.{_worst_to_best(measure.records, candidates, rivals)}")
    if counts := _counts(measure.raw, candidates, [PIXELS]):
        lines.append(f"  - Raw, without that correction, against pixels, {counts}.")
    return lines


def _counts(records: Sequence[Record], candidates: Sequence[str], rivals: Sequence[str]) -> str:
    """Say of each candidate in how many comparisons it is better, those with equal counts together."""
    of: dict[str, list[str]] = {}
    for name in candidates:
        found = Counter(_verdict(record) for record in _against(records, name, rivals))
        if found:
            of.setdefault(_count(found), []).append(name)
    return "; ".join(f"{joined(names)} {'is' if len(names) == 1 else 'are'} {text}" for text, names in of.items())


def _count(found: Counter[str]) -> str:
    total = found.total()
    kinds = [(word, found[verdict]) for verdict, word in _WORDS.items() if found[verdict]]
    (word, count), *others = kinds
    if not others:
        return word if total == 1 else f"{word} in {'both' if total == 2 else f'all {total}'}"
    return f"{word} in {count} of {total} ({', '.join(f'{other} in {count}' for other, count in others)})"


def _worst_to_best(records: Sequence[Record], candidates: Sequence[str], rivals: Sequence[str]) -> str:
    found = [r for name in candidates for r in _against(records, name, rivals) if _verdict(r)]
    if not found:
        return ""
    worst, best = (choose(found, key=lambda record: record["difference"]) for choose in (min, max))
    if not METRICS[worst["metric"]].higher_is_better:
        worst, best = best, worst

    def described(record: Record) -> str:
        against = f" against {record['against']}" if len(rivals) > 1 else ""
        views = f", {record['views']} views" if record["views"] > 1 else ""
        where = f"{record['grouping']}{against}, {record['method']}, {record['sign']}{views}"
        return f"{with_ci(record['difference'], record['ci95'])} ({where})"

    if worst is best:
        return f" The difference is {described(best)}."
    return f" The worst difference is {described(worst)}, the best {described(best)}."


def _caveats(measures: Sequence[_Measure]) -> list[str]:
    records = [record for measure in measures for record in measure.records]
    decided = [r for r in records if number(r["ci95"][0]) != "–"]
    lines = []
    if decided:
        expected = len(decided) / 40
        about = number(expected) if expected < 1 else f"{expected:.0f}"
        lines.append(
            f"{len(decided)} intervals stand behind this summary, and none is corrected for that, as those of the "
            f"claims are: if nothing differed, about {about} would still lie above 0 by chance, and as many below. The "
            "networks are taken as they are: another training can change all of this."
        )
    counts = sorted({record["n"] for record in records})
    if any(1 < count < FEW_IMAGES for count in counts):
        fewest = min(count for count in counts if count > 1)
        lines.append(
            f"Some intervals are over {spelled(fewest, 'image')} only. For so few they are too narrow: take their "
            "verdicts as hints."
        )
    if any(not _verdict(record) for record in records):
        lines.append(f"There is no figure where a null is above {MAX_NULL}.")
    return [" ".join(lines), ""] if lines else []


def _at_a_glance(measures: Sequence[_Measure], candidates: Sequence[str]) -> list[str]:
    """A table for each candidate: a row for each measure, a column for each rival."""
    lines = []
    for candidate in candidates:
        of = {measure.title: [r for r in measure.records if r["grouping"] == candidate] for measure in measures}
        rivals = list(dict.fromkeys(record["against"] for records in of.values() for record in records))
        rows = [
            [title, *(_tally([record for record in records if record["against"] == rival]) for rival in rivals)]
            for title, records in of.items()
            if records
        ]
        lines += [f"*{candidate}*, in how many cases better / undecided / worse than:", ""]
        lines += table(["measure", *rivals], rows)
    return lines


def _tally(records: Sequence[Record]) -> str:
    found = Counter(map(_verdict, records))
    return " / ".join(str(found[verdict]) for verdict in ("yes", "undecided", "no")) if found else ""
