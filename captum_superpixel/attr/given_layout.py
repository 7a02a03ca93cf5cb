"""The layout of a layer's output as the user gives it: ``reshape_transform``, checked at each call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from captum_superpixel.attr.layouts import LayoutError

__all__ = ["GivenLayout", "ReshapeTransform"]

ReshapeTransform = Callable[[Tensor], Tensor]

_EXACT = 2**24
"""So many whole numbers float32 holds exactly."""


@dataclass(frozen=True)
class GivenLayout:
    """How the output of a layer becomes a map, by a function.

    Attributes:
        transform: From the output to ``(N, C, *spatial)``.
        dimensions: How many spatial dimensions a map has.
        shape: Of the layer's output for an image, without N; None where it is not known.
    """

    transform: ReshapeTransform
    dimensions: int = 2
    shape: tuple[int, ...] | None = None
    _unscrambled: set[tuple[int, ...]] = field(default_factory=set, init=False, repr=False, compare=False)

    def __call__(self, output: Tensor) -> Tensor:
        """Lay the output of the layer, or a map of it, out.

        Raises:
            LayoutError: If the function fails, or what it returns is no map, or one whose places mix those of the
                output with its channels.
        """
        laid_out = self._lay_out(output)
        if output.shape not in self._unscrambled:
            self._check_places(output)
            self._unscrambled.add(output.shape)
        return laid_out

    def _lay_out(self, output: Tensor) -> Tensor:
        shape = tuple(output.shape)
        wanted = f"(N, C, {', '.join(('h', 'w', 'd')[: self.dimensions])})"
        try:
            laid_out = self.transform(output)
        except Exception as error:  # what a user's function raises says too little of where it was called
            raise LayoutError(
                f"reshape_transform={self._name} failed on the layer's output of shape {shape} "
                f"({type(error).__name__}: {error}): it is called with that, and returns a map {wanted}"
            ) from error
        if not isinstance(laid_out, Tensor):
            raise LayoutError(
                f"reshape_transform={self._name} returned a {type(laid_out).__name__}: it must return a tensor {wanted}"
            )
        if laid_out.dim() != self.dimensions + 2 or laid_out.shape[0] != shape[0] or 0 in laid_out.shape:
            raise LayoutError(
                f"reshape_transform={self._name} made {tuple(laid_out.shape)} of the layer's output of shape {shape}: "
                f"it must return {wanted}, for as many images as it is given"
            )
        return laid_out

    def _check_places(self, output: Tensor) -> None:
        """Raise LayoutError if an axis of the output runs along the channels and the places of the map at once.

        ``tokens.reshape(N, C, h, w)`` of tokens ``(N, h * w, C)`` has the right shape and the wrong places. A function
        that does more than move elements, each to one place, is taken at its word, as is one that cannot take their
        numbers.
        """
        count, shape = output[0].numel(), tuple(output.shape[1:])
        if count > _EXACT:
            return
        # From 1, lest the zeros that a function puts in are taken for the first element.
        numbers = torch.arange(1, count + 1, dtype=torch.float32, device=output.device).view(1, *shape)
        try:
            where = self._lay_out(numbers.expand_as(output))[0].flatten(1) - 1
        except LayoutError:
            return
        moved = where.round().long()
        if not torch.equal(moved.to(where), where) or moved.min() < 0 or moved.max() >= count:
            return
        if len(torch.unique(moved)) < moved.numel():
            return
        mixed = _mixed_axis(moved, shape)
        if mixed is not None:
            raise LayoutError(
                f"reshape_transform={self._name} scrambles places: axis {mixed + 1} of the layer's output of shape "
                f"{tuple(output.shape)} runs along the channels and the places of its map at once",
                "bring the channels to axis 1 before reshaping, such as lambda map: map[:, 1:].transpose(1, 2)."
                "unflatten(2, (h, w)) where one token stands before those of the image",
            )

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of the map, and so on."""
        return tuple(self(torch.zeros(1, *(self.shape or ()))).shape[2:])

    def to_layer(self, mask: Tensor) -> Tensor:
        """Bring a mask of the places, ``(M, 1, *spatial)``, to the layer's own layout; the rest gets an id of its own.

        Raises:
            LayoutError: If the function does more than move elements.

        Examples:
            >>> layout = GivenLayout(lambda tokens: tokens[:, 1:].transpose(1, 2).unflatten(2, (1, 2)), shape=(3, 1))
            >>> layout.to_layer(torch.tensor([[[[4, 5]]]])).flatten()
            tensor([6, 4, 5])
        """
        shape = self.shape or ()
        count = math.prod(shape)
        # Float64 holds all numbers of elements, and is what functions of values take.
        where = self(torch.arange(count, dtype=torch.float64, device="cpu").view(1, *shape))
        moved = where.round().long()
        if (
            not torch.equal(moved.double(), where)
            or len(torch.unique(moved)) < moved.numel()
            or int(moved.max()) >= count
        ):
            raise LayoutError(
                f"reshape_transform={self._name} does more than move the elements of the layer's output of shape "
                f"{(1, *shape)}, so that no mask of its map says which elements belong together",
                "let it only slice, transpose and reshape",
            )
        ids = mask.new_full((len(mask), count), int(mask.max()) + 1)
        ids[:, moved.flatten().to(mask.device)] = mask.expand(-1, moved.shape[1], *mask.shape[2:]).flatten(1)
        return ids.view(len(mask), *shape)

    @property
    def _name(self) -> str:
        return getattr(self.transform, "__name__", repr(self.transform))


def _mixed_axis(moved: Tensor, shape: tuple[int, ...]) -> int | None:
    """Find an axis of a layer's output that runs along the channels and the places of its map at once.

    Args:
        moved: Which element of the output stands at each channel and place of the map, ``(C, P)`` int64.
        shape: Of the output for an image, without N.
    """
    places = [moved // math.prod(shape[axis + 1 :]) % length for axis, length in enumerate(shape)]
    in_order = bool((moved.flatten().diff() > 0).all())
    for axis, place in enumerate(places):
        if not (place != place[:, :1]).any() or not (place != place[:1]).any():
            continue
        # Where pixels are shuffled out of channels, or into them, an axis takes regular steps along both. So it does
        # where a reshape alone scrambles lengths that divide one another, but that leaves all elements in their order.
        regular = torch.equal(place, place[:, :1] + place[:1] - place[:1, :1])
        if in_order or not regular:
            return axis
    return None
