"""Views of an image, shifted a little and mirrored, and the way of what was found in a view back to its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["View", "choose_views", "show", "shown_places", "take_back"]


@dataclass(frozen=True)
class View:
    """The content of an image moved, after it was mirrored from left to right if at all.

    Attributes:
        shift: Along each spatial axis, in parts of the largest shift, from -1 to 1; positive is down and to the right.
        flip: Whether the image is mirrored along its last axis first.
    """

    shift: tuple[float, ...]
    flip: bool

    def pixels(self, largest: Sequence[int]) -> tuple[int, ...]:
        """Shift along each axis in pixels, for an image whose largest shifts these are."""
        return tuple(round(part * size) for part, size in zip(self.shift, largest, strict=True))

    def inverse(self) -> View:
        """The view of this view that shows the image again; what this one does not show, as a reflection.

        Examples:
            >>> view = View((0.0, 1.0), flip=True)
            >>> show(show(torch.tensor([[1, 2, 3, 4]]), view, (0, 1)), view.inverse(), (0, 1)).tolist()
            [[3, 2, 3, 4]]
        """
        *others, last = self.shift
        return View((*(-part for part in others), last if self.flip else -last), self.flip)


def choose_views(count: int, largest: Sequence[int], flip: bool) -> list[View]:
    """Choose different views that are spread evenly, the image as it is the first of them.

    The shifts follow an additive recurrence of low discrepancy (R2 in two dimensions), and every second view is
    mirrored.

    Args:
        count: How many.
        largest: The largest shift along each spatial axis, in pixels.
        flip: Whether views are mirrored.

    Returns:
        At most ``count`` views; fewer where there are no more that differ.

    References:
        Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018.

    Examples:
        >>> [(view.pixels((2, 2)), view.flip) for view in choose_views(3, (2, 2), flip=True)]
        [((0, 0), False), ((-1, -2), True), ((-2, 1), False)]
    """
    dimensions = len(largest)
    possible = (1 + flip) * math.prod(2 * size + 1 for size in largest)
    ratio = 2.0
    for _ in range(64):  # the root of r ** (d + 1) = r + 1, above 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    found: dict[tuple[tuple[int, ...], bool], View] = {}
    number = 0
    while len(found) < min(count, possible):
        # The middle of the sequence's cube is no shift at all.
        shift = tuple(2 * ((0.5 + number * ratio ** -(axis + 1)) % 1) - 1 for axis in range(dimensions))
        wanted = flip and len(found) % 2 == 1
        if sum(mirrored == wanted for _, mirrored in found) == possible // (1 + flip):
            wanted = not wanted
        view = View(shift, wanted)
        found.setdefault((view.pixels(largest), wanted), view)
        number += 1
    return list(found.values())


def show(tensor: Tensor, view: View, largest: Sequence[int]) -> Tensor:
    """Show a view of a tensor, its content reflected where the shift leaves nothing.

    Args:
        tensor: ``(..., *spatial)``, of any dtype.
        view: The view.
        largest: The largest shift along each spatial axis, in pixels, below the size of the axis.

    Examples:
        >>> show(torch.tensor([[1, 2, 3, 4]]), View((0.0, 1.0), flip=False), (0, 1)).tolist()
        [[2, 1, 2, 3]]
    """
    for axis, shift in zip(range(-len(largest), 0), view.pixels(largest), strict=True):
        size = tensor.shape[axis]
        places = (torch.arange(size, device=tensor.device) - shift).abs()
        places = size - 1 - (size - 1 - places).abs()
        if view.flip and axis == -1:
            places = size - 1 - places
        if shift or (view.flip and axis == -1):
            tensor = tensor.index_select(axis, places)
    return tensor


def take_back(maps: Tensor, view: View, largest: Sequence[int]) -> Tensor:
    """Bring a map of a view back to the place of the image: the inverse of :func:`show`.

    Args:
        maps: ``(..., *spatial)``.
        view: The view.
        largest: As for :func:`show`.

    Returns:
        Of the same shape, 0 where the view does not show the image.

    Examples:
        >>> take_back(torch.tensor([[2, 1, 2, 3]]), View((0.0, 1.0), flip=False), (0, 1)).tolist()
        [[1, 2, 3, 0]]
    """
    for axis, shift in zip(range(-len(largest), 0), view.pixels(largest), strict=True):
        size = maps.shape[axis]
        places = torch.arange(size, device=maps.device)
        if view.flip and axis == -1:
            places = size - 1 - places
        places = places + shift
        if shift or (view.flip and axis == -1):
            maps = maps.index_select(axis, places.clamp(0, size - 1))
            outside = (places < 0) | (places >= size)
            maps = maps.movedim(axis, -1).masked_fill(outside, 0).movedim(-1, axis)
    return maps


def shown_places(view: View, largest: Sequence[int], spatial: Sequence[int], device: torch.device) -> Tensor:
    """Mark which pixels of the image a view shows, ``(*spatial)``: 1 for these, else 0."""
    return take_back(torch.ones(tuple(spatial), device=device), view, largest)
