"""MeGe and ReCo: whether networks that were trained without an image explain it as those that were trained with it."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, TensorDataset

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.study.acquiring import measuring_settings, restored, train_one, training_settings
from captum_superpixel.study.data import StudyData, disjoint_parts
from captum_superpixel.study.distributed import World
from captum_superpixel.study.groupings import SIGNS, Sign
from captum_superpixel.study.jobs import Job, run_jobs
from captum_superpixel.study.measuring import Protocol
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.store import Store, fingerprint
from captum_superpixel.study.training import length, predict

__all__ = ["measure_mege_reco"]

Report = Callable[[str], None]


def measure_mege_reco(
    settings: StudySettings,
    protocol: Protocol,
    data: StudyData,
    store: Store,
    processes: World,
    device: torch.device,
    report: Report,
) -> list[dict[str, Any]]:
    """Train a network without each fold of the training images, and compare how they explain images of all folds.

    Args:
        settings: The study's; ``folds`` networks are trained, and about ``images`` images explained, those of a fold
            being its first.
        protocol: How maps are made and grouped.
        data: Whose training images are divided.
        store: Where trained networks and the result are kept.
        processes: Who trains them.
        device: Where.
        report: Called with every line of what there is to say.

    Returns:
        Records with ``method``, ``grouping``, ``sign``, ``mege``, ``reco`` and ``n``; empty at other processes than the
        first.

    References:
        Fel et al., "How Good is your Explanation? Algorithmic Stability Measures to Assess the Quality of Explanations
        for Deep Neural Networks", WACV 2022, https://arxiv.org/abs/2009.04521
    """
    folds = disjoint_parts(data, settings.folds, settings)
    jobs = []
    for number in range(settings.folds):
        seed = derive_seed(settings.seed, "fold", number)
        others: Dataset[tuple[Tensor, int]] = ConcatDataset(folds[:number] + folds[number + 1 :])
        what = f"without fold {number + 1} of {settings.folds}"
        made_with = training_settings(settings, data, seed) | {"folds": settings.folds}
        run = partial(train_one, settings, data, others, seed, device, report, what)
        jobs.append(Job(f"fold-{number}", made_with, run))
    contents = run_jobs(jobs, store, processes, share=True)
    networks = [restored(settings, data, content, device) for content in contents]
    each = max(2, int(settings.images or 0) // settings.folds)
    pairs = [[fold[number] for number in range(min(each, length(fold)))] for fold in folds]
    inputs = torch.stack([image for fold in pairs for image, _ in fold]).to(device)
    labels = torch.tensor([label for fold in pairs for _, label in fold], device=device)
    held_out = torch.tensor([number for number, fold in enumerate(pairs) for _ in fold])
    images = cast(Dataset[tuple[Tensor, int]], TensorDataset(inputs, labels))
    correct = torch.stack([torch.eq(*predict(network, images)) for network in networks])
    chunk_size = int(settings.chunk_size or 1)
    made_with = measuring_settings(settings) | {
        "networks": [fingerprint(network) for network in networks],
        "images": fingerprint(inputs),
        "chunk_size": chunk_size,
        "groupings": [grouping.describe() for grouping in protocol.groupings],
    }

    def explain_and_compare(method: str) -> dict[str, Any]:
        report(f"comparing {method} over {settings.folds} folds")
        pooled: dict[tuple[str, Sign], list[Tensor]] = defaultdict(list)
        for start in range(0, len(inputs), chunk_size):
            chunk = slice(start, start + chunk_size)
            maps = []
            for number, network in enumerate(networks):
                seed = derive_seed(settings.seed, "fold", method, number, start)
                maps.append(protocol.explainer.explain(method, network, inputs[chunk], labels[chunk], seed))
            for grouping in protocol.groupings:
                pool, _ = grouping.bind(inputs[chunk])
                for sign in SIGNS:
                    # What is compared is the sum of magnitudes over the channels.
                    summed = [pool(each, sign).abs().sum(dim=1, keepdim=True).cpu() for each in maps]
                    pooled[grouping.name, sign].append(torch.stack(summed))
        rows = []
        for (name, sign), parts in pooled.items():
            found = metrics.mege_reco(torch.cat(parts, dim=1), correct, held_out)
            rows.append([name, sign, found.mege.item(), found.reco.item()])
        return {"rows": rows}

    compared = run_jobs(
        [Job(f"mege-{method}", made_with, partial(explain_and_compare, method)) for method in protocol.methods],
        store,
        processes,
    )
    return [
        {"method": method, "grouping": grouping, "sign": sign, "mege": mege, "reco": reco, "n": len(inputs)}
        for method, content in zip(protocol.methods, compared, strict=False)
        for grouping, sign, mege, reco in content["rows"]
    ]
