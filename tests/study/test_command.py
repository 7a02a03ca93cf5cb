"""The command line of the study: options, and what is refused before anything is done."""

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from captum_superpixel._store import Store
from captum_superpixel.cli import main
from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.study import acquiring, data, run
from captum_superpixel.study.command import add_study
from captum_superpixel.study.settings import METHOD_NAMES, N_VIEWS, StudySettings
from captum_superpixel.study.training import RECIPES

MODULE = """
from captum_superpixel.models.networks import small_cnn

def three():
    return small_cnn(3)

def four():
    return small_cnn(4)

def words():
    return 4
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a module of networks, in which no study may begin to train."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "study_nets", raising=False)
    monkeypatch.setattr(acquiring, "train_one", refuse)
    # Small ones are made in no time.
    monkeypatch.setattr(data, "DigitsOnPhotographs", partial(DigitsOnPhotographs, size=16))
    (tmp_path / "study_nets.py").write_text(MODULE)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    """The one line that a study ends with, having written nothing."""
    before = sorted(folder.rglob("*"))
    assert main(["study", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("captum-superpixel: error: ")
    assert printed.err.count("\n") == 1
    assert [path for path in sorted(folder.rglob("*")) if "__pycache__" not in path.parts] == before
    return printed.err


FOLDER = ("--dataset", "imagefolder", "--size", "16", "--network", "small_cnn", "--root")
SUPPLIED = ("--dataset", "imagefolder", "--size", "16", "--root")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "imagefolder"], "dataset='imagefolder' needs a root"),
        (["--dataset", "cifar10", "--root", "nowhere"], "nowhere is no folder"),
        (["--root", "somewhere"], "root is about files, but the digits are embedded"),
        (["--models", "0"], "models must be at least 1, but 0"),
        (["--images", "1"], "images must be at least 2, but 1"),
        (["--network", "resnet19"], "network='resnet19' is unknown"),
        (["--noise", "0"], "noise must be finite and above 0, but 0.0"),
        (["--chunk", "1"], "chunk_size must be at least 2, but 1"),
        (["--mosaics", "1"], "mosaics=1: each is held against another one's map"),
        (["--views", "0"], "n_views must be at least 1, but 0"),
        (["--method", "Saliency", "--method", "GradCam"], "method='GradCam' is unknown: choose one of 'Saliency'"),
        (["--models", "1", "--confidence"], "confidence_images=100 with one network: what is said of its regions is"),
        (["--checkpoint", "study_nets:three", "--confidence", "5"], "confidence_images=5 with one network"),
        (["--mean-maps"], "mean_map_images=25, but the draws"),
        (["--seed", "-1"], "seed must be at least 0, but -1"),
        (["--mege", "2"], "folds=2: MeGe compares networks trained on at least 3 folds"),
        (["--device", "gpu"], "device 'gpu' cannot be used"),
        (["--models", "3", "--checkpoint", "study_nets:three"], "--models 3 says how many networks to train"),
        (["--weights", "a.pt"], "1 --weights for 0 --checkpoint"),
        (["--checkpoint", "study_nets:three", "--epochs", "3"], "epochs is about training"),
        (["--checkpoint", "study_nets:three", "--roar"], "MeGe and ROAR train networks of their own"),
        (["--checkpoint", "study_nets:nothing"], "--checkpoint study_nets:nothing"),
        (["--checkpoint", "study_nets:words"], "--checkpoint study_nets:words"),
        (["--checkpoint", "study_nets:three", "--weights", "missing.pt"], "missing.pt do not exist"),
        (
            ["--checkpoint", "study_nets:three", "--images", "2"],
            "returns (1, 3) for one image, but DigitsOnPhotographs",
        ),
        (["--train-images", "5", "--models", "3", "--images", "2"], "5 training images for 3 networks"),
        (["--train-images", "6", "--mege", "4", "--images", "2"], "6 training images for 4 networks"),
        (["--out", "study_nets.py"], "out study_nets.py is a file"),
    ],
)
def test_bad_options(options: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in refused(capsys, folder, *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mean", "0.5", "0.5", "0.5"], "mean without std"),
        (["--out", "study_nets.py/inside"], "out study_nets.py/inside cannot be made or written to"),
        (["--models", "31"], "60 training images for 31 networks"),
        (["--views", "19"], "n_views=19, but shifts of at most [1, 1] pixels and flips make only 18 different views"),
        (["--views", "9", "--steps", "8"], "n_views=9, but n_steps=8, and each of these sees one view in IntegratedG"),
        (["--views", "9", "--samples", "8"], "n_views=9, but n_samples=8, and each of these sees one view in Smooth"),
        (
            ["--views", "9", "--samples", "8", "--method", "SparsifiedSmoothGrad"],
            "n_views=9, but n_samples=8, and each of these sees one view in SparsifiedSmoothGrad",
        ),
        (["--size", "2"], "small_cnn fails on an input of shape (1, 3, 2, 2)"),
        (["--std", "1", "1", "0", "--mean", "1", "1", "1"], "std must be finite and above 0"),
        (["--scale", "1"], "changes the units of mean and std: pass mean and std too"),
        (["--classes", "missing.txt"], "missing.txt"),
        (["--classes", "two.txt"], "'red'"),
    ],
)
def test_bad_options_for_files(
    options: list[str], message: str, folder: Path, squares_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "two.txt").write_text("blue\ngreen\n")
    assert message in refused(capsys, folder, *FOLDER, str(squares_root), *options)


def test_networks_that_do_not_fit_the_classes(
    folder: Path, squares_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*SUPPLIED, str(squares_root), "--checkpoint", "study_nets:three", "--checkpoint", "study_nets:four"]
    message = refused(capsys, folder, *options)
    assert "study_nets:four returns (1, 4) for one image, but imagefolder has 3 classes" in message


def test_bad_folders(folder: Path, squares: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    root = folder / "images"
    assert f"{root} is no folder" in refused(capsys, folder, *FOLDER, str(root))
    root.mkdir()
    assert f"{root} holds no images" in refused(capsys, folder, *FOLDER, str(root))
    squares(root, 9, 0)
    for name in ("green", "red"):
        shutil.rmtree(root / name)
    assert "of one class only" in refused(capsys, folder, *FOLDER, str(root))


def test_an_image_that_cannot_be_read_is_named_or_skipped(
    folder: Path, squares: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder / "images"
    squares(root, 12, 0)
    (root / "red" / "broken.png").write_bytes(b"no picture")
    assert "red/broken.png" in refused(capsys, folder, *FOLDER, str(root))

    class TrainingBeganError(Exception):
        pass

    def stop(*_: Any) -> None:
        raise TrainingBeganError("of the study")

    monkeypatch.setattr(run, "train_networks", stop)
    with pytest.raises(TrainingBeganError, match="of the study"):
        main(["study", *FOLDER, str(root), "--on-unreadable", "skip"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "imagefolder: 9 training images, 3 held-out images, 3 classes",
        "skipped red/broken.png: it cannot be read",
    ]


def test_an_unreadable_photograph_of_cifar10(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "test.parquet").write_bytes(b"no parquet")
    assert "test.parquet cannot be read as Parquet" in refused(capsys, folder, "--dataset", "cifar10", "--root", ".")


def test_every_option_reaches_the_study(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[StudySettings, Path, str | None]] = []
    monkeypatch.setattr(
        run, "run_study", lambda settings, out, *, device, report: calls.append((settings, out, device))
    )
    assert main(["study"]) == 0
    assert calls.pop() == (StudySettings(), Path("study"), None)
    trained = "--dataset imagefolder --root r --classes c --network resnet18 --epochs 2 --models 3 --train-images 9"
    trained += " --images 5 --fidelity-images 4 --mean-color-images 1 --road-images 3 --segments 7"
    trained += " --steps 6 --samples 8 --noise 0.3 --draws 4"
    trained += " --chunk 2 --mege --roar --quick --seed 5 --size 64 --mean 1 2 3 --std 4 5 6 --scale 1"
    trained += " --views 6 --auc-steps 9 --method SmoothGrad --method Saliency --rows claimed"
    trained += " --confidence 5 --mean-maps 3"
    trained += " --channel-order bgr --on-unreadable skip --out o --device cpu"
    assert main(["study", *trained.split()]) == 0
    assert calls.pop() == (
        StudySettings(
            dataset="imagefolder",
            root="r",
            classes="c",
            network="resnet18",
            epochs=2,
            models=3,
            train_images=9,
            images=5,
            fidelity_images=4,
            mean_color_images=1,
            road_images=3,
            n_segments=7,
            n_views=6,
            auc_steps=9,
            rows="claimed",
            methods=("SmoothGrad", "Saliency"),
            n_steps=6,
            n_samples=8,
            noise=0.3,
            draws=4,
            chunk_size=2,
            folds=4,
            confidence_images=5,
            mean_map_images=3,
            roar=True,
            quick=True,
            seed=5,
            size=64,
            mean=(1, 2, 3),
            std=(4, 5, 6),
            scale=1,
            channel_order="bgr",
            on_unreadable="skip",
        ),
        Path("o"),
        "cpu",
    )
    assert main(["study", "--confidence", "--mean-maps"]) == 0
    assert calls.pop()[0] == StudySettings(confidence_images=100, mean_map_images=25)
    supplied = ["--checkpoint", "folder", "--checkpoint", "m:f", "--weights", "-", "--weights", "w.pt"]
    assert main(["study", *supplied]) == 0
    settings, _, _ = calls.pop()
    assert settings == StudySettings(checkpoints=("folder", "m:f"), weights=(None, "w.pt"))


def test_every_setting_is_an_option() -> None:
    parser = argparse.ArgumentParser()
    add_study(parser.add_subparsers())
    options = vars(parser.parse_args(["study"]))
    assert options.keys() == {field.name for field in dataclasses.fields(StudySettings)} | {"out", "device", "run"}


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["study", "--help"])
    text = capsys.readouterr().out
    assert "--on-unreadable" in text
    assert "torchrun" in text
    assert "superpixel" in text
    assert "super-pixel" not in text
    assert "captum_superpixel.models.networks:resnet20" in text
    assert max(map(len, text.splitlines())) < 130
    words = " ".join(text.split())
    assert "held-out images to explain (default: 200; cifar10 1000; imagefolder 500; 40 with --quick)" in words
    assert "permutations for the null (default: 2; 1 with --quick)" in words
    assert f"1 leaves them out (default: {N_VIEWS})" in words
    assert (
        f"what is trained: {', '.join(RECIPES)} (default: small_cnn; cifar10 resnet20; imagefolder resnet18)" in words
    )
    assert f"{', '.join(METHOD_NAMES[:-1])} and {METHOD_NAMES[-1]}" in words
    assert f"one of {', '.join(METHOD_NAMES)} and SparsifiedSmoothGrad; give several" in words


def test_a_part_of_another_study_is_refused_with_what_to_do(
    folder: Path, squares_root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    Store(folder / "study" / "parts").save("network-0", {"seed": 1}, {})
    message = refused(capsys, folder, *FOLDER, str(squares_root))
    assert "network-0.pt was made with other settings" in message
    assert message.endswith("delete it to have it made again, or choose another --out\n")
