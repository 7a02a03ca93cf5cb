"""Text files that name the classes of a network or a data set, one per line."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from captum_superpixel._checks import InputError

__all__ = ["read_classes", "read_labels"]


def read_classes(classes: str | os.PathLike[str] | Sequence[str]) -> list[str]:
    """Read the names of the folders of classes, in the order of a network's outputs.

    Args:
        classes: A list, or a text file (UTF-8) with one name per line, of which only the part before the first tab
            counts.

    Returns:
        The names, each of them once; line i is class i.

    Raises:
        TypeError: If a list holds anything but names.
        ValueError: If the file cannot be read, a line before the last is empty, a name stands twice, or there are none.
    """
    where = "classes"
    if isinstance(classes, (str, os.PathLike)):
        where = f"classes {os.fspath(classes)}"
        classes = [columns[0] for columns in _read_columns(classes, "classes")]
    names = list(classes)
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise TypeError(f"{where} must hold names, but entry {place} is {name!r} ({type(name).__name__})")
        if not name:
            raise ValueError(f"{where}: line {place + 1} has no name; line i names class i, from class 0")
        if name in first:
            raise ValueError(f"{where}: {name!r} is named twice, as classes {first[name]} and {place}; name it once")
        first[name] = place
    if not names:
        raise ValueError("the list of classes is empty: name at least one")
    return names


def read_labels(path: str | os.PathLike[str], name: str = "labels") -> list[str]:
    """Read what the classes are called: unlike those of folders, these names may repeat.

    Args:
        path: A text file (UTF-8) with one name per line, of which only the part after the last tab counts.
        name: What the caller calls it in messages: ``"--labels"``, or the name of an argument.

    Returns:
        The names; line i is class i.

    Raises:
        InputError: If the file cannot be read, or a line before the last is empty.
    """
    names = [columns[-1] for columns in _read_columns(path, name)]
    if "" in names:
        raise InputError(
            f"{name} {os.fspath(path)}: line {names.index('') + 1} has no name; line i names class i, from class 0."
        )
    return names


def _read_columns(path: str | os.PathLike[str], name: str) -> list[list[str]]:
    """The columns of every line, which tabs separate; empty lines at the end do not count."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").rstrip().split("\n")
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"{name} {os.fspath(path)} cannot be read ({type(error).__name__}: {error}); pass a text file in UTF-8, "
            "with one name per line."
        ) from error
    return [[column.strip() for column in line.split("\t")] for line in lines]
