"""A photograph read and brought to the size of the network's input, or why that cannot be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from captum_superpixel._checks import InputError, one_line
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.explanation import Outcome
from captum_superpixel.explain.photographs import open_photograph

__all__ = ["Opened", "read"]


@dataclass(frozen=True)
class Opened:
    """A photograph that was read.

    Attributes:
        path: The file.
        picture: ``(3, H, W)`` uint8, of the size of the input.
        size: Its own height and width.
        remarks: What there is to know about it.
    """

    path: Path
    picture: Tensor
    size: tuple[int, int]
    remarks: tuple[str, ...]


def read(path: Path, preprocessing: Preprocessing) -> Opened | Outcome:
    """Read a photograph; one that cannot be read has its outcome already."""
    remarks: list[str] = []
    try:
        photograph = open_photograph(path, remarks.append)
        picture = preprocessing.fit(photograph)
    except (InputError, OSError) as error:
        return Outcome(path, tuple(remarks), (), (one_line(error),))
    return Opened(path, picture, (photograph.height, photograph.width), tuple(remarks))
