"""Runs segmentation engines that take one NumPy image at a time over a batch, in a pool of threads."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import checked_integer
from captum_superpixel._threads import available_cores, call_each, ignored_warnings, undivided_operations
from captum_superpixel._untyped import rgb2lab
from captum_superpixel.masks._components import label_components, merge_smallest
from captum_superpixel.masks.base import CountedMaskGenerator, ImageMaskGenerator


@dataclass(frozen=True, kw_only=True, repr=False)
class PooledMaskGenerator(ImageMaskGenerator):
    """A mask generator that segments its images one by one, several at the same time.

    Args:
        num_threads: How many threads to use; with None, as many as there are cores for this process. The result
            does not depend on it. Of generators that are called together, the largest number counts.
    """

    num_threads: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_threads is not None:
            object.__setattr__(self, "num_threads", checked_integer("num_threads", self.num_threads))

    def expected_warning(self, channels: int) -> str:
        """How the warning begins that the engine gives of images with so many channels, which are meant; "" for none.

        Where there is one, batches wait for one another: they change the filters of warnings, which threads share.
        """
        return ""

    @abstractmethod
    def segment(self, image: NDArray[np.float32]) -> NDArray[np.integer]:
        """Segment one image.

        Args:
            image: Shape ``(*spatial, C)``, in [0, 1], red, green and blue where C is 3. Gray images come with three
                equal channels, and at least two pixels differ.

        Returns:
            Labels of shape ``(*spatial)``, non-negative.
        """

    @classmethod
    def segment_together(cls, generators: Sequence[Self], images: Tensor, flat: Tensor) -> list[Tensor]:
        """Segment scaled images ``(N, C, *spatial)``, of all generators in one pool of threads; see the base class."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, *images.shape[2:])
        # Copies of their own, so that the alignment in memory does not depend on the batch either.
        arrays = [image.movedim(0, -1).numpy().copy(order="C") for image in images.cpu()]
        tasks = [(generator, *image) for generator in generators for image in zip(arrays, flat.tolist(), strict=True)]
        threads = max(generator.num_threads or available_cores() for generator in generators)
        # Threads share one list of filters, so it is changed around them all.
        expected = "|".join(sorted({generator.expected_warning(images.shape[1]) for generator in generators} - {""}))
        ignored = ignored_warnings(RuntimeWarning, message=expected) if expected else nullcontext()
        with undivided_operations(), ignored:
            masks = call_each(lambda task: task[0]._segment_one(*task[1:]), tasks, threads)
        batches = [masks[first : first + len(arrays)] for first in range(0, len(masks), len(arrays))]
        return [torch.from_numpy(np.stack(batch)[:, None]).to(images.device) for batch in batches]

    def _segment_one(self, image: NDArray[np.float32], flat: bool) -> NDArray[np.int64]:
        if flat:
            return np.zeros(image.shape[:-1], dtype=np.int64)
        labels = self.segment(image)
        used = np.bincount(labels.ravel()) > 0
        mask: NDArray[np.int64] = (np.cumsum(used, dtype=np.int64) - 1)[labels]
        return mask


def label_connected(generator: CountedMaskGenerator, image: Tensor, valid: Tensor) -> Tensor:
    """Label the valid pixels of a scaled image, so that labels are connected there, and as many as asked for.

    The whole image gets so many segments more that enough are in the valid part, whose components are then merged.

    Args:
        generator: A generator of this package that makes ``n_segments`` connected segments.
        image: Shape ``(1, C, *spatial)``.
        valid: Shape ``(*spatial)``, bool.

    Returns:
        Labels ``(*spatial)``, of which the ones that are not valid do not matter.
    """
    total, where = valid.numel(), valid.cpu()
    pixels = image.cpu().expand(-1, 3 if image.shape[1] == 1 else -1, *image.shape[2:])
    features = torch.from_numpy(to_features(pixels[0].movedim(0, -1).numpy()))
    asked = math.ceil(generator.n_segments * total / int(where.sum()))
    flat = torch.zeros(1, dtype=torch.bool)
    while True:
        more = replace(generator, n_segments=asked)
        labels = more.segment_together([more], image, flat)[0][0, 0].cpu()
        components = label_components(torch.where(where, labels, asked))
        if torch.bincount(components[where]).count_nonzero() >= generator.n_segments or asked == total:
            return merge_smallest(components, features, generator.n_segments, valid=where).to(image.device)
        asked = min(total, asked + (asked + 1) // 2)


def to_features(image: NDArray[np.float32]) -> NDArray[np.floating]:
    """Bring colors to CIELAB, and other channels to the range of its lightness, so that distances are comparable.

    Args:
        image: Shape ``(*spatial, C)``, in [0, 1]; three channels are red, green and blue.

    Returns:
        Shape ``(*spatial, C)``: CIELAB for three channels, else the image times 100.
    """
    return rgb2lab(image) if image.shape[-1] == 3 else image * np.float32(100)
