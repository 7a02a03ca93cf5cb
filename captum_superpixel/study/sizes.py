"""Variance of grouped maps over training runs against the size of the segments: the paper's theorem, measured."""

from typing import Any, Literal

import torch
from torch import Tensor

from captum_superpixel._seeds import derive_seed
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.masks.base import Statistic
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.measuring import Key, Measurement, Protocol

__all__ = ["size_groupings", "variance_by_size"]

_PIXELS_A_SEGMENT = (4, 9, 16, 36, 64, 144, 256)
_RESAMPLES = 2000


def size_groupings(
    height: int,
    width: int,
    *,
    denormalize: tuple[Statistic, Statistic] | None = None,
    channel_order: Literal["rgb", "bgr"] = "rgb",
) -> tuple[Grouping, ...]:
    """Superpixels and cells of growing size, down to at least four in an image.

    Examples:
        >>> [grouping.name for grouping in size_groupings(8, 8)]
        ['Slic 16', 'cells 16', 'Slic 7', 'cells 7', 'Slic 4', 'cells 4']
    """
    counts = [height * width // pixels for pixels in _PIXELS_A_SEGMENT]
    return tuple(
        grouping
        for count in dict.fromkeys(count for count in counts if count >= 4)
        for grouping in (
            Grouping(f"Slic {count}", (Slic(count, denormalize=denormalize, channel_order=channel_order),)),
            Grouping(f"cells {count}", (Grid(count),)),
        )
    )


def variance_by_size(measurement: Measurement, protocol: Protocol, pixels: int, seed: int) -> list[dict[str, Any]]:
    """One record for every method, family of segments and size.

    Args:
        measurement: With the summed variance of signed maps over models, an image and grouping.
        protocol: Whose ``sizes`` were measured.
        pixels: Of an image.
        seed: Of the bootstrap.

    Returns:
        Records with ``method``, ``family`` (``"Slic"`` or ``"cells"``), ``mean_segment_pixels``, ``variance_ratio``
        (the grouped maps' variance over models, summed over pixels and images, over the pixel maps'; 1/|S| were the
        pixels of a segment independent), ``ci95``, ``shuffled_ratio`` (the same of maps whose pixels were permuted),
        ``across_model_variance`` (relative to the energy of the mean map; mean over the images that have any) and
        ``n``.
    """
    found = []
    for method in protocol.methods if protocol.sizes else ():
        for grouping in protocol.sizes:
            key = Key(method, grouping.name, "signed", "summed_variance")
            pixel_key = key._replace(grouping=protocol.groupings[0].name)
            if key not in measurement.values:
                continue
            generator = torch.Generator().manual_seed(derive_seed(seed, "bootstrap", *key))
            ratio, interval = _ratio(measurement.values[key], measurement.values[pixel_key], generator)
            shuffled = [measurement.values[each._replace(kind="permutation")].sum() for each in (key, pixel_key)]
            relative = measurement.values[key._replace(metric="across_model_variance")]
            found.append(
                {
                    "method": method,
                    "family": grouping.name.split()[0],
                    "mean_segment_pixels": pixels / measurement.segments[grouping.name],
                    "variance_ratio": ratio,
                    "ci95": list(interval),
                    "shuffled_ratio": (shuffled[0] / shuffled[1]).item(),
                    "across_model_variance": relative[relative.isfinite()].mean().item(),
                    "n": len(measurement.values[key]),
                }
            )
    return found


def _ratio(values: Tensor, reference: Tensor, generator: torch.Generator) -> tuple[float, tuple[float, float]]:
    """The ratio of two sums over the same images, and its interval."""
    drawn = torch.randint(len(values), (_RESAMPLES, len(values)), generator=generator)
    ratios = values[drawn].sum(dim=1) / reference[drawn].sum(dim=1)
    low, high = torch.quantile(ratios, torch.tensor([0.025, 0.975], dtype=ratios.dtype)).tolist()
    return (values.sum() / reference.sum()).item(), (low, high)
