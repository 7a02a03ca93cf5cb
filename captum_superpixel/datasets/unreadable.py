"""Images that cannot be decoded, or not as a whole: found before a long run begins.

Those that cannot be decoded are fatal to it or left out, as the user chooses; the others are warned of.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from captum_superpixel._checks import checked_choice, listed
from captum_superpixel._threads import available_cores
from captum_superpixel._untyped import progress_bar
from captum_superpixel.datasets.photographs import PhotographWarning, UnreadableImage, read_photograph

__all__ = [
    "Checked",
    "OnUnreadable",
    "check_images",
    "check_on_unreadable",
    "describe_groups",
    "settle_unreadable",
    "warn_of_remarks",
]

_NAMED = 8

OnUnreadable: TypeAlias = Literal["raise", "skip"]


class Checked(NamedTuple):
    """What was found when files were decoded, each by its place in the list of files.

    Attributes:
        unreadable: Why a file cannot be decoded.
        remarks: What is to be said of a file that can.
    """

    unreadable: dict[int, str]
    remarks: dict[int, list[str]]


def check_on_unreadable(value: object) -> None:
    """Raise ValueError unless the value is one of the two choices."""
    checked_choice("on_unreadable", value, ("raise", "skip"))


def check_images(paths: Sequence[str], *, progress: bool = False) -> Checked:
    """Decode every file, as coarsely as its format allows, in as many threads as there are cores.

    Args:
        paths: N files.
        progress: Whether to show a bar.

    Returns:
        Those that cannot be decoded, and the remarks of :func:`~captum_superpixel.datasets.photographs.read_photograph`
        on the others.
    """
    # Not by call_each, which returns all results at the end: the bar follows them one by one.
    with ThreadPoolExecutor(available_cores()) as pool:
        results: Iterable[tuple[str | None, list[str]]] = pool.map(_check_image, paths)
        if progress:
            results = progress_bar(results, total=len(paths), desc="Checking images", unit="image")
        checked = Checked({}, {})
        for place, (why, remarks) in enumerate(results):
            if why is not None:
                checked.unreadable[place] = why
            elif remarks:
                checked.remarks[place] = remarks
        return checked


def warn_of_remarks(remarks: Mapping[str, Sequence[str]], where: Path, stacklevel: int = 3) -> None:
    """Warn once of all remarks on images.

    Args:
        remarks: Names of images, and what is to be said of each, as the end of a sentence.
        where: The root, for the message.
        stacklevel: Of the warning; 3 is the caller of the function that calls this one.
    """
    if remarks:
        said = "; ".join(describe_groups((name, remark) for name, those in remarks.items() for remark in those))
        warnings.warn(f"{where}: {said}", PhotographWarning, stacklevel=stacklevel)


def describe_groups(said: Iterable[tuple[object, str]]) -> list[str]:
    """Say of each file what there is to say, and of many files the same thing once.

    Examples:
        >>> describe_groups([("a.tif", "has 2 pages"), ("b.jpg", "is too large"), ("c.tif", "has 2 pages")])
        ['2 files, a.tif, c.tif: each has 2 pages', 'b.jpg is too large']
    """
    alike: dict[str, list[str]] = {}
    for name, remark in said:
        alike.setdefault(remark, []).append(str(name))
    return [
        f"{names[0]} {remark}" if len(names) == 1 else f"{len(names)} files, {listed(names, _NAMED)}: each {remark}"
        for remark, names in alike.items()
    ]


def settle_unreadable(unreadable: dict[str, str], count: int, where: Path, on_unreadable: OnUnreadable) -> list[str]:
    """Raise an error about unreadable images or leave them out, as the user chose.

    Args:
        unreadable: Names of what cannot be read, and why.
        count: How many images there are, these included.
        where: The root, for the message.
        on_unreadable: The user's choice.

    Returns:
        Their names.

    Raises:
        ValueError: If there are any and the choice is ``"raise"``, or no other image is left.
    """
    if unreadable and (on_unreadable == "raise" or len(unreadable) == count):
        shown = "; ".join(f"{name} ({why})" for name, why in list(unreadable.items())[:8])
        more = f"; and {len(unreadable) - 8} more" if len(unreadable) > 8 else ""
        advice = (
            "no image is left: pass another root"
            if len(unreadable) == count
            else "repair or remove them, or leave them out by on_unreadable='skip'"
        )
        raise ValueError(f"{len(unreadable)} of {count} images in {where} cannot be read: {shown}{more}; {advice}")
    return list(unreadable)


def _check_image(path: str) -> tuple[str | None, list[str]]:
    remarks: list[str] = []
    try:
        read_photograph(path, coarse=True, report=remarks.append)
    except UnreadableImage as error:
        return str(error), []
    return None, remarks
