"""Localization: how much of an explanation lies on the object that a ground-truth mask marks, or in its cell of a grid.

One convention serves all metrics, that of Arras et al. called "sum,pos": the attributions are summed over the channels
with their signs, and negative sums count as 0, because they speak against the class. Where the size of an effect
matters and not its direction, pass magnitudes, ``attributions.abs()``.

Every metric is an expectation in [0, 1], and a map without positive relevance says nothing about the place: all of them
give it the chance level, the object's share of the image's pixels. That share is also what to compare a mean with.

Three metrics take a mask of the object, which few data come with. The grid pointing game needs none: its images are
mosaics of labeled ones, as :func:`captum_superpixel.datasets.choose_mosaics` chooses them, and the object is known to
be in one cell.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer, checked_number, listed
from captum_superpixel._float64 import widen
from captum_superpixel._untyped import distance_transform_edt
from captum_superpixel.metrics._maps import IMAGES, VOLUMES, add_channels, check_maps

__all__ = [
    "LOCALIZATION",
    "grid_pointing_game",
    "pointing_game",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
]


def pointing_game(attributions: Tensor, object_masks: Tensor, *, tolerance: float = 0) -> Tensor:
    """Say whether the pixel of the highest relevance lies on the object.

    ``hit = 1`` if ``argmax relevance`` is an object pixel or has one within the tolerance, else 0. Where several pixels
    share the maximum, as in the best segment of a pooled map, the result is the fraction of them that hit: the expected
    hit of a pixel drawn among them.

    Args:
        attributions: Maps of shape ``(N, C, *spatial)``, of images or volumes, summed over the channels; negative sums
            count as 0.
        object_masks: Boolean tensor of shape ``(N, 1, *spatial)``, true on the object.
        tolerance: Euclidean distance in pixels within which a miss still counts as a hit. Zhang et al. use 15 at the
            size of ImageNet's photographs.

    Returns:
        Tensor of shape ``(N,)`` in [0, 1], higher is better; 1 for a mask that covers the image. A constant map, an
        all-zero one, and one without positive relevance tie everywhere: the share of the image within the tolerance of
        the object, hence its chance level.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers, the masks not a boolean one, or the tolerance
            is no number.
        ValueError: If the shapes do not fit, scores are NaN or infinite, a mask is empty, or the tolerance is negative
            or infinite.

    Notes:
        Zhang et al. average the hits within each class first, and the classes then. Do so where the classes are of
        unequal size; the mean over images is not it.

    References:
        Zhang, Bargal, Lin, Brandt, Shen, Sclaroff, "Top-Down Neural Attention by Excitation Backprop", International
        Journal of Computer Vision 126, 2018, doi:10.1007/s11263-017-1059-x.

    Examples:
        >>> attributions = torch.tensor([[[[0.0, 9.0, 1.0, 2.0]]], [[[5.0, 5.0, 0.0, 5.0]]]])
        >>> object_masks = torch.tensor([[[[False, False, True, True]]], [[[False, False, True, True]]]])
        >>> pointing_game(attributions, object_masks)
        tensor([0.0000, 0.3333], dtype=torch.float64)
        >>> pointing_game(attributions, object_masks, tolerance=1)
        tensor([1.0000, 0.6667], dtype=torch.float64)
    """
    tolerance = checked_number("tolerance", tolerance)
    relevance, inside = _relevance_and_object(attributions, object_masks)
    if tolerance > 0:
        inside = _within(tolerance, object_masks).flatten(1).to(inside.device)
    best = relevance == relevance.amax(dim=1, keepdim=True)
    return _share(best, inside, relevance.dtype)


def relevance_mass_accuracy(attributions: Tensor, object_masks: Tensor) -> Tensor:
    """Measure the share of the positive relevance that lies on the object.

    ``sum of relevance on the object / sum of relevance``, of the relevance ``max(0, sum over channels)``.

    Args:
        attributions: Maps of shape ``(N, C, *spatial)``, of images or volumes, summed over the channels; negative sums
            count as 0.
        object_masks: Boolean tensor of shape ``(N, 1, *spatial)``, true on the object.

    Returns:
        Tensor of shape ``(N,)`` in [0, 1], higher is better; 1 for a mask that covers the image. Ties do not matter. A
        positive constant map gives the object's share of the pixels. A map without positive relevance (all-zero, or
        negative throughout) gives that share as well, the limit of ever fainter constant maps, where the formula says
        0/0.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers, or the masks not a boolean one.
        ValueError: If the shapes do not fit, scores are NaN or infinite, or a mask is empty.

    Notes:
        Quantus has NaN for 0/0; a mean over images would be lost to it. Large objects hold more relevance by chance:
        compare with the mean of ``object_masks``.

    References:
        Arras, Osman, Samek, "CLEVR-XAI: A benchmark dataset for the ground truth evaluation of neural network
        explanations", Information Fusion 81, 2022, doi:10.1016/j.inffus.2021.11.008, arXiv:2003.07258.

    Examples:
        >>> attributions = torch.tensor([[[[1.0, -7.0, 3.0, 4.0]]]])
        >>> object_masks = torch.tensor([[[[False, False, True, False]]]])
        >>> relevance_mass_accuracy(attributions, object_masks)
        tensor([0.3750], dtype=torch.float64)
        >>> relevance_mass_accuracy(torch.zeros(1, 1, 1, 4), object_masks)
        tensor([0.2500], dtype=torch.float64)
    """
    relevance, inside = _relevance_and_object(attributions, object_masks)
    silent = relevance.amax(dim=1, keepdim=True) == 0
    relevance = torch.where(silent, torch.ones_like(relevance), relevance)
    return torch.where(inside, relevance, 0).sum(dim=1) / relevance.sum(dim=1)


def relevance_rank_accuracy(attributions: Tensor, object_masks: Tensor) -> Tensor:
    """Measure the share of the K most relevant pixels that lies on the object, where K is the object's size.

    ``|top K pixels ∩ object| / K`` with ``K = |object|``. Where pixels tie for the last places, as a segment of a
    pooled map does, the places left are taken to be drawn among them, and the result is the expected overlap:
    ``(|above ∩ object| + (K - |above|) |tied ∩ object| / |tied|) / K``.

    Args:
        attributions: Maps of shape ``(N, C, *spatial)``, of images or volumes, summed over the channels; negative sums
            count as 0 and so tie.
        object_masks: Boolean tensor of shape ``(N, 1, *spatial)``, true on the object.

    Returns:
        Tensor of shape ``(N,)`` in [0, 1], higher is better; 1 for a mask that covers the image. A constant map, an
        all-zero one, and one without positive relevance tie everywhere: the object's share of the pixels.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers, or the masks not a boolean one.
        ValueError: If the shapes do not fit, scores are NaN or infinite, or a mask is empty.

    References:
        Arras, Osman, Samek, "CLEVR-XAI: A benchmark dataset for the ground truth evaluation of neural network
        explanations", Information Fusion 81, 2022, doi:10.1016/j.inffus.2021.11.008, arXiv:2003.07258. They leave ties
        to the order of a sort, which favors one side of the image.

    Examples:
        >>> attributions = torch.tensor([[[[8.0, 5.0, 5.0, 1.0]]]])
        >>> object_masks = torch.tensor([[[[True, True, False, False]]]])
        >>> relevance_rank_accuracy(attributions, object_masks)
        tensor([0.7500], dtype=torch.float64)
    """
    relevance, inside = _relevance_and_object(attributions, object_masks)
    size = inside.sum(dim=1, keepdim=True)
    last = relevance.sort(dim=1, descending=True).values.gather(1, size - 1)
    above = relevance > last
    places_left = (size - above.sum(dim=1, keepdim=True))[:, 0]
    expected = (above & inside).sum(dim=1) + places_left * _share(relevance == last, inside, relevance.dtype)
    return expected / size[:, 0]


def grid_pointing_game(attributions: Tensor, cells: Tensor, *, side: int = 2) -> Tensor:
    """Measure the share of the positive relevance that lies in the right cell of a mosaic.

    A mosaic shows images of different classes in a grid, and the map explains one of these classes:
    ``sum of relevance in the cell of this class / sum of relevance``, of the relevance ``max(0, sum over channels)``.

    Args:
        attributions: Maps of mosaics, ``(N, C, H, W)``, summed over the channels; negative sums count as 0. The side
            divides H and W.
        cells: Integers ``(N,)``: in which cell each map's class is, counted row by row from 0, the top left one.
        side: Cells in a row and in a column.

    Returns:
        Tensor of shape ``(N,)`` in [0, 1], higher is better. A uniform map gives 1 / side^2, one cell's share of the
        pixels, and so does any map that knows nothing of the classes, on average over the cells. A map without positive
        relevance (all-zero, or negative throughout) gives that chance level as well, as in
        :func:`relevance_mass_accuracy`.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers, the cells not one of integers, or the side is
            no integer.
        ValueError: If the shapes do not fit, the side does not divide height and width, there is no such cell, or
            scores are NaN or infinite.

    Notes:
        Böhle et al. explain each class of a mosaic; pass a mosaic's maps one after the other, with the cell of each.
        A mosaic is not what the network was trained on: report how probable it still finds the classes. Magnitudes,
        which have no negative part, share out all of their mass, that against the class included.

    References:
        Böhle, Fritz, Schiele, "Convolutional Dynamic Alignment Networks for Interpretable Classifications", CVPR 2021,
        arXiv:2104.00032.
        Rao, Böhle, Schiele, "Towards Better Understanding Attribution Methods", CVPR 2022, arXiv:2205.10435.

    Examples:
        >>> attributions = torch.tensor([[[[3.0, 1.0], [-2.0, 0.0]]]]).expand(3, -1, -1, -1)
        >>> grid_pointing_game(attributions, torch.tensor([0, 1, 2]))
        tensor([0.7500, 0.2500, 0.0000], dtype=torch.float64)
        >>> grid_pointing_game(torch.zeros(1, 3, 6, 6), torch.tensor([8]), side=3)
        tensor([0.1111], dtype=torch.float64)
    """
    maps = check_maps("attributions", attributions)
    side = checked_integer("side", side)
    height, width = maps.shape[2:]
    if height % side or width % side:
        raise ValueError(
            f"attributions of {height} x {width} pixels cannot be divided into {side} x {side} cells of equal size: "
            "pass maps whose height and width are multiples of the side"
        )
    of_map = _checked_cells(cells, len(maps), side * side).to(maps.device)
    number = torch.arange(side * side, device=maps.device).view(side, side)
    cell_of_pixel = number.repeat_interleave(height // side, dim=0).repeat_interleave(width // side, dim=1)
    return relevance_mass_accuracy(maps, cell_of_pixel == of_map.view(-1, 1, 1, 1))


def _share(pixels: Tensor, inside: Tensor, dtype: torch.dtype) -> Tensor:
    """Give the fraction of some pixels ``(N, L)`` that lies inside ``(N, L)``: ``(N,)``."""
    return (pixels & inside).sum(dim=1).to(dtype) / pixels.sum(dim=1)


def _relevance_and_object(attributions: object, object_masks: object) -> tuple[Tensor, Tensor]:
    """Validate; lay out the positive relevance ``(N, L)`` beside the boolean object ``(N, L)``."""
    maps = check_maps("attributions", attributions, IMAGES, VOLUMES)
    if not isinstance(object_masks, Tensor) or object_masks.dtype != torch.bool:
        what = f"of {object_masks.dtype}" if isinstance(object_masks, Tensor) else f"a {type(object_masks).__name__}"
        raise TypeError(f"object_masks must be a boolean tensor, but is {what}: pass a comparison such as `masks > 0`")
    wanted = (maps.shape[0], 1, *maps.shape[2:])
    if object_masks.shape != wanted:
        raise ValueError(
            f"object_masks of shape {tuple(object_masks.shape)} do not fit attributions of shape {tuple(maps.shape)}: "
            f"pass one mask for each image, {wanted}"
        )
    inside = object_masks.flatten(1).to(maps.device)
    empty = (~inside.any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"{len(empty)} of {len(inside)} object_masks (index {listed(empty)}) mark no pixel: leave these images "
            "out, for there is nothing to find in them"
        )
    return add_channels(widen(maps)).clamp(min=0).flatten(1), inside


def _checked_cells(cells: object, count: int, limit: int) -> Tensor:
    """Return the numbers of cells ``(N,)`` if there is one for each of ``count`` maps, each below the limit."""
    if not isinstance(cells, Tensor) or cells.dtype == torch.bool or cells.is_floating_point() or cells.is_complex():
        what = f"of {cells.dtype}" if isinstance(cells, Tensor) else f"a {type(cells).__name__}"
        raise TypeError(f"cells must be a tensor of integers, but is {what}: pass the number of the cell of each map")
    if cells.shape != (count,):
        raise ValueError(
            f"cells of shape {tuple(cells.shape)} do not fit {count} maps: pass one number for each, ({count},)"
        )
    outside = ((cells < 0) | (cells >= limit)).nonzero().flatten().tolist()
    if outside:
        raise ValueError(
            f"cells holds {int(cells[outside[0]])} at index {outside[0]}, but the cells are numbered 0 to {limit - 1}"
        )
    return cells


def _within(tolerance: float, object_masks: Tensor) -> Tensor:
    """Mark the pixels that are no further from the object than the tolerance: ``(N, 1, *spatial)``."""
    outside = (~object_masks).cpu().numpy()
    near = [torch.from_numpy(distance_transform_edt(mask[0]) <= tolerance) for mask in outside]
    return torch.stack(near)[:, None]


LOCALIZATION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    metric.__name__: metric for metric in (pointing_game, relevance_mass_accuracy, relevance_rank_accuracy)
}
"""The localization metrics of maps and object masks by name: a new one is a function above and its name here."""
