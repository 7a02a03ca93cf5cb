"""XRAI beside its authors' implementation, package saliency; steps of it are timed apart by ``xrai.py``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from engines import batch_of
from peers_timing import OURS, Case, find_peer

from captum_superpixel.attr.xrai import XRAI

TITLE = "XRAI of a map that is there already, segmentation included"


def cases(quick: bool) -> Iterator[Case]:
    """Explain one photograph."""
    saliency = find_peer("saliency.core", "saliency")
    if saliency is None:
        return
    from xrai import Stored

    for side in (64,) if quick else (64, 224, 512):
        images = batch_of(side, 1)
        array = images[0].movedim(0, -1).numpy()
        rng = np.random.default_rng(0)
        coarse = torch.from_numpy(rng.normal(size=(1, 3, 16, 16)).astype(np.float32))
        maps = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
        maps = maps + 0.3 * torch.from_numpy(rng.normal(size=maps.shape).astype(np.float32))
        attribution = maps[0].movedim(0, -1).contiguous().numpy()
        for algorithm in ("full", "fast"):
            parameters = saliency.XRAIParameters(algorithm=algorithm)
            theirs = partial(
                saliency.XRAI().GetMask, array, None, base_attribution=attribution, extra_parameters=parameters
            )
            ours = partial(XRAI(Stored(maps), algorithm=algorithm).attribute, images)
            yield Case(f"{algorithm}, {side} x {side}", {OURS: ours, "saliency": theirs})
