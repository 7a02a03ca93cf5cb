"""The explanation of one photograph: prediction, maps by pixel and by superpixel, and the table of regions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from captum.attr import Attribution
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._region_table import name_score
from captum_superpixel._seeds import seeded
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.attr import SuperpixelGrouped, group_maps, lay_over
from captum_superpixel.attr.methods import (
    METHODS,
    Scene,
    has_layer_output,
    method_options,
    perturbs_segments,
    warn_of_samples,
)
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.ensemble_regions import ensemble_regions
from captum_superpixel.explain.classes import Prediction, rank_classes
from captum_superpixel.explain.mask_option import Segmenter
from captum_superpixel.explain.photographs import open_photograph
from captum_superpixel.models.classifying import classify
from captum_superpixel.pooling import Reduction, reduce_channels
from captum_superpixel.regions import RegionTable, region_table

__all__ = ["Explainer", "Explanation"]

_GRAYS = (0, 64, 128, 191, 255)


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
        reduction: How the map was pooled.
        masks_option: The text of ``--masks``.
        remarks: What is in the files of the photograph and the masks but not in the explanation, or hardly to be seen.
        warning: What to know before the scores are believed; mostly empty.
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
    reduction: Reduction
    masks_option: str
    remarks: tuple[str, ...] = ()
    warning: str = ""

    @property
    def how(self) -> str:
        """How the map was made, in words."""
        how = f"{self.method}, {self.reduction} over {self.masks_option}"
        return how if len(self.masks) == 1 else f"{how}, {len(self.masks)} segmentations"

    @property
    def shown(self) -> Tensor:
        """``(1, H, W)``, the map whose means over the regions are their scores: its channels as its pixels reduced."""
        return show(self.grouped, self.reduction)


@dataclass(frozen=True)
class Explainer:
    """Explains photographs, one by one, all in the same way.

    Attributes:
        model: From inputs ``(1, 3, H, W)`` to logits ``(1, classes)``.
        preprocessing: From photographs to inputs.
        name: Of the method, in ``attr.methods.METHODS``.
        method: The method.
        reduction: How maps are pooled.
        segmenter: Makes the superpixels.
        names: Of the classes, or None.
        target: The class to explain; None for the predicted one.
        device: Where the model is.
        seed: Of everything random, for each photograph anew.
        layer_size: Height and width of the layer's output, or None.
    """

    model: nn.Module
    preprocessing: Preprocessing
    name: str
    method: Attribution
    reduction: Reduction
    segmenter: Segmenter
    names: list[str] | None
    target: int | None
    device: torch.device
    seed: int
    layer_size: tuple[int, int] | None

    @property
    def perturbs(self) -> bool:
        """Whether the method perturbs superpixels, so that it has no map by pixel."""
        return perturbs_segments(self.name, self.method)

    @property
    def score_name(self) -> str:
        """What the score of a region is."""
        quantity = METHODS[self.name].quantity
        if self.perturbs:
            return quantity if self.reduction == "mean" else f"magnitude of the {quantity}"
        return name_score(self.reduction, quantity)

    def __call__(self, path: Path) -> Explanation:
        """Explain one photograph.

        Raises:
            InputError: If it cannot be read, or the network, the method or the masks fail on it.
        """
        remarks: list[str] = []
        photograph = open_photograph(path, remarks.append)
        picture = self.preprocessing.fit(photograph)
        inputs = self.preprocessing.from_uint8(picture[None]).to(self.device)
        predictions = rank_classes(classify(self.model, inputs), self.names)
        index = predictions[0].index if self.target is None else self.target
        masks = self.segmenter(inputs, (photograph.height, photograph.width), remarks.append)
        segments = max(len(torch.unique(mask)) for mask in masks)
        scene = Scene(inputs, index, segments=segments, baselines=self._grays(), layer_size=self.layer_size)
        options = method_options(self.name, self.method, scene)
        warning = warn_of_samples(self.name, self.method, options, segments)
        grouped, pixels = self._attribute(inputs, masks, options)
        # What an ensemble's map shows are the segments of none of its members.
        mask = masks[0] if len(masks) == 1 else ensemble_regions(show(grouped, self.reduction)[None], masks)
        table = replace(_list_regions(grouped, mask.cpu(), self.reduction), score_name=self.score_name)
        if all(math.isnan(region.score) for region in table):
            raise InputError(f"{self.name} has no scores: all of its regions hold NaN or infinite values.")
        return Explanation(
            photograph=path,
            picture=picture,
            grouped=grouped,
            pixels=pixels,
            masks=torch.cat(masks)[:, 0].cpu(),
            mask=mask[0, 0].cpu(),
            table=table,
            target=next(prediction for prediction in predictions if prediction.index == index),
            predictions=predictions,
            method=self.name,
            reduction=self.reduction,
            masks_option=self.segmenter.text,
            remarks=tuple(remarks),
            warning=warning,
        )

    def _attribute(self, inputs: Tensor, masks: list[Tensor], options: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        """The map by superpixel, and the one by pixel that it was made of, ``(C, H, W)`` each."""
        method: Any = self.method
        # Networks that a method cannot handle make it fail in as many ways as there are networks.
        try:
            with seeded(self.seed), ignored_warnings(UserWarning):
                if self.perturbs:
                    wrapped = SuperpixelGrouped(method, None, reduction=self.reduction)
                    return wrapped.attribute(inputs, feature_mask=masks, **options)[0].detach().cpu(), None
                maps: Tensor = method.attribute(inputs.clone().requires_grad_(), **options).detach()
        except Exception as error:  # any method on any network may raise anything
            raise InputError(f"{self.name} failed on this network ({type(error).__name__}: {error}).") from error
        if has_layer_output(method):
            # Made one first: hundreds of channels, each of the size of the photograph, would show no more.
            whole = METHODS[self.name].channels == "mean"
            maps = maps.mean(dim=1, keepdim=True) if whole else maps.sum(dim=1, keepdim=True)
            maps = lay_over(maps, inputs.shape[2:])
        if self.reduction == "abs_mean":
            maps = maps.abs()
        return group_maps(maps, masks, self.reduction)[0].cpu(), maps[0].cpu()

    def _grays(self) -> Tensor:
        """A distribution of baselines that does not depend on any data: five even grays, from black to white."""
        levels = torch.tensor(_GRAYS, dtype=torch.uint8).view(-1, 1, 1, 1)
        return self.preprocessing.from_uint8(levels.expand(-1, 3, *self.preprocessing.shape)).to(self.device)


def show(grouped: Tensor, reduction: Reduction) -> Tensor:
    """Make one map ``(1, H, W)`` of a grouped one ``(C, H, W)``, reducing its channels as its pixels were.

    Examples:
        >>> grouped = torch.tensor([[[2.0]], [[4.0]]])
        >>> [show(grouped, reduction).item() for reduction in ("mean", "sum", "max")]
        [3.0, 6.0, 4.0]
    """
    # In float64 the mean of equal channels is what each of them holds.
    return reduce_channels(grouped.double()[None], reduction)[0]


def _list_regions(grouped: Tensor, mask: Tensor, reduction: Reduction) -> RegionTable:
    """Rank the regions of a map ``(C, H, W)`` by what is shown of it, with the scores of the channels beside that."""
    table = region_table(show(grouped, reduction)[None], mask)
    channels = {region.id: region.channel_scores for region in region_table(grouped[None], mask)}
    return replace(table, regions=tuple(replace(region, channel_scores=channels[region.id]) for region in table))
