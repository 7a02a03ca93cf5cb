"""read_photograph and to_rgb: every mode and orientation as it is meant, and one kind of error for what is broken."""

import io
import re
import struct
import subprocess
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from captum_superpixel.datasets.photographs import RefusedImage, UnreadableImage, read_photograph, to_rgb

GRAY = np.array([[0, 100], [200, 255]], dtype=np.uint8)
Encode = Callable[..., bytes]


@pytest.fixture
def large() -> torch.Tensor:
    """Noise (3, 64, 96), which fills a file."""
    return torch.randint(256, (3, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(GRAY),
        Image.fromarray(GRAY.astype(np.uint16) * 257),
        Image.fromarray(GRAY.astype(np.int32) * 257),
        Image.fromarray(GRAY).convert("RGBA"),
        Image.fromarray(GRAY).convert("LA"),
        Image.fromarray(GRAY).convert("P"),
        Image.merge("CMYK", [Image.fromarray(255 - GRAY)] * 3 + [Image.new("L", (2, 2))]),
    ],
    ids=lambda image: image.mode,
)
def test_modes(image: Image.Image, tmp_path: Path) -> None:
    expected = np.repeat(GRAY[:, :, None], 3, axis=2)
    converted = to_rgb(image)
    assert converted.mode == "RGB"
    assert np.array_equal(np.asarray(converted), expected)
    image.save(tmp_path / "image.tif")
    assert np.array_equal(np.asarray(read_photograph(tmp_path / "image.tif")), expected)


def test_transparent_palettes_do_not_warn() -> None:
    image = Image.fromarray(GRAY).convert("P")
    image.info["transparency"] = bytes(range(256))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image.convert("RGB")
    assert "Transparency" in str(caught[0].message), "Pillow no longer warns: then the detour by RGBA can go"
    assert np.array_equal(np.asarray(to_rgb(image))[..., 1], GRAY)


@pytest.mark.parametrize("coarse", [False, True])
def test_photographs_are_turned_as_the_camera_says(coarse: bool, tmp_path: Path) -> None:
    """Orientation 6: the first row of the file is the last column of the photograph."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((32, 64, 3), dtype=np.uint8)
    stored[:16] = 255
    Image.fromarray(stored).save(tmp_path / "turned.jpg", exif=exif)
    image = read_photograph(tmp_path / "turned.jpg", coarse=coarse)
    pixels = np.asarray(image)
    assert image.height == 2 * image.width
    assert pixels[:, : image.width // 2].max() < 30
    assert pixels[:, image.width // 2 :].min() > 225
    assert np.array_equal(np.asarray(to_rgb(image)), pixels)


def test_files_and_their_content_give_the_same(large: torch.Tensor, encode: Encode, tmp_path: Path) -> None:
    content = encode(large)
    (tmp_path / "large.png").write_bytes(content)
    for source in (content, tmp_path / "large.png", str(tmp_path / "large.png")):
        image = read_photograph(source)
        assert torch.equal(torch.from_numpy(np.array(image)).permute(2, 0, 1), large)


def test_a_coarse_jpeg_has_an_eighth_of_the_rows_and_columns(large: torch.Tensor, encode: Encode) -> None:
    assert read_photograph(encode(large, "jpeg"), coarse=True).size == (12, 8)
    assert read_photograph(encode(large, "png"), coarse=True).size == (96, 64)


@pytest.mark.parametrize("kind", ["jpeg", "png", "bmp", "gif", "webp"])
def test_the_coarse_check_refuses_what_cannot_be_decoded(kind: str, large: torch.Tensor, encode: Encode) -> None:
    content = encode(large, kind)
    assert read_photograph(content, coarse=True).mode == "RGB"
    for length in range(0, len(content), len(content) // 7):
        for coarse in (False, True):
            with pytest.raises(UnreadableImage, match=r"\w+Error: \w+"):
                read_photograph(content[:length], coarse=coarse)


def test_what_is_no_photograph(large: torch.Tensor, encode: Encode, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes(encode(large)[:300])
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "floats.tif")
    for name, message in (
        ("text.png", "^UnidentifiedImageError: the format is unknown$"),
        ("cut.png", "^(OSError|SyntaxError): "),
        ("none.png", r"^FileNotFoundError: .*none\.png"),
        ("", "^(IsADirectoryError|PermissionError): "),
        ("floats.tif", "^ValueError: .*mode F"),
    ):
        with pytest.raises(UnreadableImage, match=message):
            read_photograph(tmp_path / name)
    with pytest.raises(TypeError, match="a Pillow image is needed, but a ndarray was passed"):
        to_rgb(GRAY)  # type: ignore[arg-type]


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def saved(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def remarks_on(content: bytes, *, coarse: bool = False) -> list[str]:
    remarks: list[str] = []
    read_photograph(content, coarse=coarse, report=remarks.append)
    return remarks


def with_hot_pixel(array: Any) -> Any:
    array = array.copy()
    array[0, 0] = 65535
    return array


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RAMP, r"^uses a sliver of its range: its values go from 0 to 4095 of 0 to 65535, which is nearly black; str"),
        (RAMP * 4, r"from 0 to 16380 of 0 to 65535, which is nearly black"),
        (RAMP.astype(np.int32) // 16, r"from 0 to 255 of 0 to 65535, which is nearly black"),
        (RAMP // 2 + 30000, r"from 30000 to 32047 of 0 to 65535, which is nearly one shade"),
        (RAMP // 2 + 63000, r"from 63000 to 65047 of 0 to 65535, which is nearly white"),
        (with_hot_pixel(RAMP), r"its values, but for outliers, go from [1-5] to 409[0-5] of 0 to 65535"),
    ],
)
def test_slivers_of_16_bits_are_said(array: Any, message: str, coarse: bool) -> None:
    kind = "tiff" if array.dtype == np.int32 else "png"
    (remark,) = remarks_on(saved(Image.fromarray(array), kind), coarse=coarse)
    assert re.search(message, remark)


@pytest.mark.parametrize("factor", [5, 16])
def test_nothing_is_said_of_what_uses_its_range(factor: int) -> None:
    assert remarks_on(saved(Image.fromarray(RAMP * factor))) == []
    assert remarks_on(saved(Image.fromarray(RAMP.astype(np.int32) * factor), "tiff")) == []
    assert remarks_on(saved(Image.fromarray(GRAY))) == []


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (RAMP.astype(np.int32) * 32, r"^is clipped: of its pixels, 50 % are above 65535; bring them into 0 to 65535"),
        (RAMP.astype(np.int32) * 17 - 3, r"^is clipped: of its pixels, less than 0.1 % are below 0, 5.86 % are above"),
        (RAMP.astype(np.int32) * 16 - 32768, r"^is clipped: of its pixels, 50 % are below 0; bring"),
    ],
)
def test_clipped_values_are_said(array: Any, message: str) -> None:
    (remark,) = remarks_on(saved(Image.fromarray(array), "tiff"))
    assert re.search(message, remark)


def png_of_16_bit_colors(values: Any) -> bytes:
    """A PNG (H, W, 3) of 16 bits, which Pillow does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">L", len(content)) + name + content + struct.pack(">L", zlib.crc32(name + content))

    height, width, _ = values.shape
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">LLBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_slivers_of_16_bit_colors_are_said() -> None:
    colors = np.stack([RAMP] * 3, axis=-1)
    (remark,) = remarks_on(png_of_16_bit_colors(colors))
    assert re.search(
        r"from 0 to 15 of 0 to 255, which is nearly black.*16 bits, of which Pillow reads the upper 8", remark
    )
    assert remarks_on(png_of_16_bit_colors(colors * 16)) == []


def gray_tiff(pixels: bytes, bits: int, *tags: tuple[int, int, int]) -> bytes:
    """A TIFF of two gray pixels."""
    entries = [
        (256, 3, 2),
        (257, 3, 1),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 200),
        (277, 3, 1),
        (278, 3, 1),
        (279, 4, len(pixels)),
        *tags,
    ]
    directory = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in entries)
    return (b"II*\0" + struct.pack("<LH", 8, len(entries)) + directory + bytes(4)).ljust(200, b"\0") + pixels


def test_12_bits_that_a_tiff_declares_are_its_range() -> None:
    """0xFFF and 0x800 in three bytes."""
    content = gray_tiff(bytes([0xFF, 0xF8, 0x00]), 12)
    assert np.asarray(read_photograph(content))[0, :, 0].tolist() == [255, round(0x800 / 0xFFF * 255)]
    assert remarks_on(content) == []


@pytest.mark.parametrize(
    ("kind", "what"), [("tiff", "pages"), ("gif", "frames"), ("webp", "frames"), ("png", "frames"), ("mpo", "pictures")]
)
def test_pages_that_are_not_read_are_said(kind: str, what: str, large: torch.Tensor) -> None:
    first = Image.fromarray(large.permute(1, 2, 0).numpy())
    others = [first.rotate(180), first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    content = saved(first, kind, save_all=True, append_images=others)
    assert remarks_on(content) == [f"has 3 {what}, of which the first alone is read"]
    assert remarks_on(content, coarse=True) == remarks_on(content)
    assert np.array_equal(np.asarray(read_photograph(content, report=str)), np.asarray(read_photograph(content)))
    assert remarks_on(saved(first, "jpeg" if kind == "mpo" else kind)) == []


def test_sizes_beyond_the_limit_are_too_large_and_not_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert remarks_on(saved(Image.fromarray(RAMP[:10, :10] * 1000))) == []
    for kind in ("png", "jpeg", "gif", "webp", "tiff"):
        with pytest.raises(RefusedImage, match=r"^too large: 210 pixels, and 200 are the most .*\(twice PIL"):
            read_photograph(saved(Image.new("L", (21, 10)), kind))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert read_photograph(saved(Image.new("L", (21, 10)))).size == (21, 10)


def test_between_the_limit_and_its_double_the_filters_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = saved(Image.linear_gradient("L").resize((20, 10)))
    with pytest.warns(Image.DecompressionBombWarning, match=r"200 pixels\) exceeds limit of 100"):
        (remark,) = remarks_on(content)
    assert re.search(
        r"is too large for Pillow's limit of 100 pixels .*: 20 x 10 \(width x height\) are 200 pixels", remark
    )
    with pytest.warns(Image.DecompressionBombWarning):
        assert read_photograph(content).size == (20, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RefusedImage, match=r"^too large: 200 pixels, and 100 are .*where warnings are errors"):
            read_photograph(content)
        warnings.simplefilter("ignore")
        assert remarks_on(content) == [remark]


def test_postscript_never_starts_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[object] = []
    for name in ("check_call", "Popen", "run", "call"):
        monkeypatch.setattr(subprocess, name, lambda *arguments, **options: started.append(arguments))
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    windows = b"\xc5\xd0\xd3\xc6" + struct.pack("<LL", 30, len(postscript)) + bytes(18) + postscript
    for content in (postscript, windows):
        (tmp_path / "photograph.png").write_bytes(content)
        with pytest.raises(RefusedImage, match=r"^PostScript \(EPS\), for which .*Ghostscript.*: convert it"):
            read_photograph(tmp_path / "photograph.png")
        inside = b"".join(
            b"\x1c" + bytes(tag) + struct.pack(">H", len(value)) + value
            for tag, value in (
                ((3, 20), b"\0\x08"),
                ((3, 30), b"\0\x08"),
                ((3, 60), b"\x01\0"),
                ((3, 120), b"\0\x05"),
                ((8, 10), content),
            )
        )
        with pytest.raises(RefusedImage, match=r"^an IPTC container"):
            read_photograph(inside)
    assert started == []


@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIF"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_formats_that_pillow_does_not_read_are_named(prefix: bytes, name: str) -> None:
    with pytest.raises(RefusedImage, match=f"^{name}, which Pillow cannot read here: convert it to PNG or JPEG first"):
        read_photograph(prefix + bytes(64))


def test_floats_are_refused_with_their_range_and_a_cure_that_works() -> None:
    array = np.array([[0.0, 0.5], [1.0, np.nan]], dtype=np.float32)
    with pytest.raises(UnreadableImage, match=r"mode F, from 0 to 1\) .* becoming 255, by (.*)$") as caught:
        read_photograph(saved(Image.fromarray(array), "tiff"))
    array[1, 1] = 2
    advice = str(caught.value).rpartition("by PIL.")[2]
    cured = eval(advice, {"Image": Image, "white": 1, "array": array})
    assert np.asarray(cured).tolist() == [[0, 127], [255, 255]]


def damaged_exif() -> list[bytes]:
    """No data, no header, a directory that is not there, one that ends early, one whose value lies behind the end."""
    entry = struct.pack("<HHLL", 0x0112, 3, 1, 1)
    return [
        b"",
        b"xx",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"II*\0" + struct.pack("<LH", 8, 9) + entry,
        b"II*\0" + struct.pack("<LH", 8, 1) + struct.pack("<HHLL", 0x010F, 2, 200, 5000) + bytes(4),
    ]


@pytest.fixture
def no_warnings() -> Iterator[None]:
    """As errors, which they are in these tests, they could be swallowed with those of the decoder."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert [str(warning.message) for warning in caught] == []


@pytest.mark.usefixtures("no_warnings")
@pytest.mark.parametrize("damage", damaged_exif())
def test_damaged_exif_says_nothing(damage: bytes, large: torch.Tensor, encode: Encode) -> None:
    """Some of it is read with the pixels, some when a file is identified: a JPEG with no resolution of its own."""
    exif = b"Exif\0\0" + damage
    image = Image.open(io.BytesIO(encode(large, "webp")))
    image.info["exif"] = exif
    assert to_rgb(image).size == (96, 64)
    picture = Image.fromarray(large.permute(1, 2, 0).numpy())
    for kind in ("jpeg", "png", "webp"):
        assert remarks_on(saved(picture, kind, exif=exif)) == []
    # Without the segment JFIF, which holds the resolution.
    jpeg = saved(picture, "jpeg", exif=exif)
    assert jpeg[2:4] == b"\xff\xe0"
    assert remarks_on(jpeg[:2] + jpeg[4 + int.from_bytes(jpeg[4:6], "big") :]) == []


@pytest.mark.usefixtures("no_warnings")
def test_damage_beside_the_pixels_of_a_tiff_says_nothing() -> None:
    """The directory of EXIF tags, which is read with the pixels, begins at the last byte of the file."""
    content = gray_tiff(bytes([7, 200]), 8, (0x8769, 4, 201))
    with pytest.warns(UserWarning, match="Corrupt EXIF data"):
        Image.open(io.BytesIO(content)).load()
    assert np.asarray(read_photograph(content))[0, :, 0].tolist() == [7, 200]


def test_orientations_are_those_of_pillow() -> None:
    stored = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    for orientation in range(10):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for kind, options in (("png", {}), ("tiff", {}), ("webp", {"lossless": True})):
            content = saved(stored.convert("RGB"), kind, exif=exif, **options)
            with Image.open(io.BytesIO(content)) as image:
                expected = ImageOps.exif_transpose(image)
            assert np.array_equal(np.asarray(read_photograph(content)), np.asarray(expected)), (orientation, kind)


def test_threads_hear_of_their_own_photographs_and_leave_the_filters_as_they_were() -> None:
    dark, stack = (
        saved(Image.fromarray(RAMP)),
        saved(Image.fromarray(GRAY), "gif", save_all=True, append_images=[Image.fromarray(255 - GRAY)]),
    )
    heard: dict[int, list[list[str]]] = {}

    def read(number: int) -> None:
        heard[number] = [remarks_on(dark if number % 2 else stack) for _ in range(50)]

    before = list(warnings.filters)
    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
    for number, lists in heard.items():
        assert all(len(remarks) == 1 and ("sliver" in remarks[0]) == bool(number % 2) for remarks in lists)
