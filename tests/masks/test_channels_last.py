"""Images with their channels last are an error that says so, and what it advises gives the right segments."""

import pytest
import torch
from captum.attr import Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.masks import (
    Cached,
    Felzenszwalb,
    Grid,
    Quickshift,
    SkimageSlic,
    Slic,
    Watershed,
    multiscale,
)

GENERATORS = [Slic(20), SkimageSlic(20), Felzenszwalb(), Quickshift(), Watershed(20), Grid(20), Cached(Slic(20))]


def channels_last(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("generator", GENERATORS, ids=repr)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_last_are_an_error_and_the_advice_is_right(generator, channels: int) -> None:
    images = channels_last(2, 24, 20, channels)
    with pytest.raises(ValueError, match=rf"shape \(2, 24, 20, {channels}\) seem to have .*inputs.movedim\(-1, 1\)"):
        generator(images)
    assert generator(images.movedim(-1, 1)).shape == (2, 1, 24, 20)


@pytest.mark.parametrize("generator", [SkimageSlic(20), Grid(20)], ids=repr)
def test_volumes(generator) -> None:
    volumes = channels_last(1, 8, 9, 10, 3)
    with pytest.raises(ValueError, match=r"shape \(1, 8, 9, 10, 3\) seem to have their channels last"):
        generator(volumes)
    assert generator(volumes.movedim(-1, 1)).shape == (1, 1, 8, 9, 10)


@pytest.mark.parametrize("generator", GENERATORS[:1] + GENERATORS[5:6], ids=repr)
@pytest.mark.parametrize("shape", [(2, 64, 4, 4), (2, 512, 7, 7), (2, 3, 40, 4), (2, 1, 40, 3), (2, 13, 8, 8)])
def test_channels_first_are_none(generator, shape: tuple[int, ...]) -> None:
    assert type(generator)(4)(channels_last(*shape)).shape == (2, 1, *shape[2:])


def test_a_single_image() -> None:
    image = channels_last(24, 20, 3)
    with pytest.raises(ValueError, match=r"by inputs.movedim\(-1, 0\)\[None\]"):
        Slic(20)(image)
    with pytest.raises(ValueError, match=r"by inputs.movedim\(-1, 0\)\[None\]"):
        XRAI(nn.Flatten()).attribute(image, target=0)
    assert Slic(20)(image.movedim(-1, 0)[None]).shape == (1, 1, 24, 20)
    with pytest.raises(ValueError, match=r"by inputs\[None\]"):
        Slic(20)(image.movedim(-1, 0))


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_a_network_that_takes_channels_last() -> None:
    linear = nn.Linear(24 * 20 * 3, 4)

    def network(inputs: Tensor) -> Tensor:
        assert inputs.shape[1:] == (24, 20, 3)
        return linear(inputs.flatten(1))

    images = channels_last(2, 24, 20, 3)
    for generator in (Slic(20), [Grid(4)], multiscale()):
        with pytest.raises(ValueError, match="seem to have their channels last"):
            SuperpixelGrouped(Saliency(network), generator).attribute(images, target=1)
    with pytest.raises(ValueError, match=r"XRAI segments .* seem to have their channels last"):
        XRAI(network).attribute(images, target=1, n_steps=2)

    def advised(inputs: Tensor) -> Tensor:
        return network(inputs.movedim(1, -1))

    inputs = images.movedim(-1, 1)
    mask = Grid(4)(inputs)
    maps = SuperpixelGrouped(Saliency(advised), Grid(4)).attribute(inputs, target=1)
    pixels = Saliency(network).attribute(images, target=1).movedim(-1, 1)
    first = (mask[0, 0] == 0).nonzero()
    assert maps[0, 2, 0, 0].item() == pytest.approx(pixels[0, 2][tuple(first.T)].mean().item())
    assert XRAI(advised).attribute(inputs, target=1, n_steps=2).shape == (2, 1, 24, 20)


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients")
def test_strips_of_many_channels_go_by_a_mask_of_ones_own() -> None:
    strips = channels_last(2, 16, 30, 3)
    mask = torch.arange(30).view(1, 1, 30, 1).expand(1, 1, 30, 3) // 10

    def network(inputs: Tensor) -> Tensor:
        return inputs.flatten(1).square().sum(1)

    assert SuperpixelGrouped(Saliency(network), Slic(4)).attribute(strips, feature_mask=mask).shape == strips.shape
    assert XRAI(Saliency(network)).attribute(strips, feature_mask=mask).shape == (2, 1, 30, 3)
