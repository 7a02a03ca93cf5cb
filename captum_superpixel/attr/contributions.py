"""Contributions: maps of any method as first-order estimates of what the detail of each pixel adds to the output."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor

from captum_superpixel._blur import gaussian_blur
from captum_superpixel._checks import checked_number, is_finite
from captum_superpixel.attr._captum import (
    AttributeCall,
    describe,
    has_layer_output,
    innermost,
    log_usage,
    multiplies_by_inputs,
    signature_of,
)
from captum_superpixel.attr._first_logits import with_first_logits
from captum_superpixel.attr._wrapper import Wrapper, as_tensors, held_methods, warn_of_network
from captum_superpixel.attr.laid_out import read_layer
from captum_superpixel.attr.sparsified_smooth_grad import SparsifiedSmoothGrad
from captum_superpixel.feature_masks import check_channels_first

__all__ = ["Contributions", "Reference", "check_reference", "detail"]

Reference: TypeAlias = "str | float | Tensor | Callable[[Tensor], Tensor]"
"""What a pixel is compared with; see :class:`Contributions`."""

_BLUR = 0.1
"""Standard deviation of the blur, in parts of the shorter side."""


class Contributions(Wrapper):
    """Multiplies the maps of methods that do not do so themselves by what each pixel adds to a reference.

    A gradient a says how the output changes with a pixel, not what the pixel contributed. With a reference r that lacks
    the detail of the image x, a * (x - r) is a first-order estimate of what the output loses when the detail of this
    pixel is removed. Maps that hold contributions already pass unchanged: those of methods that multiply by the inputs
    (IntegratedGradients, InputXGradient, DeepLift …), and the effects that perturbation methods measure.

    The maps keep their signs: Saliency is asked for signed gradients (``abs=False``), and what has lost its signs is
    refused.

    Args:
        attribution_method: An instance of any attribution class of Captum, or of your own, whose maps have the shape
            of the inputs.
        reference: ``"blur"``, each image blurred by a Gaussian whose standard deviation is a tenth of its shorter
            side, for images ``(N, C, H, W)``; a number, which all pixels are compared with; a tensor that can be
            expanded to the inputs, or ``(M, C, *spatial)`` where M divides N, which then holds for so many images in a
            row; or a callable from the inputs to a tensor of their shape. A tuple holds one for each of several inputs,
            None leaving the map of that input as it is.

    Raises:
        TypeError: If ``attribution_method`` is not an attribution instance, or the reference is of another type.
        ValueError: If the method attributes to a layer, whose map has no pixels to multiply by, or gives magnitudes, or
            the reference is unknown or not finite.

    Examples:
        >>> from captum.attr import Saliency
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
        >>> images = torch.rand(1, 1, 2, 2, requires_grad=True)
        >>> maps = Contributions(Saliency(model), reference=0).attribute(images, target=1)
        >>> torch.allclose(maps.sum(), model(images)[0, 1])
        True
    """

    def __init__(self, attribution_method: Any, reference: Reference | tuple[Reference | None, ...] = "blur") -> None:
        super().__init__(attribution_method)
        if has_layer_output(attribution_method):
            raise ValueError(
                f"{describe(attribution_method)} attributes to a layer, whose map has no pixels of the image to be "
                "multiplied by: use a method that attributes to the inputs, or LayerGradientXActivation"
            )
        if isinstance(innermost(attribution_method), SparsifiedSmoothGrad):
            raise ValueError(
                f"{describe(attribution_method)} gives maps without signs, which a contribution has: use its maps as "
                "they are, or the contributions of a NoiseTunnel of Saliency"
            )
        for method in held_methods(attribution_method):
            found = getattr(method, "reductions", (getattr(method, "reduction", "mean"),))
            if reduction := next((one for one in found if one in ("abs_mean", "evidence")), None):
                raise ValueError(
                    f"{describe(method)} gives maps without the signs of single channels, which a contribution has: "
                    f"group the contributions, SuperpixelGrouped(Contributions(…), reduction={reduction!r})"
                )
        for one in reference if isinstance(reference, tuple) else (reference,):
            check_reference(one)
        self.reference = reference

    @log_usage
    def attribute(self, inputs: Tensor | tuple[Tensor, ...], *args: Any, **kwargs: Any) -> Any:
        """Attribute with the wrapped method, and multiply by what each pixel adds to the reference.

        Args:
            inputs: Images ``(N, C, *spatial)``, or a tuple of input tensors.
            *args: Further arguments of the wrapped method, by position.
            **kwargs: The same, by name.

        Returns:
            Maps of the shape of the inputs; with the convergence delta where one was asked for and the wrapped method
            multiplies by the inputs.

        Raises:
            TypeError: If the arguments do not fit the wrapped method, or a callable returns no tensor.
            ValueError: If a convergence delta is asked for that does not exist, the maps would have lost their signs,
                or a reference does not fit an input.
        """
        given = as_tensors(inputs)
        call = AttributeCall(self.attribution_method, inputs, args, kwargs)
        signed = self._signed(call)
        warn_of_network(self, self.attribution_method)
        if self._passes_unchanged:
            return call(inputs)
        if call.get("return_convergence_delta"):
            raise ValueError(
                f"return_convergence_delta=True, but {self!r} has none: its maps are first-order estimates, which do "
                "not add up to a difference of outputs"
            )
        differences = self._differences(given)
        image = next((index for index, tensor in enumerate(given) if tensor.dim() == 4), 0)
        # GuidedGradCam looks at a layer, too.
        read_layer(self.attribution_method, call, given, image, None)
        maps = call(inputs, **signed)
        parts = maps if isinstance(maps, tuple) else (maps,)
        results = []
        for part, tensor, difference in zip(parts, given, differences, strict=True):
            if part.shape != tensor.shape:
                raise ValueError(
                    f"{describe(self.attribution_method)} returned a map of shape {tuple(part.shape)} for an input of "
                    f"shape {tuple(tensor.shape)}: only maps of the input's shape can be multiplied by it"
                )
            results.append(part if difference is None else part * difference)
        return tuple(results) if isinstance(maps, tuple) else results[0]

    @property
    def multiplies_by_inputs(self) -> bool:
        """Always true, since maps say what the inputs contribute and not how the output changes with them."""
        return True

    def has_convergence_delta(self) -> bool:
        """Whether a convergence delta exists: the wrapped method has one, and its maps pass unchanged."""
        return self._passes_unchanged and bool(self.attribution_method.has_convergence_delta())

    def compute_convergence_delta(self, attributions: Tensor | tuple[Tensor, ...], *args: Any, **kwargs: Any) -> Tensor:
        """Compute the wrapped method's convergence delta.

        Raises:
            ValueError: If there is none.
        """
        compute = getattr(innermost(with_first_logits(self.attribution_method)), "compute_convergence_delta", None)
        if compute is None or not self.has_convergence_delta():
            why = "the wrapped method has none" if self._passes_unchanged else "its maps are first-order estimates"
            raise ValueError(f"{self!r} has no convergence delta: {why}")
        return cast(Tensor, compute(attributions, *args, **kwargs))

    @classmethod
    def get_name(cls) -> str:
        """Readable name of the class, as Captum's progress bars show it."""
        return "Contributions"

    def __repr__(self) -> str:
        return f"Contributions({describe(self.attribution_method)}, reference={_describe_reference(self.reference)})"

    @property
    def _passes_unchanged(self) -> bool:
        return multiplies_by_inputs(self.attribution_method)

    def _signed(self, call: AttributeCall) -> dict[str, object]:
        """Arguments that keep the signs of the maps.

        Raises:
            ValueError: If the caller's arguments take the signs away.
        """
        kind = call.get("nt_type")
        if kind not in (None, "smoothgrad"):
            raise ValueError(
                f"nt_type={kind!r} takes the signs from the map, which a contribution has: use 'smoothgrad'"
            )
        if call.get("average") == "abs":
            raise ValueError(
                "average='abs' takes the signs from the map, which a contribution has: average the magnitudes of the "
                "contributions, ViewTunnel(Contributions(…)), or leave it out"
            )
        if "abs" not in signature_of(innermost(self.attribution_method)).parameters:
            return {}
        if call.get("abs"):
            raise ValueError("abs=True takes the signs from the map, which a contribution has: leave it out")
        return {"abs": False}

    def _differences(self, inputs: tuple[Tensor, ...]) -> list[Tensor | None]:
        """What each input adds to its reference; None where there is no reference."""
        references = self.reference if isinstance(self.reference, tuple) else (self.reference,) * len(inputs)
        if len(references) != len(inputs):
            raise ValueError(f"{len(references)} references for {len(inputs)} inputs: pass one for each, or None")
        with torch.no_grad():
            return [
                None if reference is None else detail(tensor.detach(), reference)
                for reference, tensor in zip(references, inputs, strict=True)
            ]


def detail(inputs: Tensor, reference: Reference = "blur") -> Tensor:
    """What inputs add to a reference: the factor that makes a contribution of a gradient.

    Args:
        inputs: ``(N, C, *spatial)``.
        reference: As for :class:`Contributions`.

    Returns:
        Of the shape of the inputs.

    Raises:
        TypeError: If a callable does not return a tensor, or inputs of integers are to be blurred.
        ValueError: If the reference does not fit the inputs.

    Examples:
        >>> detail(torch.tensor([[[[1.0, 2.0, 4.0]]]]), reference=1)
        tensor([[[[0., 1., 3.]]]])
    """
    return inputs - _refer(reference, inputs)


def _describe_reference(reference: object) -> str:
    if isinstance(reference, tuple):
        return f"({', '.join(map(_describe_reference, reference))}{',' if len(reference) == 1 else ''})"
    return f"<tensor of {tuple(reference.shape)}>" if isinstance(reference, Tensor) else repr(reference)


def check_reference(reference: object) -> None:
    """Raise TypeError or ValueError unless this can be a reference."""
    if reference is None or (callable(reference) and not isinstance(reference, (str, Tensor))):
        return
    if isinstance(reference, str):
        if reference != "blur":
            raise ValueError(f"reference={reference!r} is unknown: pass 'blur', a number, a tensor or a callable")
    elif isinstance(reference, Tensor):
        if not is_finite(reference):
            raise ValueError("reference is a tensor that holds NaN or infinite values: pass finite ones")
    else:
        checked_number("reference", reference, minimum=-math.inf)


def _refer(reference: Reference, inputs: Tensor) -> Tensor:
    """The reference of one input, of a shape that expands to it.

    Raises:
        TypeError: If a callable does not return a tensor, a reference is complex, or an input of integers is to be
            blurred.
        ValueError: If the reference does not fit the input.
    """
    if isinstance(reference, str):
        if inputs.dim() != 4:
            raise ValueError(
                f"reference='blur' is for images (N, C, H, W), but an input has shape {tuple(inputs.shape)}: pass a "
                "number, a tensor or a callable, or None for this input"
            )
        check_channels_first(inputs.shape, "reference='blur'", "blurs", "pass a tensor or a callable")
        if not inputs.is_floating_point():
            raise TypeError(
                f"reference='blur' averages pixels, which {inputs.dtype} cannot hold: pass inputs.float(), "
                "scaled as the network takes them"
            )
        return gaussian_blur(inputs, _BLUR * min(inputs.shape[2:]))
    if callable(reference):
        made: object = reference(inputs)
        if not isinstance(made, Tensor):
            raise TypeError(f"reference must return a tensor, but returned a {type(made).__name__}")
        reference = made
    if not isinstance(reference, Tensor):
        try:
            return torch.full_like(inputs[:1], float(reference) if inputs.is_floating_point() else reference)
        except (RuntimeError, OverflowError):
            raise ValueError(
                f"reference={reference:g} is beyond what inputs of {inputs.dtype} can hold: pass one in their range"
            ) from None
    if reference.is_complex() and not inputs.is_complex():
        raise TypeError(f"reference is {reference.dtype}, but the inputs are {inputs.dtype}: pass reference.real")
    tensor = reference.to(inputs)
    count = tensor.shape[0] if tensor.dim() == inputs.dim() else 1
    if 1 < count < len(inputs) and len(inputs) % count == 0:
        # As NoiseTunnel and sensitivity_max repeat the images.
        tensor = tensor.repeat_interleave(len(inputs) // count, dim=0)
    try:
        return tensor.expand(inputs.shape)
    except RuntimeError:
        raise ValueError(
            f"reference of shape {tuple(reference.shape)} does not fit inputs of shape {tuple(inputs.shape)}: pass one "
            "of the same shape, of one image, or a number"
        ) from None
