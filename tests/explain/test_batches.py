"""Photographs in batches: each is explained as it is alone, and none takes its neighbors down."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from captum_superpixel._options import CommandParser
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.command import add_explain
from captum_superpixel.explain.explainer import Explainer
from captum_superpixel.explain.explanation import Explanation
from captum_superpixel.explain.run import make_explainer

TOGETHER = [name for name, method in METHODS.items() if not method.alone]


@pytest.fixture
def photographs() -> list[Path]:
    """Three photographs of different sizes and contents."""
    rng = np.random.default_rng(0)
    paths = [Path(f"{number}.png") for number in range(3)]
    for number, path in enumerate(paths):
        colors = Image.fromarray(rng.integers(0, 255, (3, 3, 3), dtype=np.uint8))
        colors.resize((20 + number, 24), Image.Resampling.NEAREST).save(path)
    return paths


def explainer(*arguments: str, network: str = "load") -> Explainer:
    parser = CommandParser()
    add_explain(parser.add_subparsers())
    layer = ["--layer", f"{'net.' if network == 'broken_on_black' else ''}features.0", "--method", "LayerGradCam"]
    common = ["explain", "cat.png", "--model", f"explain_net:{network}", "--size", "16", *layer]
    return make_explainer(parser.parse_args([*common, *arguments]), lambda line: None)


def check_equal(found: Explanation, expected: Explanation) -> None:
    assert found.photograph == expected.photograph
    assert found.target.index == expected.target.index
    assert torch.equal(found.masks, expected.masks)
    torch.testing.assert_close(found.grouped, expected.grouped, rtol=1e-4, atol=1e-5)
    if expected.pixels is not None:
        assert found.pixels is not None
        torch.testing.assert_close(found.pixels, expected.pixels, rtol=1e-4, atol=1e-5)
    ours, theirs = ({region.id: region.score for region in each.table} for each in (found, expected))
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("masks", ["slic:6", "multiscale", "grid:4"])
def test_each_is_explained_as_it_is_alone(masks: str, photographs: list[Path]) -> None:
    """By every method: also those that draw at random, whose draws do not depend on the neighbors."""
    names = METHODS if masks == "grid:4" else ["Saliency", "SmoothGrad", "IntegratedGradients"]
    options = [part for name in names for part in ("--method", name)]
    options += ["--masks", masks, "--samples", "8", "--steps", "3"]
    together = list(explainer(*options, "--batch-size", "2").explain(photographs))
    alone = explainer(*options)
    assert [outcome.photograph for outcome in together] == photographs
    for path, outcome in zip(photographs, together, strict=True):
        assert outcome.failures == ()
        for found, expected in zip(outcome.explanations, alone(path), strict=True):
            check_equal(found, expected)


@pytest.mark.parametrize("name", TOGETHER)
def test_methods_of_one_pass_take_the_network_through_a_batch(name: str, photographs: list[Path]) -> None:
    """The largest batch that the network sees holds all photographs, with the baselines of DeepLift beside them."""
    explaining = explainer("--method", name, "--masks", "grid:4", "--batch-size", "3")
    sizes: list[int] = []

    def attribute(method: object, inputs: Tensor, *rest: object) -> None:
        sizes.append(len(inputs))

    (chosen, *_) = [each for each in explaining.methods if each.name == name]
    original = type(chosen).__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(chosen), "__call__", lambda self, *rest: (attribute(self, *rest), original(self, *rest))[1])
        assert all(outcome.failures == () for outcome in explaining.explain(photographs))
    assert set(sizes) == {3}


def test_a_photograph_that_fails_does_not_take_its_neighbors_down(photographs: list[Path]) -> None:
    Image.new("RGB", (20, 20)).save("black.png")
    Path("text.png").write_text("no picture")
    paths = [photographs[0], Path("black.png"), photographs[1], Path("text.png"), Path("none.png"), photographs[2]]
    pixels = ["--scale", "1", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    options = ["--method", "Saliency", "--masks", "grid:4", *pixels]
    outcomes = list(explainer(*options, "--batch-size", "16", network="broken_on_black").explain(paths))
    assert [outcome.photograph for outcome in outcomes] == paths
    assert [len(outcome.explanations) for outcome in outcomes] == [2, 0, 2, 0, 0, 2]
    assert ["not black" in "".join(outcome.failures) for outcome in outcomes] == [
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    alone = explainer(*options, network="broken_on_black")
    for path, outcome in zip(paths, outcomes, strict=True):
        if outcome.explanations:
            check_equal(outcome.explanations[0], alone(path)[0])


@pytest.mark.parametrize("network", ["one_at_a_time", "by_neighbors"])
def test_networks_that_are_no_good_in_batches_get_one_at_a_time(network: str, photographs: list[Path]) -> None:
    options = ["--method", "Saliency", "--masks", "grid:4"]
    outcomes = list(explainer(*options, "--batch-size", "16", network=network).explain(photographs))
    alone = explainer(*options, network=network)
    for path, outcome in zip(photographs, outcomes, strict=True):
        assert outcome.failures == ()
        check_equal(outcome.explanations[0], alone(path)[0])


@pytest.mark.parametrize("method", ["Saliency", "IntegratedGradients"])
def test_a_network_that_runs_out_of_memory_gets_half_as_much(method: str, photographs: list[Path]) -> None:
    options = ["--method", method, "--masks", "grid:4", "--layer", "net.features.0"]
    options += ["--steps", "9"] * (method == "IntegratedGradients")
    explaining = explainer(*options, "--batch-size", "8", network="greedy")
    outcomes = list(explaining.explain(photographs))
    assert explaining.batches.size == 2
    assert max(explaining.model.sizes) == 2  # type: ignore[arg-type]
    alone = explainer(*options, "--batch-size", "1", network="greedy")
    for path, outcome in zip(photographs, outcomes, strict=True):
        assert outcome.failures == ()
        for found, expected in zip(outcome.explanations, alone(path), strict=True):
            check_equal(found, expected)


def test_no_more_than_a_batch_is_read_ahead(photographs: list[Path]) -> None:
    taken: list[Path] = []

    def paths() -> Iterator[Path]:
        for path in photographs:
            taken.append(path)
            yield path

    outcomes = explainer("--method", "Saliency", "--masks", "grid:4", "--batch-size", "2").explain(paths())
    next(outcomes)
    assert len(taken) == 2
    next(outcomes)
    next(outcomes)
    assert len(taken) == 3
