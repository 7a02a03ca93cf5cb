"""The compiled engine: it gives the labels of torch, to the last, and serves only where it was asked for."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from captum_superpixel import cli
from captum_superpixel.masks import Slic, compile_engine, describe_engine
from captum_superpixel.masks.base import segment_with_all
from captum_superpixel.masks.slic import compiled
from captum_superpixel.masks.slic import slic as slic_module
from captum_superpixel.masks.slic._segmenting import AtOnce, Setting, segment_pixels
from captum_superpixel.masks.slic._shared_pixels import SharedPixels
from captum_superpixel.masks.slic.compiled import engine, segment_images
from captum_superpixel.masks.slic.compiled.kernels.segments import COLORS, FIND, SETTLE, WRITE, segment
from captum_superpixel.masks.slic.compiled.loading import Library, describe_machine
from captum_superpixel.masks.slic.compiled.tables import make_plan

COMPILED = "compiled, but torch for volumes, unequal spacing and masks of valid pixels"

Noise = Callable[..., Tensor]
Photographs = Callable[[int], Tensor]

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba is not installed")


@pytest.fixture(autouse=True)
def nothing_found_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that has not looked for machine code yet, and an empty cache folder."""
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    monkeypatch.setattr(engine._Engine, "library", None)
    monkeypatch.delenv("CAPTUM_SUPERPIXEL_ENGINE", raising=False)
    # The command changes it where it is not set.
    monkeypatch.setenv("NUMBA_OPT", "3")
    folder = str(tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "platformdirs", SimpleNamespace(user_cache_dir=lambda _: folder))


@pytest.fixture(scope="module")
def code() -> bytes:
    """Machine code, compiled once for all tests of this file."""
    pytest.importorskip("numba")
    building: Any = importlib.import_module("captum_superpixel.masks.slic.compiled.building")
    made: bytes = building.build(describe_machine()[0])
    return made


@pytest.fixture(scope="module")
def library(code: bytes) -> Library:
    return Library(code)


@pytest.fixture
def ready(code: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes no time."""
    building: Any = importlib.import_module("captum_superpixel.masks.slic.compiled.building")
    monkeypatch.setattr(building, "build", lambda machine: code)


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


def test_the_kernels_give_the_same_as_plain_python(noise: Noise) -> None:
    """Also without Numba: arrays stand for memory."""
    images = torch.cat([noise(3, 3, 9, 13), noise(3, 3, 9, 13, seed=1).square(), made_images(13, 3)[:5, :, :9]])
    setting = like(12, 3, 10.0)
    plan = make_plan(setting, (3, 9, 13), 1, (9, 13), 0.8)
    sizes, floats, ints = plan.arrays
    expected = by_torch([setting], images)[0]
    compared = 0
    for image, mask in zip(images, expected, strict=True):
        memory: Any = [[np.zeros(n, dtype) for n in lengths] for dtype, lengths in plan.lengths.items()]
        colors, out = np.zeros(3 * 9 * 13, np.float32), np.zeros(9 * 13, np.int64)
        steps = COLORS | FIND | SETTLE | WRITE
        found = segment(steps, image.flatten().numpy(), colors, sizes[0], floats, ints, *memory, out)
        if found >= plan.enough:
            assert out.tolist() == mask.flatten().tolist()
            compared += 1
    # Others are segmented again from more cells.
    assert compared >= 3


@pytest.fixture
def in_use(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiled engine serves, and torch's steps are out of reach."""
    monkeypatch.setattr(engine._Engine, "looked_for", True)
    monkeypatch.setattr(engine._Engine, "library", library)
    monkeypatch.setattr(slic_module, "segment_pixels", None)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


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
    assert not compiled.applies(settings, images[None])
    assert not compiled.applies([*settings, Setting(20, 5, (1.0, 2.0), 10.0)], images)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((8, 9, 10), None), ((16, 18), (1.0, 2.0)), ((8, 9, 10), (2.0, 2.0, 2.0))]
)
def test_volumes_and_unequal_spacings_remain_with_torch(
    shape: tuple[int, ...], spacing: tuple[float, ...] | None, monkeypatch: pytest.MonkeyPatch, noise: Noise
) -> None:
    monkeypatch.setattr(compiled, "find_library", lambda: pytest.fail("it does not apply"))
    assert Slic(20, spacing=spacing)(noise(2, 3, *shape)).unique().tolist() == list(range(20))


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


def test_nothing_is_compiled_unasked(monkeypatch: pytest.MonkeyPatch, noise: Noise) -> None:
    monkeypatch.setitem(sys.modules, "captum_superpixel.masks.slic.compiled.building", None)
    Slic(20)(noise(1, 3, 16, 16))
    assert engine._Engine.library is None


@needs_numba
def test_torch_is_the_engine_until_the_other_is_compiled() -> None:
    assert describe_engine() == "torch: the compiled one is made by: captum-superpixel compile"


@pytest.mark.usefixtures("ready")
def test_what_is_compiled_is_kept_for_later_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compile_engine()
    assert path is not None
    assert path.parent == tmp_path / "cache"
    assert describe_engine() == f"{COMPILED}: {path}"
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    monkeypatch.setattr(engine._Engine, "library", None)
    assert describe_engine() == f"{COMPILED}: {path}"
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    monkeypatch.setenv("CAPTUM_SUPERPIXEL_ENGINE", "torch")
    assert describe_engine() == "torch: the environment variable CAPTUM_SUPERPIXEL_ENGINE is torch"


@pytest.mark.usefixtures("ready")
def test_a_damaged_file_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    path = compile_engine()
    assert path is not None
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(engine._Engine, "looked_for", False)
    assert describe_engine().startswith("torch: the compiled one could not be loaded (the checksum of ")


@pytest.mark.usefixtures("ready")
def test_the_command_says_where_it_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile"]) == 0
    assert f"kept in {tmp_path / 'cache'}" in capsys.readouterr().out


@pytest.mark.usefixtures("ready")
def test_without_a_place_to_keep_it_it_serves_this_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert cli.main(["compile"]) == 1
    assert "the cache folder cannot be written to" in capsys.readouterr().err
    assert describe_engine() == f"{COMPILED}: not kept"


@pytest.mark.usefixtures("ready")
def test_what_gives_other_masks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "segment_images", lambda library, settings, images: by_torch(settings, images.flip(3)))
    with pytest.raises(RuntimeError, match=r"gives other masks than torch on this computer"):
        compile_engine()
    assert describe_engine().startswith("torch: ")


@pytest.mark.parametrize("missing", ["numba", "llvmlite.binding"])
def test_without_numba(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], noise: Noise
) -> None:
    """Masks are made all the same, and the command says what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    images = noise(2, 3, 20, 20)
    expected = by_torch([like(20, 5, 10.0)], images)[0]
    assert torch.equal(Slic(20, denormalize=(0.0, 1.0))(images)[:, 0], expected)
    assert describe_engine().startswith("torch: the compiled one ")
    assert cli.main(["compile"]) == 2
    error = capsys.readouterr().err
    assert missing.partition(".")[0] in error or "llvmlite" in error
    assert 'the compiled engine of Slic needs pip install "captum-superpixel[fast]"' in error
