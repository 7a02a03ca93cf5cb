"""Groupings: what they make of maps, their roles, and which of their maps are measured."""

import dataclasses
from typing import Any

import pytest
import torch
from captum.attr import IntegratedGradients, Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr import Contributions
from captum_superpixel.attr.pixel_maps import PixelMaps
from captum_superpixel.masks import Felzenszwalb, Grid, Slic, multiscale
from captum_superpixel.study.choice import FORMER, Choice, choice_for
from captum_superpixel.study.groupings import FORMER_ENSEMBLE, Grouping, size_groupings, standard_groupings
from captum_superpixel.study.rows import PIXELS, MapSign, Row
from captum_superpixel.study.smoothing import (
    AnotherImage,
    Blur,
    CenteredGaussian,
    GuidedFilter,
    Pixels,
    Segmented,
    Segments,
    Shuffled,
)

STANDARD = {grouping.name: grouping for grouping in standard_groupings(12, choice=Choice())}
NAMES = list(STANDARD)
SIGNS: tuple[MapSign, ...] = ("signed", "magnitude", "evidence")


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 24, 20, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def maps() -> PixelMaps:
    generator = torch.Generator().manual_seed(4)
    signed, magnitude, contributions = torch.randn(3, 3, 3, 24, 20, generator=generator)
    return PixelMaps(signed, magnitude.abs(), contributions)


def test_the_standard_groupings() -> None:
    choice = Choice()
    smoothings = {name: grouping.smoothing for name, grouping in STANDARD.items()}
    ensemble = Segments(tuple(multiscale(*FORMER)))
    assert smoothings == {
        PIXELS: Pixels(),
        "cells": Segments((Grid(12),)),
        "cell ensemble": Segments((Grid(8), Grid(16), Grid(32), Grid(64))),
        "Slic": Segments((Slic(12),)),
        "Felzenszwalb": Segments((Felzenszwalb(),)),
        "ensemble": ensemble,
        "blur": Blur(choice.blur),
        "narrow blur": Blur(1.5 / 32),
        "wide blur": Blur(4.5 / 32),
        "guided filter": GuidedFilter(choice.guided_radius, choice.guided_eps),
        "centered Gaussian": CenteredGaussian(0.25),
        "another image": AnotherImage(ensemble),
        "shuffled": Shuffled(ensemble),
    }
    assert len(NAMES) == len(STANDARD)
    assert standard_groupings(12) == standard_groupings(12, choice=choice_for(32, 32))
    assert smoothings["narrow blur"] != smoothings["blur"] != smoothings["wide blur"]
    for texts in ({grouping.describe() for grouping in STANDARD.values()}, {g.meaning for g in STANDARD.values()}):
        assert len(texts) == len(STANDARD)


def test_roles() -> None:
    def names_with(role: str) -> set[str]:
        return {name for name, grouping in STANDARD.items() if role in grouping.roles}

    assert names_with("candidate") == {"Slic", "Felzenszwalb", "ensemble"}
    assert names_with("null") == {"centered Gaussian", "another image", "shuffled"}
    controls = {"cells", "cell ensemble", "blur", "narrow blur", "wide blur", "guided filter"}
    assert names_with("control") == {PIXELS, *controls}
    assert {name for name, grouping in STANDARD.items() if grouping.meaning.startswith("control: ")} == controls
    assert {n for n, grouping in STANDARD.items() if grouping.meaning.startswith("null: ")} == names_with("null")
    for role in ("drawn", "retrained"):
        assert names_with(role) >= {PIXELS, "cells", "Slic", "ensemble"}


def test_rows() -> None:
    """Controls are measured by the same rule and the same number of passes as what is recommended."""
    full = [("signed", 1), ("magnitude", 1), ("evidence", 1), ("magnitude", 5), ("evidence", 5)]
    rows = {grouping.name: grouping.rows for grouping in standard_groupings(12, n_views=5)}
    for name in (PIXELS, "cell ensemble", "ensemble", "blur", "guided filter"):
        assert rows[name] == tuple(Row(name, *form) for form in full)  # type: ignore[arg-type]
    for name in ("cells", "Slic", "Felzenszwalb"):
        assert rows[name] == (Row(name, "signed"), Row(name, "magnitude"))
    for name in ("narrow blur", "wide blur", "centered Gaussian"):
        assert rows[name] == (Row(name, "magnitude"),)
    for name in ("another image", "shuffled"):
        assert rows[name] == (Row(name, "magnitude", 5),)
    once = {grouping.name: grouping.rows for grouping in standard_groupings(12, n_views=1)}
    assert {row.views for of in once.values() for row in of} == {1}
    assert once["ensemble"] == tuple(Row("ensemble", sign) for sign in SIGNS)
    assert once["shuffled"] == (Row("shuffled", "magnitude"),)


def test_the_choice_and_the_preprocessing_reach_all_groupings() -> None:
    choice = Choice((5, 8), (7.0,), blur=0.2, guided_radius=0.1, guided_eps=0.3)
    options: dict[str, Any] = {"denormalize": (0.5, 0.25), "channel_order": "bgr"}
    groupings = standard_groupings(9, choice=choice, **options)
    of: dict[str, Any] = {grouping.name: grouping.smoothing for grouping in groupings}
    assert of["ensemble"] == Segments(tuple(multiscale((5, 8), (7,), **options)))
    assert of["another image"].smoothing == of["shuffled"].smoothing == of["ensemble"]
    assert of["cell ensemble"] == Segments((Grid(5), Grid(8)))
    assert (of["blur"], of["guided filter"]) == (Blur(0.2), GuidedFilter(0.1, 0.3, (0.5, 0.25)))
    for generator in (*of["Slic"].generators, *of["Felzenszwalb"].generators):
        assert (generator.denormalize, generator.channel_order) == (Slic(denormalize=(0.5, 0.25)).denormalize, "bgr")
    # What was recommended before stays in the tables.
    former = next(grouping for grouping in groupings if grouping.name == FORMER_ENSEMBLE)
    assert former.smoothing == Segments(tuple(multiscale(*FORMER, **options)))
    assert (former.rows, former.roles) == ((Row(FORMER_ENSEMBLE, "magnitude"),), ("candidate",))
    assert FORMER_ENSEMBLE not in STANDARD
    few = {grouping.name: grouping.smoothing for grouping in standard_groupings(9, choice=Choice(), counts=(5,))}
    assert few["ensemble"] == Segments(tuple(multiscale((5,))))
    assert FORMER_ENSEMBLE not in few


@pytest.mark.parametrize("name", NAMES)
def test_each_sign_groups_its_own_map(name: str, images: Tensor, maps: PixelMaps) -> None:
    grouping = STANDARD[name]
    segmented = Segmented(images)
    group, count = grouping.bind(segmented)
    smooth, same = grouping.smoothing.bind(segmented)
    assert count == same
    assert torch.equal(group(maps, "signed", seed=3), smooth(maps.signed, 3))
    assert torch.equal(group(maps, "magnitude", seed=3), smooth(maps.magnitude, 3))
    added = maps.contributions.sum(dim=1, keepdim=True)
    for weight in (0.0, 0.25, 0.5):
        expected = smooth(added.relu(), 3) - weight * smooth((-added).relu(), 3)
        found = group(maps, "evidence", weight, 3)
        assert found.shape == maps.signed.shape
        if name != "centered Gaussian":  # which has no map to have signs
            assert torch.allclose(found, expected.expand(found.shape), atol=1e-6)


@pytest.mark.parametrize("name", [PIXELS, "ensemble", "blur", "guided filter"])
def test_evidence_of_weight_1_is_the_signed_sum_and_of_minus_1_its_magnitude(
    name: str, images: Tensor, maps: PixelMaps
) -> None:
    group, _ = STANDARD[name].bind(images)
    added = maps.contributions.sum(dim=1, keepdim=True).expand(maps.signed.shape)
    plain = PixelMaps(added, added.abs(), added)
    assert torch.allclose(group(maps, "evidence", 1.0), group(plain, "signed"), atol=1e-5)
    assert torch.allclose(group(maps, "evidence", -1.0), group(plain, "magnitude"), atol=1e-5)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("name", ["cells", "cell ensemble", "Slic", "Felzenszwalb", "ensemble"])
def test_groups_are_those_of_superpixel_grouped(name: str, sign: str, images: Tensor) -> None:
    """What is studied is what is advertised: the wrapper around a method, with the same generators."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5))
    network.requires_grad_(False)
    options = {"target": [0, 3, 1], "abs": False}
    leaf = images.clone().requires_grad_()
    pixels = Saliency(network).attribute(leaf, **options)
    maps = PixelMaps(pixels, pixels.abs(), Contributions(Saliency(network)).attribute(leaf, **options))
    reductions: dict[str, Any] = {"signed": "mean", "magnitude": "abs_mean", "evidence": "evidence"}
    generators = list(STANDARD[name].smoothing.generators)  # type: ignore[attr-defined]
    method = Contributions(Saliency(network)) if sign == "evidence" else Saliency(network)
    wrapped = SuperpixelGrouped(method, generators, reduction=reductions[sign], negative_weight=0.3)
    found = STANDARD[name].bind(images)[0](maps, sign, 0.3)  # type: ignore[arg-type]
    expected = wrapped.attribute(leaf, **options)
    if sign == "evidence":
        assert torch.allclose(found, expected, atol=1e-5 * expected.abs().max().item())
    else:
        assert torch.equal(found, expected)
    assert expected.abs().max() > 0


def test_the_maps_are_not_written_to(images: Tensor, maps: PixelMaps) -> None:
    before = PixelMaps(*(each.clone() for each in maps))
    for grouping in STANDARD.values():
        group, _ = grouping.bind(images)
        for sign in SIGNS:
            group(maps, sign)
    assert all(torch.equal(one, other) for one, other in zip(maps, before, strict=True))


def test_a_grouping_is_measured_by_signs_of_one_view_unless_it_says_otherwise() -> None:
    assert Grouping("all").rows == (Row("all", "signed"), Row("all", "magnitude"))
    assert dataclasses.replace(Grouping("all"), forms=(("evidence", 3),)).rows == (Row("all", "evidence", 3),)


def test_sizes_grow_and_leave_four_segments() -> None:
    groupings = size_groupings(32, 32, denormalize=(0.5, 0.25), channel_order="bgr")
    assert [grouping.name for grouping in groupings[::2]] == [f"Slic {n}" for n in (256, 113, 64, 28, 16, 7, 4)]
    assert [grouping.family for grouping in groupings] == ["Slic", "cells"] * 7
    assert groupings[0].smoothing == Segments((Slic(256, denormalize=(0.5, 0.25), channel_order="bgr"),))
    assert groupings[-1].smoothing == Segments((Grid(4),))
    assert size_groupings(3, 3) == ()
    names = [grouping.name for grouping in size_groupings(4, 5)]
    assert names == ["Slic 5", "cells 5"]
    names = [grouping.name for grouping in size_groupings(4, 4)]
    assert names == ["Slic 4", "cells 4"]


def test_integrated_gradients_are_contributions_as_they_are(images: Tensor) -> None:
    """In an ensemble of one cell: the mean of what speaks for the class, less half of what speaks against it."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 20, 2, bias=False)).requires_grad_(False)
    leaf = images.clone().requires_grad_()
    pixels = IntegratedGradients(network).attribute(leaf, target=1, n_steps=3).float().detach()
    group, _ = Grouping("one", Segments((Grid(1),))).bind(images)
    added = pixels.sum(dim=1)
    expected = (added.relu() - 0.5 * (-added).relu()).mean(dim=(1, 2))
    found = group(PixelMaps(pixels, pixels.abs(), pixels), "evidence")
    assert torch.allclose(found, expected.view(3, 1, 1, 1).expand(found.shape), atol=1e-6)
