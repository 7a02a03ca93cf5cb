"""Measurements: every value is what the wrappers and the metrics give for a single image; nulls are what they say."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.attr.pixel_maps import PixelMaps, attribute_views
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.masks.base import ImageMaskGenerator
from captum_superpixel.models.networks import SmallCNN, initialize
from captum_superpixel.pooling import pool_segments
from captum_superpixel.study import fidelity
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.measurement import Chunk, Key, Measurement, pair_kind
from captum_superpixel.study.measuring import measure
from captum_superpixel.study.metric_table import METRICS, functions
from captum_superpixel.study.protocol import Claim, Protocol
from captum_superpixel.study.rows import SIGNS, Row
from captum_superpixel.study.settings import METHOD_NAMES
from captum_superpixel.study.smoothing import Segments

STABILITY, LOCALIZATION = metrics.SIMILARITIES, metrics.LOCALIZATION
FIDELITY = [name for name, metric in METRICS.items() if metric.family == "fidelity"]
COSTLY = [name for measure in fidelity.FIDELITY.values() if measure.images == "road" for name in measure.metrics]
COMPLEXITY = functions("complexity")
GENERATORS: dict[str, tuple[ImageMaskGenerator, ...]] = {
    "pixels": (),
    "cells": (Grid(16),),
    "Slic": (Slic(10), Slic(20)),
}
FORMS: Any = (("signed", 1), ("magnitude", 1), ("evidence", 1), ("magnitude", 3), ("evidence", 3))
GROUPINGS = (
    Grouping("pixels"),
    Grouping("cells", Segments(GENERATORS["cells"])),
    Grouping("Slic", Segments(GENERATORS["Slic"]), forms=FORMS),
)
ROWS = tuple(row for grouping in GROUPINGS for row in grouping.rows)
PROTOCOL = Protocol(
    MethodSettings(n_steps=4, n_samples=3, noise=0.1, signed=True),
    METHOD_NAMES,
    GROUPINGS,
    draws=2,
    auc_steps=5,
    road_noise=0.02,
    regions=Slic(10),
    negative_weights={"Saliency": 0.25},
)


def key_of(method: str, row: Row, metric: str, kind: str = "value") -> Key:
    return Key(method, row.grouping, row.sign, metric, kind, row.views)


# Networks whose maps are compared, or a network and the one whose twin it is held against: never its own.
PAIRS = {"value": [(0, 1), (0, 2), (1, 2)], "random_network": [(0, 1), (1, 2), (2, 0)]}
PAIR_KINDS = [pair_kind(kind, *pair) for kind, pairs in PAIRS.items() for pair in pairs]
OF = [partial(key_of, method, row) for method in METHOD_NAMES for row in ROWS]


def make_network(seed: int) -> nn.Module:
    network = SmallCNN(4, width=4)
    initialize(network, torch.Generator().manual_seed(seed))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def networks() -> list[nn.Module]:
    return [make_network(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def twins() -> list[nn.Module]:
    return [make_network(seed) for seed in range(10, 13)]


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    """The images of the chunk, one by one."""
    generator = torch.Generator().manual_seed(6)
    return list(torch.split(torch.rand(4, 3, 16, 16, generator=generator), 1))


@pytest.fixture(scope="module")
def chunk(images: list[Tensor]) -> Chunk:
    object_masks = torch.zeros(4, 1, 16, 16, dtype=torch.bool)
    object_masks[:, :, 3:9, 4:12] = True
    return Chunk(torch.cat(images), torch.tensor([0, 3, 1, 2]), object_masks, fidelity=3, mean_color=3, road=2, seed=77)


@pytest.fixture(scope="module")
def measured(networks: list[nn.Module], twins: list[nn.Module], chunk: Chunk) -> Measurement:
    return measure(PROTOCOL, networks, twins, chunk)


def part_of(chunk: Chunk, start: int, stop: int, **changes: int) -> Chunk:
    part = slice(start, stop)
    masks = None if chunk.object_masks is None else chunk.object_masks[part]
    return dataclasses.replace(
        chunk, inputs=chunk.inputs[part], targets=chunk.targets[part], object_masks=masks, **changes
    )


def explained(method: str, network: nn.Module, chunk: Chunk, number: int, views: int = 1) -> PixelMaps:
    seed = derive_seed(chunk.seed, method, number)
    return attribute_views(method, network, chunk.inputs, chunk.targets, PROTOCOL.method_settings, seed, views)


@cache
def segmented(generator: ImageMaskGenerator, image: Tensor) -> Tensor:
    return generator(image)


def grouped(method: str, row: Row, images: Sequence[Tensor], maps: PixelMaps, number: int) -> Tensor:
    """The map (1, C, H, W) of one of several images, straight from the generators."""

    def pool(map_: Tensor) -> Tensor:
        pooled = [pool_segments(map_, segmented(generator, images[number])) for generator in GENERATORS[row.grouping]]
        return sum(pooled[1:], pooled[0]) / len(pooled) if pooled else map_

    signed, magnitude, contributions = (each[number : number + 1] for each in maps)
    if row.sign == "evidence":
        added = contributions.sum(dim=1, keepdim=True)
        weight = 0.25 if method == "Saliency" else 0.5
        return (pool(added.relu()) - weight * pool((-added).relu())).expand(1, 3, 16, 16)
    return pool(magnitude if row.sign == "magnitude" else signed)


def permuted(maps: PixelMaps, generator: torch.Generator) -> PixelMaps:
    """All forms of a map by the same permutation."""
    state = generator.get_state()
    parts = []
    for each in maps:
        generator.set_state(state)
        parts.append(metrics.permute_pixels(each, generator))
    return PixelMaps(*parts)


def test_every_key_is_there_and_counts_its_images(measured: Measurement) -> None:
    expected = {
        key(metric, kind): 4
        for key in OF
        for metric in STABILITY
        for kind in ("value", "permutation", "random_network", *PAIR_KINDS)
    }
    on_all = ("across_model_variance", *LOCALIZATION, *COMPLEXITY)
    expected |= {key(metric): 4 for key in OF for metric in on_all}
    expected |= {key(metric): 2 if metric in COSTLY else 3 for key in OF for metric in FIDELITY}
    assert {key: len(values) for key, values in measured.values.items()} == expected
    for key, values in measured.values.items():
        assert values.dtype == torch.float64, key
        assert values.shape == (expected[key],), key
        assert values.isfinite().all(), key
    assert measured.n_images == 4
    assert measured.segments["pixels"] == 256
    assert measured.segments["cells"] == 16
    assert 8 < measured.segments["Slic"] <= 15
    assert min(measured.seconds.values()) > 0
    assert {"attribution: Saliency", "segmentation: Slic", "ROAD"} < set(measured.seconds)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_stability_is_the_mean_over_pairs_of_each_image(
    method: str,
    measured: Measurement,
    networks: list[nn.Module],
    twins: list[nn.Module],
    chunk: Chunk,
    images: list[Tensor],
) -> None:
    """And each pair has its own value. Evidence is compared as it is displayed, without what is negative."""
    for views in (1, 3):
        maps = [explained(method, network, chunk, number, views) for number, network in enumerate(networks)]
        of_twins = [explained(method, twin, chunk, 3 + number, views) for number, twin in enumerate(twins)]
        generator = torch.Generator().manual_seed(derive_seed(77, method, "permutation"))
        pairs: dict[str, list[Sequence[PixelMaps]]] = {
            "value": [(maps[i], maps[j]) for i, j in PAIRS["value"]],
            "permutation": [
                [permuted(maps[i], generator), permuted(maps[j], generator)]
                for i, j in ((0, 1), (0, 2))  # two draws: the pairs of networks take turns
            ],
            "random_network": [(maps[i], of_twins[j]) for i, j in PAIRS["random_network"]],
        }
        for row, (kind, compared) in product((row for row in ROWS if row.views == views), pairs.items()):
            pooled = [
                [[grouped(method, row, images, each, i) for each in pair] for i in range(len(images))]
                for pair in compared
            ]
            if row.sign == "evidence":
                pooled = [[[each.relu() for each in pair] for pair in of_pair] for of_pair in pooled]
            for metric, function in STABILITY.items():
                expected = [[function(a, b).item() for a, b in of_pair] for of_pair in pooled]
                key = key_of(method, row, metric, kind)
                np.testing.assert_allclose(measured.values[key], np.mean(expected, axis=0), atol=1e-5, err_msg=str(key))
                for pair, of_pair in zip(PAIRS.get(kind, []), expected, strict=kind in PAIRS):
                    of_two = measured.values[key._replace(kind=pair_kind(kind, *pair))]
                    np.testing.assert_allclose(of_two, of_pair, atol=1e-5, err_msg=str(key))


def test_variance_over_models(measured: Measurement, networks: list[nn.Module], chunk: Chunk) -> None:
    bundles = [explained("Saliency", network, chunk, number) for number, network in enumerate(networks)]
    maps = np.stack([bundle.signed.double().numpy() for bundle in bundles])
    for sign, values in (("signed", maps), ("magnitude", np.abs(maps))):
        expected = values.var(axis=0, ddof=1).sum(axis=(1, 2, 3)) / (values.mean(axis=0) ** 2).sum(axis=(1, 2, 3))
        found = measured.values[Key("Saliency", "pixels", sign, "across_model_variance")]
        np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["Saliency", "IntegratedGradients"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_fidelity_is_that_of_the_first_network_and_the_first_images(
    row: Row,
    method: str,
    measured: Measurement,
    networks: list[nn.Module],
    chunk: Chunk,
    images: list[Tensor],
) -> None:
    """Maps enter with their signs, evidence too."""
    maps = explained(method, networks[0], chunk, 0, row.views)
    values = {name: measured.values[key_of(method, row, name)] for name in (*FIDELITY, *LOCALIZATION, *COMPLEXITY)}
    assert chunk.object_masks is not None
    for i, image in enumerate(images):
        pooled = grouped(method, row, images, maps, i)
        displayed = pooled.relu() if row.sign == "evidence" else pooled
        for name, function in COMPLEXITY.items():
            assert values[name][i].item() == pytest.approx(function(displayed).item(), abs=1e-4), name
        for name, function in LOCALIZATION.items():
            expected = function(pooled, chunk.object_masks[i : i + 1]).item()
            assert values[name][i].item() == pytest.approx(expected, abs=1e-5), name
        given = (networks[0], image, pooled, chunk.targets[i : i + 1])
        if i < 3:
            insertion = metrics.insertion_auc(*given, n_steps=5).item()
            deletion = metrics.deletion_auc(*given, n_steps=5).item()
            assert values["insertion_auc"][i].item() == pytest.approx(insertion, abs=1e-5)
            assert values["deletion_auc"][i].item() == pytest.approx(deletion, abs=1e-5)
            assert values["insertion_minus_deletion"][i].item() == pytest.approx(insertion - deletion, abs=1e-5)
        if i < 2:
            generator = torch.Generator().manual_seed(derive_seed(77, "road"))
            road = metrics.road(*given, noise=0.02, generator=generator)
            most, least = (curve.mean().item() for curve in (road.most_relevant_first, road.least_relevant_first))
            assert values["road"][i].item() == pytest.approx(least - most, abs=1e-5)
            assert values["road_most_relevant_first"][i].item() == pytest.approx(most, abs=1e-5)
            assert values["road_least_relevant_first"][i].item() == pytest.approx(least, abs=1e-5)


def test_networks_that_are_the_same_agree(networks: list[nn.Module], chunk: Chunk) -> None:
    """But for SmoothGrad, whose noise is drawn for each network anew."""
    found = measure(
        dataclasses.replace(PROTOCOL, draws=0, fidelity=False), [networks[0], networks[0]], [], chunk
    ).values
    for key in OF:
        agreement = found[key("ssim")]
        if key("ssim").method == "SmoothGrad":
            assert agreement.max() < 0.999
            assert found[key("across_model_variance")].min() > 0
        else:
            assert torch.allclose(agreement, torch.ones(4, dtype=torch.float64))
            assert torch.equal(found[key("top_k_iou")], torch.ones(4, dtype=torch.float64))
            assert torch.equal(found[key("across_model_variance")], torch.zeros(4, dtype=torch.float64))


def test_the_random_network_is_the_twin_of_the_next(networks: list[nn.Module], chunk: Chunk) -> None:
    """With each network as the twin of the other, each is compared with itself."""
    first, second = networks[:2]
    protocol = dataclasses.replace(PROTOCOL, methods=("Saliency",), draws=0, fidelity=False)
    found = measure(protocol, [first, second], [second, first], chunk).values
    of = ("Saliency", "pixels", "signed", "cosine_similarity")
    assert torch.allclose(found[Key(*of, "random_network")], torch.ones(4, dtype=torch.float64))
    assert found[Key(*of)].max() < 0.9
    assert {key.kind for key in found} == {"value", "random_network"}  # one pair is no other than the mean over pairs


def test_permuted_pixels_agree_by_chance(networks: list[nn.Module]) -> None:
    """Of independent maps a tenth of the top tenth is shared, on average, and nothing is correlated."""
    inputs = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    chunk = Chunk(inputs, torch.arange(16) % 4, None, fidelity=0, mean_color=0, road=0, seed=0)
    groupings = (Grouping("pixels"), Grouping("cells", Segments((Grid(16),))))
    protocol = dataclasses.replace(PROTOCOL, methods=("Saliency",), groupings=groupings, draws=6)
    found = measure(protocol, networks, [], chunk).values
    for sign in SIGNS:
        nulls = {
            metric: found[Key("Saliency", "pixels", sign, metric, "permutation")].mean().item() for metric in STABILITY
        }
        assert nulls["top_k_intersection"] == pytest.approx(26 / 256, abs=0.03)
        assert nulls["top_k_iou"] == pytest.approx(0.053, abs=0.02)
        assert nulls["rank_correlation"] == pytest.approx(0, abs=0.03)
        assert abs(nulls["ssim"]) < 0.06
    # Magnitudes of noise are ever more alike, the more of them are averaged.
    cosines = [
        found[Key("Saliency", name, "magnitude", "cosine_similarity", "permutation")] for name in ("pixels", "cells")
    ]
    assert (cosines[1] > cosines[0] + 0.05).all()
    assert cosines[1].min() > 0.9
    signed = found[Key("Saliency", "pixels", "signed", "cosine_similarity", "permutation")]
    assert signed.mean().item() == pytest.approx(0, abs=0.03)


def test_one_network_is_measured_for_fidelity_alone(networks: list[nn.Module], chunk: Chunk) -> None:
    found = measure(PROTOCOL, networks[:1], [], chunk)
    assert {key.metric for key in found.values} == {*FIDELITY, *LOCALIZATION, *COMPLEXITY}
    assert {key.kind for key in found.values} == {"value"}


def test_what_is_left_out_costs_nothing(networks: list[nn.Module], chunk: Chunk) -> None:
    called: list[int] = []
    counted = [nn.Sequential(network) for network in networks]
    for number, network in enumerate(counted):
        network.register_forward_pre_hook(lambda *_, number=number: called.append(number))
    run = partial(measure, networks=counted)
    protocol = dataclasses.replace(PROTOCOL, methods=("Saliency",), groupings=GROUPINGS[:1])

    unknown = dataclasses.replace(chunk, object_masks=None, fidelity=0, mean_color=0, road=0)
    without = run(dataclasses.replace(protocol, draws=0), twins=[], chunk=unknown).values
    assert {key.metric for key in without} == {*STABILITY, "across_model_variance", *COMPLEXITY}
    assert {key.kind for key in without} == {"value", *(pair_kind("value", *pair) for pair in PAIRS["value"])}
    called.clear()
    fidelity = run(dataclasses.replace(protocol, stability=False), twins=[], chunk=chunk).values
    assert {key.metric for key in fidelity} == {*FIDELITY, *LOCALIZATION, *COMPLEXITY}
    assert set(called) == {0}
    called.clear()
    located = run(dataclasses.replace(protocol, stability=False, fidelity=False), twins=[], chunk=chunk).values
    assert {key.metric for key in located} == {*LOCALIZATION, *COMPLEXITY}
    assert called == [0]


def test_rows_that_nothing_is_claimed_about_are_left_out(
    measured: Measurement, networks: list[nn.Module], twins: list[nn.Module], chunk: Chunk
) -> None:
    best, pixels, cells = Row("Slic", "evidence", 3), Row("pixels", "magnitude"), Row("cells", "signed")
    claims = (
        Claim(best, pixels, "fidelity", methods=("Saliency",)),
        Claim(best, cells, "corrected", methods=("Saliency",)),
        Claim(pixels, cells, "raw"),
    )
    protocol = dataclasses.replace(PROTOCOL, claims=claims, claimed_only=True)
    found = measure(protocol, networks, twins, chunk).values
    for key, values in found.items():
        assert torch.equal(values, measured.values[key]), key
    rows = {(key.method, Row(key.grouping, key.sign, key.views)) for key in found}
    assert rows == {("Saliency", best), *((method, row) for method in METHOD_NAMES for row in (pixels, cells))}
    of_fidelity = {(key.method, key.grouping) for key in found if key.metric == "insertion_auc"}
    assert of_fidelity == {("Saliency", "Slic"), ("Saliency", "pixels")}


def test_only_random_figures_depend_on_the_chunks(
    measured: Measurement, networks: list[nn.Module], twins: list[nn.Module], chunk: Chunk
) -> None:
    """Permutations are drawn by the seed of the chunk; nothing else of Saliency depends on the other images."""
    parts = [
        part_of(chunk, 0, 3, fidelity=3, mean_color=3, road=2),
        part_of(chunk, 3, 4, fidelity=0, mean_color=0, road=0),
    ]
    protocol = dataclasses.replace(PROTOCOL, methods=("Saliency",))
    joined = Measurement.join([measure(protocol, networks, twins, part) for part in parts])
    whole = {key: values for key, values in measured.values.items() if key.method == "Saliency"}
    assert joined.values.keys() == whole.keys()
    assert joined.n_images == 4
    assert joined.segments == pytest.approx(measured.segments)
    for key, values in whole.items():
        assert len(joined.values[key]) == len(values)
        if key.kind != "permutation":
            assert torch.allclose(joined.values[key], values, atol=1e-5), key


def test_the_seed_decides_what_is_random(
    measured: Measurement, networks: list[nn.Module], twins: list[nn.Module], chunk: Chunk
) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    protocol = dataclasses.replace(PROTOCOL, methods=("Saliency", "SmoothGrad"), groupings=GROUPINGS[:2])
    again = measure(protocol, networks, twins, chunk).values
    assert torch.equal(torch.get_rng_state(), state)
    other = measure(protocol, networks, twins, dataclasses.replace(chunk, seed=78)).values
    for key, values in again.items():
        assert torch.equal(measured.values[key], values), key
        if key.method != "SmoothGrad" and key.kind != "permutation" and not key.metric.startswith(("road", "mu_")):
            assert torch.equal(other[key], values), key
    for key in (
        Key("Saliency", "cells", "signed", "ssim", "permutation"),
        Key("SmoothGrad", "cells", "signed", "ssim"),
        Key("Saliency", "cells", "signed", "road"),
    ):
        assert not torch.equal(other[key], measured.values[key]), key


def test_the_variance_of_sizes(networks: list[nn.Module], chunk: Chunk) -> None:
    sizes = (Grouping("cells 4", Segments((Grid(4),))),)
    protocol = Protocol(PROTOCOL.method_settings, ("Saliency",), GROUPINGS[:1], sizes=sizes, draws=0, fidelity=False)
    found = measure(protocol, networks, [], dataclasses.replace(chunk, object_masks=None))
    bundles = [explained("Saliency", network, chunk, number) for number, network in enumerate(networks)]
    maps = np.stack([bundle.signed.double().numpy() for bundle in bundles])
    cells = maps.reshape(3, 4, 3, 2, 8, 2, 8).mean(axis=(4, 6))
    generator = torch.Generator().manual_seed(derive_seed(77, "Saliency", "sizes"))
    mixed = np.stack([metrics.permute_pixels(torch.from_numpy(each), generator).numpy() for each in maps])
    shuffled = mixed.reshape(3, 4, 3, 2, 8, 2, 8).mean(axis=(4, 6))

    def summed(values: np.ndarray) -> np.ndarray:
        return np.asarray(values.var(axis=0, ddof=1).reshape(4, -1).sum(axis=1))

    of: Callable[..., Key] = partial(Key, "Saliency", sign="signed", metric="summed_variance")
    for key, expected in (
        (of(grouping="pixels"), summed(maps)),
        (of(grouping="pixels", kind="permutation"), summed(mixed)),
        (of(grouping="cells 4"), 64 * summed(cells)),
        (of(grouping="cells 4", kind="permutation"), 64 * summed(shuffled)),
    ):
        np.testing.assert_allclose(found.values[key], expected, rtol=1e-4, err_msg=str(key))
    relative = 64 * summed(cells) / (64 * (cells.mean(axis=0) ** 2).reshape(4, -1).sum(axis=1))
    key = of(grouping="cells 4", metric="across_model_variance")
    np.testing.assert_allclose(found.values[key], relative, rtol=1e-4)
    assert {key.metric for key in found.values if key.grouping == "cells 4"} == {
        "summed_variance",
        "predicted_variance",
        "across_model_variance",
    }
    assert found.segments == {"pixels": 256, "cells 4": 4}


@pytest.mark.parametrize("changes", [{"n_steps": 9}, {"n_samples": 9}, {"noise": 0.4}, {"baseline": 0.5}])
def test_the_settings_of_the_methods_reach_them(
    changes: dict[str, float], measured: Measurement, networks: list[nn.Module], chunk: Chunk
) -> None:
    """Each changes the maps of one method, and of no other."""
    settings = dataclasses.replace(PROTOCOL.method_settings, **changes)  # type: ignore[arg-type]
    protocol = dataclasses.replace(PROTOCOL, method_settings=settings, groupings=GROUPINGS[:1], fidelity=False, draws=0)
    found = measure(protocol, networks, [], chunk).values
    changed = {key.method for key, values in found.items() if not torch.equal(values, measured.values[key])}
    assert changed == {"SmoothGrad" if {"n_samples", "noise"} & changes.keys() else "IntegratedGradients"}
