"""Photographs from files: the one place that opens what users bring, in whatever format and state it is.

What a decoder leaves out or cannot show, it says to ``report``, a function of the caller's (``print``, ``list.append``)
that is called in the caller's thread, once per remark: a predicate in one line, such as "has 12 pages, of which the
first alone is read". Where there is no place for remarks, in the readers of whole data sets and in
:class:`~captum_superpixel.datasets.Preprocessing`, they become one :class:`PhotographWarning`.
"""

from __future__ import annotations

import functools
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from captum_superpixel._threads import ignored_warnings
from captum_superpixel.datasets.formats import REFUSED, why_refused
from captum_superpixel.datasets.pixel_range import channel_counts, describe_clipping, describe_sliver

__all__ = ["PhotographWarning", "RefusedImage", "Report", "UnreadableImage", "read_photograph", "to_rgb"]

Report: TypeAlias = Callable[[str], object]
"""Called with every remark on a picture."""

# With a transparency of bytes, these warn on the way to RGB; over RGBA they do not.
_TRANSPARENT_PALETTES = ("P", "PA")
_WIDE_GRAY = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_BITS_PER_SAMPLE = 258
# What "n_frames" counts there are the layers of the one picture that is read.
_LAYERED = ("PSD",)
# Their decoders may warn of damage beside the pixels.
_WARN_WHILE_DECODING = ("ICO", "TIFF")
# Damaged EXIF data, which some images of ImageNet have, are no reason to stop or to warn.
_without_warnings_of_damage = functools.partial(ignored_warnings, UserWarning, module=r"PIL\.")


class PhotographWarning(UserWarning):
    """Pictures were read, but not all that is in them, or they are hardly to be seen."""


class UnreadableImage(ValueError):
    """An image file cannot be decoded; the message is the kind of error and its cause."""


class RefusedImage(UnreadableImage):
    """An image file is not decoded, though it may be whole; the message ends a sentence that begins with "is"."""


def read_photograph(
    source: str | os.PathLike[str] | bytes, *, coarse: bool = False, report: Report | None = None
) -> Image.Image:
    """Decode a photograph.

    PostScript is refused, because Pillow starts an external program to read it. Between Pillow's limit on pixels
    (``PIL.Image.MAX_IMAGE_PIXELS``) and its double a picture is read with a remark, and Pillow gives its own
    ``DecompressionBombWarning``.

    Args:
        source: An image file, or its content.
        coarse: Whether to read a JPEG to its end but to compute only an eighth of its rows and columns, which is enough
            to know whether it can be decoded.
        report: Called with each remark on what the file holds and the photograph does not: values of more than 8 bits
            that were clipped or use a sliver of their range, pages and frames after the first, a size beyond Pillow's
            limit. None to look for none of these.

    Returns:
        The photograph in mode RGB, turned as its EXIF orientation says; see :func:`to_rgb`.

    Raises:
        RefusedImage: If it is larger than twice Pillow's limit (or than the limit, where warnings are errors),
            PostScript, or of another format that Pillow does not read.
        UnreadableImage: If there is no such file, or it cannot be decoded to its end.

    Examples:
        >>> read_photograph(b"no picture")
        Traceback (most recent call last):
        captum_superpixel.datasets.photographs.UnreadableImage: UnidentifiedImageError: the format is unknown
        >>> stack = io.BytesIO()
        >>> gray = [Image.new("L", (8, 8), level) for level in (50, 150)]
        >>> gray[0].save(stack, "tiff", save_all=True, append_images=gray[1:])
        >>> read_photograph(stack.getvalue(), report=print).size
        has 2 pages, of which the first alone is read
        (8, 8)
    """
    # Decoders meet broken files with a dozen kinds of exception.
    try:
        with (
            io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file,
            _open(file) as image,
        ):
            if report is not None:
                _report_size(image.size, report)
            if coarse:
                image.draft(None, (1, 1))
            reduced = report is not None and image.mode not in _WIDE_GRAY and _has_16_bits(image)
            picture = to_rgb(image, report=report)
            if report is not None:
                _report_frames(image, report)
                sliver = describe_sliver(channel_counts(picture), dark=True) if reduced else None
                if sliver is not None:
                    report(f"{sliver} (it has 16 bits, of which Pillow reads the upper 8)")
            return picture
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RefusedImage(_say_too_large(error)) from error
    except UnidentifiedImageError as error:
        # Pillow's own words name the address of a buffer.
        raise UnreadableImage(f"{type(error).__name__}: the format is unknown") from error
    except Exception as error:  # decoders of damaged files fail in as many ways as there are bytes
        raise UnreadableImage(f"{type(error).__name__}: {error}") from error


def to_rgb(image: Image.Image, *, report: Report | None = None) -> Image.Image:
    """Decode an image, turn it as its EXIF orientation says, and convert it to mode RGB.

    Gray is repeated, 16 bits become 8 (Pillow's mode I counts as 16), a palette is looked up, CMYK is converted, and
    transparency is dropped, as torchvision and transformers do. An image that is turned and in mode RGB stays as it is.

    Args:
        image: A Pillow image of any size and mode.
        report: Called with each remark on gray values of more than 8 bits that were clipped or use a sliver of their
            range. None to look for none.

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
    white = 4095 if _bits_per_sample(image) == (12,) else 65535
    image = _turned(image)
    if image.mode == "F":
        raise ValueError(_describe_floats(image))
    if image.mode in _WIDE_GRAY:
        # Pillow would clip them at 255 or keep the high byte, depending on its version and the mode.
        values = np.asarray(image)
        clipped = np.clip(values, 0, white)
        if report is not None:
            counts = np.bincount(clipped.ravel().astype(np.int64), minlength=white + 1)
            for remark in (describe_clipping(values, white), describe_sliver(counts, dark=True)):
                if remark is not None:
                    report(remark)
        image = Image.fromarray(np.rint(clipped * (255 / white)).astype(np.uint8))
    if image.mode in _TRANSPARENT_PALETTES and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def _open(file: IO[bytes]) -> ImageFile.ImageFile:
    """Identify a picture of a format that may be read.

    Raises:
        RefusedImage: If it is of another, known by its first bytes.
    """
    Image.init()
    try:
        with _without_warnings_of_damage():
            return Image.open(file, formats=[kind for kind in Image.ID if kind not in REFUSED])
    except UnidentifiedImageError as error:
        file.seek(0)
        why = why_refused(file.read(16))
        if why is None:
            raise
        raise RefusedImage(why) from error


def _turned(image: Image.Image) -> Image.Image:
    """Decode an image and turn a copy as its metadata say; damaged metadata say nothing."""
    # Outside the lock, since it takes the longest and other threads decode at the same time.
    if image.format not in _WARN_WHILE_DECODING:
        image.load()
    with _without_warnings_of_damage():
        image.load()
        try:
            return ImageOps.exif_transpose(image)
        except Exception:
            # Its pixels are decoded, so it is the metadata that cannot be.
            return image.copy()


def _report_size(size: tuple[int, int], report: Report) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    pixels = size[0] * size[1]
    if limit is not None and pixels > limit:
        report(
            f"is too large for Pillow's limit of {_count(limit)} pixels (PIL.Image.MAX_IMAGE_PIXELS), but was read: "
            f"{size[0]} x {size[1]} (width x height) are {_count(pixels)} pixels"
        )


def _say_too_large(error: Exception) -> str:
    # Pillow's words hold the number of pixels.
    number = re.search(r"\((\d+) pixels\)", str(error))
    these = f"{_count(int(number[1]))} pixels" if number else str(error)
    limit = Image.MAX_IMAGE_PIXELS or 0
    most, why = (limit, "where warnings are errors,") if isinstance(error, Warning) else (2 * limit, "twice")
    most_read = f"{_count(most)} are the most that are read ({why} PIL.Image.MAX_IMAGE_PIXELS)"
    return f"too large: {these}, and {most_read}: scale it down first"


def _report_frames(image: ImageFile.ImageFile, report: Report) -> None:
    if image.format in _LAYERED:
        return
    # What is damaged behind the first page is no concern of a reader of the first.
    try:
        with _without_warnings_of_damage():
            count = int(getattr(image, "n_frames", 1))
    except Exception:
        return
    if count > 1:
        what = {"TIFF": "pages", "DCX": "pages", "MPO": "pictures"}.get(image.format or "", "frames")
        report(f"has {count} {what}, of which the first alone is read")


def _has_16_bits(image: ImageFile.ImageFile) -> bool:
    return 16 in _bits_per_sample(image) or any(";16" in str(tile) for tile in image.tile)


def _bits_per_sample(image: Image.Image) -> tuple[int, ...]:
    tags: Any = getattr(image, "tag_v2", None) or {}
    bits = tags.get(_BITS_PER_SAMPLE, ())
    return tuple(bits) if isinstance(bits, tuple) else (bits,)


def _describe_floats(image: Image.Image) -> str:
    values = np.asarray(image)
    finite = values[np.isfinite(values)]
    found = f"from {finite.min():.6g} to {finite.max():.6g}" if finite.size else "none of them finite"
    return (
        f"the image has floating-point pixels (mode F, {found}) of no known range: convert it to 8 bits first, white "
        "becoming 255, by PIL.Image.fromarray((255 / white * array).clip(0, 255).astype('uint8'))"
    )


def _count(pixels: int) -> str:
    return f"{pixels / 1e6:,.0f} million" if pixels >= 10e6 else f"{pixels:,}"
