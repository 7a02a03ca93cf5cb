"""A network's classes: their names, the one to explain, and how probable each of them is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError

__all__ = ["Prediction", "choose_names", "class_name", "find_target", "rank_classes"]


@dataclass(frozen=True)
class Prediction:
    """A class, and how probable a network takes it to be.

    Attributes:
        index: Of the class.
        name: Of the class; ``"class 3"`` where it has none.
        probability: From 0 to 1; None where there is no other class.
    """

    index: int
    name: str
    probability: float | None


def choose_names(
    model: nn.Module, classes: int, labels: list[str] | None, path: Path | None = None
) -> list[str] | None:
    """Choose the names of the classes: the user's, or those that the network brings.

    Args:
        model: The network; one of ``transformers`` has the names of its classes as ``labels``.
        classes: How many classes there are.
        labels: The user's names, or None.
        path: The file that they are from.

    Returns:
        A name for each class; None where there are none.

    Raises:
        InputError: If the user's names are too few or too many.
    """
    if labels is not None:
        if len(labels) != classes:
            raise InputError(
                f"--labels {path} names {len(labels)} classes, but this network has {classes}: pass one name per line."
            )
        return labels
    own = getattr(model, "labels", None)
    return [str(name) for name in own] if isinstance(own, (tuple, list)) and len(own) == classes else None


def class_name(index: int, names: Sequence[str] | None) -> str:
    """Name a class."""
    return f"class {index}" if names is None else names[index]


def find_target(text: str | None, names: Sequence[str] | None, classes: int) -> int | None:
    """Find the class to explain.

    Args:
        text: The index of a class; its name, in upper or lower case, or one of several names separated by commas; or
            None.
        names: The names of the classes, or None.
        classes: How many classes there are.

    Returns:
        Its index; None for the predicted class.

    Raises:
        InputError: If there is no such class, or there are several.

    Examples:
        >>> find_target("Tiger Cat", ["tabby, tabby cat", "tiger cat"], 2)
        1
        >>> find_target("tabby cat", ["tabby, tabby cat", "tiger cat"], 2)
        0
    """
    if text is None:
        return None
    if re.fullmatch(r"[+-]?\d+", text):
        if not 0 <= int(text) < classes:
            raise InputError(f"--target {text} is no class of this network; it has classes 0 to {classes - 1}.")
        return int(text)
    if names is None:
        raise InputError(
            f"--target {text}: this network does not name its classes; pass an index from 0 to {classes - 1}, or the "
            "names as --labels."
        )
    wanted = _plain(text)
    parts = [[_plain(part) for part in name.split(",")] for name in names]
    found = (
        [index for index, name in enumerate(names) if name == text]
        or [index for index, name in enumerate(names) if _plain(name) == wanted]
        or [index for index, synonyms in enumerate(parts) if wanted in synonyms]
    )
    if len(found) > 1:
        raise InputError(f"--target {text} names the classes {', '.join(map(str, found))}; pass the index of one.")
    if not found:
        plain = {synonym: index for index, synonyms in reversed(list(enumerate(parts))) for synonym in synonyms}
        near = [plain[name] for name in difflib.get_close_matches(wanted, plain, n=3)]
        near += [index for index, name in enumerate(names) if wanted in _plain(name)]
        hint = "; ".join(f"{index} is {names[index]}" for index in list(dict.fromkeys(near))[:5])
        raise InputError(f"--target {text} is no class of this network: {hint or 'pass the index or the name of one'}.")
    return found[0]


def rank_classes(logits: Tensor, names: Sequence[str] | None) -> list[Prediction]:
    """List the classes, the most probable first.

    Args:
        logits: ``(1, classes)``; or probabilities, which are taken as they are: non-negative, with a sum of 1.
        names: The names of the classes, or None.

    Examples:
        >>> rank_classes(torch.tensor([[0.25, 0.75]]), ["cat", "dog"])[0]
        Prediction(index=1, name='dog', probability=0.75)
    """
    values = logits.detach().double().cpu()[0]
    order = values.argsort(descending=True, stable=True).tolist()
    if len(order) == 1:
        return [Prediction(0, class_name(0, names), None)]
    probable = bool((values >= 0).all()) and abs(float(values.sum()) - 1) < 1e-4
    shares = (values if probable else torch.softmax(values, dim=0)).tolist()
    return [Prediction(index, class_name(index, names), shares[index]) for index in order]


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
