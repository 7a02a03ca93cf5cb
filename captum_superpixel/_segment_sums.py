"""Sums over the elements of each segment, and how many there are, on any device and without loops over labels."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

__all__ = ["segment_sizes", "segment_sums"]

_PARTIAL_SUM = 2**20
"""How many values float32 adds up before a new sum begins; at 2**24 it stops counting by ones."""


def segment_sums(values: Tensor, labels: Tensor, count: int) -> Tensor:
    """Add up the values of each segment.

    In less than double precision, partial sums keep long segments from a total that swallows what is added to it.

    Args:
        values: Floating-point, of shape ``(N, C, L)``.
        labels: int64 of shape ``(1 or N, 1, L)``, below ``count``.
        count: K, the number of segments.

    Returns:
        ``(N, C, K)``, of the dtype of the values; 0 for segments without elements.
    """
    index = labels.expand(*values.shape[:2], -1)
    zeros = values.new_zeros((*values.shape[:2], count))
    if values.dtype == torch.float64 or values.shape[2] <= _PARTIAL_SUM:
        return zeros.scatter_add(2, index, values)
    parts = zip(torch.split(values, _PARTIAL_SUM, dim=2), torch.split(index, _PARTIAL_SUM, dim=2), strict=True)
    return functools.reduce(torch.add, (zeros.scatter_add(2, where, part) for part, where in parts))


def segment_sizes(labels: Tensor, count: int) -> Tensor:
    """Count the elements of each segment, exactly: labels ``(*, L)`` to int64 ``(*, count)``.

    Examples:
        >>> segment_sizes(torch.tensor([[0, 2, 2]]), 3).tolist()
        [[1, 0, 2]]
    """
    zeros = labels.new_zeros((*labels.shape[:-1], count))
    return zeros.scatter_add(-1, labels, labels.new_ones(()).expand(labels.shape))
