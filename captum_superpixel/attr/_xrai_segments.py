"""XRAI's own segmentation of images: Felzenszwalb's at six scales, on 224 x 224 pixels."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._threads import call_each, ignored_warnings
from captum_superpixel._untyped import felzenszwalb, resize

SCALES = (50, 100, 150, 250, 500, 1200)
_SIGMA = 0.8
_MIN_SIZE = 150
_SIDE = 224


def segment_at_scales(inputs: Tensor) -> list[list[NDArray[np.integer]]]:
    """Segment each image of a batch at the six scales of XRAI's reference implementation, to the same ids.

    Each image is scaled to [-1, 1] by its own minimum and maximum and resized to 224 x 224 pixels; its segments are
    brought back to its size by the nearest pixel, which can make small ones vanish. A flat image is one segment.

    Args:
        inputs: Finite images of shape ``(N, C, H, W)``.

    Returns:
        For each image six arrays of ids, of shape ``(H, W)``, from the finest to the coarsest.
    """
    pixels = inputs.detach().cpu()
    pixels = pixels.float() if pixels.dtype in (torch.float16, torch.bfloat16) else pixels
    images = [np.ascontiguousarray(image.movedim(0, -1).numpy()) for image in pixels]
    resized = [_resize(image) if image.min() < image.max() else None for image in images]
    result: list[list[NDArray[np.integer]]] = [
        [np.zeros(image.shape[:2], dtype=np.int64) for _ in SCALES] for image in images
    ]

    def segment(part: tuple[int, int]) -> None:
        number, index = part
        image, labels = resized[number], result[number][index]
        if image is not None:
            small = felzenszwalb(image, scale=SCALES[index], sigma=_SIGMA, min_size=_MIN_SIZE, channel_axis=-1)
            labels[...] = resize(
                small, labels.shape, order=0, preserve_range=True, mode="constant", anti_aliasing=False
            )

    parts = [(number, index) for number in range(len(images)) for index in range(len(SCALES))]
    # More channels than three are meant. Threads share the filters, which are therefore set around them all.
    many = inputs.shape[1] > 3
    with ignored_warnings(RuntimeWarning, message="Got image with third dimension") if many else nullcontext():
        call_each(segment, parts, torch.get_num_threads())
    return result


def _resize(image: NDArray[np.floating]) -> NDArray[np.floating]:
    """Scale an image (H, W, C) to [-1, 1] and resize it, in the order of operations that gives the reference's bits."""
    low, high = image.min(), image.max()
    scaled = (image - low) / (high - low) * 2.0 - 1.0
    return resize(scaled, (_SIDE, _SIDE), order=3, mode="constant", preserve_range=True, anti_aliasing=True)
