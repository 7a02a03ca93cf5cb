"""Labelled images of any origin as a PyTorch data set of network inputs, held in memory or decoded when asked for."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Literal, SupportsIndex

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from captum_superpixel.datasets.preprocessing import Preprocessing, to_rgb

__all__ = ["LabelledImages"]

OnUnreadable = Literal["raise", "skip"]


class LabelledImages(Dataset[tuple[Tensor, int]]):
    """Images with labels, as the inputs (3, H, W) of a network; H and W are those of its preprocessing.

    Small images are given as a uint8 tensor and stay one, a quarter of the memory of inputs; large ones as paths, each
    decoded whenever it is asked for. Both are normalised (and resized, where their size is not the network's) item by
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
        TypeError: If the images are neither a uint8 tensor nor paths, or the preprocessing is none.
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
            TypeError: If the index is no integer.
            ValueError: If the file cannot be read (any more).
        """
        place = operator.index(index)
        return self.batch([place])[0], int(self.labels[place])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """What DataLoader calls for a batch: faster than image by image."""
        return list(zip(self.batch(indices), self.labels[list(indices)].tolist(), strict=True))

    def __repr__(self) -> str:
        """Count the images and classes."""
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
        places = self._places(indices)
        shape = self.preprocessing.shape
        if isinstance(self._images, Tensor):
            pixels = self._images[places]
            if pixels.shape[2:] != shape:
                photographs = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in pixels]
                pixels = _stack([self.preprocessing.fit(image) for image in photographs], shape)
        else:
            pixels = _stack([self._decode(place) for place in places], shape)
        return self.preprocessing.from_uint8(pixels)

    def subset(self, indices: Iterable[int] | Tensor) -> LabelledImages:
        """Some of the images, in the order of the indices; classes and preprocessing stay.

        Args:
            indices: At least one integer; those below 0 count from the end.

        Raises:
            IndexError: If there is no such image.
            ValueError: If there are no indices.
        """
        places = self._places(indices)
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

    def _places(self, indices: Iterable[int] | Tensor) -> list[int]:
        places = [operator.index(index) for index in (indices.tolist() if isinstance(indices, Tensor) else indices)]
        for place in places:
            if not -len(self) <= place < len(self):
                raise IndexError(f"index {place} is outside the {len(self)} images: pass 0 to {len(self) - 1}")
        return places

    def _decode(self, place: int) -> Tensor:
        # Decoders meet broken files with a dozen kinds of exception.
        try:
            with Image.open(self._images[place]) as image:  # type: ignore[arg-type]  # a path: tensors do not come here
                return self.preprocessing.fit(image)
        except Exception as error:
            raise ValueError(f"{self.names[place]} cannot be read ({type(error).__name__}: {error})") from error

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
            raise ValueError(f"label {wrong} is none of the {len(self.classes)} classes: pass 0 to K-1 for K classes")


def check_preprocessing(value: object) -> None:
    """Raise TypeError unless the value is a Preprocessing."""
    if not isinstance(value, Preprocessing):
        raise TypeError(f"preprocessing must be a Preprocessing, but a {type(value).__name__} was passed")


def check_on_unreadable(value: object) -> None:
    """Raise ValueError unless the value is one of the two choices."""
    if value not in ("raise", "skip"):
        raise ValueError(f"on_unreadable must be 'raise' or 'skip', but {value!r} was passed")


def find_unreadable(paths: Sequence[str], *, progress: bool = False) -> dict[int, str]:
    """Decode every file, as coarsely as its format allows, in as many threads as there are cores.

    Args:
        paths: N files.
        progress: Whether to show a bar.

    Returns:
        For each that cannot be decoded its place in ``paths``, and why.
    """

    def reason(path: str) -> str | None:
        try:
            with Image.open(path) as image:
                # Reads a JPEG to its end but computes an eighth of its rows and columns only.
                image.draft(None, (1, 1))
                to_rgb(image)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return None

    # What the system says of affinity is less than the machine has, in containers above all.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        reasons: Iterable[str | None] = pool.map(reason, paths)
        if progress:
            # Imported by name because mypy takes tqdm for untyped in one environment and typed in another.
            reasons = import_module("tqdm.auto").tqdm(reasons, total=len(paths), desc="Checking images", unit="image")
        return {place: why for place, why in enumerate(reasons) if why is not None}


def settle_unreadable(unreadable: dict[str, str], count: int, where: Path, on_unreadable: OnUnreadable) -> list[str]:
    """Raise for unreadable images or let them go, as the user chose.

    Args:
        unreadable: Names of what cannot be read, and why.
        count: Of images, these included.
        where: The root, for the message.
        on_unreadable: The user's choice.

    Returns:
        Their names.

    Raises:
        ValueError: If there are any and the choice is ``"raise"``, or none other is left.
    """
    if unreadable and (on_unreadable == "raise" or len(unreadable) == count):
        shown = "; ".join(f"{name} ({why})" for name, why in list(unreadable.items())[:8])
        more = f"; and {len(unreadable) - 8} more" if len(unreadable) > 8 else ""
        advice = (
            "no image is left: pass another root"
            if len(unreadable) == count
            else "repair or remove them, or leave them out by on_unreadable='skip'"
        )
        raise ValueError(f"{len(unreadable)} of {count} images in {where} cannot be read: {shown}{more}; {advice}")
    return list(unreadable)


def _stack(images: list[Tensor], shape: tuple[int, int]) -> Tensor:
    return torch.stack(images) if images else torch.from_numpy(np.empty((0, 3, *shape), dtype=np.uint8))
