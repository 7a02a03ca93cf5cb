"""Where the places of an image lie in the output of a layer: channels first, channels last, or tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import GroupNorm, LayerNorm, Linear, LocalResponseNorm, Module, PixelShuffle, RMSNorm, Upsample
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd

__all__ = ["Layout", "LayoutError", "Surroundings", "channel_axis_of_type", "find_layout", "is_normalized_last"]

_CHANNELS_FIRST = (
    *(_ConvNd, _BatchNorm, GroupNorm, LocalResponseNorm, PixelShuffle, Upsample),
    *(_AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd, _AvgPoolNd, _MaxPoolNd),
)
_MOST_EXTRA_TOKENS = 9
"""A class token and eight registers; without having seen the grid, the numbers of the known families are believed."""
_KNOWN_EXTRA_TOKENS = (0, 1, 2, 5)


class LayoutError(ValueError):
    """The output of a layer cannot be laid over the image without being told how.

    Attributes:
        reason: Why not, without what to do.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(f"{reason}: {advice}" if advice else reason)
        self.reason = reason


@dataclass(frozen=True)
class Layout:
    """How the output of a layer becomes a map.

    Attributes:
        size: Height h and width w of the map.
        rank: Number of dimensions of the output: 4 for ``(N, C, h, w)`` and ``(N, h, w, C)``, 3 for tokens.
        channel_axis: The axis of the channels, 1 or ``rank - 1``.
        extra_tokens: How many tokens, of the class or registers, stand before those of the image.

    Examples:
        >>> Layout((2, 3), rank=3, channel_axis=2, extra_tokens=1)(torch.zeros(5, 7, 64)).shape
        torch.Size([5, 64, 2, 3])
    """

    size: tuple[int, int]
    rank: int = 4
    channel_axis: int = 1
    extra_tokens: int = 0

    def __call__(self, output: Tensor) -> Tensor:
        """Lay the output of the layer, or a map of it, out as ``(N, C, h, w)``."""
        output = output.movedim(self.channel_axis, 1)
        return output if self.rank == 4 else output[:, :, self.extra_tokens :].reshape(*output.shape[:2], *self.size)

    def to_layer(self, mask: Tensor) -> Tensor:
        """Bring a mask of the places, ``(M, 1, h, w)``, to the layer's own layout; extra tokens get an id of their own.

        Examples:
            >>> Layout((1, 2), rank=3, channel_axis=2, extra_tokens=1).to_layer(torch.tensor([[[[4, 5]]]])).flatten()
            tensor([6, 4, 5])
        """
        if self.rank == 3:
            extra = mask.new_full((*mask.shape[:2], self.extra_tokens), int(mask.max()) + 1)
            mask = torch.cat([extra, mask.flatten(2)], dim=2)
        return mask.movedim(1, self.channel_axis)

    @property
    def expression(self) -> str:
        """A ``reshape_transform`` that does the same, as Python writes it."""
        if self.rank == 4:
            return "lambda map: map" if self.channel_axis == 1 else "lambda map: map.movedim(-1, 1)"
        tokens = "map" if self.channel_axis == 1 else "map.transpose(1, 2)"
        extra = f"[:, :, {self.extra_tokens}:]" if self.extra_tokens else ""
        return f"lambda map: {tokens}{extra}.unflatten(2, {self.size})"


@dataclass(frozen=True)
class Surroundings:
    """What the other layers of the network say about a layer's output.

    Attributes:
        grids: Heights and widths of the maps of layers whose layout is beyond doubt.
        token_counts: Numbers of tokens ``T`` of normalized outputs ``(N, T, C)``.
        channel_axis: The axis of the layer's channels, as the operations that made its output say; None if they do not.
    """

    grids: Collection[tuple[int, int]] = ()
    token_counts: Collection[int] = ()
    channel_axis: int | None = None


_ALONE = Surroundings()


def find_layout(
    shape: Sequence[int], image_shape: Sequence[int], layer: Module | None = None, around: Surroundings = _ALONE
) -> Layout:
    """Find how the output of a layer lies over the images.

    Args:
        shape: Of the layer's output.
        image_shape: ``(N, C, H, W)``.
        layer: The layer; None if it is not known.
        around: What the rest of the network says.

    Raises:
        LayoutError: If the output has no places, or there is more than one reading.

    Examples:
        >>> find_layout((1, 197, 384), (1, 3, 224, 224))
        Layout(size=(14, 14), rank=3, channel_axis=2, extra_tokens=1)
        >>> find_layout((1, 7, 7, 768), (1, 3, 224, 224)).channel_axis
        3
    """
    if len(shape) not in (3, 4) or 0 in shape:
        raise LayoutError(
            f"only a spatial layer can be laid over the input, and its output {tuple(shape)} is neither (N, C, h, w), "
            "nor (N, h, w, C), nor tokens (N, L, C)",
            "choose a convolution, or another layer with places, or pass reshape_transform=, a function from the "
            "layer's output to (N, C, h, w)",
        )
    if shape[0] != image_shape[0]:
        raise LayoutError(
            f"its output {tuple(shape)} does not begin with the number of images, {image_shape[0]}, as of layers that "
            "work on windows or on weights",
            "choose a layer whose output holds each image once",
        )
    found = _maps(shape, image_shape, layer, around) if len(shape) == 4 else _tokens(shape, image_shape, layer, around)
    if len(found) != 1:
        raise _unread(shape, image_shape, found)
    return found[0]


def channel_axis_of_type(layer: Module | None, shape: Sequence[int]) -> int | None:
    """The axis of the channels of an output, where the layer's type leaves no doubt.

    Subclasses of LayerNorm may permute inside, as torchvision's and ConvNeXt's do: the axis of their length tells.
    """
    last = len(shape) - 1
    if isinstance(layer, _CHANNELS_FIRST):
        return 1
    if isinstance(layer, (LayerNorm, RMSNorm)):
        normalized = tuple(layer.normalized_shape)
        if normalized == tuple(shape[1:]):
            return 1 if last == 3 else None
        if len(normalized) > 1:
            return None
        if type(layer) in (LayerNorm, RMSNorm):
            return last
        fitting = [axis for axis in (1, last) if shape[axis] == normalized[0]]
        return fitting[0] if len(fitting) == 1 else None
    return last if type(layer) is Linear and last == 3 else None


def is_normalized_last(layer: Module, shape: Sequence[int]) -> bool:
    """Whether an output is of tokens ``(N, T, C)``, normalized over C."""
    return len(shape) == 3 and isinstance(layer, (LayerNorm, RMSNorm)) and channel_axis_of_type(layer, shape) == 2


def _maps(shape: Sequence[int], image_shape: Sequence[int], layer: Module | None, around: Surroundings) -> list[Layout]:
    readings = {1: (shape[2], shape[3]), 3: (shape[1], shape[2])}
    of_aspect = [axis for axis, size in readings.items() if _has_aspect(size, image_shape[2:])]
    axis = channel_axis_of_type(layer, shape)
    if axis == 3 and type(layer) is Linear and of_aspect == [1]:
        return [Layout(readings[each], 4, each) for each in readings]  # it may mix the places of a row
    if axis is None and shape[2] == shape[3] and shape[2] in around.token_counts:
        raise LayoutError(
            f"its output {tuple(shape)} holds the weights by which each of {shape[2]} tokens attends to each, no map",
            "choose a layer whose output is a map or tokens",
        )
    if axis is None:
        axis = of_aspect[0] if len(of_aspect) == 1 else around.channel_axis
        axis = None if axis == 2 else axis
    return [Layout(readings[each], 4, each) for each in readings if axis in (None, each)]


def _tokens(
    shape: Sequence[int], image_shape: Sequence[int], layer: Module | None, around: Surroundings
) -> list[Layout]:
    axis = channel_axis_of_type(layer, shape)
    readings = {2: _grids(shape[1], image_shape, around.grids), 1: _grids(shape[2], image_shape, around.grids)}
    possible = [each for each in readings if readings[each]]
    if axis is None and len(possible) > 1:
        counted = [each for each in possible if shape[3 - each] in around.token_counts]
        possible = counted or possible
        axis = around.channel_axis if len(possible) > 1 else None
    return [Layout(size, 3, each, extra) for each in possible if axis in (None, each) for extra, size in readings[each]]


def _grids(
    count: int, image_shape: Sequence[int], seen: Collection[tuple[int, int]]
) -> list[tuple[int, tuple[int, int]]]:
    """The numbers of extra tokens, and the grids, that so many tokens may be: those with the fewest extra tokens."""
    height, width = image_shape[2:]
    if seen:
        limits = dict.fromkeys(seen, _MOST_EXTRA_TOKENS)
        for grid in seen:
            while min(grid) > 2:  # merged two by two, as Swin does
                grid = (-(-grid[0] // 2), -(-grid[1] // 2))
                limits.setdefault(grid, 0)
        found = [(count - h * w, (h, w)) for (h, w), most in limits.items() if 0 <= count - h * w <= most and h * w > 1]
        return [each for each in found if each[0] == min(found)[0]]
    return [
        (extra, (h, (count - extra) // h))
        for extra in _KNOWN_EXTRA_TOKENS
        for h in range(1, height + 1)
        if count - extra > 1 and (count - extra) % h == 0 and height % h == 0
        if (count - extra) // h * height == h * width
    ]


def _has_aspect(size: tuple[int, int], image_size: Sequence[int]) -> bool:
    """Whether a map has the proportions of the image, as far as its whole pixels can."""
    (h, w), (height, width) = size, image_size
    return h <= height and w <= width and h * w > 1 and abs(h * width - w * height) < max(height, width)


def _unread(shape: Sequence[int], image_shape: Sequence[int], found: list[Layout]) -> LayoutError:
    height, width = image_shape[2:]
    if found:
        readings = " or ".join(f"{layout.size} with reshape_transform={layout.expression}" for layout in found)
        return LayoutError(
            f"its output {tuple(shape)} can be read in more than one way", f"say which is right, {readings}"
        )
    return LayoutError(
        f"only a spatial layer can be laid over the input, and of its output {tuple(shape)} neither {shape[1]} nor "
        f"{shape[2]} tokens are a grid of images of {height} x {width}, class and register tokens before it or not",
        "choose another layer, or pass reshape_transform=, a function from the layer's output to (N, C, h, w), such as "
        "lambda map: map[:, 1:].transpose(1, 2).unflatten(2, (h, w)) where one token stands before those of the image",
    )
