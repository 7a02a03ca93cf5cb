"""What every metric asks of the maps that it is given, their magnitudes, and the order of their pixels."""

import torch
from torch import Tensor

from captum_superpixel._checks import check_finite

__all__ = ["check_alike", "check_maps", "descending_ranks", "magnitudes", "widen"]


def check_maps(name: str, maps: object, layout: str = "N, C, H, W") -> Tensor:
    """Return the maps if they are finite real tensors of a given layout.

    Args:
        name: What the maps are called in messages.
        maps: What the caller passed.
        layout: The dimensions by name, of which the first is the one whose bad entries are named.

    Returns:
        The same tensor, detached.

    Raises:
        TypeError: If they are not a tensor of real numbers.
        ValueError: If they have other dimensions, hold nothing, or a value of theirs is NaN or infinite.

    Examples:
        >>> check_maps("maps_a", torch.zeros(2, 3, 4))
        Traceback (most recent call last):
        ...
        ValueError: maps_a must have shape (N, C, H, W), but has shape (2, 3, 4): maps (N, H, W) without channels become
        such by maps_a[:, None], those (C, H, W) of one image by maps_a[None]
    """
    if not isinstance(maps, Tensor):
        raise TypeError(f"{name} must be a tensor of shape ({layout}), but a {type(maps).__name__} was passed")
    if maps.is_complex():
        raise TypeError(f"{name} has dtype {maps.dtype}: pass real scores, for example their magnitude {name}.abs()")
    shape = tuple(maps.shape)
    dimensions = layout.count(",") + 1
    if maps.ndim != dimensions:
        raise ValueError(f"{name} must have shape ({layout}), but has shape {shape}{_hint(name, maps.ndim, layout)}")
    if maps.numel() == 0:
        raise ValueError(f"{name} of shape {shape} holds nothing: pass at least one map of at least one pixel")
    detached = maps.detach()
    check_finite(detached, f"entries of {name}", "scores", "leave them out, or find out where they come from")
    return detached


def _hint(name: str, dimensions: int, layout: str) -> str:
    """How to bring maps of other dimensions to the layout, for each of the things that they may be."""
    missing = layout.count(",") + 1 - dimensions
    of_models = ":, " if layout.startswith("M") else ""
    models = "M, " if of_models else ""
    if missing == 1:
        return (
            f": maps ({models}N, H, W) without channels become such by {name}[{of_models}:, None], those "
            f"({models}C, H, W) of one image by {name}[{of_models}None]"
        )
    if missing == 2:
        return f": maps ({models}H, W) of one image become such by {name}[{of_models}None, None]"
    if missing == -1:
        return f": choose one of several batches, {name}[0], or make them one batch, {name}.flatten(0, 1)"
    return ""


def check_alike(maps_a: object, maps_b: object) -> tuple[Tensor, Tensor]:
    """Return two batches of maps ``(N, C, H, W)``, detached, if they are finite and of one shape.

    Args:
        maps_a: What the caller passed as ``maps_a``.
        maps_b: What the caller passed as ``maps_b``.

    Returns:
        Both, the second on the device of the first.

    Raises:
        TypeError: If one is not a tensor of real numbers.
        ValueError: If their shapes differ, or one is not a batch of finite maps.
    """
    first, second = check_maps("maps_a", maps_a), check_maps("maps_b", maps_b)
    if first.shape != second.shape:
        raise ValueError(
            f"maps_a has shape {tuple(first.shape)} and maps_b {tuple(second.shape)}: pass two maps of the same "
            "images, in the same order and size"
        )
    return first, second.to(first.device)


def magnitudes(maps: Tensor) -> Tensor:
    """Sum |a| over the channels of maps ``(*, C, H, W)``: ``(*, H, W)`` float64, where float64 exists.

    Examples:
        >>> magnitudes(torch.tensor([[[[1.0, -2.0]], [[-3.0, 0.0]]]]))
        tensor([[[4., 2.]]], dtype=torch.float64)
    """
    return widen(maps).abs().sum(dim=-3)


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


def widen(values: Tensor) -> Tensor:
    """Return the values in float64; in float32 on MPS, which has no float64."""
    return values.float() if values.device.type == "mps" else values.double()
