"""Which photographs the user named, and which files their explanations go to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from captum_superpixel._checks import InputError
from captum_superpixel.datasets.preprocessing import to_rgb

__all__ = ["FORMATS", "Job", "find_photographs", "open_photograph", "plan_jobs", "readable"]

FORMATS = ("png", "html", "npz")
# A folder may be called run-1.2, but hardly cat.jpg.
_OTHER_FILES = {
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".bmp",
    ".pdf",
    ".svg",
    ".htm",
    ".npy",
    ".csv",
    ".json",
}


@dataclass(frozen=True)
class Job:
    """A photograph, and the files that its explanation goes to."""

    photograph: Path
    outputs: tuple[Path, ...]


def find_photographs(paths: Sequence[Path]) -> list[Path]:
    """List the photographs that the user named, and for each folder the pictures in it by name.

    A file stands once however often it was named. One that does not exist is listed as long as another does: it is
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
            raise InputError(f"the folder {readable(path)} holds no pictures, and those in its folders do not count.")
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
    # Decoders meet broken files with a dozen kinds of exception.
    try:
        with Image.open(path) as opened:
            return to_rgb(opened)
    except Exception as error:
        cause = "the format is unknown" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"is no picture that Pillow can read ({type(error).__name__}: {cause}).") from error


def plan_jobs(photographs: Sequence[Path], out: Path, formats: Sequence[str]) -> list[Job]:
    """Settle the files to write.

    Args:
        photographs: As ``find_photographs`` lists them.
        out: A file that ends in one of ``FORMATS``, for a single photograph; or a folder, which need not exist, for one
            file a photograph and format. Of photographs with the same name, the second is called ``name-2``.
        formats: Of the files in a folder; none for ``png``.

    Returns:
        One job a photograph.

    Raises:
        InputError: If ``out`` cannot be used, or a photograph would be replaced.
    """
    suffix = out.suffix.lower()
    if out.is_dir() or suffix not in {f".{known}" for known in FORMATS}:
        _check_folder(out)
        wanted = list(dict.fromkeys(formats)) or ["png"]
        jobs = [
            Job(photograph, tuple(out / f"{name}.{kind}" for kind in wanted))
            for photograph, name in zip(photographs, _different_names(photographs), strict=True)
        ]
    else:
        _check_file(out, len(photographs), formats)
        jobs = [Job(photographs[0], (out,))]
    own = {path.resolve() for path in photographs}
    for job in jobs:
        for path in job.outputs:
            if path.resolve() in own:
                raise InputError(f"--out {readable(out)} would replace the photograph {readable(path)}; pass another.")
            if path.is_dir():
                raise InputError(f"--out {readable(out)}: {readable(path)} is a folder, and a file is to be written.")
    return jobs


def readable(text: object) -> str:
    r"""Make any text fit for a line of a terminal: names of files and classes may hold whatever they like.

    Examples:
        >>> readable("two\nlines") == "two\ufffdlines"
        True
    """
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in str(text))


def _check_folder(out: Path) -> None:
    if out.is_dir():
        return
    if out.exists():
        raise InputError(f"--out {readable(out)} is a file, and not one that ends in .png, .html or .npz.")
    if out.suffix.lower() in _OTHER_FILES:
        raise InputError(f"--out {readable(out)} ends in {out.suffix}; write .png, .html or .npz, or name a folder.")
    if not out.parent.is_dir():
        raise InputError(f"--out {readable(out)}: there is no folder {readable(out.parent)}; make it first.")


def _check_file(out: Path, count: int, formats: Sequence[str]) -> None:
    if count > 1:
        raise InputError(
            f"--out {readable(out)} is one file for {count} photographs; name a folder, and --format if not png."
        )
    if formats:
        raise InputError(f"--out {readable(out)} says which kind of file; leave out --format, or name a folder.")
    if not out.parent.is_dir():
        raise InputError(f"--out {readable(out)}: there is no folder {readable(out.parent)}; make it first.")


def _different_names(photographs: Sequence[Path]) -> list[str]:
    """Name each photograph's files; file systems may take names for equal that differ in case alone."""
    taken = set(Counter(path.stem.casefold() for path in photographs))
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
