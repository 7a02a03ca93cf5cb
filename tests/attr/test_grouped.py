import copy
import pickle

import pytest
import torch
from captum.attr import (
    Attribution,
    DeepLift,
    FeatureAblation,
    GradientAttribution,
    GradientShap,
    InputXGradient,
    IntegratedGradients,
    LayerActivation,
    LayerGradCam,
    LayerIntegratedGradients,
    NoiseTunnel,
    Occlusion,
    Saliency,
)
from captum.metrics import infidelity, sensitivity_max
from torch import Tensor, nn
from torch.nn.functional import interpolate

from captum_superpixel import SuperpixelGrouped, pool_segments
from captum_superpixel.masks import Grid, Slic

REDUCTIONS = ["mean", "abs_mean", "sum", "max"]


class TwoInputs(nn.Module):
    """An image and a table."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.scale = nn.Linear(7, 5)

    def forward(self, images: Tensor, table: Tensor) -> Tensor:
        return self.net(images) * self.scale(table).tanh()


class Counting(nn.Module):
    """Counts the forward passes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.calls = net, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        return self.net(images)


def table() -> Tensor:
    return torch.rand(4, 7, generator=torch.Generator().manual_seed(6)).requires_grad_()


def shapes(*shape: int) -> str:
    return str(tuple(shape)).replace("(", r"\(").replace(")", r"\)")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("pool_channels", [False, True])
def test_the_maps_are_pooled(net, images, masks, reduction, pool_channels) -> None:
    saliency = Saliency(net)
    grouped = SuperpixelGrouped(saliency, reduction=reduction, pool_channels=pool_channels)
    expected = pool_segments(saliency.attribute(images, target=1, abs=False), masks, reduction, pool_channels)
    actual = grouped.attribute(images, target=1, abs=False, feature_mask=masks)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def test_the_generator_segments_the_inputs(net, images) -> None:
    grouped = SuperpixelGrouped(InputXGradient(net), Grid(6))
    mask = grouped.feature_mask(images)
    torch.testing.assert_close(mask, Grid(6)(images))
    direct = grouped.attribute(images, target=2)
    torch.testing.assert_close(direct, grouped.attribute(images, target=2, feature_mask=mask), rtol=0, atol=0)
    assert len(torch.unique(direct[0, 0])) == 6


def test_slic_is_the_default(net) -> None:
    assert SuperpixelGrouped(Saliency(net)).mask_generator == Slic()


def test_any_callable_generates_masks(net, images, shared_mask) -> None:
    seen = []

    def generator(inputs: Tensor) -> Tensor:
        seen.append((inputs.requires_grad, torch.is_grad_enabled()))
        return shared_mask.to(torch.int16)

    grouped = SuperpixelGrouped(Saliency(net), generator)
    expected = SuperpixelGrouped(Saliency(net), None).attribute(images, target=0, feature_mask=shared_mask)
    torch.testing.assert_close(grouped.attribute(images, target=0), expected)
    assert seen == [(False, False)]


def test_options_work_by_position(net, images, masks) -> None:
    grouped = SuperpixelGrouped(IntegratedGradients(net), None)
    named = grouped.attribute(images, baselines=0.5, target=3, n_steps=7, feature_mask=masks)
    by_position = grouped.attribute(images, 0.5, 3, None, 7, feature_mask=masks)
    torch.testing.assert_close(by_position, named)


def test_the_mask_works_by_position_where_the_method_has_it_there(net, images, masks) -> None:
    grouped = SuperpixelGrouped(FeatureAblation(net), None)
    named = grouped.attribute(images, target=3, feature_mask=masks)
    torch.testing.assert_close(grouped.attribute(images, None, 3, None, masks), named)
    with pytest.raises(TypeError, match="feature_mask was passed twice"):
        grouped.attribute(images, None, 3, None, masks, feature_mask=masks)


def test_inputs_work_by_name(net, images, masks) -> None:
    grouped = SuperpixelGrouped(InputXGradient(net), None)
    torch.testing.assert_close(
        grouped.attribute(inputs=images, target=3, feature_mask=masks),
        grouped.attribute(images, 3, feature_mask=masks),
    )


def test_an_option_that_the_method_lacks(net, images, masks) -> None:
    with pytest.raises(TypeError, match=r"Saliency\.attribute\(inputs.*unexpected keyword argument 'n_steps'"):
        SuperpixelGrouped(Saliency(net), None).attribute(images, n_steps=3, feature_mask=masks)


def test_a_tuple_of_inputs_with_a_tuple_of_generators(net, images) -> None:
    method = InputXGradient(TwoInputs(net))
    inputs = (images, table())
    grouped = SuperpixelGrouped(method, (Grid(6), None))
    mask = grouped.feature_mask(inputs)
    assert isinstance(mask, tuple)
    assert mask[1] is None
    plain = method.attribute(inputs, target=1)
    result = grouped.attribute(inputs, target=1)
    assert isinstance(result, tuple)
    torch.testing.assert_close(result[0], pool_segments(plain[0], Grid(6)(images)))
    torch.testing.assert_close(result[1], plain[1], rtol=0, atol=0)
    again = grouped.attribute(inputs, target=1, feature_mask=mask)
    torch.testing.assert_close(again, result, rtol=0, atol=0)


def test_one_generator_serves_several_images_with_ids_apart(net, images) -> None:
    grouped = SuperpixelGrouped(InputXGradient(lambda one, two: net(one) * net(two)), Grid(6))
    inputs = (images, (images * 0.5).detach().requires_grad_())
    one, two = grouped.feature_mask(inputs)
    assert (one.unique().tolist(), two.unique().tolist()) == (list(range(6)), list(range(6, 12)))
    assert [tuple(part.shape) for part in grouped.attribute(inputs, target=0)] == [(4, 3, 16, 12)] * 2


@pytest.mark.parametrize("as_tuple", [False, True])
def test_a_tuple_of_one(net, images, masks, as_tuple) -> None:
    grouped = SuperpixelGrouped(InputXGradient(net), None)
    (result,) = grouped.attribute((images,), target=1, feature_mask=(masks,) if as_tuple else masks)
    torch.testing.assert_close(result, grouped.attribute(images, target=1, feature_mask=masks))


def test_deltas_are_passed_on(net, images, masks) -> None:
    method = IntegratedGradients(net)
    grouped = SuperpixelGrouped(method, None)
    assert grouped.has_convergence_delta()
    plain, expected = method.attribute(images, target=1, return_convergence_delta=True)
    maps, delta = grouped.attribute(images, target=1, return_convergence_delta=True, feature_mask=masks)
    torch.testing.assert_close(delta, expected, rtol=0, atol=0)
    torch.testing.assert_close(maps.sum(dim=(1, 2, 3)), plain.sum(dim=(1, 2, 3)))
    baselines = torch.zeros_like(images)
    computed = grouped.compute_convergence_delta(maps, baselines, images, target=1)
    torch.testing.assert_close(computed, delta, rtol=1e-3, atol=1e-5)


def test_the_delta_of_a_noise_tunnel(net, images, shared_mask) -> None:
    grouped = SuperpixelGrouped(NoiseTunnel(IntegratedGradients(net)), None)
    arguments = {"target": 1, "nt_samples": 2, "stdevs": 0.0, "n_steps": 5, "return_convergence_delta": True}
    maps, delta = grouped.attribute(images, feature_mask=shared_mask, **arguments)
    assert (maps.shape, delta.shape) == (images.shape, (8,))
    computed = grouped.compute_convergence_delta(maps, torch.zeros_like(images), images, target=1)
    torch.testing.assert_close(computed, delta[::2], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "reduction", "why"),
    [
        (IntegratedGradients, "abs_mean", "only reduction='mean' keeps the sum of the map, and this is 'abs_mean'"),
        (IntegratedGradients, "sum", "only reduction='mean' keeps the sum of the map, and this is 'sum'"),
        (lambda net: NoiseTunnel(Saliency(net)), "mean", "NoiseTunnel has none"),
        (lambda net: LayerIntegratedGradients(net, net.conv1), "mean", "interpolating a layer's map does not keep"),
    ],
)
def test_a_delta_that_does_not_exist(net, images, shared_mask, make, reduction, why) -> None:
    grouped = SuperpixelGrouped(make(net), None, reduction=reduction)
    assert not grouped.has_convergence_delta()
    with pytest.raises(ValueError, match=why):
        grouped.attribute(images, target=1, feature_mask=shared_mask, return_convergence_delta=True)


def test_a_delta_that_cannot_be_computed(net, images) -> None:
    with pytest.raises(ValueError, match="only reduction='mean' keeps the sum of the map, and this is 'max'"):
        SuperpixelGrouped(IntegratedGradients(net), reduction="max").compute_convergence_delta(images, images, images)
    with pytest.raises(ValueError, match="FeatureAblation has none"):
        SuperpixelGrouped(FeatureAblation(net)).compute_convergence_delta(images, images, images)


def test_a_list_is_an_ensemble_for_which_a_gradient_method_runs_once(net, images) -> None:
    counting = Counting(net)
    generators = [Grid(4), Grid(6), Grid(12)]
    grouped = SuperpixelGrouped(Saliency(counting), generators)
    result = grouped.attribute(images, target=1)
    assert counting.calls == 1
    plain = Saliency(net).attribute(images, target=1)
    expected = sum(pool_segments(plain, generator(images)) for generator in generators) / 3
    torch.testing.assert_close(result, expected)
    mask = grouped.feature_mask(images)
    assert [len(part.unique()) for part in mask] == [4, 6, 12]
    torch.testing.assert_close(grouped.attribute(images, target=1, feature_mask=mask), result, rtol=0, atol=0)


def test_an_ensemble_of_tuples_and_a_tuple_with_an_ensemble_are_the_same(net, images) -> None:
    inputs = (images, table())
    method = InputXGradient(TwoInputs(net))
    outside = SuperpixelGrouped(method, [(Grid(4), None), (Grid(6), None)])
    inside = SuperpixelGrouped(method, ([Grid(4), Grid(6)], None))
    for one, other in zip(outside.attribute(inputs, target=0), inside.attribute(inputs, target=0), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    mask = inside.feature_mask(inputs)
    assert isinstance(mask, list)
    assert [part[1] for part in mask] == [None, None]
    torch.testing.assert_close(
        outside.attribute(inputs, target=0, feature_mask=mask), inside.attribute(inputs, target=0), rtol=0, atol=0
    )


def test_an_input_that_some_members_of_an_ensemble_leave_alone_is_averaged_too(net, images) -> None:
    """As perturbation methods average it: what a member leaves as it is counts as that member's result."""
    inputs = (images, table())
    grouped = SuperpixelGrouped(InputXGradient(TwoInputs(net)))
    halves = torch.arange(table().shape[1]) // 2
    masks = [(Grid(4)(images), None), (Grid(6)(images), halves.expand(1, -1))]
    first, second = (grouped.attribute(inputs, target=0, feature_mask=member) for member in masks)
    together = grouped.attribute(inputs, target=0, feature_mask=masks)
    for mean, one, other in zip(together, first, second, strict=True):
        torch.testing.assert_close(mean, (one + other) / 2)
    assert not torch.equal(first[1], second[1])


def test_each_different_generator_of_an_ensemble_runs_once(net, images) -> None:
    calls = []

    def generator(inputs: Tensor) -> Tensor:
        calls.append(inputs)
        return Grid(4)(inputs)

    SuperpixelGrouped(Saliency(net), [generator, Grid(6), generator]).feature_mask(images)
    assert len(calls) == 1


def test_masks_are_repeated_for_images_repeated_in_a_row(net, images, masks) -> None:
    repeated = images.detach().repeat_interleave(3, dim=0).requires_grad_()
    grouped = SuperpixelGrouped(InputXGradient(net), None)
    expected = grouped.attribute(images, target=1, feature_mask=masks).repeat_interleave(3, dim=0)
    torch.testing.assert_close(grouped.attribute(repeated, target=1, feature_mask=masks), expected)


def test_a_mask_with_channels_is_taken_at_its_word(net, images) -> None:
    mask = torch.randint(0, 9, (1, 3, 16, 12), generator=torch.Generator().manual_seed(0))
    plain = InputXGradient(net).attribute(images, target=1)
    grouped = SuperpixelGrouped(InputXGradient(net), None)
    torch.testing.assert_close(grouped.attribute(images, target=1, feature_mask=mask), pool_segments(plain, mask))


def test_a_batch_gives_what_its_images_give(net, images) -> None:
    grouped = SuperpixelGrouped(IntegratedGradients(net), Slic(8))
    single = [images[n : n + 1].detach().requires_grad_() for n in range(4)]
    masks = torch.cat([grouped.feature_mask(image) for image in single])
    torch.testing.assert_close(grouped.feature_mask(images), masks, rtol=0, atol=0)
    maps = torch.cat([grouped.attribute(image, target=1) for image in single])
    torch.testing.assert_close(grouped.attribute(images, target=1), maps, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Saliency, True),
        (DeepLift, True),
        (lambda net: LayerGradCam(net, net.conv2), True),
        (FeatureAblation, False),
        (lambda net: NoiseTunnel(Saliency(net)), False),
    ],
)
def test_it_is_a_gradient_attribution_exactly_when_the_wrapped_method_is(net, make, expected) -> None:
    method = make(net)
    assert isinstance(method, GradientAttribution) == expected
    grouped = SuperpixelGrouped(method)
    assert isinstance(grouped, GradientAttribution) == expected
    assert isinstance(grouped, SuperpixelGrouped)
    assert isinstance(grouped, Attribution)
    assert grouped.forward_func is net
    assert grouped.multiplies_by_inputs == method.multiplies_by_inputs
    assert grouped.get_name() == "Superpixel Grouped"


def test_subclasses_copies_and_pickles_keep_their_class(net, images, masks) -> None:
    class Own(SuperpixelGrouped):
        pass

    own = Own(Saliency(net))
    assert isinstance(own, Own)
    assert isinstance(own, GradientAttribution)
    assert isinstance(copy.deepcopy(own), Own)
    grouped = SuperpixelGrouped(InputXGradient(nn.Flatten()), None, reduction="max", pool_channels=True)
    for clone in (copy.deepcopy(grouped), pickle.loads(pickle.dumps(grouped))):
        assert type(clone) is type(grouped)
        assert repr(clone) == repr(grouped)
        arguments = {"target": 0, "feature_mask": masks}
        torch.testing.assert_close(clone.attribute(images, **arguments), grouped.attribute(images, **arguments))


@pytest.mark.parametrize("nt_type", ["smoothgrad", "smoothgrad_sq", "vargrad"])
def test_both_nestings_of_a_noise_tunnel(net, images, masks, nt_type) -> None:
    arguments = {"target": 1, "nt_type": nt_type, "nt_samples": 3, "stdevs": 0.2, "feature_mask": masks, "abs": False}
    torch.manual_seed(0)
    around = SuperpixelGrouped(NoiseTunnel(Saliency(net)), None).attribute(images, **arguments)
    torch.manual_seed(0)
    inside = NoiseTunnel(SuperpixelGrouped(Saliency(net), None)).attribute(images, **arguments)
    assert around.shape == inside.shape == images.shape
    if nt_type == "smoothgrad":
        torch.testing.assert_close(around, inside)
    else:  # a mean of squares is not the square of a mean
        assert (around - inside).abs().max() > 0.1 * around.abs().max()


def test_a_generator_inside_a_noise_tunnel_segments_the_noisy_copies(net, images) -> None:
    seen = []

    def generator(inputs: Tensor) -> Tensor:
        seen.append(len(inputs))
        return Grid(6)(inputs)

    arguments = {"target": 1, "nt_samples": 3, "stdevs": 0.2}
    NoiseTunnel(SuperpixelGrouped(Saliency(net), generator)).attribute(images, **arguments)
    SuperpixelGrouped(NoiseTunnel(Saliency(net)), generator).attribute(images, **arguments)
    assert seen == [12, 4]


@pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients:UserWarning")
@pytest.mark.parametrize("own_masks", [False, True])
def test_it_explains_in_sensitivity_and_infidelity(net, images, masks, shared_mask, own_masks) -> None:
    mask = masks if own_masks else shared_mask
    grouped = SuperpixelGrouped(Saliency(net), None)
    torch.manual_seed(0)
    sensitivity = sensitivity_max(
        grouped.attribute, images, n_perturb_samples=3, max_examples_per_batch=8, target=1, feature_mask=mask
    )
    assert sensitivity.shape == (4,)

    def reference(inputs: tuple[Tensor, ...], **kwargs: object) -> tuple[Tensor, ...]:
        (maps,) = Saliency(net).attribute(inputs, **kwargs)
        repeated = mask if len(mask) == 1 else mask.repeat_interleave(len(maps) // len(mask), dim=0)
        return (pool_segments(maps, repeated),)

    torch.manual_seed(0)
    expected = sensitivity_max(reference, images, n_perturb_samples=3, max_examples_per_batch=8, target=1)
    torch.testing.assert_close(sensitivity, expected)

    def perturb(inputs: Tensor) -> tuple[Tensor, Tensor]:
        noise = 0.1 * torch.ones_like(inputs)
        return noise, inputs - noise

    maps = grouped.attribute(images, target=1, feature_mask=mask)
    assert infidelity(net, perturb, images, maps, target=1).shape == (4,)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_traced_models(net, images, masks) -> None:
    traced = torch.jit.trace(net, images.detach())
    expected = SuperpixelGrouped(InputXGradient(net), None).attribute(images, target=1, feature_mask=masks)
    grouped = SuperpixelGrouped(InputXGradient(traced), None)
    torch.testing.assert_close(grouped.attribute(images, target=1, feature_mask=masks), expected)
    assert repr(grouped).startswith("SuperpixelGrouped(InputXGradient(Net)")


def test_without_gradients_around(net, images) -> None:
    grouped = SuperpixelGrouped(IntegratedGradients(net), Grid(6))
    expected = grouped.attribute(images, target=1)
    with torch.no_grad():
        torch.testing.assert_close(grouped.attribute(images, target=1), expected)


def test_double_precision(net, images, masks) -> None:
    grouped = SuperpixelGrouped(InputXGradient(net.double()), None)
    assert (
        grouped.attribute(images.detach().double().requires_grad_(), target=1, feature_mask=masks).dtype == torch.double
    )


def test_the_repr_says_what_is_wrapped(net) -> None:
    grouped = SuperpixelGrouped(NoiseTunnel(Saliency(net)), Grid(9), reduction="abs_mean", pool_channels=True)
    assert repr(grouped) == (
        f"SuperpixelGrouped(NoiseTunnel(Saliency(Net)), mask_generator={Grid(9)!r}, reduction='abs_mean', "
        "pool_channels=True)"
    )
    outer = SuperpixelGrouped(SuperpixelGrouped(GradientShap(lambda inputs: inputs), None), None)
    assert repr(outer).startswith("SuperpixelGrouped(SuperpixelGrouped(GradientShap(<lambda>), mask_generator=None")


def test_grouping_a_grouped_method_pools_twice(net, images, masks, shared_mask) -> None:
    inner = SuperpixelGrouped(InputXGradient(net), lambda inputs: masks)
    outer = SuperpixelGrouped(inner, None)
    expected = pool_segments(inner.attribute(images, target=1), shared_mask)
    torch.testing.assert_close(outer.attribute(images, 1, feature_mask=shared_mask), expected)


def test_futures_are_not_implemented(net, images) -> None:
    with pytest.raises(NotImplementedError, match="attribute_future is not implemented for SuperpixelGrouped"):
        SuperpixelGrouped(Saliency(net)).attribute_future(images)


class Volume(nn.Module):
    """Convolutions over one or three dimensions."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.conv = (nn.Conv1d if dimensions == 1 else nn.Conv3d)(2, 3, 2, stride=2)
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.relu(self.conv(inputs)).flatten(2).mean(dim=2)


@pytest.mark.parametrize(("shape", "mode"), [((2, 2, 8), "linear"), ((2, 2, 4, 6, 8), "trilinear")])
def test_layers_in_one_and_three_dimensions(shape, mode) -> None:
    torch.manual_seed(0)
    model = Volume(len(shape) - 2)
    inputs = torch.rand(shape).requires_grad_()
    mask = torch.arange(inputs[0, 0].numel()).reshape(1, 1, *shape[2:]) // 5
    method = LayerActivation(model, model.conv)
    expected = pool_segments(interpolate(method.attribute(inputs), size=shape[2:], mode=mode), mask)
    torch.testing.assert_close(SuperpixelGrouped(method, None).attribute(inputs, feature_mask=mask), expected)
    with pytest.raises(ValueError, match=f"interpolate_mode='bicubic' is not for {len(shape) - 2} spatial dimensions"):
        SuperpixelGrouped(method, None, interpolate_mode="bicubic").attribute(inputs, feature_mask=mask)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest", "nearest-exact", "area"])
def test_layers_are_interpolated_as_asked(net, images, masks, mode) -> None:
    method = LayerGradCam(net, net.conv2)
    grouped = SuperpixelGrouped(method, None, interpolate_mode=mode)
    expected = pool_segments(interpolate(method.attribute(images, target=1), size=(16, 12), mode=mode), masks)
    result = grouped.attribute(images, target=1, feature_mask=masks)
    assert result.shape == (4, 1, 16, 12)
    torch.testing.assert_close(result, expected)


def test_a_layer_is_laid_over_the_first_input_that_has_a_mask(net, images) -> None:
    model = TwoInputs(net)
    method = LayerGradCam(model, net.conv2)
    grouped = SuperpixelGrouped(method, (Grid(6), None))
    expected = interpolate(method.attribute((images, table()), target=1), size=(16, 12), mode="bilinear")
    torch.testing.assert_close(grouped.attribute((images, table()), target=1), pool_segments(expected, Grid(6)(images)))


def test_a_layer_inside_a_noise_tunnel(net, images, masks) -> None:
    tunnel = NoiseTunnel(LayerGradCam(net, net.conv2))
    arguments = {"target": 1, "nt_samples": 2, "stdevs": 0.0}
    expected = interpolate(tunnel.attribute(images, **arguments), size=(16, 12), mode="bilinear")
    grouped = SuperpixelGrouped(tunnel, None)
    torch.testing.assert_close(
        grouped.attribute(images, **arguments, feature_mask=masks), pool_segments(expected, masks)
    )


def test_a_layers_mask_has_one_channel(net, images) -> None:
    with pytest.raises(
        ValueError, match=rf"feature_mask of shape {shapes(1, 3, 16, 12)} has the channels of the input"
    ):
        SuperpixelGrouped(LayerGradCam(net, net.conv2), None).attribute(
            images, target=1, feature_mask=torch.zeros(1, 3, 16, 12, dtype=torch.long)
        )


def test_a_layer_without_space(net, images, shared_mask) -> None:
    with pytest.raises(
        ValueError, match=rf"the layer Linear of LayerActivation .* output {shapes(4, 5)} .*choose a convolution"
    ):
        SuperpixelGrouped(LayerActivation(net, net.linear), None).attribute(images, feature_mask=shared_mask)


def test_maps_of_another_shape_than_the_input(net, images, masks) -> None:
    occlusion = Occlusion(lambda inputs: net(inputs).sum())
    with pytest.raises(ValueError, match=rf"Occlusion returned a map of shape {shapes(1, 3, 16, 12)} for an input"):
        SuperpixelGrouped(occlusion, None).attribute(images, (3, 4, 4), (3, 4, 4), feature_mask=masks)


class Odd(Attribution):
    """An attribution that returns what it was given."""

    def __init__(self, result: object) -> None:
        super().__init__(lambda inputs: inputs)
        self.result = result

    def attribute(self, inputs: Tensor) -> object:
        return self.result


def test_methods_that_return_no_maps(images, shared_mask) -> None:
    with pytest.raises(TypeError, match="the maps of Odd must be a tensor or a tuple of tensors, but hold a dict"):
        SuperpixelGrouped(Odd({}), None).attribute(images, feature_mask=shared_mask)
    with pytest.raises(ValueError, match="Odd returned 2 maps for 1 inputs"):
        SuperpixelGrouped(Odd((images, images)), None).attribute(images, feature_mask=shared_mask)
    with pytest.raises(ValueError, match="the maps of Odd are an empty tuple"):
        SuperpixelGrouped(Odd(()), None).attribute(images, feature_mask=shared_mask)
