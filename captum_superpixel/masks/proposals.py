"""From possibly overlapping masks, as SAM, detectors and annotators make them, to a feature mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._checks import checked_choice, listed
from captum_superpixel.feature_masks import rank_rows
from captum_superpixel.masks._components import label_components

__all__ = ["from_proposals", "stack_proposals"]

Proposals: TypeAlias = Tensor | NDArray[np.bool_] | Sequence[Tensor | NDArray[np.bool_] | Mapping[str, Any]]
BackgroundSegments: TypeAlias = Literal["segment", "components"]


def from_proposals(
    masks: Proposals,
    scores: Tensor | NDArray[np.number] | Sequence[float | Tensor] | str | None = None,
    *,
    background: BackgroundSegments = "segment",
) -> Tensor:
    """Turn masks that may overlap, and need not cover the image, into a feature mask.

    A pixel in several masks goes to the one of the highest score; without scores to the smallest, so that parts show on
    top of wholes. Of equal scores the smaller mask wins, and of equal sizes the first. Segments are numbered in the
    order of their masks, pixels in no mask last. A mask of which no pixel is left makes no segment, and one that
    others cut in two stays one segment. Images with fewer masks than others are padded with empty ones.

    Args:
        masks: Boolean masks of one image, ``(P, H, W)``, or of N images, ``(N, P, H, W)``: a tensor, an array, a list
            of P masks ``(H, W)``, or the list of dictionaries with the key ``"segmentation"`` that SAM's
            SamAutomaticMaskGenerator returns.
        scores: One score per mask, ``(P,)`` or ``(N, P)``, higher is better; or, for dictionaries, the key to read it
            from, such as ``"predicted_iou"``.
        background: Whether the pixels in no mask are one ``"segment"``, or as many as they have connected
            ``"components"`` (pixels connect by their sides).

    Returns:
        A feature mask ``(1, 1, H, W)`` or ``(N, 1, H, W)``, int64, on the device of the masks, with labels from 0
        without gaps in each image.

    Raises:
        TypeError: If the masks are not boolean, or the scores not numbers.
        ValueError: If there are no masks, their shapes differ or are others than those above, the scores are not one
            per mask or hold NaN, a dictionary lacks a key, or ``background`` is unknown.

    References:
        Kirillov et al., "Segment Anything", ICCV 2023, arXiv:2304.02643.

    Examples:
        >>> whole = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0]]).bool()
        >>> part = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0]]).bool()
        >>> from_proposals([part, whole]).tolist()
        [[[[1, 0, 1, 2], [1, 1, 1, 2]]]]
        >>> from_proposals([part, whole], scores=[0.5, 0.9]).tolist()
        [[[[0, 0, 0, 1], [0, 0, 0, 1]]]]
    """
    checked_choice("background", background, get_args(BackgroundSegments))
    if isinstance(scores, str):
        scores = _read_key(masks, scores)
    stack = stack_proposals(masks)
    ranking = _rank(stack, _checked_scores(scores, stack))
    stack = stack if stack.dim() == 4 else stack[None]
    count, proposals = stack.shape[:2]
    images = torch.arange(count, device=stack.device)
    owner = torch.full((count, *stack.shape[2:]), proposals, device=stack.device)
    for place in reversed(ranking.view(count, proposals).unbind(dim=1)):
        owner = torch.where(stack[images, place], place[:, None, None], owner)
    if background == "components":
        # Numbered in reading order among all components, so that those of the background keep their order.
        components = torch.stack([label_components(image) for image in owner])
        owner = torch.where(owner == proposals, proposals + components, owner)
    return rank_rows(owner.flatten(1)).view(count, 1, *stack.shape[2:])


def _read_key(masks: object, key: str) -> list[Any]:
    if not isinstance(masks, Sequence) or not all(isinstance(mask, Mapping) for mask in masks):
        raise TypeError(f"scores={key!r} names a key of masks that are dictionaries, but these are not: pass numbers")
    for index, mask in enumerate(masks):
        if key not in mask:
            raise ValueError(f"masks[{index}] has no {key!r}, but only {sorted(map(str, mask))}: name one of its keys")
    return [mask[key] for mask in masks]


def stack_proposals(masks: object) -> Tensor:
    """Return the masks that :func:`from_proposals` takes as one boolean tensor ``(P, H, W)`` or ``(N, P, H, W)``.

    Raises:
        TypeError: If they are not boolean.
        ValueError: If there are none, their shapes differ or are others than those above, or a dictionary has no mask.
    """
    if isinstance(masks, (Tensor, np.ndarray)):
        stack = _checked_boolean(masks, "masks")
    elif isinstance(masks, Sequence) and not isinstance(masks, str):
        if not masks:
            raise ValueError(
                "an empty list of masks was passed: an image without proposals is left to a mask generator"
            )
        if any(isinstance(mask, Mapping) for mask in masks):
            masks = _read_key(masks, "segmentation")
        parts = [_checked_boolean(mask, f"masks[{index}]") for index, mask in enumerate(masks)]
        for index, part in enumerate(parts):
            if part.dim() != 2:
                raise ValueError(
                    f"masks[{index}] has shape {tuple(part.shape)}, but each mask of a list is one of shape (H, W): "
                    "pass masks of several images as one tensor (N, P, H, W)"
                )
            if part.shape != parts[0].shape:
                raise ValueError(
                    f"masks[{index}] has shape {tuple(part.shape)}, but masks[0] {tuple(parts[0].shape)}: the masks of "
                    "an image are all of its size"
                )
        stack = torch.stack(parts)
    else:
        raise TypeError(f"masks must be a tensor, an array or a list of masks, but a {type(masks).__name__} was passed")
    if stack.dim() not in (3, 4):
        hint = ": add the dimension to a single mask by masks[None]" if stack.dim() == 2 else ""
        raise ValueError(
            f"masks of shape {tuple(stack.shape)} were passed, but (P, H, W) for one image or (N, P, H, W) is "
            f"needed{hint}"
        )
    if stack.numel() == 0:
        raise ValueError(f"masks of shape {tuple(stack.shape)} hold no pixels: pass at least one mask of one image")
    return stack


def _checked_boolean(mask: object, name: str) -> Tensor:
    if not isinstance(mask, (Tensor, np.ndarray)):
        raise TypeError(
            f"{name} must be a boolean tensor or array, but a {type(mask).__name__} was passed: decode run lengths "
            "first, and make arrays of nested lists"
        )
    if mask.dtype != (torch.bool if isinstance(mask, Tensor) else np.bool_):
        raise TypeError(
            f"{name} must be boolean, but has dtype {mask.dtype}: choose a threshold, for example masks > 0.5 for "
            "probabilities and masks > 0 for logits"
        )
    # torch warns about arrays that are not writable, and refuses those with negative strides.
    return mask if isinstance(mask, Tensor) else torch.from_numpy(np.require(mask, requirements=["C", "W"]))


def _checked_scores(scores: object, stack: Tensor) -> Tensor | None:
    """Return the scores in float64, on the CPU (other devices may lack it), in the leading shape of the masks."""
    if scores is None:
        return None
    try:
        copied = np.array(scores) if isinstance(scores, np.ndarray) else scores
        given = torch.as_tensor(copied).detach().cpu()
        if given.is_complex():
            raise TypeError("complex numbers have no order")
        values = given.double()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"scores must be numbers, one for each mask, but {scores!r} was passed") from None
    if values.shape != stack.shape[:-2]:
        raise ValueError(
            f"scores of shape {tuple(values.shape)} were passed for masks of shape {tuple(stack.shape)}: one per "
            f"mask makes {tuple(stack.shape[:-2])}"
        )
    if values.isnan().any():
        broken = values.isnan().nonzero().squeeze(-1).tolist()
        raise ValueError(f"the scores at [{listed(broken)}] are NaN, which says nothing of order: pass numbers")
    return values


def _rank(stack: Tensor, scores: Tensor | None) -> Tensor:
    """List the proposals of each image, the one that wins first: ``(P,)`` or ``(N, P)``, on the device of the masks."""
    order = stack.flatten(-2).sum(dim=-1).cpu().argsort(dim=-1, stable=True)
    if scores is not None:
        order = order.gather(-1, scores.gather(-1, order).argsort(dim=-1, descending=True, stable=True))
    return order.to(stack.device)
