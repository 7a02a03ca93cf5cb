"""Layers with channels last or tokens: Grad-CAM by hand, networks whose evidence lies in one quarter, and families."""

import pickle
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import (
    Attribution,
    GuidedBackprop,
    GuidedGradCam,
    InternalInfluence,
    LayerActivation,
    LayerConductance,
    LayerDeepLift,
    LayerFeatureAblation,
    LayerGradCam,
    LayerGradientShap,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn
from torch.nn.functional import interpolate

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._seeds import seeded
from captum_superpixel.attr.laid_out import LaidOut, looks_at_layer, with_layout
from captum_superpixel.attr.layouts import Layout, LayoutError
from captum_superpixel.attr.observing import observe
from captum_superpixel.masks import Grid


class ChannelsLast(nn.Module):
    """As Swin of torchvision and ConvNeXt: normalized and mixed over the last axis."""

    def __init__(self, channels: int = 24) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, channels, 4, 4, bias=False)
        self.norm = nn.LayerNorm(channels, bias=False)
        self.mix, self.act = nn.Linear(channels, channels, bias=False), nn.ReLU()
        self.block = nn.Identity()
        self.head = nn.Linear(channels, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.block(self.act(self.mix(self.norm(self.embed(images).permute(0, 2, 3, 1))))).mean((1, 2)))


class Tokens(nn.Module):
    """As ViT: patches as tokens, others of the class and registers before them, all of them averaged in the end."""

    def __init__(self, extra: int = 1) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 20, 4, 4, bias=False)
        self.extra = nn.Parameter(torch.randn(1, extra, 20))
        self.norm = nn.LayerNorm(20, bias=False)
        self.mix, self.act = nn.Linear(20, 12, bias=False), nn.ReLU()
        self.head = nn.Linear(12, 2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.extra.expand(len(images), -1, -1), tokens], dim=1)
        return self.head(self.act(self.mix(self.norm(tokens))).square().mean(1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "channels last": ChannelsLast,
    "tokens": lambda: Tokens(0),
    "class token": Tokens,
    "registers": lambda: Tokens(5),
}
LAYERS = ("norm", "mix", "act")


def make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name]().eval()


def images(height: int = 32, width: int = 32) -> Tensor:
    """Two images of which only the quarters at the top left and at the bottom right hold anything."""
    generator = torch.Generator().manual_seed(1)
    filled = torch.zeros(2, 3, height, width)
    filled[0, :, : height // 2, : width // 2] = torch.rand((3, height // 2, width // 2), generator=generator)
    filled[1, :, height // 2 :, width // 2 :] = torch.rand((3, height // 2, width // 2), generator=generator)
    return filled


def cells(method: Attribution, inputs: Tensor, size: tuple[int, int] = (8, 8), **options: Any) -> Tensor:
    """The maps of the wrapper, before anything is averaged: of each place the pixels hold its value."""
    own = torch.arange(inputs[0, 0].numel()).view(1, 1, *inputs.shape[2:])
    settings = {name: options.pop(name) for name in ("reshape_transform",) if name in options}
    grouped = SuperpixelGrouped(method, None, interpolate_mode="nearest", **settings)
    maps: Tensor = grouped.attribute(inputs, feature_mask=own, **options).detach()
    rows, columns = inputs.shape[2] // size[0], inputs.shape[3] // size[1]
    assert torch.equal(maps, interpolate(maps[:, :, ::rows, ::columns], size=inputs.shape[2:], mode="nearest"))
    return maps[:, :, ::rows, ::columns]


@pytest.mark.parametrize("shape", [(32, 32), (32, 16)])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", NETWORKS)
def test_grad_cam_by_hand(by_hand: Any, name: str, layer: str, shape: tuple[int, int]) -> None:
    network, inputs = make(name), images(*shape)
    size = (shape[0] // 4, shape[1] // 4)
    module = getattr(network, layer)
    extra = network.extra.shape[1] if isinstance(network, Tokens) else 0
    expected = by_hand.grad_cam(*by_hand.at_layer(network, module, inputs, 1), size, extra)
    found = cells(LayerGradCam(network, module), inputs, size, target=1)
    torch.testing.assert_close(found, expected)
    # All there is lies in one quarter of each image.
    assert found[0, :, : size[0] // 2, : size[1] // 2].abs().min() > 0
    assert found[1, :, size[0] // 2 :, size[1] // 2 :].abs().min() > 0
    assert found[0, :, size[0] // 2 :].abs().max() == found[0, :, :, size[1] // 2 :].abs().max() == 0
    assert found[1, :, : size[0] // 2].abs().max() == found[1, :, :, : size[1] // 2].abs().max() == 0


ELEMENTWISE: dict[str, tuple[Any, dict[str, Any]]] = {
    "LayerActivation": (LayerActivation, {}),
    "LayerGradientXActivation": (LayerGradientXActivation, {"target": 1}),
    "LayerIntegratedGradients": (LayerIntegratedGradients, {"target": 1, "n_steps": 5}),
    "LayerConductance": (LayerConductance, {"target": 1, "n_steps": 5}),
    "InternalInfluence": (InternalInfluence, {"target": 1, "n_steps": 5}),
    "LayerDeepLift": (LayerDeepLift, {"target": 1}),
    "LayerFeatureAblation": (LayerFeatureAblation, {"target": 1}),
}


@pytest.mark.parametrize("method", ELEMENTWISE)
@pytest.mark.parametrize("name", NETWORKS)
def test_maps_of_each_element_are_captums(by_hand: Any, name: str, method: str) -> None:
    network, inputs = make(name), images()
    make_method, options = ELEMENTWISE[method]
    wrapped = make_method(network, network.norm)
    extra = network.extra.shape[1] if isinstance(network, Tokens) else 0
    expected = by_hand.places(wrapped.attribute(inputs, **options).detach(), (8, 8), extra)
    torch.testing.assert_close(cells(wrapped, inputs, **options), expected)


def test_random_baselines_and_the_draws_for_them(by_hand: Any) -> None:
    """To look at the network once more does not change what is drawn."""
    network, inputs = make("class token"), images()
    wrapped, options = LayerGradientShap(network, network.norm), {"target": 1, "baselines": torch.zeros(2, 3, 32, 32)}
    with seeded(3):
        expected = by_hand.places(wrapped.attribute(inputs, **options).detach(), (8, 8), 1)
        next_one = torch.rand(1)
    with seeded(3):
        torch.testing.assert_close(cells(wrapped, inputs, **options), expected)
        assert torch.equal(torch.rand(1), next_one)


@pytest.mark.parametrize("name", NETWORKS)
def test_guided_grad_cam(by_hand: Any, name: str) -> None:
    network, inputs = make(name), images().requires_grad_()
    extra = network.extra.shape[1] if isinstance(network, Tokens) else 0
    cam = by_hand.grad_cam(*by_hand.at_layer(network, network.mix, inputs, 1), (8, 8), extra).relu()
    with pytest.warns(UserWarning, match="hooks on ReLU"):
        guided = GuidedBackprop(network).attribute(inputs, target=1)
    expected = guided * interpolate(cam, size=(32, 32), mode="nearest")
    own = torch.arange(32 * 32).view(1, 1, 32, 32)
    with pytest.warns(UserWarning, match="hooks on ReLU"):
        found = SuperpixelGrouped(GuidedGradCam(network, network.mix), None).attribute(
            inputs, target=1, feature_mask=own
        )
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("options", [{"relu_attributions": True}, {"attr_dim_summation": False}])
def test_options_of_grad_cam(by_hand: Any, options: dict[str, bool]) -> None:
    network, inputs = make("class token"), images()
    output, gradient = by_hand.at_layer(network, network.norm, inputs, 1)
    cam = by_hand.grad_cam(output, gradient, (8, 8), 1)
    found = cells(LayerGradCam(network, network.norm), inputs, target=1, **options)
    torch.testing.assert_close(found.sum(1, keepdim=True), cam.relu() if "relu_attributions" in options else cam)
    assert found.shape[1] == (1 if "relu_attributions" in options else 20)


def test_the_input_of_a_layer(by_hand: Any) -> None:
    network, inputs = make("class token"), images()
    expected = by_hand.grad_cam(*by_hand.at_layer(network, network.norm, inputs, 1), (8, 8), 1)
    method = LayerGradCam(network, network.mix)
    torch.testing.assert_close(
        cells(method, inputs, target=1, attribute_to_layer_input=True, reshape_transform=Layout((8, 8), 3, 2, 1)),
        expected,
    )
    with pytest.raises(LayoutError, match="neither"):
        # The grid is that of the patches, which come before: of the input alone nothing is known but its shape.
        cells(LayerGradCam(network, network.head), inputs, target=1, attribute_to_layer_input=True)
    torch.testing.assert_close(cells(method, inputs, target=1, attribute_to_layer_input=True), expected)


def test_grad_cam_of_channels_first_is_captums_own() -> None:
    network, inputs = make("channels last"), images()
    method = LayerGradCam(network, network.embed)
    torch.testing.assert_close(cells(method, inputs, target=1), method.attribute(inputs, target=1), rtol=0, atol=0)


def test_a_noise_tunnel_around_it(by_hand: Any) -> None:
    network, inputs = make("class token"), images()
    tunnel = NoiseTunnel(LayerGradCam(network, network.norm))
    expected = by_hand.grad_cam(*by_hand.at_layer(network, network.norm, inputs, 1), (8, 8), 1)
    found = cells(tunnel, inputs, target=1, nt_samples=3, nt_samples_batch_size=2, stdevs=0.0)
    torch.testing.assert_close(found, expected)


class Objects(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.network(inputs)}


@pytest.mark.parametrize("wrap", [Objects, lambda network: lambda inputs: network(inputs)], ids=["objects", "function"])
@pytest.mark.parametrize("method", [LayerGradCam, LayerGradientXActivation])
def test_networks_that_return_objects_and_functions(wrap: Any, method: Any) -> None:
    network, inputs = make("registers"), images()
    expected = cells(method(network, network.norm), inputs, target=1)
    torch.testing.assert_close(cells(method(wrap(network), network.norm), inputs, target=1), expected)


class Masked(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, table: Tensor, inputs: Tensor, scale: Tensor) -> Tensor:
        return self.network(inputs) * table.sum(1, keepdim=True) * scale


def test_several_inputs_and_further_arguments(by_hand: Any) -> None:
    network, inputs = make("class token"), images()
    expected = by_hand.grad_cam(*by_hand.at_layer(network, network.norm, inputs, 1), (8, 8), 1) * 6
    grouped = SuperpixelGrouped(LayerGradCam(Masked(network), network.norm), None, interpolate_mode="nearest")
    own = torch.arange(32 * 32).view(1, 1, 32, 32)
    found = grouped.attribute(
        (torch.ones(2, 3), inputs), target=1, additional_forward_args=torch.tensor(2.0), feature_mask=(None, own)
    )
    torch.testing.assert_close(found[:, :, ::4, ::4], expected)


# --- reshape_transform ---


def of_class_token(output: Tensor) -> Tensor:
    return output[:, 1:].transpose(1, 2).unflatten(2, (8, 8))


@pytest.mark.parametrize("method", [LayerGradCam, LayerGradientXActivation, LayerActivation, LayerIntegratedGradients])
def test_a_transform_does_what_the_layout_does(method: Any) -> None:
    network, inputs = make("class token"), images()
    options = {} if method is LayerActivation else {"target": 1}
    expected = cells(method(network, network.norm), inputs, **options)
    found = cells(method(network, network.norm), inputs, reshape_transform=of_class_token, **options)
    assert torch.equal(found, expected)


def test_a_transform_is_taken_at_its_word() -> None:
    """Of the layout that is found by itself, too: rows and columns exchanged."""
    network, inputs = make("channels last"), images()
    expected = cells(LayerGradCam(network, network.norm), inputs, target=1).transpose(2, 3)
    found = cells(
        LayerGradCam(network, network.norm),
        inputs,
        target=1,
        reshape_transform=lambda output: output.permute(0, 3, 2, 1),
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            lambda output: output,
            r"<lambda> made (2, 65, 20) of the layer's output of shape (2, 65, 20): it must return",
        ),
        (lambda output: output[:, 1:].unflatten(1, (7, 9)), "failed on the layer's output of shape (2, 65, 20) (Runti"),
        (lambda output: of_class_token(output).flatten(0, 1)[:, None], "made (40, 1, 8, 8) of"),
        (lambda output: [output], "returned a list: it must return a tensor (N, C, h, w)"),
    ],
)
@pytest.mark.parametrize("method", [LayerGradCam, LayerActivation])
def test_transforms_that_make_no_map(method: Any, transform: Callable[[Tensor], Any], message: str) -> None:
    network = make("class token")
    options = {} if method is LayerActivation else {"target": 1}
    with pytest.raises(ValueError, match=re.escape(message)):
        cells(method(network, network.norm), images(), reshape_transform=transform, **options)


def test_transforms_that_cannot_be_meant() -> None:
    network = make("class token")
    with pytest.raises(TypeError, match=r"reshape_transform must be a callable .* but is a tuple"):
        SuperpixelGrouped(LayerGradCam(network, network.norm), reshape_transform=(8, 8))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lays out the output of a layer, and Saliency looks at none"):
        SuperpixelGrouped(NoiseTunnel(Saliency(network)), reshape_transform=of_class_token)


def test_repr_and_pickle() -> None:
    network = make("class token")
    grouped = SuperpixelGrouped(
        LayerGradCam(network, network.norm), Grid(4), reduction="abs_mean", reshape_transform=of_class_token
    )
    assert repr(grouped).endswith("reduction='abs_mean', reshape_transform=of_class_token)")
    again = pickle.loads(pickle.dumps(grouped))
    assert repr(again) == repr(grouped)
    assert torch.equal(again.attribute(images(), target=1), grouped.attribute(images(), target=1))
    assert "reshape_transform" not in repr(SuperpixelGrouped(LayerGradCam(network, network.norm)))


# --- layers that cannot be laid out ---


class Positions(nn.Module):
    """A table of positions that does not depend on the image, and an output that can be read in two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tokens()
        self.table = nn.Linear(1, 20)
        self.cube = nn.Identity()
        self.windows = nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        table = self.table(torch.ones(len(inputs), 64, 1)).mean((1, 2))
        cube = self.cube(inputs[:, :2].unfold(2, 4, 4).unfold(3, 4, 4).flatten(4).sum(1)[..., :8]).mean((1, 2, 3))
        windows = self.windows(inputs.unfold(2, 16, 16).flatten(0, 2)).mean() + inputs.mean()
        return self.tokens(inputs) + (table + cube + windows)[:, None]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "table",
            "the layer Linear of {} cannot be laid over the images: its output (2, 64, 20) does not dep",
        ),
        (
            "cube",
            "the layer Identity of {} cannot be laid over the images: its output (2, 8, 8, 8) can be rea",
        ),
        ("windows", "its output (12, 32, 16) does not begin with the number of images, 2,"),
        ("tokens.head", "its output (2, 2) is neither (N, C, h, w), nor (N, h, w, C), nor tokens"),
    ],
)
@pytest.mark.parametrize("wrap", [LayerGradCam, GuidedGradCam])
def test_layers_without_one_reading(layer: str, message: str, wrap: Any) -> None:
    torch.manual_seed(0)
    network = Positions().eval()
    with pytest.raises(ValueError, match=re.escape(message.format(wrap.__name__))):
        SuperpixelGrouped(wrap(network, network.get_submodule(layer)), Grid(4)).attribute(images(), target=1)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("index", [0, 1])
def test_the_advice_for_two_readings(index: int) -> None:
    """Both of the transforms that the message shows can be passed, and are told apart."""
    network = Positions().eval()
    method = LayerActivation(network, network.cube)
    with pytest.raises(LayoutError, match="more than one way") as caught:
        cells(method, images())
    advised = re.findall(r"reshape_transform=(lambda .*?)(?: or |$)", str(caught.value))
    assert len(advised) == 2
    found = cells(method, images(), reshape_transform=eval(advised[index]))
    output = method.attribute(images())
    assert torch.equal(found, output if index == 0 else torch.stack([output[..., c] for c in range(8)], dim=1))


def test_the_advice_for_tokens_that_are_no_grid(by_hand: Any) -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.Flatten(2), nn.Linear(64, 31), nn.Flatten(), nn.Linear(155, 2))
    with pytest.raises(LayoutError, match="neither 5 nor 31 tokens are a grid of images of 32 x 32") as caught:
        cells(LayerActivation(network, network[2]), images())
    advised = re.search(r"lambda map: .*\(h, w\)\)", str(caught.value))
    assert advised is not None
    output = torch.rand(2, 7, 5)
    assert torch.equal(eval(advised[0], {"h": 2, "w": 3})(output), by_hand.places(output, (2, 3), 1))


def test_what_operations_say_of_a_cube(by_hand: Any) -> None:
    """As many channels as rows and columns: the convolution before the activation tells which axis is which."""
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.GELU(), nn.Flatten(), nn.Linear(512, 2))
    assert torch.equal(
        cells(LayerActivation(first, first[1]), images()), LayerActivation(first, first[1]).attribute(images()).detach()
    )
    last = ChannelsLast(8)
    output = LayerActivation(last, last.block).attribute(images()).detach()
    last.mix, last.act = nn.Identity(), nn.GELU()
    output = LayerActivation(last, last.block).attribute(images()).detach()
    assert torch.equal(cells(LayerActivation(last, last.block), images()), by_hand.places(output, (8, 8), 0))
    last.norm = nn.Identity()
    output = LayerActivation(last, last.act).attribute(images()).detach()
    assert torch.equal(cells(LayerActivation(last, last.act), images()), by_hand.places(output, (8, 8), 0))


def test_other_threads_that_use_the_network() -> None:
    """They run through the same layers, but what they do there is not noted."""
    network, inputs = make("class token"), images()
    method = LayerGradientXActivation(network, network.norm)
    expected, stop = cells(method, inputs, target=1), threading.Event()

    def work() -> None:
        while not stop.is_set():
            network(torch.rand(3, 3, 16, 16))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        named = [(name, module) for name, module in network.named_modules() if name]
        for _ in range(20):
            seen = observe(network, named, inputs)
            assert seen.layout(network.norm) == Layout((8, 8), 3, 2, 1)
            assert {layer.calls for layer in seen.layers.values()} == {1}
    finally:
        stop.set()
        thread.join()
    assert torch.equal(cells(method, inputs, target=1), expected)


def test_methods_are_left_as_they_were() -> None:
    network = make("class token")
    guided = GuidedGradCam(network, network.norm)
    tunnel = NoiseTunnel(guided)
    changed: Any = with_layout(tunnel, of_class_token)
    assert changed is not tunnel
    assert tunnel.attribution_method is guided
    assert type(guided.grad_cam) is LayerGradCam
    assert type(changed.attribution_method.grad_cam) is not LayerGradCam
    assert with_layout(Saliency(network), of_class_token).forward_func is network
    assert not looks_at_layer(NoiseTunnel(Saliency(network)))
    assert looks_at_layer(tunnel)


@pytest.mark.parametrize("method", [LayerGradCam, LayerGradientXActivation])
def test_a_laid_out_method_by_itself(method: Any) -> None:
    network, inputs = make("class token"), images()
    laid_out = LaidOut(method(network, network.norm), Layout((8, 8), 3, 2, 1))
    expected = cells(method(network, network.norm), inputs, target=1)
    torch.testing.assert_close(laid_out.attribute(inputs, target=1).detach(), expected)
    torch.testing.assert_close(cells(laid_out, inputs, target=1), expected)


def test_a_mask_of_the_places_of_a_laid_out_method() -> None:
    """Each place is ablated once, all of its channels together: its effect stands in each of them."""
    network, inputs = make("registers"), images()
    laid_out = LaidOut(LayerFeatureAblation(network, network.norm), Layout((8, 8), 3, 2, 5))
    found = laid_out.attribute(inputs, target=1, layer_mask=torch.arange(64).view(1, 1, 8, 8))
    normed = LayerActivation(network, network.norm).attribute(inputs).detach()
    without = normed.clone()
    without[:, 5 + 9] = 0

    def logit(tokens: Tensor) -> Tensor:
        return network.head(network.act(network.mix(tokens)).square().mean(1))[:, 1].detach()

    expected = logit(normed) - logit(without)
    assert expected.abs().max() > 0
    torch.testing.assert_close(found[:, :, 1, 1], expected[:, None].expand(2, 20))
