"""Classifiers of transformers: tiny ones with random weights, written by it and read back without any network."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel._checks import InputError
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.models.classifying import classify
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.random_twin import random_twin
from captum_superpixel.models.transformers_classifier import TransformersClassifier, load_transformers

transformers = pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment for those who read it late, the constant for those who read it on import."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def vit(**settings: Any) -> Any:
    return transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=16,
        patch_size=4,
        **settings,
    )


def convnext(**settings: Any) -> Any:
    return transformers.ConvNextConfig(hidden_sizes=[4, 8], depths=[1, 1], num_stages=2, **settings)


def resnet(**settings: Any) -> Any:
    return transformers.ResNetConfig(
        embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic", **settings
    )


CONFIGURATIONS = {"ViT": vit, "ConvNext": convnext, "ResNet": resnet}


def saved(kind: str, folder: Path, **settings: Any) -> Any:
    """A classifier of three classes in ``folder``."""
    network = getattr(transformers, f"{kind}ForImageClassification")(
        CONFIGURATIONS[kind](**{"num_labels": 3} | settings)
    )
    network.eval().save_pretrained(folder)
    return network


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_folders_give_logits(kind: str, tmp_path: Path) -> None:
    network = saved(kind, tmp_path)
    model = load_model(str(tmp_path))
    assert isinstance(model, TransformersClassifier)
    assert not model.training
    assert model.labels is None
    assert model.preprocessing is None
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(images), network(images).logits)
    assert torch.equal(classify(model, images[:1]), network(images[:1]).logits)


def test_tuples_and_half_precision_are_of_no_concern(tmp_path: Path) -> None:
    network = transformers.ResNetForImageClassification(resnet(num_labels=3, return_dict=False)).bfloat16()
    network.save_pretrained(tmp_path)
    model = load_transformers(str(tmp_path))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model(torch.zeros(2, 3, 16, 16)).shape == (2, 3)


def test_labels_that_say_something(tmp_path: Path) -> None:
    saved("ResNet", tmp_path, id2label={0: "tench", 1: "<b>goldfish</b>", 2: "LABEL_2"})
    assert load_transformers(str(tmp_path)).labels == ("tench", "<b>goldfish</b>", "LABEL_2")


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_randomized_models(kind: str, tmp_path: Path) -> None:
    saved(kind, tmp_path)
    model = load_transformers(str(tmp_path))
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    twin = random_twin(model, images, torch.Generator().manual_seed(1))
    assert twin(images).isfinite().all()
    for (name, parameter), own in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(parameter, own) == (len(parameter.unique()) == 1), name


PROCESSORS = [
    ("ViTImageProcessor", {"size": {"height": 20, "width": 16}}, {"size": (20, 16), "resize": "stretch"}),
    ("ViTImageProcessor", {"size": {"height": 16, "width": 16}, "do_rescale": False, "image_mean": [1, 2, 3]}, {}),
    ("ViTImageProcessor", {"size": {"height": 16, "width": 16}, "do_normalize": False}, {"mean": 0, "std": 1}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 16}}, {"size": 16, "resize": "crop"}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}}, {"size": 384, "resize": "stretch"}),
    (
        "MobileNetV2ImageProcessor",
        {"size": {"shortest_edge": 18}, "crop_size": {"height": 16, "width": 16}},
        {"size": 16, "resize": "crop"},
    ),
    (
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 18}, "crop_size": {"height": 16, "width": 16}},
        {"channel_order": "bgr", "mean": 0, "std": 1},
    ),
    ("EfficientNetImageProcessor", {"size": {"height": 16, "width": 16}}, {}),
    (
        "EfficientNetImageProcessor",
        {"size": {"height": 16, "width": 16}, "rescale_factor": 1 / 127.5, "rescale_offset": True},
        {"scale": 1 / 127.5},
    ),
]


@pytest.mark.parametrize(("name", "settings", "expected"), PROCESSORS)
def test_preprocessing_is_that_of_the_processor(
    name: str, settings: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    """An image of one color has no size that could matter: what is left are scale, mean, std and order."""
    processor = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    processor = processor(**settings)
    saved("ResNet", tmp_path)
    processor.save_pretrained(tmp_path)
    preprocessing = load_transformers(str(tmp_path)).preprocessing
    assert isinstance(preprocessing, Preprocessing)
    assert preprocessing == replace(preprocessing, **expected)
    image = Image.fromarray(np.full((40, 40, 3), (200, 100, 30), dtype=np.uint8))
    reference = processor(image, return_tensors="pt")["pixel_values"][0]
    assert torch.allclose(preprocessing(image), reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": 224},
            Preprocessing(224, 0.5, 0.25, resize="stretch"),
        ),
        (
            {"crop_pct": 0.95, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": 224},
            Preprocessing(224, 0.5, 0.25, resize="crop"),
        ),
        (
            {"crop_size": 256, "do_center_crop": True, "do_flip_channel_order": True, "do_resize": True, "size": 288},
            Preprocessing(256, 0, 1, channel_order="bgr"),
        ),
        (
            {"do_normalize": True, "image_mean": [0.5], "image_std": 0.25, "size": 8},
            Preprocessing(8, 0.5, 0.25, resize="stretch"),
        ),
        ({"do_normalize": True, "image_mean": [0.5] * 3, "size": 224}, None),
        ({"do_normalize": False}, None),
    ],
)
def test_files_of_old_versions(settings: dict[str, Any], expected: Preprocessing | None, tmp_path: Path) -> None:
    saved("ResNet", tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    assert load_transformers(str(tmp_path)).preprocessing == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"size": 8, "image_mean": [0, 0, 0], "image_std": [1, 1, 0]}', "cannot be used .*std"),
        ('{"size": "large", "do_normalize": false}', "cannot be used .*size .*'large'"),
        ("{", r"preprocessor_config\.json cannot be read"),
    ],
)
def test_bad_preprocessing(text: str, message: str, tmp_path: Path) -> None:
    saved("ResNet", tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        load_transformers(str(tmp_path))


def test_folders_that_hold_no_classifier(tmp_path: Path) -> None:
    for name in ("empty", "headless", "text", "weightless", "damaged"):
        (tmp_path / name).mkdir()
    transformers.ResNetModel(resnet()).save_pretrained(tmp_path / "headless")
    (tmp_path / "text" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    resnet(num_labels=3).save_pretrained(tmp_path / "weightless")
    saved("ResNet", tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"damaged")
    for name, message in (
        ("empty", r"empty is a folder without config\.json"),
        ("headless", r"headless has no weights for 2 parameters, such as classifier\.1\.bias: it was not trained"),
        ("text", r"text: the folder holds no image classifier .*ValueError"),
        ("weightless", r"weightless: the folder holds no image classifier .*OSError"),
        ("damaged", r"damaged: the folder holds no image classifier .*SafetensorError"),
    ):
        with pytest.raises(InputError, match=f"^--checkpoint .*{message}") as caught:
            load_model(str(tmp_path / name), option="--checkpoint")
        assert "\n" not in str(caught.value)


def test_names_that_the_hub_cannot_be_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        InputError, match="--model nobody/nothing: there is no such folder, and no such image classifier"
    ):
        load_model("nobody/nothing")


def test_weights_go_with_code_only(tmp_path: Path) -> None:
    saved("ResNet", tmp_path)
    with pytest.raises(InputError, match=r"comes with its weights; leave out the weights net\.pt"):
        load_model(str(tmp_path), "net.pt")


def test_missing_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"needs the package transformers .*captum-superpixel\[models\]"):
        load_model(str(tmp_path))
