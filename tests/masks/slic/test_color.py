"""CIELAB against scikit-image's, and the promise that an element's bits depend on that element alone."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from captum_superpixel.masks.slic._color import rgb_to_lab


def test_all_colors_are_those_of_scikit_image() -> None:
    level = torch.cat([torch.linspace(0, 1, 33), torch.linspace(0, 0.06, 20)])
    colors = torch.cartesian_prod(level, level, level).T[None].contiguous()
    expected = rgb2lab(colors.double().numpy(), channel_axis=1)
    assert np.abs(rgb_to_lab(colors).numpy() - expected).max(axis=(0, 2)).tolist() == pytest.approx([0, 0, 0], abs=0.02)


def test_grays_have_no_color() -> None:
    lab = rgb_to_lab(torch.linspace(0, 1, 256).expand(1, 3, 256).contiguous())
    assert lab[0, 1:].abs().max() < 0.02
    assert lab[0, 0].diff().min() > 0
    assert lab[0, 0, [0, -1]].tolist() == pytest.approx([0, 100], abs=0.01)


def test_every_element_has_the_same_bits_in_any_array() -> None:
    images = torch.rand(2, 3, 257, generator=torch.Generator().manual_seed(0))
    expected = rgb_to_lab(images)
    for length in (1, 2, 3, 7, 15, 16, 17, 31, 33, 100):
        parts = [rgb_to_lab(part.contiguous()) for part in images.split(length, dim=2)]
        assert torch.equal(torch.cat(parts, dim=2), expected), length
    assert torch.equal(rgb_to_lab(images.repeat(200, 1, 1))[-2:], expected)


def test_the_input_is_left_alone() -> None:
    images = torch.rand(1, 3, 5, 5)
    before = images.clone()
    rgb_to_lab(images)
    assert torch.equal(images, before)
