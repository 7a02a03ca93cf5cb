"""Scores of segments, and attributions made constant inside each segment: the tensor primitives of the library."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from captum_superpixel._checks import checked_choice
from captum_superpixel._segment_sums import segment_sizes, segment_sums
from captum_superpixel.feature_masks import MaskLike, check_feature_mask, rank_rows

Reduction = Literal["mean", "abs_mean", "sum", "max"]

__all__ = ["Reduction", "check_attributions", "check_reduction", "pool_segments", "reduce_channels", "segment_scores"]


def segment_scores(attributions: Tensor, feature_mask: MaskLike, reduction: Reduction = "mean") -> Tensor:
    """Reduce the attributions inside each segment to one score.

    Args:
        attributions: Floating-point maps of shape ``(N, C, *spatial)``.
        feature_mask: Integer ids of shape ``(1 or N, 1 or C, *spatial)``, any non-negative int64, as tensor or NumPy
            array; ``(*spatial)`` is one mask for all, ``(N, *spatial)`` one each unless N is C. A mask with one channel
            partitions pixels, and every channel is scored by itself; in a mask with C channels equal ids are one
            segment whatever their channel.
        reduction: ``"mean"``, ``"abs_mean"`` (mean of the magnitudes), ``"sum"`` (infinite where it is beyond the
            dtype, which ends at 65,504 in float16), or ``"max"`` (the largest value, with its sign).

    Returns:
        Scores of shape ``(N, C, K)``, or ``(N, 1, K)`` for a mask with C > 1 channels. The K columns stand in the
        order of ``torch.unique(feature_mask)``; where an image has no such segment the score is NaN.

    Raises:
        TypeError: If the attributions are not floating-point, or the mask is not of integers.
        ValueError: If the mask does not fit the attributions or holds negative ids, if the attributions are empty,
            or if the reduction is unknown.

    Examples:
        >>> attributions = torch.tensor([[[1.0, 3.0, -4.0]]])
        >>> segment_scores(attributions, torch.tensor([[[5, 5, 9]]]))
        tensor([[[ 2., -4.]]])
    """
    values, labels = _flatten(attributions, feature_mask, reduction)
    count = int(labels.max()) + 1
    if count > labels.shape[-1]:
        labels = torch.unique(labels, return_inverse=True)[1]
        count = int(labels.max()) + 1
    absent = segment_sizes(labels, count) == 0
    scores = _reduce(values, labels, count, reduction).masked_fill(absent, torch.nan).to(attributions.dtype)
    unused = absent.all(dim=0)[0]  # ids that no image has
    return scores[..., ~unused] if unused.any() else scores


def pool_segments(
    attributions: Tensor, feature_mask: MaskLike, reduction: Reduction = "mean", pool_channels: bool = False
) -> Tensor:
    """Replace every attribution by the score of its segment.

    Sums run in float64 on the CPU and for float64, else in float32; counts are exact. NaN stays inside its segment. The
    result is differentiable in the attributions.

    Args:
        attributions: Floating-point maps of shape ``(N, C, *spatial)``.
        feature_mask: Integer ids as for ``segment_scores``. Ids above the number of pixels cost a sort of them, which
            can make the call three times as long; smaller gaps cost nothing, and memory never grows with the ids.
        reduction: ``"mean"`` (keeps the sum of the map), ``"abs_mean"`` (mean of the magnitudes), ``"sum"`` (infinite
            where it is beyond the dtype, which ends at 65,504 in float16), or ``"max"`` (the largest value, with its
            sign).
        pool_channels: Reduce over the channels as well, so that all channels of a segment get one value.

    Returns:
        Contiguous tensor of the shape, dtype and device of ``attributions``, constant inside each segment.

    Raises:
        TypeError: If the attributions are not floating-point, or the mask is not of integers.
        ValueError: If the mask does not fit the attributions or holds negative ids, if the attributions are empty,
            or if the reduction is unknown.

    References:
        Gong, Zhang, Dou, Farnia, "A Super-pixel-based Approach to the Stable Interpretation of Neural Networks",
        BMVC 2024, arXiv:2412.14509.

    Examples:
        >>> attributions = torch.tensor([[[1.0, 3.0, -4.0]]])
        >>> pool_segments(attributions, torch.tensor([[[5, 5, 9]]]))
        tensor([[[ 2.,  2., -4.]]])
        >>> pool_segments(attributions, torch.tensor([[[0, 1, 1]]]), "abs_mean")
        tensor([[[1.0000, 3.5000, 3.5000]]])
    """
    values, labels = _flatten(attributions, feature_mask, reduction)
    joint = pool_channels and values.shape[1] > 1
    if joint:
        values = reduce_channels(values, reduction)
    # One comparison saves the sort for every mask whose ids are already small.
    count = int(labels.max()) + 1
    if count > labels.shape[-1]:
        labels = rank_rows(labels)
        count = int(labels.max()) + 1
    scores = _reduce(values, labels, count, reduction).to(attributions.dtype)
    pooled = scores.gather(2, labels.expand(*values.shape[:2], -1))
    if joint:
        pooled = pooled.expand(-1, attributions.shape[1], -1)
    return pooled.reshape(attributions.shape).contiguous()


def check_reduction(reduction: object) -> Reduction:
    """Return the reduction if its name is known, else raise ValueError."""
    return checked_choice("reduction", reduction, get_args(Reduction))


def check_attributions(attributions: object) -> Tensor:
    """Return the attributions if they are a floating-point tensor, else raise TypeError."""
    if not isinstance(attributions, Tensor) or not attributions.is_floating_point():
        what = attributions.dtype if isinstance(attributions, Tensor) else f"a {type(attributions).__name__}"
        raise TypeError(f"attributions must be a floating-point tensor, but {what} was passed")
    return attributions


def _flatten(attributions: object, feature_mask: object, reduction: object) -> tuple[Tensor, Tensor]:
    """Validate, and lay out values ``(N, C', L)`` beside labels ``(1 or N, 1, L)``."""
    check_reduction(reduction)
    maps = check_attributions(attributions)
    if maps.dim() == 0 or maps.numel() == 0:
        raise ValueError(f"attributions of shape {tuple(maps.shape)} hold nothing to pool")
    labels = check_feature_mask(feature_mask, maps.shape).to(maps.device)
    if labels.shape[0] not in (1, maps.shape[0]):
        raise ValueError(
            f"feature_mask of shape {tuple(labels.shape)} does not fit attributions of shape "
            f"{tuple(maps.shape)}: its batch size must be 1 or {maps.shape[0]}"
        )
    partitions_pixels = maps.dim() > 1 and labels.shape[1] == 1
    channels = maps.shape[1] if partitions_pixels else 1
    values = maps.reshape(maps.shape[0], channels, -1)
    return values.to(_accumulator(values)), labels.reshape(labels.shape[0], 1, -1)


def _accumulator(values: Tensor) -> torch.dtype:
    # A sum over a segment of a million pixels loses digits in float32; other devices may lack float64 (MPS).
    if values.dtype == torch.float64 or values.device.type == "cpu":
        return torch.float64
    return torch.float32


def reduce_channels(values: Tensor, reduction: Reduction) -> Tensor:
    """Reduce ``(N, C, L)`` to ``(N, 1, L)``; followed by the same reduction over pixels, one over both."""
    # Where channels are side by side in memory, torch adds them in another order, and rounds otherwise.
    values = values.contiguous()
    if reduction == "sum":
        return values.sum(dim=1, keepdim=True)
    if reduction == "max":
        return values.amax(dim=1, keepdim=True)
    return (values.abs() if reduction == "abs_mean" else values).mean(dim=1, keepdim=True)


def _reduce(values: Tensor, labels: Tensor, count: int, reduction: Reduction) -> Tensor:
    """Reduce values ``(N, C, L)`` by labels ``(1 or N, 1, L)`` to scores ``(N, C, count)``."""
    if reduction == "max":
        index = labels.expand(*values.shape[:2], -1)
        lowest = values.new_full((*values.shape[:2], count), -torch.inf)
        return lowest.scatter_reduce(2, index, values, reduce="amax")
    magnitudes = values.abs() if reduction == "abs_mean" else values
    sums = segment_sums(magnitudes, labels, count)
    return sums if reduction == "sum" else sums / segment_sizes(labels, count)
