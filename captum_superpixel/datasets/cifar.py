"""CIFAR-10 as the Hugging Face hub keeps it: Parquet files of JPEG or PNG images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from captum_superpixel._checks import checked_choice
from captum_superpixel.datasets import hugging_face
from captum_superpixel.datasets.labelled_images import LabelledImages, check_preprocessing
from captum_superpixel.datasets.photographs import UnreadableImage, read_photograph
from captum_superpixel.datasets.preprocessing import CIFAR10, Preprocessing
from captum_superpixel.datasets.unreadable import (
    OnUnreadable,
    check_on_unreadable,
    settle_unreadable,
    warn_of_remarks,
)

__all__ = ["cifar10"]

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FOLDERS = (".", "plain_text", "data")
_PATTERNS = ("{split}.parquet", "{split}-*.parquet", "{split}/*.parquet")


def cifar10(
    root: str | os.PathLike[str],
    split: Literal["train", "test"] = "train",
    *,
    preprocessing: Preprocessing = CIFAR10,
    on_unreadable: OnUnreadable = "raise",
) -> LabelledImages:
    """Read one split of CIFAR-10 into memory, 3 kB per image, from local Parquet files as ``datasets`` writes them.

    Any other data set whose images have one size is read as well, if its columns are the same.

    Args:
        root: Folder with ``train.parquet`` and ``test.parquet``, or with the files of the hub's ``uoft-cs/cifar10``
            (``plain_text/train-00000-of-00001.parquet``), which may also lie in ``data`` or in the root. Their columns
            are ``img`` or ``image`` (the content of an image file) and ``label``.
        split: ``"train"`` or ``"test"``.
        preprocessing: What the network wants; if it wants another size, images are resized when they are asked for.
        on_unreadable: ``"raise"`` if an image cannot be decoded, or ``"skip"`` it: ``.skipped`` then names it.

    Returns:
        The images in the order of the files, with the names of the classes that the files give.

    Warns:
        PhotographWarning: Once, where images have more frames than are read, or values of more than 8 bits that are
            clipped or use a sliver of their range.

    Raises:
        ImportError: If ``datasets`` is not installed.
        TypeError: If the preprocessing is not a :class:`Preprocessing`.
        ValueError: If the root or the split in it is missing, a file is not a Parquet file of images and labels, images
            cannot be read or differ in size, or a label has no class.

    References:
        Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009,
        https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf
    """
    checked_choice("split", split, ("train", "test"))
    check_preprocessing(preprocessing)
    check_on_unreadable(on_unreadable)
    files = _find_files(Path(root), split)

    arrays: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    names: list[str] = []
    unreadable: dict[str, str] = {}
    remarks: dict[str, list[str]] = {}
    classes: list[str] | None = None
    for file in files:
        rows, classes = _read_rows(file, classes)
        for number, (content, label) in enumerate(rows):
            name = f"{file.name} row {number}"
            said: list[str] = []
            try:
                array = np.asarray(read_photograph(content, report=said.append))
            except UnreadableImage as error:
                unreadable[name] = str(error)
                continue
            if arrays and array.shape != arrays[0].shape:
                sizes = " and ".join(f"{a.shape[0]} x {a.shape[1]}" for a in (arrays[0], array))
                raise ValueError(f"{names[0]} and {name} in {root} have {sizes} pixels: images of one size are needed")
            if label is None or not 0 <= label < len(classes):
                raise ValueError(f"{name} in {root} has label {label}, which is not among the {len(classes)} classes")
            arrays.append(array)
            labels.append(label)
            names.append(name)
            if said:
                remarks[name] = said
    if not names and not unreadable:
        raise ValueError(f"{', '.join(map(str, files))} hold no rows: pass the root of a whole copy of CIFAR-10")
    skipped = settle_unreadable(unreadable, len(names) + len(unreadable), Path(root), on_unreadable)
    warn_of_remarks(remarks, Path(root))
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()
    return LabelledImages(pixels, labels, classes or (), preprocessing=preprocessing, names=names, skipped=skipped)


def _find_files(root: Path, split: str) -> list[Path]:
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: pass the one that holds train.parquet and test.parquet")
    patterns = [pattern.format(split=split) for pattern in _PATTERNS]
    for folder in _FOLDERS:
        for pattern in patterns:
            files = sorted((root / folder).glob(pattern))
            if files:
                _check_shards(files)
                return files
    looked_for = ", ".join(str(Path(folder, pattern)) for folder in _FOLDERS for pattern in patterns)
    raise ValueError(f"{root} holds no {split!r} split of CIFAR-10: looked for {looked_for}")


def _check_shards(files: list[Path]) -> None:
    """Raise ValueError if files are named -00000-of-00003 and not all three are there."""
    total = files[0].stem.rpartition("-of-")[2]
    if "-of-" in files[0].stem and total.isdigit() and int(total) != len(files):
        raise ValueError(f"{files[0].parent} holds {len(files)} of the {int(total)} parts of {files[0].name}: add them")


def _read_rows(file: Path, classes: list[str] | None) -> tuple[list[tuple[bytes, int | None]], list[str]]:
    """Read the bytes and the label of each row of one file, and the names of the classes."""
    datasets = hugging_face.import_datasets()
    # What pyarrow and datasets raise on a damaged file differs between their versions.
    try:
        pattern = hugging_face.literal(file.resolve())
        # Without a batch size, a file of no rows is an error of pyarrow's.
        with hugging_face.stream_local_files("parquet", [pattern], batch_size=1000) as table:
            features = dict(table.features)
            column = next((name for name in ("img", "image") if name in features), None)
            if column is not None and "label" in features:
                table = table.cast_column(column, datasets.Image(decode=False)).select_columns([column, "label"])
                rows = [
                    (content["bytes"] if content else None, label)
                    for batch in table.iter(batch_size=1000)
                    for content, label in zip(batch[column], batch["label"], strict=True)
                ]
    except Exception as error:  # damaged files fail in as many ways as there are bytes
        raise ValueError(f"{file} cannot be read as Parquet with images ({type(error).__name__}: {error})") from error
    if column is None or "label" not in features:
        raise ValueError(f"{file} has the columns {', '.join(features)}, but 'img' or 'image', and 'label' are needed")
    named = getattr(features["label"], "names", None) or list(_CLASSES)
    if classes is not None and named != classes:
        raise ValueError(f"{file} names the classes {named}, but another file of the split {classes}")
    return [(content or b"", label) for content, label in rows], named
