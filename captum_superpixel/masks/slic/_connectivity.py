"""Makes clusters connected segments: splits them into connected pieces, and merges the smallest into neighbours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._untyped import label


def connect(clusters: Tensor, colours: Tensor, n_segments: int | Tensor) -> tuple[Tensor, Tensor]:
    """Turn the clusters of a batch of images into connected segments.

    The ``n_segments`` largest connected pieces of each image stay, and the others are merged with them: in each round
    every other one joins the neighbour of the nearest colour (of several, the first in reading order), which may be
    another such piece. Colours are those of the clusters, and after a merger their mean by size.

    Args:
        clusters: Shape ``(N, H, W)``, int32, numbers below K.
        colours: Shape ``(N, K, C)``, whole numbers below 2**12 in magnitude.
        n_segments: How many segments to leave in each image: one number, or ``(N,)``.

    Returns:
        Segments ``(N, H, W)``, int64, numbered from 0 without gaps in each image; and how many there are, ``(N,)``.

    Examples:
        >>> clusters = torch.tensor([[[0, 0, 1, 0], [0, 0, 2, 2]]], dtype=torch.int32)
        >>> colours = torch.tensor([[[10.0], [50.0], [40.0]]])
        >>> connect(clusters, colours, n_segments=2)[0].tolist()
        [[[0, 0, 1, 1], [0, 0, 1, 1]]]
    """
    count, per_image = colours.shape[:2]
    images = torch.arange(count, dtype=torch.int32, device=clusters.device)[:, None, None]
    # One tall image, in which clusters of different images differ: pieces come out numbered image by image.
    distinct = (clusters + images * per_image).flatten(0, 1)
    pieces = _label_pieces(distinct)
    flat = pieces.flatten()
    sizes = torch.bincount(flat)
    cluster_of = torch.empty_like(sizes).scatter_(0, flat, distinct.flatten().long())
    image_of = cluster_of.div(per_image, rounding_mode="floor")
    wanted = torch.as_tensor(n_segments, device=clusters.device).expand(count)
    loose = ~_largest(sizes, image_of, torch.bincount(image_of, minlength=count), wanted)
    segment_of = torch.arange(len(sizes), device=clusters.device)
    sums = colours.flatten(0, 1).long()[cluster_of] * sizes[:, None]
    first, second = _borders(pieces.view(clusters.shape), loose)
    while len(first):
        means = sums.div(sizes[:, None], rounding_mode="floor")
        renamed, roots = _unite(_nearest(means, first, second, loose))
        sums = _add_up(sums, renamed, len(roots))
        sizes = _add_up(sizes, renamed, len(roots))
        loose = loose[roots]
        image_of = image_of[roots]
        segment_of = renamed[segment_of]
        first, second = renamed[first], renamed[second]
        open_ = _where((first != second) & loose[first])
        first, second = first[open_], second[open_]
    counts = torch.bincount(image_of, minlength=count)
    segment_of -= (counts.cumsum(0) - counts)[image_of][segment_of]
    return segment_of.index_select(0, flat).view(clusters.shape), counts


def _label_pieces(clusters: Tensor) -> Tensor:
    """Number the connected pieces of a clustering ``(H, W)`` from 0, in reading order of their first pixels: int64."""
    if clusters.device.type == "cuda":
        return _label_in_parallel(clusters)
    pieces = label(clusters.cpu().numpy(), connectivity=1, background=-1)
    return torch.from_numpy(np.asarray(pieces, dtype=np.int64)).to(clusters.device).sub_(1)


def _label_in_parallel(clusters: Tensor) -> Tensor:
    """Do the same where thousands of pixels are treated at once, so that nothing leaves the device.

    Each pixel points to the first of its run in the row. Then the first pixels of runs that touch are compared, the
    later one is pointed to the earlier, and pointers are followed, until all that touch point to the same.
    """
    index = torch.arange(clusters.numel(), device=clusters.device).view(clusters.shape)
    starts = torch.ones_like(clusters, dtype=torch.bool)
    starts[:, 1:] = clusters[:, 1:] != clusters[:, :-1]
    parent = torch.where(starts, index, 0).flatten().cummax(0).values
    below = _where((clusters[1:] == clusters[:-1]).flatten()) + clusters.shape[1]
    first, second = parent[below - clusters.shape[1]], parent[below]
    while len(first):
        parent.scatter_reduce_(0, torch.maximum(first, second), torch.minimum(first, second), "amin")
        parent = _follow(parent)
        first, second = parent[first], parent[second]
        apart = _where(first != second)
        first, second = first[apart], second[apart]
    return (torch.cumsum(parent == index.flatten(), 0) - 1)[parent].view(clusters.shape)


def _where(mask: Tensor) -> Tensor:
    """List the places where a mask ``(L,)`` is true; NumPy takes a tenth of the time of torch for it."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.nonzero().flatten()


def _add_up(values: Tensor, groups: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, groups, values)


def _largest(sizes: Tensor, image_of: Tensor, counts: Tensor, wanted: Tensor) -> Tensor:
    """Mark the largest pieces of each image, of several the first: ``(M,)`` bool."""
    order = torch.argsort(sizes, descending=True, stable=True)
    order = order[torch.argsort(image_of[order], stable=True)]
    image_of = image_of[order]
    rank = torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[image_of]
    return torch.empty_like(order, dtype=torch.bool).scatter_(0, order, rank < wanted[image_of])


def _borders(pieces: Tensor, loose: Tensor) -> tuple[Tensor, Tensor]:
    """List pairs of pieces ``(N, H, W)`` that touch, of which the first is loose, some more than once."""
    height, width = pieces.shape[1:]
    flat = pieces.flatten()
    moving = loose.index_select(0, flat)
    firsts, seconds = [], []
    for step, last in ((1, -1), (width, -2)):
        border = torch.zeros_like(moving)
        border[:-step] = (flat[:-step] != flat[step:]) & (moving[:-step] | moving[step:])
        # The last column and the last row of an image have no such neighbour.
        border.view(-1, height, width).select(last, -1).fill_(False)
        place = _where(border)
        firsts.append(flat.index_select(0, place))
        seconds.append(flat.index_select(0, place + step))
    first, second = torch.cat(firsts + seconds), torch.cat(seconds + firsts)
    chosen = _where(loose[first])
    return first[chosen], second[chosen]


def _nearest(means: Tensor, first: Tensor, second: Tensor, loose: Tensor) -> Tensor:
    """Find for each loose piece its neighbour of the nearest colour, and for the others themselves: ``(M,)``."""
    distances = (means[first] - means[second]).square_().sum(dim=1)
    count = len(means)
    best = torch.full((count,), torch.iinfo(torch.int64).max, device=means.device)
    best.scatter_reduce_(0, first, distances * count + second, "amin")
    return torch.where(loose, best % count, torch.arange(count, device=means.device))


def _unite(parent: Tensor) -> tuple[Tensor, Tensor]:
    """Follow the pieces that each joins, to groups: their numbers ``(M,)``, and the one piece of each that stays."""
    itself = torch.arange(len(parent), device=parent.device)
    # Nearest neighbours with ties to the first form no cycle longer than two, of which the first is the root.
    parent = _follow(torch.where((parent[parent] == itself) & (itself < parent), itself, parent))
    is_root = parent == itself
    return (is_root.cumsum(0) - 1)[parent], _where(is_root)


def _follow(parent: Tensor) -> Tensor:
    """Point everything to the root that it leads to, one that points to itself: ``(M,)``."""
    while not torch.equal(parent, further := parent[parent]):
        parent = further
    return parent
