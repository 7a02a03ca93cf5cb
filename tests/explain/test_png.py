"""PNG files hold the pixels that were written, for every reader."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from PIL import Image

from captum_superpixel.explain.png import save_png

GENERATOR = np.random.default_rng(0)
STEPS = np.add.outer(np.arange(50), 3 * np.arange(70))[..., None] * np.array([1, 2, 5])


@pytest.mark.parametrize(
    "pixels",
    [
        GENERATOR.integers(0, 256, (37, 21, 3)),
        STEPS % 256,
        np.zeros((1, 1, 3)),
        np.full((3, 400, 3), 255),
        (STEPS % 256)[::-1, ::-1],
    ],
    ids=["noise", "steps", "one pixel", "white", "turned"],
)
def test_pixels_are_read_as_they_were_written(pixels: np.ndarray, tmp_path: Path) -> None:
    pixels = pixels.astype(np.uint8)
    before = pixels.copy()
    path = tmp_path / "picture.png"
    save_png(pixels, path, 120)
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("RGB", pixels.shape[1::-1])
        assert image.info["dpi"] == pytest.approx((120, 120), abs=0.02)
        np.testing.assert_array_equal(np.asarray(image), pixels)
    np.testing.assert_array_equal(np.round(255 * matplotlib.image.imread(path))[..., :3], pixels)
    np.testing.assert_array_equal(pixels, before)


def test_files_are_hardly_larger_than_those_of_pillow(tmp_path: Path) -> None:
    """Which chooses a filter for each row; without any, they would be nearly three times as large."""
    waves = 128 + 100 * np.sin(np.add.outer(np.arange(200) / 17, np.arange(200) / 29))
    picture = np.full((300, 700, 3), 255, dtype=np.uint8)
    picture[50:250, 20:220] = picture[50:250, 300:500] = np.round(waves)[..., None]
    save_png(picture, tmp_path / "ours.png", 120)
    Image.fromarray(picture).save(tmp_path / "theirs.png", compress_level=1)
    ours, theirs = ((tmp_path / f"{name}.png").stat().st_size for name in ("ours", "theirs"))
    assert ours < 1.25 * theirs
