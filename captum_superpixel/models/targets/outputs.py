"""Several outputs of a classifier at once: their sum, their mean, or what speaks for one rather than the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError, checked_choice, checked_integer, listed
from captum_superpixel._networks import first_logits, logits_of_images

__all__ = ["OutputsTarget"]


class OutputsTarget(nn.Module):
    """One number for each image, made of several of a network's outputs.

    The result is a network like any other: attribute to it without ``target=``.

    Args:
        network: From images to outputs ``(N, K)``, or to an object or dictionary with ``logits``.
        outputs: Their indices, from 0 to K - 1, each once.
        combine: ``"sum"`` or ``"mean"`` of them, such as all breeds of dogs; or ``"difference"``, the first less the
            mean of the others: what speaks for a class rather than for another.

    Raises:
        TypeError: If the outputs are no sequence, or an index is not an integer.
        InputError: If there are no outputs, or one twice, or for a difference less than two.

    Examples:
        >>> network = nn.Flatten()
        >>> OutputsTarget(network, [2, 0], combine="difference")(torch.tensor([[1.0, 2.0, 5.0]]))
        tensor([4.])
        >>> OutputsTarget(network, [0, 1, 2], combine="sum")(torch.tensor([[1.0, 2.0, 5.0]]))
        tensor([8.])
    """

    weights: Tensor

    def __init__(
        self, network: nn.Module, outputs: Sequence[int], *, combine: Literal["sum", "mean", "difference"]
    ) -> None:
        super().__init__()
        if not isinstance(outputs, Iterable):
            raise TypeError(f"outputs must be a sequence of indices, but {outputs!r} was passed: write [{outputs!r}]")
        self.network = network
        self.outputs = tuple(checked_integer("an output", index, minimum=0) for index in outputs)
        checked_choice("combine", combine, ("sum", "mean", "difference"))
        count = len(self.outputs)
        if count != len(set(self.outputs)) or not count:
            raise InputError(f"The outputs {listed(self.outputs) or 'that were passed'} are none, or hold one twice.")
        if combine == "difference" and count < 2:
            raise InputError(
                f"The difference of {count} output is none: pass the one that is explained, and those that it is "
                "compared with."
            )
        weights = torch.full((count,), 1.0 if combine == "sum" else 1 / count)
        if combine == "difference":
            weights = torch.tensor([1.0] + [-1 / (count - 1)] * (count - 1))
        self.register_buffer("weights", weights)

    def forward(self, images: Tensor) -> Tensor:
        """Return the combined output.

        Args:
            images: ``(N, C, H, W)``.

        Returns:
            ``(N,)``.

        Raises:
            InputError: If the network does not return ``(N, K)``, or there is no such output.
        """
        try:
            logits = first_logits(logits_of_images(self.network(images), len(images)))
        except ValueError as error:
            raise InputError(f"The outputs cannot be combined: {error}.") from error
        if logits.ndim != 2 or len(logits) != len(images):
            raise InputError(
                f"The network returns outputs of shape {tuple(logits.shape)} for {len(images)} images; those that can "
                f"be combined are ({len(images)}, K)."
            )
        if max(self.outputs) >= logits.shape[1]:
            raise InputError(
                f"The output {max(self.outputs)} is none of this network, which has {logits.shape[1]}, from 0 on."
            )
        return logits[:, list(self.outputs)] @ self.weights.to(logits)
