"""The table of Captum's classes, row by row."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from captum.attr import Attribution
from captum.testing.helpers.basic import set_all_random_seeds
from matplotlib import pyplot as plt
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from captum_superpixel import SuperpixelGrouped, pool_segments, recommended

pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting .*hooks.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:You are providing multiple inputs for Lime:UserWarning"),
]

TABLE = Path(__file__).parents[2] / "tutorials" / "captum-methods.md"
ROWS = re.findall(r"^\| `(\w+)` \| ([\w ]+) \| (.+) \|$", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
WORKS = {name: how for name, works, how in ROWS if works == "works"}

OPTIONS: dict[str, dict[str, Any]] = {
    "IntegratedGradients": {"n_steps": 5},
    "DeepLiftShap": {"baselines": torch.zeros(2, 3, 16, 12)},
    "GradientShap": {"baselines": torch.zeros(2, 3, 16, 12)},
    "Occlusion": {"sliding_window_shapes": (3, 4, 4), "strides": (3, 4, 4)},
    "NoiseTunnel": {"nt_samples": 2, "stdevs": 0.1},
    "ShapleyValueSampling": {"n_samples": 2},
    "LayerConductance": {"n_steps": 5},
    "LayerIntegratedGradients": {"n_steps": 5},
    "LayerDeepLiftShap": {"baselines": torch.zeros(2, 3, 16, 12)},
    "LayerGradientShap": {"baselines": torch.zeros(2, 3, 16, 12)},
    "LayerFeatureAblation": {"perturbations_per_eval": 24},
    "LayerFeaturePermutation": {"perturbations_per_eval": 24},
    "InternalInfluence": {"n_steps": 5},
    "NeuronIntegratedGradients": {"n_steps": 5},
    "NeuronConductance": {"n_steps": 5},
    "NeuronDeepLiftShap": {"baselines": torch.zeros(2, 3, 16, 12)},
    "NeuronGradientShap": {"baselines": torch.zeros(2, 3, 16, 12)},
}


def exported_classes() -> list[str]:
    return [name for name in captum.attr.__all__ if inspect.isclass(getattr(captum.attr, name))]


def build(name: str, net: Any) -> tuple[Attribution, dict[str, Any]]:
    cls = getattr(captum.attr, name)
    options = dict(OPTIONS.get(name, {}))
    if name == "NoiseTunnel":
        return cls(captum.attr.IntegratedGradients(net)), {**options, "target": 1}
    if name == "LayerFeaturePermutation":  # with a target, Captum selects it twice, and fails
        return cls(lambda images: net(images)[:, 1], net.conv2), options
    if name == "LayerLRP":
        return cls(net, net.conv2), {**options, "target": 1}
    if name.startswith(("Layer", "Neuron", "Internal")) or name == "GuidedGradCam":
        if name.startswith("Neuron"):
            options["neuron_selector"] = (1, 2, 3)
        if "target" in inspect.signature(cls.attribute).parameters:
            options["target"] = 1
        return cls(net, net.conv2), options
    return cls(net), {**options, "target": 1}


def attribute(method: Attribution, images: Tensor, options: dict[str, Any]) -> Tensor:
    set_all_random_seeds(0)
    return method.attribute(images, **options)


def pooled(plain: Tensor, mask: Tensor) -> Tensor:
    return pool_segments(plain, mask)


def interpolated(plain: Tensor, mask: Tensor) -> Tensor:
    return pool_segments(interpolate(plain, size=mask.shape[2:], mode="bilinear"), mask)


def test_every_exported_class_has_one_row() -> None:
    assert sorted(name for name, _, _ in ROWS) == sorted(exported_classes())


@pytest.mark.parametrize("name", WORKS)
def test_what_works(name: str, net: Any, images: Tensor, shared_mask: Tensor) -> None:
    how = WORKS[name]
    if name == "ShapleyValues":  # all orders of the segments
        shared_mask = shared_mask // 4
    method, options = build(name, net)
    set_all_random_seeds(0)
    maps = SuperpixelGrouped(method, None).attribute(images, **options, feature_mask=shared_mask)
    assert maps.is_contiguous()
    assert maps.abs().max() > 0
    assert maps.shape[2:] == images.shape[2:]
    torch.testing.assert_close(pool_segments(maps, shared_mask), maps)  # constant inside each segment
    if how.startswith("by segment"):
        expected = attribute(method, images, {**options, "feature_mask": shared_mask})
        torch.testing.assert_close(maps[:, :1].expand_as(maps), maps)  # and over the channels
    else:
        laid_over: Callable[[Tensor, Tensor], Tensor] = interpolated if how.startswith("interpolated") else pooled
        expected = laid_over(attribute(method, images, options), shared_mask)
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("name", WORKS)
def test_what_works_can_be_recommended(name: str, net: Any, images: Tensor, shared_mask: Tensor) -> None:
    method, options = build(name, net)
    set_all_random_seeds(0)
    maps = recommended(method).attribute(images, **options, feature_mask=shared_mask // 4)
    assert maps.shape[0] == 4
    assert maps.shape[2:] == images.shape[2:]
    assert 0 < maps.abs().max() < torch.inf
    torch.testing.assert_close(pool_segments(maps, shared_mask // 4), maps)  # constant inside each segment


@pytest.mark.parametrize("name", [name for name, works, _ in ROWS if works == "no"])
def test_what_does_not_work_is_refused_with_its_reason(name: str) -> None:
    cls = getattr(captum.attr, name)
    instance = cls.__new__(cls)
    reasons = {"LimeBase": "coefficients", "DataLoaderAttribution": "data loader", "LLMGradientAttribution": "tokens"}
    reason = reasons.get(name, r"text .*to_image_mask_input\(image, masks\)")
    with pytest.raises(ValueError, match=f"{name} cannot be grouped: it (explains|returns) .*{reason}"):
        SuperpixelGrouped(instance)


def test_the_code_for_vision_language_models_runs(llava: Any) -> None:
    section = TABLE.read_text(encoding="utf-8").split("## What a vision-language model saw\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
    image = Image.fromarray(torch.randint(256, (24, 32, 3), generator=torch.Generator().manual_seed(0)).byte().numpy())
    names: dict[str, Any] = {
        "model": llava.model,
        "processor": llava.processor,
        "prompt": "<image> describe the picture",
        "image": image,
    }
    exec(block, names)
    features, result = names["superpixels"], names["result"]
    assert torch.equal(features.mask, names["Slic"](20)(torch.tensor(np.array(image)).movedim(-1, 0)[None] / 255)[0, 0])
    assert result.seq_attr.abs().min() > 0  # with Captum's default, which leaves the picture out, all would be zero
    assert features.format_pixel_attr(result.token_attr).shape == (2, 24, 32)  # a map for "a" and one for "cat"
    assert len(names["axes"].images) > 1
    plt.close(names["figure"])
