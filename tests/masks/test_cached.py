"""The cache of masks: what is known is not segmented again, and what was damaged is never returned."""

import copy
import dataclasses
import multiprocessing
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from captum_superpixel.masks import Cached, Grid, SkimageSlic, Slic

Noise = Callable[..., Tensor]


@dataclasses.dataclass(frozen=True)
class Rows:
    """A generator that counts the images that it is asked for; a segment a row, by the order of the first pixels."""

    reverse: bool = False
    seen: list[int] = dataclasses.field(default_factory=list, repr=False, compare=False)

    def __call__(self, inputs: Tensor) -> Tensor:
        self.seen.append(len(inputs))
        rank = inputs[:, :1, :, :1].argsort(dim=2, descending=self.reverse).argsort(dim=2)
        return rank.expand(-1, 1, -1, inputs.shape[3]).contiguous()


@pytest.fixture(params=["memory", "files"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Tensor], Tensor]], Cached]:
    def build(generator: Callable[[Tensor], Tensor]) -> Cached:
        return Cached(generator, None if request.param == "memory" else tmp_path / "masks" / "here")

    return build


def test_masks_are_those_of_the_generator(make: Callable[..., Cached], noise: Noise) -> None:
    images = noise(3, 3, 20, 24)
    for generator in (Slic(12), SkimageSlic(12, num_threads=1), Grid(12)):
        cached = make(generator)
        for _ in range(2):
            mask = cached(images)
            assert torch.equal(mask, generator(images))
            assert mask.dtype == torch.int64
            assert mask.is_contiguous()
        assert len(cached) == 3


def test_only_what_is_missing_is_segmented(make: Callable[..., Cached], noise: Noise) -> None:
    rows, images = Rows(), noise(5, 2, 6, 7)
    cached = make(rows)
    expected = Rows()(images)
    assert torch.equal(cached(images[:3]), expected[:3])
    assert torch.equal(cached(images), expected)
    assert torch.equal(cached(images.flip(0)), expected.flip(0))
    assert torch.equal(cached(images[[4, 4, 0]].requires_grad_()), expected[[4, 4, 0]])
    assert rows.seen == [3, 2]
    assert len(cached) == 5


def test_an_image_that_stands_twice_in_a_batch_is_segmented_once(make: Callable[..., Cached], noise: Noise) -> None:
    rows, images = Rows(), noise(2, 1, 4, 4)
    assert torch.equal(make(rows)(images[[0, 1, 0, 0]]), Rows()(images[[0, 1, 0, 0]]))
    assert rows.seen == [2]


def test_pixels_dtype_and_shape_make_an_image(make: Callable[..., Cached]) -> None:
    rows = Rows()
    cached = make(rows)
    image = torch.arange(12).view(1, 1, 3, 4)
    variants = [image, image.float(), image.bfloat16(), image.view(1, 1, 4, 3), image.view(1, 1, 2, 6), image + 1]
    for variant in variants:
        assert torch.equal(cached(variant), Rows()(variant))
    assert rows.seen == [1] * 6
    assert len(cached) == 6
    # The same pixels in another memory layout are the same image.
    assert torch.equal(cached(image.mT.contiguous().mT), Rows()(image))
    assert rows.seen == [1] * 6


def test_clear_forgets(make: Callable[..., Cached], noise: Noise) -> None:
    rows, images = Rows(), noise(2, 1, 4, 4)
    cached = make(rows)
    cached(images)
    cached.clear()
    assert len(cached) == 0
    assert torch.equal(cached(images), Rows()(images))
    assert rows.seen == [2, 2]


@pytest.mark.parametrize("numbers", [[0, 1], [0, 255], [0, 256], [0, 2**40], [-1, 5]])
def test_any_integers_come_back(make: Callable[..., Cached], numbers: list[int], noise: Noise) -> None:
    mask = torch.tensor(numbers).view(1, 1, 1, 2)
    cached = make(Constant(tuple(numbers)))
    for _ in range(2):
        assert torch.equal(cached(noise(1, 1, 1, 2)), mask)


@dataclasses.dataclass(frozen=True)
class Constant:
    numbers: tuple[int, ...]

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch.tensor(self.numbers).view(1, 1, *inputs.shape[2:])


def test_memory_is_bounded_by_forgetting_what_was_not_asked_for_longest(noise: Noise) -> None:
    rows, images = Rows(), noise(4, 1, 3, 3)
    cached = Cached(rows, max_images=2)
    for index in (0, 1, 0, 2, 0, 1):
        assert torch.equal(cached(images[index : index + 1]), Rows()(images[index : index + 1]))
    # 0, 1, then 2 in the place of 1, then 1 in that of 2.
    assert rows.seen == [1] * 4
    assert len(cached) == 2
    assert torch.equal(cached(images), Rows()(images))
    assert len(cached) == 2


def test_files_serve_other_instances_with_the_same_settings_only(tmp_path: Path, noise: Noise) -> None:
    images = noise(2, 1, 4, 4)
    assert torch.equal(Cached(Rows(), tmp_path)(images), Rows()(images))
    rows, other = Rows(), Rows(reverse=True)
    assert torch.equal(Cached(rows, str(tmp_path))(images), Rows()(images))
    assert torch.equal(Cached(other, tmp_path)(images), Rows(reverse=True)(images))
    assert (rows.seen, other.seen) == ([], [2])
    for folder in (
        generator := {Cached(g, tmp_path)._folder() for g in (Slic(5), Slic(5, 9.0), SkimageSlic(5), Grid(5))}
    ):
        assert folder is not None
        assert folder.parent == tmp_path
    assert len(generator) == 4


@pytest.mark.parametrize("damage", ["empty", "torn", "a bit flipped", "text", "of another image"])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: str, noise: Noise) -> None:
    images = noise(2, 1, 30, 30)
    Cached(Rows(), tmp_path)(images)
    paths = sorted(tmp_path.rglob("*.mask"))
    other = paths[0].read_bytes()
    for path in paths:
        content = bytearray(path.read_bytes())
        if damage == "empty":
            content.clear()
        elif damage == "torn":
            del content[len(content) // 2 :]
        elif damage == "a bit flipped":
            content[-3] ^= 4
        elif damage == "text":
            content[:] = b"no mask"
        elif damage == "of another image":
            content[:] = other
        path.write_bytes(content)
    rows = Rows()
    for _ in range(2):
        assert torch.equal(Cached(rows, tmp_path)(images), Rows()(images))
        assert rows.seen == [1 if damage == "of another image" else 2]


def _write_many(directory: Path, start: int) -> None:
    torch.set_num_threads(1)
    cached = Cached(Slic(8), directory)
    for index in range(20):
        images = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed((start + index) % 20))
        cached(images)


def test_processes_write_at_the_same_time(tmp_path: Path, noise: Noise) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(tmp_path, start)) for start in (0, 1, 10)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    cached = Cached(Slic(8), tmp_path)
    assert len(cached) == 40
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".mask"}
    for seed in range(20):
        images = noise(2, 1, 12, 12, seed=seed)
        assert torch.equal(cached(images), Slic(8)(images))


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: Noise) -> None:
    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        Cached(Rows(), tmp_path)(noise(1, 1, 3, 3))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_that_is_being_read_need_not_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses it; the mask is returned all the same. Where nothing can be written, that is an error."""
    images = torch.arange(18.0).view(2, 1, 3, 3)
    Cached(Rows(), tmp_path)(images[:1])
    (path,) = tmp_path.rglob("*.mask")
    path.write_bytes(b"damaged")

    def refuse(*args: object) -> None:
        raise PermissionError("the file is open")

    monkeypatch.setattr(Path, "replace", refuse)
    assert torch.equal(Cached(Rows(), tmp_path)(images[:1]), Rows()(images[:1]))
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    with pytest.raises(PermissionError, match="the file is open"):
        Cached(Rows(), tmp_path)(images[1:])


def test_copies_work_and_start_anew(tmp_path: Path, noise: Noise) -> None:
    images = noise(1, 3, 8, 8)
    for cached in (Cached(Grid(4), max_images=3), Cached(Grid(4), tmp_path)):
        cached(images)
        for twin in (pickle.loads(pickle.dumps(cached)), copy.deepcopy(cached)):
            assert repr(twin) == repr(cached)
            assert torch.equal(twin(images), Grid(4)(images))
    assert repr(Cached(Grid(4))) == "Cached(Grid(n_segments=4))"
    assert repr(Cached(Grid(4), max_images=3)) == "Cached(Grid(n_segments=4), max_images=3)"
    assert repr(Cached(Grid(4), tmp_path)) == f"Cached(Grid(n_segments=4), directory={str(tmp_path)!r})"


def test_errors_of_the_generator_are_its_own(noise: Noise) -> None:
    with pytest.raises(TypeError, match=r"inputs must be a tensor .* but a ndarray was passed"):
        Cached(Slic(4))(np.zeros((1, 3, 8, 8)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"inputs of shape \(0, 3, 8, 8\), which hold no pixels"):
        Cached(Slic(4))(torch.zeros(0, 3, 8, 8))
    cached = Cached(Slic(4))
    with pytest.raises(ValueError, match=r"1 of 2 images \(index 1\) hold NaN"):
        cached(torch.cat([noise(1, 3, 8, 8), torch.full((1, 3, 8, 8), torch.nan)]))
    assert len(cached) == 0


@pytest.mark.parametrize(
    ("generator", "error", "message"),
    [
        (lambda x: x.numpy(), TypeError, "returned a ndarray: a mask is a tensor of integers"),
        (lambda x: x[:, :1], TypeError, "returned a tensor of torch.float32"),
        (lambda x: x[:, :1] > 0, TypeError, "returned a tensor of torch.bool"),
        (
            lambda x: x.long(),
            ValueError,
            "a mask of shape (2, 3, 4, 4) for inputs of shape (2, 3, 4, 4): only masks of",
        ),
        (lambda x: x[:1, :1].long(), ValueError, "shape (1, 1, 4, 4) for inputs of shape (2, 3, 4, 4): only masks of"),
    ],
)
def test_what_is_no_mask(
    generator: Callable[[Tensor], Tensor], error: type[Exception], message: str, noise: Noise
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Cached(generator)(noise(2, 3, 4, 4))


@dataclasses.dataclass
class Thawed:
    n_segments: int = 4

    def __call__(self, inputs: Tensor) -> Tensor:
        return Grid(self.n_segments)(inputs)


def test_what_cannot_be_cached(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"generator must be a mask generator.*but the class .*Slic.* was passed"):
        Cached(Slic)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"generator must be a mask generator.*but None was passed"):
        Cached(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"frozen dataclass, as Slic.. is, but <function"):
        Cached(lambda x: x, tmp_path)
    with pytest.raises(TypeError, match=r"frozen dataclass, as Slic.. is, but Thawed\(n_segments=4\)"):
        Cached(Thawed(), tmp_path)
    with pytest.raises(ValueError, match="max_images=5 is for masks in memory"):
        Cached(Slic(), tmp_path, max_images=5)
    with pytest.raises(ValueError, match="max_images must be at least 1, but 0"):
        Cached(Slic(), max_images=0)
    (tmp_path / "occupied").write_text("")
    with pytest.raises(NotADirectoryError, match="occupied"):
        Cached(Slic(), tmp_path / "occupied")
