"""How maps are made and pooled: ``--reduction``, ``--negative-weight``, ``--views``, or what ``--recommended`` says."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from captum.attr import Attribution

from captum_superpixel._checks import InputError
from captum_superpixel._texts import joined
from captum_superpixel.attr.grouping import GroupReduction
from captum_superpixel.attr.methods import COALITIONS_OF, METHODS
from captum_superpixel.attr.recipes import Recipe, find_recipe
from captum_superpixel.attr.view_tunnel import count_views
from captum_superpixel.explain.choices import NEGATIVE_WEIGHT

__all__ = ["Rule", "check_rule_options", "choose_rule"]


@dataclass(frozen=True)
class Rule:
    """How the maps of a method are made and pooled.

    Attributes:
        reduction: How they are pooled; for ``"evidence"`` they are contributions of pixels.
        negative_weight: Of the evidence.
        views: Over how many views of each photograph they are averaged.
        recipe: What was recommended; None where the user chose.
    """

    reduction: GroupReduction
    negative_weight: float = NEGATIVE_WEIGHT
    views: int = 1
    recipe: Recipe | None = None


def check_rule_options(options: Namespace, size: Sequence[int]) -> None:
    """Raise InputError if options do not go together, or there are fewer views of a photograph.

    Args:
        options: Of the command line.
        size: Height and width of the network's input.
    """
    if options.recommended:
        names = ("reduction", "negative_weight", "views", "masks")
        given = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None]
        if given:
            raise InputError(f"--recommended chooses {joined(given)} by itself: leave one or the other out.")
    if options.negative_weight is not None and options.reduction != "evidence":
        raise InputError(
            f"--negative-weight {options.negative_weight:g} is for --reduction evidence, in which what speaks for a "
            "class and against it are averaged apart: pass that too, or leave it out."
        )
    possible = count_views(size)
    if (options.views or 1) > possible:
        height, width = size
        raise InputError(
            f"--views {options.views}: a network's input of {height} x {width} pixels has {possible} different views, "
            "shifted by a sixteenth of a side at most and mirrored; ask for no more."
        )


def choose_rule(name: str, method: Attribution, options: Namespace, size: Sequence[int]) -> Rule:
    """Settle how the maps of a method are made and pooled.

    Args:
        name: Of the method, in ``METHODS``.
        method: What ``make_method`` made.
        options: Of the command line, checked by :func:`check_rule_options`.
        size: Height and width of the network's input.

    Raises:
        InputError: If the method has no evidence, or is none that a recommendation is for.
    """
    known = METHODS[name]
    if options.recommended:
        if known.own_segments:
            raise InputError(
                f"--method {name}: --recommended is for methods that score pixels or superpixels, and {name} makes "
                "regions of its own; leave it out."
            )
        recipe = find_recipe(method, size)
        most = max(recipe.n_segments)
        if name == "ShapleyValues" and most > COALITIONS_OF:
            raise InputError(
                f"--method {name}: --recommended is of up to {most} superpixels, and {name} evaluates all coalitions, "
                f"of {COALITIONS_OF} at most; use ShapleyValueSampling, or --masks grid:{COALITIONS_OF} instead."
            )
        return Rule(recipe.reduction, recipe.negative_weight, recipe.n_views, recipe)
    reduction: GroupReduction = options.reduction or known.reduction
    if reduction == "evidence" and (reason := _why_no_evidence(name)):
        raise InputError(f"--method {name}: --reduction evidence is for and against a class, but {reason}; use mean.")
    weight = NEGATIVE_WEIGHT if options.negative_weight is None else options.negative_weight
    return Rule(reduction, weight, options.views or 1)


def _why_no_evidence(name: str) -> str:
    """Why the pixels of a method's map give no evidence; empty if they do."""
    known = METHODS[name]
    if known.own_segments:
        return f"{name} makes regions of its own, whose pixels all have one value"
    if not known.signed:
        return "its map counts large gradients, of either sign"
    if known.quantity == "effect":
        return "its map holds effects that were measured, each in many pixels or channels"
    return "its map holds activations, which are of no class" if known.quantity == "activation" else ""
