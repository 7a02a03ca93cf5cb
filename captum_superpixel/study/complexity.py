"""The complexity metrics of a study: functions of grouped maps, and the table of them."""

from collections.abc import Callable

import torch
from torch import Tensor

from captum_superpixel import metrics

__all__ = ["COMPLEXITY"]


def _entropy(maps: Tensor) -> Tensor:
    return metrics.entropy(_never_zero(maps))


def _effective_regions(maps: Tensor) -> Tensor:
    return metrics.effective_regions(_never_zero(maps))


COMPLEXITY: dict[str, Callable[[Tensor], Tensor]] = {"entropy": _entropy, "effective_regions": _effective_regions}
"""From maps (N, C, H, W) to values (N,), by name: a new one is a function above and its name here."""


def _never_zero(maps: Tensor) -> Tensor:
    """Take the constant map 1 for an all-zero one, which is constant too, but has no shares of its magnitude.

    One such map, as of evidence that speaks against a class everywhere, would leave a study without a mean.
    """
    zero = (maps == 0).flatten(1).all(dim=1)
    return torch.where(zero[:, None, None, None], torch.ones_like(maps), maps)
