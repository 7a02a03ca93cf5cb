"""The connected components of one image, found by runs: pixels beside one another in a row that have one label."""

from __future__ import annotations

from captum_superpixel.masks.slic.compiled.kernels.marking import Ints, Longs, kernel

__all__ = ["count_areas", "find_runs", "find_touching", "number_components"]


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
def _root_of(parents: Ints, item: int) -> int:
    """Find what a run or component leads to, and shorten the way."""
    while parents[item] != item:
        parents[item] = parents[parents[item]]
        item = parents[item]
    return item


@kernel
def number_components(
    labels: Ints, height: int, width: int, run_starts: Ints, row_firsts: Ints, parents: Ints, components: Ints
) -> int:
    """Number the components in the reading order of their first pixels.

    Args:
        labels: Shape ``(H, W)``.
        height: H.
        width: W.
        run_starts: As from ``find_runs``.
        row_firsts: Likewise.
        parents: Memory for a number for each run.
        components: In which component each run is, overwritten.

    Returns:
        The number of components.
    """
    for run in range(row_firsts[height]):
        parents[run] = run
    for y in range(1, height):
        upper, lower = row_firsts[y - 1], row_firsts[y]
        upper_end, lower_end = lower, row_firsts[y + 1]
        while upper < upper_end and lower < lower_end:
            if labels[run_starts[upper]] == labels[run_starts[lower]]:
                first, second = _root_of(parents, upper), _root_of(parents, lower)
                if first < second:
                    parents[second] = first
                else:
                    parents[first] = second
            ahead = run_starts[upper + 1] + width - run_starts[lower + 1]
            upper += 1 if ahead <= 0 else 0
            lower += 1 if ahead >= 0 else 0
    count = 0
    for run in range(row_firsts[height]):
        root = _root_of(parents, run)
        if root == run:
            components[run] = count
            count += 1
        else:
            components[run] = components[root]
    return count


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
    run_starts: Ints,
    row_firsts: Ints,
    components: Ints,
    loose: Ints,
    pairs: Ints,
) -> int:
    """List pairs of components that touch, of which one is loose, some more than once.

    Args:
        height: H.
        width: W.
        run_starts: As from ``find_runs``.
        row_firsts: Likewise.
        components: In which component each run is.
        loose: Whether a component is loose, 0 or 1.
        pairs: Two numbers for each pair, overwritten. There are fewer than ``3 * H * W``.

    Returns:
        The number of pairs.
    """
    count = 0
    for y in range(height):
        for run in range(row_firsts[y] + 1, row_firsts[y + 1]):
            first, second = components[run - 1], components[run]
            if loose[first] | loose[second]:
                pairs[2 * count], pairs[2 * count + 1] = first, second
                count += 1
        if y == 0:
            continue
        upper, lower = row_firsts[y - 1], row_firsts[y]
        upper_end, lower_end = lower, row_firsts[y + 1]
        while upper < upper_end and lower < lower_end:
            first, second = components[upper], components[lower]
            if first != second and loose[first] | loose[second]:
                pairs[2 * count], pairs[2 * count + 1] = first, second
                count += 1
            ahead = run_starts[upper + 1] + width - run_starts[lower + 1]
            upper += 1 if ahead <= 0 else 0
            lower += 1 if ahead >= 0 else 0
    return count
