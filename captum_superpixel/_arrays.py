"""Arrays from the bytes that NumPy writes, none of which may claim more than there is."""

from __future__ import annotations

import io
import math
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArrayHeader", "parse_array", "read_header"]

_VERSION = (1, 0)
"""Of the format: what ``np.save`` writes of arrays without named fields."""


class ArrayHeader(NamedTuple):
    """What a file of one array says of it, before the array itself.

    Attributes:
        shape: Of the array.
        fortran_order: Whether the first axis changes fastest.
        dtype: Of the array, never of Python objects.
        start: How many bytes the header takes.
    """

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]
    start: int

    @property
    def size(self) -> int:
        """How many bytes the array takes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check_length(self, length: int) -> None:
        """Raise ValueError unless a file of this many bytes ends where the array does."""
        if min(self.shape, default=0) < 0 or length - self.start != self.size:
            raise ValueError(
                f"the array of shape {self.shape} and dtype {self.dtype} takes {self.size} bytes, but "
                f"{length - self.start} follow its header"
            )


def read_header(file: IO[bytes]) -> ArrayHeader:
    """Read the header of what ``np.save`` wrote, 64 kilobytes at the most, and leave the file where the array begins.

    Raises:
        ValueError: If it is no such file, of another version of the format, or of Python objects.
    """
    start = file.read(np.lib.format.MAGIC_LEN)
    if start.startswith(b"PK"):
        raise ValueError("several arrays, written by np.savez")
    if not start.startswith(np.lib.format.MAGIC_PREFIX) or len(start) < np.lib.format.MAGIC_LEN:
        raise ValueError("no array that np.save wrote")
    version = start[-2], start[-1]
    if version != _VERSION:
        raise ValueError(f"version {version} of the format is not {_VERSION}")
    # It is read as an expression of Python, and damaged it fails in as many ways as those.
    try:
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:
        raise ValueError(f"its header cannot be read: {error}") from error
    if dtype.hasobject:
        raise ValueError("arrays of Python objects are not read")
    return ArrayHeader(shape, fortran_order, dtype, file.tell())


def parse_array(content: bytes) -> NDArray[Any]:
    """Read what ``np.save`` wrote, as it is and to its end.

    ``np.load`` allocates what the header claims before it looks at what follows, and ignores what is too much.

    Args:
        content: The whole file.

    Returns:
        The array, a view of the content that cannot be written to.

    Raises:
        ValueError: If it is no such file, of another version of the format, or longer or shorter than its header says.

    Examples:
        >>> file = io.BytesIO()
        >>> np.save(file, np.arange(3))
        >>> parse_array(file.getvalue())
        array([0, 1, 2])
        >>> parse_array(file.getvalue()[:-1])
        Traceback (most recent call last):
        ValueError: the array of shape (3,) and dtype int64 takes 24 bytes, but 23 follow its header
    """
    header = read_header(io.BytesIO(content))
    header.check_length(len(content))
    values: NDArray[Any] = np.frombuffer(content, header.dtype, offset=header.start)
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")
