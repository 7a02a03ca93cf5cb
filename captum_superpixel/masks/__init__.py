"""Mask generators: callables that segment images ``(N, C, *spatial)`` into feature masks ``(N, 1, *spatial)``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from captum_superpixel.masks.base import CountedMaskGenerator
from captum_superpixel.masks.cached import Cached
from captum_superpixel.masks.felzenszwalb import Felzenszwalb
from captum_superpixel.masks.grid import Grid
from captum_superpixel.masks.hierarchy import SegmentTree, hierarchy, segment_trees
from captum_superpixel.masks.multiscale import multiscale
from captum_superpixel.masks.patch_aligned import PatchAligned
from captum_superpixel.masks.precomputed import Precomputed
from captum_superpixel.masks.proposals import from_proposals
from captum_superpixel.masks.quickshift import Quickshift
from captum_superpixel.masks.skimage_slic import SkimageSlic
from captum_superpixel.masks.slic import Slic, compile_engine, describe_engine
from captum_superpixel.masks.watershed import Watershed

__all__ = [
    "GENERATORS",
    "Cached",
    "Felzenszwalb",
    "Grid",
    "PatchAligned",
    "Precomputed",
    "Quickshift",
    "SegmentTree",
    "SkimageSlic",
    "Slic",
    "Watershed",
    "compile_engine",
    "describe_engine",
    "from_proposals",
    "hierarchy",
    "is_counted",
    "multiscale",
    "segment_trees",
]

GENERATORS: dict[str, Callable[..., Any]] = {
    re.sub("(?<=[a-z])(?=[A-Z])", "_", generator.__name__).lower(): generator
    for generator in (Slic, SkimageSlic, Watershed, Grid, multiscale, Felzenszwalb, Quickshift)
}
"""What makes masks of images alone, by its name in snake case, as options of a command name it.

Each takes ``denormalize`` and ``channel_order``, and those of :func:`is_counted` the number of segments first.

:meta hide-value:
"""


def is_counted(name: str) -> bool:
    """Say whether a member of ``GENERATORS`` is told how many segments to make.

    Examples:
        >>> is_counted("slic"), is_counted("quickshift")
        (True, False)
    """
    generator = GENERATORS[name]
    return isinstance(generator, type) and issubclass(generator, CountedMaskGenerator)
