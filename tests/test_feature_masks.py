import itertools
import re

import numpy as np
import pytest
import torch

from captum_superpixel.feature_masks import (
    check_feature_mask,
    looks_channels_last,
    make_disjoint,
    number_elements,
    rank_rows,
    renumber,
    repeat_for_batch,
)


@pytest.mark.parametrize("shape", [(1, 1, 4, 6), (2, 1, 4, 6), (1, 3, 4, 6), (4, 3, 4, 6)])
def test_shapes_that_fit_four_images(shape: tuple[int, ...]) -> None:
    mask = torch.zeros(shape, dtype=torch.int32)
    checked = check_feature_mask(mask, (4, 3, 4, 6))
    assert checked.dtype == torch.int64
    assert checked.shape == shape


@pytest.mark.parametrize(
    ("shape", "inputs"),
    [
        ((6, 4), (2, 3, 4, 6)),
        ((4,), (2, 3, 4, 6)),
        ((6,), (2, 3, 4, 6)),
        ((4, 4, 6), (2, 3, 4, 6)),
        ((0, 4, 6), (2, 3, 4, 6)),
        ((4, 6), (2, 3, 5, 4, 6)),
        ((3, 1, 4, 6), (2, 3, 4, 6)),
        ((1, 2, 4, 6), (2, 3, 4, 6)),
        ((1, 1, 6, 4), (2, 3, 4, 6)),
        ((1, 1, 4, 1), (2, 3, 4, 6)),
        ((0, 1, 4, 6), (2, 3, 4, 6)),
        ((1, 3), (2, 4)),
        ((3,), (2,)),
        ((1, 1), (2,)),
    ],
)
def test_a_shape_that_does_not_fit_is_shown_beside_the_one_that_it_is_for(shape: tuple, inputs: tuple) -> None:
    shown = f"{shape} does not fit a tensor of shape {inputs}".replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(ValueError, match=shown):
        check_feature_mask(torch.zeros(shape, dtype=torch.long), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bool, torch.complex64])
def test_ids_are_integers(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"the mask has dtype {dtype}"):
        check_feature_mask(torch.zeros(1, 1, 2, 2, dtype=dtype), (1, 3, 2, 2), name="the mask")


@pytest.mark.parametrize("mask", [None, [[0, 1], [1, 1]], "slic", 3])
def test_a_mask_is_a_tensor_or_an_array(mask: object) -> None:
    with pytest.raises(TypeError, match=f"a tensor or a NumPy array of integers, but a {type(mask).__name__} was"):
        check_feature_mask(mask, (1, 3, 2, 2))


@pytest.mark.parametrize(
    ("shape", "inputs", "expected"),
    [
        ((4, 6), (2, 3, 4, 6), (1, 1, 4, 6)),
        ((1, 4, 6), (2, 3, 4, 6), (1, 1, 4, 6)),
        ((2, 4, 6), (2, 3, 4, 6), (2, 1, 4, 6)),
        ((2, 4, 6), (4, 3, 4, 6), (2, 1, 4, 6)),
        ((3, 4, 6), (3, 1, 4, 6), (3, 1, 4, 6)),
        ((3, 4, 6), (2, 3, 4, 6), (1, 3, 4, 6)),
        ((3, 4, 6), (1, 3, 4, 6), (1, 3, 4, 6)),
        ((5, 4, 6), (2, 3, 5, 4, 6), (1, 1, 5, 4, 6)),
        ((2, 5, 4, 6), (2, 3, 5, 4, 6), (2, 1, 5, 4, 6)),
        ((6,), (2, 3, 6), (1, 1, 6)),
        ((7,), (2, 7), (1, 7)),
    ],
)
def test_missing_dimensions_are_those_of_broadcasting(shape: tuple, inputs: tuple, expected: tuple) -> None:
    mask = torch.arange(torch.Size(shape).numel()).reshape(shape)
    checked = check_feature_mask(mask, inputs)
    assert checked.shape == expected
    assert torch.equal(checked.flatten(), mask.flatten())
    assert torch.equal(check_feature_mask(mask.numpy().astype("uint16"), inputs), checked)


@pytest.mark.parametrize(
    ("shape", "inputs"), [((3, 4, 6), (3, 3, 4, 6)), ((3, 4, 6), (6, 3, 4, 6)), ((2, 5), (2, 2, 5)), ((4,), (4, 4))]
)
def test_one_mask_an_image_or_a_channel_is_for_the_caller_to_say(shape: tuple, inputs: tuple) -> None:
    mask = torch.zeros(shape, dtype=torch.long)
    with pytest.raises(ValueError, match=re.escape(f"can be read in two ways for a tensor of shape {inputs}")) as info:
        check_feature_mask(mask, inputs)
    for reading in (mask[:, None], mask[None]):
        assert f"of shape {tuple(reading.shape)}" in str(info.value)
        assert check_feature_mask(reading, inputs).shape == reading.shape


def test_arrays_of_every_layout_and_integer() -> None:
    ids = np.arange(24).reshape(4, 6)
    for array in (ids.astype(">i4"), ids.astype(np.uint64), ids[::-1][::-1], np.asfortranarray(ids)):
        assert torch.equal(check_feature_mask(array, (2, 3, 4, 6))[0, 0], torch.from_numpy(ids))
    assert check_feature_mask(ids[:, ::-1], (2, 3, 4, 6))[0, 0, 0].tolist() == [5, 4, 3, 2, 1, 0]
    ids.flags.writeable = False
    checked = check_feature_mask(ids, (2, 3, 4, 6))
    checked += 1
    assert ids[0, 0] == 0


@pytest.mark.parametrize("dtype", [float, bool, complex, object, "U3"])
def test_arrays_of_anything_else(dtype: type) -> None:
    with pytest.raises(TypeError, match=r"feature_mask has dtype .* for example mask\.astype\(int\)"):
        check_feature_mask(np.zeros((4, 6), dtype=dtype), (2, 3, 4, 6))


def test_ids_beyond_int64() -> None:
    with pytest.raises(ValueError, match="feature_mask of dtype uint64 holds an id above 9223372036854775807"):
        check_feature_mask(np.full((4, 6), 2**63, dtype=np.uint64), (2, 3, 4, 6))


def test_what_may_be_behind_a_mask_that_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"NoiseTunnel repeats a mask .*: give it mask\[None, None\]"):
        check_feature_mask(torch.zeros(4, 6).long().repeat_interleave(5, dim=0), (10, 3, 4, 6))
    with pytest.raises(ValueError, match="seems to hold images with their channels last"):
        check_feature_mask(torch.zeros(40, 60).long(), (2, 40, 60, 3))


@pytest.mark.parametrize("shape", [(1, 28, 28, 1), (2, 224, 200, 3), (2, 224, 200, 4), (1, 5, 5, 3), (1, 9, 9, 9, 1)])
def test_shapes_of_images_with_channels_last(shape: tuple) -> None:
    assert looks_channels_last(shape)


@pytest.mark.parametrize(
    "shape",
    [
        *[(2, channels, side, side) for channels in (1, 2, 3, 4, 13, 64, 512) for side in (1, 2, 3, 4, 7, 28, 224)],
        *[(2, channels, 300, 4) for channels in (1, 3, 4)],
        *[(2, 64, 4, 3), (2, 64, 3, 4), (2, 224, 224, 2), (2, 224, 224, 13), (3, 224, 224), (2, 100, 3), (2, 3)],
        *[(2, 3, 9, 9, 9), (2, 64, 4, 4, 4), (2, 1, 16, 224, 224)],
    ],
)
def test_shapes_of_images_with_channels_first(shape: tuple) -> None:
    assert not looks_channels_last(shape)


def test_ids_are_not_negative() -> None:
    with pytest.raises(ValueError, match="holds the negative id -7"):
        check_feature_mask(torch.tensor([[[0, -7]]]), (1, 3, 2))


def test_each_mask_is_repeated_in_a_row() -> None:
    mask = torch.tensor([[[1, 2]], [[3, 4]]])
    assert repeat_for_batch(mask, 2) is mask
    assert repeat_for_batch(mask[:1], 6).shape == (1, 1, 2)
    assert repeat_for_batch(mask, 6)[:, 0].tolist() == [[1, 2]] * 3 + [[3, 4]] * 3


def test_ranks_agree_with_unique_row_by_row() -> None:
    ids = torch.randint(0, 2**62, (5, 3, 200), generator=torch.Generator().manual_seed(1))
    ids[..., ::3] = ids[..., :1]
    ranks = rank_rows(ids)
    for row, expected in zip(ranks.flatten(0, 1), ids.flatten(0, 1), strict=True):
        torch.testing.assert_close(row, torch.unique(expected, return_inverse=True)[1])


def test_renumbering_is_joint_over_the_inputs_and_separate_for_the_images() -> None:
    first = torch.tensor([[[90, 7]], [[5, 5]]])
    second = torch.tensor([[[7, 2**62, 8]]])
    one, two = renumber([first, second])
    assert one.tolist() == [[[2, 0]], [[0, 0]]]
    assert two.tolist() == [[[0, 3, 1]], [[1, 3, 2]]]


def test_shared_masks_stay_shared_when_renumbered() -> None:
    (mask,) = renumber([torch.tensor([[[4, 9]]])])
    assert mask.tolist() == [[[0, 1]]]


def test_ids_are_shifted_beyond_those_of_the_inputs_before() -> None:
    masks = (torch.tensor([[[0, 1]], [[0, 0]]]), None, torch.tensor([[[0, 0]], [[0, 1]]]), torch.tensor([[[0]], [[0]]]))
    one, none, two, three = make_disjoint(masks)
    assert none is None
    assert one is not None
    assert two is not None
    assert three is not None
    assert one.tolist() == [[[0, 1]], [[0, 0]]]
    assert two.tolist() == [[[2, 2]], [[1, 2]]]
    assert three.tolist() == [[[3]], [[3]]]


@pytest.mark.parametrize("sizes", list(itertools.product([1, 3], repeat=3)))
def test_masks_of_one_image_or_of_all_become_disjoint(sizes: tuple[int, ...]) -> None:
    masks = [torch.arange(size * 4).reshape(size, 1, 4) % (3 + n) for n, size in enumerate(sizes)]
    made = make_disjoint(masks)
    for image in range(3):
        rows = [mask.expand(3, 1, 4)[image, 0] for mask in made if mask is not None]
        assert len(torch.cat([row.unique() for row in rows]).unique()) == sum(len(row.unique()) for row in rows)
        for row, mask in zip(rows, masks, strict=True):
            assert torch.equal(rank_rows(row), rank_rows(mask.expand(3, 1, 4)[image, 0]))


@pytest.mark.parametrize("largest", [2**31, 2**62, 2**63 - 1])
def test_ids_near_the_largest_become_disjoint(largest: int) -> None:
    masks = [torch.tensor([[[0, largest, largest]]]), torch.tensor([[[largest, 5, 0]], [[1, 1, largest - 1]]])]
    one, two = make_disjoint([*masks])
    assert one is not None
    assert two is not None
    assert one.tolist() == [[[0, 1, 1]]]
    assert two.tolist() == [[[4, 3, 2]], [[2, 2, 3]]]


def test_masks_for_captum_are_contiguous() -> None:
    for mask in renumber([torch.zeros(3, 1, 4, 4).long(), torch.ones(1, 3, 4, 4).long()]):
        assert mask.is_contiguous()


def test_every_element_is_numbered() -> None:
    assert number_elements(torch.zeros(5, 2, 2), 3).tolist() == [[[3, 4], [5, 6]]]
