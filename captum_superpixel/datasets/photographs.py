"""Photographs from files: the one place that opens what users bring, in whatever format and state it is."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["UnreadableImage", "read_photograph", "to_rgb"]

# With a transparency of bytes, these warn on the way to RGB; over RGBA they do not.
_TRANSPARENT_PALETTES = ("P", "PA")
_WIDE_GRAY = ("I", "I;16", "I;16L", "I;16B", "I;16N")


class UnreadableImage(ValueError):
    """An image file cannot be decoded; the message is the kind of error and its cause."""


def read_photograph(source: str | os.PathLike[str] | bytes, *, coarse: bool = False) -> Image.Image:
    """Decode a photograph.

    Args:
        source: An image file, or its content.
        coarse: Whether to read a JPEG to its end but to compute only an eighth of its rows and columns, which is enough
            to know whether it can be decoded.

    Returns:
        The photograph in mode RGB, turned as its EXIF orientation says; see :func:`to_rgb`.

    Raises:
        UnreadableImage: If there is no such file, or it cannot be decoded to its end.

    Examples:
        >>> read_photograph(b"no picture")
        Traceback (most recent call last):
        captum_superpixel.datasets.photographs.UnreadableImage: UnidentifiedImageError: the format is unknown
    """
    # Decoders meet broken files with a dozen kinds of exception.
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            if coarse:
                image.draft(None, (1, 1))
            return to_rgb(image)
    except UnidentifiedImageError as error:
        # Pillow's own words name the address of a buffer.
        raise UnreadableImage(f"{type(error).__name__}: the format is unknown") from error
    except Exception as error:
        raise UnreadableImage(f"{type(error).__name__}: {error}") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Decode an image, turn it as its EXIF orientation says, and convert it to mode RGB.

    Gray is repeated, 16 bits become 8 (Pillow's mode I counts as 16), a palette is looked up, CMYK is converted, and
    transparency is dropped, as torchvision and transformers do. An image that is turned and in mode RGB stays as it is.

    Args:
        image: A Pillow image of any size and mode.

    Returns:
        The image, a copy.

    Raises:
        TypeError: If it is not a Pillow image.
        ValueError: If its pixels have no known range (mode F).
    """
    if not isinstance(image, Image.Image):
        raise TypeError(
            f"a Pillow image is needed, but a {type(image).__name__} was passed: open files by PIL.Image.open, turn "
            "arrays into images by PIL.Image.fromarray"
        )
    with warnings.catch_warnings():
        # Damaged EXIF data, which some images of ImageNet have, are no reason to stop or to warn.
        warnings.simplefilter("ignore", UserWarning)
        image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("the image has floating-point pixels (mode F) of no known range: convert it to 8 bits first")
    if image.mode in _WIDE_GRAY:
        # Pillow would clip them at 255 or keep the high byte, depending on its version and the mode.
        image = Image.fromarray(np.rint(np.clip(np.asarray(image), 0, 65535) / 257).astype(np.uint8))
    if image.mode in _TRANSPARENT_PALETTES and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")
