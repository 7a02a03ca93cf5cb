"""``--method``: from its text to a method of ``attr.methods``, or the reason why it cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import captum.attr

from captum_superpixel._checks import InputError
from captum_superpixel.attr.methods import METHODS

__all__ = ["REFUSED", "find_method"]

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
