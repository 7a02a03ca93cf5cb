"""Superpixels, compiled and by torch, beside scikit-image's, OpenCV's SEEDS and SLICO, and SimpleITK's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from engines import batch_of, by_torch
from other_engines import OPTIONAL, OneImage, scikit_image
from peers_timing import OURS, Call, Case, find_peer

from captum_superpixel.masks import Slic
from captum_superpixel.masks.slic import compiled

TITLE = "Segmentation into 100 superpixels"

_SIZES = ((32, 1), (32, 32), (224, 1), (224, 8), (512, 4), (1024, 1))


def cases(quick: bool) -> Iterator[Case]:
    """Segment photographs in batches, which the others take one by one."""
    engines: dict[str, OneImage] = {"scikit-image": scikit_image}
    for name in ("OpenCV SEEDS", "OpenCV SLICO", "SimpleITK SLIC"):
        if find_peer(OPTIONAL[name].module, OPTIONAL[name].package) is not None:
            engines[name] = OPTIONAL[name].segment
    for size, count in _SIZES[: 2 if quick else None]:
        images = batch_of(size, count)
        arrays = list(images.movedim(1, -1).contiguous().numpy())
        calls: dict[str, Call] = {OURS: partial(Slic(), images)}
        if compiled.find_library() is not None:
            calls["Slic by torch"] = partial(by_torch, calls[OURS])
        calls |= {name: partial(_segment_each, segment, arrays) for name, segment in engines.items()}
        yield Case(f"{count} of {size} x {size}", calls)


def _segment_each(segment: OneImage, arrays: list[Any]) -> object:
    return [segment(array, 100) for array in arrays]
