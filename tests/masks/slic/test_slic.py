"""The batched SLIC: what its segments are, what they do not depend on, and how they compare with scikit-image's."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from numpy.typing import NDArray
from skimage import data
from skimage.io import imread
from skimage.metrics import contingency_table
from skimage.segmentation import slic
from skimage.transform import resize
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn.functional import avg_pool2d

from captum_superpixel.masks.base import segment_with_all
from captum_superpixel.masks.slic import Slic
from captum_superpixel.masks.slic import _color as color
from captum_superpixel.masks.slic import _segmenting as segmenting
from captum_superpixel.masks.slic import _shared_pixels as shared_pixels
from captum_superpixel.masks.slic import slic as slic_module
from captum_superpixel.masks.slic._segmenting import AtOnce

CountComponents = Callable[..., int]
ExplainedVariation = Callable[[NDArray[np.floating], NDArray[np.integer]], float]
Noise = Callable[..., Tensor]
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
    pytest.param("mps", marks=pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no MPS device")),
]


@pytest.fixture
def default_dtype() -> Iterator[Callable[[torch.dtype], None]]:
    before = torch.get_default_dtype()
    yield torch.set_default_dtype
    torch.set_default_dtype(before)


@pytest.mark.parametrize(("dtype", "side"), [(torch.float64, 37), (torch.bfloat16, 38)])
def test_the_users_defaults_do_not_matter(
    dtype: torch.dtype, side: int, default_dtype: Callable[[torch.dtype], None], noise: Noise
) -> None:
    """Nor do they stay in the tables that are kept: no other test has images of these sizes."""
    inputs = noise(2, 3, side, 41), noise(1, 1, 6, 17, side)
    default_dtype(dtype)
    with torch.device("meta"):
        found = [Slic(20)(each) for each in inputs]
    default_dtype(torch.float32)
    assert all(map(torch.equal, found, [Slic(20)(each) for each in inputs]))


@lru_cache
def all_photographs(size: int) -> Tensor:
    """Eleven photographs ``(11, 3, size, size)`` in [0, 1]: people, animals, things, stars, tissue, a street."""
    loaded = [
        *(getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket", "camera")),
        *(getattr(data, name)() for name in ("hubble_deep_field", "retina", "immunohistochemistry")),
        imread(Path(skimage.__file__).parent / "data" / "motorcycle_left.png")[..., :3],
        *load_sample_images().images,
    ]
    images = []
    for image in loaded:
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        color = np.atleast_3d(image)[top : top + side, left : left + side] * np.ones(3)
        images.append(resize(color / 255, (size, size), anti_aliasing=size < side).clip(0, 1))
    return torch.from_numpy(np.stack(images)).float().movedim(-1, 1).contiguous()


def counts(mask: Tensor) -> list[int]:
    return [len(image.unique()) for image in mask]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [32, 100, 224])
@pytest.mark.parametrize("n_segments", [20, 60, 100])
def test_segments_of_photographs_are_connected_consecutive_and_as_many_as_asked_for(
    size: int, n_segments: int, count_components: CountComponents
) -> None:
    mask = Slic(n_segments)(all_photographs(size))
    found = counts(mask)
    assert mask.amax(dim=(1, 2, 3)).tolist() == [count - 1 for count in found]
    assert [count_components(image) for image in mask] == found
    assert max(found) <= n_segments
    assert min(found) >= 0.9 * n_segments
    assert np.median(found) == n_segments


@pytest.mark.parametrize("size", [512, 1024])
def test_large_photographs_too(size: int, count_components: CountComponents) -> None:
    for n_segments in (20, 200):
        mask = Slic(n_segments)(all_photographs(size)[:3])
        found = counts(mask)
        assert found == [count_components(image) for image in mask]
        assert max(found) <= n_segments
        assert min(found) >= 0.9 * n_segments
        assert min(int(sizes.min()) for sizes in areas(mask)) >= size * size / (10 * min(found))


def areas(mask: Tensor) -> list[Tensor]:
    return [image.flatten().bincount() for image in mask]


def made_images(size: int) -> Tensor:
    """Hard to divide evenly: noise, smooth noise, stars, a dot in one half, a ramp, boxes of two pixels, lines."""
    generator = torch.Generator().manual_seed(size)
    place = torch.arange(size)
    smooth = torch.rand(3, size, size, generator=generator)
    stars, half, lines = torch.zeros(3, size, size), torch.zeros(3, size, size), torch.ones(3, size, size)
    stars[:, torch.rand(size, size, generator=generator) < 0.01] = 1
    half[..., size // 2 :], half[:, size // 3, size // 3] = 1, 0.5
    lines[:, ::7], lines[..., ::9] = 0, 0.3
    ramp = torch.linspace(0, 1, size).expand(3, size, size)
    boxes = ((place[:, None] // 2 + place // 2) % 2).float().expand(3, size, size)
    blurred = avg_pool2d(smooth[None], 5, stride=1, padding=2)[0]
    return torch.stack([smooth, blurred, stars, half, ramp, boxes, lines])


@pytest.mark.parametrize(("size", "made"), [(32, 0.8), (64, 0.8), (224, 0.9)])
@pytest.mark.parametrize("n_segments", [8, 60, 100, 200])
def test_no_segment_is_smaller_than_a_tenth_of_the_mean_of_those_there_are(
    size: int, made: float, n_segments: int, count_components: CountComponents
) -> None:
    for images, share in ((all_photographs(size), 0.9), (made_images(size), made)):
        masks = Slic(n_segments)(images)
        for image, sizes in zip(masks, areas(masks), strict=True):
            assert sizes.min() >= size * size / (10 * len(sizes))
            assert share * n_segments <= len(sizes) <= n_segments
            assert count_components(image) == len(sizes)


def test_segments_of_a_star_field_show_the_stars(explained_variation: ExplainedVariation) -> None:
    """Merged into the sky, stars below a tenth of a segment leave .25 and .38 of the variance, not .40 and .51."""
    image = all_photographs(224)[5:6]
    for n_segments, least in ((100, 0.35), (200, 0.47)):
        mask = Slic(n_segments)(image)[0, 0]
        assert explained_variation(image[0].movedim(0, -1).numpy(), mask.numpy()) > least


@pytest.mark.parametrize("compactness", [0.1, 5.0, 15.0])
def test_nor_with_any_compactness(compactness: float) -> None:
    images = all_photographs(96)
    for n_segments in (20, 90):
        masks = Slic(n_segments, compactness)(images)
        assert min(int(sizes.min()) for sizes in areas(masks)) >= 96 * 96 / (10 * n_segments)


@pytest.mark.parametrize("shape", [(1501, 1022), (700, 513)])
def test_nor_where_blocks_of_pixels_are_one_and_the_last_of_them_are_cut(shape: tuple[int, int], noise: Noise) -> None:
    """A bright frame of two pixels along the far edges, and specks of five pixels in noise."""
    images = 0.2 * noise(2, 3, *shape)
    images[..., -2:, :] = images[..., -2:] = 1
    images[..., 100:105, 100:105] = 1
    for n_segments in (5, 20):
        masks = Slic(n_segments)(images)
        assert min(int(sizes.min()) for sizes in areas(masks)) >= shape[0] * shape[1] / (10 * n_segments)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("shape", [(37, 501), (64, 64), (200, 9)])
def test_segments_of_noise_are_connected_and_as_many_as_asked_for(
    channels: int, shape: tuple[int, int], noise: Noise, count_components: CountComponents
) -> None:
    for n_segments in (2, 20, 150):
        mask = Slic(n_segments)(noise(2, channels, *shape))
        assert counts(mask) == [count_components(image) for image in mask] == [n_segments] * 2


@pytest.mark.parametrize("device", DEVICES)
def test_the_mask_is_where_the_images_are(device: str, count_components: CountComponents) -> None:
    photographs = all_photographs(64)
    mask = Slic(30)(photographs.to(device))
    assert mask.device.type == device
    assert mask.dtype == torch.int64
    assert mask.shape == (11, 1, 64, 64)
    assert [count_components(image) for image in mask.cpu()] == counts(mask)
    assert (mask.cpu() == Slic(30)(photographs)).float().mean() > 0.99


@pytest.mark.parametrize("size", [40, 224])
def test_batch_order_chunks_and_threads_do_not_matter(
    size: int, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, noise: Noise
) -> None:
    batch = torch.cat([all_photographs(size), noise(2, 3, size, size), torch.ones(1, 3, size, size)])
    threads(1)
    expected = Slic()(batch)
    assert torch.equal(torch.cat([Slic()(image[None]) for image in batch]), expected)
    assert torch.equal(Slic()(batch.flip(0)), expected.flip(0))
    for count in (2, 3):
        threads(count)
        assert torch.equal(Slic()(batch), expected)
        assert torch.get_num_threads() == count
    for at_once in [(1000, size * size), (7777, 10**9), (10**9, 10**9)]:
        monkeypatch.setitem(slic_module._PIXELS_AT_ONCE, "cpu", AtOnce(*at_once))
        assert torch.equal(Slic()(batch), expected), at_once


# Cells of equal size in pairs and alone, in disorder; more iterations; a single segment; blocks of pixels at 400.
ENSEMBLE = [
    Slic(20),
    Slic(150, 20.0),
    Slic(9, 15.0),
    Slic(1),
    Slic(20, 5.0),
    Slic(20, 5.0, max_num_iter=2),
    Slic(9),
    Slic(70, 5.0),
    Slic(20, 5.0),
    Slic(21, 5.0),
]


def check_an_ensemble(images: Tensor) -> None:
    masks = segment_with_all(ENSEMBLE, images)
    for member, mask in zip(ENSEMBLE, masks, strict=True):
        assert torch.equal(mask, member(images)), member
        assert mask.is_contiguous()


@pytest.mark.parametrize("size", [16, 32, 48, 100, 400])
def test_an_ensemble_gives_the_masks_of_its_members(size: int) -> None:
    check_an_ensemble(all_photographs(size)[: 2 if size == 400 else None])


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("denormalize", [None, (0.0, 1.0)])
def test_an_ensemble_of_any_images(channels: int, denormalize: tuple[float, float] | None, noise: Noise) -> None:
    """Flat ones among them, and some that k-means leaves in too few components, which are segmented again."""
    images = noise(5, channels, 21, 34)
    images[1] = 0.25
    images[2] = torch.linspace(0, 1, 34)
    images[3, :, 5:] = 0.5
    members = [replace(member, denormalize=denormalize) for member in ENSEMBLE]
    for member, mask in zip(members, segment_with_all(members, images), strict=True):
        assert torch.equal(mask, member(images)), member
        assert torch.equal(mask[2:3], member(images[2:3])), member
        assert mask[1].eq(0).all()


def test_an_ensemble_in_parts_and_threads(threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    images = all_photographs(40)
    threads(1)
    expected = segment_with_all(ENSEMBLE, images)
    assert all(map(torch.equal, [member(images) for member in ENSEMBLE], expected))
    for count in (2, 3):
        threads(count)
        assert all(map(torch.equal, segment_with_all(ENSEMBLE, images), expected))
        assert torch.get_num_threads() == count
    for at_once in [(100, 1600), (1000, 5000), (7777, 10**9), (10**9, 10**9)]:
        monkeypatch.setitem(slic_module._PIXELS_AT_ONCE, "cpu", AtOnce(*at_once))
        assert all(map(torch.equal, segment_with_all(ENSEMBLE, images), expected)), at_once


def test_the_colors_of_an_ensemble_are_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once blurred and once not, at 48 pixels, where only the cells of the fewest segments are large."""
    converted = []
    original = color.rgb_to_lab_

    def rgb_to_lab_(images: Tensor, scratch: Tensor) -> Tensor:
        converted.append(tuple(images.shape))
        return original(images, scratch)

    monkeypatch.setattr(shared_pixels, "rgb_to_lab_", rgb_to_lab_)
    images = all_photographs(48)[:2]
    segment_with_all([Slic(9), Slic(9, 5.0), Slic(12), Slic(70), Slic(99), Slic(120, 20.0)], images)
    assert converted == [(2, 3, 48 * 48)] * 2


def test_what_else_torch_is_set_to_does_not_matter() -> None:
    batch = all_photographs(48)
    expected = Slic()(batch)
    with torch.autocast("cpu"):
        assert torch.equal(Slic()(batch), expected)
    with torch.inference_mode():
        assert torch.equal(Slic()(batch.clone()), expected)
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("high")
        assert torch.equal(Slic(99)(batch), Slic(99)(batch.clone()))
        assert torch.equal(Slic()(batch), expected)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision(precision)


def test_centers_move_as_often_as_asked_for(explained_variation: ExplainedVariation) -> None:
    # Without the star field, of which all detail is smaller than a segment may be.
    photographs = all_photographs(64)[[index for index in range(11) if index != 5]]
    masks = {count: Slic(40, max_num_iter=count)(photographs) for count in (1, 2, 10)}
    assert not torch.equal(masks[1], masks[2])
    assert not torch.equal(masks[2], masks[10])
    images = photographs.movedim(1, -1).numpy()
    first, last = (
        np.mean([explained_variation(*pair) for pair in zip(images, masks[count][:, 0].numpy(), strict=True)])
        for count in (1, 10)
    )
    assert last > first + 0.003


def test_large_compactness_makes_squares() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    index = torch.arange(64).div(16, rounding_mode="floor")
    assert torch.equal(Slic(16, 1e5)(ramp)[0, 0], index[:, None] * 4 + index)


def test_small_compactness_follows_color() -> None:
    """Hardly a segment has both colors of a checkerboard, whose fields are smaller than the cells."""
    index = torch.arange(64).div(8, rounding_mode="floor")
    board = (index[:, None] + index) % 2
    inputs = board.float().expand(1, 3, 64, 64)

    def segments_of_two_colors(compactness: float) -> int:
        mask = Slic(64, compactness)(inputs)[0, 0]
        return len(set(mask[board == 0].tolist()) & set(mask[board == 1].tolist()))

    assert segments_of_two_colors(0.1) <= 5
    assert segments_of_two_colors(100) > 20


def test_an_edge_between_two_colors_is_a_border_of_segments() -> None:
    image = torch.zeros(1, 3, 60, 60)
    image[:, 0, :, 23:] = 1
    mask = Slic(9)(image)[0, 0]
    assert not set(mask[:, :23].unique().tolist()) & set(mask[:, 23:].unique().tolist())


@pytest.mark.parametrize("size", [32, 64])
def test_a_mirrored_photograph_has_about_the_mirrored_segments(size: int) -> None:
    """Cells, samples and rounding lie a pixel elsewhere in the mirror image, so agreement is not complete.

    A pair of pixels agrees where both masks put it into one segment, or both into two: the Rand index, here for pairs
    in one segment of either (Jaccard).
    """
    photographs = all_photographs(size)
    mask, mirrored = Slic(20)(photographs), Slic(20)(photographs.flip(3)).flip(3)
    other = Slic(20)(photographs.roll(1, dims=0))
    alike = [jaccard(a, b) for a, b in zip(mask, mirrored, strict=True)]
    unlike = [jaccard(a, b) for a, b in zip(mask, other, strict=True)]
    assert np.mean(alike) > 0.5
    assert np.mean(alike) > 1.5 * np.mean(unlike)


def test_content_that_moves_by_whole_cells_takes_its_segments_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cells of 8 pixels, on a plain background. At its edge the picture meets the same gray in both places."""
    # More cells, to come nearer to the number asked for, would be of another size.
    monkeypatch.setattr(segmenting, "_ENOUGH", 0.0)
    picture = all_photographs(64)[:4]
    first, second = torch.full((2, 4, 3, 128, 128), 0.5)
    first[..., 24:88, 24:88] = picture
    second[..., 40:104, 40:104] = picture
    # 320 segments are 256 cells.
    generator = Slic(320, denormalize=(0.0, 1.0))
    inside = generator(first)[..., 26:86, 26:86], generator(second)[..., 42:102, 42:102]
    assert np.median([jaccard(a, b) for a, b in zip(*inside, strict=True)]) > 0.9


def jaccard(first: Tensor, second: Tensor) -> float:
    """Divide the pairs of pixels that are together in both masks by those that are in at least one."""
    table = np.asarray(contingency_table(first.numpy().ravel(), second.numpy().ravel()).todense())
    together, *alone = (float(np.square(part).sum()) for part in (table, table.sum(axis=0), table.sum(axis=1)))
    return together / (sum(alone) - together)


@pytest.mark.parametrize(("size", "n_segments"), [(32, 20), (64, 50), (64, 100), (224, 50), (224, 100)])
def test_segments_explain_more_than_scikit_images_at_the_same_count(
    size: int, n_segments: int, explained_variation: ExplainedVariation
) -> None:
    photographs = all_photographs(size)
    theirs = [slic(image.movedim(0, -1).numpy(), n_segments, start_label=0) for image in photographs]
    ours = [Slic(int(mask.max()) + 1)(image[None])[0, 0] for image, mask in zip(photographs, theirs, strict=True)]
    gains = [
        explained_variation(image, mine.numpy()) - explained_variation(image, other)
        for image, mine, other in zip(photographs.movedim(1, -1).numpy(), ours, theirs, strict=True)
    ]
    assert np.mean(gains) > 0.02


def test_threads_are_as_before_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match=r"n_segments=100, but an image of the inputs of shape \(1, 3, 4, 4\)"):
        Slic()(torch.rand(1, 3, 4, 4))
    assert torch.get_num_threads() == before


def test_a_large_image_is_segmented_in_bounded_memory(count_components: CountComponents) -> None:
    """Blocks of pixels are treated as one, each of which lies in one segment."""
    image = torch.nn.functional.interpolate(all_photographs(64)[:1], (1500, 1021), mode="bilinear")
    mask = Slic(20)(image)
    assert counts(mask) == [count_components(image) for image in mask] == [20]
    factor = 4
    blocks = mask[..., ::factor, ::factor]
    spread = blocks.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    assert torch.equal(mask, spread[..., :1500, :1021])
