"""SuperpixelGrouped: any Captum attribution, averaged within superpixels."""

from __future__ import annotations

import inspect
from typing import Any, cast

import torch
from captum.attr import Attribution
from torch import Tensor

from captum_superpixel._checks import checked_choice
from captum_superpixel.attr._captum import (
    AttributeCall,
    describe,
    has_layer_output,
    innermost,
    log_usage,
    signature_of,
)
from captum_superpixel.attr._first_logits import with_first_logits
from captum_superpixel.attr._masks import FeatureMask, Generators, Member, check_generators, generate, is_ensemble, read
from captum_superpixel.attr._perturbation import Maps, attribute_segments, average
from captum_superpixel.attr._wrapper import Wrapper, as_tensors, warn_of_network
from captum_superpixel.attr.grouping import (
    INTERPOLATE_MODES,
    GroupReduction,
    check_group_reduction,
    checked_negative_weight,
    group_maps,
)
from captum_superpixel.attr.laid_out import ReshapeTransform, check_reshape_transform, read_layer
from captum_superpixel.masks import Slic

__all__ = ["SuperpixelGrouped"]


class SuperpixelGrouped(Wrapper):
    """Averages the maps of an attribution method within superpixels.

    Averaging within segments lowers the variance of a map over training runs (Gong et al. 2024). The wrapper takes the
    call of the wrapped method and returns what that returns, so that it drops into code written for Captum. It is a
    ``GradientAttribution`` exactly when the wrapped method is one.

    Methods that perturb features (those whose ``attribute`` takes ``feature_mask``: FeatureAblation, KernelShap, Lime,
    ShapleyValueSampling …) are handed the mask instead, so that they perturb whole superpixels; their maps are
    constant inside the segments as they come. A warning says where ``n_samples`` of Lime and KernelShap, by default
    Captum's, is below the number of segments; and another one where GuidedBackprop or Deconvolution finds no module
    ``ReLU``, whose gradient it would change. Maps of a spatial layer are interpolated to the size of the input first.

    Args:
        attribution_method: An instance of any attribution class of Captum, or of your own. Its network returns a
            tensor, an object or dictionary with ``logits``, as ``transformers`` does, or a tuple with the logits first.
        mask_generator: Callable from images ``(N, C, *spatial)`` to segment ids ``(N, 1, *spatial)`` int64. A tuple
            holds one for each of several inputs, None leaving that input as it is; a list is an ensemble, over whose
            segmentations the maps are averaged. None if every call passes ``feature_mask``.
        reduction: ``"mean"`` keeps the sum of the map, and with it completeness and the convergence delta;
            ``"abs_mean"`` averages magnitudes, which do not cancel inside a segment: for looking at maps, and for
            comparing them between networks; ``"sum"``; ``"max"``, the largest value with its sign. ``"evidence"`` adds
            the channels, averages what is positive and what is negative apart, and subtracts ``negative_weight`` times
            the latter; every channel gets the result. It is meant for maps that say what each pixel
            contributed (:class:`Contributions`), which cancel in a signed mean; for display take ``map.clamp(min=0)``.
        negative_weight: For ``reduction="evidence"``, from -1 to 1: 1 is the signed mean of the added channels, 0
            counts what speaks for the class alone, -1 is the mean magnitude of the added channels.
        pool_channels: Average over the channels too, so that each segment has one value. By default every channel is
            averaged by itself. Perturbation methods always perturb all channels of a segment together.
        interpolate_mode: How layer attributions come to the size of the input: ``"bilinear"`` (linear or trilinear in
            one or three dimensions), ``"bicubic"``, ``"nearest"``, ``"nearest-exact"`` or ``"area"``.
        reshape_transform: Callable from a layer's output to ``(N, C, h, w)``, where that has its channels last or is of
            tokens. Found by itself where there is one reading, as for ViT, DeiT, DINOv2, BEiT, Swin and ConvNeXt.

    Raises:
        TypeError: If ``attribution_method`` is not an attribution instance, or ``mask_generator`` or
            ``reshape_transform`` cannot be called.
        ValueError: If an option is unknown or for other methods, or the method has no maps that could be grouped.

    References:
        Gong, Zhang, Dou, Farnia, "A Super-pixel-based Approach to the Stable Interpretation of Neural Networks",
        BMVC 2024, arXiv:2412.14509.

    Examples:
        >>> import torch
        >>> from captum.attr import IntegratedGradients
        >>> from captum_superpixel import SuperpixelGrouped
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
        >>> images = torch.rand(2, 3, 32, 32)
        >>> grouped = SuperpixelGrouped(IntegratedGradients(model))
        >>> grouped.attribute(images, target=[3, 7]).shape
        torch.Size([2, 3, 32, 32])
        >>> mask = grouped.feature_mask(images)  # segment once, explain often
        >>> grouped.attribute(images, target=5, n_steps=10, feature_mask=mask).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        attribution_method: Attribution,
        mask_generator: Generators | None = Slic(),
        *,
        reduction: GroupReduction = "mean",
        negative_weight: float = 0.5,
        pool_channels: bool = False,
        interpolate_mode: str = "bilinear",
        reshape_transform: ReshapeTransform | None = None,
    ) -> None:
        super().__init__(attribution_method)
        check_reshape_transform(reshape_transform, attribution_method)
        if mask_generator is not None:
            check_generators(mask_generator)
        check_group_reduction(reduction)
        self._perturbs = "feature_mask" in signature_of(innermost(attribution_method)).parameters
        if self._perturbs and reduction not in ("mean", "abs_mean"):
            raise ValueError(
                f"reduction={reduction!r} does not apply to {type(innermost(attribution_method)).__name__}, which "
                "gives each segment one score by itself: use 'mean' (as it is) or 'abs_mean' (its magnitude)"
            )
        self.mask_generator = mask_generator
        self.reduction: GroupReduction = reduction
        self.negative_weight = checked_negative_weight(negative_weight)
        self.pool_channels = pool_channels
        self.interpolate_mode = checked_choice("interpolate_mode", interpolate_mode, list(INTERPOLATE_MODES))
        self.reshape_transform = reshape_transform

    @log_usage
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        *args: Any,
        feature_mask: FeatureMask | None = None,
        **kwargs: Any,
    ) -> Any:
        """Attribute with the wrapped method, and average within superpixels.

        Args:
            inputs: Images ``(N, C, *spatial)``, or a tuple of input tensors.
            *args: Further arguments of the wrapped method, by position.
            feature_mask: Segment ids ``(1 or N, 1 or C, *spatial)``, non-negative integers as tensor or NumPy array,
                used instead of the generator's. ``(*spatial)`` is one mask for all images, ``(N, *spatial)`` one each;
                where N is C it could also be one for each channel, and is an error. N may be a multiple of the mask's
                batch size; each mask then holds for so many images in a row. A tuple holds one mask per input, None
                leaving that input as it is; a list is an ensemble.
            **kwargs: Further arguments of the wrapped method.

        Returns:
            What the wrapped method returns, maps of the shape of the inputs (of the first input that has a mask, for
            the maps of a layer), and a pair with the convergence delta where one was asked for.

        Raises:
            TypeError: If inputs, mask or arguments are of the wrong type, or the wrapped method has no such argument.
            ValueError: If there is neither mask nor generator, a mask does not fit, a convergence delta is asked for
                that does not exist, or the wrapped method returns something other than maps.
        """
        tensors = as_tensors(inputs)
        call = AttributeCall(self.attribution_method, inputs, args, kwargs)
        by_position = call.take("feature_mask")
        if by_position is not None and feature_mask is not None:
            raise TypeError("feature_mask was passed twice, by position and by name")
        has_delta = bool(call.get("return_convergence_delta"))
        if has_delta and not self.has_convergence_delta():
            raise ValueError(f"return_convergence_delta=True, but {self!r} has none: {self._why_no_delta()}")
        ensemble = self._masks(tensors, by_position if feature_mask is None else feature_mask)
        warn_of_network(self, self.attribution_method)
        if self._perturbs:
            return self._perturb(call, tensors, ensemble, isinstance(inputs, tuple))
        image = next(i for i, mask in enumerate(ensemble[0]) if mask is not None)
        reader = read_layer(self.attribution_method, call, tensors, image, self.reshape_transform)
        result = call(inputs)
        maps, delta = result if has_delta else (result, None)
        if reader is not None and self._is_layer:
            masks = [mask for member in ensemble if (mask := member[image]) is not None]
            laid_over = reader.map_of(maps, self.interpolate_mode)
            maps = self._pool_layer(laid_over, masks, isinstance(maps, tuple))
        else:
            maps = self._pool(maps, tensors, ensemble)
        return (maps, delta) if has_delta else maps

    @torch.no_grad()
    def feature_mask(self, inputs: Tensor | tuple[Tensor, ...]) -> Any:
        """Compute the masks that ``attribute`` groups by, to look at, or to pass back as ``feature_mask=``.

        Args:
            inputs: Images ``(N, C, *spatial)``, or a tuple of input tensors.

        Returns:
            Ids ``(N, 1, *spatial)`` int64, consecutive from 0 in each image. For a tuple of inputs a tuple, with ids
            that no two of them share; for an ensemble a list.

        Raises:
            TypeError: If the inputs are not tensors.
            ValueError: If there is no generator, or it cannot segment these inputs.
        """
        ensemble = self._masks(as_tensors(inputs), None)
        members: list[Any] = [member if isinstance(inputs, tuple) else member[0] for member in ensemble]
        return members if is_ensemble(self.mask_generator) else members[0]

    def has_convergence_delta(self) -> bool:
        """Whether a convergence delta exists: the wrapped method has one, and grouping keeps the sum of its maps."""
        return self.attribution_method.has_convergence_delta() and self._keeps_sum

    def compute_convergence_delta(self, attributions: Maps, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the wrapped method's convergence delta for grouped attributions.

        Args:
            attributions: Maps that ``attribute`` returned.
            *args: Further arguments of the wrapped method's ``compute_convergence_delta``.
            **kwargs: The same, by name.

        Returns:
            Delta of each example, of shape ``(N,)``.

        Raises:
            ValueError: If the wrapped method has no such delta, or the reduction does not keep the sum of the maps.
        """
        compute = getattr(innermost(with_first_logits(self.attribution_method)), "compute_convergence_delta", None)
        if compute is None or not self.has_convergence_delta():
            raise ValueError(f"{self!r} has no convergence delta: {self._why_no_delta()}")
        return cast(Tensor, compute(attributions, *args, **kwargs))

    @classmethod
    def get_name(cls) -> str:
        """Readable name of the class, as Captum's progress bars show it."""
        return "Superpixel Grouped"

    @property
    def call_signature(self) -> inspect.Signature:
        """Signature of the wrapped method's ``attribute``, with the mask, to which calls are bound."""
        wrapped = super().call_signature
        if "feature_mask" in wrapped.parameters:
            return wrapped
        parameters = list(wrapped.parameters.values())
        mask = inspect.Parameter("feature_mask", inspect.Parameter.KEYWORD_ONLY, default=None)
        at = len(parameters) - (bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
        return wrapped.replace(parameters=[*parameters[:at], mask, *parameters[at:]])

    def __repr__(self) -> str:
        options = [f"mask_generator={self.mask_generator!r}", f"reduction={self.reduction!r}"]
        options += [f"negative_weight={self.negative_weight:g}"] if self.reduction == "evidence" else []
        options += ["pool_channels=True"] if self.pool_channels else []
        transform = self.reshape_transform
        options += [f"reshape_transform={getattr(transform, '__name__', transform)}"] if transform else []
        return f"SuperpixelGrouped({describe(self.attribution_method)}, {', '.join(options)})"

    @property
    def _is_layer(self) -> bool:
        return has_layer_output(self.attribution_method)

    @property
    def _keeps_sum(self) -> bool:
        return self.reduction == "mean" and not self._is_layer

    def _why_no_delta(self) -> str:
        if self.reduction != "mean":
            return f"only reduction='mean' keeps the sum of the map, and this is {self.reduction!r}"
        if self._is_layer:
            return "interpolating a layer's map does not keep its sum"
        return f"{type(self.attribution_method).__name__} has none"

    def _masks(self, inputs: tuple[Tensor, ...], feature_mask: object) -> list[Member]:
        if feature_mask is not None:
            return read(feature_mask, inputs)
        if self.mask_generator is None:
            raise ValueError("there is nothing to group by: pass feature_mask=, or construct with a mask_generator")
        return generate(self.mask_generator, inputs)

    def _perturb(self, call: AttributeCall, inputs: tuple[Tensor, ...], ensemble: list[Member], is_tuple: bool) -> Maps:
        if len(ensemble) > 1 and call.get("return_input_shape") is False:
            raise ValueError(
                f"return_input_shape=False with an ensemble of {len(ensemble)} segmentations: coefficients of "
                "different segments cannot be averaged; pass one mask"
            )
        method = self.attribution_method
        maps = average([attribute_segments(method, call, inputs, member, is_tuple) for member in ensemble])
        if self.reduction == "abs_mean":
            maps = tuple(part.abs() for part in maps) if isinstance(maps, tuple) else maps.abs()
        # Of inputs in another memory format Lime and KernelShap return maps in that format.
        return tuple(part.contiguous() for part in maps) if isinstance(maps, tuple) else maps.contiguous()

    def _pool(self, maps: Maps, inputs: tuple[Tensor, ...], ensemble: list[Member]) -> Maps:
        parts = as_tensors(maps, self.attribution_method)
        if len(parts) != len(inputs):
            raise ValueError(
                f"{self._name} returned {len(parts)} maps for {len(inputs)} inputs: nothing to group them by"
            )
        pooled = []
        for index, (part, tensor) in enumerate(zip(parts, inputs, strict=True)):
            masks = [mask for member in ensemble if (mask := member[index]) is not None]
            if masks and (part.shape[1:] != tensor.shape[1:] or part.shape[0] % masks[0].shape[0]):
                raise ValueError(
                    f"{self._name} returned a map of shape {tuple(part.shape)} for an input of shape "
                    f"{tuple(tensor.shape)}: only maps of the input's shape can be grouped by a mask of the input"
                )
            averaged = self._average_over(part, masks) if masks else part.contiguous()
            as_it_is = len(ensemble) - len(masks)
            if masks and as_it_is:
                averaged = (len(masks) * averaged + as_it_is * part) / len(ensemble)
            pooled.append(averaged)
        return tuple(pooled) if isinstance(maps, tuple) else pooled[0]

    def _pool_layer(self, maps: Tensor, masks: list[Tensor], is_tuple: bool) -> Maps:
        if masks[0].shape[1] != 1:
            raise ValueError(
                f"a feature_mask of shape {tuple(masks[0].shape)} has the channels of the input, not those of the "
                "layer: pass a mask with one channel"
            )
        pooled = self._average_over(maps, masks)
        return (pooled,) if is_tuple else pooled

    def _average_over(self, maps: Tensor, masks: list[Tensor]) -> Tensor:
        return group_maps(maps, masks, self.reduction, self.pool_channels, self.negative_weight)

    @property
    def _name(self) -> str:
        return type(innermost(self.attribution_method)).__name__
