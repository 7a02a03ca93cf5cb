"""The demonstration, run from options to picture with few digits; its maps, its figure, and the cached network."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import platformdirs
import pytest
import torch
from captum.attr import Saliency
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.cli import main
from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.explain import demo
from captum_superpixel.explain.demo import MethodMaps, draw, explain, trained_network
from captum_superpixel.pooling import pool_segments
from captum_superpixel.study.training import RECIPES

METHODS = ["Saliency", "IntegratedGradients", "SmoothGrad"]
Trained = Callable[..., nn.Module]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, in place of the user's."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache" / "captum_superpixel"


@pytest.fixture
def few(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few digits."""
    lengths = {"train": 100, "test": 230}
    monkeypatch.setattr(demo, "DigitsOnPhotographs", lambda split: DigitsOnPhotographs(split, length=lengths[split]))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Training that only notes the number of epochs and moves the weights."""
    calls: list[int] = []

    def train(
        model: nn.Module, dataset: DigitsOnPhotographs, *, epochs: int, generator: torch.Generator, **options: Any
    ) -> None:
        assert options == RECIPES["small_cnn"].options
        calls.append(epochs)
        assert len(dataset) == 30
        for parameter in model.parameters():
            parameter.data.add_(torch.rand(parameter.shape, generator=generator))
        model.eval()

    monkeypatch.setattr(demo, "train", train)
    monkeypatch.setattr(demo, "DigitsOnPhotographs", lambda split: DigitsOnPhotographs(split, length=30))
    return calls


@pytest.fixture(scope="module")
def digits() -> DigitsOnPhotographs:
    return DigitsOnPhotographs("test", length=30)


@pytest.fixture
def trained(digits: DigitsOnPhotographs) -> Trained:
    """``trained_network`` with 12 epochs and the seed 0, unless told otherwise."""

    def run(test: DigitsOnPhotographs = digits, lines: list[str] | None = None, **options: int) -> nn.Module:
        settings = {"seed": 0, "epochs": 12, "retrain": False} | options
        return trained_network(test, report=[].append if lines is None else lines.append, **settings)  # type: ignore[arg-type]

    return run


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def explained(net: nn.Module, pictures: Tensor) -> tuple[Tensor, MethodMaps]:
    return explain(net, pictures, torch.tensor([1, 3]), seed=0)


@pytest.fixture
def figure(pictures: Tensor, explained: tuple[Tensor, MethodMaps]) -> Figure:
    return draw(pictures, *explained, torch.tensor([7, 3]), torch.tensor([1, 3]))


def pixels_of(path: Path) -> npt.NDArray[np.float64]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.float64)


def check_picture(pixels: npt.NDArray[np.float64]) -> None:
    """A picture of four rows of seven columns between the text and the color bar, none of them blank."""
    height, width, _ = pixels.shape
    assert width > 1500
    assert 1.5 < width / height < 2
    for column in np.array_split(pixels[:, width // 15 : -width // 10], 7, axis=1):
        assert column.std() > 40


def test_digits_from_training_to_picture(few: None, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--epochs", "1"]) == 0
    first = capsys.readouterr()
    assert "Cached the trained network" in first.out
    assert "% of 230 test images right" in first.out
    assert f"Wrote {folder / 'demo.png'}" in first.out
    assert "Saliency, IntegratedGradients, SmoothGrad, each pixel by pixel and grouped" in first.out
    assert "training" in first.err
    picture = pixels_of(folder / "demo.png")
    check_picture(picture)

    assert main(["demo", "--epochs", "1", "--out", "again.png"]) == 0
    again = capsys.readouterr()
    assert "Took the trained network" in again.out
    assert again.err == ""
    # Sums round as the operands lie in memory, which can move a pixel by one level.
    assert np.abs(pixels_of(folder / "again.png") - picture).max() <= 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("picture.jpg", r"--out picture\.jpg does not end in \.png"),
        ("missing/picture.png", r"there is no folder missing"),
        ("folder.png", r"folder\.png is a folder"),
    ],
)
def test_bad_out(name: str, message: str, folder: Path) -> None:
    """It is refused before anything is trained."""
    (folder / "folder.png").mkdir()
    with pytest.raises(InputError, match=message):
        demo.run_demo(Path(name), seed=0, epochs=1, retrain=False, report=lambda line: pytest.fail(line))


def test_failed_picture_leaves_the_old_one(
    few: None, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (3, 3)).save(folder / "demo.png")
    old = (folder / "demo.png").read_bytes()

    def full(pixels: object, path: Path, dpi: int) -> None:
        path.write_bytes(b"half a picture")
        raise OSError("no space left")

    monkeypatch.setattr("captum_superpixel.explain.rendering.save_png", full)
    assert main(["demo", "--epochs", "1"]) == 2
    assert "--out demo.png cannot be written (no space left)." in capsys.readouterr().err
    assert (folder / "demo.png").read_bytes() == old
    assert not list(folder.glob(".*.part"))


def test_scikit_learn_is_asked_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["demo"]) == 2
    said = capsys.readouterr().err
    assert "scikit-learn" in said
    assert said.count('pip install "captum-superpixel[demo]"') == 1


def test_maps_are_magnitudes_and_their_means_within_superpixels(explained: tuple[Tensor, MethodMaps]) -> None:
    feature_mask, maps = explained
    assert feature_mask.shape == (2, 1, 16, 12)
    assert min(len(mask.unique()) for mask in feature_mask) > 30
    assert list(maps) == METHODS
    for pair in maps.values():
        by_pixel, grouped = pair.values()
        assert list(pair) == ["pixel by pixel", "grouped"]
        assert by_pixel.min() >= 0
        assert by_pixel.amax((1, 2, 3)).min() > 0
        assert torch.allclose(grouped, pool_segments(by_pixel, feature_mask), atol=1e-6)


def test_maps_are_those_of_the_targets(net: nn.Module, pictures: Tensor, explained: tuple[Tensor, MethodMaps]) -> None:
    expected = Saliency(net).attribute(pictures.requires_grad_(), target=torch.tensor([1, 3]))
    assert torch.allclose(explained[1]["Saliency"]["pixel by pixel"], expected)


def test_baseline_is_gray_and_the_seed_that_of_the_noise(net: nn.Module) -> None:
    images = torch.full((1, 3, 16, 12), 0.5)
    images[..., :4] = 0.75
    before = torch.get_rng_state()
    (_, first), (_, again), (_, other) = (explain(net, images, torch.tensor([0]), seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    by_pixel = first["IntegratedGradients"]["pixel by pixel"]
    assert by_pixel[..., 4:].abs().max() == 0
    assert by_pixel[..., :4].abs().max() > 0
    for how, maps in first["SmoothGrad"].items():
        assert torch.equal(maps, again["SmoothGrad"][how])
        assert not torch.equal(maps, other["SmoothGrad"][how])


def test_figure_has_a_row_per_image_and_two_columns_per_method(figure: Figure) -> None:
    axes = [axis for axis in figure.axes if axis.images]
    assert len(axes) == 14
    assert axes[0].get_title() == "image\nand superpixels"
    assert [axis.get_title() for axis in axes[1:7]] == ["pixel by pixel", "grouped"] * 3
    assert [axes[row].get_ylabel() for row in (0, 7)] == ["label: 7\npredicted: 1", "label: 3\npredicted: 3"]
    headings = [text.get_text() for axis in figure.axes if axis.get_label() == "heading" for text in axis.texts]
    assert headings == METHODS
    assert plt.get_fignums() == []


def test_each_map_has_its_own_scale(figure: Figure) -> None:
    """The strongest two per cent of each map are drawn alike, as 1."""
    for axis in figure.axes:
        if axis.get_title() in ("pixel by pixel", "grouped"):
            (image,) = axis.images
            low, high = image.get_clim()
            assert np.asarray(image.get_array()).max() == pytest.approx(high)
            assert low == pytest.approx(0)


def states(model: nn.Module) -> list[Tensor]:
    return list(model.state_dict().values())


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(states(first), states(second), strict=True))


def test_network_is_cached(cache: Path, trainings: list[int], trained: Trained) -> None:
    lines: list[str] = []
    first, again = trained(lines=lines), trained(lines=lines)
    assert trainings == [12]
    assert same(first, again)
    assert not again.training
    (file,) = cache.iterdir()
    assert lines == [
        f"Cached the trained network as {file}.",
        f"Took the trained network from {file} (--retrain trains it again).",
    ]
    trained(retrain=True)
    assert len(trainings) == 2


def test_other_settings_are_other_networks(
    cache: Path, trainings: list[int], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained()
    trained(epochs=3)
    trained(seed=1)
    trained(DigitsOnPhotographs("test", length=30, seed=1))
    monkeypatch.setattr("captum_superpixel.__version__", "9.9.9")
    trained()
    assert trainings == [12, 3, 12, 12, 12]
    assert len(list(cache.iterdir())) == 5


def other_file(path: Path) -> None:
    """A file of PyTorch, but not one that this package wrote."""
    torch.save(nn.Linear(2, 2).state_dict(), path)


def renamed(path: Path) -> None:
    """A network of another seed under the name of this one."""
    other = next(file for file in path.parent.iterdir() if file != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
        other_file,
        renamed,
    ],
    ids=["empty", "cut", "changed", "other", "renamed"],
)
def test_a_cached_network_that_is_no_good_is_trained_anew(
    damage: Callable[[Path], object], cache: Path, trainings: list[int], trained: Trained
) -> None:
    first = trained()
    (file,) = cache.iterdir()
    trained(seed=1)
    damage(file)
    lines: list[str] = []
    assert same(trained(lines=lines), first)
    assert lines[0] == f"The cached network {file} cannot be read; training it again."
    assert len(trainings) == 3
    assert same(trained(), first)
    assert len(trainings) == 3


@pytest.mark.parametrize("failing", ["train", "torch.save"])
def test_interrupted_training_leaves_nothing(
    failing: str, cache: Path, trainings: list[int], trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt(f"while in {failing}")

    monkeypatch.setattr(demo if failing == "train" else torch, failing.removeprefix("torch."), interrupt)
    with pytest.raises(KeyboardInterrupt, match=f"while in {failing}"):
        trained()
    assert not cache.exists() or not list(cache.iterdir())


def test_cache_that_cannot_be_written_is_no_obstacle(cache: Path, trainings: list[int], trained: Trained) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    lines: list[str] = []
    trained(lines=lines)
    assert trainings == [12]
    assert "could not be cached" in lines[0]


def test_choice_prefers_images_that_are_classified_rightly() -> None:
    labels = torch.arange(300) % 10
    favorites = list(demo._FAVORITES)
    right = torch.ones(300, dtype=torch.bool)
    assert demo._choose(labels, right) == favorites
    right[favorites[0]] = False
    assert demo._choose(labels, right) == [favorites[0] + 10, *favorites[1:]]
    right[favorites[0] :] = False
    assert demo._choose(labels, right)[0] == favorites[0] % 10
    right[:] = False
    assert demo._choose(labels, right) == favorites


def test_favorites_are_four_digits() -> None:
    labels = DigitsOnPhotographs("test").labels[list(demo._FAVORITES)]
    assert len(labels.unique()) == 4
