"""``--method`` and its settings: methods of ``attr.methods`` and what they take, or why that cannot be used."""

from __future__ import annotations

import difflib
from argparse import Namespace
from collections.abc import Mapping, Sequence

import captum.attr

from captum_superpixel._checks import InputError
from captum_superpixel.attr.methods import METHODS, MethodSettings, Setting

__all__ = ["REFUSED", "SETTINGS", "find_method", "find_methods", "read_settings", "takers"]

_BATCHWISE = "it exchanges features between the images of a batch, and photographs are explained one by one"
_TEXT = "it explains text"
_BASE = "it is a base class, without a method of its own"

REFUSED: Mapping[str, str] = {
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
"""The classes of ``captum.attr`` that need more than a name can give, and what that is."""


SETTINGS: Mapping[str, Setting] = {"steps": "n_steps", "samples": "n_samples", "baseline": "baseline"}
"""The options that not every method takes, and what the methods call them."""


def takers(option: str) -> list[str]:
    """List the methods whose maps depend on an option, one of ``SETTINGS``.

    Examples:
        >>> takers("samples")[:2]
        ['SmoothGrad', 'SparsifiedSmoothGrad']
    """
    return [name for name, method in METHODS.items() if SETTINGS[option] in method.takes]


def find_method(name: str) -> str:
    """Find a method by its name, in whatever case.

    Returns:
        The key of ``METHODS``.

    Raises:
        InputError: If there is no such method, or it needs more than a name.

    Examples:
        >>> find_method("integratedgradients")
        'IntegratedGradients'
    """
    known = {key.casefold(): key for key in (*METHODS, *REFUSED)}
    found = known.get(name.casefold())
    if found is None:
        near = [known[key] for key in difflib.get_close_matches(name.casefold(), known, n=3) if known[key] in METHODS]
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(METHODS)}."
        raise InputError(f"--method {name} is no method of captum.attr that explain knows; {hint}")
    if found in REFUSED:
        raise InputError(f"--method {found} cannot be used here: {REFUSED[found]}.")
    return found


def find_methods(names: Sequence[str]) -> list[str]:
    """Find methods by their names, each once however often it was named.

    Args:
        names: What the user wrote; none for IntegratedGradients.

    Raises:
        InputError: If one of them cannot be used.

    Examples:
        >>> find_methods(["saliency", "Lime", "Saliency"]), find_methods([])
        (['Saliency', 'Lime'], ['IntegratedGradients'])
    """
    return list(dict.fromkeys(map(find_method, names))) or ["IntegratedGradients"]


def read_settings(options: Namespace, methods: Sequence[str]) -> MethodSettings:
    """Settle how much work the methods do, but for how many images the network is given at once.

    Args:
        options: Of the command line.
        methods: Their names, in ``METHODS``.

    Raises:
        InputError: If an option was given that none of the methods takes.
    """
    if options.layer is not None and not any(METHODS[name].layer for name in methods):
        need = "needs" if len(methods) == 1 else "need"
        raise InputError(
            f"--layer {options.layer}: {', '.join(methods)} {need} no layer; leave it out, or use such as LayerGradCam."
        )
    for option in SETTINGS:
        value, taking = getattr(options, option), takers(option)
        if value is None or any(name in taking for name in methods):
            continue
        have = f"{', '.join(methods)} {'has' if len(methods) == 1 else 'have'} no"
        reason = f"{have} {'single baseline' if option == 'baseline' else option}"
        raise InputError(f"--{option} {value}: {reason}; leave it out, or use one of {', '.join(taking)}.")
    return MethodSettings(n_steps=options.steps or MethodSettings.n_steps, n_samples=options.samples)
