"""Specks of one image grow along their colors until they are large enough, as in ``_growing``."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic import _growing
from captum_superpixel.masks.slic.compiled.kernels.clusters import quantize
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel

__all__ = ["grow"]

_SHARE = _growing._SHARE
_FREE = -1
_FRAME = -2


@kernel
def _sort(keys: Longs, places: Ints, count: int) -> None:
    """Sort pairs of a key and a place in ascending order, by heaps."""
    start, end = count // 2, count
    while end > 1:
        if start > 0:
            start -= 1
        else:
            end -= 1
            keys[0], keys[end] = keys[end], keys[0]
            places[0], places[end] = places[end], places[0]
        parent = start
        child = 2 * parent + 1
        while child < end:
            if child + 1 < end and (
                keys[child] < keys[child + 1] or (keys[child] == keys[child + 1] and places[child] < places[child + 1])
            ):
                child += 1
            if keys[parent] > keys[child] or (keys[parent] == keys[child] and places[parent] > places[child]):
                break
            keys[parent], keys[child] = keys[child], keys[parent]
            places[parent], places[child] = places[child], places[parent]
            parent = child
            child = 2 * parent + 1


@kernel
def grow(
    labels: Ints,
    height: int,
    width: int,
    count: int,
    sizes: Longs,
    means: Longs,
    channels: int,
    least: int,
    colors: Floats,
    units: np.float32,
    row_areas: Ints,
    column_areas: Ints,
    owners: Ints,
    marks: Ints,
    taken: Ints,
    specks: Ints,
    places: Ints,
    keys: Longs,
    missing: Longs,
) -> None:
    """Let segments below a size take pixels around them until they have it.

    Args:
        labels: The segments ``(H, W)``, which are changed.
        height: H.
        width: W.
        count: How many segments there are.
        sizes: How large each is.
        means: Their colors, ``(count, C)``.
        channels: C.
        least: How large each is to become.
        colors: Those of the pixels, ``(C, H, W)``.
        units: How many units these are counted in.
        row_areas: As for ``count_areas``.
        column_areas: Likewise.
        owners: Memory for ``(H + 2) * (W + 2)`` numbers.
        marks: Likewise.
        taken: Likewise.
        specks: Memory for a number for each segment.
        places: Memory for as many numbers as ``owners``.
        keys: Likewise.
        missing: Memory for a number for each segment.
    """
    framed = width + 2
    for place in range((height + 2) * framed):
        owners[place] = _FRAME
        marks[place] = _FREE
    for segment in range(count):
        specks[segment] = segment if sizes[segment] < least else _FREE
        missing[segment] = least - sizes[segment]
    n_taken = 0
    for y in range(height):
        for x in range(width):
            place = (y + 1) * framed + x + 1
            owner = specks[labels[y * width + x]]
            owners[place] = owner
            if owner >= 0:
                taken[n_taken] = place
                n_taken += 1
    while True:
        found, growing = 0, 0
        for index in range(n_taken):
            place = taken[index]
            owner = owners[place]
            if missing[owner] <= 0:
                continue
            taken[growing] = place
            growing += 1
            for side in range(4):
                step = (framed if side < 2 else 1) * (2 * (side % 2) - 1)
                around = place + step
                if owners[around] == _FREE:
                    if marks[around] == _FREE:
                        places[found] = around
                        found += 1
                        marks[around] = owner
                    elif owner < marks[around]:
                        marks[around] = owner
        n_taken = growing
        if found == 0:
            break
        for index in range(found):
            place = places[index]
            owner = marks[place]
            marks[place] = _FREE
            pixel = (place // framed - 1) * width + place % framed - 1
            distance = 0
            for channel in range(channels):
                shade = np.int64(quantize(colors[channel * height * width + pixel], units))
                difference = shade - means[owner * channels + channel]
                distance += difference * difference
            # Squares of distances are below 2**25; see ``make_cells``.
            keys[index] = (np.int64(owner) << 32) + distance
        _sort(keys, places, found)
        first = 0
        while first < found:
            owner = keys[first] >> 32
            last, offered = first, 0
            while last < found and keys[last] >> 32 == owner:
                y, x = places[last] // framed - 1, places[last] % framed - 1
                offered += (column_areas[x + 1] - column_areas[x]) * row_areas[y]
                last += 1
            limit = min(missing[owner], (offered + _SHARE - 1) // _SHARE)
            before = 0
            while first < last and before < limit:
                place = places[first]
                y, x = place // framed - 1, place % framed - 1
                before += (column_areas[x + 1] - column_areas[x]) * row_areas[y]
                owners[place] = owner
                labels[y * width + x] = owner
                taken[n_taken] = place
                n_taken += 1
                first += 1
            missing[owner] -= before
            first = last
