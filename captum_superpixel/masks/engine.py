"""Runs segmentation engines that take one NumPy image at a time over a batch, in a pool of threads."""

from __future__ import annotations

import os
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel.masks.base import ImageMaskGenerator
from captum_superpixel.masks.untyped import rgb2lab
from captum_superpixel.masks.validation import checked_integer


@dataclass(frozen=True, kw_only=True, repr=False)
class PooledMaskGenerator(ImageMaskGenerator):
    """A mask generator that segments its images one by one, several at the same time.

    Args:
        num_threads: How many threads to use; with None, as many as there are cores for this process. The result
            does not depend on it.
    """

    num_threads: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_threads is not None:
            object.__setattr__(self, "num_threads", checked_integer("num_threads", self.num_threads))

    @abstractmethod
    def segment(self, image: NDArray[np.float32]) -> NDArray[np.integer]:
        """Segment one image.

        Args:
            image: Shape ``(*spatial, C)``, in [0, 1], red, green and blue where C is 3. Grey images come with three
                equal channels, and at least two pixels differ.

        Returns:
            Labels of shape ``(*spatial)``, non-negative.
        """

    def segment_scaled(self, images: Tensor, flat: Tensor) -> Tensor:
        """Segment scaled images ``(N, C, *spatial)`` into a feature mask ``(N, 1, *spatial)``; see the base class."""
        device = images.device
        if images.shape[1] == 1:
            images = images.expand(-1, 3, *images.shape[2:])
        # Copies of their own, so that the alignment in memory does not depend on the batch either.
        arrays = [image.movedim(0, -1).numpy().copy(order="C") for image in images.cpu()]
        masks = self._segment_all(arrays, flat.tolist())
        return torch.from_numpy(np.stack(masks)[:, None]).to(device)

    def _segment_all(self, images: list[NDArray[np.float32]], flat: list[bool]) -> list[NDArray[np.int64]]:
        threads = min(len(images), self.num_threads or _available_cores())
        if threads == 1:
            return list(map(self._segment_one, images, flat))
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self._segment_one, images, flat))

    def _segment_one(self, image: NDArray[np.float32], flat: bool) -> NDArray[np.int64]:
        if flat:
            return np.zeros(image.shape[:-1], dtype=np.int64)
        labels = self.segment(image)
        used = np.bincount(labels.ravel()) > 0
        mask: NDArray[np.int64] = (np.cumsum(used, dtype=np.int64) - 1)[labels]
        return mask


def to_features(image: NDArray[np.float32]) -> NDArray[np.floating]:
    """Bring colours to CIELAB, and other channels to the range of its lightness, so that distances are comparable.

    Args:
        image: Shape ``(*spatial, C)``, in [0, 1]; three channels are red, green and blue.

    Returns:
        Shape ``(*spatial, C)``: CIELAB for three channels, else the image times 100.
    """
    return rgb2lab(image) if image.shape[-1] == 3 else image * np.float32(100)


def _available_cores() -> int:
    """Count the cores that this process may use, which containers and schedulers limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
