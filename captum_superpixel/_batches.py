"""How many images a network is given at once: on a CPU as many as its caches bear, on other devices many more."""

from __future__ import annotations

import math

from torch import Tensor

from captum_superpixel._checks import checked_integer

__all__ = ["checked_batch_size", "images_at_once"]

_MOST_ON_CPU, _MOST = 32, 64
"""Of small images, more make no network faster: a ResNet-20 takes as long per image at 32 of 32 pixels as at 64."""

_PIXELS_ON_CPU = 4 * 224**2
"""Pixels of a batch on a CPU.

At 1, 4, 8, 16 and 64 images of 224 pixels a ResNet-18 takes 1.7, 1, 1, 1.1 and 1.4 times as long per image on one core,
and an EfficientNet-Lite0 1.5, 1, 1.3, 1.6 and 2.8 times, with 1 GB more held by the last than by the second."""

_PIXELS_ELSEWHERE = 64 * 224**2
"""Pixels of a batch on an accelerator, so that large images do not take more memory than 64 usual ones."""


def images_at_once(inputs: Tensor) -> int:
    """Choose how many images a network is given at once, where nobody says.

    Args:
        inputs: Images ``(N, C, *spatial)``, whose size and device count, not their number.

    Returns:
        As many as have the pixels of 4 images of 224 x 224 on a CPU, but at most 32; elsewhere of 64, and at most 64.

    Examples:
        >>> import torch
        >>> [images_at_once(torch.empty(1, 3, side, side)) for side in (32, 224, 448, 1024)]
        [32, 4, 1, 1]
        >>> [images_at_once(torch.empty(1, 3, side, side, device="meta")) for side in (224, 448, 1024)]
        [64, 16, 3]
    """
    pixels = max(1, math.prod(inputs.shape[2:]))
    most, bearable = (_MOST_ON_CPU, _PIXELS_ON_CPU) if inputs.device.type == "cpu" else (_MOST, _PIXELS_ELSEWHERE)
    return min(most, max(1, bearable // pixels))


def checked_batch_size(batch_size: object, inputs: Tensor) -> int:
    """Return the batch size that a caller passed, or for None the one that suits the inputs.

    Raises:
        TypeError: If it is neither None nor an integer.
        ValueError: If it is not positive.
    """
    return images_at_once(inputs) if batch_size is None else checked_integer("batch_size", batch_size)
