"""What a study compares, and how it measures: its methods, and its groupings of pixels and their roles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from captum_superpixel._blur import gaussian_blur
from captum_superpixel.attr import group_maps, segment_images
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.masks import Felzenszwalb, Grid, Slic, multiscale
from captum_superpixel.masks.base import ImageMaskGenerator, Statistic
from captum_superpixel.study.data import StudyData
from captum_superpixel.study.settings import StudySettings

__all__ = [
    "METHOD_NAMES",
    "PIXELS",
    "SIGNS",
    "Claim",
    "Grouper",
    "Grouping",
    "MapSign",
    "Protocol",
    "Row",
    "make_protocol",
    "size_groupings",
    "standard_groupings",
]

METHOD_NAMES = ("Saliency", "IntegratedGradients", "SmoothGrad")
PIXELS = "pixels"
"""The grouping that leaves maps as they are, which others are held against."""

MapSign: TypeAlias = Literal["signed", "magnitude", "evidence"]
SIGNS: tuple[MapSign, ...] = ("signed", "magnitude")

Role: TypeAlias = Literal["candidate", "control", "drawn", "retrained", "of the paper", "recommended"]
Grouper: TypeAlias = Callable[[Tensor, MapSign], Tensor]
"""From pixel maps (N, C, H, W) and whether magnitudes are grouped to grouped maps of the same shape."""

_BLUR = 1.5 / 32
"""Standard deviation of the blur, relative to the shorter side of the image."""
_PIXELS_PER_SEGMENT = (4, 9, 16, 36, 64, 144, 256)
# As Rong et al. have it, for pixels in [0, 1].
_ROAD_NOISE = 0.01


@dataclass(frozen=True)
class Grouping:
    """One way of grouping: the mean over segments, averaged over several segmentations, or a Gaussian blur.

    With neither, pixels are left as they are; with the sign ``"magnitude"`` it is |a| that is grouped. With generators
    it is what ``SuperpixelGrouped`` does, with the reductions ``"mean"`` and ``"abs_mean"``.

    Args:
        name: What the report calls it.
        generators: Mask generators, whose grouped maps are averaged.
        blur: Standard deviation of the Gaussian, relative to the shorter side of the image; 0 for none.
        roles: What the study does with it: a ``"candidate"`` is compared with every ``"control"``; maps are
            ``"drawn"``; networks are ``"retrained"`` by its order of pixels for ROAR; the one ``"of the paper"`` and
            the one that is ``"recommended"`` are those that claims are about.
        rivals: Names of the controls that the claims set it above, the most important first.
        family: The kind of segments, for groupings that differ in the size of these alone.
        meaning: What is averaged over, in words for the report.
    """

    name: str
    generators: tuple[ImageMaskGenerator, ...] = ()
    blur: float = 0.0
    roles: tuple[Role, ...] = ()
    rivals: tuple[str, ...] = ()
    family: str = ""
    meaning: str = ""

    def describe(self) -> str:
        """Say in a line what is averaged."""
        if self.blur:
            return f"Gaussian blur, standard deviation {self.blur:.3f} of the shorter side"
        return " + ".join(map(repr, self.generators)) or "every pixel by itself"

    def bind(self, inputs: Tensor) -> tuple[Grouper, float]:
        """Segment images, once for all of their maps.

        Args:
            inputs: (N, C, H, W).

        Returns:
            A function that groups maps of these images, and the mean number of segments per image.

        Examples:
            >>> group, segments = Grouping("halves", (Grid(2),)).bind(torch.zeros(1, 1, 1, 4))
            >>> group(torch.tensor([[[[1.0, -1.0, 2.0, 2.0]]]]), "signed")
            tensor([[[[0., 0., 2., 2.]]]])
        """
        masks = segment_images(list(self.generators), inputs) if self.generators else []

        def group(maps: Tensor, sign: MapSign) -> Tensor:
            if masks:
                return group_maps(maps, masks, "abs_mean" if sign == "magnitude" else "mean")
            values = maps.abs() if sign == "magnitude" else maps
            return gaussian_blur(values, self.blur * min(values.shape[-2:])) if self.blur else values

        return group, _mean_segments(masks) if masks else float(inputs[0, 0].numel())


class Row(NamedTuple):
    """A way from an image to a map that is measured for every method, and has a row in the report's tables.

    Args:
        grouping: Of pixels, by name.
        sign: ``"signed"``, ``"magnitude"`` or ``"evidence"``.
        views: Over how many views of the image the map is averaged; 1 for the image as it is.
    """

    grouping: str
    sign: MapSign
    views: int = 1


@dataclass(frozen=True)
class Claim:
    """That one row is above another, for every method.

    Args:
        row: What the claim is about.
        rival: What it is to be above.
        of: The measures: similarities ``"raw"`` or ``"corrected"`` for chance, or ``"fidelity"``.
    """

    row: Row
    rival: Row
    of: Literal["raw", "corrected", "fidelity"]


@dataclass(frozen=True)
class Protocol:
    """How maps are made, grouped and measured.

    Args:
        method_settings: How much work the methods do, and in which units.
        methods: Their names.
        groupings: What is compared.
        sizes: Groupings whose variance over models is measured in addition, beside that of :data:`PIXELS`, and nothing
            else.
        draws: Permutations for the permutation null, spread over the pairs of networks; 0 leaves it out.
        stability: Whether the maps of several networks are compared.
        fidelity: Whether insertion, deletion and ROAD are measured.
        auc_steps: Steps of the insertion and the deletion curve.
        road_noise: Standard deviation of the noise of ROAD's imputation, in units of the network's input.
    """

    method_settings: MethodSettings
    methods: tuple[str, ...]
    groupings: tuple[Grouping, ...]
    sizes: tuple[Grouping, ...] = ()
    draws: int = 2
    stability: bool = True
    fidelity: bool = True
    auc_steps: int = 20
    road_noise: float = 0.01


def make_protocol(settings: StudySettings, data: StudyData) -> Protocol:
    """What the settings say about images of this kind and size."""
    options: dict[str, Any] = {"denormalize": data.denormalize, "channel_order": data.channel_order}
    height, width = data.held_out.batch([0]).shape[-2:]
    return Protocol(
        method_settings=MethodSettings(
            n_steps=settings.n_steps,
            n_samples=settings.n_samples,
            noise=data.noise(settings.noise),
            baseline=data.baseline,
            images_at_once=max(1, 256 * 48 * 48 // max(48 * 48, height * width)),
            signed=True,
        ),
        methods=METHOD_NAMES,
        groupings=standard_groupings(int(settings.n_segments or 1), **options),
        sizes=size_groupings(height, width, **options) if settings.models > 2 else (),
        draws=int(settings.draws or 0),
        stability=settings.models > 1,
        auc_steps=settings.auc_steps,
        road_noise=data.noise(_ROAD_NOISE),
    )


def standard_groupings(
    n_segments: int,
    *,
    counts: Sequence[int] | None = None,
    denormalize: tuple[Statistic, Statistic] | None = None,
    channel_order: Literal["rgb", "bgr"] = "rgb",
) -> tuple[Grouping, ...]:
    """Pixels, square cells, an ensemble of cells, Slic, Felzenszwalb, the ensemble of superpixels, and a blur.

    Args:
        n_segments: Segments of ``Slic`` and, as nearly as can be, cells of the grid.
        counts: Segments of the ensemble's members; None for those of :func:`~captum_superpixel.masks.multiscale`.
        denormalize: The model's preprocessing, as mask generators take it.
        channel_order: ``"rgb"`` or ``"bgr"``.

    Returns:
        The groupings and their roles. The ensemble of cells has as many cells as the ensemble has segments.
    """
    options: dict[str, Any] = {"denormalize": denormalize, "channel_order": channel_order}
    members = multiscale(**options) if counts is None else multiscale(counts, **options)
    cells = tuple(Grid(count) for count in sorted({member.n_segments for member in members}))
    shown: tuple[Role, ...] = ("drawn", "retrained")
    above = (PIXELS, "Slic", "Felzenszwalb", "cell ensemble", "blur")
    return (
        Grouping(PIXELS, roles=("control", *shown), meaning="nothing: the map as it is"),
        Grouping(
            "cells",
            (Grid(n_segments),),
            roles=("control", *shown),
            meaning="control: squares, whatever the image shows",
        ),
        Grouping(
            "cell ensemble",
            cells,
            roles=("control",),
            meaning=f"control: the mean over {len(cells)} sizes of squares",
        ),
        Grouping(
            "Slic",
            (Slic(n_segments, **options),),
            roles=("candidate", "control", "of the paper", *shown),
            rivals=(PIXELS, "cells"),
            meaning="superpixels: compact segments of similar color",
        ),
        Grouping(
            "Felzenszwalb",
            (Felzenszwalb(**options),),
            roles=("candidate", "control"),
            meaning="superpixels: segments of any shape and size along edges",
        ),
        Grouping(
            "ensemble",
            tuple(members),
            roles=("candidate", "recommended", *shown),
            rivals=above,
            meaning=f"superpixels: the mean over {len(members)} segmentations by Slic",
        ),
        Grouping(
            "blur",
            blur=_BLUR,
            roles=("control",),
            meaning=f"control: a Gaussian, standard deviation {_BLUR:.3f} of the shorter side",
        ),
    )


def size_groupings(
    height: int,
    width: int,
    *,
    denormalize: tuple[Statistic, Statistic] | None = None,
    channel_order: Literal["rgb", "bgr"] = "rgb",
) -> tuple[Grouping, ...]:
    """Superpixels and cells of growing size, down to at least four per image.

    Examples:
        >>> [grouping.name for grouping in size_groupings(8, 8)]
        ['Slic 16', 'cells 16', 'Slic 7', 'cells 7', 'Slic 4', 'cells 4']
    """
    counts = [height * width // pixels for pixels in _PIXELS_PER_SEGMENT]
    families: dict[str, Callable[[int], ImageMaskGenerator]] = {
        "Slic": lambda count: Slic(count, denormalize=denormalize, channel_order=channel_order),
        "cells": Grid,
    }
    return tuple(
        Grouping(f"{family} {count}", (make(count),), family=family)
        for count in dict.fromkeys(count for count in counts if count >= 4)
        for family, make in families.items()
    )


def _mean_segments(masks: Sequence[Tensor]) -> float:
    return torch.stack([mask.flatten(1).amax(dim=1) + 1.0 for mask in masks]).mean().item()
