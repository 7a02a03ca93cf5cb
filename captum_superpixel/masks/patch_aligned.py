"""Superpixels of whole patches, so that no token of a vision transformer is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, avg_pool2d, avg_pool3d

from captum_superpixel._checks import checked_integer
from captum_superpixel.feature_masks import check_channels_first, hint_for_one_image
from captum_superpixel.masks._valid import ValidMask, checked_valid
from captum_superpixel.masks.slic import Slic

__all__ = ["PatchAligned"]

_MEANS = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}


@dataclass(frozen=True)
class PatchAligned:
    """Segments of whole patches: what another generator makes of the patches' mean colors.

    A vision transformer cuts the image into patches, and each token of a layer stands for one of them. Borders of
    superpixels that run through a patch divide the value of its token between segments, and a segment that is
    perturbed changes tokens in part. Here the image of the mean colors of the patches, a pixel for each patch, is
    segmented, and each label is repeated over its patch. So segments are connected where those of the generator are,
    and there are as many of them as it makes; they follow the image as closely as the patches allow.

    Args:
        generator: A mask generator, from ``(N, C, *spatial)`` to ``(N, 1, *spatial)`` int64. Numbers of segments,
            sizes in pixels, and a range of values that it scales by are those of the image of patches.
        patch_size: The side of the patches in pixels, or one for each dimension, ``(height, width)``: 16 for
            ``google/vit-base-patch16-224``, 14 for DINOv2. For Swin, ConvNeXt and their like, whose layers have fewer
            and fewer places, it is the stride of the layer that is looked at, such as 32 for the last.

    Raises:
        TypeError: If ``generator`` cannot be called, or ``patch_size`` is not made of integers.
        ValueError: If ``patch_size`` is below 1.

    Notes:
        Images must be divided by the patches without a rest, as they are where a network accepts them without padding.
        Tokens of overlapping patches, as those of SegFormer, reach beyond their patch by design.

        Maps of a layer come to the size of the image by linear interpolation, which mixes neighboring tokens.
        With ``SuperpixelGrouped(…, interpolate_mode="nearest")`` each segment has the mean of its own tokens.

    Examples:
        >>> from captum_superpixel.masks import SkimageSlic
        >>> left = torch.tensor([1.0, 1.0, 1.0, 0.4, 0.0, 0.0]).expand(1, 3, 4, 6)
        >>> SkimageSlic(2)(left)[0, 0, 0]
        tensor([0, 0, 0, 1, 1, 1])
        >>> PatchAligned(SkimageSlic(2), patch_size=2)(left)[0, 0]
        tensor([[0, 0, 0, 0, 1, 1],
                [0, 0, 0, 0, 1, 1],
                [0, 0, 0, 0, 1, 1],
                [0, 0, 0, 0, 1, 1]])
    """

    generator: Callable[..., Tensor] = field(default_factory=Slic)
    patch_size: int | tuple[int, ...] = 16

    def __post_init__(self) -> None:
        if isinstance(self.generator, type) or not callable(self.generator):
            shown = f"the class {self.generator!r}" if isinstance(self.generator, type) else repr(self.generator)
            raise TypeError(f"generator must be a mask generator, such as Slic(), but {shown} was passed")
        size: Any = self.patch_size
        if isinstance(size, (tuple, list)):
            sides = tuple(checked_integer(f"patch_size[{index}]", side) for index, side in enumerate(size))
            object.__setattr__(self, "patch_size", sides)
        else:
            object.__setattr__(self, "patch_size", checked_integer("patch_size", size))

    @torch.no_grad()
    def __call__(self, inputs: Tensor, mask: ValidMask | None = None) -> Tensor:
        """Segment a batch.

        Args:
            inputs: Images ``(N, C, *spatial)`` of one to three spatial dimensions, of any real dtype.
            mask: Which pixels are valid, ``(1 or N, 1, *spatial)`` bool, for generators that take it; None if all are.
                A patch has the mean color of its valid pixels; the patches without any are one segment, the last.

        Returns:
            A feature mask ``(N, 1, *spatial)``, int64, on the device of the inputs: constant in each patch.

        Raises:
            TypeError: If the inputs are not a tensor of real numbers.
            ValueError: If the patches do not divide the images, or the generator cannot segment so few patches.
        """
        patch = self._patch_of(inputs)
        pixels = inputs.detach().contiguous()
        pixels = pixels if pixels.dtype == torch.float64 else pixels.float()
        options = {}
        if mask is None:
            means = _means(pixels, patch)
        else:
            valid = checked_valid(mask, inputs)
            share = _means(valid.to(pixels.dtype), patch)
            means = _means(torch.where(valid, pixels, 0), patch) / share  # NaN where no pixel of a patch is valid
            options["mask"] = share > 0
        try:
            labels = self.generator(means, **options)
        except ValueError as error:
            raise ValueError(
                f"{self!r} segments the mean colors of patches, of which images of shape {tuple(inputs.shape)} have "
                f"{_by(means.shape[2:])}: {error}"
            ) from error
        wanted = (len(inputs), 1, *means.shape[2:])
        if not isinstance(labels, Tensor) or labels.shape not in (wanted, (1, *wanted[1:])):
            got = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
            raise ValueError(
                f"{self.generator!r} made a mask of {got} of the patches of images of shape {tuple(inputs.shape)}, "
                f"and must make one of {wanted}: it is given their mean colors, a pixel for each patch"
            )
        for axis, side in enumerate(patch, start=2):
            labels = labels.repeat_interleave(side, dim=axis)
        return labels.expand(len(inputs), *labels.shape[1:]).contiguous()

    def _patch_of(self, inputs: object) -> tuple[int, ...]:
        """Sides of a patch in each spatial dimension of the inputs, which are checked."""
        if not isinstance(inputs, Tensor):
            raise TypeError(
                f"inputs must be a tensor of shape (N, C, *spatial), but a {type(inputs).__name__} was passed"
            )
        shape = tuple(inputs.shape)
        dimensions = len(shape) - 2
        if inputs.is_complex():
            raise TypeError(f"inputs have dtype {inputs.dtype}: pass real pixels, for example inputs.abs()")
        if dimensions not in _MEANS or inputs.numel() == 0:
            hint = f": {hint_for_one_image(shape)}" if len(shape) == 3 else ""
            raise ValueError(f"PatchAligned segments inputs (N, C, *spatial), but these have shape {shape}{hint}")
        check_channels_first(shape, type(self).__name__)
        patch = self.patch_size if isinstance(self.patch_size, tuple) else (self.patch_size,) * dimensions
        if len(patch) != dimensions:
            raise ValueError(
                f"patch_size={self.patch_size} has {len(patch)} sides, but inputs of shape {shape} have {dimensions} "
                "spatial dimensions: pass one number, or one for each"
            )
        if any(length % side for length, side in zip(shape[2:], patch, strict=True)):
            raise ValueError(
                f"patches of {_by(patch)} pixels do not divide images of {_by(shape[2:])}: pass the patch size of the "
                "network, or crop, pad or resize the images as it wants them"
            )
        return patch


def _means(values: Tensor, patch: tuple[int, ...]) -> Tensor:
    """Average over patches, each by itself, so that an image has the same means in any batch."""
    average: Any = _MEANS[len(patch)]
    means: Tensor = average(values, patch, stride=patch)
    return means


def _by(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides))
