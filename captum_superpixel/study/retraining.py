"""What is asked of networks that are trained for it: MeGe and ReCo without a fold, ROAR without the relevant pixels."""

from collections import defaultdict
from functools import lru_cache, partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, Dataset, TensorDataset

from captum_superpixel import metrics
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Content
from captum_superpixel.attr.pixel_maps import attribute_views
from captum_superpixel.metrics.stability import top_pixels
from captum_superpixel.study.acquiring import restored, train_one, training_settings
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import disjoint_parts
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.measuring import measuring_settings
from captum_superpixel.study.rows import PIXELS, SIGNS, Row
from captum_superpixel.study.smoothing import Segmented
from captum_superpixel.study.training import accuracy, length, predict

__all__ = ["FRACTIONS", "measure_mege_reco", "measure_roar", "remove_most_relevant"]

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
_RANDOM = ("random order", PIXELS)
_EXPLAINED_AT_ONCE = 256


def measure_mege_reco(study: Study) -> list[dict[str, Any]]:
    """Train a network without each fold of the training images, and compare how they explain images of all folds.

    Args:
        study: ``settings.folds`` networks are trained, and about ``settings.images`` images explained, those of a fold
            being its first.

    Returns:
        Records with ``method``, ``grouping``, ``sign``, ``mege``, ``reco`` and ``n``; empty at other processes than the
        first.

    References:
        Fel et al., "How Good is your Explanation? Algorithmic Stability Measures to Assess the Quality of Explanations
        for Deep Neural Networks", WACV 2022, https://arxiv.org/abs/2009.04521
    """
    settings, protocol = study.settings, study.protocol
    folds = disjoint_parts(study.data, settings.folds, settings)
    networks = _train_without(study, folds)
    count = max(2, int(settings.images or 0) // settings.folds)
    first = [_stacked(fold, count) for fold in folds]
    inputs, labels = (torch.cat(parts).to(study.device) for parts in zip(*first, strict=True))
    held_out = torch.arange(len(folds)).repeat_interleave(torch.tensor([len(images) for images, _ in first]))
    correct = torch.stack([torch.eq(*predict(network, _pairs(inputs, labels))) for network in networks])
    chunk_size = int(settings.chunk_size or 1)
    # Of the image as it is, and without what knows nothing of it.
    rows = {
        grouping: [row for row in grouping.rows if row.sign in SIGNS and row.views == 1]
        for grouping in protocol.groupings
        if "null" not in grouping.roles
    }
    made_with = measuring_settings(settings) | {
        "networks": [fingerprint(network) for network in networks],
        "images": fingerprint(inputs),
        "chunk_size": chunk_size,
        "groupings": [repr(grouping.smoothing) for grouping in rows],
        "rows": ["\t".join(map(str, row)) for of_grouping in rows.values() for row in of_grouping],
    }

    def explain_and_compare(method: str) -> Content:
        study.report(f"comparing {method} over {settings.folds} folds")
        grouped: dict[Row, list[Tensor]] = defaultdict(list)
        for start in range(0, len(inputs), chunk_size):
            images, targets = inputs[start : start + chunk_size], labels[start : start + chunk_size]
            maps = []
            for number, network in enumerate(networks):
                seed = study.seed("fold", method, number, start)
                maps.append(attribute_views(method, network, images, targets, protocol.method_settings, seed))
            segmented = Segmented(images)
            for grouping, of_grouping in rows.items():
                group, _ = grouping.bind(segmented)
                for row in of_grouping:
                    # What is compared is the sum of magnitudes over the channels.
                    summed = [group(each, row.sign).abs().sum(dim=1, keepdim=True).cpu() for each in maps]
                    grouped[row].append(torch.stack(summed))
        found_rows = []
        for row, parts in grouped.items():
            found = metrics.mege_reco(torch.cat(parts, dim=1), correct, held_out)
            found_rows.append([row.grouping, row.sign, found.mege.item(), found.reco.item()])
        return {"rows": found_rows}

    compared = study.run(
        [Job(f"mege-{method}", made_with, partial(explain_and_compare, method)) for method in protocol.methods]
    )
    return [
        {"method": method, "grouping": grouping, "sign": sign, "mege": mege, "reco": reco, "n": len(inputs)}
        for method, content in zip(protocol.methods, compared, strict=False)
        for grouping, sign, mege, reco in content["rows"]
    ]


def measure_roar(study: Study, network: nn.Module) -> list[dict[str, Any]]:
    """Retrain networks on images without their most relevant pixels, and test them on such images.

    The training images are those of the study's first network, the pixels of training and held-out images are ranked by
    the magnitudes of its maps of the true class, and what is removed is replaced by the mean color of the training
    images. A random order of the pixels is the control.

    Args:
        study: Of its groupings those with the role ``"retrained"`` are compared; all of their maps are held in memory.
        network: The study's first.

    Returns:
        Records with ``method`` (the control's is ``"random order"``), ``grouping``, ``sign``, ``fraction``,
        ``accuracy`` and ``n``; empty at other processes than the first.

    References:
        Hooker et al., "A Benchmark for Interpretability Methods in Deep Neural Networks", NeurIPS 2019,
        https://arxiv.org/abs/1806.10758
    """
    settings, protocol = study.settings, study.protocol
    train_inputs, train_labels = _stacked(disjoint_parts(study.data, settings.models, settings)[0])
    test_inputs, test_labels = _stacked(study.data.held_out)
    fill = train_inputs.mean(dim=(0, 2, 3))
    groupings = {grouping.name: grouping for grouping in protocol.groupings if "retrained" in grouping.roles}
    made_with = training_settings(study, settings.seed) | measuring_settings(settings)
    made_with |= {
        "explained_network": fingerprint(network),
        "groupings": [repr(grouping.smoothing) for grouping in groupings.values()],
    }

    def scores(purpose: str, kind: tuple[str, str], inputs: Tensor, labels: Tensor) -> Tensor:
        """Grouped magnitudes, summed over channels: (N, H, W)."""
        if kind == _RANDOM:
            return torch.rand(len(inputs), *inputs.shape[2:], generator=study.generator("roar", purpose))
        method, seed = kind[0], study.seed("roar", purpose, kind[0])
        found = []
        for first in range(0, len(inputs), _EXPLAINED_AT_ONCE):
            images, targets = (each[first : first + _EXPLAINED_AT_ONCE].to(study.device) for each in (inputs, labels))
            of_part = derive_seed(seed, first)
            maps = attribute_views(method, network, images, targets, protocol.method_settings, of_part)
            group, _ = groupings[kind[1]].bind(images)
            found.append(group(maps, "magnitude").sum(dim=1).cpu())
        return torch.cat(found)

    @lru_cache(maxsize=1)  # for the other fractions of the same kind, which come next
    def both_scores(kind: tuple[str, str]) -> tuple[Tensor, Tensor]:
        return scores("train", kind, train_inputs, train_labels), scores("test", kind, test_inputs, test_labels)

    def retrain(kind: tuple[str, str], fraction: float) -> Content:
        train_scores, test_scores = both_scores(kind)
        seed = study.seed("roar", *kind, str(fraction))
        images = _pairs(remove_most_relevant(train_inputs, train_scores, fraction, fill), train_labels)
        content = train_one(study, images, seed, f"without the top {fraction:.0%} of {kind[0]}, {kind[1]}")
        test = _pairs(remove_most_relevant(test_inputs, test_scores, fraction, fill), test_labels)
        return {"accuracy": accuracy(restored(study, content), test)}

    kinds = [(method, name) for method in protocol.methods for name in groupings] + [_RANDOM]
    cases = [(kind, fraction) for kind in kinds for fraction in FRACTIONS]
    contents = study.run(
        [
            Job(f"roar-{number:03d}", made_with | {"case": [*kind, fraction]}, partial(retrain, kind, fraction))
            for number, (kind, fraction) in enumerate(cases)
        ]
    )
    return [
        {
            "method": method,
            "grouping": grouping,
            "sign": "magnitude",
            "fraction": fraction,
            "accuracy": content["accuracy"],
            "n": len(test_labels),
        }
        for ((method, grouping), fraction), content in zip(cases, contents, strict=False)
    ]


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
        >>> remove_most_relevant(torch.ones(1, 1, 1, 4), torch.tensor([[[0.1, 3.0, 2.0, 0.0]]]), 0.5, torch.zeros(1))
        tensor([[[[1., 0., 0., 1.]]]])
    """
    flat = scores.flatten(1)
    count = round(fraction * flat.shape[1])
    removed = top_pixels(flat, count) if count else torch.zeros_like(flat, dtype=torch.bool)
    return torch.where(removed.view(len(images), 1, *images.shape[2:]), fill.view(1, -1, 1, 1), images)


def _train_without(study: Study, folds: list[Dataset[tuple[Tensor, int]]]) -> list[nn.Module]:
    """A network for each fold, trained on all others."""
    jobs = []
    for number in range(len(folds)):
        seed = study.seed("fold", number)
        others: Dataset[tuple[Tensor, int]] = ConcatDataset(folds[:number] + folds[number + 1 :])
        made_with = training_settings(study, seed) | {"folds": len(folds)}
        run = partial(train_one, study, others, seed, f"without fold {number + 1} of {len(folds)}")
        jobs.append(Job(f"fold-{number}", made_with, run))
    return [restored(study, content) for content in study.run(jobs, share=True)]


def _stacked(dataset: Dataset[tuple[Tensor, int]], count: int | None = None) -> tuple[Tensor, Tensor]:
    """All images of a data set, or the first of them, and their labels."""
    size = length(dataset) if count is None else min(count, length(dataset))
    pairs = [dataset[number] for number in range(size)]
    return torch.stack([image for image, _ in pairs]), torch.tensor([int(label) for _, label in pairs])


def _pairs(images: Tensor, labels: Tensor) -> Dataset[tuple[Tensor, int]]:
    """Images and labels as a data set, whose labels are tensors of one integer."""
    return cast(Dataset[tuple[Tensor, int]], TensorDataset(images, labels))
