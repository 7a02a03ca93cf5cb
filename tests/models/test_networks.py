"""The networks: their layout, their weights, and that Captum's hooking methods work on them."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as functional
from captum.attr import LRP, DeepLift, GuidedBackprop
from torch import Tensor, nn

from captum_superpixel.models import networks
from captum_superpixel.models.networks import (
    BasicBlock,
    CifarResNet,
    PaddedShortcut,
    ResNet,
    SmallCNN,
    cifar_resnet,
    resnet18,
    resnet20,
    small_cnn,
    squeezenet1_0,
)

FACTORIES = [small_cnn, resnet18, resnet20, squeezenet1_0]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(1))


def warmed_up(network: nn.Module, images: Tensor) -> nn.Module:
    """Batch statistics set by a forward pass, then evaluation mode."""
    network.train()(images)
    return network.eval()


def test_shapes_of_the_logits(images: Tensor) -> None:
    assert small_cnn(7)(images).shape == (3, 7)
    assert small_cnn()(images[:, :, :16, :20]).shape == (3, 10)
    assert resnet18()(images).shape == (3, 1000)


def test_resnet18_is_the_resnet18_of_the_paper() -> None:
    """11.7 million parameters; and the names that published weights have."""
    state = resnet18().state_dict()
    parameters = {name for name, _ in resnet18().named_parameters()}
    assert sum(state[name].numel() for name in parameters) == 11_689_512
    assert len(state) == 122
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer4.1.bn2.running_mean"].shape == (512,)
    assert state["fc.weight"].shape == (1000, 512)


def test_resnet_of_other_depth(images: Tensor) -> None:
    network = ResNet((1, 2, 1), (4, 8, 16), num_classes=5)
    assert network(images).shape == (3, 5)
    assert len(network.get_submodule("layer2")) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_cifar_resnets_have_the_size_of_the_paper(depth: int, millions: float) -> None:
    """Table 6 of He et al. counts the parameters; the shortcuts have none."""
    network = cifar_resnet(depth)
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.03)
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules()) == depth


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_cifar_resnets_by_name(depth: int) -> None:
    first = getattr(networks, f"resnet{depth}")(7, generator=torch.Generator().manual_seed(0))
    second = cifar_resnet(depth, 7, generator=torch.Generator().manual_seed(0))
    assert first.state_dict().keys() == second.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert first.linear.out_features == 7


def test_cifar_resnet_has_the_keys_of_published_weights() -> None:
    suffixes = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = {"conv1.weight", *(f"bn1.{suffix}" for suffix in suffixes), "linear.weight", "linear.bias"}
    for block in (f"layer{stage}.{number}" for stage in (1, 2, 3) for number in range(3)):
        for layer in (1, 2):
            expected |= {f"{block}.conv{layer}.weight", *(f"{block}.bn{layer}.{suffix}" for suffix in suffixes)}
    assert set(resnet20().state_dict()) == expected


@pytest.mark.parametrize("depth", [2, 7, 18, 21])
def test_depths_that_no_cifar_resnet_has(depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth={depth} is not the depth"):
        CifarResNet(depth)


def test_cifar_resnet_against_its_definition() -> None:
    """Section 4.2 of He et al., written out over the state dict."""
    generator = torch.Generator().manual_seed(0)
    network = warmed_up(cifar_resnet(14, 5, generator=generator), torch.rand(8, 3, 32, 32, generator=generator))
    state = network.state_dict()

    def layer(x: Tensor, convolution: str, norm: str, stride: int = 1) -> Tensor:
        x = functional.conv2d(x, state[f"{convolution}.weight"], stride=stride, padding=1)
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return functional.batch_norm(x, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"])

    images = torch.rand(3, 3, 32, 32, generator=generator)
    x = layer(images, "conv1", "bn1").relu()
    for stage, width in ((1, 16), (2, 32), (3, 64)):
        for block in (f"layer{stage}.0", f"layer{stage}.1"):
            halve = stage > 1 and block.endswith("0")
            residual = layer(x, f"{block}.conv1", f"{block}.bn1", 2 if halve else 1).relu()
            residual = layer(residual, f"{block}.conv2", f"{block}.bn2")
            if halve:
                zeros = torch.zeros(3, width // 4, *residual.shape[2:])
                x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)
            x = (x + residual).relu()
    logits = functional.linear(x.mean((2, 3)), state["linear.weight"], state["linear.bias"])
    assert torch.allclose(network(images), logits, rtol=1e-4, atol=1e-5)


def test_shortcut_takes_every_second_pixel_and_pads_channels() -> None:
    image = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]).view(1, 1, 4, 4)
    shortcut = PaddedShortcut.between(1, 3, 2)
    assert shortcut is not None
    expected = torch.zeros(1, 3, 2, 2)
    expected[0, 1] = torch.tensor([[1, 3], [9, 11]])
    assert torch.equal(shortcut(image), expected)
    assert PaddedShortcut.between(16, 16, 1) is None


def test_block_without_residual_is_the_shortcut() -> None:
    block = BasicBlock(2, 2).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.tensor([-1.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 3, 3)
    assert torch.equal(block(x), x.clamp(min=0))


@pytest.mark.parametrize("factory", FACTORIES)
def test_weights_come_from_the_generator_only(factory: Callable[..., nn.Module]) -> None:
    before = torch.get_rng_state()
    first, again, other = (factory(generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    for (name, a), b in zip(first.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b), name
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("factory", FACTORIES)
def test_no_module_is_used_twice_and_no_relu_in_place(factory: Callable[..., nn.Module], images: Tensor) -> None:
    network = factory().eval()
    calls: Counter[str] = Counter()
    for name, module in network.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: calls.update([name]))
        assert not getattr(module, "inplace", False)
    network(images[:1])
    assert set(calls.values()) == {1}


def test_deep_lift_is_complete(images: Tensor) -> None:
    network = warmed_up(small_cnn(generator=torch.Generator().manual_seed(0)), images).double()
    inputs, baselines = images.double().requires_grad_(), torch.full_like(images, 0.5, dtype=torch.float64)
    with pytest.warns(UserWarning, match="hooks"):
        attributions = DeepLift(network).attribute(inputs, baselines, target=2)
    difference = (network(inputs) - network(baselines))[:, 2]
    assert torch.allclose(attributions.sum((1, 2, 3)), difference, rtol=1e-6)


def test_lrp_and_guided_backpropagation(images: Tensor) -> None:
    network = warmed_up(small_cnn(generator=torch.Generator().manual_seed(0)), images)
    inputs = images.clone().requires_grad_()
    assert LRP(network).attribute(inputs, target=2).abs().amax((1, 2, 3)).min() > 0
    with pytest.warns(UserWarning, match="hooks"):
        guided = GuidedBackprop(network).attribute(inputs, target=2)
    gradient = torch.autograd.grad(network(inputs)[:, 2].sum(), inputs)[0]
    assert guided.abs().amax((1, 2, 3)).min() > 0
    assert not torch.allclose(guided, gradient)


def test_first_convolution_covers_all_pixels_equally() -> None:
    """A kernel that its stride does not divide would print a checkerboard on every gradient."""
    stem = SmallCNN().features[0]
    nn.init.ones_(stem.weight)
    image = torch.zeros(1, 3, 12, 12, requires_grad=True)
    gradient = torch.autograd.grad(stem(image).sum(), image)[0]
    assert gradient[:, :, 1:-1, 1:-1].unique().numel() == 1
