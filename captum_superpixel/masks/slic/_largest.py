"""From clusters to connected segments: the largest components of each image stay, and specks grow or go."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel.masks._components import (
    LARGE,
    Graph,
    add_up,
    find_components,
    merge_round,
    number_by_first,
    numbers_of,
    places_of,
    select,
    touching_pairs,
)
from captum_superpixel.masks.slic._growing import grow

__all__ = ["Shades", "keep_largest"]

_LARGER = 2**40
"""Above the size of any component, and low enough to be multiplied by a number of images."""

Shades = Callable[[Tensor], Tensor]
"""From places of images ``(R,)`` in a batch to the colors of their pixels, ``(R, C, *spatial)``."""


def keep_largest(
    clusters: Tensor,
    colors: Tensor,
    n_segments: int | Tensor,
    *,
    least: Tensor | None = None,
    areas: Tensor | None = None,
    valid: Tensor | None = None,
    shades: Shades | None = None,
    connected: bool = False,
) -> tuple[Tensor, Tensor]:
    """Turn the clusters of a batch of images into connected segments, all surplus components at a time.

    The ``n_segments`` largest connected components of each image stay, and the others are merged with them: in each
    round every other one joins the neighbor of the nearest color (of several, the one with the lowest number), which
    may be another such component. Colors are those of the clusters, and after a merger their mean by size.

    Segments below ``least`` are specks. With ``shades`` they grow by the elements around them that are most like them
    (see ``grow``). That may cut other segments, so components are then found anew, and treated as without ``shades``:
    components below ``least`` do not stay, even if they are among the largest. In images that have such ones among the
    largest, all components below it join a neighbor first, round by round, until none is left; of those that have
    formed, the largest then stay in the place of the ones that were too small. Images without specks are as without
    ``least``.

    Args:
        clusters: Shape ``(N, *spatial)``, int32, numbers below K.
        colors: Shape ``(N, K, C)``, whole numbers below 2**12 in magnitude.
        n_segments: How many segments to leave in each image: one number, or ``(N,)``. Fewer are left where there are
            not so many components that are large enough.
        least: How large each segment of an image is at least, ``(N,)``, and at most the image; None for 1.
        areas: How much each element of an image counts, ``(*spatial)``, integers; None for 1.
        valid: Which elements of the images are segmented, ``(*spatial)`` bool; None for all. The others get the number
            of segments. A place that they cut off from all others keeps a segment, whatever its size.
        shades: Gives the colors of elements, in the units of ``colors``; None if no speck is to grow.
        connected: Whether every cluster is known to be a connected component, so that none has to be looked for.

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
    found = _find_components(clusters, colors, areas, apart=valid is not None, connected=connected)
    wanted = torch.as_tensor(n_segments, device=clusters.device).expand(len(clusters))
    segments = _connect(found, wanted, least if shades is None else None)
    # Of a large volume every array of labels takes hundreds of megabytes.
    del found, clusters
    if least is None or shades is None:
        return segments.labels, segments.counts
    specks = places_of(segments.sizes < least.index_select(0, segments.image_of))
    if not len(specks):
        return segments.labels, segments.counts
    rows = torch.unique_consecutive(segments.image_of[specks])
    grown = segments.labels[rows]
    # One more than any label, for elements that are outside.
    longest = int(segments.counts.max()) + 1
    numbers = torch.full_like(segments.sizes, -1).index_copy_(0, specks, numbers_of(specks))
    seed_of = segments.table(numbers, -2, longest)[rows]
    seeds = seed_of.gather(1, grown.flatten(1)).view(grown.shape)
    needed = least[segments.image_of[specks]]
    places, whose = grow(seeds, segments.colors[specks], shades(rows), needed, areas)
    del seeds, seed_of
    grown.view(-1).index_copy_(0, places, segments.numbers[specks[whose]])
    grown = grown.int()
    means = segments.table(segments.colors, 0, longest)[rows].to(colors.dtype)
    again = keep_largest(grown, means, wanted[rows], least=least[rows], areas=areas, valid=valid)
    return segments.labels.index_copy_(0, rows, again[0]), segments.counts.index_copy_(0, rows, again[1])


class _Components(NamedTuple):
    """The M connected components of the clusters of N images, numbered image by image.

    Args:
        labels: Which component an element is in, ``(N, *spatial)``.
        sizes: How large each is, ``(M,)``.
        colors: The color of its cluster, ``(M, C)``, int64.
        image_of: Which image it is in, ``(M,)``.
        outside: Whether it is not segmented, ``(M,)`` bool; None if all are.
    """

    labels: Tensor
    sizes: Tensor
    colors: Tensor
    image_of: Tensor
    outside: Tensor | None

    def are_largest(self, wanted: Tensor) -> Tensor:
        """Mark the ``wanted`` largest components of each image ``(N,)``: ``(M,)`` bool."""
        if self.outside is None:
            return _are_largest(self.sizes, self.image_of, wanted)
        return _are_largest(self.sizes.masked_fill(self.outside, -1), self.image_of, wanted) & ~self.outside

    def have_islands(self) -> bool:
        """Say whether some may have no neighbor, as where elements that are not segmented cut them off."""
        return self.outside is not None and bool(self.outside.any())

    def graph(self, loose: Tensor) -> Graph:
        """Make a graph of them, of which some are loose, ``(M,)`` bool."""
        # Elsewhere the host would wait for this, and learns it in time from what it waits for anyway.
        if loose.device.type == "cpu" and not loose.any():
            none = self.sizes.new_empty(0)
            return Graph(self.sizes, self.colors * self.sizes[:, None], loose, none, none)
        first, second = touching_pairs(self.labels, loose)
        if self.outside is not None:
            first, second = select(~self.outside.index_select(0, second), first, second)
        return Graph(self.sizes, self.colors * self.sizes[:, None], loose, first, second)


def _find_components(
    clusters: Tensor, colors: Tensor, areas: Tensor | None, *, apart: bool, connected: bool
) -> _Components:
    """Find the components of clusters, of which the last of each image is outside if it is to be set ``apart``."""
    count, per_image = colors.shape[:2]
    images = torch.arange(count, dtype=torch.int32, device=clusters.device)
    # One tall image, in which clusters of different images differ: components come out numbered image by image.
    distinct = (clusters + (images * per_image).view(-1, *[1] * (clusters.ndim - 1))).flatten(0, 1)
    labels, number = (number_by_first(distinct), None) if connected else find_components(distinct)
    labels = labels.view(clusters.shape)
    flat = labels.flatten()
    if number is None or flat.device.type == "cpu":
        # The host learns their number from this.
        sizes = torch.bincount(flat)
    else:
        sizes = flat.new_zeros(number).scatter_add_(0, flat, flat.new_ones(()).expand_as(flat))
    cluster_of = distinct.new_empty(len(sizes)).scatter_(0, flat, distinct.flatten()).long()
    del distinct
    image_of = cluster_of.div(per_image, rounding_mode="floor")
    if areas is not None:
        sizes = add_up(areas.expand(clusters.shape).flatten(), flat, len(sizes))
    outside = cluster_of % per_image == per_image - 1 if apart else None
    return _Components(labels, sizes, colors.flatten(0, 1).long().index_select(0, cluster_of), image_of, outside)


class _Segments(NamedTuple):
    """The G segments of N images.

    Args:
        labels: Which segment an element is in, numbered from 0 in each image, ``(N, *spatial)``; where elements are
            outside, the number of segments.
        counts: How many segments each image has, ``(N,)``.
        numbers: The number of each in its image, ``(G,)``.
        sizes: How large each is, ``(G,)``.
        colors: Their mean colors, ``(G, C)``, int64.
        image_of: Which image each is in, ``(G,)``, ascending.
    """

    labels: Tensor
    counts: Tensor
    numbers: Tensor
    sizes: Tensor
    colors: Tensor
    image_of: Tensor

    def table(self, values: Tensor, rest: int, longest: int) -> Tensor:
        """Arrange values ``(G, ...)`` by image and ``longest`` labels, the ``rest`` for labels that are no segment."""
        arranged = values.new_full((len(self.counts), longest, *values.shape[1:]), rest)
        arranged[self.image_of, self.numbers] = values
        return arranged


def _connect(found: _Components, wanted: Tensor, least: Tensor | None) -> _Segments:
    """Merge components as ``keep_largest`` says, without letting specks grow."""
    image_of, count, outside = found.image_of, len(wanted), found.outside
    stay = found.are_largest(wanted)
    if least is not None:
        stay &= found.sizes >= least.index_select(0, image_of)
    graph = found.graph(~stay if outside is None else ~(stay | outside))
    segment_of = numbers_of(found.sizes)
    islands = found.have_islands()
    if least is not None and (lacking := wanted - add_up(stay.long(), image_of, count)).any():
        below = torch.where(lacking > 0, least, LARGE)
        graph, image_of, segment_of = _join(graph, image_of, segment_of, below, islands=islands)
        graph = _let_largest_stay(graph, image_of, lacking)
    graph, image_of, segment_of = _join(graph, image_of, segment_of, islands=islands)
    if outside is None:
        counts, number = _number_by_image(image_of, count)
        numbers, sizes, sums = number, graph.sizes, graph.sums
    else:
        inside = torch.ones_like(image_of, dtype=torch.bool).index_fill(0, segment_of[outside], False)
        numbers, sizes, sums, own = select(inside, numbers_of(image_of), graph.sizes, graph.sums, image_of)
        counts, local = _number_by_image(own, count)
        # What is outside has the number after the last.
        number = counts[image_of].index_copy(0, numbers, local)
        numbers, image_of = local, own
    labels = number.index_select(0, segment_of).index_select(0, found.labels.flatten()).view(found.labels.shape)
    return _Segments(labels, counts, numbers, sizes, sums.div(sizes[:, None], rounding_mode="floor"), image_of)


def _number_by_image(image_of: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Count what is in each image, ``(count,)``, and number it there, ``(G,)``; ``image_of`` ascends."""
    counts = add_up(torch.ones_like(image_of), image_of, count)
    return counts, numbers_of(image_of) - (counts.cumsum(0) - counts).index_select(0, image_of)


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
    places = places_of(graph.loose)
    chosen = _are_largest(graph.sizes.index_select(0, places), image_of.index_select(0, places), lacking)
    loose = graph.loose.index_fill(0, places[chosen], False)
    pairs = select(loose.index_select(0, graph.first), graph.first, graph.second)
    return Graph(graph.sizes, graph.sums, loose, *pairs)


def _are_largest(sizes: Tensor, image_of: Tensor, wanted: Tensor) -> Tensor:
    """Mark the ``wanted`` largest components of each image, of equal ones the first: ``(M,)`` bool."""
    order = torch.argsort(image_of * _LARGER - sizes, stable=True)
    image_of = image_of.index_select(0, order)
    _, rank = _number_by_image(image_of, len(wanted))
    return torch.empty_like(order, dtype=torch.bool).scatter_(0, order, rank < wanted.index_select(0, image_of))
