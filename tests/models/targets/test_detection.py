"""Detection: the number is a probability times an overlap, of the box that matches best, in the known forms."""

import pickle
from typing import Any

import pytest
import torch
from captum.attr import FeatureAblation, IntegratedGradients, Saliency
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel._checks import InputError
from captum_superpixel.models.targets import Detection, DetectionTarget, list_detections

BOXES = [[0.0, 0, 4, 4], [4.0, 4, 8, 8]]
"""Top left and bottom right, of images of 8 x 8."""


class Corners(nn.Module):
    """Finds category 1 in the top left by how bright it is, category 2 in the bottom right, in torchvision's form."""

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.threshold = threshold

    def forward(self, images: Any) -> list[dict[str, Tensor]]:
        found = []
        for image in images:  # torchvision's networks take a list too
            scores = torch.stack([image[:, :4, :4].mean(), image[:, 4:, 4:].mean()]) * self.scale
            kept = scores > self.threshold
            boxes, labels = torch.tensor(BOXES), torch.tensor([1, 2])
            found.append({"boxes": boxes[kept], "labels": labels[kept], "scores": scores[kept]})
        return found


class Queries(nn.Module):
    """Two queries with fixed boxes, whose logits are given: the form of DETR."""

    def __init__(self, logits: list[list[float]], num_labels: int | None = None) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        if num_labels is not None:
            self.config = type("Config", (), {"num_labels": num_labels})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        boxes = torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 0.5, 0.5]])
        n = len(images)
        return {"logits": self.logits.expand(n, -1, -1), "pred_boxes": boxes.expand(n, -1, -1)}


def bright(*values: tuple[float, float]) -> Tensor:
    """Images whose top left and bottom right are so bright."""
    images = torch.zeros(len(values), 3, 8, 8)
    for image, (first, second) in zip(images, values, strict=True):
        image[:, :4, :4], image[:, 4:, 4:] = first, second
    return images


def test_the_number_is_the_probability_times_the_overlap() -> None:
    images = bright((0.5, 0.25), (1.0, 0.75))
    assert torch.allclose(DetectionTarget(Corners(), BOXES[0], 1)(images), torch.tensor([0.5, 1.0]))
    assert torch.allclose(DetectionTarget(Corners(), (0, 0, 4, 2), 1)(images), torch.tensor([0.25, 0.5]))
    assert torch.allclose(DetectionTarget(Corners(), BOXES[0], 2)(images), torch.zeros(2))
    # Of two boxes of the category, that of the larger product: 16 / 64 of each, times the probability.
    same = Queries([[1.0, 0.0], [3.0, 0.0]])
    expected = torch.tensor([1.0, 3.0]).sigmoid().max() / 4
    assert torch.allclose(DetectionTarget(same, (0, 0, 8, 8), 0)(images), expected.expand(2))


def test_a_box_for_each_image() -> None:
    images, boxes = bright((0.5, 0.25), (1.0, 0.75)), torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 2]])
    assert torch.allclose(DetectionTarget(Corners(), None, 1)(images, boxes), torch.tensor([0.5, 0.5]))
    attributions = IntegratedGradients(DetectionTarget(Corners(), None, 1)).attribute(
        images, n_steps=5, internal_batch_size=2, additional_forward_args=(boxes,)
    )
    assert torch.allclose(attributions.sum((1, 2, 3)), torch.tensor([0.5, 0.5]))


def test_no_box_at_all_is_zero_with_a_gradient() -> None:
    target = DetectionTarget(Corners(threshold=0.6), BOXES[0], 1)
    images = bright((0.5, 0.5), (1.0, 0.0)).requires_grad_()
    values = target(images)
    assert values.tolist() == [0.0, 1.0]
    (gradient,) = torch.autograd.grad(values.sum(), images)
    assert gradient[0].abs().max() == 0
    assert gradient[1, :, :4, :4].min() == pytest.approx(1 / 48)


def test_evidence_is_found_where_it_lies() -> None:
    images = bright((0.5, 0.9))
    quarters = (torch.arange(8) // 4).expand(1, 1, 8, 8) + 2 * (torch.arange(8) // 4).view(8, 1)
    target = DetectionTarget(Corners(), BOXES[0], 1)
    ablated = SuperpixelGrouped(FeatureAblation(target)).attribute(images, feature_mask=quarters)
    assert torch.allclose(ablated[0, 0, ::4, ::4], torch.tensor([[0.5, 0], [0, 0]]))
    found = SuperpixelGrouped(Saliency(target)).attribute(images.requires_grad_(), feature_mask=quarters)
    assert found[0, :, :4, :4].min() > 0
    assert found[0, :, 4:].abs().max() == found[0, :, :, 4:].abs().max() == 0


@pytest.mark.parametrize(
    ("logits", "settings", "expected"),
    [
        # Softmax over two categories and one for no object, which is the last.
        ([[1.0, 0.0, 2.0], [0.0, 0.0, 5.0]], {}, torch.tensor([1.0, 0.0, 2.0]).softmax(0)[0]),
        ([[1.0, 0.0, 2.0], [0.0, 0.0, 5.0]], {"num_labels": 2}, torch.tensor([1.0, 0.0, 2.0]).softmax(0)[0]),
        # As many logits as labels: a sigmoid for each.
        ([[1.0, 0.0, 2.0], [0.0, 0.0, 5.0]], {"num_labels": 3}, torch.tensor(1.0).sigmoid()),
        ([[1.0, 0.0, 2.0], [0.0, 0.0, 5.0]], {"activation": "sigmoid"}, torch.tensor(1.0).sigmoid()),
        (
            [[1.0, 0.0, 2.0], [0.0, 0.0, 5.0]],
            {"num_labels": 3, "activation": "softmax"},
            torch.tensor([1.0, 0.0, 2.0]).softmax(0)[0],
        ),
    ],
)
def test_logits_become_probabilities(logits: list[list[float]], settings: dict[str, Any], expected: Tensor) -> None:
    network = Queries(logits, settings.pop("num_labels", None))
    found = DetectionTarget(network, BOXES[0], 0, **settings)(bright((0, 0)))
    assert found.tolist() == pytest.approx([float(expected)])


def test_detections_are_listed_the_surest_first() -> None:
    (first, second) = list_detections(Corners(), bright((0.5, 0.75), (0.9, 0.2)))
    assert first == [Detection((4, 4, 8, 8), 2, 0.75), Detection((0, 0, 4, 4), 1, 0.5)]
    assert [each.category for each in second] == [1, 2]
    (found,) = list_detections(Queries([[1.0, 0.0, 9.0], [0.0, 2.0, 0.0]]), bright((0, 0)))
    assert [(each.box, each.category) for each in found] == [((4, 4, 8, 8), 1), ((0, 0, 4, 4), 0)]


def test_boxes_beyond_the_border_are_cut_off_and_those_outside_left_out() -> None:
    class Beyond(nn.Module):
        def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
            boxes = torch.tensor([[-2.0, 2, 4, 4], [9, 0, 12, 4], [2, 2, 2, 4]])
            return [{"boxes": boxes, "labels": torch.tensor([1, 1, 1]), "scores": torch.ones(3)}]

    assert list_detections(Beyond(), bright((0, 0))) == [[Detection((0, 2, 4, 4), 1, 1.0)]]


def test_transformers_yolos() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[32, 48],
        patch_size=8,
        num_detection_tokens=5,
        num_labels=3,
    )
    torch.manual_seed(0)
    network = transformers.YolosForObjectDetection(config).eval()
    images = torch.randn(2, 3, 32, 48)
    processor = transformers.models.yolos.image_processing_pil_yolos.YolosImageProcessorPil()
    output = network(images)
    expected = processor.post_process_object_detection(output, threshold=0, target_sizes=[(32, 48)] * 2)
    for found, wanted in zip(list_detections(network, images), expected, strict=True):
        order = wanted["scores"].argsort(descending=True)
        assert [each.category for each in found] == wanted["labels"][order].tolist()
        assert [each.score for each in found] == pytest.approx(wanted["scores"][order].tolist())
        limits = torch.tensor([48.0, 32, 48, 32])
        assert torch.allclose(
            torch.tensor([each.box for each in found]), torch.minimum(wanted["boxes"][order].clamp(min=0), limits)
        )
    best = list_detections(network, images)[0][0]
    target = DetectionTarget(network, best.box, best.category)
    attributions = SuperpixelGrouped(Saliency(target)).attribute(images[:1].requires_grad_())
    assert attributions.shape == (1, 3, 32, 48)
    assert attributions.max() > 0
    assert target(images[:1]).item() <= best.score + 1e-6


def test_it_is_a_network_like_any_other() -> None:
    target = DetectionTarget(Corners(), BOXES[0], 1)
    images = bright((0.5, 0.25))
    assert torch.equal(pickle.loads(pickle.dumps(target))(images), target(images))
    assert target.double()(images.double()).dtype == torch.float64
    assert dict(target.named_buffers()).keys() == {"box"}


class Returns(nn.Module):
    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> Any:
        return self.output


ONE = torch.zeros(1)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (torch.zeros(1, 3), r"returns a Tensor, which is no output of a detector"),
        ({"logits": torch.zeros(1, 2, 3)}, r"returns a dict, which is no output of a detector"),
        ({"logits": torch.zeros(1, 2, 3), "pred_boxes": torch.zeros(1, 4, 4)}, r"pred_boxes of shape \(1, 4, 4\)"),
        ([], r"returns 0 dictionaries for 1 images"),
        ([{"loss": ONE}], r"dictionaries with 'loss'; .* call network\.eval\(\) first"),
        ([{"boxes": torch.zeros(2, 4), "labels": ONE, "scores": ONE}], r"boxes of shape \(2, 4\), labels .* \(1,\)"),
    ],
)
def test_what_is_no_output_of_a_detector(output: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectionTarget(Returns(output), BOXES[0], 1)(bright((0, 0)))
    with pytest.raises(InputError, match=message):
        list_detections(Returns(output), bright((0, 0)))


def test_large_boxes_in_float16() -> None:
    """Their areas are more than float16 holds."""
    output = [{"boxes": torch.tensor([[0.0, 0, 512, 512]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.5])}]
    output[0] |= {name: output[0][name].half() for name in ("boxes", "scores")}
    target = DetectionTarget(Returns(output), (0, 0, 512, 256), 1).half()
    assert torch.equal(target(torch.zeros(1, 3, 512, 512).half()), torch.tensor([0.25]).half())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DetectionTarget(Corners(), "0,0,4,4", 1), r"in pixels, but '0,0,4,4' was passed"),
        (lambda: DetectionTarget(Corners(), None, 1)(bright((1, 1)), BOXES), r"tensor \(4,\) or .* a list was passed"),
        (lambda: DetectionTarget(Corners(), (0, 0, 9, 4), 1)(bright((1, 1))), r"\(0, 0, 9, 4\) does not lie in the"),
        (lambda: DetectionTarget(Corners(), (3, 0, 3, 4), 1), r"\(3, 0, 3, 4\) is empty"),
        (lambda: DetectionTarget(Corners(), None, 1)(bright((1, 1))), r"There is no box: .*additional_forward_args"),
        (
            lambda: DetectionTarget(Queries([[0.0, 0], [0, 0]]), BOXES[0], 1)(bright((1, 1))),
            r"category 1 is none .* 1,",
        ),
        (lambda: DetectionTarget(Corners(), BOXES[0], 1, activation="relu"), r"activation='relu' is unknown"),
    ],
)
def test_what_cannot_be_used(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
