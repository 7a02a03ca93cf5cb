"""Feature masks as tensors: validation, expansion and renumbering, on any device and without loops over labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MaskLike: TypeAlias = Tensor | NDArray[np.integer[Any]]
"""Segment ids as callers pass them; ``check_feature_mask`` makes a tensor of them."""

_COLORS = (1, 3, 4)
"""Numbers of channels that an image may have in its last dimension: gray, color, color and opacity."""


def check_feature_mask(feature_mask: object, inputs_shape: Sequence[int], *, name: str = "feature_mask") -> Tensor:
    """Validate a feature mask against the tensor that it partitions, and lay it out like that.

    Missing dimensions are those that broadcasting, as Captum does it, would add: ``(*spatial)`` and ``(1, *spatial)``
    are one mask for all images, ``(M, *spatial)`` is one for each image if M fits N, and one for each channel if M is
    C; where it could be both, it is an error.

    Args:
        feature_mask: What the caller passed as mask: a tensor or a NumPy array of integers, ``(M, 1 or C, *spatial)``,
            ``(M, *spatial)`` or ``(*spatial)``.
        inputs_shape: Shape ``(N, C, *spatial)`` of the tensor that the mask is for.
        name: What to call the mask in messages.

    Returns:
        The mask ``(M, 1 or C, *spatial)`` as int64, where N is a multiple of M.

    Raises:
        TypeError: If it is neither a tensor nor an array, or one of anything but integers.
        ValueError: If it has another shape, or one that can be read in two ways, no elements, or negative ids.

    Examples:
        >>> check_feature_mask(np.array([[0, 1], [2, 2]]), (5, 3, 2, 2)).shape
        torch.Size([1, 1, 2, 2])
        >>> check_feature_mask(torch.zeros(5, 2, 2, dtype=torch.uint8), (5, 3, 2, 2)).shape
        torch.Size([5, 1, 2, 2])
    """
    ids = as_integers(feature_mask, name)
    shape, expected = tuple(ids.shape), tuple(inputs_shape)
    readings = [reading for reading in _readings(shape, expected) if _fits(reading, expected)]
    if not readings:
        wanted = ", ".join(["1 or N", *(["1 or C"] if len(expected) > 1 else []), *map(str, expected[2:])])
        raise ValueError(
            f"{name} of shape {shape} does not fit a tensor of shape {expected}: pass a mask of shape ({wanted}), "
            f"or one whose N divides that of the tensor{_hint(shape, expected)}"
        )
    if len(readings) > 1:
        raise ValueError(
            f"{name} of shape {shape} can be read in two ways for a tensor of shape {expected}: as one mask for each "
            f"image, which is mask[:, None] of shape {readings[0]}, or, as Captum reads it, as one for each channel, "
            f"which is mask[None] of shape {readings[1]}; pass the one that is meant"
        )
    if int(ids.min()) < 0:
        raise ValueError(
            f"{name} holds the negative id {int(ids.min())}, but segment ids must be 0 or larger: shift them, for "
            "example by mask - mask.min()"
        )
    return ids.reshape(readings[0])


def check_region_mask(feature_mask: object, maps_shape: Sequence[int]) -> Tensor:
    """Validate a mask of the regions of images, and lay it out as ``(1 or N, 1, *spatial)`` int64.

    Args:
        feature_mask: What ``check_feature_mask`` takes, with one id per pixel.
        maps_shape: Shape ``(N, C, *spatial)`` of the maps whose regions they are.

    Raises:
        TypeError: If it is neither a tensor nor an array, or one of anything but integers.
        ValueError: If it does not fit the maps, or each channel has ids of its own.
    """
    shape = tuple(maps_shape)
    if isinstance(feature_mask, (Tensor, np.ndarray)) and feature_mask.ndim == 5 and len(shape) < 5:
        raise ValueError(
            f"feature_mask of shape {tuple(feature_mask.shape)} is that of volumes, but the maps of shape {shape} are "
            "not: pass maps of shape (N, C, D, H, W), or the slices of a volume as a batch, with a mask of shape "
            "(1 or N, 1, H, W)"
        )
    mask = check_feature_mask(feature_mask, shape)
    if mask.shape[0] not in (1, shape[0]) or mask.shape[1] != 1:
        raise ValueError(
            f"feature_mask of shape {tuple(mask.shape)} does not fit the maps of shape {shape}: pass "
            f"ids of shape (1 or {shape[0]}, 1, {', '.join(map(str, shape[2:]))})"
        )
    return mask


def as_integers(feature_mask: object, name: str = "feature_mask") -> Tensor:
    """Return a tensor or NumPy array of integers as a tensor of int64, of any shape.

    Raises:
        TypeError: If it is neither, or one of anything but integers.
        ValueError: If an id is too large for int64.
    """
    if isinstance(feature_mask, np.ndarray):
        cure, is_integer = ".astype(int)", feature_mask.dtype.kind in "iu"
    elif isinstance(feature_mask, Tensor):
        cure, dtype = ".long()", feature_mask.dtype
        is_integer = not (dtype.is_floating_point or dtype.is_complex or dtype == torch.bool)
    else:
        raise TypeError(
            f"{name} must be a tensor or a NumPy array of integers, but a {type(feature_mask).__name__} was passed"
        )
    if not is_integer:
        raise TypeError(
            f"{name} has dtype {feature_mask.dtype}, but its entries are segment ids: pass non-negative integers, "
            f"for example mask{cure}"
        )
    if isinstance(feature_mask, Tensor):
        ids, is_unsigned = feature_mask.long(), feature_mask.dtype == torch.uint64
    else:
        # A copy, because torch takes neither foreign byte orders nor negative strides.
        ids = torch.from_numpy(np.array(feature_mask, dtype=np.int64, order="C"))
        is_unsigned = feature_mask.dtype.kind == "u"
    if is_unsigned and bool((ids < 0).any()):
        raise ValueError(f"{name} of dtype {feature_mask.dtype} holds an id above {2**63 - 1}, the largest of int64")
    return ids


def looks_channels_last(shape: Sequence[int]) -> bool:
    """Whether a batch of this shape seems to be ``(N, *spatial, C)``, images with their channels last.

    That is so if the last of at least four dimensions is 1, 3 or 4 long, and all between it and the first are longer
    than 4. Images ``(N, C, H, W)`` of at most four channels are never taken for such, nor are maps of any number of
    channels that are wider than four, or at most four high; of the others only strips, one, three or four wide.

    Examples:
        >>> looks_channels_last((8, 224, 224, 3)), looks_channels_last((8, 3, 224, 224))
        (True, False)
        >>> looks_channels_last((8, 512, 4, 4)), looks_channels_last((8, 512, 7, 7))
        (False, False)
    """
    return len(shape) >= 4 and shape[-1] in _COLORS and min(shape[1:-1]) > max(_COLORS)


def check_channels_first(
    inputs_shape: Sequence[int],
    what: str,
    does: str = "segments",
    otherwise: str = "pass your own mask as feature_mask=",
) -> None:
    """Raise ValueError for images that seem to have their channels last, which ``what`` would segment as rows.

    Args:
        inputs_shape: Shape of the images.
        what: What segments them, for the message.
        does: The verb that says what is done with them.
        otherwise: What to do if the channels do come first.
    """
    if looks_channels_last(inputs_shape):
        raise ValueError(
            f"{what} {does} (N, C, *spatial), but inputs of shape {tuple(inputs_shape)} seem to have their channels "
            "last: pass inputs.movedim(-1, 1), and let a network that takes them last bring them back, for example by "
            f"lambda inputs: network(inputs.movedim(1, -1)); if the channels do come first, {otherwise}"
        )


def hint_for_one_image(shape: Sequence[int]) -> str:
    """How to make a batch of an image without one, ``(C, H, W)`` or ``(H, W, C)``."""
    last = looks_channels_last((1, *shape))
    return (
        "bring a single image with its channels last to (1, C, H, W) by inputs.movedim(-1, 0)[None]"
        if last
        else ("add the batch to a single image by inputs[None]")
    )


def _readings(shape: tuple[int, ...], expected: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The shapes with all dimensions that a mask may be meant to have."""
    missing = len(expected) - len(shape)
    if missing == 0:
        return [shape]
    if len(expected) < 2 or missing not in (1, 2):
        return []
    if missing == 2:
        return [(1, 1, *shape)]
    per_image = (shape[0], 1, *shape[1:])
    return [per_image] if shape[0] == 1 else [per_image, (1, *shape)]


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    return (
        0 not in shape
        and expected[0] % shape[0] == 0
        and shape[1:2] in ((1,), expected[1:2])
        and shape[2:] == expected[2:]
    )


def _hint(shape: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """What may be behind a mask that does not fit."""
    if looks_channels_last(expected):
        return "; the tensor seems to hold images with their channels last, but they belong second: (N, C, *spatial)"
    spatial = expected[2:]
    if spatial and shape[1:] == spatial[1:] and shape[0] > spatial[0] > 0 and shape[0] % spatial[0] == 0:
        return "; Captum's NoiseTunnel repeats a mask along its first dimension: give it mask[None, None]"
    return ""


def repeat_for_batch(feature_mask: Tensor, batch_size: int) -> Tensor:
    """Repeat each image's mask for a batch that holds each image several times in a row.

    Args:
        feature_mask: int64 of shape ``(M, 1 or C, *spatial)``.
        batch_size: N, a multiple of M.

    Returns:
        The mask of shape ``(1, …)`` where M is 1, else ``(N, …)``.

    Examples:
        >>> repeat_for_batch(torch.tensor([[[0, 0]], [[0, 1]]]), 4)[:, 0].tolist()
        [[0, 0], [0, 0], [0, 1], [0, 1]]
    """
    count = feature_mask.shape[0]
    if count in (1, batch_size):
        return feature_mask
    return feature_mask.repeat_interleave(batch_size // count, dim=0)


def rank_rows(ids: Tensor) -> Tensor:
    """Number the distinct values of each row densely from 0, in ascending order.

    Memory depends on the number of entries alone, never on the size of the ids.

    Args:
        ids: Integers of shape ``(..., L)``.

    Returns:
        int64 of the same shape.

    Examples:
        >>> rank_rows(torch.tensor([[7, 2**62, 7], [0, 1, 2]])).tolist()
        [[0, 1, 0], [0, 1, 2]]
    """
    ordered, order = ids.sort(dim=-1)
    ranks = torch.zeros_like(order)
    ranks[..., 1:] = (ordered[..., 1:] != ordered[..., :-1]).long().cumsum(dim=-1)
    return torch.empty_like(ranks).scatter_(-1, order, ranks)


def renumber(feature_masks: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Number the segments of each image densely from 0, jointly over the masks of several inputs.

    Equal ids in the masks of one image stay equal, and their order is kept. Every image is numbered by itself.

    Args:
        feature_masks: One mask ``(M, 1 or C, *spatial)`` per input, where M is 1 or a common batch size.

    Returns:
        Masks of the same partitions, all with the largest M as their batch size.
    """
    batch_size = max(mask.shape[0] for mask in feature_masks)
    masks = [mask.expand(batch_size, *mask.shape[1:]) for mask in feature_masks]
    ranks = rank_rows(torch.cat([mask.reshape(batch_size, -1) for mask in masks], dim=1))
    parts = torch.split(ranks, [mask[0].numel() for mask in masks], dim=1)
    # Contiguous, because ShapleyValueSampling takes views of them.
    return tuple(part.reshape(mask.shape).contiguous() for part, mask in zip(parts, masks, strict=True))


def make_disjoint(feature_masks: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Shift the ids of each mask beyond those of the masks before it, image by image.

    Ids above the number of elements are numbered densely first, lest their sum leaves int64.

    Args:
        feature_masks: One mask ``(1 or N, 1, *spatial)`` of ids from 0 per input, or None.

    Returns:
        The masks with ids that no two inputs of an image share, ``(N, …)`` from the first on that differs between
        images; None stays None.

    Examples:
        >>> shifted = make_disjoint([torch.tensor([[[0, 2]]]), torch.tensor([[[5, 2**63 - 1]]])])
        >>> [mask.tolist() for mask in shifted]
        [[[[0, 1]]], [[[2, 3]]]]
    """
    result: list[Tensor | None] = []
    offset: Tensor | None = None
    for mask in feature_masks:
        if mask is None:
            result.append(None)
            continue
        flat = mask.flatten(1)
        if int(flat.max()) >= flat.shape[1]:
            flat = rank_rows(flat)
        if offset is not None:
            flat = flat + offset.to(flat.device)
        offset = flat.amax(dim=1, keepdim=True) + 1
        result.append(flat.reshape(len(flat), *mask.shape[1:]))
    return tuple(result)


def number_elements(inputs: Tensor, first_id: int) -> Tensor:
    """Make every element of an input a feature of its own.

    Args:
        inputs: Tensor of shape ``(N, *)``.
        first_id: Id of the first element.

    Returns:
        int64 mask of shape ``(1, *)`` with consecutive ids.
    """
    shape = (1, *inputs.shape[1:])
    return first_id + torch.arange(inputs[:1].numel(), device=inputs.device).reshape(shape)
