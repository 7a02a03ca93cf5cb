"""SLIC super-pixels for whole batches, on the device of the images."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from captum_superpixel.masks.base import CountedMaskGenerator
from captum_superpixel.masks.cells import choose_cells, make_cells
from captum_superpixel.masks.clustering import Clustering
from captum_superpixel.masks.connectivity import connect
from captum_superpixel.masks.parallel import for_each, undivided_operations
from captum_superpixel.masks.validation import checked_integer, checked_number

_CELLS = 0.8
"""Cells for each segment that is asked for: the other segments are pieces that k-means cuts off."""

_ENOUGH = 0.9
"""The share of ``n_segments`` below which an image is segmented again from more cells."""

_DETAIL = 32
"""How many blocks of pixels wide a segment has to stay, for its borders to be as good as those between pixels."""

_PIXELS_AT_ONCE = {"cpu": (110_000, 220_000)}
"""How many pixels are compared with centres at the same time, and segmented at the same time, where caches count."""

_MANY_PIXELS_AT_ONCE = (4_000_000, 4_000_000)


@dataclass(frozen=True, repr=False)
class Slic(CountedMaskGenerator):
    """SLIC: k-means on colour and place, for a batch of images ``(N, C, H, W)`` at once, where the batch is.

    Segments are connected. There are ``n_segments`` of them, or up to a tenth fewer in images in which k-means finds no
    more; images of one colour are one segment. On the CPU an image gets the same mask in any batch, in any order and
    with any number of threads, bit for bit.

    Args:
        n_segments: The number of segments for each image, at least 1 and at most its number of pixels.
        compactness: The weight of place against colour, above 0; the larger, the squarer. It relates to CIELAB, where
            lightness runs from 0 to 100; channels that are not colours are put on the same range.
        max_num_iter: The number of k-means iterations.
        denormalize: ``(mean, std)`` of the model's preprocessing, so that pixels are ``x * std + mean``, clipped to
            [0, 1]; with None each image is scaled to [0, 1] by its own minimum and maximum.
        channel_order: ``"rgb"`` or ``"bgr"``, for inputs with three channels.

    Notes:
        One channel is grey and segmented like the colour image with three such channels.

        The image is cut into somewhat fewer cells than segments are asked for, a cluster each. Pixels are compared with
        the centres of the 3x3 cells around their own (in the paper, with all centres closer than twice the size of a
        segment). Centres move on a sample of about 8x8 pixels a cell; every pixel is assigned to one once, in the end.
        In cells of 12 pixels and more, pixels are averaged with their neighbours first, by the weights 1, 2, 1.

        The paper makes clusters connected by giving pieces smaller than a quarter of a segment to any neighbour, which
        loses segments. Here the ``n_segments`` largest connected pieces stay, and the others go to the neighbour of the
        nearest colour. Pieces are labelled by scikit-image, on CUDA by torch, where nothing but a few counts leaves
        the device; on other devices (MPS) 4 bytes a pixel go to the CPU for it, and 8 come back.

        Colours, places and centres are rounded to whole numbers, about 0.07 of a CIELAB unit, so that no sum depends on
        the order of its terms.

    References:
        Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", IEEE TPAMI 34(11), 2012,
        https://doi.org/10.1109/TPAMI.2012.120

    Examples:
        >>> images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> feature_mask = Slic(n_segments=20)(images)
        >>> feature_mask.shape, [len(mask.unique()) for mask in feature_mask]
        (torch.Size([2, 1, 32, 32]), [20, 20])
    """

    compactness: float = 10.0
    max_num_iter: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "compactness", checked_number("compactness", self.compactness, exclusive=True))
        object.__setattr__(self, "max_num_iter", checked_integer("max_num_iter", self.max_num_iter))

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            inputs: Images of shape ``(N, C, H, W)``, of any real dtype, finite.

        Returns:
            A feature mask ``(N, 1, H, W)``, int64, on the device of the inputs.

        Raises:
            TypeError: If the inputs are not a tensor of real numbers.
            ValueError: If their shape is not that of a batch of images, nothing is in them, an image has fewer than
                ``n_segments`` pixels, or a pixel is not finite.
        """
        with _cores(inputs) as threads:
            self.check_inputs(inputs)
            # Scaled part by part, and not by the base class: the scaled batch would take memory, and one core's time.
            return self._segment_parts(inputs, lambda part: self.scale_pixels(inputs[part]), threads)

    @torch.no_grad()
    def segment_scaled(self, images: Tensor, flat: Tensor) -> Tensor:
        """Segment scaled images ``(N, C, H, W)`` into a feature mask ``(N, 1, H, W)``; see the base class."""
        with _cores(images) as threads:
            return self._segment_parts(images, lambda part: (images[part], flat[part]), threads)

    def _segment_parts(self, images: Tensor, scale: Callable[[slice], tuple[Tensor, Tensor]], threads: int) -> Tensor:
        """Segment images ``(N, C, H, W)``, of which ``scale`` gives some and which of them are flat, into a mask."""
        count, _, height, width = images.shape
        mask = torch.zeros(count, 1, height, width, dtype=torch.int64, device=images.device)
        if self.n_segments > 1:
            at_once = max(1, _pixels_at_once(images.device)[1] // (height * width))
            at_once = min(at_once, math.ceil(count / threads))
            parts = [slice(first, first + at_once) for first in range(0, count, at_once)]
            for_each(lambda part: self._fill(mask[part], *scale(part)), parts, threads)
        return mask

    def _fill(self, mask: Tensor, images: Tensor, flat: Tensor) -> None:
        """Write the segments of scaled images ``(N, C, H, W)`` into a mask ``(N, 1, H, W)`` of zeros."""
        if images.shape[1] == 1:
            images = images.expand(-1, 3, -1, -1)
        uneven = slice(None) if not flat.any() else ~flat
        with _full_precision(images.device):
            if not flat.all():
                mask[uneven, 0] = self._segment(images[uneven])

    def _segment(self, images: Tensor) -> Tensor:
        """Segment scaled images ``(N, C, H, W)``: ``(N, H, W)``."""
        height, width = images.shape[2:]
        factor = _shrink_factor(math.sqrt(height * width / self.n_segments))
        if factor == 1:
            return self._segment_pixels(images, _CELLS * self.n_segments)
        blocks = self._segment_pixels(_shrink(images, factor), _CELLS * self.n_segments)
        return blocks.repeat_interleave(factor, 1)[:, :height].repeat_interleave(factor, 2)[..., :width]

    def _segment_pixels(self, images: Tensor, n_cells: float) -> Tensor:
        """Segment images from about so many cells, or more for those in which these leave too few pieces."""
        channels, height, width = images.shape[1:]
        shape = choose_cells(height, width, n_cells)
        grid = make_cells(height, width, shape, channels, self.compactness, images.device)
        pixels_at_once = _pixels_at_once(images.device)[0]
        clusters, centres = Clustering(grid, iterations=self.max_num_iter, pixels_at_once=pixels_at_once)(images)
        segments, found = connect(clusters, centres[..., :channels], self.n_segments)
        too_few = found < _ENOUGH * self.n_segments
        if math.prod(shape) < height * width and too_few.any():
            segments[too_few] = self._segment_pixels(images[too_few], 1.3 * n_cells)
        return segments


def _shrink_factor(side: float) -> int:
    """Say how many pixels wide the blocks are that are treated as one, where a segment is ``side`` pixels wide."""
    return 1 << max(0, math.floor(math.log2(side / _DETAIL)))


def _shrink(images: Tensor, factor: int) -> Tensor:
    """Average blocks of ``factor`` x ``factor`` pixels, a power of two; at the far edges the last pixels repeat."""
    while factor > 1:
        images = pad(images, (0, images.shape[3] % 2, 0, images.shape[2] % 2), mode="replicate")
        images = images[:, :, ::2] + images[:, :, 1::2]
        images = (images[..., ::2] + images[..., 1::2]).mul_(0.25)
        factor //= 2
    return images


def _cores(images: object) -> contextlib.AbstractContextManager[int]:
    """Give the number of threads to divide images over, which on the CPU then do not divide their work further."""
    on_cpu = isinstance(images, Tensor) and images.device.type == "cpu"
    return undivided_operations() if on_cpu else contextlib.nullcontext(1)


def _pixels_at_once(device: torch.device) -> tuple[int, int]:
    return _PIXELS_AT_ONCE.get(device.type, _MANY_PIXELS_AT_ONCE)


def _full_precision(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Keep autocast from rounding the factors of the clustering to 8 bits."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return contextlib.nullcontext()
