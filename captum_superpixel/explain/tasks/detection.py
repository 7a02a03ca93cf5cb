"""``--task detection``: an object that the network finds, or is asked for in a box."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError, listed
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.classes import choose_names, class_name, find_target
from captum_superpixel.explain.tasks.task import Aim, Task, fit_box
from captum_superpixel.models.targets import Detection, DetectionTarget, list_detections
from captum_superpixel.models.targets.boxes import Box, box_mask, overlaps
from captum_superpixel.models.targets.detection import count_categories

__all__ = ["DetectionTask"]


class DetectionTask(Task):
    """How surely an object is found in a box: that of the surest detection, or the user's.

    Args:
        network: From images to boxes, in any form that ``DetectionTarget`` takes.
        preprocessing: From photographs to inputs.
        options: Of the command line.
        labels: The user's names of the categories, or None.
        inputs: ``(1, C, H, W)``, an example.

    Raises:
        InputError: If the network returns no boxes, or an option names no category.
    """

    what = "the probability of a category, times the overlap with the box that is outlined, of the best match"

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        options: Namespace,
        labels: list[str] | None,
        inputs: Tensor,
    ) -> None:
        self._network, self._preprocessing, self._box = network, preprocessing, options.box
        self._activation = options.activation
        count = count_categories(network, inputs, activation=self._activation)
        if count is None:
            # torchvision's networks do not say how many categories there are.
            own = getattr(network, "labels", None)
            self._names = labels or (list(map(str, own)) if isinstance(own, (tuple, list)) else None)
        else:
            self._names = choose_names(network, count, labels, options.labels)
        known = count or len(self._names or ()) or 10_000
        self._category = find_target(options.target, self._names, known)
        height, width = inputs.shape[2:]
        self.target = DetectionTarget(network, (0, 0, width, height), 0, activation=self._activation)

    def aim(self, inputs: Tensor, photograph_size: tuple[int, int]) -> Aim:
        """Settle category and box: of the surest detection, or of the one that matches what the user named best."""
        all_found = list_detections(self._network, inputs, activation=self._activation)[0]
        found = [one for one in all_found if self._category in (None, one.category)]
        remarks: tuple[str, ...] = ()
        if self._box is None:
            if not found:
                raise InputError(self._nothing("the network finds no", all_found))
            box, best = found[0].box, found[0]
            remarks = (f"the box is the network's surest, {_write(best)}",)
        else:
            box, remarks = fit_box(self._box, self._preprocessing, photograph_size)
            match = [share * one.score for share, one in zip(_overlaps(found, box), found, strict=True)]
            if not any(match):
                raise InputError(self._nothing("--box overlaps with no box of the network for an", all_found))
            best = found[max(range(len(found)), key=match.__getitem__)]
            remarks += (
                f"the network's best match is {_write(best)} and an overlap of {_overlaps([best], box)[0]:.2f}",
            )
        name = self._name(best.category)
        region = box_mask(box, self._preprocessing.shape)
        held = {"category": best.category, "box": torch.tensor(box, device=inputs.device)}
        return Aim(f"{name} in the box", region, remarks, held)

    def _name(self, category: int) -> str:
        known = self._names is not None and category < len(self._names)
        return class_name(category, self._names if known else None)

    def _nothing(self, what: str, found: Sequence[Detection]) -> str:
        wanted = "object" if self._category is None else f"object of category {self._name(self._category)}"
        others = list(dict.fromkeys(self._name(one.category) for one in found))
        return f"{what} {wanted}; what it finds is {listed(others) or 'nothing'}."


def _overlaps(found: Sequence[Detection], box: Box) -> list[float]:
    boxes = torch.tensor([one.box for one in found]).reshape(-1, 4)
    values: list[float] = overlaps(boxes, torch.tensor(box)).tolist()
    return values


def _write(found: Detection) -> str:
    """A detection's corners and score, in pixels of what the network saw."""
    left, top, right, bottom = (round(side) for side in found.box)
    return f"from ({left}, {top}) to ({right}, {bottom}), with a probability of {100 * found.score:.1f} %"
