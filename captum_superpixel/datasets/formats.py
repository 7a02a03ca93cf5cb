"""Formats of image files: which Pillow reads here, which are left aside, and why, by a file's name or first bytes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

__all__ = ["REFUSED", "is_picture", "list_skipped", "why_refused", "why_skipped"]

_CONVERT = "convert it to PNG or JPEG first"
_EXTERNAL = f"for which Pillow would start an external program (Ghostscript): {_CONVERT}"

REFUSED = {
    "EPS": f"PostScript (EPS), {_EXTERNAL}",
    # It may hold a file of any other format, PostScript too, which Pillow opens without asking.
    "IPTC": f"an IPTC container, which may hold PostScript, {_EXTERNAL}",
}
"""Pillow's formats that are not read, and why, as the end of a sentence that begins with "is"."""

# Pillow knows these by name alone: whoever wants them decoded has to bring the decoder.
_STUBS = ("BUFR", "GRIB", "HDF5", "MPEG")
_RAW = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef"),
    *(".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"),
)
_FOREIGN: dict[str, tuple[str, ...]] = {
    "HEIC": (".heic", ".heics"),
    "HEIF": (".heif", ".heifs", ".hif"),
    "AVIF": (".avif", ".avifs"),
    "JPEG XL": (".jxl",),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "a camera's raw file": _RAW,
    "SVG": (".svg", ".svgz"),
    "DICOM": (".dcm", ".dicom"),
    "OpenEXR": (".exr",),
    "Radiance HDR": (".hdr",),
    "a Photoshop large document": (".psb",),
    "PostScript": (".eps", ".epsf", ".epsi", ".ps", ".ai"),
}
_NAMES = {suffix: name for name, suffixes in _FOREIGN.items() for suffix in suffixes}
_BRANDS = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"mif1": "HEIF",
    b"mif2": "HEIF",
    b"msf1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"crx ": "a camera's raw file",
}
_BEGINNINGS = {
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"II\xbc": "JPEG XR",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"<svg": "SVG",
    b"<?xml": "SVG or other XML",
    b"%PDF": "PDF",
    b"8BPS\x00\x02": "a Photoshop large document",
}
# The second is of files that hold a preview as well.
_POSTSCRIPT = (b"%!PS", b"\xc5\xd0\xd3\xc6")
# A marker and the number of a record.
_IPTC = tuple(bytes([0x1C, record]) for record in (*range(1, 10), 240))


def is_picture(path: Path) -> bool:
    """Whether a file is by its name a picture that can be read.

    Examples:
        >>> [is_picture(Path(name)) for name in ("cat.JPG", "cat.eps", "notes.txt")]
        [True, False, False]
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind in Image.OPEN and kind not in REFUSED and kind not in _STUBS


def why_skipped(path: Path) -> str | None:
    """Say why a file that is by its name a picture is not read.

    Returns:
        What it is, as the end of a sentence that begins with "is"; None if it can be read or its name is no picture's.

    Examples:
        >>> why_skipped(Path("IMG_1.HEIF"))
        'HEIF, which Pillow cannot read here: convert it to PNG or JPEG first'
        >>> why_skipped(Path("IMG_1.JPG")), why_skipped(Path("notes.txt"))
        (None, None)
    """
    if is_picture(path):
        return None
    suffix = path.suffix.lower()
    kind = Image.registered_extensions().get(suffix)
    if kind in REFUSED:
        return REFUSED[kind]
    name = kind if kind in _STUBS else _NAMES.get(suffix)
    return None if name is None else _cannot_read(name)


def list_skipped(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Sort out the files that are by their names pictures but are not read.

    Returns:
        Each reason, as :func:`why_skipped` gives it, with its files in their order.
    """
    skipped: dict[str, list[Path]] = {}
    for path in paths:
        why = why_skipped(path)
        if why is not None:
            skipped.setdefault(why, []).append(path)
    return skipped


def why_refused(prefix: bytes) -> str | None:
    r"""Recognize formats that are not read by the first 16 bytes of a file, whatever its name.

    Returns:
        What it is, as the end of a sentence that begins with "is"; None if it is none of these.

    Examples:
        >>> why_refused(bytes(3) + b"\x18ftypheic" + bytes(4))
        'HEIC, which Pillow cannot read here: convert it to PNG or JPEG first'
    """
    if prefix.startswith(_POSTSCRIPT):
        return REFUSED["EPS"]
    if prefix.startswith(_IPTC):
        return REFUSED["IPTC"]
    name = _BRANDS.get(prefix[8:12]) if prefix[4:8] == b"ftyp" else None
    name = name or next((name for start, name in _BEGINNINGS.items() if prefix.startswith(start)), None)
    return None if name is None else _cannot_read(name)


def _cannot_read(name: str) -> str:
    return f"{name}, which Pillow cannot read here: {_CONVERT}"
