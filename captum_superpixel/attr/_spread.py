"""Methods whose steps or samples each see another view: the same passes of the network, gradients at home."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from captum.attr import Attribution, InputXGradient, IntegratedGradients, NoiseTunnel, Saliency
from torch import Tensor
from torch.nn import Module

from captum_superpixel.attr._captum import AttributeCall, describe, signature_of
from captum_superpixel.attr._first_logits import logits_of, with_forward
from captum_superpixel.attr.sparsified_smooth_grad import SparsifiedSmoothGrad

__all__ = ["Passes", "check_spreadable", "over_views", "passes_of"]

See = Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]]
"""From the inputs of a pass and the number of the view of each row to what the network is shown."""

_ONE_PASS = (Saliency, InputXGradient)


def check_spreadable(method: Attribution) -> None:
    """Raise ValueError unless each step or sample of a method can see another view."""
    inner = method.attribution_method if isinstance(method, NoiseTunnel) else method
    alone = (IntegratedGradients, SparsifiedSmoothGrad)
    kinds = (*_ONE_PASS, IntegratedGradients) if isinstance(method, NoiseTunnel) else alone
    if type(inner) not in kinds:
        raise ValueError(
            f"spread=True, but {describe(method)} has no steps or samples that could each see another view: it is for "
            "IntegratedGradients, SparsifiedSmoothGrad, and a NoiseTunnel of Saliency, InputXGradient or "
            "IntegratedGradients"
        )


@dataclass(frozen=True)
class Passes:
    """How a method lays out what it shows a network.

    Attributes:
        images: N, how many there are.
        samples: How many noisy copies of each image there are; 1 without noise.
        samples_at_once: S, how many of them are explained together, the last of them perhaps fewer.
        steps: How many points of a path each of them takes; 1 without a path.
    """

    images: int
    samples: int
    samples_at_once: int
    steps: int


def passes_of(method: Attribution, call: AttributeCall, n_images: int) -> Passes:
    """How a call of a method that :func:`check_spreadable` lets pass lays out its passes."""
    if isinstance(method, SparsifiedSmoothGrad):
        samples = _argument(method, call, "n_samples")
        return Passes(n_images, samples, min(call.get("samples_per_batch") or samples, samples), 1)
    inner = method.attribution_method if isinstance(method, NoiseTunnel) else method
    samples = _argument(method, call, "nt_samples") if isinstance(method, NoiseTunnel) else 1
    at_once = call.get("nt_samples_batch_size") or samples
    steps = _argument(inner, call, "n_steps") if isinstance(inner, IntegratedGradients) else 1
    return Passes(n_images, samples, min(at_once, samples), steps)


def _argument(method: Attribution, call: AttributeCall, name: str) -> int:
    """The value of an argument, by default Captum's."""
    value = call.get(name)
    return int(signature_of(method).parameters[name].default if value is None else value)


def over_views(method: Attribution, see: See, n_views: int, passes: Passes, n_inputs: int) -> Attribution:
    """Copy a method for a network that sees view after view: step t of sample s of each image takes view s + t.

    Captum lays out the noisy copies of an image in a row, and the steps of a path one after the other, each for all
    rows: of R rows of images and copies, row r of a pass is of sample r mod S and step r // R. In how many passes it
    does so changes nothing.

    Args:
        method: One that :func:`check_spreadable` lets pass.
        see: Shows views.
        n_views: How many there are.
        passes: How the method lays out its passes.
        n_inputs: How many of the network's arguments are inputs.
    """
    sample, step = 0, 0

    def numbers(count: int) -> Tensor:
        nonlocal sample, step
        samples = min(passes.samples_at_once, passes.samples - sample)
        rows, in_step = torch.arange(count), passes.images * samples
        found = (sample + step + rows % samples + rows // in_step) % n_views
        step += count // in_step
        if step >= passes.steps:
            sample, step = sample + samples, 0
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
