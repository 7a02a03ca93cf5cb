"""What outputs are: by their last operation, by their values, by the configuration, and by the caller's word."""

import re
import types
import warnings

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.models.activation import Activation, Outputs, read_outputs
from captum_superpixel.models.programs import Program

PROBES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def body(outputs: int, bias: float = 0.0, scale: float = 1.0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, outputs)
        )
    nn.init.constant_(net[4].bias, bias)
    net[4].weight.data *= scale
    return net.eval()


class Ends(nn.Module):
    """A network that ends in a function."""

    def __init__(self, net: nn.Module, function) -> None:
        super().__init__()
        self.net, self.function = net, function

    def forward(self, images: Tensor) -> Tensor:
        return self.function(self.net(images))


def detached(net: nn.Module) -> Ends:
    return Ends(net, lambda outputs: outputs.detach().clone())


CASES = [
    (body(3), ("softmax", "logit")),
    # Logits that all lie within [0, 1], which is chance: a linear layer bounds nothing.
    (body(3, bias=0.5, scale=0.01), ("softmax", "logit")),
    (nn.Sequential(body(3), nn.Softmax(1)), ("softmax", "probability")),
    (Ends(body(3), lambda z: z.softmax(1)), ("softmax", "probability")),
    (nn.Sequential(body(3), nn.LogSoftmax(1)), ("softmax", "log-probability")),
    (nn.Sequential(body(3), nn.Sigmoid()), ("sigmoid", "probability")),
    (Ends(body(3), lambda z: z.sigmoid().view(-1, 3)), ("sigmoid", "probability")),
    (Ends(body(3), lambda z: z.sigmoid() / 1), ("sigmoid", "probability")),
    (detached(nn.Sequential(body(3), nn.Softmax(1))), ("softmax", "probability")),
    (detached(nn.Sequential(body(3), nn.LogSoftmax(1))), ("softmax", "log-probability")),
    (detached(nn.Sequential(body(3), nn.Sigmoid())), ("sigmoid", "probability")),
    (detached(body(3, bias=2.0)), ("softmax", "logit")),
    # One of two classes, whose probabilities are put together by the network.
    (Ends(body(1), lambda z: torch.cat([z.sigmoid(), 1 - z.sigmoid()], 1)), ("softmax", "probability")),
    (nn.Sequential(body(1), nn.Sigmoid()), ("sigmoid", "probability")),
    (detached(nn.Sequential(body(1), nn.Sigmoid())), ("sigmoid", "probability")),
    (body(1, bias=0.5, scale=0.01), ("none", "value")),
    (nn.Sequential(body(1), nn.Softmax(1)), ("none", "value")),
    (
        nn.Sequential(nn.Conv2d(3, 2, 3), nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        ("sigmoid", "probability"),
    ),
    (nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()), ("softmax", "logit")),
]


@pytest.mark.parametrize(("network", "expected"), CASES)
def test_outputs_are_what_they_are(network: nn.Module, expected: tuple[str, str]) -> None:
    outputs = read_outputs(network, PROBES)
    assert (outputs.activation, outputs.quantity) == expected
    with torch.no_grad():
        values = network(PROBES)
    assert outputs.count == values.shape[1]
    probabilities = outputs.probabilities(values)
    if expected[0] == "none":
        assert probabilities is None
    else:
        assert probabilities is not None
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        assert expected[0] == "sigmoid" or torch.allclose(probabilities.sum(1), torch.ones(6, dtype=torch.float64))


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (nn.Identity(), ("softmax", "logit")),
        (nn.Sigmoid(), ("sigmoid", "probability")),
        (nn.Softmax(1), ("softmax", "probability")),
    ],
)
def test_programs_say_how_they_end(end: nn.Module, expected: tuple[str, str]) -> None:
    network = nn.Sequential(body(3, bias=0.5, scale=0.01), end).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        programs = [
            torch.jit.script(network),
            torch.jit.trace(network, PROBES[:1]),
            torch.export.export(network, (PROBES[:1],)),
        ]
    for program in map(Program, programs):
        for _ in range(3):  # TorchScript optimizes itself from the second call on
            program(PROBES[:1].clone().requires_grad_())
        outputs = read_outputs(program, PROBES)
        assert (outputs.activation, outputs.quantity) == expected


def test_probabilities_against_torch() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5]])
    for quantity in ("logit", "log-probability"):
        given = torch.log_softmax(logits, 1) if quantity == "log-probability" else logits
        torch.testing.assert_close(Outputs(3, "softmax", quantity).probabilities(given), logits.double().softmax(1))
    torch.testing.assert_close(Outputs(3, "sigmoid").probabilities(logits), logits.double().sigmoid())
    given = torch.tensor([[0.9, 0.8, 0.1]])
    torch.testing.assert_close(Outputs(3, "sigmoid", "probability").probabilities(given), given.double())
    assert Outputs(3, "none", "value").probabilities(logits) is None


def test_what_was_taken_for_probabilities_and_is_none() -> None:
    with pytest.raises(InputError, match=r"they range from -2 to 1: say by --activation"):
        Outputs(3, "sigmoid", "probability").probabilities(torch.tensor([[1.0, -2.0, 0.5]]))


@pytest.mark.parametrize(
    ("problem", "outputs", "expected"),
    [
        ("multi_label_classification", 3, ("sigmoid", "logit")),
        ("single_label_classification", 3, ("softmax", "logit")),
        ("regression", 3, ("none", "value")),
        ("regression", 1, ("none", "value")),
        ("multi_label_classification", 1, ("sigmoid", "logit")),
        ("single_label_classification", 1, ("none", "value")),
        (None, 3, ("softmax", "logit")),
        ("something new", 3, ("softmax", "logit")),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_configuration_of_transformers(
    problem: str | None, outputs: int, expected: tuple[str, str], wrapped: bool
) -> None:
    network: nn.Module = body(outputs)
    network.config = types.SimpleNamespace(problem_type=problem)
    if wrapped:
        inner, network = network, Ends(network, lambda z: z)
        network.network = inner
    found = read_outputs(network, PROBES)
    assert (found.activation, found.quantity) == expected


def test_the_caller_comes_before_the_configuration() -> None:
    network = body(3)
    network.config = types.SimpleNamespace(problem_type="regression")
    assert read_outputs(network, PROBES, "sigmoid") == Outputs(3, "sigmoid", "logit")
    assert read_outputs(network, PROBES, "softmax") == Outputs(3, "softmax", "logit")


def test_what_the_network_did_is_not_done_again() -> None:
    assert read_outputs(nn.Sequential(body(3), nn.Sigmoid()), PROBES, "sigmoid") == Outputs(3, "sigmoid", "probability")
    assert read_outputs(nn.Sequential(body(3), nn.Softmax(1)), PROBES, "softmax").quantity == "probability"
    assert read_outputs(nn.Sequential(body(3), nn.Sigmoid()), PROBES, "none") == Outputs(3, "none", "value")
    assert read_outputs(body(1), PROBES, "sigmoid") == Outputs(1, "sigmoid", "logit")


@pytest.mark.parametrize(
    ("network", "activation", "message"),
    [
        (body(1), "softmax", "--activation softmax: the network has one output, whose softmax is always 1"),
        (nn.Sequential(body(3), nn.Sigmoid()), "softmax", "--activation softmax: the network ends in a sigmoid"),
        (nn.Sequential(body(3), nn.Softmax(1)), "sigmoid", "outputs are probabilities of classes of which one holds"),
        (nn.Sequential(body(3), nn.LogSoftmax(1)), "sigmoid", "outputs are log-probabilities of classes"),
    ],
)
def test_words_that_contradict_the_network(network: nn.Module, activation: Activation, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read_outputs(network, PROBES, activation)


def test_probes_that_the_network_refuses_do_not_count() -> None:
    def picky(images: Tensor) -> Tensor:
        if images.std() == 0:
            raise RuntimeError("not flat")
        return images.mean((2, 3)).sigmoid()

    probes = torch.cat([PROBES, torch.zeros(1, 3, 8, 8)])
    assert read_outputs(Ends(nn.Identity(), picky), probes) == Outputs(3, "sigmoid", "probability")
