"""Specks of one image grow along their colors until they are large enough, as in ``_growing``."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic import _growing
from captum_superpixel.masks.slic.compiled.kernels.clusters import quantize
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel

__all__ = ["grow"]

_SHARE = _growing._SHARE
_FREE = -1


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
def _next_to(place: int, side: int, width: int, size: int) -> int:
    """Find the pixel above, below, to the left or to the right of one; of those outside the image, the pixel itself."""
    if side < 2:
        around = place - width if side == 0 else place + width
        return around if 0 <= around < size else place
    x = place % width + 2 * side - 5
    return place + 2 * side - 5 if 0 <= x < width else place


@kernel
def grow(
    labels: Ints,
    height: int,
    width: int,
    runs: int,
    run_starts: Ints,
    count: int,
    sizes: Longs,
    means: Longs,
    channels: int,
    least: int,
    colors: Floats,
    units: np.float32,
    row_areas: Ints,
    column_areas: Ints,
    marks: Ints,
    taken: Ints,
    places: Ints,
    keys: Longs,
    missing: Longs,
) -> None:
    """Let segments below a size, the specks, take pixels around them until they have it.

    Args:
        labels: The segments ``(H, W)``, which are changed.
        height: H.
        width: W.
        runs: How many runs there are, in each of which all pixels have the same label.
        run_starts: As from ``find_runs``.
        count: How many segments there are.
        sizes: How large each is.
        means: Their colors, ``(count, C)``.
        channels: C.
        least: How large each is to become.
        colors: Those of the pixels, ``(C, H, W)``.
        units: How many units these are counted in.
        row_areas: As for ``count_areas``.
        column_areas: Likewise.
        marks: Memory for a number for each pixel.
        taken: Likewise.
        places: Likewise.
        keys: Likewise.
        missing: Memory for a number for each segment.
    """
    size = height * width
    for segment in range(count):
        missing[segment] = least - sizes[segment]
    n_taken = 0
    for run in range(runs):
        if sizes[labels[run_starts[run]]] < least:
            for place in range(run_starts[run], run_starts[run + 1]):
                taken[n_taken] = place
                n_taken += 1
    while True:
        growing = 0
        # Pixels that have no free ones around them will never have any, and are forgotten. What is around the others
        # is marked as free, and this is all that is read of marks: an image has few specks.
        for index in range(n_taken):
            place, free = taken[index], 0
            if missing[labels[place]] > 0:
                for side in range(4):
                    around = _next_to(place, side, width, size)
                    # Those of specks cannot be taken.
                    if sizes[labels[around]] >= least:
                        marks[around] = _FREE
                        free = 1
            taken[growing] = place
            growing += free
        n_taken, found = growing, 0
        for index in range(n_taken):
            place = taken[index]
            owner = labels[place]
            for side in range(4):
                around = _next_to(place, side, width, size)
                if sizes[labels[around]] >= least:
                    if marks[around] == _FREE:
                        places[found] = around
                        found += 1
                        marks[around] = owner
                    elif owner < marks[around]:
                        marks[around] = owner
        if found == 0:
            break
        for index in range(found):
            pixel = places[index]
            owner = marks[pixel]
            distance = 0
            for channel in range(channels):
                shade = np.int64(quantize(colors[channel * size + pixel], units))
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
                y, x = places[last] // width, places[last] % width
                offered += (column_areas[x + 1] - column_areas[x]) * row_areas[y]
                last += 1
            limit = min(missing[owner], (offered + _SHARE - 1) // _SHARE)
            before = 0
            while first < last and before < limit:
                place = places[first]
                y, x = place // width, place % width
                before += (column_areas[x + 1] - column_areas[x]) * row_areas[y]
                labels[place] = owner
                taken[n_taken] = place
                n_taken += 1
                first += 1
            missing[owner] -= before
            first = last
