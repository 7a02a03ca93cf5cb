"""A guided filter: maps smoothed along the edges of a picture, without segments; a control for superpixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel._float64 import widest_float

__all__ = ["guided_filter"]


def guided_filter(maps: Tensor, guide: Tensor, radius: int, eps: float) -> Tensor:
    """Smooth maps by linear functions of a gray picture, fitted in windows and averaged.

    In each window the map is fitted by ``a * guide + b``, where ``eps`` keeps a small; each pixel takes the mean of the
    lines of all windows that hold it. Where the picture is flat, this is a box filter applied twice; edges of the map
    that lie at its edges stay. Near the border windows are smaller.

    Args:
        maps: Floating-point maps ``(N, C, H, W)``.
        guide: Gray pictures ``(N, 1, H, W)`` in [0, 1].
        radius: Pixels from the middle of a window to its sides, at least 0: windows have a side of ``2 * radius + 1``.
        eps: What a variance of the guide is compared with, above 0, in units of its square.

    Returns:
        ``(N, C, H, W)``, of the dtype of the maps.

    References:
        He, Sun, Tang, "Guided Image Filtering", ECCV 2010, doi:10.1007/978-3-642-15549-9_1.

    Examples:
        >>> import torch
        >>> edge = torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
        >>> guided_filter(8 * edge, edge, radius=1, eps=1e-6).round()
        tensor([[[[0., 0., 8., 8.]]]])
    """
    # Differences of squares lose the digits of float32 where a map is nearly constant; MPS has nothing wider.
    wide = widest_float(maps.device)
    values, picture = maps.to(wide), guide.to(wide)
    mean_map, mean_guide = _box(values, radius), _box(picture, radius)
    covariance = _box(values * picture, radius) - mean_map * mean_guide
    variance = _box(picture * picture, radius) - mean_guide * mean_guide
    slope = covariance / (variance.clamp_min(0) + eps)
    offset = mean_map - slope * mean_guide
    return (_box(slope, radius) * picture + _box(offset, radius)).to(maps.dtype)


def _box(values: Tensor, radius: int) -> Tensor:
    """The mean over a square window around each pixel, as far as it lies in the image."""
    return _box_along_rows(_box_along_rows(values, radius).mT, radius).mT


def _box_along_rows(values: Tensor, radius: int) -> Tensor:
    # From running sums, as pooling would take time in proportion to the window, a quarter of the image and more.
    length = values.shape[-1]
    places = torch.arange(length, device=values.device)
    first, last = (places - radius).clamp_min(0), (places + radius + 1).clamp_max(length)
    sums = pad(values.cumsum(dim=-1), (1, 0))
    return (sums[..., last] - sums[..., first]) / (last - first)
