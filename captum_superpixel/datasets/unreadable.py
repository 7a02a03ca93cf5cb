"""Images that cannot be decoded: found before a long run begins, and fatal to it or left out, as the user chooses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeAlias

from captum_superpixel._threads import available_cores
from captum_superpixel._untyped import progress_bar
from captum_superpixel.datasets.photographs import UnreadableImage, read_photograph

__all__ = ["OnUnreadable", "check_on_unreadable", "find_unreadable", "settle_unreadable"]

OnUnreadable: TypeAlias = Literal["raise", "skip"]


def check_on_unreadable(value: object) -> None:
    """Raise ValueError unless the value is one of the two choices."""
    if value not in ("raise", "skip"):
        raise ValueError(f"on_unreadable must be 'raise' or 'skip', but {value!r} was passed")


def find_unreadable(paths: Sequence[str], *, progress: bool = False) -> dict[int, str]:
    """Decode every file, as coarsely as its format allows, in as many threads as there are cores.

    Args:
        paths: N files.
        progress: Whether to show a bar.

    Returns:
        For each file that cannot be decoded, its place in ``paths`` and the cause.
    """
    # Not by call_each, which returns all results at the end: the bar follows them one by one.
    with ThreadPoolExecutor(available_cores()) as pool:
        reasons: Iterable[str | None] = pool.map(_why_unreadable, paths)
        if progress:
            reasons = progress_bar(reasons, total=len(paths), desc="Checking images", unit="image")
        return {place: why for place, why in enumerate(reasons) if why is not None}


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


def _why_unreadable(path: str) -> str | None:
    try:
        read_photograph(path, coarse=True)
    except UnreadableImage as error:
        return str(error)
    return None
