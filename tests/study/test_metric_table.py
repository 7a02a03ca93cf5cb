"""The table of metrics: none is missing, a new one is a line elsewhere, and all are documented."""

import re
from itertools import chain
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.masks import Grid
from captum_superpixel.study import fidelity
from captum_superpixel.study.complexity import COMPLEXITY
from captum_superpixel.study.fidelity import FidelityMeasure
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.measurement import Chunk, Key
from captum_superpixel.study.measuring import measure
from captum_superpixel.study.metric_table import METRICS, Metric, functions, make_metrics
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.rows import PIXELS

DOCUMENT = Path(__file__).parents[2] / "tutorials" / "study-report.md"

# What is public in captum_superpixel.metrics, but no metric of maps that the study reports for each image.
NO_METRICS = {
    "across models together": {"MegeReco", "mege_reco"},
    "curves, whose areas are metrics": {"Curve", "deletion_curve", "insertion_curve", "Road"},
    "tables of metrics": {"LOCALIZATION", "SIMILARITIES"},
    "nulls and intervals of metrics": {
        "NullCorrected",
        "against_null",
        "bootstrap_mean",
        "excess",
        "null_corrected",
        "paired_difference",
        "permute_pixels",
    },
    "maps that know nothing": {"another_image", "centered_gaussian", "shuffled"},
    "of probabilities": {
        "ReliabilityCurve",
        "auroc",
        "brier_skill",
        "expected_calibration_error",
        "interval_coverage",
        "reliability_curve",
    },
    "a step of ROAD": {"noisy_linear_imputation"},
}

DIRECTIONS = {True: "high", False: "low", None: "neither"}


def test_no_public_metric_is_missing() -> None:
    assert set(metrics.__all__) - set(chain.from_iterable(NO_METRICS.values())) <= set(METRICS)
    assert functions("stability") == metrics.SIMILARITIES
    assert functions("localization") == metrics.LOCALIZATION
    assert functions("fidelity") == {}
    assert functions("complexity") == COMPLEXITY
    assert {name for name, metric in METRICS.items() if metric.has_nulls} == set(metrics.SIMILARITIES)


def signed_agreement(maps_a: Tensor, maps_b: Tensor) -> Tensor:
    """Share of the scores (N, C, H, W) whose signs agree."""
    return (maps_a.sign() == maps_b.sign()).double().flatten(1).mean(dim=1)


def energy(maps: Tensor) -> Tensor:
    """Mean square of maps (N, C, H, W)."""
    return maps.double().square().mean(dim=(1, 2, 3))


def test_a_new_metric_needs_no_line_here() -> None:
    """It is printed behind those that are known, not compared, and nothing is claimed of it."""
    similarities = {"signed_agreement": signed_agreement, **metrics.SIMILARITIES}
    table = make_metrics(
        similarities, {"new_game": signed_agreement, **metrics.LOCALIZATION}, {"new_size": energy, **COMPLEXITY}
    )
    assert table.pop("signed_agreement") == Metric("signed agreement", "stability", signed_agreement)
    assert table.pop("new_game") == Metric("new game", "localization", signed_agreement)
    assert table.pop("new_size") == Metric("new size", "complexity", energy, higher_is_better=None)
    assert list(table.items()) == list(METRICS.items())
    assert Metric("signed agreement", "stability", signed_agreement).has_nulls
    assert not Metric("new game", "localization", signed_agreement).has_nulls


def test_a_new_fidelity_metric_is_a_line_in_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its function is given the maps as they were grouped, of as many images as insertion and deletion."""

    def scores_of_target(
        network: nn.Module, inputs: Tensor, maps: Tensor, targets: Tensor, protocol: Protocol, seed: int, masks: Tensor
    ) -> tuple[Tensor, ...]:
        assert protocol.auc_steps == 3
        assert torch.equal(masks, protocol.regions(inputs))
        return network(inputs).gather(1, targets[:, None])[:, 0], maps.flatten(1).sum(dim=1) + seed

    monkeypatch.setitem(fidelity.FIDELITY, "new", FidelityMeasure(scores_of_target, ("target_score", "map_sum")))
    monkeypatch.setitem(
        fidelity.FIDELITY,
        "costly",
        FidelityMeasure(lambda *given: (given[1].sum((1, 2, 3)),), ("light",), images="road"),
    )
    table = make_metrics()
    assert table["target_score"] == Metric("target score", "fidelity")
    assert {name: table[name] for name in METRICS} == METRICS
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4)).requires_grad_(False)
    inputs, targets = torch.rand(3, 3, 8, 8), torch.tensor([1, 0, 3])
    settings = MethodSettings(signed=True)
    protocol = Protocol(settings, ("Saliency",), (Grouping(PIXELS),), stability=False, auc_steps=3, regions=Grid(4))
    found = measure(protocol, [network], [], Chunk(inputs, targets, None, fidelity=2, mean_color=2, road=1, seed=7))
    of = ("Saliency", PIXELS, "magnitude")
    assert torch.equal(found.values[Key(*of, "target_score")], network(inputs)[[0, 1], [1, 0]])
    weights = network[1].weight[targets[:2]]
    assert torch.allclose(found.values[Key(*of, "map_sum")], weights.abs().sum(dim=1) + 7)
    assert torch.equal(found.values[Key(*of, "light")], inputs[:1].sum((1, 2, 3)))
    assert found.seconds["new"] > 0


def test_metrics_are_documented() -> None:
    """In the table of the tutorial: name, family, which way is better."""
    table = DOCUMENT.read_text(encoding="utf-8").partition("## The metrics")[2]
    rows = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (\w+) \| [^|]+ \| (\w+) \|", table, re.MULTILINE)}
    expected = {name: (metric.family, DIRECTIONS[metric.higher_is_better]) for name, metric in METRICS.items()}
    differing = sorted(name for name in {*rows, *expected} if rows.get(name) != expected.get(name))
    assert not differing, (
        f"the table under 'The metrics' in {DOCUMENT.name} does not describe {', '.join(differing)}: add or mend a row "
        "'| `name` | family | range | high, low or neither | meaning |'"
    )


def test_what_is_claimed_is_compared_and_what_is_compared_has_a_better_side() -> None:
    assert [name for name, metric in METRICS.items() if metric.claimed] == [
        "ssim",
        "top_k_iou",
        "insertion_auc",
        "insertion_minus_deletion",
        "insertion_minus_deletion_mean_color",
    ]
    assert {name for name, metric in METRICS.items() if not metric.printed} == {
        "insertion_auc_mean_color",
        "deletion_auc_mean_color",
        "road_most_relevant_first",
        "road_least_relevant_first",
    }
    for metric in METRICS.values():
        assert metric.compared or not metric.claimed
        assert metric.higher_is_better or not metric.claimed
        assert metric.compared <= (metric.higher_is_better is not None)
        assert (metric.higher_is_better is None) == (metric.family == "complexity")
    compared = {name for name, metric in METRICS.items() if metric.family == "fidelity" and metric.compared}
    assert compared == {
        "insertion_minus_deletion",
        "insertion_auc",
        "deletion_auc",
        "insertion_minus_deletion_mean_color",
        "road",
        "mu_fidelity",
        "irof",
    }


def test_which_way_is_better_in_words() -> None:
    assert METRICS["road"].direction == "higher is better"
    assert METRICS["deletion_auc"].direction == "lower is better"
    assert METRICS["entropy"].direction == "neither higher nor lower is better"
