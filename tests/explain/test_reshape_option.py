"""``--reshape-transform``: the layer's output as the user says, or why that cannot be."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from captum_superpixel.cli import main
from captum_superpixel.models.loading import load_model

Captured = pytest.CaptureFixture[str]

NETWORK = """
import torch
from torch import nn

class Spiral(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.mix = nn.Linear(6, 6)
        self.linear = nn.Linear(6, 3)

    def forward(self, images):
        # Three tokens that stand for nothing are behind those of the image, which come from the last to the first.
        tokens = self.patches(images).flatten(2).transpose(1, 2).flip(1)
        tokens = torch.cat([tokens, torch.ones(len(images), 3, 6)], dim=1)
        return self.linear(self.mix(tokens).square().mean(1))

def load():
    torch.manual_seed(0)
    return Spiral()

def to_map(tokens):
    return tokens[:, :16].flip(1).transpose(1, 2).unflatten(2, (4, 4))

def pooled(tokens):
    return to_map(tokens).mean((2, 3), keepdim=True)

def halved(tokens):
    return to_map(tokens) / 2

def of_nothing(tokens):
    return tokens[:, 16:18].transpose(1, 2).unflatten(2, (1, 2)) * 0

number = 3
"""
OPTIONS = ["explain", "cat.png", "--model", "spiral:load", "--size", "16", "--masks", "grid:16", "--target", "1"]


@pytest.fixture
def spiral(folder: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    (folder / "spiral.py").write_text(NETWORK)
    monkeypatch.delitem(sys.modules, "spiral", raising=False)
    return load_model("spiral:load")


def arrays_of(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The map by pixel, and the inputs."""
    with np.load(name) as arrays:
        pixels, picture = torch.from_numpy(arrays["pixel_map"]), torch.from_numpy(arrays["image"])
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return pixels, ((picture / 255 - mean) / std)[None]


def enlarged(places: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(places.view(1, 1, 4, 4), size=(16, 16), mode="bilinear")[0]


def test_the_map_is_as_the_function_lays_it_out(spiral: nn.Module, capsys: Captured) -> None:
    asked = ["--layer", "mix", "--reshape-transform", "spiral:to_map"]
    assert main([*OPTIONS, *asked, "--method", "LayerGradCam", "--out", "out.npz"]) == 0
    assert "\nlayer: mix (4 x 4), as --reshape-transform lays it out\n" in capsys.readouterr().out
    found, inputs = arrays_of("out.npz")
    tokens = spiral.mix(torch.cat([spiral.patches(inputs).flatten(2).transpose(1, 2).flip(1), torch.ones(1, 3, 6)], 1))
    (gradient,) = torch.autograd.grad(spiral.linear(tokens.square().mean(1))[0, 1], tokens)
    expected = torch.stack([(gradient[0, :16].mean(0) * tokens[0, 15 - place]).sum() for place in range(16)]).detach()
    torch.testing.assert_close(found, enlarged(expected), rtol=1e-4, atol=1e-6)


def test_places_that_are_ablated(spiral: nn.Module) -> None:
    """The mask of the places comes back to the tokens by the function itself."""
    asked = ["--layer", "mix", "--reshape-transform", "spiral:to_map"]
    assert main([*OPTIONS, *asked, "--method", "LayerFeatureAblation", "--out", "out.npz"]) == 0
    found, inputs = arrays_of("out.npz")
    with torch.no_grad():
        tokens = spiral.patches(inputs).flatten(2).transpose(1, 2).flip(1)
        squares = spiral.mix(torch.cat([tokens, torch.ones(1, 3, 6)], 1)).square()
        effects = torch.stack([squares[0, 15 - place] @ spiral.linear.weight[1] / 19 for place in range(16)])
    torch.testing.assert_close(found, enlarged(effects), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            ["--method", "Saliency", "--reshape-transform", "spiral:to_map"],
            "--reshape-transform spiral:to_map lays out the output of a layer, and Saliency looks at none; leave it",
        ),
        (
            ["--method", "LayerGradCam", "--reshape-transform", "spiral:to_map"],
            "--reshape-transform spiral:to_map is for the layer that --layer names: name one, or leave it out",
        ),
        (
            ["--layer", "mix", "--reshape-transform", "to_map"],
            "--reshape-transform to_map names no function: write MODULE",
        ),
        (["--layer", "mix", "--reshape-transform", "spiral:none"], "has no attribute 'none'; check the name"),
        (
            ["--layer", "mix", "--reshape-transform", "spirale:to_map"],
            "importing 'spirale' failed (ModuleNotFoundError",
        ),
        (["--layer", "mix", "--reshape-transform", "spiral:number"], "spiral:number is a int, no function"),
        (["--layer", "mix", "--reshape-transform", "spiral:Spiral"], "spiral:Spiral is a type, no function"),
        (
            ["--layer", "patches", "--reshape-transform", "spiral:to_map"],
            "--layer patches with --reshape-transform: reshape_transform=to_map failed on the layer's output of shape",
        ),
        (
            ["--layer", "mix", "--reshape-transform", "spiral:pooled"],
            "--reshape-transform gives a map of a single place",
        ),
        (["--layer", "mix", "--reshape-transform", "spiral:of_nothing"], "the logits not on the 1 x 2 places that"),
        (["--layer", "mixx", "--reshape-transform", "spiral:to_map"], "--layer mixx is no module of this network"),
    ],
)
def test_what_cannot_be_used(
    asked: list[str], message: str, spiral: nn.Module, files: Callable[[], list[str]], capsys: Captured
) -> None:
    before = files()
    method = [] if "--method" in asked else ["--method", "LayerGradCam"]
    assert main([*OPTIONS, *asked, *method]) == 2
    assert message in capsys.readouterr().err
    assert files() == before


def test_a_function_that_does_more_than_move(spiral: nn.Module, capsys: Captured) -> None:
    asked = ["--layer", "mix", "--reshape-transform", "spiral:halved", "--method", "LayerFeatureAblation"]
    assert main([*OPTIONS, *asked, "--out", "out.npz"]) == 1
    assert "reshape_transform=halved does more than move the elements" in capsys.readouterr().err
