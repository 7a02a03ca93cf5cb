"""Quickshift segments by scikit-image, with settings and a resolution that suit the image's size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captum_superpixel._checks import checked_integer, checked_number
from captum_superpixel._untyped import quickshift, resize
from captum_superpixel.masks._skimage import PooledMaskGenerator, to_features


@dataclass(frozen=True, repr=False)
class Quickshift(PooledMaskGenerator):
    """Modes of the density over color and position, by ``skimage.segmentation.quickshift``: the segments LIME uses.

    The number of segments follows the image: with the defaults, in the median of sixteen photographs, 40 at
    32 pixels a side and 120 from 224 pixels on. A segment may lie in several places. Images ``(N, C, H, W)`` only.

    Args:
        kernel_size: Standard deviation, in pixels, of the kernel that measures density, at least 1; the larger, the
            fewer segments. None for ``max(1, (H * W) ** 0.25 / 6)``.
        max_dist: The farthest that a pixel may be from the one it joins, above 0, in pixels and in units of color
            times ``ratio``; the larger, the fewer segments. None for 7 times ``kernel_size``.
        ratio: The weight of color against position, 0 or more. It relates to CIELAB, where lightness runs from 0 to
            100; channels that are not colors are put on the same range.
        max_side: Images that have a longer side are reduced to this length, segmented, and their labels enlarged.
            The settings above, H and W among them, are then those of the reduced image.
        denormalize: ``(mean, std)`` of the model's preprocessing; see Notes.
        channel_order: ``"rgb"`` or ``"bgr"``, for inputs with three channels.
        num_threads: How many threads segment a batch; None for as many as there are cores.

    Notes:
        The time grows with the number of pixels times the square of ``kernel_size``: a tenth of a second for 224 pixels
        a side, and 15 s for 1024 pixels if it were not for ``max_side``. Borders in images above ``max_side`` are
        stairs of ``side / max_side`` pixels.

        With ``denormalize=(mean, std)`` pixels are ``x * std + mean`` clipped to [0, 1], else each image is scaled to
        [0, 1] by its own minimum and maximum, outliers clipped. One channel is gray and segmented like the color image
        with three such channels.

    References:
        Vedaldi and Soatto, "Quick Shift and Kernel Methods for Mode Seeking", ECCV 2008,
        https://doi.org/10.1007/978-3-540-88693-8_52

    Examples:
        >>> import torch
        >>> quarters = torch.tensor([[0.0, 0.3], [0.6, 1.0]]).kron(torch.ones(8, 8))
        >>> Quickshift()(quarters[None, None]).unique().tolist()
        [0, 1, 2, 3]
    """

    kernel_size: float | None = None
    max_dist: float | None = None
    ratio: float = 0.5
    max_side: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size is not None:
            object.__setattr__(self, "kernel_size", checked_number("kernel_size", self.kernel_size, minimum=1))
        if self.max_dist is not None:
            object.__setattr__(self, "max_dist", checked_number("max_dist", self.max_dist, exclusive=True))
        object.__setattr__(self, "ratio", checked_number("ratio", self.ratio))
        object.__setattr__(self, "max_side", checked_integer("max_side", self.max_side))

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.integer]:
        """Segment one image.

        Args:
            image: Shape ``(H, W, C)``, in [0, 1].

        Returns:
            Labels of shape ``(H, W)``.
        """
        height, width, _ = image.shape
        reduction = max(1.0, max(height, width) / self.max_side)
        size = (max(1, round(height / reduction)), max(1, round(width / reduction)))
        if size != (height, width):
            image = resize(image, size, order=1, anti_aliasing=True).astype(np.float32)
        kernel_size = max(1.0, math.prod(size) ** 0.25 / 6) if self.kernel_size is None else self.kernel_size
        labels = quickshift(
            to_features(image),
            kernel_size=kernel_size,
            max_dist=7 * kernel_size if self.max_dist is None else self.max_dist,
            ratio=self.ratio,
            convert2lab=False,
            rng=42,
            channel_axis=-1,
        )
        rows = np.arange(height) * size[0] // height
        columns = np.arange(width) * size[1] // width
        enlarged: NDArray[np.integer] = labels[rows[:, None], columns]
        return enlarged
