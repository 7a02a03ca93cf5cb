"""The widest floating-point type of a device: some, such as Apple's GPUs, have no float64."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["widen", "widest_float"]


@lru_cache(maxsize=64)
def widest_float(device: torch.device) -> torch.dtype:
    """Return float64, or float32 where the device refuses to hold the former.

    Examples:
        >>> widest_float(torch.device("cpu"))
        torch.float64
    """
    # Asked of the device and not of its name: besides MPS it is true of some GPUs of Intel, and of others' backends.
    try:
        torch.zeros((), dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return torch.float32
    return torch.float64


def widen(values: Tensor) -> Tensor:
    """Return values in the widest type of their device.

    Examples:
        >>> widen(torch.tensor([1.0, 2.0]))
        tensor([1., 2.], dtype=torch.float64)
    """
    return values.to(widest_float(values.device))
