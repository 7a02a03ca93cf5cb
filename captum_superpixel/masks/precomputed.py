"""Masks that exist already, looked up by the content of the images or by their index in a data set."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import listed
from captum_superpixel._files import replacing
from captum_superpixel._hashes import hash_tensor
from captum_superpixel.feature_masks import MaskLike, as_integers, check_feature_mask, rank_rows
from captum_superpixel.masks._archives import unpack_masks, write_masks
from captum_superpixel.masks._valid import ValidMask, checked_valid, set_apart

__all__ = ["Precomputed"]


class Precomputed:
    """A mask generator that looks up masks made before, for a data set with segments of its own.

    Called with images, it finds the mask of each by its pixels, dtype and shape, whatever the order of the batch:
    ``SuperpixelGrouped(method, Precomputed.from_images(images, masks))``. Indexed, it gives the masks at these places
    of the data set: ``attribute(images, feature_mask=precomputed[indices])``.

    In each mask the ids are numbered anew from 0, in their order, as for every mask generator. Images are known as they
    were given: resized, augmented or normalized ones are others, as are those that a NoiseTunnel around the
    SuperpixelGrouped makes noisy (put the tunnel inside).

    Args:
        masks: Segment ids ``(M, 1, *spatial)``, any non-negative int64, as tensor or NumPy array; or several of these
            one after the other, of whatever sizes.

    Raises:
        TypeError: If a mask is not a tensor or array of integers.
        ValueError: If there are no masks, or one has another shape or negative ids.

    Examples:
        >>> images = torch.rand(3, 3, 4, 4)
        >>> masks = torch.arange(16).view(1, 1, 4, 4) // torch.tensor([1, 2, 4]).view(3, 1, 1, 1)
        >>> generator = Precomputed.from_images(images, masks)
        >>> torch.equal(generator(images.flip(0)), masks.flip(0))
        True
        >>> torch.equal(generator[[2, 0]], masks[[2, 0]])
        True
    """

    def __init__(self, masks: MaskLike | Iterable[MaskLike]) -> None:
        self._masks = [mask for number, batch in enumerate(_batches(masks, "masks")) for mask in _pack(batch, number)]
        if not self._masks:
            raise ValueError("an empty list of masks was passed: pass the masks of at least one image")
        self._places: dict[str, int] = {}

    @classmethod
    def from_images(cls, images: Tensor | Iterable[Tensor], masks: MaskLike | Iterable[MaskLike]) -> Precomputed:
        """Know each mask by its image.

        Args:
            images: The images exactly as they will be asked for, ``(M, C, *spatial)``, or several such tensors one
                after the other, for example ``(images for images, labels in loader)``. They are not kept.
            masks: As for ``Precomputed``, one for each image in the same order; how they are batched may differ.

        Raises:
            TypeError: If ``Precomputed`` would raise it, or an image is not a tensor.
            ValueError: If ``Precomputed`` would raise it, the numbers or sizes of images and masks differ, or one image
                comes with two different masks.
        """
        made = cls(masks)
        count = 0
        for batch in _batches(images, "images"):
            _check_images(batch)
            for image in batch.detach().cpu():
                made._learn(count, image)
                count += 1
        if count != len(made):
            raise ValueError(f"{count} images came with {len(made)} masks: pass one mask for each image")
        return made

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Precomputed:
        """Read what ``save`` wrote.

        Raises:
            OSError: If there is no such file, or it cannot be read.
            ValueError: If ``save`` did not write the file, or it was damaged.
        """
        content = Path(path).read_bytes()
        # A damaged file makes zipfile and zlib fail in as many ways as there are bytes.
        try:
            masks, known = unpack_masks(content)
        except Exception as error:
            raise ValueError(
                f"{os.fspath(path)!r} holds no masks that Precomputed.save wrote ({type(error).__name__}: {error}); "
                "make it anew"
            ) from error
        made = cls.__new__(cls)
        made._masks, made._places = masks, known
        return made

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the masks, and the hashes of the images that they are known by, to a compressed ``.npz`` file.

        Other processes see the whole file or none. Masks of two sizes are written as well, those of images together
        with those of volumes are not.

        Args:
            path: Name of the file, which is taken as it is.

        Raises:
            ValueError: If the masks are not all of one number of dimensions.
        """
        dimensions = sorted({mask.ndim for mask in self._masks})
        if len(dimensions) > 1:
            raise ValueError(f"masks with {dimensions} spatial dimensions cannot be saved together: save them apart")
        with replacing(Path(path)) as part, part.open("wb") as file:
            write_masks(file, self._masks, self._places)

    def __call__(self, inputs: Tensor, mask: ValidMask | None = None) -> Tensor:
        """Look up the masks of a batch.

        Args:
            inputs: Images of shape ``(N, C, *spatial)``.
            mask: Which pixels are valid, ``(1 or N, 1, *spatial)`` bool; None if all are. The others become one segment
                of their own in each image, the last.

        Returns:
            A feature mask ``(N, 1, *spatial)``, int64, on the device of the inputs.

        Raises:
            TypeError: If the inputs are not a tensor.
            ValueError: If they are not a batch, an image is not among those that the masks are for, or the masks came
                without images.
        """
        if not self._places:
            raise ValueError(
                "these masks came without images, so they cannot be looked up: use Precomputed.from_images(images, "
                "masks), or index them, feature_mask=precomputed[indices]"
            )
        _check_images(inputs)
        places = [self._places.get(hash_tensor(image)) for image in inputs.detach().cpu()]
        unknown = [index for index, place in enumerate(places) if place is None]
        if unknown:
            raise ValueError(
                f"{len(unknown)} of {len(inputs)} images (index {listed(unknown)} in the batch of dtype {inputs.dtype} "
                f"and shape {tuple(inputs.shape)}) are not among the {len(self._places)} that have masks: pass the "
                "same pixels in the same dtype, without augmentation or noise, or feature_mask="
            )
        masks = self._take([place for place in places if place is not None]).to(inputs.device)
        return masks if mask is None else set_apart(masks, checked_valid(mask, inputs))

    def __getitem__(self, indices: SupportsIndex | slice | Sequence[int] | NDArray[np.integer] | Tensor) -> Tensor:
        """Take the masks at these places of the data set.

        Args:
            indices: One, a slice, or a sequence, array or tensor ``(N,)`` of them; those below 0 count from the end.

        Returns:
            A feature mask ``(N, 1, *spatial)``, int64, on the CPU; for a single index ``(1, 1, *spatial)``.

        Raises:
            IndexError: If there is no such place.
            TypeError: If the indices are not integers.
            ValueError: If there are none, or their masks are of different sizes.
        """
        if isinstance(indices, slice):
            return self._take(range(len(self))[indices])
        values = indices.tolist() if isinstance(indices, (Tensor, np.ndarray)) else indices
        members = [values] if isinstance(values, SupportsIndex) else values
        try:
            # bool is an integer to operator.index, but a list of them is meant as a selection.
            places = [operator.index(None if isinstance(member, bool) else member) for member in members]  # type: ignore[arg-type]  # None raises
        except TypeError:
            raise TypeError(f"indices must be integers, but {indices!r} was passed") from None
        for place in places:
            if not -len(self) <= place < len(self):
                raise IndexError(f"index {place} is outside the {len(self)} masks: pass 0 to {len(self) - 1}")
        return self._take(places)

    def __len__(self) -> int:
        """Count the masks."""
        return len(self._masks)

    def __repr__(self) -> str:
        """Count the masks, and say whether they are known by images."""
        return f"{type(self).__name__}({len(self)} masks, {len(self._places) or 'no'} images)"

    def _learn(self, index: int, image: Tensor) -> None:
        if index >= len(self):
            raise ValueError(f"more than {len(self)} images came with {len(self)} masks: pass one mask for each image")
        mask = self._masks[index]
        if mask.shape != tuple(image.shape[1:]):
            raise ValueError(
                f"image {index} has shape {tuple(image.shape)}, but its mask {(1, *mask.shape)}: pass masks of the "
                "size of the images"
            )
        first = self._places.setdefault(hash_tensor(image), index)
        if not np.array_equal(self._masks[first], mask):
            raise ValueError(
                f"images {first} and {index} are the same, but their masks differ: keep one of them, or look masks up "
                "by index"
            )

    def _take(self, places: Sequence[int]) -> Tensor:
        if not places:
            raise ValueError("no mask was asked for: pass at least one image or index")
        shapes = sorted({self._masks[place].shape for place in places})
        if len(shapes) > 1:
            raise ValueError(f"masks of the sizes {shapes} do not fit into one batch: ask for one size at a time")
        return torch.from_numpy(np.stack([self._masks[place] for place in places]).astype(np.int64)[:, None])


def _batches(values: object, name: str) -> Iterable[Any]:
    if isinstance(values, (Tensor, np.ndarray)):
        return [values]
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise TypeError(f"{name} must be a tensor or several of them, but a {type(values).__name__} was passed")
    return values


def _pack(masks: object, number: int) -> list[NDArray[np.integer]]:
    """Check a batch of masks ``(B, 1, *spatial)``, renumber each, and bring it to the smallest type that holds it."""
    name = f"masks[{number}]"
    ids = as_integers(masks, name)
    if ids.dim() < 3 or ids.shape[1] != 1 or ids.numel() == 0:
        raise ValueError(
            f"{name} has shape {tuple(ids.shape)}, but (B, 1, *spatial) with B > 0 is needed, as generators return it"
        )
    checked = check_feature_mask(ids, ids.shape, name=name)
    dense = rank_rows(checked.detach().cpu().flatten(1)).view(len(checked), *checked.shape[2:]).numpy()
    return [mask.astype(np.min_scalar_type(mask.max())) for mask in dense]


def _check_images(images: object) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a tensor of shape (N, C, *spatial), but a {type(images).__name__} was passed")
    if images.dim() < 3 or images.numel() == 0:
        raise ValueError(
            f"images of shape {tuple(images.shape)} are not a batch of images: pass (N, C, *spatial) with N > 0"
        )
