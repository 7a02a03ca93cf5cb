"""One call of a method, made again and again with perturbed parameters of the network and views of the inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from captum.attr import Attribution, GradientAttribution
from torch import Tensor
from torch.nn import Module

from captum_superpixel._networks import first_logits, logits_of_images, unchanged_modes
from captum_superpixel._seeds import derive_seed, seeded
from captum_superpixel.attr._captum import AttributeCall, describe
from captum_superpixel.attr._strength import find_strength, n_search_draws
from captum_superpixel.attr._view_batches import bring_back, show_batch
from captum_superpixel.attr._view_calls import at_full_size, explain_views, read_layer_of_maps
from captum_superpixel.attr._views import View, choose_views
from captum_superpixel.attr._weights import PerturbedMethod
from captum_superpixel.attr._wrapper import as_tensors
from captum_superpixel.attr.grouped import SuperpixelGrouped
from captum_superpixel.attr.laid_out import LayerReader, ReshapeTransform
from captum_superpixel.attr.recommended import Recommended

__all__ = ["PerturbedCall", "draw_seeds"]

_TRIED = (0.1, 1.0, 10.0)
"""Strengths of which one, at least, changes the outputs of a network that is perturbed at all."""


def draw_seeds(count: int, generator: torch.Generator) -> list[int]:
    """Draw seeds of 62 bits."""
    drawn = torch.randint(2**62, (count,), generator=generator, device=generator.device)
    return [int(seed) for seed in drawn.tolist()]


class PerturbedCall:
    """A call of a method, to be made with other parameters of its network and another view of the inputs each time.

    Args:
        method: The method.
        model: The network whose parameters are perturbed.
        inputs: The inputs, with N examples.
        arguments: The other arguments of the call.
        largest: The largest shift along each spatial axis of each input, in pixels; None if there are no views.
        flip: Whether views are mirrored.
        reshape_transform: Lays out what a layer returns.
        device: Where random numbers are drawn.

    Attributes:
        classes: ``(N,)``, the classes that the network predicts as it is; None if it predicts none.
        gives_tuples: Whether the maps that were explained last came as a tuple.
    """

    def __init__(
        self,
        method: Attribution,
        model: Module,
        inputs: Tensor | tuple[Tensor, ...],
        arguments: Mapping[str, Any],
        *,
        largest: list[tuple[int, ...]] | None,
        flip: bool,
        reshape_transform: ReshapeTransform | None,
        device: torch.device,
    ) -> None:
        self._inputs, self._tensors = inputs, as_tensors(inputs)
        self._largest, self._flip = largest, flip
        self._device, self._seed = device, 0
        arguments = _with_masks(method, inputs, arguments)
        self._explain_by(PerturbedMethod(method, model), arguments)
        if self._weights.is_copy:
            with self._weights.watched() as watching:
                self._run(self._tensors)
            if watching.seen:
                self._explain_by(PerturbedMethod(method, model, may_copy=False), arguments)
        with unchanged_modes(self.forward_func), self._weights.active():
            self._reader = self._read_layer(reshape_transform)
            self._output = self._run(self._tensors)
        self.classes = _predict(self._output, len(self._tensors[0]))
        self.gives_tuples = False

    def _explain_by(self, weights: PerturbedMethod, arguments: Mapping[str, Any]) -> None:
        self._weights, self._method = weights, weights.method
        self._call = AttributeCall(self._method, self._inputs, (), arguments)

    @property
    def forward_func(self) -> Callable[..., Any]:
        """What the method explains when the network is perturbed."""
        return self._method.forward_func

    def check_that_weights_matter(self) -> None:
        """Raise ValueError if the outputs do not change with the parameters."""
        for strength in _TRIED:
            self.perturb(strength, seed=0)
            with self._weights.active(), seeded(0):
                if not _are_equal(self._run(self._tensors), self._output):
                    return
        raise ValueError(
            f"what {describe(self._method)} explains does not change with the parameters of "
            f"{type(self._weights.network).__name__}: pass the network that it explains as model=, and make the method "
            "of that network itself, as a function around a scripted or compiled network cannot be looked into; or the "
            "outputs for these inputs are constant"
        )

    def find_strength(self, keep: float, generator: torch.Generator) -> float:
        """Find the strength at which a share of the predictions is kept, from predictions alone.

        Raises:
            ValueError: If the network predicts no classes, or there is no such strength.
        """
        classes = self.classes
        if classes is None:
            raise ValueError(
                "the network predicts no classes, a share of which could be kept: let it return logits (N, classes), "
                "or one for each image, or pass strength="
            )
        draws = n_search_draws(len(classes), keep)
        seeds, views = draw_seeds(draws, generator), self.choose_views(draws)

        def lost(strength: float, draw: int) -> int:
            if not strength and self._largest is None:
                return 0
            self.perturb(strength, seeds[draw])
            return int((~self.keeps(views[draw])).sum())

        return find_strength(lost, draws, len(classes), keep)

    def choose_views(self, count: int) -> list[View | None]:
        """Choose views that are spread evenly, again from the first where there are no more that differ."""
        if self._largest is None:
            return [None] * count
        sizes = max(self._largest, key=lambda shifts: (len(shifts), sum(shifts)))
        views = choose_views(count, sizes, self._flip)
        return [views[number % len(views)] for number in range(count)]

    def perturb(self, strength: float, seed: int) -> None:
        """Perturb the network that is explained from now on; what the method draws depends on the seed as well."""
        self._weights.perturb(strength, torch.Generator(self._device).manual_seed(seed))
        # Of the same seed, the noise of a method would be that of the parameters.
        self._seed = derive_seed(seed, "method")

    def explain(self, view: View | None) -> tuple[Tensor, ...]:
        """Explain a view of the inputs, and bring the maps back to their places, each ``(N, C, *spatial)``."""
        with self._weights.active(), seeded(self._seed):
            if view is None or self._largest is None:
                maps = at_full_size(self._call(self._leaves()), self._reader)
            else:
                maps = explain_views(self._method, self._call, self._inputs, [view], self._largest, self._reader)
        self.gives_tuples = isinstance(maps, tuple)
        parts = [one.detach() for one in as_tensors(maps, self._method)]
        if view is None or self._largest is None:
            return tuple(parts)
        sizes = self._largest if self._reader is None else [next(filter(None, self._largest))]
        return tuple(bring_back(one, view, shifts) for one, shifts in zip(parts, sizes, strict=True))

    def keeps(self, view: View | None) -> Tensor:
        """For which images the class that is predicted for a view is that of the image, ``(N,)`` bool."""
        seen = self._tensors
        if view is not None and self._largest is not None:
            pairs = zip(seen, self._largest, strict=True)
            seen = tuple(show_batch(tensor, [view], shifts) for tensor, shifts in pairs)
        with self._weights.active(), seeded(self._seed):
            predicted = _predict(self._run(seen), len(seen[0]))
        if predicted is None or self.classes is None:
            return torch.zeros(len(seen[0]), dtype=torch.bool, device=seen[0].device)
        return predicted == self.classes

    @torch.no_grad()
    def _run(self, inputs: tuple[Tensor, ...]) -> Any:
        return self.forward_func(*inputs, *self._call.further_arguments)

    def _leaves(self) -> Tensor | tuple[Tensor, ...]:
        """The inputs as they are, of which Captum can ask for gradients without a warning."""
        leaves = tuple(tensor.detach() for tensor in self._tensors)
        if isinstance(self._method, GradientAttribution):
            leaves = tuple(one.requires_grad_() if one.is_floating_point() else one for one in leaves)
        return leaves if isinstance(self._inputs, tuple) else leaves[0]

    def _read_layer(self, reshape_transform: ReshapeTransform | None) -> LayerReader | None:
        image = next((index for index, tensor in enumerate(self._tensors) if tensor.dim() > 3), None)
        if image is None:
            return None
        return read_layer_of_maps(self._method, self._call, self._tensors, image, reshape_transform)


def _with_masks(
    method: Attribution, inputs: Tensor | tuple[Tensor, ...], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Add the masks of the images as they are, so that all draws have the same superpixels."""
    if arguments.get("feature_mask") is None:
        if isinstance(method, Recommended):
            return {**arguments, "feature_mask": method.feature_mask(inputs)}
        if isinstance(method, SuperpixelGrouped) and method.mask_generator is not None:
            return {**arguments, "feature_mask": method.feature_mask(inputs)}
    return dict(arguments)


def _predict(output: object, count: int) -> Tensor | None:
    """The classes of images, ``(N,)``: of a single output, whether it is above 0; None where there are none."""
    logits = logits_of_images(output, count)
    if not isinstance(logits, Tensor) or logits.dim() != 2 or len(logits) != count:
        return None
    return logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(dim=1)


def _are_equal(one: object, other: object) -> bool:
    """Whether two outputs of a network are the same, to the last bit."""
    if isinstance(one, (int, float)):
        return one == other
    try:
        return torch.equal(first_logits(one), first_logits(other))
    except ValueError:  # Captum cannot explain them either, and says so
        return False
