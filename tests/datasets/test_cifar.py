"""cifar10: the layouts it finds, what it reads from them, and what the errors say."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from captum_superpixel.datasets import CIFAR10, IMAGENET, PhotographWarning, Preprocessing, cifar10

datasets = pytest.importorskip("datasets")
LABELS = [0, 1, 2] * 4
Write = Callable[..., Path]
Encode = Callable[..., bytes]


@pytest.mark.parametrize(
    "name",
    [
        "test.parquet",
        "test-00000-of-00001.parquet",
        "plain_text/test-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet",
        "plain_text/test/0000.parquet",
    ],
)
def test_layouts(
    name: str, pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path, no_network: list[object]
) -> None:
    write_parquet(name, [encode(image) for image in pixels], LABELS)
    write_parquet(name.replace("test", "train"), [encode(pixels[0])], [2])
    data = cifar10(str(tmp_path), "test")
    assert data.labels.tolist() == LABELS
    assert data.classes == ["a", "b", "c"]
    assert data.names[11] == f"{Path(name).name} row 11"
    assert data.skipped == []
    assert len(cifar10(tmp_path)) == 1
    assert no_network == []
    eight = Preprocessing(8, CIFAR10.mean, CIFAR10.std)
    assert torch.equal(cifar10(tmp_path, "test", preprocessing=eight).batch(range(12)), eight.from_uint8(pixels))


def test_what_datasets_writes_itself(pixels: Tensor, tmp_path: Path) -> None:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["x", "y"])})
    images = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels]
    written = datasets.Dataset.from_dict({"image": images, "label": [0, 1] * 6}, features=features)
    written.to_parquet(tmp_path / "train.parquet")
    data = cifar10(tmp_path, preprocessing=IMAGENET)
    assert data.classes == ["x", "y"]
    assert data.labels.tolist() == [0, 1] * 6
    assert torch.equal(data[3][0], IMAGENET(images[3]))


def test_jpeg_against_pillow(pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path) -> None:
    contents = [encode(image, "jpeg") for image in pixels]
    write_parquet("train.parquet", contents, LABELS)
    expected = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in contents])
    plain = Preprocessing(8, mean=0, std=1, scale=1)
    actual = cifar10(tmp_path, preprocessing=plain).batch(range(12))
    np.testing.assert_array_equal(actual.permute(0, 2, 3, 1).numpy(), expected)


def test_parts_follow_one_another(pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path) -> None:
    for part in (2, 0, 1):
        write_parquet(f"train-0000{part}-of-00003.parquet", [encode(pixels[part])] * 2, [part] * 2)
    data = cifar10(tmp_path)
    assert data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.names[3] == "train-00001-of-00003.parquet row 1"
    (tmp_path / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(ValueError, match="holds 2 of the 3 parts of train-00000-of-00003"):
        cifar10(tmp_path)


def test_names_of_classes_where_the_file_has_none(
    pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path
) -> None:
    write_parquet("train.parquet", [encode(pixels[0])], [9], classes=None)
    data = cifar10(tmp_path)
    assert data.classes[int(data.labels[0])] == "truck"


@pytest.mark.parametrize("broken", [b"no image", b"", None])
def test_unreadable_images(
    broken: bytes | None, pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path
) -> None:
    contents: list[bytes | None] = [encode(image) for image in pixels]
    contents[4] = broken
    contents[6] = encode(pixels[6])[:100]
    write_parquet("train.parquet", contents, LABELS)
    with pytest.raises(
        ValueError, match=r"2 of 12 images .* train.parquet row 4 \(Unid.*row 6 \(.*on_unreadable='skip'"
    ):
        cifar10(tmp_path)
    data = cifar10(tmp_path, on_unreadable="skip")
    assert data.skipped == ["train.parquet row 4", "train.parquet row 6"]
    assert len(data) == 10
    kept = [0, 1, 2, 3, 5, 7, 8, 9, 10, 11]
    assert data.labels.tolist() == [LABELS[i] for i in kept]
    assert data.names[4] == "train.parquet row 5"


def test_nothing_readable(write_parquet: Write, tmp_path: Path) -> None:
    write_parquet("train.parquet", [b"x"] * 10, [0] * 10)
    with pytest.raises(ValueError, match=r"10 of 10 images.*row 7 \(.*; and 2 more; no image is left"):
        cifar10(tmp_path, on_unreadable="skip")


def test_missing_data(pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere is no folder: pass the one that holds train\.parquet"):
        cifar10(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no 'train' split.*train\.parquet.*plain_text/train-\*\.parquet.*data/"):
        cifar10(tmp_path)
    write_parquet("train.parquet", [encode(pixels[0])], [0])
    with pytest.raises(ValueError, match=r"no 'test' split.*test\.parquet"):
        cifar10(tmp_path, "test")
    with pytest.raises(ValueError, match="split='val' is unknown: choose one of 'train', 'test'"):
        cifar10(tmp_path, "val")  # type: ignore[arg-type]


def test_foreign_files(
    pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = encode(pixels[0])
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(ValueError, match=r"train\.parquet cannot be read as Parquet with images \(ArrowInvalid"):
        cifar10(tmp_path)
    write_parquet("train.parquet", [image], [0], columns=("img", "fine_label"))
    with pytest.raises(ValueError, match="has the columns img, fine_label, but 'img' or 'image', and 'label'"):
        cifar10(tmp_path)
    write_parquet("train.parquet", [], [])
    with pytest.raises(ValueError, match=r"train\.parquet hold no rows"):
        cifar10(tmp_path)
    write_parquet("train.parquet", [image, encode(pixels[1, :, :6])], [0, 0])
    with pytest.raises(ValueError, match=r"row 0 and train\.parquet row 1 in .* have 8 x 8 and 6 x 8 pixels"):
        cifar10(tmp_path)
    for label in (10, -1, None):
        write_parquet("train.parquet", [image, image], [0, label], classes=None)
        with pytest.raises(ValueError, match=rf"row 1 in .* has label {label}, which is not among the 10 classes"):
            cifar10(tmp_path)
    write_parquet("train-0.parquet", [image], [0], classes=("a", "b"))
    write_parquet("train-1.parquet", [image], [0], classes=("b", "a"))
    (tmp_path / "train.parquet").unlink()
    with pytest.raises(ValueError, match=r"train-1.parquet names the classes \['b', 'a'\], but another"):
        cifar10(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_bad_options(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on_unreadable='warn' is unknown: choose one of 'raise', 'skip'"):
        cifar10(tmp_path, on_unreadable="warn")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="preprocessing must be a Preprocessing, but a int"):
        cifar10(tmp_path, preprocessing=32)  # type: ignore[arg-type]


def test_without_datasets(
    pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet("train.parquet", [encode(pixels[0])], [0])
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"datasets.*captum-superpixel\[data\]"):
        cifar10(tmp_path)


def test_frames_that_are_not_read_are_warned_of(
    pixels: Tensor, encode: Encode, write_parquet: Write, tmp_path: Path
) -> None:
    frames, stream = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels[:3]], io.BytesIO()
    frames[0].save(stream, "png", save_all=True, append_images=frames[1:])
    write_parquet("train.parquet", [encode(pixels[0]), stream.getvalue()], [0, 1])
    with pytest.warns(PhotographWarning, match=r"train\.parquet row 1 has 3 frames, of which the first") as caught:
        assert len(cifar10(tmp_path)) == 2
    assert [warning.filename for warning in caught] == [__file__]
