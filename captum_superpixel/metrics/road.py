"""ROAD: a model's score after the most, and the least, relevant pixels are removed by noisy linear imputation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from captum_superpixel._batches import checked_batch_size
from captum_superpixel._checks import checked_number
from captum_superpixel._threads import call_each
from captum_superpixel._untyped import Floats, Sparse, csc_array, csr_array, diags_array, splu
from captum_superpixel.metrics._forwarding import Target, check_images, check_scores, forward_scores
from captum_superpixel.metrics._maps import descending_ranks
from captum_superpixel.metrics.bootstrap import check_generator

__all__ = ["Road", "noisy_linear_imputation", "road"]

# Row and column offsets to half of the 8 neighbors, and their weights; the other half mirrors them.
_NEIGHBORS = (((0, 1), 1 / 6), ((1, 0), 1 / 6), ((1, 1), 1 / 12), ((1, -1), 1 / 12))


@dataclass(frozen=True, eq=False)
class Road:
    """Scores of N images after P fractions of their pixels were removed, in two orders.

    Attributes:
        fractions: The parts of the pixels that were removed, P numbers between 0 and 1.
        most_relevant_first: Scores ``(N, P)`` after the highest-scored pixels went: a good map's fall fast.
        least_relevant_first: Scores ``(N, P)`` after the lowest-scored pixels went: a good map's stay high.
        score: ``(N,)``, the mean over the fractions of the second minus the first; higher is better, 0 for a map that
            says nothing, between -1 and 1 for softmax scores.
    """

    fractions: tuple[float, ...]
    most_relevant_first: Tensor
    least_relevant_first: Tensor
    score: Tensor


def road(
    forward_func: Callable[..., Any],
    inputs: Tensor,
    attributions: Tensor,
    target: Target = None,
    *,
    fractions: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    noise: float = 0.01,
    generator: torch.Generator | None = None,
    softmax: bool = True,
    additional_forward_args: object = None,
    batch_size: int | None = None,
    show_progress: bool = False,
) -> Road:
    """Remove and debias: the most and the least relevant pixels are imputed from their neighbors, without retraining.

    For each fraction q, the q·H·W pixels (rounded, at least one pixel stays) of the highest scores are replaced by
    :func:`noisy_linear_imputation` and the model scores the result, f_MoRF(q); f_LeRF(q) likewise with the lowest.
    ``score`` is the mean over q of f_LeRF(q) - f_MoRF(q). Imputed pixels show no outline of what was removed, by which
    a model could tell the class.

    The map enters by its order alone, and is **signed**: attributions are summed over the channels, and the most
    negative are the least relevant. For magnitudes pass ``attributions.abs()``.

    Args:
        forward_func: The model, from images ``(B, C, H, W)`` to outputs ``(B, classes)`` (or ``(B,)``), or to
            objects, dictionaries or tuples with such logits. Its mode is not touched: put it into evaluation mode
            first (there is a warning). No gradients are recorded.
        inputs: Images ``(N, C, H, W)``, floating-point, on the model's device.
        attributions: One map per image, ``(N, 1 or C, H, W)``.
        target: As in Captum: an int, a list or tensor of N ints, tuples for outputs of several dimensions, None for
            outputs of one number per image (and ``softmax=False``).
        fractions: Parts of the pixels to remove, each above 0 and below 1.
        noise: Standard deviation of the noise on the imputed pixels, at least 0, in the units of the inputs. The
            authors add 0.01 to images in [0, 1]: for inputs normalized by a deviation of 0.25 that is 0.04.
        generator: Where the noise comes from, on the CPU; None: a fresh one of seed 0, so that calls repeat.
        softmax: Score the softmax probability of the target; False: the output as it is.
        additional_forward_args: Further arguments of the model, as in Captum; tensors of N entries go with their
            images.
        batch_size: Largest number of images per call of the model; None for what suits size and device: on a CPU as
            many as have the pixels of 4 images of 224 x 224, beyond which networks slow down, elsewhere of 64.
        show_progress: Whether to show a bar.

    Returns:
        The scores, float64 (float32 on a device without float64); NaN where the model's outputs are.

    Raises:
        TypeError: If an argument is of the wrong kind, above all inputs that are not floating-point.
        ValueError: If the maps or the target do not fit the inputs or the outputs, if inputs or maps hold NaN or
            infinities, or if a fraction or the noise is out of range.

    Notes:
        Ties go row by row from the top in both orders. So a constant or all-zero map removes the same pixels in both
        and scores exactly 0, and the score of ``-attributions`` is exactly minus that of the map. (The authors break
        ties by one field of small random numbers.)

        The noise is one field ``(C, H, W)``, the same for every image, fraction and order, so that an image's scores
        depend neither on its batch nor on ``batch_size``, and two maps are compared under the same noise.

        The package pytorch-grad-cam halves the difference. The sparse systems are solved on the CPU, in as many threads
        as torch has.

    References:
        Rong, Leemann, Borisov, Kasneci, Kasneci, "A Consistent and Efficient Evaluation Strategy for Attribution
        Methods", ICML 2022, arXiv:2202.00449.

    Examples:
        >>> def model(images):
        ...     return images[:, 0, 0, 1]
        >>> image = torch.tensor([[[[0.0, 1.0, 0.0, 0.0]]]])
        >>> result = road(model, image, image, fractions=[0.25], noise=0, softmax=False)
        >>> result.most_relevant_first.abs().tolist(), result.least_relevant_first.tolist(), result.score.tolist()
        ([[0.0]], [[1.0]], [1.0])
    """
    inputs = check_images("inputs", inputs)
    scores = check_scores(attributions, inputs).flatten(1)
    try:
        fractions = tuple(float(fraction) for fraction in fractions)
    except OverflowError:
        raise ValueError("fractions must be above 0 and below 1, but a number that no float holds was passed") from None
    except (TypeError, ValueError):
        raise TypeError(
            f"fractions must be a sequence of numbers, but {fractions!r} was passed: write (0.1, 0.5)"
        ) from None
    if not fractions or not all(0 < fraction < 1 for fraction in fractions):
        raise ValueError(f"fractions={fractions!r} must be numbers above 0 and below 1, at least one of them")
    count, channels, height, width = inputs.shape
    field = _noise((channels, height, width), noise, generator)
    averaging = _averaging(height, width)
    ranks = torch.stack([descending_ranks(scores), descending_ranks(-scores)]).cpu()
    # On the CPU, like what else is counted out row by row, whatever the user's default device is.
    with torch.device("cpu"):
        totals = torch.tensor([min(round(fraction * height * width), height * width - 1) for fraction in fractions])
        # Row by row: image, order, fraction.
        owners, orders, places = torch.cartesian_prod(*map(torch.arange, (count, 2, len(fractions)))).T

    def perturb(rows: Tensor) -> Tensor:
        removed = ranks[orders[rows], owners[rows]] < totals[places[rows], None]
        chosen = inputs[owners[rows].to(inputs.device)]
        return _impute(chosen, removed.numpy(), field.expand(chosen.shape), averaging)

    values = forward_scores(
        forward_func,
        perturb,
        owners,
        count,
        target=target,
        additional_forward_args=additional_forward_args,
        softmax=softmax,
        batch_size=checked_batch_size(batch_size, inputs),
        show_progress=show_progress,
        description="ROAD",
    )
    most, least = values.reshape(count, 2, len(fractions)).unbind(dim=1)
    return Road(fractions, most, least, (least - most).mean(dim=1))


def noisy_linear_imputation(
    images: Tensor, removed: Tensor, noise: float = 0.01, generator: torch.Generator | None = None
) -> Tensor:
    """Replace the removed pixels by the weighted means of their neighbors, all at once, and add noise to them.

    Every removed pixel x_i is to be Σ_j w_ij x_j / Σ_j w_ij over its up to 8 neighbors j, removed or not, with weights
    1/6 for the four beside it and 1/12 for the four at its corners; at the border of the image the weights that are
    left are renormalized, as in the authors' code. That is one sparse linear system per image, whose solution without
    noise lies between the smallest and the largest kept value of the channel.

    Args:
        images: ``(N, C, H, W)``, floating-point.
        removed: True where a pixel is removed, from all channels, bool ``(1 or N, 1, H, W)``. Each image must keep a
            pixel; one that loses none is returned as it is.
        noise: Standard deviation of the independent normal noise on every removed value, at least 0, in the units of
            the images.
        generator: Where the noise comes from, on the CPU; None: a fresh one of seed 0.

    Returns:
        ``(N, C, H, W)``, of the dtype and on the device of the images.

    Raises:
        TypeError: If the images are not a floating-point tensor, or removed is not a bool one.
        ValueError: If shapes do not fit, an image keeps no pixel, values are NaN or infinite, or the noise is negative.

    References:
        Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML 2022, section 5,
        arXiv:2202.00449.

    Examples:
        >>> image = torch.tensor([[[[0.0, 9.0, 9.0, 3.0]]]])
        >>> removed = torch.tensor([[[[False, True, True, False]]]])
        >>> noisy_linear_imputation(image, removed, noise=0)
        tensor([[[[0., 1., 2., 3.]]]])
    """
    images = check_images("images", images)
    count, _, height, width = images.shape
    if not isinstance(removed, Tensor) or removed.dtype != torch.bool:
        what = f"dtype {removed.dtype}" if isinstance(removed, Tensor) else f"type {type(removed).__name__}"
        raise TypeError(f"removed is of {what}, but must be a bool tensor: pass, for example, scores > threshold")
    if removed.shape not in {(1, 1, height, width), (count, 1, height, width)}:
        raise ValueError(
            f"removed of shape {tuple(removed.shape)} does not fit images of shape {tuple(images.shape)}: it must be "
            f"({count}, 1, {height}, {width})"
        )
    rows = removed.detach().cpu().flatten(1).expand(count, -1).numpy()
    full = np.flatnonzero(rows.all(axis=1))
    if len(full) > 0:
        raise ValueError(f"removed leaves no pixel of image {full[0]}: there is nothing to impute it from")
    return _impute(images, rows, _noise(images.shape, noise, generator), _averaging(height, width))


def _noise(shape: tuple[int, ...], noise: float, generator: torch.Generator | None) -> Tensor:
    noise = checked_number("noise", noise)
    generator = check_generator(generator)
    if generator.device.type != "cpu":
        raise ValueError(f"generator is on {generator.device}: pass one on the CPU, where the noise is drawn")
    return noise * torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")


def _averaging(height: int, width: int) -> Sparse:
    """D - W over all pixels ``(H * W, H * W)``: W the weights of the neighbors, D their sums; symmetric."""
    pixels = np.arange(height * width).reshape(height, width)
    here, there, weights = [], [], []
    for (down, right), weight in _NEIGHBORS:
        first = pixels[: height - down, max(0, -right) : width - max(0, right)].ravel()
        second = pixels[down:, max(0, right) : width + min(0, right)].ravel()
        here += [first, second]
        there += [second, first]
        weights.append(np.full(2 * len(first), weight))
    places = np.concatenate(here), np.concatenate(there)
    neighbors = csr_array((np.concatenate(weights), places), shape=(pixels.size, pixels.size))
    return (diags_array(neighbors.sum(axis=1)) - neighbors).tocsr()


def _impute(images: Tensor, removed: npt.NDArray[np.bool_], noise: Tensor, averaging: Sparse) -> Tensor:
    """Impute images ``(B, C, H, W)``, where ``removed`` ``(B, H * W)``, and add the noise ``(B, C, H, W)`` there."""
    values: Floats = images.detach().cpu().double().flatten(2).numpy()

    def solve(number: int) -> Tensor:
        imputed = _solve(values[number].T, removed[number], averaging)
        return torch.from_numpy(imputed.T).reshape(images.shape[1:])

    # SuperLU lets go of the interpreter's lock.
    imputed = torch.stack(call_each(solve, range(len(values)), torch.get_num_threads()))
    places = torch.from_numpy(removed).reshape(len(values), 1, *images.shape[2:])
    return torch.where(places.to(images.device), (imputed + noise).to(images), images)


def _solve(values: Floats, removed: npt.NDArray[np.bool_], averaging: Sparse) -> Floats:
    """The values ``(H * W, C)`` with those of the removed pixels ``(H * W,)`` imputed."""
    unknown = np.flatnonzero(removed)
    kept = np.where(removed[:, None], 0.0, values)
    if len(unknown) == 0:
        return kept
    rows = averaging[unknown]
    system = rows[:, unknown]
    # The system is symmetric, so its rows may stand for its columns, and positive definite, so no pivot is needed.
    columns = csc_array((system.data, system.indices, system.indptr), shape=system.shape)
    factors = splu(columns, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    kept[unknown] = factors.solve(-(rows @ kept))
    return kept
