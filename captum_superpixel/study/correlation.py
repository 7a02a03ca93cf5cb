"""What variance over networks the mean over a segment should leave, from the correlation of pixels a step apart.

Over networks, the mean over a segment of n pixels has the variance ``(1 + (n - 1) r) / n`` of that of a pixel, r being
the mean correlation of two of its pixels; where pixels are independent, r is 0 and 1/n is left. For any maps this is an
identity if r is taken from the segments themselves. Here it is not: every pair of pixels counts with the mean over all
pairs of the image, whatever segments these lie in, that have the same displacement. What comes out is a prediction that
knows the segments' shape alone, and a measured variance may miss it: more is left where the pixels of a segment vary
together more than others that are as far apart, or where small segments lie on what varies most.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from captum_superpixel._segment_sums import segment_sizes

__all__ = ["autocovariance", "pair_shares", "variance_left"]

_TOGETHER = 64
"""Segments whose pairs are counted at a time: in boxes as large as the largest of them, sorted by size before."""


def autocovariance(maps: Sequence[Tensor]) -> Tensor:
    """Average the covariance over networks of two values of a map, by the displacement between their pixels.

    Args:
        maps: One (N, C, H, W) per network, at least two.

    Returns:
        (N, H, 2W - 1) float64: at ``[:, y, W - 1 + x]`` the mean over all pairs of pixels, the second of which lies y
        rows below and x columns right of the first, of the covariance of their values, summed over channels. Half of
        all displacements, as that from the second pixel to the first is the same pair.

    Examples:
        >>> first = torch.tensor([[[[1.0, 1.0, 0.5]]]])
        >>> autocovariance([first, -first])  # variances 2, 2, 0.5; neighbors 2, 1; the first and the last 1
        tensor([[[1.0000, 1.5000, 1.5000, 1.5000, 1.0000]]], dtype=torch.float64)
    """
    height, width = maps[0].shape[-2:]
    size = 2 * height, 2 * width  # zeros around, so that nothing meets the other end of the map
    mean = torch.stack([each.double() for each in maps]).mean(dim=0)
    power = torch.zeros((), dtype=torch.float64, device=mean.device)
    for each in maps:
        power = power + torch.fft.rfft2(each.double() - mean, s=size).abs().square().sum(dim=1)
    sums = _half(torch.fft.irfft2(power, s=size)) / (len(maps) - 1)
    columns = torch.arange(1 - width, width, device=sums.device)
    pairs = (height - torch.arange(height, device=sums.device))[:, None] * (width - columns.abs())
    return sums / pairs


def pair_shares(mask: Tensor) -> Tensor:
    """Count what pairs of pixels are averaged over in segments, by the displacement between them.

    Args:
        mask: (N, 1, H, W) int64, of segments 0 to K - 1.

    Returns:
        (N, H, 2W - 1) float64, in the order of :func:`autocovariance`: the number of pairs of pixels of a common
        segment, each divided by the number of pixels of that. A pair counts twice, as it is one in both directions, and
        a pixel with itself once, so that the sum is the number of pixels.

    Examples:
        >>> pair_shares(torch.tensor([[[[0, 0, 1]]]]))  # two pixels with themselves in halves, one in whole
        tensor([[[0.0000, 0.5000, 2.0000, 0.5000, 0.0000]]], dtype=torch.float64)
    """
    same_for_all = len(mask) > 1 and bool((mask == mask[:1]).all())
    shares = [_pair_shares(labels) for labels in (mask[:1, 0] if same_for_all else mask[:, 0])]
    return torch.stack(shares).expand(len(mask), -1, -1)


def _pair_shares(labels: Tensor) -> Tensor:
    """Those of one image: labels (H, W) to (H, 2W - 1)."""
    height, width = labels.shape
    rows, columns = torch.meshgrid(*(torch.arange(side, device=labels.device) for side in labels.shape), indexing="ij")
    (rows, tall), (columns, wide) = (_inside(places, labels) for places in (rows, columns))
    sizes = segment_sizes(labels.flatten(), len(tall))
    by_area = (tall * wide).argsort()
    pixels = by_area.argsort()[labels.flatten()].argsort()
    done = 0
    shares = torch.zeros(height, 2 * width - 1, dtype=torch.float64, device=labels.device)
    # The pairs of a segment are the autocorrelation of its shape: of segments of like extent together.
    for segments in torch.split(by_area, _TOGETHER):
        box = int(tall[segments].max()), int(wide[segments].max())
        own = pixels[done : done + int(sizes[segments].sum())]
        done += len(own)
        number = torch.arange(len(segments), device=labels.device).repeat_interleave(sizes[segments])
        shapes = torch.zeros(len(segments), *box, dtype=torch.float64, device=labels.device)
        shapes[number, rows[own], columns[own]] = 1
        size = 2 * box[0], 2 * box[1]
        power = torch.fft.rfft2(shapes, s=size).abs().square() / sizes[segments, None, None]
        shares[: box[0], width - box[1] : width + box[1] - 1] += _half(torch.fft.irfft2(power.sum(dim=0), s=size))
    shares[1:] *= 2
    return shares


def _inside(places: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows or columns (H * W,), counted from the first of the segment, and (K,) how many each segment reaches over."""
    places, labels = places.flatten(), labels.flatten()
    ends = places.new_zeros(int(labels.max()) + 1)
    first, last = (ends.scatter_reduce(0, labels, places, end, include_self=False) for end in ("amin", "amax"))
    return places - first[labels], last - first + 1


def _half(sums: Tensor) -> Tensor:
    """Bring displacements of FFTs (…, 2H, 2W) in order: down from 0, and across from the left to the right."""
    height, width = sums.shape[-2] // 2, sums.shape[-1] // 2
    return torch.cat([sums[..., :height, width + 1 :], sums[..., :height, :width]], dim=-1)


def variance_left(covariance: Tensor, shares: Tensor) -> Tensor:
    """Predict the variance over networks of maps that are averaged over segments, summed over their elements.

    Args:
        covariance: (N, H, 2W - 1) of the maps, from :func:`autocovariance`.
        shares: (N, H, 2W - 1) of the segments, from :func:`pair_shares`.

    Returns:
        (N,) float64. That of pixel maps is the number of pixels times the covariance without displacement.
    """
    return (covariance * shares).flatten(1).sum(dim=1)
