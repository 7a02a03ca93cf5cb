"""Whether a map adds up to what it should: the change of the output from the baseline to the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from captum.attr import Attribution
from torch import Tensor

from captum_superpixel._float64 import widen
from captum_superpixel._networks import first_logits

__all__ = ["COMPLETE", "Completeness", "check_completeness"]

COMPLETE = ("IntegratedGradients", "DeepLift", "DeepLiftShap", "LRP")
"""The methods whose maps add up exactly, in theory, by names of ``attr.methods.METHODS``.

Those of GradientShap do so on average over its draws alone, and those of layers only where all that is computed
goes through the layer.
"""


@dataclass(frozen=True)
class Completeness:
    """What a map adds up to, and what it should.

    Attributes:
        total: Sum of the map.
        change: The output of the image less that of the baseline; of several baselines, less their mean. For LRP, which
            distributes the output itself, that.
    """

    total: float
    change: float

    @property
    def missed(self) -> float:
        """How far the sum is from the change, in parts of the change: 0 for a complete map, infinite for a change of 0.

        Examples:
            >>> Completeness(total=3.0, change=4.0).missed
            0.25
        """
        gap = abs(self.total - self.change)
        return gap / abs(self.change) if self.change else float("inf") if gap else 0.0


@torch.no_grad()
def check_completeness(
    name: str, method: Attribution, inputs: Tensor, maps: Tensor, options: Mapping[str, Any]
) -> list[Completeness]:
    """Compare the sums of maps with the changes of the outputs, which takes one or two passes of the network.

    Args:
        name: Of the method, in ``COMPLETE``.
        method: What ``attr.methods.make_method`` made.
        inputs: ``(N, C, H, W)``.
        maps: Of the inputs, ``(N, C, H, W)``.
        options: The arguments that the maps were made with.

    Returns:
        One for each image.

    Examples:
        >>> from captum.attr import IntegratedGradients
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> method, image = IntegratedGradients(network), torch.ones(1, 1, 2, 2)
        >>> maps = method.attribute(image, target=1)
        >>> (found,) = check_completeness("IntegratedGradients", method, image, maps, {"target": 1})
        >>> found.missed < 1e-5
        True
    """
    count = len(inputs)
    after = _outputs(method, inputs, options.get("target"), count)
    before = torch.zeros_like(after)
    if name != "LRP":
        baseline = torch.as_tensor(options.get("baselines", 0.0), dtype=inputs.dtype, device=inputs.device)
        starts = baseline.expand(len(baseline), *inputs.shape[1:]) if baseline.dim() else baseline.expand_as(inputs[:1])
        own = len(starts) == count and name != "DeepLiftShap"
        if own:
            before = _outputs(method, starts, options.get("target"), count)
        else:
            every = [_outputs(method, start[None].expand_as(inputs), options.get("target"), count) for start in starts]
            before = torch.stack(every).mean(dim=0)
    sums = widen(maps.detach()).flatten(1).sum(dim=1)
    return [Completeness(*pair) for pair in zip(sums.tolist(), (after - before).tolist(), strict=True)]


def _outputs(method: Attribution, inputs: Tensor, target: Any, count: int) -> Tensor:
    """The explained output of each image, ``(N,)`` in the widest floating-point type of its device."""
    values = widen(first_logits(method.forward_func(inputs))).reshape(count, -1)
    index = torch.as_tensor(0 if target is None else target, device=values.device).expand(count)
    return values.gather(1, index[:, None])[:, 0]
