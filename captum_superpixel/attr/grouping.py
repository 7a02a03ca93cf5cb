"""The functions that ``SuperpixelGrouped`` is made of, for callers that segment once and reuse maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from captum_superpixel.attr._masks import MaskGenerator, generate
from captum_superpixel.feature_masks import MaskLike, check_feature_mask, repeat_for_batch
from captum_superpixel.pooling import Reduction, pool_segments

__all__ = ["INTERPOLATE_MODES", "group_maps", "lay_over", "segment_images"]

INTERPOLATE_MODES: dict[str, dict[int, str]] = {
    "bilinear": {1: "linear", 2: "bilinear", 3: "trilinear"},
    "bicubic": {2: "bicubic"},
    **{mode: dict.fromkeys((1, 2, 3), mode) for mode in ("nearest", "nearest-exact", "area")},
}
"""PyTorch's name of each mode, by the number of spatial dimensions."""


def group_maps(
    maps: Tensor, feature_masks: Sequence[MaskLike], reduction: Reduction = "mean", pool_channels: bool = False
) -> Tensor:
    """Pool maps within the segments of each mask, and average over the masks: what ``SuperpixelGrouped`` does to a map.

    For callers that group one map in several ways, and so compute it only once.

    Args:
        maps: Floating-point maps ``(N, C, *spatial)``.
        feature_masks: At least one mask ``(M, 1 or C, *spatial)`` where M divides N; see ``attribute``.
        reduction: As for ``SuperpixelGrouped``.
        pool_channels: As for ``SuperpixelGrouped``.

    Returns:
        ``(N, C, *spatial)``, contiguous.

    Examples:
        >>> maps = torch.tensor([[[1.0, 3.0, 8.0, 8.0]]])
        >>> group_maps(maps, [torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 0, 0]]])])
        tensor([[[3.5000, 3.5000, 6.5000, 6.5000]]])
    """
    masks = [repeat_for_batch(check_feature_mask(mask, maps.shape), maps.shape[0]) for mask in feature_masks]
    pooled = [pool_segments(maps, mask, reduction, pool_channels) for mask in masks]
    return pooled[0] if len(pooled) == 1 else torch.stack(pooled).mean(dim=0)


@torch.no_grad()
def segment_images(generators: MaskGenerator | list[MaskGenerator], images: Tensor) -> list[Tensor]:
    """Segment images with one generator or each of an ensemble, as ``SuperpixelGrouped`` does.

    Args:
        generators: A callable from images to segment ids, or a list of several, which share what they can.
        images: ``(N, C, *spatial)``.

    Returns:
        A mask ``(1 or N, 1, *spatial)`` int64 per generator, as :func:`group_maps` takes them.

    Raises:
        TypeError: If a generator does not return a tensor of integers.
        ValueError: If there is no generator, or a mask does not fit the images.
    """
    return [mask for (mask,) in generate(generators, (images,)) if mask is not None]


def lay_over(maps: Tensor, size: Sequence[int], interpolate_mode: str = "bilinear") -> Tensor:
    """Interpolate the maps of a layer to the size of the input.

    Args:
        maps: ``(N, C, *spatial)``, of one to three spatial dimensions.
        size: The spatial size of the input.
        interpolate_mode: As for ``SuperpixelGrouped``.

    Returns:
        ``(N, C, *size)``; the same maps where they are of that size.

    Raises:
        ValueError: If the mode is not for so many dimensions.
    """
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    mode = INTERPOLATE_MODES[interpolate_mode].get(len(size))
    if mode is None:
        raise ValueError(f"interpolate_mode={interpolate_mode!r} is not for {len(size)} spatial dimensions")
    return interpolate(maps, size=tuple(size), mode=mode)
