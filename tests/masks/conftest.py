"""Real photographs, small and as bytes, for the tests of the mask generators."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
import torch
from skimage import data
from skimage.transform import resize
from torch import Tensor


@lru_cache
def _photographs(size: int) -> Tensor:
    images = []
    for load in (data.astronaut, data.chelsea, data.coffee, data.rocket):
        photograph = load()
        side = min(photograph.shape[:2])
        square = resize(photograph[:side, :side], (size, size), anti_aliasing=True, preserve_range=True)
        images.append(torch.from_numpy(square.round().astype(np.uint8)).movedim(-1, 0))
    return torch.stack(images)


@pytest.fixture
def photographs() -> Callable[[int], Tensor]:
    """Four photographs ``(4, 3, size, size)``, uint8."""
    return lambda size: _photographs(size).clone()
