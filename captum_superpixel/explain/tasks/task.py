"""A task: what it explains of each photograph, and the options that go with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError
from captum_superpixel._texts import joined
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.models.targets.boxes import Box, checked_box

__all__ = ["Aim", "Task", "check_task_options", "fit_box"]

_TAKERS = {
    "box": ("segmentation", "detection"),
    "region": ("segmentation",),
    "reference": ("similarity",),
    "text": ("similarity",),
    "target": ("classification", "segmentation", "detection"),
    "labels": ("classification", "segmentation", "detection"),
    "activation": ("classification", "detection"),
    "confidence": ("classification",),
    "strength": ("classification",),
    "recommended": ("classification", "similarity"),
    "views": ("classification", "similarity"),
}
"""The tasks that take an option; the options that are not named go with all of them."""

_WHY = {
    "confidence": ", for it is measured how often networks agree on the regions of a class",
    "strength": ", as --confidence is",
    "recommended": ", for it averages over shifted and mirrored views, along with which no target moves",
    "views": ", for no target moves along with shifted and mirrored views",
}


@dataclass(frozen=True)
class Aim:
    """What is explained of one photograph.

    Attributes:
        name: In words, to be put behind "what speaks for".
        region: ``(H, W)`` bool, the part of the picture that it is about, to be outlined; None for the whole.
        remarks: What there is to know about it.
        held: Attributes of the target that make it the one of this photograph.
    """

    name: str
    region: Tensor | None = None
    remarks: tuple[str, ...] = ()
    held: Mapping[str, Any] = field(default_factory=dict)


class Task(ABC):
    """A task with the target that is explained, which is set up anew for each photograph.

    Attributes:
        target: From inputs ``(N, C, H, W)`` to ``(N,)``.
        what: What its number is, in words.
    """

    target: nn.Module
    what: str

    @abstractmethod
    def aim(self, inputs: Tensor, photograph_size: tuple[int, int]) -> Aim:
        """Settle what is explained of a photograph.

        Args:
            inputs: ``(1, C, H, W)``, what the network is given.
            photograph_size: Height and width of the photograph.

        Raises:
            InputError: If there is no such thing in the photograph.
        """

    def hold(self, aim: Aim) -> None:
        """Set the target up for the photograph that an aim is of."""
        for name, value in aim.held.items():
            setattr(self.target, name, value)


def check_task_options(options: Namespace) -> None:
    """Raise InputError if options do not go with the task.

    Args:
        options: Of the command line.
    """
    for name, tasks in _TAKERS.items():
        if _is_given(name, getattr(options, name)) and options.task not in tasks:
            raise InputError(
                f"--{name} is for --task {joined(tasks, 'or')}, not for {options.task}{_WHY.get(name, '')}: leave it "
                "out."
            )
    if options.task == "detection" and options.activation == "none":
        raise InputError("--activation none: detections have probabilities; pass softmax, sigmoid or auto.")
    if options.box is not None and options.region is not None:
        raise InputError("--box and --region both say what the target is over: leave one of them out.")
    if options.task == "similarity" and (options.reference is None) == (not options.text):
        raise InputError(
            "--task similarity compares each photograph with a --reference, another photograph, or a --text: pass one "
            "of the two."
        )


def fit_box(
    box: Sequence[float], preprocessing: Preprocessing, photograph_size: tuple[int, int]
) -> tuple[Box, tuple[str, ...]]:
    """Bring a box of a photograph to the network's input.

    Args:
        box: ``(left, top, right, bottom)`` in pixels of the photograph.
        preprocessing: From photographs to inputs.
        photograph_size: Height and width.

    Returns:
        The box in pixels of the input, and a remark if parts of it are cropped away.

    Raises:
        InputError: If the box does not lie in the photograph, or nothing of it in the input.
    """
    fitted = torch.tensor(preprocessing.fit_box(checked_box(box, photograph_size), photograph_size))
    height, width = preprocessing.shape
    inside = torch.minimum(fitted.clamp(min=0), fitted.new_tensor([width, height, width, height]))
    left, top, right, bottom = inside.tolist()
    if left >= right or top >= bottom:
        raise InputError(
            "The box lies in a part of the photograph that is cropped away: pass --resize stretch to show the network "
            "all of it."
        )
    cropped = (inside - fitted).abs().max() > 0.5
    return (left, top, right, bottom), ("the box reaches into what is cropped away",) * bool(cropped)


def _is_given(name: str, value: object) -> bool:
    if name == "activation":
        return value != "auto"
    return value not in (None, False, []) and not (name == "views" and value == 1)
