"""How alike two maps of the same image are: what the explanations of two networks, or of two runs, have in common."""

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from captum_superpixel._checks import checked_integer, checked_number
from captum_superpixel._float64 import widen, widest_float
from captum_superpixel._untyped import Floats, rankdata
from captum_superpixel.metrics._maps import check_alike, descending_ranks, magnitudes
from captum_superpixel.metrics._percentiles import percentile_of_rows
from captum_superpixel.metrics._structural_similarity import TRUNCATE, structural_similarities

__all__ = [
    "SIMILARITIES",
    "Similarity",
    "cosine_similarity",
    "rank_correlation",
    "ssim",
    "top_k_intersection",
    "top_k_iou",
]

Similarity: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From two batches of maps ``(N, C, *spatial)`` of the same images to one number per image, ``(N,)``, at most 1."""

_PIXELS_AT_ONCE = 2**18
"""Pixels of the maps that are scaled and compared together by ``ssim``: five maps of 224 x 224."""


def ssim(maps_a: Tensor, maps_b: Tensor, *, percentile: float = 99.0, sigma: float = 1.5) -> Tensor:
    r"""Structural similarity of the magnitudes of two maps, each scaled to [0, 1] as for display.

    With m the sum of :math:`|a|` over the channels, low its minimum and high its percentile (linear interpolation),

    .. math::
        s = \frac{\min(m, high) - low}{high - low}, \qquad
        \mathrm{SSIM} = \operatorname{mean} \frac{(2\mu_a\mu_b + c_1)(2\sigma_{ab} + c_2)}
        {(\mu_a^2 + \mu_b^2 + c_1)(\sigma_a^2 + \sigma_b^2 + c_2)},
        \quad c_1 = 0.01^2, \quad c_2 = 0.03^2,

    the means, variances and covariance of the two s being Gaussian-weighted in a window around each pixel whose
    window lies inside the image: scikit-image's ``structural_similarity`` with ``gaussian_weights=True``,
    ``use_sample_covariance=False``, ``data_range=1``, for all pairs at once.

    Args:
        maps_a: Real scores ``(N, C, H, W)`` or ``(N, C, D, H, W)`` of any real dtype. Each side is at
            least the window, 11 for the default sigma, in general ``2 * int(3.5 * sigma + 0.5) + 1``.
        maps_b: As many maps of the same images, of the same shape.
        percentile: Where the magnitudes are clipped, in (0, 100]; 100 clips nothing.
        sigma: Standard deviation of the Gaussian weights in pixels, above 0.

    Returns:
        Similarities ``(N,)`` float64 on the device of ``maps_a``: at most 1, which equal maps reach, and below 0
        where one map is high where the other is low.

    Raises:
        TypeError: If the maps are not tensors of real numbers.
        ValueError: If their shapes differ or they hold NaN or infinity, if the images are smaller than the window, or
            if ``percentile`` or ``sigma`` is out of its range.

    Notes:
        The sign of a score is without effect, and so is a positive factor on a map. A map without contrast becomes
        zeros: one that is all zero or constant, and also one whose percentile is its minimum, as when fewer than one
        pixel in a hundred differs from zero (raise ``percentile`` to keep them). Two such maps have similarity 1
        whatever their levels. Ties need no rule. Maps that are constant over segments look alike even if they are
        noise: compare with a null.

    References:
        Z. Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE Transactions
        on Image Processing 13(4), 2004, doi:10.1109/TIP.2003.819861. The scaling is that of the code of Z. Ye and
        F. Farnia, "Gaussian Smoothing in Saliency Maps: The Stability-Fidelity Trade-Off in Neural Network
        Interpretability", arXiv:2411.05837.

    Examples:
        >>> maps = torch.arange(256.0).reshape(1, 1, 16, 16)
        >>> ssim(maps, -2 * maps)
        tensor([1.], dtype=torch.float64)
        >>> bool(ssim(maps, maps.flip(2)) < 0)
        True
    """
    first, second = check_alike(maps_a, maps_b)
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile={percentile} is not in (0, 100]: pass 99 to clip the highest 1 % of the pixels")
    sigma = checked_number("sigma", sigma, exclusive=True)
    sides = first.shape[2:]
    window = 2 * int(TRUNCATE * sigma + 0.5) + 1
    if min(sides) < window:
        size, needed = (" x ".join(map(str, lengths)) for lengths in (sides, [window] * len(sides)))
        raise ValueError(
            f"the maps are {size} pixels, smaller than the window of {needed} that sigma={sigma} needs: pass larger "
            "maps or a smaller sigma"
        )
    # On a CPU a few images at a time, which takes no longer, and no more memory for many of them; from another device
    # all come in one copy.
    at_once = max(1, _PIXELS_AT_ONCE // math.prod(sides)) if first.device.type == "cpu" else len(first)
    parts = torch.split(first, at_once)
    pairs = zip(parts, torch.split(second, len(parts[0])), strict=True)
    values = [
        structural_similarities(scaled_magnitudes(a, percentile), scaled_magnitudes(b, percentile), sigma)
        for a, b in pairs
    ]
    return to_device(np.concatenate(values), first)


def top_k_intersection(maps_a: Tensor, maps_b: Tensor, k: float = 0.1) -> Tensor:
    r"""Share of the k most important pixels of one map that are among the k of the other.

    .. math:: |T_a \cap T_b| / k, \quad T \text{ the } k \text{ pixels of largest } \sum_c |a_c|.

    Args:
        maps_a: Real scores ``(N, C, H, W)`` or ``(N, C, D, H, W)`` of any real dtype.
        maps_b: As many maps of the same images, of the same shape.
        k: A share of the pixels, a float in (0, 1), rounded to a whole number of pixels (a half to the even one) and
            at least one; or a number of pixels, an int from 1 to that of all.

    Returns:
        Shares ``(N,)`` float64 on the device of ``maps_a``: from 0 to 1. Independent maps without ties share k / (HW)
        on average.

    Raises:
        TypeError: If the maps are not tensors of real numbers, or ``k`` is no number.
        ValueError: If their shapes differ, they hold NaN or infinity, or ``k`` is out of its range.

    Notes:
        Tied pixels, as in a segment, are taken together as long as there is room. Of the last tie, which may not fit,
        the first pixels in row-major order are taken, in both maps alike. So two maps that are all zero or constant
        agree perfectly, one with itself always does, and two maps whose last segment is the same take the same part of
        it, which is more than independent draws would share: for noise pooled over the superpixels of 32-pixel images
        the rule adds .02 to the intersection over union with 8 segments, .004 with 20, nothing with 70. A null pooled
        over the same segments holds as much. The sign of a score is without effect.

    References:
        Z. Ye and F. Farnia, arXiv:2411.05837, whose code takes the k largest signed elements, channels apart, and
        rounds down; A. Ghorbani, A. Abid and J. Zou, "Interpretation of Neural Networks Is Fragile",
        doi:10.1609/aaai.v33i01.33013681.

    Examples:
        >>> maps = torch.tensor([[[[5.0, -4.0, 1.0, 0.0]]]])
        >>> top_k_intersection(maps, torch.tensor([[[[5.0, 1.0, 4.0, 0.0]]]]), k=2)
        tensor([0.5000], dtype=torch.float64)
    """
    return _share_in_common(maps_a, maps_b, k)


def top_k_iou(maps_a: Tensor, maps_b: Tensor, k: float = 0.1) -> Tensor:
    r"""Intersection over union of the k most important pixels of two maps.

    .. math:: |T_a \cap T_b| / |T_a \cup T_b|, \quad T \text{ the } k \text{ pixels of largest } \sum_c |a_c|,

    which is s / (2 - s) for a share s in common (``top_k_intersection``).

    Args:
        maps_a: Real scores ``(N, C, H, W)`` or ``(N, C, D, H, W)`` of any real dtype.
        maps_b: As many maps of the same images, of the same shape.
        k: A share of the pixels in (0, 1), or a number of pixels, as in ``top_k_intersection``.

    Returns:
        Ratios ``(N,)`` float64 on the device of ``maps_a``: from 0 to 1.

    Raises:
        TypeError: If the maps are not tensors of real numbers, or ``k`` is no number.
        ValueError: If their shapes differ, they hold NaN or infinity, or ``k`` is out of its range.

    Notes:
        Ties, zeros and signs are treated as in ``top_k_intersection``: two constant maps have 1.

    References:
        Z. Ye and F. Farnia, arXiv:2411.05837, who call its mean over images the top-k mIoU.

    Examples:
        >>> maps = torch.tensor([[[[5.0, -4.0, 1.0, 0.0]]]])
        >>> top_k_iou(maps, torch.tensor([[[[5.0, 1.0, 4.0, 0.0]]]]), k=2)
        tensor([0.3333], dtype=torch.float64)
    """
    share = _share_in_common(maps_a, maps_b, k)
    return share / (2 - share)


def cosine_similarity(maps_a: Tensor, maps_b: Tensor) -> Tensor:
    r"""Cosine of the angle between two signed maps, over all channels and pixels.

    .. math:: \frac{\sum_{cp} a_{cp} b_{cp}}{\sqrt{\sum_{cp} a_{cp}^2 \sum_{cp} b_{cp}^2}}

    Args:
        maps_a: Real scores ``(N, C, H, W)`` or ``(N, C, D, H, W)`` of any real dtype.
        maps_b: As many maps of the same images, of the same shape.

    Returns:
        Cosines ``(N,)`` float64 on the device of ``maps_a``: from -1 (opposite) to 1 (equal up to a positive factor).

    Raises:
        TypeError: If the maps are not tensors of real numbers.
        ValueError: If their shapes differ, or they hold NaN or infinity.

    Notes:
        A map that is all zero has cosine 0 with every map, itself included. Nothing is centered: constant maps have 1
        or -1, and maps of one sign have at least 0. Ties need no rule.

    References:
        G. Salton, A. Wong and C. S. Yang, "A Vector Space Model for Automatic Indexing",
        doi:10.1145/361219.361220.

    Examples:
        >>> cosine_similarity(torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[-2.0, 0.0]]]]))
        tensor([-1.], dtype=torch.float64)
    """
    first, second = (unit_peak(widen(maps).flatten(1)) for maps in check_alike(maps_a, maps_b))
    norms = ((first * first).sum(dim=1) * (second * second).sum(dim=1)).sqrt()
    return ((first * second).sum(dim=1) / norms.where(norms > 0, 1)).clamp(-1, 1)


def rank_correlation(maps_a: Tensor, maps_b: Tensor) -> Tensor:
    r"""Spearman's rank correlation of the magnitudes of two maps.

    .. math::
        \rho = \frac{\sum_p (r_p - \bar r)(t_p - \bar r)}{\sqrt{\sum_p (r_p - \bar r)^2 \sum_p (t_p - \bar r)^2}},

    r and t being the ranks of :math:`\sum_c |a_c|` and :math:`\sum_c |b_c|` over the pixels p. Tied pixels get the
    average of their ranks (SciPy's), so the value is exact under ties.

    Args:
        maps_a: Real scores ``(N, C, H, W)`` or ``(N, C, D, H, W)`` of any real dtype.
        maps_b: As many maps of the same images, of the same shape.

    Returns:
        Correlations ``(N,)`` float64 on the device of ``maps_a``: from -1 (reverse order) to 1 (same order).

    Raises:
        TypeError: If the maps are not tensors of real numbers.
        ValueError: If their shapes differ, or they hold NaN or infinity.

    Notes:
        A map without an order, all zero or constant in magnitude, has correlation 0 with every map, itself included,
        where ``scipy.stats.spearmanr`` has NaN: nothing can be learned from it. The sign of a score is without effect.

    References:
        C. Spearman, "The Proof and Measurement of Association between Two Things", doi:10.2307/1412159.

    Examples:
        >>> maps = torch.tensor([[[[0.0, 1.0, -2.0, 3.0]]]])
        >>> rank_correlation(maps, maps**3)
        tensor([1.], dtype=torch.float64)
    """
    first, second = check_alike(maps_a, maps_b)
    ranks_a, ranks_b = (centered_ranks(maps) for maps in (first, second))
    products, squares_a, squares_b = (
        np.einsum("np,np->n", left, right)
        for left, right in ((ranks_a, ranks_b), (ranks_a, ranks_a), (ranks_b, ranks_b))
    )
    return to_device(correlation(products, squares_a, squares_b), first)


def top_pixels(scores: Tensor, k: float) -> Tensor:
    """Mark the k largest of the scores ``(N, P)`` in each row: boolean ``(N, P)``, earlier ones first where they tie.

    Examples:
        >>> top_pixels(torch.tensor([[1.0, 2.0, 3.0, 2.0]]), 2).int()
        tensor([[0, 1, 1, 0]], dtype=torch.int32)
    """
    return descending_ranks(scores) < _pixel_count(k, scores.shape[1])


def centered_ranks(maps: Tensor, channels: int = 1) -> Floats:
    """Rank the magnitudes of maps ``(N, C, *spatial)``: ``(N, pixels)``, ties averaged, less the mean rank.

    Of maps ``(N, M, C, *spatial)`` with ``channels=2`` it ranks ``(N, M, pixels)``.
    """
    scores = magnitudes(maps, channels).flatten(channels).cpu().numpy()
    ranks: Floats = rankdata(scores, axis=-1)
    # Multiples of 1/2, whose products add up without rounding for any usual size of image.
    ranks -= (ranks.shape[-1] + 1) / 2
    return ranks


def correlation(products: Floats, squares_a: Floats, squares_b: Floats) -> Floats:
    """Divide sums of products by the root of both sums of squares; 0 where one of those is 0."""
    norms = np.sqrt(squares_a * squares_b)  # one root of the product: equal ranks give exactly 1
    values: Floats = np.clip(products / np.where(norms > 0, norms, 1.0), -1.0, 1.0)
    return values


def unit_peak(rows: Tensor) -> Tensor:
    """Divide each of the rows ``(N, P)`` by its largest magnitude, so that no square overflows or vanishes."""
    peaks = rows.abs().amax(dim=1, keepdim=True)
    return rows / peaks.where(peaks > 0, 1)


def to_device(values: Floats, maps: Tensor) -> Tensor:
    """Bring an array to the device of the maps, as float64 if the device has it."""
    return torch.as_tensor(values, dtype=widest_float(maps.device), device=maps.device)


def scaled_magnitudes(maps: Tensor, percentile: float) -> Floats:
    """Clip the magnitudes of maps ``(N, C, *spatial)`` at a percentile and scale them to [0, 1], without channels."""
    scores = magnitudes(maps).cpu().numpy().astype(np.float64, copy=False)
    spatial = tuple(range(1, scores.ndim))
    low = scores.min(axis=spatial, keepdims=True)
    high = percentile_of_rows(scores.reshape(len(scores), -1), percentile).reshape(low.shape)
    span = high - low
    scaled: Floats = np.minimum(scores, high)
    scaled -= low
    scaled /= np.where(span > 0, span, 1.0)
    return scaled


def _share_in_common(maps_a: Tensor, maps_b: Tensor, k: float) -> Tensor:
    first, second = check_alike(maps_a, maps_b)
    top_a, top_b = (top_pixels(magnitudes(maps).flatten(1), k) for maps in (first, second))
    return widen((top_a & top_b).sum(dim=1)) / widen(top_a.sum(dim=1))


def _pixel_count(k: object, n_pixels: int) -> int:
    """Return how many of the pixels ``k`` asks for, a number of them or a share."""
    if isinstance(k, (float, np.floating)):
        if not 0 < k < 1:
            raise ValueError(f"k={k} is no share of the pixels in (0, 1): pass 0.1 for a tenth, or an int for a number")
        return max(1, round(float(k) * n_pixels))
    return checked_integer("k as a number of pixels", k, maximum=n_pixels)


SIMILARITIES: dict[str, Similarity] = {
    metric.__name__: metric for metric in (ssim, top_k_intersection, top_k_iou, cosine_similarity, rank_correlation)
}
"""The similarities of two batches of maps, by name: a new one is a function above and its name here."""
