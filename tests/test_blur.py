"""The Gaussian blur, against SciPy's with weights that are renormalized at the borders, and at its limits."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from captum_superpixel._blur import gaussian_blur


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("sigma", [0.6, 1.5, 20.0])
def test_against_scipy(sigma: float) -> None:
    images = random(2, 3, 9, 14)
    widths = (0, 0, sigma, sigma)
    weights = scipy.ndimage.gaussian_filter(np.ones(images.shape), widths, mode="constant", truncate=40)
    sums = scipy.ndimage.gaussian_filter(images.numpy(), widths, mode="constant", truncate=40)
    np.testing.assert_allclose(gaussian_blur(images, sigma).numpy(), sums / weights, atol=1e-12)


def test_keeps_constants_and_tends_to_the_mean() -> None:
    constant = torch.full((1, 2, 20, 31), 0.3)
    torch.testing.assert_close(gaussian_blur(constant, 2.0), constant)
    images = random(2, 1, 20, 31)
    torch.testing.assert_close(gaussian_blur(images, 1e9), images.mean(dim=(2, 3), keepdim=True).expand(images.shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    images = random(2, 3, 9, 14).to(dtype)
    assert torch.equal(gaussian_blur(images, 1.5), gaussian_blur(images.float(), 1.5).to(dtype))
