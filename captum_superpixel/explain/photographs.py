"""Which photographs the user named, and which files their explanations go to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from captum_superpixel._checks import InputError, readable
from captum_superpixel._files import check_output_file, check_output_folder
from captum_superpixel.datasets.photographs import UnreadableImage, read_photograph

__all__ = ["FORMATS", "find_photographs", "open_photograph", "plan_outputs"]

FORMATS = ("png", "html", "npz")
# A folder may be called run-1.2, but hardly cat.jpg.
_OTHER_SUFFIXES = re.compile(r"\.(bmp|csv|gif|htm|jpe?g|json|npy|pdf|svg|tiff?|webp)", re.IGNORECASE)


def find_photographs(paths: Sequence[Path]) -> list[Path]:
    """List the photographs that the user named, and for each folder the pictures in it by name.

    A file is listed once however often it was named. One that does not exist is listed as long as another does: it is
    reported with those that cannot be read.

    Raises:
        InputError: If none of the paths exists, or a folder holds no pictures.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        pictures = sorted(entry for entry in path.iterdir() if _is_picture(entry))
        if not pictures:
            raise InputError(f"the folder {path} holds no pictures, and those in its folders do not count.")
        found += pictures
    if not any(path.exists() for path in found):
        these = ", ".join(map(readable, found[:3])) + (", ..." if len(found) > 3 else "")
        raise InputError(
            f"{these} {'do' if len(found) > 1 else 'does'} not exist; pass photographs, or folders of them."
        )
    once: dict[Path, Path] = {}
    for path in found:
        once.setdefault(path.resolve(), path)
    return list(once.values())


def open_photograph(path: Path) -> Image.Image:
    """Decode a photograph.

    Returns:
        The picture in mode RGB, turned as its EXIF orientation says.

    Raises:
        InputError: If there is no such file, or it is no picture.
    """
    if not path.is_file():
        raise InputError("is no file." if path.exists() else "does not exist.")
    try:
        return read_photograph(path)
    except UnreadableImage as error:
        raise InputError(f"is no picture that Pillow can read ({error}).") from error


def plan_outputs(photographs: Sequence[Path], out: Path, formats: Sequence[str]) -> dict[Path, list[Path]]:
    """Settle the files to write.

    Args:
        photographs: As ``find_photographs`` lists them.
        out: A file that ends in one of ``FORMATS``, for a single photograph; or a folder, which need not exist, for one
            file per photograph and format. Of photographs with the same name, the second is called ``name-2``.
        formats: Of the files in a folder; none for ``png``.

    Returns:
        For each photograph the files that its explanation goes to.

    Raises:
        InputError: If ``out`` cannot be used, or a photograph would be replaced.
    """
    if out.is_dir() or out.suffix.lower() not in {f".{known}" for known in FORMATS}:
        if _OTHER_SUFFIXES.fullmatch(out.suffix) and not out.is_dir():
            raise InputError(f"--out {out} ends in {out.suffix}; write .png, .html or .npz, or name a folder.")
        check_output_folder(out, "--out")
        kinds = list(dict.fromkeys(formats)) or ["png"]
        names = _different_names(photographs)
        planned = {
            photograph: [out / f"{name}.{kind}" for kind in kinds]
            for photograph, name in zip(photographs, names, strict=True)
        }
    else:
        _check_single_file(out, len(photographs), formats)
        planned = {photographs[0]: [out]}
    own = {path.resolve() for path in photographs}
    for path in (path for outputs in planned.values() for path in outputs):
        if path.resolve() in own:
            raise InputError(f"--out {out} would replace the photograph {path}; pass another.")
        if path.is_dir():
            raise InputError(f"--out {out}: {path} is a folder, and a file is to be written.")
    return planned


def _check_single_file(out: Path, count: int, formats: Sequence[str]) -> None:
    if count > 1:
        raise InputError(f"--out {out} is one file for {count} photographs; name a folder, and --format if not png.")
    if formats:
        raise InputError(f"--out {out} says which kind of file; leave out --format, or name a folder.")
    check_output_file(out, "--out")


def _different_names(photographs: Sequence[Path]) -> list[str]:
    """Name each photograph's files; file systems may take names for equal that differ in case alone."""
    taken = {path.stem.casefold() for path in photographs}
    seen: Counter[str] = Counter()
    names = []
    for path in photographs:
        name, key = path.stem, path.stem.casefold()
        if seen[key]:
            number = seen[key] + 1
            while f"{key}-{number}" in taken:
                number += 1
            name = f"{name}-{number}"
            taken.add(f"{key}-{number}")
        seen[key] += 1
        names.append(name)
    return names


def _is_picture(path: Path) -> bool:
    if path.name.startswith(".") or not path.is_file():
        return False
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind in Image.OPEN
