"""Grad-CAM by its definition, to compare maps of layers with, and a method of given maps."""

from collections.abc import Callable

import pytest
import torch
from captum.attr import Attribution
from torch import Tensor, nn


class ByHand:
    """Maps of layers with channels last or tokens, by loops over their places."""

    @staticmethod
    def at_layer(network: nn.Module, layer: nn.Module, inputs: Tensor, target: int) -> tuple[Tensor, Tensor]:
        """Output of a layer and the gradient of a logit with respect to it."""
        kept = []
        handle = layer.register_forward_hook(lambda module, arguments, output: kept.append(output))
        inputs = inputs.detach().clone().requires_grad_()
        logit = network(inputs)[:, target].sum()
        handle.remove()
        output = kept[-1][0] if isinstance(kept[-1], tuple) else kept[-1]
        (gradient,) = torch.autograd.grad(logit, output)
        return output.detach(), gradient

    @staticmethod
    def places(output: Tensor, size: tuple[int, int], extra: int) -> Tensor:
        """``(N, C, h, w)`` of channels last or of tokens, place by place."""
        height, width = size
        maps = output.new_zeros(len(output), output.shape[-1], height, width)
        for row in range(height):
            for column in range(width):
                maps[:, :, row, column] = (
                    output[:, row, column] if output.dim() == 4 else output[:, extra + row * width + column]
                )
        return maps

    @staticmethod
    def grad_cam(output: Tensor, gradient: Tensor, size: tuple[int, int], extra: int) -> Tensor:
        """Selvaraju et al.: a weighted sum of the channels, weighted by the mean of their gradients over the places."""
        output, gradient = ByHand.places(output, size, extra), ByHand.places(gradient, size, extra)
        result = torch.zeros(len(output), 1, *size)
        for channel in range(output.shape[1]):
            weight = gradient[:, channel].sum((1, 2)) / (size[0] * size[1])
            result[:, 0] += weight[:, None, None] * output[:, channel]
        return result


@pytest.fixture
def by_hand() -> type[ByHand]:
    """See there."""
    return ByHand


class Stored(Attribution):
    """Returns the maps that it was given."""

    def __init__(self, maps: object) -> None:
        super().__init__(nn.Identity())
        self.maps = maps

    def attribute(self, inputs: object) -> object:
        return self.maps


@pytest.fixture
def stored() -> Callable[[object], Attribution]:
    return Stored
