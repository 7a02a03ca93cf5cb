"""The claims of a study, tested as one family: p-values from the bootstrap, corrected for their number by Holm."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from torch import Tensor

from captum_superpixel.metrics.bootstrap import interval
from captum_superpixel.study.measurement import Key
from captum_superpixel.study.metric_table import METRICS, RANDOM_NETWORK
from captum_superpixel.study.protocol import Claim
from captum_superpixel.study.results import ROUNDING, Record, Resamples, compared_fields, differences
from captum_superpixel.study.tables import row_label

__all__ = ["ALPHA", "Holm", "holm", "verdicts"]

ALPHA = 0.05
"""The chance, at most, that any claim of the family is decided though nothing differs."""


@dataclass(frozen=True)
class Holm:
    """Holm's method on m p-values.

    Args:
        adjusted: (m,) p-values that allow for the number of tests: a claim is decided where it is at most alpha.
        levels: (m,) what each p-value is held to: alpha / (m - i + 1) for the i-th smallest up to the first that is
            above its level, and the level of that one for all that follow.
    """

    adjusted: npt.NDArray[np.float64]
    levels: npt.NDArray[np.float64]


def holm(p_values: Sequence[float], alpha: float = ALPHA) -> Holm:
    """Correct p-values for their number by Holm's step-down method, which holds however they depend on one another.

    Args:
        p_values: m numbers in [0, 1], at least one; NaN for a test that could not be made, which counts as p = 1.
        alpha: In (0, 1): the chance, at most, of any false decision.

    Returns:
        The adjusted p-values and the levels, in the order of the p-values.

    References:
        Holm, S. (1979). A Simple Sequentially Rejective Multiple Test Procedure. Scandinavian Journal of Statistics
        6(2), 65-70. https://www.jstor.org/stable/4615733

    Examples:
        >>> corrected = holm([0.03, 0.01, 0.04])
        >>> corrected.adjusted.round(3).tolist(), corrected.levels.round(4).tolist()
        ([0.06, 0.03, 0.06], [0.025, 0.0167, 0.025])
    """
    given = np.nan_to_num(np.asarray(p_values, dtype=np.float64), nan=1.0)
    count = len(given)
    order = np.argsort(given, kind="stable")
    left = count - np.arange(count)  # m - i + 1
    adjusted, levels = np.empty(count), np.empty(count)
    adjusted[order] = np.minimum(np.maximum.accumulate(left * given[order]), 1)
    failed = left * given[order] > alpha
    first = int(failed.argmax()) if failed.any() else count - 1
    levels[order] = alpha / left[np.minimum(np.arange(count), first)]
    return Holm(adjusted, levels)


def verdicts(resamples: Resamples, claims: Sequence[Claim]) -> list[Record]:
    """What is claimed, held against the images, with all claims of the study as one family.

    Args:
        resamples: Of all that was measured.
        claims: Which rows are to be above which, and by which measures.

    Returns:
        A record for every claim, metric and method that was measured, with the fields of a comparison and ``claim`` (in
        words), ``p`` (two-sided; NaN where there is no figure, or a single image), ``p_holm``, ``ci95_holm`` and a
        ``verdict``: ``"yes"`` or ``"no"``, as the difference is to the better or not, where ``p_holm`` is at most
        :data:`ALPHA`, else ``"undecided"``. ``ci95_holm`` excludes 0 exactly where the claim is decided.

    Notes:
        p takes the difference to be normally distributed with the standard deviation of its resamples, for percentiles
        so far out would take more resamples than there are.
    """
    tested = list(_tested(resamples, claims))
    if not tested:
        return []
    corrected = holm([record["p"] for record, _ in tested])
    made = []
    for (record, deviation), adjusted, level in zip(tested, corrected.adjusted, corrected.levels, strict=True):
        # A difference that is none but for rounding is one of 0, though its resamples may all be alike.
        rounding = abs(record["difference"]) if record["p"] == 1 else 0.0
        reach = max(-NormalDist().inv_cdf(level / 2) * deviation, rounding)
        decided = adjusted <= ALPHA
        better = (record["difference"] > 0) == METRICS[record["metric"]].higher_is_better
        made.append(
            record
            | {
                "p_holm": math.nan if math.isnan(record["p"]) else float(adjusted),
                "ci95_holm": [record["difference"] - reach, record["difference"] + reach],
                "verdict": ("yes" if better else "no") if decided else "undecided",
            }
        )
    return made


def _tested(resamples: Resamples, claims: Sequence[Claim]) -> Iterator[tuple[Record, float]]:
    """Each claim by each of its metrics and methods, once, and the standard deviation of its difference."""
    methods = dict.fromkeys(key.method for key in resamples.measurement.values)
    seen = set()
    for claim in claims:
        for metric, quantity, title in _measures(claim):
            for method in (method for method in methods if not claim.methods or method in claim.methods):
                what = (method, claim.row, claim.rival, metric, quantity)
                key = Key(method, metric=metric, **claim.row._asdict())
                found = differences(resamples, key, claim.rival).get(quantity)
                if found is None or what in seen:
                    continue
                seen.add(what)
                difference, resampled = found
                deviation = resampled.std().item()
                record = {
                    "claim": f"{title}: {row_label(*claim.row)} above {row_label(*claim.rival)}",
                    **compared_fields(method, claim.row, claim.rival),
                    "metric": metric,
                    "quantity": quantity,
                    "difference": difference,
                    "ci95": list(interval(resampled)),
                    "n": resamples.count(key),
                    "p": _p_value(difference, resampled),
                }
                yield record, deviation


def _measures(claim: Claim) -> Iterator[tuple[str, str, str]]:
    """Metric, what of it is compared, and what the claim calls it."""
    for name, metric in METRICS.items():
        if not metric.claimed or metric.has_nulls != (claim.of != "fidelity"):
            continue
        if claim.of == "raw":
            yield name, "value", f"raw {metric.title}"
        elif claim.of == "corrected":
            yield name, f"excess over {RANDOM_NETWORK}", f"chance-corrected {metric.title}"
        elif metric.family == claim.of:
            yield name, "value", metric.title.replace("−", "minus")


def _p_value(difference: float, resampled: Tensor) -> float:
    """Two-sided; NaN where there is no difference, or no interval of it."""
    deviation = resampled.std().item()
    if not (math.isfinite(difference) and math.isfinite(deviation)):
        return math.nan
    if abs(difference) <= ROUNDING:
        return 1.0
    return math.erfc(abs(difference) / deviation / math.sqrt(2)) if deviation else 0.0
