import numpy as np
import pytest
import torch
from scipy.ndimage import generic_filter
from torch import Tensor

from captum_superpixel.study.guided_filter import guided_filter


def window_mean(image: np.ndarray, radius: int) -> np.ndarray:
    """The mean of the values in each window that lie in the image."""
    return generic_filter(image, np.nanmean, size=2 * radius + 1, mode="constant", cval=np.nan)


def reference(image: np.ndarray, guide: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """He et al.'s algorithm 1, with SciPy's windows."""
    mean_map, mean_guide = window_mean(image, radius), window_mean(guide, radius)
    covariance = window_mean(image * guide, radius) - mean_map * mean_guide
    slope = covariance / (window_mean(guide**2, radius) - mean_guide**2 + eps)
    offset = mean_map - slope * mean_guide
    return window_mean(slope, radius) * guide + window_mean(offset, radius)


@pytest.fixture
def maps() -> Tensor:
    return torch.randn(2, 3, 9, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def guide() -> Tensor:
    return torch.rand(2, 1, 9, 7, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("radius", "eps"), [(1, 0.01), (2, 0.1), (5, 0.001), (12, 0.01)])
def test_equals_the_algorithm_of_its_authors(maps: Tensor, guide: Tensor, radius: int, eps: float) -> None:
    found = guided_filter(maps, guide, radius, eps)
    for image in range(2):
        for channel in range(3):
            expected = reference(maps[image, channel].double().numpy(), guide[image, 0].double().numpy(), radius, eps)
            assert np.allclose(found[image, channel].numpy(), expected, atol=1e-5)


def test_radius_0_and_constant_maps_change_nothing(maps: Tensor, guide: Tensor) -> None:
    assert torch.allclose(guided_filter(maps, guide, 0, 0.01), maps, atol=1e-6)
    assert torch.allclose(guided_filter(torch.full_like(maps, -2.5), guide, 3, 0.01), torch.tensor(-2.5))


def test_a_map_that_is_linear_in_the_picture_stays(guide: Tensor) -> None:
    assert torch.allclose(guided_filter(3 * guide - 1, guide, 3, 1e-9), 3 * guide - 1, atol=1e-4)


def test_a_flat_picture_gives_a_box_filter_twice(maps: Tensor) -> None:
    flat = torch.full((2, 1, 9, 7), 0.5)
    twice = window_mean(window_mean(maps[0, 0].double().numpy(), 2), 2)
    assert np.allclose(guided_filter(maps, flat, 2, 0.01)[0, 0].numpy(), twice, atol=1e-5)


def test_keeps_the_dtype_and_one_image_alone_is_as_in_a_batch(maps: Tensor, guide: Tensor) -> None:
    assert guided_filter(maps.half(), guide, 2, 0.01).dtype == torch.float16
    assert torch.equal(guided_filter(maps[1:], guide[1:], 2, 0.01), guided_filter(maps, guide, 2, 0.01)[1:])
