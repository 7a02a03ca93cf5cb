"""Volumes as pictures: laid out slice below slice to be scored as a whole; one slice or a projection is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from captum_superpixel._checks import checked_choice, checked_integer
from captum_superpixel._untyped import find_objects
from captum_superpixel.regions import Region
from captum_superpixel.visualization.images import FloatArray, ImageLike

__all__ = ["Cut", "Projection", "SliceIndex", "choose_slice", "lay_out", "locate_in_slice"]

SliceIndex = int | Literal["max"] | None
"""Which slice is drawn, the projection of all, or None for the slice with the most."""

_NAMES = ("slice", "row", "column")


@dataclass(frozen=True)
class Cut:
    """One slice of a volume; a call takes it out of an array ``(D * H, W, ...)`` that holds the volume.

    Attributes:
        spatial: ``(D, H, W)``.
        axis: Across which axis it is taken, 0, 1 or 2.
        index: Its place along that axis.
    """

    spatial: tuple[int, int, int]
    axis: int
    index: int

    def __call__(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the slice out of what is laid out slice below slice."""
        taken: npt.NDArray[Any] = np.take(array.reshape(*self.spatial, *array.shape[2:]), self.index, axis=self.axis)
        return taken

    def picture(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the slice of the volume itself, like that of its map."""
        return self(array)

    def describe(self) -> str:
        """Say which slice it is.

        Examples:
            >>> Cut((10, 20, 30), 0, 4).describe()
            'slice 4 of 0 to 9'
        """
        return f"{_NAMES[self.axis]} {self.index} of 0 to {self.spatial[self.axis] - 1}"


@dataclass(frozen=True, eq=False)
class Projection:
    """One voxel of each line across a volume; a call takes these out of an array ``(D * H, W, ...)``.

    Attributes:
        spatial: ``(D, H, W)``.
        axis: Along which axis the lines run, 0, 1 or 2.
        places: Which voxel of each line is taken, of the shape of the other two axes.
    """

    spatial: tuple[int, int, int]
    axis: int
    places: npt.NDArray[np.int64]

    def __call__(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the voxels out of what is laid out slice below slice."""
        places = np.expand_dims(self.places, (self.axis, *range(3, array.ndim + 1)))
        taken: npt.NDArray[Any] = np.take_along_axis(self._volume(array), places, axis=self.axis)
        return taken.squeeze(self.axis)

    def picture(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Take the largest value of each line, wherever it is: the maximum intensity projection of the volume."""
        largest: npt.NDArray[Any] = self._volume(array).max(axis=self.axis)
        return largest

    def describe(self) -> str:
        """Say what was projected.

        Examples:
            >>> Projection((10, 20, 30), 0, np.zeros((20, 30), dtype=np.int64)).describe()
            'maximum across slices 0 to 9'
        """
        return f"maximum across {_NAMES[self.axis]}s 0 to {self.spatial[self.axis] - 1}"

    def _volume(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array.reshape(*self.spatial, *array.shape[2:])


def lay_out(
    image: ImageLike, attributions: ImageLike, feature_mask: ImageLike
) -> tuple[tuple[ImageLike, ImageLike, ImageLike], tuple[int, int, int] | None]:
    """Lay out a volume, its map and its mask slice below slice, as a picture ``(C, D * H, W)``; leave images.

    Returns:
        The three, and ``(D, H, W)``; None for an image.

    Raises:
        ValueError: If only some of them are of volumes, or there are several volumes.
    """
    given = {"image": image, "attributions": attributions, "feature_mask": feature_mask}
    dimensions = {name: np.ndim(one) if not isinstance(one, Tensor) else one.ndim for name, one in given.items()}
    if max(dimensions.values()) < 5:
        return (image, attributions, feature_mask), None
    for name, one in given.items():
        shape = tuple(one.shape)
        if len(shape) != 5 or shape[0] != 1:
            raise ValueError(
                f"{name} has shape {shape}, but of a volume all three are drawn as (1, C, D, H, W): pass one volume "
                "of a batch, such as volumes[:1], its map and its mask"
            )
        if shape[2:] != tuple(image.shape[2:]):
            raise ValueError(
                f"{name} of shape {shape} does not fit the image of shape {tuple(image.shape)}: pass a value for "
                "each voxel"
            )
    depth, height, width = image.shape[2:]
    tall = tuple(one.reshape(one.shape[1], depth * height, width) for one in (image, attributions, feature_mask))
    return (tall[0], tall[1], tall[2]), (depth, height, width)


def choose_slice(
    values: FloatArray,
    spatial: tuple[int, int, int],
    axis: object,
    index: SliceIndex,
    *,
    first: npt.NDArray[np.bool_] | None = None,
) -> Cut | Projection:
    """Check which slice is asked for, or take the one whose map has the largest sum of magnitudes.

    A projection takes the voxel of the largest magnitude of each line, of equal ones the first.

    Args:
        values: The map, ``(D * H, W)``.
        spatial: ``(D, H, W)``.
        axis: What the caller passed as axis.
        index: What the caller passed as slice.
        first: Voxels that a projection takes before all others, ``(D * H, W)``; None for none.

    Raises:
        TypeError: If the index is neither an integer nor ``"max"``.
        ValueError: If there is no such axis or slice.
    """
    across = checked_choice("slice_axis", axis, (0, 1, 2))
    if isinstance(index, str):
        checked_choice("slice_index", index, ("max",))
    elif index is not None:
        return Cut(spatial, across, checked_integer("slice_index", index, minimum=0, maximum=spatial[across] - 1))
    # Divided first: sums of the largest numbers overflow.
    magnitudes = np.abs(values) / (np.nanmax(np.abs(values), initial=0) or 1)
    if index == "max":
        # What is NaN shows where the whole line is.
        order = np.nan_to_num(magnitudes, nan=-1.0) + (0.0 if first is None else 3.0 * first)
        return Projection(spatial, across, order.reshape(spatial).argmax(axis=across))
    others = tuple(other for other in range(3) if other != across)
    return Cut(spatial, across, int(np.nan_to_num(magnitudes).reshape(spatial).sum(axis=others).argmax()))


def locate_in_slice(regions: Sequence[Region], mask: npt.NDArray[np.int64]) -> list[Region]:
    """Give regions the centers and bounding boxes that they have in a picture ``(A, B)``, of those that it shows."""
    ids, labels = np.unique(mask, return_inverse=True)
    boxes = dict(zip(ids.tolist(), find_objects(labels.reshape(mask.shape) + 1), strict=True))
    located = []
    for region in regions:
        if region.id in boxes:
            rows, columns = boxes[region.id]
            places = np.argwhere(mask == region.id).mean(axis=0).tolist()
            box = (rows.start, columns.start, rows.stop, columns.stop)
            located.append(replace(region, centroid=tuple(places), bounding_box=box))
    return located
