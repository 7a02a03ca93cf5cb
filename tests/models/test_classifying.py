"""Networks that users bring: which outputs are logits, and what the errors say."""

import pytest
import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel.models.classifying import classify


class Returns(nn.Module):
    """Returns what it was made with, made to depend on the input."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output

    def forward(self, images: Tensor) -> object:
        return self.output + 0 * images.sum() if isinstance(self.output, Tensor) else self.output


class Detached(nn.Module):
    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_logits_are_what_the_network_returns(count: int, differentiable: bool) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
    images = torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    logits = classify(network, images, differentiable=differentiable)
    assert torch.equal(logits, network(images))
    assert not logits.requires_grad
    assert not images.requires_grad


@pytest.mark.parametrize("differentiable", [False, True])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Returns({"logits": 1}), r"^The network returns a dict for .* tensor of shape \(2, classes\)"),
        (Returns(torch.zeros(10)), r"of shape \(10,\) for an input of shape \(2, 3, 4, 4\)"),
        (Returns(torch.zeros(1, 10)), r"shape \(1, 10\) .* shape \(2, classes\)"),
        (Returns(torch.zeros(3, 10)), r"shape \(3, 10\)"),
        (Returns(torch.zeros(2, 10, 4, 4)), r"shape \(2, 10, 4, 4\)"),
        (Returns(torch.zeros(2, 0)), r"shape \(2, 0\)"),
        (Returns(torch.tensor([[0, 1], [float("nan"), 1]])), "NaN or infinite"),
        (nn.Linear(5, 2), r"^The network fails on an input of shape \(2, 3, 4, 4\) \(RuntimeError.* of this shape\.$"),
    ],
)
def test_bad_outputs(model: nn.Module, message: str, differentiable: bool) -> None:
    with pytest.raises(InputError, match=message) as caught:
        classify(model, torch.zeros(2, 3, 4, 4), differentiable=differentiable)
    assert "\n" not in str(caught.value)


def test_gradients_are_needed_only_where_asked_for() -> None:
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"The network's output has no gradient .* torch\.no_grad"):
        classify(Detached(), images)
    assert torch.equal(classify(Detached(), images, differentiable=False), images.mean((2, 3)))


def test_nothing_is_recorded_where_no_gradient_is_asked_for() -> None:
    class Records(nn.Flatten):
        def forward(self, images: Tensor) -> Tensor:
            recorded.append((torch.is_grad_enabled(), images.requires_grad))
            return super().forward(images)

    recorded: list[tuple[bool, bool]] = []
    with torch.no_grad():
        for differentiable in (False, True):
            classify(Records(), torch.zeros(1, 3, 1, 1), differentiable=differentiable)
    assert recorded == [(False, False), (True, True)]


def test_messages_take_the_callers_words() -> None:
    with pytest.raises(InputError, match=r"^small_cnn fails .* of this shape; --size sets it\.$"):
        classify(nn.Linear(5, 2), torch.zeros(1, 3, 4, 4), name="small_cnn", hint="--size sets it")
    with pytest.raises(InputError, match=r"^small_cnn returns a list"):
        classify(Returns([]), torch.zeros(1, 3, 4, 4), name="small_cnn")
