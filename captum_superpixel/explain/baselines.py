"""``--baseline``: what a method replaces pixels by, made for each photograph, and said in words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from captum_superpixel._blur import gaussian_blur
from captum_superpixel.attr import group_maps
from captum_superpixel.datasets.preprocessing import Preprocessing

__all__ = ["describe_baseline", "even_grays", "make_baseline"]

_GRAYS = (0, 64, 128, 191, 255)
_BLUR = 0.1
"""Standard deviation of the blur, in parts of the shorter side."""


def make_baseline(kind: str, inputs: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """Make the baselines of a batch.

    Args:
        kind: One of ``choices.BASELINES``.
        inputs: ``(N, C, H, W)``.
        masks: Segments ``(N, 1, H, W)``, over which ``"segment-mean"`` averages; of several segmentations, the mean.

    Returns:
        ``(N, C, H, W)``.

    Examples:
        >>> inputs, mask = torch.tensor([[[[1.0, 3.0, 8.0]]]]), torch.tensor([[[[0, 0, 1]]]])
        >>> [make_baseline(kind, inputs, [mask])[0, 0, 0].tolist() for kind in ("0", "mean", "segment-mean")]
        [[0.0, 0.0, 0.0], [4.0, 4.0, 4.0], [2.0, 2.0, 8.0]]
    """
    pixels = inputs.detach()
    if kind == "0":
        return torch.zeros_like(pixels)
    if kind == "mean":
        return pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels).contiguous()
    if kind == "blur":
        return gaussian_blur(pixels, _sigma(pixels.shape[2:]))
    return group_maps(pixels, masks)


def describe_baseline(kind: str, preprocessing: Preprocessing) -> str:
    """Say exactly what a baseline is.

    Examples:
        >>> from captum_superpixel.datasets.preprocessing import IMAGENET
        >>> describe_baseline("0", IMAGENET)
        "0 in the network's units, the color (124, 116, 104)"
        >>> describe_baseline("blur", IMAGENET)
        'the photograph blurred, sigma 22.4 pixels'
    """
    if kind == "0":
        zero = preprocessing.to_pixels(torch.zeros(1, preprocessing.channels, 1, 1)).flatten()
        red, green, blue = (255 * zero).round().int().tolist()
        return f"0 in the network's units, the color ({red}, {green}, {blue})"
    return {
        "mean": "the photograph's mean color",
        "blur": f"the photograph blurred, sigma {_sigma(preprocessing.shape):.3g} pixels",
        "segment-mean": "the mean color of each superpixel",
    }[kind]


def even_grays(shape: tuple[int, int]) -> Tensor:
    """A distribution of baselines that does not depend on any data: five even grays, from black to white.

    Args:
        shape: Height and width.

    Returns:
        ``(5, 3, H, W)`` uint8.
    """
    return torch.tensor(_GRAYS, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, *shape)


def _sigma(sides: Sequence[int]) -> float:
    return _BLUR * min(sides)
