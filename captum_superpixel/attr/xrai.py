"""XRAI: attributions of regions that are chosen, among many overlapping ones, by their density of attribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any, Literal, get_args

import numpy as np
import torch
from captum.attr import Attribution, IntegratedGradients
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import check_finite, checked_choice, checked_integer, checked_share
from captum_superpixel.attr._captum import AttributeCall, check_method, describe, log_usage
from captum_superpixel.attr._masks import Generators, check_generators, generate, read
from captum_superpixel.attr._region_growing import Regions, grow_in_turn, grow_ranked
from captum_superpixel.attr._wrapper import warn_of_network
from captum_superpixel.attr._xrai_segments import segment_at_scales
from captum_superpixel.feature_masks import MaskLike, check_channels_first, hint_for_one_image, repeat_for_batch

Algorithm = Literal["full", "fast"]

__all__ = ["XRAI", "Algorithm"]


class XRAI(Attribution):
    """Attributes to regions: of many overlapping segments, those with the highest attribution per pixel come first.

    With a(p) the base attribution of pixel p, merged over the channels by their maximum, and U the pixels that no
    region covers yet, ``algorithm="full"`` adds at each step the segment s with the largest

        g(s) = sum of a(p) over p in s and U, divided by the number of these pixels,

    and gives g(s) to the pixels that it adds. ``"fast"`` takes the segments in the order of their mean over all of
    their pixels, without a look at what is covered, and again gives the mean of the pixels that it adds. Segments that
    would add fewer than ``min_pixel_diff`` pixels are left out, and pixels that no region has covered at the end share
    their mean. The sum of the merged attributions is kept.

    Args:
        attribution_method: An instance of any attribution class whose maps have the size of the image; it is used
            once, as it stands. Or a model (or forward function): its IntegratedGradients, averaged over two baselines,
            images of each image's minimum and of its maximum. Networks may return objects with ``logits``, as for
            ``SuperpixelGrouped``.
        mask_generator: Callable from images ``(N, C, H, W)`` to segment ids ``(N, 1, H, W)`` int64, or a list of
            several, whose segments compete. None for XRAI's own: Felzenszwalb's segments at six scales (50 to 1200,
            sigma 0.8, at least 150 pixels) of the image scaled to [-1, 1] and resized to 224 x 224 pixels, brought
            back to its size and dilated.
        algorithm: ``"full"`` or ``"fast"``.
        area_threshold: Stop once a larger fraction of the image is covered, in (0, 1]; ``"fast"`` ignores it.
        min_pixel_diff: The least number of pixels that a segment must add, 0 or more.
        dilation_radius: By how many pixels XRAI's own segments grow over their neighbors, so that they hold the edges
            between them; 0 for none. Masks of a generator or of a caller are taken as they are.

    Raises:
        TypeError: If ``attribution_method`` is neither an attribution instance nor a model, ``mask_generator`` cannot
            be called, or a number is of the wrong type.
        ValueError: If the algorithm is unknown, a number is out of its range, or the method returns no maps.

    Notes:
        Given the same base attribution, maps equal those of the authors' implementation (``saliency.core.XRAI``) to
        the last bit: sums run in the same order, and ties are decided alike, by the order of the segments (masks in
        the order of the list, ids in ascending order). What differs: a flat image is one segment, where they divide by
        zero; ``min_pixel_diff=0`` works, and means 1; an ``area_threshold`` of 0 is an error, as are NaN and infinite
        attributions; and the IntegratedGradients of a model are Captum's, with its ``n_steps`` and ``method``.

        Around a NoiseTunnel, XRAI segments the clean image: ``XRAI(NoiseTunnel(IntegratedGradients(model)))``.

    References:
        Kapishnikov, Bolukbasi, Viegas, Terry, "XRAI: Better Attributions Through Regions", ICCV 2019,
        https://doi.org/10.1109/ICCV.2019.00505, arXiv:1906.02825.

    Examples:
        >>> import torch
        >>> from captum.attr import Saliency
        >>> from captum_superpixel.masks import Grid
        >>> from captum_superpixel.attr.xrai import XRAI
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
        >>> images = torch.rand(2, 3, 32, 32, requires_grad=True)
        >>> XRAI(model).attribute(images, target=[3, 7], n_steps=10).shape
        torch.Size([2, 1, 32, 32])
        >>> xrai = XRAI(Saliency(model), [Grid(16), Grid(64)], min_pixel_diff=10)
        >>> xrai.attribute(images, target=3).shape
        torch.Size([2, 1, 32, 32])
        >>> masks = [Grid(4)(images), Grid(9)(images)]
        >>> XRAI(model, algorithm="fast").attribute(images, target=3, feature_mask=masks).shape
        torch.Size([2, 1, 32, 32])
    """

    warns_of_network = True

    def __init__(
        self,
        attribution_method: Attribution | Callable[..., Any],
        mask_generator: Generators | None = None,
        *,
        algorithm: Algorithm = "full",
        area_threshold: float = 1.0,
        min_pixel_diff: int = 50,
        dilation_radius: int = 5,
    ) -> None:
        self._explains_model = not isinstance(attribution_method, Attribution)
        self.attribution_method = _as_method(attribution_method)
        if mask_generator is not None:
            check_generators(mask_generator)
        super().__init__(self.attribution_method.forward_func)
        self.mask_generator = mask_generator
        self.algorithm: Algorithm = checked_choice("algorithm", algorithm, get_args(Algorithm))
        self.area_threshold = checked_share("area_threshold", area_threshold, exclusive=True)
        self.min_pixel_diff = checked_integer("min_pixel_diff", min_pixel_diff, minimum=0)
        self.dilation_radius = checked_integer("dilation_radius", dilation_radius, minimum=0)

    @log_usage
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        *args: Any,
        feature_mask: MaskLike | list[MaskLike] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Attribute with the wrapped method, and give each pixel the density of the region that it was added with.

        Args:
            inputs: Images ``(N, C, H, W)``, finite; or a tuple of one such tensor. Further inputs of the model are
                passed as ``additional_forward_args``.
            *args: Further arguments of the wrapped method (for a model: of IntegratedGradients), by position.
            feature_mask: Segment ids ``(1 or N, 1, H, W)``, non-negative integers as tensor or NumPy array (``(H, W)``
                for all images, or ``(N, H, W)`` unless N is C, will do), or a list of such masks, whose segments
                compete; used instead of the generator's. N may be a multiple of the mask's batch size; each
                mask then holds for so many images in a row. It is not handed on to the wrapped method.
            **kwargs: Further arguments of the wrapped method. For a model, ``baselines`` replaces the two, by one or
                by a list over which the maps are averaged.

        Returns:
            Maps of shape ``(N, 1, H, W)``, detached; in a tuple where the inputs came in one.

        Raises:
            TypeError: If inputs, mask or arguments are of the wrong type, or the wrapped method has no such argument.
            ValueError: If the inputs are not images, a mask does not fit them, the list is empty, a convergence delta
                is asked for, or the wrapped method returns other than finite maps of the size of the images.
        """
        images = _as_images(inputs)
        call = AttributeCall(self.attribution_method, images, args, kwargs)
        if call.get("return_convergence_delta"):
            raise ValueError(
                f"return_convergence_delta=True, but {self!r} has none: the maximum over the channels does not keep "
                "the sum of the map; ask the wrapped method for it"
            )
        masks = self._masks(images, feature_mask)
        warn_of_network(self, self.attribution_method)
        maps = self._attribute_pixels(call, images).detach()
        _check_maps(maps, images, describe(self.attribution_method))
        merged = maps.amax(dim=1)
        # NumPy has no bfloat16, and its float16 would round every mean.
        wide = merged if merged.dtype == torch.float64 else merged.float()
        values = wide.flatten(1).cpu().numpy()
        grown = [self._grow(row, regions) for row, regions in zip(values, self._regions(images, masks), strict=True)]
        result = torch.from_numpy(np.stack(grown)).reshape(merged.shape).to(merged)[:, None]
        return (result,) if isinstance(inputs, tuple) else result

    def attribute_future(self, *args: object, **kwargs: object) -> None:
        """Raise NotImplementedError: Captum's futures cannot be grouped."""
        raise NotImplementedError("attribute_future is not implemented for XRAI: call attribute")

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether the wrapped method multiplies by the inputs (global) or not (local)."""
        return bool(self.attribution_method.multiplies_by_inputs)

    def has_convergence_delta(self) -> bool:
        """False: the maximum over the channels does not keep the sum of the wrapped method's map."""
        return False

    @classmethod
    def get_name(cls) -> str:
        """Readable name of the class, as Captum's progress bars show it."""
        return "XRAI"

    def __repr__(self) -> str:
        explained = describe(self.attribution_method)
        if self._explains_model:
            explained = explained.removeprefix("IntegratedGradients(").removesuffix(")")
        options = [f"algorithm={self.algorithm!r}"]
        if self.mask_generator is not None:
            options.insert(0, f"mask_generator={self.mask_generator!r}")
        for name, default in (("area_threshold", 1.0), ("min_pixel_diff", 50), ("dilation_radius", 5)):
            if getattr(self, name) != default:
                options.append(f"{name}={getattr(self, name)!r}")
        return f"XRAI({explained}, {', '.join(options)})"

    def _attribute_pixels(self, call: AttributeCall, images: Tensor) -> Tensor:
        """Maps of the wrapped method; those of a model's IntegratedGradients are averaged over the baselines."""
        if not self._explains_model:
            return _as_maps(call(images), self.attribution_method)
        baselines = call.take("baselines")
        if baselines is None:
            flat = images.detach().flatten(1)
            baselines = [bound.view(-1, 1, 1, 1).expand_as(images) for bound in (flat.amin(dim=1), flat.amax(dim=1))]
        if not isinstance(baselines, list):
            baselines = [baselines]
        if not baselines:
            raise ValueError("baselines is an empty list: pass at least one, or None for each image's two extremes")
        maps = [_as_maps(call(images, baselines=baseline), self.attribution_method) for baseline in baselines]
        return torch.stack(maps).mean(dim=0)

    def _masks(self, images: Tensor, feature_mask: object) -> list[Tensor] | None:
        """The competing segmentations ``(1 or N, 1, H, W)``, or None for XRAI's own."""
        if feature_mask is not None:
            members = read(feature_mask, (images,))
        elif self.mask_generator is not None:
            members = generate(self.mask_generator, (images,))
        else:
            check_channels_first(images.shape, "XRAI")
            return None
        masks = [mask for member in members for mask in member if mask is not None]
        for mask in masks:
            if mask.shape[1] != 1:
                raise ValueError(
                    f"a mask of shape {tuple(mask.shape)} tells channels apart, but XRAI merges them: pass masks of "
                    f"shape (1 or N, 1, {images.shape[2]}, {images.shape[3]})"
                )
        return [repeat_for_batch(mask, len(images)) for mask in masks]

    def _regions(self, images: Tensor, masks: list[Tensor] | None) -> Iterator[Regions]:
        """The regions of each image."""
        if masks is None:
            for segmentations in segment_at_scales(images):
                yield Regions.from_labels(segmentations, self.dilation_radius)
            return
        arrays = [mask[:, 0].cpu().numpy() for mask in masks]
        if all(len(array) == 1 for array in arrays):
            yield from repeat(Regions.from_labels([array[0] for array in arrays]), len(images))
            return
        for number in range(len(images)):
            yield Regions.from_labels([array[number % len(array)] for array in arrays])

    def _grow(self, values: NDArray[np.floating], regions: Regions) -> NDArray[np.floating]:
        if self.algorithm == "fast":
            return grow_ranked(values, regions, self.min_pixel_diff)
        return grow_in_turn(values, regions, self.area_threshold, self.min_pixel_diff)


def _as_method(attribution_method: object) -> Attribution:
    """The attribution instance itself, or the IntegratedGradients of a model."""
    if isinstance(attribution_method, type):
        raise TypeError(
            f"attribution_method is the class {attribution_method.__name__}: pass an instance, either of an "
            "attribution class or a model"
        )
    if isinstance(attribution_method, Attribution):
        check_method(attribution_method)
        return attribution_method
    if not callable(attribution_method):
        raise TypeError(
            "attribution_method must be a captum.attr.Attribution or a model, but a "
            f"{type(attribution_method).__name__} was passed"
        )
    return IntegratedGradients(attribution_method)


def _as_images(inputs: object) -> Tensor:
    """Validate the images, which may come as a tuple of one tensor."""
    if isinstance(inputs, tuple):
        if len(inputs) != 1:
            raise ValueError(
                f"XRAI explains one tensor of images, but a tuple of {len(inputs)} inputs was passed: pass the others "
                "as additional_forward_args"
            )
        inputs = inputs[0]
    if not isinstance(inputs, Tensor):
        raise TypeError(f"inputs must be a tensor of shape (N, C, H, W), but a {type(inputs).__name__} was passed")
    if inputs.dim() != 4 or inputs.numel() == 0:
        hint = f"; {hint_for_one_image(inputs.shape)}" if inputs.dim() == 3 else ""
        raise ValueError(
            f"XRAI explains images of shape (N, C, H, W) with at least one pixel, but the inputs have shape "
            f"{tuple(inputs.shape)}{hint}"
        )
    if inputs.is_complex():
        raise TypeError(f"inputs have dtype {inputs.dtype}: pass real pixels, for example inputs.abs()")
    check_finite(inputs, "images", "pixels", "replace them first, for example by torch.nan_to_num(inputs, 0, 0, 0)")
    return inputs


def _as_maps(result: object, method: Attribution) -> Tensor:
    """The one tensor that a method returned."""
    if isinstance(result, tuple) and len(result) == 1:
        result = result[0]
    if not isinstance(result, Tensor) or not result.is_floating_point():
        what = f"a tensor of {result.dtype}" if isinstance(result, Tensor) else f"a {type(result).__name__}"
        raise TypeError(f"{describe(method)} returned {what}, but XRAI needs one floating-point map per image")
    return result


def _check_maps(maps: Tensor, images: Tensor, name: str) -> None:
    if maps.dim() != 4 or maps.shape[0] != images.shape[0] or maps.shape[2:] != images.shape[2:] or not maps.shape[1]:
        raise ValueError(
            f"{name} returned a map of shape {tuple(maps.shape)} for images of shape {tuple(images.shape)}: XRAI needs "
            "maps of the size of the images; those of a layer come to it by captum.attr.LayerAttribution.interpolate"
        )
    check_finite(maps, f"maps of {name}", "values", "XRAI compares means, which they would make meaningless")
