"""``--confidence``: how sure each region is, from the maps of perturbed networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from captum.attr import Attribution, FeatureAblation
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._networks import describe_error
from captum_superpixel._seeds import derive_seed
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.attr import perturbed_attributions
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.attributing import ChosenMethod
from captum_superpixel.explain.batching import lacks_memory

__all__ = ["Confidence", "check_confidence"]

_DRAWS = 12
_FEW = 8
"""Photographs on which the strength depends little on how sure the network happens to be of each."""


class Confidence:
    """Draws what maps might have been, had training gone otherwise.

    The strength, by how much parameters are perturbed, is the same for all photographs. Unless it is given, it is found
    on the first batch of them, from predictions alone: on a single photograph it depends on how sure the network is of
    that one. Where views alone change too many predictions, it is found on the photographs as they are.

    Args:
        model: The network.
        seed: Of all draws, for each photograph anew.
        strength: Standard deviation of the factors of the parameters; None to find it.

    Attributes:
        strength: Standard deviation of the factors of the parameters; None before it is found.
    """

    def __init__(self, model: nn.Module, seed: int, strength: float | None = None) -> None:
        self._model, self._seed = model, seed
        self.strength = strength
        self._photographs = 0
        self._failure = ""
        self._with_views = True

    def find_strength(self, inputs: Tensor) -> None:
        """Find the strength on ``(N, C, H, W)``, if that was not done before; a failure is said when draws are made.

        Raises:
            InputError: If memory does not suffice for so many.
        """
        if self.strength is not None or self._failure:
            return
        failures = []
        for views in (True, False):
            try:
                self.strength, self._with_views = self._search(inputs, views), views
            except Exception as error:  # networks of users may raise anything
                if lacks_memory(error):
                    raise InputError(f"memory does not suffice ({describe_error(error)}).") from error
                # What else the error advises are arguments of the function.
                failures.append(describe_error(error).partition(";")[0])
            else:
                self._photographs = len(inputs)
                return
        self._failure = (
            f"no strength was found on {_count(len(inputs))} ({failures[0]}); explain more photographs together, of "
            "which the network is surer, or pass --strength."
        )

    def _search(self, inputs: Tensor, views: bool) -> float:
        # Any method would do: the strength comes from predictions. This one takes few passes and no gradient.
        method, whole = FeatureAblation(self._model), torch.zeros(1, 1, *inputs.shape[2:], dtype=torch.long)
        with ignored_warnings(UserWarning):
            return perturbed_attributions(
                method,
                self._model,
                inputs,
                target=0,
                n_draws=2,
                views=views,
                generator=self._generator("strength"),
                feature_mask=whole.to(inputs.device),
            ).strength

    def draw(self, method: ChosenMethod, inputs: Tensor, targets: Sequence[int], masks: Sequence[Tensor]) -> Tensor:
        """Attribute with perturbed networks: maps by superpixel, ``(J, N, C, H, W)``.

        Args:
            method: One that :func:`check_confidence` lets pass.
            inputs: ``(N, C, H, W)``.
            targets: The class to explain of each.
            masks: Segments ``(N, 1, H, W)``, of an ensemble one for each member.

        Raises:
            InputError: If the method or the network fails, or no strength was found.
        """
        if self._failure:
            raise InputError(self._failure)

        def drawing(attribution: Attribution, images: Tensor, options: dict[str, Any]) -> Tensor:
            drawn: Tensor = perturbed_attributions(
                attribution,
                self._model,
                images,
                n_draws=_DRAWS,
                strength=self.strength,
                generator=self._generator("draws"),
                **options,
            ).attributions
            return drawn

        return method.draw(drawing, inputs, targets, masks)

    def describe(self) -> str:
        """Say how the draws were made."""
        what = f"{_DRAWS} networks, their parameters perturbed by {100 * (self.strength or 0):.2g} %"
        if not self._photographs:
            return what
        kept = f"{what}, at which 85 % of the predictions on {_count(self._photographs)} are kept"
        if not self._with_views:
            kept += (
                "; shifted and mirrored, which each draw is too, they change more often: less sure than was measured"
            )
        return kept + (f"; with {_FEW} or more the strength would depend less on each" * (self._photographs < _FEW))

    def _generator(self, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self._seed, "confidence", purpose))


def _count(photographs: int) -> str:
    return f"{photographs} photograph{'' if photographs == 1 else 's'}"


def check_confidence(method: ChosenMethod) -> None:
    """Raise InputError if the scores of a method are not among those whose confidence is calibrated.

    Args:
        method: With its rule.
    """
    name, reduction = method.name, method.rule.reduction
    known = METHODS[name]
    if known.layer or known.own_segments or method.perturbs:
        raise InputError(
            f"--confidence is for methods whose maps of pixels are averaged within superpixels, and --method {name} is "
            "none; leave it out, or use Saliency, SmoothGrad or IntegratedGradients."
        )
    if reduction == "abs_mean" or (known.quantity == "magnitude" and reduction != "evidence"):
        return
    instead = " instead of --recommended" if method.rule.recipe else ""
    raise InputError(
        f"--confidence is calibrated for magnitudes, not for signed scores such as those of --method {name} with "
        f"--reduction {reduction}: pass --reduction abs_mean{instead}."
    )
