"""Pairs of networks beside one another: how alike the maps of each pair are, and the worst pair beside the best."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import TypeAlias

from captum_superpixel._texts import joined
from captum_superpixel.metrics.bootstrap import interval
from captum_superpixel.study.measurement import pair_kind
from captum_superpixel.study.metric_table import METRICS, RANDOM_NETWORK
from captum_superpixel.study.results import Record, Report, Resamples, measured_keys, row_of
from captum_superpixel.study.rows import PIXELS, Row
from captum_superpixel.study.tables import number, row_label, table, with_ci

__all__ = ["pair_tables", "pairs"]

_Place: TypeAlias = tuple[str, Row, str]
"""A method, a row and a metric."""
_CONTROLS = ("blur", "guided filter")
_MOST_SHOWN = 3
"""Pairs that have a column each; of more, the worst and the best have."""


def pairs(resamples: Resamples, rows: Sequence[Row], networks: Sequence[str]) -> list[Record]:
    """One record for every method, row, similarity and pair of networks, where there are three networks or more.

    Args:
        resamples: Of all that was measured.
        rows: Those that have a place in the report's tables.
        networks: Their names, in the order in which they were measured.

    Returns:
        Records with ``method``, ``grouping``, ``sign``, ``views``, ``metric``, ``first`` and ``second`` (the names of
        the networks), ``value``, ``ci95``, ``null``, ``excess``, ``excess_ci95`` (over the random network: the map of
        one of the two beside that of the other's twin) and ``n``. A null was measured of networks that follow one
        another alone, the first one following the last, which of three networks are all pairs: else the null and what
        is made of it is None. Nothing of measurements that did not keep pairs apart.
    """
    made = []
    numbered = list(combinations(range(len(networks)), 2)) if len(networks) > 2 else []
    compared = [key for key in measured_keys(resamples, rows) if METRICS[key.metric].compared]
    for key, (i, j) in product(compared, numbered):
        value = key._replace(kind=pair_kind("value", i, j))
        # Parts of an earlier study may have kept the mean over all pairs alone.
        if not (resamples.has(value) and resamples.count(value) == resamples.count(key)):
            continue
        record: Record = {
            "method": key.method,
            **row_of(key)._asdict(),
            "metric": key.metric,
            "first": networks[i],
            "second": networks[j],
            "value": resamples.mean(value),
            "ci95": list(interval(resamples.means(value))),
            **dict.fromkeys(("null", "excess"), None),
            "excess_ci95": [None, None],
            "n": resamples.count(value),
        }
        for null in (pair_kind(RANDOM_NETWORK, *pair) for pair in ((i, j), (j, i))):
            if resamples.has(key._replace(kind=null)):
                itself, resampled = resamples.excess(value, null)
                record["null"] = resamples.mean(key._replace(kind=null))
                record["excess"], record["excess_ci95"] = itself, list(interval(resampled))
        made.append(record)
    return made


def pair_tables(result: Report) -> list[str]:
    """Write tables of the pairs: pixels, what is recommended and the better of two controls, by each method.

    Args:
        result: What ``report.json`` holds; that of an earlier version need not have pairs.

    Returns:
        Lines of Markdown; none where pairs were not kept apart.
    """
    of: dict[_Place, list[Record]] = {}
    for record in result.get("pairs", []):
        of.setdefault(_place(record), []).append(record)
    if not of:
        return []
    means = {place: record for record in result["records"] if (place := _place(record)) in of}
    networks = [model["name"] for model in result["models"]]
    numbered = [f"{i} and {j}" for i, j in combinations(range(1, len(networks) + 1), 2)]
    lines = [
        "## Pairs of networks",
        "",
        "Chance-corrected over the random network, with 95 % intervals over images: the mean over all pairs, and the "
        "pairs. How far these lie apart is what other networks would change, and no interval of this report says so. "
        f"The networks are {joined(f'{i} {name}' for i, name in enumerate(networks, start=1))}. Of *blur* and *guided "
        "filter*, with the sign and views of the recommended map, the one with the higher mean is shown; all other "
        "rows are in report.json, `pairs`.",
        "",
    ]
    several = numbered if len(numbered) <= _MOST_SHOWN else ["worst pair", "best pair"]
    for metric, method in product(dict.fromkeys(metric for _, _, metric in of), result["recommended"]):
        body = [
            [row_label(*row), _cell(means[method, row, metric]), *_cells(of[method, row, metric], numbered)]
            for row in _shown(result, means, method, metric)
        ]
        if body:
            lines += [f"{method}, {METRICS[metric].title}:", "", *table(["row", "all pairs", *several], body)]
    return lines


def _place(record: Record) -> _Place:
    return record["method"], Row(record["grouping"], record["sign"], record["views"]), record["metric"]


def _shown(result: Report, means: Mapping[_Place, Record], method: str, metric: str) -> list[Row]:
    """Pixels, the recommended row, and the control that comes nearest to it or is above, as far as they are there."""
    best = Row(**result["recommended"][method])
    controls = [row for name in _CONTROLS if (method, row := best._replace(grouping=name), metric) in means]
    controls.sort(key=lambda row: _rank(_excess(means[method, row, metric])[0]), reverse=True)
    rows = dict.fromkeys([Row(PIXELS, "magnitude"), best, *controls[:1]])
    return [row for row in rows if (method, row, metric) in means]


def _cells(found: Sequence[Record], numbered: Sequence[str]) -> list[str]:
    if len(found) <= _MOST_SHOWN:
        return [_cell(record) for record in found]
    known = [pair for pair in zip(found, numbered, strict=True) if number(_excess(pair[0])[0]) != "–"]
    known.sort(key=lambda pair: _rank(_excess(pair[0])[0]))
    return [f"{_cell(record)} ({pair})" for record, pair in (known[0], known[-1])] if known else ["–", "–"]


def _cell(record: Record) -> str:
    return with_ci(*_excess(record))


def _excess(record: Record) -> tuple[float | None, Sequence[float | None]]:
    """What is beyond the random network, and its interval: of a pair, or of the mean over all."""
    if "first" in record:
        return record["excess"], record["excess_ci95"]
    return record["excess"].get(RANDOM_NETWORK), record["excess_ci95"].get(RANDOM_NETWORK, (None, None))


def _rank(excess: float | None) -> float:
    """For sorting: what has no figure comes first."""
    return -math.inf if excess is None or number(excess) == "–" else excess
