"""What is measured: chunks of images, and what comes out, a value per image for each key."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from captum_superpixel._store import Content

__all__ = ["PREDICTED_VARIANCE", "SUMMED_VARIANCE", "Chunk", "Key", "Measurement", "chunk_bounds", "pair_kind"]

SUMMED_VARIANCE = "summed_variance"
"""Not a metric but what the variance by the size of segments is made of: summed over the elements of a map."""
PREDICTED_VARIANCE = "predicted_variance"
"""What it would be, were two pixels of a segment as correlated as any two of the image with the same displacement."""


class Key(NamedTuple):
    """What a column of values is about.

    Args:
        method: Of attribution.
        grouping: Of pixels, by name.
        sign: ``"signed"``, ``"magnitude"`` or ``"evidence"``.
        metric: By name.
        kind: ``"value"``, ``"permutation"`` or ``"random_network"``, the last two being the nulls; or one of these for
            a single pair of networks, as :func:`pair_kind` names it.
        views: Over how many views of the image the map was averaged; 1 for the image as it is.
    """

    method: str
    grouping: str
    sign: str
    metric: str
    kind: str = "value"
    views: int = 1


def pair_kind(kind: str, first: int, second: int) -> str:
    """Name the kind of what was measured of two networks, or of a network and the twin of another one.

    Examples:
        >>> pair_kind("value", 0, 2)
        'value 0-2'
    """
    return f"{kind} {first}-{second}"


def chunk_bounds(count: int, size: int) -> list[tuple[int, int]]:
    """Where the chunks of so many images begin and end.

    A single image that is left over, which could not be held against another's map, goes with those before it.

    Examples:
        >>> chunk_bounds(6, 2), chunk_bounds(5, 2)
        ([(0, 2), (2, 4), (4, 6)], [(0, 2), (2, 5)])
    """
    starts = range(0, max(1, count - 1), size)
    return list(zip(starts, [*starts[1:], count], strict=True))


@dataclass(frozen=True)
class Chunk:
    """Images that are explained and measured together; what comes out does not depend on other chunks.

    Args:
        inputs: (N, C, H, W), what the networks are given.
        targets: (N,) int64, the classes explained.
        object_masks: (N, 1, H, W) bool, the truth about where the evidence is, or None where it is not known.
        fidelity: How many of the first images fidelity is measured on.
        mean_color: How many of the first images a second removal baseline is measured on.
        road: How many of the first images the costly metrics of fidelity, ROAD above all, are measured on.
        seed: Of all randomness.
    """

    inputs: Tensor
    targets: Tensor
    object_masks: Tensor | None
    fidelity: int
    mean_color: int
    road: int
    seed: int


@dataclass
class Measurement:
    """What was measured on images.

    Args:
        values: For every key a value per image, (n,) float64; n differs where a metric is measured on fewer images.
        seconds: By what they were spent on: a method, a grouping, or a family of metrics.
        segments: Mean number of segments of every grouping, weighted by the number of images.
        n_images: The number of images.
    """

    values: dict[Key, Tensor] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    segments: dict[str, float] = field(default_factory=dict)
    n_images: int = 0

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the seconds that are spent inside to those of ``what``."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - start

    @staticmethod
    def join(parts: Sequence["Measurement"]) -> "Measurement":
        """Put measurements on different images one behind the other, in their order."""
        whole = Measurement(n_images=sum(part.n_images for part in parts))
        for key in dict.fromkeys(key for part in parts for key in part.values):
            whole.values[key] = torch.cat([part.values[key] for part in parts if key in part.values])
        for part in parts:
            for what, seconds in part.seconds.items():
                whole.seconds[what] += seconds
            for name, segments in part.segments.items():
                whole.segments[name] = whole.segments.get(name, 0.0) + segments * part.n_images / whole.n_images
        return whole

    def packed(self) -> Content:
        """All of it as a store can keep it."""
        values = {"\t".join(map(str, key)): values for key, values in self.values.items()}
        return {
            "values": values,
            "seconds": dict(self.seconds),
            "segments": dict(self.segments),
            "n_images": self.n_images,
        }

    @staticmethod
    def unpacked(content: Content) -> "Measurement":
        """What was packed."""
        values = {_key(name): values for name, values in content["values"].items()}
        return Measurement(values, content["seconds"], content["segments"], content["n_images"])


def _key(packed: str) -> Key:
    method, grouping, sign, metric, kind, views = packed.split("\t")
    return Key(method, grouping, sign, metric, kind, int(views))
