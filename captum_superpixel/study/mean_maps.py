"""The mean magnitude of a network's draws as a map of its own, beside means of equally many views and noisy images."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import TypeAlias

import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel._blur import gaussian_blur
from captum_superpixel._store import Content
from captum_superpixel.attr import group_maps
from captum_superpixel.metrics.bootstrap import bootstrap_mean, interval, resampled_means
from captum_superpixel.study.calibrating import Figure, is_top
from captum_superpixel.study.choice import choice_for
from captum_superpixel.study.redrawing import Redrawing
from captum_superpixel.study.region_scores import ENSEMBLE, ChunkMaps, Scored
from captum_superpixel.study.results import Record
from captum_superpixel.study.settings import TOPS

__all__ = ["COMPARED", "OWN", "mean_map_records", "measure_mean_maps", "shared_tops", "top_region_records"]

OWN = "own"
"""The map itself; all others are means of draws."""
COMPARED = ("views", "noise", "joint")
"""Kinds of draws whose mean maps are compared."""
_WAYS = ("pixels", "ensemble", "blur")
_SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"ssim": metrics.ssim, "top_k_iou": metrics.top_k_iou}
_STEPS = 10
"""Of the insertion and the deletion curve."""

Draws: TypeAlias = Mapping[str, Sequence[Content]]
"""By kind, for each network what :meth:`~captum_superpixel.study.redrawing.Redrawing.draw` gave."""


def measure_mean_maps(redrawing: Redrawing, chunk: ChunkMaps, drawn: Draws, of_twins: Draws) -> Content:
    """Measure every map, smoothed in every way: how alike those of different networks are, and how faithful.

    Args:
        redrawing: The networks.
        chunk: Images, with the maps of networks and twins.
        drawn: Draws of the networks, of all kinds in :data:`COMPARED`, at every process.
        of_twins: Those of their randomized models.

    Returns:
        By map and smoothing, for each metric a number per image ``(N,)``, averaged over the networks; nothing at other
        processes than the first.
    """

    def measured() -> Content:
        width = choice_for(*chunk.inputs.shape[-2:]).blur * min(chunk.inputs.shape[-2:])
        found: Content = {}
        for kind, way in product((OWN, *COMPARED), _WAYS):
            trained, random = (
                [_smoothed(each, way, chunk.members, width) for each in _magnitudes(kind, maps, draws)]
                for maps, draws in ((chunk.maps, drawn), (chunk.twins, of_twins))
            )
            found[f"{kind} {way}"] = _similarities(trained, random) | _fidelity(redrawing.networks, chunk, trained)
        return found

    return redrawing.run_one("survival", chunk, {"draws": redrawing.plan.draws, "steps": _STEPS}, measured)


def mean_map_records(chunks: Sequence[Content]) -> list[Record]:
    """Average over the images what was measured of each map, with 95 % intervals.

    Args:
        chunks: What :func:`measure_mean_maps` gave of each.
    """
    records = []
    for kind, way in product((OWN, *COMPARED), _WAYS):
        parts = [chunk[f"{kind} {way}"] for chunk in chunks]
        columns = {key: torch.cat([part[key] for part in parts]) for key in parts[0]}
        columns["insertion_minus_deletion"] = columns["insertion"] - columns["deletion"]
        table = torch.stack(list(columns.values()), dim=1)
        resampled: dict[str, Tensor] = dict(zip(columns, resampled_means(table).T, strict=True))
        record: Record = {"map": kind, "smoothing": way, "n": len(table)}
        for metric in _SIMILARITIES:
            value, null = (float(columns[name].mean()) for name in (metric, f"{metric} null"))
            excess = metrics.excess(value, null)
            excesses = metrics.excess(resampled[metric], resampled[f"{metric} null"])
            record |= {metric: _figure(value, resampled[metric]), f"{metric}_excess": _figure(excess, excesses)}
        for name in ("insertion", "deletion", "insertion_minus_deletion"):
            record[name] = _figure(float(columns[name].mean()), resampled[name])
        records.append(record)
    return records


def shared_tops(chunk: ChunkMaps, drawn: Draws) -> dict[tuple[str, str, int], Tensor]:
    """How far the top regions of two networks are the same ones, by the maps themselves and by means of draws.

    Args:
        chunk: Images with their maps.
        drawn: Draws of the networks.

    Returns:
        By regions, kind of map and number of regions on top, the intersection over union ``(N,)``, averaged over the
        pairs of networks.
    """
    own = [chunk.scores(number, maps) for number, maps in enumerate(chunk.maps)]
    found = {}
    for name, kind, k in product(chunk.segments, (OWN, *COMPARED), TOPS):
        key = Scored(name, "magnitude")
        if kind == OWN:
            scores = [each[key] for each in own]
        else:
            scores = [content["scores"][" ".join(key)].mean(dim=0) for content in drawn[kind]]
        tops = [is_top(each, k) for each in scores if each.shape[-1] > k]
        shared = [(one & other).sum(dim=1) / (one | other).sum(dim=1) for one, other in combinations(tops, 2)]
        if shared:
            found[name, kind, k] = torch.stack(shared).mean(dim=0)
    return found


def top_region_records(chunks: Sequence[Mapping[tuple[str, str, int], Tensor]]) -> list[Record]:
    """Average over the images how far top regions are shared, with 95 % intervals.

    Args:
        chunks: What :func:`shared_tops` gave of each.
    """
    records = []
    for key in dict.fromkeys(key for chunk in chunks for key in chunk):
        values = torch.cat([chunk[key] for chunk in chunks if key in chunk])
        mean, ends = bootstrap_mean(values)
        name, kind, k = key
        records.append(
            {"map": kind, "regions": name, "k": k, "n": len(values), "iou": {"value": mean, "ci95": [*ends]}}
        )
    return records


def _figure(value: float, resampled: Tensor) -> Figure:
    return {"value": value, "ci95": list(interval(resampled))}


def _magnitudes(kind: str, maps: Sequence[Tensor], draws: Draws) -> list[Tensor]:
    """The map of each network or the mean of its draws, magnitudes summed over the channels, ``(N, 1, H, W)``."""
    if kind == OWN:
        return [each.abs().sum(dim=1, keepdim=True) for each in maps]
    return [content["mean_map"] for content in draws[kind]]


def _smoothed(maps: Tensor, way: str, members: Sequence[Tensor], width: float) -> Tensor:
    if way == ENSEMBLE:
        return group_maps(maps, members)
    return gaussian_blur(maps, width) if way == "blur" else maps


def _similarities(trained: Sequence[Tensor], random: Sequence[Tensor]) -> dict[str, Tensor]:
    """Means over all pairs of networks, and over each network and the randomized model of the next one."""
    found: dict[str, Tensor] = {}
    for name, function in _SIMILARITIES.items():
        pairs = [function(one, other) for one, other in combinations(trained, 2)]
        nulls = [function(one, twin) for one, twin in zip(trained, [*random[1:], random[0]], strict=True)]
        found |= {name: torch.stack(pairs).mean(dim=0), f"{name} null": torch.stack(nulls).mean(dim=0)}
    return found


def _fidelity(networks: Sequence[nn.Module], chunk: ChunkMaps, trained: Sequence[Tensor]) -> dict[str, Tensor]:
    """Insertion and deletion of one network's map for each image, each in turn."""
    found = {name: torch.zeros(len(chunk.inputs), dtype=torch.float64) for name in ("insertion", "deletion")}
    owner = (torch.arange(len(chunk.inputs)) + chunk.start) % len(trained)
    for place, maps in enumerate(trained):
        own = owner == place
        if not own.any():
            continue
        inputs, targets = (each[own.to(each.device)] for each in (chunk.inputs, chunk.targets))
        for name, curve in (("insertion", metrics.insertion_auc), ("deletion", metrics.deletion_auc)):
            values = curve(
                networks[place], inputs, maps[own].to(inputs.device), targets, n_steps=_STEPS, batch_size=100
            )
            found[name][own] = values.double().cpu()
    return found
