"""Which photographs the user named, and which files their explanations go to."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from captum_superpixel._checks import InputError, listed, readable
from captum_superpixel._files import check_output_file, check_output_folder
from captum_superpixel.datasets.formats import is_picture, list_skipped
from captum_superpixel.datasets.photographs import RefusedImage, Report, UnreadableImage, read_photograph
from captum_superpixel.datasets.pixel_range import describe_flatness
from captum_superpixel.datasets.unreadable import describe_groups
from captum_superpixel.explain.choices import FORMATS

__all__ = ["PER_PAGE", "Output", "Plan", "find_photographs", "open_photograph", "plan_outputs"]

PER_PAGE = 200
"""Photographs on a page of the gallery: with its thumbnails it has about two megabytes."""
# A folder may be called run-1.2, but hardly cat.jpg.
_OTHER_SUFFIXES = re.compile(r"\.(bmp|csv|gif|htm|jpe?g|json|npy|pdf|svg|tiff?|webp)", re.IGNORECASE)
# Of the 255 bytes that file systems take, less a number, the name of a method and a suffix.
_LONGEST = 215


@dataclass(frozen=True)
class Output:
    """A file to write, and the names of the methods whose explanations it holds."""

    path: Path
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What is to be written.

    Attributes:
        files: For each photograph the files that its explanations go to.
        gallery: The pages of the gallery, each for ``PER_PAGE`` photographs in turn; none where there is no gallery.
    """

    files: dict[Path, list[Output]]
    gallery: tuple[Path, ...] = ()


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
        these = listed([readable(path) for path in found], 3)
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
    photographs: Sequence[Path],
    out: Path,
    formats: Sequence[str],
    folders: Sequence[Path] = (),
    methods: Sequence[str] = ("",),
) -> Plan:
    """Settle the files to write.

    A page holds the explanations of all methods. Pictures and arrays hold one each: of several methods, those of
    ``cat.jpg`` are called ``cat.Saliency.png`` and so on. A folder that gets several files gets a gallery too.

    Args:
        photographs: As ``find_photographs`` lists them.
        out: A file that ends in one of ``FORMATS``, for a single photograph; or a folder, which need not exist, for one
            file per photograph and format. Of photographs with the same name, the second is called ``name-2``; so is
            one whose page would be the gallery.
        formats: Of the files in a folder; none for ``png``.
        folders: Folders that were named. What belongs to a photograph in a folder of one of these lies in a folder of
            that name in ``out``.
        methods: Their names, each once.

    Raises:
        InputError: If ``out`` cannot be used, or a photograph would be replaced.
    """
    gallery: tuple[Path, ...] = ()
    if out.is_dir() or out.suffix.lower() not in {f".{known}" for known in FORMATS}:
        if _OTHER_SUFFIXES.fullmatch(out.suffix) and not out.is_dir():
            raise InputError(f"--out {out} ends in {out.suffix}; write .png, .html or .npz, or name a folder.")
        check_output_folder(out, "--out")
        kinds = list(dict.fromkeys(formats)) or ["png"]
        if len(photographs) > 1 or len(kinds) > 1 or (len(methods) > 1 and kinds != ["html"]):
            pages = range(1, 2 + (len(photographs) - 1) // PER_PAGE)
            gallery = tuple(out / f"index{'' if page == 1 else f'-{page}'}.html" for page in pages)
        taken = [page.stem for page in gallery] if "html" in kinds else []
        places: dict[Path, list[Path]] = {}
        for photograph in photographs:
            places.setdefault(_place_below(photograph, folders), []).append(photograph)
        named: dict[Path, Path] = {}
        for place, those in places.items():
            for photograph, name in zip(those, _different_names(those, () if place.parts else taken), strict=True):
                named[photograph] = out / place / name
        planned = {
            each: [one for kind in kinds for one in _outputs(named[each], kind, methods)] for each in photographs
        }
    else:
        _check_single_file(out, len(photographs), formats, methods)
        planned = {photographs[0]: [Output(out, tuple(methods))]}
    own = {path.resolve() for path in photographs}
    for path in (*gallery, *(output.path for outputs in planned.values() for output in outputs)):
        if path.resolve() in own:
            raise InputError(f"--out {out} would replace the photograph {path}; pass another.")
        if path.is_dir():
            raise InputError(f"--out {out}: {path} is a folder, and a file is to be written.")
    return Plan(planned, gallery)


def _outputs(place: Path, kind: str, methods: Sequence[str]) -> list[Output]:
    """The files of one kind of a photograph, whose name without its ending is given."""
    if kind == "html" or len(methods) == 1:
        return [Output(place.with_name(f"{place.name}.{kind}"), tuple(methods))]
    return [Output(place.with_name(f"{place.name}.{method}.{kind}"), (method,)) for method in methods]


def _check_single_file(out: Path, count: int, formats: Sequence[str], methods: Sequence[str]) -> None:
    if count > 1:
        raise InputError(f"--out {out} is one file for {count} photographs; name a folder, and --format if not png.")
    if formats:
        raise InputError(f"--out {out} says which kind of file; leave out --format, or name a folder.")
    if len(methods) > 1 and out.suffix.lower() != ".html":
        raise InputError(
            f"--out {out} holds one method, and there are {len(methods)}; write {out.stem}.html, which holds all of "
            f"them, or name a folder, for one {out.suffix.lower()} for each."
        )
    check_output_file(out, "--out")


def _different_names(photographs: Sequence[Path], not_these: Sequence[str] = ()) -> list[str]:
    """Name each photograph's files; file systems may take names for equal that differ in case alone."""
    stems = [_short_stem(path) for path in photographs]
    taken = {stem.casefold() for stem in stems} | set(not_these)
    seen = Counter(not_these)
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
