"""Felzenszwalb and Huttenlocher's graph-based segments by scikit-image, with a scale that suits the image's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captum_superpixel._checks import checked_choice, checked_integer, checked_number
from captum_superpixel._untyped import felzenszwalb, rgb2lab
from captum_superpixel.masks._skimage import PooledMaskGenerator


@dataclass(frozen=True, repr=False)
class Felzenszwalb(PooledMaskGenerator):
    """Regions that grow where color varies little, by ``skimage.segmentation.felzenszwalb``.

    Segments are connected (diagonally too), their sizes vary widely, and their number follows the image: with the
    defaults, in the median of sixteen photographs, 45 at 32 pixels a side, 140 at 224 and 80 at 1024; in extreme ones a
    third of that or three times as many. Images ``(N, C, H, W)`` only.

    Args:
        scale: The larger, the larger the segments, above 0. As in the paper it relates to colors from 0 to 255, here
            to CIELAB with its lightness on that range. None for ``5 * (H * W) ** 0.25``.
        sigma: Standard deviation, in pixels, of a Gaussian blur beforehand; 0 for none.
        min_size: The least number of pixels per segment. None for a 1500th of the image, at least 4.
        plain: Whether colors are compared in RGB, as scikit-image does when it is given an image, and not in CIELAB.
        denormalize: ``(mean, std)`` of the model's preprocessing; see Notes.
        channel_order: ``"rgb"`` or ``"bgr"``, for inputs with three channels.
        num_threads: How many threads segment a batch; None for as many as there are cores.

    Notes:
        With ``denormalize=(mean, std)`` pixels are ``x * std + mean`` clipped to [0, 1], else each image is scaled to
        [0, 1] by its own minimum and maximum, outliers clipped. One channel is gray and segmented like the color image
        with three such channels; channels that are not colors are compared as they are, from 0 to 255. At the same
        number of segments, CIELAB and the RGB of the paper explain the same part of the colors' variance.

    References:
        Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation", IJCV 59(2), 2004,
        https://doi.org/10.1023/B:VISI.0000022288.19776.77

    Examples:
        >>> import torch
        >>> halves = torch.zeros(1, 3, 32, 32)
        >>> halves[..., 16:] = 1
        >>> Felzenszwalb(sigma=0)(halves).unique().tolist()
        [0, 1]
    """

    scale: float | None = None
    sigma: float = 0.8
    min_size: int | None = None
    plain: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale is not None:
            object.__setattr__(self, "scale", checked_number("scale", self.scale, exclusive=True))
        object.__setattr__(self, "sigma", checked_number("sigma", self.sigma))
        if self.min_size is not None:
            object.__setattr__(self, "min_size", checked_integer("min_size", self.min_size))
        checked_choice("plain", self.plain, (False, True))

    def expected_warning(self, channels: int) -> str:
        """scikit-image takes more than three channels for a mistake."""
        return "Got image with third dimension" if channels > 3 else ""

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.integer]:
        """Segment one image.

        Args:
            image: Shape ``(H, W, C)``, in [0, 1].

        Returns:
            Labels of shape ``(H, W)``.
        """
        pixels = image[..., 0].size
        return felzenszwalb(
            image if self.plain or image.shape[-1] != 3 else rgb2lab(image) / 100,
            scale=5 * pixels**0.25 if self.scale is None else self.scale,
            sigma=self.sigma,
            min_size=max(4, round(pixels / 1500)) if self.min_size is None else self.min_size,
            channel_axis=-1,
        )
