"""Layers that return tuples: their first tensor is read, and put back, where it is the only one."""

from typing import Any

import pytest
import torch
from captum.attr import (
    Attribution,
    GuidedGradCam,
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerDeepLift,
    LayerFeatureAblation,
    LayerGradCam,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    LayerLRP,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped, ViewTunnel, perturbed_attributions
from captum_superpixel.attr.first_tensor import FirstTensor, first_tensor, reading_first_tensor

OWN = torch.arange(64).view(1, 1, 8, 8)


class Block(nn.Module):
    """Returns its map alone, or in a tuple or list, as those of transformers do."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(2, 3, 2, 2)

    def forward(self, images: Tensor) -> Any:
        output = self.conv(images).sin()
        made = {"tuple": (output, None, 7), "list": [output, (4, 4)], "alone": output, "two": (output, output.cos())}
        return made[self.kind]


class Net(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.block = Block(kind)
        self.head = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        output = self.block(images)
        output = output if isinstance(output, Tensor) else output[0]
        return self.head(output.square().mean((2, 3)))


def make(kind: str) -> Net:
    torch.manual_seed(0)
    network = Net(kind).eval()
    network.head.weight.data.abs_()  # so that Grad-CAM, of squares, is positive somewhere
    return network


METHODS: dict[str, tuple[Any, dict[str, Any]]] = {
    "LayerGradCam": (LayerGradCam, {"target": 1}),
    "GuidedGradCam": (GuidedGradCam, {"target": 1}),
    "LayerActivation": (LayerActivation, {}),
    "LayerGradientXActivation": (LayerGradientXActivation, {"target": 1}),
    "LayerIntegratedGradients": (LayerIntegratedGradients, {"target": 1, "n_steps": 3}),
    "LayerConductance": (LayerConductance, {"target": 1, "n_steps": 3}),
    "InternalInfluence": (InternalInfluence, {"target": 1, "n_steps": 3}),
    "LayerDeepLift": (LayerDeepLift, {"target": 1}),
    "LayerFeatureAblation": (LayerFeatureAblation, {"target": 1}),
}


@pytest.mark.parametrize("kind", ["tuple", "list"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.filterwarnings("ignore:Setting backward|GuidedGradCam finds no:UserWarning")
def test_maps_are_those_of_the_tensor_alone(kind: str, method: str) -> None:
    wrap, options = METHODS[method]
    images = torch.rand(2, 2, 8, 8).requires_grad_(method == "GuidedGradCam")

    def attribute(network: Net) -> Tensor:
        wrapped = wrap(network, network.block)
        return SuperpixelGrouped(wrapped, None).attribute(images, feature_mask=OWN, **options).detach()

    expected = attribute(make("alone"))
    assert expected.abs().max() > 0
    torch.testing.assert_close(attribute(make(kind)), expected)


def test_in_a_noise_tunnel_and_two_tensors() -> None:
    images = torch.rand(2, 2, 8, 8)
    maps = []
    for kind in ("alone", "tuple"):
        network = make(kind)
        tunnel = NoiseTunnel(LayerGradCam(network, network.block))
        options = {"target": 1, "nt_samples": 2, "stdevs": 0.0, "feature_mask": OWN}
        maps.append(SuperpixelGrouped(tunnel, None).attribute(images, **options).detach())
    torch.testing.assert_close(maps[1], maps[0])
    network = make("two")
    with pytest.raises(ValueError, match=r"returned maps of 2 layers or outputs: group one output"):
        SuperpixelGrouped(LayerActivation(network, network.block), None).attribute(images, feature_mask=OWN)


@pytest.mark.parametrize("method", [LayerGradCam, LayerGradientXActivation])
def test_views_and_perturbed_networks(method: Any) -> None:
    images, views, perturbed = torch.rand(2, 2, 8, 8), [], []
    for kind in ("alone", "tuple"):
        network = make(kind)
        wrapped, seed = method(network, network.block), torch.Generator().manual_seed(1)
        views.append(ViewTunnel(wrapped).attribute(images, target=1, n_views=2).detach())
        draws = perturbed_attributions(wrapped, network, images, target=1, n_draws=2, strength=0.05, generator=seed)
        perturbed.append(draws.attributions)
    torch.testing.assert_close(views[1], views[0])
    torch.testing.assert_close(perturbed[1], perturbed[0])


def test_what_is_read() -> None:
    one, other = torch.zeros(1), torch.ones(1)
    assert first_tensor(one) is one
    for members in ((one, None), (one, (other, 3)), (one,)):
        assert first_tensor(members) is one
        assert first_tensor(list(members)) is one
    for nothing in ((one, other), (None, one), (), {"logits": one}, None, torch.Size([3])):
        assert first_tensor(nothing) is None


def test_methods_and_layers_are_left_as_they_were() -> None:
    network = make("tuple")
    method = LayerGradCam(network, network.block)
    changed: Any = reading_first_tensor(method)
    assert method.layer is network.block
    assert isinstance(changed.layer, FirstTensor)
    assert reading_first_tensor(changed) is changed
    assert list(changed.layer.parameters()) == []
    for other in (Saliency(network), LayerGradCam(network, network.head), LayerLRP(network, network.block)):
        untouched: Attribution = other
        assert reading_first_tensor(untouched) is untouched
    changed.attribute(torch.rand(1, 2, 8, 8), target=1)
    assert not network.block._forward_hooks
