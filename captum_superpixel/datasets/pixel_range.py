"""How much of its range a picture uses: clipped values, and slivers of the range that show next to nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["describe_clipping", "describe_flatness", "describe_sliver"]

_TINY = 1 / 16
# Fourteen bits in sixteen.
_DARK = 1 / 4


def describe_clipping(values: npt.NDArray[Any], white: int) -> str | None:
    """Say how many values are clipped at 0 and at white.

    Args:
        values: ``(H, W)`` integers.
        white: The largest value that is not clipped.

    Returns:
        A predicate, such as "is clipped: of its pixels, 12 % are above 65535"; None where nothing is clipped.

    Examples:
        >>> describe_clipping(np.array([[-5, 7], [70000, 9]]), 65535)
        'is clipped: of its pixels, 25 % are below 0, 25 % are above 65535; bring them into 0 to 65535 first'
    """
    outside = {"below 0": float((values < 0).mean()), f"above {white}": float((values > white).mean())}
    said = [f"{_percent(share)} are {place}" for place, share in outside.items() if share]
    if not said:
        return None
    return f"is clipped: of its pixels, {', '.join(said)}; bring them into 0 to {white} first"


def describe_sliver(counts: npt.NDArray[np.int64], *, dark: bool) -> str | None:
    """Say where nearly all pixels use a sliver of the range.

    Args:
        counts: ``(levels,)``, how many pixels have the value 0, 1, ….
        dark: Whether values below a quarter of the range count as a sliver: they have fewer bits than the file.

    Returns:
        A predicate; None if the range is used, or there are no pixels. One pixel in a thousand at either end does not
        count: a hot pixel does not lighten a picture.

    Examples:
        >>> counts = np.zeros(65536, dtype=np.int64)
        >>> counts[100:4000] = 1
        >>> describe_sliver(counts, dark=True)
        'uses a sliver of its range: its values go from 100 to 3999 of 0 to 65535, which is nearly black; ...'
        >>> counts[100:40_000] = 1
        >>> describe_sliver(counts, dark=True)
    """
    levels, total = len(counts), int(counts.sum())
    if not total:
        return None
    cumulated = counts.cumsum()
    ends = []
    for ignored in (0, total // 1000):
        low = int(np.searchsorted(cumulated, ignored, side="right"))
        high = int(np.searchsorted(cumulated, total - ignored))
        ends.append((low, high))
    for (low, high), whose in zip(ends, ("its values", "its values, but for outliers,"), strict=True):
        if (high - low + 1) <= levels * _TINY or (dark and high < levels * _DARK):
            look = "black" if high < levels * _DARK else "white" if low >= levels * (1 - _DARK) else "one shade"
            return (
                f"uses a sliver of its range: {whose} go from {low} to {high} of 0 to {levels - 1}, which is nearly "
                f"{look}; stretch them to the whole range first"
            )
    return None


def describe_flatness(picture: Image.Image) -> str | None:
    """Say that a picture of 8 bits, in all channels together, uses a sliver of its range.

    Args:
        picture: In mode RGB.

    Returns:
        As :func:`describe_sliver`.
    """
    return describe_sliver(channel_counts(picture), dark=False)


def channel_counts(picture: Image.Image) -> npt.NDArray[np.int64]:
    """How many values of all channels together are 0, 1, …, 255."""
    counts: npt.NDArray[np.int64] = np.asarray(picture.histogram(), dtype=np.int64).reshape(-1, 256).sum(axis=0)
    return counts


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.3g} %"
