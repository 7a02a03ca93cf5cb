"""What the outputs of a network are, and how they become probabilities: by softmax, by sigmoid, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError

__all__ = ["ACTIVATIONS", "Activation", "Outputs", "read_outputs"]

Activation: TypeAlias = Literal["softmax", "sigmoid", "none"]
Quantity: TypeAlias = Literal["logit", "probability", "log-probability", "value"]

ACTIVATIONS: tuple[Activation, ...] = ("softmax", "sigmoid", "none")
"""Classes of which one holds; outputs that each hold or do not; and outputs that are no matter of probability."""

_BY_PROBLEM: dict[str, Activation] = {
    "single_label_classification": "softmax",
    "multi_label_classification": "sigmoid",
    "regression": "none",
}
"""What ``problem_type`` in the configuration of a ``transformers`` network means."""

_LAYOUT = re.compile(
    r"(Unsafe)?View|ReshapeAlias|Squeeze|Unsqueeze|Select|Slice|Alias|Clone|ToCopy|Permute|Transpose|T|Expand|"
    r"Mean|AdaptiveAvgPool2D|MkldnnAdaptiveAvgPool2D|AvgPool2D"
)
"""Operations that move or average numbers, and so leave probabilities what they are."""
_UNBOUNDED = re.compile(r"Addmm|Mm|Bmm|Addmv|Mv|Baddbmm|Convolution|MkldnnConvolution|Relu|LeakyRelu|Threshold|Linear")
_ENDS = {"Sigmoid": "sigmoid", "Softmax": "softmax", "LogSoftmax": "log_softmax"}
_SCRIPTED = {
    "aten::sigmoid": "sigmoid",
    "aten::softmax": "softmax",
    "aten::log_softmax": "log_softmax",
    "aten::linear": "unbounded",
    "aten::addmm": "unbounded",
    "aten::relu": "unbounded",
    "aten::conv2d": "unbounded",
    "aten::_convolution": "unbounded",
}
"""What the operations of TorchScript are, of which autograd records nothing once a program was optimized."""
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Outputs:
    """How the outputs of a network are read, the same for every photograph.

    Attributes:
        count: How many there are for an image.
        activation: What makes probabilities of them, or has made them.
        quantity: What they are, and so what is explained.
    """

    count: int
    activation: Activation = "softmax"
    quantity: Quantity = "logit"

    def probabilities(self, outputs: Tensor) -> Tensor | None:
        """Probabilities of outputs, or None where these are no matter of probability.

        Args:
            outputs: ``(N, count)``.

        Returns:
            ``(N, count)`` float64.

        Raises:
            InputError: If outputs that were taken for probabilities are none for these images.

        Examples:
            >>> Outputs(2, "sigmoid").probabilities(torch.tensor([[0.0, 100.0]])).tolist()
            [[0.5, 1.0]]
        """
        values = outputs.detach().double()
        if self.activation == "none" or (self.activation == "softmax" and self.count == 1):
            return None
        if self.quantity != "probability":
            return torch.softmax(values, dim=1) if self.activation == "softmax" else torch.sigmoid(values)
        low, high = float(values.min()), float(values.max())
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            raise InputError(
                "The network's outputs were within [0, 1] for pictures of noise, and were taken for probabilities, but "
                f"for this photograph they range from {low:.4g} to {high:.4g}: say by --activation what they are."
            )
        return values.clamp(0, 1)

    def describe(self) -> str:
        """Say what the outputs are, where it is not the usual: logits of classes of which one holds; else nothing."""
        if self.activation == "none":
            what = "output is a number" if self.count == 1 else "outputs are numbers"
            return f"the network's {what}, and no probability; --activation says otherwise"
        each = "of its own for each class" if self.count > 1 else "of what the one output stands for"
        sums = f"a probability {each}" if self.activation == "sigmoid" else "the probabilities of the classes"
        if self.quantity == "logit":
            logits = f"the network's logits become {sums} by sigmoid; the logit is explained"
            return logits if self.activation == "sigmoid" else ""
        if self.quantity == "log-probability":
            return "the network's outputs are log-probabilities, which are explained"
        return f"the network's {'outputs are' if self.count > 1 else 'output is'} {sums}, which is explained"


def read_outputs(
    model: nn.Module, probes: Tensor, activation: Activation | None = None, *, option: str = "--activation"
) -> Outputs:
    """Find out what the outputs of a network are.

    The caller's word comes first; then the ``problem_type`` of a ``transformers`` network; then the last operation of
    the network, as autograd recorded it; then the outputs for the probes: all of them within [0, 1], or with a sum of
    1. Probabilities that the network makes itself are not made again.

    Args:
        model: From images to outputs ``(N, outputs)``, in evaluation mode.
        probes: ``(N, C, H, W)``, pictures as different as can be; the network is given one at a time.
        activation: What the caller says; None for what can be found out.
        option: What the caller's word is called in messages.

    Raises:
        InputError: If the caller's word contradicts the network.
    """
    last = _last_operation(model, probes[:1])
    found = _from_values(_evaluate(model, probes), last)
    if activation is None:
        return _told_by_configuration(model, found)
    if activation == "softmax" and (found.count == 1 or last == "sigmoid"):
        why = "has one output, whose softmax is always 1" if found.count == 1 else "ends in a sigmoid"
        raise InputError(f"{option} softmax: the network {why}; pass sigmoid, or none for a number.")
    if activation == "sigmoid" and found.activation == "softmax" and found.quantity != "logit":
        raise InputError(
            f"{option} sigmoid: the network's outputs are {found.quantity[:-1]}ies of classes of which one holds, made "
            "by softmax; pass softmax."
        )
    return _as_told(found, activation)


@torch.no_grad()
def _evaluate(model: nn.Module, probes: Tensor) -> Tensor:
    """Outputs ``(P, outputs)`` float64 for those of the probes that the network takes, the first among them."""
    values = [model(probes[:1]).detach().double().cpu()]
    for probe in torch.split(probes[1:], 1):
        # A network may refuse pictures of one color, or return NaN for them.
        try:
            value = model(probe).detach().double().cpu()
        except Exception:
            continue
        if value.shape == values[0].shape and torch.isfinite(value).all():
            values.append(value)
    return torch.cat(values)


def _as_told(found: Outputs, activation: Activation) -> Outputs:
    if activation == "none":
        return Outputs(found.count, "none", "value")
    return found if found.activation == activation else Outputs(found.count, activation, "logit")


def _told_by_configuration(model: nn.Module, found: Outputs) -> Outputs:
    problem = problem_type(model)
    told = None if problem is None else _BY_PROBLEM[problem]
    if told is None or (told == "softmax" and found.count == 1) or found.quantity == "log-probability":
        return found
    # What is within [0, 1] for every probe by chance, or by the network's doing, is no matter of a configuration.
    return found if found.quantity == "probability" and told != "none" else _as_told(found, told)


def problem_type(model: nn.Module) -> str | None:
    """``problem_type`` of a ``transformers`` network, or of the one that a classifier of ours holds, if it is known."""
    for module in (model, getattr(model, "network", None)):
        problem = getattr(getattr(module, "config", None), "problem_type", None)
        if isinstance(problem, str) and problem in _BY_PROBLEM:
            return problem
    return None


def _from_values(values: Tensor, last: str | None) -> Outputs:
    count = values.shape[1]
    within = bool((values > -_TOLERANCE).all() and (values < 1 + _TOLERANCE).all())
    if count == 1:
        probable = within and (last == "sigmoid" or (last is None and float(values.max()) > float(values.min())))
        return Outputs(1, "sigmoid", "probability") if probable else Outputs(1, "none", "value")
    if last == "unbounded":
        return Outputs(count)
    if within and bool(((values.sum(dim=1) - 1).abs() < _TOLERANCE).all()):
        return Outputs(count, "softmax", "probability")
    if within:
        return Outputs(count, "sigmoid", "probability")
    logarithms = bool((values < _TOLERANCE).all()) and bool((values.logsumexp(dim=1).abs() < _TOLERANCE).all())
    return Outputs(count, "softmax", "log-probability" if logarithms else "logit")


def _last_operation(model: nn.Module, inputs: Tensor) -> str | None:
    """What the outputs come from, but for operations that move or average numbers; None where it cannot be known."""
    program = getattr(model, "network", None)
    if isinstance(program, torch.jit.ScriptModule):
        returned = next(program.inlined_graph.outputs(), None)
        return None if returned is None else _SCRIPTED.get(returned.node().kind())
    # A network without gradient, or a program that hides its operations, may raise anything.
    try:
        with torch.enable_grad():
            step = model(inputs.detach().clone().requires_grad_()).grad_fn
    except Exception:
        return None
    while step is not None:
        name = re.sub(r"Backward\d*$", "", step.name())
        if name in _ENDS:
            return _ENDS[name]
        if _UNBOUNDED.fullmatch(name):
            return "unbounded"
        if not _LAYOUT.fullmatch(name):
            return None
        step = next((before for before, _ in step.next_functions if before is not None), None)
    return None
