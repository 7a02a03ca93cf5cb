"""Maps that know nothing: identities of the Gaussian, of the order of the images, and of permutations in a pool."""

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy.signal.windows import gaussian
from torch import Tensor

from captum_superpixel.metrics.null import permute_pixels
from captum_superpixel.metrics.null_maps import another_image, centered_gaussian, shuffled
from captum_superpixel.pooling import pool_segments

Draw = Callable[..., Tensor]

HALVES = torch.tensor([[0, 0, 0, 1, 1, 1]]).expand(4, 6)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(9, 15), (8, 6), (1, 4)])
@pytest.mark.parametrize("width", [0.25, 0.1])
def test_gaussian_is_the_outer_product_of_scipys_windows(size: tuple[int, int], width: float) -> None:
    expected = np.outer(*(gaussian(length, width * length) for length in size))
    found = centered_gaussian(torch.zeros(2, 3, *size, dtype=torch.float64), width)
    assert found.shape == (2, 3, *size)
    np.testing.assert_allclose(found, np.broadcast_to(expected / expected.max(), found.shape), rtol=1e-12)


def test_gaussian_falls_to_one_half_of_e_at_its_width(random: Draw) -> None:
    """By default at a quarter of each side from the middle: 2 of 8 + 1 rows would be 9 / 4, hence 4 of 16 columns."""
    found = centered_gaussian(random(1, 1, 1, 16).float())[0, 0, 0]
    # The middle lies between columns 7 and 8, half a pixel from each.
    assert found[3].item() == pytest.approx(np.exp(-(4.5**2 - 0.5**2) / (2 * 4**2)), rel=1e-6)
    assert torch.equal(found, found.flip(0))


def test_gaussian_depends_on_nothing_but_the_shape(random: Draw) -> None:
    maps = random(2, 3, 5, 7)
    assert torch.equal(centered_gaussian(maps), centered_gaussian(-9 * maps.flip(3)))
    assert centered_gaussian(maps.half()).dtype == torch.float16
    assert centered_gaussian(maps.long()).dtype == torch.float32
    narrow = centered_gaussian(maps[..., :6], 1e-200)
    assert narrow.isfinite().all()
    assert narrow.amax() == 1
    found = centered_gaussian(maps)
    found[0] = 0  # a tensor of its own: no value is shared
    assert found[1].amin() > 0


def test_each_image_is_given_the_next_ones_map(random: Draw) -> None:
    maps = random(3, 2, 4, 5)
    found = another_image(maps)
    assert torch.equal(found, maps[[1, 2, 0]])
    assert torch.equal(another_image(another_image(found)), maps)


def test_pixels_are_permuted_before_they_are_pooled(random: Draw) -> None:
    maps, pool = random(3, 2, 4, 6), partial(pool_segments, feature_mask=HALVES)
    found = shuffled(maps, seeded(3), pool)
    assert torch.equal(found, pool(permute_pixels(maps, seeded(3))))
    assert torch.allclose(found, pool(found))
    # Pooling first would leave two values a channel, of which the halves would then mix.
    assert not torch.allclose(found, pool(maps))
    assert torch.allclose(found.sum((2, 3)), maps.sum((2, 3)))


def test_permuted_alone_without_a_pool(random: Draw) -> None:
    maps = random(3, 2, 4, 6)
    assert torch.equal(shuffled(maps), permute_pixels(maps, seeded(0)))
    assert torch.equal(shuffled(maps, seeded(1)).flatten(2).sort()[0], maps.flatten(2).sort()[0])
    assert not torch.equal(shuffled(maps, seeded(1)), shuffled(maps, seeded(2)))


def test_what_is_refused() -> None:
    maps = torch.zeros(1, 1, 4, 6)
    with pytest.raises(ValueError, match=r"width must be finite and above 0, but 0\.0 was"):
        centered_gaussian(maps, 0.0)
    with pytest.raises(TypeError, match="width must be a number, but 'wide'"):
        centered_gaussian(maps, "wide")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape("(1, 1, 4, 6) hold one map")):
        another_image(maps)
    with pytest.raises(ValueError, match=re.escape("pool returned shape (1, 1, 4, 5) for maps of shape (1, 1, 4, 6)")):
        shuffled(maps, pool=lambda maps: maps[..., :5])
    with pytest.raises(TypeError, match="generator=7 is not"):
        shuffled(maps, 7)  # type: ignore[arg-type]
    for null in (centered_gaussian, another_image, shuffled):
        with pytest.raises(
            ValueError, match=re.escape("attributions must have shape (N, C, H, W), but has shape (4,)")
        ):
            null(torch.zeros(4))
