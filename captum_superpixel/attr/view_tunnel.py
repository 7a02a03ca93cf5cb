"""ViewTunnel: any attribution method, averaged over views of the image that are shifted a little and mirrored."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any, get_args

from captum.attr import Attribution
from torch import Tensor

from captum_superpixel._checks import checked_choice, checked_integer
from captum_superpixel._networks import unchanged_modes
from captum_superpixel.attr._captum import AttributeCall, describe, log_usage, signature_of
from captum_superpixel.attr._spread import check_spreadable, over_views, passes_of
from captum_superpixel.attr._view_batches import (
    Average,
    add_back,
    divide_by_shown,
    mixes_examples,
    see_rows,
)
from captum_superpixel.attr._view_calls import at_full_size, explain_views, read_layer_of_maps
from captum_superpixel.attr._views import View, choose_views
from captum_superpixel.attr._wrapper import Wrapper, as_tensors, warn_of_network
from captum_superpixel.attr.laid_out import ReshapeTransform, check_reshape_transform
from captum_superpixel.feature_masks import check_channels_first

__all__ = ["Average", "ViewTunnel", "count_views", "largest_shifts"]

_SIDES = 16
"""The largest shift is one of so many parts of a side."""

_WHY_NO_DELTA = (
    "near the border pixels are averaged over the views that show them, which does not keep the sum of the map"
)


class ViewTunnel(Wrapper):
    """Averages the maps of an attribution method over views of each image, in the manner of Captum's ``NoiseTunnel``.

    A view is the image shifted by a few pixels, every second one mirrored from left to right. Each map is brought back
    to the place of the image, exactly: pixel by pixel, without interpolation. What a network says of an image changes
    little from view to view, while the noise of its gradients does. The views are the same in every call; the first is
    the image as it is, so that one view is the wrapped method.

    Whatever has the places of the inputs goes along with them: baselines and feature masks of their spatial size. Maps
    of a spatial layer are interpolated to the size of the input before they are brought back.

    Nesting works both ways: ``NoiseTunnel(ViewTunnel(m))`` takes all views of each noisy copy,
    ``SuperpixelGrouped(ViewTunnel(m))`` segments the image once, and ``ViewTunnel(SuperpixelGrouped(m))`` each view.

    Args:
        attribution_method: An instance of any attribution class of Captum, or of your own.
        reshape_transform: Lays out what a layer returns, as for :class:`SuperpixelGrouped`.

    Raises:
        TypeError: If ``attribution_method`` is not an attribution instance.
        ValueError: If the method has no maps, or looks at no layer that could be laid out.

    Examples:
        >>> import torch
        >>> from captum.attr import Saliency
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))
        >>> images = torch.rand(2, 3, 32, 32, requires_grad=True)
        >>> ViewTunnel(Saliency(model)).attribute(images, target=3, n_views=4).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(self, attribution_method: Attribution, *, reshape_transform: ReshapeTransform | None = None) -> None:
        super().__init__(attribution_method)
        check_reshape_transform(reshape_transform, attribution_method)
        self.reshape_transform = reshape_transform

    @log_usage
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        *args: Any,
        n_views: int = 8,
        max_shift: int | None = None,
        flip: bool = True,
        average: Average = "mean",
        views_per_batch: int | None = None,
        spread: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Attribute to views with the wrapped method, and average the maps at the place of the image.

        Args:
            inputs: Images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, or a tuple of input tensors. Inputs of
                fewer dimensions are not changed by a view, and their maps are averaged as they are.
            *args: Further arguments of the wrapped method, by position.
            n_views: How many views, the image as it is included.
            max_shift: The largest shift along each spatial axis, in pixels; 0 shifts nothing. None is a sixteenth of
                each side, and at least 1.
            flip: Whether every second view is mirrored along the last axis.
            average: ``"mean"`` of the maps, or of their magnitudes, ``"abs"``. Each pixel is averaged over the views
                that show it.
            views_per_batch: How many views of each image are explained together. None takes one after the other, and so
                do methods that mix the examples of a batch: FeaturePermutation, and those that take a distribution of
                baselines.
            spread: Spend no more passes than the wrapped method alone: each step of IntegratedGradients, or each sample
                of SparsifiedSmoothGrad or of a NoiseTunnel of Saliency, InputXGradient or IntegratedGradients, takes
                another view. What the
                network sees beyond the border of a shifted image is then counted where it was reflected from.
            **kwargs: Further arguments of the wrapped method, by name.

        Returns:
            What the wrapped method returns, maps of the shape of the inputs, and for a layer maps ``(N, C, *spatial)``
            of the spatial size of the input.

        Raises:
            TypeError: If an argument has another type, or does not fit the wrapped method.
            ValueError: If there is no image among the inputs, the shift is not smaller than the image, there are fewer
                views than were asked for, a convergence delta or coefficients instead of a map are asked for, the
                method has neither steps nor samples to be spread, or the network changes its mode when it is called.
        """
        tensors = as_tensors(inputs)
        call = AttributeCall(self.attribution_method, inputs, args, kwargs)
        self._check_call(call)
        checked_choice("average", average, get_args(Average))
        largest = largest_shifts(tensors, max_shift)
        views = _checked_views(n_views, largest, bool(flip))
        per_batch = 1 if views_per_batch is None else checked_integer("views_per_batch", views_per_batch)
        if mixes_examples(self.attribution_method, call):
            per_batch = 1
        if spread:
            check_spreadable(self.attribution_method)
        warn_of_network(self, self.attribution_method)
        image = next(index for index, sizes in enumerate(largest) if sizes)
        with unchanged_modes(self.forward_func):
            reader = read_layer_of_maps(self.attribution_method, call, tensors, image, self.reshape_transform)
            if len(views) == 1 and average == "mean":
                return at_full_size(call(inputs), reader)
            if spread:
                return self._spread(call, inputs, views, largest, average)
            sums: list[Tensor] = []
            sizes_of_maps = largest if reader is None else [largest[image]]
            is_tuple, dtypes = False, []
            for start in range(0, len(views), per_batch):
                part = views[start : start + per_batch]
                maps = explain_views(self.attribution_method, call, inputs, part, largest, reader)
                is_tuple = isinstance(maps, tuple)
                parts = as_tensors(maps, self.attribution_method)
                dtypes = [one.dtype for one in parts]
                added = [add_back(one, part, sizes, average) for one, sizes in zip(parts, sizes_of_maps, strict=True)]
                sums = added if not sums else [total + more for total, more in zip(sums, added, strict=True)]
            averaged = tuple(
                divide_by_shown(total, views, sizes).to(dtype)
                for total, sizes, dtype in zip(sums, sizes_of_maps, dtypes, strict=True)
            )
            return averaged if is_tuple else averaged[0]

    def has_convergence_delta(self) -> bool:
        """Whether there is a convergence delta: never, as pixels near the border are averaged over fewer views."""
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
        return "View Tunnel"

    @property
    def call_signature(self) -> inspect.Signature:
        """Signature of the wrapped method's ``attribute`` with the arguments of this one, to which calls are bound."""
        own = [
            parameter
            for parameter in inspect.signature(ViewTunnel.attribute).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        ]
        names = {parameter.name for parameter in own}
        inner = [
            parameter
            for parameter in signature_of(self.attribution_method).parameters.values()
            if parameter.name not in names
        ]
        at = next((i for i, parameter in enumerate(inner) if parameter.kind is parameter.VAR_KEYWORD), len(inner))
        return inspect.Signature([*inner[:at], *own, *inner[at:]])

    def __repr__(self) -> str:
        return f"ViewTunnel({describe(self.attribution_method)})"

    def _check_call(self, call: AttributeCall) -> None:
        if call.get("return_convergence_delta"):
            raise ValueError(f"return_convergence_delta=True, but {self!r} has none: {_WHY_NO_DELTA}")
        if call.get("return_input_shape") is False:
            raise ValueError(
                "return_input_shape=False gives coefficients, which have no place in the image to be brought back to: "
                "leave it out"
            )

    def _spread(
        self,
        call: AttributeCall,
        inputs: Tensor | tuple[Tensor, ...],
        views: Sequence[View],
        largest: Sequence[Sequence[int]],
        average: Average,
    ) -> Any:
        if average != "mean":
            raise ValueError(
                "average='abs' with spread=True: steps and samples are averaged by the method itself; for magnitudes "
                "of SmoothGrad's samples pass abs=True, or spread=False"
            )
        tensors = inputs if isinstance(inputs, tuple) else (inputs,)

        def see(rows: tuple[Tensor, ...], numbers: Tensor) -> tuple[Tensor, ...]:
            return tuple(see_rows(row, views, sizes, numbers) for row, sizes in zip(rows, largest, strict=True))

        passes = passes_of(self.attribution_method, call, len(tensors[0]))
        method = over_views(self.attribution_method, see, len(views), passes, len(tensors))
        return call.with_method(method)(inputs)


def largest_shifts(tensors: Sequence[Tensor], max_shift: object) -> list[tuple[int, ...]]:
    """The largest shift along each spatial axis of each input, in pixels; none for what is no image.

    Args:
        tensors: The inputs.
        max_shift: What the caller says; None for a sixteenth of each side, and at least 1.

    Raises:
        TypeError: If ``max_shift`` is not an integer.
        ValueError: If no input is an image, one seems to have its channels last, or is shifted beyond its size.
    """
    limit = None if max_shift is None else checked_integer("max_shift", max_shift, minimum=0)
    images = [tensor for tensor in tensors if tensor.dim() > 3]
    if not images:
        shapes = [tuple(tensor.shape) for tensor in tensors]
        raise ValueError(f"there is no image among the inputs, {shapes}: views are of (N, C, H, W) or (N, C, D, H, W)")
    for image in images:
        check_channels_first(
            image.shape, "ViewTunnel", "shifts", "the images are strips, too narrow for views: leave it out"
        )
        if limit is not None and limit >= min(image.shape[2:]):
            raise ValueError(
                f"max_shift={limit}, but an input has shape {tuple(image.shape)}: shift by less than its shortest side"
            )
    return [
        tuple(_default_shift(size) if limit is None else min(size - 1, limit) for size in tensor.shape[2:])
        if tensor.dim() > 3
        else ()
        for tensor in tensors
    ]


def _default_shift(size: int) -> int:
    # A single row cannot be shifted.
    return min(size - 1, max(1, size // _SIDES))


def count_views(size: Sequence[int]) -> int:
    """How many different views an image has, unless the call says more of shifts and flips.

    Args:
        size: Its spatial size.

    Examples:
        >>> count_views((16, 16)), count_views((1, 1))
        (18, 2)
    """
    return 2 * math.prod(2 * _default_shift(side) + 1 for side in size)


def _checked_views(n_views: object, largest: Sequence[Sequence[int]], flip: bool) -> list[View]:
    """Choose the views by the image whose shifts are the largest."""
    count = checked_integer("n_views", n_views)
    sizes = max(largest, key=lambda shifts: (len(shifts), sum(shifts)))
    views = choose_views(count, sizes, flip)
    if len(views) < count:
        raise ValueError(
            f"n_views={count}, but shifts of at most {list(sizes)} pixels{' and flips' if flip else ''} make only "
            f"{len(views)} different views: ask for at most so many, or pass a larger max_shift"
        )
    return views
