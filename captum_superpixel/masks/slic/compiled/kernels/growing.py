"""Specks of one image grow along their colors until they are large enough, as in ``_growing``."""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic import _growing
from captum_superpixel.masks.slic.compiled.kernels.clusters import quantize
from captum_superpixel.masks.slic.compiled.kernels.marking import Floats, Ints, Longs, kernel

__all__ = ["PLACE_BITS", "grow"]

_SHARE = _growing._SHARE
_FREE = -1

PLACE_BITS = 27
"""As many bits as the places of pixels have. Larger images are segmented by torch."""

_PLACE = 2**PLACE_BITS - 1


@kernel
def _next_to(place: int, side: int, width: int, area: int, size: int) -> int:
    """Find one of the pixels that touch one; of those outside the image, the pixel itself.

    They are above, below, to the left and to the right in the slice, and before and behind it.
    """
    if side < 2:
        around = place - width if side == 0 else place + width
        inside = 0 <= around < size
        if inside and area < size:
            inside = around // area == place // area
        return around if inside else place
    if side < 4:
        x = place % width + 2 * side - 5
        return place + 2 * side - 5 if 0 <= x < width else place
    around = place - area if side == 4 else place + area
    return around if 0 <= around < size else place


@kernel
def grow(
    labels: Ints,
    height: int,
    rows: int,
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
    starts: Ints,
    weights: Ints,
    keys: Longs,
    missing: Longs,
) -> None:
    """Let segments below a size, the specks, take pixels around them until they have it.

    Args:
        labels: The segments ``(H, W)``, which are changed.
        height: H.
        rows: Y, as for ``number_components``.
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
        starts: Memory for a number for each segment.
        weights: Memory for a number for each pixel.
        keys: Likewise.
        missing: Memory for a number for each segment.
    """
    size, area, sides = height * width, rows * width, 4 if rows == height else 6
    for segment in range(count):
        missing[segment] = least - sizes[segment]
    at_edge = 0
    for run in range(runs):
        if sizes[labels[run_starts[run]]] < least:
            for place in range(run_starts[run], run_starts[run + 1]):
                taken[at_edge] = place
                at_edge += 1
    new = 0
    while True:
        # What can be taken is marked as free around the pixels of specks, and this is all that is read of marks: an
        # image has few specks.
        for index in range(new, at_edge):
            for side in range(sides):
                marks[_next_to(taken[index], side, width, area, size)] = _FREE
        n_taken, at_edge, found = at_edge, 0, 0
        for index in range(n_taken):
            place = taken[index]
            owner, free = labels[place], 0
            if missing[owner] > 0:
                for side in range(sides):
                    around = _next_to(place, side, width, area, size)
                    # Those of specks cannot be taken.
                    if sizes[labels[around]] >= least:
                        free = 1
                        if marks[around] == _FREE:
                            places[found] = around
                            found += 1
                            marks[around] = owner
                        elif owner < marks[around]:
                            marks[around] = owner
            # Pixels that have no free ones around them will never have any, and are forgotten.
            taken[at_edge] = place
            at_edge += free
        if found == 0:
            break
        _list_offers(
            places,
            found,
            marks,
            count,
            width,
            means,
            channels,
            colors,
            size,
            units,
            row_areas,
            column_areas,
            starts,
            keys,
            weights,
        )
        new, first = at_edge, 0
        for owner in range(count):
            last, offered = starts[owner], 0
            for index in range(first, last):
                offered += weights[index]
            if last > first:
                limit = min(missing[owner], (offered + _SHARE - 1) // _SHARE)
                bound = _find_bound(keys, weights, first, last, limit)
                for index in range(first, last):
                    if keys[index] <= bound:
                        place = keys[index] & _PLACE
                        missing[owner] -= weights[index]
                        labels[place] = owner
                        taken[at_edge] = place
                        at_edge += 1
            first = last
        for index in range(found):
            marks[places[index]] = _FREE


@kernel
def _list_offers(
    places: Ints,
    found: int,
    owners: Ints,
    count: int,
    width: int,
    means: Longs,
    channels: int,
    colors: Floats,
    size: int,
    units: np.float32,
    row_areas: Ints,
    column_areas: Ints,
    ends: Ints,
    keys: Longs,
    weights: Ints,
) -> None:
    """List the pixels that each speck touches, one speck after the other.

    Args:
        places: The pixels.
        found: How many there are.
        owners: Which speck each pixel of the image goes to, read at these places.
        count: As for ``grow``; likewise the others that stand there.
        width: See there.
        means: See there.
        channels: See there.
        colors: See there.
        size: H * W.
        units: See there.
        row_areas: See there.
        column_areas: See there.
        ends: Where the list of each segment ends, and that of the next begins, ``(count,)``, overwritten.
        keys: Numbers in the order in which a speck takes pixels: the distance of the color, above ``_PLACE`` the place.
            Overwritten.
        weights: How much each of the pixels counts, overwritten.
    """
    for owner in range(count):
        ends[owner] = 0
    for index in range(found):
        ends[owners[places[index]]] += 1
    total = 0
    for owner in range(count):
        total += ends[owner]
        ends[owner] = total - ends[owner]
    for index in range(found):
        place = places[index]
        owner = owners[place]
        distance = 0
        for channel in range(channels):
            shade = np.int64(quantize(colors[channel * size + place], units))
            difference = shade - means[owner * channels + channel]
            distance += difference * difference
        to, y, x = ends[owner], place // width, place % width
        # Squares of distances are below 2**25; see ``make_cells``.
        keys[to] = (np.int64(distance) << PLACE_BITS) + place
        weights[to] = (column_areas[x + 1] - column_areas[x]) * row_areas[y]
        ends[owner] += 1


@kernel
def _find_bound(keys: Longs, weights: Ints, first: int, last: int, limit: int) -> int:
    """Find the largest of keys before which there is less than a limit, by bisection."""
    low = high = keys[first]
    for index in range(first, last):
        low, high = min(low, keys[index]), max(high, keys[index])
    while low < high:
        middle, before, below, above = (low + high + 1) >> 1, np.int64(0), low, high
        for index in range(first, last):
            key = keys[index]
            before += weights[index] if key < middle else np.int32(0)
            below = max(below, key if key < middle else low)
            above = min(above, key if key >= middle else high)
        # Both bounds are keys, so that a few steps are enough, however far apart these are.
        if before < limit:
            low = above
        else:
            high = below
    return int(low)
