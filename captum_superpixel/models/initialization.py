"""Weights drawn anew, before any training."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

__all__ = ["initialize", "make_initialized"]

Network = TypeVar("Network", bound=nn.Module)


def initialize(network: nn.Module, generator: torch.Generator | None = None) -> None:
    """Draw the weights of every convolution and linear layer of ``network`` anew, in place, biases zero.

    Args:
        network: A network on the generator's device.
        generator: Where the randomness comes from; None means PyTorch's global generator.

    References:
        He et al., "Delving Deep into Rectifiers", ICCV 2015, https://doi.org/10.1109/ICCV.2015.123
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def make_initialized(make: Callable[[], Network], generator: torch.Generator | None) -> Network:
    """Make a network whose weights are drawn from ``generator`` alone, as :func:`initialize` draws them."""
    # Layers draw weights from the global generator when they are made, which must not move it on.
    with torch.random.fork_rng(devices=[]):
        network = make()
    initialize(network, generator)
    return network
