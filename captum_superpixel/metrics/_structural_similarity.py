"""Structural similarity of pairs of images, many of them in one pass of each filter."""

from __future__ import annotations

import math

import numpy as np

from captum_superpixel._untyped import Floats, gaussian_filter

__all__ = ["TRUNCATE", "structural_similarities"]

TRUNCATE = 3.5
"""Standard deviations at which the Gaussian window ends, as in scikit-image."""

_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2
"""What keeps the two ratios from a division by zero, for images in [0, 1]."""

_PIXELS_AT_ONCE = 2**14
"""Pixels of the images that are filtered together: more of small ones, so that a call of SciPy is worth it, but no more
than fit the caches of a processor together with their squares and products."""


def structural_similarities(first: Floats, second: Floats, sigma: float) -> Floats:
    """Mean structural similarity of each pair of images, over the windows that lie inside.

    Args:
        first: Images ``(N, H, W)`` or volumes ``(N, D, H, W)`` float64 in [0, 1], no smaller than the window.
        second: As many, of the same size.
        sigma: Standard deviation of the Gaussian weights, in pixels.

    Returns:
        ``(N,)`` float64, that of scikit-image with ``gaussian_weights=True, use_sample_covariance=False,
        data_range=1`` up to rounding; exactly 1 for equal images.

    References:
        Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE Transactions on
        Image Processing 13(4), 2004, https://doi.org/10.1109/TIP.2003.819861.

    Examples:
        >>> rows = np.linspace(0, 1, 12 * 12).reshape(1, 12, 12)
        >>> structural_similarities(rows, rows, 1.5).tolist()
        [1.0]
    """
    at_once = max(1, _PIXELS_AT_ONCE // math.prod(first.shape[1:]))
    pairs = (
        (first[start : start + at_once], second[start : start + at_once]) for start in range(0, len(first), at_once)
    )
    return np.concatenate([_similarities(a, b, sigma) for a, b in pairs])


def _similarities(a: Floats, b: Floats, sigma: float) -> Floats:
    # The variances are only needed for their sum: four filters in place of five.
    moments = np.stack([a, b, a * a + b * b, a * b])
    radius, spatial = int(TRUNCATE * sigma + 0.5), tuple(range(2, moments.ndim))
    filtered = gaussian_filter(moments, sigma, truncate=TRUNCATE, mode="reflect", axes=spatial)
    inside = slice(radius, -radius)
    mean_a, mean_b, squares, products = filtered[:, :, *(inside for _ in spatial)]
    means, square_means = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    above = (2 * means + _LUMINANCE) * (2 * (products - means) + _CONTRAST)
    below = (square_means + _LUMINANCE) * (squares - square_means + _CONTRAST)
    similarities: Floats = (above / below).mean(axis=tuple(range(1, a.ndim)))
    return similarities
