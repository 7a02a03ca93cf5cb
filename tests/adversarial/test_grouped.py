"""SuperpixelGrouped around Captum's methods: their maps, averaged, and nothing else that is different afterwards."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import (
    DeepLift,
    FeatureAblation,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    LayerGradCam,
    Lime,
    NoiseTunnel,
    Occlusion,
    Saliency,
    ShapleyValues,
    ShapleyValueSampling,
)
from fuzzed_inputs import PATTERNS, feature_masks, linear_network, seeds, shapes, tensors, tried
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from untouched import all_untouched

from captum_superpixel import SuperpixelGrouped, pool_segments
from captum_superpixel.feature_masks import check_feature_mask, repeat_for_batch

pytestmark = [
    pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning"),
    pytest.mark.filterwarnings("ignore:You are providing multiple inputs for Lime:UserWarning"),
]

PIXEL_METHODS: dict[str, tuple[Callable[..., Any], dict[str, Any], bool]] = {
    "Saliency": (Saliency, {}, False),
    "signed Saliency": (Saliency, {"abs": False}, False),
    "InputXGradient": (InputXGradient, {}, False),
    "IntegratedGradients": (IntegratedGradients, {"n_steps": 4}, False),
    "DeepLift": (DeepLift, {}, False),
    "GradientShap": (GradientShap, {"n_samples": 2, "baselines": torch.zeros(1)}, True),
    "Occlusion": (Occlusion, {}, False),
    "NoiseTunnel": (lambda network: NoiseTunnel(Saliency(network)), {"nt_samples": 2, "stdevs": 0.1}, True),
}
SEGMENT_METHODS: dict[str, tuple[Callable[..., Any], dict[str, Any], bool]] = {
    "FeatureAblation": (FeatureAblation, {}, False),
    "ShapleyValueSampling": (ShapleyValueSampling, {"n_samples": 2}, True),
    "ShapleyValues": (ShapleyValues, {}, False),
    "Lime": (Lime, {"n_samples": 20}, True),
    "KernelShap": (KernelShap, {"n_samples": 20}, True),
}
DTYPES = (torch.float32, torch.float64)
CALM = [pattern for pattern in PATTERNS if pattern not in ("large", "outlier")]


@st.composite
def explained(draw: st.DrawFn, *, batch: tuple[int, int] = (1, 4)) -> tuple[Tensor, nn.Module, list[int]]:
    """Images, a network for them in their dtype, and a target for each."""
    shape = draw(shapes((1, 2, 3), batch, side=6))
    images = draw(tensors(shape, DTYPES, CALM))
    network = linear_network(shape, seed=draw(seeds)).to(images.dtype)
    return images, network, draw(st.lists(st.integers(0, 2), min_size=shape[0], max_size=shape[0]))


def options_of(name: str, options: dict[str, Any], images: Tensor) -> dict[str, Any]:
    if name == "Occlusion":
        return {"sliding_window_shapes": (images.shape[1], *[1] * (images.ndim - 2))}
    if name == "GradientShap":
        return {**options, "baselines": torch.zeros_like(images[:1])}
    return options


def attributed(method: Any, images: Tensor, **options: Any) -> Tensor:
    torch.manual_seed(0)  # what Captum's samplers draw from
    np.random.seed(0)  # noqa: NPY002  # and GradientShap
    maps: Tensor = method.attribute(images, **options)
    return maps.detach()


def close(first: Tensor, second: Tensor) -> bool:
    tolerance = 1e-4 if first.dtype == torch.float32 else 1e-9
    return torch.allclose(first, second, rtol=tolerance, atol=tolerance * max(1.0, second.abs().max().item()))


@pytest.mark.parametrize("name", PIXEL_METHODS)
@tried(7)
@given(explained(), st.data())
def test_the_map_of_the_method_is_averaged(
    name: str, case: tuple[Tensor, nn.Module, list[int]], data: st.DataObject
) -> None:
    images, network, targets = case
    make, options, chance = PIXEL_METHODS[name]
    options = options_of(name, options, images)
    mask = data.draw(feature_masks(tuple(images.shape), per_channel=True))
    joint = data.draw(st.booleans())
    grouped = SuperpixelGrouped(make(network), pool_channels=joint)
    given_to = images.clone().requires_grad_() if data.draw(st.booleans()) else images
    with all_untouched((given_to, mask), network, chance=chance):
        maps = grouped.attribute(given_to, target=targets, feature_mask=mask, **options)
    expected = attributed(make(network), images, target=targets, **options)
    assert (maps.shape, maps.dtype, maps.is_contiguous()) == (images.shape, expected.dtype, True)
    assert close(
        attributed(grouped, images, target=targets, feature_mask=mask, **options),
        pool_segments(expected, mask, pool_channels=joint),
    )


@pytest.mark.parametrize("name", [name for name in PIXEL_METHODS if not PIXEL_METHODS[name][2]])
@tried(4)
@given(explained(batch=(2, 4)))
def test_an_image_alone_is_explained_as_in_a_batch(name: str, case: tuple[Tensor, nn.Module, list[int]]) -> None:
    images, network, targets = case
    make, options, _ = PIXEL_METHODS[name]
    options = options_of(name, options, images)
    mask = torch.arange(images[0, 0].numel()).view(images[:1, :1].shape) // 2
    options = {**options, "feature_mask": mask}
    grouped = SuperpixelGrouped(make(network))
    together = attributed(grouped, images, target=targets, **options)
    for number, target in enumerate(targets):
        alone = attributed(grouped, images[number : number + 1], target=target, **options)
        assert close(alone[0], together[number])


@pytest.mark.parametrize("name", SEGMENT_METHODS)
@tried(5)
@given(explained(batch=(1, 3)), st.data())
def test_segments_are_perturbed_as_a_whole(
    name: str, case: tuple[Tensor, nn.Module, list[int]], data: st.DataObject
) -> None:
    images, network, targets = case
    make, options, chance = SEGMENT_METHODS[name]
    mask = data.draw(feature_masks(tuple(images.shape)).filter(lambda mask: len(set(mask.reshape(-1).tolist())) <= 7))
    method = make(network)
    grouped = SuperpixelGrouped(method)
    torch.manual_seed(0)
    with all_untouched((images, mask), network, chance=chance):
        maps = grouped.attribute(images, target=targets, feature_mask=mask, **options)
    assert (maps.shape, maps.is_contiguous()) == (images.shape, True)
    whole = pool_segments(maps, mask, pool_channels=True)
    assert close(maps, whole.to(maps.dtype))
    if name in ("FeatureAblation", "ShapleyValues"):
        ids = repeat_for_batch(check_feature_mask(mask, images.shape), len(images)).expand(
            len(images), 1, *images.shape[2:]
        )
        outputs = network(images)[range(len(targets)), targets]
        for number in range(len(images)):
            names = ids[number].unique()
            effects = torch.stack([maps[number, 0][ids[number, 0] == one][0] for one in names])
            if name == "ShapleyValues":
                total = outputs[number] - network(torch.zeros_like(images[:1]))[0, targets[number]]
                assert torch.allclose(effects.sum(), total.detach().to(effects), rtol=1e-3, atol=1e-3)
            else:
                without = torch.cat([images[number : number + 1] * (ids[number] != one) for one in names])
                drops = outputs[number] - network(without)[:, targets[number]]
                assert torch.allclose(effects, drops.detach().to(effects), rtol=1e-3, atol=1e-3)


class TwoInputs(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.first(first) + self.second(second)


@pytest.mark.parametrize("name", ["signed Saliency", "IntegratedGradients", "FeatureAblation", "ShapleyValueSampling"])
@tried(7)
@given(st.data())
def test_tuples_and_lists(name: str, data: st.DataObject) -> None:
    """A tuple is a mask for each input, None leaves one as it is, and a list is averaged over."""
    make, options, chance = {**PIXEL_METHODS, **SEGMENT_METHODS}[name]
    first = data.draw(shapes((1, 2), (1, 3), (1, 3), side=3))
    second = (first[0], *data.draw(shapes((1, 2), (1, 1), (1, 3), side=3))[1:])
    inputs = tuple(data.draw(tensors(shape, (torch.float64,), CALM)) for shape in (first, second))
    network = TwoInputs(linear_network(first), linear_network(second, seed=1)).double()
    masks = [data.draw(feature_masks(shape)) for shape in (first, second)]
    masks[1] = data.draw(st.sampled_from((masks[1], None)))
    members = [tuple(masks), tuple(data.draw(feature_masks(shape)) for shape in (first, second))]
    grouped = SuperpixelGrouped(make(network))

    def maps_of(feature_mask: Any) -> Any:
        torch.manual_seed(0)
        with all_untouched((*inputs, *masks), network, chance=True):
            return grouped.attribute(inputs, target=1, feature_mask=feature_mask, **options)

    one, other = (maps_of(member) for member in members)
    assert [part.shape for part in one] == [first, second]
    ensemble = maps_of(members)
    if not chance:
        for mean, part, another in zip(ensemble, one, other, strict=True):
            assert close(mean.detach(), ((part + another) / 2).detach())
    assert maps_of([members[0]])[0].equal(one[0])


@tried(12)
@given(st.data())
def test_maps_of_layers_are_laid_over_the_image(data: st.DataObject) -> None:
    shape = data.draw(shapes((2,), (1, 3), (1, 4), side=8).filter(lambda shape: min(shape[2:]) > 1))
    images = data.draw(tensors(shape, DTYPES, CALM))
    network = nn.Sequential(nn.Conv2d(shape[1], 3, 3, 2, 1), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = network.to(images.dtype).eval()
    mask = data.draw(feature_masks(shape))
    grouped = SuperpixelGrouped(LayerGradCam(network, network[0]))
    with all_untouched((images, mask), network):
        maps = grouped.attribute(images, target=1, feature_mask=mask)
    assert maps.shape == (shape[0], 1, *shape[2:])
    assert close(pool_segments(maps.detach(), mask), maps.detach())
