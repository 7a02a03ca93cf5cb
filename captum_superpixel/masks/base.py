"""What all mask generators share: settings, checks of the input, and scaling to [0, 1] on the input's device."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, Self, TypeAlias

import torch
from torch import Tensor

from captum_superpixel._checks import check_finite, checked_choice, checked_denormalize, checked_integer
from captum_superpixel.feature_masks import check_channels_first, hint_for_one_image
from captum_superpixel.masks._scaling import are_flat, scale_by_range
from captum_superpixel.masks._valid import ValidMask, check_enough, checked_valid, fill_invalid, set_apart

Statistic: TypeAlias = float | Sequence[float] | Tensor


@dataclass(frozen=True, kw_only=True, repr=False)
class ImageMaskGenerator(ABC):
    """Segments each image of a batch, ``(N, C, *spatial)`` to ``(N, 1, *spatial)`` int64.

    Each image is segmented by itself, whatever else is in the batch, into labels 0 to K-1 without gaps.

    Args:
        denormalize: ``(mean, std)`` of the model's preprocessing, each a number or one for each of the C channels, in
            the order of the channels. The pixels are then ``x * std + mean``, clipped to [0, 1]; for a network that
            takes values from 0 to 255, divide both by 255. With None, each image is scaled to [0, 1] by its own
            minimum and maximum over all channels; outliers that would take most of that range are clipped.
        channel_order: The order of the channels in inputs that have three.
    """

    denormalize: tuple[Statistic, Statistic] | None = None
    channel_order: Literal["rgb", "bgr"] = "rgb"

    spatial_dimensions: ClassVar[tuple[int, ...]] = (2,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "denormalize", checked_denormalize(self.denormalize))
        checked_choice("channel_order", self.channel_order, ("rgb", "bgr"))

    def __call__(self, inputs: Tensor, mask: ValidMask | None = None) -> Tensor:
        """Segment a batch.

        Args:
            inputs: Images of shape ``(N, C, *spatial)``, of any real dtype, finite where they are valid.
            mask: Which pixels are valid, bool, as tensor or NumPy array: ``(1 or N, 1, *spatial)``, or without the
                channel, or ``(*spatial)``; None if all are. The others may be NaN. They get one segment of their own in
                each image, the last, into which no other segment reaches, and they decide nothing about the others.

        Returns:
            A feature mask ``(N, 1, *spatial)``, int64, on the device of the inputs.

        Raises:
            TypeError: If the inputs are not a tensor of real numbers, or the mask not a tensor.
            ValueError: If their shape is not that of a batch of images, or of one with channels last (a last dimension
                of 1, 3 or 4 after longer ones alone), nothing is in them, a pixel is not finite, or the mask is not
                bool, does not fit, or leaves an image without valid pixels.
        """
        if mask is not None:
            return self._segment_valid(inputs, mask)
        self.check_inputs(inputs)
        return self.segment_together([self], *self.scale_pixels(inputs))[0]

    @classmethod
    @abstractmethod
    def segment_together(cls, generators: Sequence[Self], images: Tensor, flat: Tensor) -> list[Tensor]:
        """Segment images that ``scale_pixels`` has scaled, with generators that scale alike and may share more.

        Args:
            generators: Generators that have this method in common.
            images: Shape ``(N, C, *spatial)``, float32 in [0, 1]. Not to be written to: others use them too.
            flat: Which of them are of one color, ``(N,)`` bool.

        Returns:
            A feature mask ``(N, 1, *spatial)`` for each generator, int64, on the device of the images: the same,
            bit for bit, as from that generator alone.
        """

    @torch.no_grad()
    def _segment_valid(self, inputs: Tensor, mask: object) -> Tensor:
        """Segment the valid pixels of a batch, each image by itself; see ``__call__``."""
        self._check_layout(inputs)
        valid = checked_valid(mask, inputs)
        inputs = inputs.detach()
        self.check_inputs(torch.where(valid, inputs, torch.zeros((), dtype=inputs.dtype, device=inputs.device)))
        self._check_valid(valid)
        masks = []
        for image, where in zip(inputs, valid[:, 0], strict=True):
            if where.all():
                masks.append(self(image[None]))
                continue
            pixels = image[:, where]
            # As an image of one row: what is not valid has no part in the range.
            scaled, flat = self.scale_pixels(pixels.view(1, len(pixels), *[1] * (where.ndim - 1), -1))
            filled = fill_invalid(scaled.reshape(len(pixels), -1), where)[None]
            labels = torch.zeros_like(where, dtype=torch.int64) if flat else self._label_valid(filled, where)
            masks.append(set_apart(labels[None, None], where[None, None]))
        return torch.cat(masks)

    def _label_valid(self, image: Tensor, valid: Tensor) -> Tensor:
        """Label the valid pixels of a scaled image ``(1, C, *spatial)``, where ``valid`` ``(*spatial)`` is true.

        The others have the values of the nearest valid ones. Their labels do not matter.
        """
        flat = torch.zeros(1, dtype=torch.bool, device=image.device)
        return self.segment_together([self], image, flat)[0][0, 0]

    def _check_valid(self, valid: Tensor) -> None:
        """Raise ValueError if the valid pixels ``(N, 1, *spatial)`` are too few."""
        return

    def __repr__(self) -> str:
        """Show n_segments and the settings that differ from their defaults."""
        shown = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in sorted(fields(self), key=lambda field: field.kw_only is True)
            if field.name == "n_segments" or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"

    def check_inputs(self, inputs: Tensor) -> None:
        """Raise TypeError or ValueError unless the inputs are images that this generator can segment."""
        self._check_layout(inputs)
        self._check_finite(inputs)

    def _check_layout(self, inputs: Tensor) -> None:
        if not isinstance(inputs, Tensor):
            raise TypeError(
                f"inputs must be a tensor of shape (N, C, *spatial), but a {type(inputs).__name__} was passed"
            )
        if inputs.is_complex():
            raise TypeError(f"inputs have dtype {inputs.dtype}: pass real pixels, for example inputs.abs()")
        shape = tuple(inputs.shape)
        name = type(self).__name__
        if inputs.ndim - 2 not in self.spatial_dimensions:
            layouts = " or ".join(f"(N, C, {', '.join('DHW'[-d:])})" for d in self.spatial_dimensions)
            series = "segment series by Grid, or by Slic as images of one row, inputs[:, :, None], "
            hint = f"{hint_for_one_image(shape)}, {series}" if len(shape) == 3 else ""
            hint = "segment volumes by Slic, SkimageSlic or Grid, " if len(shape) == 5 else hint
            raise ValueError(
                f"{name} segments inputs of shape {layouts}, but these have shape {shape}: {hint}"
                "pass your own mask as feature_mask=, or give None for this input in a tuple of mask generators"
            )
        if inputs.numel() == 0:
            raise ValueError(f"{name} was given inputs of shape {shape}, which hold no pixels: pass at least one image")
        check_channels_first(shape, name)
        for statistic, values in zip(("means", "stds"), checked_denormalize(self.denormalize) or (), strict=False):
            if len(values) not in (1, shape[1]):
                raise ValueError(
                    f"denormalize holds {len(values)} {statistic}, but the inputs of shape {shape} have {shape[1]} "
                    f"channels: pass one number, or {shape[1]}"
                )

    def _check_finite(self, inputs: Tensor) -> None:
        advice = "replace them first, for example by torch.nan_to_num(inputs, 0, 0, 0), or set them apart by mask=valid"
        check_finite(inputs, "images", "pixels", advice)

    def scale_pixels(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Bring images to float32 in [0, 1], three channels to the order red, green, blue.

        Every image is scaled by itself and element by element, so it gets the same bits in any batch.

        Without ``denormalize`` the range is from the minimum to the maximum, but for outliers; see ``scale_by_range``.

        Args:
            inputs: Checked images of shape ``(N, C, *spatial)``.

        Returns:
            The scaled images ``(N, C, *spatial)``, and which of them are flat: ``(N,)`` bool, true where no channel
            varies by more than rounding.
        """
        pixels = inputs.detach()
        if pixels.dtype != torch.float64:
            pixels = pixels.float()
        denormalize = checked_denormalize(self.denormalize)
        if denormalize is None:
            pixels, flat = scale_by_range(pixels)
        else:
            mean, std = (pixels.new_tensor(values).view(-1, *[1] * (pixels.ndim - 2)) for values in denormalize)
            pixels = (pixels * std).add_(mean).clamp_(0, 1)
            flat = are_flat(pixels)
        if self.channel_order == "bgr" and pixels.shape[1] == 3:
            pixels = pixels.flip(1)
        return pixels.float().contiguous(), flat


@dataclass(frozen=True, repr=False)
class CountedMaskGenerator(ImageMaskGenerator):
    """A mask generator that is told how many segments to make.

    Args:
        n_segments: The number of segments for each image, at least 1 and at most its number of pixels.
    """

    n_segments: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "n_segments", checked_integer("n_segments", self.n_segments))

    def _check_layout(self, inputs: Tensor) -> None:
        super()._check_layout(inputs)
        pixels = math.prod(inputs.shape[2:])
        if self.n_segments > pixels:
            raise ValueError(
                f"n_segments={self.n_segments}, but an image of the inputs of shape {tuple(inputs.shape)} has only "
                f"{pixels} pixels: ask for at most {pixels} segments"
            )

    def _check_valid(self, valid: Tensor) -> None:
        check_enough(valid, self.n_segments)


@torch.no_grad()
def segment_with_all(generators: Sequence[ImageMaskGenerator], inputs: Tensor) -> list[Tensor]:
    """Segment a batch with several generators, which share what they can.

    Those that scale alike share the scaled pixels; of these, the ones of ``Slic`` share colors, layout and merging,
    and those by scikit-image one pool of threads.

    Args:
        generators: Mask generators of this package.
        inputs: Images of shape ``(N, C, *spatial)``.

    Returns:
        A feature mask ``(N, 1, *spatial)`` for each generator, the same as it gives by itself.

    Raises:
        TypeError: If the inputs are not a tensor of real numbers.
        ValueError: If one of the generators cannot segment these images.
    """
    # Pixels are looked at once for all that look at them alike.
    looked: set[Hashable] = set()
    for generator in generators:
        looks = (type(generator).check_inputs, type(generator)._check_finite)
        if looks in looked:
            generator._check_layout(inputs)
        else:
            generator.check_inputs(inputs)
        looked.add(looks)
    scaled: dict[Hashable, tuple[Tensor, Tensor]] = {}
    groups: dict[tuple[Hashable, type], list[int]] = {}
    for index, generator in enumerate(generators):
        scaling: Hashable = (type(generator).scale_pixels, generator.denormalize, generator.channel_order)
        if scaling not in scaled:
            scaled[scaling] = generator.scale_pixels(inputs)
        groups.setdefault((scaling, _engine(generator)), []).append(index)
    masks: dict[int, Tensor] = {}
    for (scaling, _), indices in groups.items():
        members = [generators[index] for index in indices]
        masks.update(zip(indices, members[0].segment_together(members, *scaled[scaling]), strict=True))
    return [masks[index] for index in range(len(generators))]


def _engine(generator: ImageMaskGenerator) -> type:
    """Find the class whose ``segment_together`` a generator has."""
    return next(cls for cls in type(generator).__mro__ if "segment_together" in vars(cls))
