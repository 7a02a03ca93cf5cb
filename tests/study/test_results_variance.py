"""Variance over networks by the size of segments: the theorem for independent noise, and sums by hand."""

import math
from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.study.groupings import Grouping, size_groupings
from captum_superpixel.study.measurement import Chunk, Key, Measurement
from captum_superpixel.study.measuring import measure
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.results import Record, Resamples, variance_by_size

PROTOCOL = Protocol(
    MethodSettings(signed=True),
    ("Saliency",),
    (Grouping("pixels"),),
    sizes=size_groupings(32, 32),
    draws=0,
    fidelity=False,
)


@cache
def measured(draw: Callable[[torch.Generator], Tensor]) -> Measurement:
    """Linear networks, whose maps are their weights (5, 3, 32, 32), drawn for each network and class."""
    networks = []
    for seed in range(12):
        weights = draw(torch.Generator().manual_seed(seed))
        linear = nn.Linear(3 * 32 * 32, 5, bias=False)
        linear.weight.data = weights.flatten(1)
        networks.append(nn.Sequential(nn.Flatten(), linear))
    inputs = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(99))
    return measure(
        PROTOCOL, networks, [], Chunk(inputs, torch.arange(5), None, fidelity=0, mean_color=0, road=0, seed=0)
    )


def noise(generator: torch.Generator) -> Tensor:
    return torch.randn(5, 3, 32, 32, generator=generator)


def smooth(generator: torch.Generator) -> Tensor:
    return avg_pool2d(torch.randn(5, 3, 38, 38, generator=generator), 7, stride=1)


def varied(measurement: Measurement, pixels: int, protocol: Protocol = PROTOCOL) -> list[Record]:
    return variance_by_size(Resamples(measurement, 0), protocol, pixels)


def test_independent_noise_leaves_one_part_in_a_segment_of_pixels() -> None:
    """In expectation the number of segments over the number of pixels, for every partition whatever."""
    found = varied(measured(noise), 32 * 32)
    assert len(found) == len(PROTOCOL.sizes) == 14
    sizes = [record["mean_segment_pixels"] for record in found if record["family"] == "cells"]
    assert [sizes[i] for i in (0, 2, 4, 6)] == [4, 16, 64, 256]
    for record in found:
        expected = 1 / record["mean_segment_pixels"]
        assert record["variance_ratio"] == pytest.approx(expected, rel=0.2), record
        assert record["shuffled_ratio"] == pytest.approx(expected, rel=0.2), record
        assert record["ci95"][0] <= record["variance_ratio"] <= record["ci95"][1]
        assert record["predicted_ratio"] == pytest.approx(expected, rel=0.2), record
        assert abs(record["correlation"]) < 0.2 * expected, record
        assert record["n"] == 5
        assert record["method"] == "Saliency"


def test_what_neighbors_share_stays() -> None:
    found = varied(measured(smooth), 32 * 32)
    for record in found:
        independent = 1 / record["mean_segment_pixels"]
        assert record["variance_ratio"] > 2 * independent
        size, correlation = record["mean_segment_pixels"], record["correlation"]
        assert record["predicted_ratio"] == pytest.approx((1 + (size - 1) * correlation) / size)
        assert record["measured_over_predicted"] == pytest.approx(1, abs=0.1), record
        low, high = record["measured_over_predicted_ci95"]
        assert low <= record["measured_over_predicted"] <= high
    ratios = [record["variance_ratio"] for record in found if record["family"] == "cells"]
    assert ratios == sorted(ratios, reverse=True)


def test_shuffled_pixels_share_the_mean_of_their_map_alone() -> None:
    """Segments of shuffled pixels are samples without replacement, of variance (P - s) / (P - 1) w / s for s pixels."""
    maps = torch.stack([smooth(torch.Generator().manual_seed(seed)) for seed in range(12)]).flatten(3).double()
    between = maps.mean(dim=-1).var(dim=0).sum()
    within = maps.var(dim=-1, correction=0).mean(dim=0).sum()
    for record in varied(measured(smooth), 32 * 32):
        segments = 1024 / record["mean_segment_pixels"]
        expected = (between + within * (segments - 1) / 1023) / (between + within)
        assert record["shuffled_ratio"] == pytest.approx(expected.item(), rel=0.1), record


def by_hand(relative: list[float]) -> Measurement:
    key = Key("Saliency", "cells 4", "signed", "summed_variance")
    pixels = key._replace(grouping="pixels")
    values = {
        key: torch.tensor([2.0, 4.0]),
        pixels: torch.tensor([8.0, 8.0]),
        key._replace(kind="permutation"): torch.tensor([1.0, 1.0]),
        pixels._replace(kind="permutation"): torch.tensor([10.0, 6.0]),
        key._replace(metric="across_model_variance"): torch.tensor(relative),
        key._replace(metric="predicted_variance"): torch.tensor([1.0, 3.0]),
    }
    return Measurement(values, segments={"cells 4": 4.0, "pixels": 64.0}, n_images=2)


def test_a_variance_by_hand() -> None:
    (record,) = varied(by_hand([0.5, 1.0]), 64)
    assert record == {
        "method": "Saliency",
        "family": "cells",
        "mean_segment_pixels": 16.0,
        "variance_ratio": 6 / 16,
        "ci95": [2 / 8, 4 / 8],  # twice the first image, twice the second
        "shuffled_ratio": 2 / 16,
        "predicted_ratio": 4 / 16,
        "predicted_ratio_ci95": [1 / 8, 3 / 8],
        "correlation": pytest.approx(0.2),  # (1 + 15 x 0.2) / 16 = 4 / 16
        "correlation_ci95": pytest.approx([1 / 15, 5 / 15]),
        "measured_over_predicted": 6 / 4,
        "measured_over_predicted_ci95": [4 / 3, 2 / 1],
        "across_model_variance": 0.75,
        "n": 2,
    }
    assert varied(by_hand([0.5, 1.0]), 64) == [record]


def test_parts_of_before_have_no_prediction() -> None:
    """Nor has a study of which some have one: it would be held against other images."""
    measurement = by_hand([0.5, 1.0])
    (whole,) = varied(measurement, 64)
    predicted = Key("Saliency", "cells 4", "signed", "predicted_variance")
    of_one = Measurement(measurement.values | {predicted: torch.tensor([1.0])}, segments=measurement.segments)
    without = Measurement(dict(measurement.values), segments=measurement.segments)
    del without.values[predicted]
    for lacking in (of_one, without):
        (record,) = varied(lacking, 64)
        assert record.keys() == whole.keys()
        for name, value in record.items():
            if name.startswith(("predicted", "correlation", "measured_over")):
                assert all(map(math.isnan, value if name.endswith("_ci95") else [value])), name
            else:
                assert value == whole[name], name


def test_maps_that_cancel_have_no_relative_variance() -> None:
    """A mean map of zeros makes the variance of an image infinite, or 0/0: it is left out of the mean."""
    for undefined in (float("inf"), float("nan")):
        (record,) = varied(by_hand([0.5, undefined]), 64)
        assert record["across_model_variance"] == 0.5
        assert record["variance_ratio"] == 6 / 16


def test_without_sizes_there_is_nothing() -> None:
    without = Protocol(MethodSettings(), ("Saliency",), (Grouping("pixels"),))
    assert varied(by_hand([0.5, 1.0]), 64, without) == []
