"""The layer that a method looks at: found by its dotted name, and known to give a map."""

from __future__ import annotations

import difflib
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError

__all__ = ["find_layer", "spatial_layers"]


def find_layer(model: nn.Module, name: str | None, method: str, inputs: Tensor) -> tuple[nn.Module, tuple[int, int]]:
    """Find a layer of a network by its name.

    Args:
        model: The network.
        name: The layer's name among ``model.named_modules()``; None if the user named none.
        method: The name of the method that needs it, for messages.
        inputs: ``(1, 3, H, W)``.

    Returns:
        The layer, and the height and width of its output.

    Raises:
        InputError: If there is no such layer, or its output is not a map of at least two places.
    """
    spatial = spatial_layers(model, inputs)
    advice = (
        f"a module whose output is a map, such as {', '.join(list(spatial)[-3:])}"
        if spatial
        else "but no module of this network gives a map (1, C, H, W): use a method without a layer"
    )
    if name is None:
        raise InputError(f"--method {method} needs --layer: {advice}.")
    modules = {known: module for known, module in model.named_modules() if known}
    if name not in modules:
        near = [known for known in modules if known.endswith(f".{name}")]
        near += [known for known in difflib.get_close_matches(name, modules, n=5, cutoff=0.5) if known not in near]
        hint = f"near names are {', '.join(near[:5])}" if near else f"pass {advice}"
        raise InputError(f"--layer {name} is no module of this network, which has {len(modules)}; {hint}.")
    if name not in spatial:
        raise InputError(f"--layer {name} does not give a map (1, C, H, W) of at least two places; pass {advice}.")
    return modules[name], spatial[name]


@torch.no_grad()
def spatial_layers(model: nn.Module, inputs: Tensor) -> dict[str, tuple[int, int]]:
    """List the modules whose output is a map of at least two places, in the order in which they finish.

    Args:
        model: The network.
        inputs: ``(1, C, H, W)``.

    Returns:
        Height and width of each module's output, by the module's name.

    Examples:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> spatial_layers(model, torch.zeros(1, 3, 8, 8))
        {'0': (6, 6)}
    """
    found: dict[str, tuple[int, int]] = {}

    def note(name: str, _module: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            found[name] = (output.shape[2], output.shape[3])

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if name:
                hooks.callback(module.register_forward_hook(partial(note, name)).remove)
        model(inputs)
    return found
