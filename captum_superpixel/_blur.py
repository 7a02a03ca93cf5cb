"""A Gaussian blur for batches of images on any device, which leaves a constant image as it is."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gaussian_blur"]


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Blur images by a Gaussian that is renormalized at the borders.

    Each pixel becomes the mean of all pixels of its image and channel with weights exp(-d² / 2σ²), d its distance.

    Args:
        images: ``(*, H, W)``, floating-point. Half precision is computed in float32.
        sigma: Standard deviation σ in pixels, finite and above 0.

    Returns:
        Images of the same shape, dtype and device.

    Examples:
        >>> gaussian_blur(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]), sigma=0.5).round(decimals=2)
        tensor([[0.0000, 0.1100, 0.7900, 0.1100, 0.0000]])
    """
    values = images.float() if images.dtype in (torch.float16, torch.bfloat16) else images
    rows, columns = (_weights(size, sigma).to(values) for size in images.shape[-2:])
    return (rows @ values @ columns.T).to(images.dtype)


def _weights(size: int, sigma: float) -> Tensor:
    """Weights ``(size, size)`` float64 of each position's neighbors on a line, each row of sum 1."""
    positions = torch.arange(size, dtype=torch.float64, device="cpu")
    return (-0.5 * ((positions[:, None] - positions) / sigma) ** 2).softmax(dim=1)
