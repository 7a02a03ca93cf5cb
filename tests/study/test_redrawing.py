"""Maps and draws of a study: those of the methods and of the library, kept in parts, and of no other settings."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import Saliency
from torch import Tensor, nn

from captum_superpixel._store import Store, StoreError
from captum_superpixel.attr import perturbed_attributions
from captum_superpixel.masks import Grid
from captum_superpixel.models.networks import small_cnn
from captum_superpixel.study.context import Study
from captum_superpixel.study.redrawing import Plan, Redrawing
from captum_superpixel.study.settings import StudySettings

PLAN = Plan(images=[4, 7, 9], typical=[4, 7], segments=(8,), members=(Grid(4), Grid(9)), chunk_size=2, draws=2)


@pytest.fixture
def networks() -> list[nn.Module]:
    made: list[nn.Module] = [
        small_cnn(3, generator=torch.Generator().manual_seed(seed)).eval().requires_grad_(False) for seed in (0, 1)
    ]
    return made


@pytest.fixture
def study(settings_of: Callable[..., StudySettings], study_of: Callable[..., Study], tmp_path: Path) -> Study:
    return study_of(settings_of(n_steps=2, n_samples=2), store=Store(tmp_path / "parts"))


def names(study: Study) -> list[str]:
    return sorted(path.stem for path in study.store.folder.iterdir())


@pytest.fixture
def redrawing(study: Study, networks: list[nn.Module], monkeypatch: pytest.MonkeyPatch) -> Redrawing:
    """With strengths that untrained networks, which are sure of nothing, have not."""
    monkeypatch.setattr(Redrawing, "_find_strengths", lambda _: [0.1, 0.2])
    return Redrawing(study, networks, networks, PLAN)


def test_maps_are_those_of_the_method(redrawing: Redrawing, study: Study, networks: list[nn.Module]) -> None:
    (start, stop) = redrawing.bounds[0]
    chunk = redrawing.explain("Saliency", start, stop, twins=True)
    # A single image that is left over goes with those before it.
    assert (start, stop, list(chunk.images)) == (0, 3, [4, 7, 9])
    inputs, targets = study.data.held_out.batch([4, 7, 9]), study.data.held_out.labels[[4, 7, 9]]
    for network, maps, twin in zip(networks, chunk.maps, chunk.twins, strict=True):
        expected = Saliency(network).attribute(inputs.requires_grad_(), target=targets, abs=False)
        torch.testing.assert_close(maps, expected)
        torch.testing.assert_close(twin, expected)
    assert names(study) == [
        *(f"confidence-maps-Saliency-{number}-0" for number in (0, 1)),
        *(f"confidence-maps-Saliency-twin-{number}-0" for number in (0, 1)),
    ]
    assert chunk.segments["Slic(8)"].shape == (3, 1, 16, 16)
    assert [int(mask.max()) + 1 for mask in chunk.members] == [4, 9]


def test_draws_are_those_of_perturbed_networks(redrawing: Redrawing, study: Study, networks: list[nn.Module]) -> None:
    chunk = redrawing.explain("Saliency", *redrawing.bounds[0])
    drawn = redrawing.draw(chunk, ["joint", "views", "weights"])
    for kind, options in {
        "joint": {"strength": 0.2},
        "views": {"strength": 0.0},
        "weights": {"strength": 0.2, "views": False},
    }.items():
        expected = perturbed_attributions(
            Saliency(networks[1]),
            networks[1],
            chunk.inputs,
            target=chunk.targets,
            n_draws=2,
            generator=torch.Generator().manual_seed(study.seed(kind, 1, 0)),
            abs=False,
            **options,
        ).attributions
        content = drawn[kind][1]
        torch.testing.assert_close(content["mean_map"], expected.abs().mean(dim=0).sum(dim=1, keepdim=True))
        scores = torch.stack([chunk.scores(1, maps)["Slic(8)", "magnitude"] for maps in expected])
        torch.testing.assert_close(content["scores"]["Slic(8) magnitude"], scores)
    assert redrawing.draw(chunk, ["views"], twin=True)["views"][0]["scores"] == {}


def test_input_noise_is_that_of_the_study(redrawing: Redrawing, study: Study, networks: list[nn.Module]) -> None:
    chunk = redrawing.explain("Saliency", *redrawing.bounds[0])
    content = redrawing.draw(chunk, ["noise"])["noise"][0]
    generator = torch.Generator().manual_seed(study.seed("noise", 0, 0))
    maps = []
    for _ in range(2):
        noisy = chunk.inputs + study.data.noise(study.settings.noise) * torch.randn(
            chunk.inputs.shape, generator=generator
        )
        maps.append(Saliency(networks[0]).attribute(noisy.requires_grad_(), target=chunk.targets))
    torch.testing.assert_close(content["mean_map"], torch.stack(maps).mean(dim=0).sum(dim=1, keepdim=True))


def test_what_is_kept_is_not_made_again(redrawing: Redrawing, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = redrawing.bounds[0]
    first = redrawing.draw(redrawing.explain("SmoothGrad", *bounds), ["joint"])["joint"]

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("explained again")

    monkeypatch.setattr(Redrawing, "_bound", refuse)
    again = Redrawing(study, redrawing.networks, [], PLAN)
    second = again.draw(again.explain("SmoothGrad", *bounds), ["joint"])["joint"]
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one["mean_map"], other["mean_map"])


@pytest.mark.parametrize(
    ("plan", "settings", "named"),
    [
        ({"segments": (9,)}, {}, r"segments=\[8\] \(now \[9\]\)"),
        ({"members": (Grid(4),)}, {}, r"members=.*Grid\(n_segments=9\)"),
        ({"images": [4, 7, 8]}, {}, r"chunk=\[4, 7, 9\] \(now \[4, 7, 8\]\)"),
        ({}, {"seed": 3}, r"seed=0 \(now 3\)"),
        ({}, {"noise": 0.2}, r"noise=0\.12 \(now 0\.2\)"),
    ],
)
def test_parts_of_other_settings_are_refused(
    plan: dict[str, Any], settings: dict[str, Any], named: str, redrawing: Redrawing, study: Study
) -> None:
    redrawing.explain("Saliency", *redrawing.bounds[0])
    other = dataclasses.replace(study, settings=dataclasses.replace(study.settings, **settings))
    changed = Redrawing(other, redrawing.networks, [], dataclasses.replace(PLAN, **plan))
    with pytest.raises(StoreError, match=rf"confidence-maps-Saliency-0-0\.pt was made with other settings.*{named}"):
        changed.explain("Saliency", *changed.bounds[0])


def test_draws_of_another_strength_or_number_are_refused(redrawing: Redrawing, study: Study) -> None:
    chunk = redrawing.explain("Saliency", *redrawing.bounds[0])
    redrawing.draw(chunk, ["joint"])
    redrawing.strengths = [0.1, 0.3]
    with pytest.raises(StoreError, match=r"confidence-draws-Saliency-joint-1-0\.pt .*strength=0\.2 \(now 0\.3\)"):
        redrawing.draw(chunk, ["joint"])
    more = Redrawing(study, redrawing.networks, [], dataclasses.replace(PLAN, draws=3))
    with pytest.raises(StoreError, match=r"confidence-draws-Saliency-joint-0-0\.pt .*draws=2 \(now 3\)"):
        more.draw(chunk, ["joint"])


def test_a_network_that_is_sure_of_nothing_is_named(study: Study, networks: list[nn.Module]) -> None:
    """Its class changes with the view alone, so that no strength keeps it."""

    class Undecided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, images: Tensor) -> Tensor:
            # Which of two columns of pixels is the brighter depends on where the view begins.
            return torch.stack([images[:, 0, 0, 0], images[:, 0, 0, -1], images[:, 0, -1, 0]], dim=1) * self.weight

    with pytest.raises(ValueError, match=r"how sure regions are cannot be measured of network 1: .*; take more images"):
        Redrawing(study, [Undecided(), Undecided()], [], PLAN)
    assert not study.store.folder.exists()
