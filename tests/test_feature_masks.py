import pytest
import torch

from captum_superpixel.feature_masks import (
    check_feature_mask,
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
        ((4, 6), (2, 3, 4, 6)),
        ((2, 4, 6), (2, 3, 4, 6)),
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


def test_a_mask_is_a_tensor() -> None:
    with pytest.raises(TypeError, match="but a ndarray was passed"):
        check_feature_mask(torch.zeros(1, 1, 2, 2).numpy(), (1, 3, 2, 2))


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


def test_every_element_is_numbered() -> None:
    assert number_elements(torch.zeros(5, 2, 2), 3).tolist() == [[[3, 4], [5, 6]]]
