"""Boxes ``(left, top, right, bottom)`` in pixels: that they lie in the image, how they overlap, and as masks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from captum_superpixel._checks import InputError

__all__ = ["Box", "box_mask", "check_boxes", "checked_box", "overlaps"]

Box = tuple[float, float, float, float]


def checked_box(box: Sequence[float] | Tensor, size: Sequence[int] | None = None) -> Box:
    """Return a box as four floats.

    Args:
        box: ``(left, top, right, bottom)`` in pixels; the middle of the first pixel is at .5.
        size: Height and width of the image that it must lie in; None if that is not known yet.

    Raises:
        InputError: If it is not four finite numbers, is empty, or does not lie in the image.

    Examples:
        >>> checked_box([2, 0, 8, 4], (4, 8))
        (2.0, 0.0, 8.0, 4.0)
        >>> checked_box([2, 0, 9, 4], (4, 8))
        Traceback (most recent call last):
        captum_superpixel._checks.InputError: The box (2, 0, 9, 4) does not lie in the image, which has 4 x 8 pixels ...
    """
    try:
        values = torch.as_tensor(box).detach().flatten().tolist()
    except (TypeError, ValueError, RuntimeError):
        raise InputError(
            f"A box is four numbers, (left, top, right, bottom) in pixels, but {box!r} was passed."
        ) from None
    if len(values) != 4 or not all(math.isfinite(value) for value in values):
        raise InputError(
            f"A box is four finite numbers, (left, top, right, bottom) in pixels, but {_written(values)} was passed."
        )
    left, top, right, bottom = map(float, values)
    if left >= right or top >= bottom:
        raise InputError(
            f"The box {_written(values)} is empty: pass (left, top, right, bottom) with left below right and top below "
            "bottom, not its width and height."
        )
    if size is not None and (left < 0 or top < 0 or right > size[1] or bottom > size[0]):
        raise InputError(
            f"The box {_written(values)} does not lie in the image, which has {size[0]} x {size[1]} pixels (height x "
            f"width): pass (left, top, right, bottom) within (0, 0, {size[1]}, {size[0]})."
        )
    return left, top, right, bottom


def check_boxes(boxes: object, count: int, size: Sequence[int]) -> Tensor:
    """Return boxes for a batch of images as ``(N, 4)``.

    Args:
        boxes: ``(4,)`` or ``(1, 4)`` for all images, or ``(N, 4)``.
        count: N, how many images there are.
        size: Height and width of the images.

    Raises:
        InputError: If they are no tensor, the shape is another, or one of the boxes is empty or does not lie in the
            images.
    """
    if not isinstance(boxes, Tensor):
        raise InputError(f"The boxes are a tensor (4,) or ({count}, 4), but a {type(boxes).__name__} was passed.")
    if boxes.shape not in ((4,), (1, 4), (count, 4)):
        raise InputError(
            f"The boxes have shape {tuple(boxes.shape)}, and there are {count} images: pass one box (4,), or one for "
            f"each, ({count}, 4)."
        )
    for row in boxes.reshape(-1, 4):
        checked_box(row, size)
    return boxes.reshape(-1, 4).expand(count, 4)


def box_mask(box: Sequence[float] | Tensor, size: Sequence[int]) -> Tensor:
    """Mark the pixels whose middles lie in a box; of a box without any, the pixel that its middle is in.

    Args:
        box: ``(left, top, right, bottom)``.
        size: Height and width of the image.

    Returns:
        ``(H, W)`` bool, on the CPU.

    Raises:
        InputError: If the box is empty or does not lie in the image.

    Examples:
        >>> box_mask((1, 0, 3, 1), (2, 4)).int().tolist()
        [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    left, top, right, bottom = checked_box(box, size)
    rows, columns = (_inside(low, high, side) for low, high, side in ((top, bottom, size[0]), (left, right, size[1])))
    return rows[:, None] & columns


def overlaps(boxes: Tensor, box: Tensor) -> Tensor:
    """Intersection over union of boxes with one box, differentiable, and float32 at least, which holds all areas.

    Where a box is the same, the gradient is 0: the overlap falls off in every direction alike.

    Args:
        boxes: ``(n, 4)``.
        box: ``(4,)``, not empty.

    Returns:
        ``(n,)``, from 0 to 1.

    Examples:
        >>> overlaps(torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1], [4, 4, 5, 5]]), torch.tensor([0.0, 0, 2, 2])).tolist()
        [1.0, 0.5, 0.0]
    """
    boxes, box = (each.to(torch.promote_types(each.dtype, torch.float32)) for each in (boxes, box))
    low, high = torch.maximum(boxes[:, :2], box[:2]), torch.minimum(boxes[:, 2:], box[2:])
    common = (high - low).clamp(min=0).prod(dim=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1)
    return common / (areas + (box[2:] - box[:2]).prod() - common)


def _inside(low: float, high: float, side: int) -> Tensor:
    middles = torch.arange(side) + 0.5
    inside = (middles >= low) & (middles < high)
    return inside if inside.any() else torch.arange(side) == min(side - 1, int((low + high) / 2))


def _written(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
