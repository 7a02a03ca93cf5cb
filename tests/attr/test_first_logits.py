"""Networks that return objects: maps equal those of the network that returns the logits alone, for every method."""

import pickle
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from captum.attr import (
    LRP,
    Attribution,
    Deconvolution,
    DeepLift,
    FeatureAblation,
    FeaturePermutation,
    GradientShap,
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    InternalInfluence,
    KernelShap,
    LayerActivation,
    LayerConductance,
    LayerDeepLift,
    LayerFeatureAblation,
    LayerGradCam,
    LayerGradientXActivation,
    LayerIntegratedGradients,
    Lime,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValues,
    ShapleyValueSampling,
)
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._seeds import seeded
from captum_superpixel.attr._first_logits import returns_objects
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.masks import Grid
from captum_superpixel.metrics import deletion_auc, deletion_curve, insertion_auc, road

pytestmark = pytest.mark.filterwarnings("ignore:Setting")


class Output(NamedTuple):
    aux: Tensor
    logits: Tensor


KINDS: dict[str, Callable[[Tensor], object]] = {
    "object": lambda logits: SimpleNamespace(logits=logits, hidden_states=None),
    "named tuple": lambda logits: Output(-logits, logits),
    "dict": lambda logits: {"loss": None, "logits": logits},
    "tuple": lambda logits: (logits, -logits),
    "list": lambda logits: [logits, None],
    "tuple of a dict": lambda logits: ({"logits": logits}, 3),
}


class Returning(nn.Module):
    """A network that returns its logits inside of something."""

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        self.network, self.kind = network, kind

    def forward(self, images: Tensor) -> object:
        return KINDS[self.kind](self.network(images))


Made = tuple[Callable[[Any, Any], Attribution], dict[str, Any]]

METHODS: dict[str, Made] = {
    **{
        method.__name__: (lambda model, net, method=method: method(model), options)
        for method, options in [
            (Saliency, {}),
            (InputXGradient, {}),
            (IntegratedGradients, {"n_steps": 4}),
            (GradientShap, {"baselines": torch.zeros(2, 3, 16, 12), "n_samples": 2}),
            (DeepLift, {}),
            (GuidedBackprop, {}),
            (Deconvolution, {}),
            (FeatureAblation, {}),
            (FeaturePermutation, {}),
            (ShapleyValueSampling, {"n_samples": 2}),
            (ShapleyValues, {}),
            (Lime, {"n_samples": 6}),
            (KernelShap, {"n_samples": 6}),
            (Occlusion, {"sliding_window_shapes": (3, 4, 4), "strides": (3, 4, 4)}),
        ]
    },
    **{
        method.__name__: (lambda model, net, method=method: method(model, net.conv2), options)
        for method, options in [
            (GuidedGradCam, {}),
            (LayerGradCam, {}),
            (LayerGradientXActivation, {}),
            (LayerIntegratedGradients, {"n_steps": 4}),
            (LayerConductance, {"n_steps": 4}),
            (InternalInfluence, {"n_steps": 4}),
            (LayerDeepLift, {}),
            (LayerFeatureAblation, {}),
        ]
    },
    "NoiseTunnel": (lambda model, net: NoiseTunnel(Saliency(model)), {"nt_samples": 2}),
    "NoiseTunnel of DeepLift": (lambda model, net: NoiseTunnel(DeepLift(model)), {"nt_samples": 2}),
}


def explain(method: Attribution, images: Tensor, options: dict[str, Any]) -> Tensor:
    with seeded(3):
        return SuperpixelGrouped(method, Grid(3)).attribute(images, target=1, **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", METHODS)
def test_maps_are_those_of_the_logits(net, images, name: str, kind: str) -> None:
    make, options = METHODS[name]
    model = Returning(net, kind)
    expected = explain(make(net, net), images, options)
    method = make(model, net)
    before = dict(vars(method))
    for _ in range(2):
        torch.testing.assert_close(explain(method, images, options), expected)
    assert vars(method).keys() >= before.keys()
    assert all(vars(method)[name] is value for name, value in before.items())
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


def test_the_layers_of_lrp(images) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1))

    def logits(network: nn.Module) -> Tensor:
        return SuperpixelGrouped(LRP(network), Grid(4)).attribute(images, target=(1, 0, 0))

    torch.testing.assert_close(logits(Returning(net, "dict")), logits(net))


def test_functions_and_partial_models(net, images) -> None:
    expected = explain(Saliency(net), images, {})
    for function in (Returning(net, "dict").forward, lambda x: (net(x), None), Returning(net, "object").__call__):
        torch.testing.assert_close(explain(Saliency(function), images, {}), expected)


def test_layers_are_read_without_any_logits(net, images) -> None:
    method = LayerActivation(Returning(net, "dict"), net.conv1)
    grouped = SuperpixelGrouped(method, Grid(3)).attribute(images)
    torch.testing.assert_close(grouped, SuperpixelGrouped(LayerActivation(net, net.conv1), Grid(3)).attribute(images))


@pytest.mark.parametrize("make", [IntegratedGradients, DeepLift])
def test_convergence_deltas(net, images, make) -> None:
    baselines = torch.zeros_like(images)
    of_logits, of_object = (SuperpixelGrouped(make(model), Grid(3)) for model in (net, Returning(net, "object")))
    maps, delta = of_object.attribute(images, baselines, target=1, return_convergence_delta=True)
    expected = of_logits.attribute(images, baselines, target=1, return_convergence_delta=True)
    torch.testing.assert_close((maps, delta), expected)
    found = of_object.compute_convergence_delta(maps, baselines, images, target=1)
    torch.testing.assert_close(found, of_logits.compute_convergence_delta(maps, baselines, images, target=1))


def test_a_tunnel_and_ensembles_around(net, images) -> None:
    def run(model: nn.Module) -> Tensor:
        tunnel = NoiseTunnel(SuperpixelGrouped(Saliency(model), [Grid(3), Grid(4)]))
        return tunnel.attribute(images, target=1, nt_samples=2, stdevs=0.0)

    torch.testing.assert_close(run(Returning(net, "tuple")), run(net))


@pytest.mark.parametrize("kind", KINDS)
def test_xrai_and_metrics(net, images, kind: str) -> None:
    model, maps = Returning(net, kind), images.detach()
    for make in (lambda network: XRAI(network, Grid(9)), lambda network: XRAI(Saliency(network), Grid(9))):
        options = {"target": 1, **({"n_steps": 3} if make(net)._explains_model else {})}
        torch.testing.assert_close(make(model).attribute(images, **options), make(net).attribute(images, **options))
    for metric in (deletion_auc, insertion_auc):
        torch.testing.assert_close(metric(model, images, maps, 1), metric(net, images, maps, 1))
    curves = [deletion_curve(network, images, maps, 1) for network in (model, net)]
    torch.testing.assert_close(curves[0].scores, curves[1].scores)
    torch.testing.assert_close(road(model, images, maps, 1).score, road(net, images, maps, 1).score)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_transformers_as_they_are(images) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16, patch_size=4
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vit = transformers.ViTForImageClassification(config).eval()
    inputs = torch.rand(2, 3, 16, 16)
    for method in (Saliency, IntegratedGradients, FeatureAblation):
        found = SuperpixelGrouped(method(vit), Grid(4)).attribute(inputs, target=1)
        expected = SuperpixelGrouped(method(lambda x: vit(x).logits), Grid(4)).attribute(inputs, target=1)
        torch.testing.assert_close(found, expected)
    assert not inputs.requires_grad
    assert XRAI(vit, Grid(4)).attribute(inputs, target=1, n_steps=2).shape == (2, 1, 16, 16)
    assert deletion_auc(vit, inputs, inputs, 1).shape == (2,)


def test_networks_that_return_tensors_are_called_as_they_are(net, images) -> None:
    seen = []

    class Spy(Saliency):
        def attribute(self, inputs: Tensor, target: int) -> Any:
            seen.append(self)
            return super().attribute(inputs, target)

    method = Spy(net)
    explain(method, images, {})
    assert [spy is method for spy in seen] == [True]
    assert not returns_objects(method)


def test_the_objects_are_found_out_once(net, images) -> None:
    calls = []

    def model(x: Tensor) -> dict[str, Tensor]:
        calls.append(len(x))
        return {"logits": net(x)}

    method = Saliency(model)
    explain(method, images, {})
    assert returns_objects(method)
    assert len(calls) == 3
    explain(method, images, {})
    assert len(calls) == 4


def test_threads_share_a_method(net, images) -> None:
    method = DeepLift(Returning(net, "object"))
    expected = explain(DeepLift(net), images, {})
    grouped = SuperpixelGrouped(Saliency(Returning(net, "object")), Grid(3))
    alone = SuperpixelGrouped(Saliency(net), Grid(3)).attribute(images, target=1)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: grouped.attribute(images, target=1), range(16)):
            torch.testing.assert_close(found, alone)
    torch.testing.assert_close(explain(method, images, {}), expected)


def test_a_used_wrapper_is_pickled(net, images) -> None:
    grouped = SuperpixelGrouped(LayerGradCam(Returning(net, "dict"), net.conv2), Grid(3))
    maps = grouped.attribute(images, target=1)
    again = pickle.loads(pickle.dumps(grouped))
    torch.testing.assert_close(again.attribute(images, target=1), maps)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"out": 1, "aux": 2}, r"type dict of 'out', 'aux', which has no tensor of logits"),
        (None, r"type NoneType, which has no tensor of logits"),
        (SimpleNamespace(logits=None), r"type SimpleNamespace, which"),
        ((), r"type tuple, which"),
    ],
)
@pytest.mark.parametrize("method", [Saliency, FeatureAblation])
def test_objects_without_logits(net, images, returned, message: str, method) -> None:
    with pytest.raises(ValueError, match=message):
        SuperpixelGrouped(method(lambda x: returned), Grid(3)).attribute(images, target=1)
    with pytest.raises(ValueError, match=message):
        deletion_auc(lambda x: returned, images, images, 1)


@pytest.mark.parametrize("method", [Saliency, IntegratedGradients, FeatureAblation, KernelShap])
def test_torchscript_and_exported_networks(net, images, method) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        scripted = torch.jit.script(net)
    exported = torch.export.export(net, (images.detach(),)).module()
    networks = [scripted] if method is IntegratedGradients else [scripted, exported]  # the batch of an export is fixed
    networks = networks[:1] if method is KernelShap else networks
    options = {"n_samples": 6} if method is KernelShap else {}
    for network in networks:
        torch.testing.assert_close(
            explain(method(network), images, options), explain(method(net), images, options), rtol=1e-4, atol=1e-4
        )
