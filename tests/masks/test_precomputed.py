"""Masks handed out by content and by index: always the right one, or an error that says which image has none."""

import copy
import hashlib
import pickle
import random
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.masks import Grid
from captum_superpixel.masks.precomputed import Precomputed
from captum_superpixel.masks.proposals import from_proposals

Noise = Callable[..., Tensor]


def segments(count: int, *spatial: int) -> Tensor:
    """A mask of its own for each image, with labels from 0 without gaps."""
    return torch.stack([torch.arange(int(np.prod(spatial))).view(1, *spatial) // (n + 2) for n in range(count)])


@pytest.fixture
def images(noise: Noise) -> Tensor:
    return noise(5, 3, 6, 8)


@pytest.fixture
def masks() -> Tensor:
    return segments(5, 6, 8)


NAMES = ("masks", "shapes", "places", "keys")


def checksum(parts: dict[str, Any]) -> str:
    """SHA-256 of what the four arrays are and hold, one after the other."""
    held = [(name, parts[name]) for name in NAMES if name in parts]
    return hashlib.sha256(
        b"".join(f"{name} {part.dtype.str} {part.shape} ".encode() + part.tobytes() for name, part in held)
    ).hexdigest()


def test_masks_are_found_whatever_the_order(images: Tensor, masks: Tensor) -> None:
    generator = Precomputed.from_images(images, masks)
    for order in ([0, 1, 2, 3, 4], [3, 0], [2, 2, 4, 2], [1]):
        found = generator(images[order])
        assert torch.equal(found, masks[order])
        assert found.dtype == torch.int64
        assert found.is_contiguous()
    assert torch.equal(generator(images.clone().requires_grad_()), masks)
    assert torch.equal(generator(images.movedim(1, 3).contiguous().movedim(3, 1)), masks)


def test_masks_are_taken_by_index(images: Tensor, masks: Tensor) -> None:
    for made in (Precomputed(masks), Precomputed.from_images(images, masks)):
        assert len(made) == 5
        assert torch.equal(made[3], masks[3:4])
        assert torch.equal(made[-1], masks[-1:])
        assert torch.equal(made[1:4:2], masks[1:4:2])
        order = [4, 0, 0, -2]
        for indices in (order, tuple(order), np.array(order), torch.tensor(order)):
            assert torch.equal(made[indices], masks[order])
        assert torch.equal(made[torch.tensor(2)], masks[2:3])
        assert torch.equal(torch.cat(list(made)), masks)  # type: ignore[call-overload]


def test_ids_are_renumbered_in_their_order() -> None:
    mask = torch.tensor([[[[9, 2**62, 4]]], [[[0, 1, 2]]], [[[300, 300, 7]]]])
    assert Precomputed(mask)[:].tolist() == [[[[1, 2, 0]]], [[[0, 1, 2]]], [[[1, 1, 0]]]]
    many = torch.arange(70_000).view(1, 1, 1, -1)  # more than two bytes hold
    assert torch.equal(Precomputed(many)[0], many)


def test_it_is_a_generator_for_superpixels(images: Tensor, masks: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    model(images)
    grouped = SuperpixelGrouped(Saliency(model), Precomputed.from_images(images, masks))
    by_index = SuperpixelGrouped(Saliency(model), None)
    order = [3, 1, 4]
    batch = images[order].requires_grad_()
    maps = grouped.attribute(batch, target=1)
    assert torch.equal(grouped.feature_mask(batch), masks[order])
    assert torch.equal(maps, by_index.attribute(batch, target=1, feature_mask=Precomputed(masks)[order]))
    # The tunnel inside leaves the images as they are; the one outside shows noisy ones to the generator.
    tunnel = SuperpixelGrouped(NoiseTunnel(Saliency(model)), Precomputed.from_images(images, masks))
    assert tunnel.attribute(batch, target=1, nt_samples=2).shape == batch.shape
    with pytest.raises(ValueError, match=r"6 of 6 images .*without augmentation or noise"):
        NoiseTunnel(grouped).attribute(batch, target=1, nt_samples=2)


def test_batches_of_different_sizes(noise: Noise) -> None:
    wide, high = noise(2, 3, 4, 9), noise(1, 3, 9, 4)
    proposals = [noise(3, *image.shape[1:], seed=n) > 0.5 for n, image in enumerate((*wide, *high))]
    made = [from_proposals(stack) for stack in proposals]
    generator = Precomputed.from_images((batch for batch in (wide, high)), (mask for mask in made))
    assert len(generator) == 3
    assert torch.equal(generator(wide), torch.cat(made[:2]))
    assert torch.equal(generator(high), made[2])
    assert torch.equal(generator[[1, 0]], torch.cat([made[1], made[0]]))
    with pytest.raises(ValueError, match=re.escape("masks of the sizes [(4, 9), (9, 4)] do not fit into one batch")):
        generator[:]


@pytest.mark.parametrize("spatial", [(7,), (3, 4, 5)])
def test_signals_and_volumes(spatial: tuple[int, ...], tmp_path: Path, noise: Noise) -> None:
    images, masks = noise(2, 1, *spatial), segments(2, *spatial)
    generator = Precomputed.from_images(images, masks)
    generator.save(tmp_path / "masks.npz")
    assert torch.equal(Precomputed.load(tmp_path / "masks.npz")(images.flip(0)), masks.flip(0))


def test_an_image_that_stands_twice_in_a_data_set(images: Tensor, masks: Tensor) -> None:
    twice = images[[0, 1, 0]]
    assert torch.equal(Precomputed.from_images(twice, masks[[0, 1, 0]])(images[:2]), masks[:2])
    with pytest.raises(ValueError, match="images 0 and 2 are the same, but their masks differ"):
        Precomputed.from_images(twice, masks[[0, 1, 2]])


def test_what_is_loaded_is_what_was_saved(images: Tensor, masks: Tensor, tmp_path: Path, noise: Noise) -> None:
    path = tmp_path / "my masks"
    sizes = [noise(1, 3, 4, 9), images]
    saved = Precomputed.from_images(sizes, [segments(1, 4, 9), masks])
    for _ in range(2):  # the second time the file is there
        saved.save(path)
        loaded = Precomputed.load(path)
    assert torch.equal(loaded(images.flip(0)), masks.flip(0))
    assert torch.equal(loaded[0], saved[0])
    assert repr(loaded) == repr(saved) == "Precomputed(6 masks, 6 images)"
    assert [file.name for file in tmp_path.iterdir()] == ["my masks"]
    Precomputed(masks).save(str(path))
    assert repr(Precomputed.load(str(path))) == "Precomputed(5 masks, no images)"


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    masks: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "masks.npz"
    Precomputed(masks).save(path)

    def fail(file: Any, **arrays: object) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="no space left"):
        Precomputed(masks[:2]).save(path)
    assert torch.equal(Precomputed.load(path)[:], masks)
    assert [file.name for file in tmp_path.iterdir()] == ["masks.npz"]


def test_what_was_not_saved_is_not_loaded(masks: Tensor, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        Precomputed.load(tmp_path / "missing")
    path = tmp_path / "file"
    Precomputed(masks).save(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2], whole[:80] + bytes(20) + whole[100:]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"{re.escape(repr(str(path)))} holds no masks that Precomputed.save"):
            Precomputed.load(str(path))
    np.savez(tmp_path / "other.npz", masks=np.zeros(3, dtype=int))
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name in ("other.npz", "array.npy"):
        with pytest.raises(ValueError, match=rf"{name}.* holds no masks"):
            Precomputed.load(str(tmp_path / name))


def test_any_damage_is_an_error_that_is_documented_or_does_no_harm(
    images: Tensor, masks: Tensor, tmp_path: Path
) -> None:
    """Bits flipped, bytes overwritten, removed and repeated, one to five at a time, anywhere in the file."""
    draw = random.Random(0)
    path = tmp_path / "masks.npz"
    Precomputed.from_images(images, masks).save(path)
    whole = path.read_bytes()
    refused = 0
    for _ in range(1500):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 1, 1, 2, 5])):
            place, length = draw.randrange(len(content)), draw.randrange(1, 40)
            kind = draw.choice(["flip", "byte", "ones", "random", "remove", "repeat"])
            if kind == "flip":
                content[place] ^= 1 << draw.randrange(8)
            elif kind == "byte":
                content[place] = draw.randrange(256)
            elif kind == "remove":
                del content[place : place + length]
            elif kind == "repeat":
                content[place:place] = content[draw.randrange(len(content)) :][:length]
            else:
                content[place : place + length] = b"\xff" * length if kind == "ones" else draw.randbytes(length)
        path.write_bytes(content)
        try:
            loaded = Precomputed.load(path)
        except ValueError as error:
            assert re.match(rf"'{re.escape(str(path))}' holds no masks that Precomputed.save wrote \(", str(error))  # noqa: PT017  # most, but not all raise
            refused += 1
        else:
            assert torch.equal(loaded(images), masks)
            assert torch.equal(loaded[:], masks)
    assert 1000 < refused < 1500


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"masks": np.zeros(239, np.uint8)}, "masks of shape (239,) and dtype uint8 are not 5 of these sizes"),
        ({"masks": np.zeros(240, np.int64)}, "masks of shape (240,) and dtype int64"),
        ({"masks": np.full(240, 3, np.uint8)}, "the ids of a mask have gaps"),
        ({"shapes": np.array([[2**40, 2**40]] * 5)}, "are not 5 of these sizes"),
        ({"shapes": np.array([[2**40, 2**40]])}, "shapes (1, 2), places (5,), keys (5,) do not belong together"),
        ({"shapes": np.array([[0, 2**60]] * 5)}, "are not 5 of these sizes"),
        ({"shapes": np.zeros((0, 2), int), "masks": np.zeros(0, np.uint8)}, "masks (0,), shapes (0, 2), places"),
        ({"shapes": np.array([240])}, "shapes (1,), places (5,), keys (5,) do not belong together"),
        ({"shapes": np.full((5, 2), 7.0)}, "shapes of dtype float64 is not of int64"),
        ({"shapes": np.asfortranarray([[6, 8]] * 5)}, "shapes has its axes in another order"),
        ({"places": np.arange(1, 6)}, "IndexError"),
        ({"places": np.arange(4)}, "places (4,), keys (5,) do not belong together"),
        ({"keys": np.array(["0" * 65] * 5)}, "keys of dtype <U65 is not of <U64"),
        ({"keys": None}, "KeyError"),
        ({"keys": np.array([{}] * 5)}, "Python objects are not read"),
    ],
)
def test_files_whose_parts_do_not_fit(
    images: Tensor, masks: Tensor, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    path = tmp_path / "masks.npz"
    Precomputed.from_images(images, masks).save(path)
    with np.load(path) as arrays:
        parts = {name: part for name, part in {**arrays, **changed}.items() if part is not None}
    parts["checksum"] = np.array(checksum(parts))
    np.savez_compressed(path, **parts)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}.*{re.escape(message)}"):
        Precomputed.load(path)


def test_parts_of_two_files_are_not_taken_for_one(images: Tensor, masks: Tensor, tmp_path: Path) -> None:
    """Each is whole and fits the others, so that none of the format's own sums is wrong."""
    Precomputed.from_images(images, masks).save(tmp_path / "one.npz")
    Precomputed.from_images(images, masks.max() - masks).save(tmp_path / "other.npz")
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "other.npz") as other:
        assert str(one["checksum"]) == checksum(dict(one))
        np.savez_compressed(tmp_path / "mixed.npz", **{**one, "masks": other["masks"]})
        np.savez_compressed(tmp_path / "unsigned.npz", **{name: one[name] for name in NAMES})
    with pytest.raises(ValueError, match=r"mixed\.npz' holds no masks .*the checksum is not that of its content"):
        Precomputed.load(tmp_path / "mixed.npz")
    with pytest.raises(ValueError, match=r"unsigned\.npz' holds no masks .*checksum\.npy"):
        Precomputed.load(tmp_path / "unsigned.npz")


def test_other_compressions_are_not_unpacked(masks: Tensor, tmp_path: Path) -> None:
    """A few bytes of some of them become gigabytes."""
    path = tmp_path / "masks.npz"
    Precomputed(masks).save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(ValueError, match="masks is compressed by method 14"):
        Precomputed.load(path)


MUCH = 2**24
BOMBS: dict[str, tuple[dict[str, Any], str]] = {
    "more than its header says": ({}, "takes 240 bytes"),
    "masks": ({"masks": np.zeros(MUCH, np.uint8)}, "are not 5 of these sizes"),
    "whole but unsigned": ({"masks": np.zeros(MUCH, np.uint8), "shapes": np.array([[2**13, 2**13]])}, "the checksum"),
    "shapes": ({"shapes": np.zeros((MUCH // 16, 2), np.int64)}, "do not belong together"),
    "axes": ({"shapes": np.zeros((5, MUCH // 40), np.int64)}, "do not belong together"),
    "places": ({"places": np.zeros(MUCH // 8, np.int64)}, "do not belong together"),
    "keys": ({"keys": np.zeros(5, f"U{MUCH // 20}")}, "keys of dtype"),
    "checksum": ({"checksum": np.zeros((), f"U{MUCH // 4}")}, "checksum of dtype"),
    "checksums": ({"checksum": np.zeros(MUCH // 256, "U64")}, "checksums of shape"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_what_is_refused_was_not_unpacked(images: Tensor, masks: Tensor, tmp_path: Path, kind: str) -> None:
    """Files of 20 kilobytes that claim 16 megabytes."""
    path = tmp_path / "masks.npz"
    Precomputed.from_images(images, masks).save(path)
    changed, message = BOMBS[kind]
    with np.load(path) as arrays:
        parts = {**arrays, **changed}
    if len(parts["shapes"]) == 1:
        parts |= {"places": parts["places"][:1], "keys": parts["keys"][:1]}
    elif "checksum" not in changed:
        parts["checksum"] = np.array(checksum(parts))
    np.savez_compressed(path, **parts)
    if not changed:
        _append_zeros(path, "masks.npy")
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"holds no masks .*{message}"):
        Precomputed.load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size < MUCH // 500
    assert peak < MUCH // 4


def _append_zeros(path: Path, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {entry: archive.read(entry) for entry in archive.namelist()}
    entries[name] += bytes(MUCH)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, held in entries.items():
            archive.writestr(entry, held)


def test_masks_of_images_and_volumes_are_saved_apart(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("masks with [2, 3] spatial dimensions cannot be saved together")):
        Precomputed([segments(1, 2, 2), segments(1, 2, 2, 2)]).save(tmp_path / "masks")


def test_copies_hand_out_the_same_masks(images: Tensor, masks: Tensor) -> None:
    generator = Precomputed.from_images(images, masks)
    for copied in (copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert torch.equal(copied(images), masks)


def test_unknown_images_are_named(images: Tensor, masks: Tensor, noise: Noise) -> None:
    generator = Precomputed.from_images(images, masks)
    changed = images.clone()
    changed[[1, 3], 0, 0, 0] += 1
    with pytest.raises(ValueError, match=re.escape("2 of 5 images (index 1, 3 in the batch of dtype torch.float32")):
        generator(changed)
    with pytest.raises(
        ValueError, match=r"5 of 5 images .*dtype torch.float64 and shape \(5, 3, 6, 8\)\) are not among the 5"
    ):
        generator(images.double())
    with pytest.raises(ValueError, match=r"20 of 20 images \(index 0, 1, 2, 3, 4, 5, 6, 7, … in the batch"):
        generator(noise(20, 3, 6, 8, seed=1))


def test_masks_without_images_cannot_be_looked_up(images: Tensor, masks: Tensor) -> None:
    with pytest.raises(ValueError, match=r"came without images.*from_images"):
        Precomputed(masks)(images)


@pytest.mark.parametrize("bad", [torch.zeros(0, 3, 6, 8), torch.zeros(3, 6)])
def test_inputs_that_are_no_batch(images: Tensor, masks: Tensor, bad: Tensor) -> None:
    with pytest.raises(ValueError, match=re.escape(f"images of shape {tuple(bad.shape)} are not a batch")):
        Precomputed.from_images(images, masks)(bad)


def test_inputs_that_are_no_tensor(images: Tensor, masks: Tensor) -> None:
    with pytest.raises(TypeError, match=r"images must be a tensor.*but a ndarray"):
        Precomputed.from_images(images, masks)(images.numpy())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"images must be a tensor.*but a list"):
        Precomputed.from_images([[1.0]], masks)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("number", "message"),
    [(4, "4 images came with 5 masks"), (6, "more than 5 images came with 5 masks"), (0, "0 images came with 5 masks")],
)
def test_a_mask_for_each_image(masks: Tensor, number: int, message: str, noise: Noise) -> None:
    with pytest.raises(ValueError, match=message):
        Precomputed.from_images([noise(1, 3, 6, 8, seed=n) for n in range(number)], masks)


def test_masks_have_the_size_of_their_images(images: Tensor, masks: Tensor) -> None:
    with pytest.raises(ValueError, match=re.escape("image 0 has shape (3, 6, 7), but its mask (1, 6, 8)")):
        Precomputed.from_images(images[..., :7], masks)


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        ([], ValueError, "an empty list of masks"),
        (torch.zeros(0, 1, 4, 4).long(), ValueError, "masks[0] has shape (0, 1, 4, 4), but (B, 1, *spatial)"),
        (torch.zeros(4, 4).long(), ValueError, "masks[0] has shape (4, 4), but"),
        (torch.tensor(3), ValueError, "masks[0] has shape (), but"),
        (
            [Grid(4)(torch.rand(1, 3, 4, 4)), torch.zeros(1, 3, 4, 4).long()],
            ValueError,
            "masks[1] has shape (1, 3, 4, 4)",
        ),
        (-torch.ones(1, 1, 2, 2).long(), ValueError, "masks[0] holds the negative id -1"),
        (torch.zeros(1, 1, 2, 2), TypeError, "masks[0] has dtype torch.float32"),
        ([np.zeros((1, 1, 2, 2))], TypeError, "masks[0] has dtype float64"),
        ([[[0]]], TypeError, "masks[0] must be a tensor or a NumPy array of integers, but a list"),
        (3, TypeError, "masks must be a tensor or several of them, but a int"),
        ("masks.npz", TypeError, "masks must be a tensor or several of them, but a str"),
    ],
)
def test_masks_that_are_none(masks: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Precomputed(masks)


def test_arrays_of_masks(masks: Tensor) -> None:
    for given in (masks.numpy(), [mask[None].numpy() for mask in masks]):
        assert torch.equal(Precomputed(given)[:], Precomputed(masks)[:])


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (5, IndexError, "index 5 is outside the 5 masks: pass 0 to 4"),
        ([0, -6], IndexError, "index -6 is outside the 5 masks"),
        ([], ValueError, "no mask was asked for"),
        (slice(5, None), ValueError, "no mask was asked for"),
        (1.5, TypeError, "indices must be integers, but 1.5"),
        ("first", TypeError, "indices must be integers, but 'first'"),
        ([True, False], TypeError, "indices must be integers, but [True, False]"),
        (torch.tensor([True]), TypeError, "indices must be integers, but tensor([True])"),
        (torch.tensor([[1]]), TypeError, "indices must be integers, but tensor([[1]])"),
    ],
)
def test_indices_that_are_none(masks: Tensor, indices: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Precomputed(masks)[indices]
