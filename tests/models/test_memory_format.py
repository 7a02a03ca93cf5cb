"""Networks with channels last compute what they computed before."""

import copy

import pytest
import torch
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from captum_superpixel.models.memory_format import use_channels_last
from captum_superpixel.models.networks import SmallCNN


def test_outputs_and_attributions_are_the_same_but_for_rounding() -> None:
    torch.manual_seed(0)
    network = SmallCNN(width=4).eval()
    changed = use_channels_last(copy.deepcopy(network))
    images = torch.rand(3, 3, 24, 24)
    torch.testing.assert_close(changed(images), network(images))
    maps, expected = (IntegratedGradients(each).attribute(images, target=1, n_steps=5) for each in (changed, network))
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("images", [torch.rand(2, 3, 8, 8), torch.rand(2, 8, 8, 3).permute(0, 3, 1, 2)])
def test_the_layers_are_given_channels_last(images: Tensor) -> None:
    seen = []
    network = nn.Conv2d(3, 4, 3)
    network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    use_channels_last(network)(images)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_what_are_no_images_is_left_alone() -> None:
    rows = torch.rand(2, 5)
    network = nn.Linear(5, 3)
    expected = network(rows)
    torch.testing.assert_close(use_channels_last(network)(rows), expected)
