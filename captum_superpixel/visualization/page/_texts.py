"""The texts of the page that the caller passes, checked and escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from captum_superpixel._checks import checked_share

__all__ = ["checked_text", "describe_classes", "list_remarks", "write_headline"]


def checked_text(name: str, text: str | None) -> str:
    """Return the text, empty for None.

    Raises:
        TypeError: If it is something else.
    """
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{name} must be text or None, but {text!r} ({type(text).__name__}) was passed")
    return text or ""


def describe_classes(
    class_name: str, probability: float | None, predicted_name: str, predicted_probability: float | None
) -> str:
    """Write the line below the heading; empty if nothing is known.

    The predicted class is named only where it is not the explained one.

    Raises:
        TypeError: If a probability is not a number.
        ValueError: If it is not from 0 to 1.

    Examples:
        >>> describe_classes("cat", None, "", None)
        '<p class="prediction">Class <strong>cat</strong></p>'
        >>> describe_classes("", None, "", None)
        ''
    """
    explained = _describe(class_name, _percentage("probability", probability))
    predicted = _describe(predicted_name, _percentage("predicted_probability", predicted_probability))
    # Classes may share a name: ImageNet has two cranes. Their probabilities then tell them apart.
    if not predicted_name or predicted == explained or (predicted_name == class_name and predicted_probability is None):
        text = f"Class {explained}" if class_name else explained
    else:
        text = f"<span>Explained: {explained or 'another class'}</span> <span>Predicted: {predicted}</span>"
    return f'<p class="prediction">{text}</p>' if text else ""


def write_headline(texts: Mapping[str, str]) -> str:
    """Write the line below the heading from texts by what they are; empty if there is none.

    Raises:
        TypeError: If they are not texts by texts.

    Examples:
        >>> write_headline({"Explained": "output 2 = -1.5"})
        '<p class="prediction"><span>Explained: <strong>output 2 = -1.5</strong></span></p>'
    """
    if not isinstance(texts, Mapping):
        raise TypeError(f"headline must be texts by what they are, but {texts!r} ({type(texts).__name__}) was passed")
    parts = [
        f"<span>{html.escape(checked_text('each name in headline', name))}: "
        f"<strong>{html.escape(checked_text('each text of headline', text))}</strong></span>"
        for name, text in texts.items()
    ]
    return f'<p class="prediction">{" ".join(parts)}</p>' if parts else ""


def list_remarks(remarks: Sequence[str]) -> str:
    """Write the list of remarks; empty if there is none.

    Raises:
        TypeError: If they are not a sequence of texts.

    Examples:
        >>> print(list_remarks(["2 < 3"]))
        <section class="remarks" aria-label="Remarks"><ul>
        <li>2 &lt; 3</li>
        </ul></section>
    """
    # A text is a sequence of texts too, one a letter.
    if isinstance(remarks, str) or not isinstance(remarks, Sequence):
        raise TypeError(f"remarks must be a list of texts, but {remarks!r} ({type(remarks).__name__}) was passed")
    items = [checked_text("each of remarks", remark).strip() for remark in remarks]
    lines = [f"<li>{html.escape(item)}</li>" for item in items if item]
    if not lines:
        return ""
    return "\n".join(['<section class="remarks" aria-label="Remarks"><ul>', *lines, "</ul></section>"])


def _describe(name: str, chance: str) -> str:
    strong = f"<strong>{html.escape(name)}</strong>" if name else ""
    return ", ".join(part for part in (strong, chance) if part)


def _percentage(name: str, probability: float | None) -> str:
    return "" if probability is None else f"probability {100 * checked_share(name, probability):.1f}\N{NO-BREAK SPACE}%"
