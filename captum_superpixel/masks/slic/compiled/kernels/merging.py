"""From components to segments: the largest of one image stay, the others join neighbors, as in ``_largest``."""

from __future__ import annotations

from captum_superpixel.masks import _components
from captum_superpixel.masks.slic.compiled.kernels.components import (
    count_areas,
    find_runs,
    find_touching,
    number_components,
    root_of,
)
from captum_superpixel.masks.slic.compiled.kernels.marking import Ints, Longs, kernel

__all__ = ["connect"]

_LARGE = _components.LARGE
_LOWER = 2**32 - 1


@kernel
def _let_largest_stay(sizes: Longs, count: int, wanted: int, least: int, loose: Ints) -> int:
    """Say of the largest loose components, of equal ones the first, that they stay.

    Args:
        sizes: Shape ``(count,)``.
        count: The number of components.
        wanted: How many of them are to stay.
        least: How large one is at least that stays.
        loose: Whether each may still join another, 0 or 1. Overwritten.

    Returns:
        How many stay.
    """
    # The largest size that at least ``wanted`` of them reach, found by bisection.
    low, high = 0, 0
    for component in range(count):
        if loose[component] and sizes[component] > high:
            high = sizes[component]
    while low < high:
        middle = (low + high + 1) // 2
        reached = 0
        for component in range(count):
            reached += 1 if loose[component] and sizes[component] >= middle else 0
        if reached >= wanted:
            low = middle
        else:
            high = middle - 1
    equal = wanted
    for component in range(count):
        equal -= 1 if loose[component] and sizes[component] > low else 0
    stay = 0
    for component in range(count):
        if loose[component] and sizes[component] >= low:
            if sizes[component] == low:
                equal -= 1
            if (sizes[component] > low or equal >= 0) and sizes[component] >= least:
                loose[component] = 0
                stay += 1
    return stay


@kernel
def _join(
    pairs: Ints,
    n_pairs: int,
    below: int,
    channels: int,
    loose: Ints,
    parents: Ints,
    partners: Ints,
    count: int,
    sizes: Longs,
    sums: Longs,
    means: Longs,
    nearest: Longs,
) -> int:
    """Let loose components join the neighbor of the nearest mean, round by round, until none is left that does.

    A group is named after the component that the others lead to, so that names are in the order of ``merge_round``.

    Args:
        pairs: Components that touch. Those that are left are kept.
        n_pairs: How many pairs.
        below: Up to which size they join, exclusive.
        channels: C.
        loose: Whether each component is loose, 0 or 1.
        parents: What each has joined, or itself.
        partners: Memory for as many.
        count: The number of components.
        sizes: Of the groups, at their names.
        sums: Likewise the sums of their colors, ``(count, C)``.
        means: Likewise their means.
        nearest: Memory for as many.

    Returns:
        How many pairs are left.
    """
    while n_pairs > 0:
        for component in range(count):
            nearest[component] = _LARGE
        for pair in range(0, 2 * n_pairs, 2):
            first, second = pairs[pair], pairs[pair + 1]
            # Squares of distances are below 2**25 (see ``make_cells``): of the nearest, the one of the lowest number.
            distance = _distance(means, first, second, channels) << 32
            joins = loose[first] != 0 and sizes[first] < below
            nearest[first] = min(nearest[first], distance + int(second) if joins else _LARGE)
            joins = loose[second] != 0 and sizes[second] < below
            nearest[second] = min(nearest[second], distance + int(first) if joins else _LARGE)
        joining = 0
        for component in range(count):
            joins = nearest[component] < _LARGE
            partners[component] = nearest[component] & _LOWER if joins else component
            joining += 1 if joins else 0
        if not joining:
            break
        for component in range(count):
            partner = partners[component]
            # Of two that join each other, the others follow the lower.
            if partner != component and not (partners[partner] == component and component < partner):
                parents[component] = partner
        for component in range(count):
            if partners[component] != component:
                root = root_of(parents, component)
                if root != component:
                    sizes[root] += sizes[component]
                    for channel in range(channels):
                        sums[root * channels + channel] += sums[component * channels + channel]
        for component in range(count):
            root = parents[component]
            if partners[component] != component and root != component:
                for channel in range(channels):
                    means[root * channels + channel] = sums[root * channels + channel] // sizes[root]
        for component in range(count):
            parents[component] = root_of(parents, component)
        left = 0
        for pair in range(0, 2 * n_pairs, 2):
            first, second = parents[pairs[pair]], parents[pairs[pair + 1]]
            pairs[left], pairs[left + 1] = first, second
            left += 2 if first != second and loose[first] | loose[second] else 0
        n_pairs = left // 2
    return n_pairs


@kernel
def _distance(means: Longs, first: int, second: int, channels: int) -> int:
    """Find the square of the distance of two colors."""
    if channels == 3:
        # A loop of three steps would cost several times as much.
        red = means[3 * first] - means[3 * second]
        green = means[3 * first + 1] - means[3 * second + 1]
        blue = means[3 * first + 2] - means[3 * second + 2]
        return int(red * red + green * green + blue * blue)
    distance = 0
    for channel in range(channels):
        difference = means[first * channels + channel] - means[second * channels + channel]
        distance += difference * difference
    return distance


@kernel
def connect(
    labels: Ints,
    height: int,
    rows: int,
    width: int,
    colors: Longs,
    channels: int,
    wanted: int,
    least: int,
    row_areas: Ints,
    column_areas: Ints,
    run_starts: Ints,
    row_firsts: Ints,
    components: Ints,
    parents: Ints,
    partners: Ints,
    loose: Ints,
    pairs: Ints,
    sizes: Longs,
    sums: Longs,
    means: Longs,
    nearest: Longs,
) -> int:
    """Turn the clusters of an image into connected segments, run by run; specks do not grow.

    Args:
        labels: The clusters ``(H, W)``.
        height: H.
        rows: Y, as for ``number_components``.
        width: W.
        colors: The color of each cluster, ``(L, C)``.
        channels: C.
        wanted: How many segments to leave.
        least: How large each is at least; 0 for any size.
        row_areas: As for ``count_areas``.
        column_areas: Likewise.
        run_starts: As for ``find_runs``; memory for a number for each pixel, and one more.
        row_firsts: Likewise; memory for ``H + 1`` numbers.
        components: In which component each run is, overwritten; memory for a number for each pixel.
        parents: Likewise, and one more.
        partners: Likewise.
        loose: In which segment each component is, overwritten: they are numbered from 0 in the order of the components
            that stay; memory for a number for each pixel.
        pairs: Memory for 6 numbers for each pixel, in volumes 10.
        sizes: The sizes of the segments, overwritten; memory for a number for each pixel.
        sums: Memory for C numbers for each pixel.
        means: The mean colors of the segments, ``(count, C)``, overwritten; likewise.
        nearest: Memory for a number for each pixel, and for at least 4096.

    Returns:
        How many segments there are.
    """
    runs = find_runs(labels, height, width, run_starts, row_firsts)
    count = number_components(labels, height, rows, width, run_starts, row_firsts, parents, components, pairs)
    below = parents[runs]
    count_areas(height, width, run_starts, row_firsts, components, count, row_areas, column_areas, sizes)
    component = 0
    for run in range(runs):
        # Components are numbered by their first runs.
        if components[run] == component:
            color = labels[run_starts[run]]
            loose[component] = 1
            parents[component] = component
            for channel in range(channels):
                value = colors[color * channels + channel]
                means[component * channels + channel] = value
                sums[component * channels + channel] = value * sizes[component]
            component += 1
    stay = _let_largest_stay(sizes, count, wanted, least, loose)
    if stay < count:
        left = find_touching(height, width, row_firsts, components, loose, pairs, below, nearest)
        if stay < wanted and least > 0:
            left = _join(pairs, left, least, channels, loose, parents, partners, count, sizes, sums, means, nearest)
            for component in range(count):
                if parents[component] != component:
                    loose[component] = 0
            _let_largest_stay(sizes, count, wanted - stay, 0, loose)
        _join(pairs, left, _LARGE, channels, loose, parents, partners, count, sizes, sums, means, nearest)
    # Segments are numbered in the order of their names, and what describes them moves to the front.
    segments = 0
    for component in range(count):
        if parents[component] == component:
            partners[component] = segments
            sizes[segments] = sizes[component]
            for channel in range(channels):
                place = component * channels + channel
                means[segments * channels + channel] = sums[place] // sizes[segments]
            segments += 1
    for component in range(count):
        # What is left of the loose flags, which nobody needs any more: where each component has come to.
        loose[component] = partners[root_of(parents, component)]
    return segments
