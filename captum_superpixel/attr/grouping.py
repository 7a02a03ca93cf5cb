"""The functions that ``SuperpixelGrouped`` is made of, for callers that segment once and reuse maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from captum_superpixel._checks import checked_choice, checked_number
from captum_superpixel.attr._masks import MaskGenerator, generate
from captum_superpixel.feature_masks import MaskLike, check_feature_mask, repeat_for_batch
from captum_superpixel.pooling import pool_segments

__all__ = [
    "INTERPOLATE_MODES",
    "GroupReduction",
    "check_group_reduction",
    "checked_negative_weight",
    "group_maps",
    "lay_over",
    "segment_images",
]

GroupReduction = Literal["mean", "abs_mean", "sum", "max", "evidence"]
"""How a map is pooled; see ``SuperpixelGrouped``."""

INTERPOLATE_MODES: dict[str, dict[int, str]] = {
    "bilinear": {1: "linear", 2: "bilinear", 3: "trilinear"},
    "bicubic": {2: "bicubic"},
    **{mode: dict.fromkeys((1, 2, 3), mode) for mode in ("nearest", "nearest-exact", "area")},
}
"""PyTorch's name of each mode, by the number of spatial dimensions."""


def group_maps(
    maps: Tensor,
    feature_masks: Sequence[MaskLike],
    reduction: GroupReduction = "mean",
    pool_channels: bool = False,
    negative_weight: float = 0.5,
) -> Tensor:
    """Pool maps within the segments of each mask, and average over the masks: what ``SuperpixelGrouped`` does to a map.

    For callers that group one map in several ways, and so compute it only once.

    Args:
        maps: Floating-point maps ``(N, C, *spatial)``.
        feature_masks: At least one mask ``(M, 1 or C, *spatial)`` where M divides N; see ``attribute``. With
            ``reduction="evidence"``, which adds the channels, masks have one channel.
        reduction: As for ``SuperpixelGrouped``.
        pool_channels: As for ``SuperpixelGrouped``.
        negative_weight: As for ``SuperpixelGrouped``.

    Returns:
        ``(N, C, *spatial)``, contiguous.

    Raises:
        TypeError: If the weight is not a number.
        ValueError: If the reduction is unknown, the weight out of its range, or a mask does not fit.

    Examples:
        >>> maps = torch.tensor([[[1.0, 3.0, 8.0, 8.0]]])
        >>> group_maps(maps, [torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 0, 0]]])])
        tensor([[[3.5000, 3.5000, 6.5000, 6.5000]]])
        >>> maps = torch.tensor([[[4.0, -2.0, 6.0, 0.0]]])
        >>> group_maps(maps, [torch.tensor([[[0, 0, 1, 1]]])], "evidence")
        tensor([[[1.5000, 1.5000, 3.0000, 3.0000]]])
    """
    check_group_reduction(reduction)
    weight = checked_negative_weight(negative_weight)
    masks = [repeat_for_batch(check_feature_mask(mask, maps.shape), maps.shape[0]) for mask in feature_masks]
    if reduction == "evidence":
        pooled = [_weigh_evidence(maps, mask, weight) for mask in masks]
    else:
        pooled = [pool_segments(maps, mask, reduction, pool_channels) for mask in masks]
    return pooled[0] if len(pooled) == 1 else torch.stack(pooled).mean(dim=0)


def check_group_reduction(reduction: object) -> GroupReduction:
    """Return the reduction if its name is known, else raise ValueError."""
    return checked_choice("reduction", reduction, get_args(GroupReduction))


def checked_negative_weight(negative_weight: object) -> float:
    """Return the weight as a float; raise TypeError or ValueError unless it is a number from -1 to 1."""
    weight = checked_number("negative_weight", negative_weight, minimum=-1)
    if weight > 1:
        raise ValueError(
            f"negative_weight is from -1 (magnitudes) over 0 (what speaks for the class alone) to 1 (the signed mean), "
            f"but {weight:g} was passed"
        )
    return weight


def _weigh_evidence(maps: Tensor, mask: Tensor, weight: float) -> Tensor:
    """Average positive and negative parts of the added channels apart, and subtract: in every channel the same."""
    if maps.dim() > 1 and mask.shape[1] != 1:
        raise ValueError(
            f"a feature_mask of shape {tuple(mask.shape)} parts the channels, which reduction='evidence' adds: pass a "
            "mask with one channel"
        )
    # Half precision ends at 65,504, and the sum of the channels need not.
    # To the same bits however the channels lie in memory.
    total = maps.contiguous().sum(dim=1, keepdim=True, dtype=torch.promote_types(maps.dtype, torch.float32))
    positive, negative = pool_segments(total.clamp(min=0), mask), pool_segments(total.clamp(max=0), mask)
    return (positive + weight * negative).to(maps.dtype).expand(maps.shape).contiguous()


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
