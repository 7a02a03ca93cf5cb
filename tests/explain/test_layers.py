"""Layers by their names, the one that is taken by itself, and the list of them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.attr.layouts import Layout
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.cli import main
from captum_superpixel.explain.layers import find_layer, list_layers, usable_layers
from captum_superpixel.models.loading import load_model

INPUTS = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(0))

Captured = pytest.CaptureFixture[str]


class Odd(nn.Module):
    """Layers of every kind that cannot be used, in a network that classifies by its first token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.table = nn.Conv2d(1, 2, 1)
        self.pair = Pair()
        self.twice = nn.ReLU()
        self.before = nn.LayerNorm(6)
        self.attention = MeanAttention()
        self.after = nn.LayerNorm(6)
        self.unused = nn.Conv2d(3, 3, 1)
        self.linear = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.twice(self.patches(images)).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
        tokens = self.twice(tokens + self.pair(tokens)[0] + self.table(torch.ones(1, 1, 4, 4)).mean())
        tokens = tokens + self.attention(self.before(tokens))
        return self.linear(self.after(tokens)[:, 0])


class Pair(nn.Module):
    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return tokens.sin(), tokens


class MeanAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(6, 6)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.value(tokens).mean(dim=1, keepdim=True).expand_as(tokens)


def odd() -> nn.Module:
    torch.manual_seed(0)
    return Odd().eval()


def test_usable_layers_in_their_order() -> None:
    model = load_model("explain_net:load")
    before = [dict(module._forward_hooks) for module in model.modules()]
    found = usable_layers(model, INPUTS)
    assert list(found) == ["conv", "relu", "features.0", "features.1", "features", "pool"]
    assert found["conv"].size == (16, 16)
    assert found["features"].size == (8, 8)
    assert [dict(module._forward_hooks) for module in model.modules()] == before


def test_layers_that_the_image_and_the_logits_go_through() -> None:
    """Not the position table, not the tokens behind the attention, nor what runs twice or returns two things."""
    found = usable_layers(odd(), INPUTS)
    assert {name: layer.layout for name, layer in found.items()} == {
        "patches": Layout((4, 4)),
        "before": Layout((4, 4), 3, 2, 1),
        "attention.value": Layout((4, 4), 3, 2, 1),
    }


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("probabilities", [False, True])
def test_the_layer_that_is_taken_by_itself(frozen: bool, probabilities: bool) -> None:
    """The last one that is not inside an attention; probabilities, whose sum has no gradient, have the same."""
    model = odd().requires_grad_(not frozen)
    model = nn.Sequential(model, nn.Softmax(1)) if probabilities else model
    layer = find_layer(model, None, "LayerGradCam", INPUTS)
    assert layer.name == ("0.before" if probabilities else "before")
    assert str(layer) == f"layer: {layer.name} (4 x 4), the last that gives a map"
    assert {parameter.requires_grad for parameter in model.parameters()} == {not frozen}
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_maps_of_the_classes_are_not_taken_by_themselves() -> None:
    """As in SqueezeNet: what the logits are the means of would show of a class no more than its own logit."""
    head = nn.Sequential(nn.Dropout(), nn.Conv2d(6, 5, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.ReLU(), nn.Identity(), *head).eval()
    assert list(usable_layers(model, INPUTS)) == ["0", "1", "2", "3", "4", "5"]
    assert str(find_layer(model, None, "LayerGradCam", INPUTS)) == "layer: 1 (4 x 4), the last that gives a map"
    only = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_layer(only, None, "LayerGradCam", INPUTS).name == "0"


def test_a_layer_by_its_dotted_name() -> None:
    model = load_model("explain_net:load")
    layer = find_layer(model, "features.0", "LayerGradCam", INPUTS)
    assert layer.module is model.get_submodule("features.0")
    assert str(layer) == "layer: features.0 (8 x 8)"


def test_maps_of_one_row_are_the_last_resort() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, (4, 4), 4), nn.AdaptiveAvgPool2d((1, 4)), nn.Flatten(), nn.Linear(16, 2))
    assert find_layer(model, None, "LayerGradCam", INPUTS).name == "0"
    assert find_layer(model, "1", "LayerGradCam", INPUTS).size == (1, 4)
    wide = nn.Sequential(nn.AdaptiveAvgPool2d((1, 4)), nn.Flatten(), nn.Linear(12, 2))
    assert str(find_layer(wide, None, "LayerGradCam", INPUTS)) == "layer: 0 (1 x 4), the last that gives a map"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("feature.0", "--layer feature.0 is no module of this network, which has 7; near names are features"),
        ("0", r"near names are features.0"),
        ("qqqqq", "--layer qqqqq is no module .* --layer list shows all that give a map"),
        ("linear", r"--layer linear cannot be used: .* output \(1, 5\) is neither .*; use such as features.1, .* pool"),
        ("", "--layer is no module"),
    ],
)
def test_layers_that_are_none(name: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_layer(load_model("explain_net:load"), name, "LayerGradCam", INPUTS)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("table", r"its output \(1, 2, 4, 4\) does not depend on the images"),
        ("pair", r"it returns a tuple \(Tensor, Tensor\), no tensor"),
        ("twice", "it runs 2 times in a pass"),
        ("unused", "it does not run when the network does"),
        ("after", "the logits do not depend on the 4 x 4 places of its output"),
        ("linear", r"its output \(1, 3\) is neither"),
    ],
)
def test_layers_that_cannot_be_used(name: str, reason: str) -> None:
    message = f"--layer {name} cannot be used: .*{reason}.*; use such as patches, before "
    with pytest.raises(InputError, match=message):
        find_layer(odd(), name, "LayerGradCam", INPUTS)


def test_tokens_that_are_no_grid() -> None:
    """The message names their number, and what to pass."""
    torch.manual_seed(0)
    odd_number = nn.Sequential(nn.Conv2d(3, 6, 4, 4), nn.Flatten(2), nn.Linear(16, 15), nn.Flatten(), nn.Linear(90, 2))
    message = (
        r"its output \(1, 6, 15\) neither 6 nor 15 tokens are a grid of images of 16 x 16, .* how its output is a map"
    )
    with pytest.raises(InputError, match=message):
        find_layer(odd_number.eval(), "2", "LayerGradCam", INPUTS)


def test_networks_without_maps() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    with pytest.raises(InputError, match=r"--method LayerGradCam needs .* no module of this network gives one that"):
        find_layer(model, None, "LayerGradCam", INPUTS)
    with pytest.raises(InputError, match=r"--layer 0 needs a layer .*: use a method without a layer, such as"):
        find_layer(model, "0", "LayerGradCam", INPUTS)
    with pytest.raises(InputError, match=r"^--layer list needs a layer .* no module of this network gives one that"):
        list_layers(model, INPUTS)


def test_networks_of_torchscript() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.warns(DeprecationWarning, match=r"torch.jit"):
        model = nn.Sequential(torch.jit.trace(net, INPUTS))
    with pytest.raises(
        InputError, match=r"\(TorchScript does not show what its modules return\): use a method without"
    ):
        find_layer(model, "0.0", "LayerGradCam", INPUTS)


def test_the_list_of_layers() -> None:
    assert list_layers(odd(), INPUTS).splitlines() == [
        "layers that give a map, by height and width; -> is used without --layer:",
        "   4 x 4  patches          Conv2d",
        "-> 4 x 4  before           LayerNorm",
        "   4 x 4  attention.value  Linear",
    ]


QUICK = ["explain", "cat.png", "--model", "explain_net:load", "--size", "16"]


def test_the_list_on_the_command_line(folder: Path, files: Callable[[], list[str]], capsys: Captured) -> None:
    assert main([*QUICK, "--layer", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "   16 x 16  conv        Conv2d",
        "   16 x 16  relu        ReLU",
        "     8 x 8  features.0  Conv2d",
        "     8 x 8  features.1  ReLU",
        "     8 x 8  features    Sequential",
        "->   2 x 2  pool        AdaptiveAvgPool2d",
    ]
    assert files() == []


def test_a_full_disk_is_not_the_networks_fault(folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sys.stdout.write", write)
    assert main([*QUICK, "--layer", "list"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("captum-superpixel: error: [Errno 28] No space left on device")


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.layer])
def test_every_method_has_a_layer_by_itself(method: str, folder: Path, capsys: Captured) -> None:
    assert main([*QUICK, "--method", method, "--masks", "grid:4", "--out", "out.npz"]) == 0
    expected = "features.0 (8 x 8)" if method == "LayerLRP" else "pool (2 x 2)"
    assert f"\nlayer: {expected}, the last that gives a map\n" in capsys.readouterr().out


TOKENS = """
import torch
from torch import nn

class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.token = nn.Parameter(torch.ones(1, 1, 6))
        self.norm = nn.LayerNorm(6)
        self.linear = nn.Linear(6, 3)

    def forward(self, images):
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(images), -1, -1), tokens], dim=1)
        return self.linear(self.norm(tokens).square().mean(1))

def load():
    torch.manual_seed(0)
    return Tokens()
"""


def test_ablating_the_places_of_tokens(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Each place is a token of the image; the class token is none of them."""
    import numpy as np

    (folder / "explain_tokens.py").write_text(TOKENS)
    monkeypatch.delitem(sys.modules, "explain_tokens", raising=False)
    options = ["explain", "cat.png", "--model", "explain_tokens:load", "--size", "16", "--masks", "grid:16"]
    assert main([*options, "--method", "LayerFeatureAblation", "--target", "1", "--out", "out.npz"]) == 0
    assert "layer: norm (4 x 4)" in capsys.readouterr().out
    with np.load("out.npz") as arrays:
        found = torch.from_numpy(arrays["pixel_map"])
        picture = torch.from_numpy(arrays["image"])
    network = load_model("explain_tokens:load")
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    inputs = ((picture / 255 - mean) / std)[None]
    with torch.no_grad():
        tokens = network.patches(inputs).flatten(2).transpose(1, 2)
        normed = network.norm(torch.cat([network.token, tokens], dim=1))
        effects = torch.zeros(4, 4)
        for place in range(16):
            without = normed.clone()
            without[:, 1 + place] = 0
            effects[place // 4, place % 4] = (
                network.linear(normed.square().mean(1)) - network.linear(without.square().mean(1))
            )[0, 1]
    expected = nn.functional.interpolate(effects[None, None], size=(16, 16), mode="bilinear")[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
