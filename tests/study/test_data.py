"""The data of a study: disjoint parts, held-out images, preprocessing, and what is refused before any training."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, Subset

from captum_superpixel.datasets import CIFAR10, IMAGENET, DigitsOnPhotographs, Preprocessing
from captum_superpixel.study.data import StudyData, disjoint_parts, load_data
from captum_superpixel.study.settings import StudySettings

Folders = Callable[..., Path]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Writes a folder a class, each image of a grey of its own, and returns the root."""
    pytest.importorskip("datasets")
    written = 0

    def write(counts: dict[str, int], under: str = "") -> Path:
        nonlocal written
        for name, count in counts.items():
            folder = tmp_path / under / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.new("RGB", (8, 8), (written, 255 - written, 7)).save(folder / f"{number:02d}.png")
                written += 1
        return tmp_path

    return write


def settings_for(root: Path, **options: object) -> StudySettings:
    return StudySettings(dataset="imagefolder", root=str(root), size=8, **options).resolved()  # type: ignore[arg-type]


def greys(images: Dataset[tuple[Tensor, int]] | object, preprocessing: Preprocessing = IMAGENET) -> list[int]:
    """The grey by which each image can be told from all others."""
    inputs = torch.stack([images[i][0] for i in range(len(images))])  # type: ignore[index, arg-type]
    mean, std = (torch.tensor(value).view(-1, 1, 1) for value in preprocessing.denormalize)
    return [round(255 * value) for value in (inputs * std + mean)[:, 0, 0, 0].tolist()]


def digits_of(part: Dataset[tuple[Tensor, int]]) -> set[int]:
    assert isinstance(part, Subset)
    assert isinstance(part.dataset, DigitsOnPhotographs)
    return set(part.dataset.digit_indices[part.indices].tolist())


@pytest.fixture(scope="module")
def digits() -> StudyData:
    """Every digit about twice; small ones, whose order is that of the others."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("captum_superpixel.study.data.DigitsOnPhotographs", partial(DigitsOnPhotographs, size=16))
        return load_data(StudySettings(images=10, train_images=2400).resolved())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_parts_of_the_digits_share_no_digit(count: int, digits: StudyData) -> None:
    parts = disjoint_parts(digits, count, StudySettings(models=count, images=10).resolved())
    indices = [index for part in parts for index in part.indices]  # type: ignore[attr-defined]
    assert len(set(indices)) == len(indices)
    sizes = [len(part) for part in parts]  # type: ignore[arg-type]
    assert len(set(sizes)) == 1
    assert 0.95 * 2400 / count <= sizes[0] <= 2400 / count
    of = [digits_of(part) for part in parts]
    assert sum(map(len, of)) == len(set().union(*of)) > 1000
    for part in parts:
        labels = digits.train.labels[part.indices]  # type: ignore[union-attr, attr-defined]
        assert torch.bincount(labels, minlength=10).min() > 0.095 * sizes[0]


def test_two_networks_and_five_get_all_digits(digits: StudyData) -> None:
    for count in (2, 5):
        parts = disjoint_parts(digits, count, StudySettings(models=count, images=10).resolved())
        assert [index for part in parts for index in part.indices] == list(range(2400))  # type: ignore[attr-defined]


def test_more_parts_than_digits(digits: StudyData) -> None:
    with pytest.raises(ValueError, match="2400 training images for 600 networks show too few things"):
        disjoint_parts(digits, 600, StudySettings(models=600, images=10).resolved())


def test_held_out_digits_are_no_training_digits(digits: StudyData) -> None:
    assert isinstance(digits.held_out, DigitsOnPhotographs)
    assert isinstance(digits.train, DigitsOnPhotographs)
    held_out = set(digits.held_out.digit_indices.tolist())
    assert not held_out & set(digits.train.digit_indices.tolist())
    assert digits.object_masks is not None
    assert digits.object_masks.shape == (len(digits.held_out), 1, 16, 16)
    assert torch.equal(digits.held_out.batch([3, 1])[1], digits.held_out[1][0])
    assert digits.held_out[7][1] == digits.held_out.labels[7]
    assert (digits.name, digits.classes) == ("DigitsOnPhotographs", tuple("0123456789"))


def test_which_digits_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Recorded(DigitsOnPhotographs):
        def __init__(self, split: Any, *, size: int = 48, length: int | None = None, seed: int = 0) -> None:
            made.append((split, length, seed))
            super().__init__(split, size=16, length=10)

    monkeypatch.setattr("captum_superpixel.study.data.DigitsOnPhotographs", Recorded)
    load_data(StudySettings(models=3, seed=7).resolved())
    load_data(StudySettings(train_images=40, images=400).resolved())
    assert made == [("train", 12000, 7), ("test", 500, 7), ("train", 40, 0), ("test", 800, 0)]
    made.clear()
    assert load_data(StudySettings(checkpoints=("a:b", "c:d"), seed=7).resolved()).train is None
    assert made == [("test", 500, 7)]


def test_fewer_images_than_networks_need(folders: Folders, digits: StudyData) -> None:
    settings = StudySettings(train_images=9, models=5).resolved()
    with pytest.raises(ValueError, match="9 training images for 5 networks: each needs at least two"):
        disjoint_parts(load_data(settings), 5, settings)
    settings = settings_for(folders({"cat": 3, "dog": 3}), models=3)
    with pytest.raises(ValueError, match="4 training images for 3 networks"):
        disjoint_parts(load_data(settings), 3, settings)


def test_held_out_is_a_fifth_of_every_class(folders: Folders) -> None:
    settings = settings_for(folders({"bee": 1, "cat": 12, "dog": 2, "eel": 20}))
    data = load_data(settings)
    assert data.train is not None
    assert torch.bincount(data.held_out.labels).tolist() == [0, 2, 1, 4]
    assert torch.bincount(data.train.labels).tolist() == [1, 10, 1, 16]
    assert data.classes == ("bee", "cat", "dog", "eel")
    kept, held_out = greys(data.train), greys(data.held_out)
    assert sorted(kept + held_out) == list(range(35))
    again = load_data(settings)
    assert greys(again.held_out) == held_out
    other = load_data(settings_for(Path(str(settings.root)), seed=1))
    assert greys(other.held_out) != held_out


@pytest.mark.parametrize("count", [2, 3])
def test_parts_of_files_are_drawn_and_disjoint(count: int, folders: Folders) -> None:
    settings = settings_for(folders({"cat": 20, "dog": 20}), models=count)
    data = load_data(settings)
    parts = disjoint_parts(data, count, settings)
    found = [greys(part) for part in parts]
    assert [len(part) for part in found] == [32 // count] * count
    assert len({grey for part in found for grey in part}) == count * (32 // count)
    assert all(part != sorted(part) for part in found)
    assert [greys(part) for part in disjoint_parts(data, count, settings)] == found
    other = disjoint_parts(data, count, settings_for(Path(str(settings.root)), seed=1))
    assert [greys(part) for part in other] != found
    fewer = disjoint_parts(data, count, settings_for(Path(str(settings.root)), train_images=12))
    assert [len(part) for part in fewer] == [12 // count] * count  # type: ignore[arg-type]


@pytest.mark.parametrize("held_out", ["val", "validation", "test"])
def test_training_and_held_out_folders(held_out: str, folders: Folders) -> None:
    folders({"cat": 4, "dog": 3}, "train")
    root = folders({"cat": 2, "dog": 1}, held_out)
    data = load_data(settings_for(root))
    assert data.train is not None
    assert greys(data.train) == list(range(7))
    assert sorted(greys(data.held_out)) == [7, 8, 9]
    assert data.object_masks is None
    supplied = load_data(settings_for(root, checkpoints=("a:b",)))
    assert supplied.train is None
    assert sorted(greys(supplied.held_out)) == [7, 8, 9]


def test_networks_that_exist_need_no_training_images(folders: Folders) -> None:
    """All images of the folder are held out, of one class too: nothing is trained on them."""
    data = load_data(settings_for(folders({"cat": 3}), checkpoints=("a:b",)))
    assert data.train is None
    assert sorted(greys(data.held_out)) == [0, 1, 2]
    with pytest.raises(ValueError, match="imagefolder was loaded without training images"):
        disjoint_parts(data, 2, StudySettings())


def test_images_of_folders_come_in_an_order_of_the_seed(folders: Folders) -> None:
    """The first images that are explained are not all of the first class; labels move along."""
    root = folders(dict.fromkeys(("ant", "bee", "cat", "dog"), 6))
    data, again, other = (load_data(settings_for(root, checkpoints=("a:b",), seed=seed)) for seed in (0, 0, 1))
    first = data.held_out.labels[:6].tolist()
    assert len(set(first)) > 1
    assert greys(data.held_out) == greys(again.held_out) != greys(other.held_out)
    assert [grey // 6 for grey in greys(data.held_out)] == data.held_out.labels.tolist()


def test_one_class_only(folders: Folders) -> None:
    root = folders({"cat": 9})
    with pytest.raises(ValueError, match=f"the training images of {root} are of one class only"):
        load_data(settings_for(root))


def test_held_out_images_of_one_class_only(folders: Folders) -> None:
    root = folders({"cat": 4, "dog": 1})
    with pytest.raises(ValueError, match=f"the held-out images of {root} are of one class only"):
        load_data(settings_for(root))


def test_no_class_has_two_images(folders: Folders) -> None:
    with pytest.raises(ValueError, match="2 images, no class with two: none can be held out"):
        load_data(settings_for(folders({"cat": 1, "dog": 1})))


def test_held_out_folders_of_other_classes(folders: Folders, tmp_path: Path) -> None:
    folders({"cat": 4, "dog": 3}, "train")
    root = folders({"cat": 2}, "val")
    with pytest.raises(ValueError, match=r"training folders of .* are other classes than the held-out ones"):
        load_data(settings_for(root))
    names = tmp_path / "classes.txt"
    names.write_text("eel\ndog\ncat\n")
    folders({"dog": 1}, "val")
    data = load_data(settings_for(root, classes=str(names)))
    assert data.classes == ("eel", "dog", "cat")
    assert sorted(data.held_out.labels.tolist()) == [1, 2, 2]


@pytest.mark.parametrize("checkpoints", [(), ("a:b",)])
def test_missing_and_empty_roots(checkpoints: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(ValueError, match="missing is no folder"):
        load_data(settings_for(tmp_path / "missing", checkpoints=checkpoints))
    with pytest.raises(ValueError, match=f"{tmp_path} holds no images"):
        load_data(settings_for(tmp_path, checkpoints=checkpoints))
    for dataset_root in (tmp_path / "missing", tmp_path):
        settings = StudySettings(dataset="cifar10", root=str(dataset_root), checkpoints=checkpoints)
        with pytest.raises(ValueError, match=str(dataset_root)):
            load_data(settings.resolved())


def test_unreadable_images_are_fatal_or_named(folders: Folders) -> None:
    root = folders({"cat": 6, "dog": 6})
    (root / "dog" / "03.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"dog/03\.png"):
        load_data(settings_for(root))
    data = load_data(settings_for(root, on_unreadable="skip"))
    assert data.skipped == ("dog/03.png",)
    assert data.train is not None
    assert len(data.train) + len(data.held_out) == 11


def test_cifar10_is_read_and_only_tested_where_networks_exist(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["x", "y"])})
    for split, first in (("train", 0), ("test", 100)):
        images = [Image.new("RGB", (32, 32), (first + i, 0, 0)) for i in range(6)]
        written = datasets.Dataset.from_dict({"img": images, "label": [0, 1] * 3}, features=features)
        written.to_parquet(tmp_path / f"{split}.parquet")
    data = load_data(StudySettings(dataset="cifar10", root=str(tmp_path)).resolved())
    assert data.train is not None
    assert greys(data.train, CIFAR10) == list(range(6))
    assert greys(data.held_out, CIFAR10) == list(range(100, 106))
    assert (data.name, data.classes, data.denormalize) == ("cifar10", ("x", "y"), CIFAR10.denormalize)
    (tmp_path / "train.parquet").unlink()
    supplied = load_data(StudySettings(dataset="cifar10", root=str(tmp_path), checkpoints=("a:b",)).resolved())
    assert supplied.train is None
    assert greys(supplied.held_out, CIFAR10) == list(range(100, 106))


def test_the_settings_come_before_what_a_network_expects(folders: Folders) -> None:
    root = folders({"cat": 3, "dog": 3})
    expected = Preprocessing(6, mean=(1, 2, 3), std=2, scale=1, channel_order="bgr")

    def loaded(**options: object) -> StudyData:
        settings = StudySettings(dataset="imagefolder", root=str(root), **options)  # type: ignore[arg-type]
        return load_data(settings.resolved(), expected)

    as_expected = loaded()
    assert as_expected.preprocessing == expected
    assert as_expected.channel_order == "bgr"
    assert as_expected.denormalize == expected.denormalize
    first = as_expected.held_out.batch([0])
    assert first.shape == (1, 3, 6, 6)
    grey = round(255 * as_expected.preprocessing.to_pixels(first)[0, 0, 0, 0].item())
    assert torch.allclose(first[0, :, 0, 0], torch.tensor([(7 - 1) / 2, (255 - grey - 2) / 2, (grey - 3) / 2]))
    smaller = loaded(size=4, channel_order="rgb").held_out.batch([0])
    assert smaller.shape == (1, 3, 4, 4)
    # The mean of each color goes where the color goes.
    assert torch.allclose(smaller[0, :, 0, 0], torch.tensor([(grey - 3) / 2, (255 - grey - 2) / 2, (7 - 1) / 2]))
    unit = loaded(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), scale=1 / 255).held_out.batch([0])
    assert torch.allclose(unit[0, :, 0, 0], torch.tensor([7, 255 - grey, grey]) / 255)


def test_inputs_go_back_to_pixels(folders: Folders) -> None:
    root = folders({"cat": 3, "dog": 3})
    for order in ("rgb", "bgr"):
        data = load_data(settings_for(root, channel_order=order))
        pixels = data.preprocessing.to_pixels(data.held_out.batch([0, 1]))
        assert torch.allclose(255 * pixels[:, 2], torch.full((2, 8, 8), 7.0), atol=1e-3)
        assert torch.allclose(pixels[:, 0] + pixels[:, 1], torch.ones(2, 8, 8), atol=1e-5)


def test_the_digits_are_pixels_already(digits: StudyData) -> None:
    """Their preprocessing says so, and mask generators are described by one number for all channels, not by three."""
    assert digits.preprocessing == Preprocessing(16, mean=0, std=1, scale=1 / 255)
    assert (digits.denormalize, digits.channel_order) == ((0.0, 1.0), "rgb")
    inputs = digits.held_out.batch([4, 7])
    assert torch.equal(digits.preprocessing.to_pixels(inputs), inputs)


def test_noise_is_in_units_of_the_input(digits: StudyData, folders: Folders) -> None:
    assert digits.noise(0.12) == pytest.approx(0.12)
    root = folders({"cat": 3, "dog": 3})
    data = load_data(settings_for(root))
    assert data.noise(0.12) == pytest.approx(0.12 / (sum(IMAGENET.denormalize[1]) / 3))
    # The same noise on a network that was trained on 0 to 255.
    caffe = load_data(settings_for(root), Preprocessing(8, 100, 1, 1))
    assert caffe.noise(0.1) == pytest.approx(25.5)


def test_the_fingerprint_follows_images_and_labels(folders: Folders) -> None:
    root = folders({"cat": 5, "dog": 5})
    original = load_data(settings_for(root)).fingerprint()
    assert load_data(settings_for(root)).fingerprint() == original
    assert load_data(settings_for(root, mean=(0.0,) * 3, std=(1.0,) * 3)).fingerprint() != original
    assert load_data(settings_for(root, checkpoints=("a:b",))).fingerprint() != original
    Image.new("RGB", (8, 8)).save(root / "cat" / "99.png")
    assert load_data(settings_for(root)).fingerprint() != original


def test_a_scale_alone_is_refused(folders: Folders) -> None:
    with pytest.raises(ValueError, match="changes the units of mean and std: pass mean and std too"):
        load_data(settings_for(folders({"cat": 3, "dog": 3}), scale=1.0))
