"""Preprocessing: the arithmetic and its inverse, sizes, corrections, and what the errors say."""

from dataclasses import asdict
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from captum_superpixel.datasets import CIFAR10, IMAGENET, PhotographWarning, Preprocessing
from captum_superpixel.masks import Grid, Slic

CAFFE = Preprocessing(size=(6, 8), mean=(104, 117, 123), std=1, scale=1, channel_order="bgr")
MINUS_ONE_TO_ONE = Preprocessing(size=5, mean=1, std=(1, 1, 2), scale=1 / 127.5)
GRAY = Preprocessing(size=5, mean=0.5, std=0.25, channel_order="gray")
ALL = [IMAGENET, CIFAR10, CAFFE, MINUS_ONE_TO_ONE]


@pytest.fixture
def pixels() -> Tensor:
    return torch.randint(256, (3, 3, 7, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_formula_against_numpy(pixels: Tensor) -> None:
    rgb = pixels.numpy().astype(np.float64)
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (IMAGENET.mean, IMAGENET.std))
    np.testing.assert_allclose(IMAGENET.from_uint8(pixels).numpy(), (rgb / 255 - mean) / std, atol=1e-5)
    bgr = rgb[:, ::-1] - np.array([104, 117, 123]).reshape(3, 1, 1)
    np.testing.assert_array_equal(CAFFE.from_uint8(pixels).numpy(), bgr)


@pytest.mark.parametrize("preprocessing", ALL)
def test_to_pixels_is_the_inverse(preprocessing: Preprocessing, pixels: Tensor) -> None:
    inputs = preprocessing.from_uint8(pixels)
    assert inputs.dtype == torch.float32
    restored = preprocessing.to_pixels(inputs.requires_grad_())
    assert not restored.requires_grad
    torch.testing.assert_close(restored, pixels / 255)
    assert preprocessing.to_pixels(inputs * 100).aminmax() == (0, 1)


@pytest.mark.parametrize("preprocessing", ALL)
def test_an_image_alone_is_the_image_in_a_batch(preprocessing: Preprocessing, pixels: Tensor) -> None:
    together = preprocessing.from_uint8(pixels)
    for i in range(3):
        assert torch.equal(preprocessing.from_uint8(pixels[i : i + 1])[0], together[i])


@pytest.mark.parametrize("preprocessing", ALL)
def test_mask_generators_see_the_photograph(preprocessing: Preprocessing) -> None:
    """Segments of the input are those of the pixels, whatever the network's scale and order of channels."""
    noise = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    photographs = torch.nn.functional.interpolate(noise, (24, 24), mode="nearest").mul(255).byte()
    options = {"denormalize": preprocessing.denormalize, "channel_order": preprocessing.channel_order}
    masks = Slic(16, **options)(preprocessing.from_uint8(photographs))
    assert torch.equal(masks, Slic(16, denormalize=(0, 1 / 255))(photographs))
    assert masks.max() > 3


def test_denormalize_in_zero_to_one() -> None:
    assert IMAGENET.denormalize[0] == pytest.approx((0.485, 0.456, 0.406))
    assert CAFFE.denormalize[0] == pytest.approx((104 / 255, 117 / 255, 123 / 255))
    assert CAFFE.denormalize[1] == pytest.approx((1 / 255,) * 3)
    Grid(4, denormalize=CAFFE.denormalize)


@pytest.mark.parametrize("resize", ["crop", "stretch"])
@pytest.mark.parametrize("size", [(200, 300), (300, 200), (60, 80)])
def test_boxes_go_where_their_pixels_go(resize: Literal["crop", "stretch"], size: tuple[int, int]) -> None:
    preprocessing = Preprocessing((48, 40), mean=0, std=1, resize=resize)
    box = (0.4 * size[1], 0.45 * size[0], 0.6 * size[1], 0.7 * size[0])
    left, top, right, bottom = (round(side) for side in box)
    drawn = np.zeros(size, dtype=np.uint8)
    drawn[top:bottom, left:right] = 255
    rows, columns = np.nonzero(np.asarray(preprocessing.resized(Image.fromarray(drawn), Image.Resampling.NEAREST)))
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert preprocessing.fit_box((left, top, right, bottom), size) == pytest.approx(found, abs=1)


def test_crop_takes_the_middle_and_stretch_everything() -> None:
    """Three squares side by side: red, green, blue."""
    colors = np.repeat(np.eye(3, dtype=np.uint8) * 255, 10, axis=0)
    wide = Image.fromarray(np.broadcast_to(colors, (10, 30, 3)).copy())
    for photograph, axis in ((wide, 2), (wide.transpose(Image.Transpose.ROTATE_270), 1)):
        cropped = Preprocessing(10, mean=0, std=1).fit(photograph)
        assert cropped.dtype == torch.uint8
        assert torch.equal(cropped.float().mean((1, 2)), torch.tensor([0.0, 255.0, 0.0]))
        stretched = Preprocessing(30, mean=0, std=1, resize="stretch").fit(photograph).float()
        for color in range(3):
            third = stretched.narrow(axis, 10 * color, 10)
            assert third[color].mean() > 250
    halves = Preprocessing((10, 15), mean=0, std=1).fit(wide)
    assert halves.shape == (3, 10, 15)
    assert halves[1].float().mean() == pytest.approx(255 * 10 / 15, abs=2)


def test_the_right_size_keeps_its_pixels(pixels: Tensor) -> None:
    photograph = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    for resize in ("crop", "stretch"):
        preprocessing = Preprocessing((7, 9), mean=0, std=1, resize=resize)
        assert torch.equal(preprocessing.fit(photograph), pixels[0])
        assert torch.equal(preprocessing(photograph), pixels[0] * torch.tensor(1 / 255))


def test_shrinking_is_antialiased() -> None:
    checkerboard = np.indices((64, 64)).sum(0) % 2 * 255
    small = Preprocessing(8, mean=0, std=1).fit(Image.fromarray(checkerboard.astype(np.uint8)))
    assert (small.float() - 127.5).abs().max() < 16


def test_photographs_of_any_mode_are_turned_and_made_rgb() -> None:
    gray = np.array([[0, 100], [200, 255]], dtype=np.uint8)
    image = Image.fromarray(gray.astype(np.uint16) * 257)
    image.getexif()[0x0112] = 3
    expected = torch.from_numpy(gray[::-1, ::-1].copy()).expand(3, 2, 2)
    assert torch.equal(Preprocessing(2, mean=0, std=1).fit(image), expected)


def test_replaced_values() -> None:
    changed = IMAGENET.replaced(size=(5, 6), std=2, resize="stretch", mean=None)
    assert changed == Preprocessing((5, 6), IMAGENET.mean, 2, resize="stretch")
    assert IMAGENET.replaced() == IMAGENET.replaced(scale=None) == IMAGENET
    assert IMAGENET.replaced(scale=1, mean=7, std=3) == Preprocessing(224, mean=7, std=3, scale=1)


def test_another_order_takes_the_statistics_along(pixels: Tensor) -> None:
    """The same numbers come out, in another order of the channels; what is given is in the new order already."""
    flipped = IMAGENET.replaced(channel_order="bgr")
    assert torch.equal(flipped.from_uint8(pixels), IMAGENET.from_uint8(pixels).flip(1))
    assert flipped.replaced(channel_order="bgr") == flipped
    assert flipped.replaced(channel_order="rgb") == IMAGENET
    given = IMAGENET.replaced(channel_order="bgr", mean=(1, 2, 3))
    assert (given.mean, given.std) == ((1, 2, 3), flipped.std)


@pytest.mark.parametrize("given", [{"mean": 1}, {"std": 1}, {}])
def test_another_scale_needs_statistics_in_its_units(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"scale=0\.5 changes the units of mean and std"):
        IMAGENET.replaced(scale=0.5, **given)


def test_values_that_replace_are_checked() -> None:
    with pytest.raises(ValueError, match=r"std must be finite and above 0, but 0\.0"):
        IMAGENET.replaced(std=(1, 0, 1))
    with pytest.raises(TypeError, match="colour"):
        IMAGENET.replaced(colour="blue")


def test_descriptions() -> None:
    assert IMAGENET.describe() == (
        "  cropped to 224 x 224, RGB\n  (pixels * 0.003922 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)"
    )
    stretched = Preprocessing((3, 5), mean=1.23456, std=2, scale=1, channel_order="bgr", resize="stretch")
    assert stretched.describe() == "  stretched to 3 x 5, BGR\n  (pixels * 1 - (1.235, 1.235, 1.235)) / (2, 2, 2)"


def test_equal_settings_are_equal() -> None:
    square = Preprocessing(size=4, mean=[0.5, 0.5, 0.5], std=torch.ones(3))  # type: ignore[arg-type]
    assert square == Preprocessing(size=(4, 4), mean=0.5, std=1)
    assert hash(square) == hash(Preprocessing(size=(4, 4), mean=0.5, std=1))
    assert square.shape == (4, 4)
    assert asdict(square)["mean"] == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 0}, ValueError, "size must be at least 1, but 0"),
        ({"size": (4, -1)}, ValueError, "width in size must be at least 1, but -1"),
        ({"size": (4, 4, 4)}, ValueError, r"\(height, width\), but \(4, 4, 4\)"),
        ({"size": 4.0}, TypeError, r"size must be an integer, but 4\.0"),
        ({"mean": (1, 2)}, ValueError, r"mean must be one number or three.*\(1, 2\)"),
        ({"mean": "0.5"}, TypeError, "mean must be a number, but '0.5'"),
        ({"mean": float("nan")}, ValueError, "mean must be finite.*nan"),
        ({"std": (1, 1, 0)}, ValueError, r"std must be finite and above 0, but 0\.0"),
        ({"scale": 0}, ValueError, r"scale must be finite and above 0, but 0\.0"),
        ({"channel_order": "BGR"}, ValueError, "channel_order='BGR' is unknown: choose one of 'rgb', 'bgr'"),
        ({"resize": "pad"}, ValueError, "resize='pad' is unknown: choose one of 'crop', 'stretch'"),
    ],
)
def test_bad_settings(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Preprocessing(**{"size": 4, "mean": 0, "std": 1} | arguments)  # type: ignore[arg-type]


def test_bad_images(pixels: Tensor) -> None:
    with pytest.raises(TypeError, match="a Pillow image is needed, but a Tensor"):
        IMAGENET(pixels)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode F"):
        IMAGENET(Image.fromarray(np.zeros((2, 2), dtype=np.float32)))
    with pytest.raises(
        ValueError,
        match=r"pixels must have shape \(N, 3, H, W\), but have \(3, 7, 9\): bring a single image to it by pixels",
    ):
        IMAGENET.from_uint8(pixels[0])
    with pytest.raises(TypeError, match=r"pixels must be uint8.*torch\.float32"):
        IMAGENET.from_uint8(pixels.float())
    with pytest.raises(ValueError, match=r"inputs must have shape \(N, 3, H, W\), but have \(3, 1, 7, 9\)"):
        IMAGENET.to_pixels(pixels[:, :1])
    with pytest.raises(TypeError, match=r"inputs must be a tensor.*ndarray"):
        IMAGENET.to_pixels(pixels.numpy())  # type: ignore[arg-type]


def test_images_that_use_a_sliver_of_their_range_are_warned_of() -> None:
    dark = Image.fromarray(np.array([[0, 1000], [2000, 4095]], dtype=np.uint16))
    with pytest.warns(PhotographWarning, match=r"the image uses a sliver .* from 0 to 4095 of 0 to 65535"):
        Preprocessing(2, mean=0, std=1)(dark)


def test_gray_is_the_luma_of_pillow(pixels: Tensor) -> None:
    inputs = GRAY.from_uint8(pixels)
    for image, gray in zip(pixels, inputs, strict=True):
        luma = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).convert("L")).astype(np.float64)
        np.testing.assert_allclose(gray[0].numpy(), (luma / 255 - 0.5) / 0.25, atol=1e-6)
    assert inputs.shape == (3, 1, 7, 9)


def test_gray_photographs_are_shown_gray_and_come_back(pixels: Tensor) -> None:
    photograph = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    fitted = GRAY.fit(photograph)
    assert fitted.shape == (3, 5, 5)
    assert torch.equal(fitted[0], fitted[1])
    assert torch.equal(fitted[0], fitted[2])
    assert GRAY(photograph).shape == (1, 5, 5)
    restored = GRAY.to_pixels(GRAY(photograph)[None])
    torch.testing.assert_close(restored[0], fitted / 255, atol=1e-6, rtol=0)


def test_one_channel_has_one_mean() -> None:
    assert (GRAY.channels, GRAY.mean, GRAY.std, GRAY.denormalize) == (1, (0.5,), (0.25,), ((0.5,), (0.25,)))
    averaged = IMAGENET.replaced(channel_order="gray")
    assert (averaged.mean, averaged.std) == (pytest.approx((0.449,)), pytest.approx((0.226,)))
    assert GRAY.replaced(channel_order="bgr").mean == (0.5, 0.5, 0.5)
    assert "cropped to 5 x 5, gray\n  (pixels * 0.003922 - (0.5)) / (0.25)" in GRAY.describe()
    with pytest.raises(ValueError, match=r"mean must be one number for the one gray channel, but \(1, 2, 3\)"):
        Preprocessing(size=5, mean=(1, 2, 3), std=1, channel_order="gray")
    with pytest.raises(ValueError, match=r"inputs must have shape \(N, 1, H, W\), but have \(2, 3, 4, 4\)"):
        GRAY.to_pixels(torch.zeros(2, 3, 4, 4))


def test_masks_of_gray_inputs_are_those_of_gray_pixels(pixels: Tensor) -> None:
    photograph = Image.fromarray(pixels[0].permute(1, 2, 0).numpy()).resize((24, 24))
    gray = GRAY.replaced(size=24)
    luma = torch.from_numpy(np.array(photograph.convert("L")))[None, None].float()
    expected = Slic(9, denormalize=(0, 1 / 255))(luma)
    assert torch.equal(Slic(9, denormalize=gray.denormalize)(gray(photograph)[None]), expected)
