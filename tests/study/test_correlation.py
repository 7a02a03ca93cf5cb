"""The predicted variance: sums over all pairs of pixels written out, and masks for which it is exact."""

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel import pool_segments
from captum_superpixel.masks import Grid
from captum_superpixel.study.correlation import autocovariance, pair_shares, variance_left

# Two images: segments of an L, a bar of three that is torn apart, and single pixels; and two halves.
MASK = torch.tensor([[[[0, 0, 1, 2], [0, 3, 3, 1], [0, 4, 1, 5]]], [[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]]])


def networks(count: int, *shape: int, seed: int = 0) -> list[Tensor]:
    """Maps of several networks that vary together from pixel to pixel, about a common mean."""
    generator = torch.Generator().manual_seed(seed)
    together = torch.randn(shape, generator=generator)
    return list(torch.randn(count, *shape, generator=generator).cumsum(dim=-1) + together)


def summed_variance(maps: list[Tensor]) -> np.ndarray:
    return np.stack([each.double().numpy() for each in maps]).var(axis=0, ddof=1).sum(axis=(1, 2, 3))


def by_pairs(maps: list[Tensor], mask: Tensor) -> list[float]:
    """The prediction by its definition: a pair of pixels of a segment has the mean covariance at its displacement."""
    values = np.stack([each.double().numpy() for each in maps])
    deviations = values - values.mean(axis=0)
    *_, height, width = deviations.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    found = []
    for number, labels in enumerate(mask[:, 0].numpy()):
        at: dict[tuple[int, int], list[float]] = {}
        for first in pixels:
            for second in pixels:
                step = second[0] - first[0], second[1] - first[1]
                products = deviations[:, number, :, first[0], first[1]] * deviations[:, number, :, second[0], second[1]]
                at.setdefault(step, []).append(products.sum() / (len(maps) - 1))
        total = 0.0
        for first in pixels:
            for second in pixels:
                if labels[first] == labels[second]:
                    step = second[0] - first[0], second[1] - first[1]
                    total += float(np.mean(at[step])) / int((labels == labels[first]).sum())
        found.append(total)
    return found


def predicted(maps: list[Tensor], mask: Tensor) -> Tensor:
    return variance_left(autocovariance(maps), pair_shares(mask))


def test_all_pairs_by_hand() -> None:
    maps = networks(3, 2, 2, 3, 4)
    np.testing.assert_allclose(predicted(maps, MASK), by_pairs(maps, MASK), rtol=1e-6)


def test_displacements_are_counted_down_and_across() -> None:
    (l_and_bar, halves) = pair_shares(MASK)
    assert l_and_bar.shape == (3, 7)
    # A pair of the L of four pixels counts 2/4; of the torn bar of three 2/3; of the two neighbors 2/2.
    expected = np.zeros((3, 7))
    expected[0, 3] = 6  # each of six segments with itself
    expected[0, 4] += 1 / 4 + 1 / 2  # a step to the right, and as many to the left
    expected[0, 2] += 1 / 4 + 1 / 2
    expected[1, 3] = 2 * 2 / 4
    expected[2, 3] = 2 / 4 + 2 / 3
    expected[1, 2] = 2 / 4
    expected[2, 2] = 2 / 4
    expected[1, 4] = 2 / 3
    expected[1, 2] += 2 / 3
    np.testing.assert_allclose(l_and_bar, expected, atol=1e-9)
    assert halves.sum().item() == pytest.approx(12)
    assert (halves[:, [0, 1, 5, 6]] == 0).all()


def test_a_single_segment_and_single_pixels_are_exact() -> None:
    """Every pair of pixels is then in it, or none but each pixel with itself: nothing is estimated from elsewhere."""
    maps = networks(4, 2, 3, 6, 5)
    whole = torch.zeros(2, 1, 6, 5, dtype=torch.int64)
    np.testing.assert_allclose(
        predicted(maps, whole), summed_variance([pool_segments(each, whole) for each in maps]), rtol=1e-5
    )
    pixels = torch.arange(30).view(1, 1, 6, 5).expand(2, -1, -1, -1)
    np.testing.assert_allclose(predicted(maps, pixels), summed_variance(maps), rtol=1e-6)


def test_what_all_networks_share_and_where_masks_are_named_otherwise_is_nothing_to_it() -> None:
    maps = networks(3, 2, 2, 3, 4)
    common = 10 * torch.randn(2, 2, 3, 4, generator=torch.Generator().manual_seed(9))
    expected = predicted(maps, MASK)
    assert torch.allclose(predicted([each + common for each in maps], MASK), expected, rtol=1e-4)
    renamed = torch.stack([torch.tensor([3, 5, 0, 1, 4, 2])[MASK[0]], 1 - MASK[1]])
    assert torch.allclose(predicted(maps, renamed), expected, rtol=1e-6)
    alone = torch.cat([predicted([each[n : n + 1] for each in maps], MASK[n : n + 1]) for n in range(2)])
    assert torch.allclose(alone, expected, rtol=1e-6)


def test_cells_of_stationary_maps() -> None:
    """Each value is the sum of three noises: of the pixel, of its left neighbor and of its upper one."""
    cells = Grid(64)(torch.zeros(1, 1, 64, 64))
    noise = torch.randn(20, 1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = list(noise + noise.roll(1, dims=-1) + noise.roll(1, dims=-2))
    pixels = summed_variance(maps).item()
    found = predicted(maps, cells).item() / pixels
    # Of 64 pixels 56 have their left neighbor in the cell, 56 their upper one, and 49 pairs share the third noise.
    correlation = 2 * (56 + 56 + 49) / 3 / (64 * 63)
    assert found == pytest.approx((1 + 63 * correlation) / 64, rel=0.05)
    measured = summed_variance([pool_segments(each, cells) for each in maps]).item()
    assert found == pytest.approx(measured / pixels, rel=0.1)


def test_permuted_pixels_have_no_correlation() -> None:
    """Half of the pixels are alike in pairs of neighbors, until they are permuted, each network's by itself."""
    generator = torch.Generator().manual_seed(0)
    maps = list(torch.randn(6, 4, 1, 24, 12, generator=generator).repeat_interleave(2, dim=-1))
    mixed = [each.flatten(2)[..., torch.randperm(576, generator=generator)].view_as(each) for each in maps]
    cells = Grid(36)(torch.zeros(4, 1, 24, 24))
    for found, low, high in ((maps, 1.7, 2.1), (mixed, 0.85, 1.15)):
        ratio = predicted(found, cells).sum() / torch.from_numpy(summed_variance(found)).sum()
        assert low < ratio * 16 < high


def test_many_segments_are_counted_in_parts() -> None:
    """More segments than are counted at a time, of every size and shape: the sum over pairs is the number of pixels."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.unique(torch.randint(90, (20, 18), generator=generator).pow(2) // 70, return_inverse=True)[1]
    assert int(labels.max()) > 66
    mask = labels.view(1, 1, 20, 18)
    maps = networks(2, 1, 1, 20, 18)
    shares = pair_shares(mask)
    assert shares.sum().item() == pytest.approx(360)
    assert shares[0, 0, 17].item() == pytest.approx(int(labels.max()) + 1)
    np.testing.assert_allclose(variance_left(autocovariance(maps), shares), by_pairs(maps, mask), rtol=1e-6)
