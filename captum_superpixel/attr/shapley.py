"""Exact Shapley values: one evaluation of each coalition of features, not one for each step of each order."""

from __future__ import annotations

import math
from typing import Any

import torch
from captum.attr import ShapleyValues
from torch import Tensor

from captum_superpixel._float64 import widen
from captum_superpixel.attr._captum import log_usage, run_forward
from captum_superpixel.feature_masks import number_elements

__all__ = ["MAX_FEATURES", "ExactShapleyValues"]

MAX_FEATURES = 16
"""The most features of a call, for a network is evaluated on 2**16 = 65,536 coalitions of them."""

Tensors = tuple[Tensor, ...]


class ExactShapleyValues(ShapleyValues):
    """Captum's ``ShapleyValues`` in 2**K evaluations of each example for K features, in place of K! K.

    The Shapley value of a feature is the mean of what it adds to the features before it, over all orders of the
    features. Captum walks along each order, and so evaluates the same coalition again in every order that begins with
    it: 5,760 evaluations for 6 features, which have 64 coalitions. Here each coalition is evaluated once, and what a
    feature adds to it is weighted by the share of the orders in which just these features come before.

    The call and its result are those of ``ShapleyValues``, which also does the work itself where the network returns
    anything but one number per example.

    Args:
        forward_func: The network, or any function that returns a number per example (or several, with a target).

    References:
        Shapley, "A value for n-person games", Contributions to the Theory of Games II, 1953.

    Examples:
        >>> values = ExactShapleyValues(lambda rows: rows[:, 0] * rows[:, 1] + rows[:, 2])
        >>> values.attribute(torch.tensor([[3.0, 2.0, 1.0]]))
        tensor([[3., 3., 1.]])
    """

    @log_usage
    @torch.no_grad()
    def attribute(
        self,
        inputs: Any,
        baselines: Any = None,
        target: Any = None,
        additional_forward_args: object = None,
        feature_mask: Any = None,
        perturbations_per_eval: int = 1,
        show_progress: bool = False,
    ) -> Any:
        """Compute the Shapley value of every feature, laid over its elements.

        Args:
            inputs: ``(N, *)``, or a tuple of such tensors.
            baselines: What absent features are replaced by: a number, a tensor ``(1 or N, *)``, or a tuple of these;
                None for 0.
            target: As for ``ShapleyValues``.
            additional_forward_args: As for ``ShapleyValues``.
            feature_mask: Ids ``(1 or N, *)`` that broadcast to the inputs, or a tuple of them; equal id, same feature,
                also in two inputs. None makes each element a feature.
            perturbations_per_eval: How many coalitions of each example the network is given at once.
            show_progress: Only where ``ShapleyValues`` does the work itself.

        Returns:
            ``(N, *)`` of the shape of the inputs, or a tuple of such tensors.

        Raises:
            ValueError: If there are more than ``MAX_FEATURES`` features.
        """
        tensors: Tensors = inputs if isinstance(inputs, tuple) else (inputs,)
        places, count = _index_features(tensors, feature_mask)
        if count > MAX_FEATURES:
            raise ValueError(
                f"{count} features have 2**{count} coalitions, too many to evaluate: pass a feature_mask with at most "
                f"{MAX_FEATURES}, or use ShapleyValueSampling"
            )
        found, fill = [], _replacements(tensors, baselines)
        for coalitions in torch.split(torch.arange(2**count), perturbations_per_eval):
            present = _members(coalitions, count).to(tensors[0].device)
            rows = tuple(_keep(present, *each) for each in zip(tensors, places, fill, strict=True))
            output = run_forward(self.forward_func, rows, target, additional_forward_args, len(coalitions))
            if output.shape != (len(coalitions) * len(tensors[0]),):
                return super().attribute.__wrapped__(
                    self,
                    inputs,
                    baselines,
                    target,
                    additional_forward_args,
                    feature_mask,
                    perturbations_per_eval,
                    show_progress,
                )
            found.append(output.view(len(coalitions), -1))
        values = _weigh(widen(torch.cat(found)), count).to(found[0].dtype)
        maps = tuple(_lay_out(values, place, tensor) for place, tensor in zip(places, tensors, strict=True))
        return maps if isinstance(inputs, tuple) else maps[0]

    @classmethod
    def get_name(cls) -> str:
        """Readable name of the class, as Captum's progress bars show it."""
        return "Shapley Values"


def _index_features(tensors: Tensors, feature_mask: Any) -> tuple[Tensors, int]:
    """The place of each element's feature among all ids in ascending order, and the number of these."""
    if feature_mask is None:
        first, numbered = 0, []
        for tensor in tensors:
            numbered.append(number_elements(tensor, first))
            first += numbered[-1].numel()
        masks: Tensors = tuple(numbered)
    else:
        masks = feature_mask if isinstance(feature_mask, tuple) else (feature_mask,)
    ids = torch.unique(torch.cat([mask.flatten() for mask in masks]))
    return tuple(torch.searchsorted(ids, mask.contiguous()) for mask in masks), len(ids)


def _replacements(tensors: Tensors, baselines: Any) -> Tensors:
    given = baselines if isinstance(baselines, tuple) else (baselines,) * len(tensors)
    return tuple(
        torch.as_tensor(0 if value is None else value, dtype=tensor.dtype, device=tensor.device)
        for tensor, value in zip(tensors, given, strict=True)
    )


def _members(coalitions: Tensor, count: int) -> Tensor:
    """Which features are in a coalition, ``(P, K)`` bool: those whose bit is set in its number."""
    return (coalitions[:, None] >> torch.arange(count) & 1).bool()


def _keep(present: Tensor, tensor: Tensor, places: Tensor, replacement: Tensor) -> Tensor:
    """``(P * N, *)``: for each coalition all examples, with what is not in it replaced."""
    return torch.where(present[:, places], tensor, replacement).flatten(0, 1)


def _weigh(outputs: Tensor, count: int) -> Tensor:
    """From the outputs ``(2**K, N)`` of the coalitions to the values ``(N, K)`` of the features."""
    coalitions = torch.arange(2**count)
    sizes = _members(coalitions, count).sum(dim=1)
    weights = torch.tensor([1 / (count * math.comb(count - 1, size)) for size in range(count)], dtype=torch.float64)
    values = []
    for feature in range(count):
        without = coalitions[coalitions >> feature & 1 == 0]
        added = outputs[without + 2**feature] - outputs[without]
        values.append(weights[sizes[without]].to(added.device) @ added)
    return torch.stack(values, dim=1)


def _lay_out(values: Tensor, places: Tensor, tensor: Tensor) -> Tensor:
    """Give each element of a tensor ``(N, *)`` the value of its feature."""
    everywhere = places.expand_as(tensor)
    return values.gather(1, everywhere.flatten(1)).reshape(tensor.shape)
