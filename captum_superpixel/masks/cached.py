"""Keeps masks by the content of the images, so that the same images are segmented once."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._arrays import parse_array
from captum_superpixel._checks import checked_integer
from captum_superpixel._files import read_signed, write_signed
from captum_superpixel._hashes import hash_tensor
from captum_superpixel._threads import Lock
from captum_superpixel.masks._identity import identify
from captum_superpixel.masks._valid import ValidMask, checked_valid


class Cached:
    """A mask generator that remembers the masks of another one, image by image.

    An image is known by its pixels, dtype and shape. Images that are not known yet are segmented together, each once.

    Args:
        generator: The generator, from ``(N, C, *spatial)`` to ``(N, 1, *spatial)``, int64, each image by itself.
        directory: Where to keep masks as files, also for other processes and later runs; it is made if it is missing.
            Then the generator must be a frozen dataclass, as those of this package are: its class and the contents of
            its fields (numbers, strings, tensors, arrays, and tuples and the like of these) say which masks are its
            own. Files that a field names are not looked into, nor functions that its methods call. Several processes
            may write at once, and a file that was damaged is replaced. With None masks are kept in memory.
        max_images: Of how many images to keep masks in memory; the least recently used are forgotten. With None, all
            are kept.

    Examples:
        >>> from captum_superpixel.masks import Grid
        >>> generator = Cached(Grid(4))
        >>> images = torch.rand(2, 3, 8, 8)
        >>> torch.equal(generator(images), Grid(4)(images))
        True
        >>> generator(images.flip(0)).shape, len(generator)
        (torch.Size([2, 1, 8, 8]), 2)
    """

    def __init__(
        self,
        generator: Callable[..., Tensor],
        directory: str | os.PathLike[str] | None = None,
        *,
        max_images: int | None = None,
    ) -> None:
        if isinstance(generator, type) or not callable(generator):
            raise TypeError(
                "generator must be a mask generator, such as Slic(), but "
                f"{'the class ' if isinstance(generator, type) else ''}{generator!r} was passed"
            )
        if max_images is not None:
            max_images = checked_integer("max_images", max_images)
            if directory is not None:
                raise ValueError(f"max_images={max_images} is for masks in memory: omit it, or the directory")
        self.generator = generator
        self.directory = None if directory is None else Path(directory)
        self.max_images = max_images
        folder = self._folder()
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._masks: dict[str, NDArray[np.integer]] = {}
        self._lock = Lock()

    def __call__(self, inputs: Tensor, mask: ValidMask | None = None) -> Tensor:
        """Segment a batch, or look up its masks.

        Args:
            inputs: What the generator takes, ``(N, C, *spatial)``.
            mask: Which pixels are valid, ``(1 or N, 1, *spatial)`` bool, for generators that take it; None if all are.

        Returns:
            A feature mask ``(N, 1, *spatial)``, int64, on the device of the inputs.

        Raises:
            TypeError: If the generator raises it, or does not return a tensor of integers.
            ValueError: If the generator raises it, or its masks have another shape.
        """
        if not isinstance(inputs, Tensor) or inputs.ndim < 3 or inputs.numel() == 0:
            return self.generator(inputs)
        keys = [hash_tensor(image) for image in inputs.detach().cpu()]
        valid = None if mask is None else checked_valid(mask, inputs)
        if valid is not None:
            keys = [f"{key}-{hash_tensor(image)}" for key, image in zip(keys, valid.cpu(), strict=True)]
        shape = tuple(inputs.shape[2:])
        folder = self._folder()
        masks: dict[str, NDArray[np.integer]] = {}
        missing: dict[str, int] = {}
        for index, key in enumerate(keys):
            if key not in masks and key not in missing:
                found = self._find(key, shape, folder)
                if found is None:
                    missing[key] = index
                else:
                    masks[key] = found
        if missing:
            places = list(missing.values())
            chosen = inputs if len(missing) == len(inputs) else inputs[places]
            made = self._segment(chosen, None if valid is None else valid[places])
            for key, new in zip(missing, made, strict=True):
                masks[key] = new
                self._keep(key, new, folder)
        stacked = np.stack([masks[key].astype(np.int64) for key in keys])
        return torch.from_numpy(stacked[:, None]).to(inputs.device)

    def __len__(self) -> int:
        """Count the images whose masks are kept."""
        folder = self._folder()
        return len(self._masks) if folder is None else sum(1 for _ in folder.glob("*.mask"))

    def __repr__(self) -> str:
        """Show the generator and where its masks are kept."""
        where = "" if self.directory is None else f", directory={str(self.directory)!r}"
        bound = "" if self.max_images is None else f", max_images={self.max_images}"
        return f"{type(self).__name__}({self.generator!r}{where}{bound})"

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock behind, and the masks too: a copy in another process starts anew."""
        return {**self.__dict__, "_lock": None, "_masks": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a lock of its own."""
        self.__dict__.update(state, _lock=Lock())

    def clear(self) -> None:
        """Forget all masks of this generator, also those in files."""
        with self._lock:
            self._masks.clear()
        folder = self._folder()
        if folder is not None:
            for path in folder.glob("*.mask"):
                path.unlink(missing_ok=True)

    def _folder(self) -> Path | None:
        """Where the masks of this generator are; found anew each time, because an array in a field may have changed."""
        return None if self.directory is None else self.directory / identify(self.generator)

    def _segment(self, inputs: Tensor, valid: Tensor | None) -> Sequence[NDArray[np.integer]]:
        """Segment images, and bring their masks to the smallest type that holds them."""
        # Generators of others may take the images alone.
        options = {} if valid is None else {"mask": valid}
        mask = self.generator(inputs, **options)
        if not isinstance(mask, Tensor) or mask.is_floating_point() or mask.is_complex() or mask.dtype == torch.bool:
            kind = f"a tensor of {mask.dtype}" if isinstance(mask, Tensor) else f"a {type(mask).__name__}"
            raise TypeError(f"{self.generator!r} returned {kind}: a mask is a tensor of integers")
        expected = (len(inputs), 1, *inputs.shape[2:])
        if tuple(mask.shape) != expected:
            raise ValueError(
                f"{self.generator!r} returned a mask of shape {tuple(mask.shape)} for inputs of shape "
                f"{tuple(inputs.shape)}: only masks of shape {expected} can be cached"
            )
        numbers = mask[:, 0].cpu().numpy()
        return [
            image.astype(np.result_type(np.min_scalar_type(image.min()), np.min_scalar_type(image.max())))
            for image in numbers
        ]

    def _find(self, key: str, shape: tuple[int, ...], folder: Path | None) -> NDArray[np.integer] | None:
        if folder is not None:
            return _read(folder / f"{key}.mask", shape)
        with self._lock:
            mask = self._masks.pop(key, None)
            if mask is not None:
                self._masks[key] = mask  # at the end, among those asked for last
            return mask

    def _keep(self, key: str, mask: NDArray[np.integer], folder: Path | None) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / f"{key}.mask", mask)
            return
        with self._lock:
            self._masks[key] = mask
            while self.max_images is not None and len(self._masks) > self.max_images:
                del self._masks[next(iter(self._masks))]


def _write(path: Path, mask: NDArray[np.integer]) -> None:
    content = io.BytesIO()
    np.save(content, mask, allow_pickle=False)
    try:
        write_signed(path, content.getvalue())
    except PermissionError:
        # On Windows a file cannot be replaced while it is read; then it holds this mask already.
        if not path.exists():
            raise


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.integer] | None:
    """Read a mask; None if there is none, or not the whole, or not of this shape."""
    try:
        mask: NDArray[np.integer] = parse_array(read_signed(path))
    except (OSError, ValueError):
        return None
    return mask if mask.shape == shape else None
