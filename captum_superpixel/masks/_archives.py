"""The files of ``Precomputed``: masks in a zip archive, of which nothing is unpacked that the whole does not vouch for.

A thousand bytes of zeros become one when they are compressed, so a small file can claim a lot of memory. What it claims
stands in the headers of its arrays and of the archive, and is compared before anything is unpacked; then all of it is
read through once, piece by piece, for its checksum. Memory is taken for files alone that are whole and fit together.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from captum_superpixel._arrays import ArrayHeader, parse_array, read_header

__all__ = ["unpack_masks", "write_masks"]

_ARRAYS = ("masks", "shapes", "places", "keys")
"""What a file holds, beside a checksum over it."""

_DIGITS = 64
"""Of a SHA-256 hash, by which an image is known, and of the checksum."""

_PIECE = 2**18
"""How many bytes are in memory at a time while a checksum is taken."""


def write_masks(file: IO[bytes], masks: Sequence[NDArray[np.integer]], places: Mapping[str, int]) -> None:
    """Write masks, and the hashes of the images that they are known by.

    Args:
        file: Where to, opened for bytes.
        masks: Ids from 0 on without gaps, unsigned, each ``(*spatial)``, all of one number of dimensions.
        places: Index of each image's mask, by the image's hash.
    """
    arrays: dict[str, Any] = {
        "masks": np.concatenate([mask.ravel() for mask in masks]),
        "shapes": np.array([mask.shape for mask in masks], dtype=np.int64),
        "places": np.array(list(places.values()), dtype=np.int64),
        "keys": np.array(list(places), dtype=np.str_),
    }
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(_describe(name, array.dtype, array.shape) + array.tobytes())
    # Where the disk is full, NumPy 1 leaves an archive open, which complains when it is collected.
    packed = io.BytesIO()
    np.savez_compressed(packed, checksum=np.array(digest.hexdigest()), **arrays)
    file.write(packed.getbuffer())


def unpack_masks(content: bytes) -> tuple[list[NDArray[np.integer]], dict[str, int]]:
    """Read what :func:`write_masks` wrote.

    Args:
        content: The whole file.

    Returns:
        The masks, and the index of each image's mask by the image's hash.

    Raises:
        Exception: If it wrote something else, or the file was damaged: of many kinds, as there are many ways to fail.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        headers = {name: _read_header(archive, name) for name in (*_ARRAYS, "checksum")}
        _check_claims(headers)
        if str(_unpack(archive, "checksum")) != _checksum(archive, headers):
            raise ValueError("the checksum is not that of its content")
        shapes = _unpack(archive, "shapes")
        sizes = [math.prod(shape) for shape in shapes.tolist()]
        claimed = headers["masks"]
        if min(sizes) < 1 or claimed.dtype.kind != "u" or claimed.shape != (sum(sizes),):
            raise ValueError(
                f"masks of shape {claimed.shape} and dtype {claimed.dtype} are not {len(sizes)} of these sizes"
            )
        flat, places, keys = (_unpack(archive, name) for name in ("masks", "places", "keys"))
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    masks = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    if not all(len(np.unique(mask)) == int(mask.max()) + 1 for mask in masks):
        raise ValueError("the ids of a mask have gaps")
    return masks, {str(key): range(len(masks))[place] for key, place in zip(keys, places, strict=True)}


def _read_header(archive: zipfile.ZipFile, name: str) -> ArrayHeader:
    """Read the header of an array, which must claim as many bytes as the archive does for it."""
    entry = archive.getinfo(f"{name}.npy")
    # Deflate makes a thousand bytes of one at the most; of the other methods some make a million.
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        raise ValueError(f"{name} is compressed by method {entry.compress_type}")
    with archive.open(entry) as file:
        header = read_header(file)
    header.check_length(entry.file_size)
    if header.fortran_order:
        raise ValueError(f"{name} has its axes in another order")
    return header


def _check_claims(headers: Mapping[str, ArrayHeader]) -> None:
    """Raise ValueError if the arrays cannot belong to one another, by what their headers say."""
    masks, shapes, places, keys = (headers[name].shape for name in _ARRAYS)
    # A mask has a pixel at least, and NumPy no more than 64 axes; an image has one mask.
    fit = len(masks) == 1 and len(shapes) == 2 and 0 < shapes[0] <= masks[0] and 0 < shapes[1] <= 64
    if not fit or places != keys or len(places) != 1 or places[0] > shapes[0]:
        said = ", ".join(f"{name} {headers[name].shape}" for name in _ARRAYS)
        raise ValueError(f"arrays of the shapes {said} do not belong together")
    # NumPy has no strings of no digits.
    digits = np.dtype(f"U{_DIGITS}") if keys[0] else np.dtype("U1")
    wanted = {"shapes": np.dtype(np.int64), "places": np.dtype(np.int64), "keys": digits}
    wanted["checksum"] = np.dtype(f"U{_DIGITS}")
    for name, dtype in wanted.items():
        if headers[name].dtype != dtype:
            raise ValueError(f"{name} of dtype {headers[name].dtype} is not of {dtype}")
    if headers["checksum"].shape != ():
        raise ValueError(f"there are checksums of shape {headers['checksum'].shape}")


def _checksum(archive: zipfile.ZipFile, headers: Mapping[str, ArrayHeader]) -> str:
    """Hash all arrays together, as 64 hexadecimal digits: the sums of the format, of 32 bits, are of one array each."""
    digest = hashlib.sha256()
    for name in _ARRAYS:
        header = headers[name]
        digest.update(_describe(name, header.dtype, header.shape))
        with archive.open(f"{name}.npy") as file:
            file.read(header.start)
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()


def _describe(name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    return f"{name} {dtype.str} {shape} ".encode()


def _unpack(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    # All of the entry is read, since zipfile compares its own sum at the end alone.
    return parse_array(archive.read(f"{name}.npy"))
