"""SLIC of a few images or volumes by compiled code: what ``_segmenting.segment_pixels`` does, one after the other."""

from __future__ import annotations

import ctypes
import math
import operator
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, groupby, repeat
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel._threads import call_each
from captum_superpixel.masks.slic import _segmenting as segmenting
from captum_superpixel.masks.slic._segmenting import Setting
from captum_superpixel.masks.slic._shared_pixels import SharedPixels, halve
from captum_superpixel.masks.slic.compiled.kernels.batches import OUTCOMES, TOO_FEW
from captum_superpixel.masks.slic.compiled.kernels.growing import PLACE_BITS
from captum_superpixel.masks.slic.compiled.kernels.looking import NOT_FINITE, PREPARED
from captum_superpixel.masks.slic.compiled.kernels.scaling import NORMALIZED, REVERSED, SCALED
from captum_superpixel.masks.slic.compiled.kernels.segments import COLORS, FIND, SETTLE, WRITE
from captum_superpixel.masks.slic.compiled.layout import Lengths
from captum_superpixel.masks.slic.compiled.loading import Library
from captum_superpixel.masks.slic.compiled.tables import Memory, Plan, make_plan, scaling_lengths

__all__ = ["Scaling", "applies", "scales", "segment_images", "segment_inputs", "would_apply"]

_PLAIN: tuple[type[Tensor], ...] = (Tensor,)
"""What machine code can read: other kinds of tensors may hold something else than they seem to."""

_MOST_PIXELS = 2**PLACE_BITS
"""How many pixels an image has at most, for their places and pairs to be counted in 32 bits."""

_KEPT_BYTES = 2**26
"""How much memory to work in each thread keeps from one call to the next: enough for images of 512 pixels."""

_kept = threading.local()


class Scaling(NamedTuple):
    """How images are scaled to [0, 1].

    Args:
        statistics: The means and stds of the preprocessing, one or one for each channel; None for each image's range.
        reversed_order: Whether the channels are blue, green and red.
        by_torch: Scales images ``(N, C, H, W)`` by torch, and says which are of one color, ``(N,)``.
    """

    statistics: tuple[Sequence[float], Sequence[float]] | None
    reversed_order: bool
    by_torch: Callable[[Tensor], tuple[Tensor, Tensor]]


def applies(settings: Sequence[Setting], images: Tensor) -> bool:
    """Say whether ``segment_images`` can segment these.

    They have to be plain tensors in the memory of the CPU, ``(N, C, *spatial)`` of one to three axes, and no larger
    than can be counted in them.
    """
    return images.device.type == "cpu" and would_apply(settings, images)


def would_apply(settings: Sequence[Setting], images: Tensor) -> bool:
    """Say whether it could segment these if they were copied to the CPU."""
    plain = type(images) in _PLAIN and images.layout == torch.strided
    return plain and images.dtype != torch.float64 and math.prod(images.shape[2:]) <= _MOST_PIXELS


def scales(setting: Setting, images: Tensor) -> bool:
    """Say whether ``segment_inputs`` can scale images to which ``applies``, because blocks of pixels are squares."""
    return images.ndim == 4 and len(set(_shrink_factors(setting, tuple(images.shape[2:])))) == 1


def segment_inputs(library: Library, setting: Setting, scaling: Scaling, inputs: Tensor, threads: int) -> Tensor | None:
    """Scale and segment images as the caller has them.

    Args:
        library: The machine code.
        setting: What to do.
        scaling: How to scale them.
        inputs: Shape ``(N, C, H, W)``; ``applies`` and ``scales`` say which.
        threads: Over how many threads to divide them.

    Returns:
        Shape ``(N, 1, H, W)``, int64; None if a pixel is not finite.
    """
    images = inputs.detach().resolve_neg().float().contiguous()
    count = len(images)
    masks = images.new_empty((count, 1, *images.shape[2:]), dtype=torch.int64)
    step = math.ceil(count / (4 * threads)) if threads > 1 else count
    parts = [slice(first, first + step) for first in range(0, count, step)]
    finite = call_each(lambda part: _fill(library, setting, scaling, images[part], masks[part]), parts, threads)
    return masks if all(finite) else None


def _fill(library: Library, setting: Setting, scaling: Scaling, images: Tensor, masks: Tensor) -> bool:
    """Write the segments of images ``(N, C, H, W)`` into masks ``(N, 1, H, W)``; False if a pixel is not finite."""
    count, channels, height, width = images.shape
    factors = _shrink_factors(setting, (height, width))
    (factor,) = set(factors)
    shrunk = channels, -(-height // factor), -(-width // factor)
    plan = make_plan(setting, shrunk, factors, (height, width), segmenting._CELLS)
    lengths = scaling_lengths(channels, height, width, factor)
    memory, scratch = _borrow([plan.lengths, lengths], apart=True)
    addresses = [address or 0 for address in scratch.floats]
    bounds, lines, once, twice, colors = addresses[0], *addresses[3:]
    statistics = _statistics(scaling, channels)
    normalized = len(statistics) > 0
    used = statistics.ctypes.data if normalized else bounds
    how = SCALED | (NORMALIZED if normalized else 0) | (REVERSED if scaling.reversed_order else 0)
    sources, targets = _addresses(images), _addresses(masks)
    tables = _all(plan, memory)
    index, found = 0, PREPARED
    while True:
        rest = (statistics.ctypes.data, colors, *tables, scratch.floats, scratch.ints[0], targets)
        index, found = divmod(library.segment_all(index, count, sources, how, *rest), OUTCOMES)
        if found in (PREPARED, NOT_FINITE):
            return found == PREPARED
        if found == TOO_FEW:
            image = once if factor.bit_length() % 2 == 0 else twice
            if factor <= 2:
                pixels = images.new_empty(shrunk)
                image = pixels.data_ptr()
                library.scale(how, sources[index], channels, height, width, factor, used, lines, image, None)
            _refine(library, image, plan, memory.labels)
            library.segment(SETTLE | WRITE, image, None, colors, *tables, targets[index])
        else:
            outlying, flat = scaling.by_torch(images[index, None])
            masks[index] = 0 if flat else segment_images(library, [setting], outlying)[0]
        index += 1


def _addresses(tensor: Tensor) -> ctypes.Array[ctypes.c_void_p]:
    """List where each part of a contiguous tensor begins."""
    first, step = tensor.data_ptr(), tensor[0].nbytes
    return (ctypes.c_void_p * len(tensor))(*range(first, first + len(tensor) * step, step))


def segment_images(library: Library, settings: Sequence[Setting], images: Tensor) -> list[Tensor]:
    """Segment images that ``applies`` to, as ``segment_pixels`` does, to the last bit.

    Args:
        library: The machine code.
        settings: What to do.
        images: Shape ``(N, C, *spatial)``, in [0, 1]; one channel is gray.

    Returns:
        Shape ``(N, *spatial)``, int64, for each setting.
    """
    count, channels, *lengths = images.shape
    spatial = tuple(lengths)
    masks = [images.new_empty((count, *spatial), dtype=torch.int64) for _ in settings]
    pixels = SharedPixels(images.contiguous(), halving=lambda images, axes: _halve(library, images, axes))
    all_factors = [_shrink_factors(setting, spatial) for setting in settings]
    for factors, group in groupby(sorted(range(len(settings)), key=all_factors.__getitem__), all_factors.__getitem__):
        shrunk = pixels.shrunk(factors).images
        shape = channels, *shrunk.shape[2:]
        chosen = [(make_plan(settings[i], shape, factors, spatial, segmenting._CELLS), masks[i]) for i in group]
        _segment(library, shrunk, chosen)
    return masks


def _halve(library: Library, images: Tensor, axes: Sequence[int]) -> Tensor:
    """Average blocks of two pixels along some axes of images."""
    if images.ndim != 4 or len(axes) < 2:
        return halve(images, axes)
    count, channels, height, width = images.shape
    halved = images.new_empty(count, channels, (height + 1) // 2, (width + 1) // 2)
    library.halve(images.data_ptr(), count * channels, height, width, halved.data_ptr())
    return halved


def _segment(library: Library, images: Tensor, chosen: Sequence[tuple[Plan, Tensor]]) -> None:
    """Write the segments of images ``(N, C, *spatial)`` by each plan into its mask ``(N, *spatial)``."""
    memories = _borrow([plan.lengths for plan, _ in chosen])
    colors = {plan.blurred: plan.new_colors() for plan, _ in chosen}
    for index, image in enumerate(images):
        there = set[bool]()
        for (plan, mask), memory in zip(chosen, memories, strict=True):
            convert = 0 if plan.blurred in there else COLORS
            there.add(plan.blurred)
            pointers = (
                image.data_ptr(),
                None,
                colors[plan.blurred].ctypes.data,
                *_all(plan, memory),
                mask[index].data_ptr(),
            )
            if library.segment(convert | FIND | SETTLE | WRITE, *pointers) < plan.enough:
                _refine(library, image.data_ptr(), plan, memory.labels)
                library.segment(SETTLE | WRITE, *pointers)


def _borrow(needs: Sequence[Lengths], *, apart: bool = False) -> Sequence[Memory]:
    """Give a thread memory for each of some needs, which holds until it asks again; the same for all, or apart."""
    kept: tuple[Sequence[Lengths], bool, Sequence[Memory]] | None = getattr(_kept, "memories", None)
    if kept is not None and kept[1] == apart and len(kept[0]) == len(needs) and all(map(operator.is_, kept[0], needs)):
        return kept[2]
    sizes = [Memory.size(lengths) for lengths in needs]
    size = sum(sizes) if apart else max(sizes)
    block: NDArray[np.uint8] | None = getattr(_kept, "block", None)
    if block is None or len(block) < size:
        block = np.empty(size, dtype=np.uint8)
    starts = accumulate(sizes, initial=0) if apart else repeat(0)
    memories = [Memory(lengths, block[start:]) for lengths, start in zip(needs, starts, strict=False)]
    if len(block) <= _KEPT_BYTES:
        _kept.block, _kept.memories = block, (needs, apart, memories)
    return memories


def _refine(library: Library, image: int, plan: Plan, labels: int) -> None:
    """Segment an image again, from more cells, as long as the segments are too few; they are written as labels."""
    finer = plan.finer
    own = Memory(finer.lengths, labels=labels)
    colors = finer.new_colors()
    pointers = image, None, colors.ctypes.data
    found = library.segment(COLORS | FIND, *pointers, *_all(finer, own), None)
    if found < finer.enough:
        _refine(library, image, finer, labels)
    if found < finer.wanted:
        library.segment(SETTLE, *pointers, *_all(finer, own), None)


def _all(plan: Plan, memory: Memory) -> tuple[object, ...]:
    return plan.sizes, plan.float_tables, plan.int_tables, memory.floats, memory.ints, memory.longs


@lru_cache(maxsize=64)
def _shrink_factors(setting: Setting, spatial: tuple[int, ...]) -> tuple[int, ...]:
    """Say how many pixels long the blocks are along each axis that are treated as one."""
    return segmenting._shrink_factors(spatial, setting)


def _statistics(scaling: Scaling, channels: int) -> NDArray[np.float32]:
    """List what each channel is multiplied by, and what is then added to each: ``(2 * C,)``, or nothing."""
    if scaling.statistics is None:
        return np.empty(0, dtype=np.float32)
    mean, std = (np.broadcast_to(np.array(values, dtype=np.float32), channels) for values in scaling.statistics)
    return np.concatenate([std, mean])
