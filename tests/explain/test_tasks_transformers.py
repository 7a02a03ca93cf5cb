"""``explain --task`` with folders of transformers: tiny networks with random weights, read without any network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel.cli import main
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.targets import list_detections, predict_categories
from captum_superpixel.models.transformers_classifier import load_transformers_for, tokenize

transformers = pytest.importorskip("transformers")

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def save(network: Any, folder: Path, size: dict[str, int]) -> None:
    """Write a network with random weights, all of which matter, and its preprocessing."""
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    network.eval().save_pretrained(folder)
    settings = {"do_resize": True, "size": size, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def explained(model: str, *arguments: str) -> dict[str, np.ndarray]:
    options = ["--masks", "grid:4", "--method", "IntegratedGradients", "--steps", "4", "--out", "out.npz"]
    assert main(["explain", "cat.png", "--model", model, *options, *arguments]) == 0
    with np.load("out.npz", allow_pickle=False) as file:
        return dict(file)


def inputs_of(arrays: dict[str, np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(arrays["image"])[None].float() / 127.5 - 1


def segformer(folder: Path) -> None:
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
        id2label={0: "sky", 1: "sea", 2: "sand"},
    )
    torch.manual_seed(0)
    save(transformers.SegformerForSemanticSegmentation(config), folder, {"height": 32, "width": 40})


def test_segformer(folder: Path, capsys: Captured) -> None:
    segformer(folder / "net")
    arrays = explained("net", "--task", "segmentation")
    assert arrays["map"].shape == (3, 32, 40)
    seen = predict_categories(transformers.SegformerForSemanticSegmentation.from_pretrained("net"), inputs_of(arrays))
    category = int(seen.flatten().mode().values)
    assert np.array_equal(arrays["target_region"], seen[0].numpy() == category)
    name = ("sky", "sea", "sand")[category]
    assert str(arrays["target_name"]) == f"{name} in its region"
    assert np.abs(arrays["map"]).max() > 0
    assert "stretched to 32 x 40" in capsys.readouterr().out
    # A layer in the middle, by the name that it has inside of the target.
    options = ["--method", "LayerGradCam", "--layer", "network.segformer.stages.0.layer_norm"]
    arguments = ["--task", "segmentation", "--masks", "grid:4", "--out", "cam.npz", *options]
    assert main(["explain", "cat.png", "--model", "net", *arguments]) == 0
    assert main(["explain", "cat.png", "--model", "net", "--task", "segmentation", "--layer", "list"]) == 0
    assert "network.segformer" in capsys.readouterr().out


def test_yolos(folder: Path) -> None:
    config = transformers.YolosConfig(
        **SMALL, image_size=[32, 48], patch_size=8, num_detection_tokens=5, id2label={0: "cat", 1: "dog"}
    )
    torch.manual_seed(0)
    save(transformers.YolosForObjectDetection(config), folder / "net", {"height": 32, "width": 48})
    arrays = explained("net", "--task", "detection")
    network = transformers.YolosForObjectDetection.from_pretrained("net")
    best = list_detections(network, inputs_of(arrays))[0][0]
    assert str(arrays["target_name"]) == f"{('cat', 'dog')[best.category]} in the box"
    rows, columns = arrays["target_region"].nonzero()
    bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.array(bounds) - best.box).max() <= 0.5
    assert 0 < arrays["prediction_value"][0] <= best.score + 1e-6
    assert np.abs(arrays["map"]).max() > 0


def clip(folder: Path) -> Any:
    """CLIP with a vocabulary of letters, and its tokenizer."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    ids = {token: n for n, token in enumerate([*letters, *(f"{each}</w>" for each in letters), "<s>", "<e>"])}
    tokenizer = transformers.CLIPTokenizer(
        vocab=ids, merges=[], bos_token="<s>", eos_token="<e>", unk_token="<e>", pad_token="<e>"
    )
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    text = {**SMALL, "vocab_size": len(ids), "max_position_embeddings": 8, "eos_token_id": ids["<e>"]}
    torch.manual_seed(0)
    network = transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=8))
    save(network, folder, {"height": 32, "width": 32})
    tokenizer.save_pretrained(folder)
    return network


def test_clip(folder: Path, capsys: Captured) -> None:
    network = clip(folder / "net")
    tokens = tokenize("net", ["cat", "dogs"])
    assert tokens["input_ids"].tolist() == [[52, 2, 0, 45, 53, 53], [52, 3, 14, 6, 44, 53]]
    arrays = explained("net", "--task", "similarity", "--text", "cat")
    output = network(pixel_values=inputs_of(arrays), **tokens)
    cosines = (output.logits_per_image / network.logit_scale.exp())[0].tolist()
    assert arrays["prediction_value"][0] == pytest.approx(cosines[0], abs=1e-5)
    assert str(arrays["target_name"]) == "similarity to 'cat'"
    assert np.abs(arrays["map"]).max() > 0
    arrays = explained("net", "--task", "similarity", "--text", "cat", "--text", "dogs")
    assert arrays["prediction_value"][0] == pytest.approx(cosines[0] - cosines[1], abs=1e-5)
    assert str(arrays["target_name"]) == "similarity to 'cat' rather than 'dogs'"
    arrays = explained("net", "--task", "similarity", "--reference", "cat.png")
    assert arrays["prediction_value"][0] == pytest.approx(1, abs=1e-5)
    capsys.readouterr()
    long = ["--task", "similarity", "--text", "concatenate"]
    assert main(["explain", "cat.png", "--model", "net", *long, "--out", "out.npz"]) == 2
    assert "net takes texts of 8 tokens, and the longest has 13" in capsys.readouterr().err


def test_networks_of_other_tasks_are_loaded_as_they_are(tmp_path: Path) -> None:
    segformer(tmp_path)
    network = load_model(str(tmp_path), task="segmentation")
    assert isinstance(network, transformers.SegformerForSemanticSegmentation)
    assert not network.training
    assert network.labels == ("sky", "sea", "sand")
    assert network.preprocessing == Preprocessing((32, 40), 0.5, 0.5, resize="stretch")
    with pytest.raises(InputError, match=r"holds no detector that transformers can load"):
        load_transformers_for("detection", str(tmp_path))
    with pytest.raises(InputError, match=r"no weights for \d+ parameters, such as classifier\.bias: it was not"):
        load_model(str(tmp_path))
    with pytest.raises(InputError, match=r"has no tokenizer that can be used"):
        tokenize(str(tmp_path), ["cat"])
