"""The compiled engine gives the labels of torch for volumes, series and images of unequal spacing."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool3d, interpolate

from captum_superpixel.masks import Slic, multiscale
from captum_superpixel.masks.base import segment_with_all
from captum_superpixel.masks.slic import compiled
from captum_superpixel.masks.slic import slic as slic_module
from captum_superpixel.masks.slic._segmenting import AtOnce, Setting, _shrink_factors, segment_pixels
from captum_superpixel.masks.slic._shared_pixels import SharedPixels
from captum_superpixel.masks.slic.compiled import segment_images, segmenting
from captum_superpixel.masks.slic.compiled.loading import Library

pytestmark = pytest.mark.usefixtures("nothing_found_out")

Noise = Callable[..., Tensor]


def check(library: Library, settings: list[Setting], images: Tensor) -> None:
    expected = segment_pixels(settings, SharedPixels(images), AtOnce(110_000, 220_000))
    for setting, ours, theirs in zip(settings, segment_images(library, settings, images), expected, strict=True):
        assert torch.equal(ours, theirs), (setting, tuple(images.shape))


def made_volumes(channels: int, *size: int) -> Tensor:
    """Noise, smooth noise, stars, a ramp with a step, boxes of two voxels, four levels, and one color."""
    generator = torch.Generator().manual_seed(sum(size))
    noise = torch.rand(channels, *size, generator=generator)
    smooth = avg_pool3d(noise[None], (1, 3, 3), stride=1, padding=(0, 1, 1))[0]
    stars = (torch.rand(size, generator=generator) < 0.02).float().expand_as(noise)
    ramp = torch.linspace(0, 0.6, size[2]).expand_as(noise).clone()
    ramp[:, size[0] // 2 :] += 0.4
    planes, rows, columns = torch.meshgrid(*map(torch.arange, size), indexing="ij")
    boxes = ((planes // 2 + rows // 2 + columns // 2) % 2).float().expand_as(noise)
    return torch.stack([noise, smooth, stars, ramp, boxes, (noise * 4).floor() / 4, torch.full_like(noise, 0.3)])


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("size", [(5, 6, 7), (12, 30, 25), (2, 40, 31), (30, 3, 17), (1, 20, 20)])
def test_volumes_get_the_labels_of_torch(size: tuple[int, int, int], channels: int, library: Library) -> None:
    volumes = made_volumes(channels, *size)
    for n_segments, iterations, compactness in ((2, 5, 10.0), (30, 5, 10.0), (100, 1, 0.1), (60, 0, 1e4)):
        check(library, [Setting(n_segments, iterations, (1.0, 1.0, 1.0), compactness)], volumes)


@pytest.mark.parametrize("spacing", [(3.0, 1.0, 1.0), (1.0, 1.0, 7.0), (1.0, 2.5, 2.0), (20.0, 1.0, 1.0)])
def test_so_do_those_whose_slices_are_farther_apart(spacing: tuple[float, float, float], library: Library) -> None:
    for channels in (1, 4):
        check(library, [Setting(n, 5, spacing, 10.0) for n in (7, 40)], made_volumes(channels, 12, 30, 25))


@pytest.mark.parametrize(
    ("size", "spacing", "factors"),
    [
        ((31, 65, 41), (1.0, 1.0, 1.0), (1, 2, 2)),
        ((9, 131, 130), (4.0, 1.0, 1.0), (1, 4, 4)),
        ((70, 70, 69), (1.0, 1.0, 1.0), (2, 2, 2)),
    ],
)
def test_so_do_blocks_of_voxels_that_are_treated_as_one(
    size: tuple[int, int, int], spacing: tuple[float, ...], factors: tuple[int, ...], library: Library
) -> None:
    """Of which the last along each axis are cut off; blurred, and with specks."""
    volume = interpolate(torch.rand(2, 1, 4, 5, 6, generator=torch.Generator().manual_seed(0)), size, mode="trilinear")
    volume[:, :, 4:6, 20:23, 20:22] = 1
    volume[1] += 0.2 * torch.rand(volume[1].shape, generator=torch.Generator().manual_seed(1))
    few = next(n for n in range(1, 200) if _shrink_factors(size, Setting(n, 5, spacing, 10.0)) == factors)
    check(library, [Setting(n, 5, spacing, 10.0) for n in {max(2, few), 20, 300}], volume / volume.max())


@pytest.mark.parametrize(
    ("shape", "spacing"), [((40, 90), (1.0, 2.3)), ((300, 40), (1.0, 9.0)), ((150, 150), (3.0, 1.0))]
)
def test_so_do_images_of_unequal_spacing(
    shape: tuple[int, int], spacing: tuple[float, float], library: Library, noise: Noise
) -> None:
    for channels in (1, 3, 5):
        check(library, [Setting(n, 5, spacing, 10.0) for n in (3, 12, 90)], noise(2, channels, *shape))


@pytest.mark.parametrize("length", [2, 60, 1000, 7001])
def test_so_do_series(length: int, library: Library, noise: Noise) -> None:
    """Of 7,001 values, three segments have blocks of two."""
    for channels in (1, 3, 4):
        series = noise(2, channels, length).cumsum(dim=2)
        series = (series - series.min()) / (series.max() - series.min())
        check(library, [Setting(n, 5, (1.0,), 10.0) for n in {2, min(3, length), min(50, length)}], series)


def with_both(
    slic: Slic, inputs: Tensor, library: Library, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Tensor], list[Tensor]]:
    """Segment alone and together with another by torch, and then by machine code, which asks torch for nothing."""
    generators = [slic, Slic(5, 3.0, spacing=slic.spacing)]
    monkeypatch.setattr(compiled, "find_library", lambda: None)
    by_torch = [slic(inputs), *segment_with_all(generators, inputs)]
    with monkeypatch.context() as patch:
        patch.setattr(compiled, "find_library", lambda: library)
        patch.setattr(slic_module, "segment_pixels", None)
        return by_torch, [slic(inputs), *segment_with_all(generators, inputs)]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((8, 19, 20), None),
        ((8, 19, 20), (3.0, 0.8, 0.8)),
        ((1, 40, 50), (2.0, 1.0, 3.0)),
        ((40, 50), (1.0, 3.0)),
        ((100, 1), None),
        ((1, 1, 100), None),
    ],
)
def test_slic_asks_torch_for_nothing(
    shape: tuple[int, ...],
    spacing: tuple[float, ...] | None,
    dtype: torch.dtype,
    library: Library,
    noise: Noise,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inputs = noise(3, 2, *shape).mul(200).to(dtype)
    inputs[1] = 7
    by_torch, by_code = with_both(Slic(20, spacing=spacing), inputs, library, monkeypatch)
    assert all(map(torch.equal, by_torch, by_code))
    assert len(by_code[0][0].unique()) > 10
    assert not by_code[0][1].any()


@pytest.mark.parametrize(("height", "width", "spacing"), [(150, 150, (3.0, 1.0)), (300, 40, (1.0, 9.0))])
def test_blocks_that_are_not_squares(
    height: int,
    width: int,
    spacing: tuple[float, float],
    library: Library,
    noise: Noise,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Segments are so long along one axis that blocks of its pixels are treated as one, and along the other not."""
    by_torch, by_code = with_both(Slic(3, spacing=spacing), noise(2, 3, height, width), library, monkeypatch)
    assert all(map(torch.equal, by_torch, by_code))
    assert len(by_code[0][0].unique()) == 3


@pytest.mark.parametrize("shape", [(40, 50), (8, 19, 20)])
def test_where_a_system_refuses_the_memory_torch_is_asked(
    shape: tuple[int, ...], library: Library, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    inputs = noise(2, 1, *shape)
    monkeypatch.setattr(compiled, "find_library", lambda: None)
    expected = Slic(20)(inputs)
    monkeypatch.setattr(compiled, "find_library", lambda: library)
    monkeypatch.setattr(segmenting, "_borrow", refuse)
    assert torch.equal(Slic(20)(inputs), expected)


def test_nor_do_ensembles(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    volumes, members = made_volumes(1, 10, 40, 30), multiscale(spacing=(3.0, 1.0, 1.0))
    monkeypatch.setattr(compiled, "find_library", lambda: None)
    expected = segment_with_all(members, volumes)
    monkeypatch.setattr(compiled, "find_library", lambda: library)
    monkeypatch.setattr(slic_module, "segment_pixels", None)
    assert all(map(torch.equal, segment_with_all(members, volumes), expected))


def test_volumes_with_too_few_segments_are_segmented_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    refine, refined = segmenting._refine, list[object]()
    monkeypatch.setattr(segmenting, "_refine", lambda *arguments: refined.append(arguments) or refine(*arguments))
    check(library, [Setting(n, 5, (1.0, 1.0, 1.0), 10.0) for n in (12, 100)], made_volumes(1, 14, 30, 30))
    assert refined


@pytest.mark.usefixtures("in_use")
def test_batches_and_threads_do_not_matter() -> None:
    volumes = made_volumes(1, 8, 30, 30)
    before = torch.get_num_threads()
    expected = torch.cat([Slic(30)(volume[None]) for volume in volumes])
    try:
        torch.set_num_threads(3)
        assert torch.equal(Slic(30)(volumes), expected)
    finally:
        torch.set_num_threads(before)
