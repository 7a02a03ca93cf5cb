"""Methods by their names, and what they are given."""

import dataclasses
from inspect import signature

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._seeds import seeded
from captum_superpixel.attr.methods import (
    METHODS,
    MethodSettings,
    Scene,
    attribute_pixels,
    make_method,
    method_options,
    perturbs_segments,
)


class Scaled(nn.Module):
    """The sum of each row, scaled."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, rows: Tensor) -> Tensor:
        return self.scale * rows.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("name", ["Lime", "KernelShap"])
@pytest.mark.parametrize(("segments", "samples"), [(1, 500), (100, 500), (101, 505), (400, 2000)])
def test_linear_models_have_five_samples_a_segment_and_no_fewer_than_500(
    name: str, segments: int, samples: int, net: nn.Module
) -> None:
    """Below the floor, the coefficients of a few segments are as good as drawn at random."""
    scene = Scene(torch.zeros(1, 3, 4, 4), 0, segments=segments)
    assert method_options(name, make_method(name, net), scene)["n_samples"] == samples


@pytest.mark.parametrize(
    ("name", "settings", "passes"),
    [
        ("IntegratedGradients", MethodSettings(), 50),
        ("IntegratedGradients", MethodSettings(n_steps=7), 7),
        ("SmoothGrad", MethodSettings(), 25),
        ("SmoothGrad", MethodSettings(n_samples=3), 3),
        ("SparsifiedSmoothGrad", MethodSettings(), 25),
        ("SparsifiedSmoothGrad", MethodSettings(n_samples=3), 3),
    ],
)
def test_how_often_the_network_is_passed(name: str, settings: MethodSettings, passes: int, net: nn.Module) -> None:
    """By each image as many times as there are steps or noisy copies, of which at most 16 are passed at once."""
    counts: list[int] = []
    net.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    attribute_pixels(name, net, torch.rand(1, 3, 8, 8), torch.tensor([1]), settings, seed=0)
    assert sum(counts) == passes
    assert max(counts) == min(16, passes)


def test_fifty_steps_are_complete(net: nn.Module, images: Tensor) -> None:
    """The map of IntegratedGradients adds up to the change of the logit, within a hundredth of it."""
    targets = torch.tensor([0, 1, 2, 3])
    maps = attribute_pixels("IntegratedGradients", net, images, targets, MethodSettings(baseline=0.5), seed=0)
    with torch.no_grad():
        change = (net(images) - net(torch.full_like(images, 0.5)))[range(4), targets]
    assert torch.allclose(maps.sum((1, 2, 3)), change, atol=0.01 * change.abs().max().item())


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_lime_finds_the_effects_whatever_the_scale_of_the_outputs(scale: float) -> None:
    """The effects of a sum of segments are their shares of it, but for a penalty of a few percent of the largest."""
    mask = torch.arange(64).view(1, 1, 8, 8) // 8
    image = (mask + 1.0) / 8 * torch.tensor([1.0, -1]).repeat(4)[mask]
    method = make_method("Lime", nn.Sequential(nn.Flatten(), Scaled(scale)))
    options = method_options("Lime", method, Scene(image, 0, segments=8))
    with seeded(0):
        found = method.attribute(image, feature_mask=mask, **options)[0, 0, :, 0] / scale
    assert torch.allclose(found, 8 * image[0, 0, :, 0], atol=0.2)


# scikit-learn before 1.8, of a fit that leaves nothing.
@pytest.mark.filterwarnings("ignore:Objective did not converge.*gap. 0.000e.00, tolerance. 0.000e.00:UserWarning")
def test_lime_of_a_constant_output_is_zero() -> None:
    method = make_method("Lime", nn.Sequential(nn.Flatten(), Scaled(0.0)))
    image, mask = torch.rand(1, 1, 8, 8), torch.arange(64).view(1, 1, 8, 8) // 8
    assert not method.attribute(image, feature_mask=mask, target=0, n_samples=50).any()


def test_too_many_segments_for_all_coalitions(net: nn.Module) -> None:
    method, inputs = make_method("ShapleyValues", net), torch.zeros(1, 3, 4, 4)
    assert method_options("ShapleyValues", method, Scene(inputs, 0, segments=12))["target"] == 0
    with pytest.raises(InputError, match=r"evaluates all coalitions of the segments, 2\*\*13 for 13: .* at most 12"):
        method_options("ShapleyValues", method, Scene(inputs, 0, segments=13))


@pytest.mark.parametrize("name", METHODS)
def test_methods_take_what_they_say_and_nothing_else(name: str, net: nn.Module) -> None:
    """What changes with a setting is the arguments of ``attribute``, and they are arguments that it has."""
    method = make_method(name, net, net.conv2 if METHODS[name].layer else None)
    inputs = torch.zeros(2, 3, 16, 16)
    plain = Scene(inputs, 0, segments=4, layer_size=(8, 8))
    changed = {
        "n_steps": dataclasses.replace(plain, settings=MethodSettings(n_steps=7)),
        "n_samples": dataclasses.replace(plain, settings=MethodSettings(n_samples=7)),
        "baseline": dataclasses.replace(plain, baseline=torch.ones_like(inputs)),
    }
    before = method_options(name, method, plain)
    for setting, scene in changed.items():
        after = method_options(name, method, scene)
        differs = {
            key for key in after if after[key] is not before.get(key) and not torch.is_tensor(before.get(key))
        } - {key for key in after if not torch.is_tensor(after[key]) and after[key] == before.get(key)}
        assert bool(differs) == (setting in METHODS[name].takes), (setting, differs)
        innermost = getattr(method, "attribution_method", method)
        known = {*signature(method.attribute).parameters, *signature(innermost.attribute).parameters}
        assert differs <= known


@pytest.mark.parametrize(
    "name", ["FeatureAblation", "Occlusion", "OwenValues", "ShapleyValueSampling", "ShapleyValues"]
)
def test_the_network_is_given_no_more_at_once_than_is_said(name: str, net: nn.Module) -> None:
    sizes: list[int] = []
    net.register_forward_pre_hook(lambda _, arguments: sizes.append(len(arguments[0])))
    inputs, mask = torch.rand(2, 3, 16, 16), torch.arange(256).view(1, 1, 16, 16) // 64
    method = make_method(name, net)
    options = method_options(name, method, Scene(inputs, 0, MethodSettings(n_samples=9, images_at_once=6), segments=4))
    masks = {"feature_mask": mask} if perturbs_segments(name, method) else {}
    method.attribute(inputs, **options, **masks)
    assert max(sizes) == 6
