"""Complexity: over how much of the image a map is spread, and of how few values it consists."""

from __future__ import annotations

import torch
from torch import Tensor

from captum_superpixel._checks import checked_share
from captum_superpixel._segment_sums import segment_sums
from captum_superpixel.feature_masks import MaskLike, check_feature_mask, rank_rows, repeat_for_batch
from captum_superpixel.metrics._maps import IMAGES, VOLUMES, check_maps, magnitudes

__all__ = ["effective_regions", "entropy"]

_ROUNDING = 4 * torch.finfo(torch.float32).eps
"""A share that is missed by this part of itself is reached: what is equal differs by rounding once it is added up."""


def entropy(attributions: Tensor) -> Tensor:
    r"""Entropy of the shares that the pixels have of a map's magnitude.

    .. math:: -\sum_i p_i \ln p_i, \qquad p_i = m_i / \sum_j m_j, \quad m_i = \sum_c |a_{ci}|.

    Args:
        attributions: Maps of images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, of any real dtype.

    Returns:
        Tensor of shape ``(N,)`` float64 (float32 on a device without float64), in nats: from 0, all on one pixel, to
        the logarithm of the number of pixels, a constant map; lower is less complex in the sense of Bhatt et al. NaN
        for an all-zero map, which has no shares.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers.
        ValueError: If they have another shape, hold nothing, or scores are NaN or infinite.

    Notes:
        ``entropy(a).exp()`` is the number of pixels over which an even map of the same entropy would spread. Entropy
        knows how widely a map is spread, not of how many numbers it is made: averaging magnitudes within segments
        never lowers it, and a constant map, which is one number, has the highest. For that see
        :func:`effective_regions`.

    References:
        Bhatt, Weller, Moura, "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020,
        arXiv:2005.00631, definition 4 (complexity).

    Examples:
        >>> entropy(torch.tensor([[[[0.0, -7.0, 0.0, 0.0]]], [[[1.0, -1.0, 1.0, 1.0]]]])).exp()
        tensor([1., 4.], dtype=torch.float64)
    """
    pixels = magnitudes(check_maps("attributions", attributions, IMAGES, VOLUMES)).flatten(1)
    shares = _relative(pixels)
    shares = shares / shares.sum(dim=1, keepdim=True)
    # x ln x is 0 at 0, which entr knows.
    terms: Tensor = torch.special.entr(shares)
    return terms.sum(dim=1)


def effective_regions(attributions: Tensor, feature_mask: MaskLike | None = None, *, share: float = 0.9) -> Tensor:
    """Count the fewest regions that hold a given share of a map's magnitude.

    The magnitude of a region is the sum of ``|a|`` over its pixels and channels. Without a mask the regions are the
    map's own: all pixels of equal magnitude are one. So a map that consists of few values, such as one that was
    averaged within few segments, is recognized, however much of the image it covers.

    Args:
        attributions: Maps of images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, of any real dtype.
        feature_mask: None: the pixels of each magnitude are a region. Integer ids ``(1 or N, 1, *spatial)``,
            ``(*spatial)`` for all images or ``(N, *spatial)``, as tensor or NumPy array: the segments are. To count
            pixels, give each an id of its own: ``torch.arange(H * W).reshape(H, W)``.
        share: The share of the magnitude, above 0 and at most 1.

    Returns:
        Tensor of shape ``(N,)`` float64 (float32 on a device without float64): whole numbers from 1 to the number of
        regions; lower is less complex. NaN for an all-zero map, of which nothing is held.

    Raises:
        TypeError: If the attributions are not a tensor of real numbers, the mask not one of integers, or the share is
            no number.
        ValueError: If shapes do not fit, scores are NaN or infinite, or the share is out of range.

    Notes:
        Without a mask, magnitudes that agree to float32's precision are equal. The regions of a map that was averaged
        over an ensemble are the intersections of the ensemble's segments. A smooth map of few parameters, such as a
        Gaussian in the middle or a function of the color, has about as many values as pixels and is not recognized.

    Examples:
        A pixel that has it all, a map of two values, and one of four:

        >>> maps = torch.tensor([[[[0.0, 9.0, 0.0, 0.0]]], [[[2.0, 2.0, 1.0, 1.0]]], [[[4.0, 3.0, -2.0, 1.5]]]])
        >>> effective_regions(maps).tolist()
        [1.0, 2.0, 4.0]
        >>> effective_regions(maps, torch.tensor([[0, 0, 1, 1]])).tolist()
        [1.0, 2.0, 2.0]
    """
    share = checked_share("share", share, exclusive=True)
    maps = magnitudes(check_maps("attributions", attributions, IMAGES, VOLUMES))
    pixels = _relative(maps.flatten(1))
    if feature_mask is None:
        # The sums over channels of equal scores may differ in their last digits; in float32 they are equal again.
        labels = rank_rows(pixels.float())
    else:
        mask = repeat_for_batch(check_feature_mask(feature_mask, maps[:, None].shape), len(maps))
        labels = rank_rows(mask.to(maps.device).flatten(1))
    regions = segment_sums(pixels[:, None], labels[:, None], int(labels.max()) + 1)[:, 0]
    held = regions.sort(dim=1, descending=True).values.cumsum(dim=1)
    missing = held < share * (1 - _ROUNDING) * held[:, -1:]
    counts = (missing.sum(dim=1) + 1).to(pixels)
    return counts.masked_fill(pixels.isnan().any(dim=1), torch.nan)


def _relative(pixels: Tensor) -> Tensor:
    """Divide each row ``(N, L)`` by its largest value, lest sums of very small or large ones fail; NaN for all-zero."""
    return pixels / pixels.amax(dim=1, keepdim=True)
