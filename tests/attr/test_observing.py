"""What a pass of a network shows: dependence, counts, operations; and that nothing of it stays."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel.attr.layouts import Layout, LayoutError
from captum_superpixel.attr.observing import Observation, observe

IMAGES = torch.rand((2, 3, 16, 16), generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A function of layers that are made for a test."""

    def __init__(self, run: Callable[["Net", Tensor], object], **layers: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, images: Tensor) -> object:
        return self.run(self, images)


def seen_in(network: nn.Module, **options: bool) -> Observation:
    return observe(network, [(name, module) for name, module in network.named_modules() if name], IMAGES, **options)


def marked(run: Callable[[Tensor], Tensor]) -> tuple[Net, nn.Module]:
    """A network whose layer ``mark`` returns what a function makes of a convolution's output ``(2, 4, 4, 4)``."""
    mark = nn.Identity()
    network = Net(
        lambda net, images: net.mark(run(net.conv(images))).flatten(1).sum(1, keepdim=True),
        conv=nn.Conv2d(3, 4, 4, 4),
        mark=mark,
    )
    return network, mark


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda maps: maps.relu(), 1),
        (lambda maps: torch.nn.functional.gelu(maps) + maps, 1),
        (lambda maps: 2 * maps.sigmoid() - 1, 1),
        (lambda maps: torch.cat([maps[:, :2].tanh(), maps[:, 2:]], dim=1), 1),
        (lambda maps: torch.nn.functional.max_pool2d(maps, 1), 1),
        (lambda maps: maps.permute(0, 2, 3, 1), 3),
        (lambda maps: maps.permute(0, 2, -1, 1).relu(), 3),
        (lambda maps: maps.movedim(1, -1) + 1, 3),
        (lambda maps: maps.transpose(1, 3).clone(), 3),
        (lambda maps: maps.transpose(-3, -1).transpose(1, 2), 3),
        (lambda maps: maps.permute(0, 2, 3, 1).permute(0, 3, 1, 2), 1),
        (lambda maps: torch.layer_norm(maps, [4]), 3),
        (lambda maps: torch.layer_norm(maps.permute(0, 2, 3, 1), [4]).permute(0, 3, 1, 2), 1),
    ],
)
def test_what_operations_say_of_a_cube(run: Callable[[Tensor], Tensor], expected: int) -> None:
    network, mark = marked(run)
    assert seen_in(network).layout(mark) == Layout((4, 4), 4, expected)


@pytest.mark.parametrize(
    "run",
    [
        lambda maps: maps.flatten(1).view(2, 4, 4, 4),
        lambda maps: maps @ maps,
        lambda maps: maps.transpose(1, 2),  # channels between rows and columns
    ],
)
def test_operations_that_do_not_say_it(run: Callable[[Tensor], Tensor]) -> None:
    network, mark = marked(run)
    with pytest.raises(LayoutError, match="more than one way"):
        seen_in(network).layout(mark)


def test_dependence_on_the_images() -> None:
    network = Net(
        lambda net, images: (net.first(images) + net.table(torch.ones(2, 3, 16, 16)) + net.cut(images.detach())).mean(
            (2, 3)
        ),
        first=nn.Conv2d(3, 4, 1),
        table=nn.Conv2d(3, 4, 1),
        cut=nn.Conv2d(3, 4, 1),
    )
    seen = seen_in(network)
    found = {layer.name: seen.depends_on_image(layer.edge) for layer in seen.layers.values()}
    assert found == {"first": True, "table": False, "cut": False}
    with pytest.raises(LayoutError, match=r"\(2, 4, 16, 16\) does not depend on the images.*choose a layer that does"):
        seen.layout(network.get_submodule("table"))


def test_networks_without_gradients_are_believed() -> None:
    """Where nothing depends on the images, as far as gradients say, it is the gradients that are missing."""

    def without(net: Net, images: Tensor) -> object:
        with torch.no_grad():
            return net.conv(images).mean((2, 3))

    network = Net(without, conv=nn.Conv2d(3, 4, 4, 4))
    assert seen_in(network).layout(network.get_submodule("conv")) == Layout((4, 4))


def test_deep_networks() -> None:
    network = nn.Sequential(*(nn.Identity() for _ in range(3)), nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(2))
    deep = Net(
        lambda net, images: net.block(sum((images / 3000 for _ in range(3000)), torch.zeros(1))).mean((2, 3)),
        block=network,
    )
    assert seen_in(deep).layout(network) == Layout((2, 2))


def test_what_is_noted_of_a_layer() -> None:
    network = Net(
        lambda net, images: (
            net.one((net.twice(net.twice(images)),))[0] + net.two(images)[0] + net.pair(images)[1]
        ).mean((2, 3)),
        twice=nn.ReLU(),
        one=nn.Identity(),
        two=Net(lambda net, images: (images, 3)),
        pair=Net(lambda net, images: (images, images)),
        never=nn.ReLU(),
    )
    noted = {layer.name: (layer.shape, layer.calls, layer.output) for layer in seen_in(network).layers.values()}
    assert noted == {
        "twice": ((2, 3, 16, 16), 2, "a tensor"),
        "one": ((2, 3, 16, 16), 1, "a tensor"),  # alone in its tuple, as Captum takes it
        "two": ((2, 3, 16, 16), 1, "a tensor"),  # the only one in its tuple
        "pair": (None, 1, "a tuple (Tensor, Tensor)"),
    }


def test_what_a_layer_is_given() -> None:
    network = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.Flatten(), nn.Linear(80, 2))
    shapes = [layer.shape for layer in seen_in(network, at_input=True).layers.values()]
    assert shapes == [(2, 3, 16, 16), (2, 5, 4, 4), (2, 80)]


def test_places_that_the_output_depends_on() -> None:
    """Behind the first token nothing of the others is seen; the probabilities' sum has no gradient, they have."""
    tokens = nn.Flatten(2)
    network = Net(
        lambda net, images: torch.softmax(net.tokens(net.conv(images)).transpose(1, 2)[:, 0], dim=1),
        conv=nn.Conv2d(3, 4, 4, 4),
        tokens=tokens,
    )
    seen = seen_in(network)
    layouts = {tokens: Layout((3, 5), 3, 1, 1), network.get_submodule("conv"): Layout((4, 4))}
    assert seen.reached(layouts) == {network.get_submodule("conv")}


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_stays(fails: bool) -> None:
    def run(net: Net, images: Tensor) -> Tensor:
        result: Tensor = net.drop(net.conv(images)).mean((2, 3))
        if fails:
            raise RuntimeError("out of order")
        return result

    network = Net(run, conv=nn.Conv2d(3, 4, 4, 4), drop=nn.Dropout()).train()
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    images = IMAGES.clone()
    named = list(network.named_modules())
    if fails:
        with pytest.raises(RuntimeError, match="out of order"):
            observe(network, named, images)
    else:
        observe(network, named, images)
        assert torch.equal(torch.rand(1), expected)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert not images.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
