"""From networks and images to a value per image for every method, grouping, sign and metric, chunk by chunk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

import captum_superpixel
from captum_superpixel import metrics
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Content
from captum_superpixel.attr.pixel_maps import PixelMaps, attribute_views
from captum_superpixel.study.context import Study
from captum_superpixel.study.correlation import autocovariance, pair_shares, variance_left
from captum_superpixel.study.fidelity import FIDELITY
from captum_superpixel.study.groupings import Grouper
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.measurement import (
    PREDICTED_VARIANCE,
    SUMMED_VARIANCE,
    Chunk,
    Key,
    Measurement,
    chunk_bounds,
    pair_kind,
)
from captum_superpixel.study.metric_table import (
    GRID_POINTING_GAME,
    METRICS,
    PERMUTATION,
    RANDOM_NETWORK,
    functions,
)
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.rows import PIXELS, Row
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.smoothing import Segmented, Segments

__all__ = ["explain", "map_settings", "measure", "measure_chunks", "measuring_settings"]


def measuring_settings(settings: StudySettings) -> dict[str, Any]:
    """What decides the figures of given networks on given images, and nothing else."""
    names = ("dataset", "seed", "n_segments", "n_steps", "n_samples", "noise", "draws", "auc_steps")
    decisive = {name: getattr(settings, name) for name in names} | settings.preprocessing
    return decisive | {"version": captum_superpixel.__version__}


def map_settings(study: Study) -> dict[str, Any]:
    """What decides, beside the settings, which maps are made of the images, and which rows of these."""
    protocol = study.protocol
    return {
        "data": study.data.fingerprint(),
        "methods": list(protocol.methods),
        "n_views": study.settings.n_views,
        "negative_weights": dict(protocol.negative_weights),
        "rows": ["\t".join(map(str, row)) for row in protocol.rows],
        "claimed_only": protocol.claimed_only,
    }


def measure_chunks(
    study: Study, networks: Sequence[nn.Module], twins: Sequence[nn.Module], chosen: Sequence[int]
) -> Measurement:
    """Measure all chunks, those of a round in parallel, and keep each as soon as it is there.

    Args:
        study: Its held-out images are explained.
        networks: At least one, on the device.
        twins: A randomized model of each, or none.
        chosen: Which images are explained, in the order of the values.

    Returns:
        What was measured on all images; at other processes than the first, nothing on none.
    """
    settings, protocol = study.settings, study.protocol
    made_with = measuring_settings(settings) | map_settings(study)
    made_with |= {
        "networks": [fingerprint(network) for network in networks],
        "regions": repr(protocol.regions),
        "metrics": [name for name in METRICS if name != GRID_POINTING_GAME],
        "groupings": [repr(grouping.smoothing) for grouping in (*protocol.groupings, *protocol.sizes)],
    }

    def measured(indices: Sequence[int], counts: Sequence[int], start: int) -> Content:
        data = study.data
        chunk = Chunk(
            inputs=data.held_out.batch(indices).to(study.device),
            targets=data.held_out.labels[indices].to(study.device),
            object_masks=None if data.object_masks is None else data.object_masks[indices].to(study.device),
            fidelity=counts[0],
            mean_color=counts[1],
            road=counts[2],
            seed=study.seed("images", start),
        )
        return measure(protocol, networks, twins, chunk).packed()

    jobs = []
    bounds = chunk_bounds(len(chosen), int(settings.chunk_size or 2))
    for start, stop in bounds:
        indices = chosen[start:stop]
        limits = (
            int(each or 0) for each in (settings.fidelity_images, settings.mean_color_images, settings.road_images)
        )
        counts = [min(max(0, limit - start), len(indices)) for limit in limits]
        images = {
            "images": len(indices),
            "of_held_out": fingerprint(indices),
            "fidelity_mean_color_and_road_images": counts,
        }
        jobs.append(Job(f"images-{start:05d}", made_with | images, partial(measured, indices, counts, start)))

    def finished(count: int) -> None:
        study.report(f"explained and measured {bounds[count - 1][1]} of {len(chosen)} images")

    return Measurement.join([Measurement.unpacked(content) for content in study.run(jobs, finished=finished)])


def measure(protocol: Protocol, networks: Sequence[nn.Module], twins: Sequence[nn.Module], chunk: Chunk) -> Measurement:
    """Explain the images of a chunk by every method and measure every row of every map.

    Args:
        protocol: What is measured, and how.
        networks: At least one, in evaluation mode, on the chunk's device; all measures but those of stability are taken
            of the first one's maps.
        twins: Their randomized models, in their order, for the random-network null; none leaves it out. Such a twin has
            the same architecture, its weights drawn anew.
        chunk: The images.

    Returns:
        The values of all metrics. The random-network null of k networks is the mean over the k comparisons of a
        network's map with the twin of the next. Stability and complexity are those of an evidence map as it is
        displayed, without its negative values; fidelity and localization those of the map itself.
    """
    result = Measurement(n_images=len(chunk.inputs))
    images = Segmented(chunk.inputs)
    groupers: dict[str, Grouper] = {}
    for grouping in (*protocol.groupings, *protocol.sizes):
        with result.timed(f"segmentation: {grouping.name}"):
            groupers[grouping.name], result.segments[grouping.name] = grouping.bind(images)
    shares = _pair_shares(result, protocol, images) if protocol.stability and len(networks) > 1 else {}
    for method in protocol.methods:
        measured = protocol.rows_of(method)
        for n_views in sorted({row.views for row in measured} | ({1} if protocol.sizes else set())):
            rows = [row for row in measured if row.views == n_views]
            maps = _Maps.of(result, protocol, networks, twins, chunk, method, n_views)
            for row in rows:
                _measure_row(result, protocol, networks[0], chunk, images, groupers[row.grouping], row, maps)
            if n_views == 1 and protocol.sizes and len(maps.of_networks) > 1:
                _measure_sizes(result, protocol, method, groupers, maps.of_networks, chunk.seed)
                with result.timed("predicted variance by size"):
                    _predict_sizes(result, method, shares, maps.of_networks)
    return result


@dataclass(frozen=True)
class _Maps:
    """What a method says of a chunk, averaged over views.

    Args:
        method: Its name.
        of_networks: The maps of each network that is measured.
        of_twins: Those of their randomized models; none where nothing is compared.
        permuted: Pairs of networks' maps with permuted pixels, and the numbers of these networks.
    """

    method: str
    of_networks: list[PixelMaps]
    of_twins: list[PixelMaps]
    permuted: list[tuple[tuple[int, PixelMaps], tuple[int, PixelMaps]]]

    @staticmethod
    def of(
        result: Measurement,
        protocol: Protocol,
        networks: Sequence[nn.Module],
        twins: Sequence[nn.Module],
        chunk: Chunk,
        method: str,
        n_views: int,
    ) -> "_Maps":
        what = method if n_views == 1 else f"{method}, {n_views} views"
        compared = networks if protocol.stability else networks[:1]
        with result.timed(f"attribution: {what}"):
            maps = [explain(protocol, method, network, chunk, n, n_views) for n, network in enumerate(compared)]
        if len(maps) < 2:
            return _Maps(method, maps, [], [])
        with result.timed(f"attribution of untrained networks: {what}"):
            numbered = enumerate(twins, start=len(networks))
            of_twins = [explain(protocol, method, twin, chunk, n, n_views) for n, twin in numbered]
        # The same permutations whatever the number of views.
        generator = torch.Generator().manual_seed(derive_seed(chunk.seed, method, "permutation"))
        pairs = list(combinations(range(len(maps)), 2))
        chosen = [pairs[draw % len(pairs)] for draw in range(protocol.draws)]  # the pairs of networks take turns
        permuted = [((i, _permute(maps[i], generator)), (j, _permute(maps[j], generator))) for i, j in chosen]
        return _Maps(method, maps, of_twins, permuted)


def explain(
    protocol: Protocol, method: str, network: nn.Module, chunk: Chunk, number: int, n_views: int = 1
) -> PixelMaps:
    """Pixel maps of a chunk's images by the network of that number, twins counted on."""
    seed = derive_seed(chunk.seed, method, number)
    return attribute_views(method, network, chunk.inputs, chunk.targets, protocol.method_settings, seed, n_views)


def _permute(maps: PixelMaps, generator: torch.Generator) -> PixelMaps:
    """Permute the pixels of all forms of a map alike."""
    return PixelMaps(*metrics.permute_pixels(torch.cat(maps, dim=1), generator).chunk(3, dim=1))


def _measure_row(
    result: Measurement,
    protocol: Protocol,
    network: nn.Module,
    chunk: Chunk,
    images: Segmented,
    group: Grouper,
    row: Row,
    maps: _Maps,
) -> None:
    key = Key(maps.method, row.grouping, row.sign, "", views=row.views)
    weight = protocol.negative_weights.get(maps.method, 0.5)

    def grouped(numbered: Iterable[tuple[int, PixelMaps]]) -> list[Tensor]:
        # What is drawn is drawn for each network anew: else it would be alike.
        return [
            group(each, row.sign, weight, derive_seed(chunk.seed, maps.method, number, "grouping"))
            for number, each in numbered
        ]

    with result.timed(f"grouping: {row.grouping}"):
        of_networks = grouped(enumerate(maps.of_networks))
    # A map of another image is as alike between networks as that of its own, and a map that is always the same knows
    # nothing: what null maps are for is fidelity.
    if len(of_networks) > 1 and row.grouping not in protocol.null_maps:
        with result.timed(f"stability: {row.grouping}"):
            of_twins = grouped(enumerate(maps.of_twins, start=len(of_networks)))
            permuted = [tuple(grouped(pair)) for pair in maps.permuted]
            _measure_stability(result, key, of_networks, of_twins, permuted)
    if protocol.fidelity and row in protocol.rows_of(maps.method, "fidelity"):
        _measure_fidelity(result, key, network, of_networks[0], chunk, images, protocol)
    with result.timed("complexity"):
        for metric, function in functions("complexity").items():
            result.values[key._replace(metric=metric)] = function(_displayed(of_networks[0], key)).cpu()
    if chunk.object_masks is not None:
        with result.timed("localization"):
            for metric, function in functions("localization").items():
                values = function(of_networks[0], chunk.object_masks)
                result.values[key._replace(metric=metric)] = values.cpu()


def _measure_stability(
    result: Measurement,
    key: Key,
    grouped: Sequence[Tensor],
    grouped_twins: Sequence[Tensor],
    permuted: Sequence[tuple[Tensor, ...]],
) -> None:
    # A network's own twin may keep parameters of it, shuffled where they cannot be drawn anew; that of the next cannot.
    next_twins = [*grouped_twins[1:], *grouped_twins[:1]]
    numbers = list(range(len(grouped)))
    compared: dict[str, list[tuple[Tensor, ...]]] = {
        "value": list(combinations(grouped, 2)),
        PERMUTATION: list(permuted),
        RANDOM_NETWORK: list(zip(grouped, next_twins, strict=False)),
    }
    # Whose maps are compared, where there are several pairs of networks to hold beside one another.
    of_pairs: dict[str, list[tuple[int, int]]] = {}
    if len(grouped) > 2:
        of_pairs["value"] = list(combinations(numbers, 2))
        of_pairs[RANDOM_NETWORK] = list(zip(numbers, [*numbers[1:], 0], strict=True)) if grouped_twins else []
    for kind, pairs in compared.items():
        for metric, function in functions("stability").items() if pairs else ():
            values = torch.stack([function(_displayed(a, key), _displayed(b, key)) for a, b in pairs])
            result.values[key._replace(metric=metric, kind=kind)] = values.mean(dim=0).cpu()
            for (i, j), of_pair in zip(of_pairs.get(kind, []), values, strict=False):
                result.values[key._replace(metric=metric, kind=pair_kind(kind, i, j))] = of_pair.cpu()
    stacked = torch.stack([_displayed(each, key) for each in grouped])
    result.values[key._replace(metric="across_model_variance")] = metrics.across_model_variance(stacked).cpu()


def _displayed(grouped: Tensor, key: Key) -> Tensor:
    """Leave out what speaks against the class, where that stands apart."""
    return grouped.clamp(min=0) if key.sign == "evidence" else grouped


def _measure_sizes(
    result: Measurement,
    protocol: Protocol,
    method: str,
    groupers: dict[str, Grouper],
    maps: Sequence[PixelMaps],
    seed: int,
) -> None:
    """Variance of signed maps over models, and of maps with permuted pixels, by the size of the segments."""
    generator = torch.Generator().manual_seed(derive_seed(seed, method, "sizes"))
    permuted = [_permute(each, generator) for each in maps]
    for name in (PIXELS, *(grouping.name for grouping in protocol.sizes)):
        key = Key(method, name, "signed", SUMMED_VARIANCE)
        for kind, of in (("value", maps), (PERMUTATION, permuted)):
            grouped = torch.stack([groupers[name](each, "signed") for each in of])
            result.values[key._replace(kind=kind)] = grouped.double().var(dim=0).flatten(1).sum(dim=1).cpu()
            if kind == "value":
                relative = metrics.across_model_variance(grouped).cpu()
                result.values[key._replace(metric="across_model_variance")] = relative


def _pair_shares(result: Measurement, protocol: Protocol, images: Segmented) -> dict[str, Tensor]:
    """What the prediction needs of each size. A mean over several segmentations has none: it is none over segments."""
    with result.timed("predicted variance by size"):
        return {
            grouping.name: pair_shares(*images.by(grouping.smoothing.generators))
            for grouping in protocol.sizes
            if isinstance(grouping.smoothing, Segments) and len(grouping.smoothing.generators) == 1
        }


def _predict_sizes(result: Measurement, method: str, shares: dict[str, Tensor], maps: Sequence[PixelMaps]) -> None:
    """The variance that the correlation of the signed maps' pixels should leave, by the size of the segments."""
    covariance = autocovariance([each.signed for each in maps])
    for name, of_size in shares.items():
        key = Key(method, name, "signed", PREDICTED_VARIANCE)
        result.values[key] = variance_left(covariance, of_size).cpu()


def _measure_fidelity(
    result: Measurement,
    key: Key,
    network: nn.Module,
    grouped: Tensor,
    chunk: Chunk,
    images: Segmented,
    protocol: Protocol,
) -> None:
    for what, measure in FIDELITY.items():
        first = slice(getattr(chunk, measure.images))
        if first.stop:
            with result.timed(what):
                given = (chunk.inputs[first], grouped[first], chunk.targets[first])
                (regions,) = images.by([protocol.regions])
                found = measure.function(network, *given, protocol, chunk.seed, regions[first])
            for metric, values in zip(measure.metrics, found, strict=True):
                result.values[key._replace(metric=metric)] = values.cpu()
