"""IROF: areas by hand, the definition as a plain NumPy loop, and what the numbers of segments do to it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import Tensor, nn

from captum_superpixel.metrics._removal import background
from captum_superpixel.metrics.fidelity import deletion_auc
from captum_superpixel.metrics.irof import irof

Draw = Callable[..., Tensor]


def published(predict, image: np.ndarray, segments: np.ndarray, explanation: np.ndarray, label: int) -> float:
    """The definition, segment by segment: image (C, H, W), segments (H, W), explanation (C, H, W)."""
    color = image.mean(axis=(1, 2), keepdims=True)
    importance = {i: explanation.sum(axis=0)[segments == i].mean() for i in np.unique(segments)}
    changed, curve = image.copy(), [1.0]
    for i in sorted(importance, key=lambda i: -importance[i]):
        changed = np.where(segments == i, color, changed)
        curve.append(predict(changed)[label] / predict(image)[label])
    removed = np.linspace(0, 1, len(importance) + 1)
    return float(trapezoid(1 - np.array(curve), removed))


@pytest.fixture
def unequal() -> Tensor:
    """Masks of 3, 12, 7 and 1 segments of unequal sizes, with gaps between their ids."""
    pixels = torch.arange(16 * 12).reshape(1, 16, 12)
    return torch.stack([4 * (pixels * pixels % 89 % number) for number in (3, 12, 7, 1)])


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_against_the_definition_in_numpy(
    net: nn.Module, images: Tensor, unequal: Tensor, random: Draw, batch_size: int
) -> None:
    maps, labels = random(4, 3, 16, 12), [0, 4, 2, 1]

    def predict(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits = net(torch.from_numpy(image)[None].float())[0].double().numpy()
        odds = np.exp(logits - logits.max())
        return odds / odds.sum()

    expected = [
        published(predict, images[n].detach().double().numpy(), unequal[n, 0].numpy(), maps[n].numpy(), labels[n])
        for n in range(4)
    ]
    values = irof(net, images, maps, labels, feature_mask=unequal, batch_size=batch_size)
    assert values.dtype == torch.float64
    np.testing.assert_allclose(values.numpy(), expected, atol=1e-5)
    assert np.ptp(expected) > 0.05


def test_areas_by_hand() -> None:
    """Four segments of 1, 2, 3 and 2 pixels, worth 4, 2, 1 and 1 of 8; the mean color is 0."""
    segments = torch.tensor([[[[0, 1, 1, 2, 2, 2, 3, 3]]]])
    worth = torch.tensor([4.0, 1.0, 1.0, 1 / 3, 1 / 3, 1 / 3, 0.5, 0.5])
    image = torch.tensor([[[[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]]]])

    def model(pictures: Tensor) -> Tensor:
        return pictures.flatten(1) @ worth

    def area(*scores: float) -> float:
        map_ = torch.tensor(scores)[segments]
        return irof(model, image, map_, feature_mask=segments, softmax=False, baselines="zero").item()

    # The parts left are 1, 4/8, 2/8, 1/8, 0; their trapezoids add up to (1/2 + 4/8 + 2/8 + 1/8) / 4.
    assert area(4, 3, 2, 1) == pytest.approx(1 - 1.375 / 4)
    # 1, 7/8, 6/8, 4/8, 0.
    assert area(1, 2, 3, 4) == pytest.approx(1 - 2.625 / 4)
    # Ties by ascending id; every map without differences is one.
    assert area(0, 0, 0, 0) == area(0.1, 0.1, 0.1, 0.1) == area(4, 3, 2, 1)


def test_means_and_not_sums_order_the_segments() -> None:
    segments = torch.tensor([[[[0, 0, 0, 1]]]])
    image = torch.ones(1, 1, 1, 4)
    options = {"feature_mask": segments, "softmax": False, "baselines": "zero"}

    def model(pictures: Tensor) -> Tensor:
        return pictures[:, 0, 0, 3]

    # Segment 0 has the sum 3 and the mean 1, segment 1 the mean 2: it goes first, and all is lost at a half.
    assert irof(model, image, torch.tensor([[[[1.0, 1.0, 1.0, 2.0]]]]), **options).item() == 0.75
    assert irof(model, image, torch.tensor([[[[1.0, 1.0, 1.0, 0.5]]]]), **options).item() == 0.25
    # Signed: a strong negative segment goes last.
    assert irof(model, image, torch.tensor([[[[1.0, 1.0, 1.0, -2.0]]]]), **options).item() == 0.25


def test_bounds() -> None:
    image, segments = torch.ones(1, 1, 1, 4), torch.arange(4).reshape(1, 4)
    options = {"feature_mask": segments, "softmax": False, "baselines": "zero"}
    map_ = torch.tensor([[[[4.0, 3.0, 2.0, 1.0]]]])
    assert irof(lambda x: x[:, 0, 0, 0], image, map_, **options).item() == 1 - 1 / 8
    assert irof(lambda x: 0 * x[:, 0, 0, 0] + 2, image, map_, **options).item() == 0
    # Rises from 1 to 5, the mean of which is 3.
    assert irof(lambda x: 5 - x.sum(dim=(1, 2, 3)), image, map_, **options).item() == -2


def test_an_image_without_a_score_has_no_quotient() -> None:
    image, segments = torch.tensor([0.0, 1.0, -1.0, 2.0, 3.0]).reshape(5, 1, 1, 1).expand(5, 1, 1, 4), [[0, 0, 1, 2]]

    def model(pictures: Tensor) -> Tensor:
        first = pictures[:, 0, 0, 0]
        return first.masked_fill(first == 3, torch.nan)

    maps = torch.arange(4.0).reshape(1, 1, 1, 4).expand(5, 1, 1, 4)
    values = irof(model, image, maps, feature_mask=np.array(segments), softmax=False)
    assert values.isnan().tolist() == [True, False, True, False, True]


def test_a_batch_is_its_images_one_by_one(net: nn.Module, images: Tensor, unequal: Tensor, random: Draw) -> None:
    maps, sizes = random(4, 1, 16, 12), []

    def model(pictures: Tensor) -> Tensor:
        sizes.append(len(pictures))
        assert not torch.is_grad_enabled()
        return net(pictures)

    together = irof(model, images, maps, 1, feature_mask=unequal, batch_size=6)
    assert max(sizes) == 6
    assert sum(sizes) == 4 + 13 + 8 + 2  # the segments of each image, and the image
    alone = [irof(net, images[n : n + 1], maps[n : n + 1], 1, feature_mask=unequal[n : n + 1]) for n in range(4)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


def test_over_segments_of_one_size_it_is_deletion_over_the_score(
    net: nn.Module, images: Tensor, shared_mask: Tensor, random: Draw
) -> None:
    maps = random(4, 3, 16, 12)
    options = {"target": 3, "feature_mask": shared_mask, "baselines": "mean"}
    deleted = deletion_auc(net, images, maps, n_steps=None, **options)
    with torch.no_grad():
        whole = net(images).double().softmax(dim=1)[:, 3]
    torch.testing.assert_close(irof(net, images, maps, **options), 1 - deleted / whole, rtol=0, atol=1e-6)


def test_only_the_order_matters_and_names_of_segments_do_not(net: nn.Module, images, unequal, random: Draw) -> None:
    maps = random(4, 1, 16, 12)
    value = irof(net, images, maps, 1, feature_mask=unequal)
    for same in (3 * maps, maps - 10, maps.repeat(1, 3, 1, 1)):
        torch.testing.assert_close(irof(net, images, same, 1, feature_mask=unequal), value)
    assert torch.equal(irof(net, images, maps, 1, feature_mask=2**40 * unequal + 1), value)
    assert not torch.isclose(irof(net, images, -maps, 1, feature_mask=unequal)[:3], value[:3]).any()


def test_by_default_probabilities_and_the_mean_color(net: nn.Module, images: Tensor, unequal: Tensor, random) -> None:
    maps = random(4, 1, 16, 12)
    value = irof(net, images, maps, 1, feature_mask=unequal)
    color = images.detach().mean(dim=(2, 3), keepdim=True)
    stated = {"baselines": color, "softmax": True, "batch_size": 64}
    torch.testing.assert_close(irof(net, images, maps, 1, feature_mask=unequal, **stated), value, rtol=0, atol=1e-6)
    for baselines in ("blur", "zero"):
        other = irof(net, images, maps, 1, feature_mask=unequal, baselines=baselines)
        assert not torch.isclose(other, value).any()
        given = background(baselines, images.detach())
        assert torch.equal(irof(net, images, maps, 1, feature_mask=unequal, baselines=given), other)


def test_objects_further_arguments_the_warning_and_the_bar(
    net: nn.Module, images: Tensor, unequal: Tensor, random: Draw, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, factors = random(4, 1, 16, 12), torch.tensor([1.0, 2.0, 3.0, 4.0])

    def model(pictures: Tensor, factor: Tensor) -> tuple[Tensor, str]:
        return factor[:, None] * net(pictures), "further"

    options = {"feature_mask": unequal, "additional_forward_args": factors, "show_progress": True}
    value = irof(model, images, maps, [0, 1, 2, 3], **options)
    assert "27/27" in capsys.readouterr().err
    alone = irof(lambda x: 3 * net(x), images[2:3], maps[2:3], 2, feature_mask=unequal[2:3])
    torch.testing.assert_close(alone, value[2:3], rtol=0, atol=1e-5)
    training = nn.Sequential(nn.Dropout(), nn.Flatten(), nn.Linear(576, 2))
    with pytest.warns(UserWarning, match=r"Sequential is in training mode and holds Dropout"):
        irof(training, images, maps, 0, feature_mask=unequal)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"attributions": torch.zeros(4, 1, 12, 16)}, ValueError, r"\(4, 1, 12, 16\) do not fit inputs of shape"),
        ({"attributions": torch.full((4, 1, 16, 12), torch.nan)}, ValueError, r"4 of 4 entries of attributions"),
        ({"feature_mask": torch.zeros(3, 1, 16, 12).long()}, ValueError, r"feature_mask of shape \(3, 1, 16, 12\)"),
        ({"feature_mask": torch.zeros(1, 3, 16, 12).long()}, ValueError, r"feature_mask of shape \(1, 3, 16, 12\)"),
        ({"feature_mask": torch.zeros(16, 12)}, TypeError, r"feature_mask has dtype torch\.float32"),
        ({"feature_mask": None}, TypeError, r"feature_mask must be a tensor .* a NoneType was passed"),
        ({"baselines": "black"}, ValueError, r"baselines='black' is unknown"),
        ({"batch_size": 0}, ValueError, r"batch_size must be at least 1, but 0 was passed"),
        ({"target": 7}, ValueError, r"target 7 lies outside .* \(\d+, 5\)"),
        ({"target": None}, ValueError, r"target=None names no class"),
        ({"inputs": torch.zeros(4, 3, 16, 12).byte()}, TypeError, r"inputs has dtype torch\.uint8"),
    ],
)
def test_bad_arguments(net: nn.Module, images: Tensor, unequal: Tensor, bad: dict, error: type, message: str) -> None:
    good = {"inputs": images, "attributions": torch.zeros(4, 1, 16, 12), "target": 0, "feature_mask": unequal}
    with pytest.raises(error, match=message):
        irof(net, **(good | bad))


def test_the_mask_is_asked_for(net: nn.Module, images: Tensor) -> None:
    with pytest.raises(TypeError, match=r"missing 1 required keyword-only argument: 'feature_mask'"):
        irof(net, images, torch.zeros(4, 1, 16, 12), 0)
