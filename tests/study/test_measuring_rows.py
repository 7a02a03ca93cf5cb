"""Rows: maps that know nothing are measured as all others are, and what is drawn is drawn for each network anew."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.attr.pixel_maps import attribute_views
from captum_superpixel.masks import Grid
from captum_superpixel.models.networks import SmallCNN, initialize
from captum_superpixel.study import measuring
from captum_superpixel.study.fidelity import FidelityMeasure
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.measurement import Chunk, Key
from captum_superpixel.study.measuring import measure
from captum_superpixel.study.metric_table import METRICS
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.smoothing import AnotherImage, CenteredGaussian, Pixels, Shuffled

GROUPINGS = (
    Grouping("pixels"),
    Grouping("shuffled", Shuffled(Pixels()), forms=(("magnitude", 2),)),
    Grouping("another image", AnotherImage(Pixels()), forms=(("magnitude", 2),)),
    Grouping("centered Gaussian", CenteredGaussian(), forms=(("magnitude", 1),)),
)
PROTOCOL = Protocol(
    MethodSettings(signed=True), ("Saliency",), GROUPINGS, draws=1, auc_steps=5, regions=Grid(4), fidelity=False
)


@pytest.fixture
def network() -> nn.Module:
    network = SmallCNN(4, width=4)
    initialize(network, torch.Generator().manual_seed(0))
    return network.eval().requires_grad_(False)


@pytest.fixture
def chunk() -> Chunk:
    inputs = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(6))
    return Chunk(inputs, torch.tensor([0, 3, 1, 2]), None, fidelity=0, mean_color=0, road=0, seed=77)


def test_pixels_are_shuffled_for_each_network_anew(network: nn.Module, chunk: Chunk) -> None:
    """Else the maps of networks that agree would agree when they are shuffled."""
    found = measure(PROTOCOL, [network, network], [network, network], chunk).values
    for kind in ("value", "permutation", "random_network"):
        key = Key("Saliency", "shuffled", "magnitude", "rank_correlation", kind, 2)
        assert found[key].abs().max() < 0.25, kind
    agreeing = found[Key("Saliency", "another image", "magnitude", "ssim", views=2)]
    assert torch.allclose(agreeing, torch.ones(4, dtype=torch.float64))
    assert torch.equal(found[Key("Saliency", "centered Gaussian", "magnitude", "ssim", "permutation")], agreeing)


def test_null_maps_have_no_stability(network: nn.Module, chunk: Chunk) -> None:
    """They are there for all that is measured of one network."""
    null = dataclasses.replace(GROUPINGS[3], roles=("null",))
    protocol = dataclasses.replace(PROTOCOL, groupings=(GROUPINGS[0], null))
    assert protocol.null_maps == ("centered Gaussian",)
    chunk = dataclasses.replace(chunk, object_masks=chunk.inputs[:, :1] > 0.5)
    found = measure(protocol, [network, network], [network, network], chunk).values
    of = {name: {METRICS[key.metric].family for key in found if key.grouping == name} for name in ("pixels", null.name)}
    assert of == {"pixels": {"stability", "localization", "complexity"}, null.name: {"localization", "complexity"}}


def test_fidelity_of_another_image_is_that_of_the_next_one_of_the_chunk(network: nn.Module, chunk: Chunk) -> None:
    """Even if its own fidelity is not measured."""
    protocol = dataclasses.replace(PROTOCOL, fidelity=True, stability=False)
    found = measure(protocol, [network], [], dataclasses.replace(chunk, fidelity=1)).values
    seed = 0  # of which Saliency draws nothing
    maps = attribute_views("Saliency", network, chunk.inputs, chunk.targets, protocol.method_settings, seed, 2)
    expected = metrics.insertion_auc(network, chunk.inputs[:1], maps.magnitude[1:2], chunk.targets[:1], n_steps=5)
    key = Key("Saliency", "another image", "magnitude", "insertion_auc", views=2)
    assert torch.allclose(found[key], expected, atol=1e-6)


def test_measures_of_fidelity_are_given_the_regions_of_their_images(
    network: nn.Module, chunk: Chunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_first_region(_: nn.Module, inputs: Tensor, *given: object) -> tuple[Tensor, ...]:
        *_, seed, masks = given
        assert seed == 77
        assert isinstance(masks, Tensor)
        return ((inputs * (masks == 0)).sum((1, 2, 3)),)

    table = {"regions": FidelityMeasure(in_first_region, ("in_first_region",), images="road")}
    monkeypatch.setattr(measuring, "FIDELITY", table)
    protocol = dataclasses.replace(PROTOCOL, fidelity=True, stability=False, groupings=GROUPINGS[:1])
    found = measure(protocol, [network], [], dataclasses.replace(chunk, road=3)).values
    key = Key("Saliency", "pixels", "signed", "in_first_region")
    assert torch.allclose(found[key], chunk.inputs[:3, :, :8, :8].sum((1, 2, 3)))


def test_explanations_of_views_are_made_only_for_rows_that_have_any(network: nn.Module, chunk: Chunk) -> None:
    called: list[int] = []
    network.register_forward_pre_hook(lambda _, arguments: called.append(len(arguments[0])))
    once = dataclasses.replace(PROTOCOL, groupings=GROUPINGS[:1], stability=False)
    found = measure(once, [network], [], chunk)
    assert called == [4]
    assert [what for what in found.seconds if what.startswith("attribution")] == ["attribution: Saliency"]
    called.clear()
    found = measure(dataclasses.replace(once, groupings=GROUPINGS), [network], [], chunk)
    assert called[0] == 4
    assert sum(called) > 4
    assert "attribution: Saliency, 2 views" in found.seconds
