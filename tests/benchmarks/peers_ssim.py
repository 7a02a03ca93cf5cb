"""Structural similarity of magnitudes beside scikit-image and TorchMetrics, scaled as a user of these would scale."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from peers_timing import OURS, Call, Case, find_peer
from skimage.metrics import structural_similarity
from torch import Tensor

from captum_superpixel.metrics import ssim

TITLE = "SSIM of the magnitudes of pairs of maps with three channels"

_SIZES = ((32, 1), (32, 16), (32, 256), (224, 1), (224, 16), (512, 4))


def cases(quick: bool) -> Iterator[Case]:
    """Compare pairs of maps; scikit-image alone is given what is scaled already."""
    images = find_peer("torchmetrics.functional.image", "torchmetrics lightning-utilities")
    for size, count in _SIZES[: 2 if quick else None]:
        generator = torch.Generator().manual_seed(0)
        a = torch.randn(count, 3, size, size, generator=generator)
        b = 0.7 * a + torch.randn(count, 3, size, size, generator=generator)
        scaled = [_scale_by_numpy(each.numpy()) for maps in (a, b) for each in maps]
        calls: dict[str, Call] = {OURS: partial(ssim, a, b)}
        calls["scikit-image, scaling by NumPy"] = partial(_by_scikit_image, a.numpy(), b.numpy())
        calls["scikit-image, nothing to scale"] = partial(_similar, scaled[:count], scaled[count:])
        if images is not None:
            similar = partial(images.structural_similarity_index_measure, data_range=1.0, reduction="none")
            calls["TorchMetrics, float32"] = partial(_by_torchmetrics, similar, a, b)
        yield Case(f"{count} of {size} x {size}", calls)


def _scale_by_numpy(array: Any) -> Any:
    magnitudes = np.abs(array.astype(np.float64)).sum(axis=0)
    low, high = magnitudes.min(), np.percentile(magnitudes, 99)
    return (np.minimum(magnitudes, high) - low) / (high - low)


def _similar(first: Any, second: Any) -> object:
    options = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return [structural_similarity(a, b, **options) for a, b in zip(first, second, strict=True)]


def _by_scikit_image(first: Any, second: Any) -> object:
    return _similar(map(_scale_by_numpy, first), map(_scale_by_numpy, second))


def _scale_by_torch(maps: Tensor) -> Tensor:
    magnitudes = maps.abs().sum(dim=1, keepdim=True)
    low = magnitudes.amin(dim=(1, 2, 3), keepdim=True)
    high = torch.quantile(magnitudes.flatten(1), 0.99, dim=1).view(-1, 1, 1, 1)
    return (magnitudes.minimum(high) - low) / (high - low)


def _by_torchmetrics(similar: Any, first: Tensor, second: Tensor) -> object:
    return similar(_scale_by_torch(first), _scale_by_torch(second))
