"""Cost of XRAI beside the authors' implementation (package saliency), in alternation within one process."""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import skimage
import skimage.data
import torch
from captum.attr import Attribution
from saliency.core import XRAI as ReferenceXRAI
from saliency.core import XRAIParameters
from saliency.core.xrai import _get_segments_felzenszwalb
from skimage.transform import resize
from torch import Tensor

from captum_superpixel.attr._region_growing import Regions, grow_in_turn, grow_ranked
from captum_superpixel.attr._xrai_segments import segment_at_scales
from captum_superpixel.attr.xrai import XRAI


class Stored(Attribution):
    """Returns the maps that it was given: what XRAI itself costs is measured, not the gradients."""

    def __init__(self, maps: Tensor) -> None:
        super().__init__(torch.nn.Identity())
        self.maps = maps

    def attribute(self, inputs: Tensor) -> Tensor:
        """Return the maps."""
        return self.maps


def seconds(function: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def alternate(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> str:
    """Medians in milliseconds, and the median of the ratios of neighbouring measurements."""
    ours()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    fast, slow = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
    ratio = statistics.median(slow / fast for fast, slow in pairs)
    return f"{slow:.1f} | {fast:.1f} | {ratio:.1f}"


def measure(name: str, side: int, rounds: int, rng: np.random.Generator) -> None:
    """Print the rows of one photograph."""
    image = resize(getattr(skimage.data, name)(), (side, side, 3), anti_aliasing=True).astype(np.float32)
    smooth = resize(rng.normal(size=(28, 28, 3)), image.shape, order=1)
    attribution = (smooth + 0.3 * rng.normal(size=image.shape)).astype(np.float32)
    images, maps = (torch.from_numpy(array).movedim(-1, 0)[None] for array in (image, attribution))
    values = attribution.max(axis=-1).ravel()

    labels = segment_at_scales(images)[0]
    masks = [torch.from_numpy(array)[None, None] for array in labels]
    regions = Regions.from_labels(labels, dilation_radius=5)
    dilated = _get_segments_felzenszwalb(image)
    undilated = _get_segments_felzenszwalb(image, dilation_rad=0)

    for algorithm, grow in (("full", grow_in_turn), ("fast", grow_ranked)):
        xrai = XRAI(Stored(maps), algorithm=algorithm)
        parameters = XRAIParameters(algorithm=algorithm)
        reference = partial(
            ReferenceXRAI().GetMask, image, None, base_attribution=attribution, extra_parameters=parameters
        )
        difference = np.abs(reference() - xrai.attribute(images)[0, 0].numpy()).max()
        steps: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "merging dilated segments": (partial(grow, values, regions), partial(reference, segments=dilated)),
            "a call with masks": (
                partial(xrai.attribute, images, feature_mask=masks),
                partial(reference, segments=undilated),
            ),
            "a call without masks": (partial(xrai.attribute, images), reference),
        }
        for step, (ours, theirs) in steps.items():
            print(f"| {name} | {algorithm} | {step} | {alternate(ours, theirs, rounds)} | {difference:.1e} |")


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="alternating measurements, of which the median is taken")
    parser.add_argument("--photographs", nargs="+", default=["astronaut", "coffee", "rocket"])
    parser.add_argument("--side", type=int, default=224)
    arguments = parser.parse_args()
    versions = f"scikit-image {skimage.__version__}, NumPy {np.__version__}, Python {platform.python_version()}"
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {versions}")
    print(f"medians of {arguments.rounds} alternating rounds, {arguments.side} x {arguments.side} pixels, float32\n")
    print("| photograph | algorithm | step | saliency, ms | captum_superpixel, ms | times faster | difference |")
    print("|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for name in arguments.photographs:
        measure(name, arguments.side, arguments.rounds, rng)


if __name__ == "__main__":
    main()
