"""Numbers as a person reads them: in a unit that has a name, with few digits, and without exponents."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Unit", "find_common_unit", "find_unit", "show_percentage"]

_NAMES = {
    -15: "quadrillionths",
    -12: "trillionths",
    -9: "billionths",
    -6: "millionths",
    -3: "thousandths",
    3: "thousands",
    6: "millions",
    9: "billions",
    12: "trillions",
    15: "quadrillions",
}
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMALLEST, _LARGEST = 0.01, 10_000
"""Numbers are in a unit of their own where the largest of them is below the one, or not below the other."""
_DECIMALS = 5
_SMALLEST_WRITTEN = 0.001
"""Numbers below this look like nothing beside larger ones."""
_NEGLIGIBLE = 1e-7
"""Share of the largest number below which others are taken for the rounding of zeros."""


@dataclass(frozen=True)
class Unit:
    """A power of ten in which numbers are written.

    Attributes:
        exponent: Of ten; a multiple of 3.
    """

    exponent: int = 0

    @property
    def words(self) -> str:
        """The name of the unit: ``"millionths"``, or a power of ten where it has none; empty for 1."""
        if not self.exponent:
            return ""
        return _NAMES.get(self.exponent) or f"units of {self._power}"

    @property
    def _power(self) -> str:
        return f"10{str(self.exponent).translate(_SUPERSCRIPTS)}"

    def add_to(self, name: str) -> str:
        """Say of a quantity in which unit it is written, if it is not 1."""
        return f"{name}, in {self.words}" if self.exponent else name

    def scale(self, value: float) -> float:
        """Return a value in this unit."""
        # In two steps, because ten to the power of 310 is not a float.
        half = self.exponent // 2
        return value / 10.0**half / 10.0 ** (self.exponent - half)

    def of(self, number: float) -> float:
        """Return the value of a number in this unit."""
        return number * 10.0**self.exponent

    def suits(self, largest: float) -> bool:
        """Whether numbers up to this magnitude are short in this unit."""
        return 0.1 <= self.scale(largest) < _LARGEST or largest == self.exponent == 0

    def write(self, value: float, digits: int = 3) -> str:
        """Write a value in this unit.

        Args:
            value: In units of 1.
            digits: How many digits are significant.

        Returns:
            The number, without an exponent; ``"≈0"`` for what is not zero but too small to be written with five
            decimals, and a dash for NaN.

        Examples:
            >>> [Unit(-6).write(value) for value in (4.01e-4, -7.311e-5, 2e-12, 0, math.nan)]
            ['401', '-73.1', '≈0', '0', '–']
        """
        if not math.isfinite(value):
            return "–" if math.isnan(value) else "∞" if value > 0 else "-∞"
        scaled = self.scale(value)
        if not scaled:
            return "0"
        # The exponent of the rounded number: 9.999 with three digits is 10.0.
        exponent = int(f"{scaled:.{digits - 1}e}".partition("e")[2])
        decimals = max(0, digits - 1 - exponent)
        if decimals > _DECIMALS and not round(scaled, _DECIMALS):
            return "≈0"
        return f"{scaled:{',' if exponent >= 4 else ''}.{min(decimals, _DECIMALS)}f}"

    def show(self, value: float) -> str:
        """Write a value that stands alone, with its unit and without zeros at its end.

        Examples:
            >>> Unit(-6).show(2.5e-4), Unit(6).show(1e6), Unit().show(-2), Unit(-30).show(2e-30)
            ('250 millionths', '1 million', '-2', '2 × 10⁻³⁰')
        """
        number = self.write_short(value)
        if not self.exponent:
            return number
        if self.exponent not in _NAMES:
            return f"{number} × {self._power}"
        return f"{number} {self.words.removesuffix('s') if number in ('1', '-1') else self.words}"

    def write_short(self, value: float, digits: int = 3) -> str:
        """Write a value without zeros at its end, as in a column of numbers that need not have equally many digits."""
        number = self.write(value, digits)
        return number.rstrip("0").rstrip(".") if "." in number else number


def find_unit(largest: float) -> Unit:
    """Choose the unit in which numbers up to a magnitude are short.

    Args:
        largest: The largest magnitude, at least 0.

    Returns:
        The unit; 1 for 0 and for what is neither very small nor very large.

    Examples:
        >>> [find_unit(largest).words for largest in (0.25, 4.9e-4, 12_000)]
        ['', 'millionths', 'thousands']
    """
    if not largest or not math.isfinite(largest) or _SMALLEST <= largest < _LARGEST:
        return Unit()
    return Unit(3 * math.floor(math.log10(largest) / 3))


def find_common_unit(values: Iterable[float]) -> Unit:
    """Choose the unit in which several numbers are written, so that none of them is out of proportion.

    It is that of the largest, unless the half of them that is smaller would be next to nothing in it.

    Args:
        values: Of any sign; zeros and what is not finite do not count.

    Returns:
        The unit.

    Examples:
        >>> find_common_unit([4e-4, 1e-6]).words, find_common_unit([1e6, 3.0, 2.0]).words
        ('millionths', '')
    """
    magnitudes = sorted(abs(value) for value in values if value and math.isfinite(value))
    if not magnitudes:
        return Unit()
    largest, middle = magnitudes[-1], magnitudes[(len(magnitudes) - 1) // 2]
    unit = find_unit(largest)
    if _NEGLIGIBLE * largest < middle < unit.of(_SMALLEST_WRITTEN):
        return Unit(max(find_unit(middle).exponent, unit.exponent - 6))
    return unit


def show_percentage(share: float) -> str:
    """Write a probability in percent, and neither a small one as none nor a large one as certainty.

    Examples:
        >>> [show_percentage(share) for share in (0.5, 0, 1e-9, 0.99999)]
        ['50.0 %', '0.0 %', '< 0.1 %', '> 99.9 %']
    """
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"
