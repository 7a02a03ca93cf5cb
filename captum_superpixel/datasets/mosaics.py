"""Mosaics: images of different classes laid out in a grid, so that the place of each class is known without masks."""

from __future__ import annotations

import math
from collections import deque

import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer, checked_number, listed

__all__ = ["choose_mosaics", "lay_out_mosaics"]


def choose_mosaics(
    labels: Tensor,
    confidences: Tensor,
    count: int,
    *,
    side: int = 2,
    minimum: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Choose at random the images of each mosaic, of different classes, among those that a network is sure of.

    Images are drawn without replacement until too few are left, then all are drawn from anew. So, of classes of about
    equal size, no image recurs before nearly all had their turn; images of rare classes recur sooner. The first mosaics
    are the same ones however many are asked for.

    Args:
        labels: Integers ``(N,)``, the class of each image.
        confidences: Real numbers ``(N,)``: how sure the network is of each image's class, such as its probability.
            Where it is wrong, pass a number below the minimum.
        count: How many mosaics, M.
        side: Images in a row and in a column of a mosaic.
        minimum: The confidence that an image needs, at least 0.
        generator: Source of the choice, on the CPU; None is a fresh one seeded with 0.

    Returns:
        Numbers of images ``(M, side^2)`` int64, row by row from the top left cell. More than N / side^2 mosaics use
        images again: these are then not independent of one another.

    Raises:
        TypeError: If the labels are not a tensor of integers, the confidences not one of real numbers, a count is no
            integer, the minimum no number, or the generator not one.
        ValueError: If the two differ in length, a count is below 1, the minimum is negative, a confidence is NaN, or
            the images that are sure enough are of fewer classes than a mosaic has cells.

    Examples:
        >>> labels = torch.tensor([0, 0, 1, 2, 3, 3])
        >>> sure = torch.tensor([0.2, 0.9, 0.9, 0.8, 0.9, 0.8])
        >>> mosaics = choose_mosaics(labels, sure, 3, minimum=0.5)
        >>> mosaics.shape, labels[mosaics].sort(dim=1).values.tolist()
        (torch.Size([3, 4]), [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]])
    """
    _check(labels, confidences)
    if len(labels) != len(confidences):
        raise ValueError(f"{len(labels)} labels came with {len(confidences)} confidences: pass one of each per image")
    classes: list[int] = labels.tolist()
    count, side = checked_integer("count", count), checked_integer("side", side)
    minimum = checked_number("minimum", minimum)
    sure: list[int] = (confidences >= minimum).nonzero().flatten().tolist()
    found = len({classes[image] for image in sure})
    if found < side * side:
        raise ValueError(
            f"{len(sure)} of {len(labels)} images have a confidence of at least {minimum:g}, of {found} classes, but a "
            f"mosaic of {side} x {side} shows {side * side}: pass a lower minimum, more images, or a smaller side"
        )
    source = _checked_generator(generator)
    waiting: deque[int] = deque()
    return torch.tensor([_draw(waiting, sure, classes, side * side, source) for _ in range(count)])


def lay_out_mosaics(images: Tensor, *, scaled: bool = False) -> Tensor:
    """Lay out the images of each mosaic in a grid.

    Args:
        images: ``(M, side^2, C, H, W)``, those of a mosaic row by row; for images ``(N, C, H, W)`` and the numbers that
            :func:`choose_mosaics` returns, ``images[numbers]``.
        scaled: Whether each image is made as small as a cell, so that a mosaic has the size of an image, for networks
            that take no other. The objects are then smaller than those that the network was trained on.

    Returns:
        Mosaics ``(M, C, side H, side W)``, each image at its full size; scaled, ``(M, C, H, W)``.

    Raises:
        TypeError: If the images are not a tensor of floating point numbers.
        ValueError: If they have another shape, their number is no square, or, scaled, the side does not divide height
            and width.

    References:
        Böhle, Fritz, Schiele, "Convolutional Dynamic Alignment Networks for Interpretable Classifications", CVPR 2021,
        arXiv:2104.00032, which lays out images at their full size.

    Examples:
        >>> images = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(-1, -1, -1, 1, 2)
        >>> lay_out_mosaics(images)
        tensor([[[[0., 0., 1., 1.],
                  [2., 2., 3., 3.]]]])
        >>> lay_out_mosaics(torch.ones(5, 4, 3, 8, 8), scaled=True).shape
        torch.Size([5, 3, 8, 8])
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        what = f"of {images.dtype}" if isinstance(images, Tensor) else f"a {type(images).__name__}"
        raise TypeError(f"images must be a tensor of floating point numbers, but is {what}: pass the network's inputs")
    if images.ndim != 5 or images.numel() == 0 or math.isqrt(images.shape[1]) ** 2 != images.shape[1]:
        raise ValueError(
            f"images have shape {tuple(images.shape)}: pass (M, side^2, C, H, W), as many for each mosaic as it has "
            "cells, such as 4 or 9"
        )
    count, cells, channels, height, width = images.shape
    side = math.isqrt(cells)
    if scaled:
        if height % side or width % side:
            raise ValueError(
                f"images of {height} x {width} pixels cannot be scaled to {side} x {side} cells of equal size: pass "
                "images whose height and width are multiples of the side, or lay them out at full size"
            )
        height, width = height // side, width // side
        flat = images.flatten(0, 1)
        # Without antialiasing every other pixel would be left out, and the network would see what no photograph has.
        images = torch.nn.functional.interpolate(flat, (height, width), mode="bilinear", antialias=True)
    grid = images.reshape(count, side, side, channels, height, width)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(count, channels, side * height, side * width)


def _check(labels: object, confidences: object) -> None:
    """Raise unless there are N integers, and as many real numbers, none of them NaN."""
    for name, values, integers in (("labels", labels, True), ("confidences", confidences, False)):
        if not isinstance(values, Tensor):
            raise TypeError(f"{name} must be a tensor of shape (N,), but a {type(values).__name__} was passed")
        wrong = values.dtype == torch.bool or values.is_complex() or (integers and values.is_floating_point())
        if wrong:
            wanted = "integers, the class of each image" if integers else "real numbers"
            raise TypeError(f"{name} must be {wanted}, but {values.dtype} was passed")
        if values.ndim != 1:
            raise ValueError(f"{name} must have shape (N,), one for each image, but has shape {tuple(values.shape)}")
        broken = values.isnan().nonzero().flatten().tolist()
        if broken:
            raise ValueError(f"{len(broken)} of {len(values)} {name} (index {listed(broken)}) are NaN")


def _checked_generator(generator: object) -> torch.Generator:
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        raise TypeError(f"generator={generator!r} is not a torch.Generator: pass torch.Generator().manual_seed(…)")
    return generator


def _draw(waiting: deque[int], sure: list[int], classes: list[int], size: int, generator: torch.Generator) -> list[int]:
    """Take images of different classes from those that wait, the first ones first, and let all wait again at need."""
    taken: list[int] = []
    passed_over: list[int] = []
    shown: set[int] = set()
    while len(taken) < size:
        if not waiting:
            waiting.extend(sure[place] for place in torch.randperm(len(sure), generator=generator).tolist())
        image = waiting.popleft()
        if classes[image] in shown:
            passed_over.append(image)
        else:
            taken.append(image)
            shown.add(classes[image])
    waiting.extendleft(reversed(passed_over))
    return taken
