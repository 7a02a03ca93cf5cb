"""From a value per image to the figures of the report: means, nulls, excesses, differences, and their intervals."""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import Any, TypeAlias

import torch
from torch import Tensor

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.metrics.bootstrap import interval, resampled_means
from captum_superpixel.study.measuring import SUMMED_VARIANCE, Key, Measurement
from captum_superpixel.study.metric_table import MAX_NULL, METRICS, NULLS, PERMUTATION, RANDOM_NETWORK
from captum_superpixel.study.protocol import PIXELS, SIGNS, Grouping, MapSign, Protocol

__all__ = [
    "SCHEMA_VERSION",
    "Record",
    "Report",
    "Resamples",
    "comparisons",
    "records",
    "variance_by_size",
    "verdict_of",
    "verdicts",
]

SCHEMA_VERSION = 1

_ROUNDING = 1e-12
"""Tolerance for rounding: what equal values may differ by after sums in another order."""

Record: TypeAlias = dict[str, Any]
"""A row of one of the report's lists."""
Report: TypeAlias = dict[str, Any]
"""What ``report.json`` holds."""


class Resamples:
    """Bootstrap resamples of the images, the same for all that is computed from them, so that differences are paired.

    Args:
        measurement: Of all images; metrics that were measured on as many images are resampled together.
        seed: Of the resamples.
    """

    def __init__(self, measurement: Measurement, seed: int) -> None:
        self.measurement = measurement
        self._values = {
            # Infinite, or 0 / 0, where the mean map of an image is zero.
            key: (values[values.isfinite()] if key.metric == "across_model_variance" else values).double()
            for key, values in measurement.values.items()
        }
        self._means: dict[Key, Tensor] = {}
        together: dict[int, list[Key]] = defaultdict(list)
        for key, values in self._values.items():
            together[len(values)].append(key)
        for count, keys in together.items():
            columns = torch.stack([self._values[key] for key in keys], dim=1)
            generator = torch.Generator().manual_seed(derive_seed(seed, "bootstrap", count))
            self._means |= dict(zip(keys, resampled_means(columns, generator=generator).T, strict=True))

    def has(self, key: Key) -> bool:
        """Whether there are values of that key."""
        return key in self._values

    def count(self, key: Key) -> int:
        """How many images were measured."""
        return len(self._values[key])

    def mean(self, key: Key) -> float:
        """The mean over the images themselves."""
        return self._values[key].mean().item()

    def means(self, key: Key) -> Tensor:
        """The means over the resamples, (R,); NaN for fewer than two images, which say nothing about others."""
        return self._means[key]

    def excess(self, key: Key, null: str) -> tuple[float, Tensor]:
        """The chance-corrected similarity, its excess over a null: of the images, and of the resamples, (R,).

        NaN where the mean null is above :data:`~captum_superpixel.study.metric_table.MAX_NULL`.
        """
        null_key = key._replace(kind=null)
        value, mean_null = self.mean(key), self.mean(null_key)
        if mean_null > MAX_NULL:
            return math.nan, torch.full_like(self.means(key), math.nan)
        return metrics.excess(value, mean_null), metrics.excess(self.means(key), self.means(null_key))


def records(resamples: Resamples, groupings: Sequence[Grouping]) -> list[Record]:
    """One record for every method, grouping, sign and metric.

    Args:
        resamples: Of all that was measured.
        groupings: Those that are compared.

    Returns:
        Records with ``method``, ``grouping``, ``sign``, ``metric``, ``family``, ``value``, ``ci95``, ``n``; and for
        similarities ``nulls``, ``excess`` and ``excess_ci95``, each by the name of the null; NaN stands for an excess
        over a null near 1. The variance over models leaves out images whose mean map is zero, and ``n`` with them.
    """
    made = []
    for key in _keys(resamples, groupings):
        record: Record = {
            "method": key.method,
            "grouping": key.grouping,
            "sign": key.sign,
            "metric": key.metric,
            "family": METRICS[key.metric].family,
            "value": resamples.mean(key),
            "ci95": list(interval(resamples.means(key))),
            "n": resamples.count(key),
        }
        if METRICS[key.metric].has_nulls:
            record |= {"nulls": {}, "excess": {}, "excess_ci95": {}}
            for null in NULLS:
                if resamples.has(key._replace(kind=null)):
                    itself, resampled = resamples.excess(key, null)
                    record["nulls"][null] = resamples.mean(key._replace(kind=null))
                    record["excess"][null] = itself
                    record["excess_ci95"][null] = list(interval(resampled))
        made.append(record)
    return made


def comparisons(resamples: Resamples, groupings: Sequence[Grouping]) -> list[Record]:
    """Differences between candidates and controls on the same images, with intervals that are paired by image.

    Args:
        resamples: Of all that was measured.
        groupings: Those that are compared, with their roles.

    Returns:
        Records with ``method``, ``sign``, ``metric``, ``quantity`` (``"value"`` or the excess over a null),
        ``grouping``, ``against``, ``difference`` (grouping minus control; NaN where one of two excesses is), ``ci95``
        and ``n``.
    """
    candidates = [grouping for grouping in groupings if "candidate" in grouping.roles]
    controls = [grouping for grouping in groupings if "control" in grouping.roles]
    made = []
    for key in _keys(resamples, candidates):
        for control in (key._replace(grouping=control.name) for control in controls):
            if not METRICS[key.metric].compared or control == key or not resamples.has(control):
                continue
            difference = resamples.mean(key) - resamples.mean(control)
            found = {"value": (difference, resamples.means(key) - resamples.means(control))}
            for null in NULLS:
                if all(resamples.has(each._replace(kind=null)) for each in (key, control)):
                    (a, drawn_a), (b, drawn_b) = resamples.excess(key, null), resamples.excess(control, null)
                    found[f"excess over {null}"] = a - b, drawn_a - drawn_b
            for quantity, (difference, resampled) in found.items():
                made.append(
                    {
                        "method": key.method,
                        "sign": key.sign,
                        "metric": key.metric,
                        "quantity": quantity,
                        "grouping": key.grouping,
                        "against": control.grouping,
                        "difference": difference,
                        "ci95": list(interval(resampled)),
                        "n": resamples.count(key),
                    }
                )
    return made


def verdicts(compared: Sequence[Record], groupings: Sequence[Grouping]) -> list[Record]:
    """What the paper and its design claim, held against the intervals.

    Args:
        compared: What :func:`comparisons` returned.
        groupings: The same groupings, whose roles and rivals make the claims.

    Returns:
        Records with the ``claim``, and for every method the ``difference``, its ``ci95`` and a ``verdict``:
        ``"yes"`` where the interval lies above 0, ``"no"`` where it lies below, else ``"undecided"``.
    """
    paper = [grouping for grouping in groupings if "of the paper" in grouping.roles]
    recommended = [grouping for grouping in groupings if "recommended" in grouping.roles]
    claimed = {name: metric for name, metric in METRICS.items() if metric.claimed}
    similarities = {name: metric.title for name, metric in claimed.items() if metric.has_nulls}
    others = {name: metric.title.replace("−", "minus") for name, metric in claimed.items() if not metric.has_nulls}
    raw = {name: f"raw {title}" for name, title in similarities.items()}
    corrected = {name: f"{title} over the random network" for name, title in similarities.items()}
    excess, every = f"excess over {RANDOM_NETWORK}", None
    # Metrics, what of them, signs, the groupings that the claims are about, and above how many of their rivals.
    claims: Sequence[tuple[dict[str, str], str, Sequence[MapSign], Sequence[Grouping], int | None]] = (
        (raw, "value", SIGNS, paper, every),
        (corrected, excess, ("signed",), paper + recommended, 1),
        (corrected, excess, ("magnitude",), recommended, every),
        (others, "value", SIGNS, recommended, every),
    )
    made = []
    for titles, quantity, signs, claimants, count in claims:
        for (metric, title), sign, grouping in product(titles.items(), signs, claimants):
            for rival in grouping.rivals[:count]:
                found = {
                    record["method"]: {
                        "difference": record["difference"],
                        "ci95": record["ci95"],
                        "verdict": verdict_of(record),
                    }
                    for record in compared
                    if (record["grouping"], record["against"], record["sign"], record["metric"], record["quantity"])
                    == (grouping.name, rival, sign, metric, quantity)
                }
                if found:
                    made.append({"claim": f"{title}: {sign} {grouping.name} above {rival}", "methods": found})
    return made


def variance_by_size(resamples: Resamples, protocol: Protocol, pixels: int) -> list[Record]:
    """Variance of grouped maps over training runs by the size of the segments: the paper's theorem, measured.

    Args:
        resamples: Of all that was measured, the summed variance of signed maps over models among it.
        protocol: Whose ``sizes`` were measured.
        pixels: Number of pixels per image.

    Returns:
        One record for every method, family of segments and size, with ``method``, ``family``, ``mean_segment_pixels``,
        ``variance_ratio`` (the grouped maps' variance over models, summed over pixels and images, over the pixel maps';
        1/|S| were the pixels of a segment independent), ``ci95``, ``shuffled_ratio`` (the same of maps whose pixels
        were permuted), ``across_model_variance`` (relative to the energy of the mean map; mean over the images that
        have any) and ``n``.
    """
    made = []
    for method, grouping in product(protocol.methods, protocol.sizes):
        key = Key(method, grouping.name, "signed", SUMMED_VARIANCE)
        pixel_key = key._replace(grouping=PIXELS)
        if not resamples.has(key):
            continue
        shuffled, shuffled_pixels = (resamples.mean(each._replace(kind=PERMUTATION)) for each in (key, pixel_key))
        made.append(
            {
                "method": method,
                "family": grouping.family,
                "mean_segment_pixels": pixels / resamples.measurement.segments[grouping.name],
                "variance_ratio": resamples.mean(key) / resamples.mean(pixel_key),
                "ci95": list(interval(resamples.means(key) / resamples.means(pixel_key))),
                "shuffled_ratio": shuffled / shuffled_pixels,
                "across_model_variance": resamples.mean(key._replace(metric="across_model_variance")),
                "n": resamples.count(key),
            }
        )
    return made


def _keys(resamples: Resamples, groupings: Sequence[Grouping]) -> list[Key]:
    """What was measured of these groupings by a metric, nulls aside."""
    names = {grouping.name for grouping in groupings}
    measured = resamples.measurement.values
    return [key for key in measured if key.kind == "value" and key.metric in METRICS and key.grouping in names]


def verdict_of(record: Record) -> str:
    """Say whether a difference is above 0: ``"yes"``, ``"no"``, or ``"undecided"`` where its interval says neither.

    Args:
        record: With ``ci95``, whose ends are NaN or None where there is no interval.

    Examples:
        >>> verdict_of({"ci95": [0.1, 0.2]}), verdict_of({"ci95": [-0.1, 0.2]}), verdict_of({"ci95": [None, None]})
        ('yes', 'undecided', 'undecided')
    """
    low, high = (math.nan if end is None else end for end in record["ci95"])
    if low > _ROUNDING:
        return "yes"
    return "no" if high < -_ROUNDING else "undecided"
