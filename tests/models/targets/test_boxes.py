"""Boxes: what lies in them, how they overlap, and which are none."""

import re

import pytest
import torch

from captum_superpixel._checks import InputError
from captum_superpixel.models.targets.boxes import box_mask, check_boxes, checked_box, overlaps


def test_masks_hold_the_pixels_whose_middles_are_inside() -> None:
    drawn = [[0, 0, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]]
    assert box_mask((2, 1, 4, 3), (4, 5)).int().tolist() == drawn
    assert box_mask((1.6, 0.6, 4.4, 3.4), (4, 5)).int().tolist() == drawn
    whole = box_mask((0, 0, 5, 4), (4, 5))
    assert whole.all()


def test_a_box_between_the_middles_is_the_pixel_that_it_is_in() -> None:
    assert box_mask((2.1, 3.6, 2.3, 4), (4, 5)).nonzero().tolist() == [[3, 2]]
    assert box_mask((4.8, 0, 5, 0.1), (4, 5)).nonzero().tolist() == [[0, 4]]


def test_overlaps_are_those_of_masks_and_symmetric() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.randint(0, 12, (40, 2, 2), generator=generator)
    low, high = corners.amin(1), corners.amax(1) + 1
    boxes = torch.cat([low, high], dim=1).float()
    masks = torch.stack([box_mask(box, (13, 13)) for box in boxes])
    for box, mask in zip(boxes, masks, strict=True):
        common, union = (masks & mask).sum((1, 2)), (masks | mask).sum((1, 2))
        assert torch.allclose(overlaps(boxes, box), common / union)


def test_the_gradient_is_that_of_differences_and_none_at_the_same_box() -> None:
    box = torch.tensor([2.0, 3, 8, 9], dtype=torch.float64)
    others = torch.tensor([[3.0, 2, 9, 8], [0, 0, 5, 7], [10, 10, 12, 12]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda boxes: overlaps(boxes, box), others)
    same = box[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(overlaps(same, box).sum(), same)
    assert gradient.abs().max() == 0


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((1, 2, 3), r"\(left, top, right, bottom\) in pixels, but \(1, 2, 3\) was passed"),
        ((1, 2, 3, float("nan")), r"\(1, 2, 3, nan\) was passed"),
        ((3, 0, 3, 2), r"The box \(3, 0, 3, 2\) is empty"),
        ((0, 4, 3, 2), r"The box \(0, 4, 3, 2\) is empty"),
        ((0, 0, 6, 2), r"\(0, 0, 6, 2\) does not lie in the image, which has 4 x 5 pixels .* within \(0, 0, 5, 4\)"),
        ((-1, 0, 2, 2), r"\(-1, 0, 2, 2\) does not lie in the image"),
        ((0, 0, 2, 4.5), r"\(0, 0, 2, 4\.5\) does not lie in the image"),
        ((0, -0.5, 2, 4), r"\(0, -0\.5, 2, 4\) does not lie in the image"),
    ],
)
def test_what_is_no_box_of_the_image(box: tuple[float, ...], message: str) -> None:
    for check in (lambda: checked_box(box, (4, 5)), lambda: box_mask(box, (4, 5))):
        with pytest.raises(InputError, match=message):
            check()


def test_boxes_of_a_batch() -> None:
    boxes = torch.tensor([[0.0, 0, 1, 1], [1, 1, 2, 2]])
    assert torch.equal(check_boxes(boxes, 2, (4, 5)), boxes)
    assert check_boxes(boxes[0], 3, (4, 5)).tolist() == [[0, 0, 1, 1]] * 3
    with pytest.raises(InputError, match=re.escape("shape (2, 4), and there are 3 images")):
        check_boxes(boxes, 3, (4, 5))
    with pytest.raises(InputError, match=re.escape("(1, 1, 9, 2) does not lie")):
        check_boxes(torch.tensor([[0.0, 0, 1, 1], [1, 1, 9, 2]]), 2, (4, 5))
