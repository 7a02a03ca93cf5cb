"""How maps are smoothed: over segments, by a blur, along edges, or not at all; and maps that know nothing, as nulls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from captum_superpixel import metrics
from captum_superpixel._blur import gaussian_blur
from captum_superpixel.attr import group_maps, segment_images
from captum_superpixel.masks.base import ImageMaskGenerator, Statistic
from captum_superpixel.study.guided_filter import guided_filter

__all__ = [
    "AnotherImage",
    "Blur",
    "CenteredGaussian",
    "GuidedFilter",
    "Pixels",
    "Segmented",
    "Segments",
    "Shuffled",
    "Smooth",
    "Smoothing",
]


class Smooth(Protocol):
    """From maps (N, C, H, W) to smoothed maps of the same shape; the seed decides what is drawn, if anything is."""

    def __call__(self, maps: Tensor, seed: int = 0) -> Tensor:
        """Smooth maps."""


@dataclass
class Segmented:
    """Images, and the masks of their segments: each generator segments them once, whoever asks.

    Args:
        inputs: (N, C, H, W).
        masks: What was asked for so far.
    """

    inputs: Tensor
    masks: dict[ImageMaskGenerator, Tensor] = field(default_factory=dict)

    def by(self, generators: Iterable[ImageMaskGenerator]) -> list[Tensor]:
        """Masks (N, 1, H, W) int64, one for each generator."""
        wanted = list(generators)
        missing = [generator for generator in dict.fromkeys(wanted) if generator not in self.masks]
        if missing:
            # Those of a list share what they can.
            self.masks |= zip(missing, segment_images([*missing], self.inputs), strict=True)
        return [self.masks[generator] for generator in wanted]


class Smoothing(Protocol):
    """A way of smoothing maps."""

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Make ready for the maps of some images.

        Args:
            images: Whose maps are smoothed.

        Returns:
            A function that smooths maps of these images, and the mean number per image of what has one value: of
            segments, or else of pixels.
        """

    def describe(self) -> str:
        """Say in a line what is averaged."""


@dataclass(frozen=True)
class Pixels:
    """No smoothing."""

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Leave maps as they are."""

        def smooth(maps: Tensor, seed: int = 0) -> Tensor:
            return maps

        return smooth, _pixels(images)

    def describe(self) -> str:
        """Say that nothing is averaged."""
        return "every pixel by itself"


@dataclass(frozen=True)
class Segments:
    """The mean over segments, averaged over several segmentations: what ``SuperpixelGrouped`` does.

    Args:
        generators: Of the masks, at least one.

    Examples:
        >>> from captum_superpixel.masks import Grid
        >>> smooth, count = Segments((Grid(2),)).bind(Segmented(torch.zeros(1, 1, 1, 4)))
        >>> smooth(torch.tensor([[[[1.0, -1.0, 2.0, 2.0]]]])), count
        (tensor([[[[0., 0., 2., 2.]]]]), 2.0)
    """

    generators: tuple[ImageMaskGenerator, ...]

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Segment the images."""
        masks = images.by(self.generators)

        def smooth(maps: Tensor, seed: int = 0) -> Tensor:
            return group_maps(maps, masks)

        return smooth, torch.stack([mask.flatten(1).amax(dim=1) + 1.0 for mask in masks]).mean().item()

    def describe(self) -> str:
        """Name the generators."""
        return " + ".join(map(repr, self.generators))


@dataclass(frozen=True)
class Blur:
    """A Gaussian blur, whatever the image shows.

    Args:
        width: Standard deviation, in parts of the shorter side.
    """

    width: float

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Blur maps."""

        def smooth(maps: Tensor, seed: int = 0) -> Tensor:
            return gaussian_blur(maps, self.width * min(maps.shape[-2:]))

        return smooth, _pixels(images)

    def describe(self) -> str:
        """Name the width."""
        return f"Gaussian blur, standard deviation {self.width:.3f} of the shorter side"


@dataclass(frozen=True)
class GuidedFilter:
    """A guided filter, whose guide is the mean of the picture's channels.

    Args:
        radius: Of its windows, in parts of the shorter side, rounded to pixels and at least one.
        eps: What the variance of the guide, in [0, 1], is compared with.
        denormalize: ``(mean, std)``, with which inputs become pixels in [0, 1]; None where they are.
    """

    radius: float
    eps: float
    denormalize: tuple[Statistic, Statistic] | None = None

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Take the images for guides."""
        mean, std = (torch.as_tensor(each, dtype=torch.float64).view(-1, 1, 1) for each in self.denormalize or (0, 1))
        guide = (images.inputs.cpu().double() * std + mean).clamp(0, 1).mean(dim=1, keepdim=True)
        guide = guide.to(images.inputs)

        def smooth(maps: Tensor, seed: int = 0) -> Tensor:
            return guided_filter(maps, guide, max(1, round(self.radius * min(maps.shape[-2:]))), self.eps)

        return smooth, _pixels(images)

    def describe(self) -> str:
        """Name what it depends on."""
        return f"guided filter, windows of radius {self.radius:.3f} of the shorter side, eps {self.eps:g}"


@dataclass(frozen=True)
class CenteredGaussian:
    """A null that knows nothing: the same Gaussian in the middle of every map, whatever the map holds.

    Args:
        deviation: Standard deviation along each side, in parts of it.
    """

    deviation: float = 0.25

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Give the Gaussian for a map."""

        def smooth(maps: Tensor, seed: int = 0) -> Tensor:
            return metrics.centered_gaussian(maps, self.deviation)

        return smooth, _pixels(images)

    def describe(self) -> str:
        """Name the width."""
        return f"no map: a Gaussian in the middle, standard deviation {self.deviation:g} of each side"


@dataclass(frozen=True)
class AnotherImage:
    """A null that knows the network but not the image: the smoothed map of the next one; for the last, of the first.

    Args:
        smoothing: How that map is smoothed, by its own image.
    """

    smoothing: Smoothing

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Exchange the maps of at least two images."""
        inner, count = self.smoothing.bind(images)

        def smooth(maps: Tensor, seed: int = 0) -> Tensor:
            return metrics.another_image(inner(maps, seed))

        return smooth, count

    def describe(self) -> str:
        """Say what is exchanged."""
        return f"the next image's map: {self.smoothing.describe()}"


@dataclass(frozen=True)
class Shuffled:
    """A null that knows the image but not the network: the pixels of the map are permuted, then smoothed.

    Args:
        smoothing: What gives this noise its texture.
    """

    smoothing: Smoothing

    def bind(self, images: Segmented) -> tuple[Smooth, float]:
        """Permute the pixels of maps by a seed, all channels of a pixel together."""
        inner, count = self.smoothing.bind(images)

        def smooth(maps: Tensor, seed: int = 0) -> Tensor:
            return inner(metrics.permute_pixels(maps, torch.Generator().manual_seed(seed)), seed)

        return smooth, count

    def describe(self) -> str:
        """Say what is permuted."""
        return f"permuted pixels: {self.smoothing.describe()}"


def _pixels(images: Segmented) -> float:
    return float(images.inputs[0, 0].numel())
