"""ROAR: what networks still learn from images whose most relevant pixels are gone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from captum_superpixel._seeds import derive_seed
from captum_superpixel.study.acquiring import measuring_settings, restored, train_one, training_settings
from captum_superpixel.study.data import StudyData, disjoint_parts
from captum_superpixel.study.distributed import World
from captum_superpixel.study.jobs import Job, run_jobs
from captum_superpixel.study.measuring import Protocol
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.store import Store, fingerprint
from captum_superpixel.study.training import accuracy, length

__all__ = ["FRACTIONS", "measure_roar", "remove_most_relevant"]

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
_GROUPINGS = ("pixels", "cells", "Slic", "ensemble")
_RANDOM = ("random order", "pixels")

Report = Callable[[str], None]


def remove_most_relevant(images: Tensor, scores: Tensor, fraction: float, fill: Tensor) -> Tensor:
    """Replace the pixels with the highest scores.

    Args:
        images: (N, C, H, W).
        scores: (N, H, W); where they are equal, the pixel that comes first in rows goes first.
        fraction: How many of the pixels, 0 to 1, rounded.
        fill: (C,), what they are replaced with.

    Returns:
        (N, C, H, W), a new tensor.

    Examples:
        >>> import torch
        >>> remove_most_relevant(torch.ones(1, 1, 1, 4), torch.tensor([[[0.1, 3.0, 2.0, 0.0]]]), 0.5, torch.zeros(1))
        tensor([[[[1., 0., 0., 1.]]]])
    """
    flat = scores.flatten(1)
    count = round(fraction * flat.shape[1])
    removed = torch.zeros_like(flat, dtype=torch.bool)
    removed.scatter_(1, flat.argsort(dim=1, descending=True, stable=True)[:, :count], True)
    return torch.where(removed.view(len(images), 1, *images.shape[2:]), fill.view(1, -1, 1, 1), images)


def measure_roar(
    settings: StudySettings,
    protocol: Protocol,
    network: nn.Module,
    data: StudyData,
    store: Store,
    processes: World,
    device: torch.device,
    report: Report,
) -> list[dict[str, Any]]:
    """Retrain networks on images without their most relevant pixels, and test them on such images.

    The training images are those of the study's first network, the pixels of training and held-out images are ranked by
    the magnitudes of its maps of the true class, and what is removed is replaced by the mean colour of the training
    images. A random order of the pixels is the control.

    Args:
        settings: The study's.
        protocol: How maps are made and grouped; pixels, cells, ``Slic`` and the ensemble are compared.
        network: The study's first.
        data: Training and held-out images; all of their maps are held in memory.
        store: Where finished results are kept.
        processes: Who trains.
        device: Where.
        report: Called with every line of what there is to say.

    Returns:
        Records with ``method`` (the control's is ``"random order"``), ``grouping``, ``sign``, ``fraction``,
        ``accuracy`` and ``n``; empty at other processes than the first.

    References:
        Hooker et al., "A Benchmark for Interpretability Methods in Deep Neural Networks", NeurIPS 2019,
        https://arxiv.org/abs/1806.10758
    """
    part = disjoint_parts(data, settings.models, settings)[0]
    train_inputs, train_labels = _stacked(part)
    test_inputs, test_labels = _stacked(data.held_out)  # type: ignore[arg-type]  # a LabelledBatches is a data set
    fill = train_inputs.mean(dim=(0, 2, 3))
    groupings = [grouping for grouping in protocol.groupings if grouping.name in _GROUPINGS]
    made_with = training_settings(settings, data, settings.seed) | measuring_settings(settings)
    made_with |= {
        "explained_network": fingerprint(network),
        "groupings": [grouping.describe() for grouping in groupings],
    }
    kinds = [(method, grouping.name) for method in protocol.methods for grouping in groupings] + [_RANDOM]
    scores_of: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}

    def scores(method: str, grouping_name: str) -> tuple[Tensor, Tensor]:
        """Of training and of test images; those of the last kind are kept for its other fractions."""
        if (method, grouping_name) not in scores_of:
            scores_of.clear()
            both = []
            for purpose, inputs, labels in (("train", train_inputs, train_labels), ("test", test_inputs, test_labels)):
                if (method, grouping_name) == _RANDOM:
                    generator = torch.Generator().manual_seed(derive_seed(settings.seed, "roar", purpose))
                    both.append(torch.rand(len(inputs), *inputs.shape[2:], generator=generator))
                    continue
                grouping = next(each for each in groupings if each.name == grouping_name)
                seed = derive_seed(settings.seed, "roar", purpose, method)
                both.append(_scores(protocol, network, method, grouping, inputs, labels, seed, device))
            scores_of[method, grouping_name] = both[0], both[1]
        return scores_of[method, grouping_name]

    def retrain(method: str, grouping_name: str, fraction: float) -> dict[str, Any]:
        train_scores, test_scores = scores(method, grouping_name)
        seed = derive_seed(settings.seed, "roar", method, grouping_name, str(fraction))
        images = TensorDataset(remove_most_relevant(train_inputs, train_scores, fraction, fill), train_labels)
        what = f"without the top {fraction:.0%} of {method}, {grouping_name}"
        content = train_one(settings, data, images, seed, device, report, what)  # type: ignore[arg-type]  # its members are tensors
        test = TensorDataset(remove_most_relevant(test_inputs, test_scores, fraction, fill), test_labels)
        return {"accuracy": accuracy(restored(settings, data, content, device), test)}  # type: ignore[arg-type]  # likewise

    cases = [(method, grouping, fraction) for method, grouping in kinds for fraction in FRACTIONS]
    jobs = [
        Job(f"roar-{number:03d}", made_with | {"case": list(case)}, partial(retrain, *case))
        for number, case in enumerate(cases)
    ]
    contents = run_jobs(jobs, store, processes)
    return [
        {
            "method": method,
            "grouping": grouping,
            "sign": "magnitude",
            "fraction": fraction,
            "accuracy": content["accuracy"],
            "n": len(test_labels),
        }
        for (method, grouping, fraction), content in zip(cases, contents, strict=False)
    ]


def _scores(
    protocol: Protocol,
    network: nn.Module,
    method: str,
    grouping: Any,
    inputs: Tensor,
    labels: Tensor,
    seed: int,
    device: torch.device,
    at_once: int = 256,
) -> Tensor:
    """Grouped magnitudes, summed over channels: (N, H, W)."""
    found = []
    for first in range(0, len(inputs), at_once):
        images, targets = (each[first : first + at_once].to(device) for each in (inputs, labels))
        maps = protocol.explainer.explain(method, network, images, targets, derive_seed(seed, first))
        found.append(grouping.bind(images)[0](maps, "magnitude").sum(dim=1).cpu())
    return torch.cat(found)


def _stacked(dataset: Dataset[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    pairs = [dataset[number] for number in range(length(dataset))]
    return torch.stack([image for image, _ in pairs]), torch.tensor([int(label) for _, label in pairs])
