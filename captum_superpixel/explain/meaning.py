"""What an explanation's map speaks for, which of its regions do, and what is explained beside what is predicted."""

from __future__ import annotations

from collections.abc import Sequence

from captum_superpixel._checks import readable
from captum_superpixel._texts import joined
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.classes import Prediction
from captum_superpixel.explain.explanation import Explanation
from captum_superpixel.regions.table import Region

__all__ = [
    "class_of",
    "describe_methods",
    "describe_none",
    "find_roles",
    "holds_evidence",
    "holds_magnitudes",
    "speaking_regions",
    "write_chance",
    "write_name",
]


def class_of(explanation: Explanation) -> str:
    """What a map speaks for: the explained class; of activations none, which is empty."""
    activation = METHODS[explanation.method].quantity == "activation"
    return "" if activation else readable(explanation.target.name)


def holds_magnitudes(explanation: Explanation) -> bool:
    """Whether the map's values have no sign, so that they speak neither for nor against."""
    if holds_evidence(explanation):
        return False
    return METHODS[explanation.method].quantity == "magnitude" or explanation.rule.reduction == "abs_mean"


def holds_evidence(explanation: Explanation) -> bool:
    """Whether the map says what speaks for a class, above 0, and against it; pictures show the former."""
    return explanation.rule.reduction == "evidence"


def describe_methods(explanations: Sequence[Explanation]) -> tuple[str, list[str]]:
    """Name methods and what they have in common, and say how those make their maps that do so in ways of their own.

    Args:
        explanations: Of one photograph, one by each method.

    Returns:
        A title, and a sentence for each method of evidence or views where the title has no room for them.
    """
    masks = joined(dict.fromkeys(each.masks_option for each in explanations))
    layer = next((each.layer for each in explanations if each.layer), "")
    special = [each for each in explanations if each.rule.views > 1 or holds_evidence(each)]
    alike = bool(special) and len({each.manner for each in explanations}) == 1
    title = ", ".join(each.method for each in explanations)
    title += f", {explanations[0].manner}" if alike else f" over {masks}"
    title += f", layer {layer}" if layer else ""
    return title, [] if alike else [f"{each.how}." for each in special]


def speaking_regions(explanation: Explanation) -> list[Region]:
    """List the regions that have a rank, of a map with signs only those that speak for what it explains, if any."""
    ranked = [region for region in explanation.table if region.rank is not None]
    signed = class_of(explanation) and not holds_magnitudes(explanation)
    return [region for region in ranked if region.score > 0] if signed else ranked


def describe_none(explanation: Explanation) -> str:
    """Say why no region is shown."""
    ranked = any(region.rank is not None for region in explanation.table)
    return f"no region for {class_of(explanation)}" if ranked else "no region has a rank"


def find_roles(explanation: Explanation) -> dict[str, Prediction]:
    """What is explained and what is predicted, which is mostly one and the same, by what each is."""
    target, first = explanation.target, explanation.predictions[0]
    if not class_of(explanation):
        return {first.role: first}
    if first.role in ("output", "target"):
        return {"explained": target}
    if target.index == first.index:
        return {f"{first.role} and explained": target}
    return {"explained": target, first.role: first}


def write_name(prediction: Prediction) -> str:
    """The name of a class; of an output that is no matter of probability, with its value."""
    valued = prediction.probability is None and prediction.value is not None
    return f"{prediction.name} = {prediction.figure}" if valued else prediction.name


def write_chance(prediction: Prediction) -> str:
    """The probability in parentheses, to be put behind the name; empty where there is none."""
    return "" if prediction.probability is None else f" ({prediction.figure})"
