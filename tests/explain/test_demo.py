"""The demonstration's parts: maps, figure, the cached network, and the picture's file."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import platformdirs
import pytest
import torch
from captum.attr import Saliency
from PIL import Image
from torch import Tensor, nn

from captum_superpixel.datasets import DigitsOnPhotographs
from captum_superpixel.explain import demo
from captum_superpixel.explain.demo import Explanation, draw, explain, trained_network
from captum_superpixel.masks import Grid, SkimageSlic
from captum_superpixel.models.classifying import InputError
from captum_superpixel.pooling import pool_segments

METHODS = ["Saliency", "IntegratedGradients", "SmoothGrad"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, in place of the user's."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    return tmp_path / "cache" / "captum_superpixel"


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Training that only notes the number of epochs and moves the weights."""
    calls: list[int] = []

    def train(model: nn.Module, dataset: DigitsOnPhotographs, *, epochs: int, generator: torch.Generator) -> None:
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
def explanation(net: nn.Module) -> Explanation:
    images = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(0))
    return explain(net, images, torch.tensor([1, 3]), SkimageSlic(n_segments=9))


def test_maps_are_magnitudes_and_their_means_within_segments(explanation: Explanation) -> None:
    assert explanation.feature_mask.shape == (2, 1, 16, 12)
    assert [len(mask.unique()) for mask in explanation.feature_mask] == [9, 9]
    assert list(explanation.maps) == METHODS
    for by_pixel, grouped in explanation.maps.values():
        assert by_pixel.min() >= 0
        assert by_pixel.amax((1, 2, 3)).min() > 0
        assert torch.allclose(grouped, pool_segments(by_pixel, explanation.feature_mask), atol=1e-6)


def test_maps_are_those_of_the_targets(net: nn.Module, explanation: Explanation) -> None:
    images = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = Saliency(net).attribute(images, target=torch.tensor([1, 3]))
    assert torch.allclose(explanation.maps["Saliency"][0], expected)


def test_baseline_and_seed(net: nn.Module) -> None:
    images = torch.full((1, 3, 16, 12), 0.25)
    images[..., :4] = 0.5
    before = torch.get_rng_state()
    first, again, other = (
        explain(net, images, torch.tensor([0]), Grid(4), baseline=0.25, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert first.maps["IntegratedGradients"][0][..., 4:].abs().max() == 0
    assert first.maps["IntegratedGradients"][0][..., :4].abs().max() > 0
    assert torch.equal(first.maps["SmoothGrad"][0], again.maps["SmoothGrad"][0])
    assert not torch.equal(first.maps["SmoothGrad"][0], other.maps["SmoothGrad"][0])


def test_figure_has_a_row_an_image_and_two_columns_a_method(explanation: Explanation) -> None:
    figure = draw(torch.rand(2, 3, 16, 12), explanation, ["one", "two"])
    titles = [axes.get_title() for axes in figure.axes]
    assert len(titles) == 14
    assert titles[0] == "image\nand superpixels"
    assert titles[1:7] == [f"{name}\n{how}" for name in METHODS for how in ("pixel by pixel", "grouped")]
    assert set(titles[7:]) == {""}
    assert [figure.axes[row].get_ylabel() for row in (0, 7)] == ["one", "two"]
    assert plt.get_fignums() == []


def test_drawn_maps_are_the_maps(explanation: Explanation) -> None:
    """Captum sums over channels and scales; what is left is the order of the pixels, cut off at the top."""
    figure = draw(torch.rand(2, 3, 16, 12), explanation, ["one", "two"])
    for row in range(2):
        for column, maps in enumerate([m for pair in explanation.maps.values() for m in pair], start=1):
            drawn = np.asarray(figure.axes[7 * row + column].images[0].get_array())
            wanted = maps[row].sum(0).numpy()
            scale = wanted[drawn < 1].max() / drawn[drawn < 1].max()
            assert np.allclose(drawn, np.minimum(wanted / scale, 1), atol=1e-4)


def test_borders_are_drawn_between_segments() -> None:
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.int64)
    mask[..., 4:] = 1
    blank = torch.ones(1, 3, 8, 8)
    figure = draw(torch.zeros(1, 3, 8, 8), Explanation(mask, {"Method": (blank, blank)}), ["image"])
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    lit = np.flatnonzero(drawn.any(axis=(0, 2)))
    assert drawn.shape == (400, 400, 3)
    assert lit.tolist() == [199, 200]


@pytest.mark.parametrize(("value", "text"), [(0.0, "all zero"), (float("nan"), "not finite")])
def test_maps_that_cannot_be_scaled_are_named(value: float, text: str) -> None:
    maps = torch.full((1, 3, 8, 8), value)
    explanation = Explanation(torch.zeros(1, 1, 8, 8, dtype=torch.int64), {"Method": (maps, torch.ones(1, 3, 8, 8))})
    figure = draw(torch.rand(1, 3, 8, 8), explanation, ["image"])
    assert [written.get_text() for written in figure.axes[1].texts] == [text]
    assert not figure.axes[2].texts


def test_tiny_maps_are_drawn_without_a_warning() -> None:
    maps = torch.rand(1, 3, 8, 8) * 1e-9
    explanation = Explanation(torch.zeros(1, 1, 8, 8, dtype=torch.int64), {"Method": (maps, maps)})
    figure = draw(torch.rand(1, 3, 8, 8), explanation, ["image"])
    assert np.asarray(figure.axes[1].images[0].get_array()).max() == 1


def states(model: nn.Module) -> list[Tensor]:
    return list(model.state_dict().values())


def same(first: nn.Module, second: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(states(first), states(second), strict=True))


def test_network_is_cached(cache: Path, trainings: list[int], digits: DigitsOnPhotographs) -> None:
    lines: list[str] = []
    first = trained_network(digits, report=lines.append)
    again = trained_network(digits, report=lines.append)
    assert trainings == [demo.EPOCHS]
    assert same(first, again)
    assert not again.training
    (file,) = cache.iterdir()
    assert lines == [
        f"Cached the trained network as {file}.",
        f"Took the trained network from {file} (--retrain trains it again).",
    ]
    trained_network(digits, retrain=True)
    assert len(trainings) == 2


def test_other_settings_are_other_networks(
    cache: Path, trainings: list[int], digits: DigitsOnPhotographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_network(digits)
    trained_network(digits, epochs=3)
    trained_network(digits, seed=1)
    trained_network(DigitsOnPhotographs("test", length=30, seed=1))
    monkeypatch.setattr("captum_superpixel.__version__", "9.9.9")
    trained_network(digits)
    assert trainings == [demo.EPOCHS, 3, demo.EPOCHS, demo.EPOCHS, demo.EPOCHS]
    assert len(list(cache.iterdir())) == 5


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:5000], lambda data: b"x" * len(data)])
def test_damaged_cache_is_replaced(
    damage: Callable[[bytes], bytes], cache: Path, trainings: list[int], digits: DigitsOnPhotographs
) -> None:
    first = trained_network(digits)
    (file,) = cache.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    lines: list[str] = []
    assert same(trained_network(digits, report=lines.append), first)
    assert "cannot be read" in lines[0]
    assert len(trainings) == 2
    assert same(trained_network(digits), first)
    assert len(trainings) == 2


def test_cache_of_another_network_is_replaced(cache: Path, trainings: list[int], digits: DigitsOnPhotographs) -> None:
    trained_network(digits)
    (file,) = cache.iterdir()
    torch.save(nn.Linear(2, 2).state_dict(), file)
    trained_network(digits)
    assert len(trainings) == 2


@pytest.mark.parametrize("failing", ["train", "torch.save"])
def test_interrupted_training_leaves_nothing(
    failing: str, cache: Path, trainings: list[int], digits: DigitsOnPhotographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        if failing == "torch.save":
            Path(str(arguments[1])).write_bytes(b"half a network")
        raise KeyboardInterrupt(f"while in {failing}")

    monkeypatch.setattr(demo if failing == "train" else torch, failing.removeprefix("torch."), interrupt)
    with pytest.raises(KeyboardInterrupt, match=f"while in {failing}"):
        trained_network(digits)
    assert not cache.exists() or not list(cache.iterdir())


def test_cache_that_cannot_be_written_is_no_obstacle(
    cache: Path, trainings: list[int], digits: DigitsOnPhotographs
) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    lines: list[str] = []
    trained_network(digits, report=lines.append)
    assert trainings == [demo.EPOCHS]
    assert "could not be cached" in lines[0]


def test_choice_prefers_images_that_are_classified_rightly() -> None:
    labels = torch.arange(300) % 10
    favourites = list(demo._FAVOURITES)
    right = torch.ones(300, dtype=torch.bool)
    assert demo._choose(labels, right) == favourites
    right[favourites[0]] = False
    assert demo._choose(labels, right) == [favourites[0] + 10, *favourites[1:]]
    right[favourites[0] :] = False
    assert demo._choose(labels, right)[0] == favourites[0] % 10
    right[:] = False
    assert demo._choose(labels, right) == favourites


def test_favourites_are_four_digits() -> None:
    labels = DigitsOnPhotographs("test").labels[list(demo._FAVOURITES)]
    assert len(labels.unique()) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("picture.jpg", r"picture\.jpg does not end in \.png"),
        ("missing/picture.png", r"there is no folder .*missing"),
        ("folder.png", r"folder\.png is a folder"),
    ],
)
def test_bad_out(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=message):
        demo.explain_digits(tmp_path / name)
    with pytest.raises(InputError, match=message):
        demo.explain_photograph(tmp_path, "nothing", tmp_path / name)


def test_failed_picture_leaves_the_old_one(
    explanation: Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "picture.png"
    Image.new("RGB", (3, 3)).save(out)
    old = out.read_bytes()
    figure = draw(torch.rand(2, 3, 16, 12), explanation, ["one", "two"])

    def full(path: Path, **options: object) -> None:
        path.write_bytes(b"half a picture")
        raise OSError("no space left")

    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(InputError, match=r"picture\.png cannot be written \(no space left\)"):
        demo._save(figure, out)
    assert out.read_bytes() == old
    assert list(tmp_path.iterdir()) == [out]
