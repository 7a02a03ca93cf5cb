"""Perturbing superpixels: KernelShap beside SHAP, LIME and Captum with a mask by hand, and FeatureAblation."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from captum.attr import FeatureAblation, KernelShap
from peers_insertion import NoNetwork
from peers_timing import OURS, Call, Case, find_lite, find_peer
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._batches import images_at_once
from captum_superpixel.masks import Grid
from captum_superpixel.models.networks import resnet18, resnet20

TITLE = "Perturbing 49 superpixels of one image: KernelShap by 500 evaluations, eight at once, FeatureAblation by 50"

_SAMPLES, _AT_ONCE = 500, 8


def cases(quick: bool) -> Iterator[Case]:
    """Fit a linear model to coalitions, and leave superpixels out one by one."""
    shap, lime = find_peer("shap", "shap slicer"), find_peer("lime.lime_image", "lime")
    small = [("no network", NoNetwork(), 32), ("ResNet-20", resnet20().eval(), 32), ("no network", NoNetwork(), 224)]
    for name, network, side in small[: 2 if quick else None]:
        image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        mask = Grid(49)(image)
        options = {"target": 0, "feature_mask": mask, "n_samples": _SAMPLES, "perturbations_per_eval": _AT_ONCE}
        calls: dict[str, Call] = {
            OURS: partial(SuperpixelGrouped(KernelShap(network), None).attribute, image, **options),
            "Captum by hand": partial(KernelShap(network).attribute, image, **options),
        }
        if shap is not None:
            calls["SHAP"] = partial(_by_shap, shap, network, image, mask)
        if lime is not None:
            calls["LIME"] = partial(_by_lime, lime, network, image, mask)
        yield Case(f"KernelShap, {name}, {side} x {side}", calls)
    large = [] if quick else [("ResNet-18", resnet18().eval()), ("EfficientNet-Lite0", find_lite())]
    for name, known in large:
        if known is None:
            continue
        image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        options = {"target": 0, "feature_mask": Grid(49)(image)}
        # As ``explain`` calls it.
        at_once = {"perturbations_per_eval": images_at_once(image)}
        grouped = SuperpixelGrouped(FeatureAblation(known), None)
        calls = {
            OURS: partial(grouped.attribute, image, **options, **at_once),
            "Captum, one at a time": partial(FeatureAblation(known).attribute, image, **options),
        }
        yield Case(f"FeatureAblation, {name}, 224 x 224", calls)


def _evaluate(network: nn.Module, image: Tensor, mask: Tensor, coalitions: Any) -> Any:
    """Show a network coalitions ``(B, K)`` of superpixels, as its user would write it."""
    outputs = []
    with torch.no_grad():
        for part in torch.split(torch.from_numpy(np.asarray(coalitions)).float(), _AT_ONCE):
            shown = part[:, mask[0, 0]][:, None] * image
            outputs.append(network(shown)[:, 0])
    return torch.cat(outputs).numpy()


def _by_shap(shap: Any, network: nn.Module, image: Tensor, mask: Tensor) -> object:
    count = int(mask.max()) + 1
    explainer = shap.KernelExplainer(partial(_evaluate, network, image, mask), np.zeros((1, count)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return explainer.shap_values(np.ones((1, count)), nsamples=_SAMPLES, l1_reg=False, silent=True)


def _by_lime(lime: Any, network: nn.Module, image: Tensor, mask: Tensor) -> object:
    def classify(images: Any) -> Any:
        with torch.no_grad():
            return network(torch.from_numpy(np.stack(images)).float().movedim(-1, 1)).numpy()

    # It has a bar that cannot be left out.
    with contextlib.redirect_stderr(io.StringIO()):
        return lime.LimeImageExplainer(random_state=0).explain_instance(
            image[0].movedim(0, -1).double().numpy(),
            classify,
            labels=(0,),
            top_labels=None,
            hide_color=0,
            num_samples=_SAMPLES,
            batch_size=_AT_ONCE,
            segmentation_fn=lambda _: mask[0, 0].numpy(),
        )
