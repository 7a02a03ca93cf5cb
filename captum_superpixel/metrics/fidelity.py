"""Deletion and insertion: how a model's score changes as the pixels that a map calls important go or come."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import torch
from torch import Tensor

from captum_superpixel._batches import checked_batch_size
from captum_superpixel.feature_masks import MaskLike
from captum_superpixel.metrics._forwarding import Target, check_images, check_scores, forward_scores
from captum_superpixel.metrics._removal import Baselines, background, removal_steps

__all__ = ["Curve", "deletion_auc", "deletion_curve", "insertion_auc", "insertion_curve"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Curve(NamedTuple):
    """A model's score while an image is changed step by step; N images, S steps.

    Attributes:
        fractions: Part of the pixels removed (deletion) or shown (insertion) so far, from 0 to 1, ``(N, S + 1)``
            float64. With regions the values differ from image to image.
        scores: The score of the target at each of them, ``(N, S + 1)`` float64.
    """

    fractions: Tensor
    scores: Tensor

    @property
    def area(self) -> Tensor:
        """The area under the curve, the integral of the score over the fraction by the trapezoid rule, ``(N,)``."""
        return torch.trapezoid(self.scores, self.fractions, dim=1)


def deletion_curve(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    feature_mask: MaskLike | None = None,
    baselines: Baselines = "blur",
    n_steps: int | None = 20,
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int | None = None,
    show_progress: bool = False,
) -> Curve:
    """The model's score as the highest-scored pixels or regions are replaced first, from the image to the baseline.

    The map enters by its order alone. It is **signed**: attributions are summed over the channels, the highest sum goes
    first and the most negative last. For magnitudes pass ``attributions.abs()``.

    Args:
        forward_func: The model, from images ``(B, C, H, W)`` to outputs ``(B, classes)`` (or ``(B,)``), or to
            objects, dictionaries or tuples with such logits. Its mode is not touched: put it into evaluation mode
            first (there is a warning). No gradients are recorded.
        inputs: Images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, floating-point, on the model's device.
        attributions: One map per image, ``(N, 1 or C, *spatial)``.
        target: As in Captum: an int, a list or tensor of N ints, tuples for outputs of several dimensions, None for
            outputs of one number per image (and ``softmax=False``).
        feature_mask: None: pixels go one by one. Integer ids ``(1 or N, 1, *spatial)``, ``(*spatial)`` for all images
            or ``(N, *spatial)``, as tensor or NumPy array: whole regions go, in the order of their mean score, and
            fractions still count pixels, so that both kinds of curve compare.
        baselines: What replaces a pixel: ``"blur"``, the image blurred by a Gaussian of a standard
            deviation of a tenth of its shorter side (across the slices of a volume, of their number); ``"mean"``, each
            image's mean of each channel; ``"zero"``, 0 in the units of the inputs, which for normalized inputs is the
            mean color of the data set, as in Captum; a number; or a tensor that broadcasts to the inputs.
        n_steps: S, the number of steps, of equally many pixels (regions) up to rounding; an image of fewer pixels or
            regions takes one at a time. None: one pixel or region per step.
        softmax: Score the softmax probability of the target; False: the output as it is.
        additional_forward_args: Further arguments of the model, as in Captum; tensors of N entries go with their
            images.
        batch_size: Largest number of images per call of the model; None for what suits size and device: on a CPU as
            many as have the pixels of 4 images of 224 x 224, beyond which networks slow down, elsewhere of 64.
            Memory does not grow with ``n_steps``.
        show_progress: Whether to show a bar.

    Returns:
        The curve, float64 (float32 on a device without float64); its scores are NaN where the model's outputs are.

    Raises:
        TypeError: If an argument is of the wrong kind, above all inputs that are not floating-point.
        ValueError: If the maps, the mask, the baselines or the target do not fit the inputs or the model's outputs, if
            inputs or maps hold NaN or infinities, or if a number or name is none of those above.

    Notes:
        Ties go row by row from the top, tied regions by ascending id. So an all-zero or constant map is a wipe from the
        top to the bottom, and a segment of a pooled map goes from its top down, not as a speckle, which would hurt the
        model more than any map does. Maps of one sign need no care. Means of regions that agree to float32's precision
        are tied.

        RISE deletes to zero and inserts from a blur; the default here is the blur for both, which adds no edges. (The
        blur of RISE's code has a standard deviation of 5 at 224 pixels, here 22.4, and is cut off to 11x11 pixels,
        which leaves more of the objects visible.)

    References:
        Petsiuk, Das, Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC 2018,
        arXiv:1806.07421. Samek et al., "Evaluating the Visualization of What a Deep Neural Network Has Learned", IEEE
        TNNLS 28(11), 2017, https://doi.org/10.1109/TNNLS.2016.2599820 (regions).

    Examples:
        The score is the first pixel plus three times the second; the right map takes the second first:

        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> attributions = torch.tensor([[[[1.0, 3.0]]]])
        >>> curve = deletion_curve(model, torch.ones(1, 1, 1, 2), attributions, baselines="zero", softmax=False)
        >>> curve.fractions.tolist(), curve.scores.tolist(), curve.area.tolist()
        ([[0.0, 0.5, 1.0]], [[4.0, 1.0, 0.0]], [1.5])
    """
    inputs = check_images("inputs", inputs, volumes=True)
    ranks, thresholds, fractions = removal_steps(check_scores(attributions, inputs), feature_mask, n_steps)
    replacement = background(baselines, inputs)
    # Steps of few regions may change nothing: each distinct state of an image is scored once.
    fresh = torch.ones_like(thresholds, dtype=torch.bool)
    fresh[:, 1:] = thresholds[:, 1:] != thresholds[:, :-1]
    owners, places = fresh.nonzero(as_tuple=True)

    def perturb(rows: Tensor) -> Tensor:
        images = owners[rows.to(owners.device)]
        reached = thresholds[images, places[rows.to(places.device)]]
        changed = (ranks[images] < reached[:, None]).reshape(-1, 1, *inputs.shape[2:])
        return torch.where(changed, replacement[images], inputs[images])

    scores = forward_scores(
        forward_func,
        perturb,
        owners.cpu(),
        len(inputs),
        target=target,
        additional_forward_args=additional_forward_args,
        softmax=softmax,
        batch_size=checked_batch_size(batch_size, inputs),
        show_progress=show_progress,
        description="scoring",
    )
    latest = (fresh.flatten().cumsum(dim=0) - 1).reshape(fresh.shape)
    return Curve(fractions, scores.to(latest.device)[latest])


def _takes_arguments_of(
    documented: Callable[Arguments, object],
) -> Callable[[Callable[..., Result]], Callable[Arguments, Result]]:
    """Let a function of any arguments show those of another, to people, to ``inspect`` and to type checkers."""

    def declare(function: Callable[..., Result]) -> Callable[Arguments, Result]:
        own, shown = inspect.signature(function), inspect.signature(documented)
        cast(Any, function).__signature__ = shown.replace(return_annotation=own.return_annotation)
        return function

    return declare


@_takes_arguments_of(deletion_curve)
def insertion_curve(*args: Any, **kwargs: Any) -> Curve:
    """The model's score as the highest-scored pixels or regions are put into the baseline first, up to the image.

    Arguments, order, ties and errors are those of :func:`deletion_curve`: it is the deletion curve of the baseline,
    whose pixels are replaced by the image's.

    Examples:
        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> attributions = torch.tensor([[[[1.0, 3.0]]]])
        >>> curve = insertion_curve(model, torch.ones(1, 1, 1, 2), attributions, baselines="zero", softmax=False)
        >>> curve.fractions.tolist(), curve.scores.tolist()
        ([[0.0, 0.5, 1.0]], [[0.0, 3.0, 4.0]])
    """
    given = inspect.signature(deletion_curve).bind(*args, **kwargs)
    given.apply_defaults()
    inputs = check_images("inputs", given.arguments["inputs"], volumes=True)
    given.arguments |= {"inputs": background(given.arguments["baselines"], inputs), "baselines": inputs}
    return deletion_curve(*given.args, **given.kwargs)


@_takes_arguments_of(deletion_curve)
def deletion_auc(*args: Any, **kwargs: Any) -> Tensor:
    """Area under :func:`deletion_curve`, whose arguments it takes, ``(N,)``; lower is better.

    With f(q) the score once the part q of the pixels has the baseline's values, the area is the integral of f from
    q = 0 (the image) to q = 1 (the baseline), by the trapezoid rule over the measured q. Between 0 and 1 with
    ``softmax``, else of the outputs' range.

    Examples:
        The map that takes the more important pixel first has the smaller area:

        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> image = torch.ones(1, 1, 1, 2)
        >>> options = {"baselines": "zero", "softmax": False}
        >>> deletion_auc(model, image, torch.tensor([[[[1.0, 3.0]]]]), **options)
        tensor([1.5000], dtype=torch.float64)
        >>> deletion_auc(model, image, torch.tensor([[[[3.0, 1.0]]]]), **options)
        tensor([2.5000], dtype=torch.float64)
    """
    return deletion_curve(*args, **kwargs).area


@_takes_arguments_of(deletion_curve)
def insertion_auc(*args: Any, **kwargs: Any) -> Tensor:
    """Area under :func:`insertion_curve`, which takes the arguments of :func:`deletion_curve`; higher is better.

    The integral over q of the score once the part q of the pixels shows the image, from q = 0 (the baseline) to q = 1
    (the image), by the trapezoid rule, ``(N,)``. Without ties, and where ``n_steps`` divides the number of pixels, it
    equals :func:`deletion_auc` of ``-attributions``.

    Examples:
        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> attributions = torch.tensor([[[[1.0, 3.0]]]])
        >>> insertion_auc(model, torch.ones(1, 1, 1, 2), attributions, baselines="zero", softmax=False)
        tensor([2.5000], dtype=torch.float64)
    """
    return insertion_curve(*args, **kwargs).area
