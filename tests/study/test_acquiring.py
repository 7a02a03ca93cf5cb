"""Networks that are brought or trained, and what is found wrong with them before any work is done."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.study.acquiring import (
    StudyNetwork,
    check_outputs,
    check_recipe,
    common_preprocessing,
    evaluate_networks,
    load_checkpoints,
    measuring_settings,
    restored,
    train_networks,
    train_one,
    training_settings,
)
from captum_superpixel.study.data import StudyData, disjoint_parts, load_data
from captum_superpixel.study.distributed import World
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.store import Store

CPU = torch.device("cpu")


def silent(line: str) -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def settings(squares_root: Path) -> StudySettings:
    return StudySettings(
        dataset="imagefolder", root=str(squares_root), size=24, network="small_cnn", epochs=1
    ).resolved()


@pytest.fixture(scope="module")
def data(settings: StudySettings) -> StudyData:
    return load_data(settings)


class Blind(nn.Module):
    """The same logits for any image."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float32))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1)


def test_load_checkpoints() -> None:
    name = "captum_superpixel.models.networks:small_cnn"
    (network,) = load_checkpoints(StudySettings(checkpoints=(name,)), CPU)
    assert network.name == name
    assert network.train_images is None
    assert not network.module.training
    assert not any(parameter.requires_grad for parameter in network.module.parameters())
    with pytest.raises(ValueError, match="--checkpoint nowhere:load"):
        load_checkpoints(StudySettings(checkpoints=("nowhere:load",)), CPU)
    with pytest.raises(ValueError, match=r"missing\.pt do not exist"):
        load_checkpoints(StudySettings(checkpoints=(name,), weights=("missing.pt",)), CPU)


def test_check_outputs(data: StudyData) -> None:
    check_outputs([StudyNetwork(Blind(0, 0, 0), "three")], data, CPU)
    with pytest.raises(ValueError, match=r"four returns \(1, 4\) for one image, but imagefolder has 3 classes"):
        check_outputs([StudyNetwork(Blind(0, 0, 0), "three"), StudyNetwork(Blind(0, 0, 0, 0), "four")], data, CPU)
    with pytest.raises(ValueError, match=r"small fails on an input of shape \(1, 3, 24, 24\) \(RuntimeError"):
        check_outputs([StudyNetwork(nn.Conv2d(3, 3, 99), "small")], data, CPU)
    with pytest.raises(ValueError, match="pair returns tuple for one image"):
        check_outputs([StudyNetwork(nn.LSTM(24, 24, batch_first=True), "pair")], one_channel(data), CPU)


def one_channel(data: StudyData) -> Any:
    """The same data, images being (H, W), which an LSTM takes."""

    class Flat:
        held_out = type("HeldOut", (), {"batch": staticmethod(lambda _: torch.zeros(1, 24, 24))})
        classes, name = data.classes, data.name

    return Flat


def test_check_recipe(settings: StudySettings, data: StudyData) -> None:
    check_recipe(settings, data, CPU)
    with pytest.raises(ValueError, match=r"squeezenet1_0 fails on an input of shape \(1, 3, 6, 6\)"):
        check_recipe(
            dataclasses.replace(settings, network="squeezenet1_0"),
            load_data(dataclasses.replace(settings, size=6)),
            CPU,
        )


def wanting(name: str, preprocessing: Preprocessing | None) -> StudyNetwork:
    network = Blind(0)
    network.__dict__["preprocessing"] = preprocessing
    return StudyNetwork(network, name)


def test_common_preprocessing() -> None:
    settings = StudySettings(dataset="imagefolder", root="images")
    half = Preprocessing(224, 0.5, 0.5)
    assert common_preprocessing([], settings) is None
    assert common_preprocessing([wanting("a", None)], settings) is None
    assert common_preprocessing([wanting("a", None), wanting("b", half)], settings) == half
    assert common_preprocessing([wanting("a", half), wanting("b", Preprocessing(224, 0.5, 0.5))], settings) == half
    with pytest.raises(ValueError, match=r"want different ones: a Preprocessing\(.*; b Preprocessing\(.*Pass size"):
        common_preprocessing([wanting("a", half), wanting("b", IMAGENET)], settings)
    settled = dataclasses.replace(settings, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert common_preprocessing([wanting("a", half), wanting("b", IMAGENET)], settled) == half


def test_evaluate_networks(data: StudyData, tmp_path: Path) -> None:
    """Networks that always say the same class are right where it is, and are asked once."""
    store = Store(tmp_path)
    networks = [StudyNetwork(Blind(0, 0, 1), "red"), StudyNetwork(Blind(1, 0, 0), "blue")]
    evaluated = evaluate_networks(networks, data, store, World())
    for network, label in zip(evaluated, (2, 0), strict=True):
        assert network.predictions is not None
        assert network.predictions.tolist() == [label] * 24
        assert network.accuracy == pytest.approx(1 / 3)
    with pytest.raises(
        ValueError, match=r"predictions-0.pt was made with other settings, network='red' \(now 'blue'\)"
    ):
        evaluate_networks(networks[::-1], data, store, World())


def test_trained_networks_are_kept(settings: StudySettings, data: StudyData, tmp_path: Path) -> None:
    lines: list[str] = []
    first = train_networks(settings, data, Store(tmp_path), World(), CPU, lines.append)
    assert len(lines) == 2
    again = train_networks(settings, data, Store(tmp_path), World(), CPU, lines.append)
    assert len(lines) == 2
    for one, other in zip(first, again, strict=True):
        assert one.train_images == other.train_images == 30
        assert one.losses == other.losses
        state = other.module.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in one.module.state_dict().items())
    weights = [network.module.state_dict()["features.0.weight"] for network in first]
    assert not torch.equal(*weights)


def test_training_depends_on_the_seed_alone(settings: StudySettings, data: StudyData) -> None:
    (images, *_) = disjoint_parts(data, 10, settings)
    contents = [train_one(settings, data, images, seed, CPU, silent, "") for seed in (1, 1, 2)]
    assert contents[0]["losses"] == contents[1]["losses"] != contents[2]["losses"]
    network = restored(settings, data, contents[0], CPU)
    assert not network.training
    assert torch.equal(network.state_dict()["features.0.weight"], contents[1]["weights"]["features.0.weight"])


def test_what_decides_networks_and_figures(settings: StudySettings, data: StudyData) -> None:
    others = dataclasses.replace(settings, images=3, draws=1, roar=True, folds=4)
    assert training_settings(settings, data, 1) == training_settings(others, data, 1)
    assert training_settings(settings, data, 1) != training_settings(settings, data, 2)
    changed: dict[str, Any] = {"images": 3, "epochs": 9, "folds": 3, "roar": True, "root": "elsewhere"}
    assert measuring_settings(settings) == measuring_settings(dataclasses.replace(settings, **changed))
    plain = dataclasses.replace(settings, mean=(0.1,) * 3, std=(0.1,) * 3)
    changed = {"seed": 1, "n_steps": 3, "noise": 0.5, "draws": 7, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    for name, value in changed.items():
        assert measuring_settings(plain) != measuring_settings(dataclasses.replace(plain, **{name: value})), name
