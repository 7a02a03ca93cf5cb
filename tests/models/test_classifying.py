"""The user's photograph and target: what is accepted, and what the errors say."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from captum_superpixel.models.classifying import InputError, choose_target, load_image


class Returns(nn.Module):
    """Returns what it was made with, made to depend on the input."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> object:
        return self.output + 0 * images.sum() if isinstance(self.output, Tensor) else self.output


def test_square_in_the_middle_is_used(tmp_path: Path) -> None:
    stripes = np.zeros((8, 24, 3), dtype=np.uint8)
    stripes[:, :8] = 255
    stripes[:, 8:16] = (255, 51, 0)
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    pixels, inputs = load_image(tmp_path / "stripes.png", 8, (0.5, 0.1, 0.25), (0.5, 0.2, 1.0))
    assert torch.allclose(pixels, torch.tensor([1.0, 0.2, 0.0]).view(1, 3, 1, 1).expand(1, 3, 8, 8))
    assert torch.allclose(inputs, torch.tensor([1.0, 0.5, -0.25]).view(1, 3, 1, 1).expand(1, 3, 8, 8), atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_modes_become_colour(mode: str, tmp_path: Path) -> None:
    Image.new("RGB", (20, 30), (204, 204, 204)).convert(mode).save(tmp_path / "image.tiff")
    pixels, _ = load_image(tmp_path / "image.tiff", 16, (0, 0, 0), (1, 1, 1))
    assert pixels.shape == (1, 3, 16, 16)
    assert torch.allclose(pixels, torch.tensor(204 / 255), atol=0.005)


def test_orientation_of_the_camera_is_undone(tmp_path: Path) -> None:
    upright = np.zeros((16, 16, 3), dtype=np.uint8)
    upright[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(upright[::-1, ::-1].copy()).save(tmp_path / "turned.png", exif=exif)
    pixels, _ = load_image(tmp_path / "turned.png", 16, (0, 0, 0), (1, 1, 1))
    assert torch.equal(pixels[0].permute(1, 2, 0), torch.from_numpy(upright) / 255)


def test_bad_images(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    Image.new("RGB", (64, 64)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:-30])
    for name, message in (
        ("missing.png", r"--image .*missing\.png does not exist"),
        ("", "is no file"),
        ("text.jpg", r"text\.jpg is no picture .*UnidentifiedImageError"),
        ("cut.png", r"cut\.png is no picture"),
    ):
        with pytest.raises(InputError, match=message):
            load_image(tmp_path / name, 16, (0, 0, 0), (1, 1, 1))


def test_target_is_the_prediction_unless_chosen() -> None:
    model, image = Returns(torch.tensor([[1.0, 5.0, 2.0]])), torch.zeros(1, 3, 4, 4)
    assert choose_target(model, image, None) == (1, 1)
    assert choose_target(model, image, 2) == (2, 1)


@pytest.mark.parametrize(
    ("model", "target", "message"),
    [
        (Returns({"logits": 1}), None, r"returned a dict .*\(1, classes\)"),
        (Returns(torch.zeros(10)), None, r"shape \(10,\) for an input of shape \(1, 3, 4, 4\)"),
        (Returns(torch.zeros(2, 10)), None, r"shape \(2, 10\)"),
        (Returns(torch.zeros(1, 10, 4, 4)), None, r"shape \(1, 10, 4, 4\)"),
        (Returns(torch.zeros(1, 0)), None, r"shape \(1, 0\)"),
        (Returns(torch.tensor([[float("nan"), 1]])), None, "NaN or infinite"),
        (Returns(torch.zeros(1, 10)), 10, "--target 10 .* classes 0 to 9"),
        (Returns(torch.zeros(1, 10)), -1, "--target -1 "),
        (nn.Linear(5, 2), None, r"failed on an input of shape \(1, 3, 4, 4\) \(RuntimeError"),
    ],
)
def test_bad_outputs(model: nn.Module, target: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_target(model, torch.zeros(1, 3, 4, 4), target)


def test_network_without_gradients() -> None:
    class Detached(nn.Module):
        @torch.no_grad()
        def forward(self, images: Tensor) -> Tensor:
            return images.mean((2, 3))

    with pytest.raises(InputError, match=r"no gradient .* torch\.no_grad"):
        choose_target(Detached(), torch.zeros(1, 3, 4, 4), None)
