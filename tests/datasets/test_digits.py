"""DigitsOnPhotographs: what it promises about its digits, its splits and its pictures."""

import sys

import numpy as np
import pytest
import torch
from skimage.transform import resize
from sklearn.datasets import load_digits
from torch import Tensor
from torch.utils.data import DataLoader

from captum_superpixel.datasets import DigitsOnPhotographs

LUMINANCE = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


@pytest.fixture(scope="module")
def splits() -> dict[str, DigitsOnPhotographs]:
    """So long that every digit image of each split appears; of different seeds, which must not mix the splits."""
    return {
        "train": DigitsOnPhotographs("train", length=1100, seed=3),
        "validation": DigitsOnPhotographs("validation", length=200, seed=1),
        "test": DigitsOnPhotographs("test", length=440),
    }


def mean_under(images: Tensor, weights: Tensor) -> Tensor:
    """Mean luminance (N,) of images (N, 3, H, W) under weights (N, 1, H, W)."""
    return ((images * LUMINANCE).sum(1, keepdim=True) * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))


def surroundings(masks: Tensor) -> Tensor:
    """What lies within three pixels of the strokes but at least one pixel off them."""
    wide, narrow = (torch.nn.functional.max_pool2d(masks.float(), 2 * r + 1, 1, r) for r in (3, 1))
    return wide - narrow


def test_shapes_types_and_range(splits: dict[str, DigitsOnPhotographs]) -> None:
    data = splits["test"]
    assert len(data) == 440
    assert data.images.shape == (440, 3, 48, 48)
    assert data.images.dtype == torch.float32
    assert data.labels.shape == data.digit_indices.shape == (440,)
    assert data.labels.dtype == data.digit_indices.dtype == torch.int64
    assert data.object_masks.shape == (440, 1, 48, 48)
    assert data.object_masks.dtype == torch.bool
    assert data.images.min() >= 0
    assert data.images.max() <= 1
    image, label = data[7]
    assert torch.equal(image, data.images[7])
    assert label == data.labels[7]
    assert isinstance(label, int)


def test_batches_are_those_images(splits: dict[str, DigitsOnPhotographs]) -> None:
    data = splits["test"]
    expected = torch.stack([data[3][0], data[439][0], data[0][0]])
    assert torch.equal(data.batch([3, -1, 0]), expected)
    assert torch.equal(data.batch(torch.tensor([3, -1, 0])), expected)
    assert data.batch([]).shape == (0, 3, 48, 48)
    for index in (440, -441):
        with pytest.raises(IndexError, match=f"index {index} is outside the 440 images"):
            data.batch([0, index])


def test_pixels_have_256_levels(splits: dict[str, DigitsOnPhotographs]) -> None:
    levels = splits["test"].images * 255
    assert (levels - levels.round()).abs().max() < 1e-4


def test_labels_are_those_of_the_digits(splits: dict[str, DigitsOnPhotographs]) -> None:
    targets = torch.from_numpy(load_digits().target)
    for data in splits.values():
        assert torch.equal(data.labels, targets[data.digit_indices])


def test_every_ten_images_show_each_digit(splits: dict[str, DigitsOnPhotographs]) -> None:
    for data in splits.values():
        assert torch.equal(data.labels.view(-1, 10).sort(dim=1).values, torch.arange(10).expand(len(data) // 10, 10))
    assert (splits["train"].labels.view(-1, 10)[0] != splits["train"].labels.view(-1, 10)[1]).any()


def test_no_two_splits_share_a_digit_image(splits: dict[str, DigitsOnPhotographs]) -> None:
    used = {name: set(data.digit_indices.tolist()) for name, data in splits.items()}
    assert {name: len(indices) for name, indices in used.items()} == {"train": 1100, "validation": 200, "test": 440}
    assert len(set.union(*used.values())) == 1740


def test_halves_share_no_digit_image(splits: dict[str, DigitsOnPhotographs]) -> None:
    first, second = splits["train"].digit_indices.chunk(2)
    assert set(first.tolist()).isdisjoint(second.tolist())


def test_seed_decides_everything_and_global_generators_nothing() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = DigitsOnPhotographs("validation", length=30, seed=5)
    again = DigitsOnPhotographs("validation", length=30, seed=5)
    other = DigitsOnPhotographs("validation", length=30, seed=6)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.object_masks, again.object_masks)
    assert torch.equal(first.digit_indices, again.digit_indices)
    assert not torch.equal(first.images, other.images)


def test_object_masks_show_the_digits(splits: dict[str, DigitsOnPhotographs]) -> None:
    """Cut out and scaled back to 8 x 8 cells, a mask overlaps its own digit far more than other digits."""
    data, bitmaps = splits["test"], load_digits().images / 16
    masks = data.object_masks[:100, 0].numpy()

    def overlap(mask: np.ndarray, bitmap: np.ndarray) -> float:
        cut = []
        for drawing in (mask, bitmap > 0.475):
            rows, columns = np.nonzero(drawing)
            inside = drawing[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            cut.append(resize(inside.astype(float), (16, 16)) > 0.5)
        return (cut[0] & cut[1]).sum() / (cut[0] | cut[1]).sum()

    own = np.mean([overlap(m, bitmaps[i]) for m, i in zip(masks, data.digit_indices, strict=False)])
    other = np.mean([overlap(m, bitmaps[i]) for m, i in zip(masks, data.digit_indices.roll(1), strict=False)])
    assert own > 0.65
    assert own > other + 0.25


def test_digits_vary_in_size_and_place(splits: dict[str, DigitsOnPhotographs]) -> None:
    masks = splits["test"].object_masks[:, 0]
    heights = masks.any(dim=2).sum(dim=1)
    assert heights.min() >= 16
    assert heights.max() <= 48
    assert heights.double().std() > 3
    columns = (masks.double() * torch.arange(48)).sum((1, 2)) / masks.sum((1, 2))
    assert columns.std() > 2


def test_strokes_stand_out_from_what_they_lie_on(splits: dict[str, DigitsOnPhotographs]) -> None:
    data = splits["test"]
    difference = mean_under(data.images, data.object_masks.float()) - mean_under(
        data.images, surroundings(data.object_masks)
    )
    assert (difference.abs() > 0.1).double().mean() > 0.98
    assert 0.3 < (difference > 0).double().mean() < 0.7


def test_both_sides_carry_texture(splits: dict[str, DigitsOnPhotographs]) -> None:
    data = splits["test"]
    strokes = 1 - torch.nn.functional.max_pool2d(1 - data.object_masks.float(), 3, 1, 1)
    grey = (data.images * LUMINANCE).sum(1, keepdim=True)
    for side in (strokes, surroundings(data.object_masks)):
        mean = mean_under(data.images, side).view(-1, 1, 1, 1)
        deviation = (((grey - mean) ** 2 * side).sum((1, 2, 3)) / side.sum((1, 2, 3))).sqrt()
        assert deviation.median() > 0.03


def test_a_linear_classifier_fails(splits: dict[str, DigitsOnPhotographs]) -> None:
    """Ridge regression on pixels: exact in the dual, so nothing can go wrong in its training."""
    train, test = splits["train"], splits["test"]
    x, y = ((images - train.images.mean(0)).flatten(1) for images in (train.images[:1000], test.images))
    kernel = x @ x.T
    ridge = kernel.diagonal().mean() * torch.eye(len(x))
    weights = torch.linalg.solve(kernel + ridge, torch.nn.functional.one_hot(train.labels[:1000], 10) - 0.1)
    assert ((y @ x.T @ weights).argmax(1) == test.labels).double().mean() < 0.25
    assert ((kernel @ weights).argmax(1) == train.labels[:1000]).double().mean() > 0.5


@pytest.mark.parametrize("size", [16, 160])
def test_other_sizes(size: int) -> None:
    data = DigitsOnPhotographs("validation", size=size, length=12)
    assert data.images.shape == (12, 3, size, size)
    assert (data.object_masks.flatten(1).double().mean(1) > 0.02).all()


def test_default_lengths() -> None:
    assert len(DigitsOnPhotographs("validation")) == 1000


def test_goes_through_a_data_loader(splits: dict[str, DigitsOnPhotographs]) -> None:
    images, labels = next(iter(DataLoader(splits["test"], batch_size=5)))
    assert torch.equal(images, splits["test"].images[:5])
    assert torch.equal(labels, splits["test"].labels[:5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, r"split='dev'.*'train', 'validation', 'test'"),
        ({"size": 8}, "size must be at least 16, but 8"),
        ({"size": 257}, "size must be at most 256, but 257"),
        ({"length": 0}, "length must be at least 1, but 0"),
        ({"length": 1_000_001}, "length must be at most 1000000, but 1000001"),
        ({"seed": -1}, "seed must be at least 0, but -1"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitsOnPhotographs(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["size", "length", "seed"])
def test_arguments_that_are_not_integers(name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name} must be an integer, but 48\.0"):
        DigitsOnPhotographs("test", **{name: 48.0})  # type: ignore[arg-type]


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"scikit-learn.*captum-superpixel\[demo\]"):
        DigitsOnPhotographs(length=1)
