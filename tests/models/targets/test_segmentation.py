"""Semantic segmentation: the number is the logit over the region, the region stays, and the evidence is where it is."""

import copy
import pickle
import re
from typing import Any

import pytest
import torch
from captum.attr import DeepLift, FeatureAblation, IntegratedGradients, LayerGradCam, NoiseTunnel, Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped, perturbed_attributions
from captum_superpixel._checks import InputError
from captum_superpixel.metrics import insertion_auc
from captum_superpixel.models.targets import SegmentationTarget, predict_categories, predicted_region
from captum_superpixel.models.targets.segmentation import segmentation_logits

FORMS: dict[str, Any] = {
    "tensor": lambda logits: logits,
    "torchvision": lambda logits: {"out": logits, "aux": torch.zeros_like(logits)},
    "logits": lambda logits: {"loss": None, "logits": logits},
    "tuple": lambda logits: (logits, "further"),
}


class Colors(nn.Module):
    """Category c is where channel c is largest, seen at a half of the resolution."""

    def __init__(self, form: str = "tensor", stride: int = 2) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(stride)
        self.scale = nn.Parameter(torch.ones(1, 3, 1, 1))
        self.form = form

    def forward(self, images: Tensor) -> Any:
        return FORMS[self.form](self.pool(images) * self.scale)


def halves() -> Tensor:
    """The left half red, the right half blue, of another strength in each of two images."""
    images = torch.zeros(2, 3, 8, 8)
    images[:, 0, :, :4] = 1
    images[:, 2, :, 4:] = torch.tensor([2.0, 3.0]).view(2, 1, 1)
    return images


LEFT = torch.arange(8).expand(8, 8) < 4


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_output(form: str) -> None:
    network, images = Colors(form), halves()
    assert torch.equal(predict_categories(network, images), (2 * ~LEFT).long().expand(2, 8, 8))
    assert torch.equal(predicted_region(network, images, 0), LEFT.expand(2, 8, 8))
    # Interpolated, the logits of red fall off across the border of the halves: 1, 1, 1, .75 | .25, 0, 0, 0.
    assert torch.allclose(SegmentationTarget(network, 0, LEFT)(images), torch.tensor([3.75 / 4] * 2))
    assert torch.allclose(SegmentationTarget(network, 2, LEFT)(images), torch.tensor([2 * 0.25 / 4, 3 * 0.25 / 4]))
    total = SegmentationTarget(network, 0, LEFT, reduction="sum")(images)
    assert torch.allclose(total, torch.tensor([30.0, 30.0]))


def test_one_output_is_a_category_where_its_logit_is_positive() -> None:
    network = nn.Conv2d(3, 1, 1, bias=False)
    network.weight.data = torch.tensor([1.0, 0, -1]).view(1, 3, 1, 1)
    assert torch.equal(predict_categories(network, halves())[0], torch.where(LEFT, 0, -1))
    assert torch.equal(predicted_region(network, halves(), 0)[0], LEFT)


def test_a_region_for_each_image_goes_along_with_every_repetition() -> None:
    network, images = Colors().eval(), halves()
    regions = torch.stack([LEFT, ~LEFT])
    target, kept = SegmentationTarget(network, 2), [SegmentationTarget(network, 2, region) for region in regions]
    mask = (torch.arange(8) // 2).expand(1, 1, 8, 8) + 4 * (torch.arange(8) // 4).view(8, 1)
    methods: dict[Any, dict[str, Any]] = {
        IntegratedGradients: {"n_steps": 7, "internal_batch_size": 4},
        FeatureAblation: {"feature_mask": mask, "perturbations_per_eval": 3},
        Saliency: {"abs": False},
    }
    for method, options in methods.items():
        options = {**options, "additional_forward_args": (regions,)}
        together = method(target).attribute(images.requires_grad_(), **options)
        for n in range(2):
            alone = {**options, "additional_forward_args": None}
            expected = method(kept[n]).attribute(images[n : n + 1], **alone)
            assert expected.abs().max() > 0
            assert torch.allclose(together[n : n + 1], expected, atol=1e-6), method
    torch.manual_seed(0)
    noisy = NoiseTunnel(Saliency(target)).attribute(images, nt_samples=3, additional_forward_args=(regions,))
    assert torch.allclose(noisy[0], Saliency(kept[0]).attribute(images[:1])[0], atol=1e-6)  # the network is linear


def test_the_region_is_that_of_the_clean_image() -> None:
    """With it moving along, a category that vanishes would keep its mean; held, its logit falls."""
    network, images = Colors(), halves()[:1]
    target = SegmentationTarget(network, 0, predicted_region(network, images, 0)[0])
    attributions = FeatureAblation(target).attribute(images, feature_mask=LEFT.long()[None, None])
    assert attributions[0, 0, 0, 0] == pytest.approx(3.75 / 4)
    assert attributions[0, 0, 0, 7] == 0


class Quarter(nn.Module):
    """Sees category 1 in the left half wherever the top left quarter is bright: evidence in a known place."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
        for parameter in self.parameters():
            parameter.data.fill_(0.5)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        evidence = features[:, :, :4, :4].mean((1, 2, 3)).view(-1, 1, 1, 1)
        shown = evidence * (torch.arange(8) < 4).float().expand(len(images), 1, 8, 8)
        return torch.cat([0 * shown, shown], dim=1)


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize("method", [IntegratedGradients, Saliency, DeepLift, FeatureAblation, LayerGradCam])
def test_evidence_is_found_where_it_lies(method: Any) -> None:
    network = Quarter().eval()
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    target = SegmentationTarget(network, 1, predicted_region(network, images[:1], 1)[0])
    made = method(target, network.features[0]) if method is LayerGradCam else method(target)
    quarters = (torch.arange(8) // 4).expand(1, 1, 8, 8) + 2 * (torch.arange(8) // 4).view(8, 1)
    found = SuperpixelGrouped(made).attribute(images.requires_grad_(), feature_mask=quarters).detach()
    inside = found[:, :, :4, :4]
    assert (inside.mean((1, 2, 3)) > 0).all()
    if method is not LayerGradCam:  # whose gradients are averaged over all places
        assert found[:, :, 4:].abs().max() == found[:, :, :, 4:].abs().max() == 0


def test_it_is_a_network_like_any_other() -> None:
    network, images = Colors().eval(), halves()
    target = SegmentationTarget(network, 0, LEFT)
    for other in (pickle.loads(pickle.dumps(target)), copy.deepcopy(target), target.to(torch.float64).float()):
        assert torch.equal(other(images), target(images))
    assert dict(target.named_buffers()).keys() == {"region"}
    assert insertion_auc(target, images, images.abs(), n_steps=4, softmax=False).shape == (2,)
    draws = perturbed_attributions(Saliency(target), target, images, strength=0.1, n_draws=2, views=False)
    assert draws.attributions[0].ne(draws.attributions[1]).any()


def test_transformers_outputs_at_a_quarter_of_the_resolution() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=8,
        num_labels=4,
    )
    torch.manual_seed(0)
    network = transformers.SegformerForSemanticSegmentation(config).eval()
    images = torch.randn(2, 3, 32, 48)
    output = network(images)
    assert output.logits.shape == (2, 4, 8, 12)
    found = predict_categories(network, images)
    category = int(found[0, 0, 0])
    target = SegmentationTarget(network, category, predicted_region(network, images[:1], category)[0])
    attributions = SuperpixelGrouped(IntegratedGradients(target)).attribute(images[:1], n_steps=3)
    assert attributions.shape == (1, 3, 32, 48)
    assert attributions.abs().max() > 0
    try:
        processor = transformers.models.segformer.image_processing_pil_segformer.SegformerImageProcessorPil()
    except ImportError:
        pytest.skip("this version of transformers post-processes by torchvision alone")
    expected = processor.post_process_semantic_segmentation(output, target_sizes=[(32, 48)] * 2)
    assert torch.equal(found, torch.stack(expected))


@pytest.mark.parametrize("side", [80, 264])
def test_a_large_region_in_float16(side: int) -> None:
    """The logits add up to more than float16 holds, and of the larger region the pixels do."""
    target = SegmentationTarget(Colors(), 0, torch.ones(side, side, dtype=torch.bool)).half()
    images = torch.full((1, 3, side, side), 20.0, dtype=torch.float16)
    assert torch.equal(target(images), torch.tensor([20.0], dtype=torch.float16))
    target.reduction = "sum"
    assert target(images).tolist() == [20 * side**2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SegmentationTarget(Colors(), 0)(halves()), r"There is no region: .*additional_forward_args"),
        (lambda: SegmentationTarget(Colors(), 3, LEFT)(halves()), r"category 3 is none of this network, which has 3"),
        (lambda: SegmentationTarget(Colors(), 0, LEFT.long()), r"\(H, W\) of bool, but this is of torch\.int64"),
        (lambda: SegmentationTarget(Colors(), 0, [[True]]), r"\(H, W\) of bool, but this is a list"),
        (lambda: SegmentationTarget(Colors(), 0, LEFT[0]), r"shape \(8,\): pass a mask \(H, W\), or \(N, H, W\)"),
        (lambda: SegmentationTarget(Colors(), 0, LEFT & ~LEFT), r"holds no pixel"),
        (lambda: SegmentationTarget(Colors(), 0, LEFT[:4])(halves()), r"shape \(1, 4, 8\), but .* 8 x 8 pixels"),
        (lambda: SegmentationTarget(Colors(), 0)(halves(), LEFT.expand(3, 8, 8)), r"are 3 regions for 2 images"),
        (lambda: predicted_region(Colors(), halves(), 1), r"category 1 in 2 of the 2 images \(index 0, 1\): .* 0, 2"),
        (lambda: predicted_region(Colors(), halves()[:1], 1), r"not show the category 1: it shows 0, 2"),
        (
            lambda: segmentation_logits(torch.zeros(2, 5), halves()),
            r"shape \(2, 5\) for images of shape \(2, 3, 8, 8\)",
        ),
        (lambda: segmentation_logits({"masks": torch.zeros(2)}, halves()), r"no output .* of 'masks'"),
    ],
)
def test_what_cannot_be_used(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match=re.escape("reduction='max' is unknown")):
        SegmentationTarget(Colors(), 0, LEFT, reduction="max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"category must be at least 0, but -1"):
        SegmentationTarget(Colors(), -1, LEFT)
