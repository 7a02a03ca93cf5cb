"""Sums of maps, and the changes of outputs that they should be."""

from typing import Any

import pytest
import torch
from captum.attr import DeepLift, DeepLiftShap, IntegratedGradients
from torch import Tensor, nn

from captum_superpixel.attr.completeness import COMPLETE, Completeness, check_completeness
from captum_superpixel.attr.methods import METHODS, make_method

pytestmark = pytest.mark.filterwarnings("ignore:Setting")


def test_methods_are_known() -> None:
    assert set(COMPLETE) <= set(METHODS)


@pytest.mark.parametrize("baseline", [None, 0.5, torch.full((1, 3, 16, 12), 0.3), "own"])
@pytest.mark.parametrize("targets", [2, torch.tensor([4, 3, 2, 1])])
def test_deltas_are_those_of_captum(baseline: Any, targets: Any, net: nn.Module, images: Tensor) -> None:
    start = images.detach().flip(0) * 0.5 if baseline == "own" else baseline
    options = {"target": targets} if start is None else {"target": targets, "baselines": start}
    method = DeepLift(net)
    maps, delta = method.attribute(images, return_convergence_delta=True, **options)
    found = check_completeness("DeepLift", method, images, maps + 1, options)
    torch.testing.assert_close(
        torch.tensor([each.total - each.change for each in found]), delta + images[0].numel(), atol=1e-3, rtol=1e-4
    )
    with torch.no_grad():
        index = torch.as_tensor(targets).expand(4)
        change = (net(images) - net(torch.zeros_like(images) + (0 if start is None else start)))[range(4), index]
    assert [each.change for each in found] == pytest.approx(change.tolist(), rel=1e-4)


def test_few_steps_miss_more(net: nn.Module, images: Tensor) -> None:
    method = IntegratedGradients(net)
    worst = []
    for steps in (2, 50):
        options = {"target": 1, "baselines": 0.0}
        maps = method.attribute(images, n_steps=steps, **options)
        worst.append(
            max(each.missed for each in check_completeness("IntegratedGradients", method, images, maps, options))
        )
    assert worst[1] < 0.05 < worst[0]


def test_several_baselines_count_on_average(net: nn.Module, images: Tensor) -> None:
    options = {"target": 1, "baselines": torch.rand(3, 3, 16, 12)}
    method = DeepLiftShap(net)
    maps = method.attribute(images, **options)
    found = check_completeness("DeepLiftShap", method, images, maps, options)
    with torch.no_grad():
        change = net(images)[:, 1] - net(options["baselines"])[:, 1].mean()
    assert [each.change for each in found] == pytest.approx(change.tolist(), rel=1e-4)
    assert max(each.missed for each in found) < 1e-3


def test_relevance_is_that_of_the_output(net: nn.Module, images: Tensor) -> None:
    method: Any = make_method("LRP", net)
    found = check_completeness("LRP", method, images, method.attribute(images, target=1), {"target": 1})
    assert [each.change for each in found] == pytest.approx(net(images)[:, 1].tolist(), rel=1e-4)


def test_what_is_missed_of_nothing() -> None:
    assert Completeness(0.0, 0.0).missed == 0
    assert Completeness(1.0, 0.0).missed == float("inf")
    assert Completeness(-1.0, -4.0).missed == 0.75
