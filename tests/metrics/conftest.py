"""Random maps for the tests of the metrics."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def random() -> Callable[..., Tensor]:
    """From a shape and a seed to normal numbers in float64, the same in every call."""

    def draw(*shape: int, seed: int = 0) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

    return draw
