"""What the measurements recommend for looking at maps and for comparing them, in one line."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from captum.attr import Attribution
from torch import Tensor

from captum_superpixel.attr._captum import AttributeCall, describe, log_usage, signature_of
from captum_superpixel.attr._masks import FeatureMask
from captum_superpixel.attr._wrapper import Wrapper, as_tensors
from captum_superpixel.attr.contributions import Reference, check_reference
from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.grouping import GroupReduction
from captum_superpixel.attr.laid_out import ReshapeTransform
from captum_superpixel.attr.recipes import (
    SMALL,
    Recipe,
    check_unwrapped,
    explain_by,
    find_recipe,
    passes_of_recipe,
    takes_views,
    view_options,
)
from captum_superpixel.attr.view_tunnel import ViewTunnel
from captum_superpixel.masks import Slic, multiscale
from captum_superpixel.masks.base import Statistic

__all__ = ["Recommended", "recommended"]

_WHY_NO_DELTA = (
    "views, evidence and magnitudes do not keep the sum of a map; wrap the method by SuperpixelGrouped(…), whose "
    "reduction='mean' does"
)


def recommended(
    attribution_method: Attribution,
    *,
    denormalize: tuple[Statistic, Statistic] | None = None,
    channel_order: Literal["rgb", "bgr"] = "rgb",
    reference: Reference = "blur",
    reshape_transform: ReshapeTransform | None = None,
) -> Recommended:
    """Wrap a method by what the measurements recommend for looking at its maps and for comparing them.

    The maps are averaged over views of each image (:class:`ViewTunnel`) where that was found to help, and within the
    superpixels of an ensemble (``masks.multiscale``), in one of two ways:

    - **magnitudes** say how strongly the output depends on a region: absolute values are taken of each view, or of
      each noisy sample, and averaged (``reduction="abs_mean"`` of :class:`SuperpixelGrouped`);
    - **evidence** says what a region speaks for: maps become what each pixel contributes (:class:`Contributions`), and
      what is positive and what is negative in a superpixel are averaged apart (``reduction="evidence"``). A region
      above 0 speaks for the target; for display take ``map.clamp(min=0)``. All channels are the same.

    Which one depends on the kind of method and on the size of the images, which are small up to 64 pixels on the
    shorter side, and large beyond:

    - ``Saliency`` and ``InputXGradient``: magnitudes of small images, evidence of large ones;
    - ``IntegratedGradients``: evidence of all images;
    - ``NoiseTunnel`` of one of these three, and ``SparsifiedSmoothGrad``: magnitudes of all images;
    - all other methods: magnitudes of small images, evidence of large ones, but for those named below.

    ``print`` shows the rest: how many views, which superpixels, and what negative values count for.

    Measured were Saliency, IntegratedGradients and SmoothGrad (``NoiseTunnel`` of Saliency), by how alike the maps of
    two networks are beyond chance and by insertion minus deletion: on digits on photographs and CIFAR-10 training
    images, which are small, and on ImageNet photographs. ``tests/benchmarks/choose_recommended.py`` holds the rule, and
    chooses again. Other methods were not measured, and get what suits them: the map of a layer, which has no pixels to
    be multiplied by, is averaged with its signs over views and superpixels; a neuron of a layer is shown no views, in
    which it would look at another part of the image. Methods that perturb features have neither views nor
    contributions, as their scores are measured effects: those that take a ``feature_mask`` (FeatureAblation,
    KernelShap …) are handed the superpixels, and Occlusion has the mean over them.

    Passes of the network, compared with the wrapped method:

    - one for each view, for a method of one pass such as Saliency, and for all that is not named here;
    - no more for IntegratedGradients, SparsifiedSmoothGrad, and a NoiseTunnel of Saliency, InputXGradient or
      IntegratedGradients, each of whose steps or samples sees another view (``spread=True``); so pass as many samples
      as there are views, at least;
    - one run for each segmentation, for methods that are handed the superpixels.

    Args:
        attribution_method: An instance of any attribution class of Captum, or of your own, that is not wrapped by this
            package yet.
        denormalize: ``(mean, std)`` of the model's preprocessing, as for :class:`~captum_superpixel.masks.Slic`.
        channel_order: ``"rgb"`` or ``"bgr"``, for inputs with three channels.
        reference: What pixels are compared with, as for :class:`Contributions`; of several inputs, those that are
            images.
        reshape_transform: Lays out what a layer returns, as for :class:`SuperpixelGrouped`.

    Returns:
        An attribution like any other, and a ``GradientAttribution`` exactly when the wrapped method is one.

    Raises:
        TypeError: If ``attribution_method`` is not an attribution instance, or an option is of another type.
        ValueError: If the method has no maps, or is grouped or wrapped already, or an option makes no sense.

    Examples:
        >>> import torch
        >>> from captum.attr import IntegratedGradients
        >>> from captum_superpixel import recommended
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
        >>> images, labels = torch.rand(2, 3, 32, 32), torch.tensor([3, 7])
        >>> method = recommended(IntegratedGradients(model), denormalize=(0, 1))
        >>> maps = method.attribute(images, target=labels)
        >>> maps.shape, method.passes
        (torch.Size([2, 3, 32, 32]), 1)
        >>> method  # doctest: +ELLIPSIS
        Recommended(...SuperpixelGrouped(...ViewTunnel(IntegratedGradients(Sequential))...mask_generator=multiscale((...
    """
    return Recommended(
        attribution_method,
        denormalize=denormalize,
        channel_order=channel_order,
        reference=reference,
        reshape_transform=reshape_transform,
    )


class Recommended(Wrapper):
    """What :func:`recommended` makes; see there."""

    warns_of_network = True

    def __init__(
        self,
        attribution_method: Attribution,
        *,
        denormalize: tuple[Statistic, Statistic] | None = None,
        channel_order: Literal["rgb", "bgr"] = "rgb",
        reference: Reference = "blur",
        reshape_transform: ReshapeTransform | None = None,
    ) -> None:
        super().__init__(attribution_method)
        check_unwrapped(attribution_method)
        self.denormalize = Slic(denormalize=denormalize).denormalize
        self.channel_order: Literal["rgb", "bgr"] = Slic(channel_order=channel_order).channel_order
        if reference is None or isinstance(reference, tuple):
            raise TypeError(
                f"reference={reference!r}, but recommended(…) compares all images with one reference: pass 'blur', a "
                "number, a tensor or a callable"
            )
        # Here too, as not every recipe needs one.
        check_reference(reference)
        self.reference = reference
        self.reshape_transform = reshape_transform
        for recipe in self._recipes():
            self._compose(recipe)

    @log_usage
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        *args: Any,
        reduction: GroupReduction | None = None,
        negative_weight: float | None = None,
        feature_mask: FeatureMask | None = None,
        **kwargs: Any,
    ) -> Any:
        """Attribute as recommended for the method and for the size of the images, the smallest if there are several.

        Args:
            inputs: Images ``(N, C, H, W)``, or a tuple of input tensors, of which those that are no images are not
                grouped.
            *args: Further arguments of the wrapped method, by position.
            reduction: Another rule than the recommended one, as for :class:`SuperpixelGrouped`; what is averaged
                changes with it: contributions for ``"evidence"``, magnitudes for ``"abs_mean"``.
            negative_weight: Another weight for ``"evidence"``.
            feature_mask: Segment ids to use instead of the recommended ones, as for :class:`SuperpixelGrouped`.
            **kwargs: Further arguments of the wrapped method, and those of :class:`ViewTunnel` that are to differ from
                what is recommended, such as ``n_views``.

        Returns:
            Maps of the shape of the inputs; of evidence all channels are the same, and ``map.clamp(min=0)`` is what to
            show. For a layer maps ``(N, C, *spatial)`` of the spatial size of the input.

        Raises:
            TypeError: If an argument has another type, or does not fit the wrapped method.
            ValueError: If a convergence delta is asked for, or the inputs, a mask or an argument do not fit.
        """
        given = as_tensors(inputs)
        self._check_views(kwargs)
        if AttributeCall(self, inputs, args, kwargs).get("return_convergence_delta"):
            raise ValueError(f"return_convergence_delta=True, but {self!r} has none: {_WHY_NO_DELTA}")
        recipe = self._recipe(given)
        recipe = replace(recipe, reduction=recipe.reduction if reduction is None else reduction)
        if negative_weight is not None:
            if recipe.reduction != "evidence":
                raise ValueError(
                    f"negative_weight={negative_weight!r} is for reduction='evidence', but this is "
                    f"{recipe.reduction!r}: leave it out, or pass reduction='evidence'"
                )
            recipe = replace(recipe, negative_weight=negative_weight)
        grouped = self._compose(recipe, given if isinstance(inputs, tuple) else None)
        return grouped.attribute(inputs, *args, feature_mask=feature_mask, **(self._options(recipe, kwargs) | kwargs))

    def feature_mask(self, inputs: Tensor | tuple[Tensor, ...]) -> Any:
        """Compute the masks that ``attribute`` groups by, to look at, or to pass back as ``feature_mask=``.

        Args:
            inputs: Images ``(N, C, H, W)``, or a tuple of input tensors.

        Returns:
            A list with the ids ``(N, 1, H, W)`` int64 of each segmentation; of a tuple of inputs, with a tuple of them.

        Raises:
            TypeError: If the inputs are not tensors.
            ValueError: If there is no image among them, or it cannot be segmented.
        """
        given = as_tensors(inputs)
        grouped = self._compose(self._recipe(given), given if isinstance(inputs, tuple) else None)
        return grouped.feature_mask(inputs)

    @property
    def passes(self) -> int:
        """How many times as many passes of the network as the wrapped method takes; see :func:`recommended`.

        It is the larger number where recipes of small and large images differ. A method that is handed the superpixels
        is compared with itself for one segmentation.
        """
        return max(passes_of_recipe(self.attribution_method, recipe) for recipe in self._recipes())

    @property
    def reductions(self) -> tuple[GroupReduction, GroupReduction]:
        """How the maps of small and of large images are pooled, unless the call says otherwise."""
        small, large = self._recipes()
        return small.reduction, large.reduction

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether maps say what the inputs contribute, as evidence always does."""
        evidence = all(recipe.reduction == "evidence" for recipe in self._recipes())
        return evidence or bool(self.attribution_method.multiplies_by_inputs)

    def has_convergence_delta(self) -> bool:
        """Whether there is a convergence delta: never, as neither views nor evidence keep the sum of a map."""
        return False

    def compute_convergence_delta(self, *args: object, **kwargs: object) -> Tensor:
        """There is none.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{self!r} has no convergence delta: {_WHY_NO_DELTA}")

    @classmethod
    def get_name(cls) -> str:
        """Readable name of the class, as Captum's progress bars show it."""
        return "Recommended"

    @property
    def call_signature(self) -> inspect.Signature:
        """Signature of what is recommended, with the arguments of this one, to which calls are bound."""
        inner = list(signature_of(self._compose(self._recipes()[0])).parameters.values())
        own = inspect.signature(Recommended.attribute).parameters
        added = [own[name] for name in ("reduction", "negative_weight")]
        at = next((i for i, parameter in enumerate(inner) if parameter.kind is parameter.VAR_KEYWORD), len(inner))
        return inspect.Signature([*inner[:at], *added, *inner[at:]])

    def __repr__(self) -> str:
        small, large = (self._describe(recipe) for recipe in self._recipes())
        if small == large:
            return f"Recommended({small})"
        return f"Recommended(up to {SMALL} pixels on the shorter side: {small}; beyond: {large})"

    def _recipes(self) -> tuple[Recipe, Recipe]:
        """The recipes of small and of large images."""
        small, large = (find_recipe(self.attribution_method, (side, side)) for side in (SMALL, SMALL + 1))
        return small, large

    def _recipe(self, inputs: tuple[Tensor, ...]) -> Recipe:
        """The recipe for inputs."""
        sizes = [tuple(tensor.shape[2:]) for tensor in inputs if tensor.dim() > 3]
        if not sizes:
            raise ValueError(
                f"there is no image among the inputs, of shapes {[tuple(tensor.shape) for tensor in inputs]}: what is "
                "recommended is for images (N, C, H, W); pass others to SuperpixelGrouped with a feature_mask"
            )
        return find_recipe(self.attribution_method, min(sizes, key=math.prod))

    def _compose(self, recipe: Recipe, inputs: tuple[Tensor, ...] | None = None) -> SuperpixelGrouped:
        """Make what a recipe says, of the public pieces; for a tuple of inputs, of which some are images."""
        reference: Reference | tuple[Reference | None, ...] = self.reference
        ensemble: list[Slic] = multiscale(
            recipe.n_segments,
            recipe.compactness,
            denormalize=self.denormalize,
            channel_order=self.channel_order,
        )
        generators: Any = ensemble
        if inputs is not None:
            are_images = [tensor.dim() > 3 for tensor in inputs]
            generators = tuple(ensemble if is_image else None for is_image in are_images)
            reference = tuple(self.reference if is_image else None for is_image in are_images)
        method = explain_by(
            self.attribution_method,
            recipe.reduction,
            views=takes_views(self.attribution_method),
            reference=reference,
            reshape_transform=self.reshape_transform,
        )
        return SuperpixelGrouped(
            method,
            generators,
            reduction=recipe.reduction,
            negative_weight=recipe.negative_weight,
            reshape_transform=self.reshape_transform,
        )

    def _check_views(self, options: Mapping[str, object]) -> None:
        """Raise TypeError for options of views where there are none: perturbation methods take any name silently."""
        if takes_views(self.attribution_method):
            return
        taken = signature_of(self.attribution_method).parameters
        tunnel = inspect.signature(ViewTunnel.attribute).parameters.values()
        own = {parameter.name for parameter in tunnel if parameter.kind is parameter.KEYWORD_ONLY}
        if wrong := [name for name in options if name in own and name not in taken]:
            raise TypeError(
                f"{', '.join(wrong)}: {describe(self.attribution_method)} is shown no views by recommended(…), as it "
                "perturbs features or looks at a neuron of a place: leave it out, or wrap it by ViewTunnel(…)"
            )

    def _options(self, recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the call of a recipe's method says, beside what the user says."""
        if not takes_views(self.attribution_method):
            return {}
        return view_options(self.attribution_method, recipe.reduction, recipe.n_views, given.get("spread"))

    def _describe(self, recipe: Recipe) -> str:
        """Write a recipe as the pieces that it is made of, and the options of the call."""
        scaling = "" if self.denormalize is None else f", denormalize={self.denormalize!r}"
        scaling += "" if self.channel_order == "rgb" else f", channel_order={self.channel_order!r}"
        compactness = ", ".join(f"{weight:g}" for weight in recipe.compactness)
        masks = f"multiscale({recipe.n_segments!r}, ({compactness}{',' * (len(recipe.compactness) == 1)}){scaling})"
        pieces = [describe(self._compose(recipe).attribution_method), f"mask_generator={masks}"]
        pieces += [f"reduction={recipe.reduction!r}"]
        pieces += [f"negative_weight={recipe.negative_weight:g}"] if recipe.reduction == "evidence" else []
        options = [f"{name}={value!r}" for name, value in self._options(recipe, {}).items()]
        return ", ".join([f"SuperpixelGrouped({', '.join(pieces)})", *options])
