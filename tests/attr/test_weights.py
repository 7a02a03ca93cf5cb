import copy
import threading
import warnings
from typing import Any

import pytest
import torch
from captum.attr import LRP, InputXGradient, Saliency
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from captum_superpixel import perturbed_attributions
from captum_superpixel.attr._weights import PerturbedMethod


def drawn(network: nn.Module, method, seed: int = 0, strength: float = 0.3) -> PerturbedMethod:
    perturbed = PerturbedMethod(method, network)
    perturbed.perturb(strength, torch.Generator().manual_seed(seed))
    return perturbed


def output(perturbed: PerturbedMethod, inputs: Tensor) -> Tensor:
    with perturbed.active(), torch.no_grad():
        return perturbed.method.forward_func(inputs)


def by_hand(network: nn.Module, seed: int = 0, strength: float = 0.3) -> nn.Module:
    """A copy whose parameters are multiplied one after the other."""
    generator, other = torch.Generator().manual_seed(seed), copy.deepcopy(network)
    for parameter in other.parameters():
        parameter.data = parameter.data * (1 + strength * torch.randn(parameter.shape, generator=generator))
    return other


def of_layers() -> nn.Module:
    """Batch normalization with statistics, a depthwise convolution, layer normalization, and a frozen layer."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3, groups=4),
        nn.GELU(),
        nn.Flatten(),
        nn.LayerNorm(4 * 14 * 10),
        nn.Linear(4 * 14 * 10, 5),
    )
    network(torch.rand(8, 3, 16, 12))
    network[6].requires_grad_(False)
    return network.eval()


def of_attention() -> nn.Module:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.TransformerEncoderLayer(12, 2, 8, batch_first=True)
            self.recurrent = nn.LSTM(12, 5, batch_first=True)

        def forward(self, images: Tensor) -> Tensor:
            return self.recurrent(self.attention(images.flatten(1, 2)))[0][:, -1]

    return Network().eval()


def of_parametrization() -> nn.Module:
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Linear(3 * 16 * 12, 5))
    return nn.Sequential(nn.Flatten(), layer).eval()


@pytest.mark.parametrize("make", [of_layers, of_attention, of_parametrization])
@pytest.mark.parametrize("way", ["copy", "around", "uncopyable"])
def test_both_ways_multiply_every_parameter(images, make, way) -> None:
    network = make()
    before = network(images).detach()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    method = Saliency((lambda inputs: network(inputs)) if way == "around" else network)
    if way == "uncopyable":
        method.lock = threading.Lock()
    perturbed = drawn(network, method)
    assert (perturbed.method is method) == (way != "copy")
    expected = by_hand(network)
    torch.testing.assert_close(output(perturbed, images), expected(images).detach())
    with perturbed.active():
        maps = perturbed.method.attribute(images.detach().requires_grad_(), target=1)
    torch.testing.assert_close(maps, Saliency(expected).attribute(images, target=1))
    assert not torch.allclose(expected(images), before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    torch.testing.assert_close(network(images), before, rtol=0, atol=0)


def test_what_a_network_keeps_of_a_pass_is_put_back(images) -> None:
    """An old weight_norm puts a weight that was computed beside its parameters, and cannot be copied then."""
    with pytest.warns(FutureWarning, match="weight_norm"):
        layer = torch.nn.utils.weight_norm(nn.Linear(3 * 16 * 12, 5))
    network = nn.Sequential(nn.Flatten(), layer)
    before, kept = network(images).detach(), layer.weight
    method = Saliency(network)
    perturbed = drawn(network, method)
    assert perturbed.method is method
    assert not torch.allclose(output(perturbed, images), before)
    assert layer.weight is kept


def test_what_is_no_floating_point_number_is_left_alone(images) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = nn.Parameter(torch.tensor([3]), requires_grad=False)
            self.empty = nn.Parameter(torch.zeros(0))
            self.weight = nn.Parameter(torch.ones(2))
            self.register_buffer("scale", torch.tensor([2.0]))

        def forward(self, inputs: Tensor) -> Tensor:
            return self.count * self.scale * self.weight.sum() * inputs.flatten(1).sum(dim=1, keepdim=True)

    network = Network()
    for forward in (network, lambda inputs: network(inputs)):
        perturbed = drawn(network, Saliency(forward), seed=4)
        factors = 1 + 0.3 * torch.randn(2, generator=torch.Generator().manual_seed(4))
        torch.testing.assert_close(output(perturbed, images), network(images) * factors.sum() / 2)
    integers = nn.Module()
    integers.count = nn.Parameter(torch.tensor([3]), requires_grad=False)
    with pytest.raises(ValueError, match="Module has no parameters that could be perturbed"):
        PerturbedMethod(Saliency(network), integers)


@pytest.mark.parametrize("kind", ["parameter", "memory"])
@pytest.mark.parametrize("around", [False, True])
def test_tied_parameters_have_one_draw(images, kind, around) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(3 * 16 * 12, 1, bias=False), nn.Linear(3 * 16 * 12, 1, bias=False)
            if kind == "parameter":
                self.other.weight = self.one.weight
            else:
                self.other.weight.data = self.one.weight.data

        def forward(self, images: Tensor) -> Tensor:
            one, other = self.one(images.flatten(1)), self.other(images.flatten(1))
            return torch.cat([one - other, one], dim=1)

    network = Tied()
    method = Saliency((lambda inputs: network(inputs)) if around else network)
    difference = perturbed_attributions(method, network, images, target=0, strength=0.3).attributions
    assert not difference.any()
    alone = perturbed_attributions(method, network, images, target=1, strength=0.3).attributions
    assert (alone[0] - alone[1]).abs().max() > 0.01


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_factors_of_half_precision_are_not_rounded(dtype) -> None:
    """Near 1 bfloat16 has steps of 1/128: a strength of a tenth of that would be lost in the factors."""
    network = nn.Linear(2000, 1, bias=False).to(dtype)
    network.weight.data.fill_(1)
    perturbed = drawn(network, Saliency(network), strength=0.05)
    noise = torch.randn(
        1, 2000, generator=torch.Generator().manual_seed(0), dtype=torch.promote_types(dtype, torch.float32)
    )
    expected = (1 + 0.05 * noise).to(dtype)
    assert torch.equal(perturbed.method.forward_func.weight, expected)
    assert perturbed.method.forward_func.weight.dtype == dtype


class Kept(torch.autograd.Function):
    """Keeps its weight for the backward pass."""

    @staticmethod
    def forward(ctx, inputs: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return inputs * weight

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.saved_tensors[0], None


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        def square(inputs: Tensor) -> Tensor:
            return (inputs * self.weight).square()

        return Kept.apply(checkpoint(square, images, use_reentrant=False), self.weight).flatten(1).sum(1, keepdim=True)


def test_gradients_of_checkpoints_and_functions_of_a_users_own_are_of_the_copy(images) -> None:
    network = Checkpointed()
    perturbed = drawn(network, InputXGradient(network))
    weight = perturbed.method.forward_func.weight.detach()
    maps = perturbed.method.attribute(images.detach().requires_grad_(), target=0)
    torch.testing.assert_close(maps.detach(), 2 * images.detach() ** 2 * weight**3)
    assert weight != 1


def test_a_method_that_changes_weights_while_it_runs_changes_those_of_the_copy(net, images) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    draws = perturbed_attributions(LRP(net), net, images, target=1, strength=0.1, n_draws=2)
    assert not torch.allclose(*draws.attributions)
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(hasattr(module, "rule") for module in net.modules())


def test_modules_that_hold_a_function_of_the_network_are_not_copied(net, images) -> None:
    """A copied module would call the function, and by it the layers of the network itself."""
    original = net.linear.forward
    net.linear.forward = lambda inputs: 2 * original(inputs)
    method = Saliency(net)
    perturbed = drawn(net, method)
    assert perturbed.method is method
    other = by_hand(net)
    other.linear.forward = lambda inputs: 2 * nn.functional.linear(inputs, other.linear.weight, other.linear.bias)
    torch.testing.assert_close(output(perturbed, images), other(images).detach())


def test_programs_and_compiled_networks(net, images) -> None:
    expected = output(drawn(net, Saliency(net)), images)
    program = torch.export.export(net, (images.detach(),)).module()
    torch.testing.assert_close(output(drawn(net, Saliency(torch.compile(net, backend="eager"))), images), expected)
    names = [name for name, _ in net.named_parameters()]
    assert names == [name for name, _ in program.named_parameters()]
    torch.testing.assert_close(output(drawn(program, Saliency(program)), images), expected)
    torch.testing.assert_close(output(drawn(program, Saliency(lambda inputs: program(inputs))), images), expected)


class _Sharing(nn.Module):
    """Calls a layer by a function that copies share, as none of its attributes is: in a dictionary, by a default."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.scale, self.head = nn.Parameter(torch.ones(1)), nn.Linear(4, 2, bias=False)
        by = {
            "dictionary": {"call": lambda x: self.head(x)},
            "list": [lambda x: self.head(x)],
            "default": lambda x, head=self.head: head(x),
            "closure": (lambda call: lambda x: call(x))(lambda x: self.head(x)),
        }
        self.functions = by[how]

    def forward(self, images: Tensor) -> Tensor:
        functions: Any = self.functions
        call = (
            functions["call"]
            if isinstance(functions, dict)
            else functions[0]
            if isinstance(functions, list)
            else functions
        )
        return self.scale * call(images.flatten(1))


@pytest.mark.parametrize("how", ["dictionary", "list", "default", "closure"])
def test_layers_that_a_copy_would_share_are_perturbed_too(how: str) -> None:
    network = _Sharing(how).eval()
    images = torch.rand(1, 1, 2, 2)
    options: dict[str, Any] = {"target": 0, "n_draws": 3, "strength": 0.3, "views": False}
    draws = perturbed_attributions(Saliency(network), network, images, abs=False, **options).attributions.flatten(1)
    ratios = draws[1] / draws[0]
    # Of the scale alone all elements would change by the same factor.
    assert ratios.std() > 0.01
    assert torch.equal(network.scale, torch.ones(1))


def test_scripted_parts_behind_a_function_are_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.Linear(3, 2))
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), scripted).eval()
    with pytest.raises(ValueError, match="Sequential has parameters in TorchScript"):
        perturbed_attributions(Saliency(lambda x: network(x)), network, torch.rand(1, 1, 2, 2), target=0, strength=0.1)


def test_numbers_of_8_bits_are_left_as_they_are() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    network.register_parameter("small", nn.Parameter(torch.ones(3).to(torch.float8_e4m3fn), requires_grad=False))
    weights = PerturbedMethod(Saliency(network), network)
    weights.perturb(0.5, torch.Generator().manual_seed(0))
    copied: Any = weights.method.forward_func
    assert copied.small.float().tolist() == [1.0] * 3
    assert not torch.equal(copied[1].weight, network[1].weight)
