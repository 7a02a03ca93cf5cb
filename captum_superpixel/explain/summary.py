"""What ``explain`` prints of a photograph: the prediction and the top regions, in lines of at most 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from captum_superpixel.explain.classes import Prediction
from captum_superpixel.explain.explainer import Explanation
from captum_superpixel.explain.photographs import readable

__all__ = ["list_failures", "summarise"]

_COLUMNS = 80
_NAMED = 8
_HEADER = ("rank", "area", "score", "share", "centre (row, column)")


def summarise(explanation: Explanation, outputs: Sequence[Path], top: int) -> str:
    """Say what the network sees in a photograph, and where.

    Args:
        explanation: What to say.
        outputs: The files that were written.
        top: How many regions to list.

    Returns:
        Several lines.
    """
    target, predictions = explanation.target, explanation.predictions
    lines = [readable(explanation.photograph)]
    for number, prediction in enumerate(predictions[:3]):
        lines.append(_cut(f"  {'' if number else 'predicted':9}  {_describe(prediction)}"))
    if target.index != predictions[0].index:
        lines.append(_cut(f"  explained  {_describe(target)}"))
    lines += textwrap.wrap(
        f"{readable(explanation.how)} ({len(explanation.table)} regions)",
        _COLUMNS,
        initial_indent="  ",
        subsequent_indent="  ",
    )
    lines += [f"  {line}" for line in _table(explanation, top)]
    return "\n".join([*lines, *(f"  wrote {readable(path)}" for path in outputs)])


def list_failures(failures: Sequence[tuple[Path, str]], total: int) -> str:
    """Say which photographs failed, and why; those that failed alike together."""
    alike: dict[str, list[Path]] = {}
    for path, message in failures:
        alike.setdefault(message, []).append(path)
    lines = [f"{len(failures)} of {total} photographs could not be explained:"] if total > 1 else []
    for message, paths in alike.items():
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        lines.append(f"{', '.join(map(readable, paths[:_NAMED]))}{more}: {message}")
    return "\n  ".join(lines)


def _describe(prediction: Prediction) -> str:
    chance = "" if prediction.probability is None else f"{100 * prediction.probability:5.1f} %  "
    number = f"class {prediction.index}"
    return f"{chance}{number if prediction.name == number else f'{number}, {readable(prediction.name)}'}"


def _table(explanation: Explanation, top: int) -> list[str]:
    rows = [
        (
            str(region.rank),
            f"{100 * region.area_share:.1f} %",
            f"{region.score:#.3g}".rstrip("."),
            f"{100 * region.share:.1f} %",
            f"{region.centroid[0]:.0f}, {region.centroid[1]:.0f}",
        )
        for region in explanation.table[:top]
    ]
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (_HEADER, *rows)]


def _cut(line: str) -> str:
    return line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 3]}..."
