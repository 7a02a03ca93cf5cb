"""Lime and KernelShap on superpixels see what Captum shows them, to the bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from captum.attr import FeatureAblation, KernelShap, Lime, LimeBase
from torch import Tensor

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr._coalitions import quickened
from captum_superpixel.masks import Grid


def model(images: Tensor, *others: Tensor) -> Tensor:
    """Neither linear nor additive."""
    total = images.double().sin().cumsum(dim=3).square().sum(dim=(1, 2, 3))
    return torch.stack([total, total.cos()], dim=1) + sum(other.double().sum() for other in others)


def noise(*size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(0))


IMAGE = noise(1, 3, 12, 10)


@pytest.mark.parametrize("method", [KernelShap, Lime])
@pytest.mark.parametrize(
    "baselines",
    [None, 0.3, noise(1, 3, 12, 10) + 1, noise(1, 3, 12, 10).double()],
    ids=["0", "number", "image", "double"],
)
@pytest.mark.parametrize("at_once", [1, 7])
def test_the_network_sees_what_captum_shows_it(method: type[Lime], baselines: Any, at_once: int) -> None:
    mask = Grid(9)(IMAGE)
    seen: dict[str, list[Tensor]] = {"ours": [], "Captum's": []}

    def explain(of: str, wrap: Callable[[Any], Any]) -> Tensor:
        def watched(images: Tensor) -> Tensor:
            seen[of].append(images.clone())
            return model(images)

        torch.manual_seed(3)
        return wrap(method(watched)).attribute(
            IMAGE, baselines=baselines, target=1, feature_mask=mask, n_samples=20, perturbations_per_eval=at_once
        )

    ours, theirs = explain("ours", lambda inner: SuperpixelGrouped(inner)), explain("Captum's", lambda inner: inner)
    assert torch.equal(ours, theirs)
    assert len(seen["ours"]) == len(seen["Captum's"]) == -(-20 // at_once)
    for one, other in zip(*seen.values(), strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_several_inputs_and_integers() -> None:
    inputs = (IMAGE, (10 * noise(1, 4)).long())
    masks = (Grid(4)(IMAGE), torch.tensor([[4, 4, 5, 6]]))
    options: dict[str, Any] = {"target": 0, "feature_mask": masks, "n_samples": 15, "baselines": (0.5, 3)}
    torch.manual_seed(0)
    ours = SuperpixelGrouped(KernelShap(model), None).attribute(inputs, **options)
    torch.manual_seed(0)
    theirs = KernelShap(model).attribute(inputs, **options)
    assert all(map(torch.equal, ours, theirs))


def test_bool() -> None:
    options: dict[str, Any] = {"target": 0, "feature_mask": Grid(4)(IMAGE), "n_samples": 15}
    torch.manual_seed(0)
    ours = SuperpixelGrouped(KernelShap(model)).attribute(IMAGE > 0, **options)
    torch.manual_seed(0)
    assert torch.equal(ours, KernelShap(model).attribute(IMAGE > 0, **options))


def test_only_what_is_captums_own_is_exchanged() -> None:
    ablation = FeatureAblation(model)
    assert quickened(ablation) is ablation
    shap = KernelShap(model)
    before = dict(vars(shap))
    assert quickened(shap) is not shap
    assert vars(shap) == before
    shap.from_interp_rep_transform = LimeBase.attribute  # any other
    assert quickened(shap) is shap
