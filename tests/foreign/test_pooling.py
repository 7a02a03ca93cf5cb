"""Pooling and masks as tensors on another device."""

from collections.abc import Callable

import pytest
import torch
from foreign_device import Case
from torch import Tensor

from captum_superpixel.attr import group_maps, lay_over
from captum_superpixel.pooling import pool_segments, segment_scores

Check = Callable[..., None]

MAPS = torch.randn(3, 2, 9, 8, generator=torch.Generator().manual_seed(1))
MASKS = torch.randint(0, 5, (3, 1, 9, 8), generator=torch.Generator().manual_seed(2)) * 2**40
BY_CHANNEL = torch.randint(0, 5, (3, 2, 9, 8), generator=torch.Generator().manual_seed(3))
REDUCTIONS = ("mean", "sum", "abs_mean", "max")


def cases(reduction: str) -> dict[str, Case]:
    return {
        "segment_scores": lambda on: segment_scores(on(MAPS), on(MASKS), reduction),
        "of one mask on the CPU": lambda on: segment_scores(on(MAPS), MASKS[:1], reduction),
        "of an array": lambda on: pool_segments(on(MAPS), MASKS.numpy(), reduction),
        "pool_segments": lambda on: pool_segments(on(MAPS), on(MASKS), reduction),
        "both channels": lambda on: pool_segments(on(MAPS), on(BY_CHANNEL), reduction),
        "pool_channels": lambda on: pool_segments(on(MAPS), on(MASKS), reduction, pool_channels=True),
        "half": lambda on: pool_segments(on(MAPS.half()), on(MASKS), reduction),
        "group_maps": lambda on: group_maps(on(MAPS), [on(MASKS), MASKS[1:2], BY_CHANNEL.numpy()[:, :1]], reduction),
    }


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", cases("mean"))
def test_pooling(name: str, reduction: str, check: Check) -> None:
    # Off the CPU sums are of float32.
    check(cases(reduction)[name], rounding=0 if reduction == "max" else 1e-3 if name == "half" else 2e-6)


def test_evidence_and_sizes(check: Check) -> None:
    check(lambda on: group_maps(on(MAPS), [on(MASKS)], "evidence"), rounding=2e-6)
    check(lambda on: lay_over(on(MAPS), (18, 20)))


def test_long_sums_are_no_coarser_than_their_parts(check: Check) -> None:
    ones = torch.full((1, 1, 2**21 + 5), 0.1)
    labels = torch.zeros(1, 1, 2**21 + 5, dtype=torch.int64)

    def call(on: Callable[[Tensor], Tensor]) -> Tensor:
        return segment_scores(on(ones), on(labels), "sum")

    check(call, rounding=1e-5)
