"""Deletion and insertion: how a model's score changes as the pixels that a map calls important go or come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from captum_superpixel.metrics._forwarding import Target, check_images, check_scores, forward_scores
from captum_superpixel.metrics._removal import Baselines, Steps, background, removal_steps

__all__ = ["Curve", "deletion_auc", "deletion_curve", "insertion_auc", "insertion_curve"]


class Curve(NamedTuple):
    """A model's score while an image is changed step by step; N images, S steps.

    Attributes:
        fractions: Part of the pixels removed (deletion) or shown (insertion) so far, from 0 to 1, ``(N, S + 1)``
            float64. With regions the values differ from image to image.
        scores: The score of the target at each of them, ``(N, S + 1)`` float64.
    """

    fractions: Tensor
    scores: Tensor


def deletion_auc(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    feature_mask: Tensor | None = None,
    baselines: Baselines = "blur",
    n_steps: int | None = 20,
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int = 64,
    show_progress: bool = False,
) -> Tensor:
    """Area under the score as the highest-scored pixels or regions are replaced first; lower is better.

    With f(q) the score once the part q of the pixels has the baseline's values, the area is the integral of f from
    q = 0 (the image) to q = 1 (the baseline), by the trapezoid rule over the measured q. Between 0 and 1 with
    ``softmax``, else of the outputs' range.

    The map enters by its order alone. It is **signed**: attributions are summed over the channels, the highest sum goes
    first and the most negative last. For magnitudes pass ``attributions.abs()``.

    Args:
        forward_func: The model, from images ``(B, C, H, W)`` to outputs ``(B, classes)`` (or ``(B,)``). Its mode is not
            touched: put it into evaluation mode first. No gradients are recorded.
        inputs: Images ``(N, C, H, W)``, floating-point, on the model's device.
        attributions: One map an image, ``(N, 1 or C, H, W)``.
        target: As in Captum: an int, a list or tensor of N ints, tuples for outputs of several dimensions, None for
            outputs of one number an image (and ``softmax=False``).
        feature_mask: None: pixels go one by one. Integer ids ``(1 or N, 1, H, W)``: whole regions go, in the order of
            their mean score, and q still counts pixels, so that both kinds of curve compare.
        baselines: What replaces a pixel: ``"blur"``, the image blurred by
            :func:`~captum_superpixel.metrics._removal.blur`; ``"mean"``, each image's mean of each channel; ``"zero"``,
            0 in the units of the inputs, which for normalised inputs is the mean colour of the data set, as in Captum;
            a number; or a tensor that broadcasts to the inputs.
        n_steps: S, the number of steps, of equally many pixels (regions) up to rounding; an image of fewer pixels or
            regions takes one at a time. None: one pixel or region a step.
        softmax: Score the softmax probability of the target; False: the output as it is.
        additional_forward_args: Further arguments of the model, as in Captum; tensors of N entries go with their
            images.
        batch_size: Largest number of images a call of the model; memory does not grow with ``n_steps``.
        show_progress: Whether to show a bar (needs tqdm).

    Returns:
        ``(N,)`` float64 (float32 on a device without float64); NaN where the model's outputs are.

    Raises:
        TypeError: If an argument is of the wrong kind, above all inputs that are not floating-point.
        ValueError: If the maps, the mask, the baselines or the target do not fit the inputs or the model's outputs, if
            inputs or maps hold NaN or infinities, or if a number or name is none of those above.
        ImportError: If a bar is wanted and tqdm is not installed.

    Notes:
        Ties go row by row from the top, tied regions by ascending id. So an all-zero or constant map is a wipe from the
        top to the bottom, and a segment of a pooled map goes from its top down, not as a speckle, which would hurt the
        model more than any map does. Maps of one sign need no care. Means of regions that agree to float32's precision
        are tied.

        RISE deletes to zero and inserts from a blur; the default here is the blur for both, which adds no edges.

    References:
        Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
        arXiv:1806.07421. Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", IEEE
        TNNLS 28(11), 2017, https://doi.org/10.1109/TNNLS.2016.2599820 (regions).

    Examples:
        The score is the first pixel plus three times the second; the right map takes the second first:

        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> image = torch.ones(1, 1, 1, 2)
        >>> options = {"baselines": "zero", "softmax": False}
        >>> deletion_auc(model, image, torch.tensor([[[[1.0, 3.0]]]]), **options)
        tensor([1.5000], dtype=torch.float64)
        >>> deletion_auc(model, image, torch.tensor([[[[3.0, 1.0]]]]), **options)
        tensor([2.5000], dtype=torch.float64)
    """
    return _area(
        deletion_curve(
            forward_func,
            inputs,
            attributions,
            target,
            feature_mask=feature_mask,
            baselines=baselines,
            n_steps=n_steps,
            softmax=softmax,
            additional_forward_args=additional_forward_args,
            batch_size=batch_size,
            show_progress=show_progress,
        )
    )


def insertion_auc(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    feature_mask: Tensor | None = None,
    baselines: Baselines = "blur",
    n_steps: int | None = 20,
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int = 64,
    show_progress: bool = False,
) -> Tensor:
    """Area under the score as the highest-scored pixels or regions are put into the baseline first; higher is better.

    The integral over q of the score once the part q of the pixels shows the image, from q = 0 (the baseline) to q = 1
    (the image), by the trapezoid rule. Without ties, and where ``n_steps`` divides the number of pixels, it equals
    ``deletion_auc`` of ``-attributions``.

    Args:
        forward_func: As for :func:`deletion_auc`, whose arguments, order, ties and errors are the same.
        inputs: Images ``(N, C, H, W)``.
        attributions: Signed maps ``(N, 1 or C, H, W)``, the highest first.
        target: As for :func:`deletion_auc`.
        feature_mask: None, or ids ``(1 or N, 1, H, W)`` of regions that come whole.
        baselines: What is there before the pixels come.
        n_steps: Number of steps; None: one pixel or region a step.
        softmax: Score the softmax probability of the target; False: the output as it is.
        additional_forward_args: Further arguments of the model.
        batch_size: Largest number of images a call of the model.
        show_progress: Whether to show a bar (needs tqdm).

    Returns:
        ``(N,)`` float64 (float32 on a device without float64), between 0 and 1 with ``softmax``.

    Raises:
        TypeError: As for :func:`deletion_auc`.
        ValueError: As for :func:`deletion_auc`.
        ImportError: If a bar is wanted and tqdm is not installed.

    References:
        Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
        arXiv:1806.07421.

    Examples:
        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> attributions = torch.tensor([[[[1.0, 3.0]]]])
        >>> insertion_auc(model, torch.ones(1, 1, 1, 2), attributions, baselines="zero", softmax=False)
        tensor([2.5000], dtype=torch.float64)
    """
    return _area(
        insertion_curve(
            forward_func,
            inputs,
            attributions,
            target,
            feature_mask=feature_mask,
            baselines=baselines,
            n_steps=n_steps,
            softmax=softmax,
            additional_forward_args=additional_forward_args,
            batch_size=batch_size,
            show_progress=show_progress,
        )
    )


def deletion_curve(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    feature_mask: Tensor | None = None,
    baselines: Baselines = "blur",
    n_steps: int | None = 20,
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int = 64,
    show_progress: bool = False,
) -> Curve:
    """The curve under which :func:`deletion_auc` takes the area, from the image to the baseline; same arguments.

    Examples:
        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> attributions = torch.tensor([[[[1.0, 3.0]]]])
        >>> curve = deletion_curve(model, torch.ones(1, 1, 1, 2), attributions, baselines="zero", softmax=False)
        >>> curve.fractions.tolist(), curve.scores.tolist()
        ([[0.0, 0.5, 1.0]], [[4.0, 1.0, 0.0]])
    """
    inputs = check_images("inputs", inputs)
    steps = removal_steps(check_scores(attributions, inputs), feature_mask, n_steps)
    replacement = background(baselines, inputs)
    options = (target, additional_forward_args, softmax, batch_size, show_progress, "deletion")
    return _curve(forward_func, inputs, replacement, steps, *options)


def insertion_curve(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    feature_mask: Tensor | None = None,
    baselines: Baselines = "blur",
    n_steps: int | None = 20,
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int = 64,
    show_progress: bool = False,
) -> Curve:
    """The curve under which :func:`insertion_auc` takes the area, from the baseline to the image; same arguments.

    Examples:
        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> attributions = torch.tensor([[[[1.0, 3.0]]]])
        >>> curve = insertion_curve(model, torch.ones(1, 1, 1, 2), attributions, baselines="zero", softmax=False)
        >>> curve.fractions.tolist(), curve.scores.tolist()
        ([[0.0, 0.5, 1.0]], [[0.0, 3.0, 4.0]])
    """
    inputs = check_images("inputs", inputs)
    steps = removal_steps(check_scores(attributions, inputs), feature_mask, n_steps)
    beginning = background(baselines, inputs)
    options = (target, additional_forward_args, softmax, batch_size, show_progress, "insertion")
    return _curve(forward_func, beginning, inputs, steps, *options)


def _curve(
    forward_func: Callable[..., Any],
    before: Tensor,
    after: Tensor,
    steps: Steps,
    target: Target,
    additional_forward_args: object,
    softmax: bool,
    batch_size: int,
    show_progress: bool,
    description: str,
) -> Curve:
    """Score the images ``before`` while they turn into those ``after``, each distinct state once."""
    fresh = torch.ones_like(steps.thresholds, dtype=torch.bool)
    fresh[:, 1:] = steps.thresholds[:, 1:] != steps.thresholds[:, :-1]
    owners, places = fresh.nonzero(as_tuple=True)

    def perturb(rows: Tensor) -> Tensor:
        images = owners[rows.to(owners.device)]
        thresholds = steps.thresholds[images, places[rows.to(places.device)]]
        changed = (steps.ranks[images] < thresholds[:, None]).reshape(-1, 1, *before.shape[2:])
        return torch.where(changed, after[images], before[images])

    scores = forward_scores(
        forward_func,
        perturb,
        owners.cpu(),
        len(before),
        target=target,
        additional_forward_args=additional_forward_args,
        softmax=softmax,
        batch_size=batch_size,
        show_progress=show_progress,
        description=description,
    )
    latest = (fresh.flatten().cumsum(dim=0) - 1).reshape(fresh.shape)
    return Curve(steps.fractions, scores.to(latest.device)[latest])


def _area(curve: Curve) -> Tensor:
    return torch.trapezoid(curve.scores, curve.fractions, dim=1)
