"""Arrays from the bytes that NumPy writes, none of which may claim more than there is."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["parse_array"]

_VERSION = (1, 0)
"""Of the format: what ``np.save`` writes of arrays without named fields."""


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
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != _VERSION:
        raise ValueError(f"version {version} of the format is not {_VERSION}")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    start = file.tell()
    if dtype.hasobject:
        raise ValueError("arrays of Python objects are not read")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError(
            f"the array of shape {shape} and dtype {dtype} takes {math.prod(shape) * dtype.itemsize} bytes, but "
            f"{len(content) - start} follow its header"
        )
    values: NDArray[Any] = np.frombuffer(content, dtype, offset=start)
    return values.reshape(shape, order="F" if fortran_order else "C")
