"""95 % percentile bootstrap intervals over images: what other images would change, not what other networks would."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer, listed
from captum_superpixel._seeds import check_generator
from captum_superpixel._untyped import Floats, bootstrap

__all__ = ["Interval", "bootstrap_mean", "check_generator", "check_per_image", "interval", "resampled_means"]

Interval = tuple[float, float]

_DRAWN_AT_ONCE = 2**20
"""Images that are drawn at a time, at most, in several arrays of 8 MiB."""


def bootstrap_mean(
    values: Tensor, *, n_resamples: int = 2000, generator: torch.Generator | None = None
) -> tuple[float, Interval]:
    """Give the mean over images and its 95 % percentile bootstrap interval, for metrics that have no null.

    Args:
        values: One number per image, ``(N,)``, of any range.
        n_resamples: Number of bootstrap resamples.
        generator: Source of the resamples; None is a fresh one seeded with 0.

    Returns:
        Mean and ``(low, high)``; one image gives no interval, ``(nan, nan)``.

    Raises:
        TypeError: If the values are not a tensor of real numbers, or an option has a wrong type.
        ValueError: If they are not ``(N,)``, hold nothing, NaN or an infinity, or if ``n_resamples`` is below 1.

    Examples:
        >>> mean, (low, high) = bootstrap_mean(torch.arange(100.0))
        >>> print(f"{mean} ({low:.0f} to {high:.0f})")
        49.5 (44 to 55)
    """
    numbers = check_per_image("values", values)
    resampled = resampled_means(numbers[:, None], n_resamples, generator)
    return float(numbers.mean()), interval(resampled[:, 0])


def resampled_means(columns: Tensor, n_resamples: int = 2000, generator: torch.Generator | None = None) -> Tensor:
    """Average the rows of a table over bootstrap resamples of its images.

    In each resample the same images are drawn for all columns. What is computed from several columns of it, such as a
    difference, is therefore paired by image.

    Args:
        columns: D finite numbers per image, ``(N, D)``, on the CPU.
        n_resamples: Number of resamples, R.
        generator: Source of the seed that the resamples are drawn with; None is a fresh one seeded with 0.

    Returns:
        ``(R, D)`` float64; NaN for fewer than two images, which say nothing about others.

    Raises:
        TypeError: If ``n_resamples`` is not an integer, or the generator is not one.
        ValueError: If ``n_resamples`` is below 1.

    Examples:
        >>> means = resampled_means(torch.tensor([[0.0, 10.0], [1.0, 11.0], [5.0, 15.0]]))
        >>> means.shape, bool((means[:, 1] - means[:, 0]).allclose(torch.tensor(10.0, dtype=torch.float64)))
        (torch.Size([2000, 2]), True)
    """
    n_resamples = checked_integer("n_resamples", n_resamples)
    generator = check_generator(generator)
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    table: Floats = columns.double().numpy()
    count = len(table)
    if count < 2:
        return columns.new_full((n_resamples, columns.shape[1]), torch.nan, dtype=torch.float64)

    def means(drawn: Floats, axis: int) -> Floats:
        """The means ``(D, B)`` of all columns over B draws of the images' numbers, ``(B, N)``."""
        places = drawn.astype(np.int64) + count * np.arange(len(drawn))[:, None]
        times_drawn = np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape)
        sums: Floats = table.T @ times_drawn.astype(np.float64).T
        return sums / count

    # The images' numbers are resampled, not the table: SciPy would copy it for every resample, 50 times as slow.
    resampled = bootstrap(
        (np.arange(count),),
        means,
        n_resamples=n_resamples,
        batch=max(1, _DRAWN_AT_ONCE // count),
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return torch.from_numpy(resampled.bootstrap_distribution.T)


def interval(resampled: Tensor) -> Interval:
    """The 2.5th and the 97.5th percentile of a statistic's resamples ``(R,)``; NaN if one of them is."""
    low, high = torch.quantile(resampled, resampled.new_tensor([0.025, 0.975])).tolist()
    return low, high


def check_per_image(name: str, values: object) -> Tensor:
    """Return one finite number per image, ``(N,)``, as float64 on the CPU.

    Raises:
        TypeError: If they are not a tensor of real numbers.
        ValueError: If they have another shape, or one of them is NaN or infinite.
    """
    if not isinstance(values, Tensor) or values.is_complex():
        what = getattr(values, "dtype", type(values).__name__)
        raise TypeError(f"{name} must be a tensor of N real numbers, but {what} was passed")
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must have shape (N,), one number per image, but has shape {tuple(values.shape)}")
    broken = (~values.isfinite()).nonzero().flatten().tolist()
    if broken:
        raise ValueError(
            f"{name} of image {listed(broken)} are NaN or infinite: leave these images out, everywhere alike"
        )
    return values.detach().cpu().double()
