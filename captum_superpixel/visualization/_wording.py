"""What colors and scores are called: of which quantity, for and against which class, and how far values reach."""

from __future__ import annotations

from captum_superpixel._numbers import Unit, find_unit
from captum_superpixel.pooling import Reduction
from captum_superpixel.regions.table import name_magnitude, name_score
from captum_superpixel.visualization._color_scale import ColorScale, VisualizeSign

__all__ = ["describe_clipping", "name_colors", "name_ends", "name_scores"]

_NO_CLASS = "the class"


def name_colors(quantity: str, sign: VisualizeSign | None, diverging: bool) -> str:
    """Say what the colors of a map are.

    Args:
        quantity: What the map holds.
        sign: What is drawn of it as the caller said; None where it was chosen.
        diverging: Whether negative values are drawn as such.

    Returns:
        The label of the color bar. A map without negative values, of which the caller did not say what it is, may hold
        attributions that are all positive, or magnitudes.

    Examples:
        >>> [name_colors("attribution", sign, False) for sign in (None, "positive", "absolute_value")]
        ['attribution or its magnitude', 'positive attribution', 'magnitude']
        >>> name_colors("effect", "absolute_value", False)
        'magnitude of the effect'
    """
    if diverging or quantity == "magnitude":
        return quantity
    if sign is None:
        return f"{quantity} or its magnitude"
    if sign == "absolute_value":
        return name_magnitude(quantity)
    return f"positive {quantity}" if sign == "positive" else f"magnitude of the negative {quantity}"


def name_scores(quantity: str, sign: VisualizeSign | None, diverging: bool, score: Reduction) -> str:
    """Say what the scores of regions are, of a map whose colors ``name_colors`` names.

    Examples:
        >>> name_scores("attribution", "negative", False, "mean")
        'mean magnitude of the negative attribution'
        >>> name_scores("attribution", None, False, "sum")
        'summed attribution'
    """
    # Of a map without negative values the scores are those of what it holds, whatever that is.
    return name_score(score, quantity if sign is None else name_colors(quantity, sign, diverging))


def name_ends(sign: VisualizeSign, class_name: str | None) -> tuple[str, str]:
    """Say what the two ends of a scale speak for; nothing where that is not known.

    Args:
        sign: What is drawn.
        class_name: What the map explains; None where it has no name, and empty where the map explains no class.

    Returns:
        The lower end, and the upper one.

    Examples:
        >>> name_ends("all", "tiger cat"), name_ends("negative", None), name_ends("absolute_value", "tiger cat")
        (('against', 'for tiger cat'), ('', 'against the class'), ('', ''))
    """
    name = _NO_CLASS if class_name is None else class_name
    if not name or sign == "absolute_value":
        return "", ""
    if sign == "negative":
        return "", f"against {name}"
    return "against" if sign == "all" else "", f"for {name}"


def describe_clipping(scale: ColorScale) -> str:
    """Say how far the values reach that have the strongest color though they are beyond it; empty if there are none.

    Examples:
        >>> describe_clipping(ColorScale(2.0, diverging=True, clipped=True, lowest=-1, highest=5e-5 + 40))
        'beyond the scale: up to 40'
    """
    reaches = [f"down to {_show(scale.lowest, scale.unit)}"] if scale.lowest < -scale.limit else []
    reaches += [f"up to {_show(scale.highest, scale.unit)}"] if scale.highest > scale.limit else []
    return f"beyond the scale: {' and '.join(reaches)}" if scale.clipped and reaches else ""


def _show(value: float, unit: Unit) -> str:
    """Write a value in the unit of the scale, which its label names, or else with its own."""
    return unit.write_short(value) if unit.suits(abs(value)) else find_unit(abs(value)).show(value)
