"""``--task segmentation``: a category over a region of the photograph."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from captum_superpixel._arrays import parse_array
from captum_superpixel._checks import InputError, listed
from captum_superpixel.datasets.preprocessing import Preprocessing
from captum_superpixel.explain.classes import choose_names, class_name, find_target
from captum_superpixel.explain.photographs import open_photograph
from captum_superpixel.explain.tasks.task import Aim, Task, fit_box
from captum_superpixel.models.targets import SegmentationTarget, predict_categories
from captum_superpixel.models.targets.boxes import box_mask
from captum_superpixel.models.targets.segmentation import segmentation_logits

__all__ = ["SegmentationTask"]


class SegmentationTask(Task):
    """The mean of a category's logits over a region: the one that the network predicts, a box or a mask.

    Args:
        network: From images to logits ``(N, K, h, w)``, in any form that ``SegmentationTarget`` takes.
        preprocessing: From photographs to inputs.
        options: Of the command line.
        labels: The user's names of the categories, or None.
        inputs: ``(1, C, H, W)``, an example.

    Raises:
        InputError: If the network returns no such logits, or an option names no category or mask.
    """

    what = "the mean of a category's logits over the region that is outlined"

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        options: Namespace,
        labels: list[str] | None,
        inputs: Tensor,
    ) -> None:
        self._network, self._preprocessing, self._box = network, preprocessing, options.box
        with torch.no_grad():
            count = segmentation_logits(network(inputs), inputs).shape[1]
        self._names = choose_names(network, count, labels, options.labels)
        self._category = find_target(options.target, self._names, count)
        self._mask = None if options.region is None else _read_mask(options.region)
        self.target = SegmentationTarget(network, 0, torch.ones_like(inputs[0, 0], dtype=torch.bool))

    def aim(self, inputs: Tensor, photograph_size: tuple[int, int]) -> Aim:
        """Settle category and region; without a name, the category is the one that most pixels of the region show."""
        seen = predict_categories(self._network, inputs)[0].cpu()
        region, where, remarks = self._region(photograph_size)
        within = seen if region is None else seen[region]
        category = self._category
        if category is None:
            counted, counts = torch.unique(within[within >= 0], return_counts=True)
            if not len(counted):
                raise InputError(
                    "The segmentation shows nothing: name a category by --target, and a --box or --region."
                )
            category = int(counted[counts.argmax()])
        name = class_name(category, self._names)
        if region is None:
            region = seen == category
        if not region.any():
            shown = [class_name(one, self._names) for one in torch.unique(seen).tolist() if one >= 0]
            raise InputError(
                f"The segmentation does not show {name}, but {listed(shown) or 'nothing'}: pass one of these as "
                "--target, or a --box or --region."
            )
        size = f"the region is {_share(region)} of the picture"
        found = f", of which the network sees {name} in {_share(seen[region] == category)}"
        remarks = (*remarks, f"{size}{found if where else ''}")
        held = {"category": category, "region": region[None].to(inputs.device)}
        return Aim(f"{name} in {where or 'its region'}", region, remarks, held)

    def _region(self, photograph_size: tuple[int, int]) -> tuple[Tensor | None, str, tuple[str, ...]]:
        """The user's region and its name; None and no name for the predicted one."""
        if self._box is not None:
            box, remarks = fit_box(self._box, self._preprocessing, photograph_size)
            return box_mask(box, self._preprocessing.shape), "the box", remarks
        if self._mask is None:
            return None, "", ()
        mask = self._mask
        if mask.size != self._preprocessing.shape[::-1]:
            if mask.size != photograph_size[::-1]:
                raise InputError(
                    f"--region has {mask.height} x {mask.width} pixels (height x width), but the photograph has "
                    f"{photograph_size[0]} x {photograph_size[1]}: pass a mask of its size."
                )
            mask = self._preprocessing.resized(mask, Image.Resampling.NEAREST)
        region = torch.from_numpy(np.array(mask) > 0)
        if not region.any():
            raise InputError("--region marks no pixel that the network is shown: mark some above 0.")
        return region, "--region", ()


def _read_mask(path: Path) -> Image.Image:
    """A mask from a picture, white where it marks, or from an array."""
    if path.suffix.lower() != ".npy":
        try:
            return open_photograph(path).convert("L")
        except InputError as error:
            raise InputError(f"--region {path} {error}") from error
    try:
        array = parse_array(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"--region {path} cannot be read ({error}); write a mask (H, W) by np.save.") from error
    if array.ndim != 2 or array.dtype.kind not in "biu":
        raise InputError(f"--region {path} is an array {array.shape} of {array.dtype}; pass a mask (H, W) of bool.")
    return Image.fromarray((array > 0).astype(np.uint8) * 255)


def _share(mask: Tensor) -> str:
    return f"{100 * mask.double().mean():.1f} %"
