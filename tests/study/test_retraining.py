"""MeGe and ReCo against their formulas in NumPy and SciPy; ROAR: what is removed, and what is learned from the rest."""

import dataclasses
import io
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from scipy.stats import spearmanr
from torch import nn

from captum_superpixel._files import read_signed
from captum_superpixel._store import StoreError
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study import retraining
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import disjoint_parts
from captum_superpixel.study.groupings import Grouping, standard_groupings
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.retraining import measure_mege_reco, measure_roar, remove_most_relevant
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.smoothing import Blur, CenteredGaussian

SIGNED = MethodSettings(signed=True)
# Evidence and views are left to the other measures, and maps that know nothing of the networks are not compared.
BLURRED: Any = (("signed", 1), ("magnitude", 1), ("evidence", 1), ("magnitude", 3))
CENTERED = Grouping("centered Gaussian", CenteredGaussian(), roles=("null",))


@pytest.fixture
def folded(settings_of: Callable[..., StudySettings], study_of: Callable[..., Study]) -> Study:
    settings = settings_of(epochs=4, folds=3, images=12)
    protocol = Protocol(
        SIGNED, ("Saliency",), (Grouping("pixels"), Grouping("blur", Blur(0.1), forms=BLURRED), CENTERED)
    )
    return study_of(settings, protocol=protocol)


def test_mege_and_reco_against_the_formulas(folded: Study) -> None:
    lines: list[str] = []
    records = measure_mege_reco(dataclasses.replace(folded, report=lines.append))
    assert lines[:3] == [f"training without fold {n} of 3: small_cnn, 40 images, 4 epochs" for n in (1, 2, 3)]
    assert lines[3:] == ["comparing Saliency over 3 folds"]
    assert [(r["method"], r["grouping"], r["sign"], r["n"]) for r in records] == [
        ("Saliency", grouping, sign, 12) for grouping in ("pixels", "blur") for sign in ("signed", "magnitude")
    ]
    networks = []
    for number in range(3):
        stored = torch.load(io.BytesIO(read_signed(folded.store.path(f"fold-{number}"))), weights_only=True)
        networks.append(small_cnn(3))
        networks[-1].load_state_dict(stored["content"]["weights"])
        networks[-1].eval()
    agreeing, differing = [], []
    for fold, part in enumerate(disjoint_parts(folded.data, 3, folded.settings)):
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


def test_the_size_of_chunks_is_without_effect(folded: Study) -> None:
    whole = measure_mege_reco(folded)
    chunked = dataclasses.replace(folded, settings=dataclasses.replace(folded.settings, chunk_size=5))
    with pytest.raises(StoreError, match=r"chunk_size=10 \(now 5\)"):  # it decides which noise SmoothGrad draws
        measure_mege_reco(chunked)
    for part in folded.store.folder.glob("mege-*.pt"):
        part.unlink()
    for record, other in zip(measure_mege_reco(chunked), whole, strict=True):
        assert record == other | {name: pytest.approx(other[name], abs=1e-4) for name in ("mege", "reco")}


def test_most_relevant_pixels_go_and_the_first_of_equal_ones() -> None:
    images = torch.arange(1.0, 9.0).view(1, 2, 2, 2)
    scores = torch.tensor([[[2.0, 1.0], [2.0, 2.0]]])
    fill = torch.tensor([-1.0, -2.0])
    half = remove_most_relevant(images, scores, 0.5, fill)
    assert half.tolist() == [[[[-1, 2], [-1, 4]], [[-2, 6], [-2, 8]]]]
    assert torch.equal(remove_most_relevant(images, scores, 0.0, fill), images)
    assert remove_most_relevant(images, scores, 1.0, fill)[0, :, 0, 0].tolist() == [-1, -2]
    assert images[0, 0, 0, 0] == 1


def test_each_image_by_its_own_scores() -> None:
    images = torch.ones(2, 1, 1, 3)
    scores = torch.tensor([[[1.0, 2.0, 3.0]], [[3.0, 2.0, 1.0]]])
    assert remove_most_relevant(images, scores, 1 / 3, torch.zeros(1)).flatten(1).tolist() == [[1, 1, 0], [0, 1, 1]]


@pytest.fixture
def retrained(
    settings_of: Callable[..., StudySettings], study_of: Callable[..., Study], monkeypatch: pytest.MonkeyPatch
) -> Study:
    monkeypatch.setattr(retraining, "FRACTIONS", (0.5, 1.0))
    protocol = Protocol(SIGNED, ("Saliency",), standard_groupings(4, counts=(4,)))
    return study_of(settings_of(epochs=2, train_images=24), protocol=protocol)


@pytest.fixture
def network() -> nn.Module:
    return small_cnn(3, generator=torch.Generator().manual_seed(0)).eval()


KINDS = [("Saliency", name) for name in ("pixels", "cells", "Slic", "ensemble")] + [("random order", "pixels")]


def test_nothing_is_learned_from_images_without_pixels(retrained: Study, network: nn.Module) -> None:
    """All images being alike, a network says one class of three, and a third of them is right."""
    records = measure_roar(retrained, network)
    assert [(r["method"], r["grouping"], r["fraction"]) for r in records] == [
        (*kind, fraction) for kind in KINDS for fraction in (0.5, 1.0)
    ]
    assert {(r["sign"], r["n"]) for r in records} == {("magnitude", 24)}
    for record in records:
        if record["fraction"] == 1.0:
            assert record["accuracy"] == pytest.approx(1 / 3)

    def unneeded(line: str) -> None:
        raise AssertionError(line)

    assert measure_roar(dataclasses.replace(retrained, report=unneeded), network) == records


def test_what_roar_trains_on_and_tests(retrained: Study, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the pixels of every image have the mean color: those that the maps of the first network rank first."""
    seen: dict[str, Any] = {}
    retraining_of = retraining.remove_most_relevant

    def noted(images: torch.Tensor, scores: torch.Tensor, fraction: float, fill: torch.Tensor) -> torch.Tensor:
        changed = retraining_of(images, scores, fraction, fill)
        seen.setdefault(f"{len(seen)}", (images, scores, fraction, fill, changed))
        return changed

    def content(_: Study, images: Any, seed: int, what: str) -> dict[str, Any]:
        seen.setdefault("trained", torch.stack([image for image, _ in images]))
        return {"weights": network.state_dict(), "losses": []}

    def guess(_: nn.Module, test: Any) -> float:
        seen.setdefault("tested", torch.stack([image for image, _ in test]))
        return 0.5

    monkeypatch.setattr(retraining, "remove_most_relevant", noted)
    monkeypatch.setattr(retraining, "train_one", content)
    monkeypatch.setattr(retraining, "accuracy", guess)
    assert {record["accuracy"] for record in measure_roar(retrained, network)} == {0.5}
    part = disjoint_parts(retrained.data, 2, retrained.settings)[0]
    train = torch.stack([part[i][0] for i in range(12)])
    labels = torch.tensor([int(part[i][1]) for i in range(12)])
    images, scores, fraction, fill, changed = seen["0"]
    assert torch.equal(images, train)
    assert fraction == 0.5
    assert torch.allclose(fill, train.mean(dim=(0, 2, 3)))
    maps = Saliency(network).attribute(train.clone().requires_grad_(), target=labels, abs=False)
    assert torch.allclose(scores, maps.abs().sum(dim=1), atol=1e-6)
    assert torch.equal(seen["trained"], changed)
    assert ((changed == fill.view(1, 3, 1, 1)).all(dim=1).sum(dim=(1, 2)) == 128).all()
    tested = seen["2"]
    held_out = retrained.data.held_out
    assert torch.equal(tested[0], held_out.batch(range(24)))
    assert torch.equal(seen["tested"], tested[-1])
    assert torch.equal(tested[3], fill)


def test_results_of_other_groupings_are_not_taken_up(
    retrained: Study, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retraining, "train_one", lambda *_: {"weights": network.state_dict(), "losses": []})
    measure_roar(retrained, network)
    groupings = standard_groupings(4, counts=(5,))
    changed = dataclasses.replace(retrained, protocol=dataclasses.replace(retrained.protocol, groupings=groupings))
    with pytest.raises(StoreError, match=r"roar-000\.pt was made with other settings, groupings"):
        measure_roar(changed, network)
