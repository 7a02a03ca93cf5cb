"""What is recommended for which kind of method and which size of images, and how it is made of the public pieces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from captum.attr import (
    Attribution,
    InputXGradient,
    IntegratedGradients,
    NeuronAttribution,
    NoiseTunnel,
    PerturbationAttribution,
    Saliency,
)

from captum_superpixel.attr._captum import describe, has_layer_output, innermost, signature_of
from captum_superpixel.attr._spread import check_spreadable
from captum_superpixel.attr._wrapper import Wrapper, held_methods
from captum_superpixel.attr.contributions import Contributions, Reference
from captum_superpixel.attr.grouping import GroupReduction
from captum_superpixel.attr.laid_out import LaidOut, ReshapeTransform
from captum_superpixel.attr.sparsified_smooth_grad import SparsifiedSmoothGrad
from captum_superpixel.attr.view_tunnel import ViewTunnel, count_views
from captum_superpixel.attr.xrai import XRAI

__all__ = [
    "RECIPES",
    "SMALL",
    "Recipe",
    "can_spread",
    "check_unwrapped",
    "explain_by",
    "find_recipe",
    "passes_of_recipe",
    "takes_views",
    "view_options",
]

Kind = Literal["gradient", "path", "noisy", "other"]
Size = Literal["small", "large"]

SMALL = 64
"""Pixels that the shorter side of a small image has at most."""


@dataclass(frozen=True)
class Recipe:
    """How maps are made and pooled.

    Attributes:
        reduction: The rule: ``"evidence"`` of contributions, or the mean of magnitudes, ``"abs_mean"``.
        negative_weight: Of the evidence, as for :class:`SuperpixelGrouped`.
        n_views: How many views of each image.
        n_segments: Numbers of segments of the ensemble, as for :func:`~captum_superpixel.masks.multiscale`.
        compactness: Their compactnesses.
    """

    reduction: GroupReduction = "evidence"
    negative_weight: float = 0.5
    n_views: int = 8
    n_segments: tuple[int, ...] = (8, 16, 32, 64)
    compactness: tuple[float, ...] = (5.0, 15.0)


_of_small = partial(Recipe, n_segments=(4, 8, 16, 32), compactness=(10.0,))

RECIPES: Mapping[tuple[Kind, Size], Recipe] = {
    ("gradient", "small"): _of_small("abs_mean", 0.25),
    ("gradient", "large"): Recipe("evidence", 0.0),
    ("path", "small"): _of_small("evidence", 0.75),
    ("path", "large"): Recipe("evidence", 0.0, n_views=1),
    ("noisy", "small"): _of_small("abs_mean", 0.25),
    ("noisy", "large"): Recipe("abs_mean", 0.0),
    # Not measured: what holds for the gradient.
    ("other", "small"): _of_small("abs_mean", 0.25),
    ("other", "large"): Recipe("evidence", 0.0),
}
"""What the measurements favor: all that differs between methods and sizes of images stands here.

Chosen by ``tests/benchmarks/choose_recommended.py``, whose rule was fixed before its run. Where magnitudes are
recommended, the weight is that of the evidence that did best beside them.
"""


def check_unwrapped(method: Attribution) -> None:
    """Raise ValueError for a method that is wrapped already, or makes regions of its own."""
    for held in held_methods(method):
        if isinstance(held, Wrapper) and not isinstance(held, LaidOut):
            raise ValueError(
                f"{describe(method)} is wrapped already: recommended(…) chooses segments, views and reduction by "
                f"itself; pass the method inside, recommended({type(innermost(method)).__name__}(…)), or use what you "
                "have as it is"
            )
        if isinstance(held, XRAI):
            raise ValueError(
                "XRAI makes regions of its own, and its map is constant inside them: use it as it is, or pass the "
                "method that it explains by"
            )


def find_recipe(method: Attribution, size: Sequence[int]) -> Recipe:
    """Find what is recommended for a method, without what the method cannot have.

    Methods that perturb features are handed the segments, have the effects of these as scores, and need no views
    against noise of gradients. The map of a layer has no pixels to be multiplied by, and is no noise whose magnitude
    alone matters: its mean keeps signs, as evidence does. A map that has no signs is one of magnitudes. A neuron of a
    layer looks at a place, which in a shifted view is another part of the image.

    Args:
        method: Any method that is not grouped yet.
        size: Height and width of the images; no segmentation is of more segments than there are pixels, and there are
            no more views than an image has.
    """
    recipe = RECIPES[_kind_of(method), "small" if min(size) <= SMALL else "large"]
    # What segments the images says better that they hold no pixels.
    size = [max(1, side) for side in size]
    counts = {min(count, math.prod(size)) for count in recipe.n_segments}
    n_views = min(recipe.n_views, count_views(size))
    recipe = replace(recipe, n_segments=tuple(sorted(counts)), n_views=n_views)
    if _perturbs(method):
        return replace(recipe, reduction="mean", n_views=1)
    if not takes_views(method):
        recipe = replace(recipe, n_views=1)
    if isinstance(innermost(method), SparsifiedSmoothGrad):
        return replace(recipe, reduction="abs_mean")
    return replace(recipe, reduction="mean") if has_layer_output(method) else recipe


def takes_views(method: Attribution) -> bool:
    """Whether a recipe shows a method views: not where it perturbs features, or looks at a neuron of a place."""
    return not (_perturbs(method) or isinstance(innermost(method), NeuronAttribution))


def can_spread(method: Attribution) -> bool:
    """Whether views cost a method nothing, as each of its steps or samples can see another one.

    Examples:
        >>> from torch.nn import Identity
        >>> [can_spread(method(Identity())) for method in (Saliency, IntegratedGradients)]
        [False, True]
    """
    try:
        check_spreadable(method)
    except ValueError:
        return False
    return True


def explain_by(
    method: Attribution,
    reduction: GroupReduction,
    *,
    views: bool,
    reference: Reference | tuple[Reference | None, ...] = "blur",
    reshape_transform: ReshapeTransform | None = None,
) -> Attribution:
    """Wrap a method so that its maps, still by pixel, are those that a recipe pools.

    Args:
        method: Any method that is not grouped yet.
        reduction: How the maps will be pooled; evidence is of contributions, but for the maps of layers.
        views: Whether the method explains views.
        reference: As for :class:`Contributions`.
        reshape_transform: As for :class:`ViewTunnel`.
    """
    seen = ViewTunnel(method, reshape_transform=reshape_transform) if views else method
    return Contributions(seen, reference) if reduction == "evidence" and not has_layer_output(method) else seen


def view_options(
    method: Attribution, reduction: GroupReduction, n_views: int, spread: bool | None = None
) -> dict[str, Any]:
    """The arguments of a :class:`ViewTunnel` of a method that suit a reduction.

    Magnitudes are taken before they are averaged: of each view, or, where views are spread, of each noisy sample.

    Args:
        method: Any method that is not grouped yet.
        reduction: How the maps will be pooled.
        n_views: How many views.
        spread: Whether the steps or samples of the method each take another view; None where they can.
    """
    spreads = can_spread(method)
    spread = spreads if spread is None else spread
    options: dict[str, Any] = {"n_views": n_views} | ({"spread": True} if spread else {})
    if reduction == "abs_mean":
        options |= {} if spread else {"average": "abs"}
        options |= {"abs": True} if spreads and "abs" in signature_of(innermost(method)).parameters else {}
    return options


def passes_of_recipe(method: Attribution, recipe: Recipe) -> int:
    """How many times as many passes of the network a recipe takes as the method by itself.

    A method that perturbs features runs once for each segmentation, others once for each view, unless these are spread.
    """
    if _is_handed_masks(method):
        return len(recipe.n_segments) * len(recipe.compactness)
    return 1 if can_spread(method) else recipe.n_views


def _kind_of(method: Attribution) -> Kind:
    if isinstance(method, NoiseTunnel):
        return "noisy" if can_spread(method) else "other"
    if type(method) is SparsifiedSmoothGrad:
        return "noisy"  # not measured: what holds for SmoothGrad
    if type(method) in (Saliency, InputXGradient):
        return "gradient"
    return "path" if type(method) is IntegratedGradients else "other"


def _perturbs(method: Attribution) -> bool:
    return _is_handed_masks(method) or isinstance(innermost(method), PerturbationAttribution)


def _is_handed_masks(method: Attribution) -> bool:
    return "feature_mask" in signature_of(innermost(method)).parameters
