"""What is no right input ends in TypeError or ValueError with a message, and changes nothing."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, Saliency
from fuzzed_inputs import FLOATS, INTEGERS, LARGEST_ID, tried
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from untouched import all_untouched

from captum_superpixel import (
    XRAI,
    Contributions,
    OwenValues,
    SuperpixelGrouped,
    ViewTunnel,
    ensemble_regions,
    metrics,
    perturbed_attributions,
    pool_segments,
    region_table,
    segment_scores,
    to_image_mask_input,
    top_regions,
)
from captum_superpixel.masks import (
    GENERATORS,
    Cached,
    Grid,
    PatchAligned,
    Precomputed,
    Slic,
    from_proposals,
    hierarchy,
    multiscale,
    segment_trees,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:only .* draws:UserWarning"),
]

IMAGES = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
MASK = torch.arange(30).view(1, 1, 6, 5) // 8


class Anything(nn.Module):
    """Three numbers for each of any inputs: what fails is never the network's own doing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, inputs: Tensor) -> Tensor:
        rows = (inputs.real if inputs.is_complex() else inputs).float().flatten(1)
        return self.scale * torch.stack([rows.sum(1), (rows * rows).sum(1), rows.cos().sum(1)], dim=1)


NETWORK = Anything().eval()
PICTURE = Image.new("RGB", (5, 6))
OBJECTS = MASK.expand(2, -1, -1, -1) > 1

# Every call is right as it stands; one argument at a time is replaced.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "pool_segments": (pool_segments, {"attributions": IMAGES, "feature_mask": MASK, "reduction": "mean"}),
    "segment_scores": (segment_scores, {"attributions": IMAGES, "feature_mask": MASK, "reduction": "max"}),
    "region_table": (
        region_table,
        {"attributions": IMAGES, "feature_mask": MASK, "score": "mean", "by": "score", "draws": None, "k": None},
    ),
    "region_table with draws": (
        lambda **arguments: region_table(IMAGES, MASK, **arguments),
        {"draws": IMAGES.expand(8, -1, -1, -1, -1) + torch.arange(8).view(8, 1, 1, 1, 1) / 9, "k": 2},
    ),
    "top_regions": (top_regions, {"attributions": IMAGES, "feature_mask": MASK, "k": 2, "by": "magnitude"}),
    "top_regions by area": (top_regions, {"attributions": IMAGES, "feature_mask": MASK, "fraction": 0.5}),
    "ensemble_regions": (ensemble_regions, {"attributions": IMAGES, "feature_masks": [MASK], "n_regions": 2}),
    **{
        name: (
            lambda inputs, mask=None, make=make: make()(inputs, mask),
            {"inputs": IMAGES.repeat(1, 1, 2, 2), "mask": None},
        )
        for name, make in GENERATORS.items()
        if make is not multiscale
    },
    "settings": (
        lambda **settings: Slic(**settings)(IMAGES),
        {"n_segments": 4, "compactness": 9.0, "denormalize": (0.5, 0.5)},
    ),
    "Grid": (lambda n_segments: Grid(n_segments)(IMAGES), {"n_segments": 4}),
    "multiscale": (lambda **settings: multiscale(**settings), {"n_segments": (4, 9), "compactness": (5.0,)}),
    "PatchAligned": (
        lambda inputs, patch: PatchAligned(Grid(4), patch)(inputs),
        {"inputs": IMAGES[..., :4], "patch": 2},
    ),
    "Cached": (lambda inputs: Cached(Grid(4))(inputs), {"inputs": IMAGES}),
    "Precomputed": (
        lambda masks, images: Precomputed.from_images(images, masks),
        {"masks": OBJECTS.long(), "images": IMAGES},
    ),
    "from_proposals": (from_proposals, {"masks": OBJECTS[:, 0], "scores": None}),
    "hierarchy": (hierarchy, {"inputs": IMAGES, "n_segments": (2, 4), "feature_mask": MASK}),
    "segment_trees": (segment_trees, {"inputs": IMAGES, "feature_mask": MASK, "mask_generator": Grid(4)}),
    "SuperpixelGrouped": (
        SuperpixelGrouped(Saliency(NETWORK), Grid(4)).attribute,
        {"inputs": IMAGES, "target": 1, "feature_mask": MASK},
    ),
    "grouped ablation": (
        SuperpixelGrouped(FeatureAblation(NETWORK)).attribute,
        {"inputs": IMAGES, "feature_mask": MASK, "target": 1},
    ),
    "options of grouping": (
        lambda **options: SuperpixelGrouped(Saliency(NETWORK), **options).attribute(IMAGES, target=1),
        {"mask_generator": Grid(4), "reduction": "mean", "negative_weight": 0.5},
    ),
    "Contributions": (
        lambda reference: Contributions(Saliency(NETWORK), reference).attribute(IMAGES, target=1),
        {"reference": 0.5},
    ),
    "ViewTunnel": (
        ViewTunnel(Saliency(NETWORK)).attribute,
        {"inputs": IMAGES, "target": 1, "n_views": 2, "max_shift": 1},
    ),
    "OwenValues": (
        OwenValues(lambda inputs: NETWORK(inputs)[:, 1]).attribute,
        # Its target is Captum's to check.
        {
            "inputs": IMAGES,
            "feature_mask": MASK,
            "n_evaluations": 9,
            "baselines": 0.0,
            "perturbations_per_eval": 2,
            "trees": None,
        },
    ),
    "XRAI": (XRAI(Saliency(NETWORK)).attribute, {"inputs": IMAGES, "target": 1, "feature_mask": MASK}),
    "perturbed_attributions": (
        lambda **arguments: perturbed_attributions(Saliency(NETWORK), NETWORK, **arguments),
        {"inputs": IMAGES, "target": 1, "n_draws": 2, "strength": 0.01, "max_shift": 1},
    ),
    "to_image_mask_input": (to_image_mask_input, {"image": PICTURE, "mask": MASK, "baseline": (0, 0, 0)}),
    **{
        name: (metric, {"maps_a": IMAGES.repeat(1, 1, 3, 3), "maps_b": IMAGES.repeat(1, 1, 3, 3)})
        for name, metric in metrics.SIMILARITIES.items()
    },
    **{
        name: (metric, {"attributions": IMAGES, "object_masks": OBJECTS})
        for name, metric in metrics.LOCALIZATION.items()
    },
    "grid_pointing_game": (
        metrics.grid_pointing_game,
        {"attributions": IMAGES[..., :4], "cells": torch.tensor([0, 3]), "side": 2},
    ),
    "insertion_auc": (
        lambda **arguments: metrics.insertion_auc(NETWORK, **arguments),
        {
            "inputs": IMAGES,
            "attributions": IMAGES,
            "target": 1,
            "feature_mask": MASK,
            "baselines": "mean",
            "n_steps": 3,
            "batch_size": 4,
        },
    ),
    "irof": (
        lambda **arguments: metrics.irof(NETWORK, **arguments),
        {"inputs": IMAGES, "attributions": IMAGES, "target": 1, "feature_mask": MASK},
    ),
    "road": (
        lambda **arguments: metrics.road(NETWORK, **arguments),
        {"inputs": IMAGES, "attributions": IMAGES, "target": 1, "fractions": (0.5,), "noise": 0.01},
    ),
    "mu_fidelity": (
        lambda **arguments: metrics.mu_fidelity(NETWORK, **arguments),
        {
            "inputs": IMAGES,
            "attributions": IMAGES,
            "target": 1,
            "feature_mask": MASK,
            "subset_share": 0.5,
            "n_subsets": 4,
        },
    ),
    "entropy": (metrics.entropy, {"attributions": IMAGES}),
    "effective_regions": (metrics.effective_regions, {"attributions": IMAGES, "feature_mask": MASK, "share": 0.9}),
    "across_model_variance": (metrics.across_model_variance, {"maps": IMAGES[None].repeat(3, 1, 1, 1, 1)}),
    "auroc": (metrics.auroc, {"predicted": torch.tensor([0.2, 0.7]), "happened": torch.tensor([False, True])}),
    "bootstrap_mean": (metrics.bootstrap_mean, {"values": torch.rand(5)}),
    "excess": (metrics.excess, {"value": torch.rand(3), "null": torch.rand(3) / 2}),
    "permute_pixels": (metrics.permute_pixels, {"maps": IMAGES, "generator": torch.Generator().manual_seed(0)}),
}
"""By their names, as far as one such call is enough: the function, and arguments that it takes."""

shapes = st.lists(st.integers(0, 6), min_size=0, max_size=6)
scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**62, LARGEST_ID, 2**64, -(2**63)]),
    st.floats(),
    st.complex_numbers(max_magnitude=9),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.sampled_from(
        [torch.float32, np.float16(2), np.int64(3), torch.device("cpu"), slice(2), object, Slic, "mean", "blur"]
    ),
)


@st.composite
def odd_tensors(draw: st.DrawFn) -> Any:
    """Tensors and arrays of any shape and dtype, empty ones included, with NaN, infinite and negative values."""
    shape = draw(st.one_of(shapes, st.sampled_from([(2, 3, 6, 5), (1, 1, 6, 5), (2, 1, 6, 5), (6, 5), (2, 6, 5)])))
    dtype = draw(st.sampled_from([*FLOATS, *INTEGERS, torch.bool, torch.complex64]))
    fill = draw(st.sampled_from([0, 1, -1, float("nan"), float("inf"), 3]))
    if fill != fill or abs(fill) == float("inf") or fill < 0:
        dtype = dtype if dtype.is_floating_point or dtype.is_complex else torch.int64 if fill == -1 else torch.float32
    tensor = torch.full(tuple(shape), fill, dtype=dtype)
    kind = draw(st.sampled_from(["tensor", "tensor", "tensor", "array", "one NaN", "leaf"]))
    if kind == "one NaN" and tensor.numel() and tensor.is_floating_point():
        tensor.view(-1)[-1] = float("nan")
    if kind == "leaf" and tensor.is_floating_point():
        tensor.requires_grad_()
    return tensor.numpy() if kind == "array" and dtype != torch.bfloat16 else tensor


anything = st.one_of(
    odd_tensors(),
    odd_tensors(),
    scalars,
    st.lists(st.one_of(scalars, odd_tensors()), max_size=3),
    st.tuples(st.one_of(scalars, odd_tensors()), st.one_of(scalars, odd_tensors())),
    st.dictionaries(st.text(max_size=2), scalars, max_size=2),
)


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_are_right_as_they_stand(name: str) -> None:
    function, arguments = CALLS[name]
    function(**arguments)


@pytest.mark.parametrize("name", CALLS)
@tried(8)
@given(st.data())
def test_what_is_wrong_is_said(name: str, data: st.DataObject) -> None:
    function, arguments = CALLS[name]
    replaced = data.draw(st.sampled_from(sorted(arguments)))
    value = data.draw(anything)
    # A great many draws are refused by no one but the memory.
    assume(not (replaced in ("n_draws", "n_subsets") and isinstance(value, int | np.integer) and value > 100))
    given_arguments = {**arguments, replaced: value}
    with all_untouched([*given_arguments.values()], NETWORK):
        try:
            function(**given_arguments)
        except (TypeError, ValueError) as error:
            message = str(error)
            # Not one of Python's own, of an operation deep inside.
            assert len(message) > 15, message
            assert not re.match(r"unsupported operand|'\w+' object|can only concatenate|only (integer|length)", message)
        except OverflowError as error:
            raise AssertionError(f"{replaced}={value!r}: {error}") from error
