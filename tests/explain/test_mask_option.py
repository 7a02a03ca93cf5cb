"""``--masks``: its text, its files, and how a photograph's mask becomes one of the network's input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel._checks import InputError
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.mask_option import parse_masks
from captum_superpixel.masks import (
    Felzenszwalb,
    Grid,
    PatchAligned,
    Quickshift,
    SkimageSlic,
    Slic,
    Watershed,
    multiscale,
)

CAFFE = Preprocessing(size=16, mean=(104, 117, 123), std=1, scale=1, channel_order="bgr")
SETTINGS: Any = {"denormalize": CAFFE.denormalize, "channel_order": "bgr"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slic:20", Slic(20, **SETTINGS)),
        ("slic", Slic(100, **SETTINGS)),
        ("skimage_slic:9", SkimageSlic(9, **SETTINGS)),
        ("skimage-slic:9", SkimageSlic(9, **SETTINGS)),
        ("watershed:12", Watershed(12, **SETTINGS)),
        ("Grid:64", Grid(64, **SETTINGS)),
        ("felzenszwalb", Felzenszwalb(**SETTINGS)),
        ("quickshift", Quickshift(**SETTINGS)),
        ("multiscale", multiscale(**SETTINGS)),
        ("slic:9@4", PatchAligned(Slic(9, **SETTINGS), (4, 4))),
        ("grid:4@4X8", PatchAligned(Grid(4, **SETTINGS), (4, 8))),
        ("quickshift@2", PatchAligned(Quickshift(**SETTINGS), (2, 2))),
        ("multiscale@2", [PatchAligned(each, (2, 2)) for each in multiscale(**SETTINGS)]),
    ],
)
def test_generators_know_the_preprocessing(text: str, expected: object) -> None:
    assert parse_masks(text, CAFFE).source == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slik:20", r"--masks slik:20 names no mask generator; choose one of slic:N, .*quickshift, or a file"),
        ("quickshift:20", "--masks quickshift:20: quickshift finds the number of segments itself"),
        ("slic:", "--masks slic:: write slic:N with N from 1 to 256"),
        ("slic:0", "--masks slic:0: write slic:N"),
        ("grid:257", "--masks grid:257: write grid:N with N from 1 to 256"),
        ("slic:-3", "--masks slic:-3: write slic:N"),
        ("slic@4", "--masks slic@4: write slic:N@4 with N from 1 to 16, the patches of the network's input"),
        ("multiscale@4", "--masks multiscale@4: multiscale has up to 64 segments, and the network's input 16 patches"),
        ("slic:9@5", "--masks slic:9@5: patches of 5 x 5 pixels do not divide the network's input of 16 x 16"),
        ("slic:9@4x3", "slic:9@4x3: patches of 4 x 3 pixels do not"),
        ("slic:9@", "--masks slic:9@: write @16 for patches"),
        ("slic:9@0x4", "--masks slic:9@0x4: write @16 for patches"),
        ("slic:9@1x2x3", "--masks slic:9@1x2x3: write @16 for patches"),
        ("slik@4", "--masks slik@4 names no mask generator"),
        ("none.npy", "--masks none.npy does not exist"),
        ("text.npy", r"text.npy cannot be read \(ValueError: no array that np.save wrote\); write it by np.save"),
        ("objects.npy", r"objects.npy cannot be read \(ValueError: arrays of Python objects are not read\); write"),
        ("floats.npy", "--masks floats.npy holds an array of float32; segment ids are integers"),
        ("volume.npy", r"--masks volume.npy is of shape \(2, 4, 4\); pass one id per pixel"),
        ("empty.npy", r"--masks empty.npy is of shape \(0, 4\)"),
        ("negative.npy", "--masks negative.npy holds the id -5"),
        ("huge.npy", "--masks huge.npy holds the id 18446744073709551615"),
        ("zip.npy", r"--masks zip.npy cannot be read \(ValueError: several arrays, written by np.savez\)"),
        ("two.npy", r"two.npy cannot be read \(.*dtype int64 takes 128 bytes, but 384 follow its header\); write it"),
        ("claims.npy", r"claims.npy cannot be read \(ValueError: version \(3, 0\) of the format is not \(1, 0\)\)"),
    ],
)
def test_what_cannot_be_used(text: str, message: str, folder: Path) -> None:
    (folder / "text.npy").write_text("no mask")
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save("floats.npy", np.zeros((4, 4), dtype=np.float32))
    np.save("volume.npy", np.zeros((2, 4, 4), dtype=int))
    np.save("empty.npy", np.zeros((0, 4), dtype=int))
    np.save("negative.npy", np.array([[0, -5]]))
    np.save("huge.npy", np.array([[2**64 - 1]], dtype=np.uint64))
    with Path("zip.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    with Path("two.npy").open("wb") as file:
        np.save(file, np.zeros((4, 4), dtype=int))
        np.save(file, np.ones((4, 4), dtype=int))
    # Of this version, four bytes say how long the header is: here 600 megabytes, which are not to be allocated.
    whole = Path("negative.npy").read_bytes()
    Path("claims.npy").write_bytes(whole[:6] + b"\3" + whole[7:])
    with pytest.raises(InputError, match=message):
        parse_masks(text, CAFFE)


@pytest.mark.parametrize("shape", [(16, 16), (1, 16, 16), (1, 1, 16, 16)])
def test_ids_of_the_size_of_the_input_are_taken_as_they_are(shape: tuple[int, ...]) -> None:
    ids = np.arange(256).reshape(16, 16) // 50 + 2**40
    np.save("ids.npy", ids.reshape(shape))
    (mask,) = parse_masks("ids.npy", CAFFE)(torch.zeros(1, 3, 16, 16), (24, 20))
    assert mask.dtype == torch.int64
    assert np.array_equal(mask[0, 0], ids)


def test_ids_of_the_size_of_the_photograph_are_cropped_as_it_is() -> None:
    """A photograph whose colors are the ids shows where each pixel comes from: 8 x 4, of which rows 2 to 5 remain."""
    small = Preprocessing(size=4, mean=0, std=1)
    ids = np.arange(32).reshape(8, 4)
    np.save("ids.npy", ids * 10**12)
    (mask,) = parse_masks("ids.npy", small)(torch.zeros(1, 3, 4, 4), (8, 4))
    assert mask[0, 0].tolist() == (ids[2:6] * 10**12).tolist()
    assert torch.equal(mask[0, 0] // 10**12, small.fit(Image.fromarray(ids.astype(np.uint8)))[0].long())


def test_ids_are_stretched_where_the_photograph_is() -> None:
    stretched = Preprocessing(size=4, mean=0, std=1, resize="stretch")
    np.save("ids.npy", np.repeat(np.array([[7, 9], [3, 7]]), 4, axis=0))
    (mask,) = parse_masks("ids.npy", stretched)(torch.zeros(1, 3, 4, 4), (8, 2))
    assert mask[0, 0].tolist() == [[7, 7, 9, 9], [7, 7, 9, 9], [3, 3, 7, 7], [3, 3, 7, 7]]


def test_ids_of_another_size() -> None:
    np.save("ids.npy", np.zeros((8, 8), dtype=int))
    with pytest.raises(InputError, match=r"holds 8 x 8 ids .* photograph has 24 x 20 pixels and .* input 16 x 16"):
        parse_masks("ids.npy", CAFFE)(torch.zeros(1, 3, 16, 16), (24, 20))


def test_segments_that_do_not_reach_the_input_are_said() -> None:
    """Rows 0, 1, 6 and 7 of 8 are cut off: 16 of 32 segments. Of the size of the input nothing is lost."""
    small = Preprocessing(size=4, mean=0, std=1)
    remarks: list[str] = []
    np.save("ids.npy", np.arange(32).reshape(8, 4))
    parse_masks("ids.npy", small)(torch.zeros(1, 3, 4, 4), (8, 4), remarks.append)
    assert remarks == ["has 16 of the 32 segments of --masks ids.npy outside the network's input, or too small for it"]
    np.save("ids.npy", np.arange(16).reshape(4, 4))
    parse_masks("ids.npy", small)(torch.zeros(1, 3, 4, 4), (8, 4), remarks.append)
    np.save("ids.npy", np.arange(8).repeat(4).reshape(8, 4) // 2 % 2)
    parse_masks("ids.npy", small)(torch.zeros(1, 3, 4, 4), (8, 4), remarks.append)
    assert len(remarks) == 1


def test_a_mask_that_was_not_turned_with_the_photograph() -> None:
    np.save("ids.npy", np.zeros((24, 20), dtype=int))
    with pytest.raises(InputError, match=r"20 x 24 pixels \(turned, perhaps by its EXIF orientation: turn the mask as"):
        parse_masks("ids.npy", CAFFE)(torch.zeros(1, 3, 16, 16), (20, 24))
