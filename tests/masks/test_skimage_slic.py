"""SkimageSlic against direct calls of scikit-image, and what it promises of its segments."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.color import gray2rgb, rgb2lab
from skimage.measure import label
from skimage.segmentation import slic
from torch import Tensor

from captum_superpixel.masks import SkimageSlic

Array = NDArray[np.floating]
AsArrays = Callable[[Tensor], list[Array]]
CountComponents = Callable[..., int]
ExplainedVariation = Callable[[Array, NDArray[np.integer]], float]
Merge = Callable[[NDArray[np.integer], Array, int], NDArray[np.integer]]
Photographs = Callable[[int], Tensor]
SamePartition = Callable[[NDArray[np.integer], NDArray[np.integer]], bool]


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("n_segments", [10, 36])
def test_it_merges_the_clusters_of_scikit_image(
    size: int,
    n_segments: int,
    photographs: Photographs,
    as_arrays: AsArrays,
    same_partition: SamePartition,
    merge: Merge,
) -> None:
    inputs = photographs(size)
    masks = SkimageSlic(n_segments, compactness=20.0, sigma=0.5, max_num_iter=5)(inputs)[:, 0].numpy()
    for mask, image in zip(masks, as_arrays(inputs), strict=True):
        centers = n_segments
        while True:
            clusters = slic(image, centers, compactness=20.0, sigma=0.5, max_num_iter=5, enforce_connectivity=False)
            components = label(clusters, connectivity=1)
            assert components.max() >= n_segments
            merged = merge(components - 1, rgb2lab(image), n_segments)
            # Again from more centers where a speck stays, smaller than a tenth of the mean.
            if np.bincount(merged.ravel()).min() >= size * size / (10 * n_segments):
                break
            centers = int(np.ceil(centers * 1.5))
        # Each component of a cluster lies in one segment.
        assert len(np.unique(components * 1000 + mask)) == components.max()
        assert same_partition(mask, merged)


def test_as_many_segments_as_components_are_those_of_scikit_image() -> None:
    quarters = torch.tensor([[0.0, 0.3], [0.6, 1.0]]).kron(torch.ones(8, 8))[None, None]
    clusters = slic(gray2rgb(quarters[0, 0].numpy()), 4, enforce_connectivity=False, start_label=0)
    assert np.array_equal(SkimageSlic(4)(quarters)[0, 0].numpy(), clusters)


@pytest.mark.parametrize("n_segments", [270, 300])
def test_it_takes_more_centers_where_components_are_too_few(
    n_segments: int, photographs: Photographs, as_arrays: AsArrays, same_partition: SamePartition, merge: Merge
) -> None:
    inputs = photographs(32)
    too_few = 0
    for mask, image in zip(SkimageSlic(n_segments)(inputs), as_arrays(inputs), strict=True):
        centers = n_segments
        while (
            components := label(slic(image, centers, enforce_connectivity=False), connectivity=1)
        ).max() < n_segments:
            centers = min(1024, int(np.ceil(centers * 1.5)))
            too_few += 1
        assert same_partition(mask[0].numpy(), merge(components - 1, rgb2lab(image), n_segments))
    assert too_few > 0


def test_plain_is_that_of_scikit_image(
    photographs: Photographs, as_arrays: AsArrays, same_partition: SamePartition
) -> None:
    """With its own way to connect clusters, which leaves another number."""
    inputs = photographs(64)
    assert {int(mask.max()) + 1 for mask in SkimageSlic(100, plain=True)(inputs)} != {100}
    for mask, image in zip(SkimageSlic(250, 10, 1, plain=True)(inputs), as_arrays(inputs), strict=True):
        theirs = slic(image, n_segments=250, compactness=10, sigma=1, start_label=1)
        assert same_partition(mask[0].numpy(), theirs)
    two = inputs[:, :2]
    for mask, image in zip(SkimageSlic(30, 0.1, plain=True)(two), as_arrays(two), strict=True):
        assert same_partition(mask[0].numpy(), slic(image, n_segments=30, compactness=0.1))


@pytest.mark.parametrize("channels", [2, 4, 5])
def test_it_clusters_other_channels_as_they_are(
    channels: int, photographs: Photographs, as_arrays: AsArrays, same_partition: SamePartition, merge: Merge
) -> None:
    inputs = torch.cat([photographs(32), photographs(32).flip(2)], dim=1)[:, :channels]
    for mask, image in zip(SkimageSlic(36)(inputs), as_arrays(inputs), strict=True):
        clusters = slic(image, 36, compactness=0.1, convert2lab=False, enforce_connectivity=False)
        components = label(clusters, connectivity=1)
        assert same_partition(mask[0].numpy(), merge(components - 1, image * np.float32(100), 36))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_it_segments_volumes(
    channels: int, as_arrays: AsArrays, same_partition: SamePartition, merge: Merge, count_components: CountComponents
) -> None:
    depth, height, width = torch.meshgrid(torch.arange(8), torch.arange(16), torch.arange(16), indexing="ij")
    ball = ((depth - 4) ** 2 * 4 + (height - 8) ** 2 + (width - 8) ** 2 < 40).float()
    inputs = torch.stack([ball + 0.05 * torch.rand(channels, 8, 16, 16, generator=torch.Generator().manual_seed(1))])
    mask = SkimageSlic(30)(inputs)
    assert mask.shape == (1, 1, 8, 16, 16)
    assert len(mask.unique()) == 30
    assert count_components(mask[0, 0]) == 30
    inside = torch.stack([ball[mask[0, 0] == number].mean() for number in range(30)])
    assert ((inside < 0.1) | (inside > 0.9)).sum() >= 27
    image = as_arrays(inputs)[0]
    image = np.repeat(image, 3, axis=-1) if channels == 1 else image
    compactness = 0.5 if channels == 2 else 50
    clusters = slic(image, 8, compactness=compactness, enforce_connectivity=False, channel_axis=-1)
    components = label(clusters, connectivity=1)
    assert components.max() > 8
    expected = merge(components - 1, image * np.float32(100) if channels == 2 else rgb2lab(image), 8)
    assert same_partition(SkimageSlic(8, compactness=50)(inputs)[0, 0].numpy(), expected)


def test_it_explains_more_color_than_with_the_connectivity_of_scikit_image(
    photographs: Photographs, as_arrays: AsArrays, explained_variation: ExplainedVariation
) -> None:
    inputs = photographs(96)
    for mask, image in zip(SkimageSlic(100)(inputs), as_arrays(inputs), strict=True):
        theirs = slic(image, 100, start_label=0)
        assert explained_variation(image, mask[0].numpy()) > explained_variation(image, theirs)
