"""Methods that would change the gradient of ReLUs, on networks without such modules."""

import pytest
import torch
from captum.attr import (
    Deconvolution,
    DeepLift,
    GuidedBackprop,
    GuidedGradCam,
    NeuronGuidedBackprop,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn
from torch.nn.functional import relu

from captum_superpixel import XRAI, SuperpixelGrouped
from captum_superpixel.attr.hooks import missing_hooks
from captum_superpixel.masks import Grid

pytestmark = pytest.mark.filterwarnings("ignore:Setting")


class Functional(nn.Module):
    """A network whose ReLU is a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(relu(self.conv(images)).mean((2, 3)))


@pytest.mark.parametrize("method", [GuidedBackprop, Deconvolution])
@pytest.mark.parametrize("tunnel", [False, True])
def test_one_warning_a_call(method: type[GuidedBackprop], tunnel: bool, net: nn.Module, images: Tensor) -> None:
    def grouped(network: nn.Module) -> SuperpixelGrouped:
        return SuperpixelGrouped(NoiseTunnel(method(network)) if tunnel else method(network), Grid(9))

    with pytest.warns(
        UserWarning, match=f"{method.__name__} finds no torch.nn.ReLU in Functional, so .* plain"
    ) as found:
        maps = grouped(Functional()).attribute(images, target=1)
    assert maps.shape == images.shape
    assert sum("torch.nn.ReLU in" in str(warning.message) for warning in found) == 1
    assert found[0].filename == __file__
    grouped(net).attribute(images, target=1)  # Warnings are errors.


def test_what_is_said_is_true(images: Tensor) -> None:
    network = Functional()
    guided = GuidedBackprop(network).attribute(images, target=1)
    torch.testing.assert_close(guided, Saliency(network).attribute(images, target=1, abs=False))


def test_methods_that_hold_such_a_method(net: nn.Module) -> None:
    network = Functional()
    assert missing_hooks(GuidedGradCam(network, network.conv)).startswith("GuidedGradCam finds no torch.nn.ReLU")
    assert missing_hooks(NeuronGuidedBackprop(network, network.conv)).startswith("NeuronGuidedBackprop finds no")
    for method in (GuidedGradCam(net, net.conv1), Saliency(network), DeepLift(network)):
        assert missing_hooks(method) == ""


def test_region_maps_warn_too(images: Tensor) -> None:
    with pytest.warns(UserWarning, match="GuidedBackprop finds no torch.nn.ReLU"):
        XRAI(GuidedBackprop(Functional()), [Grid(9)]).attribute(images, target=1)
