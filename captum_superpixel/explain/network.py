"""The user's network made ready: on its device, given pictures of as many channels as it takes, its outputs read."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import captum.attr
import torch
from captum.attr import LayerActivation, PerturbationAttribution
from torch import Tensor, nn

from captum_superpixel._checks import InputError, listed
from captum_superpixel._networks import guarded
from captum_superpixel._texts import joined
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.datasets.preprocessing import IMAGENET, Preprocessing
from captum_superpixel.explain.tasks.task import Task
from captum_superpixel.models.activation import Outputs, read_outputs
from captum_superpixel.models.classifying import classify
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.programs import Program

__all__ = [
    "Network",
    "check_classifies",
    "check_method",
    "choose_preprocessing",
    "make_probes",
    "make_ready",
    "needs_gradient",
    "prepare_network",
]

_HOOKS = {"DeepLift", "DeepLiftShap", "GuidedBackprop", "Deconvolution", "LRP", "GuidedGradCam"}
"""The methods without an option for a layer that hook the network's layers, or that name one."""


@dataclass(frozen=True)
class Network:
    """A network that is ready to be explained.

    Attributes:
        model: From inputs ``(N, C, H, W)`` to outputs ``(N, classes)``, in evaluation mode, on its device.
        preprocessing: From photographs to inputs.
        source: Whose preprocessing it is, in words.
        inputs: ``(1, C, H, W)``, a picture of noise, for whatever needs an example.
        outputs: What the network's outputs are.
        task: What is explained in place of a class, of which the model is the target; None for a class.
    """

    model: nn.Module
    preprocessing: Preprocessing
    source: str
    inputs: Tensor
    outputs: Outputs
    task: Task | None = None

    @property
    def classes(self) -> int:
        """How many outputs there are for an image."""
        return self.outputs.count

    def describe(self) -> str:
        """Say what is done to photographs, and what the outputs are where that is not the usual, in a few lines."""
        outputs = f"outputs: {self.outputs.describe()}" if self.outputs.describe() else ""
        last = outputs if self.task is None else f"explained: {self.task.what}"
        return f"preprocessing: {self.source}\n{self.preprocessing.describe()}" + (f"\n{last}" if last else "")


def prepare_network(
    options: Namespace, device: torch.device, methods: list[str], report: Callable[[str], object]
) -> Network:
    """Load the user's network and find out what it takes and returns.

    Args:
        options: Of the command line.
        device: Where the network is to be.
        methods: The names of the methods, in ``attr.methods.METHODS``.
        report: Called with a line about whatever may surprise.

    Raises:
        InputError: If the network cannot be used, by itself or with one of the methods.
    """
    model = load_model(options.model, options.weights, report=report)
    for name in methods:
        check_method(name, model)
    with guarded(f"--model {options.model} cannot be made ready"):
        model = make_ready(model, device)
        preprocessing, source = choose_preprocessing(model, options)
    differentiable = any(needs_gradient(name) for name in methods)
    preprocessing, source = _fit_channels(model, preprocessing, source, options, device)
    probes = make_probes(preprocessing, device)
    check_classifies(model, probes[:1], differentiable=differentiable)
    with guarded(f"--model {options.model} fails on a picture of noise"):
        outputs = read_outputs(model, probes, None if options.activation == "auto" else options.activation)
        steady = torch.equal(model(probes[:1]), model(probes[:1]))
    if not steady:
        report("note: this network's outputs differ from call to call, as in training mode; so do their explanations")
    return Network(model, preprocessing, source, probes[:1], outputs)


def make_ready(model: nn.Module, device: torch.device) -> nn.Module:
    """Bring a network to its device, without gradients of parameters and operations in place.

    Captum's hooks fail on operations in place, by which torchvision's networks save memory.
    """
    for module in model.modules():
        if "inplace" in vars(module):
            vars(module)["inplace"] = False
    return model.requires_grad_(False).to(device)


def needs_gradient(name: str) -> bool:
    """Whether a method asks for gradients; those that perturb, or only look at a layer, do not.

    Examples:
        >>> needs_gradient("Saliency"), needs_gradient("KernelShap"), needs_gradient("LayerFeatureAblation")
        (True, False, False)
    """
    method: Any = getattr(captum.attr, name, METHODS[name].make)
    return not (isinstance(method, type) and issubclass(method, (PerturbationAttribution, LayerActivation)))


def check_method(name: str, model: nn.Module) -> None:
    """Raise InputError if a method looks into the layers of a program, which shows none."""
    if isinstance(model, Program) and (METHODS[name].layer or name in _HOOKS):
        possible = [known for known in METHODS if not METHODS[known].layer and known not in _HOOKS]
        raise InputError(
            f"--method {name} looks into a network's layers, and a program of {model.kind} does not show them: "
            f"use {joined(possible, 'or')}, or the network that the program was made from."
        )


def choose_preprocessing(model: nn.Module, options: Namespace) -> tuple[Preprocessing, str]:
    """Take the network's own preprocessing, or ImageNet's, and what the user says instead.

    Returns:
        The preprocessing, and whose it is.

    Raises:
        InputError: If the user's numbers are out of range, or in other units than the rest.
    """
    own = getattr(model, "preprocessing", None)
    base, whose = (own, "the network's own") if isinstance(own, Preprocessing) else (IMAGENET, "ImageNet's")
    if isinstance(model, Program) and not isinstance(own, Preprocessing):
        _, channels, height, width = model.shape
        if height is not None and width is not None:
            base, whose = base.replaced(size=(height, width)), f"{whose}, of the size that the program takes"
        if channels == 1:
            base, whose = base.replaced(channel_order="gray"), f"{whose}, in gray, for its one channel"
    fields = ("size", "mean", "std", "scale", "channel_order", "resize")
    given = {name: getattr(options, name) for name in fields if getattr(options, name) is not None}
    try:
        preprocessing = base.replaced(**given)
    except (TypeError, ValueError) as error:
        raise InputError(f"the preprocessing makes no sense: {error}.") from error
    changed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    return preprocessing, f"{whose}, but for {changed}" if given else whose


def _fit_channels(
    model: nn.Module, preprocessing: Preprocessing, source: str, options: Namespace, device: torch.device
) -> tuple[Preprocessing, str]:
    """Settle by trying whether the network takes three channels or one, where nobody said so.

    Raises:
        InputError: If it takes neither.
    """
    own = isinstance(getattr(model, "preprocessing", None), Preprocessing)
    try:
        check_classifies(model, make_probes(preprocessing, device)[:1], differentiable=False)
    except InputError as error:
        if options.channel_order is None and not own and preprocessing.channels == 3:
            gray = preprocessing.replaced(channel_order="gray")
            try:
                check_classifies(model, make_probes(gray, device)[:1], differentiable=False)
            except InputError:
                pass
            else:
                return gray, f"{source}, in gray, for its one channel"
        channels = _channels_of_first_layer(model)
        if channels in (None, preprocessing.channels):
            raise
        advice = (
            "pass --channel-order gray"
            if channels == 1
            else "explain gives it three, or one: wrap it in a module that makes its channels of these"
        )
        raise InputError(
            f"--model {options.model} takes images of {channels} channels, not of {preprocessing.channels}; {advice}."
        ) from error
    return preprocessing, source


def _channels_of_first_layer(model: nn.Module) -> int | None:
    """How many channels the first convolution takes, as its parameters tell; None if there is none."""
    with guarded("The network does not list its parameters"):
        for parameter in model.parameters():
            if parameter.ndim == 4:
                return int(parameter.shape[1])
    return None


def check_classifies(model: nn.Module, inputs: Tensor, *, differentiable: bool) -> Tensor:
    """Return logits ``(N, classes)``, as :func:`.classify` does; errors advise in words of the command line."""
    without = [name for name, method in METHODS.items() if not method.layer and not needs_gradient(name)]
    instead = f"use a method that needs no gradient: {listed(without)}"
    hint = "--size sets their height and width"
    return classify(model, inputs, differentiable=differentiable, hint=hint, instead=instead)


def make_probes(preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """Pictures as different as can be ``(P, C, H, W)``: noise first; black, white; and colors of few large spots."""
    generator = torch.Generator().manual_seed(0)
    height, width = preprocessing.shape
    noise = torch.randint(0, 256, (1, 3, height, width), generator=generator).to(torch.uint8)
    spots = torch.randint(0, 256, (4, 3, 3, 3), generator=generator).to(torch.uint8)
    rows, columns = torch.arange(height) * 3 // height, torch.arange(width) * 3 // width
    flat = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, height, width)
    pixels = torch.cat([noise, flat, spots[:, :, rows][..., columns]])
    return preprocessing.from_uint8(pixels).to(device)
