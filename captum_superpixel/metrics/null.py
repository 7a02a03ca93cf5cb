"""What a similarity of maps is worth: its chance-corrected value, with bootstrap intervals over the images.

Pooled noise looks alike too, and so do the maps of one image whatever the network. A similarity of explanations
therefore stands beside the similarity of maps that explain nothing, its null, and beside its excess over that null,
which is the chance-corrected similarity. Two nulls are in use: the permutation null (:func:`null_corrected`), and the
random-network null, for which a trained network's maps are compared with those of a randomized model (Adebayo et al.),
the same architecture before training, and the similarities of the images go to :func:`against_null`.

Every interval is a 95 % percentile bootstrap over *images*: it says what other images would change, not what other
trained networks would. Randomness comes from the generator that is passed. None is a fresh one seeded with 0: calls on
as many maps of one size then meet the same permutations and resamples, and differ only in what is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import overload

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer
from captum_superpixel.metrics._maps import IMAGES, VOLUMES, Pooling, check_alike, check_maps, pool_maps
from captum_superpixel.metrics.bootstrap import (
    Interval,
    check_generator,
    check_per_image,
    interval,
    resampled_means,
)
from captum_superpixel.metrics.stability import Similarity

__all__ = ["NullCorrected", "against_null", "excess", "null_corrected", "paired_difference", "permute_pixels"]

_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""The types in which integers are moved that ``gather`` does not take."""

# Similarities computed in float32 miss their maximum of 1 by about 1e-7, on either side.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class NullCorrected:
    """A mean similarity over images, beside its null.

    Attributes:
        value: Mean similarity over the images.
        null: Mean null over the images.
        excess: ``(value - null) / (1 - null)`` of these two means, the chance-corrected similarity. It is *not* the
            mean of the images' ratios, which a single image with a null near 1 would dominate. NaN where the mean null
            is 1.
        ci95_value: 95 % percentile bootstrap interval of ``value``; NaN for one image.
        ci95_excess: The same of ``excess``, value and null of an image resampled together; NaN too if a null nears 1.
        n_images: How many images, N.
        values: Similarity of each image, ``(N,)`` float64 on the CPU.
        nulls: Null of each image, ``(N,)`` float64 on the CPU.

    Examples:
        >>> print(against_null(torch.tensor([0.6, 0.7, 0.8]), torch.tensor([0.4, 0.4, 0.4])))
        0.700 (95 % interval 0.600 to 0.800), null 0.400, excess 0.500 (0.333 to 0.667), 3 images
    """

    value: float
    null: float
    excess: float
    ci95_value: Interval
    ci95_excess: Interval
    n_images: int
    values: Tensor = field(repr=False)
    nulls: Tensor = field(repr=False)

    def __str__(self) -> str:
        of_value, of_excess = ("{:.3f} to {:.3f}".format(*interval) for interval in (self.ci95_value, self.ci95_excess))
        value, excess = f"{self.value:.3f} (95 % interval {of_value})", f"excess {self.excess:.3f} ({of_excess})"
        return f"{value}, null {self.null:.3f}, {excess}, {self.n_images} image{'s' * (self.n_images != 1)}"


@overload
def excess(value: float, null: float) -> float: ...
@overload
def excess(value: Tensor, null: Tensor | float) -> Tensor: ...
@overload
def excess(value: float, null: Tensor) -> Tensor: ...
def excess(value: Tensor | float, null: Tensor | float) -> Tensor | float:
    """Say how far a similarity lies above its null, as a share of what is possible: ``(value - null) / (1 - null)``.

    This is the correction for chance of Cohen's kappa and of the adjusted Rand index. Near a null of 1 it enlarges the
    noise of the value: by 10 for .9, by 50 for .98. ``captum-superpixel study`` gives none where the null is above .9.

    Args:
        value: Similarity whose maximum is 1, or a tensor of such.
        null: Its null, or a tensor that broadcasts with ``value``.

    Returns:
        At most 1; 0 is the null's own similarity, 1 is identity, below 0 is less alike than the null. A float for two
        numbers, else a tensor. NaN where the null is 1 (to 1e-6), because nothing can be shown above it, and where an
        argument is NaN.

    Raises:
        TypeError: If an argument is neither a real number nor a tensor of real numbers.
        ValueError: If the value or the null exceeds 1 by more than 1e-6, or the shapes do not broadcast.

    Examples:
        >>> excess(0.75, 0.5)
        0.5
        >>> excess(torch.tensor([0.75, 1.0, 0.25]), 0.5)
        tensor([ 0.5000,  1.0000, -0.5000])
    """
    like = value if isinstance(value, Tensor) else null
    values, nulls = _similarity("value", value, like), _similarity("null", null, like)
    try:
        np.broadcast_shapes(values.shape, nulls.shape)
    except ValueError as error:
        shapes = f"value of shape {tuple(values.shape)} and null of shape {tuple(nulls.shape)}"
        raise ValueError(f"{shapes} do not broadcast: pass one null for each value, or a single one") from error
    result = _excess(values, nulls)
    return result if isinstance(like, Tensor) else float(result)


def null_corrected(
    metric: Similarity,
    maps_a: Tensor,
    maps_b: Tensor,
    pool: Pooling | None = None,
    n_draws: int = 10,
    generator: torch.Generator | None = None,
    *,
    n_resamples: int = 2000,
) -> NullCorrected:
    """Compare two batches of maps by a metric, and with the permutation null of that metric.

    The value of an image is ``metric(pool(a), pool(b))``; its null, the mean over draws of the same with the pixels of
    ``a`` and of ``b`` permuted at random *before* pooling: what the segments make alike by themselves.

    Args:
        metric: Similarity of two batches ``(N, C, *spatial)``, one number per image, ``(N,)``, at most 1, such as
            :func:`~captum_superpixel.metrics.stability.ssim`; its options by ``functools.partial``.
        maps_a: *Pixel* maps ``(N, C, H, W)`` or ``(N, C, D, H, W)``: not pooled yet.
        maps_b: Pixel maps of the same images, of the same shape.
        pool: Pools maps ``(N, C, *spatial)`` of these N images, keeping the shape; called for each of ``maps_a`` and
            ``maps_b`` as they are, and permuted in each draw. None compares the pixels.
        n_draws: Number of permutations of each map.
        generator: Source of the permutations, then of the resamples, on any device; None is a fresh one seeded with 0.
        n_resamples: Number of bootstrap resamples.

    Returns:
        :class:`NullCorrected`. Constant maps, all-zero ones among them, are their own permutations, so that their
        value is their null. Where all permuted maps are alike, as for a cosine of magnitudes in which one segment
        covers the image, the null is 1 and the excess NaN.

    Raises:
        TypeError: If the maps or the results of ``metric`` are not real tensors, or an option has a wrong type.
        ValueError: If the maps' shapes differ or they are not finite, if ``pool`` changes the shape, if ``metric``
            does not return ``(N,)`` finite numbers of at most 1, or if a count is below 1.

    Examples:
        >>> def overlap(a, b):
        ...     return 1 - (a - b).abs().mean(dim=(1, 2, 3))
        >>> maps = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(3))
        >>> result = null_corrected(overlap, maps, maps, pool=lambda m: m.mean(dim=3, keepdim=True).expand_as(m))
        >>> result.value, round(result.null, 1), result.excess
        (1.0, 0.9, 1.0)
    """
    first, second = check_alike(maps_a, maps_b)
    n_draws = checked_integer("n_draws", n_draws)
    n_resamples = checked_integer("n_resamples", n_resamples)
    generator = check_generator(generator)
    values = _measure(metric, pool, first, second)
    nulls = torch.zeros_like(values)
    for _ in range(n_draws):
        nulls += _measure(metric, pool, _permute(first, generator), _permute(second, generator))
    return against_null(values, nulls / n_draws, n_resamples=n_resamples, generator=generator)


def permute_pixels(maps: Tensor, generator: torch.Generator) -> Tensor:
    """Permute the pixels of each map at random, each map by its own permutation, all channels of a pixel together.

    Args:
        maps: Maps ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
        generator: Source of the permutations, on any device.

    Returns:
        Maps of the same shape, dtype and device, whose pixels are those of ``maps`` in another order.

    Raises:
        TypeError: If the maps are not a tensor of real numbers, or the generator is not one.
        ValueError: If the maps have another shape, hold nothing, or are not finite.

    Examples:
        >>> maps = torch.tensor([[[[1, 2, 3]], [[10, 20, 30]]]])
        >>> permuted = permute_pixels(maps, torch.Generator().manual_seed(0))
        >>> sorted(permuted[0, :, 0].T.tolist())
        [[1, 10], [2, 20], [3, 30]]
    """
    return _permute(check_maps("maps", maps, IMAGES, VOLUMES), check_generator(generator))


def against_null(
    values: Tensor, nulls: Tensor, *, n_resamples: int = 2000, generator: torch.Generator | None = None
) -> NullCorrected:
    """Set the similarities of N images beside any null of theirs, above all the random-network null.

    The random-network null of an image is the similarity of the trained network's map and a randomized model's.

    Args:
        values: Similarity of each image, ``(N,)``, at most 1.
        nulls: Null of each image, ``(N,)``, at most 1, in the same order.
        n_resamples: Number of bootstrap resamples.
        generator: Source of the resamples; None is a fresh one seeded with 0.

    Returns:
        :class:`NullCorrected`; one image gives no interval: NaN.

    Raises:
        TypeError: If one is not a tensor of real numbers, or an option has a wrong type.
        ValueError: If one is not N finite numbers of at most 1, the lengths differ, or ``n_resamples`` is below 1.

    References:
        Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim, "Sanity Checks for Saliency Maps", NeurIPS 2018,
        arXiv:1810.03292 (the comparison with a randomized model).
        Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, doi:10.1201/9780429246593, chapter 13.

    Examples:
        >>> same_task = torch.tensor([0.5, 0.7, 0.6, 0.8])
        >>> randomized = torch.tensor([0.2, 0.3, 0.3, 0.4])
        >>> round(against_null(same_task, randomized).excess, 3)
        0.5
    """
    found = check_per_image("values", values), check_per_image("nulls", nulls)
    if len(values) != len(nulls):
        raise ValueError(f"there are {len(values)} values and {len(nulls)} nulls: pass one null for each image")
    _check_maximum("values", found[0])
    _check_maximum("nulls", found[1])
    columns = torch.stack(found, dim=1)
    resampled = resampled_means(columns, n_resamples, generator)
    value, null = columns.mean(dim=0).tolist()
    return NullCorrected(
        value=value,
        null=null,
        excess=excess(value, null),
        ci95_value=interval(resampled[:, 0]),
        ci95_excess=interval(_excess(resampled[:, 0], resampled[:, 1])),
        n_images=len(columns),
        values=columns[:, 0],
        nulls=columns[:, 1],
    )


def paired_difference(
    a: NullCorrected, b: NullCorrected, *, n_resamples: int = 2000, generator: torch.Generator | None = None
) -> tuple[float, Interval]:
    """Subtract the excess of one result from that of another on the same images, with an interval.

    Each image is drawn for both at once, so that what makes it hard for both cancels: the interval can exclude 0 where
    those of the two excesses overlap.

    Args:
        a: Result over N images.
        b: Result over the same N images, in the same order.
        n_resamples: Number of bootstrap resamples.
        generator: Source of the resamples; None is a fresh one seeded with 0.

    Returns:
        ``a.excess - b.excess``, and its 95 % percentile bootstrap interval; NaN for one image, and where a null is 1.

    Raises:
        TypeError: If one is not a :class:`NullCorrected`, or an option has a wrong type.
        ValueError: If the numbers of images differ, or ``n_resamples`` is below 1.

    Examples:
        >>> nulls = torch.full((4,), 0.5)
        >>> pixels = against_null(torch.tensor([0.6, 0.7, 0.8, 0.9]), nulls)
        >>> segments = against_null(torch.tensor([0.7, 0.8, 0.9, 1.0]), nulls)
        >>> difference, (low, high) = paired_difference(segments, pixels)
        >>> print(f"{difference:.3f} ({low:.3f} to {high:.3f})")
        0.200 (0.200 to 0.200)
    """
    if not (isinstance(a, NullCorrected) and isinstance(b, NullCorrected)):
        raise TypeError(f"a and b must be NullCorrected, but are {type(a).__name__} and {type(b).__name__}")
    if a.n_images != b.n_images:
        raise ValueError(f"a is over {a.n_images} images and b over {b.n_images}: compare results on the same images")
    columns = torch.stack([a.values, a.nulls, b.values, b.nulls], dim=1)
    means = resampled_means(columns, n_resamples, generator).T
    return a.excess - b.excess, interval(_excess(means[0], means[1]) - _excess(means[2], means[3]))


def _excess(values: Tensor, nulls: Tensor) -> Tensor:
    return torch.where((1 - nulls).abs() <= _ROUNDING, torch.nan, (values - nulls) / (1 - nulls))


def _similarity(name: str, numbers: object, like: object) -> Tensor:
    """Return a number, or a tensor of them, in floating point and on the device of another."""
    if isinstance(numbers, Tensor) and not numbers.is_complex():
        found = numbers if numbers.is_floating_point() else numbers.float()
    elif isinstance(numbers, Real):
        dtype = like.dtype if isinstance(like, Tensor) and like.is_floating_point() else torch.float64
        found = torch.tensor(float(numbers), dtype=dtype, device="cpu")
    else:
        what = getattr(numbers, "dtype", type(numbers).__name__)
        raise TypeError(f"{name} must be a real number or a tensor of such, but {what} was passed")
    _check_maximum(name, found)
    return found.to(like.device) if isinstance(like, Tensor) else found


def _check_maximum(name: str, numbers: Tensor) -> None:
    above = (numbers.flatten() > 1 + _ROUNDING).nonzero().flatten().tolist()
    if above:
        raise ValueError(
            f"{name} exceeds 1 ({float(numbers.flatten()[above[0]]):.6g} at index {above[0]}): an excess over a null "
            "is for similarities whose maximum is 1; for other metrics use bootstrap_mean"
        )


def _measure(metric: Similarity, pool: Pooling | None, first: Tensor, second: Tensor) -> Tensor:
    """Pool two batches and compare them: ``(N,)`` float64 on the CPU."""
    numbers = check_per_image("the metric's results", metric(pool_maps(pool, first), pool_maps(pool, second)))
    if len(numbers) != len(first):
        raise ValueError(f"metric returned {len(numbers)} numbers for {len(first)} images: it must be one per image")
    return numbers


def _permute(maps: Tensor, generator: torch.Generator) -> Tensor:
    pixels = maps[0, 0].numel()
    orders = [torch.randperm(pixels, generator=generator, device=generator.device) for _ in maps]
    index = torch.stack(orders).to(maps.device)[:, None].expand(-1, maps.shape[1], -1)
    moved = maps.view(_SIGNED.get(maps.dtype, maps.dtype))
    return moved.flatten(2).gather(2, index).view(maps.shape).view(maps.dtype)
