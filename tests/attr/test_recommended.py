"""What is recommended is what its pieces make, at the passes that it states, and an attribution like any other."""

import copy
import pickle
import re
from dataclasses import replace
from pathlib import Path

import captum.attr
import pytest
import torch
from captum.attr import (
    Attribution,
    DeepLift,
    FeatureAblation,
    FeaturePermutation,
    GradientAttribution,
    GuidedBackprop,
    GuidedGradCam,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    LayerGradCam,
    NeuronGradient,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from captum.metrics import sensitivity_max
from torch import Tensor, nn

import captum_superpixel
from captum_superpixel import XRAI, Contributions, SuperpixelGrouped, ViewTunnel, pool_segments, recommended
from captum_superpixel.attr import recipes
from captum_superpixel.attr.recipes import Recipe, find_recipe, takes_views
from captum_superpixel.masks import Grid, multiscale

SCALING = ((0.4, 0.5, 0.6), (0.2, 0.3, 0.2))
TODAY = recipes.RECIPES
NOISE = {"nt_samples": 6, "nt_samples_batch_size": 3, "stdevs": 0.1}


class Counting(nn.Module):
    """Counts the images that a network is given."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.rows = net, 0

    def forward(self, images: Tensor) -> Tensor:
        self.rows += len(images)
        return self.net(images)


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    """Change what is recommended for all methods, of small images and of others; until then evidence over 8 views."""

    def change(small: Recipe, large: Recipe | None = None) -> None:
        changed = dict.fromkeys(TODAY, large or small)
        changed |= {(kind, "small"): small for kind, _ in TODAY}
        monkeypatch.setattr(recipes, "RECIPES", changed)

    change(Recipe("evidence", 0.5, 8, (8, 16, 32, 64), (5.0, 15.0)))
    return change


@pytest.fixture
def today(monkeypatch):
    """What is recommended today."""
    monkeypatch.setattr(recipes, "RECIPES", TODAY)
    return TODAY


def evidence(maps: Tensor, masks: list[Tensor], weight: float) -> Tensor:
    """Positive and negative parts of the added channels averaged apart, mask by mask."""
    total = maps.detach().sum(dim=1, keepdim=True)
    pooled = [pool_segments(total.relu(), mask) - weight * pool_segments((-total).relu(), mask) for mask in masks]
    return torch.stack(pooled).mean(dim=0).expand_as(maps)


def test_a_gradient_is_evidence_of_contributions_over_views(net, images) -> None:
    ensemble = multiscale(denormalize=SCALING, channel_order="bgr")
    masks = [generator(images) for generator in ensemble]
    maps = ViewTunnel(Saliency(net)).attribute(images, target=1, abs=False, n_views=8)
    detail = Contributions(Saliency(lambda x: x.sum((1, 2, 3)))).attribute(images)  # where all gradients are 1
    method = recommended(Saliency(net), denormalize=SCALING, channel_order="bgr")
    actual = method.attribute(images, target=1)
    torch.testing.assert_close(actual, evidence(maps * detail, masks, 0.5))
    assert actual.is_contiguous()
    for made, mask in zip(method.feature_mask(images), masks, strict=True):
        assert torch.equal(made, mask)


def test_the_maps_of_integrated_gradients_are_contributions_already(net, images) -> None:
    maps = ViewTunnel(IntegratedGradients(net)).attribute(images, target=1, n_steps=10, n_views=8, spread=True)
    masks = [generator(images) for generator in multiscale()]
    actual = recommended(IntegratedGradients(net)).attribute(images, target=1, n_steps=10)
    torch.testing.assert_close(actual.detach(), evidence(maps, masks, 0.5))


def test_magnitudes_are_taken_before_they_are_averaged(net, images, recipe) -> None:
    recipe(Recipe("abs_mean", n_views=4, n_segments=(3, 9), compactness=(7.0,)))
    masks = [generator(images) for generator in multiscale((3, 9), (7.0,))]
    options = {"target": 1, "n_views": 4}

    def pooled(maps: Tensor) -> Tensor:
        return torch.stack([pool_segments(maps.detach(), mask, "abs_mean") for mask in masks]).mean(dim=0)

    maps = ViewTunnel(InputXGradient(net)).attribute(images, average="abs", **options)
    torch.testing.assert_close(recommended(InputXGradient(net)).attribute(images, target=1), pooled(maps))
    tunnel = ViewTunnel(NoiseTunnel(Saliency(net)))
    torch.manual_seed(0)
    maps = tunnel.attribute(images, spread=True, abs=True, **NOISE, **options)
    torch.manual_seed(0)
    actual = recommended(NoiseTunnel(Saliency(net))).attribute(images, target=1, **NOISE)
    torch.testing.assert_close(actual, pooled(maps))
    assert "average='abs'" in repr(recommended(Saliency(net)))
    assert "spread=True, abs=True" in repr(recommended(NoiseTunnel(Saliency(net))))


def test_magnitudes_of_views_that_are_not_spread_are_taken_of_each(net, images) -> None:
    options = {"target": 1, "n_views": 4, "n_steps": 5, "spread": False}
    maps = ViewTunnel(IntegratedGradients(net)).attribute(images, average="abs", **options).detach()
    path = recommended(IntegratedGradients(net))
    actual = path.attribute(images, reduction="abs_mean", feature_mask=Grid(4)(images), **options)
    torch.testing.assert_close(actual.detach(), pool_segments(maps, Grid(4)(images)))
    with pytest.raises(ValueError, match=r"average='abs' with spread=True: .* pass abs=True, or spread=False"):
        path.attribute(images, target=1, reduction="abs_mean", average="abs")


METHODS = {
    "Saliency": (lambda net: Saliency(net), {}, 8),
    "DeepLift": (lambda net: DeepLift(net), {}, 8),
    "IntegratedGradients": (lambda net: IntegratedGradients(net), {"n_steps": 10}, 1),
    "SmoothGrad": (lambda net: NoiseTunnel(Saliency(net)), NOISE, 1),
    "NoisyDeepLift": (lambda net: NoiseTunnel(DeepLift(net)), NOISE, 8),
    "FeatureAblation": (lambda net: FeatureAblation(net), {}, 8),
    "Occlusion": (lambda net: Occlusion(net), {"sliding_window_shapes": (3, 8, 6), "strides": (3, 8, 6)}, 1),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_it_takes_the_passes_that_it_states(net, images, name) -> None:
    make, options, expected = METHODS[name]
    counting = Counting(net)
    method = recommended(make(counting))
    assert method.passes == expected
    method.attribute(images[:2], target=1, **options)
    taken, counting.rows = counting.rows, 0
    if name != "FeatureAblation":
        make(counting).attribute(images[:2], target=1, **options)
        assert taken == expected * counting.rows
        return
    for mask in method.feature_mask(images[:2]):
        make(counting).attribute(images[:2], target=1, feature_mask=mask)
    assert taken == counting.rows


def test_the_passes_are_the_more_where_sizes_differ(net, recipe) -> None:
    recipe(Recipe(n_views=4), Recipe(n_views=12))
    assert recommended(Saliency(net)).passes == 12
    recipe(Recipe(n_views=12), Recipe(n_views=4, n_segments=(5,)))
    assert recommended(Saliency(net)).passes == 12
    assert recommended(FeatureAblation(net)).passes == 8


def test_small_and_large_images_may_have_recipes_of_their_own(net, recipe) -> None:
    recipe(Recipe(n_views=2, negative_weight=0.25), Recipe("abs_mean", n_views=3, n_segments=(5,)))
    method = recommended(Saliency(net))
    small, large = torch.rand(1, 3, 90, 64).requires_grad_(), torch.rand(1, 3, 65, 90).requires_grad_()
    counted = {len(method.feature_mask(images)) for images in (small, (small,))}
    assert (counted, len(method.feature_mask(large))) == ({8}, 2)
    maps = ViewTunnel(Saliency(net)).attribute(small, target=1, abs=False, n_views=2)
    maps = maps * Contributions(Saliency(lambda x: x.sum((1, 2, 3)))).attribute(small)
    torch.testing.assert_close(method.attribute(small, target=1), evidence(maps, method.feature_mask(small), 0.25))
    maps = ViewTunnel(Saliency(net)).attribute(large, target=1, n_views=3)
    pooled = torch.stack([pool_segments(maps, mask) for mask in method.feature_mask(large)]).mean(dim=0)
    torch.testing.assert_close(method.attribute(large, target=1), pooled)
    text = repr(method)
    assert text.startswith("Recommended(up to 64 pixels on the shorter side: SuperpixelGrouped(Contributions(")
    assert "negative_weight=0.25), n_views=2; beyond: SuperpixelGrouped(ViewTunnel(Saliency(Net))" in text
    assert text.endswith("mask_generator=multiscale((5,), (5, 15)), reduction='abs_mean'), n_views=3, average='abs')")
    assert not method.multiplies_by_inputs


def test_it_says_what_it_is_made_of(net) -> None:
    assert repr(recommended(Saliency(net))) == (
        "Recommended(SuperpixelGrouped(Contributions(ViewTunnel(Saliency(Net)), reference='blur'), "
        "mask_generator=multiscale((8, 16, 32, 64), (5, 15)), reduction='evidence', negative_weight=0.5), n_views=8)"
    )
    noisy = repr(recommended(NoiseTunnel(Saliency(net)), denormalize=(0.5, 2), channel_order="bgr", reference=0))
    assert "ViewTunnel(NoiseTunnel(Saliency(Net))), reference=0)" in noisy
    assert "multiscale((8, 16, 32, 64), (5, 15), denormalize=((0.5,), (2.0,)), channel_order='bgr')" in noisy
    assert noisy.endswith("n_views=8, spread=True)")
    assert recommended(Saliency(net)).get_name() == "Recommended"


def test_what_the_call_says_goes_before_the_recipe(net, images) -> None:
    method, masks = recommended(Saliency(net)), [Grid(4)(images), Grid(9)(images)]
    tunnel = Contributions(ViewTunnel(Saliency(net)))
    maps = tunnel.attribute(images, target=1, n_views=3, max_shift=2, flip=False)
    actual = method.attribute(
        images, 1, n_views=3, max_shift=2, flip=False, feature_mask=masks, negative_weight=0.2, views_per_batch=3
    )
    torch.testing.assert_close(actual, evidence(maps, masks, 0.2))
    maps = ViewTunnel(Saliency(net)).attribute(images, target=1, n_views=3)
    actual = method.attribute(images, target=1, n_views=3, feature_mask=masks[0], reduction="abs_mean")
    torch.testing.assert_close(actual, pool_segments(maps, masks[0]))
    maps = IntegratedGradients(net).attribute(images, target=1, n_steps=5)
    path = recommended(IntegratedGradients(net))
    actual = path.attribute(images, None, 1, None, 5, n_views=1, spread=False, feature_mask=masks)
    torch.testing.assert_close(actual.detach(), evidence(maps, masks, 0.5))
    assert torch.equal(
        method.attribute(images, target=1, feature_mask=method.feature_mask(images)),
        method.attribute(images, target=1),
    )


def test_methods_that_perturb_get_the_ensemble_alone(net, images) -> None:
    method = recommended(FeatureAblation(net))
    expected = SuperpixelGrouped(FeatureAblation(net), multiscale()).attribute(images, target=1)
    torch.testing.assert_close(method.attribute(images, target=1), expected)
    assert "reduction='mean')" in repr(method)
    assert "Tunnel" not in repr(method)
    assert not isinstance(method, GradientAttribution)
    with pytest.raises(TypeError, match=r"n_views: FeatureAblation\(Net\) is shown no views"):
        method.attribute(images, target=1, n_views=4)
    with pytest.raises(ValueError, match="reduction='evidence' does not apply to FeatureAblation"):
        method.attribute(images, target=1, reduction="evidence")
    with pytest.raises(ValueError, match=r"negative_weight=0\.1 is for reduction='evidence', but this is 'mean'"):
        method.attribute(images, target=1, negative_weight=0.1)
    maps = recommended(FeaturePermutation(net)).attribute(images, target=1)
    assert maps.shape == images.shape


@pytest.mark.parametrize("reduction", ["evidence", "abs_mean"])
def test_maps_of_layers_are_averaged_over_views_and_segments(net, images, recipe, reduction) -> None:
    """With their signs, whatever is recommended for maps of pixels."""
    recipe(Recipe(reduction))
    method = recommended(LayerGradCam(net, net.conv2))
    maps = ViewTunnel(LayerGradCam(net, net.conv2)).attribute(images, target=1, n_views=8)
    pooled = torch.stack([pool_segments(maps, mask) for mask in method.feature_mask(images)]).mean(dim=0)
    torch.testing.assert_close(method.attribute(images, target=1), pooled)
    assert "Contributions" not in repr(method)
    assert recommended(LayerGradCam(net, net.conv2), reshape_transform=lambda maps: 2 * maps).attribute(
        images, target=1
    ).shape == (4, 1, 16, 12)


def test_layers_of_tokens_are_laid_out_as_told(images) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.tokens, self.head = nn.Conv2d(3, 6, 4, stride=4), nn.Linear(6, 6), nn.Linear(6, 5)

        def forward(self, images: Tensor) -> Tensor:
            tokens = self.tokens(self.patches(images).flatten(2).transpose(1, 2))
            return self.head(tokens.square().mean(dim=1))

    def lay_out(tokens: Tensor) -> Tensor:
        return tokens.transpose(1, 2).unflatten(2, (4, 3))

    torch.manual_seed(0)
    network = Tokens()
    method = LayerGradCam(network, network.tokens)
    tunnel = ViewTunnel(method, reshape_transform=lay_out)
    maps = tunnel.attribute(images, target=1, n_views=8)
    told = recommended(method, reshape_transform=lay_out)
    pooled = torch.stack([pool_segments(maps, mask) for mask in told.feature_mask(images)]).mean(dim=0)
    torch.testing.assert_close(told.attribute(images, target=1), pooled)


@pytest.mark.parametrize("inner", [DeepLift, GuidedBackprop])
@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_hooks_modes_and_random_numbers_are_left_as_they_were(net, images, inner) -> None:
    def state() -> list[tuple[bool, int]]:
        return [(module.training, len(module._forward_hooks) + len(module._backward_hooks)) for module in net.modules()]

    before, random = state(), torch.get_rng_state()
    maps = recommended(inner(net)).attribute(images, target=1)
    assert maps.abs().max() > 0
    assert state() == before
    assert torch.equal(torch.get_rng_state(), random)
    tunnel = Contributions(ViewTunnel(inner(net))).attribute(images, target=1, n_views=8)
    torch.testing.assert_close(maps, evidence(tunnel, [generator(images) for generator in multiscale()], 0.5))


def test_neurons_look_at_the_image_as_it_is(net, images) -> None:
    method = recommended(NeuronGradient(net, net.conv2))
    maps = Contributions(NeuronGradient(net, net.conv2)).attribute(images, (1, 2, 3))
    torch.testing.assert_close(method.attribute(images, (1, 2, 3)), evidence(maps, method.feature_mask(images), 0.5))
    assert method.passes == 1
    with pytest.raises(TypeError, match=r"n_views, flip: NeuronGradient\(Net\) is shown no views"):
        method.attribute(images, (1, 2, 3), n_views=4, flip=False)


@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_guided_grad_cam_gives_maps_of_the_inputs(net, images) -> None:
    method = recommended(GuidedGradCam(net, net.conv2))
    maps = Contributions(ViewTunnel(GuidedGradCam(net, net.conv2))).attribute(images, target=1, n_views=8)
    torch.testing.assert_close(method.attribute(images, target=1), evidence(maps, method.feature_mask(images), 0.5))


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda net: SuperpixelGrouped(Saliency(net)), r"SuperpixelGrouped\(Saliency\(Net\).* is wrapped already"),
        (lambda net: NoiseTunnel(ViewTunnel(Saliency(net))), r"NoiseTunnel\(ViewTunnel\(Saliency\(Net\)\)\) is wrapp"),
        (lambda net: Contributions(Saliency(net)), r"pass the method inside, recommended\(Saliency\(…\)\)"),
        (lambda net: recommended(Saliency(net)), r"Recommended\(SuperpixelGrouped.* is wrapped already"),
        (lambda net: XRAI(Saliency(net)), "XRAI makes regions of its own"),
        (lambda net: NoiseTunnel(XRAI(Saliency(net))), "XRAI makes regions of its own"),
    ],
)
def test_what_is_grouped_already_is_refused(net, wrap, message) -> None:
    with pytest.raises(ValueError, match=message):
        recommended(wrap(net))


def test_what_does_not_fit_is_refused(net, images) -> None:
    with pytest.raises(TypeError, match="attribution_method is the class Saliency"):
        recommended(Saliency)
    with pytest.raises(ValueError, match="the std of denormalize must not be zero"):
        recommended(Saliency(net), denormalize=(0, 0))
    with pytest.raises(ValueError, match="channel_order='gbr' is unknown"):
        recommended(Saliency(net), channel_order="gbr")
    with pytest.raises(ValueError, match="reference='blurred' is unknown"):
        recommended(Saliency(net), reference="blurred")
    with pytest.raises(ValueError, match=r"inputs of shape \(2, 3, 0, 5\) hold no number"):
        recommended(Saliency(net)).attribute(torch.rand(2, 3, 0, 5), target=1)
    with pytest.raises(ValueError, match="reshape_transform lays out the output of a layer, and Saliency looks at non"):
        recommended(Saliency(net), reshape_transform=torch.abs)
    method = recommended(IntegratedGradients(net))
    with pytest.raises(ValueError, match=r"=True, but Recommended\(.* has none: views, evidence and magnitudes do not"):
        method.attribute(images, target=1, return_convergence_delta=True)
    assert not method.has_convergence_delta()
    with pytest.raises(ValueError, match=r"Recommended\(.* has no convergence delta: views"):
        method.compute_convergence_delta(images, 0, images)
    with pytest.raises(ValueError, match=r"negative_weight is from -1 .* but 2 was passed"):
        method.attribute(images, target=1, negative_weight=2)
    with pytest.raises(ValueError, match="reduction='median' is unknown"):
        method.attribute(images, target=1, reduction="median")
    with pytest.raises(ValueError, match=r"there is no image among the inputs, of shapes \[\(4, 7\)\]"):
        method.attribute(torch.rand(4, 7), target=1)
    with pytest.raises(ValueError, match=r"there is no image among the inputs, of shapes \[\(4, 7\)\]"):
        method.feature_mask(torch.rand(4, 7))
    with pytest.raises(TypeError, match="unexpected keyword argument 'steps'"):
        method.attribute(images, target=1, steps=7)
    with pytest.raises(ValueError, match="nt_type='vargrad' takes the signs from the map"):
        recommended(NoiseTunnel(IntegratedGradients(net))).attribute(images, target=1, nt_type="vargrad", nt_samples=2)
    with pytest.raises(NotImplementedError, match="Recommended: call attribute"):
        method.attribute_future()


@pytest.mark.parametrize("make", [lambda net: NoiseTunnel(Saliency(net)), FeatureAblation])
def test_references_are_checked_whether_or_not_a_recipe_has_one(net, recipe, make) -> None:
    recipe(Recipe("abs_mean"))
    with pytest.raises(ValueError, match="reference='blurred' is unknown"):
        recommended(make(net), reference="blurred")
    for wrong in (None, ("blur", None)):
        with pytest.raises(TypeError, match=re.escape(f"reference={wrong!r}, but recommended(…) compares all images")):
            recommended(make(net), reference=wrong)


def test_its_maps_are_not_multiplied_by_the_image_again(net, recipe) -> None:
    for reduction in ("evidence", "abs_mean"):
        recipe(Recipe("mean"), Recipe(reduction))
        assert recommended(Saliency(net)).reductions == ("mean", reduction)
        with pytest.raises(ValueError, match=rf"Recommended\(.* gives maps without the .*reduction='{reduction}'"):
            Contributions(recommended(Saliency(net)))


def test_views_of_it_have_views_of_its_reference(net, images) -> None:
    reference = torch.rand(1, 3, 16, 12, generator=torch.Generator().manual_seed(9))
    grouped = SuperpixelGrouped(
        Contributions(ViewTunnel(Saliency(net)), reference), multiscale(), reduction="evidence", negative_weight=0.5
    )
    expected = ViewTunnel(grouped).attribute(images, target=1, n_views=3)
    actual = ViewTunnel(recommended(Saliency(net), reference=reference)).attribute(images, target=1, n_views=3)
    torch.testing.assert_close(actual, expected)
    beside = Saliency(lambda table, images: net(images) + table)
    inputs = (torch.zeros(4, 1, requires_grad=True), images)
    _, second = ViewTunnel(recommended(beside, reference=reference)).attribute(inputs, target=1, n_views=3)
    torch.testing.assert_close(second, expected)


def test_tuples_of_inputs(net, images) -> None:
    table = torch.rand(4, 7, requires_grad=True)
    offset = torch.rand(4, 3, 16, 12, generator=torch.Generator().manual_seed(8)).requires_grad_()

    def network(images: Tensor, table: Tensor, other: Tensor) -> Tensor:
        return net(images * table.mean(dim=1).view(-1, 1, 1, 1) + other.square())

    method = recommended(Saliency(network))
    inputs = (images, table, offset)
    masks = method.feature_mask(inputs)
    assert [member[1] for member in masks] == [None] * 8
    tunnel = Contributions(ViewTunnel(Saliency(network)), ("blur", None, "blur"))
    maps = tunnel.attribute(inputs, target=1, n_views=8)
    actual = method.attribute(inputs, target=1)
    for index in (0, 2):
        torch.testing.assert_close(actual[index], evidence(maps[index], [member[index] for member in masks], 0.5))
    torch.testing.assert_close(actual[1], maps[1])
    (alone,) = recommended(Saliency(net)).attribute((images,), target=1)
    torch.testing.assert_close(alone, recommended(Saliency(net)).attribute(images, target=1))


def test_images_have_no_fewer_pixels_than_segments_are_asked_for(net) -> None:
    tiny = torch.rand(1, 3, 4, 5).requires_grad_()
    method = recommended(Saliency(net))
    assert [len(mask.unique()) <= 20 for mask in method.feature_mask(tiny)] == [True] * 6  # 8, 16 and 20 segments
    assert method.attribute(tiny, target=1).shape == tiny.shape


@pytest.mark.parametrize(("size", "count"), [((1, 1), 2), ((1, 16), 6), ((16, 12), 8)])
@pytest.mark.parametrize("spread", [False, True])
def test_images_have_no_more_views_than_there_are(net, size, count, spread) -> None:
    strip = torch.rand(2, 3, *size).requires_grad_()
    method, options = (IntegratedGradients(net), {"n_steps": 8}) if spread else (Saliency(net), {})
    maps = Contributions(ViewTunnel(method)).attribute(strip, target=1, n_views=count, spread=spread, **options)
    actual = recommended(method)
    expected = evidence(maps, actual.feature_mask(strip), 0.5)
    torch.testing.assert_close(actual.attribute(strip, target=1, **options).detach(), expected)


def test_a_batch_is_what_its_images_are_alone(net, images) -> None:
    method = recommended(Saliency(net))
    together = method.attribute(images, target=[0, 1, 2, 3])
    alone = [method.attribute(images[n : n + 1], target=n) for n in range(4)]
    torch.testing.assert_close(together, torch.cat(alone))


def test_it_is_an_attribution_like_any_other(net, images) -> None:
    method = recommended(Saliency(net), denormalize=(0, 1))
    assert isinstance(method, GradientAttribution)
    assert method.multiplies_by_inputs
    expected = method.attribute(images, target=1)
    with torch.no_grad():
        assert torch.equal(method.attribute(images, target=1), expected)
    for other in (pickle.loads(pickle.dumps(method)), copy.deepcopy(method)):
        assert repr(other) == repr(method)
        assert torch.equal(other.attribute(images, target=1), expected)
    assert images.grad is None
    assert not expected.requires_grad
    noisy = NoiseTunnel(method).attribute(images, nt_samples=3, stdevs=1e-7, target=1)
    torch.testing.assert_close(noisy, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))
    assert sensitivity_max(method.attribute, images.detach(), target=1, n_perturb_samples=2).shape == (4,)


def test_it_draws_no_more_random_numbers_than_the_method(net, images) -> None:
    states = []
    for method in (NoiseTunnel(Saliency(net)), recommended(NoiseTunnel(Saliency(net)))):
        torch.manual_seed(0)
        method.attribute(images, target=1, **NOISE)
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def test_networks_that_return_objects(net, images) -> None:
    expected = recommended(IntegratedGradients(net)).attribute(images, target=1, n_steps=9)
    method = recommended(IntegratedGradients(lambda images: {"logits": net(images)}))
    for _ in range(2):
        torch.testing.assert_close(method.attribute(images, target=1, n_steps=9), expected)


def test_a_recipe_for_every_kind_and_size() -> None:
    assert {(kind, size) for kind in ("gradient", "path", "noisy", "other") for size in ("small", "large")} == set(
        TODAY
    )
    for each in TODAY.values():
        assert each.reduction in ("evidence", "abs_mean")


def test_kinds(net, monkeypatch) -> None:
    marked = {(kind, size): replace(Recipe(), n_segments=(n,)) for n, (kind, size) in enumerate(TODAY, 2)}
    monkeypatch.setattr(recipes, "RECIPES", marked)
    methods = {
        "gradient": [Saliency(net), InputXGradient(net)],
        "path": [IntegratedGradients(net)],
        "noisy": [NoiseTunnel(Saliency(net)), NoiseTunnel(IntegratedGradients(net))],
        "other": [DeepLift(net), NoiseTunnel(DeepLift(net)), KernelShap(net), LayerGradCam(net, net.conv1)],
    }
    for kind, those in methods.items():
        for method in those:
            for sides, size in (((9, 90), "small"), ((90, 64), "small"), ((65, 65), "large"), ((224, 99), "large")):
                assert find_recipe(method, sides).n_segments == marked[kind, size].n_segments


TABLE = Path(__file__).parents[2] / "tutorials" / "captum-methods.md"
ROWS = re.findall(
    r"^\| (`[^|]+) \| (\w+, [^|]+) \| (\w+, [^|]+) \| ([^|]+) \|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE
)


def test_the_table_names_every_method_that_can_be_grouped() -> None:
    named = {name for names, *_ in ROWS for name in re.findall(r"`(\w+)`", names)}
    text = TABLE.read_text(encoding="utf-8")
    assert named == set(re.findall(r"^\| `(\w+)` \| works \|", text, re.MULTILINE))


@pytest.mark.parametrize(("names", "small", "large", "passes"), ROWS)
def test_the_table_says_what_is_recommended(net, today, names, small, large, passes) -> None:
    def make(name: str) -> Attribution:
        cls = getattr(captum.attr, name)
        looks_inside = name.startswith(("Layer", "Neuron", "Internal", "GuidedGrad"))
        return cls(net, net.conv2) if looks_inside else cls(net)

    found = re.findall(r"`(\w+)`", names)
    methods = [make(name) for name in found if name != "NoiseTunnel"]
    if "NoiseTunnel" in found:
        methods = [NoiseTunnel(method) for method in methods or [make("DeepLift")]]
    for method in methods:
        made = [find_recipe(method, (side, side)) for side in (32, 224)]
        for each, cell in zip(made, (small, large), strict=True):
            views = f"{each.n_views} views" if takes_views(method) and each.n_views > 1 else "no views"
            assert cell == f"{each.reduction}, {views}"
        by_segmentation = max(len(each.n_segments) * len(each.compactness) for each in made)
        stated = by_segmentation if passes == "one run for each segmentation" else int(passes)
        assert recommended(method).passes == stated


def test_the_docstring_says_what_is_recommended(today) -> None:
    """Of each kind of methods, in their order."""
    words = {"abs_mean": "magnitudes", "evidence": "evidence"}
    expected = []
    for kind in ("gradient", "path", "noisy", "other"):
        small, large = (words[today[kind, size].reduction] for size in ("small", "large"))
        same = f"{small} of all images"
        expected.append(same if small == large else f"{small} of small images, {large} of large ones")
    found = re.findall(
        r"^ *- .+: ((?:magnitudes|evidence) of [a-z ,]+?)[;,](?: but|$)", recommended.__doc__, re.MULTILINE
    )
    assert found == expected


def test_it_is_public() -> None:
    assert {"recommended", "Contributions", "ViewTunnel"} <= set(captum_superpixel.__all__)
    assert captum_superpixel.recommended is captum_superpixel.attr.recommended is recommended
