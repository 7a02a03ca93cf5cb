"""The fidelity metrics of a study: functions of a network and of grouped maps, and the table of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed
from captum_superpixel.metrics.mu_fidelity import SubsetDrops, drops_of_subsets
from captum_superpixel.study.protocol import Protocol

__all__ = ["FIDELITY", "FidelityMeasure"]

FidelityFunction: TypeAlias = Callable[[nn.Module, Tensor, Tensor, Tensor, Protocol, int, Tensor], tuple[Tensor, ...]]
"""From network, inputs (N, C, H, W), grouped maps of the same shape, targets (N,), protocol, seed, and the masks
(N, 1, H, W) of the images by ``protocol.regions`` to values (N,)."""

_SUBSETS = 100
"""Subsets of muFidelity: its error of about .1 for an image is small beside what images differ by."""

_KEPT: dict[tuple[object, ...], SubsetDrops] = {}
"""What was measured last for muFidelity, by all that it depends on."""


@dataclass(frozen=True)
class FidelityMeasure:
    """What gives one fidelity metric, or several at once.

    Args:
        function: Returns a tuple of values, one per image, for each of the metrics.
        metrics: Their names, in the order of the tuple.
        images: Which of the study's limits says how many images it is measured on: that of insertion and deletion, or
            one of those for what costs more.
    """

    function: FidelityFunction
    metrics: tuple[str, ...]
    images: Literal["fidelity", "mean_color", "road"] = "fidelity"


def _insertion_and_deletion(
    network: nn.Module,
    inputs: Tensor,
    maps: Tensor,
    targets: Tensor,
    protocol: Protocol,
    seed: int,
    masks: Tensor,
    *,
    baselines: str = "blur",
) -> tuple[Tensor, ...]:
    insertion, deletion = (
        curve(
            network,
            inputs,
            maps,
            targets,
            baselines=baselines,
            n_steps=protocol.auc_steps,
            batch_size=_images_at_once(protocol),
        )
        for curve in (metrics.insertion_auc, metrics.deletion_auc)
    )
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


def _mu_fidelity(
    network: nn.Module, inputs: Tensor, maps: Tensor, targets: Tensor, protocol: Protocol, seed: int, masks: Tensor
) -> tuple[Tensor, ...]:
    drops = _drops(network, inputs, targets, protocol, seed, masks)
    return (_or_nothing(drops.correlate(maps)),)


def _irof(
    network: nn.Module, inputs: Tensor, maps: Tensor, targets: Tensor, protocol: Protocol, seed: int, masks: Tensor
) -> tuple[Tensor, ...]:
    found = metrics.irof(network, inputs, maps, targets, feature_mask=masks, batch_size=_images_at_once(protocol))
    return (_or_nothing(found),)


FIDELITY: dict[str, FidelityMeasure] = {
    "insertion and deletion": FidelityMeasure(
        _insertion_and_deletion, ("insertion_auc", "deletion_auc", "insertion_minus_deletion")
    ),
    "insertion and deletion, mean color": FidelityMeasure(
        partial(_insertion_and_deletion, baselines="mean"),
        ("insertion_auc_mean_color", "deletion_auc_mean_color", "insertion_minus_deletion_mean_color"),
        images="mean_color",
    ),
    "ROAD": FidelityMeasure(_road, ("road", "road_most_relevant_first", "road_least_relevant_first"), images="road"),
    "muFidelity": FidelityMeasure(_mu_fidelity, ("mu_fidelity",)),
    "IROF": FidelityMeasure(_irof, ("irof",), images="road"),
}
"""By what the report of the time calls them: a new one is a function above and a line here."""


def _or_nothing(values: Tensor) -> Tensor:
    """Take 0 where there is no value, as for a correlation with an all-zero map.

    A single one would leave the whole study without a mean; without that image, one row would be measured on other
    images than its rivals.
    """
    return values.nan_to_num(nan=0.0)


def _drops(
    network: nn.Module, inputs: Tensor, targets: Tensor, protocol: Protocol, seed: int, masks: Tensor
) -> SubsetDrops:
    """What the network loses with random sets of segments: measured for the first map of a chunk, kept for the others.

    So the maps are also compared over the same sets.
    """
    given = [fingerprint(each) for each in (network, inputs, targets, masks)]
    key = (id(network), *given, seed)
    if key not in _KEPT:
        _KEPT.clear()
        _KEPT[key] = drops_of_subsets(
            network,
            inputs,
            targets,
            feature_mask=masks,
            n_subsets=_SUBSETS,
            generator=torch.Generator().manual_seed(derive_seed(seed, "muFidelity")),
            # The methods explain the logit.
            softmax=False,
            batch_size=_images_at_once(protocol),
        )
    return _KEPT[key]


def _images_at_once(protocol: Protocol) -> int:
    """Forward passes without a gradient need a fraction of the memory."""
    return max(16, protocol.method_settings.images_at_once)
