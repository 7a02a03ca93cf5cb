"""From a value per image to the figures of the report: means, nulls, excesses, differences, and their intervals."""

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.metrics.bootstrap import interval, resampled_means
from captum_superpixel.study.measurement import PREDICTED_VARIANCE, SUMMED_VARIANCE, Key, Measurement
from captum_superpixel.study.metric_table import MAX_NULL, METRICS, NULLS, PERMUTATION
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.rows import PIXELS, MapSign, Row

__all__ = [
    "FEW_IMAGES",
    "NULL_MAP",
    "ROUNDING",
    "SCHEMA_VERSION",
    "Record",
    "Report",
    "Resamples",
    "compared_fields",
    "comparisons",
    "differences",
    "measured_keys",
    "records",
    "row_of",
    "variance_by_size",
    "verdict_of",
]

SCHEMA_VERSION = 2

NULL_MAP = "null map"
"""The kind of a grouping whose maps know nothing of what they seem to explain."""

FEW_IMAGES = 25
"""Over fewer images than these bootstrap intervals are too narrow, and p-values too small."""
ROUNDING = 1e-12
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


def records(resamples: Resamples, rows: Sequence[Row]) -> list[Record]:
    """One record for every method, row and metric.

    Args:
        resamples: Of all that was measured.
        rows: Those that have a place in the report's tables.

    Returns:
        Records with ``method``, ``grouping``, ``sign``, ``views``, ``metric``, ``family``, ``value``, ``ci95``, ``n``;
        and for similarities ``nulls``, ``excess`` and ``excess_ci95``, each by the name of the null; NaN stands for an
        excess over a null near 1. The variance over models leaves out images whose mean map is zero, and ``n`` with
        them.
    """
    made = []
    for key in measured_keys(resamples, rows):
        record: Record = {
            "method": key.method,
            **row_of(key)._asdict(),
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


def comparisons(resamples: Resamples, compared: Sequence[tuple[Row, Row]]) -> list[Record]:
    """Differences between two rows on the same images, with intervals that are paired by image.

    Args:
        resamples: Of all that was measured.
        compared: Pairs of a row and what it is held against.

    Returns:
        Records with ``method``, ``grouping``, ``sign``, ``views``, ``against``, ``against_sign``, ``against_views``,
        ``metric``, ``quantity`` (``"value"`` or the excess over a null), ``difference`` (the row minus what it is held
        against; NaN where one of two excesses is), ``ci95`` and ``n``. What was not measured is left out.
    """
    rivals: dict[Row, list[Row]] = defaultdict(list)
    for row, rival in dict.fromkeys(compared):
        rivals[row].append(rival)
    made = []
    for key in measured_keys(resamples, list(rivals)):
        if not METRICS[key.metric].compared:
            continue
        for rival in rivals[row_of(key)]:
            for quantity, (difference, resampled) in differences(resamples, key, rival).items():
                made.append(
                    {
                        **compared_fields(key.method, row_of(key), rival),
                        "metric": key.metric,
                        "quantity": quantity,
                        "difference": difference,
                        "ci95": list(interval(resampled)),
                        "n": resamples.count(key),
                    }
                )
    return made


def differences(resamples: Resamples, key: Key, rival: Row) -> dict[str, tuple[float, Tensor]]:
    """The difference between a row's metric and that of another row, in value and in excess of each null.

    Args:
        resamples: Of all that was measured.
        key: Of the metric and the row.
        rival: Whose values are subtracted.

    Returns:
        By ``"value"`` and ``"excess over <null>"``: the difference on the images, and on the resamples, (R,). Nothing
        where one of the two was not measured.
    """
    other = key._replace(**rival._asdict())
    if not (resamples.has(key) and resamples.has(other)):
        return {}
    found = {"value": (resamples.mean(key) - resamples.mean(other), resamples.means(key) - resamples.means(other))}
    for null in NULLS:
        if all(resamples.has(each._replace(kind=null)) for each in (key, other)):
            (a, drawn_a), (b, drawn_b) = resamples.excess(key, null), resamples.excess(other, null)
            found[f"excess over {null}"] = a - b, drawn_a - drawn_b
    return found


def compared_fields(method: str, row: Row, rival: Row) -> Record:
    """The fields that say what is compared with what.

    Examples:
        >>> compared_fields("Saliency", Row("ensemble", "evidence", 8), Row("pixels", "magnitude"))
        {'method': 'Saliency', 'grouping': 'ensemble', 'sign': 'evidence', 'views': 8,
         'against': 'pixels', 'against_sign': 'magnitude', 'against_views': 1}
    """
    against = {"against": rival.grouping, "against_sign": rival.sign, "against_views": rival.views}
    return {"method": method, **row._asdict(), **against}


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
        were permuted), ``predicted_ratio`` (what the correlation of pixels with the same displacement anywhere in the
        image would leave), ``correlation`` (mean of two pixels of a segment, by that prediction) and
        ``measured_over_predicted``, each with its ``_ci95``, and NaN where they were not
        measured; ``across_model_variance`` (relative to the energy of the mean map; mean over the images that
        have any) and ``n``.
    """
    made = []
    for method, grouping in product(protocol.methods, protocol.sizes):
        key = Key(method, grouping.name, "signed", SUMMED_VARIANCE)
        pixel_key = key._replace(grouping=PIXELS)
        if not resamples.has(key):
            continue
        size = pixels / resamples.measurement.segments[grouping.name]
        shuffled, shuffled_pixels = (resamples.mean(each._replace(kind=PERMUTATION)) for each in (key, pixel_key))
        made.append(
            {
                "method": method,
                "family": grouping.family,
                "mean_segment_pixels": size,
                "variance_ratio": resamples.mean(key) / resamples.mean(pixel_key),
                "ci95": list(interval(resamples.means(key) / resamples.means(pixel_key))),
                "shuffled_ratio": shuffled / shuffled_pixels,
                **_prediction(resamples, key, pixel_key, size),
                "across_model_variance": resamples.mean(key._replace(metric="across_model_variance")),
                "n": resamples.count(key),
            }
        )
    return made


def _prediction(resamples: Resamples, key: Key, pixel_key: Key, size: float) -> Record:
    predicted = key._replace(metric=PREDICTED_VARIANCE)
    found: dict[str, tuple[float, Tensor]] = {}
    # Parts of an earlier study may have no prediction; held against those that have one it would be of other images.
    if resamples.has(predicted) and resamples.count(predicted) == resamples.count(key):
        (mean, means), (pixel_mean, pixel_means), (measured, resampled) = (
            (resamples.mean(each), resamples.means(each)) for each in (predicted, pixel_key, key)
        )
        ratio, ratios = mean / pixel_mean, means / pixel_means
        others = size - 1 or math.nan
        found = {
            "predicted_ratio": (ratio, ratios),
            # A mean over n pixels that are correlated by r has the variance (1 + (n - 1) r) / n.
            "correlation": ((size * ratio - 1) / others, (size * ratios - 1) / others),
            "measured_over_predicted": (measured / mean, resampled / means),
        }
    record: Record = {}
    for name in ("predicted_ratio", "correlation", "measured_over_predicted"):
        value, resampled = found.get(name, (math.nan, torch.full((1,), math.nan)))
        record |= {name: value, f"{name}_ci95": list(interval(resampled))}
    return record


def row_of(key: Key) -> Row:
    """The row that a column of values belongs to."""
    return Row(key.grouping, cast(MapSign, key.sign), key.views)


def measured_keys(resamples: Resamples, rows: Sequence[Row]) -> list[Key]:
    """What was measured of these rows by a metric, nulls aside."""
    wanted = set(rows)
    measured = resamples.measurement.values
    return [key for key in measured if key.kind == "value" and key.metric in METRICS and row_of(key) in wanted]


def verdict_of(record: Record) -> str:
    """Say whether a difference is to the better: ``"yes"``, ``"no"``, or ``"undecided"`` where its interval holds 0.

    Args:
        record: With ``metric``, which says whether higher or lower is better, and ``ci95``, whose ends are NaN or None
            where there is no interval.

    Examples:
        >>> [verdict_of({"metric": "ssim", "ci95": ends}) for ends in ([0.1, 0.2], [-0.1, 0.2], [None, None])]
        ['yes', 'undecided', 'undecided']
        >>> verdict_of({"metric": "deletion_auc", "ci95": [0.1, 0.2]})
        'no'
    """
    low, high = (math.nan if end is None else end for end in record["ci95"])
    if not (low > ROUNDING or high < -ROUNDING):
        return "undecided"
    return "yes" if (low > 0) == METRICS[record["metric"]].higher_is_better else "no"
