"""Deletion curves beside Quantus (pixel flipping) and pytorch-grad-cam (the most relevant removed at thresholds)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from peers_timing import OURS, Call, Case, find_lite, find_peer
from torch import Tensor, nn

from captum_superpixel.metrics import deletion_auc
from captum_superpixel.models.networks import resnet18, resnet20

TITLE = "Deletion to zero by 21 or 24 evaluations of each image, every library with its own defaults for the batch"

_EVALUATIONS = 20


class NoNetwork(nn.Module):
    """Costs next to nothing, so that what the libraries do themselves is seen."""

    def forward(self, images: Tensor) -> Tensor:
        """Return three numbers per image, ``(N, 3)``."""
        return images[:, :, ::8, ::8].mean(dim=(2, 3))


def networks(quick: bool) -> Iterator[tuple[str, nn.Module, int, int]]:
    """Networks by name, with the side of their images and how many there are."""
    yield "no network", NoNetwork().eval(), 32, 32
    yield "ResNet-20", resnet20().eval(), 32, 32
    if quick:
        return
    yield "no network", NoNetwork().eval(), 224, 8
    yield "ResNet-18", resnet18().eval(), 224, 4
    lite = find_lite()
    if lite is not None:
        yield "EfficientNet-Lite0", lite, 224, 4
        yield "EfficientNet-Lite0", lite, 224, 16


def make_inputs(count: int, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Make images, maps of one channel, and targets."""
    generator = torch.Generator().manual_seed(0)
    images, maps = (torch.randn(count, channels, side, side, generator=generator) for channels in (3, 1))
    return images, maps, torch.arange(count) % 3


def find_grad_cam() -> Any:
    """Import the measures of pytorch-grad-cam, whose package asks for torchvision, of which they use nothing."""
    names = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    return find_peer("pytorch_grad_cam.metrics.road", "grad-cam ttach", stubs=names)


def cases(quick: bool) -> Iterator[Case]:
    """Delete pixels of a batch."""
    quantus = find_peer("quantus", "quantus")
    grad_cam = find_grad_cam()
    for name, network, side, count in networks(quick):
        images, maps, targets = make_inputs(count, side)
        at_once = elements_at_once(side)
        evaluations = 3 * side**2 // at_once
        calls: dict[str, Call] = {
            OURS: partial(deletion_auc, network, images, maps, targets, baselines="zero", n_steps=evaluations - 1)
        }
        if quantus is not None:
            flipping = quantus.PixelFlipping(
                features_in_step=at_once,
                perturb_baseline="black",
                disable_warnings=True,
            )
            calls["Quantus"] = partial(by_quantus, flipping, network, images, maps, targets)
        if grad_cam is not None:
            calls["pytorch-grad-cam"] = partial(_by_grad_cam, network, images, maps, targets, evaluations)
        yield Case(f"{name}, {count} of {side} x {side}", calls)


def elements_at_once(side: int) -> int:
    """How many elements of an image with three channels Quantus flips at once: what divides the number of pixels."""
    pixels = side**2
    return max(number for number in range(1, 3 * pixels // _EVALUATIONS + 1) if pixels % number == 0)


def by_quantus(metric: Any, network: nn.Module, images: Tensor, maps: Tensor, targets: Tensor) -> object:
    """Call a metric of Quantus, which warns of what does not matter for its time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return metric(
            model=network, x_batch=images.numpy(), y_batch=targets.numpy(), a_batch=maps.numpy(), device="cpu"
        )


def targets_of_grad_cam(targets: Tensor) -> list[Any]:
    """Wrap classes as functions of the logits of an image."""
    return [lambda logits, number=number: logits.softmax(dim=-1)[number] for number in targets.tolist()]


def _by_grad_cam(network: nn.Module, images: Tensor, maps: Tensor, targets: Tensor, evaluations: int) -> object:
    module = find_peer("pytorch_grad_cam.metrics.perturbation_confidence", "grad-cam ttach")
    curve = []
    for kept in np.linspace(100, 0, evaluations):
        removal = module.RemoveMostRelevantFirst(kept, lambda image, shown: image * shown)
        metric = module.PerturbationConfidenceMetric(removal)
        curve.append(metric(images, maps[:, 0].numpy(), targets_of_grad_cam(targets), network, return_diff=False))
    return np.trapezoid(np.stack(curve), axis=0) / (evaluations - 1)
