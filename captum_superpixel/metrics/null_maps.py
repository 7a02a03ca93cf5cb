"""Maps that know nothing of the network or the image, against which fidelity and localization of a map are held.

A smooth map scores well in insertion and deletion though it explains nothing, because whole parts of the image come and
go with it, and a map that favors the middle finds most objects. Whoever reports a score of an explanation reports
those of these maps beside it, measured by the same code on the same images: what a map explains is what it scores
above them. For similarities of maps, whose nulls are numbers, see :mod:`captum_superpixel.metrics.null`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from captum_superpixel._checks import checked_number
from captum_superpixel.metrics._maps import IMAGES, VOLUMES, check_maps, pool_maps
from captum_superpixel.metrics.bootstrap import check_generator
from captum_superpixel.metrics.null import permute_pixels

__all__ = ["another_image", "centered_gaussian", "shuffled"]


def centered_gaussian(attributions: Tensor, width: float = 0.25) -> Tensor:
    """Draw the same Gaussian in the middle of every map, whatever the image.

    It controls for the photographer, who put the object in the middle, and for smoothness: it knows neither the
    network nor the image.

    Args:
        attributions: Maps ``(N, C, H, W)`` or ``(N, C, D, H, W)``, of which only shape, dtype and device are taken.
        width: Standard deviation as a part of each side, above 0: of ``width * H`` pixels in height, ``width * W``
            in width, and in volumes ``width * D`` across the slices.

    Returns:
        Maps of the same shape and device, alike in all images and channels, 1 where they are highest; of the same
        dtype, or float32 if that is not a floating point one.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers, or the width is no number.
        ValueError: If they have another shape, hold nothing, or are not finite, or if the width is not above 0.

    References:
        Judd, Ehinger, Durand, Torralba, "Learning to Predict Where Humans Look", ICCV 2009,
        doi:10.1109/ICCV.2009.5459462 (the center as a baseline of saliency).

    Examples:
        >>> centered_gaussian(torch.zeros(1, 1, 1, 3), width=1 / 3)[0, 0, 0]
        tensor([0.6065, 1.0000, 0.6065])
    """
    maps = check_maps("attributions", attributions, IMAGES, VOLUMES)
    width = checked_number("width", width, exclusive=True)
    exponents = torch.zeros((), dtype=torch.float64, device="cpu")
    for length in maps.shape[2:]:
        exponents = exponents[..., None] + _exponents(length, width)
    gaussian = (-exponents / 2).exp()
    dtype = maps.dtype if maps.is_floating_point() else torch.float32
    return gaussian.to(maps.device, dtype).expand(maps.shape).clone()


def another_image(attributions: Tensor) -> Tensor:
    """Give every image the map of the next one, and the last image that of the first.

    It controls for what the maps of all images have in common: texture, distribution of scores, and the places that
    the network looks at in any image. It knows the network, but not the image.

    Args:
        attributions: Maps ``(N, C, H, W)`` or ``(N, C, D, H, W)``, N at least 2.

    Returns:
        Maps of the same shape, dtype and device.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers.
        ValueError: If they have another shape, hold nothing, or are not finite, or if there is only one map.

    Notes:
        Where the images are sorted by class, the next one shows another object of the same class, and its map is not
        quite unknowing: shuffle the images first. Maps that are pooled should be pooled before, in the segments of the
        image that they explain, lest this image's segments tell where its objects are.

    Examples:
        >>> another_image(torch.tensor([[[[1, 2]]], [[[3, 4]]], [[[5, 6]]]])).flatten(1).tolist()
        [[3, 4], [5, 6], [1, 2]]
    """
    maps = check_maps("attributions", attributions, IMAGES, VOLUMES)
    if len(maps) < 2:
        raise ValueError(
            f"attributions of shape {tuple(maps.shape)} hold one map, and there is no other image whose map it could "
            "get: pass the maps of at least two images"
        )
    return maps.roll(-1, dims=0)


def shuffled(
    attributions: Tensor,
    generator: torch.Generator | None = None,
    pool: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Permute the pixels of each map at random, and pool the result as the map was pooled.

    It controls for pooling: for what regions that follow the edges of the image achieve by themselves, whatever
    explanation is averaged within them. It knows the image, by the regions alone, but not the network.

    Args:
        attributions: *Pixel* maps ``(N, C, H, W)`` or ``(N, C, D, H, W)``: not pooled yet.
        generator: Source of the permutations, on any device; None is a fresh one seeded with 0.
        pool: Pools maps ``(N, C, *spatial)`` of these N images, keeping the shape. None leaves the pixels permuted.

    Returns:
        Maps of the same shape.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers, or the generator is not one.
        ValueError: If they have another shape, hold nothing, or are not finite, or if ``pool`` changes the shape.

    Examples:
        >>> halves = torch.tensor([[0, 0, 0, 1, 1, 1]])
        >>> from captum_superpixel import pool_segments
        >>> maps = torch.tensor([[[[5.0, 0.0, 1.0, 0.0, 0.0, 0.0]]]])
        >>> noise = shuffled(maps, pool=lambda maps: pool_segments(maps, halves))
        >>> round(noise.sum().item(), 4), len(noise.unique())
        (6.0, 2)
    """
    maps = check_maps("attributions", attributions, IMAGES, VOLUMES)
    return pool_maps(pool, permute_pixels(maps, check_generator(generator)))


def _exponents(length: int, width: float) -> Tensor:
    """Squared distances from the middle of a side in standard deviations, less the smallest: ``(length,)`` float64."""
    squared = (torch.arange(length, dtype=torch.float64, device="cpu") - (length - 1) / 2).square()
    # Of an even number of pixels none lies in the middle. The nearest are taken for it, lest a narrow Gaussian be 0.
    return (squared - squared.min()) / (width * length) / (width * length)
