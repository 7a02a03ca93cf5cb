"""Pictures on each other: as when each is resized and laid on by itself, with all the colors of its pixels."""

from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from captum_superpixel.explain.compositing import flatten, resize
from captum_superpixel.visualization._layers import Layer, border_layer, image_layer

GENERATOR = np.random.default_rng(0)
PHOTOGRAPH = GENERATOR.integers(0, 256, (30, 40, 3)).astype(np.uint8)
MASK = np.arange(30 * 40).reshape(30, 40) // 47
VEIL = np.zeros((30, 40, 4), dtype=np.uint8)
VEIL[5:20, 10:30] = (200, 30, 90, 130)
VALUES = np.ma.masked_array(np.linspace(0, 1, 1200).reshape(30, 40), np.arange(1200).reshape(30, 40) % 7 == 0)


def one_by_one(layers: list[Layer], size: tuple[int, int]) -> npt.NDArray[np.int64]:
    """By their definition, in floating-point numbers: color times opacity is what is resized."""
    whole = np.zeros((size[1], size[0], 3))
    for layer in layers:
        pixels = Image.fromarray(layer.to_uint8()).convert("RGBA")
        resized = np.asarray(resize(pixels, size)).astype(float)
        opacity = resized[..., 3:] / 255
        whole = resized[..., :3] * opacity + whole * (1 - opacity)
    return np.round(whole).astype(np.int64)


@pytest.mark.parametrize("size", [(40, 30), (80, 60), (100, 75), (534, 400)], ids=str)
@pytest.mark.parametrize(
    "layers",
    [
        [Layer(PHOTOGRAPH)],
        [Layer(PHOTOGRAPH), border_layer(MASK, (1, 1, 1, 0.8))],
        [Layer(PHOTOGRAPH), border_layer(MASK, "white", edge=True)],
        [Layer(PHOTOGRAPH), border_layer(MASK, (1, 0.5, 0, 0.4), edge=True)],
        [Layer(PHOTOGRAPH), border_layer(MASK, "black"), Layer(VEIL)],
    ],
    ids=["one", "borders", "borders with edges", "borders that are seen through", "a veil above"],
)
def test_they_are_what_they_are_one_by_one(layers: list[Layer], size: tuple[int, int]) -> None:
    made = flatten(layers, size)
    assert made.shape == (size[1], size[0], 4)
    assert (made[..., 3] == 255).all()
    differences = np.abs(made[..., :3] - one_by_one(layers, size))
    assert differences.max() <= 2


@pytest.mark.parametrize("veil", [Layer(VEIL), Layer(VALUES, mpl.colormaps["viridis"])], ids=["veil", "map"])
def test_a_veil_of_the_size_of_what_is_below_is_laid_on_before_both_are_resized(veil: Layer) -> None:
    below = image_layer(np.full((30, 40, 3), 0.4))
    expected = one_by_one([below, veil], (40, 30)).astype(np.uint8)
    for size in ((40, 30), (100, 75)):
        resized = np.asarray(resize(Image.fromarray(expected), size)).astype(int)
        assert np.abs(flatten([below, veil], size)[..., :3] - resized).max() <= 2


@pytest.mark.parametrize(
    ("side", "options", "expected"),
    [
        (4, {}, Image.Resampling.NEAREST),
        (8, {}, Image.Resampling.NEAREST),
        (10, {}, Image.Resampling.HAMMING),
        (10, {"sharp": True}, Image.Resampling.NEAREST),
        (12, {}, Image.Resampling.HAMMING),
        (13, {}, Image.Resampling.NEAREST),
        (3, {}, Image.Resampling.HAMMING),
    ],
)
def test_pixels_have_edges_as_in_matplotlib(side: int, options: dict[str, Any], expected: Image.Resampling) -> None:
    image = Image.fromarray(GENERATOR.integers(0, 256, (4, 4, 3)).astype(np.uint8))
    np.testing.assert_array_equal(
        np.asarray(resize(image, (side, side), **options)), np.asarray(image.resize((side, side), expected))
    )
