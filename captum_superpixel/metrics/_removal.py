"""What deletion and insertion change: the order of the pixels or regions, the steps, and the background."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from captum_superpixel.feature_masks import check_feature_mask, rank_rows, repeat_for_batch
from captum_superpixel.metrics._forwarding import check_images
from captum_superpixel.metrics._maps import widen

__all__ = ["Baselines", "Steps", "background", "blur", "removal_ranks", "removal_steps"]

Baselines = str | float | Tensor


def removal_ranks(scores: Tensor) -> Tensor:
    """Rank the scores ``(N, L)`` of each row: int64 ``(N, L)``, 0 for the highest, ties in the order of the columns.

    Examples:
        >>> removal_ranks(torch.tensor([[1.0, 3.0, 1.0, 2.0]]))
        tensor([[2, 0, 3, 1]])
    """
    # A radix sort takes -0.0 for less than 0.0; the sum is 0.0 for both.
    order = (scores + 0.0).sort(dim=1, descending=True, stable=True).indices
    places = torch.arange(scores.shape[1], device=scores.device).expand(order.shape)
    return torch.empty_like(order).scatter_(1, order, places)


class Steps(NamedTuple):
    """Which pixels are changed at each step: those whose rank is below the step's threshold."""

    ranks: Tensor  # (N, H * W) int64, the place of the pixel or of its region in the order of removal
    thresholds: Tensor  # (N, S + 1) int64, from 0 to the number of pixels or regions
    fractions: Tensor  # (N, S + 1), the part of the pixels that is changed


def removal_steps(scores: Tensor, feature_mask: Tensor | None, n_steps: int | None) -> Steps:
    """Divide the removal of scored pixels, or of the regions of a mask, into steps.

    Args:
        scores: ``(N, H, W)``, the highest goes first.
        feature_mask: None, or what the caller passed as ids ``(1 or N, 1, H, W)`` of regions.
        n_steps: What the caller passed as number of steps; None for one pixel or region a step.

    Returns:
        The steps, S at most ``n_steps``.

    Raises:
        TypeError: If the mask is not a tensor of integers.
        ValueError: If the mask does not fit the scores, or the number of steps is not positive.

    Examples:
        >>> steps = removal_steps(torch.tensor([[[1.0, 3.0, 3.0]]]), torch.tensor([[[[0, 1, 1]]]]), None)
        >>> steps.ranks.tolist(), steps.thresholds.tolist()
        ([[1, 0, 0]], [[0, 1, 2]])
        >>> steps.fractions.round(decimals=2).tolist()
        [[0.0, 0.67, 1.0]]
    """
    if n_steps is not None and (not isinstance(n_steps, int) or n_steps < 1):
        raise ValueError(f"n_steps={n_steps!r} must be an integer of at least 1, or None: a pixel or region a step")
    pixels = scores.flatten(1)
    count, length = pixels.shape
    if feature_mask is None:
        ranks = removal_ranks(pixels)
        units = torch.full((count, 1), length, device=pixels.device)
    else:
        ranks, units = _region_ranks(pixels, feature_mask, (count, 1, *scores.shape[1:]))
    most = int(units.max())
    steps = most if n_steps is None else min(n_steps, most)
    thresholds = (2 * torch.arange(steps + 1, device=pixels.device) * units + steps) // (2 * steps)
    changed = ranks.new_zeros((count, most + 1)).scatter_add_(1, ranks + 1, torch.ones_like(ranks)).cumsum(dim=1)
    return Steps(ranks, thresholds, widen(changed.gather(1, thresholds)) / length)


def _region_ranks(pixels: Tensor, feature_mask: Tensor, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The rank of each pixel's region ``(N, L)``, and the number of regions ``(N, 1)``, of scores ``(N, L)``."""
    mask = repeat_for_batch(check_feature_mask(feature_mask, shape), shape[0]).to(pixels.device)
    labels = rank_rows(mask.flatten(1)).expand(shape[0], -1)
    zeros = pixels.new_zeros((shape[0], int(labels.max()) + 1))
    sizes = zeros.scatter_add(1, labels, torch.ones_like(pixels))
    means = zeros.scatter_add(1, labels, pixels) / sizes.clamp_min(1)
    # The means of equal scores differ in their last digits by the regions' sizes; in float32 they are tied again.
    relative = (means / means.abs().amax(dim=1, keepdim=True).clamp_min(torch.finfo(means.dtype).tiny)).float()
    ranks = removal_ranks(relative.masked_fill(sizes == 0, -torch.inf))
    return ranks.gather(1, labels), (sizes > 0).sum(dim=1, keepdim=True)


def background(baselines: object, inputs: Tensor) -> Tensor:
    """Return what replaces the pixels of the inputs ``(N, C, H, W)``: a view of their shape, dtype and device.

    Args:
        baselines: A name, a number or a tensor; see :func:`~captum_superpixel.metrics.fidelity.deletion_auc`.
        inputs: Checked images.

    Returns:
        ``(N, C, H, W)``.

    Raises:
        TypeError: If they are nothing of the kind.
        ValueError: If the name is unknown, a value is NaN or infinite, or the tensor does not broadcast.
    """
    if isinstance(baselines, str):
        if baselines == "blur":
            return blur(inputs)
        if baselines == "mean":
            return widen(inputs).mean(dim=(2, 3), keepdim=True).to(inputs.dtype).expand(inputs.shape)
        if baselines == "zero":
            return inputs.new_zeros(()).expand(inputs.shape)
        raise ValueError(f"baselines={baselines!r} is unknown: choose 'blur', 'mean', 'zero', a number or a tensor")
    if isinstance(baselines, Tensor):
        values = baselines.detach().to(inputs)
    elif isinstance(baselines, int | float) and not isinstance(baselines, bool):
        values = inputs.new_tensor(float(baselines))
    else:
        raise TypeError(f"baselines must be a name, a number or a tensor, but a {type(baselines).__name__} was passed")
    if not values.isfinite().all():
        raise ValueError("baselines hold NaN or infinite values: no model can score an image of them")
    try:
        return values.expand(inputs.shape)
    except RuntimeError as error:
        raise ValueError(
            f"baselines of shape {tuple(values.shape)} do not broadcast to inputs of shape {tuple(inputs.shape)}"
        ) from error


def blur(images: Tensor, sigma: float | None = None) -> Tensor:
    """Blur images by a Gaussian that is renormalised at the borders, so that a constant image stays as it is.

    Each pixel becomes the mean of all pixels of its image and channel with weights exp(-d² / 2σ²), d its distance.

    Args:
        images: ``(N, C, H, W)``, floating-point.
        sigma: σ in pixels, above 0. None: a tenth of the shorter side, 22.4 pixels of 224. (The code of RISE has 5 at
            224, cut off to 11x11 pixels, which leaves more of the objects visible.)

    Returns:
        Images of the same shape, dtype and device.

    Raises:
        TypeError: If the images are not a floating-point tensor.
        ValueError: If they have another shape or hold NaN or infinities, or sigma is not above 0.

    Examples:
        >>> blur(torch.tensor([[[[0.0, 0.0, 1.0, 0.0, 0.0]]]]), sigma=0.5).round(decimals=2)
        tensor([[[[0.0000, 0.1100, 0.7900, 0.1100, 0.0000]]]])
    """
    images = check_images("images", images)
    height, width = images.shape[2:]
    sigma = min(height, width) / 10 if sigma is None else sigma
    if not 0 < sigma < float("inf"):
        raise ValueError(f"sigma={sigma!r} must be a finite number of pixels above 0")
    values = images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
    rows, columns = (_gaussian_weights(size, sigma).to(values) for size in (height, width))
    return (rows @ values @ columns.T).to(images.dtype)


def _gaussian_weights(size: int, sigma: float) -> Tensor:
    """Weights ``(size, size)`` float64 of each position's neighbours on a line, each row of sum 1."""
    positions = torch.arange(size, dtype=torch.float64)
    return (-0.5 * ((positions[:, None] - positions) / sigma) ** 2).softmax(dim=1)
