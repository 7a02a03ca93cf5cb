"""Keys that differ by what stands before them, by hand."""

import re

import pytest
import torch
from torch import Tensor

from captum_superpixel.models.prefixes import fit_keys


def states(prefix: str = "") -> dict[str, Tensor]:
    return {
        f"{prefix}conv.weight": torch.zeros(2, 3),
        f"{prefix}fc.weight": torch.ones(4, 2),
        f"{prefix}fc.bias": torch.ones(4),
    }


NAMED = [
    "",
    "module.",
    "_orig_mod.",
    "model.",
    "network.",
    "net.",
    "backbone.",
    "module._orig_mod.",
    "ema.module.",
    "a.b.c.",
]


@pytest.mark.parametrize("prefix", NAMED)
@pytest.mark.parametrize("own", NAMED)
def test_any_prefix_fits_any_other(prefix: str, own: str) -> None:
    fit = fit_keys(states(prefix), states(own), set())
    assert fit.complete
    assert dict(fit.names) == dict(zip(states(own), states(prefix), strict=True))
    assert fit.remarks() == ""


def test_what_lies_beside_the_network_is_said() -> None:
    state = states("model.") | {"loss.weight": torch.ones(4), "metric.count": torch.zeros(())}
    fit = fit_keys(state, states(), set())
    assert fit.complete
    assert fit.remarks() == "2 entries outside of 'model.' are not used (loss.weight, metric.count)"


def test_what_lies_inside_of_the_network_is_not_left_out() -> None:
    fit = fit_keys(states("model.") | {"model.head.bias": torch.ones(4)}, states(), set())
    assert not fit.complete
    assert fit.unexpected == ("model.head.bias",)


def test_buffers_of_a_wrapper_stay() -> None:
    own = {"mean": torch.zeros(3)} | states("net.")
    fit = fit_keys(states(), own, {"mean"})
    assert fit.complete
    assert fit.remarks() == "the network's mean are not in the file and stay as they were made"
    assert not fit_keys(states(), own, set()).complete


def test_the_network_comes_before_its_average() -> None:
    state = states("ema_model.") | states("model.")
    fit = fit_keys(state, states(), set())
    assert (fit.complete, fit.prefix) == (True, "model.")
    assert fit.remarks().startswith("3 entries outside of 'model.' are not used (ema_model.conv.weight")
    assert fit_keys(states("ema_model."), states(), set()).prefix == "ema_model."


def test_two_networks_in_one_file() -> None:
    with pytest.raises(ValueError, match=r"the keys with 'student\.', 'other\.' each do"):
        fit_keys(states("student.") | states("other."), states(), set())


def test_shapes_decide_between_two() -> None:
    smaller = {key: value[:1] for key, value in states("other.").items()}
    assert fit_keys(smaller | states("model."), states(), set()).prefix == "model."


def test_another_number_of_classes_behind_a_prefix() -> None:
    state = states("module.") | {"module.fc.weight": torch.ones(9, 2), "module.fc.bias": torch.ones(9)}
    faults = fit_keys(state, states(), set()).faults(state, states())
    assert faults == [
        "2 of 3 have another shape (fc.weight is (9, 2) in the file and (4, 2) in the network, fc.bias is (9,) in the "
        "file and (4,) in the network)"
    ]


def test_keys_that_have_nothing_in_common() -> None:
    state = {f"layer{number}.kernel": torch.ones(1) for number in range(5)}
    (fault,) = fit_keys(state, states(), set()).faults(state, states())
    assert re.search(r"the file has layer0\.kernel, .*, …, and the network conv\.weight, fc\.weight, fc\.bias$", fault)
