"""Advice in errors of the command line: each piece is followed here, and the photograph is explained."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from captum_superpixel.cli import main

BASE = ("cat.png", "--size", "24x20", "--format", "npz")


def with_method(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Name a method where the test does not."""
    return arguments if "--method" in arguments else ("--method", "Saliency", *arguments)


def explained(folder: Path, *arguments: str, model: str = "explain_net:load") -> dict[str, np.ndarray]:
    arguments = with_method(arguments)
    assert main(["explain", *BASE, "--model", model, "--masks", "grid:9", *arguments]) == 0
    with np.load(folder / "explanations" / "cat.npz") as arrays:
        return dict(arrays)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: str, model: str = "explain_net:load") -> str:
        capsys.readouterr()
        assert main(["explain", *BASE, "--model", model, *with_method(arguments)]) == 2
        return capsys.readouterr().err

    return run


def test_masks_of_floating_point_numbers(folder: Path, refused: Callable[..., str]) -> None:
    ids = (np.arange(480).reshape(24, 20) // 97).astype(np.float32)
    np.save(folder / "ids.npy", ids)
    message = refused("--masks", "ids.npy")
    (advice,) = re.findall(r"ids\.astype\(.*?\)", message)
    np.save(folder / "ids.npy", eval(advice, {"ids": ids, "np": np}))
    assert np.array_equal(np.squeeze(explained(folder, "--masks", "ids.npy")["mask"]), ids)


def test_masks_written_otherwise(folder: Path, refused: Callable[..., str]) -> None:
    ids = np.arange(480).reshape(24, 20) // 97
    np.savetxt(folder / "ids.npy", ids)
    assert "write it by np.save, as integers (H, W)" in refused("--masks", "ids.npy")
    np.save(folder / "ids.npy", ids)
    assert np.array_equal(np.squeeze(explained(folder, "--masks", "ids.npy")["mask"]), ids)


def test_generators_that_can_be_chosen(folder: Path, refused: Callable[..., str]) -> None:
    (choices,) = re.findall(r"choose one of (.*), or a file", refused("--masks", "slick:9"))
    for choice in choices.split(", "):
        assert explained(folder, "--masks", choice.replace(":N", ":9"))["mask"].size == 480


@pytest.mark.parametrize(("written", "advised"), [("grid:481", "grid:480"), ("slic:", "slic:1")])
def test_numbers_of_segments(folder: Path, refused: Callable[..., str], written: str, advised: str) -> None:
    name, count = advised.split(":")
    assert f"write {name}:N with N from 1 to 480" in refused("--masks", written)
    assert len(np.unique(explained(folder, "--masks", advised)["mask"])) == int(count)


def test_classes_that_are_not_named(folder: Path, refused: Callable[..., str]) -> None:
    assert "pass an index from 0 to 4, or the names as --labels" in refused("--target", "lynx")
    by_index = explained(folder, "--target", "2")
    (folder / "names.txt").write_text("tabby\ntiger\nlynx\ncrane\nshark\n")
    by_name = explained(folder, "--target", "lynx", "--labels", "names.txt")
    assert all(np.array_equal(by_index[name], by_name[name]) for name in by_index if by_index[name].dtype.kind == "f")


def test_classes_of_one_name_and_of_almost_that_name(folder: Path, refused: Callable[..., str]) -> None:
    message = refused("--target", "crane", model="explain_net:named")
    assert "names the classes 3, 4; pass the index of one" in message
    for index in "34":
        explained(folder, "--target", index, model="explain_net:named")
    message = refused("--target", "tigre cat", model="explain_net:named")
    (index, name), *_ = re.findall(r"(\d+) is ([\w ]+)", message)
    assert (index, name) == ("1", "tiger cat")
    for target in (index, name):
        explained(folder, "--target", target, model="explain_net:named")


def test_a_method_that_needs_no_layer(folder: Path, refused: Callable[..., str]) -> None:
    message = refused("--layer", "conv")
    assert "Saliency needs no layer; leave it out, or use such as LayerGradCam" in message
    explained(folder)
    explained(folder, "--layer", "conv", "--method", "LayerGradCam")


def test_layers_that_can_be_passed(folder: Path, refused: Callable[..., str]) -> None:
    message = refused("--method", "LayerGradCam", "--layer", "linear")
    layers = re.findall(r"\b(?:conv|relu|pool|features(?:\.\d)?)\b", message.split("use such as", 1)[1])
    assert layers
    for layer in layers:
        explained(folder, "--method", "LayerGradCam", "--layer", layer)
