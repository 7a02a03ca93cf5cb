"""The fidelity metrics of a study: functions of a network and of grouped maps, and the table of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.study.protocol import Protocol

__all__ = ["FIDELITY", "FidelityMeasure"]

FidelityFunction: TypeAlias = Callable[[nn.Module, Tensor, Tensor, Tensor, Protocol, int, Tensor], tuple[Tensor, ...]]
"""From network, inputs (N, C, H, W), grouped maps of the same shape, targets (N,), protocol, seed, and the masks
(N, 1, H, W) of the images by ``protocol.regions`` to values (N,)."""


@dataclass(frozen=True)
class FidelityMeasure:
    """What gives one fidelity metric, or several at once.

    Args:
        function: Returns a tuple of values, one per image, for each of the metrics.
        metrics: Their names, in the order of the tuple.
        costly: Whether it is measured on as many images as ROAD is, not on as many as insertion and deletion are.
    """

    function: FidelityFunction
    metrics: tuple[str, ...]
    costly: bool = False


def _insertion_and_deletion(
    network: nn.Module, inputs: Tensor, maps: Tensor, targets: Tensor, protocol: Protocol, seed: int, masks: Tensor
) -> tuple[Tensor, ...]:
    steps, at_once = protocol.auc_steps, _images_at_once(protocol)
    insertion = metrics.insertion_auc(network, inputs, maps, targets, n_steps=steps, batch_size=at_once)
    deletion = metrics.deletion_auc(network, inputs, maps, targets, n_steps=steps, batch_size=at_once)
    return insertion, deletion, insertion - deletion


def _road(
    network: nn.Module, inputs: Tensor, maps: Tensor, targets: Tensor, protocol: Protocol, seed: int, masks: Tensor
) -> tuple[Tensor, ...]:
    found = metrics.road(
        network,
        inputs,
        maps,
        targets,
        noise=protocol.road_noise,
        generator=torch.Generator().manual_seed(derive_seed(seed, "road")),
        batch_size=_images_at_once(protocol),
    )
    return found.score, found.most_relevant_first.mean(dim=1), found.least_relevant_first.mean(dim=1)


FIDELITY: dict[str, FidelityMeasure] = {
    "insertion and deletion": FidelityMeasure(
        _insertion_and_deletion, ("insertion_auc", "deletion_auc", "insertion_minus_deletion")
    ),
    "ROAD": FidelityMeasure(_road, ("road", "road_most_relevant_first", "road_least_relevant_first"), costly=True),
}
"""By what the report of the time calls them: a new one is a function above and a line here."""


def _images_at_once(protocol: Protocol) -> int:
    """Forward passes without a gradient need a fraction of the memory."""
    return max(16, protocol.method_settings.images_at_once)
