"""The networks: their layout, their weights, and that Captum's hooking methods work on them."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from captum.attr import LRP, DeepLift, GuidedBackprop
from torch import Tensor, nn

from captum_superpixel.study.networks import BasicBlock, ResNet, SmallCNN, resnet18, small_cnn

FACTORIES = [small_cnn, resnet18]


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


def test_weights_have_the_variance_of_he_et_al() -> None:
    weight = resnet18(generator=torch.Generator().manual_seed(0)).get_submodule("layer3.1.conv1").weight
    assert isinstance(weight, Tensor)
    assert weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.01)


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
    """A kernel that its stride does not divide would print a chequerboard on every gradient."""
    stem = SmallCNN().features[0]
    nn.init.ones_(stem.weight)
    image = torch.zeros(1, 3, 12, 12, requires_grad=True)
    gradient = torch.autograd.grad(stem(image).sum(), image)[0]
    assert gradient[:, :, 1:-1, 1:-1].unique().numel() == 1
