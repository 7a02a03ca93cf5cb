"""Specks grow along their colors until they are large enough, where to merge them would lose what they show."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel.masks.slic._copying import on_cpu

__all__ = ["grow"]

_SHARE = 4
"""The nearest of so many of the elements around a speck are taken in each round, so that it grows along its colors."""


def grow(
    seeds: Tensor, colors: Tensor, shades: Tensor, least: Tensor, areas: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Let connected parts of images take elements around them until they are large enough.

    In each round every part takes a fourth of the elements that it touches, those of the nearest color (of several, the
    first), or fewer where that is enough. Where two reach for an element, the lower number takes it.

    Args:
        seeds: Which of the S parts an element is in, ``(N, *spatial)`` int64; -1 in none, -2 in none and not to be
            taken. No part is in two images.
        colors: What elements are compared with, ``(S, C)``, whole numbers.
        shades: The colors of the elements, ``(N, C, *spatial)``, whole numbers.
        least: How large each is at least in the end, ``(S,)``, if there is room.
        areas: How much each element of an image counts, ``(*spatial)``, integers; None for 1.

    Returns:
        What they have taken, as places in the flattened ``seeds``, and which part has taken it, both ``(L,)``. With it
        each part is connected.

    Examples:
        >>> image = torch.tensor([[[1.0, 1.0, 9.0, 8.0, 7.0, 1.0]]])
        >>> seeds = torch.tensor([[-1, -1, 0, -1, -1, -1]])
        >>> [found.tolist() for found in grow(seeds, torch.tensor([[9.0]]), image, torch.tensor([3]))]
        [[3, 4], [0, 0]]
    """
    # A few hundred elements at a time, for which the operations of NumPy take a third of the time of those of torch.
    values = on_cpu(shades).numpy()
    # In one copy, because the host waits for each.
    of_parts = torch.cat([colors.long(), least.long()[:, None]], dim=1).cpu().numpy()
    middle, needed = of_parts[:, :-1], of_parts[:, -1]
    # The frame cannot be taken: no element then lacks neighbors.
    framed = _frame(on_cpu(seeds).numpy(), -2)
    owner = framed.reshape(-1)
    weights = None if areas is None else np.broadcast_to(_frame(areas[None].cpu().numpy(), 0), framed.shape).reshape(-1)
    steps = [math.prod(framed.shape[axis + 1 :]) for axis in range(1, framed.ndim)]
    offsets = np.array([sign * step for step in steps for sign in (-1, 1)])
    taken = np.flatnonzero(owner >= 0)
    whose = owner[taken]
    missing = needed - _add_up(weights, taken, whose, len(needed))
    places, parts = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    while True:
        growing = missing[whose] > 0
        taken, whose = taken[growing], whose[growing]
        around, by = (taken[:, None] + offsets).ravel(), whose.repeat(len(offsets))
        free = owner[around] == -1
        # What has nothing free around it never will.
        at_edge = free.reshape(-1, len(offsets)).any(axis=1)
        taken, whose, around, by = taken[at_edge], whose[at_edge], around[free], by[free]
        if not len(around):
            break
        order = np.lexsort((by, around))
        first = order[np.flatnonzero(np.diff(around[order], prepend=-1))]
        around, by = around[first], by[first]
        image, *place = np.unravel_index(around, framed.shape)
        shade = values[image, :, *(axis - 1 for axis in place)].astype(np.int64)
        order = np.lexsort((np.square(shade - middle[by]).sum(axis=1), by))
        around, by = around[order], by[order]
        weight = np.ones_like(around) if weights is None else weights[around]
        offered = _add_up(weights, around, by, len(needed))
        before = weight.cumsum() - weight - (offered.cumsum() - offered)[by]
        near = before < np.minimum(missing, -(-offered // _SHARE))[by]
        around, by = around[near], by[near]
        owner[around] = by
        missing -= _add_up(weights, around, by, len(needed))
        taken, whose = np.append(taken, around), np.append(whose, by)
        places.append(around)
        parts.append(by)
    image, *place = np.unravel_index(np.concatenate(places), framed.shape)
    inside = np.ravel_multi_index((image, *(axis - 1 for axis in place)), seeds.shape)
    return torch.from_numpy(inside).to(seeds.device), torch.from_numpy(np.concatenate(parts)).to(seeds.device)


def _frame(values: NDArray[np.integer], value: int) -> NDArray[np.int64]:
    """Put a value around images ``(N, *spatial)``."""
    framed = np.full((len(values), *(length + 2 for length in values.shape[1:])), value, dtype=np.int64)
    framed[:, *[slice(1, -1)] * (values.ndim - 1)] = values
    return framed


def _add_up(
    weights: NDArray[np.int64] | None, places: NDArray[np.int64], whose: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Add up the weights of places (1 each, if there are none) by whose they are: ``(count,)``."""
    return np.bincount(whose, None if weights is None else weights[places], minlength=count).astype(np.int64)
