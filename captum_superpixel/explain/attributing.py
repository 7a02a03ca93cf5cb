"""A method that was chosen, and what it makes of a batch of photographs: maps, and warnings about these."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from captum.attr import Attribution
from torch import Tensor

from captum_superpixel._checks import InputError
from captum_superpixel._networks import describe_error
from captum_superpixel._numbers import find_common_unit
from captum_superpixel._seeds import seeded
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.attr import SuperpixelGrouped, group_maps, lay_over
from captum_superpixel.attr.completeness import COMPLETE, Completeness, check_completeness
from captum_superpixel.attr.hooks import missing_hooks
from captum_superpixel.attr.methods import (
    METHODS,
    MethodSettings,
    Scene,
    has_layer_output,
    method_options,
    perturbs_segments,
    warn_of_samples,
)
from captum_superpixel.attr.recipes import explain_by, view_options
from captum_superpixel.attr.rules import rules_kept
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.baselines import describe_baseline, make_baseline
from captum_superpixel.explain.mask_option import Segmenter
from captum_superpixel.explain.network import needs_gradient
from captum_superpixel.explain.one_pass import KeptPass, takes_kept_pass, with_kept_pass
from captum_superpixel.explain.rules import Rule
from captum_superpixel.regions.table import name_magnitude, name_score

__all__ = ["Attributed", "ChosenMethod", "Drawing", "describe_missed"]

_TOLERANCE = 0.1
"""How much of the change of the output a map may miss before it is said."""
_REMEDIES = {
    "IntegratedGradients": "take more --steps",
    "LRP": "what biases and sums of branches contribute is not in it; compare with another method",
}
_NON_LINEAR = (
    "DeepLift in Captum knows non-linearities that are modules, such as torch.nn.ReLU, each used once, and max-pooling "
    "only roughly; make the others modules, or compare with IntegratedGradients"
)

Drawing = Callable[[Attribution, Tensor, dict[str, Any]], Tensor]
"""From a method, its inputs ``(N, C, H, W)`` and options to maps of perturbed networks ``(J, N, C, H, W)``."""


@dataclass(frozen=True)
class Attributed:
    """What a method made of one photograph, on the CPU.

    Attributes:
        grouped: ``(C, H, W)``, the map by superpixel; one channel for the map of a layer.
        pixels: ``(C, H, W)``, the map by pixel; None for methods that perturb superpixels.
        warnings: What to know before the scores are believed; mostly none.
    """

    grouped: Tensor
    pixels: Tensor | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class ChosenMethod:
    """A method with all that was settled about it.

    Attributes:
        name: In ``attr.methods.METHODS``.
        method: The method.
        rule: How its maps are made and pooled.
        segmenter: Makes the superpixels.
        settings: How much work it does.
        grays: ``(B, C, H, W)``, the baselines of the methods that have a distribution of them.
        layer_size: Height and width of the layer's output; None without a layer.
        baseline: One of ``choices.BASELINES``; None for the method's own.
        layer: Name of the layer; empty without one.
    """

    name: str
    method: Attribution
    rule: Rule
    segmenter: Segmenter
    settings: MethodSettings
    grays: Tensor
    layer_size: tuple[int, int] | None = None
    baseline: str | None = None
    layer: str = ""

    @property
    def together(self) -> bool:
        """Whether photographs are explained several at a time, as one by one but for rounding."""
        return not METHODS[self.name].alone

    def within(self, images_at_once: int) -> ChosenMethod:
        """The same method, which gives the network no more images at once than these, or than it is called with."""
        if images_at_once == self.settings.images_at_once:
            return self
        return replace(self, settings=replace(self.settings, images_at_once=images_at_once))

    @property
    def perturbs(self) -> bool:
        """Whether the method perturbs superpixels, so that it has no map by pixel."""
        return perturbs_segments(self.name, self.method)

    @property
    def score_name(self) -> str:
        """What the score of a region is."""
        quantity, reduction = METHODS[self.name].quantity, self.rule.reduction
        if reduction == "evidence":
            return "evidence"
        if self.perturbs:
            return quantity if reduction == "mean" else name_magnitude(quantity)
        return name_score(reduction, quantity)

    @cached_property
    def _seen(self) -> Attribution:
        """The method with what makes its maps those that the rule pools."""
        return explain_by(self.method, self.rule.reduction, views=self.rule.views > 1)

    def _options(self, scene: Scene) -> dict[str, Any]:
        """The arguments of the method, and of its views if there are several."""
        options = method_options(self.name, self.method, scene)
        if self.rule.views == 1:
            return options
        # The channels of a layer's map are made one before anything has a magnitude.
        reduction = "mean" if has_layer_output(self.method) else self.rule.reduction
        return options | view_options(self.method, reduction, self.rule.views)

    def describe_baseline(self, preprocessing: Preprocessing) -> str:
        """Say what the method replaces pixels by; empty if it has no such thing."""
        if self.name in ("DeepLiftShap", "GradientShap", "LayerDeepLiftShap", "LayerGradientShap"):
            return "five grays, from black to white"
        if self.name == "XRAI" and self.baseline is None:
            return "the photograph's smallest and largest value"
        return describe_baseline(self.baseline or "0", preprocessing) if "baseline" in METHODS[self.name].takes else ""

    @property
    def takes_kept_pass(self) -> bool:
        """Whether the method needs no other pass of the network than the one by which it predicts."""
        return self._seen is self.method and takes_kept_pass(self.method)

    def __call__(
        self,
        inputs: Tensor,
        targets: Sequence[int],
        masks: Sequence[Tensor],
        seed: int,
        kept: KeptPass | None = None,
    ) -> list[Attributed]:
        """Attribute to the superpixels of photographs.

        Args:
            inputs: ``(N, C, H, W)``.
            targets: The class to explain of each.
            masks: Segments ``(N, 1, H, W)``, of an ensemble one for each member.
            seed: Of everything random.
            kept: A pass of the network on these inputs, for a method that takes one; None to run the network.

        Raises:
            InputError: If the method or the network fails on them, or there are too many segments.
        """
        if self.baseline == "segment-mean" and len(masks) > 1:
            # Each segmentation has means of its own, and so a map of its own, also by pixel.
            return _average([self._attribute(inputs, targets, [mask], seed) for mask in masks])
        return self._attribute(inputs, targets, masks, seed, kept)

    def _attribute(
        self,
        inputs: Tensor,
        targets: Sequence[int],
        masks: Sequence[Tensor],
        seed: int,
        kept: KeptPass | None = None,
    ) -> list[Attributed]:
        scene = self._scene(inputs, targets, masks)
        options, reduction = self._options(scene), self.rule.reduction
        said = [warn_of_samples(self.name, self.method, options, scene.segments), missing_hooks(self.method)]
        said.append(self._unseen(options))
        # Networks that a method cannot handle make it fail in as many ways as there are networks.
        try:
            with seeded(seed), ignored_warnings(UserWarning), rules_kept(self.method):
                if self.perturbs:
                    wrapped = SuperpixelGrouped(self._seen, None, reduction=reduction)
                    grouped = wrapped.attribute(inputs, feature_mask=list(masks), **options).detach().cpu()
                    return [Attributed(one, None, tuple(filter(None, said))) for one in grouped]
                method: Any = self._seen if kept is None else with_kept_pass(self.method, kept)
                leaf = inputs.clone().requires_grad_(needs_gradient(self.name)) if kept is None else kept.inputs
                maps: Tensor = method.attribute(leaf, **options).detach()
            missed = self._missed(inputs, maps, options)
        except Exception as error:  # any method on any network may raise anything
            raise InputError(f"{self.name} failed on this network ({describe_error(error)}).") from error
        if has_layer_output(self.method):
            # Made one first: hundreds of channels, each of the size of the photograph, would show no more.
            whole = METHODS[self.name].channels == "mean"
            maps = maps.mean(dim=1, keepdim=True) if whole else maps.sum(dim=1, keepdim=True)
            maps = lay_over(maps, inputs.shape[2:])
        maps, grouped = self._pool(maps, masks)
        return [
            Attributed(one, pixels, tuple(filter(None, [*said, text])))
            for one, pixels, text in zip(grouped, maps.cpu(), missed, strict=True)
        ]

    def draw(self, drawing: Drawing, inputs: Tensor, targets: Sequence[int], masks: Sequence[Tensor]) -> Tensor:
        """Attribute to the superpixels with perturbed networks, by a method of pixels.

        Args:
            drawing: From the method, the inputs and further arguments of ``attribute`` to J maps of each input.
            inputs: ``(N, C, H, W)``.
            targets: The class to explain of each.
            masks: Segments ``(N, 1, H, W)``, of an ensemble one for each member.

        Returns:
            ``(J, N, C, H, W)``, on the CPU.

        Raises:
            InputError: If the method or the network fails.
        """
        if self.baseline == "segment-mean" and len(masks) > 1:
            return torch.stack([self.draw(drawing, inputs, targets, [mask]) for mask in masks]).mean(dim=0)
        options = self._options(self._scene(inputs, targets, masks))
        try:
            with ignored_warnings(UserWarning), rules_kept(self.method):
                draws = drawing(self._seen, inputs, options)
        except Exception as error:  # any method on any network may raise anything
            raise InputError(f"{self.name} failed on a perturbed network ({describe_error(error)}).") from error
        return torch.stack([self._pool(maps, masks)[1] for maps in draws])

    def _scene(self, inputs: Tensor, targets: Sequence[int], masks: Sequence[Tensor]) -> Scene:
        target = targets[0] if len(targets) == 1 else torch.tensor(targets, device=inputs.device)
        segments = max(len(torch.unique(mask)) for of_member in masks for mask in of_member)
        baseline = None if self.baseline is None else make_baseline(self.baseline, inputs, masks)
        return Scene(inputs, target, self.settings, segments, self.grays, self.layer_size, baseline)

    def _pool(self, maps: Tensor, masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Make of maps ``(N, C, H, W)`` those by pixel that are shown, and those by superpixel, on the CPU."""
        reduction = self.rule.reduction
        if reduction == "abs_mean":
            maps = maps.abs()
        elif reduction == "evidence":
            maps = maps.sum(dim=1, keepdim=True)
        return maps, group_maps(maps, masks, reduction, negative_weight=self.rule.negative_weight).cpu()

    def _unseen(self, options: dict[str, Any]) -> str:
        """Say that there are fewer steps or noisy copies than views, each of which sees one; empty if there are not."""
        if not options.get("spread"):
            return ""
        name = next(name for name in ("nt_samples", "n_samples", "n_steps") if name in options)
        if options[name] >= self.rule.views:
            return ""
        what = "steps" if name == "n_steps" else "noisy copies"
        return (
            f"each of the {what} sees one view, and there are {options[name]} of them for {self.rule.views} views: "
            f"take as many {'--steps' if name == 'n_steps' else '--samples'}"
        )

    def _missed(self, inputs: Tensor, maps: Tensor, options: dict[str, Any]) -> list[str]:
        """What to say of the completeness of each map, mostly nothing; averages over views are not complete."""
        if self.name not in COMPLETE or self.rule.views > 1:
            return [""] * len(inputs)
        return [
            describe_missed(self.name, each)
            for each in check_completeness(self.name, self.method, inputs, maps, options)
        ]


def describe_missed(name: str, found: Completeness) -> str:
    """Say that a map does not add up to the change of the output, and what to do; empty if it does, nearly.

    Examples:
        >>> describe_missed("IntegratedGradients", Completeness(total=2.0, change=4.0))
        'the map adds up to 2, but the output changes by 4 from the baseline, 50 % off: take more --steps'
        >>> describe_missed("LRP", Completeness(total=2e-5, change=1e-5)).partition(",")[0]
        'the map adds up to 20 millionths'
        >>> describe_missed("IntegratedGradients", Completeness(total=3.9, change=4.0))
        ''
    """
    if not math.isfinite(found.total) or found.missed <= _TOLERANCE:
        return ""
    unit = find_common_unit((found.total, found.change))
    total, change = unit.show(found.total), unit.show(found.change)
    what = f"the output is {change}" if name == "LRP" else f"the output changes by {change} from"
    base = "" if name == "LRP" else " the baselines on average" if name == "DeepLiftShap" else " the baseline"
    off = f", {100 * found.missed:.0f} % off" if math.isfinite(found.missed) else ""
    return f"the map adds up to {total}, but {what}{base}{off}: {_REMEDIES.get(name, _NON_LINEAR)}"


def _average(by_mask: Sequence[list[Attributed]]) -> list[Attributed]:
    """Average what was made of each photograph over several segmentations."""
    return [
        Attributed(
            torch.stack([each.grouped for each in those]).mean(dim=0),
            None if those[0].pixels is None else torch.stack([p for e in those if (p := e.pixels) is not None]).mean(0),
            tuple(dict.fromkeys(text for each in those for text in each.warnings)),
        )
        for those in zip(*by_mask, strict=True)
    ]
