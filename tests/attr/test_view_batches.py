"""What goes along with views: references, masks and baselines; and the way back of maps of any kind."""

import pytest
import torch
from captum.attr import (
    Attribution,
    DeepLiftShap,
    FeatureAblation,
    FeaturePermutation,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    LayerActivation,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr import XRAI, Contributions, ViewTunnel
from captum_superpixel.attr._views import choose_views, show, take_back
from captum_superpixel.masks import Grid


def square(images: Tensor) -> Tensor:
    """A network that treats all places alike: the gradient of a pixel x is 2 x, wherever it is shown."""
    return images.flatten(1).square().sum(dim=1)


@pytest.mark.parametrize("views_per_batch", [1, 4, 18])
@pytest.mark.parametrize("shape", [(4, 3, 16, 12), (2, 3, 16, 12), (1, 3, 16, 12), (3, 16, 12), (16, 12), (3, 1, 1)])
def test_references_go_along(images, views_per_batch, shape) -> None:
    reference = torch.rand(shape)
    tunnel = ViewTunnel(Contributions(Saliency(square), reference))
    actual = tunnel.attribute(images, n_views=18, views_per_batch=views_per_batch)
    repeats = 4 // shape[0] if len(shape) == 4 else 1
    at_home = reference.repeat_interleave(repeats, dim=0) if repeats > 1 else reference
    torch.testing.assert_close(actual, (2 * images * (images - at_home)).detach())
    assert tunnel.attribution_method.reference is reference


def test_references_go_along_inside_of_other_wrappers(images) -> None:
    reference = torch.rand(4, 3, 16, 12)
    expected = (2 * images * (images - reference)).detach()
    noisy = ViewTunnel(NoiseTunnel(Contributions(Saliency(square), reference)))
    actual = noisy.attribute(images, nt_samples=2, stdevs=1e-9, n_views=6, views_per_batch=3)
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    mask = torch.arange(192).view(1, 1, 16, 12)
    grouped = ViewTunnel(SuperpixelGrouped(Contributions(Saliency(square), reference), None))
    actual = grouped.attribute(images, n_views=6, max_shift=1, feature_mask=mask)
    torch.testing.assert_close(actual, expected)


def test_references_of_several_inputs_go_along(images) -> None:
    reference = torch.rand(3, 16, 12)
    table = torch.rand(4, 7, requires_grad=True)

    def network(images: Tensor, table: Tensor) -> Tensor:
        return square(images) + square(table)

    for of_table in (0.5, torch.rand(7), torch.rand(4, 7), torch.rand(1, 7)):
        tunnel = ViewTunnel(Contributions(Saliency(network), (reference, of_table)))
        maps = tunnel.attribute((images, table), n_views=4, views_per_batch=2)
        torch.testing.assert_close(maps[0], (2 * images * (images - reference)).detach())
        torch.testing.assert_close(maps[1], (2 * table * (table - of_table)).detach())


class Second(nn.Module):
    """A network whose image is the second input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, table: Tensor, images: Tensor) -> Tensor:
        return self.conv(images).mean(dim=(2, 3)) + table.sum(dim=1, keepdim=True)


def test_maps_of_a_layer_are_brought_back_to_the_image_that_they_lie_over(images) -> None:
    net, table = Second(), torch.rand(4, 7)
    method, (_, mirrored) = LayerActivation(net, net.conv), choose_views(2, (0, 0), True)
    of_view = method.attribute((table, show(images.detach(), mirrored, (0, 0))))
    expected = (method.attribute((table, images)) + take_back(of_view, mirrored, (0, 0))) / 2
    maps = ViewTunnel(method).attribute((table, images), n_views=2, max_shift=0)
    torch.testing.assert_close(maps[0] if isinstance(maps, tuple) else maps, expected.detach())


def test_masks_that_can_be_read_in_two_ways_are_refused_by_views_as_by_grouping(net, images) -> None:
    mask = torch.zeros(3, 16, 12, dtype=torch.long)
    for n_views in (1, 2):
        with pytest.raises(ValueError, match=r"feature_mask of shape \(3, 16, 12\) can be read in two ways"):
            ViewTunnel(SuperpixelGrouped(Saliency(net), None)).attribute(
                images[:3], target=1, feature_mask=mask, n_views=n_views
            )


def test_masks_of_channels_and_of_images_in_a_row_go_along(net, images) -> None:
    tunnel = ViewTunnel(SuperpixelGrouped(InputXGradient(net), None))
    by_channel = torch.arange(3).view(3, 1, 1).expand(3, 16, 12)
    whole = tunnel.attribute(images, target=1, feature_mask=by_channel[None], n_views=4)
    short = tunnel.attribute(images, target=1, feature_mask=by_channel, n_views=4)
    torch.testing.assert_close(short, whole, rtol=0, atol=0)
    backwards = torch.arange(192).view(16, 12).numpy()[:, ::-1]
    listed = tunnel.attribute(images, target=1, feature_mask=torch.from_numpy(backwards.copy()), n_views=4)
    torch.testing.assert_close(tunnel.attribute(images, target=1, feature_mask=backwards, n_views=4), listed)
    # Two masks for four images: each holds for two in a row.
    pair = torch.randint(0, 9, (2, 1, 16, 12))
    expected = tunnel.attribute(images, target=1, feature_mask=pair.repeat_interleave(2, dim=0), n_views=4)
    actual = tunnel.attribute(images, target=1, feature_mask=pair, n_views=4, views_per_batch=4)
    torch.testing.assert_close(actual, expected)


def test_an_ensemble_of_one_input_goes_along(images) -> None:
    def network(one: Tensor, other: Tensor) -> Tensor:
        return one.flatten(1).pow(3).sum(dim=1) + square(other)

    masks = [Grid(4)(images), Grid(9)(images)]
    tunnel = ViewTunnel(SuperpixelGrouped(InputXGradient(network), None))
    inside = tunnel.attribute((images, images), n_views=3, feature_mask=(masks, None))
    outside = tunnel.attribute((images, images), n_views=3, feature_mask=[(mask, None) for mask in masks])
    torch.testing.assert_close(inside[0], outside[0])


@pytest.mark.parametrize("method", [DeepLiftShap, FeaturePermutation])
@pytest.mark.filterwarnings("ignore:Setting forward")
def test_methods_that_mix_examples_take_one_view_after_the_other(net, images, method) -> None:
    options = {"baselines": torch.rand(5, 3, 16, 12)} if method is DeepLiftShap else {"feature_mask": Grid(4)(images)}
    results = []
    for views_per_batch in (1, 3):
        torch.manual_seed(0)
        results.append(
            ViewTunnel(method(net)).attribute(images, target=1, n_views=4, views_per_batch=views_per_batch, **options)
        )
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("views_per_batch", [1, 8])
def test_the_sum_over_views_does_not_leave_half_precision(dtype, views_per_batch) -> None:
    images = torch.rand(1, 1, 16, 12).to(dtype)
    tunnel = ViewTunnel(Saliency(lambda images: 30_000 * images.float().flatten(1).sum(dim=1)))
    maps = tunnel.attribute(images, n_views=8, views_per_batch=views_per_batch)
    assert maps.dtype == dtype
    torch.testing.assert_close(maps, torch.full_like(maps, 30_000))


class OfShape(Attribution):
    """A method whose maps have a shape of their own."""

    def __init__(self, *shape: int) -> None:
        super().__init__(square)
        self.shape = shape

    def attribute(self, inputs: Tensor) -> Tensor:
        return torch.zeros(self.shape)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 8, 6), (1, 3, 16, 12)])
def test_maps_without_the_places_of_the_image_are_refused(images, shape) -> None:
    with pytest.raises(ValueError, match=r"OfShape\(square\) returned a map of shape \(" + str(shape[0])):
        ViewTunnel(OfShape(*shape)).attribute(images)


def test_other_inputs_than_images_are_refused(net, images) -> None:
    tunnel = ViewTunnel(Saliency(net))
    with pytest.raises(TypeError, match="inputs must be a tensor or a tuple of tensors, but hold a list"):
        tunnel.attribute([images], target=1)
    with pytest.raises(ValueError, match=r"inputs of shape \(4, 0, 16, 12\) hold no number: none of the lengths"):
        tunnel.attribute(images[:, :0], target=0)
    with pytest.raises(ValueError, match=r"inputs of shape \(0, 3, 16, 12\) hold no example"):
        tunnel.attribute(images[:0], target=1)
    with pytest.raises(
        ValueError, match=r"ViewTunnel shifts .* shape \(4, 16, 12, 3\) seem to have their channels last"
    ):
        tunnel.attribute(images.movedim(1, -1), target=1)


def test_there_is_no_convergence_delta(net, images) -> None:
    tunnel = ViewTunnel(IntegratedGradients(net))
    for method in (tunnel, SuperpixelGrouped(tunnel, Grid(4)), Contributions(tunnel)):
        assert not method.has_convergence_delta()
        with pytest.raises(ValueError, match="has no convergence delta"):
            method.compute_convergence_delta(images, 0 * images, images, target=1)


def test_spreading_is_refused_for_one_view_too(net, images) -> None:
    with pytest.raises(ValueError, match=r"FeatureAblation\(Net\) has no steps or samples"):
        ViewTunnel(FeatureAblation(net)).attribute(images, target=1, n_views=1, spread=True)


@pytest.mark.parametrize("wrapper", [ViewTunnel, Contributions])
def test_training_mode_is_said_once(images, wrapper) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.warns(UserWarning, match="Sequential is in training mode and holds BatchNorm2d") as found:
        wrapper(Saliency(network)).attribute(images, target=1)
    assert [warning.filename for warning in found] == [__file__]
    assert network.training
    with pytest.warns(UserWarning, match="in training mode") as found:
        SuperpixelGrouped(wrapper(Saliency(network)), Grid(4)).attribute(images, target=1)
    assert len(found) == 1


@pytest.mark.parametrize("wrapper", [ViewTunnel, Contributions])
@pytest.mark.filterwarnings("ignore:Setting backward")
def test_hooks_that_find_nothing_are_said(images, wrapper) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.warns(UserWarning, match="GuidedBackprop finds no torch.nn.ReLU in Sequential"):
        wrapper(GuidedBackprop(network)).attribute(images, target=1)


def test_xrai_inside_says_it_once(images) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    method = XRAI(SuperpixelGrouped(Saliency(network), Grid(4)), Grid(4))
    with pytest.warns(UserWarning, match="in training mode") as found:
        method.attribute(images, target=1)
    assert len(found) == 1


@pytest.mark.parametrize(
    "options", [{"nt_samples_batch_size": 1}, {"nt_samples_batch_size": 3}, {"internal_batch_size": 16}]
)
def test_in_how_many_passes_steps_and_samples_are_spread_changes_nothing(net, images, options) -> None:
    tunnel = ViewTunnel(NoiseTunnel(IntegratedGradients(net)))
    call = {"target": 1, "n_steps": 6, "nt_samples": 4, "stdevs": 1e-9, "n_views": 5, "spread": True}
    expected = tunnel.attribute(images, **call)
    torch.testing.assert_close(tunnel.attribute(images, **call, **options), expected, atol=1e-6, rtol=1e-4)


def test_each_step_of_each_sample_can_see_another_view(net, images) -> None:
    views, sizes = choose_views(5, (1, 1), True), (1, 1)
    gradients = []
    for sample in range(2):
        for step in range(3):
            leaf = ((step + 0.5) / 3 * images.detach()).requires_grad_()
            seen = show(leaf, views[(sample + step) % 5], sizes)
            gradients.append(torch.autograd.grad(net(seen)[:, 1].sum(), leaf)[0])
    maps = ViewTunnel(NoiseTunnel(IntegratedGradients(net))).attribute(
        images, target=1, n_steps=3, method="riemann_middle", nt_samples=2, stdevs=1e-9, n_views=5, spread=True
    )
    torch.testing.assert_close(maps, torch.stack(gradients).mean(dim=0) * images.detach(), atol=1e-6, rtol=1e-4)
