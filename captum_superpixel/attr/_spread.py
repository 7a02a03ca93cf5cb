"""Methods whose steps or samples each see another view: the same passes of the network, gradients at home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from captum.attr import Attribution, InputXGradient, IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor
from torch.nn import Module

from captum_superpixel.attr._captum import describe
from captum_superpixel.attr._first_logits import logits_of, with_forward

__all__ = ["check_spreadable", "over_views"]

See = Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]]
"""From the inputs of a pass and the number of the view of each row to what the network is shown."""

_ONE_PASS = (Saliency, InputXGradient)


def check_spreadable(method: Attribution) -> None:
    """Raise ValueError unless each step or sample of a method can see another view."""
    inner = method.attribution_method if isinstance(method, NoiseTunnel) else method
    kinds = (*_ONE_PASS, IntegratedGradients) if isinstance(method, NoiseTunnel) else (IntegratedGradients,)
    if type(inner) not in kinds:
        raise ValueError(
            f"spread=True, but {describe(method)} has no steps or samples that could each see another view: it is for "
            "IntegratedGradients, and for a NoiseTunnel of Saliency, InputXGradient or IntegratedGradients"
        )


def over_views(
    method: Attribution, see: See, n_views: int, n_images: int, n_samples: int, n_inputs: int
) -> Attribution:
    """Copy a method for a network that sees view after view, as rows of one image come after another.

    Captum lays out the noisy copies of an image in a row, and the steps of a path one after the other, each for all
    rows: of R rows of images and copies, row r of a pass is of sample r mod S and step r // R.

    Args:
        method: One that :func:`check_spreadable` lets pass.
        see: Shows views.
        n_views: How many there are.
        n_images: N.
        n_samples: S, how many noisy copies of each image are explained together; 1 without noise.
        n_inputs: How many of the network's arguments are inputs.
    """
    done = 0

    def numbers(count: int) -> Tensor:
        nonlocal done
        # The last part of the samples may be smaller.
        samples = min(n_samples, max(1, count // n_images))
        rows = torch.arange(count)
        found = (done + rows % samples + rows // (n_images * samples)) % n_views
        done += samples - 1 + max(1, count // (n_images * samples))
        return found

    def adapt(function: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any) -> Any:
            inputs, rest = args[:n_inputs], args[n_inputs:]
            return logits_of(function(*see(inputs, numbers(len(inputs[0]))), *rest))

        return _Network(function, forward) if isinstance(function, Module) else forward

    return with_forward(method, adapt)


class _Network(Module):
    """A network with another forward, and the device and the mode of the one that it stands for."""

    def __init__(self, network: Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.function = network, function
        self.training = network.training

    def forward(self, *args: Any) -> Any:
        return self.function(*args)
