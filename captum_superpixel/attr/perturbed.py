"""perturbed_attributions: what a map might have been, had training gone otherwise, without training again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from captum.attr import Attribution
from torch import Tensor
from torch.nn import Module

from captum_superpixel._checks import checked_integer, checked_number, checked_share
from captum_superpixel._networks import unchanged_modes
from captum_superpixel._seeds import check_generator, seeded
from captum_superpixel._threads import Lock
from captum_superpixel._untyped import progress_bar
from captum_superpixel.attr._captum import check_method
from captum_superpixel.attr._perturbed_call import PerturbedCall, draw_seeds
from captum_superpixel.attr._wrapper import as_tensors, warn_of_network
from captum_superpixel.attr.laid_out import ReshapeTransform, check_reshape_transform
from captum_superpixel.attr.view_tunnel import largest_shifts

__all__ = ["PerturbedAttributions", "perturbed_attributions"]

_TURNS = Lock()
"""Methods that draw random numbers do so from torch's global generator, which threads share."""


@dataclass(frozen=True, eq=False, repr=False)
class PerturbedAttributions:
    """Maps of a network whose parameters were perturbed, J draws of them.

    Attributes:
        attributions: ``(J, N, C, *spatial)``, the maps of each draw at the places of the inputs; a tuple of such
            tensors for a tuple of inputs.
        strength: Standard deviation of the factors that the parameters were multiplied by.
        kept: ``(J, N)`` bool, in which draws the predicted class of an image was that of the network as it is; None if
            the network predicts no classes.
    """

    attributions: Any
    strength: float
    kept: Tensor | None

    @property
    def kept_share(self) -> float:
        """Share of the draws, over all images, that kept the predicted class; NaN without classes."""
        return float("nan") if self.kept is None else float(self.kept.double().mean())

    def __repr__(self) -> str:
        maps = self.attributions if isinstance(self.attributions, tuple) else (self.attributions,)
        shapes = ", ".join(str(tuple(one.shape)) for one in maps)
        return (
            f"PerturbedAttributions(attributions of shape {shapes}, strength={self.strength:.3g}, "
            f"kept_share={self.kept_share:.2f})"
        )


def perturbed_attributions(
    attribution_method: Attribution,
    model: Module,
    inputs: Tensor | tuple[Tensor, ...],
    *,
    target: Any = None,
    n_draws: int = 12,
    keep: float = 0.85,
    strength: float | None = None,
    views: bool = True,
    max_shift: int | None = None,
    flip: bool = True,
    reshape_transform: ReshapeTransform | None = None,
    generator: torch.Generator | None = None,
    show_progress: bool = False,
    **kwargs: Any,
) -> PerturbedAttributions:
    """Explain a network again and again with its parameters and the image perturbed a little.

    Each draw multiplies every parameter of the network by N(1, s^2), elementwise, and looks at a view of the image: it
    is shifted by up to a sixteenth of its side, with reflection, and mirrored in every second draw. The map is brought
    back to the place of the image; what a view does not show of the image gets the reflection of what it shows. The
    strength s is the one at which the predicted class is kept in a share ``keep`` of the draws. It is found by
    bisection from predictions alone, on draws of its own.

    How much maps differ between the draws was built to predict how much they differ between networks that are trained
    independently, without a second training: ``region_table(maps, mask, draws=…)`` makes probabilities of it. The
    evidence page of the documentation says for which methods, networks and images this was measured, and how well
    calibrated it is. It says nothing about faithfulness.

    The strength is common to all images of a call: pass several, or find it once with typical images, with any method
    and two draws, and pass it on as ``strength=found.strength``. With one image alone it depends on how sure the
    network is of that image, and there may be none, where the views alone change the class.

    The network is not touched: a copy of it is perturbed, with the layers and hooks that the method refers to. If a
    function stands between the method and the network (``lambda x: model(x).logits``), or the network cannot be copied,
    torch's operations are given perturbed tensors for the parameters instead, in this thread alone. Tied parameters
    stay tied, frozen ones are perturbed too; buffers, such as the statistics of batch normalization, and parameters
    that are quantized or of integers are left as they are. Calls from several threads take turns.

    Args:
        attribution_method: An instance of any attribution class of Captum, of this package, or of your own.
        model: The network that it explains, whose parameters are perturbed, in evaluation mode.
        inputs: Images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, or a tuple of input tensors. Inputs of fewer
            dimensions are not changed by a view.
        target: What to explain, as for the method.
        n_draws: J, how many draws, at least 2.
        keep: The share of predictions that the strength keeps, above 0 and below 1.
        strength: The strength itself, at least 0; None to find it.
        views: Whether each draw looks at another view; False for the image as it is, and perturbed weights alone.
        max_shift: The largest shift along each spatial axis, in pixels; None for a sixteenth of each side, and at least
            1.
        flip: Whether every second view is mirrored along the last axis. Not for images that mean something else then,
            such as digits and text.
        reshape_transform: Lays out what a layer returns, as for :class:`SuperpixelGrouped`.
        generator: Source of all random numbers, those of the method included; None for one with the seed 0. On its own
            device, so that a generator of the CPU gives the same draws on every device. Global generators are left as
            they are.
        show_progress: Whether to show a bar.
        **kwargs: Further arguments of the method. Baselines and feature masks of the spatial size of the inputs go
            along with the views. Without a ``feature_mask``, the images as they are are segmented, once.

    Returns:
        The maps of all draws ``(J, N, C, *spatial)``, the strength, and which draws kept the predictions. Maps of a
        layer have the spatial size of the input.

    Raises:
        TypeError: If an argument has another type or does not fit the method, or the model is no module.
        ValueError: If an option is out of range, the model has no parameters that can be perturbed or is not what the
            method explains, its outputs predict no classes, no strength keeps the wanted share of the predictions or
            every one does, there is no image to take views of, or coefficients or a convergence delta are asked for.

    References:
        Bykov, Hedström, Nakajima, Höhne, "NoiseGrad: enhancing explanations by introducing stochasticity to model
        weights", AAAI 2022, arXiv:2106.10185, multiply weights likewise, to average the maps.

    Examples:
        >>> from captum.attr import Saliency
        >>> from captum_superpixel import perturbed_attributions
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 10)).eval()
        >>> images = torch.rand(2, 3, 16, 16)
        >>> draws = perturbed_attributions(Saliency(model), model, images, target=3, strength=0.1)
        >>> draws.attributions.shape, draws.kept.shape
        (torch.Size([12, 2, 3, 16, 16]), torch.Size([12, 2]))
    """
    n_draws = checked_integer("n_draws", n_draws, minimum=2)
    keep = checked_share("keep", keep, exclusive=True)
    if keep == 1:
        raise ValueError("keep=1 is kept by no strength but 0: pass a share below 1, such as 0.85, or strength=")
    strength = None if strength is None else checked_number("strength", strength)
    generator = check_generator(generator)
    check_method(attribution_method)
    check_reshape_transform(reshape_transform, attribution_method)
    _check_options(kwargs, views, max_shift)
    largest = largest_shifts(as_tensors(inputs), max_shift) if views else None
    warn_of_network(attribution_method, attribution_method)
    # The draws do not depend on whether the strength was found or is given.
    seeds = draw_seeds(n_draws, generator)
    arguments = kwargs if target is None else {"target": target, **kwargs}
    with _TURNS, seeded(0):
        call = PerturbedCall(
            attribution_method,
            model,
            inputs,
            arguments,
            largest=largest,
            flip=flip,
            reshape_transform=reshape_transform,
            device=generator.device,
        )
        with unchanged_modes(call.forward_func):
            call.check_that_weights_matter()
            strength = call.find_strength(keep, generator) if strength is None else strength
            found, kept = [], []
            for seed, view in _shown(list(zip(seeds, call.choose_views(n_draws), strict=True)), show_progress):
                call.perturb(strength, seed)
                found.append(call.explain(view))
                if call.classes is not None:
                    kept.append(call.keeps(view))
    stacked = tuple(torch.stack(maps) for maps in zip(*found, strict=True))
    return PerturbedAttributions(
        stacked if call.gives_tuples else stacked[0], strength, torch.stack(kept) if kept else None
    )


def _check_options(options: Mapping[str, object], views: bool, max_shift: object) -> None:
    if not views and max_shift is not None:
        raise ValueError(f"max_shift={max_shift!r} is of views, and views=False: leave one of them out")
    if options.get("return_convergence_delta"):
        raise ValueError(
            "return_convergence_delta=True: the maps of perturbed networks have no delta of the network; leave it out"
        )
    if options.get("return_input_shape") is False:
        raise ValueError(
            "return_input_shape=False gives coefficients, which have no place in the image to be brought back to: "
            "leave it out"
        )


def _shown(draws: list[Any], show_progress: bool) -> Iterable[Any]:
    return progress_bar(draws, desc="perturbed_attributions", unit="draw") if show_progress else draws
