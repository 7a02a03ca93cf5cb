"""The compiled engine gives the labels of torch, to the last."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from captum_superpixel.masks import Slic
from captum_superpixel.masks.base import segment_with_all
from captum_superpixel.masks.slic import compiled
from captum_superpixel.masks.slic import slic as slic_module
from captum_superpixel.masks.slic._segmenting import AtOnce, Setting, segment_pixels
from captum_superpixel.masks.slic._shared_pixels import SharedPixels
from captum_superpixel.masks.slic.compiled import segment_images, segmenting
from captum_superpixel.masks.slic.compiled.kernels.clusters import LANES
from captum_superpixel.masks.slic.compiled.kernels.scaling import SCALED
from captum_superpixel.masks.slic.compiled.kernels.segments import COLORS, FIND, SETTLE, WRITE, segment
from captum_superpixel.masks.slic.compiled.loading import Library
from captum_superpixel.masks.slic.compiled.tables import make_plan

pytestmark = pytest.mark.usefixtures("nothing_found_out")

Noise = Callable[..., Tensor]
Photographs = Callable[[int], Tensor]


def like(n_segments: int, iterations: int, compactness: float) -> Setting:
    return Setting(n_segments, iterations, (1.0, 1.0), compactness)


def by_torch(settings: list[Setting], images: Tensor) -> list[Tensor]:
    return segment_pixels(settings, SharedPixels(images), AtOnce(110_000, 220_000))


def check(library: Library, settings: list[Setting], images: Tensor) -> None:
    for setting, ours, theirs in zip(
        settings, segment_images(library, settings, images), by_torch(settings, images), strict=True
    ):
        assert torch.equal(ours, theirs), (setting, tuple(images.shape))


def made_images(size: int, channels: int) -> Tensor:
    """Noise, smooth noise, stars, a dot in one half, a ramp, boxes of two pixels, lines, steps, and one color."""
    generator = torch.Generator().manual_seed(size)
    place = torch.arange(size)
    noise = torch.rand(channels, size, size, generator=generator)
    smooth = avg_pool2d(noise[None], 5, stride=1, padding=2)[0]
    stars, half, lines = torch.zeros(3, channels, size, size)
    stars[:, torch.rand(size, size, generator=generator) < 0.01] = 1
    half[..., size // 2 :], half[:, size // 3, size // 3] = 1, 0.5
    lines[:, ::7], lines[..., ::9] = 1, 0.7
    ramp = torch.linspace(0, 1, size).expand(channels, size, size)
    boxes = ((place[:, None] // 2 + place // 2) % 2).float().expand(channels, size, size)
    steps = (noise * 4).floor() / 4
    return torch.stack([noise, smooth, stars, half, lines, ramp, boxes, steps, torch.full_like(ramp, 0.3)])


@pytest.mark.parametrize("size", [16, 33, 100, 224])
def test_photographs_get_the_labels_of_torch(size: int, library: Library, photographs: Photographs) -> None:
    images = photographs(size).float() / 255
    for n_segments, iterations, compactness in ((100, 5, 10.0), (20, 2, 0.1), (7, 10, 20.0), (150, 1, 1e4)):
        check(library, [like(n_segments, iterations, compactness)], images)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [7, 32, 65])
def test_so_do_images_that_are_hard_to_divide(size: int, channels: int, library: Library) -> None:
    images = made_images(size, channels)
    for n_segments in {2, 20, min(150, size * size // 2), min(size * size, 200)}:
        check(library, [like(n_segments, 5, 10.0)], images)


@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (9, 200), (37, 301)])
def test_so_do_images_of_any_shape(shape: tuple[int, int], library: Library, noise: Noise) -> None:
    for n_segments in (2, 30, 60):
        check(library, [like(n_segments, 5, 10.0)], noise(2, 3, *shape))


def test_so_do_blocks_of_pixels_that_are_treated_as_one(library: Library, photographs: Photographs) -> None:
    """Blocks of 4, 2 and 1 pixels, of which the last are cut; a bright frame and specks, which grow."""
    images = interpolate(photographs(224)[:2].float() / 255, (501, 703), mode="bilinear")
    images[..., -2:, :] = images[..., -2:] = 1
    images[1] *= 0.2
    images[1, :, 100:105, 100:105] = 1
    check(library, [like(10, 5, 10.0), like(100, 5, 10.0), like(40, 5, 10.0), like(10, 5, 5.0)], images)


def test_machine_code_can_be_loaded_again_and_let_go(code: bytes, noise: Noise) -> None:
    for _ in range(3):
        check(Library(code), [like(20, 5, 10.0)], noise(1, 3, 20, 20))


@pytest.mark.parametrize("shape", [(9, 13), (4, 6, 9)])
def test_the_kernels_give_the_same_as_plain_python(shape: tuple[int, ...], noise: Noise) -> None:
    """Also without Numba: arrays stand for memory."""
    images = torch.cat([noise(3, 3, *shape), noise(3, 3, *shape, seed=1).square()])
    if len(shape) == 2:
        images = torch.cat([images, made_images(13, 3)[:5, :, :9]])
    setting = Setting(12, 3, (1.0,) * len(shape), 10.0)
    plan = make_plan(setting, (3, *shape), (1,) * len(shape), shape, 0.8)
    sizes, floats, ints = plan.arrays
    expected = by_torch([setting], images)[0]
    compared = 0
    for image, mask in zip(images, expected, strict=True):
        memory: Any = [[np.zeros(n, dtype) for n in lengths] for dtype, lengths in plan.lengths.items()]
        colors, out = np.zeros(3 * math.prod(shape) + LANES, np.float32), np.zeros(math.prod(shape), np.int64)
        steps = COLORS | FIND | SETTLE | WRITE
        found = segment(steps, image.flatten().numpy(), colors[:0], colors, sizes[0], floats, ints, *memory, out)
        if found >= plan.enough:
            assert out.tolist() == mask.flatten().tolist()
            compared += 1
    # Others are segmented again from more cells.
    assert compared >= 3


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def with_both(slic: Slic, images: Tensor, library: Library, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    """Segment by torch and by machine code, which does not ask torch for anything."""
    monkeypatch.setattr(compiled, "find_library", lambda: None)
    by_one = slic(images)
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "find_library", lambda: library)
        patch.setattr(slic_module, "segment_pixels", None)
        return by_one, slic(images)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"denormalize": (0.4, 0.3)},
        {"denormalize": ((0.4, 0.5, 0.6), (0.3, -0.2, 0.1)), "channel_order": "bgr"},
        {"channel_order": "bgr"},
    ],
)
@pytest.mark.parametrize("size", [8, 31, 65, 300])
def test_images_are_scaled_as_by_torch(
    size: int, settings: dict[str, Any], library: Library, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 pixels and 10 segments make blocks of 2 pixels, 5 of 4; one image is of one color, one has a hot pixel."""
    images = noise(6, 3, size, size).mul(3).sub(1)
    images[1] = 0.1
    images[2, 1, 3, 4] = 1e6
    images[3] = images[3] * 1e-7 + 5
    images[4] *= 1.5e38
    images[5] = images[5].square()
    for n_segments in (5, 10):
        assert torch.equal(*with_both(Slic(n_segments, **settings), images, library, monkeypatch))


def test_pixels_are_scaled_to_the_bits_of_torch(library: Library, noise: Noise) -> None:
    """Also where machine code divides by multiplying; the last bit of a pixel seldom decides on a label."""
    for number, spread in enumerate((7.0, 0.3, 255.0, 1e-3, 1e30)):
        image = noise(1, 3, 100, 101, seed=number).sub(0.4).mul(spread)
        low, high = float(image.min()), float(image.max())
        bounds = torch.tensor([low, high]).mul(0.5)
        bounds[1] -= bounds[0]
        pixels = torch.empty_like(image)
        library.scale(SCALED, image.data_ptr(), 3, 100, 101, 1, bounds.data_ptr(), None, pixels.data_ptr(), None)
        assert torch.equal(pixels, Slic().scale_pixels(image)[0])


@pytest.mark.parametrize("n_segments", [5, 12, 100])
def test_images_with_too_few_segments_are_segmented_again(
    n_segments: int, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks of 4, of 2 and of 1 pixels; of smooth images fewer segments are left than were asked for."""
    refine, refined = segmenting._refine, list[object]()
    monkeypatch.setattr(segmenting, "_refine", lambda *arguments: refined.append(arguments) or refine(*arguments))
    images = made_images(300, 3)[[1, 3, 5, 7]]
    assert torch.equal(*with_both(Slic(n_segments), images, library, monkeypatch))
    assert refined


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.float16, torch.bfloat16, torch.float64])
def test_so_are_other_types(
    dtype: torch.dtype, library: Library, photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = photographs(40)[:2].to(dtype)
    assert torch.equal(*with_both(Slic(20), images, library, monkeypatch))
    assert torch.equal(*with_both(Slic(20), images.to(memory_format=torch.channels_last), library, monkeypatch))


def test_outliers_are_seen(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one bright pixel to as many as are no outliers any more, above, below, and at both ends."""
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(60, 1, 60, 60, generator=generator)
    places = torch.randperm(3600, generator=generator)
    for number, image in enumerate(images):
        flat = image.view(-1)
        flat[places[: number // 6]] = [3.0, 1.9, 2.1, -1.5, 1e4, 2.0][number % 6]
        if number % 5 == 0:
            flat[places[-1 - number // 12 :]] = -2.0
    by_torch, by_code = with_both(Slic(20), images, library, monkeypatch)
    assert torch.equal(by_torch, by_code)
    assert any(
        not torch.equal(mask, clipped) for mask, clipped in zip(by_code, Slic(20)(images.clamp(0, 1)), strict=True)
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 1500, 3 * 48 * 48 - 1])
@pytest.mark.usefixtures("in_use")
def test_what_is_not_finite_is_an_error(value: float, place: int, noise: Noise) -> None:
    images = noise(3, 3, 48, 48)
    images[1].view(-1)[place] = value
    with pytest.raises(ValueError, match=r"replace them first, for example by torch.nan_to_num"):
        Slic(20)(images)


@pytest.mark.usefixtures("in_use")
def test_inputs_are_not_changed(noise: Noise) -> None:
    images = noise(2, 3, 40, 40).requires_grad_()
    before = images.detach().clone()
    mask = Slic(20)(images)
    assert torch.equal(images, before)
    assert not mask.requires_grad


@pytest.mark.parametrize("settings", [{}, {"channel_order": "bgr"}, {"denormalize": (0.4, 0.3)}])
def test_switching_cannot_be_seen(
    settings: dict[str, Any], library: Library, photographs: Photographs, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = photographs(48).float()
    images[1] = 7
    members = [Slic(20, **settings), Slic(1, **settings), Slic(90, 5.0, **settings), Slic(20, 5.0, **settings)]
    monkeypatch.setattr(compiled, "find_library", lambda: None)
    expected = segment_with_all(members, images)
    monkeypatch.setattr(compiled, "find_library", lambda: library)
    monkeypatch.setattr(slic_module, "segment_pixels", None)
    assert all(map(torch.equal, segment_with_all(members, images), expected))
    for member, mask in zip(members, expected, strict=True):
        assert torch.equal(member(images), mask)
        assert torch.equal(replace(member)(images.flip(3).contiguous().flip(3)), mask)


@pytest.mark.usefixtures("in_use")
def test_batches_and_threads_do_not_matter(threads: Callable[[int], None], noise: Noise) -> None:
    images = noise(7, 3, 40, 40)
    threads(1)
    expected = torch.cat([Slic()(image[None]) for image in images])
    for count in (1, 3):
        threads(count)
        assert torch.equal(Slic()(images), expected)
        assert torch.get_num_threads() == count


def test_what_it_does_not_apply_to_goes_to_torch(noise: Noise) -> None:
    class Other(Tensor):
        pass

    images, settings = noise(1, 3, 16, 16), [like(20, 5, 10.0)]
    assert compiled.applies(settings, images)
    assert not compiled.applies(settings, images.as_subclass(Other))
    assert not compiled.applies(settings, images.double())
    assert not compiled.applies(settings, images.to("meta"))
    # So many voxels that their places take more than 27 bits.
    assert not compiled.applies(settings, torch.zeros(1).expand(1, 1, 2**10, 2**10, 2**8))


@pytest.mark.parametrize(
    ("shape", "spacing"), [((90, 70), (0.3, 0.3)), ((1, 40, 50), None), ((40, 1, 50), (2.0, 9.0, 2.0))]
)
def test_equal_spacings_and_single_slices_are_images(
    shape: tuple[int, ...],
    spacing: tuple[float, ...] | None,
    library: Library,
    noise: Noise,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, slic = noise(2, 1, *shape), Slic(3, spacing=spacing)
    monkeypatch.setattr(compiled, "find_library", lambda: None)
    expected = slic(images)
    monkeypatch.setattr(compiled, "find_library", lambda: library)
    monkeypatch.setattr(slic_module, "segment_pixels", None)
    assert torch.equal(slic(images), expected)


def test_the_users_default_device_does_not_matter(
    library: Library, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other test has images of this size: nothing is kept of them."""
    images = noise(2, 3, 43, 39)
    with torch.device("meta"):
        found = with_both(Slic(20), images, library, monkeypatch)
    assert torch.equal(*found)
    assert found[1].unique().tolist() == list(range(20))


class Dark(Slic):
    """Sees nothing in the upper half of the range."""

    def scale_pixels(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        scaled, flat = super().scale_pixels(inputs)
        return scaled.clamp(max=0.5), flat


def test_what_scales_in_its_own_way_still_does(library: Library, noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(2, 3, 32, 32)
    by_torch, by_code = with_both(Dark(20), images, library, monkeypatch)
    assert torch.equal(by_torch, by_code)
    assert not torch.equal(by_code, Slic(20)(images))
