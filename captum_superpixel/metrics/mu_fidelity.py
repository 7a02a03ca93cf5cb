"""muFidelity: whether a map gives random sets of features as much as the model loses with them, up to a factor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import torch
from torch import Tensor

from captum_superpixel._batches import checked_batch_size
from captum_superpixel._checks import checked_choice, checked_integer, checked_number
from captum_superpixel._float64 import widen
from captum_superpixel._segment_sums import segment_sums
from captum_superpixel._untyped import rankdata
from captum_superpixel.feature_masks import MaskLike
from captum_superpixel.metrics._forwarding import Target, check_images, check_scores, forward_scores
from captum_superpixel.metrics._maps import add_channels
from captum_superpixel.metrics._removal import Baselines, background, number_regions
from captum_superpixel.metrics.bootstrap import check_generator

__all__ = ["Correlation", "SubsetDrops", "SubsetSizes", "drops_of_subsets", "mu_fidelity"]

Correlation: TypeAlias = Literal["pearson", "spearman"]
SubsetSizes: TypeAlias = Literal["equal", "random"]

_FEWEST_SUBSETS = 3
"""Two points lie on a line whatever they are: their correlation says nothing."""

_PRECISION = 4 * torch.finfo(torch.float32).eps
"""Numbers whose range is below this part of their largest magnitude are one number: they differ by rounding."""


def mu_fidelity(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    feature_mask: MaskLike | None = None,
    baselines: Baselines = "blur",
    subset_share: float = 0.2,
    n_subsets: int = 200,
    subset_sizes: SubsetSizes = "equal",
    correlation: Correlation = "pearson",
    generator: torch.Generator | None = None,
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int | None = None,
    show_progress: bool = False,
) -> Tensor:
    r"""Correlation, over random subsets of features, of the attributions' sum and the drop of the model's score.

    .. math:: \mu_F = \operatorname{corr}_{S : |S| = k} \Big( \sum_{i \in S} a_i, \; f(x) - f(x_{S \to b}) \Big),

    Pearson's (or Spearman's), where the k features of S take the values of the baseline b at once. Features are pixels,
    all channels together, or the segments of a mask.

    The map enters by its values, not by its order alone, and is **signed**: attributions are summed over the channels,
    and over the pixels of a segment. For magnitudes pass ``attributions.abs()``.

    Args:
        forward_func: The model, from images ``(B, C, H, W)`` to outputs ``(B, classes)`` (or ``(B,)``), or to
            objects, dictionaries or tuples with such logits. Its mode is not touched: put it into evaluation mode
            first (there is a warning). No gradients are recorded.
        inputs: Images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, floating-point, on the model's device.
        attributions: One map per image, ``(N, 1 or C, *spatial)``.
        target: As in Captum: an int, a list or tensor of N ints, tuples for outputs of several dimensions, None for
            outputs of one number per image (and ``softmax=False``).
        feature_mask: None: features are pixels. Integer ids ``(1 or N, 1, *spatial)``, ``(*spatial)`` for all
            images or ``(N, *spatial)``, as tensor or NumPy array: they are segments.
        baselines: What replaces a pixel: ``"blur"``, ``"mean"``, ``"zero"``, a number or a tensor that broadcasts to
            the inputs, as in :func:`~captum_superpixel.metrics.fidelity.deletion_curve`.
        subset_share: k as a share of the image's features (pixels or segments), above 0 and below 1; rounded, at least
            one feature goes and one stays.
        n_subsets: How many subsets are drawn, at least 3, each of which costs a pass per image. The standard error of
            a correlation near 0 is about ``1 / sqrt(n_subsets)``, for each image.
        subset_sizes: ``"equal"``: every subset has k features. ``"random"``: each feature is in a subset with
            probability ``subset_share``, whatever the others are, so that sizes vary around k; a subset may be empty.
        correlation: ``"pearson"``, or ``"spearman"``, Pearson's of the ranks, ties averaged.
        generator: Source of the subsets, on any device; None: a fresh one of seed 0, so that calls repeat.
        softmax: Score the softmax probability of the target; False: the output as it is.
        additional_forward_args: Further arguments of the model, as in Captum; tensors of N entries go with their
            images.
        batch_size: Largest number of images per call of the model; None for what suits size and device: on a CPU as
            many as have the pixels of 4 images of 224 x 224, beyond which networks slow down, elsewhere of 64.
        show_progress: Whether to show a bar.

    Returns:
        ``(N,)`` float64 (float32 on a device without float64), from -1 to 1, higher is better; 1 for the exact
        contributions to a linear output. NaN where one side is constant to float32's precision, as with a constant map
        over pixels, an image that equals its baseline, or a single segment; and where the model's outputs are NaN.

    Raises:
        TypeError: If an argument is of the wrong kind, above all inputs that are not floating-point.
        ValueError: If the maps, the mask, the baselines or the target do not fit the inputs or the model's outputs, if
            inputs or maps hold NaN or infinities, or if a share or number is out of range.

    Notes:
        All images have the same subsets; those of segments are drawn among the segments in the order of their ids. So
        an image's value depends neither on its batch nor on ``batch_size``, and two maps are compared over the same
        subsets.

        A fifth of the pixels, scattered over the image, does much the same to it whichever they are, so correlations
        over pixels are small: .07 for IntegratedGradients and a CIFAR ResNet-20 (mean of 24 images), where those over
        40 superpixels are .20. Maps that are compared need the same mask, one that none of them was pooled over.

        Most methods explain a logit, and its contributions add up to the drop of the logit: for these ``softmax=False``
        compares like with like (.10 and .31 in the same example). The default is that of the other metrics.

        A map of a method that perturbs segments holds the whole effect of a segment in each of its elements: divide it
        by the number of elements of each segment first, so that sums over pixels and channels count the effect once.

        Xplique's metric of this name is Spearman's correlation over subsets of a 9 x 9 grid whose sizes vary around
        20 %, of outputs without a softmax, and has 0 for NaN: ``feature_mask=Grid(81)(inputs)``, ``baselines="zero"``,
        ``subset_sizes="random"``, ``correlation="spearman"``, ``softmax=False``, and ``nan_to_num`` of the result.
        Where sizes vary, the sum of a map without signs grows with the size of the subset, and so does the drop, as a
        rule: even a constant map then has a correlation. Equal sizes take that part away.

    References:
        Bhatt, Weller, Moura, "Evaluating and Aggregating Feature-based Model Explanations", IJCAI 2020,
        arXiv:2005.00631, definition 3 (faithfulness).

    Examples:
        The score is the first pixel plus three times the second. The map of these contributions is in proportion to
        every drop, its reverse to none; a constant map says nothing:

        >>> def model(images):
        ...     return images[:, 0, 0, 0] + 3 * images[:, 0, 0, 1]
        >>> attributions = torch.tensor([[[[1.0, 3.0, 0.0]]], [[[3.0, 1.0, 4.0]]], [[[1.0, 1.0, 1.0]]]])
        >>> values = mu_fidelity(model, torch.ones(3, 1, 1, 3), attributions, baselines="zero", softmax=False)
        >>> values.round(decimals=6).tolist()
        [1.0, -1.0, nan]
    """
    inputs = check_images("inputs", inputs, volumes=True)
    scores = check_scores(attributions, inputs)
    checked_choice("correlation", correlation, get_args(Correlation))
    drops = drops_of_subsets(
        forward_func,
        inputs,
        target,
        feature_mask=feature_mask,
        baselines=baselines,
        subset_share=subset_share,
        n_subsets=n_subsets,
        subset_sizes=subset_sizes,
        generator=generator,
        softmax=softmax,
        additional_forward_args=additional_forward_args,
        batch_size=batch_size,
        show_progress=show_progress,
    )
    return drops.correlate(scores[:, None], correlation)


class SubsetDrops(NamedTuple):
    """What a model loses with random subsets of features, of which no map is part: as many as wanted are held to it.

    Attributes:
        labels: The feature of each of the L pixels, ``(N, L)`` int64.
        subsets: Which features are in each subset, bool ``(D, R, F)``, of images of D different numbers of features.
        kinds: Which of the D each image has, ``(N,)`` int64.
        left: The score that is left without each subset, ``(N, R)``.
    """

    labels: Tensor
    subsets: Tensor
    kinds: Tensor
    left: Tensor

    def correlate(self, attributions: Tensor, correlation: Correlation = "pearson") -> Tensor:
        """Give muFidelity ``(N,)`` of maps ``(N, C, *spatial)`` of the same images."""
        scores = add_channels(widen(attributions)).flatten(1)
        features = segment_sums(scores[:, None], self.labels[:, None], self.subsets.shape[2])[:, 0]
        rows = zip(self.kinds.tolist(), features, strict=True)
        sums = torch.stack([self.subsets[kind].to(row.dtype) @ row for kind, row in rows])
        # The drop f(x) - f(x without S) differs from -f(x without S) by the same number for all S: no correlation
        # sees it.
        drops = -self.left.to(sums.device)
        return _correlation(sums, drops) if correlation == "pearson" else _rank_correlation(sums, drops)


def drops_of_subsets(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    target: Target,
    *,
    feature_mask: MaskLike | None,
    baselines: Baselines = "blur",
    subset_share: float = 0.2,
    n_subsets: int,
    subset_sizes: SubsetSizes = "equal",
    generator: torch.Generator | None,
    softmax: bool,
    additional_forward_args: object = None,
    batch_size: int | None,
    show_progress: bool = False,
) -> SubsetDrops:
    """Measure what the model loses with random subsets: all passes of :func:`mu_fidelity`, whose arguments these are.

    Where several maps of the same images are compared, this is done once.
    """
    labels = _labels(feature_mask, inputs)
    replacement = background(baselines, inputs)
    subsets, kinds = _draw_subsets(labels, subset_share, n_subsets, subset_sizes, generator)
    # On the CPU, whatever the user's default device is.
    with torch.device("cpu"):
        owners, places = torch.cartesian_prod(torch.arange(len(inputs)), torch.arange(subsets.shape[1])).T

    def perturb(rows: Tensor) -> Tensor:
        images = owners[rows].to(inputs.device)
        chosen = subsets[kinds[images], places[rows].to(inputs.device)]
        changed = chosen.gather(1, labels[images]).reshape(-1, 1, *inputs.shape[2:])
        return torch.where(changed, replacement[images], inputs[images])

    left = forward_scores(
        forward_func,
        perturb,
        owners,
        len(inputs),
        target=target,
        additional_forward_args=additional_forward_args,
        softmax=softmax,
        batch_size=checked_batch_size(batch_size, inputs),
        show_progress=show_progress,
        description="muFidelity",
    )
    return SubsetDrops(labels, subsets, kinds, left.reshape(len(inputs), -1))


def _labels(feature_mask: MaskLike | None, inputs: Tensor) -> Tensor:
    """Number the features of each image from 0: int64 ``(N, L)`` for the L pixels of inputs ``(N, C, *spatial)``."""
    count, _, *spatial = inputs.shape
    if feature_mask is None:
        return torch.arange(math.prod(spatial), device=inputs.device).expand(count, -1)
    return number_regions(feature_mask, (count, 1, *spatial), inputs.device)


def _draw_subsets(
    labels: Tensor, subset_share: object, n_subsets: object, sizes: object, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw subsets of features for each number of features that an image of labels ``(N, L)`` has.

    Returns:
        Which features are in each subset, bool ``(D, n_subsets, F)``, of images of D different numbers of features, at
        most F; and which of the D each image has, int64 ``(N,)``.
    """
    share = checked_number("subset_share", subset_share, exclusive=True)
    if share >= 1:
        raise ValueError(
            f"subset_share must be below 1, but {share:g} was passed: all features make a single subset (for a "
            "percentage, divide by 100)"
        )
    n_subsets = checked_integer("n_subsets", n_subsets, minimum=_FEWEST_SUBSETS)
    checked_choice("subset_sizes", sizes, get_args(SubsetSizes))
    generator = check_generator(generator)
    numbers, kinds = torch.unique(labels.amax(dim=1) + 1, return_inverse=True)
    most = int(numbers.max())
    # One number for each pixel, even where there are fewer segments: other images must not change what is drawn.
    draws = (
        torch.rand(labels.shape[1], generator=generator, dtype=torch.float32, device=generator.device)
        for _ in range(n_subsets)
    )
    keys = torch.stack([draw[:most] for draw in draws]).to(labels.device)
    subsets = torch.zeros((len(numbers), n_subsets, most), dtype=torch.bool, device=labels.device)
    for subset, number in zip(subsets, numbers.tolist(), strict=True):
        if sizes == "random":
            subset[:, :number] = keys[:, :number] < share
            continue
        size = min(max(round(share * number), 1), number - 1)
        subset.scatter_(1, keys[:, :number].argsort(dim=1, stable=True)[:, :size], True)
    return subsets, kinds


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation of each row of ``(N, R)`` with that of another: ``(N,)``, NaN where one is constant."""
    product = _standardized(first) * _standardized(second)
    return product.sum(dim=1).clamp(-1, 1)


def _rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's correlation of each row of ``(N, R)`` with that of another: ``(N,)``, NaN where one is constant."""
    return _correlation(*(_ranks(values) for values in (first, second)))


def _ranks(values: Tensor) -> Tensor:
    """Rank each row of ``(N, R)``, ties averaged; numbers that differ by rounding are ties."""
    # Sums of the same map over subsets that ought to be equal differ in their last digits, which ranks would magnify.
    largest = values.abs().amax(dim=1, keepdim=True)
    units = _PRECISION * largest.where(largest > 0, 1)
    ranks = rankdata((values / units).round().cpu().numpy(), axis=1)
    # A row that is constant to that precision may lie on both sides of where it is rounded.
    constant = values.amax(dim=1, keepdim=True) - values.amin(dim=1, keepdim=True) <= units
    # NaN of the model's outputs stays: no rank says anything of that image.
    unranked = constant | values.isnan().any(dim=1, keepdim=True)
    return torch.as_tensor(ranks).to(values).masked_fill(unranked, torch.nan)


def _standardized(values: Tensor) -> Tensor:
    """Bring each row of ``(N, R)`` to mean 0 and length 1; NaN where it is constant."""
    spread = values.amax(dim=1, keepdim=True) - values.amin(dim=1, keepdim=True)
    constant = spread <= _PRECISION * values.abs().amax(dim=1, keepdim=True)
    # Divided by the spread first, lest squares of small numbers vanish.
    centered = (values - values.mean(dim=1, keepdim=True)) / spread
    lengths: Tensor = torch.linalg.vector_norm(centered, dim=1, keepdim=True)
    return (centered / lengths).masked_fill(constant, torch.nan)
