"""Networks that compute with channels last, whatever layout their inputs have: up to twice as fast on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["use_channels_last"]


def use_channels_last(network: nn.Module) -> nn.Module:
    """Bring weights and, at every call, images ``(N, C, H, W)`` into the layout that convolutions are fastest in.

    Args:
        network: Changed in place; what it computes changes by rounding only.

    Returns:
        The same network.

    Examples:
        >>> network = use_channels_last(nn.Conv2d(3, 4, 3))
        >>> network(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 4, 6, 6])
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types no memory_format alone
    network.register_forward_pre_hook(_channels_last)
    return network


def _channels_last(network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        each.contiguous(memory_format=torch.channels_last) if isinstance(each, Tensor) and each.ndim == 4 else each
        for each in inputs
    )
