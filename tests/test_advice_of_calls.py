"""Advice that is a call or an option, not an expression: each piece is followed here, and gives the right result.

See test_advice.py for advice that can be evaluated as it stands in the message.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, FeaturePermutation, IntegratedGradients, LayerActivation, Saliency
from PIL import Image
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped, metrics, pool_segments
from captum_superpixel._store import Store, StoreError
from captum_superpixel.attr.xrai import XRAI
from captum_superpixel.datasets import Preprocessing, image_folder
from captum_superpixel.datasets.photographs import to_rgb
from captum_superpixel.masks import Cached, Felzenszwalb, Grid, Precomputed, SkimageSlic, Slic, from_proposals
from captum_superpixel.regions import region_table
from captum_superpixel.visualization import visualize_comparison, visualize_superpixels


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


SQUARES = (torch.arange(12).view(12, 1) // 4) * 3 + torch.arange(12) // 4


def square_sum(x: Tensor) -> Tensor:
    return x.square().flatten(1).sum(1)


def refused(call: Callable[[], Any], *advice: str) -> str:
    """The error, in which all pieces of advice stand."""
    with pytest.raises((ValueError, TypeError, IndexError, NotImplementedError)) as info:
        call()
    for piece in advice:
        assert piece in str(info.value)
    return str(info.value)


# --- wrapping ---


def test_a_class_or_a_model_for_a_method() -> None:
    model, inputs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), draw(2, 3, 12, 12).requires_grad_()
    refused(lambda: SuperpixelGrouped(Saliency), "pass an instance, Saliency(model)")  # type: ignore[arg-type]
    message = refused(lambda: SuperpixelGrouped(model, Grid(9)), "for example captum.attr.Saliency(model)")  # type: ignore[arg-type]
    method = eval(message.rsplit("for example captum.attr.")[-1], {"Saliency": Saliency, "model": model})
    found = SuperpixelGrouped(method, Grid(9)).attribute(inputs, target=1)
    torch.testing.assert_close(found, pool_segments(Saliency(model).attribute(inputs, target=1), SQUARES))
    refused(lambda: XRAI(IntegratedGradients), "pass an instance, either of an attribution class or a model")
    for instance in (IntegratedGradients(model), model):
        assert XRAI(instance, Grid(9)).attribute(inputs, target=1).shape == (2, 1, 12, 12)


def test_nothing_to_group_by() -> None:
    inputs = draw(2, 3, 12, 12).requires_grad_()
    advice = "pass feature_mask=, or construct with a mask_generator"
    refused(lambda: SuperpixelGrouped(Saliency(square_sum), None).attribute(inputs), advice)
    first = SuperpixelGrouped(Saliency(square_sum), None).attribute(inputs, feature_mask=SQUARES)
    assert torch.equal(first, SuperpixelGrouped(Saliency(square_sum), Grid(9)).attribute(inputs))


@pytest.mark.parametrize("reduction", ["sum", "max"])
def test_reductions_of_effects(reduction: Any) -> None:
    inputs = draw(2, 3, 12, 12)
    method = FeatureAblation(square_sum)
    advice = "use 'mean' (as it is) or 'abs_mean' (its magnitude)"
    refused(lambda: SuperpixelGrouped(method, Grid(9), reduction=reduction), advice)
    effects = pool_segments(inputs.square().sum(dim=1, keepdim=True), SQUARES, "sum").expand_as(inputs)
    torch.testing.assert_close(SuperpixelGrouped(method, Grid(9), reduction="mean").attribute(inputs), effects)
    opposite = FeatureAblation(lambda x: -square_sum(x))
    torch.testing.assert_close(SuperpixelGrouped(opposite, Grid(9), reduction="abs_mean").attribute(inputs), effects)


def test_a_permutation_of_one_image() -> None:
    inputs = draw(1, 3, 12, 12)
    grouped = SuperpixelGrouped(FeaturePermutation(square_sum), Grid(9))
    refused(lambda: grouped.attribute(inputs), "pass at least two, or use FeatureAblation")
    assert grouped.attribute(draw(2, 3, 12, 12)).shape == (2, 3, 12, 12)
    assert SuperpixelGrouped(FeatureAblation(square_sum), Grid(9)).attribute(inputs).shape == inputs.shape


def test_layers_that_cannot_be_laid_over_an_image() -> None:
    model, inputs = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, 2)), draw(2, 3, 12, 12)

    def explain(layer: int, mask: Tensor) -> Tensor:
        return SuperpixelGrouped(LayerActivation(model, model[layer]), None).attribute(inputs, feature_mask=mask)

    refused(lambda: explain(3, SQUARES), "choose a convolution")
    assert explain(0, SQUARES).shape == (2, 4, 12, 12)
    mask = SQUARES.expand(1, 3, 12, 12)
    refused(lambda: explain(0, mask), "pass a mask with one channel")
    assert torch.equal(explain(0, mask[:, :1]), explain(0, SQUARES))


def test_xrai_of_two_inputs() -> None:
    inputs, factor = draw(2, 3, 12, 12).requires_grad_(), torch.tensor([1.0, 3.0])

    def model(x: Tensor, weight: Tensor) -> Tensor:
        return square_sum(x) * weight

    xrai = XRAI(Saliency(model), Grid(9))
    refused(lambda: xrai.attribute((inputs, factor)), "pass the others as additional_forward_args")
    found = xrai.attribute(inputs, additional_forward_args=factor)
    torch.testing.assert_close(found, XRAI(Saliency(square_sum), Grid(9)).attribute(inputs) * factor.view(2, 1, 1, 1))


def test_xrai_of_masks_and_baselines() -> None:
    inputs = draw(2, 3, 12, 12).requires_grad_()
    xrai = XRAI(square_sum, None)
    advice = "pass masks of shape (1 or N, 1, 12, 12)"
    refused(lambda: xrai.attribute(inputs, feature_mask=SQUARES.expand(1, 3, 12, 12)), advice)
    for count in (1, 2):
        assert xrai.attribute(inputs, feature_mask=SQUARES.expand(count, 1, 12, 12)).shape == (2, 1, 12, 12)
    refused(lambda: xrai.attribute(inputs, feature_mask=SQUARES, baselines=[]), "pass at least one, or None for each")
    extremes = [inputs.detach().flatten(1).amin(1), inputs.detach().flatten(1).amax(1)]
    baselines = [bound.view(2, 1, 1, 1).expand_as(inputs) for bound in extremes]
    torch.testing.assert_close(
        xrai.attribute(inputs, feature_mask=SQUARES, baselines=None),
        xrai.attribute(inputs, feature_mask=SQUARES, baselines=baselines),
    )


# --- masks ---


def test_volumes() -> None:
    volume = draw(1, 1, 6, 12, 12)
    text = "segment volumes by Slic, SkimageSlic or Grid, pass your own mask as feature_mask="
    refused(lambda: Felzenszwalb()(volume), text, "give None for this input in a tuple of mask generators")
    for generator in (Slic(8), SkimageSlic(8), Grid(8)):
        assert generator(volume).shape == (1, 1, 6, 12, 12)

    def model(x: Tensor, y: Tensor) -> Tensor:
        return square_sum(x) + square_sum(y)

    inputs = (volume.requires_grad_(), draw(1, 3, 12, 12).requires_grad_())
    first, _ = SuperpixelGrouped(Saliency(model), (None, Grid(9))).attribute(inputs)
    assert torch.equal(first, (2 * volume).detach())


def test_channels_that_do_come_first() -> None:
    """A strip of eight channels, three pixels wide, looks like an image with its channels last."""
    strip = draw(2, 8, 9, 3).requires_grad_()
    refused(lambda: SuperpixelGrouped(Saliency(square_sum), Grid(9)).attribute(strip), "pass your own mask as feature")
    mask = torch.arange(9).view(9, 1).expand(9, 3) // 3
    found = SuperpixelGrouped(Saliency(square_sum), Grid(9)).attribute(strip, feature_mask=mask)
    torch.testing.assert_close(found, pool_segments((2 * strip).detach(), mask))


def test_more_segments_than_pixels() -> None:
    refused(lambda: Slic(145)(draw(1, 3, 12, 12)), "ask for at most 144 segments")
    assert Grid(144)(draw(1, 3, 12, 12)).max() == 143


def test_masks_without_their_images() -> None:
    images, masks = draw(3, 3, 12, 12), torch.stack([SQUARES, SQUARES.T, SQUARES // 3])[:, None]
    precomputed = Precomputed(masks)
    message = refused(lambda: precomputed(images), "use Precomputed.from_images(images, masks)", "or index them")
    names = {"Precomputed": Precomputed, "precomputed": precomputed, "images": images, "masks": masks, "indices": [2]}
    assert torch.equal(eval(re.findall(r"Precomputed\.from_images\(.*?\)", message)[0], names)(images), masks)
    assert torch.equal(eval(message.split("feature_mask=")[1], names), masks[2:])


def test_where_masks_are_kept(tmp_path: Path) -> None:
    images = draw(2, 3, 12, 12)
    refused(lambda: Cached(lambda x: Grid(9)(x), tmp_path), "omit directory")
    assert torch.equal(Cached(lambda x: Grid(9)(x))(images), Grid(9)(images))
    refused(lambda: Cached(Grid(9), tmp_path, max_images=3), "omit it, or the directory")
    for cached in (Cached(Grid(9), tmp_path), Cached(Grid(9), max_images=3)):
        assert torch.equal(cached(images), Grid(9)(images))


def test_proposals_of_several_images_and_their_scores() -> None:
    masks = draw(2, 3, 4, 4) > 0.5
    refused(lambda: from_proposals(list(masks)), "pass masks of several images as one tensor (N, P, H, W)")
    assert from_proposals(masks).shape == (2, 1, 4, 4)
    found = [{"segmentation": mask.numpy(), "area": float(mask.sum())} for mask in masks[0]]
    refused(lambda: from_proposals(found, "score"), "only ['area', 'segmentation']: name one of its keys")
    areas = masks[0].flatten(1).sum(1)
    assert torch.equal(from_proposals(found, "area"), from_proposals(masks[0], areas))


# --- metrics and regions ---


def test_targets() -> None:
    inputs, maps = draw(2, 3, 8, 8), draw(2, 1, 8, 8)

    def score(target: Any, model: Callable[[Tensor], Tensor] = lambda x: x.mean((2, 3))) -> Tensor:
        return metrics.deletion_auc(model, inputs, maps, target)

    refused(lambda: score("cat"), "pass an int, a list of ints or a tensor (N,)")
    refused(lambda: score([1, 1, 1]), "pass one int for all, or 2 of them")
    for target in ([1, 1], torch.tensor([1, 1])):
        assert torch.equal(score(target), score(1))
    refused(lambda: score(1, lambda x: x.mean()), "let it return a tensor (")
    refused(lambda: score(1, lambda x: x), "pass 3 of them")
    assert torch.equal(score((1, 0, 0), lambda x: x), score([(1, 0, 0), (1, 0, 0)], lambda x: x))


def test_similarities_above_one() -> None:
    values, nulls = torch.tensor([2.0, 3.0]), torch.tensor([1.0, 1.5])
    refused(lambda: metrics.excess(values, nulls), "for other metrics use bootstrap_mean")
    assert metrics.bootstrap_mean(values, generator=torch.Generator().manual_seed(0))[0] == 2.5


def test_generators_of_chance() -> None:
    maps = draw(2, 1, 4, 4)
    message = refused(lambda: metrics.permute_pixels(maps, 3), "pass torch.Generator().manual_seed(…)")  # type: ignore[arg-type]
    generator = eval(message.split("pass ")[1].replace("…", "3"), {"torch": torch})
    assert torch.equal(metrics.permute_pixels(maps, generator).flatten().sort()[0], maps.flatten().sort()[0])


def test_shares_of_pixels() -> None:
    a, b = draw(2, 1, 10, 10), draw(2, 1, 10, 10, seed=1)
    refused(lambda: metrics.top_k_iou(a, b, 1.0), "pass 0.1 for a tenth, or an int for a number")
    assert torch.equal(metrics.top_k_iou(a, b, 0.1), metrics.top_k_iou(a, b, 10))


def test_regions_of_volumes_and_of_single_maps() -> None:
    volume, mask = draw(1, 1, 5, 12, 12), Grid(8)(draw(1, 1, 5, 12, 12))
    refused(
        lambda: region_table(volume[0], mask), "the slices of a volume as a batch, with a mask of shape (1 or N, 1,"
    )
    slices, slice_masks = volume[0].transpose(0, 1), mask[0].transpose(0, 1)
    assert len(region_table(slices, slice_masks)) == sum(len(one.unique()) for one in slice_masks)
    refused(lambda: region_table(draw(12, 12), SQUARES), "pass (N, C, H, W), or (M, N, C, H, W) for M maps per image")
    assert len(region_table(draw(1, 1, 12, 12), SQUARES)) == len(region_table(draw(4, 1, 1, 12, 12), SQUARES)) == 9


# --- pictures ---


def test_a_batch_for_a_picture_of_one_image() -> None:
    images, maps = draw(2, 3, 12, 12), draw(2, 3, 12, 12, seed=1)
    message = refused(lambda: visualize_superpixels(images, maps, SQUARES), "or see them all with visualize_comparison")
    first = eval(re.findall(r"such as (.*?),", message)[0], {"image": images})
    figure, _ = visualize_superpixels(first, maps[0], SQUARES, use_pyplot=False)
    assert figure.axes
    figure, _ = visualize_comparison(images, {"one": maps}, use_pyplot=False)
    assert len(figure.axes) >= 4


def test_masks_of_other_numbers_in_pictures() -> None:
    image, heat = draw(3, 12, 12), draw(1, 12, 12)
    refused(lambda: visualize_superpixels(image, heat, SQUARES.double()), "pass segment ids as integers, such as int64")
    visualize_superpixels(image, heat, SQUARES.double().to(torch.int64), use_pyplot=False)


# --- data ---


def test_pixels_without_a_range() -> None:
    array = np.linspace(0, 4, 16, dtype=np.float32).reshape(4, 4)
    message = refused(lambda: to_rgb(Image.fromarray(array)), "by PIL.Image.fromarray(")
    import PIL.Image

    advised = eval(message.split(", by ")[1], {"PIL": PIL, "array": array, "white": 4.0})
    assert np.array_equal(np.asarray(to_rgb(advised))[..., 0], (array / 4 * 255).astype(np.uint8))
    refused(lambda: to_rgb(array), "turn arrays into images by PIL.Image.fromarray")  # type: ignore[arg-type]
    assert to_rgb(Image.fromarray((array * 60).astype(np.uint8))).size == (4, 4)


def test_a_scale_needs_its_units() -> None:
    half = Preprocessing(8, 0.5, 0.5)
    refused(lambda: half.replaced(scale=1), "pass mean and std too")
    assert half.replaced(scale=1, mean=127.5, std=127.5).denormalize == half.denormalize


def test_images_that_cannot_be_read(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), (90, 0, 200)).save(tmp_path / name / "1.png")
    (tmp_path / "dog" / "2.png").write_bytes(b"no picture")
    refused(lambda: image_folder(tmp_path), "leave them out by on_unreadable='skip'")
    assert len(image_folder(tmp_path, on_unreadable="skip")) == 2


def test_a_damaged_part_of_a_study(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save("part", {"seed": 0}, {"value": 1})
    with pytest.raises(StoreError, match="delete it to have it made again"):
        store.load("part", {"seed": 1})
    store.path("part").unlink()
    assert store.load("part", {"seed": 1}) is None
