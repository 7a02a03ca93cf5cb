"""The connected components of one image, found by runs: pixels beside one another in a row that have one label.

The rows of a volume are those of its slices, one slice after the other: H in all, of which Y are in each slice.
"""

from __future__ import annotations

import numpy as np

from captum_superpixel.masks.slic.compiled.kernels.marking import Ints, Longs, kernel

__all__ = [
    "REMEMBERED",
    "count_areas",
    "fill_runs",
    "find_runs",
    "find_touching",
    "number_components",
    "renumber",
    "root_of",
]

REMEMBERED = 4096
"""How many pairs are remembered, a power of two."""

_FILLED = 16
"""So many pixels are written at the same time, as numbers of 32 bits."""


@kernel
def find_runs(labels: Ints, height: int, width: int, run_starts: Ints, row_firsts: Ints) -> int:
    """List the runs of labels ``(H, W)``.

    Args:
        labels: The labels.
        height: H.
        width: W.
        run_starts: The place of the first pixel of each run, of which there are at most ``H * W``; and one past the
            last pixel of all. Overwritten.
        row_firsts: The first run of each row, and the number of runs, ``(H + 1,)``. Overwritten.

    Returns:
        The number of runs.
    """
    count = 0
    for y in range(height):
        row_firsts[y] = count
        start = y * width
        run_starts[count] = start
        count += 1
        for place in range(start + 1, start + width):
            # Written at every pixel, and kept where a run begins: faster than to ask.
            run_starts[count] = place
            count += 1 if labels[place] != labels[place - 1] else 0
    row_firsts[height] = count
    run_starts[count] = height * width
    return count


@kernel
def root_of(parents: Ints, item: int) -> int:
    """Find what a run or component leads to, and shorten the way."""
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


@kernel
def number_components(
    labels: Ints,
    height: int,
    rows: int,
    width: int,
    run_starts: Ints,
    row_firsts: Ints,
    parents: Ints,
    components: Ints,
    pairs: Ints,
) -> int:
    """Number the components in the reading order of their first pixels.

    Args:
        labels: Shape ``(H, W)``.
        height: H.
        rows: Y.
        width: W.
        run_starts: As from ``find_runs``.
        row_firsts: Likewise.
        parents: Memory for a number for each run, and one more, which is how many pairs there are in the end.
        components: In which component each run is, overwritten.
        pairs: Two runs of different labels for each place where one is below or behind the other, overwritten from
            ``2 * H * W`` on. There are fewer than ``2 * H * W`` of them in images, and twice as many in volumes.

    Returns:
        The number of components.
    """
    runs = row_firsts[height]
    for run in range(runs):
        parents[run] = run
    to, row = 2 * height * width, 0
    for y in range(1, height):
        row = row + 1 if row + 1 < rows else 0
        if row:
            to = _join_rows(labels, y - 1, y, width, run_starts, row_firsts, parents, pairs, to)
        if y >= rows:
            to = _join_rows(labels, y - rows, y, rows * width, run_starts, row_firsts, parents, pairs, to)
    count = 0
    for run in range(runs):
        # What a run leads to is before it, and has been numbered.
        parent = parents[run]
        first = parent == run
        components[run] = count if first else components[parent]
        count += 1 if first else 0
    parents[runs] = to // 2 - height * width
    return count


@kernel
def _join_rows(
    labels: Ints,
    above: int,
    below: int,
    apart: int,
    run_starts: Ints,
    row_firsts: Ints,
    parents: Ints,
    pairs: Ints,
    to: int,
) -> int:
    """Join the runs of equal labels that touch in two rows, and list those of others.

    Args:
        labels: As for ``number_components``; likewise the others that stand there.
        above: The row that comes first.
        below: The other, of which each pixel touches one of the first.
        apart: How many pixels later that is.
        run_starts: See there.
        row_firsts: See there.
        parents: See there.
        pairs: See there.
        to: Where the list ends.

    Returns:
        Where the list then ends.
    """
    upper, lower = row_firsts[above], row_firsts[below]
    upper_end, lower_end = row_firsts[above + 1], row_firsts[below + 1]
    while upper < upper_end and lower < lower_end:
        pairs[to], pairs[to + 1] = upper, lower
        # Whether labels are equal cannot be foreseen, and a processor that has guessed wrong takes several times as
        # long. So that is not asked: of labels that differ this is 0, and of equal ones all bits are set.
        same = ((labels[run_starts[upper]] ^ labels[run_starts[lower]]) - np.int32(1)) >> np.int32(31)
        first, second = parents[upper], parents[lower]
        # Most runs follow the first above them that has their label.
        joined = second ^ ((first ^ second) & same) if second == lower else second
        parents[lower] = joined
        if (joined ^ first) & same:
            first, second = root_of(parents, upper), root_of(parents, lower)
            parents[max(first, second)] = min(first, second)
        to += 2 + 2 * same
        ahead = run_starts[upper + 1] + apart - run_starts[lower + 1]
        upper += 1 if ahead <= 0 else 0
        lower += 1 if ahead >= 0 else 0
    return to


@kernel
def count_areas(
    height: int,
    width: int,
    run_starts: Ints,
    row_firsts: Ints,
    components: Ints,
    count: int,
    row_areas: Ints,
    column_areas: Ints,
    sizes: Longs,
) -> None:
    """Add up how much the pixels of each component count.

    Args:
        height: H.
        width: W.
        run_starts: As from ``find_runs``.
        row_firsts: Likewise.
        components: In which component each run is.
        count: The number of components.
        row_areas: How many rows of the original each row stands for, ``(H,)``.
        column_areas: How many columns those before each column stand for, and all, ``(W + 1,)``.
        sizes: Shape ``(count,)``, overwritten.
    """
    for component in range(count):
        sizes[component] = 0
    for y in range(height):
        for run in range(row_firsts[y], row_firsts[y + 1]):
            first, last = run_starts[run] - y * width, run_starts[run + 1] - y * width
            sizes[components[run]] += (column_areas[last] - column_areas[first]) * row_areas[y]


@kernel
def find_touching(
    height: int,
    width: int,
    row_firsts: Ints,
    components: Ints,
    loose: Ints,
    pairs: Ints,
    n_pairs: int,
    remembered: Longs,
) -> int:
    """List pairs of components that touch, of which one is loose, some more than once.

    Args:
        height: H.
        width: W.
        row_firsts: As from ``find_runs``.
        components: In which component each run is.
        loose: Whether a component is loose, 0 or 1.
        pairs: From ``2 * H * W`` on the pairs of ``number_components``, overwritten from the front by two components
            each.
        n_pairs: How many pairs these are.
        remembered: Memory for ``REMEMBERED`` numbers.

    Returns:
        The number of pairs.
    """
    for place in range(REMEMBERED):
        remembered[place] = -1
    count = 0
    for y in range(height):
        for run in range(row_firsts[y] + 1, row_firsts[y + 1]):
            count += _list_pair(components[run - 1], components[run], loose, pairs, count, remembered)
    at = 2 * height * width
    for pair in range(at, at + 2 * n_pairs, 2):
        count += _list_pair(components[pairs[pair]], components[pairs[pair + 1]], loose, pairs, count, remembered)
    return count


@kernel
def _list_pair(first: int, second: int, loose: Ints, pairs: Ints, count: int, remembered: Longs) -> int:
    """Write a pair at the end of a list; 1 if it is to stay there, 0 if none is loose or it is known to stand there."""
    low, high = np.int64(min(first, second)), np.int64(max(first, second))
    key = (low << 32) + high
    place = (low + 61 * high) & (REMEMBERED - 1)
    stay = (loose[low] | loose[high]) if remembered[place] != key else 0
    remembered[place] = key
    pairs[2 * count], pairs[2 * count + 1] = low, high
    return stay


@kernel
def fill_runs(run_starts: Ints, runs: int, components: Ints, numbers: Ints, labels: Ints) -> None:
    """Write into ``labels`` ``(H, W)`` the number of the component that each of the runs is in.

    Several pixels are written at the same time, which may reach beyond the end of a run, where others are written
    later, and beyond the image, where there is memory to spare.
    """
    for run in range(runs):
        number = numbers[components[run]]
        for first in range(run_starts[run], run_starts[run + 1], _FILLED):
            for lane in range(_FILLED):
                labels[first + lane] = number


@kernel
def renumber(runs: int, components: Ints, segments: Ints, numbers: Ints, count: int) -> None:
    """Number segments by their first pixels.

    Args:
        runs: How many runs there are.
        components: In which component each run is; components are numbered by their first runs.
        segments: In which segment each component is, changed.
        numbers: Memory for a number for each segment.
        count: How many segments there are.
    """
    for segment in range(count):
        numbers[segment] = -1
    found, component = 0, 0
    for run in range(runs):
        segment = segments[components[run]]
        if numbers[segment] < 0:
            numbers[segment] = found
            found += 1
        component = max(component, components[run])
    for place in range(component + 1):
        segments[place] = numbers[segments[place]]
