"""Feature masks as tensors: validation, expansion and renumbering, on any device and without loops over labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def check_feature_mask(feature_mask: object, inputs_shape: Sequence[int], *, name: str = "feature_mask") -> Tensor:
    """Validate a feature mask against the tensor that it partitions.

    Args:
        feature_mask: What the caller passed as mask.
        inputs_shape: Shape ``(N, C, *spatial)`` of the tensor that the mask is for.
        name: What to call the mask in messages.

    Returns:
        The mask ``(M, 1 or C, *spatial)`` as int64, where N is a multiple of M.

    Raises:
        TypeError: If it is not a tensor, or a tensor of anything but integers.
        ValueError: If it has another shape, no elements, or negative ids.
    """
    if not isinstance(feature_mask, Tensor):
        raise TypeError(f"{name} must be an integer tensor, but a {type(feature_mask).__name__} was passed")
    if feature_mask.is_floating_point() or feature_mask.is_complex() or feature_mask.dtype == torch.bool:
        raise TypeError(
            f"{name} has dtype {feature_mask.dtype}, but its entries are segment ids: pass non-negative integers, "
            "for example feature_mask.long()"
        )
    shape, expected = tuple(feature_mask.shape), tuple(inputs_shape)
    fits = (
        len(shape) == len(expected)
        and feature_mask.numel() > 0
        and expected[0] % shape[0] == 0
        and shape[1:2] in ((1,), expected[1:2])
        and shape[2:] == expected[2:]
    )
    if not fits:
        wanted = ", ".join(["1 or N", *(["1 or C"] if len(expected) > 1 else []), *map(str, expected[2:])])
        raise ValueError(
            f"{name} of shape {shape} does not fit a tensor of shape {expected}: pass a mask of shape ({wanted}), "
            "or one whose N divides that of the tensor (a bare (H, W) mask becomes one by mask[None, None])"
        )
    if int(feature_mask.min()) < 0:
        raise ValueError(f"{name} holds the negative id {int(feature_mask.min())}, but segment ids must be 0 or larger")
    return feature_mask.long()


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
    return tuple(part.reshape(mask.shape) for part, mask in zip(parts, masks, strict=True))


def make_disjoint(feature_masks: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Shift the ids of each mask beyond those of the masks before it, image by image.

    Args:
        feature_masks: One mask ``(N, 1, *spatial)`` per input, or None.

    Returns:
        The masks with ids that no two inputs of an image share; None stays None.
    """
    result: list[Tensor | None] = []
    offset: Tensor | None = None
    for mask in feature_masks:
        if mask is None:
            result.append(None)
            continue
        flat = mask.flatten(1)
        if offset is not None:
            flat = flat + offset.to(flat.device)
        offset = flat.amax(dim=1, keepdim=True) + 1
        result.append(flat.reshape(mask.shape))
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
