import copy
import pickle

import pytest
import torch
from captum.attr import (
    DeepLift,
    FeatureAblation,
    GradientAttribution,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    LayerGradCam,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn
from torch.nn.functional import interpolate

from captum_superpixel import SuperpixelGrouped
from captum_superpixel.attr import ViewTunnel
from captum_superpixel.attr._views import choose_views, show, take_back
from captum_superpixel.masks import Grid

LARGEST = (1, 1)
"""A sixteenth of 16 and of 12 pixels, and at least 1."""


def by_hand(method, images: Tensor, count: int, average: str = "mean", **options) -> Tensor:
    """Average over views, one image and one view after the other."""
    result = []
    for image in images.detach():
        sums, shown = torch.zeros_like(image), torch.zeros_like(image)
        for view in choose_views(count, LARGEST, True):
            seen = show(image, view, LARGEST)[None].requires_grad_()
            found = take_back(method.attribute(seen, **options)[0].detach(), view, LARGEST)
            sums += found.abs() if average == "abs" else found
            shown += take_back(torch.ones_like(image), view, LARGEST)
        result.append(sums / shown)
    return torch.stack(result)


@pytest.mark.parametrize("average", ["mean", "abs"])
@pytest.mark.parametrize("views_per_batch", [None, 2, 3, 8])
def test_maps_are_averaged_at_the_place_of_the_image(net, images, average, views_per_batch) -> None:
    expected = by_hand(Saliency(net), images, 5, average, target=1, abs=False)
    actual = ViewTunnel(Saliency(net)).attribute(
        images, target=1, abs=False, n_views=5, average=average, views_per_batch=views_per_batch
    )
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(("views_per_batch", "rows"), [(None, [4] * 5), (2, [8, 8, 4]), (9, [20])])
def test_one_view_is_explained_at_a_time_unless_more_are_asked_for(net, images, views_per_batch, rows) -> None:
    seen: list[int] = []
    net.register_forward_pre_hook(lambda module, arguments: seen.append(len(arguments[0])))
    ViewTunnel(Saliency(net)).attribute(images, target=1, n_views=5, views_per_batch=views_per_batch)
    assert seen == rows


def brightest(images: Tensor) -> Tensor:
    """A network that sees one pixel, wherever it is."""
    return images.flatten(1).amax(dim=1)


@pytest.mark.parametrize("place", [(1, 1), (5, 7), (14, 10), (8, 2)])
def test_the_map_of_a_view_lands_where_that_of_the_image_does(place) -> None:
    images = torch.zeros(1, 1, 16, 12)
    images[0, 0, place[0], place[1]] = 1
    # Shifted by one pixel, row and column 1 are seen twice: beside the border and beyond it.
    maps = ViewTunnel(InputXGradient(brightest)).attribute(images.requires_grad_(), n_views=18)
    assert (maps > 0).nonzero().tolist() == [[0, 0, *place]]


def test_maps_of_a_network_that_treats_all_places_alike_come_back_exactly(images) -> None:
    def network(inputs: Tensor) -> Tensor:
        return inputs.flatten(1).pow(3).sum(dim=1)

    maps = ViewTunnel(InputXGradient(network)).attribute(images, n_views=18)
    torch.testing.assert_close(maps, 3 * images.detach() ** 3)


@pytest.mark.parametrize("inner", [Saliency, IntegratedGradients, DeepLift, GuidedBackprop, InputXGradient])
@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_one_view_is_the_wrapped_method(net, images, inner) -> None:
    hooks = [len(module._forward_hooks) + len(module._backward_hooks) for module in net.modules()]
    expected = inner(net).attribute(images, target=2)
    actual = ViewTunnel(inner(net)).attribute(images, target=2, n_views=1)
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)
    ViewTunnel(inner(net)).attribute(images, target=2, n_views=3, views_per_batch=2)
    assert hooks == [len(module._forward_hooks) + len(module._backward_hooks) for module in net.modules()]


def test_options_go_on_and_go_along(net, images) -> None:
    baselines, targets = torch.rand(4, 3, 16, 12), torch.tensor([0, 1, 2, 3])
    method = IntegratedGradients(net)
    expected = torch.zeros_like(images)
    shown = torch.zeros_like(images)
    for view in choose_views(4, LARGEST, True):
        seen = show(images.detach(), view, LARGEST).requires_grad_()
        maps = method.attribute(seen, show(baselines, view, LARGEST), target=targets, n_steps=7)
        expected = expected + take_back(maps.detach(), view, LARGEST)
        shown = shown + take_back(torch.ones_like(seen), view, LARGEST)
    for options in ({}, {"views_per_batch": 4}, {"views_per_batch": 3}):
        actual = ViewTunnel(method).attribute(images, baselines, targets, n_steps=7, n_views=4, **options)
        torch.testing.assert_close(actual, (expected / shown).detach(), rtol=1e-4, atol=1e-6)
    listed = ViewTunnel(method).attribute(images, baselines, [0, 1, 2, 3], n_steps=7, n_views=4, views_per_batch=4)
    torch.testing.assert_close(listed, actual)


@pytest.mark.parametrize("views_per_batch", [1, 4])
def test_masks_go_along(images, views_per_batch) -> None:
    """The effect of a region on a network that adds up pixels is known, whatever the view."""

    def total(inputs: Tensor) -> Tensor:
        return inputs.flatten(1).sum(dim=1)

    mask = Grid(6)(images)
    tunnel = ViewTunnel(FeatureAblation(total))
    maps = tunnel.attribute(images, feature_mask=mask, n_views=2, max_shift=0, views_per_batch=views_per_batch)
    torch.testing.assert_close(maps, FeatureAblation(total).attribute(images, feature_mask=mask))
    grouped = SuperpixelGrouped(tunnel, Grid(6)).attribute(images, n_views=2, max_shift=0)
    torch.testing.assert_close(grouped, maps)


def test_masks_of_any_shape_go_along(net, images, shared_mask) -> None:
    tunnel = ViewTunnel(FeatureAblation(net))
    expected = tunnel.attribute(images, target=1, feature_mask=shared_mask, n_views=4)
    for options in ({"views_per_batch": 4}, {"views_per_batch": 2}):
        torch.testing.assert_close(
            tunnel.attribute(images, target=1, feature_mask=shared_mask, n_views=4, **options), expected
        )
    inside = ViewTunnel(SuperpixelGrouped(Saliency(net), None))
    flat = inside.attribute(images, target=1, feature_mask=shared_mask[0, 0].numpy(), n_views=3, views_per_batch=3)
    torch.testing.assert_close(flat, inside.attribute(images, target=1, feature_mask=shared_mask, n_views=3))
    ensemble = inside.attribute(images, target=1, feature_mask=[shared_mask, shared_mask], n_views=3)
    torch.testing.assert_close(ensemble, flat)


def test_it_nests_with_grouping_both_ways(net, images, masks) -> None:
    tunnel = ViewTunnel(Saliency(net))
    grouped = SuperpixelGrouped(tunnel, None, reduction="abs_mean")
    actual = grouped.attribute(images, target=1, feature_mask=masks, n_views=4)
    maps = tunnel.attribute(images, target=1, n_views=4)
    expected = SuperpixelGrouped(Saliency(net), None, reduction="abs_mean")._average_over(maps, [masks])
    torch.testing.assert_close(actual, expected)
    assert isinstance(grouped, GradientAttribution)
    generated = ViewTunnel(SuperpixelGrouped(Saliency(net), Grid(4))).attribute(images, target=1, n_views=4)
    assert generated.shape == images.shape


def test_it_nests_with_noise_both_ways(net, images) -> None:
    torch.manual_seed(0)
    outside = NoiseTunnel(ViewTunnel(Saliency(net))).attribute(images, nt_samples=2, stdevs=1e-9, target=1, n_views=4)
    inside = ViewTunnel(NoiseTunnel(Saliency(net))).attribute(images, nt_samples=2, stdevs=1e-9, target=1, n_views=4)
    expected = ViewTunnel(Saliency(net)).attribute(images, target=1, n_views=4)
    torch.testing.assert_close(outside, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(inside, expected, atol=1e-5, rtol=1e-5)


def test_maps_of_a_layer_are_brought_back_at_the_size_of_the_input(net, images) -> None:
    method = LayerGradCam(net, net.conv2)
    sums, shown = 0, 0
    for view in choose_views(4, LARGEST, True):
        seen = show(images.detach(), view, LARGEST).requires_grad_()
        laid = interpolate(method.attribute(seen, target=1).detach(), size=(16, 12), mode="bilinear")
        sums = sums + take_back(laid, view, LARGEST)
        shown = shown + take_back(torch.ones_like(laid), view, LARGEST)
    for options in ({}, {"views_per_batch": 3}):
        maps = ViewTunnel(method).attribute(images, target=1, n_views=4, **options)
        torch.testing.assert_close(maps, sums / shown)
    assert ViewTunnel(method).attribute(images, target=1, n_views=1).shape == (4, 1, 16, 12)
    grouped = SuperpixelGrouped(ViewTunnel(method), Grid(4)).attribute(images, target=1, n_views=4)
    assert grouped.shape == (4, 1, 16, 12)
    with pytest.raises(ValueError, match=r"the layer Linear of LayerGradCam cannot be laid over the images"):
        ViewTunnel(LayerGradCam(net, net.linear)).attribute(images, target=1)


def test_inputs_without_places_are_not_changed(images) -> None:
    table = torch.rand(4, 7, requires_grad=True)

    def network(images: Tensor, table: Tensor) -> Tensor:
        return images.flatten(1).square().sum(dim=1) * table.square().sum(dim=1)

    for options in ({}, {"views_per_batch": 2}):
        maps = ViewTunnel(Saliency(network)).attribute((images, table), n_views=2, max_shift=0, **options)
        for one, expected in zip(maps, Saliency(network).attribute((images, table)), strict=True):
            torch.testing.assert_close(one, expected.detach())


def test_the_image_with_the_most_shifts_decides_how_many_views_there_are() -> None:
    """Shifts of at most 1 and 4 pixels make 54 views, those of at most 2 and 1 pixels 30."""
    wide, high = torch.rand(1, 1, 16, 64, requires_grad=True), torch.rand(1, 1, 32, 16, requires_grad=True)

    def network(wide: Tensor, high: Tensor) -> Tensor:
        return wide.flatten(1).square().sum(dim=1) + high.flatten(1).square().sum(dim=1)

    for inputs in ((wide, high), (high, wide)):
        maps = ViewTunnel(Saliency(network)).attribute(inputs, n_views=54, views_per_batch=54, abs=False)
        torch.testing.assert_close(maps, tuple(2 * one.detach() for one in inputs))
        with pytest.raises(ValueError, match="n_views=55"):
            ViewTunnel(Saliency(network)).attribute(inputs, n_views=55)


def test_volumes_have_views(images) -> None:
    volumes = torch.rand(2, 1, 4, 6, 6, requires_grad=True)

    def network(volumes: Tensor) -> Tensor:
        return volumes.flatten(1).pow(3).sum(dim=1)

    maps = ViewTunnel(InputXGradient(network)).attribute(volumes, n_views=6)
    torch.testing.assert_close(maps, 3 * volumes.detach() ** 3)


class Counting(nn.Module):
    """Counts the images that a network is given."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.rows = net, 0

    def forward(self, images: Tensor) -> Tensor:
        self.rows += len(images)
        return self.net(images)


def seen_by_steps(net: nn.Module, image: Tensor, n_steps: int, count: int) -> Tensor:
    """IntegratedGradients from 0, each step of which sees another view, after its definition."""
    nodes = torch.linspace(0, 1, n_steps + 1)[:-1] + 0.5 / n_steps
    gradients = []
    views = choose_views(count, LARGEST, True)
    for step, node in enumerate(nodes):
        leaf = (node * image.detach())[None].requires_grad_()
        (gradient,) = torch.autograd.grad(net(show(leaf, views[step % count], LARGEST))[0, 1], leaf)
        gradients.append(gradient[0])
    return torch.stack(gradients).mean(dim=0) * image.detach()


@pytest.mark.parametrize("internal_batch_size", [None, 8, 4])
def test_each_step_of_a_path_can_see_another_view(net, images, internal_batch_size) -> None:
    counting = Counting(net)
    maps = ViewTunnel(IntegratedGradients(counting)).attribute(
        images,
        target=1,
        n_steps=10,
        method="riemann_middle",
        internal_batch_size=internal_batch_size,
        n_views=4,
        spread=True,
    )
    assert counting.rows == 40
    expected = torch.stack([seen_by_steps(net, image, 10, 4) for image in images])
    torch.testing.assert_close(maps.detach(), expected)


@pytest.mark.parametrize("at_once", [None, 3, 4])
def test_each_sample_can_see_another_view(net, images, at_once) -> None:
    counting = Counting(net)
    maps = ViewTunnel(NoiseTunnel(Saliency(counting))).attribute(
        images,
        nt_samples=6,
        nt_samples_batch_size=at_once,
        stdevs=1e-9,
        target=1,
        abs=False,
        n_views=3,
        spread=True,
    )
    assert counting.rows == 24
    gradients = []
    for view in choose_views(3, LARGEST, True):
        leaf = images.detach().requires_grad_()
        gradients.append(torch.autograd.grad(net(show(leaf, view, LARGEST))[:, 1].sum(), leaf)[0])
    if at_once != 4:
        torch.testing.assert_close(maps, torch.stack(gradients).mean(dim=0), atol=1e-5, rtol=1e-5)


def test_networks_that_return_objects_can_be_spread_over(net, images) -> None:
    def network(inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": net(inputs)}

    maps = ViewTunnel(IntegratedGradients(network)).attribute(images, target=1, n_views=4, spread=True)
    expected = ViewTunnel(IntegratedGradients(net)).attribute(images, target=1, n_views=4, spread=True)
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("method", [Saliency, GradientShap, FeatureAblation])
def test_only_steps_and_samples_can_be_spread(net, images, method) -> None:
    options = {"baselines": 0 * images} if method is GradientShap else {}
    with pytest.raises(ValueError, match=rf"{method.__name__}\(Net\) has no steps or samples"):
        ViewTunnel(method(net)).attribute(images, target=1, spread=True, **options)
    with pytest.raises(ValueError, match="average='abs' with spread=True"):
        ViewTunnel(IntegratedGradients(net)).attribute(images, target=1, spread=True, average="abs")


def test_what_does_not_fit_is_refused(net, images) -> None:
    tunnel = ViewTunnel(Saliency(net))
    with pytest.raises(ValueError, match="n_views must be at least 1, but 0"):
        tunnel.attribute(images, target=1, n_views=0)
    with pytest.raises(TypeError, match=r"n_views must be an integer, but 2\.5"):
        tunnel.attribute(images, target=1, n_views=2.5)
    with pytest.raises(ValueError, match=r"max_shift=12, but an input has shape \(4, 3, 16, 12\)"):
        tunnel.attribute(images, target=1, max_shift=12)
    with pytest.raises(ValueError, match="max_shift must be at least 0, but -1"):
        tunnel.attribute(images, target=1, max_shift=-1)
    with pytest.raises(ValueError, match=r"n_views=3, but shifts of at most \[0, 0\] pixels and flips make only 2"):
        tunnel.attribute(images, target=1, n_views=3, max_shift=0)
    with pytest.raises(ValueError, match="average='median' is unknown"):
        tunnel.attribute(images, target=1, average="median")
    with pytest.raises(ValueError, match="views_per_batch must be at least 1, but 0"):
        tunnel.attribute(images, target=1, views_per_batch=0)
    with pytest.raises(ValueError, match=r"there is no image among the inputs, \[\(4, 7\)\]"):
        tunnel.attribute(torch.rand(4, 7), target=1)
    with pytest.raises(ValueError, match=r"=True, but ViewTunnel\(IntegratedGradients\(Net\)\) has none"):
        ViewTunnel(IntegratedGradients(net)).attribute(images, target=1, return_convergence_delta=True)
    with pytest.raises(ValueError, match="return_input_shape=False gives coefficients"):
        ViewTunnel(KernelShap(net)).attribute(images, target=1, return_input_shape=False)
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_steps'"):
        tunnel.attribute(images, target=1, n_steps=3)
    assert not ViewTunnel(IntegratedGradients(net)).has_convergence_delta()


def test_it_is_an_attribution_like_any_other(net, images) -> None:
    tunnel = ViewTunnel(Saliency(net))
    assert repr(tunnel) == "ViewTunnel(Saliency(Net))"
    assert tunnel.get_name() == "View Tunnel"
    assert isinstance(tunnel, GradientAttribution)
    assert not isinstance(ViewTunnel(FeatureAblation(net)), GradientAttribution)
    expected = tunnel.attribute(images, target=1)
    for other in (pickle.loads(pickle.dumps(tunnel)), copy.deepcopy(tunnel)):
        torch.testing.assert_close(other.attribute(images, target=1), expected)
    assert not expected.requires_grad
    assert images.grad is None
    with pytest.raises(NotImplementedError, match="ViewTunnel: call attribute"):
        tunnel.attribute_future()


def test_a_failing_network_leaves_the_inputs_as_they_were() -> None:
    def network(images: Tensor) -> Tensor:
        raise RuntimeError("no")

    images = torch.rand(1, 3, 16, 16)
    with pytest.raises(RuntimeError, match="no"):
        ViewTunnel(InputXGradient(network)).attribute(images)
    assert not images.requires_grad


class StartsToTrain(torch.nn.Module):
    """Falls into training mode when it is called, and fails on demand."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.dropout, self.linear, self.fails = torch.nn.Dropout(), torch.nn.Linear(48, 2), fails

    def forward(self, images: Tensor) -> Tensor:
        self.dropout.train()
        if self.fails:
            raise RuntimeError("out of order")
        outputs: Tensor = self.linear(self.dropout(images.flatten(1)))
        return outputs


@pytest.mark.parametrize("fails", [False, True])
def test_a_network_that_changes_its_mode_is_an_error_and_its_mode_is_put_back(fails: bool) -> None:
    network = StartsToTrain(fails=fails).eval()
    error, message = (RuntimeError, "out of order") if fails else (ValueError, r"changes its own mode.*\(Dropout\)")
    with pytest.raises(error, match=message):
        ViewTunnel(Saliency(network)).attribute(torch.rand(1, 3, 4, 4, requires_grad=True), target=0, n_views=2)
    assert not any(module.training for module in network.modules())
