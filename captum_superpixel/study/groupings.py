"""Groupings: what a study compares, the roles that each has, and which of its maps are measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

from torch import Tensor

from captum_superpixel.attr.pixel_maps import PixelMaps
from captum_superpixel.attr.recipes import SMALL
from captum_superpixel.masks import Felzenszwalb, Grid, Slic, multiscale
from captum_superpixel.masks.base import ImageMaskGenerator, Statistic
from captum_superpixel.study.choice import FORMER, Choice, choice_for
from captum_superpixel.study.rows import PIXELS, SIGNS, MapSign, Row
from captum_superpixel.study.settings import N_VIEWS
from captum_superpixel.study.smoothing import (
    AnotherImage,
    Blur,
    CenteredGaussian,
    GuidedFilter,
    Pixels,
    Segmented,
    Segments,
    Shuffled,
    Smooth,
    Smoothing,
)

__all__ = ["FORMER_ENSEMBLE", "Grouper", "Grouping", "Role", "size_groupings", "standard_groupings"]

FORMER_ENSEMBLE = "former ensemble"
"""The one that was recommended until now, where another one has taken its place."""

Role: TypeAlias = Literal["candidate", "control", "null", "drawn", "retrained"]
Forms: TypeAlias = tuple[tuple[MapSign, int], ...]

_NONE = Pixels()
_NARROW, _WIDE = 0.5, 1.5
"""Of blurs beside the best one, in parts of its width: that it is the best is then seen."""
_PIXELS_PER_SEGMENT = (4, 9, 16, 36, 64, 144, 256)


class Grouper(Protocol):
    """From the pixel maps of some images, and how signs are treated, to grouped maps (N, C, H, W)."""

    def __call__(self, maps: PixelMaps, sign: MapSign, negative_weight: float = 0.5, seed: int = 0) -> Tensor:
        """Group maps.

        Args:
            maps: Of the images that were bound.
            sign: How signs are treated.
            negative_weight: What negative values count for where they are averaged apart.
            seed: Of what is drawn, if anything is.
        """


@dataclass(frozen=True)
class Grouping:
    """One way of grouping, under the name that the report gives it.

    Args:
        name: What the report calls it.
        smoothing: What it does to a map.
        roles: What the study does with it: a ``"candidate"`` is compared with every ``"control"``; a ``"null"`` knows
            nothing of what a map is to show; maps are ``"drawn"``; networks are ``"retrained"`` by its order of pixels
            for ROAR.
        forms: Which maps are measured: how signs are treated, and over how many views they are averaged.
        family: The kind of segments, for groupings that differ in the size of these alone.
        meaning: What is averaged over, in words for the report.
    """

    name: str
    smoothing: Smoothing = _NONE
    roles: tuple[Role, ...] = ()
    forms: Forms = tuple((sign, 1) for sign in SIGNS)
    family: str = ""
    meaning: str = ""

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is measured of it."""
        return tuple(Row(self.name, sign, views) for sign, views in self.forms)

    def describe(self) -> str:
        """Say in a line what is averaged."""
        return self.smoothing.describe()

    def bind(self, images: Tensor | Segmented) -> tuple[Grouper, float]:
        """Segment images, once for all of their maps.

        Args:
            images: (N, C, H, W), or what holds their masks for other groupings too.

        Returns:
            A function that groups maps of these images, and the mean number of segments per image.

        Examples:
            >>> import torch
            >>> group, segments = Grouping("halves", Segments((Grid(2),))).bind(torch.zeros(1, 1, 1, 4))
            >>> signed = torch.tensor([[[[3.0, -1.0, 2.0, 2.0]]]])
            >>> maps = PixelMaps(signed, signed.abs(), contributions=signed)
            >>> group(maps, "signed"), group(maps, "magnitude")
            (tensor([[[[1., 1., 2., 2.]]]]), tensor([[[[2., 2., 2., 2.]]]]))
            >>> group(maps, "evidence")
            tensor([[[[1.2500, 1.2500, 2.0000, 2.0000]]]])
        """
        smooth, count = self.smoothing.bind(images if isinstance(images, Segmented) else Segmented(images))
        return partial(_group, smooth), count


def _group(smooth: Smooth, maps: PixelMaps, sign: MapSign, negative_weight: float = 0.5, seed: int = 0) -> Tensor:
    if sign == "evidence":
        # As SuperpixelGrouped(reduction="evidence") does.
        added = maps.contributions.sum(dim=1, keepdim=True)
        positive, negative = smooth(added.clamp(min=0), seed), smooth(added.clamp(max=0), seed)
        return (positive + negative_weight * negative).expand(maps.contributions.shape).contiguous()
    return smooth(maps.magnitude if sign == "magnitude" else maps.signed, seed)


def standard_groupings(
    n_segments: int,
    *,
    n_views: int = N_VIEWS,
    choice: Choice | None = None,
    counts: Sequence[int] | None = None,
    denormalize: tuple[Statistic, Statistic] | None = None,
    channel_order: Literal["rgb", "bgr"] = "rgb",
) -> tuple[Grouping, ...]:
    """Pixels, superpixels and the recommended ensemble of them, what these must be better than, and nulls.

    Args:
        n_segments: Segments of ``Slic`` and, as nearly as can be, cells of the grid.
        n_views: Views that maps are averaged over, beside those of the image as it is; 1 leaves them out.
        choice: What is recommended, and how its rivals are tuned; None for what was chosen for small
            images.
        counts: Segments of the ensemble's members, in place of those that were chosen.
        denormalize: The model's preprocessing, as mask generators take it; for the guided filter, None stands for
            inputs in [0, 1].
        channel_order: ``"rgb"`` or ``"bgr"``.

    Returns:
        The groupings and their roles. The ensemble of cells has as many cells as the ensemble has segments; the
        ensemble that was recommended before is there where it is another one.
    """
    chosen = choice or choice_for(SMALL, SMALL)
    options: dict[str, Any] = {"denormalize": denormalize, "channel_order": channel_order}
    members = multiscale(chosen.n_segments if counts is None else counts, chosen.compactness, **options)
    cells = tuple(Grid(count) for count in sorted({member.n_segments for member in members}))
    ensemble = Segments(tuple(members))
    # The same rule and the same number of passes for what is recommended and for its rivals.
    once: Forms = (("signed", 1), ("magnitude", 1), ("evidence", 1))
    over_views: Forms = (("magnitude", n_views), ("evidence", n_views))
    forms = tuple(dict.fromkeys((*once, *over_views)))
    magnitude: Forms = (("magnitude", 1),)
    null: Any = {"roles": ("null",), "forms": (("magnitude", n_views),)}
    shown: tuple[Role, ...] = ("drawn", "retrained")
    former = Grouping(
        FORMER_ENSEMBLE,
        Segments(tuple(multiscale(*FORMER, **options))),
        roles=("candidate",),
        forms=magnitude,
        meaning="superpixels: the ensemble that was recommended before",
    )
    replaced = counts is None and (chosen.n_segments, chosen.compactness) != FORMER
    return (
        Grouping(PIXELS, roles=("control", *shown), forms=forms, meaning="nothing: the map as it is"),
        Grouping(
            "cells",
            Segments((Grid(n_segments),)),
            roles=("control", *shown),
            meaning="control: squares, whatever the image shows",
        ),
        Grouping(
            "cell ensemble",
            Segments(cells),
            roles=("control",),
            forms=forms,
            meaning=f"control: the mean over {len(cells)} sizes of squares",
        ),
        Grouping(
            "Slic",
            Segments((Slic(n_segments, **options),)),
            roles=("candidate", *shown),
            meaning="superpixels: compact segments of similar color",
        ),
        Grouping(
            "Felzenszwalb",
            Segments((Felzenszwalb(**options),)),
            roles=("candidate",),
            meaning="superpixels: segments of any shape and size along edges",
        ),
        Grouping(
            "ensemble",
            ensemble,
            roles=("candidate", *shown),
            forms=forms,
            meaning=f"superpixels: the mean over {len(members)} segmentations by Slic",
        ),
        *([former] if replaced else []),
        Grouping(
            "blur",
            Blur(chosen.blur),
            roles=("control", "drawn"),
            forms=forms,
            meaning="control: a Gaussian of the width that does best on other images",
        ),
        Grouping(
            "narrow blur",
            Blur(_NARROW * chosen.blur),
            roles=("control",),
            forms=magnitude,
            meaning="control: a narrower Gaussian",
        ),
        Grouping(
            "wide blur",
            Blur(_WIDE * chosen.blur),
            roles=("control",),
            forms=magnitude,
            meaning="control: a wider Gaussian",
        ),
        Grouping(
            "guided filter",
            GuidedFilter(chosen.guided_radius, chosen.guided_eps, denormalize),
            roles=("control",),
            forms=forms,
            meaning="control: smoothed along the edges of the image, without segments",
        ),
        Grouping(
            "centered Gaussian",
            CenteredGaussian(),
            roles=("null",),
            forms=magnitude,
            meaning="null: the same spot in the middle of every image",
        ),
        Grouping("another image", AnotherImage(ensemble), meaning="null: the ensemble's map of another image", **null),
        Grouping("shuffled", Shuffled(ensemble), meaning="null: permuted pixels, averaged as in the ensemble", **null),
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
        Grouping(f"{family} {count}", Segments((make(count),)), family=family)
        for count in dict.fromkeys(count for count in counts if count >= 4)
        for family, make in families.items()
    )
