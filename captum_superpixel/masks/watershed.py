"""Watershed segments by scikit-image: basins of the color gradient, connected, and as many as asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import checked_choice, checked_number
from captum_superpixel._untyped import gaussian, label, local_minima, regular_grid, rgb2gray, sobel, watershed
from captum_superpixel.masks._components import has_specks, merge_smallest
from captum_superpixel.masks._skimage import PooledMaskGenerator, label_connected, to_features
from captum_superpixel.masks.base import CountedMaskGenerator


@dataclass(frozen=True, repr=False)
class Watershed(CountedMaskGenerator, PooledMaskGenerator):
    """Basins of the color gradient, by ``skimage.segmentation.watershed``, merged to the number asked for.

    Segments are connected and follow edges rather than a grid, and there are exactly ``n_segments`` of them but for
    images of one color, which are one segment; none is smaller than a tenth of the mean, unless the image leaves no
    choice. Images ``(N, C, H, W)`` only.

    Args:
        n_segments: The number of segments for each image, at least 1 and at most its number of pixels.
        sigma: Standard deviation, in pixels, of a Gaussian blur before the gradient is taken; 0 for none.
        compactness: The weight, 0 or more, of the distance to a basin's marker, in pixels, against the gradient. Above
            0 basins grow around pixels on a grid (compact watershed): the larger, the squarer they are.
        plain: Whether segments are those of ``skimage.segmentation.watershed(sobel(gray image), markers=n_segments,
            compactness=compactness)``, as its gallery has them, without anything else that is described here: about as
            many as asked for, some of them specks.
        denormalize: ``(mean, std)`` of the model's preprocessing; see Notes.
        channel_order: ``"rgb"`` or ``"bgr"``, for inputs with three channels.
        num_threads: How many threads segment a batch; None for as many as there are cores.

    Notes:
        The gradient is the Euclidean norm of the Sobel gradients of the CIELAB channels. It is flooded from its local
        minima; the basins are merged until ``n_segments`` are left, the smallest first, each into the neighbor of the
        nearest mean color. Where there are too few minima (small or smooth images), or so few that a segment stays
        smaller than a tenth of the mean, a regular grid of more pixels than segments is flooded from as well. Flooding
        from ``n_segments`` pixels on a grid, as scikit-image does when it is given their number, follows the colors
        less: 100 segments at 224 pixels a side explain .54 of their variance against .74 here.

        With a compactness, it is flooded from a regular grid of at least ``n_segments`` pixels alone, and what is too
        much is merged likewise. The gradient is of a lightness from 0 to 100, and with ``plain`` of a gray from 0 to 1:
        a hundredth of the compactness has about the same effect there.

        With ``denormalize=(mean, std)`` pixels are ``x * std + mean`` clipped to [0, 1], else each image is scaled to
        [0, 1] by its own minimum and maximum, outliers clipped. One channel is gray and segmented like the color image
        with three such channels; channels that are not colors are compared as they are.

    References:
        Beucher and Meyer, "The Morphological Approach to Segmentation: The Watershed Transformation", in
        Mathematical Morphology in Image Processing, 1993, https://doi.org/10.1201/9781482277234-12

        Neubert and Protzel, "Compact Watershed and Preemptive SLIC: On Improving Trade-offs of Superpixel Segmentation
        Algorithms", ICPR 2014, https://doi.org/10.1109/ICPR.2014.181

    Examples:
        >>> import torch
        >>> images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> [len(mask.unique()) for mask in Watershed(n_segments=20)(images)]
        [20, 20]
    """

    sigma: float = 0.0
    compactness: float = 0.0
    plain: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "sigma", checked_number("sigma", self.sigma))
        object.__setattr__(self, "compactness", checked_number("compactness", self.compactness))
        checked_choice("plain", self.plain, (False, True))

    def _label_valid(self, image: Tensor, valid: Tensor) -> Tensor:
        return super()._label_valid(image, valid) if self.plain else label_connected(self, image, valid)

    def segment(self, image: NDArray[np.float32]) -> NDArray[np.integer]:
        """Segment one image.

        Args:
            image: Shape ``(H, W, C)``, in [0, 1].

        Returns:
            Labels of shape ``(H, W)``.
        """
        if self.plain:
            gray = rgb2gray(image)[..., None] if image.shape[-1] == 3 else image
            return watershed(self._gradient(gray), self.n_segments, compactness=self.compactness) - 1
        features = to_features(image)
        gradient = self._gradient(features)
        least = self.n_segments
        while True:
            markers = _markers_on_grid(gradient.shape, least) if self.compactness else _markers(gradient, least)
            basins = watershed(gradient, markers, compactness=self.compactness) - 1
            components = torch.from_numpy(basins.astype(np.int64))
            segments = merge_smallest(components, torch.from_numpy(features), self.n_segments)
            if least == gradient.size or not has_specks(segments, self.n_segments):
                return segments.numpy()
            least = min(gradient.size, int(components.max()) + 1 + (least + 1) // 2)

    def _gradient(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """The norm ``(H, W)`` of the gradients of all channels of ``(H, W, F)``."""
        smooth = gaussian(features, sigma=self.sigma, channel_axis=-1) if self.sigma else features
        first, *others = (sobel(channel) for channel in np.moveaxis(smooth, -1, 0))
        # Of a single channel the gradient itself, which a root of its square may miss by a bit.
        return np.sqrt(sum(map(np.square, others), np.square(first))) if others else first


def _markers(gradient: NDArray[np.floating], least: int) -> NDArray[np.integer]:
    """Number the local minima of the gradient ``(H, W)``; where they are too few, also pixels on a regular grid.

    Grid pixels take the place of the minima that they lie in, so that wide plateaus are divided too.
    """
    minima = label(local_minima(gradient, connectivity=1), connectivity=1)
    markers, asked = minima, 4 * least
    while markers.max() < least:
        seeds = np.zeros(gradient.shape, dtype=bool)
        seeds[regular_grid(gradient.shape, asked)] = True
        markers = np.where(np.isin(minima, minima[seeds]), 0, minima)
        markers[seeds] = minima.max() + 1 + np.arange(np.count_nonzero(seeds))
        used = np.bincount(markers.ravel()) > 0
        used[0] = False
        markers = np.asarray(np.cumsum(used), dtype=np.int64)[markers]
        asked = asked + (asked + 1) // 2
    return markers


def _markers_on_grid(shape: tuple[int, ...], least: int) -> NDArray[np.integer]:
    """Number the pixels of the coarsest regular grid that has as many."""
    markers, asked = np.zeros(shape, dtype=np.int64), least
    while markers[regular_grid(shape, asked)].size < least:
        asked += 1
    seeds = regular_grid(shape, asked)
    markers[seeds] = 1 + np.arange(markers[seeds].size).reshape(markers[seeds].shape)
    return markers
