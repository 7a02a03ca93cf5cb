"""Several generators on one batch: they share the scaled pixels, and give what each gives by itself."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from captum.attr import Saliency
from torch import Tensor

from captum_superpixel import SuperpixelGrouped, _threads
from captum_superpixel.masks import Felzenszwalb, Grid, SkimageSlic, Slic, Watershed
from captum_superpixel.masks.base import ImageMaskGenerator, segment_with_all


@pytest.fixture
def scalings(monkeypatch: pytest.MonkeyPatch) -> list[ImageMaskGenerator]:
    """Who scaled pixels, in order."""
    calls = []
    original = ImageMaskGenerator.scale_pixels

    def scale_pixels(self: ImageMaskGenerator, inputs: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(self)
        return original(self, inputs)

    monkeypatch.setattr(ImageMaskGenerator, "scale_pixels", scale_pixels)
    return calls


def batch() -> Tensor:
    images = torch.rand(3, 3, 40, 30, generator=torch.Generator().manual_seed(0)) * 255
    images[1] = 7  # flat
    return images


def test_several_generators_share_their_scaling(scalings: list[ImageMaskGenerator]) -> None:
    generators = [
        Grid(9),
        Slic(20),
        Slic(40, compactness=5.0),
        SkimageSlic(20),
        Slic(20, channel_order="bgr"),
        Watershed(12, denormalize=(0.0, 1 / 255)),
        Felzenszwalb(denormalize=(0.0, 1 / 255)),
    ]
    masks = segment_with_all(generators, batch())
    assert scalings == [generators[1], generators[4], generators[5]]
    for generator, mask in zip(generators, masks, strict=True):
        torch.testing.assert_close(mask, generator(batch()), rtol=0, atol=0)


def test_an_ensemble_goes_that_way(scalings: list[ImageMaskGenerator]) -> None:
    ensemble = [Slic(10), Slic(20), lambda inputs: Grid(4)(inputs), Slic(30)]
    masks = SuperpixelGrouped(Saliency(torch.relu), ensemble).feature_mask(batch())
    assert len(scalings) == 1
    assert [len(mask[0].unique()) for mask in masks] == [10, 20, 4, 30]


def test_all_generators_are_asked_before_any_segments(scalings: list[ImageMaskGenerator]) -> None:
    with pytest.raises(ValueError, match=r"n_segments=2000, but an image of the inputs of shape \(3, 3, 40, 30\)"):
        segment_with_all([Slic(10), Slic(2000)], batch())
    assert scalings == []


def test_engines_of_scikit_image_share_one_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    generators = [Felzenszwalb(num_threads=2), SkimageSlic(9, num_threads=3), Watershed(9, num_threads=1)]
    expected = [generator(batch()) for generator in generators]
    pools = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, threads: int) -> None:
            pools.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(_threads, "ThreadPoolExecutor", Pool)
    masks = segment_with_all(generators, batch())
    assert pools == [3]
    for mask, alone in zip(masks, expected, strict=True):
        torch.testing.assert_close(mask, alone, rtol=0, atol=0)


def test_masks_come_in_the_order_of_their_generators() -> None:
    generators = [Grid(4), Slic(30), Watershed(5), Slic(10), Grid(9), Felzenszwalb(), Slic(30)]
    masks = segment_with_all(generators, batch())
    assert [len(mask[0].unique()) for mask in masks if mask is not masks[5]] == [4, 30, 5, 10, 9, 30]
    assert segment_with_all([], batch()) == []
