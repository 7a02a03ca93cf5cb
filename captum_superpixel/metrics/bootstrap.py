"""95 % percentile bootstrap intervals over images: what other images would change, not what other networks would."""

from __future__ import annotations

from numbers import Integral

import torch
from torch import Tensor

__all__ = [
    "Interval",
    "bootstrap_mean",
    "check_count",
    "check_generator",
    "check_per_image",
    "interval",
    "resampled_means",
]

Interval = tuple[float, float]

_RESAMPLED_AT_ONCE = 2**21


def bootstrap_mean(
    values: Tensor, *, n_resamples: int = 2000, generator: torch.Generator | None = None
) -> tuple[float, Interval]:
    """Give the mean over images and its 95 % percentile bootstrap interval, for metrics that have no null.

    Args:
        values: One number an image, ``(N,)``, of any range.
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


def check_generator(generator: object) -> torch.Generator:
    """Return the generator, or a fresh one seeded with 0 for None; TypeError for anything else."""
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator={generator!r} is not a torch.Generator: pass torch.Generator().manual_seed(…)")
    return generator


def check_count(name: str, count: object) -> None:
    """Raise TypeError or ValueError unless ``count`` is an integer of at least 1."""
    if isinstance(count, bool) or not isinstance(count, Integral):
        raise TypeError(f"{name}={count!r} must be an integer")
    if int(count) < 1:
        raise ValueError(f"{name}={count} must be 1 or more")


def check_per_image(name: str, values: object) -> Tensor:
    """Return one finite number an image, ``(N,)``, as float64 on the CPU."""
    if not isinstance(values, Tensor) or values.is_complex():
        what = getattr(values, "dtype", type(values).__name__)
        raise TypeError(f"{name} must be a tensor of N real numbers, but {what} was passed")
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"{name} must have shape (N,), one number an image, but has shape {tuple(values.shape)}")
    broken = (~values.isfinite()).nonzero().flatten().tolist()
    if broken:
        named = ", ".join(map(str, broken[:8])) + (", …" if len(broken) > 8 else "")
        raise ValueError(f"{name} of image {named} are NaN or infinite: leave these images out, everywhere alike")
    return values.detach().cpu().double()


def resampled_means(columns: Tensor, n_resamples: int, generator: torch.Generator | None) -> Tensor:
    """Average the rows of ``(N, D)`` over resamples of whole rows: ``(n_resamples, D)``, NaN for a single row."""
    check_count("n_resamples", n_resamples)
    generator = check_generator(generator)
    count = len(columns)
    if count == 1:
        return columns.new_full((1, columns.shape[1]), torch.nan)
    means, at_once = [], max(1, _RESAMPLED_AT_ONCE // count)
    for start in range(0, n_resamples, at_once):
        size = (min(at_once, n_resamples - start), count)
        drawn = torch.randint(count, size, generator=generator, device=generator.device)
        means.append(columns[drawn.cpu()].mean(dim=1))
    return torch.cat(means)


def interval(resampled: Tensor) -> Interval:
    """The 2.5th and the 97.5th percentile of a statistic's resamples ``(R,)``; NaN if one of them is."""
    low, high = torch.quantile(resampled, resampled.new_tensor([0.025, 0.975])).tolist()
    return low, high
