"""What every metric asks of the maps that it is given, their pooling, their magnitudes, and the order of pixels."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from captum_superpixel._checks import check_finite
from captum_superpixel._float64 import widen, widest_float
from captum_superpixel.feature_masks import looks_channels_last

__all__ = [
    "IMAGES",
    "VOLUMES",
    "Pooling",
    "add_channels",
    "check_alike",
    "check_channels_first",
    "check_maps",
    "descending_ranks",
    "magnitudes",
    "pool_maps",
    "widen",
]

Pooling: TypeAlias = Callable[[Tensor], Tensor]
"""From maps ``(N, C, *spatial)`` to pooled maps of the same shape."""

IMAGES, VOLUMES = "N, C, H, W", "N, C, D, H, W"
"""The layouts of batches of images and of volumes, for :func:`check_maps`."""

_HIGH = 16
"""Maps that are this high, and have as many channels or more, are not one, three or four pixels wide: they are images
with their channels last."""


def check_maps(name: str, maps: object, layout: str = IMAGES, *others: str) -> Tensor:
    """Return the maps if they are finite real tensors of a given layout.

    Args:
        name: What the maps are called in messages.
        maps: What the caller passed.
        layout: The dimensions by name, of which the first is the one whose bad entries are named.
        others: Further layouts, of other numbers of dimensions, that the maps may have.

    Returns:
        The same tensor, detached.

    Raises:
        TypeError: If they are not a tensor of real numbers.
        ValueError: If they have other dimensions, seem to have their channels last, hold nothing, or a value of theirs
            is NaN or infinite.

    Examples:
        >>> check_maps("maps_a", torch.zeros(2, 3, 4))
        Traceback (most recent call last):
        ...
        ValueError: maps_a must have shape (N, C, H, W), but has shape (2, 3, 4): (N, H, W), of 2 images without
        channels, becomes (2, 1, 3, 4) by maps_a[:, None]; (C, H, W), of one image with 2 channels, becomes ...
    """
    if not isinstance(maps, Tensor):
        raise TypeError(f"{name} must be a tensor of shape ({layout}), but a {type(maps).__name__} was passed")
    if maps.is_complex():
        raise TypeError(f"{name} has dtype {maps.dtype}: pass real scores, for example their magnitude {name}.abs()")
    shape = tuple(maps.shape)
    layout = next((other for other in others if other.count(",") + 1 == maps.ndim), layout)
    dimensions = layout.count(",") + 1
    if maps.ndim != dimensions:
        raise ValueError(f"{name} must have shape ({layout}), but has shape {shape}{_hint(name, shape, layout)}")
    if maps.numel() == 0:
        raise ValueError(f"{name} of shape {shape} holds nothing: pass at least one map of at least one pixel")
    # Of maps that are few pixels wide, only high ones of many channels: other small ones may be what they seem.
    if min(shape[-3:-1]) >= _HIGH:
        _check_channels_first(name, shape, 3 if "D" in layout else 2)
    detached = maps.detach()
    check_finite(detached, f"entries of {name}", "scores", "leave them out, or find out where they come from")
    return detached


def check_channels_first(name: str, shape: Sequence[int]) -> None:
    """Raise ValueError for what seems to be ``(…, H, W, C)``, whose rows would be taken for channels."""
    _check_channels_first(name, shape, 2)


def _check_channels_first(name: str, shape: Sequence[int], axes: int) -> None:
    if looks_channels_last(shape[-axes - 2 :]):
        raise ValueError(
            f"{name} of shape {tuple(shape)} seem to have their channels last: pass {name}.movedim(-1, {-axes - 1}), "
            "and let a network that takes them last bring them back, for example by lambda inputs: "
            "network(inputs.movedim(1, -1))"
        )


def _hint(name: str, shape: Sequence[int], layout: str) -> str:
    """How to bring maps of other dimensions to the layout, for each of the things that they may be."""
    missing = layout.count(",") + 1 - len(shape)
    models = 1 if layout.startswith("M") else 0
    letters, skipped, of_models = "M, " * models, ":, " * models, f"{shape[0]} models and " * models if shape else ""
    rest = tuple(shape[models:])
    if missing == 1 and looks_channels_last((1, *rest)):
        moved = f"{name}.movedim(-1, -3)[{skipped}None]"
        return (
            f": ({letters}H, W, C), of {of_models}one image with its channels last, becomes what is needed by {moved}"
        )
    if missing == 1:
        images, *size = rest
        batch, alone = (*shape[:models], images, 1, *size), (*shape[:models], 1, *rest)
        return (
            f": ({letters}N, H, W), of {of_models}{images} images without channels, becomes {batch} by "
            f"{name}[{skipped}:, None]; ({letters}C, H, W), of {of_models}one image with {images} channels, becomes "
            f"{alone} by {name}[{skipped}None]"
        )
    if missing == 2:
        return (
            f": ({letters}H, W), of {of_models}one image without channels, becomes {(*shape[:models], 1, 1, *rest)} by "
            f"{name}[{skipped}None, None]"
        )
    if missing == -1:
        return (
            f": choose one of several batches, {name}[0], or make them one batch, {name}.flatten(0, 1); volumes "
            f"(N, C, D, H, W) are taken by the other metrics, and here their slices as images, "
            f"{name}.movedim(2, 1).flatten(0, 1)"
        )
    return ""


def check_alike(maps_a: object, maps_b: object) -> tuple[Tensor, Tensor]:
    """Return two batches of maps ``(N, C, H, W)`` or ``(N, C, D, H, W)``, detached, if finite and of one shape.

    Args:
        maps_a: What the caller passed as ``maps_a``.
        maps_b: What the caller passed as ``maps_b``.

    Returns:
        Both, the second on the device of the first.

    Raises:
        TypeError: If one is not a tensor of real numbers.
        ValueError: If their shapes differ, or one is not a batch of finite maps.
    """
    first, second = (check_maps(name, maps, IMAGES, VOLUMES) for name, maps in (("maps_a", maps_a), ("maps_b", maps_b)))
    if first.shape != second.shape:
        several = ""
        if first.ndim != second.ndim:
            name = "maps_a" if first.ndim > second.ndim else "maps_b"
            several = f"; of several batches, pass one, {name}[0], or the images of all, {name}.flatten(0, 1)"
        raise ValueError(
            f"maps_a has shape {tuple(first.shape)} and maps_b {tuple(second.shape)}: pass two maps of the same "
            f"images, in the same order and size{several}"
        )
    return first, second.to(first.device)


def pool_maps(pool: Pooling | None, maps: Tensor) -> Tensor:
    """Pool maps ``(N, C, *spatial)``, or leave them as they are where there is no pool.

    Raises:
        ValueError: If ``pool`` does not return a tensor of the maps' shape.
    """
    pooled = maps if pool is None else pool(maps)
    if not isinstance(pooled, Tensor) or pooled.shape != maps.shape:
        what = f"shape {tuple(pooled.shape)}" if isinstance(pooled, Tensor) else type(pooled).__name__
        raise ValueError(f"pool returned {what} for maps of shape {tuple(maps.shape)}: it must keep the shape")
    return pooled


def magnitudes(maps: Tensor, channels: int = 1) -> Tensor:
    """Sum |a| over the channels of maps ``(N, C, *spatial)``: ``(N, *spatial)`` float64, where float64 exists.

    Args:
        maps: Real scores.
        channels: Which dimension the channels are: of maps ``(M, N, C, *spatial)``, 2.

    Examples:
        >>> magnitudes(torch.tensor([[[[1.0, -2.0]], [[-3.0, 0.0]]]]))
        tensor([[[4., 2.]]], dtype=torch.float64)
    """
    if not maps.is_floating_point():
        # The smallest integer of a type has no magnitude in it.
        maps = widen(maps)
    return maps.contiguous().abs().sum(dim=channels, dtype=widest_float(maps.device))


def add_channels(maps: Tensor) -> Tensor:
    """Add up the channels of maps ``(N, C, *spatial)``: ``(N, *spatial)``, to the same bits however they lie in memory.

    Where channels are side by side, torch adds them in another order.

    Examples:
        >>> add_channels(torch.tensor([[[1.0, -2.0], [-3.0, 0.0]]]))
        tensor([[-2., -2.]])
    """
    return maps.contiguous().sum(dim=1)


def descending_ranks(scores: Tensor) -> Tensor:
    """Rank the scores ``(N, L)`` of each row: int64 ``(N, L)``, 0 for the highest, ties in the order of the columns.

    Examples:
        >>> descending_ranks(torch.tensor([[1.0, 3.0, 1.0, 2.0]]))
        tensor([[2, 0, 3, 1]])
    """
    # Some sorts take -0.0 for less than 0.0, such as radix sorts of GPUs; the sum is 0.0 for both.
    order = (scores + 0.0).sort(dim=1, descending=True, stable=True).indices
    places = torch.arange(scores.shape[1], device=scores.device).expand(order.shape)
    return torch.empty_like(order).scatter_(1, order, places)
