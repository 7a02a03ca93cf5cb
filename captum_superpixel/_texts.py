"""Names and texts of any length, joined into a sentence, or made to fit where there is little room."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

__all__ = ["cut", "fold", "joined"]


def cut(text: str, length: int) -> str:
    """Leave out the middle of a text that is longer than this.

    Examples:
        >>> cut("a cat on a mat in a hall.jpg", 15)
        'a cat o…all.jpg'
    """
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}…{text[-end:]}"


def fold(text: str, width: int, lines: int) -> str:
    """Break a text into at most so many lines of at most this width; an ellipsis stands for what does not fit.

    Examples:
        >>> print(fold("for great white shark, white shark, man-eater", 16, 2))
        for great white
        shark, white…
    """
    # Long words, such as names of files, are broken anywhere.
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder="…"))


def joined(names: Iterable[object], conjunction: str = "and") -> str:
    """Write a list as in a sentence.

    Args:
        names: At least one.
        conjunction: What stands before the last of several.

    Examples:
        >>> joined(["pixels"]), joined(["cells", "blur", "Slic"])
        ('pixels', 'cells, blur and Slic')
    """
    *first, last = map(str, names)
    return f"{', '.join(first)} {conjunction} {last}" if first else last
