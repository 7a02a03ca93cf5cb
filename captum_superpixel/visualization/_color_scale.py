"""The sign and the scale by which maps become colors, zero, constant, one-signed and partly NaN maps included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from captum_superpixel._checks import checked_choice, checked_number
from captum_superpixel._numbers import Unit, find_unit
from captum_superpixel.visualization.images import FloatArray

__all__ = ["ColorScale", "VisualizeSign", "check_outlier_perc", "choose_sign", "find_scale", "note", "take_sign"]

VisualizeSign = Literal["all", "positive", "negative", "absolute_value"]
"""Captum's names for what to draw of a map."""

_ROUNDING = 1e-9
_OUTLIERS = 0.05
"""Share of a map's values, each that occurs counted once, that may be outliers; at least one may."""
_REACH = 3
"""How many times as large as the largest of the other values the strongest color is at most."""
_NEGLIGIBLE = 1e-7
"""Share of the largest value below which the others are taken for the rounding of zeros."""


@dataclass(frozen=True)
class ColorScale:
    """What the strongest color stands for.

    Attributes:
        limit: The magnitude of the strongest color; 0 where there is nothing but zeros and NaN.
        diverging: Whether colors run from ``-limit`` to ``limit`` rather than from 0.
        clipped: Whether values beyond the limit are drawn as if they were at it.
        lowest: The least finite value of the maps, at most 0.
        highest: The largest, at least 0.
    """

    limit: float
    diverging: bool
    clipped: bool = False
    lowest: float = field(default=0.0, compare=False)
    highest: float = field(default=0.0, compare=False)

    @property
    def unit(self) -> Unit:
        """In which the numbers of the scale are written."""
        return find_unit(self.limit)

    def apply(self, values: FloatArray) -> FloatArray:
        """Scale and clip to ``[-1, 1]``, or ``[0, 1]`` where not diverging; NaN stays NaN."""
        if not self.limit:
            return np.where(np.isnan(values), np.nan, 0.0)
        # Clipped first: the quotient may be too large for a float.
        scaled: FloatArray = values.clip(-self.limit, self.limit) / self.limit
        return scaled


def choose_sign(maps: Sequence[FloatArray], sign: VisualizeSign | None) -> VisualizeSign:
    """Check the sign, or choose it: ``"all"`` if anything is negative, ``"positive"`` if nothing is.

    Args:
        maps: Maps ``(H, W)`` that share their colors.
        sign: Captum's name of what to draw, or None.

    Returns:
        What to draw.

    Raises:
        ValueError: If there is no such sign.

    Examples:
        >>> choose_sign([np.array([[0.0, 2.0]]), np.array([[-1.0, np.nan]])], None)
        'all'
    """
    if sign is not None:
        known: VisualizeSign = checked_choice("sign", sign, get_args(VisualizeSign))
        return known
    return "all" if any((values < 0).any() for values in maps) else "positive"


def take_sign(values: FloatArray, sign: VisualizeSign) -> FloatArray:
    """Take the part of a map that is to be drawn; of ``"negative"`` and ``"absolute_value"``, the magnitude.

    Args:
        values: ``(H, W)``, may hold NaN.
        sign: What to take.

    Returns:
        ``(H, W)``, not negative unless ``sign="all"``; NaN stays NaN.

    Examples:
        >>> take_sign(np.array([[-2.0, 3.0]]), "negative")
        array([[2., 0.]])
    """
    if sign == "all":
        return values
    if sign == "absolute_value":
        return np.abs(values)
    part: FloatArray = (-values if sign == "negative" else values).clip(min=0)
    return part


def find_scale(maps: Sequence[FloatArray], sign: VisualizeSign, outlier_perc: float) -> ColorScale:
    """Find the limit as Captum does, but so that a few outliers, however large, do not mute the rest of a map.

    Values beyond Captum's limit hold at most ``outlier_perc`` percent of the total magnitude. A pixel that holds nearly
    all of the total is not beyond it, nor is a region: the rest would have the color of zero. Therefore the limit is at
    most three times the largest magnitude that is left without the largest twentieth of all that occur. Each counts
    once, wherever it occurs, so that a large region is no more than a pixel.

    Args:
        maps: Maps ``(H, W)`` that share the scale, as :func:`take_sign` returned them.
        sign: The sign that was taken.
        outlier_perc: From 0 (nothing is clipped, and outliers do mute the rest) to 100.

    Returns:
        Their scale. Diverging ones are symmetric, so that zero has the color in the middle.

    Examples:
        >>> find_scale([np.array([[90.0, 9.0, 1.0]])], "positive", 0).limit
        90.0
        >>> find_scale([np.array([[90.0, 9.0, 1.0]])], "positive", 2).limit
        27.0
        >>> find_scale([np.array([[0.0, np.nan]])], "all", 2).limit
        0.0
    """
    values = np.concatenate([values[np.isfinite(values)] for values in maps])
    magnitudes = np.sort(np.abs(values))
    diverging = sign == "all"
    if not magnitudes.size or not magnitudes[-1]:
        return ColorScale(0.0, diverging)
    sums = (magnitudes / magnitudes[-1]).cumsum()
    # 1 - 0 is exact. Captum's 0.01 * 100 times the sum may be rounded to more than the sum, and is then never reached.
    place = int(np.searchsorted(sums, sums[-1] * (1 - outlier_perc / 100)))
    limit = float(magnitudes[place])
    # Where everything counts as an outlier, or the values are too small to add up, the limit would be 0.
    limit = limit or float(magnitudes[magnitudes > 0][0])
    if outlier_perc:
        limit = min(limit, _REACH * _largest_of_the_rest(magnitudes))
    lowest, highest = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return ColorScale(limit, diverging, bool(magnitudes[-1] > limit), lowest, highest)


def _largest_of_the_rest(magnitudes: FloatArray) -> float:
    """Find the largest of the sorted magnitudes that is no outlier; infinity where there is no rest to be seen."""
    # Pixels of a region may differ by rounding, and would otherwise be as many values.
    distinct = magnitudes[np.diff(magnitudes, prepend=0.0) > _ROUNDING * magnitudes]
    place = len(distinct) - 1 - max(1, math.ceil(_OUTLIERS * len(distinct)))
    if place < 0 or distinct[place] < _NEGLIGIBLE * distinct[-1]:
        return math.inf
    return float(distinct[place])


def note(values: FloatArray) -> str:
    """Describe a map whose finite values are all equal, or which has none; empty for all other maps."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "no finite value"
    low, high = finite.min(), finite.max()
    if not low and not high:
        return "all zero"
    # Means over equal pixels differ by rounding. Halved, because the difference may overflow.
    largest = max(-low, high)
    constant = high / 2 - low / 2 <= _ROUNDING * largest
    return f"constant: {find_unit(largest).show(high)}" if constant else ""


def check_outlier_perc(outlier_perc: float) -> float:
    """Return ``outlier_perc`` as a float; raise unless it is a number of ``[0, 100]``."""
    value = checked_number("outlier_perc", outlier_perc)
    if value > 100:
        raise ValueError(f"outlier_perc={outlier_perc}: pass a percentage from 0 (nothing is clipped) to 100")
    return value
