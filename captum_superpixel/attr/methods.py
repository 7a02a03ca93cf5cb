"""Every method of Captum by its name, with the arguments that it is given."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import captum.attr
import torch
from captum.attr import Attribution, Lime, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._seeds import seeded
from captum_superpixel.attr._captum import fits_one_model_an_image, has_layer_output, signature_of
from captum_superpixel.attr._lasso import ScaledLasso
from captum_superpixel.attr._perturbation import SAMPLES_PER_FEATURE, too_few_samples
from captum_superpixel.attr.method_settings import MethodSettings
from captum_superpixel.attr.owen import OwenValues
from captum_superpixel.attr.shapley import ExactShapleyValues
from captum_superpixel.attr.sparsified_smooth_grad import SparsifiedSmoothGrad, relative_noise
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.pooling import Reduction

__all__ = [
    "COALITIONS_OF",
    "METHODS",
    "Method",
    "MethodSettings",
    "Scene",
    "Setting",
    "attribute_pixels",
    "has_layer_output",
    "make_method",
    "method_options",
    "perturbs_segments",
    "warn_of_samples",
]

Setting = Literal["n_steps", "n_samples", "baseline"]

COALITIONS_OF = 12
"""Segments of ShapleyValues whose coalitions can all be evaluated: 4,096."""
_DRAWS = 25
"""Noisy copies of SmoothGrad and its like, and samples of GradientShap, unless the caller says how many."""
_FROM: tuple[Setting, ...] = ("baseline",)
_STEPS_FROM: tuple[Setting, ...] = ("n_steps", "baseline")
_SAMPLES: tuple[Setting, ...] = ("n_samples",)
_SAMPLES_FROM: tuple[Setting, ...] = ("n_samples", "baseline")


@dataclass(frozen=True)
class Scene:
    """What the arguments of a method may depend on.

    Args:
        inputs: ``(N, C, H, W)``, what the network is given.
        target: The class to explain, or one class per image.
        settings: How much work is done.
        segments: The largest number of segments of a mask.
        baselines: A distribution of baselines ``(B, C, H, W)`` for the methods that need one; None where there is none.
        layer_size: Height and width of the layer's output; None without a layer.
        baseline: ``(N, C, H, W)``, what the methods with a single baseline replace pixels by; None for
            ``settings.baseline`` for IntegratedGradients and 0 for the others.
    """

    inputs: Tensor
    target: int | Tensor
    settings: MethodSettings = field(default_factory=MethodSettings)
    segments: int = 1
    baselines: Tensor | None = None
    layer_size: tuple[int, int] | None = None
    baseline: Tensor | None = None


@dataclass(frozen=True)
class Method:
    """How a method is used.

    Args:
        options: From the scene to the arguments of ``attribute``, without inputs, target and feature mask.
        reduction: How its maps are pooled unless the user says otherwise: ``"abs_mean"`` for maps that say how
            sensitive the class is to a pixel, whose signs cancel within a segment; else ``"mean"``, which keeps signs.
        layer: Whether it needs a layer.
        channels: How the channels of a layer's map become one: ``"sum"`` where each channel holds a part of its own,
            as in the maps that add up to the output and in Grad-CAM, which is itself a sum over the channels;
            ``"mean"`` where every channel holds the same whole effect.
        quantity: What its maps hold: an ``"attribution"``; its ``"magnitude"``, without a sign; an ``"effect"``, what
            the output changes by when a superpixel, a window or a place of a layer is perturbed; or an
            ``"activation"``, which speaks of no class.
        make: Makes it for a network; None for the class of ``captum.attr`` of that name.
        own_segments: Whether it has segments of its own, and is therefore not handed a mask, although it takes one.
        takes: What of the settings, and of the scene's baseline, its map depends on.
        signed: Whether its maps have signs, or can be given them, as those of Saliency by ``MethodSettings.signed``.
        alone: Whether images are to be explained one by one: because each would meet other random draws beside others,
            or because the steps or perturbations of one already fill a batch.
    """

    options: Callable[[Scene], dict[str, Any]] = lambda _: {}
    reduction: Reduction = "mean"
    layer: bool = False
    channels: Literal["sum", "mean"] = "sum"
    quantity: Literal["attribution", "magnitude", "effect", "activation"] = "attribution"
    make: Callable[[nn.Module], Attribution] | None = None
    own_segments: bool = False
    takes: tuple[Setting, ...] = ()
    signed: bool = True
    alone: bool = False


def _path(scene: Scene) -> dict[str, Any]:
    at_once = max(len(scene.inputs), scene.settings.images_at_once)
    return {"n_steps": scene.settings.n_steps, "internal_batch_size": at_once, **_baseline(scene)}


def _path_from_baseline(scene: Scene) -> dict[str, Any]:
    return {"baselines": scene.settings.baseline, **_path(scene)}


def _baseline(scene: Scene) -> dict[str, Any]:
    return {} if scene.baseline is None else {"baselines": scene.baseline}


def _saliency(scene: Scene) -> dict[str, Any]:
    return {"abs": False} if scene.settings.signed else {}


def _smooth_grad(scene: Scene) -> dict[str, Any]:
    samples, at_once, noise = _noisy_copies(scene)
    return {
        "abs": False,
        "nt_type": "smoothgrad",
        "nt_samples": samples,
        "nt_samples_batch_size": at_once,
        "stdevs": noise,
    }


def _sparsified_smooth_grad(scene: Scene) -> dict[str, Any]:
    samples, at_once, noise = _noisy_copies(scene)
    return {"n_samples": samples, "samples_per_batch": at_once, "stdevs": noise}


def _noisy_copies(scene: Scene) -> tuple[int, int, float]:
    """How many noisy copies of each image there are, how many are explained at once, and how noisy they are."""
    settings = scene.settings
    samples = settings.n_samples or _DRAWS
    at_once = min(samples, max(1, settings.images_at_once // len(scene.inputs)))
    return samples, at_once, relative_noise(scene.inputs) if settings.noise is None else settings.noise


def _from_distribution(scene: Scene) -> dict[str, Any]:
    return {} if scene.baselines is None else {"baselines": scene.baselines}


def _drawn_from_distribution(scene: Scene) -> dict[str, Any]:
    return {**_from_distribution(scene), "n_samples": scene.settings.n_samples or _DRAWS}


def _evaluations(scene: Scene) -> dict[str, Any]:
    return {"perturbations_per_eval": max(1, scene.settings.images_at_once // len(scene.inputs))}


def _ablations(scene: Scene) -> dict[str, Any]:
    return {**_evaluations(scene), **_baseline(scene)}


def _occlusion(scene: Scene) -> dict[str, Any]:
    """Windows of an eighth of the input's sides over all channels, which move by half of that."""
    channels, *sides = scene.inputs.shape[1:]
    window = [max(1, side // 8) for side in sides]
    strides = [max(1, side // 2) for side in window]
    return {"sliding_window_shapes": (channels, *window), "strides": (channels, *strides), **_ablations(scene)}


def _permutations(scene: Scene) -> dict[str, Any]:
    return {"n_samples": scene.settings.n_samples or 10, **_ablations(scene)}


def _coalitions(scene: Scene) -> dict[str, Any]:
    """Samples for a linear model over the segments: five per coefficient, and no fewer than 500."""
    samples = scene.settings.n_samples or max(500, SAMPLES_PER_FEATURE * scene.segments)
    return {"n_samples": samples, **_ablations(scene)}


def _owen(scene: Scene) -> dict[str, Any]:
    """Four evaluations per segment, and no fewer than 400."""
    return {"n_evaluations": scene.settings.n_samples or max(400, 4 * scene.segments), **_ablations(scene)}


def _all_coalitions(scene: Scene) -> dict[str, Any]:
    if scene.segments > COALITIONS_OF:
        raise InputError(
            f"ShapleyValues evaluates all coalitions of the segments, 2**{scene.segments} for {scene.segments}: pass "
            f"masks with at most {COALITIONS_OF}, such as grid:{COALITIONS_OF}, or use ShapleyValueSampling."
        )
    return _ablations(scene)


def _layer_places(scene: Scene) -> dict[str, Any]:
    """Each place of the layer's map is one feature, all of its channels together."""
    height, width = scene.layer_size or (1, 1)
    places = torch.arange(height * width, device=scene.inputs.device).view(1, 1, height, width)
    return {"layer_mask": places, **_evaluations(scene)}


def _make_smooth_grad(model: nn.Module) -> Attribution:
    return NoiseTunnel(Saliency(model))


def _make_lime(model: nn.Module) -> Attribution:
    return Lime(model, interpretable_model=ScaledLasso())


_effect = functools.partial(Method, quantity="effect")
_of_layer = functools.partial(Method, layer=True)

METHODS: Mapping[str, Method] = {
    "Saliency": Method(_saliency, quantity="magnitude"),
    "SmoothGrad": Method(_smooth_grad, "abs_mean", make=_make_smooth_grad, takes=_SAMPLES, alone=True),
    "SparsifiedSmoothGrad": Method(
        _sparsified_smooth_grad,
        quantity="magnitude",
        make=SparsifiedSmoothGrad,
        takes=_SAMPLES,
        signed=False,
        alone=True,
    ),
    "IntegratedGradients": Method(_path_from_baseline, takes=_STEPS_FROM, alone=True),
    "InputXGradient": Method(),
    "DeepLift": Method(_baseline, takes=_FROM),
    "DeepLiftShap": Method(_from_distribution, alone=True),
    "GradientShap": Method(_drawn_from_distribution, takes=_SAMPLES, alone=True),
    "GuidedBackprop": Method(reduction="abs_mean"),
    "Deconvolution": Method(reduction="abs_mean"),
    "LRP": Method(),
    "XRAI": Method(_path, make=XRAI, own_segments=True, takes=_STEPS_FROM, alone=True),
    "Occlusion": _effect(_occlusion, takes=_FROM, alone=True),
    "FeatureAblation": _effect(_ablations, takes=_FROM, alone=True),
    "ShapleyValueSampling": _effect(_permutations, takes=_SAMPLES_FROM, alone=True),
    "ShapleyValues": _effect(_all_coalitions, make=ExactShapleyValues, takes=_FROM, alone=True),
    "OwenValues": _effect(_owen, make=OwenValues, takes=_SAMPLES_FROM, alone=True),
    "Lime": _effect(_coalitions, make=_make_lime, takes=_SAMPLES_FROM, alone=True),
    "KernelShap": _effect(_coalitions, takes=_SAMPLES_FROM, alone=True),
    "GuidedGradCam": _of_layer(reduction="abs_mean"),
    "LayerGradCam": _of_layer(),
    "LayerActivation": _of_layer(quantity="activation"),
    "LayerGradientXActivation": _of_layer(),
    "LayerIntegratedGradients": _of_layer(_path, takes=_STEPS_FROM, alone=True),
    "LayerConductance": _of_layer(_path, takes=_STEPS_FROM, alone=True),
    "InternalInfluence": _of_layer(_path, takes=_STEPS_FROM, alone=True),
    "LayerDeepLift": _of_layer(_baseline, takes=_FROM),
    "LayerDeepLiftShap": _of_layer(_from_distribution, alone=True),
    "LayerGradientShap": _of_layer(_drawn_from_distribution, takes=_SAMPLES, alone=True),
    "LayerLRP": _of_layer(),
    "LayerFeatureAblation": _of_layer(_layer_places, channels="mean", quantity="effect", alone=True),
}
"""Every method that can be used by its name.

It is that of a class of ``captum.attr``, or SmoothGrad (NoiseTunnel of Saliency), SparsifiedSmoothGrad, OwenValues or
XRAI.
"""


def make_method(name: str, model: nn.Module, layer: nn.Module | None = None) -> Attribution:
    """Make a method of ``METHODS`` for a network, and its layer where it needs one.

    Lime has a penalty that fits the scale of the outputs, be they logits or probabilities, and ShapleyValues evaluates
    each coalition once.
    """
    make: Callable[..., Attribution] = METHODS[name].make or getattr(captum.attr, name)
    return make(model) if layer is None else make(model, layer)


def method_options(name: str, method: Attribution, scene: Scene) -> dict[str, Any]:
    """Settle the arguments of a method's ``attribute``, but for the inputs and the feature mask.

    Args:
        name: Of the method, in ``METHODS``.
        method: What ``make_method`` made.
        scene: What they depend on.

    Returns:
        The arguments, the target among them where the method has one.

    Raises:
        InputError: If the masks have more segments than the method can bear.
    """
    options = METHODS[name].options(scene)
    parameters = signature_of(method).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return {**options, "target": scene.target} if "target" in parameters or takes_any else options


def perturbs_segments(name: str, method: Attribution) -> bool:
    """Whether a method is handed the superpixels, each as one feature, and so has no map by pixel."""
    return not METHODS[name].own_segments and "feature_mask" in signature_of(method).parameters


def warn_of_samples(name: str, method: Attribution, options: Mapping[str, Any], segments: int) -> str:
    """Say that a linear model has fewer samples than segments to be fitted to, or nothing."""
    return too_few_samples(name, options["n_samples"], segments) if fits_one_model_an_image(method) else ""


def attribute_pixels(
    name: str, model: nn.Module, inputs: Tensor, targets: Tensor, settings: MethodSettings, seed: int
) -> Tensor:
    """Explain the logits of the targets, pixel by pixel.

    Saliency and IntegratedGradients explain an image alike whatever its neighbors; the noise of SmoothGrad and
    SparsifiedSmoothGrad is drawn for the batch, so an image meets other noise in another one.

    Args:
        name: A method of ``METHODS`` that needs no layer.
        model: From images ``(N, C, H, W)`` to logits ``(N, classes)``, in evaluation mode.
        inputs: ``(N, C, H, W)``.
        targets: ``(N,)`` int64.
        settings: How much work is done.
        seed: Of everything random; the global generators are left as they were.

    Returns:
        Maps ``(N, C, H, W)``, detached.

    Raises:
        ValueError: If there is no such method, or it needs a layer.

    Examples:
        >>> linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
        >>> inputs, targets = torch.ones(1, 1, 2, 2), torch.tensor([1])
        >>> settings = MethodSettings(signed=True)
        >>> names = ("Saliency", "IntegratedGradients", "SmoothGrad")
        >>> maps = [attribute_pixels(name, linear, inputs, targets, settings, seed=0) for name in names]
        >>> all(torch.allclose(map, linear[1].weight[1].view(1, 1, 2, 2), atol=1e-6) for map in maps)
        True
    """
    if name not in METHODS or METHODS[name].layer:
        choices = ", ".join(repr(known) for known, method in METHODS.items() if not method.layer)
        raise ValueError(f"method={name!r} is unknown or needs a layer: choose one of {choices}")
    method: Any = make_method(name, model)
    # Saliency takes all images in one pass; the others divide their passes by themselves.
    at_once = settings.images_at_once if name == "Saliency" else len(inputs)
    maps = []
    with seeded(seed):
        for part, target in zip(torch.split(inputs, at_once), torch.split(targets, at_once), strict=True):
            # A part of a batch is no leaf, whose gradient Captum could read without a warning.
            leaf = part.detach().clone().requires_grad_()
            options = method_options(name, method, Scene(leaf, target, settings))
            maps.append(method.attribute(leaf, **options).detach())
    return torch.cat(maps)
