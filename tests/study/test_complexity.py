"""Complexity in the study: the public metrics, and a number for every map."""

import math

import pytest
import torch

from captum_superpixel import metrics
from captum_superpixel.study.complexity import COMPLEXITY


@pytest.mark.parametrize("name", COMPLEXITY)
def test_it_is_the_public_metric_of_that_name(name: str) -> None:
    maps = torch.randn(4, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(COMPLEXITY[name](maps), getattr(metrics, name)(maps))


def test_an_all_zero_map_is_a_constant_one() -> None:
    """Of one number, spread over all 30 pixels, beside a map on one pixel and one that is zero in some channels."""
    maps = torch.zeros(3, 2, 6, 5)
    maps[1, 0, 2, 2] = -4
    maps[2, 1] = torch.tensor([1.0, 0, 0, 0, 0])
    assert COMPLEXITY["effective_regions"](maps).tolist() == [1, 1, 1]
    expected = [math.log(30), 0, math.log(6)]
    assert COMPLEXITY["entropy"](maps).tolist() == pytest.approx(expected, abs=1e-12)
