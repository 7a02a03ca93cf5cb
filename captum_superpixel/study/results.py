"""From a value an image to the records of the report: means, nulls, excesses, differences, and their intervals."""

from typing import Any

import torch
from torch import Tensor

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.metrics.bootstrap import interval
from captum_superpixel.study.groupings import SIGNS
from captum_superpixel.study.measuring import LOCALIZATION, STABILITY, Key, Measurement

__all__ = ["COMPARED", "SCHEMA_VERSION", "Resamples", "comparisons", "records", "verdicts"]

SCHEMA_VERSION = 1

COMPARED = ("ssim", "top_k_iou", "insertion_minus_deletion", "road", "relevance_rank_accuracy")
"""Metrics whose differences between groupings are reported with an interval of their own."""

_CANDIDATES = ("Slic", "Felzenszwalb", "ensemble")
_CONTROLS = ("pixels", "cells", "cell ensemble", "blur", "Slic", "Felzenszwalb")
_NULLS = ("permutation", "random_network")
_RESAMPLES = 2000

Record = dict[str, Any]


class Resamples:
    """Bootstrap resamples of the images, the same for all that is computed from them, so that differences are paired.

    Args:
        measurement: Of all images; a metric that was measured on n images is resampled among these n.
        seed: Of the resamples.
    """

    def __init__(self, measurement: Measurement, seed: int) -> None:
        self._values = {
            # Infinite, or 0 / 0, where the mean map of an image is zero.
            key: values[values.isfinite()] if key.metric == "across_model_variance" else values
            for key, values in measurement.values.items()
        }
        self._seed = seed
        self._weights: dict[int, Tensor] = {}
        self._means: dict[Key, Tensor] = {}

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
        if key not in self._means:
            means = self._weights_of(self.count(key)) @ self._values[key].double()
            self._means[key] = means if self.count(key) > 1 else torch.full_like(means, torch.nan)
        return self._means[key]

    def excess(self, key: Key, null: str) -> tuple[float, Tensor]:
        """The excess over a null: of the images themselves, and of the resamples, (R,)."""
        null_key = key._replace(kind=null)
        itself = metrics.excess(self.mean(key), self.mean(null_key))
        return itself, metrics.excess(self.means(key), self.means(null_key))

    def _weights_of(self, count: int) -> Tensor:
        """How often each of ``count`` images is drawn, relative to their number: (R, count)."""
        if count not in self._weights:
            generator = torch.Generator().manual_seed(derive_seed(self._seed, "bootstrap", count))
            drawn = torch.randint(max(1, count), (_RESAMPLES, count), generator=generator)
            ones = torch.ones(drawn.shape, dtype=torch.float64)
            self._weights[count] = torch.zeros_like(ones).scatter_add_(1, drawn, ones) / count
        return self._weights[count]


def records(measurement: Measurement, seed: int) -> list[Record]:
    """One record for every method, grouping, sign and metric.

    Args:
        measurement: Of all images.
        seed: Of the bootstrap.

    Returns:
        Records with ``method``, ``grouping``, ``sign``, ``metric``, ``family``, ``value``, ``ci95``, ``n``; and for
        similarities ``nulls``, ``excess`` and ``excess_ci95``, each by the name of the null. The variance over models
        leaves out images whose mean map is zero, and ``n`` with them.
    """
    resamples = Resamples(measurement, seed)
    made = []
    for key in measurement.values:
        if key.kind != "value" or key.metric == "summed_variance":
            continue
        record: Record = {
            "method": key.method,
            "grouping": key.grouping,
            "sign": key.sign,
            "metric": key.metric,
            "family": _family(key.metric),
            "value": resamples.mean(key),
            "ci95": list(interval(resamples.means(key))),
            "n": resamples.count(key),
        }
        if key.metric in STABILITY:
            record |= {"nulls": {}, "excess": {}, "excess_ci95": {}}
            for null in _NULLS:
                if resamples.has(key._replace(kind=null)):
                    itself, resampled = resamples.excess(key, null)
                    record["nulls"][null] = resamples.mean(key._replace(kind=null))
                    record["excess"][null] = itself
                    record["excess_ci95"][null] = list(interval(resampled))
        made.append(record)
    return made


def comparisons(measurement: Measurement, seed: int) -> list[Record]:
    """Differences between groupings on the same images, with intervals that are paired by image.

    Returns:
        Records with ``method``, ``sign``, ``metric``, ``quantity`` (``"value"`` or the excess over a null),
        ``grouping``, ``against``, ``difference`` (grouping minus control), ``ci95`` and ``n``.
    """
    resamples = Resamples(measurement, seed)
    made = []
    for key in measurement.values:
        if key.kind != "value" or key.metric not in COMPARED or key.grouping not in _CANDIDATES:
            continue
        for against in _CONTROLS:
            control = key._replace(grouping=against)
            if against == key.grouping or not resamples.has(control):
                continue
            difference = resamples.mean(key) - resamples.mean(control)
            found = {"value": (difference, resamples.means(key) - resamples.means(control))}
            for null in _NULLS:
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
                        "against": against,
                        "difference": difference,
                        "ci95": list(interval(resampled)),
                        "n": resamples.count(key),
                    }
                )
    return made


def verdicts(compared: list[Record]) -> list[Record]:
    """What the paper and its design claim, held against the intervals.

    Args:
        compared: What :func:`comparisons` returned.

    Returns:
        Records with the ``claim``, and for every method the ``difference``, its ``ci95`` and a ``verdict``:
        ``"yes"`` where the interval lies above 0, ``"no"`` where it lies below, else ``"undecided"``.
    """
    claims = [
        (f"{name}: {sign} Slic above {control}", "Slic", control, sign, metric, "value")
        for metric, name in (("ssim", "raw SSIM"), ("top_k_iou", "raw top-10 % IoU"))
        for sign in SIGNS
        for control in ("pixels", "cells")
    ]
    controls = ("pixels", "Slic", "Felzenszwalb", "cell ensemble", "blur")
    over = "excess over random_network"
    beyond = [("ssim", "SSIM over the random network"), ("top_k_iou", "top-10 % IoU over the random network")]
    claims += [
        (f"{name}: signed {grouping} above pixels", grouping, "pixels", "signed", metric, over)
        for metric, name in beyond
        for grouping in ("Slic", "ensemble")
    ]
    claims += [
        (f"{name}: magnitude ensemble above {each}", "ensemble", each, "magnitude", metric, over)
        for metric, name in beyond
        for each in controls
    ]
    metric = "insertion_minus_deletion"
    claims += [
        (f"insertion minus deletion: {sign} ensemble above {each}", "ensemble", each, sign, metric, "value")
        for sign in SIGNS
        for each in controls
    ]
    made = []
    for claim, grouping, against, sign, metric, quantity in claims:
        found = {
            record["method"]: {
                "difference": record["difference"],
                "ci95": record["ci95"],
                "verdict": _verdict(*record["ci95"]),
            }
            for record in compared
            if (record["grouping"], record["against"], record["sign"], record["metric"], record["quantity"])
            == (grouping, against, sign, metric, quantity)
        }
        if found:
            made.append({"claim": claim, "methods": found})
    return made


def _family(metric: str) -> str:
    if metric in STABILITY or metric == "across_model_variance":
        return "stability"
    return "localization" if metric in LOCALIZATION else "fidelity"


def _verdict(low: float, high: float) -> str:
    if low > 0:
        return "yes"
    return "no" if high < 0 else "undecided"
