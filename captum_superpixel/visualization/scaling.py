"""The sign and the scale by which maps become colours, for every map that there is: zero, constant, one-signed, NaN."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from captum_superpixel._checks import checked_number
from captum_superpixel.visualization.images import FloatArray

__all__ = ["Scale", "Sign", "check_outlier_perc", "choose_sign", "find_scale", "note", "take_sign"]

Sign = Literal["all", "positive", "negative", "absolute_value"]
"""Captum's names for what to draw of a map."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Scale:
    """What the strongest colour stands for.

    Attributes:
        limit: The magnitude of the strongest colour; 0 where there is nothing but zeros and NaN.
        diverging: Whether colours run from ``-limit`` to ``limit`` rather than from 0.
        clipped: Whether values beyond the limit are drawn as if they were at it.
    """

    limit: float
    diverging: bool
    clipped: bool = False

    @property
    def exponent(self) -> int:
        """Power of ten that numbers are written in: 0, unless they would be written with many zeros."""
        exponent = math.floor(math.log10(self.limit)) if self.limit else 0
        return exponent if not -3 < exponent < 4 else 0

    @property
    def unit(self) -> float:
        """Ten to the power of the exponent."""
        return 10.0**self.exponent

    def apply(self, values: FloatArray) -> FloatArray:
        """Scale and clip to ``[-1, 1]``, or ``[0, 1]`` where not diverging; NaN stays NaN."""
        if not self.limit:
            return np.where(np.isnan(values), np.nan, 0.0)
        # Clipped first: the quotient may be too large for a float.
        scaled: FloatArray = values.clip(-self.limit, self.limit) / self.limit
        return scaled


def choose_sign(maps: Sequence[FloatArray], sign: Sign | None) -> Sign:
    """Check the sign, or choose it: ``"all"`` if anything is negative, ``"positive"`` if nothing is.

    Args:
        maps: Maps ``(H, W)`` that share their colours.
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
        if sign not in get_args(Sign):
            raise ValueError(f"sign={sign!r} is unknown: pass None or one of {', '.join(map(repr, get_args(Sign)))}")
        return sign
    return "all" if any((values < 0).any() for values in maps) else "positive"


def take_sign(values: FloatArray, sign: Sign) -> FloatArray:
    """Take the part of a map that is to be drawn; of the negative part and of all values, their magnitude.

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


def find_scale(maps: Sequence[FloatArray], sign: Sign, outlier_perc: float) -> Scale:
    """Find the limit as Captum does: what is beyond it holds no more than ``outlier_perc`` percent of the total.

    Args:
        maps: Maps ``(H, W)`` that share the scale, of which the sign was taken.
        sign: Which one that was.
        outlier_perc: From 0 (nothing is clipped) to 100.

    Returns:
        Their scale. Diverging ones are symmetric, so that zero has the colour in the middle.

    Examples:
        >>> find_scale([np.array([[90.0, 9.0, 1.0]])], "positive", 0).limit
        90.0
        >>> find_scale([np.array([[0.0, np.nan]])], "all", 2)
        Scale(limit=0.0, diverging=True, clipped=False)
    """
    magnitudes = np.sort(np.concatenate([np.abs(values[np.isfinite(values)]) for values in maps]))
    diverging = sign == "all"
    if not magnitudes.size or not magnitudes[-1]:
        return Scale(0.0, diverging)
    sums = (magnitudes / magnitudes[-1]).cumsum()
    # 1 - 0 is exact: with Captum's 0.01 * 100, rounding may ask for more than the sum, and nothing is found.
    place = int(np.searchsorted(sums, sums[-1] * (1 - outlier_perc / 100)))
    limit = float(magnitudes[place])
    # A share of 100 %, or values too small to add up, would leave nothing to scale by.
    limit = limit or float(magnitudes[magnitudes > 0][0])
    return Scale(limit, diverging, clipped=bool(magnitudes[-1] > limit))


def note(values: FloatArray) -> str:
    """Say what is special about a map that shows no difference between its pixels, or nothing."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "no finite value"
    low, high = finite.min(), finite.max()
    if not low and not high:
        return "all zero"
    # Means over equal pixels differ by rounding; halved, because the difference may overflow.
    return f"constant: {high:.3g}" if high / 2 - low / 2 <= _ROUNDING * max(-low, high) else ""


def check_outlier_perc(outlier_perc: float) -> float:
    """Raise unless ``outlier_perc`` is a number of ``[0, 100]``."""
    value = checked_number("outlier_perc", outlier_perc)
    if not 0 <= value <= 100:
        raise ValueError(f"outlier_perc={outlier_perc}: pass a percentage from 0 (nothing is clipped) to 100")
    return value
