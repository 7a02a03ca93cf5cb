"""Networks that are supplied or trained, and what is found wrong with them before any work is done."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.study import acquiring
from captum_superpixel.study.acquiring import (
    StudyNetwork,
    check_outputs,
    check_recipe,
    choose_images,
    common_preprocessing,
    evaluate_networks,
    load_checkpoints,
    make_twins,
    restored,
    train_networks,
    train_one,
    training_settings,
)
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import disjoint_parts
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.training import RECIPES

CPU = torch.device("cpu")


@pytest.fixture
def study(settings_of: Callable[..., StudySettings], study_of: Callable[..., Study]) -> Study:
    return study_of(settings_of())


class Blind(nn.Module):
    """The same logits for any image."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits, dtype=torch.float32))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), -1) + 0 * images.mean()


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


def test_check_outputs(study: Study) -> None:
    three, four = StudyNetwork(Blind(0, 0, 0), "three"), StudyNetwork(Blind(0, 0, 0, 0), "four")
    check_outputs(study, [three])
    with pytest.raises(ValueError, match=r"four returns \(1, 4\) for one image, but imagefolder has 3 classes"):
        check_outputs(study, [three, four])
    small = StudyNetwork(nn.Conv2d(3, 3, 99), "small")
    with pytest.raises(ValueError, match=r"small fails on an input of shape \(1, 3, 16, 16\) .*check the size"):
        check_outputs(study, [small])
    flat = StudyNetwork(nn.Sequential(nn.Flatten(2), nn.LSTM(256, 4, batch_first=True)), "pair")
    with pytest.raises(ValueError, match="pair returns a tuple"):
        check_outputs(study, [flat])


def test_check_recipe(settings_of: Callable[..., StudySettings], study_of: Callable[..., Study], study: Study) -> None:
    check_recipe(study)
    small = study_of(settings_of(size=6, network="squeezenet1_0"))
    with pytest.raises(ValueError, match=r"squeezenet1_0 fails on an input of shape \(1, 3, 6, 6\)"):
        check_recipe(small)


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


def test_the_settings_correct_what_a_network_wants() -> None:
    settings = StudySettings(dataset="imagefolder", root="images", size=64, channel_order="bgr")
    wanted = common_preprocessing([wanting("a", IMAGENET)], settings)
    assert wanted == Preprocessing(64, (0.406, 0.456, 0.485), (0.225, 0.224, 0.229), channel_order="bgr")


def test_evaluate_networks(study: Study) -> None:
    """Networks that always say the same class are right where it is, and are asked once."""
    networks = [StudyNetwork(Blind(0, 0, 1), "red"), StudyNetwork(Blind(1, 0, 0), "blue")]
    evaluated = evaluate_networks(study, networks)
    for network, label in zip(evaluated, (2, 0), strict=True):
        assert network.predictions is not None
        assert network.predictions.tolist() == [label] * 24
        assert network.accuracy == pytest.approx(1 / 3)
    with pytest.raises(
        ValueError, match=r"predictions-0.pt was made with other settings, network='red' \(now 'blue'\)"
    ):
        evaluate_networks(study, networks[::-1])


def test_the_first_images_that_all_classify_rightly_are_chosen() -> None:
    labels = torch.tensor([0, 1, 2, 0, 1])
    first = StudyNetwork(nn.Identity(), "a", predictions=torch.tensor([0, 1, 0, 0, 1]))
    second = StudyNetwork(nn.Identity(), "b", predictions=torch.tensor([1, 1, 2, 0, 1]))
    assert choose_images([first, second], labels, 5) == [1, 3, 4]
    assert choose_images([first, second], labels, 2) == [1, 3]
    wrong = StudyNetwork(nn.Identity(), "b", predictions=torch.tensor([0, 0, 2, 1, 2]))
    with pytest.raises(ValueError, match="1 of 5 held-out images are classified correctly by all 2 networks"):
        choose_images([first, wrong], labels, 5)


def test_twins_share_no_weight_with_networks_or_one_another(study: Study) -> None:
    networks = [RECIPES["small_cnn"].make(3, torch.Generator().manual_seed(seed)).eval() for seed in (0, 0)]
    twins, again = make_twins(study, networks), make_twins(study, networks)
    of = [network.state_dict()["features.0.weight"] for network in (*networks[:1], *twins)]
    assert not any(torch.equal(of[i], of[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert torch.equal(again[1].state_dict()["features.0.weight"], of[2])
    assert not any(parameter.requires_grad for twin in twins for parameter in twin.parameters())
    assert not torch.equal(twins[0].state_dict()["features.1.running_mean"], torch.zeros(16))


def test_trained_networks_are_kept(study: Study) -> None:
    lines: list[str] = []
    study = dataclasses.replace(study, report=lines.append)
    first = train_networks(study)
    assert lines == [f"training network {number} of 2: small_cnn, 30 images, 1 epochs" for number in (1, 2)]
    again = train_networks(study)
    assert len(lines) == 2
    for one, other in zip(first, again, strict=True):
        assert one.train_images == other.train_images == 30
        assert one.losses == other.losses
        state = other.module.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in one.module.state_dict().items())
    weights = [network.module.state_dict()["features.0.weight"] for network in first]
    assert not torch.equal(*weights)


def test_training_depends_on_the_seed_alone(study: Study) -> None:
    (images, *_) = disjoint_parts(study.data, 10, study.settings)
    contents = [train_one(study, images, seed, "") for seed in (1, 1, 2)]
    assert contents[0]["losses"] == contents[1]["losses"] != contents[2]["losses"]
    network = restored(study, contents[0])
    assert not network.training
    assert torch.equal(network.state_dict()["features.0.weight"], contents[1]["weights"]["features.0.weight"])


def test_the_recipe_reaches_the_training(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def noted(module: nn.Module, images: Any, **options: Any) -> list[float]:
        given.update(options)
        return [0.5]

    monkeypatch.setattr(acquiring, "train", noted)
    resnet = dataclasses.replace(study, settings=dataclasses.replace(study.settings, network="resnet20", epochs=7))
    assert train_one(resnet, disjoint_parts(study.data, 2, study.settings)[0], 1, "")["losses"] == [0.5]
    recipe = RECIPES["resnet20"]
    assert given.items() >= {"lr": 0.4, "batch_size": 128, "weight_decay": 5e-4, "label_smoothing": 0.0}.items()
    assert (given["epochs"], given["augment"], given["device"]) == (7, recipe.augment, CPU)


def test_what_decides_networks(study: Study) -> None:
    others = dataclasses.replace(
        study, settings=dataclasses.replace(study.settings, images=3, draws=1, roar=True, folds=4)
    )
    assert training_settings(study, 1) == training_settings(others, 1)
    assert training_settings(study, 1) != training_settings(study, 2)
    for name, value in {"epochs": 9, "models": 3, "seed": 5, "network": "resnet20", "train_images": 30}.items():
        changed = dataclasses.replace(study, settings=dataclasses.replace(study.settings, **{name: value}))
        assert training_settings(study, 1) != training_settings(changed, 1), name
