"""Semantic segmentation: how strongly a network sees a category in a region of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from captum_superpixel._checks import InputError, checked_choice, checked_integer, listed
from captum_superpixel._networks import first_logits

__all__ = ["SegmentationTarget", "predict_categories", "predicted_region", "segmentation_logits"]


class SegmentationTarget(nn.Module):
    """One number for each image: a category's logit, averaged or added over a region.

    The region is fixed: it stays that of the image as it is, whatever a method does to the pixels. Logits of a lower
    resolution are interpolated to that of the images. The result is a network like any other: attribute to it without
    ``target=``.

    Args:
        network: From images ``(N, C, H, W)`` to logits ``(N, K, h, w)``: a tensor, an output of ``transformers`` with
            ``logits``, or a dictionary with ``"out"``, as torchvision's networks return it.
        category: From 0 to K - 1.
        region: ``(H, W)`` bool, the same for all images; or None if every call gets one for each image.
        reduction: ``"mean"`` of the logits over the region, or their ``"sum"``, as Captum's tutorial has it. The sum is
            float32 at least.

    Attributes:
        region: The region, a buffer; another may be assigned.

    Raises:
        InputError: If the region is not a mask, or holds no pixel.

    Notes:
        Several images, each with a region of its own, take these as Captum's ``additional_forward_args``, which it
        repeats along with the images. ``ViewTunnel`` does not move the region along with the views that it shifts and
        mirrors, and so is not for this target.

    Examples:
        Captum's own call, with the one line that groups within superpixels.

        >>> from captum.attr import IntegratedGradients
        >>> from captum_superpixel import SuperpixelGrouped
        >>> network, images = nn.Conv2d(3, 4, 3, stride=4), torch.rand(2, 3, 32, 32)
        >>> category = int(predict_categories(network, images)[0, 0, 0])
        >>> target = SegmentationTarget(network, category, predicted_region(network, images[:1], category)[0])
        >>> SuperpixelGrouped(IntegratedGradients(target)).attribute(images[:1]).shape
        torch.Size([1, 3, 32, 32])

        A region for each image.

        >>> target = SegmentationTarget(network, 2)
        >>> regions = torch.rand(2, 32, 32) > 0.5
        >>> IntegratedGradients(target).attribute(images, additional_forward_args=(regions,)).shape
        torch.Size([2, 3, 32, 32])
    """

    region: Tensor | None

    def __init__(
        self,
        network: nn.Module,
        category: int,
        region: Tensor | None = None,
        *,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.network = network
        self.category = checked_integer("category", category, minimum=0)
        checked_choice("reduction", reduction, ("mean", "sum"))
        self.reduction = reduction
        self.register_buffer("region", None if region is None else _checked_region(region))

    def forward(self, images: Tensor, region: Tensor | None = None) -> Tensor:
        """Return the category's logit over the region.

        Args:
            images: ``(N, C, H, W)``.
            region: ``(N, H, W)`` bool, or ``(H, W)`` for all; None for the one that was given before.

        Returns:
            ``(N,)``.

        Raises:
            InputError: If there is no region, it has another size than the images or holds no pixel, or the network
                returns no logits of such a category.
        """
        region = self.region if region is None else region
        if region is None:
            raise InputError(
                "There is no region: pass it to SegmentationTarget, or one for each image as "
                "additional_forward_args=(regions,)."
            )
        weights = _checked_region(region, images.shape[2:]).to(images.device)[:, None]
        if len(weights) not in (1, len(images)):
            raise InputError(
                f"There are {len(weights)} regions for {len(images)} images: pass one (H, W), or one for each image, "
                "as additional_forward_args so that methods repeat them along with the images."
            )
        logits = segmentation_logits(self.network(images), images)
        if self.category >= logits.shape[1]:
            raise InputError(
                f"The category {self.category} is none of this network, which has {logits.shape[1]}, from 0 on."
            )
        shown = _resized(logits[:, self.category : self.category + 1], images.shape[2:])
        # Sums over a region are beyond what float16 holds, and so are numbers of pixels.
        total = torch.where(weights, shown, 0).sum(dim=(1, 2, 3), dtype=torch.promote_types(shown.dtype, torch.float32))
        return (total / weights.sum(dim=(1, 2, 3))).to(shown.dtype) if self.reduction == "mean" else total


def segmentation_logits(output: object, images: Tensor) -> Tensor:
    """Return the logits ``(N, K, h, w)`` of what a network for semantic segmentation returned.

    Args:
        output: A tensor, an object or a dictionary with ``logits``, or a dictionary with ``"out"``.
        images: ``(N, C, H, W)``.

    Raises:
        InputError: If there are none, or they are of another shape.
    """
    out = output.get("out") if isinstance(output, Mapping) else None
    try:
        logits = out if isinstance(out, Tensor) else first_logits(output)
    except ValueError as error:
        raise InputError(f"This is no output of a network for semantic segmentation: {error}.") from error
    if logits.ndim != 4 or len(logits) != len(images) or 0 in logits.shape:
        raise InputError(
            f"The network returns logits of shape {tuple(logits.shape)} for images of shape {tuple(images.shape)}; one "
            f"for semantic segmentation returns ({len(images)}, categories, height, width)."
        )
    return logits


@torch.no_grad()
def predict_categories(network: nn.Module, images: Tensor) -> Tensor:
    """Say which category a network sees in each pixel.

    Args:
        network: As :class:`SegmentationTarget` takes it.
        images: ``(N, C, H, W)``.

    Returns:
        ``(N, H, W)`` int64, the category of the largest logit, at the resolution of the images. Of a network with a
        single output, 0 where its logit is above 0, and -1 elsewhere.

    Raises:
        InputError: If the network returns no logits ``(N, K, h, w)``.
    """
    logits = _resized(segmentation_logits(network(images), images), images.shape[2:])
    return logits.argmax(dim=1) if logits.shape[1] > 1 else (logits[:, 0] > 0).long() - 1


def predicted_region(network: nn.Module, images: Tensor, category: int) -> Tensor:
    """Mark the pixels in which a network sees a category.

    Args:
        network: As :class:`SegmentationTarget` takes it.
        images: ``(N, C, H, W)``.
        category: From 0 to K - 1.

    Returns:
        ``(N, H, W)`` bool.

    Raises:
        InputError: If the network sees the category nowhere in one of the images, or returns no logits
            ``(N, K, h, w)``.
    """
    seen = predict_categories(network, images)
    region = seen == checked_integer("category", category, minimum=0)
    without = (~region.flatten(1).any(dim=1)).nonzero().flatten().tolist()
    if without:
        shown = torch.unique(seen[without[0]]).tolist()
        where = f" in {len(without)} of the {len(region)} images (index {listed(without)})" if len(region) > 1 else ""
        raise InputError(
            f"The segmentation does not show the category {category}{where}: it shows {listed(shown)}; pass one of "
            "these, or a region of your own."
        )
    return region


def _resized(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Logits at the resolution of the images; interpolated as ``transformers`` and torchvision do."""
    if tuple(logits.shape[2:]) == tuple(size):
        return logits
    return functional.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)


def _checked_region(region: object, size: Sequence[int] | None = None) -> Tensor:
    """Regions ``(N, H, W)`` bool, none of them empty; of any size where that of the images is not known yet."""
    if not isinstance(region, Tensor) or region.dtype != torch.bool:
        what = f"of {region.dtype}" if isinstance(region, Tensor) else f"a {type(region).__name__}"
        raise InputError(f"A region is a tensor (H, W) of bool, but this is {what}; pass such as mask > 0.")
    masks = region[:, 0] if region.ndim == 4 and region.shape[1] == 1 else region
    masks = masks[None] if masks.ndim == 2 else masks
    if masks.ndim != 3:
        raise InputError(f"The region has shape {tuple(region.shape)}: pass a mask (H, W), or (N, H, W) for N images.")
    if size is not None and tuple(masks.shape[1:]) != tuple(size):
        raise InputError(
            f"The region has shape {tuple(region.shape)}, but the images have {' x '.join(map(str, size))} pixels "
            "(height x width): pass a mask (H, W) of their size, or to additional_forward_args one for each image."
        )
    if not masks.flatten(1).any(dim=1).all():
        raise InputError("The region holds no pixel: mark those whose category is to be explained.")
    return masks
