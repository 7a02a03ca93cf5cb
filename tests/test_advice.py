"""Each piece of advice in an error is followed here, and gives the right result.

The advice is taken from the message itself: the expression in it is evaluated with what was passed under the name that
the message uses, so a change of words that breaks it is noticed.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, LayerGradCam, Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped, pool_segments
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.datasets.preprocessing import CIFAR10
from captum_superpixel.masks import Felzenszwalb, Grid, Precomputed, Slic, from_proposals
from captum_superpixel.metrics import (
    across_model_variance,
    cosine_similarity,
    deletion_auc,
    noisy_linear_imputation,
    pointing_game,
    relevance_mass_accuracy,
    ssim,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


IDS = torch.arange(16).view(4, 4) // 5
SQUARES = (torch.arange(12).view(12, 1) // 4) * 3 + torch.arange(12) // 4


def follow(call: Callable[[Any], Any], passed: Any, advice: str, **names: Any) -> Any:
    """Raise the error, find the advice in it, and do as it says."""
    with pytest.raises((ValueError, TypeError), match=re.escape(advice)):
        call(passed)
    return call(eval(advice, {"torch": torch, "np": np, **names}))


# --- masks ---


@pytest.mark.parametrize("advice", ["mask.long()"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bool, torch.bfloat16])
def test_masks_of_other_dtypes(dtype: torch.dtype, advice: str) -> None:
    mask, maps = (IDS % 2)[None, None].to(dtype), draw(1, 2, 4, 4)
    found = follow(lambda given: pool_segments(maps, given), mask, advice, mask=mask)
    torch.testing.assert_close(found, pool_segments(maps, (IDS % 2)[None, None]))


@pytest.mark.parametrize("dtype", [float, bool])
def test_arrays_of_other_dtypes(dtype: type) -> None:
    mask, maps = (IDS.numpy() % 2).astype(dtype), draw(1, 2, 4, 4)
    found = follow(lambda given: pool_segments(maps, given), mask, "mask.astype(int)", mask=mask)
    torch.testing.assert_close(found, pool_segments(maps, (IDS % 2)[None, None]))


def test_negative_ids() -> None:
    mask, maps = IDS - 1, draw(1, 2, 4, 4)
    found = follow(lambda given: pool_segments(maps, given), mask, "mask - mask.min()", mask=mask)
    torch.testing.assert_close(found, pool_segments(maps, IDS))


@pytest.mark.parametrize(
    ("advice", "meant"), [("mask[:, None]", (3, 1, 4, 4)), ("mask[None]", (1, 3, 4, 4))], ids=["images", "channels"]
)
def test_masks_of_two_readings(advice: str, meant: tuple[int, ...]) -> None:
    mask, maps = torch.stack([IDS, IDS.T, IDS.flip(0)]), draw(3, 3, 4, 4)
    found = follow(lambda given: pool_segments(maps, given), mask, advice, mask=mask)
    torch.testing.assert_close(found, pool_segments(maps, mask.reshape(meant)))


def test_a_mask_that_a_tunnel_repeats() -> None:
    mask, maps = IDS.repeat_interleave(2, dim=0), draw(2, 3, 4, 4)
    with pytest.raises(ValueError, match=re.escape("give it mask[None, None]")):
        pool_segments(maps, mask)
    torch.testing.assert_close(pool_segments(maps, IDS[None, None]), pool_segments(maps, IDS))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_images_that_are_not_finite(bad: float) -> None:
    inputs, whole = draw(2, 3, 12, 12), draw(2, 3, 12, 12)
    inputs[0, 1, 5, 5], whole[0, 1, 5, 5] = bad, 0
    advice = "torch.nan_to_num(inputs, 0, 0, 0)"
    for generator in (Slic(9), Felzenszwalb()):
        assert torch.equal(follow(generator, inputs, advice, inputs=inputs), generator(whole))
    xrai = XRAI(Saliency(lambda x: x.square().flatten(1).sum(1)), min_pixel_diff=1)
    found = follow(lambda given: xrai.attribute(given.requires_grad_()), inputs, advice, inputs=inputs)
    torch.testing.assert_close(found, xrai.attribute(whole.requires_grad_()))


@pytest.mark.parametrize(
    ("passed", "advice"),
    [
        (draw(3, 12, 12), "inputs[None]"),
        (draw(3, 12, 12).movedim(0, -1), "inputs.movedim(-1, 0)[None]"),
        (draw(1, 3, 12, 12).movedim(1, -1), "inputs.movedim(-1, 1)"),
    ],
)
def test_layouts_of_images(passed: Tensor, advice: str) -> None:
    image = draw(3, 12, 12)[None]
    assert torch.equal(follow(Slic(9), passed, advice, inputs=passed), Slic(9)(image))
    xrai = XRAI(Saliency(lambda x: x.square().flatten(1).sum(1)), min_pixel_diff=1)
    found = follow(lambda given: xrai.attribute(given.requires_grad_()), passed, advice, inputs=passed)
    torch.testing.assert_close(found, xrai.attribute(image.requires_grad_()))


def test_a_network_that_takes_channels_last() -> None:
    images = draw(2, 12, 12, 3)

    def network(inputs: Tensor) -> Tensor:
        assert inputs.shape[1:] == (12, 12, 3)
        return inputs.square().flatten(1).sum(1)

    with pytest.raises(ValueError, match="for example by lambda inputs: ") as info:
        SuperpixelGrouped(Saliency(network), Grid(9)).attribute(images)
    (function,) = re.findall(r"lambda inputs: network\(.*?\)\)", str(info.value))
    inputs = images.movedim(-1, 1).requires_grad_()
    advised = eval(function, {"network": network})
    maps = SuperpixelGrouped(Saliency(advised), Grid(9)).attribute(inputs)
    torch.testing.assert_close(maps, pool_segments(2 * images.movedim(-1, 1), SQUARES))


def test_complex_images() -> None:
    inputs = torch.complex(draw(1, 3, 12, 12), draw(1, 3, 12, 12, seed=1))
    assert torch.equal(follow(Slic(9), inputs, "inputs.abs()", inputs=inputs), Slic(9)(inputs.abs()))


@pytest.mark.parametrize(
    ("passed", "advice"),
    [
        (draw(3, 8, 8), "inputs[None]"),
        (draw(3, 8, 8).movedim(0, -1), "inputs.movedim(-1, 0)[None]"),
        (draw(3, 8, 8).movedim(0, -1)[None], "inputs.movedim(-1, 1)"),
    ],
)
def test_preprocessed_images(passed: Tensor, advice: str) -> None:
    found = follow(CIFAR10.to_pixels, passed, advice, inputs=passed)
    assert torch.equal(found, CIFAR10.to_pixels(draw(3, 8, 8)[None]))


def test_proposals() -> None:
    masks = draw(4, 4) > 0.5
    images = draw(1, 3, 4, 4)
    assert from_proposals(masks[None]).shape == (1, 1, 4, 4)
    found = follow(from_proposals, masks, "masks[None]", masks=masks)
    assert torch.equal(found, from_proposals(masks[None]))
    probabilities = draw(2, 4, 4)
    for advice in ("masks > 0.5", "masks > 0"):
        made = follow(from_proposals, probabilities, advice, masks=probabilities)
        assert torch.equal(made, from_proposals(probabilities > float(advice[8:])))
    assert Precomputed(found)[[0]].shape == images[:, :1].shape


def test_a_generator_by_its_class() -> None:
    with pytest.raises(TypeError, match=r"pass an instance, for example Grid\(\)"):
        SuperpixelGrouped(Saliency(torch.relu), Grid)  # type: ignore[arg-type]
    SuperpixelGrouped(Saliency(torch.relu), Grid())


# --- metrics ---


@pytest.mark.parametrize("metric", [ssim, cosine_similarity])
def test_maps_without_channels(metric: Callable[[Tensor, Tensor], Tensor]) -> None:
    a, b = draw(6, 16, 16), draw(6, 16, 16, seed=1)
    found = follow(lambda given: metric(given, b[:, None]), a, "maps_a[:, None]", maps_a=a)
    assert found.shape == (6,)
    for n in range(6):
        torch.testing.assert_close(found[n], metric(a[n][None, None], b[n][None, None])[0])


def test_maps_of_one_image() -> None:
    a, b = draw(3, 16, 16), draw(3, 16, 16, seed=1)
    assert follow(lambda given: ssim(given, b[None]), a, "maps_a[None]", maps_a=a).shape == (1,)
    flat = a[0]
    found = follow(lambda given: ssim(given, b[:1][None]), flat, "maps_a[None, None]", maps_a=flat)
    torch.testing.assert_close(found, ssim(a[:1][None], b[:1][None]))


def test_maps_of_several_batches() -> None:
    a, b = draw(2, 3, 1, 16, 16), draw(2, 3, 1, 16, 16, seed=1)
    first = follow(lambda given: ssim(given, b[0]), a, "maps_a[0]", maps_a=a)
    both = follow(lambda given: ssim(given, b.flatten(0, 1)), a, "maps_a.flatten(0, 1)", maps_a=a)
    torch.testing.assert_close(both[:3], first)


def test_maps_of_models_without_channels() -> None:
    maps = draw(5, 4, 8, 8)
    found = follow(across_model_variance, maps, "maps[:, :, None]", maps=maps)
    assert found.shape == (4,)
    one = follow(across_model_variance, maps, "maps[:, None]", maps=maps)
    assert one.shape == (1,)
    single = maps[:, 0]
    alone = follow(across_model_variance, single, "maps[:, None, None]", maps=single)
    torch.testing.assert_close(alone, found[:1])


def test_inputs_of_integers() -> None:
    inputs = (draw(2, 3, 8, 8) * 255).to(torch.uint8)
    maps = draw(2, 1, 8, 8)

    def score(given: Tensor) -> Tensor:
        return deletion_auc(lambda x: x.double().mean(dim=(2, 3)), given, maps, 1)

    torch.testing.assert_close(follow(score, inputs, "inputs.float()", inputs=inputs), score(inputs.double()))


def test_images_with_their_channels_last() -> None:
    inputs, maps = draw(2, 8, 9, 3), draw(2, 1, 8, 9)

    def score(given: Tensor) -> Tensor:
        return deletion_auc(lambda x: x.mean(dim=(2, 3)), given, maps, 1)

    found = follow(score, inputs, "inputs.movedim(-1, -3)", inputs=inputs)
    assert torch.equal(found, score(inputs.permute(0, 3, 1, 2)))


def test_an_output_of_one_class() -> None:
    inputs, maps = draw(2, 3, 8, 8), draw(2, 1, 8, 8)

    def logit(x: Tensor) -> Tensor:
        return x.mean(dim=(1, 2, 3))[:, None]

    with pytest.raises(ValueError, match="pass softmax=False, and a forward_func that applies the sigmoid"):
        deletion_auc(logit, inputs, maps, 0)
    assert ((found := deletion_auc(lambda x: logit(x).sigmoid(), inputs, maps, 0, softmax=False)) > 0.5).all()
    assert (found < 1).all()
    with pytest.raises(ValueError, match="pass a target, or softmax=False"):
        deletion_auc(logit, inputs, maps)
    torch.testing.assert_close(
        deletion_auc(logit, inputs, maps, softmax=False), deletion_auc(logit, inputs, maps, 0, softmax=False)
    )


def test_objects_that_are_not_boolean() -> None:
    masks, maps = torch.zeros(1, 1, 4, 4), draw(1, 1, 4, 4)
    masks[..., :2] = 1
    for metric in (pointing_game, relevance_mass_accuracy):
        found = follow(lambda given, metric=metric: metric(maps, given), masks, "masks > 0", masks=masks)
        assert torch.equal(found, metric(maps, masks.bool()))


def test_removed_pixels() -> None:
    scores, images = draw(1, 1, 4, 4), draw(1, 3, 4, 4)
    found = follow(
        lambda given: noisy_linear_imputation(images, given, noise=0.0),
        scores,
        "scores > threshold",
        scores=scores,
        threshold=0.5,
    )
    kept = (scores <= 0.5).expand_as(images)
    assert torch.equal(found[kept], images[kept])


# --- Captum's failures ---


def test_tensors_of_an_inference_mode() -> None:
    with torch.inference_mode():
        inputs = draw(2, 3, 12, 12)
    grouped = SuperpixelGrouped(Saliency(lambda x: x.square().flatten(1).sum(1)), Grid(9))
    with pytest.warns(UserWarning, match="did not already require gradients"):
        found = follow(grouped.attribute, inputs, "inputs.clone()", inputs=inputs)
    torch.testing.assert_close(found, pool_segments(2 * inputs.clone(), SQUARES))


def test_one_number_for_a_batch() -> None:
    inputs = draw(2, 3, 12, 12)
    grouped = SuperpixelGrouped(FeatureAblation(lambda x: x.sum()), None)
    mask = SQUARES[None, None].expand(2, 1, 12, 12)
    found = follow(lambda given: grouped.attribute(inputs, feature_mask=given), mask, "mask[:1]", mask=mask)
    expected = pool_segments(inputs.sum(dim=(0, 1), keepdim=True), SQUARES, "sum")
    torch.testing.assert_close(found, expected.expand_as(found))


def test_a_layer_that_returns_a_pair() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, None]:
            return self.conv(x), x, None

    layer, inputs = Pair(), draw(2, 3, 12, 12)

    def network(x: Tensor) -> Tensor:
        return layer(x)[0].mean(dim=(2, 3))

    def explain(chosen: nn.Module) -> Tensor:
        return SuperpixelGrouped(LayerGradCam(network, chosen), Grid(9)).attribute(inputs, target=1)

    assert follow(explain, layer, "layer.conv", layer=layer).shape == (2, 1, 12, 12)
