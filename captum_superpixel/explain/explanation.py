"""What is known of a photograph once it was explained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from captum_superpixel.explain.classes import Prediction
from captum_superpixel.explain.listing import show
from captum_superpixel.explain.rules import Rule
from captum_superpixel.regions import RegionTable

__all__ = ["Explanation", "Outcome"]


@dataclass(frozen=True)
class Explanation:
    """What is known of one photograph, on the CPU.

    Attributes:
        photograph: The file.
        picture: ``(3, H, W)`` uint8, what the network saw.
        grouped: ``(C, H, W)``, the map by superpixel; one channel for the map of a layer.
        pixels: ``(C, H, W)``, the map by pixel; None for methods that perturb superpixels.
        masks: ``(M, H, W)`` int64, the segments: of an ensemble, of each of its members.
        mask: ``(H, W)`` int64, the regions that the table lists: the segments, or of an ensemble those of its map.
        table: The regions by rank, and what their scores are.
        target: The class that is explained.
        predictions: All classes, the most probable first.
        method: Name of the method.
        rule: How the map was made and pooled.
        masks_option: The text of ``--masks``, or what stands for it.
        baseline: What the method replaces pixels by, in words; empty if it has no such thing.
        remarks: What is in the files of the photograph and the masks but not in the explanation, or hardly to be seen.
        warnings: What to know before the scores are believed; mostly none.
        layer: Name of the layer that the method looks at; empty without one.
        confidence: How the networks were perturbed that say how sure the regions are, in words; empty without that.
        region: ``(H, W)`` bool, the part of the picture that the target is about; None for the whole.
    """

    photograph: Path
    picture: Tensor
    grouped: Tensor
    pixels: Tensor | None
    masks: Tensor
    mask: Tensor
    table: RegionTable
    target: Prediction
    predictions: list[Prediction]
    method: str
    rule: Rule
    masks_option: str
    baseline: str = ""
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    layer: str = ""
    confidence: str = ""
    region: Tensor | None = None

    @property
    def how(self) -> str:
        """How the map was made, in words."""
        return f"{self.method} of {self.layer}, {self.manner}" if self.layer else f"{self.method}, {self.manner}"

    @property
    def manner(self) -> str:
        """How the map was made, but for the method: the rule, the superpixels and the views."""
        weight = f" (negative weight {self.rule.negative_weight:g})" if self.rule.reduction == "evidence" else ""
        manner = f"{self.rule.reduction}{weight} over {self.masks_option}"
        manner += f", {len(self.masks)} segmentations" if len(self.masks) > 1 else ""
        return f"{manner}, {self.rule.views} views" if self.rule.views > 1 else manner

    @property
    def shown(self) -> Tensor:
        """``(1, H, W)``, the map whose means over the regions are their scores: its channels as its pixels reduced."""
        return show(self.grouped, self.rule.reduction)


@dataclass(frozen=True)
class Outcome:
    """What became of one photograph.

    Attributes:
        photograph: The file.
        remarks: What is in its files but not in the explanations, or hardly to be seen; also where it has failed.
        explanations: By the methods that did not fail, in their order.
        failures: Why others did, or why there is no explanation at all.
    """

    photograph: Path
    remarks: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    failures: tuple[str, ...]
