"""The methods of ``explain``: each by its name, with the options that it is given, or the reason why it is refused."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import captum.attr
import torch
from captum.attr import Attribution, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.attr._captum import signature_of
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.pooling import Reduction

__all__ = ["RECIPES", "REFUSED", "Recipe", "Scene", "attribute_options", "find_recipe", "make_method"]

_BATCH = 16
"""Images that go through the network together, for methods that make many of one."""
_ORDERS = 6
"""Segments whose orders can all be tried: 7 would be 5040 orders."""


@dataclass(frozen=True)
class Scene:
    """What the options of a method may depend on.

    Attributes:
        inputs: ``(1, 3, H, W)``, what the network is given.
        segments: The largest number of segments of a mask.
        preprocessing: How the photograph became the inputs.
        layer_size: Height and width of the layer's output; None without a layer.
    """

    inputs: Tensor
    segments: int
    preprocessing: Preprocessing
    layer_size: tuple[int, int] | None = None


def _noise(scene: Scene) -> float:
    """SmoothGrad's standard deviation: 15 % of the range of the inputs, as its authors advise."""
    return 0.15 * float(scene.inputs.max() - scene.inputs.min())


def _greys(scene: Scene) -> Tensor:
    """A distribution of baselines that does not depend on any data: five even greys, from black to white."""
    levels = torch.tensor([0, 64, 128, 191, 255], dtype=torch.uint8).view(5, 1, 1, 1)
    height, width = scene.inputs.shape[2:]
    return scene.preprocessing.from_uint8(levels.expand(5, 3, height, width)).to(scene.inputs.device)


def _window(scene: Scene) -> tuple[int, ...]:
    """Windows of an eighth of the input's sides, over all channels."""
    return (scene.inputs.shape[1], *(max(1, side // 8) for side in scene.inputs.shape[2:]))


def _half_window(scene: Scene) -> tuple[int, ...]:
    channels, *sides = _window(scene)
    return (channels, *(max(1, side // 2) for side in sides))


def _coalitions(scene: Scene) -> int:
    """Samples for a linear model over the segments: five a coefficient, and no fewer than 500."""
    return max(500, 5 * scene.segments)


def _layer_places(scene: Scene) -> Tensor:
    """Each place of the layer's map is one feature, all of its channels together."""
    height, width = scene.layer_size or (1, 1)
    return torch.arange(height * width, device=scene.inputs.device).view(1, 1, height, width)


@dataclass(frozen=True)
class Recipe:
    """How a method is used.

    Attributes:
        options: Arguments of its ``attribute``; functions are called with the scene first.
        reduction: How it is pooled unless the user says otherwise: ``"abs_mean"`` for maps that say how sensitive the
            class is to a pixel, whose signs cancel within a segment; else ``"mean"``, which keeps the sign.
        layer: Whether it needs a layer.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    reduction: Reduction = "mean"
    layer: bool = False


_PATH = {"n_steps": 50, "internal_batch_size": _BATCH}
_DRAWN = {"baselines": _greys, "n_samples": 25}
_EVALUATIONS = {"perturbations_per_eval": _BATCH}

RECIPES: dict[str, Recipe] = {
    "Saliency": Recipe(),
    "SmoothGrad": Recipe(
        {"abs": False, "nt_samples": 25, "nt_samples_batch_size": 5, "stdevs": _noise}, reduction="abs_mean"
    ),
    "IntegratedGradients": Recipe(_PATH),
    "InputXGradient": Recipe(),
    "DeepLift": Recipe(),
    "DeepLiftShap": Recipe({"baselines": _greys}),
    "GradientShap": Recipe(_DRAWN),
    "GuidedBackprop": Recipe(reduction="abs_mean"),
    "Deconvolution": Recipe(reduction="abs_mean"),
    "LRP": Recipe(),
    "XRAI": Recipe(_PATH),
    "Occlusion": Recipe({"sliding_window_shapes": _window, "strides": _half_window, **_EVALUATIONS}),
    "FeatureAblation": Recipe(_EVALUATIONS),
    "ShapleyValueSampling": Recipe({"n_samples": 10, **_EVALUATIONS}),
    "ShapleyValues": Recipe(_EVALUATIONS),
    "Lime": Recipe({"n_samples": _coalitions, **_EVALUATIONS}),
    "KernelShap": Recipe({"n_samples": _coalitions, **_EVALUATIONS}),
    "GuidedGradCam": Recipe(reduction="abs_mean", layer=True),
    "LayerGradCam": Recipe(layer=True),
    "LayerActivation": Recipe(layer=True),
    "LayerGradientXActivation": Recipe(layer=True),
    "LayerIntegratedGradients": Recipe(_PATH, layer=True),
    "LayerConductance": Recipe(_PATH, layer=True),
    "InternalInfluence": Recipe(_PATH, layer=True),
    "LayerDeepLift": Recipe(layer=True),
    "LayerDeepLiftShap": Recipe({"baselines": _greys}, layer=True),
    "LayerGradientShap": Recipe(_DRAWN, layer=True),
    "LayerLRP": Recipe(layer=True),
    "LayerFeatureAblation": Recipe({"layer_mask": _layer_places, **_EVALUATIONS}, layer=True),
}
"""Every method that ``explain`` knows."""

_BATCHWISE = "it exchanges features between the images of a batch, and photographs are explained one by one"
_TEXT = "it explains text"
_BASE = "it is a base class, without a method of its own"

REFUSED: dict[str, str] = {
    "NoiseTunnel": "it needs a method to wrap; SmoothGrad is NoiseTunnel(Saliency)",
    "FeaturePermutation": f"{_BATCHWISE}; use FeatureAblation",
    "LayerFeaturePermutation": f"{_BATCHWISE}; use LayerFeatureAblation",
    "LimeBase": "it needs an interpretable space of your own; use Lime",
    "DataLoaderAttribution": "it explains a whole data loader",
    "LLMAttribution": _TEXT,
    "LLMGradientAttribution": _TEXT,
    "RemoteLLMAttribution": _TEXT,
    "Attribution": _BASE,
    "GradientAttribution": _BASE,
    "PerturbationAttribution": _BASE,
    "LayerAttribution": _BASE,
    "NeuronAttribution": _BASE,
    **{
        name: "it explains a single neuron of a layer, which this command has no option to name; use Captum itself"
        for name in captum.attr.__all__
        if name.startswith("Neuron") and name != "NeuronAttribution"
    },
}
"""The classes of ``captum.attr`` that need more than the command line can give, and what that is."""


def find_recipe(name: str) -> str:
    """Find a method by its name, in whatever case.

    Returns:
        The key of ``RECIPES``.

    Raises:
        InputError: If there is no such method, or it cannot be used from the command line.

    Examples:
        >>> find_recipe("integratedgradients")
        'IntegratedGradients'
    """
    known = {key.casefold(): key for key in (*RECIPES, *REFUSED)}
    found = known.get(name.casefold())
    if found is None:
        near = [known[key] for key in difflib.get_close_matches(name.casefold(), known, n=3) if known[key] in RECIPES]
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(RECIPES)}."
        raise InputError(f"--method {name} is no method of captum.attr that explain knows; {hint}")
    if found in REFUSED:
        raise InputError(f"--method {found} cannot be used here: {REFUSED[found]}.")
    return found


def make_method(name: str, model: nn.Module, layer: nn.Module | None = None) -> Attribution:
    """Make a method of ``RECIPES`` for a network, and its layer where it needs one."""
    if name == "SmoothGrad":
        return NoiseTunnel(Saliency(model))
    if name == "XRAI":
        return XRAI(model)
    make: Callable[..., Attribution] = getattr(captum.attr, name)
    return make(model) if layer is None else make(model, layer)


def attribute_options(name: str, method: Attribution, scene: Scene, target: int) -> dict[str, Any]:
    """Settle the arguments of a method's ``attribute``, but for the inputs and the feature mask.

    Raises:
        InputError: If the masks have more segments than the method can bear.
    """
    if name == "ShapleyValues" and scene.segments > _ORDERS:
        raise InputError(
            f"--method ShapleyValues tries all orders of the segments, too many for {scene.segments}: pass --masks "
            f"with at most {_ORDERS}, such as grid:{_ORDERS}, or use ShapleyValueSampling."
        )
    options = {key: value(scene) if callable(value) else value for key, value in RECIPES[name].options.items()}
    parameters = signature_of(method).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return {**options, "target": target} if "target" in parameters or takes_any else options
