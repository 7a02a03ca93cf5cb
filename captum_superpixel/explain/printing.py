"""What is printed of the explanations of a photograph, in lines of at most 80 columns, and of all that failed."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from captum_superpixel._checks import readable
from captum_superpixel._numbers import find_common_unit
from captum_superpixel._texts import cut
from captum_superpixel.explain.classes import Prediction
from captum_superpixel.explain.explanation import Explanation, Outcome
from captum_superpixel.explain.meaning import class_of
from captum_superpixel.regions import RegionTable
from captum_superpixel.regions.choosing import first_regions, strongest_regions
from captum_superpixel.regions.confidence import describe_stays_top, write_probability
from captum_superpixel.regions.table import SHARE, describe_ranks, draw_cells, show_rank

__all__ = ["list_failures", "summarize"]

_COLUMNS = 80
_NAMED = 8
_CLASS = 60
"""Letters of a class in a line of its own."""


def summarize(outcome: Outcome, outputs: Sequence[Path], top: int) -> str:
    """Say what the network sees in a photograph, and where by each method.

    Args:
        outcome: What to say.
        outputs: The files that were written.
        top: How many regions to list.

    Returns:
        Several lines.
    """
    lines = [readable(outcome.photograph)]
    for remark in outcome.remarks:
        lines += _wrap(f"note: {readable(remark)}.")
    if outcome.explanations:
        lines += _list_classes(outcome.explanations[0])
    for explanation in outcome.explanations:
        lines += _wrap(f"{readable(explanation.how)} ({len(explanation.table)} regions)")
        lines += _wrap(f"baseline: {explanation.baseline}") if explanation.baseline else []
        lines += _wrap(f"confidence: {explanation.confidence}") if explanation.confidence else []
        for warning in explanation.warnings:
            lines += _wrap(f"warning: {readable(warning)}")
        name = cut(class_of(explanation), _CLASS) or None
        lines.append(textwrap.indent(_tabulate(explanation.table, top, name), "  "))
    for failure in outcome.failures:
        lines += _wrap(f"not explained: {readable(failure)}")
    return "\n".join([*lines, *(f"  wrote {readable(path)}" for path in outputs)])


def _list_classes(explanation: Explanation) -> list[str]:
    target, predictions = explanation.target, explanation.predictions
    lines = []
    for number, prediction in enumerate(predictions[:3]):
        lines.append(_cut(f"  {'' if number else prediction.role:9}  {_describe(prediction)}"))
    if predictions[0].role == "likeliest":
        likely = sum(prediction.probability is not None and prediction.probability > 0.5 for prediction in predictions)
        lines.append(f"  each class for itself: {likely} of {len(predictions)} are above 50 %")
    if target.index != predictions[0].index:
        lines.append(_cut(f"  explained  {_describe(target)}"))
    return lines


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(
        text, _COLUMNS, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=True
    )


def list_failures(failures: Sequence[tuple[Path, str]], total: int) -> str:
    """Say which photographs failed, and why; those that failed for the same reason together.

    Args:
        failures: The photographs, each with the reason.
        total: How many photographs there were.

    Returns:
        One line, or several.
    """
    alike: dict[str, list[Path]] = {}
    for path, message in failures:
        alike.setdefault(message, []).append(path)
    lines = [f"{len(failures)} of {total} photographs could not be explained:"] if total > 1 else []
    for message, paths in alike.items():
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        lines.append(f"{', '.join(map(readable, paths[:_NAMED]))}{more}: {message}")
    return "\n  ".join(lines)


def _describe(prediction: Prediction) -> str:
    chance = f"{prediction.figure:>8}  " if prediction.figure else ""
    if prediction.role == "target":
        return f"{chance}{readable(prediction.name)}"
    number = f"{'output' if prediction.role in ('output', 'largest') else 'class'} {prediction.index}"
    return f"{chance}{number if prediction.name == number else f'{number}, {readable(prediction.name)}'}"


def _tabulate(table: RegionTable, top: int, class_name: str | None = None) -> str:
    """Draw the first regions as a table, and say what shares are of and which regions have no rank of their own.

    Of a class, where scores have signs, these are the regions that speak for it, and half as many against it follow.
    """
    if class_name is not None and any(region.score < 0 for region in table):
        for_, against, ties = strongest_regions(table, top, math.ceil(top / 2))
        parts = {f"for {class_name}": for_, "against": against}
    else:
        first, tie = first_regions(table, top)
        parts, ties = {"": first}, [tie] if tie else []
    regions = [region for part in parts.values() for region in part]
    ranks = describe_ranks([*regions, *(region for region in table if region.rank is None)])
    unit = find_common_unit(region.score for region in regions)
    rows = [
        (
            show_rank(region),
            f"{100 * region.area_share:.1f} %",
            unit.write(region.score),
            f"{100 * region.share:.1f} %",
            f"{region.centroid[0]:.0f}, {region.centroid[1]:.0f}",
            *([] if region.stays_top is None else [write_probability(region.stays_top)]),
        )
        for region in regions
    ]
    header = ["rank", "area", table.score_name, "share", "center (row, column)"]
    # Intervals, which are in the page and the arrays, would not fit.
    sure = [] if table.k is None else [(f"stays top {table.k}", describe_stays_top(table.k))]
    header += [name for name, _ in sure]
    head, *drawn = draw_cells(header, rows).split("\n")
    lines = [head] if rows else []
    for heading, part in parts.items():
        lines += [f"{heading}{'' if part else ': no region'}"] if heading else []
        lines += drawn[: len(part)]
        drawn = drawn[len(part) :]
    units = [f"{table.score_name}: in {unit.words}"] if unit.exponent else []
    meanings = [textwrap.fill(f"{name}: {meaning}", _COLUMNS - 2) for name, meaning in sure]
    return "\n".join([*lines, *([*units, f"share: {SHARE}", *meanings] if rows else []), *ties, *ranks])


def _cut(line: str) -> str:
    return line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 3]}..."
