"""multiscale: which segmentations it lists, what it refuses, and that an ensemble is the mean over its members."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.masks import Slic, multiscale

Photographs = Callable[[int], Tensor]


def test_every_pair_is_listed_once_counts_outside() -> None:
    listed = multiscale([20, 40], [5, 15.0], max_num_iter=3, denormalize=(0.5, 0.25), channel_order="bgr")
    pairs = [(20, 5.0), (20, 15.0), (40, 5.0), (40, 15.0)]
    assert listed == [
        Slic(n, compactness=c, max_num_iter=3, denormalize=(0.5, 0.25), channel_order="bgr") for n, c in pairs
    ]


def test_the_default_is_an_ensemble_of_eight() -> None:
    listed = multiscale()
    assert len(set(listed)) == 8
    assert {generator.n_segments for generator in listed} == {8, 16, 32, 64}
    assert {generator.compactness for generator in listed} == {5.0, 15.0}
    assert all(generator.denormalize is None and generator.channel_order == "rgb" for generator in listed)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((20,), TypeError, r"n_segments must be a sequence of numbers, but 20 was passed: write \(20,\)"),
        (("20",), TypeError, "n_segments must be a sequence of numbers, but '20' was passed"),
        (((20,), 5.0), TypeError, r"compactness must be a sequence of numbers, but 5\.0 was passed"),
        (((True,),), TypeError, r"n_segments must be an integer, but True \(bool\)"),
        (((20.0,),), TypeError, r"n_segments must be an integer, but 20\.0 \(float\)"),
        ((("20",),), TypeError, r"n_segments must be an integer, but '20' \(str\)"),
        (((20,), ("5",)), TypeError, r"compactness must be a number, but '5' \(str\)"),
        (((20,), (True,)), TypeError, r"compactness must be a number, but True \(bool\)"),
        (((),), ValueError, "n_segments is empty"),
        (((20,), []), ValueError, "compactness is empty"),
        (((20, 30, 20),), ValueError, r"n_segments=\(20, 30, 20\) names a value twice"),
        (((20,), (5, 5.0)), ValueError, r"compactness=\(5, 5\.0\) names a value twice"),
        (((20, 0),), ValueError, "n_segments must be at least 1, but 0"),
        (((20,), (5, 0)), ValueError, r"compactness must be finite and above 0, but 0\.0"),
    ],
)
def test_what_is_refused(arguments: tuple[Any, ...], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        multiscale(*arguments)


@pytest.mark.parametrize("reduction", ["mean", "abs_mean"])
def test_an_ensemble_is_the_mean_over_its_members(reduction: Any, photographs: Photographs) -> None:
    images = (photographs(32)[:2].float() / 255).requires_grad_()
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Tanh(), nn.Flatten(), nn.LazyLinear(3))
    network(images)
    members = multiscale((8, 20), (5, 15))
    together = SuperpixelGrouped(Saliency(network), members, reduction=reduction)
    maps = together.attribute(images, target=1, abs=False)
    apart = [
        SuperpixelGrouped(Saliency(network), member, reduction=reduction).attribute(images, target=1, abs=False)
        for member in members
    ]
    assert torch.allclose(maps, torch.stack(apart).mean(dim=0), atol=1e-7)
    assert all(not torch.allclose(maps, each, atol=1e-3 * maps.abs().max().item()) for each in apart)
