import copy
import threading

import numpy as np
import pytest
import torch
from captum.attr import (
    Attribution,
    DeepLift,
    FeatureAblation,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    KernelShap,
    LayerGradCam,
    LayerIntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn
from torch.nn.functional import interpolate

from captum_superpixel import (
    XRAI,
    Contributions,
    SuperpixelGrouped,
    ViewTunnel,
    perturbed_attributions,
    pool_segments,
    recommended,
)
from captum_superpixel._seeds import seeded
from captum_superpixel.attr._views import choose_views, show, shown_places
from captum_superpixel.masks import Grid


class Linear(nn.Module):
    """One weight for each pixel and class."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T


@pytest.mark.parametrize("method", [Saliency, IntegratedGradients, DeepLift, GuidedBackprop, FeatureAblation])
@pytest.mark.filterwarnings("ignore:Setting (forward|backward)")
def test_no_strength_and_no_views_is_the_method(net, images, method) -> None:
    expected = method(net).attribute(images, target=2).detach()
    draws = perturbed_attributions(method(net), net, images, target=2, strength=0, views=False, n_draws=2)
    assert draws.attributions.shape == (2, *images.shape)
    for maps in draws.attributions:
        torch.testing.assert_close(maps, expected, rtol=0, atol=0)
    assert draws.strength == 0
    assert draws.kept.all()
    assert draws.kept_share == 1


def test_maps_of_a_linear_network_are_its_weights_times_the_factors() -> None:
    weights = torch.randn(3, 48, generator=torch.Generator().manual_seed(3))
    network, count = Linear(weights.clone()), 400
    draws = perturbed_attributions(
        Saliency(network),
        network,
        torch.rand(1, 3, 4, 4),
        target=1,
        abs=False,
        strength=0.3,
        views=False,
        n_draws=count,
    )
    factors = draws.attributions.flatten(1) / weights[1]
    torch.testing.assert_close(factors.mean(dim=0), torch.ones(48), rtol=0, atol=4.5 * 0.3 / count**0.5)
    torch.testing.assert_close(factors.std(dim=0), torch.full((48,), 0.3), rtol=0, atol=4.5 * 0.3 / (2 * count) ** 0.5)
    # Independent from pixel to pixel, and normal: 95 % within 1.96 standard deviations.
    correlation = torch.corrcoef(factors.T) - torch.eye(48)
    assert correlation.abs().max() < 5 / count**0.5
    assert ((factors - 1).abs() < 1.96 * 0.3).float().mean() == pytest.approx(0.95, abs=0.01)


def kept_by_hand(net: nn.Module, images: Tensor, strength: float, count: int) -> float:
    """Share of predictions that perturbed copies keep, with draws of its own."""
    generator, kept = torch.Generator().manual_seed(99), []
    with torch.no_grad():
        for _ in range(count):
            other = copy.deepcopy(net)
            for parameter in other.parameters():
                parameter *= 1 + strength * torch.randn(parameter.shape, generator=generator)
            kept.append(other(images).argmax(1) == net(images).argmax(1))
    return float(torch.stack(kept).float().mean())


@pytest.mark.parametrize("keep", [0.6, 0.85])
def test_the_strength_keeps_the_share_that_was_asked_for(net, keep) -> None:
    images = torch.randn(48, 3, 16, 12, generator=torch.Generator().manual_seed(1))
    draws = perturbed_attributions(Saliency(net), net, images, target=0, keep=keep, views=False)
    assert kept_by_hand(net, images, draws.strength, 200) == pytest.approx(keep, abs=0.05)
    assert kept_by_hand(net, images, 1.6 * draws.strength, 100) < keep - 0.05
    assert draws.kept.shape == (12, 48)
    assert draws.kept_share == pytest.approx(keep, abs=0.12)
    again = perturbed_attributions(Saliency(net), net, images, target=0, strength=draws.strength, views=False)
    torch.testing.assert_close(again.attributions, draws.attributions, rtol=0, atol=0)
    assert repr(draws) == (
        f"PerturbedAttributions(attributions of shape (12, 48, 3, 16, 12), strength={draws.strength:.3g}, "
        f"kept_share={draws.kept_share:.2f})"
    )


def test_views_are_counted_in_what_is_kept(net) -> None:
    coarse = torch.randn(32, 3, 4, 3, generator=torch.Generator().manual_seed(1))
    images = interpolate(coarse, size=(16, 12), mode="bilinear")
    alone, joint = (
        perturbed_attributions(Saliency(net), net, images, target=0, keep=0.6, views=views) for views in (False, True)
    )
    assert joint.strength < 0.9 * alone.strength
    shown = [show(images, view, (1, 1)) for view in choose_views(12, (1, 1), True)]
    plain = perturbed_attributions(Saliency(net), net, images, target=0, strength=0)
    expected = torch.stack([net(one).argmax(1) == net(images).argmax(1) for one in shown])
    assert torch.equal(plain.kept, expected)
    assert not plain.kept.all()


class Brightest(nn.Module):
    """Sees one pixel, wherever it is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images.flatten(1).amax(dim=1)


@pytest.mark.parametrize("place", [(3, 3), (5, 7), (12, 8), (8, 4)])
def test_the_map_of_every_draw_lands_at_the_place_of_the_image(place) -> None:
    images = torch.zeros(1, 1, 16, 12)
    images[0, 0, place[0], place[1]] = 1
    network = Brightest()
    draws = perturbed_attributions(Saliency(network), network, images, strength=0.2, n_draws=18)
    assert all((maps > 0).nonzero().tolist() == [[0, 0, *place]] for maps in draws.attributions)
    assert draws.attributions[:, 0, 0, place[0], place[1]].std() > 0.1


class Cubes(nn.Module):
    """Treats all places alike."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.weight * images.pow(3).flatten(1).sum(dim=1)


def test_what_a_view_does_not_show_is_reflected(images) -> None:
    network = Cubes()
    draws = perturbed_attributions(InputXGradient(network), network, images, strength=0, n_draws=12).attributions
    expected = 3 * images.detach() ** 3
    for maps, view in zip(draws, choose_views(12, (1, 1), True), strict=True):
        shown = shown_places(view, (1, 1), (16, 12), images.device).bool()
        torch.testing.assert_close(maps[..., shown], expected[..., shown])
        down, right = view.pixels((1, 1))
        if down == 1 and not right:  # the last row is not shown: it gets the one before the last that is
            torch.testing.assert_close(maps[..., 15, :], expected[..., 13, :])
    assert not torch.allclose(draws[1], expected)
    unmirrored = perturbed_attributions(
        InputXGradient(network), network, images, strength=0, max_shift=0, flip=False
    ).attributions
    torch.testing.assert_close(unmirrored, expected.expand_as(unmirrored))


def plain(net: nn.Module):
    return Saliency(net), net


def around(net: nn.Module):
    """A function stands between the method and the network."""
    return Saliency(lambda inputs: {"logits": net(inputs)}["logits"]), net


def inside(net: nn.Module):
    whole = nn.Sequential(net, nn.Identity())
    return Saliency(whole), net


def parallel(net: nn.Module):
    return Saliency(nn.DataParallel(net)), net


def returning_objects(net: nn.Module):
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, inputs: Tensor) -> dict[str, Tensor]:
            return {"logits": self.net(inputs)}

    network = Network()
    return Saliency(network), network


@pytest.mark.parametrize("make", [around, inside, parallel, returning_objects])
@pytest.mark.parametrize("strength", [None, 0.1])
def test_what_stands_around_a_network_changes_nothing(net, images, make, strength) -> None:
    options = {"target": torch.tensor([0, 1, 2, 3]), "n_draws": 3, "strength": strength, "keep": 0.7}
    expected = perturbed_attributions(Saliency(net), net, images, **options)
    method, model = make(net)
    actual = perturbed_attributions(method, model, images, **options)
    torch.testing.assert_close(actual.attributions, expected.attributions)
    assert actual.strength == expected.strength
    assert torch.equal(actual.kept, expected.kept)
    assert len({maps.flatten()[7].item() for maps in actual.attributions}) == 3


class Breaking(Attribution):
    """Fails in its third call, and until then looks whether another thread finds the network as it was."""

    def __init__(self, forward_func, net: nn.Module, error: BaseException | None) -> None:
        super().__init__(forward_func)
        self.untouched, self.error, self.calls, self.seen = [net], error, [], []

    def __deepcopy__(self, memo):
        # What is watched is the network itself, not its copy.
        result = Breaking(copy.deepcopy(self.forward_func, memo), self.untouched[0], self.error)
        result.calls, result.seen = self.calls, self.seen
        return result

    def attribute(self, inputs: Tensor) -> Tensor:
        self.calls.append(len(self.calls))
        if len(self.calls) == 3 and self.error is not None:
            raise self.error

        def look() -> None:
            with torch.no_grad():
                self.seen.append(self.untouched[0](inputs[:1].flip(-1)))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return inputs * self.forward_func(inputs)[0, 0]


@pytest.mark.parametrize("error", [RuntimeError("out of order"), KeyboardInterrupt("out of order"), None])
@pytest.mark.parametrize("around", [False, True])
def test_the_network_is_left_as_it_was(net, images, error, around) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    objects = [id(tensor) for tensor in net.parameters()]
    method = Breaking((lambda inputs: net(inputs)) if around else net, net, error)
    numbers = torch.get_rng_state()
    if error is None:
        perturbed_attributions(method, net, images, strength=0.3, max_shift=0, flip=False, n_draws=4)
    else:
        with pytest.raises(type(error), match="out of order"):
            perturbed_attributions(method, net, images, strength=0.3, max_shift=0, flip=False, n_draws=4)
    expected = net(images[:1].flip(-1))
    assert len(method.calls) == (4 if error is None else 3)
    assert all(torch.equal(seen, expected) for seen in method.seen)
    assert len(method.seen) == (4 if error is None else 2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert objects == [id(tensor) for tensor in net.parameters()]
    assert not any(module._forward_hooks or module._backward_hooks for module in net.modules())
    assert torch.equal(torch.get_rng_state(), numbers)


def test_an_interrupt_within_hooks_leaves_none_on_the_network(net, images) -> None:
    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.calls = net, 0

        def forward(self, inputs: Tensor) -> Tensor:
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt("enough")
            return self.net(inputs)

    network = Interrupted().eval()
    with pytest.raises(KeyboardInterrupt, match="enough"), pytest.warns(UserWarning, match="Setting forward"):
        perturbed_attributions(DeepLift(network), network, images, target=1, strength=0.1)
    assert network.calls == 0
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_threads_do_not_disturb_one_another(net, images) -> None:
    method, found = NoiseTunnel(Saliency(net)), {}
    options = {"target": 1, "strength": 0.1, "nt_samples": 2, "n_draws": 3}

    def explain(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return perturbed_attributions(method, net, images, generator=generator, **options).attributions

    numbers = torch.get_rng_state()
    threads = [threading.Thread(target=lambda seed=seed: found.update({seed: explain(seed)})) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.get_rng_state(), numbers)
    for seed in range(3):
        torch.testing.assert_close(found[seed], explain(seed), rtol=0, atol=0)


def test_all_randomness_comes_from_the_generator(net, images) -> None:
    options = {"target": 1, "nt_samples": 2, "n_draws": 2, "keep": 0.7}
    method = NoiseTunnel(Saliency(net))
    numbers, legacy = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first = perturbed_attributions(method, net, images, **options)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert np.random.get_state()[1].tolist() == legacy  # noqa: NPY002
    with seeded(7):
        same = perturbed_attributions(method, net, images, generator=torch.Generator().manual_seed(0), **options)
        other = perturbed_attributions(method, net, images, generator=torch.Generator().manual_seed(1), **options)
    assert first.strength == same.strength
    assert torch.equal(first.attributions, same.attributions)
    assert not torch.allclose(first.attributions, other.attributions)
    still = perturbed_attributions(method, net, images, views=False, strength=0, target=1, nt_samples=2, n_draws=2)
    assert not torch.equal(still.attributions[0], still.attributions[1])  # other noise of the method in each draw
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):  # a generator goes on
        last = perturbed_attributions(method, net, images, generator=generator, **options)
    assert not torch.allclose(last.attributions, other.attributions)


def test_layers_are_those_of_the_perturbed_network(net, images) -> None:
    expected = LayerGradCam(net, net.conv2).attribute(images, target=1).detach()
    laid = interpolate(expected, size=(16, 12), mode="bilinear")
    still = perturbed_attributions(
        LayerGradCam(net, net.conv2), net, images, target=1, strength=0, views=False, n_draws=2
    )
    torch.testing.assert_close(still.attributions, laid.expand(2, *laid.shape))
    draws = perturbed_attributions(LayerGradCam(net, net.conv2), net, images, target=1, strength=0.1, n_draws=3)
    around = LayerGradCam(lambda inputs: net(inputs), net.conv2)
    same = perturbed_attributions(around, net, images, target=1, strength=0.1, n_draws=3)
    assert draws.attributions.shape == (3, 4, 1, 16, 12)
    torch.testing.assert_close(same.attributions, draws.attributions)
    by_hand = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in by_hand.parameters():
            parameter.zero_()
    assert not torch.allclose(draws.attributions[0], laid)
    for method in (LayerIntegratedGradients(net, net.conv2), LayerIntegratedGradients(around.forward_func, net.conv2)):
        maps = perturbed_attributions(method, net, images, target=1, strength=0.1, n_draws=2, n_steps=3).attributions
        assert maps.shape == (2, 4, 6, 16, 12)


def test_wrappers_are_perturbed_like_the_methods_inside(net, images, shared_mask) -> None:
    options = {"target": 1, "strength": 0.1, "n_draws": 2, "views": False}
    draws = perturbed_attributions(Saliency(net), net, images, abs=False, **options).attributions
    grouped = perturbed_attributions(SuperpixelGrouped(Saliency(net), Grid(6)), net, images, abs=False, **options)
    for maps, pooled in zip(draws, grouped.attributions, strict=True):
        torch.testing.assert_close(pooled, pool_segments(maps, Grid(6)(images)))
    given = perturbed_attributions(
        SuperpixelGrouped(Saliency(net), None), net, images, feature_mask=shared_mask, abs=False, **options
    )
    torch.testing.assert_close(given.attributions[1], pool_segments(draws[1], shared_mask))
    contributions = perturbed_attributions(Contributions(Saliency(net), 0.5), net, images, **options).attributions
    torch.testing.assert_close(contributions, draws * (images.detach() - 0.5))
    tunnel = perturbed_attributions(ViewTunnel(Saliency(net)), net, images, n_views=1, abs=False, **options)
    torch.testing.assert_close(tunnel.attributions, draws)
    quiet = perturbed_attributions(
        NoiseTunnel(Saliency(net)), net, images, stdevs=1e-9, nt_samples=2, abs=False, **options
    )
    torch.testing.assert_close(quiet.attributions, draws, rtol=1e-4, atol=1e-5)
    ablation = perturbed_attributions(FeatureAblation(net), net, images, feature_mask=shared_mask, **options)
    assert len(ablation.attributions[0, 0, 0].unique()) <= 12
    assert not torch.allclose(*ablation.attributions)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda net: recommended(Saliency(net), denormalize=(0, 1)), {}),
        (lambda net: recommended(LayerGradCam(net, net.conv2), denormalize=(0, 1)), {}),
        (lambda net: XRAI(IntegratedGradients(net)), {"n_steps": 3}),
        (lambda net: GradientShap(net), {"baselines": torch.zeros(2, 3, 16, 12), "n_samples": 2}),
        (lambda net: SuperpixelGrouped(KernelShap(net), Grid(6)), {"n_samples": 20}),
    ],
)
def test_every_kind_of_method_has_draws(net, images, make, options) -> None:
    maps = perturbed_attributions(make(net), net, images[:2], target=1, strength=0.2, n_draws=2, **options).attributions
    assert maps.shape in {(2, 2, 3, 16, 12), (2, 2, 1, 16, 12)}
    assert torch.isfinite(maps).all()
    assert not torch.allclose(*maps)


def test_superpixels_are_those_of_the_image_in_every_draw(net, images) -> None:
    """A mask of the image goes along with the views: within a segment that every view shows, maps are constant."""
    segments = []

    def quarters(inputs: Tensor) -> Tensor:
        segments.append(inputs)
        return Grid(4)(inputs)

    grouped = SuperpixelGrouped(Saliency(net), quarters)
    draws = perturbed_attributions(grouped, net, images, target=1, strength=0.1, n_draws=6).attributions
    assert len(segments) == 1
    mask = Grid(4)(images)
    for maps in draws:
        for label in mask[0].unique():
            inner = (mask[0, 0] == label) & (shown_places_of_all() > 0)
            assert maps[0, 0][inner].std() < 1e-6


def shown_places_of_all() -> Tensor:
    places = torch.zeros(16, 12)
    places[1:-1, 1:-1] = 1
    return places


def test_several_inputs_and_volumes(images) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(7))

        def forward(self, images: Tensor, table: Tensor) -> Tensor:
            return images.flatten(1).square().sum(dim=1) * (table * self.weight).sum(dim=1)

    network, table = Two(), torch.rand(4, 7)
    draws = perturbed_attributions(Saliency(network), network, (images, table), strength=0.1, n_draws=3)
    assert [maps.shape for maps in draws.attributions] == [(3, 4, 3, 16, 12), (3, 4, 7)]
    one = perturbed_attributions(Saliency(network), network, (images, table), strength=0, views=False, n_draws=2)
    expected = Saliency(network).attribute((images, table.requires_grad_()))
    for maps, wanted in zip(one.attributions, expected, strict=True):
        torch.testing.assert_close(maps[1], wanted.detach())
    cubes = Cubes()
    volumes = torch.rand(2, 1, 4, 6, 6)
    assert perturbed_attributions(Saliency(cubes), cubes, volumes, strength=0.1).attributions.shape == (
        12,
        *volumes.shape,
    )


def test_a_bar_is_shown_if_asked_for(net, images, capsys) -> None:
    options = {"target": 1, "strength": 0.1, "n_draws": 2}
    perturbed_attributions(Saliency(net), net, images, **options)
    assert not capsys.readouterr().err
    perturbed_attributions(Saliency(net), net, images, show_progress=True, **options)
    assert "2/2" in capsys.readouterr().err
