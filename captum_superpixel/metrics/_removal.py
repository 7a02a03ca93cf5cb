"""What deletion and insertion change: the order of the pixels or regions, the steps, and the background."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from captum_superpixel._blur import gaussian_blur
from captum_superpixel._checks import checked_integer, is_finite
from captum_superpixel._float64 import widen
from captum_superpixel._segment_sums import segment_sizes, segment_sums
from captum_superpixel.feature_masks import MaskLike, check_feature_mask, rank_rows, repeat_for_batch
from captum_superpixel.metrics._maps import descending_ranks

__all__ = ["Baselines", "Steps", "background", "number_regions", "removal_steps"]

Baselines: TypeAlias = str | float | Tensor
"""What replaces a pixel: the name of a background, a number, or a tensor that broadcasts to the inputs."""

_BLURS_PER_SIDE = 10
"""Standard deviations of the blur that the shorter side of an image holds."""


class Steps(NamedTuple):
    """Which pixels are changed at each step: those whose rank is below the step's threshold."""

    ranks: Tensor  # (N, H * W) int64, the place of the pixel or of its region in the order of removal
    thresholds: Tensor  # (N, S + 1) int64, from 0 to the number of pixels or regions
    fractions: Tensor  # (N, S + 1), the part of the pixels that is changed


def removal_steps(scores: Tensor, feature_mask: MaskLike | None, n_steps: int | None) -> Steps:
    """Divide the removal of scored pixels, or of the regions of a mask, into steps.

    Args:
        scores: ``(N, *spatial)``, the highest goes first.
        feature_mask: None, or what the caller passed as ids ``(1 or N, 1, *spatial)`` of regions;
            ``(*spatial)`` and ``(N, *spatial)`` are taken for the same.
        n_steps: What the caller passed as number of steps; None for one pixel or region per step.

    Returns:
        The steps, S at most ``n_steps``.

    Raises:
        TypeError: If the mask is not a tensor of integers, or the number of steps is not an integer.
        ValueError: If the mask does not fit the scores, or the number of steps is not positive.

    Examples:
        >>> steps = removal_steps(torch.tensor([[[1.0, 3.0, 3.0]]]), torch.tensor([[[[0, 1, 1]]]]), None)
        >>> steps.ranks.tolist(), steps.thresholds.tolist()
        ([[1, 0, 0]], [[0, 1, 2]])
        >>> steps.fractions.round(decimals=2).tolist()
        [[0.0, 0.67, 1.0]]
    """
    n_steps = None if n_steps is None else checked_integer("n_steps", n_steps)
    pixels = scores.flatten(1)
    count, length = pixels.shape
    if feature_mask is None:
        ranks = descending_ranks(pixels)
        units = torch.full((count, 1), length, device=pixels.device)
    else:
        ranks, units = _region_ranks(pixels, feature_mask, (count, 1, *scores.shape[1:]))
    most = int(units.max())
    steps = most if n_steps is None else min(n_steps, most)
    thresholds = (2 * torch.arange(steps + 1, device=pixels.device) * units + steps) // (2 * steps)
    changed = ranks.new_zeros((count, most + 1)).scatter_add_(1, ranks + 1, torch.ones_like(ranks)).cumsum(dim=1)
    return Steps(ranks, thresholds, widen(changed.gather(1, thresholds)) / length)


def _region_ranks(pixels: Tensor, feature_mask: MaskLike, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The rank of each pixel's region ``(N, L)``, and the number of regions ``(N, 1)``, of scores ``(N, L)``."""
    labels = number_regions(feature_mask, shape, pixels.device)
    count = int(labels.max()) + 1
    sizes = segment_sizes(labels, count)
    means = segment_sums(pixels[:, None], labels[:, None], count)[:, 0] / sizes.clamp_min(1)
    # The means of equal scores differ in their last digits by the regions' sizes; in float32 they are tied again.
    relative = (means / means.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(means.dtype).tiny)).float()
    ranks = descending_ranks(relative.masked_fill(sizes == 0, -torch.inf))
    return ranks.gather(1, labels), (sizes > 0).sum(dim=1, keepdim=True)


def number_regions(feature_mask: MaskLike, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Number the regions of each image ``(N, 1, *spatial)`` from 0: int64 ``(N, L)`` on the device, of L pixels."""
    mask = repeat_for_batch(check_feature_mask(feature_mask, shape), shape[0]).to(device)
    return rank_rows(mask.flatten(1)).expand(shape[0], -1)


def background(baselines: object, inputs: Tensor) -> Tensor:
    """Return what replaces the pixels of the inputs ``(N, C, *spatial)``: a view of their shape, dtype and device.

    Args:
        baselines: A name, a number or a tensor; see :func:`~captum_superpixel.metrics.fidelity.deletion_curve`.
        inputs: Checked images.

    Returns:
        ``(N, C, *spatial)``.

    Raises:
        TypeError: If they are nothing of the kind.
        ValueError: If the name is unknown, a value is NaN or infinite, or the tensor does not broadcast.
    """
    if isinstance(baselines, str):
        if baselines == "blur":
            blurred = gaussian_blur(inputs, min(inputs.shape[-2:]) / _BLURS_PER_SIDE)
            if inputs.ndim == 4:
                return blurred
            # Across the slices of a volume, which are often fewer than their sides are long, as columns one wide.
            across = gaussian_blur(blurred.movedim(2, -1)[..., None], inputs.shape[2] / _BLURS_PER_SIDE)
            return across[..., 0].movedim(-1, 2)
        if baselines == "mean":
            return (
                widen(inputs).mean(dim=tuple(range(2, inputs.ndim)), keepdim=True).to(inputs.dtype).expand(inputs.shape)
            )
        if baselines == "zero":
            return inputs.new_zeros(()).expand(inputs.shape)
        raise ValueError(f"baselines={baselines!r} is unknown: choose 'blur', 'mean', 'zero', a number or a tensor")
    if isinstance(baselines, Tensor):
        if baselines.is_complex():
            raise TypeError(f"baselines have dtype {baselines.dtype}: pass real pixels, for example baselines.real")
        values = baselines.detach().to(inputs)
    elif isinstance(baselines, int | float) and not isinstance(baselines, bool):
        try:
            values = inputs.new_tensor(float(baselines))
        except OverflowError:
            raise ValueError(
                "baselines are a number that no float holds: pass one in the range of the inputs"
            ) from None
    else:
        raise TypeError(f"baselines must be a name, a number or a tensor, but a {type(baselines).__name__} was passed")
    if not is_finite(values):
        raise ValueError("baselines hold NaN or infinite values: no model can score an image of them")
    try:
        return values.expand(inputs.shape)
    except RuntimeError as error:
        raise ValueError(
            f"baselines of shape {tuple(values.shape)} do not broadcast to inputs of shape {tuple(inputs.shape)}"
        ) from error
