"""Slic on volumes: hand-drawn ones, spacing, and what holds for images too."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.measure import regionprops_table
from torch import Tensor

from captum_superpixel.masks import Slic, multiscale
from captum_superpixel.masks.base import segment_with_all
from captum_superpixel.masks.grid import choose_cells, equal_side
from captum_superpixel.masks.slic import _clustering as clustering

CountComponents = Callable[..., int]
Noise = Callable[..., Tensor]
Photographs = Callable[[int], Tensor]


def smooth(*shape: int, seed: int = 0) -> Tensor:
    """Volumes whose gray changes over a few voxels, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*shape[:2], *(-(-length // 6) for length in shape[2:]), generator=generator)
    fine = torch.nn.functional.interpolate(coarse, shape[2:], mode="trilinear")
    return fine + 0.03 * torch.rand(shape, generator=generator)


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_half_spaces_of_two_grays_share_no_segment(axis: int) -> None:
    volume = torch.zeros(1, 1, 15, 18, 20)
    volume.narrow(axis, 7, volume.shape[axis] - 7).fill_(1.0)
    mask = Slic(12)(volume)
    dark, bright = (set(mask[volume == gray].tolist()) for gray in (0.0, 1.0))
    assert not dark & bright
    assert min(len(dark), len(bright)) >= 2


def test_a_ball_in_noise_is_covered_by_segments_of_its_own() -> None:
    place = torch.arange(24.0) - 11.5
    ball = (place[:, None, None].square() + place[:, None].square() + place.square() < 64)[None, None]
    volume = 0.4 * ball + 0.1 * torch.randn(ball.shape, generator=torch.Generator().manual_seed(0))
    mask = Slic(30)(volume)
    sizes = mask.flatten().bincount()
    inside = mask[ball].bincount(minlength=len(sizes))
    nearest = torch.minimum(inside, sizes - inside).sum() / ball.sum()
    assert nearest < 0.1


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("spacing", [None, (3.0, 1.0, 1.0)])
def test_segments_are_connected_consecutive_as_many_as_asked_for_and_no_specks(
    channels: int, spacing: tuple[float, ...] | None, count_components: CountComponents
) -> None:
    volumes = smooth(2, channels, 14, 22, 25)
    for mask in Slic(40, spacing=spacing)(volumes):
        sizes = mask.flatten().bincount()
        assert count_components(mask[0]) == len(sizes)
        assert 36 <= len(sizes) <= 40
        assert sizes.min() >= mask.numel() / (10 * len(sizes))


@pytest.mark.parametrize("shape", [(16, 16, 16), (9, 30, 24)])
def test_noise_has_no_specks_either(shape: tuple[int, ...], noise: Noise, count_components: CountComponents) -> None:
    for n_segments in (10, 60):
        sizes = (mask := Slic(n_segments)(noise(1, 1, *shape))[0, 0]).flatten().bincount()
        assert count_components(mask) == len(sizes) >= 0.8 * n_segments
        assert sizes.min() >= mask.numel() / (10 * len(sizes))


@pytest.mark.parametrize("axis", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_volume_of_one_slice_row_or_column_has_the_labels_of_the_image(
    axis: int, channels: int, photographs: Photographs
) -> None:
    images = photographs(48)[:2, :channels]
    for generator in (Slic(30), Slic(5, 20)):
        assert torch.equal(generator(images.unsqueeze(axis)), generator(images).unsqueeze(axis))
    spaced = [1.0, 2.0]
    spaced.insert(axis - 2, 7.0)
    flat = Slic(30, spacing=(1.0, 2.0))(images)
    assert torch.equal(Slic(30, spacing=tuple(spaced))(images.unsqueeze(axis)), flat.unsqueeze(axis))
    assert not torch.equal(flat, Slic(30)(images))


def test_gray_is_a_color_of_three_equal_channels() -> None:
    gray = smooth(1, 1, 12, 20, 20)
    assert torch.equal(Slic(20)(gray), Slic(20)(gray.expand(-1, 3, -1, -1, -1)))


def test_a_volume_alone_has_the_labels_that_it_has_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    volumes = smooth(3, 2, 12, 18, 18)
    masks = Slic(25)(volumes)
    assert not torch.equal(masks[0], masks[1])
    for mask, volume in zip(masks, volumes, strict=True):
        assert torch.equal(mask, Slic(25)(volume[None])[0])
    cut = clustering._blocks
    monkeypatch.setattr(clustering, "_blocks", lambda axes, pixels: cut(axes, 100))
    assert torch.equal(masks, Slic(25)(volumes))


def test_an_ensemble_shares_and_gives_what_each_gives_alone() -> None:
    volumes = smooth(2, 1, 10, 20, 20)
    generators = [*multiscale((8, 20), spacing=[2, 1, 1]), Slic(8)]
    masks = segment_with_all(generators, volumes)
    for generator, mask in zip(generators, masks, strict=True):
        assert torch.equal(mask, generator(volumes))
    assert not torch.equal(masks[0], masks[-1])


def lengths(mask: Tensor) -> Tensor:
    """The mean length of the bounding boxes of segments ``(D, H, W)`` along each axis."""
    table = regionprops_table(mask.numpy() + 1, properties=("bbox",))
    return torch.tensor([float((table[f"bbox-{axis + 3}"] - table[f"bbox-{axis}"]).mean()) for axis in range(3)])


def test_segments_are_cubes_in_space_whatever_the_spacing(noise: Noise) -> None:
    """Slices four times as far apart as pixels: segments of 2 slices and 8 pixels by a compactness of 300."""
    volume = noise(1, 1, 8, 32, 32)
    depth, *sides = lengths(Slic(64, 300, spacing=(4, 1, 1))(volume)[0, 0]).tolist()
    assert depth == pytest.approx(2, abs=0.5)
    assert sides == pytest.approx([8, 8], abs=1.5)
    assert lengths(Slic(64, 300)(volume)[0, 0])[0] > 3.5


def test_only_the_ratios_of_a_spacing_matter() -> None:
    volume = smooth(1, 1, 10, 16, 16)
    assert torch.equal(Slic(20, spacing=(0.7, 0.7, 0.7))(volume), Slic(20)(volume))
    assert torch.equal(Slic(20, spacing=(6, 2, 2))(volume), Slic(20, spacing=np.array([3.0, 1, 1]))(volume))


def test_large_compactness_makes_cubes_and_small_follows_gray() -> None:
    ramp = torch.linspace(0, 1, 15).expand(1, 1, 15, 15, 15)
    index = torch.arange(15) // 5
    cubes = (index[:, None, None] * 3 + index[:, None]) * 3 + index
    assert torch.equal(Slic(30, 1e5)(ramp)[0, 0], cubes)
    board = (torch.arange(24) // 5 % 2)[:, None, None].expand(24, 24, 24)
    volume = board.float()[None, None]

    def of_two_grays(compactness: float) -> int:
        mask = Slic(27, compactness)(volume)[0, 0]
        return len(set(mask[board == 0].tolist()) & set(mask[board == 1].tolist()))

    assert of_two_grays(0.1) == 0
    assert of_two_grays(1e3) > 10


def test_large_volumes_are_segmented_in_blocks_along_the_axes_where_segments_are_long(
    count_components: CountComponents,
) -> None:
    """Segments of 40 pixels, 8 slices deep: blocks of 1 x 2 x 2 voxels, of which each lies in one segment."""
    volume = smooth(1, 1, 9, 81, 120)
    mask = Slic(6, spacing=(5, 1, 1))(volume)[0, 0]
    blocks = mask[:, ::2, ::2].repeat_interleave(2, 1)[:, :81].repeat_interleave(2, 2)
    assert torch.equal(mask, blocks)
    assert not torch.equal(mask[::2].repeat_interleave(2, 0)[:9], mask)
    assert count_components(mask) == len(mask.unique()) == 6


def test_flat_volumes_are_one_segment_and_invalid_voxels_have_their_own() -> None:
    volumes = smooth(2, 1, 8, 12, 12)
    volumes[0] = 0.3
    masks = Slic(10)(volumes)
    assert not masks[0].any()
    valid = torch.ones(8, 12, 12, dtype=torch.bool)
    valid[:, :, 7:] = False
    mask = Slic(10)(torch.where(valid, volumes[1:], torch.nan), mask=valid)[0, 0]
    assert set(mask[~valid].tolist()) == {10}
    assert mask[valid].unique().tolist() == list(range(10))


def test_cells_are_near_to_cubes_and_plates_are_cut_into_squares() -> None:
    assert choose_cells((8, 16, 32), 64, elongation=1 / 3, symmetric=False) == (2, 4, 8)
    assert choose_cells((8, 16, 32), 64, elongation=1 / 3, symmetric=False, spacing=(4, 2, 1)) == (4, 4, 4)
    assert choose_cells((2, 40, 40), 16, elongation=1 / 3, symmetric=False) == (1, 4, 4)
    assert choose_cells((40, 40, 1), 16, elongation=1 / 3) == (4, 4, 1)
    assert equal_side((2, 40, 40), 16) == 10


@pytest.mark.parametrize(
    ("spacing", "error", "message"),
    [
        ((0, 1, 1), ValueError, r"spacing\[0\] must be finite and above 0, but 0.0 was passed"),
        ((1, -2.0, 1), ValueError, r"spacing\[1\] must be finite and above 0, but -2.0 was passed"),
        ((1, 1, float("nan")), ValueError, r"spacing\[2\] must be finite and above 0, but nan was passed"),
        (2.0, TypeError, r"spacing must be a sequence of numbers, one for each spatial axis, but 2.0 was passed"),
        ("111", TypeError, r"spacing must be a sequence of numbers, one for each spatial axis, but '111' was passed"),
        ((1e300, 1e-300, 1), ValueError, r"distances that differ by more than a factor of 1e\+09"),
        ((1, "1", 1), TypeError, r"spacing\[1\] must be a number, but '1' \(str\) was passed"),
    ],
)
def test_bad_spacing(spacing: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Slic(10, spacing=spacing)  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        multiscale(spacing=spacing)  # type: ignore[arg-type]


def test_spacing_of_another_number_of_axes() -> None:
    with pytest.raises(ValueError, match=r"spacing=\(1.0, 1.0\) holds 2 numbers, .* \(1, 1, 4, 9, 9\) have 3 spatial"):
        Slic(4, spacing=(1, 1))(torch.rand(1, 1, 4, 9, 9))
    with pytest.raises(
        ValueError, match=r"spacing=\(3.0, 1.0, 1.0\) holds 3 numbers, .* \(1, 1, 9, 9\) have 2 spatial"
    ):
        segment_with_all([Slic(4, spacing=(3, 1, 1))], torch.rand(1, 1, 9, 9))
