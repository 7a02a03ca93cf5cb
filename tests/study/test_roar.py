"""ROAR: what is removed, in which order, and what networks learn from the rest."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study import roar
from captum_superpixel.study.data import load_data
from captum_superpixel.study.distributed import World
from captum_superpixel.study.explaining import Explainer
from captum_superpixel.study.groupings import standard_groupings
from captum_superpixel.study.measuring import Protocol
from captum_superpixel.study.roar import measure_roar, remove_most_relevant
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.store import Store, StoreError


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
def arguments(squares_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(roar, "FRACTIONS", (0.5, 1.0))
    settings = StudySettings(
        dataset="imagefolder", root=str(squares_root), size=24, network="small_cnn", epochs=2, train_images=24
    ).resolved()
    return {
        "settings": settings,
        "protocol": Protocol(Explainer(), ("Saliency",), standard_groupings(4, counts=(4,))),
        "network": small_cnn(3, generator=torch.Generator().manual_seed(0)).eval(),
        "data": load_data(settings),
        "store": Store(tmp_path),
        "processes": World(),
        "device": torch.device("cpu"),
        "report": lambda line: None,
    }


def test_nothing_is_learned_from_images_without_pixels(arguments: dict[str, Any]) -> None:
    """All images being alike, a network says one class of three, and a third of them is right."""
    records = measure_roar(**arguments)
    kinds = [("Saliency", name) for name in ("pixels", "cells", "Slic", "ensemble")] + [("random order", "pixels")]
    assert [(r["method"], r["grouping"], r["fraction"]) for r in records] == [
        (*kind, fraction) for kind in kinds for fraction in (0.5, 1.0)
    ]
    assert {(r["sign"], r["n"]) for r in records} == {("magnitude", 24)}
    for record in records:
        assert 0 <= record["accuracy"] <= 1
        if record["fraction"] == 1.0:
            assert record["accuracy"] == pytest.approx(1 / 3)

    def unneeded(line: str) -> None:
        raise AssertionError(line)

    assert measure_roar(**arguments | {"report": unneeded}) == records


def test_results_of_other_groupings_are_not_taken_up(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roar, "train_one", lambda *_: {"weights": arguments["network"].state_dict(), "losses": []})
    measure_roar(**arguments)
    changed = dataclasses.replace(arguments["protocol"], groupings=standard_groupings(4, counts=(5,)))
    with pytest.raises(StoreError, match=r"roar-000\.pt was made with other settings, groupings"):
        measure_roar(**arguments | {"protocol": changed})
