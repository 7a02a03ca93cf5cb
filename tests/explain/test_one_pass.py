"""One pass for prediction and gradient: as many as are needed, and the same maps as by a pass of the method's own."""

import sys
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients, Saliency
from PIL import Image
from torch import Tensor, nn

from captum_superpixel._options import CommandParser
from captum_superpixel.explain.command import add_explain
from captum_superpixel.explain.explainer import Explainer
from captum_superpixel.explain.one_pass import classify_once, takes_kept_pass, with_kept_pass
from captum_superpixel.explain.run import make_explainer


class Counting(nn.Module):
    """A network that counts its passes, and draws at random if it is to."""

    def __init__(self, *, random: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 14 * 14, 5))
        self.passes, self.random = 0, random

    def forward(self, inputs: Tensor) -> Tensor:
        self.passes += 1
        result: Tensor = self.net(inputs)
        return result * torch.rand(5) if self.random else result


INPUTS = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", [Saliency, InputXGradient])
def test_a_method_takes_the_gradient_of_the_prediction(kind: Any) -> None:
    network = Counting()
    logits, kept = classify_once(network, INPUTS, 0)
    assert kept is not None
    assert network.passes == 1
    target = logits.argmax(dim=1)
    found = with_kept_pass(kind(network), kept).attribute(kept.inputs, target=target)
    assert network.passes == 1
    assert torch.equal(found, kind(network).attribute(INPUTS.clone().requires_grad_(), target=target))
    # The graph is gone, and nobody falls over it.
    again = with_kept_pass(kind(network), kept).attribute(kept.inputs, target=target)
    assert torch.equal(again, found)
    assert network.passes == 3


def test_other_inputs_are_given_to_the_network() -> None:
    network = Counting()
    _, kept = classify_once(network, INPUTS, 0)
    assert kept is not None
    assert torch.equal(kept(INPUTS[:1]), network.net(INPUTS[:1]))
    assert network.passes == 2


def test_networks_without_gradient_are_run_without_it() -> None:
    class Sealed(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return inputs.detach().mean(dim=(2, 3))

    logits, kept = classify_once(Sealed(), INPUTS, 0)
    assert kept is None
    assert torch.equal(logits, INPUTS.mean(dim=(2, 3)))


def test_nothing_of_a_pass_that_failed_is_held_during_the_next() -> None:
    """Such as what it took all memory for."""
    held: list[weakref.ref[Tensor]] = []

    class Greedy(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                intermediate = inputs * 2
                held.append(weakref.ref(intermediate))
                raise MemoryError
            assert [reference() for reference in held] == [None]
            return inputs.mean(dim=(2, 3))

    logits, kept = classify_once(Greedy(), INPUTS, 0)
    assert kept is None
    assert torch.equal(logits, INPUTS.mean(dim=(2, 3)))


def test_methods_that_need_another_pass_are_known() -> None:
    network = Counting()
    assert takes_kept_pass(Saliency(network))
    assert not takes_kept_pass(IntegratedGradients(network))


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    return paths


def explainer(monkeypatch: pytest.MonkeyPatch, network: nn.Module, *arguments: str) -> Explainer:
    module = ModuleType("one_pass_net")
    module.load = lambda: network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "one_pass_net", module)
    parser = CommandParser()
    add_explain(parser.add_subparsers())
    common = ["explain", "cat.png", "--model", "one_pass_net:load", "--size", "16", "--masks", "grid:4"]
    return make_explainer(parser.parse_args([*common, *arguments]), lambda line: None)


@pytest.mark.parametrize(
    ("arguments", "passes"),
    [
        (["--method", "Saliency"], 1),
        (["--method", "InputXGradient"], 1),
        (["--method", "Saliency", "--method", "InputXGradient"], 2),
        (["--method", "InputXGradient", "--reduction", "evidence"], 2),
        (["--method", "GuidedBackprop"], None),
        (["--method", "GuidedBackprop", "--method", "Saliency"], None),
        (["--method", "Saliency", "--confidence", "--strength", "0.1"], None),
    ],
)
def test_photographs_are_seen_once(
    arguments: list[str], passes: int | None, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Counting()
    explained = explainer(monkeypatch, network, "--batch-size", "3", *arguments)
    list(explained.explain(photographs))  # by which it is found out whether the network takes batches
    network.passes = 0
    together = list(explained.explain(photographs))
    assert not any(outcome.failures for outcome in together)
    if passes is not None:
        assert network.passes == passes
    monkeypatch.setattr(Explainer, "_takes_kept_pass", False)
    apart = list(explained.explain(photographs))
    for ours, theirs in zip(together, apart, strict=True):
        for found, expected in zip(ours.explanations, theirs.explanations, strict=True):
            assert torch.equal(found.grouped, expected.grouped)
            assert found.predictions == expected.predictions


def test_what_is_drawn_at_random_is_drawn_from_the_seed(
    photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    explained = explainer(monkeypatch, Counting(random=True), "--method", "Saliency", "--target", "1")
    first = explained(photographs[0])[0]
    torch.rand(7)
    assert torch.equal(explained(photographs[0])[0].grouped, first.grouped)
    monkeypatch.setattr(Explainer, "_takes_kept_pass", False)
    assert torch.equal(explained(photographs[0])[0].grouped, first.grouped)


@pytest.mark.parametrize("method", ["Saliency", "GuidedBackprop"])
def test_what_is_predicted_at_random_depends_on_the_seed_alone(
    method: str, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on how many photographs are worked on together, nor on what was drawn before."""
    predicted = []
    for size in ("1", "2", "3"):
        torch.rand(3)
        explained = explainer(monkeypatch, Counting(random=True), "--method", method, "--batch-size", size)
        predicted.append([outcome.explanations[0].predictions for outcome in explained.explain(photographs)])
    assert predicted[0] == predicted[1] == predicted[2]
