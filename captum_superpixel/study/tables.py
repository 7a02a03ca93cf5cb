"""How the report writes numbers, intervals, counts and tables, in the summary as in the tables."""

import math
from collections.abc import Iterable, Sequence

from captum_superpixel._untyped import tabulate

__all__ = ["number", "row_label", "spelled", "table", "with_ci"]

_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    r"""Write a table and the empty line after it.

    Examples:
        >>> print(*table(["grouping", "n"], [["pixels", 4]]), sep="\n")
        | grouping   | n   |
        |:-----------|:----|
        | pixels     | 4   |
        <BLANKLINE>
    """
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows)]
    # All cells are text: tabulate would read numbers and write them anew.
    return [tabulate(cells[1:], cells[0], tablefmt="pipe", disable_numparse=True), ""]


def number(value: float | None) -> str:
    """Write a number with three decimals; a dash where there is none.

    Examples:
        >>> number(-0.25), number(-0.0001), number(float("nan")), number(None)
        ('−0.250', '0.000', '–', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.3f}"
    # A zero that was rounded to has no sign.
    return text.lstrip("-") if not float(text) else text.replace("-", "−")


def with_ci(value: float | None, interval: Sequence[float | None]) -> str:
    """Write a number and its interval; without the latter where there is no number.

    Examples:
        >>> with_ci(0.5, [0.25, 0.75]), with_ci(0.5, [None, None]), with_ci(None, [None, None])
        ('0.500 [0.250, 0.750]', '0.500 [–, –]', '–')
    """
    low, high = interval
    return number(value) + (f" [{number(low)}, {number(high)}]" if number(value) != "–" else "")


def row_label(grouping: str, sign: str, views: int) -> str:
    """Write what a row of the tables is.

    Examples:
        >>> row_label("Slic", "signed", 1), row_label("ensemble", "evidence", 8)
        ('Slic (signed)', 'ensemble (evidence, 8 views)')
    """
    return f"{grouping} ({sign}, {views} views)" if views > 1 else f"{grouping} ({sign})"


def spelled(count: int, noun: str = "") -> str:
    """Write a small count as a word, and a noun in the singular or the plural.

    Examples:
        >>> spelled(2, "network"), spelled(1, "case"), spelled(60, "image")
        ('two networks', 'one case', '60 images')
    """
    word = _SMALL[count] if count < len(_SMALL) else str(count)
    return word + (f" {noun}{'s' * (count != 1)}" if noun else "")
