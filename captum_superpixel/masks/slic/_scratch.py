"""Memory that is used again and again: to allocate it anew would cost more than to compute with it."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Scratch:
    """Lends memory by name, the same for the same name: what was borrowed under it before is then overwritten.

    Args:
        device: Where the memory is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._memory: dict[str, Tensor] = {}

    def lend(self, name: str, *shape: int) -> Tensor:
        """Give contiguous float32 memory of some shape, whatever is in it."""
        size = math.prod(shape)
        if name not in self._memory or self._memory[name].numel() < size:
            self._memory[name] = torch.empty(size, dtype=torch.float32, device=self.device)
        return self._memory[name][:size].view(shape)
