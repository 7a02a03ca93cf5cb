"""SLIC superpixels and supervoxels for whole batches, on the device of the images."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from captum_superpixel._checks import checked_denormalize, checked_integer, checked_number, checked_spacing
from captum_superpixel._threads import call_each, undivided_operations
from captum_superpixel.masks._components import label_components
from captum_superpixel.masks._valid import ValidMask
from captum_superpixel.masks.base import CountedMaskGenerator
from captum_superpixel.masks.slic import compiled
from captum_superpixel.masks.slic._copying import on_cpu
from captum_superpixel.masks.slic._segmenting import AtOnce, Setting, segment_pixels, segment_valid_pixels
from captum_superpixel.masks.slic._shared_pixels import SharedPixels

_PIXELS_AT_ONCE = {"cpu": AtOnce(assigned=110_000, segmented=220_000)}
"""How many pixels are treated at the same time where caches count."""

_MANY_PIXELS_AT_ONCE = AtOnce(assigned=4_000_000, segmented=10_000_000)
"""How many on other devices, where every operation is a launch, and memory is the bound: some 100 bytes per pixel."""

_COPIED = {"cuda"}
"""Types of devices from which images are copied to the CPU where its machine code is the quicker."""

_PIXELS_WORTH_COPYING = 1_000_000
"""Up to how many pixels of three channels, of all masks and for each thread: of fewer, a GPU waits for the host most of
the time, as measured on an H100."""


@dataclass(frozen=True, repr=False)
class Slic(CountedMaskGenerator):
    """SLIC: k-means on color and position, for a whole batch of images or volumes on its own device.

    Images are ``(N, C, H, W)``, volumes ``(N, C, D, H, W)``. Segments are connected, and none is smaller than a tenth
    of their mean. There are ``n_segments`` of them in most photographs, and up to a tenth fewer in some; images of one
    color are one segment. On the CPU each image gets the same mask in any batch, in any order and with any number of
    threads, bit for bit.

    Args:
        n_segments: The number of segments for each image, at least 1 and at most its number of pixels.
        compactness: The weight of position against color, above 0; the larger, the squarer. It relates to CIELAB, where
            lightness runs from 0 to 100; channels that are not colors are put on the same range.
        max_num_iter: The number of k-means iterations.
        spacing: How far apart the middles of adjacent pixels are along each spatial axis, ``(rows, columns)`` or
            ``(slices, rows, columns)``, in any unit, such as millimeters: segments are then compact in space and not
            in pixels. With None all are as far apart.
        denormalize: ``(mean, std)`` of the model's preprocessing, so that pixels are ``x * std + mean``, clipped to
            [0, 1]; with None each image is scaled to [0, 1] by its own minimum and maximum; outliers such as a hot
            pixel, farther from all other values than those are apart, are clipped.
        channel_order: ``"rgb"`` or ``"bgr"``, for inputs with three channels.

    Notes:
        One channel is gray and segmented like the color image with three such channels.

        The image is cut into somewhat fewer cells than segments are asked for, a cluster each. Pixels are compared with
        the centers of the 3x3 cells around their own (in the paper, with all centers closer than twice the size of a
        segment). Centers move on a sample of about 8x8 pixels per cell; every pixel is assigned once, in the end.
        In volumes all steps are the same in one dimension more: the centers of 3x3x3 cells, 5x5x5 voxels of each, and
        components of voxels that share a face. A volume of one slice, row or column is segmented as the image that it
        is, and an image of one row or column as the series that it is. Where a segment is 64 pixels long or longer,
        blocks of 2, 4, ... pixels along that axis are treated as one. In cells of 12 pixels and more, pixels are
        averaged with their neighbors first, by the weights 1, 2, 1.

        The paper makes clusters connected by merging connected components smaller than a quarter of a segment into any
        neighbor, which loses segments. Here the ``n_segments`` largest components stay, and the others are merged into
        the neighbor of the nearest color. Segments that are then below a tenth of the mean, such as stars on a black
        sky, take the most similar of the pixels around them until they are not; pixels that this cuts off from their
        segment are merged by color. Images that are left with too few segments are segmented again from 1.3 times as
        many cells. Components are labeled by scikit-image, on CUDA by torch; on other devices (MPS) 4 bytes per pixel
        go to the CPU for it, and 8 come back. What too small segments take is found on the CPU, to which images that
        have some send 20 bytes per pixel.

        For images on the CPU the steps above run in machine code where ``captum-superpixel compile`` has made it, and
        else in torch, with the same result, bit for bit; see :func:`describe_engine`. What has a ``mask`` of valid
        pixels remains with torch.

        Colors, places and centers are rounded to whole numbers, about 0.07 of a CIELAB unit, so that no sum depends on
        the order of its terms.

    References:
        Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", IEEE TPAMI 34(11), 2012,
        https://doi.org/10.1109/TPAMI.2012.120

    Examples:
        >>> images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        >>> feature_mask = Slic(n_segments=20)(images)
        >>> feature_mask.shape, [len(mask.unique()) for mask in feature_mask]
        (torch.Size([2, 1, 32, 32]), [20, 20])
    """

    compactness: float = 10.0
    max_num_iter: int = 5
    spacing: tuple[float, ...] | None = None

    spatial_dimensions: ClassVar[tuple[int, ...]] = (2, 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "compactness", checked_number("compactness", self.compactness, exclusive=True))
        object.__setattr__(self, "max_num_iter", checked_integer("max_num_iter", self.max_num_iter))
        object.__setattr__(self, "spacing", checked_spacing(self.spacing))

    @torch.no_grad()
    def __call__(self, inputs: Tensor, mask: ValidMask | None = None) -> Tensor:
        """Segment a batch.

        Args:
            inputs: Images ``(N, C, H, W)`` or volumes ``(N, C, D, H, W)``, of any real dtype, finite where valid.
            mask: Which pixels are valid, ``(1 or N, 1, *spatial)`` bool; None if all are. The others may be NaN. They
                get one segment of their own in each image, the last, into which no other segment reaches; the mean size
                and ``n_segments`` are then those of the valid part. Where that lies in several places, each has a
                segment at least, however small or many they are.

        Returns:
            A feature mask ``(N, 1, *spatial)``, int64, on the device of the inputs.

        Raises:
            TypeError: If the inputs are not a tensor of real numbers, or the mask not a tensor.
            ValueError: If their shape is not that of a batch of images, nothing is in them, an image has fewer than
                ``n_segments`` valid pixels, one of these is not finite, the mask is not bool or does not fit, or the
                spacing has not one number for each spatial axis.
        """
        if mask is not None:
            return self._segment_valid(inputs, mask)
        if isinstance(inputs, Tensor) and _are_worth_copying([self], inputs) and self._scales_as_is():
            return Slic.__call__(self, on_cpu(inputs.detach())).to(inputs.device)
        if (found := self._segment_compiled(inputs)) is not None:
            return found
        with _cores(inputs) as threads:
            self.check_inputs(inputs)
            # Scaled part by part, and not by the base class: the scaled batch would take memory, and one core's time.
            return _segment_parts([self], inputs, lambda part: self.scale_pixels(inputs[part]), threads)[0]

    def _segment_compiled(self, inputs: Tensor) -> Tensor | None:
        """Scale and segment images by machine code; None where that is not possible, or a pixel is not finite.

        It asks for the memory that the worst of images need, of which most is never used; where a system refuses that,
        torch needs less.
        """
        self._check_layout(inputs)
        # What has fewer or more than two axes is scaled by torch.
        if inputs.ndim != 4 or 1 in inputs.shape[2:] or self.n_segments == 1:
            return None
        if not compiled.applies([setting := self._setting((0, 1))], inputs) or not compiled.scales(setting, inputs):
            return None
        library = compiled.find_library() if self._scales_as_is() else None
        if library is None:
            return None
        statistics = checked_denormalize(self.denormalize)
        reversed_order = self.channel_order == "bgr" and inputs.shape[1] == 3
        with _cores(inputs) as threads:
            scaling = compiled.Scaling(statistics, reversed_order, self.scale_pixels)
            try:
                return compiled.segment_inputs(library, setting, scaling, inputs, threads)
            except MemoryError:
                return None

    def _scales_as_is(self) -> bool:
        """Say whether no subclass scales in its own way, as machine code would not."""
        return type(self).scale_pixels is Slic.scale_pixels

    @classmethod
    @torch.no_grad()
    def segment_together(cls, generators: Sequence[Self], images: Tensor, flat: Tensor) -> list[Tensor]:
        """Segment scaled images ``(N, C, *spatial)`` into a feature mask ``(N, 1, *spatial)`` each; see the base."""
        device = images.device
        if _are_worth_copying(generators, images):
            images, flat = on_cpu(images), flat.cpu()
        with _cores(images) as threads:
            masks = _segment_parts(generators, images, lambda part: (images[part], flat[part]), threads)
        return [mask.to(device) for mask in masks]

    def _label_valid(self, image: Tensor, valid: Tensor) -> Tensor:
        if self.n_segments == 1:
            # One for each place, as for other numbers.
            return label_components(valid)
        spatial = _long_axes(valid.shape)
        layout = [valid.shape[axis] for axis in spatial]
        with _cores(image):
            pixels = SharedPixels(image.reshape(*image.shape[:2], *layout))
            at_once = _pixels_at_once(image.device)
            labels = segment_valid_pixels(self._setting(spatial), pixels, at_once, valid.reshape(layout))
        return labels.view(valid.shape)

    def _check_layout(self, inputs: Tensor) -> None:
        super()._check_layout(inputs)
        dimensions = inputs.ndim - 2
        if self.spacing is not None and len(self.spacing) != dimensions:
            raise ValueError(
                f"spacing={self.spacing} holds {len(self.spacing)} numbers, but the inputs of shape "
                f"{tuple(inputs.shape)} have {dimensions} spatial axes: pass one distance for each, in their order"
            )

    def _setting(self, axes: Sequence[int]) -> Setting:
        """Say what is to be done, along those of the spatial axes that are looked at."""
        spacing = [1.0 if self.spacing is None else self.spacing[axis] for axis in axes]
        # Only ratios matter: a unit of which the least is 1 gives equal spacings equal bits.
        relative = tuple(distance / min(spacing) for distance in spacing)
        return Setting(self.n_segments, self.max_num_iter, relative, self.compactness)


def _segment_parts(
    generators: Sequence[Slic], images: Tensor, scale: Callable[[slice], tuple[Tensor, Tensor]], threads: int
) -> list[Tensor]:
    """Segment images, of which ``scale`` gives some and which of them are flat, into a mask each."""
    count, _, *spatial = images.shape
    masks = [torch.zeros(count, 1, *spatial, dtype=torch.int64, device=images.device) for _ in generators]
    at_once = max(1, _pixels_at_once(images.device).segmented // math.prod(spatial))
    at_once = min(at_once, math.ceil(count / threads))
    parts = [slice(first, first + at_once) for first in range(0, count, at_once)]
    call_each(lambda part: _fill(generators, [mask[part, 0] for mask in masks], *scale(part)), parts, threads)
    return masks


def _fill(generators: Sequence[Slic], masks: Sequence[Tensor], images: Tensor, flat: Tensor) -> None:
    """Write the segments of scaled images ``(N, C, *spatial)`` into masks ``(N, *spatial)`` of zeros."""
    asked = [(generator, mask) for generator, mask in zip(generators, masks, strict=True) if generator.n_segments > 1]
    flags = flat.tolist()
    if not asked or all(flags):
        return
    axes = _long_axes(images.shape[2:])
    settings = [one._setting(axes) for one, _ in asked]
    uneven = ~flat if any(flags) else slice(None)
    shape = images.shape
    images = images.reshape(*shape[:2], *(shape[2 + axis] for axis in axes))
    library = compiled.find_library() if compiled.applies(settings, images) else None
    found = None
    if library is not None:
        # As in ``Slic._segment_compiled``.
        with contextlib.suppress(MemoryError):
            found = compiled.segment_images(library, settings, images[uneven])
    if found is None:
        found = segment_pixels(settings, SharedPixels(images[uneven]), _pixels_at_once(images.device))
    for (_, mask), segments in zip(asked, found, strict=True):
        mask[uneven] = segments.view(-1, *shape[2:])


def _are_worth_copying(generators: Sequence[Slic], images: Tensor) -> bool:
    """Say whether images of another device are segmented sooner by the machine code for the CPU, copies included."""
    if images.device.type not in _COPIED or images.ndim != 4 or 1 in images.shape[2:]:
        return False
    pixels = len(generators) * len(images) * math.prod(images.shape[2:]) * max(1, images.shape[1] / 3)
    settings = [one._setting((0, 1)) for one in generators if one.spacing is None or len(one.spacing) == 2]
    return (
        0 < pixels <= _PIXELS_WORTH_COPYING * torch.get_num_threads()
        and len(settings) == len(generators)
        and all(len(set(setting.spacing)) == 1 for setting in settings)
        and compiled.would_apply(settings, images)
        and compiled.find_library() is not None
    )


def _long_axes(spatial: Sequence[int]) -> list[int]:
    """List the spatial axes along which there is more than one pixel: what has one of them is a series."""
    return [axis for axis, length in enumerate(spatial) if length > 1] or [len(spatial) - 1]


def _cores(images: object) -> contextlib.AbstractContextManager[int]:
    """Give the number of threads to divide images over, which on the CPU then do not divide their work further."""
    on_cpu = isinstance(images, Tensor) and images.device.type == "cpu"
    return undivided_operations() if on_cpu else contextlib.nullcontext(1)


def _pixels_at_once(device: torch.device) -> AtOnce:
    return _PIXELS_AT_ONCE.get(device.type, _MANY_PIXELS_AT_ONCE)
