"""LabelledImages: the same inputs whether held in memory or on disk, alone or in a batch."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from captum_superpixel.datasets import LabelledImages, Preprocessing

SAME_SIZE = Preprocessing((6, 8), mean=(0.1, 0.2, 0.3), std=0.5, channel_order="bgr")
SMALLER = Preprocessing(4, mean=0.5, std=0.5)


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(256, (5, 3, 6, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def paths(pixels: Tensor, tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{i}.png" for i in range(len(pixels))]
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return paths


def labelled(images: object, preprocessing: Preprocessing = SAME_SIZE, **options: object) -> LabelledImages:
    settings = {"labels": [0, 1, 2, 0, 1], "classes": ["a", "b", "c"], "preprocessing": preprocessing} | options
    return LabelledImages(images, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("preprocessing", [SAME_SIZE, SMALLER])
def test_memory_and_disk_give_the_same(preprocessing: Preprocessing, pixels: Tensor, paths: list[Path]) -> None:
    held, read = labelled(pixels, preprocessing), labelled(paths, preprocessing)
    everything = held.batch(range(5))
    assert everything.shape == (5, 3, *preprocessing.shape)
    assert everything.dtype == torch.float32
    assert torch.equal(everything, read.batch(range(5)))
    for i in range(5):
        for data in (held, read):
            image, label = data[i]
            assert torch.equal(image, everything[i])
            assert label == [0, 1, 2, 0, 1][i]
            assert isinstance(label, int)
    if preprocessing is SAME_SIZE:
        assert torch.equal(everything, preprocessing.from_uint8(pixels))


def test_attributes(pixels: Tensor, paths: list[Path]) -> None:
    held, read = labelled(pixels), labelled(paths, skipped=["x"])
    assert len(held) == len(read) == 5
    assert held.labels.tolist() == [0, 1, 2, 0, 1]
    assert held.labels.dtype == torch.int64
    assert held.classes == ["a", "b", "c"]
    assert held.names[1] == "image 1"
    assert read.names == [str(path) for path in paths]
    assert held.skipped == []
    assert read.skipped == ["x"]
    assert repr(held) == "LabelledImages(5 images, 3 classes, inputs (3, 6, 8))"


def test_subsets(pixels: Tensor, paths: list[Path]) -> None:
    for data in (labelled(pixels), labelled(paths)):
        part = data.subset(torch.tensor([3, -1]))
        assert torch.equal(part.batch([0, 1]), data.batch([3, 4]))
        assert part.labels.tolist() == [0, 1]
        assert part.names == [data.names[3], data.names[4]]
        assert part.classes == data.classes
        assert data.batch([]).shape == (0, 3, 6, 8)


@pytest.mark.parametrize("workers", [0, 1])
def test_through_a_data_loader(workers: int, paths: list[Path]) -> None:
    data = labelled(paths, SMALLER)
    batches = list(DataLoader(data, batch_size=3, num_workers=workers))
    assert torch.equal(torch.cat([images for images, _ in batches]), data.batch(range(5)))
    assert torch.equal(torch.cat([labels for _, labels in batches]), data.labels)


def test_a_file_that_is_gone_is_named(paths: list[Path]) -> None:
    data = labelled(paths, names=list("vwxyz"))
    paths[2].unlink()
    assert data[1][0].shape == (3, 6, 8)
    with pytest.raises(ValueError, match=r"x cannot be read \(FileNotFoundError"):
        data[2]


@pytest.mark.parametrize("index", [5, -6])
def test_indices_outside(index: int, pixels: Tensor) -> None:
    with pytest.raises(IndexError, match=f"index {index} is outside the 5 images"):
        labelled(pixels)[index]
    with pytest.raises(IndexError, match=f"index {index} is outside the 5 images"):
        labelled(pixels).subset([0, index])


def test_bad_arguments(pixels: Tensor) -> None:
    with pytest.raises(TypeError, match=r"images must be uint8, but have dtype torch\.float32"):
        labelled(pixels.float())
    with pytest.raises(ValueError, match=r"images have shape \(5, 1, 6, 8\)"):
        labelled(pixels[:, :1])
    with pytest.raises(TypeError, match="images must be a uint8 tensor or paths, but a str"):
        labelled("folder")
    with pytest.raises(ValueError, match="no images were passed"):
        labelled([])
    with pytest.raises(TypeError, match="preprocessing must be a Preprocessing, but a NoneType"):
        labelled(pixels, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"labels of shape \(4,\) and torch\.int64 came with 5 images"):
        labelled(pixels, labels=[0, 1, 2, 0])
    with pytest.raises(ValueError, match=r"labels of shape \(5,\) and torch\.float32 came with 5 images"):
        labelled(pixels, labels=torch.zeros(5))
    with pytest.raises(ValueError, match="label 3 is not among the 3 classes"):
        labelled(pixels, labels=[0, 1, 2, 3, 0])
    with pytest.raises(ValueError, match="label -1 is not among the 3 classes"):
        labelled(pixels, labels=[0, 1, 2, -1, 0])
    with pytest.raises(ValueError, match="2 names came with 5 images"):
        labelled(pixels, names=["a", "b"])
    with pytest.raises(ValueError, match="a subset of no images"):
        labelled(pixels).subset([])
