"""A color bar to the right of a picture, in its pixels: colors, triangles, frame, numbers, label and ends."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from captum_superpixel.explain.compositing import Picture
from captum_superpixel.explain.placing import LINE, Placed
from captum_superpixel.visualization.panels import BAR_GAP, BAR_SIZE, BAR_TRIANGLE, ColorBar

__all__ = ["place_bar"]

_TICK, _PAD, _LABEL_PAD = 3.5, 3.5, 4.0
"""Points of a tick, from there to its number, and from the widest number to the label, as matplotlib has them."""
_BACK = 0.5
"""The gray over which see-through colors are seen."""


def place_bar(placed: Placed, bar: ColorBar) -> None:
    """Make the artists of a color bar as high as the picture, triangles included."""
    width, height = placed.size
    left, thick = width + round(BAR_GAP * width), height / bar.aspect
    lower, upper = bar.triangles
    length = height / (1 + BAR_TRIANGLE * (lower + upper))
    low = BAR_TRIANGLE * length * lower
    high = low + length
    right, middle = left + thick, left + thick / 2
    corners = [(left, low), *([(middle, 0)] if lower else []), (right, low)]
    corners += [(right, high), *([(middle, height)] if upper else []), (left, high)]
    _fill(placed, bar, (left, round(low), round(right) - left, round(high) - round(low)))
    for has, end, tip, color in ((lower, low, 0, 0.0), (upper, high, height, 1.0)):
        if has:
            triangle = Path([(left, end), (middle, tip), (right, end)])
            placed.add(PathPatch(triangle, facecolor=bar.cmap(color), linewidth=0), 1)
    placed.add(PathPatch(Path([*corners, corners[0]], closed=True), fill=False, **LINE), 2.5)
    placed.cover(left, 0, right, height)
    heights = [low + length * (place - bar.low) / (1 - bar.low) for place in bar.places]
    _write_numbers(placed, bar, right, heights, low + length / 2)
    for place, text, side in zip(bar.end_places, bar.ends, ("top", "bottom"), strict=True):
        if text:
            placed.write(left, low + place * length, text, va=side, fontsize=BAR_SIZE)


def _fill(placed: Placed, bar: ColorBar, box: tuple[int, int, int, int]) -> None:
    """Draw the colors, seen over gray: left, bottom, width and height."""
    left, bottom, width, height = box
    colors = bar.cmap((height - 0.5 - np.arange(height)) / height)
    opaque = colors[:, 3:] * colors[:, :3] + (1 - colors[:, 3:]) * _BACK
    column = np.round(255 * np.concatenate([opaque, np.ones((height, 1))], axis=1)).astype(np.uint8)
    placed.add(Picture(np.repeat(column[:, None], width, axis=1), placed.place, left, bottom), 0)


def _write_numbers(placed: Placed, bar: ColorBar, right: float, heights: list[float], middle: float) -> None:
    """Write the numbers beside their ticks, and the label beside the numbers."""
    tick, pad = _TICK * placed.pixels, _PAD * placed.pixels
    ticks = [Path([(right, height), (right + tick, height)]) for height in heights]
    placed.add(PathPatch(Path.make_compound_path(*ticks), fill=False, **LINE), 2)
    numbers = [
        placed.write(right + tick + pad, height, text, va="center_baseline", fontsize=BAR_SIZE)
        for height, text in zip(heights, bar.texts, strict=True)
    ]
    beside = max(placed.measure(number).x1 for number in numbers) + _LABEL_PAD * placed.pixels
    if bar.is_short:
        placed.write(beside, middle, bar.label, ha="left", va="center", fontsize=BAR_SIZE)
    else:
        turned = {"rotation": 90, "rotation_mode": "anchor", "ha": "center", "va": "top"}
        placed.write(beside, middle, bar.label, fontsize=BAR_SIZE, **turned)
