"""Images, maps and masks in any common layout, turned into arrays that can be drawn.

One rule tells ``(C, H, W)`` from ``(H, W, C)``: a first axis of 1 or 3 is that of the channels; otherwise a last axis
of 1 or 3 is. A ``(3, 3, 3)`` array is therefore ``(C, H, W)``, the layout of PyTorch and of this library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["FloatArray", "ImageLike", "check_same_size", "to_image", "to_map", "to_mask"]

ImageLike = Tensor | npt.NDArray[Any]
"""An image, a map or a mask: a tensor on any device, or an array."""
_Number = TypeVar("_Number", bound=np.generic)
FloatArray = npt.NDArray[np.float64]

_CHANNELS = (1, 3)
_OVERSHOOT = 1e-3
"""An image that leaves [0, 1] by no more than this, as interpolated ones do, is still meant to lie in it."""


def to_image(image: ImageLike, name: str = "image") -> FloatArray:
    """Turn one image into an array that can be drawn.

    Args:
        image: ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)`` with C 1 or 3, told apart by the rule of this module, or a
            batch that holds one ``(C, H, W)`` or ``(H, W, C)``. Integers in ``[0, 255]``, booleans and floating-point
            values in ``[0, 1]`` are taken as they are. All others, such as the normalized inputs of a network, are
            scaled to ``[0, 1]`` by the minimum and maximum of the image: pass ``image * std + mean`` to see the
            original colors.
        name: What to call the image in an error.

    Returns:
        ``(H, W, 3)`` in ``[0, 1]``, gray images with three equal channels. NaN and infinite values become mid-gray.

    Raises:
        TypeError: If the image is neither a tensor nor an array of real numbers.
        ValueError: If it is empty, has another shape, or is a batch of several.

    Examples:
        >>> to_image(np.array([[0, 51], [102, 255]], dtype=np.uint8))[..., 0]
        array([[0. , 0.2],
               [0.4, 1. ]])
        >>> to_image(torch.tensor([[[-2.0, 0.0, 2.0]]]))[..., 0]  # (1, 1, 3) is (C, H, W)
        array([[0. , 0.5, 1. ]])
    """
    array = _one(_to_array(image, name), name)
    shape = array.shape
    if array.ndim == 2:
        array = array[..., None]
    elif _first_is_channels(array.shape):
        array = np.moveaxis(array, 0, -1)
    elif array.shape[-1] not in _CHANNELS:
        raise ValueError(
            f"{name} has shape {shape}, but neither its first nor its last axis is 1 or 3 wide: "
            "pass a gray or color image (C, H, W) or (H, W, C), without an alpha channel"
        )
    return np.repeat(_to_unit(array, _is_integer(image)), 3 // array.shape[-1], axis=-1)


def to_map(
    attributions: ImageLike, name: str = "attributions", *, channels: Literal["sum", "mean"] = "sum"
) -> FloatArray:
    """Turn the attributions of one image into one value per pixel, the sum over the channels, as Captum's plots do.

    The figures and the page of this library show the mean over the channels instead: the maps of methods that perturb
    regions hold the whole effect of a region in every channel, and their mean is that effect, counted once.

    Args:
        attributions: ``(H, W)``, ``(C, H, W)`` or ``(H, W, C)``, told apart by the rule of this module, and
            ``(C, H, W)`` if neither of the two axes is 1 or 3; or a batch that holds one of these.
        name: What to call the map in an error.
        channels: Whether channels are added, ``"sum"``, or averaged, ``"mean"``, as ``region_table`` does by default.

    Returns:
        ``(H, W)``; NaN where a channel is NaN or infinite.

    Raises:
        TypeError: If the attributions are neither a tensor nor an array of real numbers.
        ValueError: If they are empty, have another shape, or are a batch of several.

    Examples:
        >>> to_map(torch.tensor([[[1.0, -2.0]], [[3.0, float("inf")]]]))  # (2, 1, 2) is (C, H, W)
        array([[ 4., nan]])
    """
    array = _one(_to_array(attributions, name), name)
    array = np.where(np.isfinite(array), array, np.nan)
    if array.ndim == 2:
        return array
    last = not _first_is_channels(array.shape) and array.shape[-1] in _CHANNELS
    with np.errstate(over="ignore"):
        axis = -1 if last else 0
        total: FloatArray = array.sum(axis=axis) / (array.shape[axis] if channels == "mean" else 1)
    return np.where(np.isfinite(total), total, np.nan)


def to_mask(feature_mask: ImageLike, name: str = "feature_mask") -> npt.NDArray[np.int64]:
    """Turn the feature mask of one image into ``(H, W)`` int64.

    Args:
        feature_mask: Segment ids, any non-negative int64: ``(H, W)``, ``(1, H, W)``, ``(1, 1, H, W)`` or ``(H, W, 1)``.
        name: What to call the mask in an error.

    Returns:
        The same ids, ``(H, W)``.

    Raises:
        TypeError: If the ids are not integers.
        ValueError: If the mask is empty, has another shape, is a batch of several, or has negative ids.

    Examples:
        >>> to_mask(torch.tensor([[[[5, 5, 7]]]]))
        array([[5, 5, 7]])
    """
    array = feature_mask.detach().cpu().numpy() if isinstance(feature_mask, Tensor) else np.asarray(feature_mask)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{name} is of {array.dtype}: pass segment ids as integers, such as int64")
    shape = array.shape
    array = _one(array, name)
    if array.ndim == 3:
        if 1 not in (shape[-3], shape[-1]):
            raise ValueError(f"{name} has shape {shape}: pass one id per pixel, (H, W), (1, H, W) or (1, 1, H, W)")
        array = array[0] if array.shape[0] == 1 else array[..., 0]
    if array.min() < 0:
        raise ValueError(f"{name} has the id {array.min()}: ids must not be negative")
    return array.astype(np.int64)


def check_same_size(image: FloatArray, others: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raise a ValueError unless all others, ``(H, W)`` by name, have the size of the image ``(H, W, 3)``."""
    for name, other in others.items():
        if other.shape != image.shape[:2]:
            raise ValueError(
                f"{name} is {other.shape[0]} x {other.shape[1]} (H x W), but the image is "
                f"{image.shape[0]} x {image.shape[1]}: pass one value per pixel, channels first or last"
            )


def _to_array(values: ImageLike, name: str) -> FloatArray:
    if isinstance(values, Tensor):
        if values.is_complex():
            raise TypeError(f"{name} is of {values.dtype}: pass real numbers")
        return values.detach().cpu().to(torch.float64).numpy()
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} is {type(values).__name__} of {array.dtype}: pass a tensor or an array of real numbers"
        )
    return array.astype(np.float64)


def _is_integer(values: ImageLike) -> bool:
    if isinstance(values, Tensor):
        return not values.is_floating_point() and values.dtype != torch.bool
    return np.asarray(values).dtype.kind in "iu"


def _one(array: npt.NDArray[_Number], name: str) -> npt.NDArray[_Number]:
    """Return the only image of a batch of one, or the image itself where there is no axis for the batch."""
    if array.ndim == 5:
        raise ValueError(
            f"{name} has shape {array.shape}: of a volume pass one slice, such as {name}[0, :, 0]; "
            "visualize_superpixels and visualize_top_regions draw one volume of a batch"
        )
    if array.ndim not in (2, 3, 4) or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: pass one that is not empty, such as (H, W) or (C, H, W)")
    if array.ndim < 4:
        return array
    if len(array) > 1:
        raise ValueError(
            f"{name} has shape {array.shape}, a batch of {len(array)}: "
            f"pass one of them, such as {name}[0], or see them all with visualize_comparison"
        )
    only: npt.NDArray[_Number] = array[0]
    return only


def _first_is_channels(shape: tuple[int, ...]) -> bool:
    return shape[0] in _CHANNELS


def _to_unit(values: FloatArray, bytes_: bool) -> FloatArray:
    """Scale to [0, 1], by 255 or by minimum and maximum, unless the values lie there already."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.full_like(values, 0.5)
    known = values if finite.all() else values[finite]
    low, high = known.min(), known.max()
    if bytes_ and low >= 0 and high <= 255:
        low, high = 0, 255
    elif low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        low, high = 0, 1
    # Halved, so that the range of the largest numbers does not overflow.
    span = high / 2 - low / 2
    scaled = (np.where(finite, values, low) / 2 - low / 2) / span if span else np.full_like(values, 0.5)
    return np.where(finite, scaled, 0.5).clip(0, 1)
