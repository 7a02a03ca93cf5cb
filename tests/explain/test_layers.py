"""Layers by their names."""

from pathlib import Path

import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel.explain.layers import find_layer, spatial_layers
from captum_superpixel.models.loading import load_model

INPUTS = torch.zeros(1, 3, 16, 16)


def test_spatial_layers_in_their_order() -> None:
    model = load_model("explain_net:load")
    found = spatial_layers(model, INPUTS)
    assert list(found) == ["conv", "relu", "features.0", "features.1", "features", "pool"]
    assert found["conv"] == (16, 16)
    assert found["features"] == (8, 8)
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_by_its_dotted_name() -> None:
    model = load_model("explain_net:load")
    layer, size = find_layer(model, "features.0", "LayerGradCam", INPUTS)
    assert layer is model.get_submodule("features.0")
    assert size == (8, 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            None,
            "--method LayerGradCam needs --layer: a module whose output is a map, such as features.1, features, pool",
        ),
        ("feature.0", "--layer feature.0 is no module of this network, which has 7; near names are features"),
        ("0", r"near names are features.0"),
        ("qqqqq", r"--layer qqqqq is no module .* pass a module whose output is a map"),
        ("linear", r"--layer linear does not give a map \(1, C, H, W\)"),
        ("", "--layer is no module"),
    ],
)
def test_layers_that_are_none(name: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_layer(load_model("explain_net:load"), name, "LayerGradCam", INPUTS)


def test_networks_without_maps(folder: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 2))
    with pytest.raises(InputError, match="no module of this network gives a map"):
        find_layer(model, None, "LayerGradCam", INPUTS)
