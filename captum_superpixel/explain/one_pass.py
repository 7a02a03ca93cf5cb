"""One pass of a network for both the prediction and the gradient, where a method needs no other pass than that."""

from __future__ import annotations

from typing import Any

from captum.attr import Attribution, InputXGradient, Saliency
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._seeds import seeded
from captum_superpixel.models.classifying import classify

__all__ = ["KeptPass", "classify_once", "takes_kept_pass", "with_kept_pass"]

_OF_ONE_PASS = (Saliency, InputXGradient)
"""Methods that run the network once, on the inputs as they are, and take the gradient of what it returns. Others set
hooks before they run it, or run it on other inputs."""


class KeptPass:
    """Inputs, and what a network returned for them, with the graph that leads from one to the other.

    It stands in for the network in a method, for one call with these very inputs: the graph is freed by the gradient
    that is taken. The network is run for all others.

    Args:
        network: From inputs ``(N, C, H, W)`` to logits ``(N, classes)``.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.inputs: Tensor | None = None
        self._outputs: Any = None

    def __len__(self) -> int:
        """How many inputs there are."""
        return 0 if self.inputs is None else len(self.inputs)

    def record(self, inputs: Tensor) -> Any:
        """Run the network, and keep what it returns."""
        self.inputs, self._outputs = inputs, self._network(inputs)
        return self._outputs

    def __call__(self, inputs: Tensor) -> Any:
        """Return what was kept, if that is of these inputs and nobody has taken it; else run the network."""
        outputs, self._outputs = self._outputs, None
        return self._network(inputs) if outputs is None or inputs is not self.inputs else outputs


def takes_kept_pass(method: Attribution) -> bool:
    """Whether a method takes the gradient of the prediction itself, in which case another pass would tell it nothing.

    Wrappers of these methods do not: views are other inputs, and what is explained may be copied.
    """
    return type(method) in _OF_ONE_PASS


def classify_once(model: nn.Module, inputs: Tensor, seed: int) -> tuple[Tensor, KeptPass | None]:
    """Run a network as :func:`~captum_superpixel.models.classifying.classify` does, and keep the graph.

    Args:
        model: From inputs ``(N, C, H, W)`` to logits ``(N, classes)``.
        inputs: ``(N, C, H, W)``.
        seed: Of networks that draw at random, so that the same is explained as by a pass of the method's own.

    Returns:
        The logits, and the pass; None for it if the network runs only without gradient, or there is no memory for one.

    Raises:
        InputError: If the network fails on the inputs.
    """
    kept = KeptPass(model)
    recording: Any = kept.record
    try:
        with seeded(seed):
            return classify(recording, inputs), kept
    except InputError:
        pass  # until it is gone, the error holds what the pass took memory for
    with seeded(seed):
        return classify(model, inputs, differentiable=False), None


def with_kept_pass(method: Attribution, kept: KeptPass) -> Attribution:
    """The same method, to be called with the inputs of a pass, which it takes the place of the network for."""
    return type(method)(kept)
