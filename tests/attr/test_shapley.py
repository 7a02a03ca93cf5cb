"""Exact Shapley values: one evaluation per coalition, and the values of Captum, which walks along all orders."""

import math
from itertools import permutations
from typing import Any

import pytest
import torch
from captum.attr import NoiseTunnel, ShapleyValues
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr.shapley import ExactShapleyValues
from captum_superpixel.masks import Grid


def stripes(count: int) -> Tensor:
    """``count`` features of 12 columns."""
    return (torch.arange(12) * count // 12).view(1, 1, 1, 12).expand(1, 1, 16, 12)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_each_coalition_is_evaluated_once(count: int, at_once: int, net: nn.Module, images: Tensor) -> None:
    sizes: list[int] = []
    net.register_forward_pre_hook(lambda _, arguments: sizes.append(len(arguments[0])))
    ExactShapleyValues(net).attribute(images, target=1, feature_mask=stripes(count), perturbations_per_eval=at_once)
    assert sum(sizes) == 4 * 2**count
    assert max(sizes) == 4 * min(at_once, 2**count)


@pytest.mark.parametrize("at_once", [1, 3, 16])
@pytest.mark.parametrize(
    "options",
    [
        {"target": 2},
        {"target": [0, 1, 2, 3], "baselines": 0.5},
        {
            "target": torch.tensor([4, 3, 2, 1]),
            "baselines": torch.arange(12.0).view(1, 1, 1, 12).expand(1, 3, 16, 12).clone(),
        },
    ],
)
def test_values_are_those_of_captum(options: dict[str, Any], at_once: int, net: nn.Module, images: Tensor) -> None:
    masks = torch.stack([stripes(count)[0] for count in (2, 3, 4, 4)])
    for mask in (stripes(4).clone(), masks, masks % 2 + 2 * (torch.arange(3).view(1, 3, 1, 1) // 2)):
        exact = ExactShapleyValues(net).attribute(images, feature_mask=mask, perturbations_per_eval=at_once, **options)
        expected = ShapleyValues(net).attribute(images, feature_mask=mask, perturbations_per_eval=16, **options)
        assert exact.dtype == expected.dtype
        torch.testing.assert_close(exact, expected, rtol=1e-4, atol=1e-4)


def test_several_inputs_share_features_of_equal_ids() -> None:
    def function(first: Tensor, second: Tensor, factor: Tensor, power: int) -> Tensor:
        return (first.sum(dim=1) * second[:, 0]).pow(power) * factor

    inputs = (torch.tensor([[1.0, 2, 3], [3, 1, 2]]), torch.tensor([[2.0], [5]]))
    options: dict[str, Any] = {
        "baselines": (0, torch.tensor([[1.0], [2]])),
        "feature_mask": (torch.tensor([[0, 0, 1]]), torch.tensor([[1], [2]])),
        "additional_forward_args": (torch.tensor([1.0, 0.5]), 2),
    }
    exact = ExactShapleyValues(function).attribute(inputs, perturbations_per_eval=5, **options)
    expected = ShapleyValues(function).attribute(inputs, **options)
    assert isinstance(exact, tuple)
    for ours, theirs in zip(exact, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_values_are_means_over_all_orders() -> None:
    """Of a function of which nothing is linear, by the definition."""
    row = torch.tensor([[0.3, -1.2, 2.0, 0.7]])

    def function(rows: Tensor) -> Tensor:
        return torch.sin(rows.sum(dim=1)) + rows[:, 0] * rows[:, 2].exp() - rows.prod(dim=1)

    totals = [0.0] * 4
    for order in permutations(range(4)):
        there = torch.zeros(1, 4)
        for feature in order:
            before = function(there)
            there = there.index_copy(1, torch.tensor([feature]), row[:, [feature]])
            totals[feature] += float(function(there) - before)
    expected = torch.tensor([totals]) / math.factorial(4)
    torch.testing.assert_close(ExactShapleyValues(function).attribute(row), expected)


def test_what_returns_no_number_per_example_is_left_to_captum() -> None:
    def total(rows: Tensor) -> Tensor:
        return rows[:, 0].sum() * rows[:, 1].sum()

    rows = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    torch.testing.assert_close(ExactShapleyValues(total).attribute(rows), ShapleyValues(total).attribute(rows))


def test_it_is_an_attribution_like_any_other(net: nn.Module, images: Tensor) -> None:
    mask = stripes(3)
    grouped = SuperpixelGrouped(ExactShapleyValues(net), Grid(9))
    captums = SuperpixelGrouped(ShapleyValues(net), Grid(9))
    found = grouped.attribute(images, target=1, feature_mask=mask)
    torch.testing.assert_close(found, captums.attribute(images, target=1, feature_mask=mask), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        change = (net(images) - net(0 * images))[:, 1]
    added = sum(found[:, 0, 0, column] for column in (0, 4, 8))
    torch.testing.assert_close(added, change, rtol=1e-4, atol=1e-4)
    noisy = NoiseTunnel(ExactShapleyValues(net)).attribute(images, target=1, nt_samples=2, feature_mask=mask)
    assert noisy.shape == images.shape
    assert ExactShapleyValues.get_name() == "Shapley Values"


def test_too_many_features() -> None:
    with pytest.raises(ValueError, match=r"17 features have 2\*\*17 coalitions, too many .* at most 16, or use"):
        ExactShapleyValues(lambda rows: rows.sum(dim=1)).attribute(torch.zeros(1, 17))
