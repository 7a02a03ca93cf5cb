"""Sums over the elements of each segment, and how many there are, on any device and without loops over labels."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

__all__ = ["segment_sizes", "segment_sums"]

_PARTIAL_SUM = 2**10
"""How many values float32 adds up, at most, before a new sum begins: one long sum of equal values is wrong by 1 % after
a million of them, and stops to grow at 2**24 of the first."""

_AT_ONCE = 2**20
"""How many values go to their partial sums at the same time, which bounds the memory."""


def segment_sums(values: Tensor, labels: Tensor, count: int) -> Tensor:
    """Add up the values of each segment.

    In less than double precision, partial sums keep long segments from a total that swallows what is added to it. There
    are fewer of them where they would take more memory than the values.

    Args:
        values: Floating-point, of shape ``(N, C, L)``.
        labels: int64 of shape ``(1 or N, 1, L)``, below ``count``.
        count: K, the number of segments.

    Returns:
        ``(N, C, K)``, of the dtype of the values; 0 for segments without elements.
    """
    if values.dtype == torch.float64:
        return _add_up(values, labels, count)
    pieces = zip(torch.split(values, _AT_ONCE, dim=2), torch.split(labels, _AT_ONCE, dim=2), strict=True)
    return functools.reduce(torch.add, (_add_up_in_parts(*piece, count) for piece in pieces))


def _add_up_in_parts(values: Tensor, labels: Tensor, count: int) -> Tensor:
    length = values.shape[2]
    parts = min(math.ceil(length / _PARTIAL_SUM), max(1, length // max(1, count)))
    if parts == 1:
        return _add_up(values, labels, count)
    # Neighbors go to different parts: on a GPU, those that add to one sum wait for one another.
    part = torch.arange(length, device=values.device) % parts
    return _add_up(values, labels + part * count, parts * count).view(*values.shape[:2], parts, count).sum(dim=2)


def _add_up(values: Tensor, labels: Tensor, count: int) -> Tensor:
    return values.new_zeros((*values.shape[:2], count)).scatter_add(2, labels.expand(*values.shape[:2], -1), values)


def segment_sizes(labels: Tensor, count: int) -> Tensor:
    """Count the elements of each segment, exactly: labels ``(*, L)`` to int64 ``(*, count)``.

    Examples:
        >>> segment_sizes(torch.tensor([[0, 2, 2]]), 3).tolist()
        [[1, 0, 2]]
    """
    zeros = labels.new_zeros((*labels.shape[:-1], count))
    return zeros.scatter_add(-1, labels, labels.new_ones(()).expand(labels.shape))
