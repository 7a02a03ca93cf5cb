"""The regions of a grouped map of one photograph, ranked by what is shown of it, and how sure they are."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from captum_superpixel._checks import InputError, one_line
from captum_superpixel.attr.grouping import GroupReduction
from captum_superpixel.explain.choices import TOP
from captum_superpixel.pooling import reduce_channels
from captum_superpixel.regions import RegionTable, region_table

__all__ = ["list_regions", "show"]


def show(grouped: Tensor, reduction: GroupReduction) -> Tensor:
    """Make one map ``(1, H, W)`` of a grouped one ``(C, H, W)``, reducing its channels as its pixels were.

    Examples:
        >>> grouped = torch.tensor([[[2.0]], [[4.0]]])
        >>> [show(grouped, reduction).item() for reduction in ("mean", "sum", "max")]
        [3.0, 6.0, 4.0]
    """
    # In float64 the mean of equal channels is what each of them holds; evidence has a single one.
    return reduce_channels(grouped.double()[None], "mean" if reduction == "evidence" else reduction)[0]


def list_regions(
    grouped: Tensor, mask: Tensor, reduction: GroupReduction, draws: Tensor | InputError | None
) -> tuple[RegionTable, list[str]]:
    """Rank the regions of a map ``(C, H, W)`` by what is shown of it, with the scores of the channels beside that.

    How sure they are is said by draws ``(J, C, H, W)``; where it cannot be, a warning says why.
    """
    shown, unsure = show(grouped, reduction)[None], []
    table = region_table(shown, mask)
    if isinstance(draws, InputError):
        unsure.append(f"no confidence: {one_line(draws).rstrip('.')}")
    elif draws is not None:
        try:
            of_draws = torch.stack([show(one, reduction) for one in draws])[:, None]
            table = region_table(shown, mask, draws=of_draws, k=TOP)
        except ValueError as error:
            unsure.append(f"no confidence: {one_line(error)}")
    channels = {region.id: region.channel_scores for region in region_table(grouped[None], mask)}
    regions = tuple(replace(region, channel_scores=channels[region.id]) for region in table)
    return replace(table, regions=regions), unsure
