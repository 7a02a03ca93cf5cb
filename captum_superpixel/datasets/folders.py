"""Image files sorted into one folder per class, ImageNet's layout."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from captum_superpixel._checks import listed
from captum_superpixel.datasets import hugging_face
from captum_superpixel.datasets.class_names import read_classes
from captum_superpixel.datasets.formats import is_picture, list_skipped
from captum_superpixel.datasets.labelled_images import LabelledImages, check_preprocessing
from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.datasets.unreadable import (
    OnUnreadable,
    check_images,
    check_on_unreadable,
    describe_groups,
    settle_unreadable,
    warn_of_remarks,
)

__all__ = ["image_folder"]


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
    folders and files, files without the name of an image, and what lies deeper are passed over. Files whose names are
    those of images in a format that is not read (HEIC, PostScript, …) are left out: ``.skipped`` names them.

    Args:
        root: The folder whose subfolders are the classes. Where ImageNet's ``train`` and ``val`` lie side by side, pass
            one of them, ``root/val``.
        preprocessing: What the network wants.
        classes: The folder names in the order of the network's outputs, as :func:`read_classes` takes them. Not every
            class needs a folder. None for the sorted names of the folders.
        on_unreadable: ``"raise"`` if an image cannot be decoded, or ``"skip"`` it: ``.skipped`` then names it.
        progress: Whether to show a bar while the images are checked.

    Returns:
        The images sorted by folder and file name; ``.classes`` are all names of ``classes``.

    Warns:
        PhotographWarning: Once, where files are left out for their format, have more pages or frames than are read, or
            values of more than 8 bits that are clipped or use a sliver of their range.

    Raises:
        ImportError: If ``datasets`` is not installed.
        TypeError: If the preprocessing is not a :class:`Preprocessing`, or the classes are not names.
        ValueError: If the root is missing, it (or, without ``classes``, one of its folders) holds no images, a folder
            with images is not one of the classes, the classes are empty or one stands twice, or images cannot be read.
    """
    root = Path(root)
    check_preprocessing(preprocessing)
    check_on_unreadable(on_unreadable)
    known = None if classes is None else read_classes(classes)
    if not root.is_dir():
        raise ValueError(f"{root} is no folder: pass the one whose subfolders are the classes")
    folders = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not _is_hidden(entry.name))
    files = _list_files(root, folders)
    paths = _list_images(root, files) if folders else []
    foreign_formats = {
        str(path.relative_to(root)): [f"is left out: it is {why}"]
        for why, skipped_files in list_skipped(files).items()
        for path in skipped_files
    }
    if not paths:
        raise ValueError(_say_what_is_missing(root, folders, foreign_formats))
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
            f"the folders {_some(foreign)} in {root} are not among the {len(known)} classes ({_some(known)}): pass a "
            "list that has them, by their folders' names"
        )

    checked = check_images([str(path) for path in paths], progress=progress)
    names = [str(path.relative_to(root)) for path in paths]
    unreadable = {names[i]: why for i, why in checked.unreadable.items()}
    skipped = settle_unreadable(unreadable, len(paths), root, on_unreadable)
    warn_of_remarks(foreign_formats | {names[i]: said for i, said in checked.remarks.items()}, root)
    kept = [i for i in range(len(paths)) if i not in checked.unreadable]
    return LabelledImages(
        [paths[i] for i in kept],
        [number[paths[i].parent.name] for i in kept],
        known,
        preprocessing=preprocessing,
        names=[names[i] for i in kept],
        skipped=sorted([*skipped, *foreign_formats]),
    )


def _list_files(root: Path, folders: list[str]) -> list[Path]:
    """List all files in the class folders but for hidden ones, sorted."""
    return sorted(
        file for name in folders for file in (root / name).iterdir() if not _is_hidden(file.name) and file.is_file()
    )


def _list_images(root: Path, files: list[Path]) -> list[Path]:
    """List the images in the class folders, sorted."""
    pattern = f"{hugging_face.literal(root.resolve())}/*/*"
    # The label is the folder's name; those of datasets would be lost where a metadata.csv lies about.
    datasets = hugging_face.import_datasets()
    try:
        with hugging_face.stream_local_files("imagefolder", [pattern], drop_labels=True, drop_metadata=True) as rows:
            found = [row["image"]["path"] for row in rows.cast_column("image", datasets.Image(decode=False))]
    except FileNotFoundError:
        found = []
    # The reader looks into archives as well, takes "cat.jpg.txt" for an image, and does not know the newest formats.
    listed_files = {root / Path(path).parent.name / Path(path).name for path in found if "::" not in path}
    return sorted(file for file in listed_files.union(files) if is_picture(file))


def _say_what_is_missing(root: Path, folders: list[str], foreign_formats: Mapping[str, Sequence[str]]) -> str:
    deeper = next((name for name in folders if any(_has_images(entry) for entry in (root / name).iterdir())), None)
    if deeper is not None:
        return (
            f"the images in {root} lie two folders deep, so its folders {_some(folders)} are not the classes: pass one "
            f"of them as the root, such as {root / deeper}"
        )
    loose = " (images that lie in it directly have no class)" if _has_images(root) else ""
    left_out = "; ".join(describe_groups((name, why) for name, whys in foreign_formats.items() for why in whys))
    return (
        f"{root} holds no images of the form <class folder>/<image file>{loose}: looked into {len(folders)} folders"
        f"{left_out and f'; {left_out}'}"
    )


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and any(is_picture(entry) for entry in folder.iterdir())


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def _some(names: Sequence[str]) -> str:
    return listed([repr(name) for name in names])
