"""Images of which some pixels are not valid: checks of such masks, pixels to put there, and their own segment."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import listed
from captum_superpixel._untyped import distance_transform_edt
from captum_superpixel.feature_masks import rank_rows

__all__ = ["ValidMask", "check_enough", "checked_valid", "fill_invalid", "set_apart"]

ValidMask: TypeAlias = Tensor | NDArray[np.bool_]
"""Which pixels are valid, as callers pass it; ``checked_valid`` makes a tensor of it."""


def checked_valid(mask: object, inputs: Tensor) -> Tensor:
    """Return which pixels of the inputs ``(N, C, *spatial)`` are valid: ``(N, 1, *spatial)`` bool, on their device.

    Raises:
        TypeError: If the mask is not a tensor or a NumPy array of bool.
        ValueError: If it is not bool, not of shape ``(1 or N, 1, *spatial)``, ``(1 or N, *spatial)`` or ``(*spatial)``,
            or an image has no valid pixel.
    """
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        mask = torch.from_numpy(np.ascontiguousarray(mask))
    if not isinstance(mask, Tensor):
        what = f"{type(mask).__name__}{f' of {mask.dtype}' if isinstance(mask, np.ndarray) else ''}"
        raise TypeError(
            f"mask must be a tensor or NumPy array of bool, true where pixels are valid, but a {what} was passed"
        )
    if mask.dtype != torch.bool:
        raise ValueError(
            f"mask has dtype {mask.dtype}, but must be bool, true where pixels are valid: pass for example mask > 0"
        )
    count, spatial = len(inputs), tuple(inputs.shape[2:])
    if tuple(mask.shape) == spatial:
        mask = mask[None, None]
    elif tuple(mask.shape) in ((1, *spatial), (count, *spatial)):
        mask = mask[:, None]
    if tuple(mask.shape) not in ((1, 1, *spatial), (count, 1, *spatial)):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, but for inputs of shape {tuple(inputs.shape)} it must be "
            f"{(count, 1, *spatial)}, or {(1, 1, *spatial)} for all images: it says of pixels, not of channels, "
            "whether they are valid, for example by mask.all(dim=1, keepdim=True)"
        )
    empty = torch.nonzero(~mask.flatten(1).any(dim=1)).flatten().tolist()
    if empty:
        raise ValueError(
            f"mask has no valid pixel in {len(empty)} of {len(mask)} images (index {listed(empty)}): leave these "
            "images out, or check whether it is the other way around, ~mask"
        )
    return mask.to(inputs.device).expand(count, *mask.shape[1:])


def check_enough(valid: Tensor, n_segments: int) -> None:
    """Raise ValueError if an image has fewer valid pixels ``(N, 1, *spatial)`` than ``n_segments``."""
    counts = valid.flatten(1).sum(dim=1)
    few = torch.nonzero(counts < n_segments).flatten().tolist()
    if few:
        raise ValueError(
            f"n_segments={n_segments}, but {len(few)} of {len(valid)} images (index {listed(few)}) have fewer valid "
            f"pixels, the first {int(counts[few[0]])}: ask for fewer segments, or leave these images out"
        )


def fill_invalid(pixels: Tensor, valid: Tensor) -> Tensor:
    """Give every pixel of an image the features of the nearest valid one.

    Args:
        pixels: The features of the P valid pixels in reading order, ``(C, P)``.
        valid: Which these are, ``(*spatial)`` bool, at least one.

    Returns:
        Shape ``(C, *spatial)``.
    """
    where = valid.cpu().numpy()
    # What stands at invalid places is never read.
    number = (np.cumsum(where) - 1).reshape(where.shape)
    nearest = distance_transform_edt(~where, return_distances=False, return_indices=True)
    return pixels[:, torch.from_numpy(number[tuple(nearest)]).to(pixels.device)]


def set_apart(labels: Tensor, valid: Tensor) -> Tensor:
    """Number the labels ``(N, 1, *spatial)`` of valid pixels from 0, image by image, the others as one more, the last.

    Examples:
        >>> labels, valid = torch.tensor([[[4, 7, 7, 2]]]), torch.tensor([[[True, False, True, False]]])
        >>> set_apart(labels, valid).tolist()
        [[[0, 2, 1, 2]]]
    """
    ids = torch.where(valid, labels, torch.iinfo(labels.dtype).max)
    return rank_rows(ids.flatten(1)).view(labels.shape)
