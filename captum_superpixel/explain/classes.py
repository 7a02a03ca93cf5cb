"""A network's classes: their names, the one to explain, and how probable each of them is, where that can be said."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._numbers import find_unit, show_percentage
from captum_superpixel.models.activation import Outputs

__all__ = ["Prediction", "choose_names", "class_name", "find_target", "rank_classes"]


@dataclass(frozen=True)
class Prediction:
    """A class, and how probable a network takes it to be.

    Attributes:
        index: Of the class.
        name: Of the class; ``"class 3"`` where it has none, ``"output 0"`` where it is no class.
        probability: From 0 to 1; None where the network's outputs are no matter of probability.
        value: What the network returned for it; None where that is not known.
        role: What the first of them is: ``"predicted"``, the class that the network decides for; ``"likeliest"``, where
            each class has a probability of its own; ``"output"`` or ``"largest"``, where there is none; ``"target"``,
            the number that a task other than classification explains.
    """

    index: int
    name: str
    probability: float | None
    value: float | None = None
    role: str = "predicted"

    @property
    def figure(self) -> str:
        """The probability in percent, else the value."""
        if self.probability is not None:
            return show_percentage(self.probability)
        return "" if self.value is None else find_unit(abs(self.value)).show(self.value)


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
        A name for each class; None where there are none. One output may have two names, of which the first is what it
        speaks against, and the second, what it speaks for, is its name.

    Raises:
        InputError: If the user's names are too few or too many.
    """
    if labels is not None and classes == 1 and len(labels) == 2:
        return labels[1:]
    if labels is not None:
        if len(labels) != classes:
            raise InputError(
                f"--labels {path} names {len(labels)} classes, but this network has {classes}: pass one name per line"
                f"{', or two, of which the second is what the output stands for' if classes == 1 else ''}."
            )
        return labels
    own = getattr(model, "labels", None)
    return [str(name) for name in own] if isinstance(own, (tuple, list)) and len(own) == classes else None


def class_name(index: int, names: Sequence[str] | None, kind: str = "class") -> str:
    """Name a class, or what else an output is."""
    return f"{kind} {index}" if names is None else names[index]


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


def rank_classes(
    logits: Tensor,
    names: Sequence[str] | None,
    outputs: Outputs = Outputs(0),  # noqa: B008  (it is frozen)
) -> list[Prediction]:
    """List the classes, the most probable first, or the outputs, the largest first.

    Args:
        logits: ``(1, classes)``, what the network returned.
        names: The names of the classes, or None.
        outputs: What it is; by default, logits of classes of which one holds.

    Raises:
        InputError: If outputs that were taken for probabilities are none.

    Examples:
        >>> import torch
        >>> [prediction.figure for prediction in rank_classes(torch.tensor([[0.25, 0.75]]), ["cat", "dog"])]
        ['62.2 %', '37.8 %']
        >>> rank_classes(torch.tensor([[-2.0]]), None, Outputs(1, "none", "value"))[0].figure
        '-2'
    """
    values = logits.detach().double().cpu()
    probabilities = outputs.probabilities(values)
    order = values[0].argsort(descending=True, stable=True).tolist()
    if len(order) == 1:
        role = "output"
    elif outputs.activation == "none":
        role = "largest"
    else:
        role = "predicted" if outputs.activation == "softmax" else "likeliest"
    kind = "output" if role in ("output", "largest") else "class"
    return [
        Prediction(
            index,
            class_name(index, names, kind),
            None if probabilities is None else float(probabilities[0, index]),
            float(values[0, index]),
            role,
        )
        for index in order
    ]


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
