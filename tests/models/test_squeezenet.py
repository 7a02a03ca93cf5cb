"""SqueezeNet: its layout, its keys, and its definition written out."""

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from captum_superpixel.models.squeezenet import Fire, squeezenet1_0


def test_size_and_keys_of_torchvision() -> None:
    """1,248,424 parameters, as torchvision says of its own."""
    state = squeezenet1_0().state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == 1_248_424
    layers = [
        f"features.{number}.{part}"
        for number in (3, 4, 5, 7, 8, 9, 10, 12)
        for part in ("squeeze", "expand1x1", "expand3x3")
    ]
    layers = ["features.0", *layers, "classifier.1"]
    assert set(state) == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert state["features.10.expand3x3.weight"].shape == (256, 64, 3, 3)
    assert state["classifier.1.weight"].shape == (1000, 512, 1, 1)


@pytest.mark.parametrize("padding", [0, 1])
def test_against_its_definition(padding: int) -> None:
    """Table 1 of Iandola et al., written out over the state dict; the padding counts in the average."""
    generator = torch.Generator().manual_seed(0)
    network = squeezenet1_0(7, classifier_padding=padding, generator=generator).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1, generator=generator)
    state = network.state_dict()

    def convolution(x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        return functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride, padding).relu()

    # 75 pixels become 35, 17, 8 and 4: a pool that rounds down would lose the last row.
    images = torch.rand(2, 3, 75, 75, generator=generator)
    x = convolution(images, "features.0", stride=2)
    for number in range(2, 13):
        if number in (2, 6, 11):
            x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        squeezed = convolution(x, f"features.{number}.squeeze")
        left = convolution(squeezed, f"features.{number}.expand1x1")
        x = torch.cat([left, convolution(squeezed, f"features.{number}.expand3x3", padding=1)], 1)
    last = convolution(x, "classifier.1", padding=padding)
    assert last.shape[-1] == 4 + 2 * padding
    logits = network(images)
    assert logits.shape == (2, 7)
    assert torch.allclose(logits, last.mean((2, 3)), rtol=1e-5, atol=1e-6)


def test_fire_keeps_the_resolution() -> None:
    assert Fire(3, 2, 5)(torch.zeros(1, 3, 6, 7)).shape == (1, 10, 6, 7)
