"""Deletion and insertion curves on models whose curves are known, and against a plain NumPy loop."""

import inspect
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import trapezoid
from torch import Tensor, nn

from captum_superpixel.masks import Slic
from captum_superpixel.metrics._removal import background
from captum_superpixel.metrics.fidelity import deletion_auc, deletion_curve, insertion_auc, insertion_curve

Draw = Callable[..., Tensor]

HEIGHT, WIDTH = 10, 8


class Linear:
    """The sum of the weighted pixels; notes the sizes of its batches and whether gradients were recorded."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.batches: list[int] = []
        self.recorded = False

    def __call__(self, images: Tensor) -> Tensor:
        self.batches.append(len(images))
        self.recorded |= torch.is_grad_enabled()
        return (images * self.weights).sum(dim=(1, 2, 3))


@pytest.fixture
def linear(random: Draw) -> Linear:
    return Linear(random(1, 3, HEIGHT, WIDTH))


@pytest.fixture
def inputs(random: Draw) -> Tensor:
    return random(4, 3, HEIGHT, WIDTH, seed=1)


@pytest.fixture
def maps(random: Draw) -> Tensor:
    return random(4, 1, HEIGHT, WIDTH, seed=2)


def closed_form(contributions: Tensor, scores: Tensor, steps: int) -> Tensor:
    """What a linear model loses with the highest-scored pixels, by cumulative sums."""
    order = scores.flatten(1).argsort(dim=1, descending=True, stable=True)
    lost = contributions.flatten(1).gather(1, order).cumsum(dim=1)
    lost = torch.cat([torch.zeros(len(lost), 1), lost], dim=1)
    total = contributions.flatten(1).sum(dim=1, keepdim=True)
    return total - lost[:, torch.linspace(0, scores[0].numel(), steps + 1).round().long()]


@pytest.mark.parametrize("baseline", ["zero", 0.7])
def test_linear_model_has_its_closed_form_curve(linear: Linear, inputs: Tensor, maps: Tensor, baseline) -> None:
    value = 0.0 if baseline == "zero" else baseline
    contributions = (linear.weights * (inputs - value)).sum(dim=1, keepdim=True)
    left = closed_form(contributions, maps, 20)
    empty = (value * linear.weights).sum()
    curve = deletion_curve(linear, inputs, maps, baselines=baseline, softmax=False)
    torch.testing.assert_close(curve.scores, left + empty)
    torch.testing.assert_close(curve.fractions, torch.linspace(0, 1, 21, dtype=torch.float64).expand(4, -1))
    shown = insertion_curve(linear, inputs, maps, baselines=baseline, softmax=False)
    torch.testing.assert_close(shown.scores, contributions.sum(dim=(1, 2, 3))[:, None] - left + empty)


def test_the_area_is_the_trapezoid_rule(net: nn.Module, images: Tensor, masks: Tensor, random: Draw) -> None:
    maps = random(4, 3, 16, 12)
    options = {"feature_mask": masks, "baselines": "mean", "n_steps": 2, "batch_size": 3}
    for curve_of, area_of in ((deletion_curve, deletion_auc), (insertion_curve, insertion_auc)):
        for given in ({}, options, {"softmax": False, "n_steps": None}):
            curve = curve_of(net, images, maps, [0, 4, 2, 1], **given)
            expected = trapezoid(curve.scores.numpy(), curve.fractions.numpy(), axis=1)
            np.testing.assert_allclose(curve.area.numpy(), expected)
            assert torch.equal(area_of(net, images, maps, [0, 4, 2, 1], **given), curve.area)


def test_one_signature_serves_all_four() -> None:
    shown = inspect.signature(deletion_curve)
    assert len(shown.parameters) == 11
    defaults = {name: each.default for name, each in shown.parameters.items() if each.default is not each.empty}
    assert defaults == {
        "target": None,
        "feature_mask": None,
        "baselines": "blur",
        "n_steps": 20,
        "softmax": True,
        "additional_forward_args": None,
        "batch_size": None,
        "show_progress": False,
    }
    for function, result in ((insertion_curve, "Curve"), (deletion_auc, "Tensor"), (insertion_auc, "Tensor")):
        assert inspect.signature(function).parameters == shown.parameters
        assert inspect.signature(function).return_annotation == result


def test_by_default_20_steps_of_probabilities_lead_to_the_blur(net: nn.Module, images: Tensor, random: Draw) -> None:
    maps = random(4, 3, 16, 12)
    stated = {"n_steps": 20, "softmax": True, "baselines": background("blur", images.detach()), "batch_size": 64}
    for curve_of in (deletion_curve, insertion_curve):
        curve = curve_of(net, images, maps, 1)
        assert curve.scores.shape == (4, 21)
        assert torch.equal(curve.scores, curve_of(net, images, maps, 1, **stated).scores)


def test_contributions_are_the_best_map_and_their_negative_the_worst(linear: Linear, inputs: Tensor, maps) -> None:
    best = linear.weights * inputs
    options = {"baselines": "zero", "softmax": False}
    for area, sign in ((deletion_auc, 1), (insertion_auc, -1)):
        of_best, of_random, of_worst = (sign * area(linear, inputs, m, **options) for m in (best, maps, -best))
        assert (of_best < of_random).all()
        assert (of_random < of_worst).all()


@pytest.mark.parametrize("baselines", ["zero", "mean", "blur"])
def test_insertion_is_deletion_of_the_negated_map(net: nn.Module, images: Tensor, baselines: str, random: Draw) -> None:
    maps = random(4, 3, 16, 12)
    for n_steps in (16, None):
        options = {"target": 2, "baselines": baselines, "n_steps": n_steps}
        inserted = insertion_curve(net, images, maps, **options)
        deleted = deletion_curve(net, images, -maps, **options)
        torch.testing.assert_close(inserted.scores, deleted.scores.flip(1), atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(
            insertion_auc(net, images, maps, **options), deletion_auc(net, images, -maps, **options)
        )


@pytest.mark.parametrize("regions", [False, True])
def test_against_a_loop_in_numpy(net: nn.Module, images: Tensor, masks: Tensor, regions: bool, random: Draw) -> None:
    maps, labels, steps = random(4, 3, 16, 12), [0, 4, 2, 1], 5
    picture, soft = images.detach().numpy(), np.zeros((4, steps + 1))
    fractions = np.zeros((4, steps + 1))
    with torch.no_grad():
        for n in range(4):
            scores = maps[n].sum(dim=0).numpy().ravel()
            ids = masks[n].numpy().ravel() if regions else np.arange(scores.size)
            order = sorted(np.unique(ids), key=lambda i: -scores[ids == i].mean())
            total = min(steps, len(order))
            for s in range(total + 1):
                gone = np.isin(ids, order[: int(np.floor(s * len(order) / total + 0.5))]).reshape(16, 12)
                changed = np.where(gone, picture[n].mean(axis=(1, 2), keepdims=True), picture[n])
                output = net(torch.from_numpy(changed)[None].float())
                soft[n, s], fractions[n, s] = output.softmax(dim=1)[0, labels[n]], gone.mean()
            soft[n, total:], fractions[n, total:] = soft[n, total], 1
    used = {"feature_mask": masks} if regions else {}
    curve = deletion_curve(net, images, maps, labels, baselines="mean", n_steps=steps, batch_size=3, **used)
    expected = [trapezoid(soft[n], fractions[n]) for n in range(4)]
    area = deletion_auc(net, images, maps, torch.tensor(labels), baselines="mean", n_steps=steps, **used)
    np.testing.assert_allclose(area.numpy(), expected, atol=1e-6)
    if not regions:
        np.testing.assert_allclose(curve.scores.numpy(), soft, atol=1e-6)
        np.testing.assert_allclose(curve.fractions.numpy(), fractions)


def test_regions_by_hand() -> None:
    image = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]])
    regions = torch.tensor([[[[7, 7, 7, 2]]]])
    total = Linear(torch.ones(1, 1, 1, 4))
    options = {"feature_mask": regions, "baselines": "zero", "softmax": False}
    # Region 7 has the mean 1/3, region 2 the mean 0.3.
    curve = deletion_curve(total, image, torch.tensor([[[[1.0, 0.0, 0.0, 0.3]]]]), **options)
    assert curve.fractions.tolist() == [[0.0, 0.75, 1.0]]
    assert curve.scores.tolist() == [[10.0, 4.0, 0.0]]
    area = deletion_auc(total, image, torch.tensor([[[[1.0, 0.0, 0.0, 0.3]]]]), **options)
    assert area.tolist() == [0.75 * 7 + 0.25 * 2]
    # A constant that no binary fraction equals: the two means tie, and the smaller id goes first.
    tied = deletion_curve(total, image, torch.full((1, 1, 1, 4), 0.1, dtype=torch.float64), **options)
    assert tied.scores.tolist() == [[10.0, 6.0, 0.0]]


def test_one_region_a_pixel_is_pixel_by_pixel(linear: Linear, inputs: Tensor, maps: Tensor) -> None:
    pixels = torch.arange(HEIGHT * WIDTH).reshape(1, 1, HEIGHT, WIDTH) * 2**40
    for n_steps in (20, 7, None):
        by_pixel = deletion_curve(linear, inputs, maps, softmax=False, n_steps=n_steps)
        by_region = deletion_curve(linear, inputs, maps, softmax=False, n_steps=n_steps, feature_mask=pixels)
        assert torch.equal(by_pixel.fractions, by_region.fractions)
        assert torch.equal(by_pixel.scores, by_region.scores)


def test_regions_in_groups_are_points_of_the_whole_curve(net: nn.Module, images: Tensor, random: Draw) -> None:
    mask, maps = Slic(24)(images), random(4, 1, 16, 12)
    whole = deletion_curve(net, images, maps, 1, feature_mask=mask, n_steps=None)
    grouped = deletion_curve(net, images, maps, 1, feature_mask=mask, n_steps=5)
    assert grouped.scores.shape == (4, 6)
    for n in range(4):
        assert set(grouped.fractions[n].tolist()) <= set(whole.fractions[n].tolist())
        places = torch.searchsorted(whole.fractions[n], grouped.fractions[n])
        torch.testing.assert_close(grouped.scores[n], whole.scores[n, places])


def test_only_the_order_matters(linear: Linear, inputs: Tensor, maps: Tensor) -> None:
    expected = deletion_auc(linear, inputs, maps, softmax=False)
    for same in (3 * maps, maps.exp(), maps - maps.max() - 1, maps.repeat(1, 3, 1, 1)):
        assert torch.equal(deletion_auc(linear, inputs, same, softmax=False), expected)
    for other in (-maps, maps.abs()):
        assert (deletion_auc(linear, inputs, other, softmax=False) != expected).all()


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -3.0])
def test_constant_maps_wipe_from_the_top_down(linear: Linear, inputs: Tensor, value: float) -> None:
    constant = torch.full((4, 1, HEIGHT, WIDTH), value)
    if value == 0:
        constant[:, :, ::2] *= -1  # zeros of both signs are one tie
    rows = torch.arange(HEIGHT, 0, -1.0).reshape(1, 1, HEIGHT, 1).expand(4, 1, HEIGHT, WIDTH)
    for curve in (deletion_curve, insertion_curve):
        wiped = curve(linear, inputs, rows, softmax=False, n_steps=HEIGHT)
        assert torch.equal(curve(linear, inputs, constant, softmax=False, n_steps=HEIGHT).scores, wiped.scores)


def test_ends_of_the_curve_are_image_and_baseline(net: nn.Module, images: Tensor, random: Draw) -> None:
    maps = random(4, 1, 16, 12)
    curve = deletion_curve(net, images, maps, 3)
    with torch.no_grad():
        whole, empty = (net(x).double().softmax(dim=1)[:, 3] for x in (images, background("blur", images.detach())))
    torch.testing.assert_close(curve.scores[:, 0], whole, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(curve.scores[:, -1], empty, atol=1e-6, rtol=1e-6)
    assert ((curve.scores > 0) & (curve.scores < 1)).all()


def test_where_the_baseline_is_the_image_the_curve_is_flat(net: nn.Module, images: Tensor, random: Draw) -> None:
    same = {"baselines": images.detach()}
    curve = deletion_curve(net, images, random(4, 1, 16, 12), 0, **same)
    torch.testing.assert_close(curve.scores, curve.scores[:, :1].expand(-1, 21), atol=1e-6, rtol=0)
    for area in (deletion_auc, insertion_auc):
        torch.testing.assert_close(
            area(net, images, random(4, 1, 16, 12), 0, **same), curve.scores[:, 0], atol=1e-6, rtol=0
        )


def test_a_batch_is_its_images_one_by_one_and_memory_is_bounded(linear: Linear, inputs: Tensor, maps: Tensor) -> None:
    mask = torch.arange(4).reshape(4, 1, 1, 1) + torch.arange(HEIGHT * WIDTH).reshape(1, 1, HEIGHT, WIDTH) // 13
    options = {"softmax": False, "n_steps": 6}
    for regions in (None, mask):
        linear.batches.clear()
        together = insertion_auc(linear, inputs, maps, feature_mask=regions, batch_size=5, **options)
        assert max(linear.batches) == 5
        single = [
            insertion_auc(linear, inputs[n : n + 1], maps[n : n + 1], feature_mask=one, **options)
            for n in range(4)
            for one in [None if regions is None else regions[n : n + 1]]
        ]
        torch.testing.assert_close(together, torch.cat(single))
    assert not linear.recorded


def test_states_that_repeat_are_scored_once(linear: Linear, inputs: Tensor, maps: Tensor) -> None:
    halves = (torch.arange(WIDTH) // 4).expand(1, 1, HEIGHT, WIDTH)
    thirds = (torch.arange(WIDTH) // 3).expand(1, 1, HEIGHT, WIDTH)
    mask = torch.cat([halves, halves, thirds, halves])
    curve = deletion_curve(linear, inputs, maps, softmax=False, feature_mask=mask, n_steps=20)
    assert curve.scores.shape == (4, 4)
    assert sum(linear.batches) == 3 * 3 + 4


def test_mode_and_gradients_of_the_model_are_left_alone(images: Tensor, random: Draw) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    area = deletion_auc(model, images, random(4, 3, 16, 12), 1)
    assert not area.requires_grad
    assert not model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes(dtype: torch.dtype, inputs: Tensor, maps: Tensor) -> None:
    def mean(images: Tensor) -> Tensor:
        assert images.dtype == dtype
        return images.mean(dim=(1, 2, 3))

    for baselines in ("blur", "mean", "zero", 1, torch.ones(3, 1, 1)):
        area = deletion_auc(mean, inputs.to(dtype), maps, softmax=False, baselines=baselines)
        exact = deletion_auc(lambda x: x.mean(dim=(1, 2, 3)), inputs, maps, softmax=False, baselines=baselines)
        assert area.dtype == torch.float64
        torch.testing.assert_close(area, exact, atol=0.01, rtol=0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"attributions": torch.zeros(4, 1, 8, 10)}, r"\(4, 1, 8, 10\) do not fit inputs of shape \(4, 3, 10, 8\)"),
        ({"attributions": torch.zeros(4, 2, 10, 8)}, r"\(4, 1 or 3, 10, 8\)"),
        ({"attributions": torch.zeros(1, 1, 10, 8)}, r"attributions of shape \(1, 1, 10, 8\)"),
        ({"attributions": torch.zeros(4, 10, 8)}, r"attributions must have shape .* but has shape \(4, 10, 8\)"),
        ({"attributions": torch.full((4, 1, 10, 8), torch.nan)}, r"4 of 4 entries of attributions"),
        ({"inputs": torch.full((4, 3, 10, 8), torch.inf)}, r"4 of 4 entries of inputs"),
        ({"n_steps": 0}, r"n_steps must be at least 1, but 0 was passed"),
        ({"batch_size": 0}, r"batch_size must be at least 1, but 0 was passed"),
        ({"baselines": "black"}, r"baselines='black' is unknown"),
        (
            {"baselines": torch.zeros(2, 3, 10, 8)},
            r"baselines of shape \(2, 3, 10, 8\) do not broadcast .*\(4, 3, 10, 8\)",
        ),
        ({"baselines": float("nan")}, r"baselines hold NaN"),
        ({"feature_mask": torch.zeros(3, 1, 10, 8, dtype=torch.long)}, r"feature_mask of shape \(3, 1, 10, 8\)"),
        ({"feature_mask": torch.zeros(1, 3, 10, 8, dtype=torch.long)}, r"feature_mask of shape \(1, 3, 10, 8\)"),
    ],
)
def test_bad_values(linear: Linear, inputs: Tensor, maps: Tensor, bad: dict, message: str) -> None:
    arguments = {"inputs": inputs, "attributions": maps, "softmax": False} | bad
    for function in (deletion_auc, insertion_auc, deletion_curve, insertion_curve):
        with pytest.raises(ValueError, match=message):
            function(linear, **arguments)
    assert not linear.batches


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"inputs": torch.zeros(4, 3, 10, 8, dtype=torch.uint8)}, r"inputs has dtype torch\.uint8"),
        ({"inputs": np.zeros((4, 3, 10, 8))}, r"a ndarray was passed"),
        ({"attributions": [1.0]}, r"attributions must be a tensor .* a list was passed"),
        ({"baselines": None}, r"a NoneType was passed"),
        ({"baselines": True}, r"a bool was passed"),
        ({"feature_mask": torch.zeros(1, 1, 10, 8)}, r"feature_mask has dtype torch\.float32"),
        ({"n_steps": 2.5}, r"n_steps must be an integer, but 2\.5 \(float\) was passed"),
        ({"n_steps": True}, r"n_steps must be an integer, but True \(bool\) was passed"),
        ({"batch_size": 8.0}, r"batch_size must be an integer, but 8\.0 \(float\) was passed"),
        ({"n_step": 5}, r"unexpected keyword argument 'n_step'"),
    ],
)
def test_bad_types(linear: Linear, inputs: Tensor, maps: Tensor, bad: dict, message: str) -> None:
    arguments = {"inputs": inputs, "attributions": maps, "softmax": False} | bad
    for function in (deletion_auc, insertion_auc, deletion_curve, insertion_curve):
        with pytest.raises(TypeError, match=message):
            function(linear, **arguments)
    assert not linear.batches
