"""Which photographs the user named, and which files their explanations go to."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from captum_superpixel._checks import InputError, readable
from captum_superpixel._files import check_output_file, check_output_folder
from captum_superpixel.datasets.formats import is_picture, list_skipped
from captum_superpixel.datasets.photographs import RefusedImage, Report, UnreadableImage, read_photograph
from captum_superpixel.datasets.pixel_range import describe_flatness
from captum_superpixel.datasets.unreadable import describe_groups

__all__ = ["FORMATS", "find_photographs", "open_photograph", "plan_outputs"]

FORMATS = ("png", "html", "npz")
# A folder may be called run-1.2, but hardly cat.jpg.
_OTHER_SUFFIXES = re.compile(r"\.(bmp|csv|gif|htm|jpe?g|json|npy|pdf|svg|tiff?|webp)", re.IGNORECASE)
# Of the 255 bytes that file systems take, less a number and a suffix.
_LONGEST = 240


def find_photographs(
    paths: Sequence[Path], *, recursive: bool = False, out: Path | None = None, report: Report | None = None
) -> list[Path]:
    """List the photographs that the user named, and for each folder the pictures in it by name.

    A file is listed once however often it was named. One that does not exist is listed as long as another does: it is
    reported with those that cannot be read.

    Args:
        paths: Files and folders.
        recursive: Whether the pictures in the folders of a folder are listed too, but for those of hidden folders and
            of folders that are links.
        out: A folder of results, which are not listed when it lies in one of the others.
        report: Called with a line for the pictures in folders that are left out because their format is not read.

    Raises:
        InputError: If none of the paths exists, or a folder holds no pictures.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        files = _list_files(path, recursive, out)
        pictures = [file for file in files if is_picture(file)]
        skipped = [(readable(file), f"is {why}") for why, those in list_skipped(files).items() for file in those]
        if not pictures:
            raise InputError(_say_what_is_missing(path, recursive, skipped))
        found += pictures
        if report is not None:
            for line in describe_groups(skipped):
                report(f"left out: {line}.")
    if not any(path.exists() for path in found):
        these = ", ".join(map(readable, found[:3])) + (", ..." if len(found) > 3 else "")
        raise InputError(
            f"{these} {'do' if len(found) > 1 else 'does'} not exist; pass photographs, or folders of them."
        )
    once: dict[Path, Path] = {}
    for path in found:
        once.setdefault(path.resolve(), path)
    return list(once.values())


def open_photograph(path: Path, report: Report | None = None) -> Image.Image:
    """Decode a photograph.

    Args:
        path: The file.
        report: Called with each remark: those of :func:`~captum_superpixel.datasets.photographs.read_photograph`, and
            that all pixels are nearly the same, whatever their number of bits. None to look for none.

    Returns:
        The picture in mode RGB, turned as its EXIF orientation says.

    Raises:
        InputError: If there is no such file, it is no picture, or it is one that is refused.
    """
    if not path.is_file():
        raise InputError("is no file." if path.exists() else "does not exist.")
    remarks: list[str] = []
    try:
        picture = read_photograph(path, report=None if report is None else remarks.append)
    except RefusedImage as error:
        raise InputError(f"is {error}.") from error
    except UnreadableImage as error:
        raise InputError(f"is no picture that Pillow can read ({error}).") from error
    if report is not None:
        flat = None if any("sliver" in remark for remark in remarks) else describe_flatness(picture)
        for remark in [*remarks, flat] if flat else remarks:
            report(remark)
    return picture


def plan_outputs(
    photographs: Sequence[Path], out: Path, formats: Sequence[str], folders: Sequence[Path] = ()
) -> dict[Path, list[Path]]:
    """Settle the files to write.

    Args:
        photographs: As ``find_photographs`` lists them.
        out: A file that ends in one of ``FORMATS``, for a single photograph; or a folder, which need not exist, for one
            file per photograph and format. Of photographs with the same name, the second is called ``name-2``.
        formats: Of the files in a folder; none for ``png``.
        folders: Folders that were named. What belongs to a photograph in a folder of one of these lies in a folder of
            that name in ``out``.

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
        places: dict[str, list[Path]] = {}
        for photograph in photographs:
            places.setdefault(str(_place_below(photograph, folders)), []).append(photograph)
        named: dict[Path, Path] = {}
        for place, those in places.items():
            for photograph, name in zip(those, _different_names(those), strict=True):
                named[photograph] = out / place / name
        planned = {
            photograph: [named[photograph].with_name(f"{named[photograph].name}.{kind}") for kind in kinds]
            for photograph in photographs
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
    stems = [_short_stem(path) for path in photographs]
    taken = {stem.casefold() for stem in stems}
    seen: Counter[str] = Counter()
    names = []
    for stem in stems:
        name, key = stem, stem.casefold()
        if seen[key]:
            number = seen[key] + 1
            while f"{key}-{number}" in taken:
                number += 1
            name = f"{name}-{number}"
            taken.add(f"{key}-{number}")
        seen[key] += 1
        names.append(name)
    return names


def _short_stem(path: Path) -> str:
    """A photograph's name without its suffix, with room for a number and any suffix in what file systems take."""
    encoded = os.fsencode(path.stem)
    return path.stem if len(encoded) <= _LONGEST else encoded[:_LONGEST].decode(errors="ignore")


def _place_below(photograph: Path, folders: Sequence[Path]) -> Path:
    """The folder of a photograph, seen from the outermost of the folders that it lies in."""
    below = [photograph.parent.relative_to(folder) for folder in folders if photograph.parent.is_relative_to(folder)]
    return max(below, key=lambda place: len(place.parts), default=Path())


def _list_files(folder: Path, recursive: bool, out: Path | None) -> list[Path]:
    """List the files in a folder that are not hidden, folder by folder in the order of their names."""
    files: list[Path] = []
    results = None if out is None else out.resolve()
    for place, folders, names in os.walk(folder):
        here = Path(place)
        files += [here / name for name in sorted(names) if not name.startswith(".") and (here / name).is_file()]
        if not recursive:
            break
        # In place: os.walk goes on with what is left.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (here / name).resolve() != results)
    return files


def _say_what_is_missing(folder: Path, recursive: bool, skipped: Sequence[tuple[str, str]]) -> str:
    left_out = f" that can be read: {'; '.join(describe_groups(skipped))}" if skipped else ""
    if recursive:
        return f"the folder {folder} and those in it hold no pictures{left_out}."
    deeper = f"{'; ' if left_out else ', and '}those in its folders do not count without --recursive"
    return f"the folder {folder} holds no pictures{left_out}{deeper}."
