"""Data for image classification that need no download, and that tell where in each image the evidence is."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor
from torch.utils.data import Dataset

from captum_superpixel._checks import checked_choice, checked_integer
from captum_superpixel._untyped import map_coordinates, zoom
from captum_superpixel.datasets.labelled_images import checked_places

__all__ = ["DigitsOnPhotographs"]

Array = npt.NDArray[np.float64]

# Digit images per class in each split; the rarest digit, the eight, has 174 in all.
_POOL = {"train": slice(0, 110), "validation": slice(110, 130), "test": slice(130, 174)}
_DEFAULT_LENGTH = {"train": 8000, "validation": 1000, "test": 2000}
# PNG files only: decoders of JPEG differ by a gray level from one machine to another.
_PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "immunohistochemistry")
_LUMINANCE = np.array([0.299, 0.587, 0.114])
_ZOOM = 8


class DigitsOnPhotographs(Dataset[tuple[Tensor, int]]):
    """Handwritten digits, filled with one photograph's texture, lying on another photograph.

    Ten classes. Every digit of scikit-learn's ``load_digits`` appears in varying size, place, slant and color, lighter
    or darker than what it lies on, its strokes filled with a crop of one of scikit-image's photographs, on a crop of
    another. So neither brightness, nor color, nor the presence of texture gives the digit away: only the shape of its
    strokes does, and ``object_masks`` says where they are.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``. No two splits share a digit image, whatever their seeds.
        size: Height and width of the images in pixels, 16 to 256.
        length: Number of images N; 8000, 1000 and 2000 by default. Every ten consecutive images show each digit once.
        seed: Seed of everything random: which digit meets which photograph, where, and how.

    Attributes:
        images: (N, 3, size, size) float32 in [0, 1].
        labels: (N,) int64, the digit.
        object_masks: (N, 1, size, size) bool, the strokes of the digit.
        digit_indices: (N,) int64, the row of ``load_digits().images`` that each image shows.

    Raises:
        ImportError: If scikit-learn is not installed.
        TypeError: If the size, the length or the seed is not an integer.
        ValueError: If an argument is out of the range stated above.

    Notes:
        Every digit image appears several times, but close by in the order of the data set: its first half and its
        second half share no digit image either (where N is a multiple of 20), so that two networks can be trained on
        disjoint halves. The photographs are the same in all splits; their crops are drawn anew.

    Examples:
        >>> from captum_superpixel.datasets import DigitsOnPhotographs
        >>> data = DigitsOnPhotographs("test", length=20)
        >>> data.images.shape, data.object_masks.shape
        (torch.Size([20, 3, 48, 48]), torch.Size([20, 1, 48, 48]))
        >>> image, label = data[0]
        >>> torch.bincount(data.labels)
        tensor([2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    """

    def __init__(
        self,
        split: Literal["train", "validation", "test"] = "train",
        *,
        size: int = 48,
        length: int | None = None,
        seed: int = 0,
    ) -> None:
        checked_choice("split", split, list(_POOL))
        size = checked_integer("size", size, minimum=16, maximum=256)
        length = checked_integer("length", _DEFAULT_LENGTH[split] if length is None else length, maximum=10**6)
        seed = checked_integer("seed", seed, minimum=0, maximum=2**63)

        # The name of the split is part of the seed, so that equal seeds do not give equal backgrounds.
        rng = np.random.default_rng([seed, list(_POOL).index(split)])
        bitmaps, targets = _load_digits()
        indices = _draw_digits(targets, split, length, rng)
        photographs = [_load_photograph(name) for name in _PHOTOGRAPHS]

        images = np.empty((length, 3, size, size), dtype=np.float32)
        masks = np.empty((length, 1, size, size), dtype=np.bool_)
        step = max(1, 2**20 // size**2)
        for start in range(0, length, step):
            chunk = slice(start, start + step)
            alpha, box = _place_digits(bitmaps[indices[chunk]], size, rng)
            background, fill = _draw_textures(photographs, len(alpha), size, rng)
            images[chunk] = _composite(background, fill, alpha, box, rng)
            masks[chunk] = (alpha > 0.5)[:, None]
        self.images = torch.from_numpy(images)
        self.labels = torch.from_numpy(targets[indices])
        self.object_masks = torch.from_numpy(masks)
        self.digit_indices = torch.from_numpy(indices)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """The image, (3, size, size) float32, and its label."""
        return self.images[index], int(self.labels[index])

    def batch(self, indices: Iterable[int] | Tensor) -> Tensor:
        """Several images.

        Args:
            indices: n integers; those below 0 count from the end.

        Returns:
            ``(n, 3, size, size)`` float32 in [0, 1].

        Raises:
            IndexError: If there is no such image.
        """
        return self.images[checked_places(indices, len(self))]


def _load_digits() -> tuple[Array, npt.NDArray[np.int64]]:
    """Bitmaps (1797, 8, 8) in [0, 1] and their classes (1797,)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "DigitsOnPhotographs takes its digits from scikit-learn, which is not installed; "
            'install the extra "demo": pip install "captum-superpixel[demo]".'
        ) from error
    digits = load_digits()
    return digits.images / 16, digits.target.astype(np.int64)


def _load_photograph(name: str) -> Array:
    """A photograph (H, W, 3) in [0, 1], at half its resolution so that a small crop shows some structure."""
    import skimage.data  # for this data set alone

    photograph = getattr(skimage.data, name)()
    if photograph.ndim == 2:
        photograph = np.stack([photograph] * 3, axis=-1)
    height, width = (side // 2 * 2 for side in photograph.shape[:2])
    blocks = photograph[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return np.asarray(blocks.mean(axis=(1, 3)) / 255)


def _draw_digits(
    targets: npt.NDArray[np.int64], split: str, length: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The digit's row for each of ``length`` images: all classes in every ten, each class's pool passed once."""
    # Which digit belongs to which split must not depend on the caller's seed.
    split_rng = np.random.default_rng(0)
    pools = np.stack([split_rng.permutation(np.flatnonzero(targets == digit))[_POOL[split]] for digit in range(10)])
    tens = -(-length // 10)
    pools = rng.permuted(pools, axis=1)
    passed = np.arange(tens) * pools.shape[1] // tens
    return np.asarray(rng.permuted(pools[:, passed].T, axis=1).reshape(-1)[:length])


def _place_digits(bitmaps: Array, size: int, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Opacity (N, size, size) of each digit scaled, turned, slanted and shifted; and the box that it lies in."""
    count = len(bitmaps)
    side = rng.uniform(0.6, 0.95, count) * size
    angle = rng.uniform(-0.25, 0.25, count)
    slant = rng.uniform(-0.2, 0.2, count)
    center = (size - 1) / 2 + rng.uniform(-0.5, 0.5, (2, count)) * (size - side)

    grid = np.arange(size)
    down = grid[None, :, None] - center[0][:, None, None]
    right = grid[None, None, :] - center[1][:, None, None]
    cos, sin, slant, scale = (a[:, None, None] for a in (np.cos(angle), np.sin(angle), slant, 8 / side))
    rows = (cos * down - sin * right) * scale
    columns = (sin * down + cos * right) * scale + slant * rows

    # A bitmap of 8 x 8 gets an empty border, and smooth outlines from a cubic spline.
    padded = np.pad(bitmaps, ((0, 0), (1, 1), (1, 1)))
    spline = zoom(np.eye(10), (_ZOOM, 1), order=3, mode="grid-constant", grid_mode=True)
    fine = spline @ padded @ spline.T
    image = np.broadcast_to(np.arange(count)[:, None, None], rows.shape)
    coordinates = np.stack([image, (rows + 5) * _ZOOM - 0.5, (columns + 5) * _ZOOM - 0.5])
    ink = map_coordinates(fine, coordinates, order=1, mode="constant")
    alpha = np.clip((ink - 0.35) / 0.25, 0, 1)
    return alpha, (np.abs(rows) < 4) & (np.abs(columns) < 4)


def _draw_textures(photographs: list[Array], count: int, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two crops (N, 3, size, size) for each image, of two different photographs, mirrored and tinted at random."""
    first = rng.integers(len(photographs), size=count)
    second = (first + rng.integers(1, len(photographs), size=count)) % len(photographs)
    crops = []
    for chosen in (first, second):
        crop = np.empty((count, 3, size, size))
        for number, photograph in enumerate(photographs):
            where = np.flatnonzero(chosen == number)
            if size > min(photograph.shape[:2]):
                margin = [(0, max(0, size - side)) for side in photograph.shape[:2]]
                photograph = np.pad(photograph, (*margin, (0, 0)), mode="reflect")
            windows = sliding_window_view(photograph, (size, size), axis=(0, 1))
            crop[where] = windows[
                rng.integers(windows.shape[0], size=len(where)), rng.integers(windows.shape[1], size=len(where))
            ]
        mirrored = rng.random(count) < 0.5
        crop[mirrored] = crop[mirrored, :, :, ::-1]
        crops.append(crop * rng.uniform(0.75, 1.25, (count, 3, 1, 1)))
    return crops[0], crops[1]


def _composite(
    background: Array, fill: Array, alpha: Array, box: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Array:
    """Images (N, 3, size, size): ``background``, and where ``alpha`` the ``fill``, made lighter or darker than it."""
    count = len(alpha)
    background = _limit_contrast(background, 0.14)
    fill = _limit_contrast(fill, 0.08)
    level = _mean_luminance(background, box)
    contrast = rng.uniform(0.3, 0.55, count)
    lighter = np.where(np.abs(level - 0.5) < 0.15, rng.random(count) < 0.5, level < 0.5)
    wanted = np.clip(level + np.where(lighter, contrast, -contrast), 0.1, 0.9)
    shift = wanted - _mean_luminance(fill, alpha)
    chroma = rng.uniform(-0.15, 0.15, (count, 3))
    chroma -= chroma @ _LUMINANCE[:, None]
    fill = fill + (shift[:, None] + chroma)[:, :, None, None]
    mixed = background + alpha[:, None] * (fill - background)
    # float64 rounded to 256 levels: the last bits of a sum, which differ between machines, leave no trace.
    return np.asarray(np.rint(np.clip(mixed, 0, 1) * 255) / 255)


def _luminance(images: Array) -> Array:
    return np.asarray(np.tensordot(images, _LUMINANCE, axes=(1, 0)))


def _mean_luminance(images: Array, weights: npt.NDArray[np.float64 | np.bool_]) -> Array:
    """Mean luminance (N,) of images (N, 3, H, W) under weights (N, H, W)."""
    total = weights.sum(axis=(1, 2))
    return np.asarray((_luminance(images) * weights).sum(axis=(1, 2)) / total)


def _limit_contrast(images: Array, deviation: float) -> Array:
    """Pull images toward their mean colors until their luminance deviates by at most ``deviation``."""
    mean = images.mean(axis=(2, 3), keepdims=True)
    spread = _luminance(images).std(axis=(1, 2))
    gain = np.minimum(1, deviation / np.maximum(spread, 1e-6))
    return np.asarray(mean + (images - mean) * gain[:, None, None, None])
