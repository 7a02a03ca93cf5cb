"""Masks of real photographs against direct calls of scikit-image, and what the engines promise of their segments."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.color import gray2rgb, rgb2lab
from skimage.filters import gaussian, sobel
from skimage.measure import label
from skimage.morphology import local_minima
from skimage.segmentation import felzenszwalb, quickshift, slic, watershed
from skimage.transform import resize
from torch import Tensor

from captum_superpixel.masks import Felzenszwalb, Quickshift, SkimageSlic, Watershed
from captum_superpixel.masks._merging import connected_pieces, merge_pieces

Photographs = Callable[[int], Tensor]
Array = NDArray[np.floating]


def as_arrays(inputs: Tensor) -> list[Array]:
    """Images ``(N, C, *spatial)`` as arrays ``(*spatial, C)``, each from 0 to 1."""
    arrays = []
    for image in inputs.float():
        scaled = (image - image.min()) / (image.max() - image.min())
        arrays.append(scaled.movedim(0, -1).numpy().copy())
    return arrays


def same_partition(first: NDArray[np.integer], second: NDArray[np.integer]) -> bool:
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return pairs.shape[1] == len(np.unique(first)) == len(np.unique(second))


def is_connected(mask: NDArray[np.integer], connectivity: int = 1) -> bool:
    return bool(label(mask, connectivity=connectivity, background=-1).max() == mask.max() + 1)


def explained_variation(image: Array, mask: NDArray[np.integer]) -> float:
    """The part of the variance of the CIELAB colours that segments' means carry."""
    colours = rgb2lab(image).reshape(-1, 3)
    counts = np.bincount(mask.ravel())
    means = np.stack([np.bincount(mask.ravel(), column) for column in colours.T], axis=1) / counts[:, None]
    return float(means[mask.ravel()].var(axis=0).sum() / colours.var(axis=0).sum())


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("n_segments", [10, 36])
def test_slic_merges_the_clusters_of_scikit_image(size: int, n_segments: int, photographs: Photographs) -> None:
    inputs = photographs(size)
    masks = SkimageSlic(n_segments, compactness=20.0, sigma=0.5, max_num_iter=5)(inputs)[:, 0].numpy()
    for mask, image in zip(masks, as_arrays(inputs), strict=True):
        clusters = slic(image, n_segments, compactness=20.0, sigma=0.5, max_num_iter=5, enforce_connectivity=False)
        pieces = label(clusters, connectivity=1)
        assert pieces.max() >= n_segments
        # Each piece of a cluster lies in one segment.
        assert len(np.unique(pieces * 1000 + mask)) == pieces.max()
        assert same_partition(mask, merge_pieces(pieces - 1, rgb2lab(image), n_segments))


def test_slic_with_as_many_segments_as_pieces_is_that_of_scikit_image() -> None:
    quarters = torch.tensor([[0.0, 0.3], [0.6, 1.0]]).kron(torch.ones(8, 8))[None, None]
    clusters = slic(gray2rgb(quarters[0, 0].numpy()), 4, enforce_connectivity=False, start_label=0)
    assert np.array_equal(SkimageSlic(4)(quarters)[0, 0].numpy(), clusters)


@pytest.mark.parametrize("n_segments", [270, 300])
def test_slic_takes_more_centres_where_pieces_are_too_few(n_segments: int, photographs: Photographs) -> None:
    inputs = photographs(32)
    too_few = 0
    for mask, image in zip(SkimageSlic(n_segments)(inputs), as_arrays(inputs), strict=True):
        centres = n_segments
        while (pieces := label(slic(image, centres, enforce_connectivity=False), connectivity=1)).max() < n_segments:
            centres = min(1024, int(np.ceil(centres * 1.5)))
            too_few += 1
        assert same_partition(mask[0].numpy(), merge_pieces(pieces - 1, rgb2lab(image), n_segments))
    assert too_few > 0


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_slic_clusters_other_channels_as_they_are(channels: int, photographs: Photographs) -> None:
    inputs = torch.cat([photographs(32), photographs(32).flip(2)], dim=1)[:, :channels]
    for mask, image in zip(SkimageSlic(36)(inputs), as_arrays(inputs), strict=True):
        clusters = slic(image, 36, compactness=0.1, convert2lab=False, enforce_connectivity=False, start_label=0)
        assert same_partition(mask[0].numpy(), merge_pieces(connected_pieces(clusters), image * np.float32(100), 36))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_slic_segments_volumes(channels: int) -> None:
    depth, height, width = torch.meshgrid(torch.arange(8), torch.arange(16), torch.arange(16), indexing="ij")
    ball = ((depth - 4) ** 2 * 4 + (height - 8) ** 2 + (width - 8) ** 2 < 40).float()
    inputs = torch.stack([ball + 0.05 * torch.rand(channels, 8, 16, 16, generator=torch.Generator().manual_seed(1))])
    mask = SkimageSlic(30)(inputs)
    assert mask.shape == (1, 1, 8, 16, 16)
    assert len(mask.unique()) == 30
    assert is_connected(mask[0, 0].numpy())
    inside = torch.stack([ball[mask[0, 0] == number].mean() for number in range(30)])
    assert ((inside < 0.1) | (inside > 0.9)).sum() >= 27
    image = as_arrays(inputs)[0]
    image = np.repeat(image, 3, axis=-1) if channels == 1 else image
    compactness = 0.5 if channels == 2 else 50
    pieces = connected_pieces(slic(image, 8, compactness=compactness, enforce_connectivity=False, channel_axis=-1))
    assert pieces.max() >= 8
    expected = merge_pieces(pieces, image * np.float32(100) if channels == 2 else rgb2lab(image), 8)
    assert same_partition(SkimageSlic(8, compactness=50)(inputs)[0, 0].numpy(), expected)


@pytest.mark.parametrize("size", [32, 48, 96])
@pytest.mark.parametrize("n_segments", [1, 10, 50, 100, 300])
@pytest.mark.parametrize("cls", [SkimageSlic, Watershed])
def test_segments_are_connected_and_exactly_as_many_as_asked_for(
    cls: type[SkimageSlic], n_segments: int, size: int, photographs: Photographs
) -> None:
    masks = cls(n_segments)(photographs(size))[:, 0].numpy()
    assert [int(mask.max()) + 1 for mask in masks] == [n_segments] * 4
    assert all(is_connected(mask) for mask in masks)


@pytest.mark.parametrize("cls", [SkimageSlic, Watershed])
@pytest.mark.parametrize("n_segments", [2, 3, 64, 500, 1023, 1024])
def test_so_they_are_in_drawings(cls: type[SkimageSlic], n_segments: int) -> None:
    halves = torch.zeros(1, 3, 32, 32)
    halves[..., 16:] = 1
    dot = torch.zeros(1, 3, 32, 32)
    dot[..., 5, 7] = 1
    ramp = torch.linspace(0, 1, 32).expand(1, 3, 32, 32)
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    for mask in cls(n_segments)(torch.cat([halves, dot, ramp, noise]))[:, 0].numpy():
        assert mask.max() + 1 == n_segments
        assert is_connected(mask)


@pytest.mark.parametrize("cls", [SkimageSlic, Watershed])
def test_two_halves_are_two_segments(cls: type[SkimageSlic]) -> None:
    halves = torch.zeros(1, 1, 32, 32)
    halves[..., 16:] = 1
    assert torch.equal(cls(2)(halves), halves.long())


def test_slic_explains_more_colour_than_with_the_connectivity_of_scikit_image(photographs: Photographs) -> None:
    inputs = photographs(96)
    for mask, image in zip(SkimageSlic(100)(inputs), as_arrays(inputs), strict=True):
        theirs = slic(image, 100, start_label=0)
        assert explained_variation(image, mask[0].numpy()) > explained_variation(image, theirs)


def gradient_of(features: Array) -> Array:
    return np.sqrt(sum(sobel(features[..., channel]) ** 2 for channel in range(features.shape[-1])))


@pytest.mark.parametrize("sigma", [0, 1.5])
def test_watershed_merges_the_basins_of_scikit_image(sigma: float, photographs: Photographs) -> None:
    inputs = photographs(64)
    for mask, image in zip(Watershed(20, sigma=sigma)(inputs), as_arrays(inputs), strict=True):
        colours = rgb2lab(image)
        basins = watershed(gradient_of(gaussian(colours, sigma, channel_axis=-1) if sigma else colours))
        assert basins.max() >= 20
        assert same_partition(mask[0].numpy(), merge_pieces(basins - 1, colours, 20))


def test_watershed_explains_more_colour_than_from_a_regular_grid_of_markers(photographs: Photographs) -> None:
    inputs = photographs(96)
    for mask, image in zip(Watershed(100)(inputs), as_arrays(inputs), strict=True):
        theirs = watershed(gradient_of(rgb2lab(image)), 100) - 1
        assert explained_variation(image, mask[0].numpy()) > explained_variation(image, theirs)


def test_watershed_keeps_the_minima_beside_the_grid(photographs: Photographs) -> None:
    # 200 segments are more than a photograph of 32 pixels has minima, and less than it has pixels.
    inputs = photographs(32)
    for mask, image in zip(Watershed(200)(inputs), as_arrays(inputs), strict=True):
        assert label(local_minima(gradient_of(rgb2lab(image))), connectivity=1).max() < 200
        theirs = watershed(gradient_of(rgb2lab(image)), 196) - 1
        assert mask.max() == 199
        assert explained_variation(image, mask[0].numpy()) > explained_variation(image, theirs)


@pytest.mark.parametrize(
    ("generator", "options"),
    [
        (Felzenszwalb(), {"scale": 5 * 8, "sigma": 0.8, "min_size": 4}),
        (Felzenszwalb(scale=90, sigma=0.5, min_size=12), {"scale": 90, "sigma": 0.5, "min_size": 12}),
    ],
)
def test_felzenszwalb_is_that_of_scikit_image(
    generator: Felzenszwalb, options: dict[str, float], photographs: Photographs
) -> None:
    inputs = photographs(64)
    for mask, image in zip(generator(inputs), as_arrays(inputs), strict=True):
        assert np.array_equal(mask[0].numpy(), felzenszwalb(rgb2lab(image) / 100, **options))
    grey = inputs[:, :1]
    for mask, image in zip(generator(grey), as_arrays(grey), strict=True):
        assert np.array_equal(mask[0].numpy(), felzenszwalb(rgb2lab(gray2rgb(image[..., 0])) / 100, **options))


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_felzenszwalb_compares_other_channels_as_they_are(channels: int, photographs: Photographs) -> None:
    inputs = torch.cat([photographs(32), photographs(32).flip(2)], dim=1)[:, :channels]
    for mask, image in zip(Felzenszwalb(scale=30)(inputs), as_arrays(inputs), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            expected = felzenszwalb(image, scale=30, sigma=0.8, min_size=4)
        assert np.array_equal(mask[0].numpy(), expected)


def test_felzenszwalb_keeps_to_the_least_size_and_connects_diagonally(photographs: Photographs) -> None:
    for mask in Felzenszwalb(min_size=15)(photographs(64))[:, 0].numpy():
        assert np.bincount(mask.ravel()).min() >= 15
        assert is_connected(mask, connectivity=2)


@pytest.mark.parametrize(
    ("generator", "options"),
    [
        (Quickshift(), {"kernel_size": 8 / 6, "max_dist": 7 * 8 / 6, "ratio": 0.5}),
        (Quickshift(2, 5, 0.75), {"kernel_size": 2, "max_dist": 5, "ratio": 0.75}),
    ],
)
def test_quickshift_is_that_of_scikit_image(
    generator: Quickshift, options: dict[str, float], photographs: Photographs
) -> None:
    inputs = photographs(64)
    for mask, image in zip(generator(inputs), as_arrays(inputs), strict=True):
        assert np.array_equal(mask[0].numpy(), quickshift(image, **options))
    several = torch.cat([inputs, inputs.flip(2)], dim=1)[:, :5]
    for mask, image in zip(generator(several), as_arrays(several), strict=True):
        assert np.array_equal(mask[0].numpy(), quickshift(image * np.float32(100), convert2lab=False, **options))


def test_quickshift_reduces_large_images(photographs: Photographs) -> None:
    inputs = photographs(96)[:2, :, :72]
    for mask, image in zip(Quickshift(max_side=32)(inputs), as_arrays(inputs), strict=True):
        reduced = resize(image, (24, 32), order=1, anti_aliasing=True).astype(np.float32)
        size = (24 * 32) ** 0.25
        labels = quickshift(reduced, kernel_size=max(1, size / 6), max_dist=7 * max(1, size / 6), ratio=0.5)
        assert np.array_equal(mask[0].numpy(), labels.repeat(3, axis=0).repeat(3, axis=1))
    assert torch.equal(Quickshift(max_side=96)(inputs), Quickshift()(inputs))


@pytest.mark.parametrize("cls", [Felzenszwalb, Quickshift])
@pytest.mark.parametrize(("size", "least", "most"), [(32, 15, 90), (224, 40, 320), (320, 40, 320)])
def test_the_defaults_suit_the_size(
    cls: type[Quickshift], size: int, least: int, most: int, photographs: Photographs
) -> None:
    for mask in cls()(photographs(size)[:2]):
        assert least <= len(mask.unique()) <= most
