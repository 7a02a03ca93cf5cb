"""Identities on every configuration of Captum's own generated tests: grouping by single elements changes nothing."""

import copy
import inspect
from collections.abc import Iterator

import pytest
import torch
from captum.attr import Attribution, LayerAttribution, NoiseTunnel, ShapleyValueSampling
from captum.testing.attr.helpers.gen_test_utils import get_target_layer
from captum.testing.attr.helpers.test_config import config
from captum.testing.helpers.basic import set_all_random_seeds
from torch import Tensor
from torch.nn.functional import interpolate

from captum_superpixel import SuperpixelGrouped

pytestmark = [
    pytest.mark.filterwarnings("ignore:Input Tensor . did not already require gradients:UserWarning"),
    pytest.mark.filterwarnings("ignore:Setting .*hooks.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:Internal batch size cannot be less:UserWarning"),
    pytest.mark.filterwarnings("ignore:This method computes finite differences:UserWarning"),
    pytest.mark.filterwarnings("ignore:Multiple layers provided:UserWarning"),
    pytest.mark.filterwarnings("ignore:You are providing multiple inputs for Lime:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*too few to tell them apart:UserWarning"),
    # scikit-learn before 1.8, of a fit that leaves nothing.
    pytest.mark.filterwarnings("ignore:Objective did not converge.*gap. 0.000e.00, tolerance. 0.000e.00:UserWarning"),
]


def cases() -> Iterator:
    for entry in config:
        for algorithm in entry["algorithms"]:
            yield pytest.param(entry, algorithm, id=f"{entry['name']}-{algorithm.__name__}")


INPUT_CASES = [case for case in cases() if not issubclass(case.values[1], LayerAttribution)]
LAYER_CASES = [case for case in cases() if issubclass(case.values[1], LayerAttribution)]
# A mask with one channel makes perturbation methods perturb all channels together: another map, tested elsewhere.
PIXEL_CASES = [
    case for case in INPUT_CASES if "feature_mask" not in inspect.signature(case.values[1].attribute).parameters
]


def build(entry: dict, algorithm: type[Attribution]) -> tuple[Attribution, dict]:
    model = copy.deepcopy(entry["model"])
    method = algorithm(model, get_target_layer(model, entry["layer"])) if "layer" in entry else algorithm(model)
    arguments = {**entry["attribute_args"]}
    arguments["inputs"] = copy.deepcopy(arguments["inputs"])
    # Captum's tests take thousands of samples to compare expectations; here the draws are the same on both sides.
    parameters = inspect.signature(method.attribute).parameters
    if "n_samples" in parameters:
        arguments["n_samples"] = 2 if algorithm is ShapleyValueSampling else 20
    if entry["name"].startswith("conv") and "perturbations_per_eval" in parameters:
        arguments["perturbations_per_eval"] = 50
    return method, arguments


def attribute(method: Attribution, arguments: dict, **more: object) -> tuple[Tensor, ...]:
    set_all_random_seeds(0)
    result = method.attribute(**arguments, **more)
    return result if isinstance(result, tuple) else (result,)


def elements(inputs: Tensor | tuple[Tensor, ...], *, per_pixel: bool = False) -> Tensor | tuple[Tensor, ...]:
    """One id an element, or one id a pixel, in ascending order over the inputs."""
    masks, first = [], 0
    for tensor in inputs if isinstance(inputs, tuple) else (inputs,):
        shape = (1, 1, *tensor.shape[2:]) if per_pixel else (1, *tensor.shape[1:])
        mask = first + torch.arange(torch.Size(shape).numel()).reshape(shape)
        masks.append(mask)
        first += mask.numel()
    return tuple(masks) if isinstance(inputs, tuple) else masks[0]


def assert_same(actual: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert one.is_contiguous()
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def plain_or_in_a_tunnel(entry: dict, algorithm: type[Attribution]) -> tuple[Attribution, dict]:
    method, arguments = build(entry, algorithm)
    return (NoiseTunnel(method) if entry.get("noise_tunnel") else method), arguments


@pytest.mark.parametrize(("entry", "algorithm"), INPUT_CASES)
def test_one_id_an_element_changes_nothing(entry: dict, algorithm: type[Attribution]) -> None:
    method, arguments = plain_or_in_a_tunnel(entry, algorithm)
    expected = attribute(method, arguments)
    mask = elements(arguments["inputs"])
    assert_same(attribute(SuperpixelGrouped(method, None), arguments, feature_mask=mask), expected)


@pytest.mark.parametrize(("entry", "algorithm"), PIXEL_CASES)
def test_one_segment_a_pixel_changes_nothing(entry: dict, algorithm: type[Attribution]) -> None:
    method, arguments = plain_or_in_a_tunnel(entry, algorithm)
    expected = attribute(method, arguments)
    mask = elements(arguments["inputs"], per_pixel=True)
    assert_same(attribute(SuperpixelGrouped(method, None), arguments, feature_mask=mask), expected)


@pytest.mark.parametrize(("entry", "algorithm"), INPUT_CASES)
def test_one_id_an_element_changes_nothing_around_and_inside_a_noise_tunnel(
    entry: dict, algorithm: type[Attribution]
) -> None:
    method, arguments = build(entry, algorithm)
    arguments = {"nt_samples": 2, "stdevs": 0.1, **arguments}
    if "n_samples" in arguments or "sliding_window_shapes" in arguments:
        arguments["stdevs"] = 0.0
    if "baselines" in arguments and entry.get("baseline_distr"):
        arguments["draw_baseline_from_distrib"] = True
    mask = elements(arguments["inputs"])
    expected = attribute(NoiseTunnel(method), arguments)
    assert_same(attribute(NoiseTunnel(SuperpixelGrouped(method, None)), arguments, feature_mask=mask), expected)
    assert_same(attribute(SuperpixelGrouped(NoiseTunnel(method), None), arguments, feature_mask=mask), expected)


@pytest.mark.parametrize(("entry", "algorithm"), LAYER_CASES)
def test_layer_maps_are_captums_interpolated(entry: dict, algorithm: type[Attribution]) -> None:
    method, arguments = build(entry, algorithm)
    inputs = arguments["inputs"]
    if isinstance(entry["layer"], list):
        with pytest.raises(ValueError, match=f"{algorithm.__name__} cannot be grouped: it was given a list of layers"):
            SuperpixelGrouped(method, None)
        return
    grouped = SuperpixelGrouped(method, None)
    mask = elements(inputs, per_pixel=True)
    result = attribute(method, arguments)
    if len(result) > 1:
        with pytest.raises(ValueError, match=f"{algorithm.__name__} returned maps of {len(result)} layers or outputs"):
            grouped.attribute(**arguments, feature_mask=mask)
    elif result[0].dim() < 3:
        with pytest.raises(ValueError, match=r"only a spatial layer can be laid over the input"):
            grouped.attribute(**arguments, feature_mask=mask)
    else:
        expected = interpolate(result[0], size=inputs.shape[2:], mode="bilinear")
        assert_same(attribute(grouped, arguments, feature_mask=mask), (expected,))
