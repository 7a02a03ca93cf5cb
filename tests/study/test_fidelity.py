"""Fidelity in the study: each measure is the public metric of its name, with the options that the report states."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.models.networks import SmallCNN, initialize
from captum_superpixel.study.fidelity import FIDELITY
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.rows import PIXELS

PROTOCOL = Protocol(MethodSettings(signed=True), ("Saliency",), (Grouping(PIXELS),), auc_steps=6, road_noise=0.02)
SEED = 5

Measured = Callable[..., dict[str, Tensor]]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    network = SmallCNN(4, width=4)
    initialize(network, torch.Generator().manual_seed(0))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    """Three images, maps with signs, and masks of 25 segments."""
    generator = torch.Generator().manual_seed(1)
    masks = (torch.arange(20)[:, None] // 4 * 5 + torch.arange(20) // 4).expand(3, 1, 20, 20)
    return {
        "inputs": torch.rand(3, 3, 20, 20, generator=generator),
        "maps": torch.randn(3, 3, 20, 20, generator=generator),
        "targets": torch.tensor([2, 0, 1]),
        "masks": masks,
    }


@pytest.fixture(scope="module")
def measured(network: nn.Module, given: dict[str, Any]) -> Measured:
    """All values by the names of the metrics, of the images as they are or of others."""

    def measure(**changed: Tensor) -> dict[str, Tensor]:
        inputs, maps, targets, masks = (given | changed).values()
        found: dict[str, Tensor] = {}
        for measure in FIDELITY.values():
            values = measure.function(network, inputs, maps, targets, PROTOCOL, SEED, masks)
            found |= dict(zip(measure.metrics, values, strict=True))
        return found

    return measure


@pytest.mark.parametrize(("ending", "baselines"), [("", "blur"), ("_mean_color", "mean")])
def test_insertion_and_deletion_against_either_background(
    ending: str, baselines: str, measured: Measured, network: nn.Module, given: dict[str, Any]
) -> None:
    found, options = measured(), {"baselines": baselines, "n_steps": 6}
    images = (network, given["inputs"], given["maps"], given["targets"])
    insertion, deletion = metrics.insertion_auc(*images, **options), metrics.deletion_auc(*images, **options)
    assert torch.allclose(found[f"insertion_auc{ending}"], insertion)
    assert torch.allclose(found[f"deletion_auc{ending}"], deletion)
    assert torch.allclose(found[f"insertion_minus_deletion{ending}"], insertion - deletion)


def test_mu_fidelity_of_logits_over_a_hundred_sets_of_segments(
    measured: Measured, network: nn.Module, given: dict[str, Any]
) -> None:
    """Written out: NumPy's correlation of what 5 of the 25 segments hold, and what the logit loses when they blur."""
    generator = torch.Generator().manual_seed(derive_seed(SEED, "muFidelity"))
    keys = torch.stack([torch.rand(400, generator=generator)[:25] for _ in range(100)])
    chosen = torch.zeros(100, 25, dtype=torch.bool).scatter_(1, keys.argsort(dim=1)[:, :5], True)
    background = metrics_background(given["inputs"])
    for i, (image, map_, target) in enumerate(zip(given["inputs"], given["maps"], given["targets"], strict=True)):
        ids = given["masks"][i, 0]
        sums = [map_.sum(dim=0)[torch.isin(ids, row.nonzero()[:, 0])].sum().item() for row in chosen]
        changed = torch.stack([torch.where(row[ids], background[i], image) for row in chosen])
        drops = (network(image[None]) - network(changed))[:, target]
        expected = torch.corrcoef(torch.stack([torch.tensor(sums), drops]))[0, 1]
        assert measured()["mu_fidelity"][i].item() == pytest.approx(expected.item(), abs=1e-4)


def metrics_background(inputs: Tensor) -> Tensor:
    """The blur that insertion starts with, taken from there: what a network is given when nothing is inserted."""
    seen: list[Tensor] = []

    def network(images: Tensor) -> Tensor:
        seen.append(images)
        return images.new_zeros(len(images), 2)

    metrics.insertion_auc(network, inputs, inputs, 0, n_steps=1, batch_size=1)
    return torch.cat(seen[::2])


def test_irof_is_the_area_over_the_curve_of_segments(
    measured: Measured, network: nn.Module, given: dict[str, Any]
) -> None:
    images = (network, given["inputs"], given["maps"], given["targets"])
    curve = metrics.deletion_curve(*images, feature_mask=given["masks"], baselines="mean", n_steps=None).scores
    assert curve.shape == (3, 26)
    shares = curve / curve[:, :1]
    expected = 1 - (shares[:, 1:] + shares[:, :-1]).mean(dim=1) / 2
    assert torch.allclose(measured()["irof"], expected)


def test_road_with_the_noise_of_the_protocol(measured: Measured, network: nn.Module, given: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(derive_seed(SEED, "road"))
    images = (network, given["inputs"], given["maps"], given["targets"])
    found = metrics.road(*images, noise=0.02, generator=generator)
    assert torch.allclose(measured()["road"], found.score)
    assert torch.allclose(measured()["road_most_relevant_first"], found.most_relevant_first.mean(dim=1))


def test_maps_are_compared_over_the_same_draws(measured: Measured, given: dict[str, Any]) -> None:
    """A map twice as strong has the same order and the same correlations, whatever is drawn."""
    doubled = measured(maps=2 * given["maps"])
    for name, values in measured().items():
        assert torch.allclose(doubled[name], values, atol=1e-6), name


def test_maps_and_images_that_say_nothing_leave_a_number(measured: Measured, given: dict[str, Any]) -> None:
    """An all-zero map has no correlation with anything, and a black image loses nothing: 0, not NaN."""
    maps = given["maps"].clone()
    maps[1] = 0
    inputs = given["inputs"].clone()
    inputs[2] = 0  # whose blur is exactly itself
    found = measured(inputs=inputs, maps=maps)
    assert all(values.isfinite().all() for values in found.values())
    assert found["mu_fidelity"][1:].tolist() == [0, 0]
    assert found["irof"][2].item() == pytest.approx(0, abs=1e-6)
    for name, values in measured().items():
        assert torch.allclose(found[name][:1], values[:1], atol=1e-6), name


def test_the_network_is_asked_once_what_it_loses_for_all_maps_of_a_chunk(
    network: nn.Module, given: dict[str, Any]
) -> None:
    """And again for other images, targets, masks, seeds, and weights."""
    watched, asked = copy.deepcopy(network), 0

    def count(_network: nn.Module, given: tuple[Tensor, ...], _output: Tensor) -> None:
        nonlocal asked
        asked += len(given[0])

    watched.register_forward_hook(count)

    def passes(seed: int = SEED, **changed: Tensor) -> int:
        nonlocal asked
        asked = 0
        inputs, maps, targets, masks = (given | changed).values()
        (values,) = FIDELITY["muFidelity"].function(watched, inputs, maps, targets, PROTOCOL, seed, masks)
        found, options = asked, {"feature_mask": masks, "n_subsets": 100, "softmax": False}
        generator = torch.Generator().manual_seed(derive_seed(seed, "muFidelity"))
        expected = metrics.mu_fidelity(watched, inputs, maps, targets, generator=generator, **options)
        assert torch.allclose(values, expected)
        return found

    every, none = 300, 0
    assert passes() == every
    assert passes() == none
    assert passes(maps=given["maps"].abs()) == none
    assert passes(inputs=given["inputs"].flip(3)) == every
    assert passes(inputs=given["inputs"].flip(3), targets=torch.tensor([1, 1, 1])) == every
    assert passes(masks=given["masks"] // 2) == every
    assert passes(seed=6) == every
    assert passes(seed=6) == none
    nn.init.constant_(watched.classifier.weight, 0.5)
    assert passes(seed=6) == every


def test_on_how_many_images_and_what_is_named() -> None:
    assert {name: measure.images for name, measure in FIDELITY.items() if measure.images != "fidelity"} == {
        "insertion and deletion, mean color": "mean_color",
        "ROAD": "road",
        "IROF": "road",
    }
    named = [metric for measure in FIDELITY.values() for metric in measure.metrics]
    assert sorted(named) == sorted(name for name, metric in METRICS.items() if metric.family == "fidelity")
