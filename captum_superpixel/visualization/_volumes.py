"""Volumes as pictures: laid out slice below slice to be scored as a whole, of which one slice is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from captum_superpixel._checks import checked_choice, checked_integer
from captum_superpixel._untyped import find_objects
from captum_superpixel.regions import Region
from captum_superpixel.visualization.images import FloatArray, ImageLike

__all__ = ["Cut", "choose_slice", "lay_out", "locate_in_slice"]

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

    def describe(self) -> str:
        """Say which slice it is.

        Examples:
            >>> Cut((10, 20, 30), 0, 4).describe()
            'slice 4 of 0 to 9'
        """
        return f"{_NAMES[self.axis]} {self.index} of 0 to {self.spatial[self.axis] - 1}"


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


def choose_slice(values: FloatArray, spatial: tuple[int, int, int], axis: object, index: int | None) -> Cut:
    """Check which slice is asked for, or take the one whose map has the largest sum of magnitudes.

    Args:
        values: The map, ``(D * H, W)``.
        spatial: ``(D, H, W)``.
        axis: What the caller passed as axis.
        index: What the caller passed as slice.

    Raises:
        TypeError: If the index is not an integer.
        ValueError: If there is no such axis or slice.
    """
    across = checked_choice("slice_axis", axis, (0, 1, 2))
    if index is not None:
        return Cut(spatial, across, checked_integer("slice_index", index, minimum=0, maximum=spatial[across] - 1))
    others = tuple(other for other in range(3) if other != across)
    # Divided first: sums of the largest numbers overflow.
    sizes = (
        np.nan_to_num(np.abs(values) / (np.nanmax(np.abs(values), initial=0) or 1)).reshape(spatial).sum(axis=others)
    )
    return Cut(spatial, across, int(sizes.argmax()))


def locate_in_slice(regions: Sequence[Region], mask: npt.NDArray[np.int64]) -> list[Region]:
    """Give regions the centers and bounding boxes that they have in a slice ``(A, B)``, of those that it cuts."""
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
