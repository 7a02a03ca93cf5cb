"""An ensemble of segmentations, at several numbers of segments and compactnesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from captum_superpixel._checks import checked_spacing
from captum_superpixel.masks.base import Statistic
from captum_superpixel.masks.slic import Slic

__all__ = ["multiscale"]


def multiscale(
    n_segments: Sequence[int] = (8, 16, 32, 64),
    compactness: Sequence[float] = (5.0, 15.0),
    *,
    max_num_iter: int = 5,
    spacing: Sequence[float] | None = None,
    denormalize: tuple[Statistic, Statistic] | None = None,
    channel_order: Literal["rgb", "bgr"] = "rgb",
) -> list[Slic]:
    """List a :class:`Slic` for every pair of a number of segments and a compactness, to be passed on as it is.

    ``SuperpixelGrouped`` averages the maps over the segmentations of such a list, which takes away what is arbitrary
    in any one of them.

    Args:
        n_segments: Numbers of segments, each at least 1 and at most the number of pixels per image.
        compactness: Weights of position against color, each above 0.
        max_num_iter: The number of k-means iterations.
        spacing: How far apart adjacent pixels are along each spatial axis, as for :class:`Slic`.
        denormalize: ``(mean, std)`` of the model's preprocessing, as for :class:`Slic`.
        channel_order: ``"rgb"`` or ``"bgr"``, for inputs with three channels.

    Returns:
        ``len(n_segments) * len(compactness)`` generators, the numbers of segments in the outer loop.

    Raises:
        TypeError: If a value is not a number, or ``n_segments`` or ``compactness`` is not a sequence.
        ValueError: If one of them is empty, names a value twice, or holds one that :class:`Slic` refuses.

    Examples:
        >>> multiscale((20, 40), (5, 15))
        [Slic(n_segments=20, compactness=5.0), Slic(n_segments=20, compactness=15.0), Slic(n_segments=40, ...
    """
    given: tuple[tuple[str, Any], ...] = (("n_segments", n_segments), ("compactness", compactness))
    for name, values in given:
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise TypeError(f"{name} must be a sequence of numbers, but {values!r} was passed: write ({values!r},)")
        if not values:
            raise ValueError(f"{name} is empty: an ensemble needs at least one segmentation")
        if len(set(values)) < len(values):
            raise ValueError(f"{name}={tuple(values)} names a value twice: each pair is one segmentation")
    return [
        Slic(
            count,
            compactness=weight,
            max_num_iter=max_num_iter,
            spacing=checked_spacing(spacing),
            denormalize=denormalize,
            channel_order=channel_order,
        )
        for count in n_segments
        for weight in compactness
    ]
