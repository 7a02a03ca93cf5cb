"""IROF: how fast a model loses a class as the segments that a map calls important take the mean color."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from captum_superpixel.feature_masks import MaskLike, check_feature_mask
from captum_superpixel.metrics._forwarding import Target, check_images, check_scores
from captum_superpixel.metrics._removal import Baselines, removal_steps
from captum_superpixel.metrics.fidelity import deletion_curve

__all__ = ["irof"]


def irof(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    feature_mask: MaskLike,
    baselines: Baselines = "mean",
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int | None = None,
    show_progress: bool = False,
) -> Tensor:
    r"""Iterative removal of features: the area over the curve of the class's normalized probability.

    The L segments of an image are removed one by one, in the order of their mean attribution, the highest first. With
    :math:`x^l` the image whose first l segments have the mean color,

    .. math::
        \mathrm{IROF} = 1 - \int_0^1 \frac{f(x^l)}{f(x^0)} \, d\frac{l}{L}
        = 1 - \frac{1}{L} \sum_{l=1}^{L} \frac{f(x^{l-1}) + f(x^l)}{2 f(x^0)},

    f being the probability of the target. Every segment counts alike, whatever its size.

    The map enters by the order of the segments alone, and is **signed**: attributions are summed over the channels. For
    magnitudes pass ``attributions.abs()``.

    Args:
        forward_func: The model, from images ``(B, C, H, W)`` to outputs ``(B, classes)`` (or ``(B,)``), or to
            objects, dictionaries or tuples with such logits. Its mode is not touched: put it into evaluation mode
            first (there is a warning). No gradients are recorded.
        inputs: Images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, floating-point, on the model's device.
        attributions: One map per image, ``(N, 1 or C, *spatial)``.
        target: As in Captum: an int, a list or tensor of N ints, tuples for outputs of several dimensions, None for
            outputs of one number per image (and ``softmax=False``).
        feature_mask: The segments, integer ids ``(1 or N, 1, *spatial)``, ``(*spatial)`` for all images or
            ``(N, *spatial)``, as tensor or NumPy array, such as ``Slic(300)(inputs)``. An image of L segments costs
            L + 1 passes.
        baselines: What replaces a pixel: ``"mean"``, each image's mean of each channel; or ``"blur"``, ``"zero"``, a
            number or a tensor that broadcasts to the inputs, as in
            :func:`~captum_superpixel.metrics.fidelity.deletion_curve`.
        softmax: Score the softmax probability of the target; False: the output as it is, which must be positive, such
            as a probability.
        additional_forward_args: Further arguments of the model, as in Captum; tensors of N entries go with their
            images.
        batch_size: Largest number of images per call of the model; None for what suits size and device: on a CPU as
            many as have the pixels of 4 images of 224 x 224, beyond which networks slow down, elsewhere of 64.
        show_progress: Whether to show a bar.

    Returns:
        ``(N,)`` float64 (float32 on a device without float64), higher is better: at most ``1 - 1 / (2 L)``, for an
        image whose class is gone with its first segment; 0 where nothing changes; below 0 where the probability rises.
        NaN where the score of the image itself is not above 0, and where the model's outputs are NaN.

    Raises:
        TypeError: If an argument is of the wrong kind, above all inputs that are not floating-point, or no mask.
        ValueError: If the maps, the mask, the baselines or the target do not fit the inputs or the model's outputs, if
            inputs or maps hold NaN or infinities, or if a number or name is none of those above.

    Notes:
        The authors average over images; here is one value per image, whose mean is theirs. Their segments are
        scikit-image's SLIC of the picture; here they are the caller's. They should be the same for all maps that are
        compared, and of no map's own making. The area is that over shares of segments, so that images of other numbers
        of segments compare; multiplied by L it is the area over l.

        A probability near 0 makes the quotient large: take images whose target the model predicts.

        Tied segments go by ascending id; means that agree to float32's precision are tied. So a constant or all-zero
        map removes segments in the order of their ids.

        Quantus 0.6 counts the area in segments and leaves out the trapezoid of the first:
        ``L - sum of (f(x^(l-1)) + f(x^l)) / (2 f(x^0))`` over l from 2 on.

    References:
        Rieger, Hansen, "IROF: a low resource evaluation metric for explanation methods", 2020, arXiv:2003.08747.

    Examples:
        The score is three times the first pixel plus the next two, and the mean color is 0. The first map takes what
        counts most first, the second takes it last:

        >>> def model(images):
        ...     return images[:, 0, 0, 0] * 3 + images[:, 0, 0, 1] + images[:, 0, 0, 2]
        >>> image = torch.tensor([[[[1.0, 1.0, 1.0, -3.0]]]])
        >>> segments = torch.tensor([[[[0, 1, 1, 2]]]])
        >>> maps = torch.tensor([[[[3.0, 1.0, 1.0, 0.0]]], [[[0.0, 1.0, 1.0, 3.0]]]])
        >>> values = irof(model, image.expand(2, -1, -1, -1), maps, feature_mask=segments, softmax=False)
        >>> [round(value, 3) for value in values.tolist()]
        [0.7, 0.3]
    """
    inputs = check_images("inputs", inputs, volumes=True)
    check_feature_mask(feature_mask, (len(inputs), 1, *inputs.shape[2:]))
    removed = removal_steps(check_scores(attributions, inputs), feature_mask, None).thresholds
    scores = deletion_curve(
        forward_func,
        inputs,
        attributions,
        target,
        feature_mask=feature_mask,
        baselines=baselines,
        n_steps=None,
        softmax=softmax,
        additional_forward_args=additional_forward_args,
        batch_size=batch_size,
        show_progress=show_progress,
    ).scores
    whole = scores[:, :1]
    left = torch.where(whole > 0, scores / whole, torch.nan)
    # Images of fewer segments than others repeat some steps; these have no width.
    shares = removed.to(left) / removed[:, -1:].to(left)
    return 1 - torch.trapezoid(left, shares, dim=1)
