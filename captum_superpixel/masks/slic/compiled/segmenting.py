"""SLIC of a few images by compiled code: what ``_segmenting.segment_pixels`` does, image by image."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from captum_superpixel.masks.slic import _segmenting as segmenting
from captum_superpixel.masks.slic._segmenting import Setting
from captum_superpixel.masks.slic.compiled.kernels.segments import COLORS, FIND, SETTLE, WRITE
from captum_superpixel.masks.slic.compiled.loading import Library
from captum_superpixel.masks.slic.compiled.tables import Memory, Plan, make_plan

__all__ = ["applies", "segment_images"]

_MOST_PIXELS = 2**27
"""How many pixels an image has at most, for their places and pairs to be counted in 32 bits."""

_KEPT_BYTES = 2**24
"""How much memory to work in each thread keeps from one call to the next; to get it anew costs a fifth of the time."""

_kept = threading.local()


def applies(settings: Sequence[Setting], images: Tensor) -> bool:
    """Say whether ``segment_images`` can segment these.

    They have to be plain tensors in the memory of the CPU, ``(N, C, H, W)``, whose pixels are as far apart along both
    axes. Volumes and other spacings remain with torch.
    """
    on_cpu = type(images) is Tensor and images.device.type == "cpu" and images.dtype == torch.float32
    flat = images.ndim == 4 and math.prod(images.shape[2:]) <= _MOST_PIXELS
    return on_cpu and flat and all(len(set(setting.spacing)) == 1 for setting in settings)


def segment_images(library: Library, settings: Sequence[Setting], images: Tensor) -> list[Tensor]:
    """Segment images that ``applies`` to, as ``segment_pixels`` does, to the last bit.

    Args:
        library: The machine code.
        settings: What to do.
        images: Shape ``(N, C, H, W)``, in [0, 1]; one channel is gray.

    Returns:
        Shape ``(N, H, W)``, int64, for each setting.
    """
    count, channels, height, width = images.shape
    masks = [torch.empty(count, height, width, dtype=torch.int64) for _ in settings]

    def shrink_factor(index: int) -> int:
        # The same along both axes.
        return max(segmenting._shrink_factors((height, width), settings[index]))

    images = images.contiguous()
    shrunk = 1
    for factor, group in groupby(sorted(range(len(settings)), key=shrink_factor), shrink_factor):
        while shrunk < factor:
            images, shrunk = _halve(library, images), 2 * shrunk
        shape = channels, *images.shape[2:]
        chosen = [(make_plan(settings[i], shape, factor, (height, width), segmenting._CELLS), masks[i]) for i in group]
        _segment(library, images, chosen)
    return masks


def _halve(library: Library, images: Tensor) -> Tensor:
    """Average blocks of 2x2 pixels of images."""
    count, channels, height, width = images.shape
    halved = images.new_empty(count, channels, (height + 1) // 2, (width + 1) // 2)
    library.halve(images.data_ptr(), count * channels, height, width, halved.data_ptr())
    return halved


def _segment(library: Library, images: Tensor, chosen: Sequence[tuple[Plan, Tensor]]) -> None:
    """Write the segments of images ``(N, C, H, W)`` by each plan into its mask ``(N, H, W)``."""
    block = _borrow(max(Memory.size(plan) for plan, _ in chosen))
    memories = [Memory(plan, block) for plan, _ in chosen]
    colors = {
        blurred: images.new_empty(max(3, images.shape[1]), *images.shape[2:])
        for blurred in {plan.blurred for plan, _ in chosen}
    }
    for index, image in enumerate(images):
        there = set[bool]()
        for (plan, mask), memory in zip(chosen, memories, strict=True):
            convert = 0 if plan.blurred in there else COLORS
            there.add(plan.blurred)
            pointers = image.data_ptr(), colors[plan.blurred].data_ptr()
            out = mask[index].data_ptr()
            found = library.segment(convert | FIND | SETTLE | WRITE, *pointers, *_all(plan, memory), out)
            if found < plan.enough:
                _refine(library, image, plan, memory)
                library.segment(SETTLE | WRITE, *pointers, *_all(plan, memory), out)


def _borrow(size: int) -> NDArray[np.uint8]:
    """Give a thread memory of at least some bytes, which holds until it asks again."""
    block: NDArray[np.uint8] | None = getattr(_kept, "block", None)
    if block is None or len(block) < size:
        block = np.empty(size, dtype=np.uint8)
        if size <= _KEPT_BYTES:
            _kept.block = block
    return block


def _refine(library: Library, image: Tensor, plan: Plan, memory: Memory) -> None:
    """Segment an image again, from more cells, as long as the segments are too few; they stay in the memory."""
    finer = plan.finer
    own = Memory(finer, labels=memory.labels)
    colors = image.new_empty(max(3, image.shape[0]), *image.shape[1:])
    pointers = image.data_ptr(), colors.data_ptr()
    found = library.segment(COLORS | FIND, *pointers, *_all(finer, own), None)
    if found < finer.enough:
        _refine(library, image, finer, own)
    if found < finer.wanted:
        library.segment(SETTLE, *pointers, *_all(finer, own), None)


def _all(plan: Plan, memory: Memory) -> tuple[object, ...]:
    return plan.sizes, plan.float_tables, plan.int_tables, memory.floats, memory.ints, memory.longs
