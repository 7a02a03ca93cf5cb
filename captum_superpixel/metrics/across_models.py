"""How much maps of the same images vary over several models, and whether they differ more where models disagree."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import checked_choice
from captum_superpixel._float64 import widen
from captum_superpixel.metrics._maps import IMAGES, VOLUMES, check_maps
from captum_superpixel.metrics.stability import centered_ranks, correlation, scaled_magnitudes, to_device

__all__ = ["Distance", "MegeReco", "across_model_variance", "distances_between_models", "mege_reco"]

Distance: TypeAlias = Literal["spearman", "l2"]

_LAYOUT, _OF_VOLUMES = f"M, {IMAGES}", f"M, {VOLUMES}"
_BLOCK = 2**22
"""Scores compared at a time, at most, in float64 (32 MiB), but never fewer than those of one image."""
_PERCENTILE = 99.0
"""Where maps are clipped before they are displayed, as ``ssim`` does."""


class MegeReco(NamedTuple):
    """Mean generalizability and relative consistency of an explanation method: two 0-d tensors."""

    mege: Tensor
    reco: Tensor


def across_model_variance(maps: Tensor) -> Tensor:
    r"""Variance of a map over models, relative to the energy of the mean map.

    .. math::
        V_n = \frac{\sum_{cp} \frac{1}{M-1} \sum_m (a_{mncp} - \bar a_{ncp})^2}{\sum_{cp} \bar a_{ncp}^2},
        \qquad \bar a = \frac{1}{M} \sum_m a_m.

    Signs and channels are kept: pass magnitudes, or their sum over the channels, to compare those.

    Args:
        maps: Real scores ``(M, N, C, *spatial)`` of N images or volumes from M models, M at least 2, of any real
            dtype.

    Returns:
        Ratios ``(N,)`` float64 on the device of the maps: 0 where all models agree, without an upper limit.

    Raises:
        TypeError: If the maps are not a tensor of real numbers.
        ValueError: If they have another shape, come from one model, or hold NaN or infinity.

    Notes:
        A common factor on all maps of an image is without effect. Where the mean map is all zero the ratio is
        infinite if the models differ (they cancel), and NaN if every map is zero: there is nothing to be relative to.
        Constant maps, maps of one sign and ties need no rule.

        Grouping replaces each score by the mean of its segment. For a fixed segmentation that never raises the
        numerator, and divides it by the size \|S\| of the segments if the deviations of the models are independent
        from pixel to pixel and alike; correlated deviations fall by less. It lowers the denominator too, by what the
        mean map varies inside segments, so the ratio may rise.

        The mean of M maps holds a part 1 / M of their variance. Pure noise of zero mean therefore tends to M, not to
        infinity: compare only values of the same M.

    References:
        S. Gong, J. Zhang, Q. Dou and F. Farnia, "A Super-pixel-based Approach to the Stable Interpretation of Neural
        Networks", BMVC 2024, arXiv:2412.14509: grouping pixels lowers the variance of the map over the randomness of
        training. Division by the energy, which makes methods of different scale comparable, is this library's.

    Examples:
        >>> maps = torch.tensor([[3.0, 1.0], [1.0, 1.0]]).reshape(2, 1, 1, 1, 2)  # mean map 2, 1; variances 2, 0
        >>> across_model_variance(maps)
        tensor([0.4000], dtype=torch.float64)
    """
    return torch.cat([_relative_variance(widen(block)) for block in _blocks(_checked_models(maps))])


def mege_reco(
    maps: Tensor, correct: Tensor, held_out: Tensor | None = None, *, distance: Distance = "spearman"
) -> MegeReco:
    r"""Mean generalizability (MeGe) and relative consistency (ReCo) of the maps of M models.

    The distance of two models' maps of one image is :math:`d = \sqrt{1 - |\rho|}`, with Spearman's
    :math:`\rho` as in ``rank_correlation``, or the Euclidean distance of the maps as they are displayed. With
    :math:`D_=` the distances where both models are right and :math:`D_{\neq}` those where exactly one is,

    .. math::
        \mathrm{MeGe} = \frac{1}{1 + \operatorname{mean} D_=}, \qquad
        \mathrm{ReCo} = \max_\gamma \; P(D_= \le \gamma) + P(D_{\neq} > \gamma) - 1.

    A method whose maps carry over from model to model has a high MeGe; one whose maps tell a right answer from a
    wrong one has a high ReCo.

    Args:
        maps: Real scores ``(M, N, C, *spatial)`` of N images or volumes from M models, M at least 2, of any real
            dtype.
        correct: Boolean ``(M, N)``: whether model m classifies image n correctly.
        held_out: Integers ``(N,)`` from 0 to M - 1: the model that was trained without image n, which alone is then
            compared with each of the others. ``None`` compares all pairs of models.
        distance: ``"spearman"``; or ``"l2"``: :math:`d = \|s - t\|_2` over all pixels, s and t being the magnitudes,
            clipped at their 99th percentile and scaled to [0, 1] as in ``ssim``.

    Returns:
        ``mege`` in [0.5, 1], by ``"l2"`` in [1 / (1 + sqrt(L)), 1] for L pixels, and ``reco`` in [0, 1], two 0-d
        float64 tensors on the device of the maps. MeGe is NaN if two models are never both right; ReCo if they never
        are, or if one never errs where the other is right.

    Raises:
        TypeError: If the maps are not a tensor of real numbers, ``correct`` not a boolean one, or ``held_out`` not one
            of integers.
        ValueError: If a shape is wrong, the maps come from one model or hold NaN or infinity, or ``held_out`` names a
            model that there is not.

    Notes:
        The paper splits the data into M folds and trains each model without one of them; a pair counts for the images
        of the two folds that either model has not seen. That is what ``held_out`` does. Images for which neither model
        is right are left out.

        Two things differ from the authors' code (Xplique): that one takes every 20th or so of the distances as
        threshold, where all are tried here, and ranks the signed mean over the channels, where the magnitudes are
        ranked here as in the other metrics. It also drops pairs with a constant map, which are kept here: a map
        without an order, all zero or constant in magnitude, has correlation 0 and so distance 1. Ties are averaged;
        signs are without effect.

        The Euclidean distance grows with the number of pixels, so MeGe by ``"l2"`` is of images of one size, and it
        falls with the contrast of the maps whatever they show: two maps with few bright pixels are near to each other.

    References:
        T. Fel, D. Vigouroux, R. Cadène and T. Serre, "How Good is your Explanation? Algorithmic Stability Measures to
        Assess the Quality of Explanations for Deep Neural Networks", WACV 2022, arXiv:2009.04521. That of S. Gong et
        al., arXiv:2412.14509, is by the Euclidean distance; how they scale maps is not known, and this is a reading.

    Examples:
        >>> maps = torch.tensor([[0.0, 1, 2], [0, 1, 2], [1, 2, 1]]).reshape(3, 1, 1, 1, 3)
        >>> right = torch.tensor([[True], [True], [False]])  # models 0 and 1 agree, 2 is wrong, and elsewhere
        >>> mege_reco(maps, right)
        MegeReco(mege=tensor(1., dtype=torch.float64), reco=tensor(1., dtype=torch.float64))
    """
    checked = _checked_models(maps)
    checked_choice("distance", distance, get_args(Distance))
    models, images = checked.shape[:2]
    right = _checked_correct(correct, models, images)
    unseen = _checked_held_out(held_out, models, images)
    first, second = np.triu_indices(models, k=1)
    distances = np.concatenate([_DISTANCES[distance](block)[:, first, second] for block in _blocks(checked)])
    compared = np.full(distances.shape, True)
    if unseen is not None:
        compared = (unseen[:, None] == first) | (unseen[:, None] == second)
    right_first, right_second = right[first].T, right[second].T
    agreeing = distances[compared & right_first & right_second]
    differing = distances[compared & (right_first ^ right_second)]
    mege = 1 / (1 + agreeing.mean()) if agreeing.size else np.nan
    reco = _separation(agreeing, differing) if agreeing.size and differing.size else np.nan
    return MegeReco(*(to_device(np.array(value, dtype=np.float64), checked) for value in (mege, reco)))


def distances_between_models(maps: Tensor, distance: Distance = "spearman") -> Tensor:
    """The distances that :func:`mege_reco` is made of, image by image, between all pairs of models.

    Args:
        maps: Real scores ``(M, N, C, *spatial)`` of N images or volumes from M models, M at least 2, of any real
            dtype.
        distance: ``"spearman"`` or ``"l2"``.

    Returns:
        ``(N, M, M)`` float64 on the device of the maps.

    Raises:
        TypeError: If the maps are not a tensor of real numbers.
        ValueError: If they have another shape, come from one model, or hold NaN or infinity, or the distance is
            unknown.

    Examples:
        >>> maps = torch.tensor([[0.0, 1, 2], [4, 2, 0], [0, 2, 0]]).reshape(3, 1, 1, 1, 3)
        >>> distances_between_models(maps)[0, 0]
        tensor([0., 0., 1.], dtype=torch.float64)
    """
    checked = _checked_models(maps)
    measure = _DISTANCES[checked_choice("distance", distance, get_args(Distance))]
    return to_device(np.concatenate([measure(block) for block in _blocks(checked)]), checked)


def _checked_models(maps: object) -> Tensor:
    checked = check_maps("maps", maps, _LAYOUT, _OF_VOLUMES)
    if checked.shape[0] < 2:
        raise ValueError(
            f"maps of shape {tuple(checked.shape)} ({_LAYOUT if checked.ndim == 5 else _OF_VOLUMES}) come "
            f"from {checked.shape[0]} model: pass those of at least two, stacked"
        )
    return checked


def _checked_correct(correct: object, models: int, images: int) -> NDArray[np.bool_]:
    if not isinstance(correct, Tensor) or correct.dtype != torch.bool:
        kind = f"tensor of {correct.dtype}" if isinstance(correct, Tensor) else type(correct).__name__
        raise TypeError(f"correct must be a boolean tensor, but a {kind} was passed: compare predictions with labels")
    if correct.shape != (models, images):
        raise ValueError(
            f"correct has shape {tuple(correct.shape)}, but the maps are of {models} models and {images} images: pass "
            f"one value each, ({models}, {images})"
        )
    values: NDArray[np.bool_] = correct.detach().cpu().numpy()
    return values


def _checked_held_out(held_out: object, models: int, images: int) -> NDArray[np.int64] | None:
    if held_out is None:
        return None
    if not isinstance(held_out, Tensor) or held_out.is_floating_point() or held_out.dtype == torch.bool:
        kind = f"tensor of {held_out.dtype}" if isinstance(held_out, Tensor) else type(held_out).__name__
        raise TypeError(f"held_out must be a tensor of integers or None, but a {kind} was passed: pass model indices")
    if held_out.shape != (images,):
        raise ValueError(f"held_out has shape {tuple(held_out.shape)}, but there are {images} images: pass ({images},)")
    values: NDArray[np.int64] = held_out.detach().cpu().numpy().astype(np.int64)
    if values.min() < 0 or values.max() >= models:
        raise ValueError(
            f"held_out goes from {values.min()} to {values.max()}, but the models are 0 to {models - 1}: pass the "
            "index of a model for each image"
        )
    return values


def _blocks(maps: Tensor) -> Iterator[Tensor]:
    """Split maps ``(M, N, C, *spatial)`` along N, so that a float64 copy of each part is small."""
    images = maps.shape[1]
    step = max(1, _BLOCK * images // maps.numel())
    return (maps[:, start : start + step] for start in range(0, images, step))


def _relative_variance(maps: Tensor) -> Tensor:
    """Compute ``across_model_variance`` of wide maps: ``(M, N, C, *spatial)`` to ``(N,)``."""
    rows = maps.flatten(2)
    peaks = rows.abs().amax(dim=(0, 2), keepdim=True)
    rows = rows / peaks.where(peaks > 0, 1)  # so that no square overflows or vanishes
    spread = rows.var(dim=0, correction=1).sum(dim=1)
    return spread / rows.mean(dim=0).square().sum(dim=1)


def _rank_distances(maps: Tensor) -> NDArray[np.float64]:
    """Compute sqrt(1 - abs(Spearman)) of all pairs of models: ``(M, N, C, *spatial)`` to ``(N, M, M)``."""
    ranks = centered_ranks(maps.transpose(0, 1), channels=2)
    products = ranks @ ranks.transpose(0, 2, 1)
    squares = np.diagonal(products, axis1=1, axis2=2)
    distances: NDArray[np.float64] = np.sqrt(1 - np.abs(correlation(products, squares[:, :, None], squares[:, None])))
    return distances


def _euclidean_distances(maps: Tensor) -> NDArray[np.float64]:
    """Compute the Euclidean distances of maps as displayed, of all pairs of models, as above."""
    rows = np.stack([scaled_magnitudes(of_model, _PERCENTILE) for of_model in maps], axis=1)
    rows = rows.reshape(*rows.shape[:2], -1)
    distances: NDArray[np.float64] = np.stack(
        [np.linalg.norm(rows - row[:, None], axis=2) for row in rows.swapaxes(0, 1)], axis=1
    )
    return distances


_DISTANCES: dict[str, Callable[[Tensor], NDArray[np.float64]]] = {
    "spearman": _rank_distances,
    "l2": _euclidean_distances,
}


def _separation(near: NDArray[np.float64], far: NDArray[np.float64]) -> float:
    """Return how well the best threshold separates small from large distances, from 0 to 1."""
    thresholds = np.concatenate([near, far])
    shares = (np.searchsorted(np.sort(values), thresholds, side="right") / values.size for values in (near, far))
    below_near, below_far = shares
    return float((below_near - below_far).max())
