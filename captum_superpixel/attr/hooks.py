"""Methods that change how gradients flow through modules, on networks that have no such modules."""

from __future__ import annotations

from collections.abc import Iterator

from captum.attr import Attribution, Deconvolution, GuidedBackprop
from torch import nn

from captum_superpixel.attr._captum import innermost

__all__ = ["missing_hooks"]


def missing_hooks(method: Attribution) -> str:
    """Say that a method which changes the gradient of ReLUs finds none.

    GuidedBackprop, Deconvolution and what is made of them (GuidedGradCam, their neurons' forms) hook the modules
    ``torch.nn.ReLU``. A network that calls ``relu`` as a function, or has other non-linearities, has none of them.

    Args:
        method: Any method, or a wrapper of one.

    Returns:
        A sentence without its end; empty where there is something to hook, or nothing that the method would.

    Examples:
        >>> from captum.attr import GuidedBackprop, Saliency
        >>> missing_hooks(GuidedBackprop(nn.GELU())).partition(":")[0]
        'GuidedBackprop finds no torch.nn.ReLU in GELU, so that its map is made of the plain gradient'
        >>> missing_hooks(GuidedBackprop(nn.ReLU())), missing_hooks(Saliency(nn.GELU()))
        ('', '')
    """
    inner = innermost(method)
    for part in _parts(inner):
        if not isinstance(part, (GuidedBackprop, Deconvolution)):
            continue
        if any(isinstance(module, nn.ReLU) for module in part.model.modules()):
            continue
        name = getattr(part.model, "original_name", type(part.model).__name__)
        return (
            f"{type(inner).__name__} finds no torch.nn.ReLU in {name}, so that its map is made of the plain gradient: "
            "write the network's ReLUs as modules (self.relu = torch.nn.ReLU()), or use another method"
        )
    return ""


def _parts(method: Attribution) -> Iterator[Attribution]:
    """The method, and those that it holds and calls."""
    yield method
    yield from (value for value in vars(method).values() if isinstance(value, Attribution))
