"""Whether a network that a user brought classifies images, and how it does."""

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._networks import describe_error

__all__ = ["classify"]


def classify(
    model: nn.Module,
    inputs: Tensor,
    *,
    differentiable: bool = True,
    name: str = "The network",
    hint: str = "",
    instead: str = "",
) -> Tensor:
    """Run a network that a user brought, and check that it classifies images.

    Args:
        model: From images (N, C, H, W) to logits (N, classes).
        inputs: (N, C, H, W) float32, on the network's device.
        differentiable: Whether the logits must have a gradient with respect to the inputs.
        name: What to call the network in messages.
        hint: What to advise in the message where the network fails on these inputs.
        instead: What to advise where its output has no gradient.

    Returns:
        The logits (N, classes), without gradient.

    Raises:
        InputError: If the network fails on the inputs, its output is not (N, classes) and finite, or its output has no
            gradient where one is needed.

    Examples:
        >>> classify(nn.Flatten(), torch.ones(2, 3, 1, 1)).shape
        torch.Size([2, 3])
    """
    shape, count = tuple(inputs.shape), len(inputs)
    try:
        with torch.set_grad_enabled(differentiable):
            logits: object = model(inputs.detach().clone().requires_grad_(differentiable))
    except Exception as error:  # a user's network may raise anything
        if differentiable and _runs_without_gradient(model, inputs):
            raise InputError(_no_gradient(name, instead, f" ({describe_error(error, 100)})")) from error
        advice = f"; {hint}" if hint else ""
        raise InputError(
            f"{name} fails on an input of shape {shape} ({describe_error(error)}); it must take float32 images of "
            f"this shape{advice}."
        ) from error
    if not isinstance(logits, Tensor):
        raise InputError(
            f"{name} returns a {type(logits).__name__} for an input of shape {shape}; it must return a tensor of shape "
            f"({count}, classes). Wrap it in a module that does."
        )
    if logits.ndim != 2 or logits.shape[0] != count or logits.shape[1] == 0:
        raise InputError(
            f"{name} returns a tensor of shape {tuple(logits.shape)} for an input of shape {shape}; it must return one "
            f"of shape ({count}, classes)."
        )
    if not torch.isfinite(logits).all():
        raise InputError(f"{name} returns NaN or infinite values for an input of shape {shape}; check its weights.")
    if differentiable and not logits.requires_grad:
        raise InputError(_no_gradient(name, instead))
    return logits.detach()


@torch.no_grad()
def _runs_without_gradient(model: nn.Module, inputs: Tensor) -> bool:
    """Whether a network that failed on inputs with gradient takes the same without, as one around NumPy does."""
    try:
        return isinstance(model(inputs.detach().clone()), Tensor)
    except Exception:  # a user's network may raise anything
        return False


def _no_gradient(name: str, instead: str, cause: str = "") -> str:
    advice = f"; or {instead}" if instead else ""
    return (
        f"{name}'s output has no gradient with respect to its input{cause}; its forward must be differentiable, "
        f"without torch.no_grad, detach or NumPy{advice}."
    )
