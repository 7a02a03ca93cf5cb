"""The command line, run in this process, from arguments to picture."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from PIL import Image

import captum_superpixel
from captum_superpixel import cli
from captum_superpixel.cli import main
from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.explain import demo

MODULE = """
import torch
from torch import nn

def load():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6))

def features():
    return nn.Conv2d(3, 4, 5)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a photograph and a module, an empty cache, and few digits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "cli_net", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache"))
    lengths = {"train": 200, "test": 240}
    monkeypatch.setattr(demo, "DigitsOnPhotographs", lambda split: DigitsOnPhotographs(split, length=lengths[split]))
    (tmp_path / "cli_net.py").write_text(MODULE)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path


def check_picture(path: Path, rows: int) -> None:
    """A picture about as wide and high as its rows ask for, of which no column is blank."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(float)
    height, width, _ = pixels.shape
    assert width > 1500
    assert 7 / rows * 0.7 < width / height < 7 / rows * 1.3
    for column in np.array_split(pixels, 7, axis=1):
        assert column.std() > 10


def test_digits_from_training_to_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--epochs", "1"]) == 0
    first = capsys.readouterr()
    assert "Cached the trained network" in first.out
    assert "% of 240 test images right" in first.out
    assert f"Wrote {folder / 'demo.png'}" in first.out
    assert "Saliency, IntegratedGradients, SmoothGrad" in first.out
    assert "training" in first.err
    check_picture(folder / "demo.png", rows=4)
    picture = (folder / "demo.png").read_bytes()

    assert main(["demo", "--epochs", "1", "--out", "again.png"]) == 0
    again = capsys.readouterr()
    assert "Took the trained network" in again.out
    assert again.err == ""
    assert (folder / "again.png").read_bytes() == picture

    assert main(["demo", "--epochs", "1", "--retrain", "--out", "again.png"]) == 0
    assert "Cached the trained network" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir() if path.suffix == ".png") == [
        "again.png",
        "demo.png",
        "photo.png",
    ]


def test_photograph_and_network_of_the_user(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = ["demo", "--image", "photo.png", "--model", "cli_net:load", "--size", "32", "--out", "own.png"]
    assert main(own) == 0
    said = capsys.readouterr()
    assert said.err == ""
    predicted = int(said.out.split("predicts class ")[1].split(";")[0])
    assert f"explained is class {predicted}." in said.out
    assert f"Wrote {folder / 'own.png'}" in said.out
    check_picture(folder / "own.png", rows=1)
    first = (folder / "own.png").read_bytes()

    other = (predicted + 1) % 6
    assert main([*own, "--target", str(other), "--mean", "0", "0", "0", "--std", "1", "1", "1", "--seed", "4"]) == 0
    assert f"explained is class {other}." in capsys.readouterr().out
    assert (folder / "own.png").read_bytes() != first
    assert not (folder / "cache").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "photo.png"], "--image without --model: pass both"),
        (["--model", "cli_net:load"], "--model without --image: pass both"),
        (["--image", "missing.png", "--model", "cli_net:load"], "--image missing.png does not exist"),
        (["--image", "cli_net.py", "--model", "cli_net:load"], "cli_net.py is no picture"),
        (["--image", "photo.png", "--model", "nowhere:load"], "importing 'nowhere' failed"),
        (["--image", "photo.png", "--model", "cli_net"], "write MODULE:FACTORY"),
        (["--image", "photo.png", "--model", "builtins:dict"], "dict() returned a dict"),
        (["--image", "photo.png", "--model", "cli_net:features"], "shape (1, 4, 220, 220)"),
        (["--image", "photo.png", "--model", "cli_net:load", "--target", "6"], "--target 6 is no class"),
        (["--image", "photo.png", "--model", "cli_net:load", "--epochs", "2"], "--epochs says how to train"),
        (["--image", "photo.png", "--model", "cli_net:load", "--retrain"], "--retrain says how to train"),
        (["--size", "64"], "--size is about your own network"),
        (["--target", "0"], "--target is about your own network"),
        (["--out", "missing/demo.png"], "there is no folder missing"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("captum-superpixel: error: ")
    assert message in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: '0' is not an integer from 1 to 1000"),
        (["--size", "1.5"], "--size: '1.5' is not an integer from 16"),
        (["--seed", "-1"], "--seed: '-1' is not"),
        (["--std", "1", "0", "1"], "--std: '0' is not above 0"),
        (["--mean", "1", "nan", "1"], "--mean: 'nan' is not a finite number"),
        (["--mean", "1", "x", "1"], "--mean: invalid"),
    ],
)
def test_numbers_are_checked(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["demo", *arguments])
    assert message in capsys.readouterr().err


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["demo"]) == 2
    said = capsys.readouterr().err
    assert "scikit-learn" in said
    assert said.count('pip install "captum-superpixel[demo]"') == 1
    monkeypatch.delattr(captum_superpixel, "demo")
    monkeypatch.setitem(sys.modules, "captum_superpixel.explain.demo", None)
    assert main(["demo"]) == 2
    assert 'this command needs: pip install "captum-superpixel[demo]"' in capsys.readouterr().err


def test_another_missing_extra_is_named_as_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ImportError('the extra is missing: pip install "captum-superpixel[data]"')

    monkeypatch.setattr(demo, "explain_digits", fail)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err.count("pip install") == 1


def test_a_reader_that_leaves_ends_it_quietly() -> None:
    program = (
        "import sys; from captum_superpixel import cli; from captum_superpixel.explain import demo; "
        "demo.explain_digits = lambda *a, **k: [print('x' * 100_000, flush=True) for _ in range(9)]; "
        "sys.exit(cli.main(['demo']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(timeout=120)
    assert process.returncode == 141
    assert said == ""


def test_interruption(monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "train", interrupt)
    assert main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert not (folder / "demo.png").exists()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"captum-superpixel {captum_superpixel.__version__}\n"


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "demo" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["demo", "--help"])
    said = capsys.readouterr().out
    for part in ("examples:", "--image PHOTO", "--model MODULE:FACTORY", "captum-superpixel demo --image cat.jpg"):
        assert part in said


def test_runs_as_a_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["captum-superpixel", "demo", "--size", "64"])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(cli.__file__), run_name="__main__")
    assert "--size is about" in capsys.readouterr().err
