"""Features of images for Captum's LLM classes: what is removed, and what a vision-language model makes of it."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import (
    FeatureAblation,
    ImageMaskInput,
    KernelShap,
    LayerIntegratedGradients,
    Lime,
    LLMAttribution,
    LLMGradientAttribution,
    ShapleyValues,
    ShapleyValueSampling,
)
from matplotlib import pyplot as plt
from PIL import Image
from torch import Tensor

from captum_superpixel import to_image_mask_input
from captum_superpixel.datasets.photographs import to_rgb
from captum_superpixel.masks import (
    Cached,
    Felzenszwalb,
    Grid,
    PatchAligned,
    Precomputed,
    Quickshift,
    SkimageSlic,
    Slic,
    Watershed,
    from_proposals,
    multiscale,
)

HEIGHT, WIDTH = 24, 32


@pytest.fixture
def picture() -> Image.Image:
    """Four colors, one in each quarter, with some noise."""
    colors = np.array([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [200, 200, 40]]], dtype=np.uint8)
    noise = np.random.default_rng(0).integers(0, 20, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Image.fromarray(colors.repeat(HEIGHT // 2, axis=0).repeat(WIDTH // 2, axis=1) + noise)


@pytest.fixture
def pixels(picture: Image.Image) -> Tensor:
    """What mask generators are called with."""
    return torch.tensor(np.array(picture)).permute(2, 0, 1)[None].float() / 255


def quarters() -> Tensor:
    rows, columns = torch.arange(HEIGHT)[:, None] >= HEIGHT // 2, torch.arange(WIDTH) >= WIDTH // 2
    return 2 * rows.long() + columns.long()


def halves() -> Tensor:
    """Left and all of the upper part, which overlap: ``(2, H, W)`` bool."""
    masks = torch.zeros(2, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, :, : WIDTH // 2] = True
    masks[1, : HEIGHT // 2] = True
    return masks


def features(made: ImageMaskInput) -> Tensor:
    return torch.stack(made.get_mask_list())


GENERATORS = (
    Slic(6),
    SkimageSlic(6),
    Watershed(6),
    Grid(6),
    Felzenszwalb(20.0),
    Quickshift(),
    Cached(Slic(6)),
    PatchAligned(Slic(6), 4),
)


@pytest.mark.parametrize("generator", GENERATORS, ids=repr)
def test_a_generators_segments_become_the_features(generator: Any, picture: Image.Image, pixels: Tensor) -> None:
    made = to_image_mask_input(picture, generator)
    mask = generator(pixels)[0, 0]
    assert torch.equal(made.mask, mask)
    assert made.n_itp_features == int(mask.max()) + 1 > 1
    for feature in range(made.n_itp_features):
        present = torch.ones(1, made.n_itp_features)
        present[0, feature] = 0
        expected = np.where((mask == feature).numpy()[..., None], 255, np.array(picture))
        np.testing.assert_array_equal(np.array(made.to_model_input(present)), expected)


def test_masks_known_by_the_picture_are_found(picture: Image.Image, pixels: Tensor) -> None:
    made = to_image_mask_input(picture, Precomputed.from_images(pixels, quarters()[None, None]))
    assert torch.equal(made.mask, quarters())


def test_all_of_multiscale_is_one_list_that_overlaps(picture: Image.Image, pixels: Tensor) -> None:
    generators = multiscale((2, 5), (10.0,))
    made = to_image_mask_input(picture, generators)
    expected = [
        generator(pixels)[0, 0] == number
        for generator in generators
        for number in range(int(generator(pixels).max()) + 1)
    ]
    assert torch.equal(features(made), torch.stack(expected))
    assert (features(made).sum(dim=0) == 2).all()  # each pixel in one segment of each


def test_a_list_mixes_generators_masks_and_arrays(picture: Image.Image) -> None:
    made = to_image_mask_input(picture, [quarters() * 5, Grid(2), quarters().numpy().astype(np.uint16)])
    own = torch.stack([quarters() == number for number in range(4)])
    assert torch.equal(features(made)[:4], own)
    assert torch.equal(features(made)[-4:], own)
    assert made.n_itp_features == 10


@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
@pytest.mark.parametrize("form", [Tensor.numpy, Tensor.int, lambda mask: mask.to(torch.uint8), Tensor.long])
def test_a_mask_keeps_its_ids(picture: Image.Image, lead: tuple[int, ...], form: Callable[[Tensor], Any]) -> None:
    ids = torch.tensor([3, 7, 50, 51])[quarters()]
    made = to_image_mask_input(picture, form(ids.reshape(*lead, HEIGHT, WIDTH)))
    assert torch.equal(made.mask, ids)
    assert made.values == ["image_feature_3", "image_feature_7", "image_feature_50", "image_feature_51"]


@pytest.mark.parametrize(
    "form",
    [
        lambda masks: masks,
        lambda masks: masks[None],
        lambda masks: masks.numpy(),
        list,
        lambda masks: [mask.numpy() for mask in masks],
        lambda masks: [{"segmentation": mask.numpy(), "area": 1} for mask in masks],
    ],
    ids=["tensor", "batch of one", "array", "list", "list of arrays", "SAM"],
)
def test_proposals_stay_as_they_are(picture: Image.Image, form: Callable[[Tensor], Any]) -> None:
    made = to_image_mask_input(picture, form(halves()), baseline=(1, 2, 3))
    assert torch.equal(features(made), halves())
    left_removed = np.array(made.to_model_input(torch.tensor([[0.0, 1.0]])))
    np.testing.assert_array_equal(left_removed[:, : WIDTH // 2], np.broadcast_to([1, 2, 3], (HEIGHT, WIDTH // 2, 3)))
    np.testing.assert_array_equal(left_removed[:, WIDTH // 2 :], np.array(picture)[:, WIDTH // 2 :])
    # The lower right quarter is in neither; from_proposals makes it a feature.
    both_removed = np.array(made.to_model_input(torch.zeros(1, 2)))
    np.testing.assert_array_equal(
        both_removed[HEIGHT // 2 :, WIDTH // 2 :], np.array(picture)[HEIGHT // 2 :, WIDTH // 2 :]
    )
    assert to_image_mask_input(picture, from_proposals(halves())).n_itp_features == 3


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"])
def test_pictures_of_eight_bits_become_rgb(picture: Image.Image, mode: str) -> None:
    converted = picture.convert(mode)
    if mode == "P":
        converted.info["transparency"] = bytes(range(256))  # Pillow warns where it goes to RGB at once
    made = to_image_mask_input(converted, quarters())
    removed = made.to_model_input(torch.tensor([[1.0, 0.0, 1.0, 1.0]]))
    assert removed.mode == "RGB"
    assert (np.array(removed)[: HEIGHT // 2, WIDTH // 2 :] == 255).all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = np.array(converted.convert("RGB"))
    np.testing.assert_array_equal(np.array(removed)[:, : WIDTH // 2], expected[:, : WIDTH // 2])


def test_the_processor_sees_each_picture(picture: Image.Image) -> None:
    seen: list[Image.Image] = []
    made = to_image_mask_input(picture, quarters(), processor_fn=lambda image: seen.append(image) or len(seen))
    assert made.to_model_input() == 1
    assert made.to_model_input(torch.zeros(1, 4)) == 2
    assert seen[0] is picture
    assert (np.array(seen[1]) == 255).all()


def test_wide_pictures_are_refused_with_what_converts_them(picture: Image.Image) -> None:
    wide = Image.fromarray(np.full((HEIGHT, WIDTH), 65535, dtype=np.uint16))
    with pytest.raises(ValueError, match=r"mode I;16.*datasets\.photographs\.to_rgb\(image\)"):
        to_image_mask_input(wide, quarters())
    assert to_image_mask_input(to_rgb(wide), quarters()).n_itp_features == 4


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (torch.zeros(5, 3, HEIGHT, WIDTH), rf"a Tensor of shape \(5, 3, {HEIGHT}, {WIDTH}\) was passed"),
        (np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8), rf"a ndarray of shape \({HEIGHT}, {WIDTH}, 3\) was passed"),
        ([Image.new("RGB", (2, 2))] * 2, r"a list was passed: make an ImageMaskInput for each image"),
        ("cat.png", r"a str was passed"),
    ],
    ids=["batch", "array", "list", "name"],
)
def test_only_one_pillow_image_is_taken(image: Any, what: str) -> None:
    with pytest.raises(TypeError, match=what):
        to_image_mask_input(image, quarters())


@pytest.mark.parametrize(
    ("mask", "error", "what"),
    [
        (quarters()[:-1], ValueError, r"mask of shape \(23, 32\) was passed for an image of 24 rows"),
        (quarters().T, ValueError, r"Pillow's size is \(width, height\)"),
        (quarters().expand(3, -1, -1), ValueError, r"several masks of an image are a list"),
        (quarters().expand(4, 1, -1, -1), ValueError, r"each image of a batch has a call of its own"),
        ([quarters(), quarters()[:, :-1]], ValueError, rf"mask\[1\] of shape \({HEIGHT}, {WIDTH - 1}\)"),
        (quarters().float(), TypeError, r"mask has dtype torch\.float32, .*mask\.long\(\)"),
        (quarters().numpy() / 2, TypeError, r"mask has dtype float64, .*mask\.astype\(int\)"),
        ([quarters(), quarters().float()], TypeError, r"mask\[1\] has dtype torch\.float32"),
        (quarters() - 2, ValueError, r"mask holds the negative id -2"),
        (halves()[0], TypeError, r"mask is one boolean mask \(24, 32\): pass mask\[None\]"),
        ([quarters(), halves()[0]], TypeError, r"mask\[1\] is one boolean mask"),
        (halves()[:, 1:], ValueError, r"proposals of shape \(2, 23, 32\)"),
        (halves().mT, ValueError, r"pass \(P, 24, 32\); Pillow's size"),
        (halves().expand(2, 2, -1, -1), ValueError, r"proposals of shape \(2, 2, 24, 32\)"),
        ([halves()[0], halves()[1] & False], ValueError, r"1 of 2 proposals \(index 1\) hold no pixel"),
        ([], ValueError, r"an empty list of masks"),
        ("slic", TypeError, r"mask must be a tensor or a NumPy array of integers, but a str"),
        (Slic, TypeError, r"is the class Slic: pass an instance"),
        (lambda images: images, TypeError, r"has dtype torch\.float32"),
        (Slic(4, denormalize=(0.5, 0.2)), ValueError, r"Slic\(.*leave out denormalize=\(\(0\.5,\), \(0\.2,\)\)"),
        (multiscale((4,), (5.0,), channel_order="bgr"), ValueError, r"leave out channel_order='bgr'"),
        (Cached(PatchAligned(Grid(4, denormalize=(0.5, 0.2)), 4)), ValueError, r"leave out denormalize"),
    ],
)  # fmt: skip
def test_what_is_no_mask_of_the_picture(picture: Image.Image, mask: Any, error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what):
        to_image_mask_input(picture, mask)


def test_a_picture_in_zero_to_one_needs_no_denormalize(picture: Image.Image, pixels: Tensor) -> None:
    generator = Slic(6, denormalize=(0, 1))
    assert torch.equal(to_image_mask_input(picture, generator).mask, generator(pixels)[0, 0])


@pytest.mark.parametrize(
    ("baseline", "error", "what"),
    [
        ((255, 255), ValueError, r"baseline=\(255, 255\) is no color"),
        (0, ValueError, r"baseline=0 is no color"),
        ((0, 0, 256), ValueError, r"each value of baseline must be at most 255, but 256"),
        ((0, 0, -1), ValueError, r"each value of baseline must be at least 0, but -1"),
        ((0.5, 0.5, 0.5), TypeError, r"each value of baseline must be an integer, but 0\.5"),
    ],
)
def test_a_baseline_is_a_color(picture: Image.Image, baseline: Any, error: type[Exception], what: str) -> None:
    with pytest.raises(error, match=what):
        to_image_mask_input(picture, quarters(), baseline=baseline)


# A vision-language model, LLaVA with random weights.


@pytest.fixture
def explained(picture: Image.Image, llava: Any) -> Callable[..., Any]:
    """From a method, a mask and options to the attribution result."""

    def explain(method: type, mask: Any, **options: Any) -> Any:
        made = to_image_mask_input(picture, mask, processor_fn=llava.process)
        torch.manual_seed(0)
        return LLMAttribution(method(llava.model), llava.tokenizer).attribute(
            made, target="a cat", **{"use_cached_outputs": False, **options}
        )

    return explain


def log_probabilities(llava: Any, picture: Image.Image) -> Tensor:
    """Of the tokens "a" and "cat", one after the other."""
    inputs = dict(llava.process(picture))
    result = []
    for token in llava.tokenizer.encode("a cat", add_special_tokens=False):
        with torch.no_grad():
            result.append(llava.model(**inputs).logits[0, -1].log_softmax(dim=0)[token])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[token]])], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    return torch.stack(result)


def removed(picture: Image.Image, mask: Tensor) -> Image.Image:
    return Image.fromarray(np.where(mask.numpy()[..., None], 255, np.array(picture)).astype(np.uint8))


def test_ablation_measures_what_each_segment_does_to_each_token(
    picture: Image.Image, llava: Any, explained: Callable[..., Any]
) -> None:
    result = explained(FeatureAblation, quarters())
    whole = log_probabilities(llava, picture)
    effects = torch.stack(
        [whole - log_probabilities(llava, removed(picture, quarters() == number)) for number in range(4)], dim=1
    )
    assert effects.abs().min() > 1e-5
    torch.testing.assert_close(result.token_attr, effects, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(result.seq_attr, effects.sum(dim=0), rtol=1e-3, atol=1e-6)
    assert result.output_tokens == ["a", "cat"]


def test_overlapping_features_are_removed_one_by_one(
    picture: Image.Image, llava: Any, explained: Callable[..., Any]
) -> None:
    result = explained(FeatureAblation, halves())
    whole = log_probabilities(llava, picture).sum()
    effects = [whole - log_probabilities(llava, removed(picture, mask)).sum() for mask in halves()]
    torch.testing.assert_close(result.seq_attr, torch.stack(effects), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(
        result.inp.format_pixel_attr(result.seq_attr[None])[0],
        torch.einsum("phw,p->hw", halves().float(), result.seq_attr),
    )


def test_a_segmentation_in_a_list_is_the_segmentation(explained: Callable[..., Any]) -> None:
    alone, listed = (explained(FeatureAblation, mask, forward_in_tokens=False) for mask in (Grid(4), [Grid(4)]))
    assert torch.equal(alone.seq_attr, listed.seq_attr)
    np.testing.assert_array_equal(
        *(result.inp.format_pixel_attr(result.seq_attr[None]).numpy() for result in (alone, listed))
    )


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (ShapleyValues, {}),
        (ShapleyValueSampling, {"n_samples": 2}),
        (KernelShap, {"n_samples": 8}),
        (Lime, {"n_samples": 8}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_captums_methods_run_on_superpixels(
    method: type, options: dict[str, Any], picture: Image.Image, llava: Any, explained: Callable[..., Any]
) -> None:
    mask = quarters().clamp(max=2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are attempting to compute Shapley Values", UserWarning)
        result = explained(method, mask, forward_in_tokens=False, **options)
    assert result.seq_attr.shape == (3,)
    if method is Lime:  # whose penalty shrinks so small effects to zero
        return
    gone = log_probabilities(llava, removed(picture, torch.ones_like(mask, dtype=torch.bool))).sum()
    total = log_probabilities(llava, picture).sum() - gone
    assert total.abs() > 1e-4
    torch.testing.assert_close(result.seq_attr.sum(), total, rtol=1e-2, atol=1e-6)


def test_captums_pictures_show_the_features(explained: Callable[..., Any]) -> None:
    for mask in (Slic(5), multiscale((2, 4), (10.0,))):
        result = explained(FeatureAblation, mask, forward_in_tokens=False)
        shown = result.inp.format_pixel_attr(result.seq_attr[None])[0].numpy()
        figure, axes = result.plot_image_heatmap()
        np.testing.assert_array_equal(axes.images[1].get_array(), shown)
        assert len(axes.texts) == result.inp.n_itp_features
        overlay, overlay_axes = result.inp.plot_mask_overlay(border_width=1)
        assert [text.get_text() for text in overlay_axes.texts] == [str(n) for n in range(result.inp.n_itp_features)]
        plt.close(figure)
        plt.close(overlay)


def test_captums_gradients_take_text_alone(picture: Image.Image, llava: Any) -> None:
    method = LLMGradientAttribution(
        LayerIntegratedGradients(llava.model, llava.model.get_input_embeddings()), llava.tokenizer
    )
    with pytest.raises(AssertionError, match=r"does not support input type .*ImageMaskInput"):
        method.attribute(to_image_mask_input(picture, Grid(4), processor_fn=llava.process), target="a cat")
