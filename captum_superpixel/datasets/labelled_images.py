"""Labeled images of any origin as a PyTorch data set of network inputs, held in memory or decoded when asked for."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from captum_superpixel.datasets.photographs import UnreadableImage, read_photograph
from captum_superpixel.datasets.preprocessing import Preprocessing

__all__ = ["LabelledImages"]


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """Images with labels, as the inputs (3, H, W) of a network; H and W are those of its preprocessing.

    Small images are given as a uint8 tensor and stay one, a quarter of the memory of inputs; large ones as paths, each
    decoded whenever it is asked for. Both are normalized (and resized, where their size is not the network's) item by
    item, so an image gives the same input alone and in a batch.

    Args:
        images: ``(N, 3, height, width)`` uint8, red first, of any size; or N paths of image files.
        labels: N integers from 0 to K-1.
        classes: Names of the K classes; not all of them need to have an image.
        preprocessing: What the network wants.
        names: Where each image came from, for messages; by default the paths, or the places in the tensor.
        skipped: Names of images that were left out because they could not be read.

    Attributes:
        labels: ``(N,)`` int64.
        classes: Names of the K classes.
        preprocessing: What the network wants.
        names: Where each image came from.
        skipped: Names of what was left out, empty where nothing was.

    Raises:
        TypeError: If the images are neither a uint8 tensor nor paths, or the preprocessing is not one.
        ValueError: If there are no images, their shape is wrong, or the lengths or labels do not fit.

    Examples:
        >>> from captum_superpixel.datasets import CIFAR10
        >>> pixels = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8)
        >>> data = LabelledImages(pixels, [0, 1, 0, 1, 0, 1], ["cat", "dog"], preprocessing=CIFAR10)
        >>> data
        LabelledImages(6 images, 2 classes, inputs (3, 32, 32))
        >>> image, label = data[1]
        >>> image.shape, label
        (torch.Size([3, 32, 32]), 1)
        >>> data.subset(range(4)).batch([0, 3]).shape
        torch.Size([2, 3, 32, 32])
    """

    def __init__(
        self,
        images: Tensor | Sequence[str | os.PathLike[str]],
        labels: Tensor | Sequence[int],
        classes: Sequence[str],
        *,
        preprocessing: Preprocessing,
        names: Sequence[str] | None = None,
        skipped: Sequence[str] = (),
    ) -> None:
        check_preprocessing(preprocessing)
        self._images: Tensor | list[str]
        if isinstance(images, Tensor):
            if images.dtype != torch.uint8:
                raise TypeError(f"images must be uint8, but have dtype {images.dtype}: pass pixels from 0 to 255")
            if images.ndim != 4 or images.shape[1] != 3 or images.numel() == 0:
                raise ValueError(
                    f"images have shape {tuple(images.shape)}: pass (N, 3, height, width) with at least one image"
                )
            self._images = images
        else:
            if isinstance(images, (str, os.PathLike)) or not isinstance(images, Sequence):
                raise TypeError(f"images must be a uint8 tensor or paths, but a {type(images).__name__} was passed")
            self._images = [os.fspath(path) for path in images]
            if not self._images:
                raise ValueError("no images were passed: pass at least one path")
        self.labels = torch.as_tensor(labels)
        self.classes = list(classes)
        self.preprocessing = preprocessing
        if names is None:
            names = [f"image {i}" for i in range(len(images))] if isinstance(self._images, Tensor) else self._images
        self.names = list(names)
        self.skipped = list(skipped)
        self._check_labels()

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: SupportsIndex) -> tuple[Tensor, int]:
        """The input of one image, (3, H, W) float32, and its label.

        Raises:
            IndexError: If there is no such image.
            TypeError: If the index is not an integer.
            ValueError: If the file cannot be read (any more).
        """
        place = operator.index(index)
        return self.batch([place])[0], int(self.labels[place])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """What DataLoader calls for a batch: faster than image by image."""
        return list(zip(self.batch(indices), self.labels[list(indices)].tolist(), strict=True))

    def __repr__(self) -> str:
        """The number of images and classes, and the shape of the inputs."""
        height, width = self.preprocessing.shape
        return f"LabelledImages({len(self)} images, {len(self.classes)} classes, inputs (3, {height}, {width}))"

    def batch(self, indices: Iterable[int] | Tensor) -> Tensor:
        """The inputs of several images.

        Args:
            indices: n integers; those below 0 count from the end.

        Returns:
            ``(n, 3, H, W)`` float32.

        Raises:
            IndexError: If there is no such image.
            ValueError: If a file cannot be read.
        """
        places = checked_places(indices, len(self))
        shape = self.preprocessing.shape
        if isinstance(self._images, Tensor):
            pixels = self._images[places]
            if pixels.shape[2:] != shape:
                photographs = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels]
                pixels = _stack([self.preprocessing.fit(image) for image in photographs], shape)
        else:
            pixels = _stack([self._decode(self._images[place], self.names[place]) for place in places], shape)
        return self.preprocessing.from_uint8(pixels)

    def subset(self, indices: Iterable[int] | Tensor) -> LabelledImages:
        """Some of the images, in the order of the indices; classes and preprocessing stay.

        Args:
            indices: At least one integer; those below 0 count from the end.

        Raises:
            IndexError: If there is no such image.
            ValueError: If there are no indices.
        """
        places = checked_places(indices, len(self))
        if not places:
            raise ValueError("a subset of no images was asked for: pass at least one index")
        images = self._images
        return LabelledImages(
            images[places] if isinstance(images, Tensor) else [images[place] for place in places],
            self.labels[places],
            self.classes,
            preprocessing=self.preprocessing,
            names=[self.names[place] for place in places],
            skipped=self.skipped,
        )

    def _decode(self, path: str, name: str) -> Tensor:
        try:
            return self.preprocessing.fit(read_photograph(path))
        except UnreadableImage as error:
            raise ValueError(f"{name} cannot be read ({error})") from error

    def _check_labels(self) -> None:
        shape, dtype = tuple(self.labels.shape), self.labels.dtype
        if shape != (len(self),) or dtype.is_floating_point or dtype.is_complex or dtype == torch.bool:
            raise ValueError(f"labels of shape {shape} and {dtype} came with {len(self)} images: pass one integer each")
        self.labels = self.labels.to(torch.int64)
        if len(self.names) != len(self):
            raise ValueError(f"{len(self.names)} names came with {len(self)} images: pass one for each")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= len(self.classes):
            wrong = low if low < 0 else high
            raise ValueError(f"label {wrong} is not among the {len(self.classes)} classes: pass 0 to K-1 for K classes")


def checked_places(indices: Iterable[int] | Tensor, count: int) -> list[int]:
    """Return the indices of images, of which there are ``count``, as a list of ints.

    Args:
        indices: Integers; those below 0 count from the end, and stay as they are.
        count: How many images there are.

    Raises:
        IndexError: If there is no such image.
        TypeError: If an index is not an integer.
    """
    places = [operator.index(index) for index in (indices.tolist() if isinstance(indices, Tensor) else indices)]
    for place in places:
        if not -count <= place < count:
            raise IndexError(f"index {place} is outside the {count} images: pass 0 to {count - 1}")
    return places


def check_preprocessing(value: object) -> None:
    """Raise TypeError unless the value is a Preprocessing."""
    if not isinstance(value, Preprocessing):
        raise TypeError(f"preprocessing must be a Preprocessing, but a {type(value).__name__} was passed")


def _stack(images: list[Tensor], shape: tuple[int, int]) -> Tensor:
    return torch.stack(images) if images else torch.from_numpy(np.empty((0, 3, *shape), dtype=np.uint8))
