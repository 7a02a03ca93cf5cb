"""What replaces removed pixels; the order and the steps are tested by the curves of test_fidelity.py."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.ndimage
import torch
from torch import Tensor

from captum_superpixel.metrics._removal import background

Draw = Callable[..., Tensor]


@pytest.mark.parametrize("size", [(20, 31), (31, 20)])
def test_the_blur_is_a_gaussian_of_a_tenth_of_the_shorter_side(size: tuple[int, int], random: Draw) -> None:
    images = random(2, 3, *size)
    widths = (0, 0, 2, 2)
    weights = scipy.ndimage.gaussian_filter(np.ones(images.shape), widths, mode="constant", truncate=40)
    sums = scipy.ndimage.gaussian_filter(images.numpy(), widths, mode="constant", truncate=40)
    np.testing.assert_allclose(background("blur", images).numpy(), sums / weights, atol=1e-12)


def test_mean_zero_and_numbers_by_hand() -> None:
    images = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]], [[[0.0, -2.0]], [[8.0, 0.0]]]])
    assert background("mean", images)[:, :, 0].tolist() == [[[2, 2], [5, 5]], [[-1, -1], [4, 4]]]
    assert background("zero", images).tolist() == torch.zeros(2, 2, 1, 2).tolist()
    assert background(-0.5, images).tolist() == torch.full((2, 2, 1, 2), -0.5).tolist()
    of_channels = background(torch.tensor([7, 9]).reshape(2, 1, 1), images)
    assert of_channels[1, :, 0].tolist() == [[7, 7], [9, 9]]
    assert of_channels.dtype == images.dtype
