"""Perturbation methods run on superpixels: each mask handed to Captum in the numbering that its methods can bear."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import cast

import torch
from captum.attr import Attribution, FeatureAblation
from torch import Tensor

from captum_superpixel.attr._captum import (
    AttributeCall,
    examples,
    fits_one_model_an_image,
    innermost,
    is_kernel_shap,
    permutes_across_images,
    signature_of,
)
from captum_superpixel.attr._coalitions import quickened
from captum_superpixel.feature_masks import number_elements, renumber, repeat_for_batch

Maps = Tensor | tuple[Tensor, ...]
SAMPLES_PER_FEATURE = 5
"""Samples from which Lime and KernelShap know the coefficients of their features well."""


def attribute_segments(
    method: Attribution,
    call: AttributeCall,
    inputs: tuple[Tensor, ...],
    feature_masks: Sequence[Tensor | None],
    is_tuple: bool,
) -> Maps:
    """Perturb the segments of a batch, and return Captum's maps.

    The ids of each image are renumbered densely, jointly over the inputs: Lime and KernelShap allocate by the largest
    id, and Captum takes an id that stands in two inputs for one feature. Lime and KernelShap run image by image where
    the images have masks of their own, so that no model is fitted to segments that its image does not have.

    Args:
        method: A method whose ``attribute`` takes ``feature_mask``, perhaps inside a NoiseTunnel.
        call: The call to make.
        inputs: Tensors of shape ``(N, *)``.
        feature_masks: One valid mask ``(M, 1 or C, *spatial)`` per input; None makes each of its elements a feature.
        is_tuple: Whether the inputs go to Captum as a tuple.

    Returns:
        Maps as Captum returns them; coefficients ``(N, K)`` if the call has ``return_input_shape=False``.

    Raises:
        ValueError: If features are to be permuted within a batch of one image.

    Warns:
        UserWarning: If Lime or KernelShap has fewer samples than an image has segments.
    """
    batch_size = inputs[0].shape[0]
    if permutes_across_images(method) and batch_size < 2:
        raise ValueError(
            "FeaturePermutation exchanges segments between the images of a batch, but the batch holds one image: pass "
            "at least two, or use FeatureAblation"
        )
    masks = _complete(inputs, feature_masks)
    numbered = renumber(masks)
    if fits_one_model_an_image(method):
        call.change = quickened
        samples = call.get("n_samples")
        if samples is None:
            samples = signature_of(innermost(method)).parameters["n_samples"].default
        features = 1 + max(int(mask.max()) for mask in numbered)
        if line := too_few_samples(type(innermost(method)).__name__, samples, features):
            warnings.warn(line, UserWarning, stacklevel=2)

    def run(inputs: tuple[Tensor, ...], masks: tuple[Tensor, ...], **replaced: object) -> Maps:
        mask = masks if is_tuple else masks[0]
        if is_kernel_shap(method) and not any(bool(mask.any()) for mask in masks):
            return _one_segment(method, call, inputs, masks, is_tuple, replaced)
        return cast(Maps, call(inputs if is_tuple else inputs[0], feature_mask=mask, **replaced))

    if numbered[0].shape[0] == 1 or not fits_one_model_an_image(method):
        return run(inputs, numbered)

    names = [name for name in ("target", "additional_forward_args", "baselines") if call.get(name) is not None]
    if call.get("draw_baseline_from_distrib"):
        names = [name for name in names if name != "baselines"]
    rows: list[Maps] = []
    for index, (image, *values) in enumerate(examples(batch_size, inputs, *(call.get(name) for name in names))):
        own = tuple(mask[index : index + 1] for mask in numbered)
        rows.append(run(cast(tuple[Tensor, ...], image), own, **dict(zip(names, values, strict=True))))
    if call.get("return_input_shape") is False:
        return _align(cast(list[Tensor], rows), masks)
    if isinstance(rows[0], tuple):
        return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))
    return torch.cat(cast(list[Tensor], rows))


def average(results: Sequence[Maps]) -> Maps:
    """Average maps over the segmentations of an ensemble."""
    first = results[0]
    if len(results) == 1:
        return first
    if isinstance(first, tuple):
        return tuple(torch.stack(parts).mean(dim=0) for parts in zip(*results, strict=True))
    return torch.stack(cast(list[Tensor], results)).mean(dim=0)


def too_few_samples(name: str, n_samples: int, features: int) -> str:
    """Say that a linear model of so many features cannot be told from so many samples; empty if it can.

    Examples:
        >>> too_few_samples("Lime", 25, 49)
        'Lime fits 49 features to n_samples=25, too few to tell them apart: pass at least 49, better 245'
        >>> too_few_samples("Lime", 49, 49)
        ''
    """
    if n_samples >= features:
        return ""
    return (
        f"{name} fits {features} features to n_samples={n_samples}, too few to tell them apart: pass at least "
        f"{features}, better {SAMPLES_PER_FEATURE * features}"
    )


def _complete(inputs: tuple[Tensor, ...], feature_masks: Sequence[Tensor | None]) -> list[Tensor]:
    """Repeat the masks for the batch, and number the elements of inputs without one."""
    first_id = 1 + max(int(mask.max()) for mask in feature_masks if mask is not None)
    masks = []
    for tensor, mask in zip(inputs, feature_masks, strict=True):
        if mask is None:
            mask = number_elements(tensor, first_id)
            first_id += mask.numel()
        masks.append(repeat_for_batch(mask, tensor.shape[0]).to(tensor.device))
    return masks


def _one_segment(
    method: Attribution,
    call: AttributeCall,
    inputs: tuple[Tensor, ...],
    masks: tuple[Tensor, ...],
    is_tuple: bool,
    replaced: dict[str, object],
) -> Maps:
    """Shapley value of a single feature, for which KernelShap's weights are undefined: what its ablation changes."""
    options = {name: call.get(name) for name in ("target", "additional_forward_args", "baselines")} | replaced
    ablation = FeatureAblation(method.forward_func)
    maps: tuple[Tensor, ...] = AttributeCall(ablation, inputs, (), {"feature_mask": masks, **options})(inputs)
    if call.get("return_input_shape") is False:
        return maps[0].flatten(1)[:, :1]
    return maps if is_tuple else maps[0]


def _align(coefficients: Sequence[Tensor], masks: Sequence[Tensor]) -> Tensor:
    """Put each image's coefficients under the ids of the batch, in ascending order; NaN where it has no such id."""
    batch_size = len(coefficients)
    flat = torch.cat([mask.expand(batch_size, *mask.shape[1:]).reshape(batch_size, -1) for mask in masks], dim=1)
    ids = torch.unique(flat)
    table = coefficients[0].new_full((batch_size, len(ids)), torch.nan)
    for row, own, values in zip(table, flat, coefficients, strict=True):
        row[torch.searchsorted(ids, torch.unique(own)).to(row.device)] = values.flatten()
    return table
