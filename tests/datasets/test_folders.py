"""image_folder: what it finds, how labels follow a list of classes, and what the errors say."""

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from captum_superpixel.datasets import PhotographWarning, Preprocessing, image_folder

pytest.importorskip("datasets")
Encode = Callable[..., bytes]
EIGHT = Preprocessing(8, mean=0.5, std=0.25)


@pytest.fixture
def root(tmp_path: Path, pixels: Tensor, encode: Encode) -> Path:
    """Four images in each of three folders, in formats and spellings of many kinds."""
    root = tmp_path / "the [data]* of"
    for i, name in enumerate(["n02", "n10", "train"]):
        (root / name).mkdir(parents=True)
        for j, ending in enumerate((".png", ".PNG", ".bmp", ".jpg")):
            (root / name / f"{'dcba'[j]} [1]{ending}").write_bytes(encode(pixels[4 * i + j], kind_of(ending)))
    return root


def kind_of(ending: str) -> str:
    return {".jpg": "jpeg"}.get(ending, ending[1:].lower())


def test_labels_are_the_sorted_folders(root: Path, pixels: Tensor, no_network: list[object]) -> None:
    data = image_folder(root, preprocessing=EIGHT)
    assert data.classes == ["n02", "n10", "train"]
    assert data.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.names[:4] == [str(Path("n02", name)) for name in ("a [1].jpg", "b [1].bmp", "c [1].PNG", "d [1].png")]
    lossless = [1, 2, 3, 5, 6, 7, 9, 10, 11]
    of_pixels = [2, 1, 0, 6, 5, 4, 10, 9, 8]
    assert torch.equal(data.batch(lossless), EIGHT.from_uint8(pixels[of_pixels]))
    with Image.open(root / "n10" / "a [1].jpg") as image:
        assert torch.equal(data[4][0], EIGHT(image))
    assert no_network == []


def test_relative_and_linked_roots(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    expected = image_folder(root, preprocessing=EIGHT)
    for relative in (root.name, "link", Path("link")):
        data = image_folder(relative, preprocessing=EIGHT)
        assert data.names == expected.names
        assert torch.equal(data.batch(range(12)), expected.batch(range(12)))


@pytest.mark.parametrize("kind", ["list", "lines", "table", "windows"])
def test_a_list_of_classes_gives_the_labels(kind: str, root: Path, tmp_path: Path) -> None:
    names = ["n01", "train", "n02", "n99", "n10"]
    classes: object = names
    if kind != "list":
        end = "\r\n" if kind == "windows" else "\n"
        classes = tmp_path / "classes.tsv"
        lines = [name + ("\tgreat white shark\tfish" if kind == "table" else "") for name in names]
        classes.write_bytes((end.join(lines) + end).encode("utf-8-sig"))
    data = image_folder(root, preprocessing=EIGHT, classes=classes)  # type: ignore[arg-type]
    assert data.classes == names
    assert data.labels.tolist() == [2] * 4 + [4] * 4 + [1] * 4


def test_what_is_passed_over(root: Path, encode: Encode, pixels: Tensor) -> None:
    expected = image_folder(root, preprocessing=EIGHT).names
    for name in (
        "metadata.csv",
        "n02/metadata.csv",
        "n02/notes.txt",
        "n02/cat.jpg.txt",
        "n02/.hidden.png",
        "loose.png",
    ):
        (root / name).write_bytes(b"file_name,label\n")
    for folder in (".cache", "__MACOSX", "n02/deeper"):
        (root / folder).mkdir()
        (root / folder / "x.png").write_bytes(encode(pixels[0]))
    assert image_folder(root, preprocessing=EIGHT).names == expected


def test_unreadable_images(root: Path, encode: Encode) -> None:
    large = encode(torch.randint(256, (3, 64, 64), dtype=torch.uint8), "jpeg")
    (root / "n02" / "e.jpg").write_bytes(large[: len(large) // 2])
    (root / "n02" / "f.jpg").write_bytes(large)
    (root / "n10" / "e.jpg").write_bytes(b"")
    message = (
        r"2 of 15 images in .* cannot be read: n02.e\.jpg \(OSError: .*truncated.*; n10.e\.jpg \(Unidentified.*skip"
    )
    with pytest.raises(ValueError, match=message):
        image_folder(root)
    data = image_folder(root, preprocessing=EIGHT, on_unreadable="skip")
    assert data.skipped == [str(Path("n02", "e.jpg")), str(Path("n10", "e.jpg"))]
    assert data.labels.tolist() == [0] * 5 + [1] * 4 + [2] * 4
    assert data.batch(range(13)).isfinite().all()


def test_a_bar_only_where_it_is_asked_for(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image_folder(root)
    assert capfd.readouterr() == ("", "")
    image_folder(root, progress=True)
    assert "Checking images: 100%" in capfd.readouterr().err


def test_roots_without_classes(root: Path, tmp_path: Path, encode: Encode, pixels: Tensor) -> None:
    with pytest.raises(ValueError, match="nowhere is no folder: pass the one whose subfolders"):
        image_folder(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match=r"empty holds no images of the form .*looked into 0 folders"):
        image_folder(empty)
    (empty / "class").mkdir()
    (empty / "class" / "notes.txt").write_text("none")
    (empty / "loose.png").write_bytes(encode(pixels[0]))
    with pytest.raises(ValueError, match=r"empty holds no images .*directly have no class.*looked into 1 folders"):
        image_folder(empty)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "other").mkdir()
    root.rename(tmp_path / "splits" / "val")
    with pytest.raises(
        ValueError, match=r"two folders deep, so its folders 'other', 'val' are not.* such as .*splits.val"
    ):
        image_folder(tmp_path / "splits")
    assert len(image_folder(tmp_path / "splits" / "val")) == 12


def test_folders_and_classes_that_do_not_match(root: Path) -> None:
    with pytest.raises(ValueError, match=r"folders 'train' in .* are not among the 2 classes \('n02', 'n10'\)"):
        image_folder(root, classes=["n02", "n10"])
    (root / "n50").mkdir()
    with pytest.raises(ValueError, match=r"folders 'n50' in .* hold no images"):
        image_folder(root)
    assert len(image_folder(root, classes=["n02", "n10", "train"])) == 12


def test_lists_of_classes_that_cannot_be_read(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"classes .*none\.txt cannot be read \(FileNotFoundError"):
        image_folder(root, classes=tmp_path / "none.txt")


def test_bad_options(root: Path) -> None:
    with pytest.raises(ValueError, match="on_unreadable=None is unknown: choose one of 'raise', 'skip'"):
        image_folder(root, on_unreadable=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="preprocessing must be a Preprocessing, but a str"):
        image_folder(root, preprocessing="imagenet")  # type: ignore[arg-type]


def test_without_datasets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r"datasets.*captum-superpixel\[data\]"):
        image_folder(root)


def test_formats_that_are_not_read_are_named(root: Path) -> None:
    expected = image_folder(root, preprocessing=EIGHT)
    for name in ("n02/a.heic", "n02/b.HEIC", "n10/c.eps", "n10/.d.heic"):
        (root / name).write_bytes(b"content")
    message = (
        r"data\]\* of: 2 files, n02.a\.heic, n02.b\.HEIC: each is left out: it is HEIC, which Pillow cannot read .*"
        r"; n10.c\.eps is left out: it is PostScript.*Ghostscript"
    )
    with pytest.warns(PhotographWarning, match=message) as caught:
        data = image_folder(root, preprocessing=EIGHT)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert data.names == expected.names
    assert data.skipped == [str(Path(name)) for name in ("n02/a.heic", "n02/b.HEIC", "n10/c.eps")]


def test_a_folder_of_foreign_formats_says_so(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.heic").write_bytes(b"content")
    with pytest.raises(ValueError, match=r"holds no images .*; cat.a\.heic is left out: it is HEIC"):
        image_folder(tmp_path)


def test_formats_that_the_lister_does_not_know(root: Path) -> None:
    shutil.move(root / "n02" / "a [1].jpg", root / "n02" / "a [1].qoi")
    Image.new("RGB", (8, 8)).save(root / "n02" / "a [1].qoi")
    assert image_folder(root, preprocessing=EIGHT).names[0] == str(Path("n02", "a [1].qoi"))


def test_images_that_are_not_read_as_a_whole_are_warned_of_once(root: Path) -> None:
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8)
    for name in ("e.png", "f.png"):
        Image.fromarray(ramp * 64).save(root / "n02" / name)
    pages = [Image.fromarray((ramp * 4).astype(np.uint8))] * 2
    pages[0].save(root / "n10" / "e.tif", save_all=True, append_images=pages[1:])
    message = (
        r"2 files, n02.e\.png, n02.f\.png: each uses a sliver of its range: .* 0 to 4032 of 0 to 65535, .*nearly black;"
        r".*; n10.e\.tif has 2 pages, of which"
    )
    with pytest.warns(PhotographWarning, match=message) as caught:
        data = image_folder(root, preprocessing=EIGHT)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(data.batch(range(len(data)))) == 15
