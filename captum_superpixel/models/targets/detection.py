"""Detection: how surely a network finds an object of a category in a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from captum_superpixel._checks import InputError, checked_choice, checked_integer
from captum_superpixel.models.targets.boxes import Box, check_boxes, checked_box, overlaps

__all__ = ["Detection", "DetectionActivation", "DetectionTarget", "count_categories", "list_detections"]

DetectionActivation = Literal["auto", "softmax", "sigmoid"]


@dataclass(frozen=True)
class Detection:
    """An object that was found.

    Attributes:
        box: ``(left, top, right, bottom)`` in pixels of the image.
        category: Index of the category.
        score: Its probability, from 0 to 1.
    """

    box: Box
    category: int
    score: float


class DetectionTarget(nn.Module):
    """One number for each image: how surely the network finds an object of a category in a box.

    Of all boxes that the network finds in an image, the one counts for which the probability of the category times the
    intersection over union with the given box is largest, and this product is the number. It is the similarity of
    D-RISE for a target of one category, in which the confidence in an object is part of the probability. Both factors
    are differentiable; where the network's box is the given one, the gradient is that of the probability alone. Where
    no box of the category overlaps with the given one the number is 0, and so is its gradient: to a perturbation method
    the object is gone then.

    The result is a network like any other: attribute to it without ``target=``.

    Args:
        network: From images ``(N, C, H, W)`` to boxes, in evaluation mode: a list with a dictionary of ``boxes``
            ``(n, 4)`` in pixels, ``labels`` and ``scores`` for each image, as torchvision's networks return it; or an
            object or dictionary with ``logits`` ``(N, Q, K)`` and ``pred_boxes`` ``(N, Q, 4)``, center, width and
            height in parts of the image, as DETR, YOLOS and their like in ``transformers`` return it.
        box: ``(left, top, right, bottom)`` in pixels, the same for all images; or None if every call gets one for each
            image.
        category: Its index, in torchvision's networks from 1 on.
        activation: How ``logits`` become probabilities: ``"softmax"`` over the categories and a last one for no object,
            as DETR and YOLOS, or a ``"sigmoid"`` for each, as Deformable DETR and RT-DETR. ``"auto"`` is what the
            number of logits says beside ``network.config.num_labels``, and softmax without that.

    Attributes:
        box: ``(4,)``, a buffer; another may be assigned.
        category: Likewise.

    Raises:
        InputError: If the box is not four numbers, or empty.

    Notes:
        Several images, each with a box of its own, take these as Captum's ``additional_forward_args``. ``ViewTunnel``
        does not move the box along with the views that it shifts and mirrors, and so is not for this target.

    References:
        Petsiuk et al., Black-box Explanation of Object Detectors via Saliency Maps, CVPR 2021, arXiv 2006.03204.

    Examples:
        >>> class Bright(nn.Module):
        ...     def forward(self, images):
        ...         box = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
        ...         scores = images[:, :, :4, :4].mean(dim=(1, 2, 3)).sigmoid()
        ...         return [{"boxes": box, "labels": torch.tensor([1]), "scores": score[None]} for score in scores]
        >>> target = DetectionTarget(Bright(), (0, 0, 4, 2), category=1)
        >>> target(torch.zeros(1, 3, 8, 8))  # half of the box, at a probability of a half
        tensor([0.2500])
    """

    box: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        box: Sequence[float] | Tensor | None,
        category: int,
        *,
        activation: DetectionActivation = "auto",
    ) -> None:
        super().__init__()
        self.network = network
        self.category = checked_integer("category", category, minimum=0)
        checked_choice("activation", activation, ("auto", "softmax", "sigmoid"))
        self.activation = activation
        self.register_buffer("box", None if box is None else torch.tensor(checked_box(box)))

    def forward(self, images: Tensor, boxes: Tensor | None = None) -> Tensor:
        """Return how surely the network finds the object.

        Args:
            images: ``(N, C, H, W)``.
            boxes: ``(N, 4)``, or ``(4,)`` for all; None for the one that was given before.

        Returns:
            ``(N,)``, from 0 to 1.

        Raises:
            InputError: If there is no box, it does not lie in the images, or the network returns no boxes or knows no
                such category.
        """
        boxes = self.box if boxes is None else boxes
        if boxes is None:
            raise InputError(
                "There is no box: pass it to DetectionTarget, or one for each image as "
                "additional_forward_args=(boxes,)."
            )
        wanted = check_boxes(boxes, len(images), images.shape[2:]).to(images.device)
        found = _read(self.network(images), images, _known_activation(self.network, self.activation))
        each = [
            (overlaps(one.boxes, box) * one.probabilities_of(self.category)).to(images.dtype)
            for one, box in zip(found, wanted, strict=True)
        ]
        # Without any box, a zero that still depends on the image, for methods that ask for a gradient.
        nothing = (images * 0).flatten(1).sum(dim=1)
        return torch.stack([n + (s.max() if len(s) else 0) for n, s in zip(nothing, each, strict=True)])


@torch.no_grad()
def list_detections(
    network: nn.Module, images: Tensor, *, activation: DetectionActivation = "auto"
) -> list[list[Detection]]:
    """List the objects that a network finds, to choose a target from.

    Args:
        network: As :class:`DetectionTarget` takes it.
        images: ``(N, C, H, W)``.
        activation: As there.

    Returns:
        For each image its detections, the surest first. Of ``logits`` one for each query, of its likeliest category,
        improbable ones included. Their boxes are cut off at the border of the image, and those outside are left out.

    Raises:
        InputError: If the network returns no boxes.
    """
    return [
        _listed(one, images.shape[2:]) for one in _read(network(images), images, _known_activation(network, activation))
    ]


@torch.no_grad()
def count_categories(network: nn.Module, images: Tensor, *, activation: DetectionActivation = "auto") -> int | None:
    """Count the categories of a network for detection; None where its output has labels, and so does not say.

    Args:
        network: As :class:`DetectionTarget` takes it.
        images: ``(N, C, H, W)``.
        activation: As there.

    Raises:
        InputError: If the network returns no boxes.
    """
    first = _read(network(images), images, _known_activation(network, activation))[0]
    return None if first.labels is not None else first.probabilities.shape[1]


@dataclass(frozen=True)
class _Found:
    """Boxes ``(n, 4)`` in pixels of one image, with probabilities ``(n, K)``; or with ``(n,)`` of one label each."""

    boxes: Tensor
    probabilities: Tensor
    labels: Tensor | None = None

    def probabilities_of(self, category: int) -> Tensor:
        """``(n,)``; 0 for boxes with another label."""
        if self.labels is not None:
            return torch.where(self.labels == category, self.probabilities, 0)
        if category >= self.probabilities.shape[1]:
            raise InputError(
                f"The category {category} is none of this network, which has {self.probabilities.shape[1]}, from 0 on."
            )
        return self.probabilities[:, category]


def _listed(found: _Found, size: Sequence[int]) -> list[Detection]:
    if found.labels is None:
        scores, labels = found.probabilities.max(dim=1)
    else:
        scores, labels = found.probabilities, found.labels
    height, width = size
    limits = found.boxes.new_tensor([width, height, width, height])
    boxes = torch.minimum(found.boxes.clamp(min=0), limits)
    order = scores.argsort(descending=True, stable=True).tolist()
    rows = ((boxes[n].tolist(), int(labels[n]), float(scores[n])) for n in order)
    return [
        Detection((box[0], box[1], box[2], box[3]), label, score)
        for box, label, score in rows
        if box[0] < box[2] and box[1] < box[3]
    ]


def _known_activation(
    network: nn.Module, activation: DetectionActivation
) -> Literal["softmax", "sigmoid"] | int | None:
    """What the caller says, else the number of labels in the network's configuration, if it has one."""
    if activation != "auto":
        return activation
    labels = getattr(getattr(network, "config", None), "num_labels", None)
    return labels if isinstance(labels, int) else None


def _read(output: Any, images: Tensor, activation: Literal["softmax", "sigmoid"] | int | None) -> list[_Found]:
    """Read what a network for detection returned for images."""
    if isinstance(output, (list, tuple)) and all(isinstance(each, Mapping) for each in output):
        return _read_dictionaries(output, images)
    mapping: Any = output if isinstance(output, Mapping) else vars(output) if hasattr(output, "__dict__") else {}
    logits, boxes = mapping.get("logits"), mapping.get("pred_boxes")
    if not isinstance(logits, Tensor) or not isinstance(boxes, Tensor):
        raise InputError(
            f"The network returns a {type(output).__name__}, which is no output of a detector that is known: a list of "
            "dictionaries with boxes, labels and scores, or an object with logits and pred_boxes. Wrap it in a module "
            "that returns one of these."
        )
    if logits.ndim != 3 or boxes.shape != (*logits.shape[:2], 4) or len(logits) != len(images):
        raise InputError(
            f"The network returns logits of shape {tuple(logits.shape)} and pred_boxes of shape {tuple(boxes.shape)} "
            f"for {len(images)} images; they must be ({len(images)}, queries, categories) and "
            f"({len(images)}, queries, 4)."
        )
    if activation == "sigmoid" or activation == logits.shape[2]:
        probabilities = logits.sigmoid()
    else:
        probabilities = logits.softmax(dim=2)[..., :-1]
    height, width = images.shape[2:]
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    corners = torch.cat([center - half, center + half], dim=2) * boxes.new_tensor([width, height, width, height])
    return [_Found(*each) for each in zip(corners, probabilities, strict=True)]


def _read_dictionaries(output: Sequence[Mapping[str, Any]], images: Tensor) -> list[_Found]:
    if len(output) != len(images):
        raise InputError(
            f"The network returns {len(output)} dictionaries for {len(images)} images; it must return one for each."
        )
    found = []
    for each in output:
        boxes, labels, scores = (each.get(name) for name in ("boxes", "labels", "scores"))
        if not (isinstance(boxes, Tensor) and isinstance(labels, Tensor) and isinstance(scores, Tensor)):
            raise InputError(
                f"The network returns dictionaries with {', '.join(map(repr, each)) or 'nothing'}; those of a detector "
                "in evaluation mode have the tensors boxes, labels and scores: call network.eval() first."
            )
        if boxes.shape != (len(scores), 4) or labels.shape != scores.shape or scores.ndim != 1:
            raise InputError(
                f"The network returns boxes of shape {tuple(boxes.shape)}, labels of shape {tuple(labels.shape)} and "
                f"scores of shape {tuple(scores.shape)}; they must be (n, 4), (n,) and (n,)."
            )
        found.append(_Found(boxes, scores, labels))
    return found
