import pytest
import torch
from captum.attr import LRP, LayerLRP, Saliency
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import nn

from captum_superpixel.attr.rules import MissingRuleError, rules_kept


@pytest.mark.parametrize("kind", [LRP, LayerLRP])
def test_a_call_that_fails_leaves_the_rules_of_the_caller_alone(kind) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    network[0].rule = own = EpsilonRule()
    method = kind(network, network[1]) if kind is LayerLRP else kind(network)
    with pytest.raises(MissingRuleError, match="no rule for the layer Flatten"), rules_kept(method):
        method.attribute(torch.rand(1, 3, 8, 8), target=1)
    assert [getattr(layer, "rule", "none") for layer in network] == [own, *["none"] * 4]


def test_other_errors_and_other_methods_stay_as_they_are() -> None:
    network = nn.Sequential(nn.Linear(3, 2))
    network[0].rule = EpsilonRule()
    for method in (LRP(network), Saliency(network)):
        with pytest.raises(KeyError, match="mine"), rules_kept(method):
            raise KeyError("mine")
    assert hasattr(network[0], "rule")
