"""Image files sorted into one folder a class, ImageNet's layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from captum_superpixel.datasets import hugging_face
from captum_superpixel.datasets.labelled_images import (
    LabelledImages,
    OnUnreadable,
    check_on_unreadable,
    check_preprocessing,
    find_unreadable,
    settle_unreadable,
)
from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing

__all__ = ["image_folder", "read_classes"]


def image_folder(
    root: str | os.PathLike[str],
    *,
    preprocessing: Preprocessing = IMAGENET,
    classes: str | os.PathLike[str] | Sequence[str] | None = None,
    on_unreadable: OnUnreadable = "raise",
    progress: bool = False,
) -> LabelledImages:
    """Find the images in ``root/<class folder>/<file>``; they are decoded when asked for.

    Every file is decoded once here, coarsely, so that a broken one does not end a long run in its middle. Hidden
    folders and files, what is not named as an image, and what lies deeper are passed over.

    Args:
        root: The folder whose sub-folders are the classes. Where ImageNet's ``train`` and ``val`` lie side by side,
            pass one of them, ``root/val``.
        preprocessing: What the network wants.
        classes: The folder names in the order of the network's outputs: a list, or a file with one name a line, of
            which only what precedes the first tab counts. Not every class needs a folder. None for the sorted names of
            the folders.
        on_unreadable: ``"raise"`` if an image cannot be decoded, or ``"skip"`` it: ``.skipped`` then names it.
        progress: Whether to show a bar while the images are checked.

    Returns:
        The images sorted by folder and file name; ``.classes`` are all names of ``classes``.

    Raises:
        ImportError: If ``datasets`` is not installed.
        TypeError: If the preprocessing is none, or the classes are no names.
        ValueError: If the root is missing, it (or, without ``classes``, one of its folders) holds no images, a folder
            with images is none of the classes, the classes are empty or one stands twice, or images cannot be read.
    """
    root = Path(root)
    check_preprocessing(preprocessing)
    check_on_unreadable(on_unreadable)
    known = None if classes is None else read_classes(classes)
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: pass the one whose sub-folders are the classes")
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not _is_hidden(entry.name))
    paths = _list_images(root) if folders else []
    if not paths:
        raise ValueError(_say_what_is_missing(root, folders))
    with_images = {path.parent.name for path in paths}
    if known is None:
        known = folders
        empty = [name for name in folders if name not in with_images]
        if empty:
            raise ValueError(
                f"the folders {_some(empty)} in {root} hold no images: remove them, or pass the names of all classes"
            )
    number = {name: label for label, name in enumerate(known)}
    foreign = sorted(with_images - number.keys())
    if foreign:
        raise ValueError(
            f"the folders {_some(foreign)} in {root} are none of the {len(known)} classes ({_some(known)}): pass a "
            "list that has them, by their folders' names"
        )

    reasons = find_unreadable([str(path) for path in paths], progress=progress)
    names = [str(path.relative_to(root)) for path in paths]
    skipped = settle_unreadable({names[i]: why for i, why in reasons.items()}, len(paths), root, on_unreadable)
    kept = [i for i in range(len(paths)) if i not in reasons]
    return LabelledImages(
        [paths[i] for i in kept],
        [number[paths[i].parent.name] for i in kept],
        known,
        preprocessing=preprocessing,
        names=[names[i] for i in kept],
        skipped=skipped,
    )


def read_classes(classes: str | os.PathLike[str] | Sequence[str]) -> list[str]:
    """Read the names of the classes in the order of a network's outputs.

    Args:
        classes: A list, or a text file (UTF-8) with one name a line, of which only what precedes the first tab counts.

    Returns:
        The names; line i is class i.

    Raises:
        TypeError: If a list holds other things than names.
        ValueError: If the file cannot be read, a line before the last is empty, a name stands twice, or there are none.
    """
    where = "classes"
    if isinstance(classes, (str, os.PathLike)):
        where = os.fspath(classes)
        try:
            lines = Path(classes).read_text(encoding="utf-8-sig").rstrip().split("\n")
        except (OSError, UnicodeError) as error:
            raise ValueError(
                f"the classes cannot be read from {where} ({type(error).__name__}: {error}): pass a text file"
            ) from error
        classes = [line.partition("\t")[0].strip() for line in lines]
    names = list(classes)
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"{where} must hold names, but entry {place} is {name!r} ({type(name).__name__})")
        if not name:
            raise ValueError(f"line {place + 1} of {where} has no name: line i must name class i, from the first")
        if name in first:
            raise ValueError(
                f"{where} names {name!r} twice, as classes {first[name]} and {place}: name each class once"
            )
        first[name] = place
    if not names:
        raise ValueError("the list of classes is empty: name at least one")
    return names


def _list_images(root: Path) -> list[Path]:
    """List the images in the class folders, sorted."""
    pattern = f"{hugging_face.literal(root.resolve())}/*/*"
    # The label is the folder's name; those of datasets would be lost where a metadata.csv lies about.
    datasets = hugging_face.import_datasets()
    try:
        with hugging_face.stream_local_files("imagefolder", [pattern], drop_labels=True, drop_metadata=True) as rows:
            found = [row["image"]["path"] for row in rows.cast_column("image", datasets.Image(decode=False))]
    except FileNotFoundError:
        return []
    # It looks into archives as well, and takes "cat.jpg.txt" for an image.
    files = [Path(path) for path in found if "::" not in path]
    return sorted(root / file.parent.name / file.name for file in files if _is_image(file))


def _say_what_is_missing(root: Path, folders: list[str]) -> str:
    deeper = next((name for name in folders if any(_has_images(entry) for entry in (root / name).iterdir())), None)
    if deeper is not None:
        return (
            f"the images in {root} lie two folders deep, so its folders {_some(folders)} are not the classes: pass one "
            f"of them as the root, such as {root / deeper}"
        )
    loose = " (images that lie in it directly have no class)" if _has_images(root) else ""
    return f"{root} holds no images of the form <class folder>/<image file>{loose}: looked into {len(folders)} folders"


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and any(_is_image(entry) for entry in folder.iterdir())


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in Image.registered_extensions()


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
