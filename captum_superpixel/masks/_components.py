"""Connected components of labels, and their merging into segments, on any device and in any number of dimensions."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel._untyped import label

__all__ = ["has_specks", "keep_largest", "label_components", "least_area", "merge_smallest"]

_SPECK = 10
"""How many times smaller than the mean a segment is from which on it is a speck."""

_LARGE = 2**62
"""Above every number of a component and every squared distance between two."""


def keep_largest(
    clusters: Tensor,
    colors: Tensor,
    n_segments: int | Tensor,
    *,
    least: Tensor | None = None,
    areas: Tensor | None = None,
    valid: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Turn the clusters of a batch of images into connected segments, all surplus components at a time.

    The ``n_segments`` largest connected components of each image stay, and the others are merged with them: in each
    round every other one joins the neighbor of the nearest color (of several, the one with the lowest number), which
    may be another such component. Colors are those of the clusters, and after a merger their mean by size.

    Components below ``least`` do not stay, even if they are among the largest. In images that have such ones among the
    largest, all components below it join a neighbor first, round by round, until none is left; of those that have
    formed, the largest then stay in the place of the ones that were too small. Other images are as without ``least``.

    Args:
        clusters: Shape ``(N, *spatial)``, int32, numbers below K.
        colors: Shape ``(N, K, C)``, whole numbers below 2**12 in magnitude.
        n_segments: How many segments to leave in each image: one number, or ``(N,)``. Fewer are left where there are
            not so many components that are large enough.
        least: How large each segment of an image is at least, ``(N,)``, and at most the image; None for 1.
        areas: How much each element of an image counts, ``(*spatial)``, integers; None for 1.
        valid: Which elements of the images are segmented, ``(*spatial)`` bool; None for all. The others get the number
            of segments. A place that they cut off from all others keeps a segment, whatever its size.

    Returns:
        Segments ``(N, *spatial)``, int64, numbered from 0 without gaps in each image, in the reading order of the
        components that stay; and how many there are, ``(N,)``.

    Examples:
        >>> clusters = torch.tensor([[[0, 0, 1, 0], [0, 0, 2, 2]]], dtype=torch.int32)
        >>> colors = torch.tensor([[[10.0], [50.0], [40.0]]])
        >>> keep_largest(clusters, colors, n_segments=2)[0].tolist()
        [[[0, 0, 1, 1], [0, 0, 1, 1]]]
    """
    if valid is not None:
        # One more cluster in each image.
        clusters = torch.where(valid, clusters, colors.shape[1])
        colors = pad(colors, (0, 0, 0, 1))
    count, per_image = colors.shape[:2]
    images = torch.arange(count, dtype=torch.int32, device=clusters.device)
    # One tall image, in which clusters of different images differ: components come out numbered image by image.
    distinct = (clusters + (images * per_image).view(-1, *[1] * (clusters.ndim - 1))).flatten(0, 1)
    components = label_components(distinct).view(clusters.shape)
    flat = components.flatten()
    sizes = torch.bincount(flat)
    cluster_of = torch.empty_like(sizes).scatter_(0, flat, distinct.flatten().long())
    image_of = cluster_of.div(per_image, rounding_mode="floor")
    if areas is not None:
        sizes = torch.bincount(flat, areas.expand(clusters.shape).flatten().double()).long()
    wanted = torch.as_tensor(n_segments, device=clusters.device).expand(count)
    outside = torch.zeros_like(sizes, dtype=torch.bool)
    if valid is not None:
        outside = cluster_of % per_image == per_image - 1
    stay = _are_largest(sizes.masked_fill(outside, -1), image_of, wanted)
    if least is not None:
        stay &= sizes >= least.index_select(0, image_of)
    loose = ~(stay | outside)
    sums = colors.flatten(0, 1).long().index_select(0, cluster_of) * sizes[:, None]
    graph = Graph(sizes, sums, loose, *_touching(components, loose))
    segment_of = _number(sizes)
    if valid is not None:
        stay &= ~outside
        pairs = _select(~outside.index_select(0, graph.second), graph.first, graph.second)
        graph = Graph(sizes, sums, loose, *pairs)
    if least is not None and (lacking := wanted - torch.bincount(image_of[stay], minlength=count)).any():
        below = torch.where(lacking > 0, least, _LARGE)
        graph, image_of, segment_of = _join(graph, image_of, segment_of, below, islands=valid is not None)
        graph = _let_largest_stay(graph, image_of, lacking)
    _, image_of, segment_of = _join(graph, image_of, segment_of, islands=valid is not None)
    if valid is not None:
        apart = torch.zeros_like(image_of, dtype=torch.bool).index_fill(0, segment_of[outside], True)
        counts = torch.bincount(image_of[~apart], minlength=count)
        number = torch.where(apart, counts[image_of], (~apart).cumsum(0) - 1 - (counts.cumsum(0) - counts)[image_of])
        return number[segment_of].index_select(0, flat).view(clusters.shape), counts
    counts = torch.bincount(image_of, minlength=count)
    segment_of -= (counts.cumsum(0) - counts)[image_of][segment_of]
    return segment_of.index_select(0, flat).view(clusters.shape), counts


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
    first, second = _touching(components[None], loose)
    left = n_segments
    if valid is not None:
        outside = torch.zeros_like(loose).index_fill(0, flat[~valid.flatten()], True)
        first, second = _select(~(outside[first] | outside[second]), first, second)
        left += int(outside.sum())
    graph = Graph(sizes, sums, loose, first, second)
    segment_of = _number(sizes)
    while len(graph.sizes) > left and len(graph.first):
        surplus = len(graph.sizes) - left
        alone = torch.ones_like(graph.loose).index_fill(0, graph.first, False)
        smallest = graph.sizes.masked_fill(alone, _LARGE).argsort(stable=True)[: (surplus + 1) // 2]
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
    if labels.device.type == "cuda":
        return _label_in_parallel(labels)
    # scikit-image numbers in another order where the last axis has length one.
    longer = labels.reshape([length for length in labels.shape if length > 1] or [1])
    components = label(longer.cpu().numpy(), connectivity=1, background=-1)
    return torch.from_numpy(np.asarray(components, dtype=np.int64)).to(labels.device).sub_(1).view(labels.shape)


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
        first, second = _select(joining.index_select(0, first), first, second)
    group, names = unite(torch.where(joining, _nearest(means, first, second), _number(means)), by_lowest=by_lowest)
    sizes, sums = (_add_up(values, group, len(names)) for values in (graph.sizes, graph.sums))
    loose = graph.loose.index_select(0, names)
    first, second = group.index_select(0, graph.first), group.index_select(0, graph.second)
    apart = (first != second) & loose.index_select(0, first)
    return Graph(sizes, sums, loose, *_select(apart, first, second)), group, names


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
    itself = _number(partners)
    # Nearest neighbors with ties to the lowest number form no cycle longer than two, of which the lower is the root.
    mutual = partners.index_select(0, partners) == itself
    name = _follow(torch.where(mutual & (itself < partners), itself, partners))
    if by_lowest:
        name = _least(itself, name, len(name)).index_select(0, name)
    is_name = name == itself
    return (is_name.cumsum(0) - 1).index_select(0, name), _where(is_name)


def _join(
    graph: Graph, image_of: Tensor, segment_of: Tensor, below: Tensor | None = None, *, islands: bool = False
) -> tuple[Graph, Tensor, Tensor]:
    """Let loose components join a neighbor, round by round, until none is left that does.

    Args:
        graph: M components.
        image_of: Which image each is in, ``(M,)``.
        segment_of: Which of them each component of the beginning has become a part of.
        below: Up to which size they join, exclusive, for each image ``(N,)``; None for any size.
        islands: Whether some may have no neighbor, as where invalid pixels cut them off.

    Returns:
        The same three, of the groups that have formed.
    """
    while len(graph.first):
        joining = torch.zeros_like(graph.loose).index_fill(0, graph.first, True) if islands else graph.loose
        if below is not None:
            joining = joining & (graph.sizes < below.index_select(0, image_of))
            if not joining.any():
                break
        graph, group, names = merge_round(graph, joining)
        image_of = image_of.index_select(0, names)
        segment_of = group.index_select(0, segment_of)
    return graph, image_of, segment_of


def _let_largest_stay(graph: Graph, image_of: Tensor, lacking: Tensor) -> Graph:
    """Say of the largest loose components of each image, as many as are ``lacking`` in it ``(N,)``, that they stay."""
    places = _where(graph.loose)
    chosen = _are_largest(graph.sizes.index_select(0, places), image_of.index_select(0, places), lacking)
    loose = graph.loose.index_fill(0, places[chosen], False)
    pairs = _select(loose.index_select(0, graph.first), graph.first, graph.second)
    return Graph(graph.sizes, graph.sums, loose, *pairs)


def _nearest(means: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Find for each component that stands first in pairs the nearest of the others, of several the lowest: ``(M,)``."""
    squares = means.index_select(0, first).sub_(means.index_select(0, second)).square_()
    # Column by column, so that the sums of floats round in one way.
    distances = sum(squares.unbind(1), start=squares.new_zeros(()))
    nearest = distances == _least(distances, first, len(means)).index_select(0, first)
    first, second = _select(nearest, first, second)
    return _least(second, first, len(means))


def _least(values: Tensor, groups: Tensor, count: int) -> Tensor:
    """Find the least value of each group, of no values a large one: ``(count,)``."""
    return values.new_full((count,), _LARGE).scatter_reduce_(0, groups, values, "amin")


def _add_up(values: Tensor, groups: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, groups, values)


def _number(values: Tensor) -> Tensor:
    return torch.arange(len(values), device=values.device)


def _touching(components: Tensor, loose: Tensor) -> tuple[Tensor, Tensor]:
    """List pairs of components ``(N, *spatial)`` that touch, of which the first is loose, some more than once."""
    flat = components.flatten()
    moving = loose.index_select(0, flat)
    firsts, seconds = [], []
    for axis in range(1, components.ndim):
        step = math.prod(components.shape[axis + 1 :])
        border = torch.zeros_like(moving)
        border[:-step] = (flat[:-step] != flat[step:]) & (moving[:-step] | moving[step:])
        # The last pixels along an axis have no such neighbor.
        border.view(components.shape).select(axis, -1).fill_(False)
        place = _where(border)
        firsts.append(flat.index_select(0, place))
        seconds.append(flat.index_select(0, place + step))
    first, second = torch.cat(firsts + seconds), torch.cat(seconds + firsts)
    first, second = _select(loose.index_select(0, first), first, second)
    return first, second


def _label_in_parallel(labels: Tensor) -> Tensor:
    """Do what ``label_components`` does where thousands of pixels are treated at once: nothing leaves the device.

    Each pixel points to the first of its run along the last axis. Then the first pixels of runs that touch are
    compared, the later one is pointed to the earlier, and pointers are followed, until all that touch agree.
    """
    index = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    starts = torch.ones_like(labels, dtype=torch.bool)
    starts[..., 1:] = labels[..., 1:] != labels[..., :-1]
    parent = torch.where(starts, index, 0).flatten().cummax(0).values
    firsts, seconds = [], []
    for axis in range(labels.ndim - 1):
        last = labels.shape[axis] - 1
        same = labels.narrow(axis, 0, last) == labels.narrow(axis, 1, last)
        firsts.append(index.narrow(axis, 0, last)[same])
        seconds.append(index.narrow(axis, 1, last)[same])
    first, second = (parent[torch.cat([index.new_empty(0), *places])] for places in (firsts, seconds))
    while len(first):
        parent.scatter_reduce_(0, torch.maximum(first, second), torch.minimum(first, second), "amin")
        parent = _follow(parent)
        first, second = parent.index_select(0, first), parent.index_select(0, second)
        first, second = _select(first != second, first, second)
    return (torch.cumsum(parent == index.flatten(), 0) - 1)[parent].view(labels.shape)


def _are_largest(sizes: Tensor, image_of: Tensor, wanted: Tensor) -> Tensor:
    """Mark the ``wanted`` largest components of each image, of equal ones the first: ``(M,)`` bool."""
    order = torch.argsort(sizes, descending=True, stable=True)
    order = order[torch.argsort(image_of[order], stable=True)]
    image_of = image_of[order]
    counts = torch.bincount(image_of, minlength=len(wanted))
    rank = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[image_of]
    return torch.empty_like(order, dtype=torch.bool).scatter_(0, order, rank < wanted[image_of])


def _follow(parent: Tensor) -> Tensor:
    """Point everything to the root that it leads to, one that points to itself: ``(M,)``."""
    while not torch.equal(parent, further := parent.index_select(0, parent)):
        parent = further
    return parent


def _select(mask: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Take the members of values ``(L,)`` where a mask ``(L,)`` is true."""
    places = _where(mask)
    # Indexing by brackets would take four times as long.
    return tuple(value.index_select(0, places) for value in values)


def _where(mask: Tensor) -> Tensor:
    """List the places where a mask ``(L,)`` is true; NumPy takes a tenth of the time of torch for it."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.nonzero().flatten()
