"""MeGe and ReCo of the folds, against their formulas in NumPy and SciPy."""

import dataclasses
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from scipy.stats import spearmanr

from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.data import disjoint_parts, load_data
from captum_superpixel.study.distributed import World
from captum_superpixel.study.explaining import Explainer
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.measuring import Protocol
from captum_superpixel.study.mege import measure_mege_reco
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.store import Store, StoreError


@pytest.fixture
def arguments(squares_root: Path, tmp_path: Path) -> dict[str, Any]:
    settings = StudySettings(
        dataset="imagefolder", root=str(squares_root), size=24, network="small_cnn", epochs=4, folds=3, images=12
    ).resolved()
    return {
        "settings": settings,
        "protocol": Protocol(Explainer(), ("Saliency",), (Grouping("pixels"), Grouping("blur", blur=0.1))),
        "data": load_data(settings),
        "store": Store(tmp_path),
        "processes": World(),
        "device": torch.device("cpu"),
        "report": lambda line: None,
    }


def test_against_the_formulas(arguments: dict[str, Any], tmp_path: Path) -> None:
    records = measure_mege_reco(**arguments)
    assert [(r["method"], r["grouping"], r["sign"], r["n"]) for r in records] == [
        ("Saliency", grouping, sign, 12) for grouping in ("pixels", "blur") for sign in ("signed", "magnitude")
    ]
    networks = []
    for number in range(3):
        stored = torch.load(tmp_path / f"fold-{number}.pt", weights_only=True)["content"]
        networks.append(small_cnn(3))
        networks[-1].load_state_dict(stored["weights"])
        networks[-1].eval()
    agreeing, differing = [], []
    for fold, part in enumerate(disjoint_parts(arguments["data"], 3, arguments["settings"])):
        for image, label in (part[place] for place in range(4)):
            inputs = image[None].requires_grad_()
            maps = [Saliency(network).attribute(inputs, target=label).sum(dim=1) for network in networks]
            right = [network(inputs).argmax().item() == label for network in networks]
            for i, j in combinations(range(3), 2):
                if fold not in (i, j):
                    continue
                distance = np.sqrt(1 - abs(spearmanr(maps[i].flatten(), maps[j].flatten()).statistic))
                if right[i] and right[j]:
                    agreeing.append(distance)
                elif right[i] or right[j]:
                    differing.append(distance)
    assert agreeing
    assert differing
    thresholds = [*agreeing, *differing]
    reco = max(np.mean(np.array(agreeing) <= t) + np.mean(np.array(differing) > t) - 1 for t in thresholds)
    for record in records[:2]:
        assert record["mege"] == pytest.approx(1 / (1 + np.mean(agreeing)), abs=1e-4)
        assert record["reco"] == pytest.approx(max(0, reco), abs=1e-4)


def test_the_size_of_chunks_is_without_effect(arguments: dict[str, Any], tmp_path: Path) -> None:
    whole = measure_mege_reco(**arguments)
    chunked = dataclasses.replace(arguments["settings"], chunk_size=5)
    with pytest.raises(StoreError, match=r"chunk_size=10 \(now 5\)"):  # it decides which noise SmoothGrad draws
        measure_mege_reco(**arguments | {"settings": chunked})
    for part in tmp_path.glob("mege-*.pt"):
        part.unlink()
    for record, other in zip(measure_mege_reco(**arguments | {"settings": chunked}), whole, strict=True):
        assert record == other | {name: pytest.approx(other[name], abs=1e-4) for name in ("mege", "reco")}
