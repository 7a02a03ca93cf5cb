"""The regions of images that a method has explained by several networks, and the scores of regions in any maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from captum_superpixel.attr import group_maps
from captum_superpixel.pooling import segment_scores
from captum_superpixel.regions.ensemble import ensemble_regions

__all__ = ["ENSEMBLE", "SIGNED", "ChunkMaps", "Scored"]

ENSEMBLE = "ensemble"
SIGNED = ("IntegratedGradients",)
"""Methods whose signs say something of a region: a gradient's do not."""


class Scored(NamedTuple):
    """Which scores of regions are meant.

    Args:
        regions: Those of ``"Slic(30)"``, or of the ``"ensemble"``.
        sign: ``"magnitude"`` or ``"signed"``.
    """

    regions: str
    sign: str


@dataclass
class ChunkMaps:
    """Images that a method has explained together, and the regions of each network's map.

    Args:
        method: Its name.
        start: The place of the first image among all that are explained.
        images: Their numbers among the held-out ones.
        inputs: ``(N, C, H, W)``.
        targets: ``(N,)`` int64.
        segments: Masks ``(N, 1, H, W)`` by the name of the regions.
        members: Those of the ensemble.
        maps: ``(N, C, H, W)`` of each network, on the CPU.
        twins: Likewise of their randomized models; none where they were not asked for.
    """

    method: str
    start: int
    images: Sequence[int]
    inputs: Tensor
    targets: Tensor
    segments: Mapping[str, Tensor]
    members: Sequence[Tensor]
    maps: Sequence[Tensor]
    twins: Sequence[Tensor] = ()
    _regions: dict[int, dict[str, Tensor]] = field(default_factory=dict)

    def regions(self, number: int) -> dict[str, Tensor]:
        """Masks by the name of the regions; those of the ensemble are of this network's own map, and slow to find."""
        if number not in self._regions:
            own = ensemble_regions(self.grouped(self.maps[number]), self.members)
            self._regions[number] = {**self.segments, ENSEMBLE: own}
        return self._regions[number]

    def grouped(self, maps: Tensor) -> Tensor:
        """Magnitudes averaged over the ensemble."""
        return group_maps(maps.abs(), self.members)

    def scores(self, number: int, maps: Tensor, grouped: Tensor | None = None) -> dict[Scored, Tensor]:
        """Scores ``(N, K)`` of the regions of a network's map in any maps ``(N, C, H, W)``.

        Args:
            number: Of the network whose regions are meant.
            maps: Of the same images.
            grouped: Their magnitudes averaged over the ensemble, where this was done already.
        """
        found = {}
        for name, mask in self.regions(number).items():
            values = maps
            if name == ENSEMBLE:
                values = self.grouped(maps) if grouped is None else grouped
            elif self.method in SIGNED:
                found[Scored(name, "signed")] = segment_scores(maps.double(), mask, "mean").mean(dim=1)
            found[Scored(name, "magnitude")] = segment_scores(values.double(), mask, "abs_mean").mean(dim=1)
        return found
