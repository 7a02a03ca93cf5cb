"""Connected components of labels, and their merging into segments, on any device and in any number of dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._untyped import label

__all__ = [
    "LARGE",
    "Graph",
    "add_up",
    "find_components",
    "has_specks",
    "label_components",
    "least_area",
    "merge_round",
    "merge_smallest",
    "nearest_neighbors",
    "number_by_first",
    "numbers_of",
    "places_of",
    "select",
    "touching_pairs",
]

_SPECK = 10
"""How many times smaller than the mean a segment is from which on it is a speck."""

_PARALLEL = {"cuda"}
"""Types of devices on which components are labeled without the CPU."""

_STEPS_AT_ONCE = 3
"""How often pointers are followed before the host asks whether all have arrived, where that makes it wait: most need
fewer, and each time reaches twice as far."""

LARGE = 2**62
"""Above every number of a component and every squared distance between two."""


def merge_smallest(components: Tensor, features: Tensor, n_segments: int, *, valid: Tensor | None = None) -> Tensor:
    """Merge connected components of one image until ``n_segments`` are left, half of the surplus at a time.

    The smallest join the neighbor of the nearest mean (of several, the one with the lowest number); sizes and means are
    then taken anew.

    Args:
        components: Shape ``(*spatial)``, int64, numbered from 0 without gaps.
        features: What the pixels are compared by, of shape ``(*spatial, F)``.
        n_segments: How many segments to leave, at least 1.
        valid: Which pixels are segmented, ``(*spatial)`` bool; None for all. No component has both kinds.

    Returns:
        Segments ``(*spatial)``, int64, numbered from 0 without gaps in the order of the components: ``n_segments`` of
        them (not counting components that are not valid), or all components if they are fewer; more where the valid
        pixels lie in more places, which have no neighbors.

    Examples:
        >>> values = torch.tensor([[0.0, 0.1, 0.9, 1.0, 1.0]])
        >>> merge_smallest(torch.tensor([[0, 0, 1, 2, 2]]), values[..., None], n_segments=2).tolist()
        [[0, 0, 1, 1, 1]]
    """
    flat = components.flatten()
    sizes = torch.bincount(flat)
    columns = features.flatten(0, -2).double().unbind(1)
    sums = torch.stack([torch.bincount(flat, column) for column in columns], dim=1)
    loose = torch.ones_like(sizes, dtype=torch.bool)
    first, second = touching_pairs(components[None], loose)
    left = n_segments
    if valid is not None:
        outside = torch.zeros_like(loose).index_fill(0, flat[~valid.flatten()], True)
        first, second = select(~(outside[first] | outside[second]), first, second)
        left += int(outside.sum())
    graph = Graph(sizes, sums, loose, first, second)
    segment_of = numbers_of(sizes)
    while len(graph.sizes) > left and len(graph.first):
        surplus = len(graph.sizes) - left
        alone = torch.ones_like(graph.loose).index_fill(0, graph.first, False)
        smallest = graph.sizes.masked_fill(alone, LARGE).argsort(stable=True)[: (surplus + 1) // 2]
        joining = torch.zeros_like(graph.loose).index_fill(0, smallest, True) & ~alone
        graph, group, _ = merge_round(graph, joining, by_lowest=True)
        segment_of = group.index_select(0, segment_of)
    return segment_of.index_select(0, flat).view(components.shape)


def least_area(pixels: int, n_segments: int) -> int:
    """Say how many pixels a segment has at least: a tenth of the mean, if there are ``n_segments`` of them."""
    return math.ceil(pixels / (_SPECK * n_segments))


def has_specks(segments: Tensor, n_segments: int) -> bool:
    """Say whether a segment ``(*spatial)``, numbered from 0 without gaps, is smaller than ``least_area``."""
    return bool(torch.bincount(segments.flatten()).min() < least_area(segments.numel(), n_segments))


def label_components(labels: Tensor) -> Tensor:
    """Number the connected components of labels, so that no number stands in two separate places.

    Args:
        labels: Shape ``(*spatial)``, non-negative.

    Returns:
        int64 ``(*spatial)``, numbered from 0 in the reading order of their first pixels. Pixels touch where they share
        an edge, voxels where they share a face.

    Examples:
        >>> label_components(torch.tensor([[5, 0, 5], [5, 0, 5]])).tolist()
        [[0, 1, 2], [0, 1, 2]]
    """
    return find_components(labels)[0]


def find_components(labels: Tensor) -> tuple[Tensor, int | None]:
    """Do what :func:`label_components` does, and say how many there are where the host knows it without waiting."""
    if labels.device.type in _PARALLEL:
        return _label_in_parallel(labels), None
    # scikit-image numbers in another order where the last axis has length one.
    longer = labels.reshape([length for length in labels.shape if length > 1] or [1])
    components, count = label(longer.cpu().numpy(), connectivity=1, background=-1, return_num=True)
    numbered = torch.from_numpy(np.asarray(components, dtype=np.int64)).to(labels.device).sub_(1)
    return numbered.view(labels.shape), int(count)


def number_by_first(labels: Tensor) -> Tensor:
    """Number labels in the reading order of their first pixels, as ``label_components`` does where each is connected.

    Args:
        labels: Shape ``(*spatial)``, non-negative, none much larger than there are pixels.

    Returns:
        int64 ``(*spatial)``, from 0 without gaps.

    Examples:
        >>> number_by_first(torch.tensor([[5, 5, 0], [5, 2, 0]])).tolist()
        [[0, 0, 1], [0, 2, 1]]
    """
    flat = labels.flatten()
    first = torch.full((int(flat.max()) + 1,), LARGE, device=labels.device)
    if labels.device.type == "cpu":
        # Written from the last pixel to the first, of which the first remains: a third of the time of a minimum.
        first.numpy()[flat.numpy()[::-1]] = np.arange(len(flat) - 1, -1, -1)
    else:
        first.scatter_reduce_(0, flat.long(), numbers_of(flat), "amin")
    number = torch.empty_like(first).scatter_(0, first.argsort(stable=True), numbers_of(first))
    return number.index_select(0, flat).view(labels.shape)


class Graph(NamedTuple):
    """M components as the nodes of a graph, of which P pairs touch.

    Args:
        sizes: How many pixels each has, ``(M,)`` int64.
        sums: Their features, added up over the pixels: ``(M, F)``, integers, or floats where features are no integers.
        loose: Which of them may still join a neighbor, ``(M,)`` bool.
        first: A loose component, ``(P,)``.
        second: One that touches it, ``(P,)``. Pairs may repeat.
    """

    sizes: Tensor
    sums: Tensor
    loose: Tensor
    first: Tensor
    second: Tensor


def merge_round(graph: Graph, joining: Tensor, *, by_lowest: bool = False) -> tuple[Graph, Tensor, Tensor]:
    """Let components join the neighbor whose mean is nearest, all at the same time.

    Args:
        graph: M components.
        joining: Which of the loose ones join a neighbor now, ``(M,)`` bool; each needs to have one.
        by_lowest: As for :func:`unite`.

    Returns:
        The G groups that form, as a graph; the group of each component ``(M,)``; and the component that each group is
        named after, ``(G,)``.
    """
    # The means of integers stay integers: no sum of them then depends on the order of its terms.
    rounding = None if graph.sums.is_floating_point() else "floor"
    means = graph.sums.div(graph.sizes[:, None], rounding_mode=rounding)
    first, second = graph.first, graph.second
    if joining is not graph.loose:
        first, second = select(joining.index_select(0, first), first, second)
    group, names = unite(
        torch.where(joining, nearest_neighbors(means, first, second), numbers_of(means)), by_lowest=by_lowest
    )
    sizes, sums = (add_up(values, group, len(names)) for values in (graph.sizes, graph.sums))
    loose = graph.loose.index_select(0, names)
    first, second = group.index_select(0, graph.first), group.index_select(0, graph.second)
    apart = (first != second) & loose.index_select(0, first)
    return Graph(sizes, sums, loose, *select(apart, first, second)), group, names


def unite(partners: Tensor, *, by_lowest: bool = False) -> tuple[Tensor, Tensor]:
    """Number the groups that form when components join their partners.

    Args:
        partners: Which component each joins, ``(M,)``: itself, or a nearest neighbor as :func:`merge_round` finds it.
        by_lowest: Whether a group is named after its lowest component, and not after the one that the others lead to:
            that which joins none or, of two that join each other, the lower.

    Returns:
        The group of each component ``(M,)``, numbered in the order of the components that they are named after; and
        these, ``(G,)``.
    """
    itself = numbers_of(partners)
    # Nearest neighbors with ties to the lowest number form no cycle longer than two, of which the lower is the root.
    mutual = partners.index_select(0, partners) == itself
    leads_to = torch.where(mutual & (itself < partners), itself, partners)
    name, count = (_follow(leads_to), None) if partners.device.type == "cpu" else _follow_and_count(leads_to, itself)
    if by_lowest:
        name = _least(itself, name, len(name)).index_select(0, name)
    is_name = name == itself
    number = is_name.cumsum(0) - 1
    if count is None:
        names = places_of(is_name)
    else:
        # As places_of, for which the host would wait once more. What is no name goes behind the last.
        names = itself.new_empty(count + 1).scatter_(0, torch.where(is_name, number, count), itself)[:count]
    return number.index_select(0, name), names


def nearest_neighbors(means: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Find for each component that stands first in pairs the nearest of the others, of several the lowest: ``(M,)``."""
    squares = means.index_select(0, first).sub_(means.index_select(0, second)).square_()
    # Column by column, so that the sums of floats round in one way.
    distances = sum(squares.unbind(1), start=squares.new_zeros(()))
    nearest = distances == _least(distances, first, len(means)).index_select(0, first)
    if means.device.type == "cpu":
        first, second = select(nearest, first, second)
    else:
        # To leave the others out, the host would wait for their number.
        second = second.masked_fill(~nearest, LARGE)
    return _least(second, first, len(means))


def _least(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Find the least value of each group, of no values a large one: ``(count,)``."""
    return values.new_full((count,), LARGE).scatter_reduce_(0, groups, values, "amin")


def add_up(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Add up the values ``(L, ...)`` of each group: ``(count, ...)``. Unlike ``bincount`` it makes no host wait."""
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, groups, values)


def numbers_of(values: Tensor) -> Tensor:
    return torch.arange(len(values), device=values.device)


def touching_pairs(components: Tensor, loose: Tensor) -> tuple[Tensor, Tensor]:
    """List pairs of components ``(N, *spatial)`` that touch, of which the first is loose, some more than once."""
    flat = components.flatten()
    places = places_of(loose.index_select(0, flat))
    if not len(places):
        return places, places
    own = flat.index_select(0, places)
    sides = (flat.index_select(0, around) for around in _around(places, components.shape))
    if components.device.type != "cpu":
        # All sides together, because the host waits for the number of pairs.
        others = list(sides)
        second = torch.cat([flat.new_empty(0), *others])
        pairs = places_of((own != second.view(len(others), len(own))).flatten())
        return own.index_select(0, pairs % len(own)), second.index_select(0, pairs)
    firsts, seconds = [flat.new_empty(0)], [flat.new_empty(0)]
    for other in sides:
        pair = places_of(other != own)
        firsts.append(own.index_select(0, pair))
        seconds.append(other.index_select(0, pair))
    return torch.cat(firsts), torch.cat(seconds)


def _around(places: Tensor, shape: Sequence[int]) -> Iterator[Tensor]:
    """Give what is beside places of images ``(N, *spatial)``, side by side: at an edge that lacks one, themselves."""
    lines = places
    for axis in range(len(shape) - 1, 0, -1):
        length, step = shape[axis], math.prod(shape[axis + 1 :])
        line_of = lines.div(length, rounding_mode="floor")
        at, lines = lines - line_of * length, line_of
        for edge, offset in ((0, -step), (length - 1, step)):
            yield torch.where(at == edge, places, places + offset)


def _label_in_parallel(labels: Tensor) -> Tensor:
    """Do what ``label_components`` does where thousands of pixels are treated at once: nothing leaves the device.

    Each pixel points to the first of its run along the last axis. Then the first pixels of runs that touch are
    compared, the later one is pointed to the earlier, and pointers are followed, until all that touch agree.
    """
    index = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    starts = torch.ones_like(labels, dtype=torch.bool)
    starts[..., 1:] = labels[..., 1:] != labels[..., :-1]
    # Row by row: of one long row a GPU computes one maximum after the other.
    parent = torch.where(starts, index, 0).cummax(-1).values.flatten()
    firsts, seconds = [], []
    for axis in range(labels.ndim - 1):
        last = labels.shape[axis] - 1
        same = places_of((labels.narrow(axis, 0, last) == labels.narrow(axis, 1, last)).flatten())
        firsts.append(index.narrow(axis, 0, last).flatten().index_select(0, same))
        seconds.append(firsts[-1] + math.prod(labels.shape[axis + 1 :]))
    first, second = (parent[torch.cat([index.new_empty(0), *places])] for places in (firsts, seconds))
    while len(first):
        parent.scatter_reduce_(0, torch.maximum(first, second), torch.minimum(first, second), "amin")
        parent = _follow(parent)
        first, second = parent.index_select(0, first), parent.index_select(0, second)
        first, second = select(first != second, first, second)
    return (torch.cumsum(parent == index.flatten(), 0) - 1)[parent].view(labels.shape)


def _follow(parent: Tensor) -> Tensor:
    """Point everything to the root that it leads to, one that points to itself: ``(M,)``."""
    steps = 1 if parent.device.type == "cpu" else _STEPS_AT_ONCE
    while True:
        for _ in range(steps):
            before, parent = parent, parent.index_select(0, parent)
        if torch.equal(before, parent):
            return parent


def _follow_and_count(parent: Tensor, itself: Tensor) -> tuple[Tensor, int]:
    """Do what :func:`_follow` does, and count the roots in the same wait of the host."""
    while True:
        for _ in range(_STEPS_AT_ONCE):
            before, parent = parent, parent.index_select(0, parent)
        count, moved = torch.stack([parent == itself, before != parent]).sum(dim=1).tolist()
        if not moved:
            return parent, count


def select(mask: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Take the members of values ``(L,)`` where a mask ``(L,)`` is true."""
    places = places_of(mask)
    # Indexing by brackets would take four times as long.
    return tuple(value.index_select(0, places) for value in values)


def places_of(mask: Tensor) -> Tensor:
    """List the places where a mask ``(L,)`` is true; NumPy takes a tenth of the time of torch for it."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.nonzero().flatten()
