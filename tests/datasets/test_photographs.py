"""read_photograph and to_rgb: every mode and orientation as it is meant, and one kind of error for what is broken."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel.datasets.photographs import UnreadableImage, read_photograph, to_rgb

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
