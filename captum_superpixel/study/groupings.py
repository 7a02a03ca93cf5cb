"""The ways of grouping a map's pixels that the study compares, the controls among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import scipy.ndimage
import torch
from torch import Tensor

from captum_superpixel.masks import Felzenszwalb, Grid, Slic, multiscale
from captum_superpixel.masks.base import ImageMaskGenerator, Statistic, segment_with_all
from captum_superpixel.pooling import pool_segments

__all__ = ["SIGNS", "Grouping", "Pool", "Sign", "standard_groupings"]

Sign: TypeAlias = Literal["signed", "magnitude"]
SIGNS: tuple[Sign, ...] = ("signed", "magnitude")

_ndimage: Any = scipy.ndimage
_BLUR = 1.5 / 32
"""Standard deviation of the blur, relative to the shorter side of the image."""

Pool = Callable[[Tensor, Sign], Tensor]
"""From pixel maps (N, C, H, W) and whether magnitudes are pooled to grouped maps of the same shape."""


@dataclass(frozen=True)
class Grouping:
    """One way of grouping: the mean over segments, averaged over several segmentations, or a Gaussian blur.

    With neither, pixels are left as they are; with the sign ``"magnitude"`` it is |a| that is grouped.

    Args:
        name: What the report calls it.
        generators: Mask generators, whose grouped maps are averaged.
        blur: Standard deviation of the Gaussian, relative to the shorter side of the image; 0 for none.
    """

    name: str
    generators: tuple[ImageMaskGenerator, ...] = ()
    blur: float = 0.0

    def describe(self) -> str:
        """Say in a line what is averaged."""
        if self.blur:
            return f"Gaussian blur, standard deviation {self.blur:.3f} of the shorter side"
        return " + ".join(map(repr, self.generators)) or "every pixel by itself"

    def bind(self, inputs: Tensor) -> tuple[Pool, float]:
        """Segment images, once for all of their maps.

        Args:
            inputs: (N, C, H, W).

        Returns:
            A function that groups maps of these images, and the mean number of segments of an image.

        Examples:
            >>> import torch
            >>> pool, segments = Grouping("halves", (Grid(2),)).bind(torch.zeros(1, 1, 1, 4))
            >>> pool(torch.tensor([[[[1.0, -1.0, 2.0, 2.0]]]]), "signed")
            tensor([[[[0., 0., 2., 2.]]]])
        """
        masks = segment_with_all(self.generators, inputs)
        segments = _mean_segments(masks) if masks else float(inputs[0, 0].numel())

        def pool(maps: Tensor, sign: Sign) -> Tensor:
            values = maps.abs() if sign == "magnitude" else maps
            if self.blur:
                return _blur(values, self.blur * min(values.shape[-2:]))
            if not masks:
                return values
            return torch.stack([pool_segments(values, mask) for mask in masks]).mean(dim=0)

        return pool, segments


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
        Seven groupings. The ensemble of cells has as many cells as the ensemble has segments.
    """
    options: dict[str, Any] = {"denormalize": denormalize, "channel_order": channel_order}
    members = multiscale(**options) if counts is None else multiscale(counts, **options)
    cells = sorted({member.n_segments for member in members})
    return (
        Grouping("pixels"),
        Grouping("cells", (Grid(n_segments),)),
        Grouping("cell ensemble", tuple(Grid(count) for count in cells)),
        Grouping("Slic", (Slic(n_segments, **options),)),
        Grouping("Felzenszwalb", (Felzenszwalb(**options),)),
        Grouping("ensemble", tuple(members)),
        Grouping("blur", blur=_BLUR),
    )


def _mean_segments(masks: Sequence[Tensor]) -> float:
    return torch.stack([mask.flatten(1).amax(dim=1) + 1.0 for mask in masks]).mean().item()


def _blur(maps: Tensor, sigma: float) -> Tensor:
    blurred = _ndimage.gaussian_filter(maps.cpu().numpy(), (0, 0, sigma, sigma), mode="reflect")
    return torch.from_numpy(blurred).to(maps.device)
