"""Feature masks from overlapping proposals: who wins a pixel, what becomes of the rest, and what is refused."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from skimage.measure import label
from torch import Tensor

from captum_superpixel import pool_segments
from captum_superpixel.masks.proposals import from_proposals

WHOLE = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]).bool()
PART = torch.tensor([[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]).bool()
OTHER = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 1]]).bool()


def proposals(*shape: int, seed: int = 0, density: float = 0.3) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density


def by_loop(masks: Tensor, scores: Tensor | None) -> Tensor:
    """Independent reference: pixel by pixel, for one image."""
    count, height, width = masks.shape
    sizes = masks.sum(dim=(1, 2))
    owner = torch.empty(height, width, dtype=torch.long)
    for row in range(height):
        for column in range(width):
            inside = [p for p in range(count) if masks[p, row, column]]
            keys = [(0.0 if scores is None else -float(scores[p]), int(sizes[p]), p) for p in inside]
            owner[row, column] = min(keys)[2] if keys else count
    return torch.from_numpy(np.unique(owner.numpy(), return_inverse=True)[1]).view(1, 1, height, width)


def test_parts_show_on_top_of_wholes() -> None:
    expected = [[0, 1, 0, 2], [0, 1, 0, 2], [2, 2, 2, 2]]
    assert from_proposals([WHOLE, PART]).tolist() == [[expected]]
    assert from_proposals(torch.stack([WHOLE, PART])).tolist() == [[expected]]


def test_the_highest_score_wins() -> None:
    assert from_proposals([WHOLE, PART, OTHER], [0.5, 0.1, 0.9]).tolist() == [
        [[[0, 0, 1, 1], [0, 0, 0, 1], [2, 2, 2, 1]]]
    ]


def test_complex_scores_have_no_order() -> None:
    with pytest.raises(TypeError, match=r"scores must be numbers, one for each mask, but \[1j\] was passed"):
        from_proposals(torch.ones(1, 2, 2, dtype=torch.bool), [1j])


def test_of_equal_scores_the_smaller_wins_and_of_equal_sizes_the_first() -> None:
    assert torch.equal(from_proposals([WHOLE, PART, OTHER], [3, 3, 3]), from_proposals([WHOLE, PART, OTHER]))
    left, right = torch.tensor([[[1, 1, 0]], [[0, 1, 1]]]).bool()
    assert from_proposals([left, right]).tolist() == [[[[0, 0, 1]]]]
    assert from_proposals([right, left], [1.0, 1.0]).tolist() == [[[[1, 0, 0]]]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scored", [False, True])
def test_agrees_with_a_loop_over_pixels(seed: int, scored: bool) -> None:
    masks = proposals(2, 6, 7, 9, seed=seed)
    # Whole numbers below 4, so that some scores are equal.
    scores = torch.randint(0, 4, (2, 6), generator=torch.Generator().manual_seed(seed)) if scored else None
    made = from_proposals(masks, scores)
    assert made.dtype == torch.int64
    assert made.is_contiguous()
    for n in range(2):
        expected = by_loop(masks[n], None if scores is None else scores[n])
        assert torch.equal(made[n : n + 1], expected)
        assert torch.equal(from_proposals(masks[n], None if scores is None else scores[n]), expected)


def test_a_partition_is_kept_as_it_is() -> None:
    mask = torch.randint(0, 5, (1, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    stack = torch.stack([mask[0, 0] == number for number in range(5)])
    assert torch.equal(from_proposals(stack), mask)
    assert torch.equal(from_proposals(stack, torch.rand(5)), mask)


def test_a_mask_without_pixels_left_makes_no_segment() -> None:
    hidden = [WHOLE, PART, torch.zeros_like(WHOLE)]
    assert from_proposals(hidden, [0.9, 0.1, 1.0]).tolist() == [[[[0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 1]]]]
    assert torch.equal(from_proposals(torch.zeros(2, 3, 4, 5, dtype=torch.bool)), torch.zeros(2, 1, 4, 5).long())
    assert not from_proposals(torch.ones(1, 4, 5, dtype=torch.bool)).any()


def test_images_padded_with_empty_masks_give_what_they_give_alone() -> None:
    one, two = proposals(2, 6, 6, seed=1), proposals(4, 6, 6, seed=2)
    padded = torch.stack([torch.cat([one, torch.zeros(2, 6, 6, dtype=torch.bool)]), two])
    assert torch.equal(from_proposals(padded), torch.cat([from_proposals(one), from_proposals(two)]))


def test_the_background_in_one_segment_or_in_components() -> None:
    cross = torch.tensor([[0, 1, 0], [1, 1, 0], [0, 0, 0]]).bool()
    assert from_proposals([cross]).tolist() == [[[[1, 0, 1], [0, 0, 1], [1, 1, 1]]]]
    assert from_proposals([cross], background="components").tolist() == [[[[1, 0, 2], [0, 0, 2], [2, 2, 2]]]]


def test_components_are_those_of_scikit_image() -> None:
    masks = proposals(2, 2, 12, 12, seed=3)
    made = from_proposals(masks, background="components")
    for n in range(2):
        uncovered = ~masks[n].any(dim=0)
        components = np.asarray(label(uncovered.numpy(), connectivity=1))  # type: ignore[no-untyped-call]
        segments = made[n, 0][uncovered]
        assert len(set(segments.tolist())) == components.max() > 1
        assert (
            np.unique(np.stack([segments.numpy(), components[uncovered.numpy()]]), axis=1).shape[1] == components.max()
        )
        covered = from_proposals(masks[n : n + 1])[0, 0]
        assert torch.equal(made[n, 0][~uncovered], covered[~uncovered])
        assert set(made[n].flatten().tolist()) == set(range(int(made[n].max()) + 1))


def test_sam_dictionaries() -> None:
    found = [
        {"segmentation": mask.numpy(), "area": int(mask.sum()), "predicted_iou": score, "stability_score": 1 - score}
        for mask, score in zip((WHOLE, PART, OTHER), (0.5, 0.1, 0.9), strict=True)
    ]
    plain = [WHOLE, PART, OTHER]
    assert torch.equal(from_proposals(found), from_proposals(plain))
    assert torch.equal(from_proposals(found, "predicted_iou"), from_proposals(plain, [0.5, 0.1, 0.9]))
    assert torch.equal(from_proposals(found, "stability_score"), from_proposals(plain, [0.5, 0.9, 0.1]))
    assert torch.equal(from_proposals(found, [1, 2, 3]), from_proposals(plain, [1, 2, 3]))


def test_arrays_and_lists_of_any_kind() -> None:
    stack = np.stack([WHOLE, PART, OTHER])
    expected = from_proposals([WHOLE, PART, OTHER], [0.2, 0.3, 0.1])
    scores = np.array([0.2, 0.3, 0.1], dtype=np.float32)
    assert torch.equal(from_proposals(stack, scores), expected)
    assert torch.equal(from_proposals(list(stack), [torch.tensor(score) for score in scores]), expected)
    stack.flags.writeable = scores.flags.writeable = False  # torch warns about such arrays
    assert torch.equal(from_proposals(stack, scores), expected)
    assert torch.equal(from_proposals(stack[:, ::-1, ::-1], scores), expected.flip(2, 3))
    assert torch.equal(from_proposals(stack, scores[::-1]), from_proposals(stack, [0.1, 0.3, 0.2]))


def test_the_mask_can_be_pooled_by() -> None:
    masks = from_proposals(proposals(2, 3, 8, 8))
    values = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(pool_segments(values, masks).sum(dim=(2, 3)), values.sum(dim=(2, 3)))


@pytest.mark.parametrize(
    ("masks", "scores", "message"),
    [
        ([], None, "an empty list of masks"),
        (torch.zeros(0, 4, 4).bool(), None, "masks of shape (0, 4, 4) hold no pixels"),
        (torch.zeros(2, 0, 4, 4).bool(), None, "masks of shape (2, 0, 4, 4) hold no pixels"),
        (WHOLE, None, "masks of shape (3, 4) were passed"),
        (torch.zeros(1, 1, 1, 4, 4).bool(), None, "masks of shape (1, 1, 1, 4, 4) were passed"),
        ([WHOLE, PART[:2]], None, "masks[1] has shape (2, 4), but masks[0] (3, 4)"),
        ([WHOLE, PART[None]], None, "masks[1] has shape (1, 3, 4), but each mask of a list"),
        ([WHOLE, PART], [1.0], "scores of shape (1,) were passed for masks of shape (2, 3, 4)"),
        (torch.stack([WHOLE, PART])[None], [1.0, 2.0], "one per mask makes (1, 2)"),
        ([WHOLE, PART], [1.0, float("nan")], "the scores at [1] are NaN"),
        (torch.stack([WHOLE, PART])[None], [[float("nan"), 1.0]], "the scores at [[0, 0]] are NaN"),
        ([{"segmentation": WHOLE}, {"mask": PART}], None, "masks[1] has no 'segmentation', but only ['mask']"),
        ([{"segmentation": WHOLE}], "iou", "masks[0] has no 'iou', but only ['segmentation']"),
    ],
)
def test_what_has_the_wrong_shape(masks: Any, scores: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        from_proposals(masks, scores)


@pytest.mark.parametrize(
    ("masks", "scores", "message"),
    [
        (torch.rand(2, 4, 4), None, "masks must be boolean, but has dtype torch.float32"),
        (np.zeros((2, 4, 4), dtype=np.uint8), None, "masks must be boolean, but has dtype uint8"),
        ([WHOLE, PART.long()], None, "masks[1] must be boolean, but has dtype torch.int64"),
        ([{"segmentation": {"size": [3, 4], "counts": [12]}}], None, "masks[0] must be a boolean tensor or array"),
        ([[[True]]], None, "masks[0] must be a boolean tensor or array, but a list"),
        ("masks", None, "a list of masks, but a str was passed"),
        (None, None, "a list of masks, but a NoneType was passed"),
        ([WHOLE, {"segmentation": PART}], None, "names a key of masks that are dictionaries"),
        ([WHOLE], "predicted_iou", "scores='predicted_iou' names a key"),
        ([WHOLE, PART], ["a", "b"], "scores must be numbers, one for each mask, but ['a', 'b']"),
    ],
)
def test_what_has_the_wrong_type(masks: Any, scores: Any, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        from_proposals(masks, scores)


def test_an_unknown_background_is_named() -> None:
    with pytest.raises(ValueError, match="background='none' is unknown: choose one of 'segment', 'components'"):
        from_proposals([WHOLE], background="none")  # type: ignore[arg-type]
