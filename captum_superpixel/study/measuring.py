"""From networks and images to a value per image for every method, grouping, sign and metric, chunk by chunk."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import captum_superpixel
from captum_superpixel import metrics
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Content
from captum_superpixel.attr.methods import attribute_pixels
from captum_superpixel.study.context import Study
from captum_superpixel.study.fidelity import FIDELITY
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.metric_table import PERMUTATION, RANDOM_NETWORK, functions
from captum_superpixel.study.protocol import PIXELS, SIGNS, Grouper, MapSign, Protocol
from captum_superpixel.study.settings import StudySettings

__all__ = [
    "SUMMED_VARIANCE",
    "Chunk",
    "Key",
    "Measurement",
    "explain",
    "measure",
    "measure_chunks",
    "measuring_settings",
]

SUMMED_VARIANCE = "summed_variance"
"""Not a metric but what the variance by the size of segments is made of: summed over the elements of a map."""


class Key(NamedTuple):
    """What a column of values is about.

    Args:
        method: Of attribution.
        grouping: Of pixels, by name.
        sign: ``"signed"`` or ``"magnitude"``.
        metric: By name.
        kind: ``"value"``, ``"permutation"`` or ``"random_network"``, the last two being the nulls.
        views: Over how many views of the image the map was averaged; 1 for the image as it is.
    """

    method: str
    grouping: str
    sign: str
    metric: str
    kind: str = "value"
    views: int = 1


@dataclass(frozen=True)
class Chunk:
    """Images that are explained and measured together; what comes out does not depend on other chunks.

    Args:
        inputs: (N, C, H, W), what the networks are given.
        targets: (N,) int64, the classes explained.
        object_masks: (N, 1, H, W) bool, the truth about where the evidence is, or None where it is not known.
        fidelity: How many of the first images fidelity is measured on.
        road: How many of the first images the costly metrics of fidelity, ROAD above all, are measured on.
        seed: Of all randomness.
    """

    inputs: Tensor
    targets: Tensor
    object_masks: Tensor | None
    fidelity: int
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


def measuring_settings(settings: StudySettings) -> dict[str, Any]:
    """What decides the figures of given networks on given images, and nothing else."""
    names = ("dataset", "seed", "n_segments", "n_steps", "n_samples", "noise", "draws", "auc_steps")
    decisive = {name: getattr(settings, name) for name in names} | settings.preprocessing
    return decisive | {"version": captum_superpixel.__version__}


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
    made_with = measuring_settings(settings) | {
        "networks": [fingerprint(network) for network in networks],
        "data": study.data.fingerprint(),
        "groupings": [grouping.describe() for grouping in (*protocol.groupings, *protocol.sizes)],
    }

    def measured(indices: Sequence[int], counts: Sequence[int], start: int) -> Content:
        data = study.data
        chunk = Chunk(
            inputs=data.held_out.batch(indices).to(study.device),
            targets=data.held_out.labels[indices].to(study.device),
            object_masks=None if data.object_masks is None else data.object_masks[indices].to(study.device),
            fidelity=counts[0],
            road=counts[1],
            seed=study.seed("images", start),
        )
        return measure(protocol, networks, twins, chunk).packed()

    jobs = []
    chunk_size = int(settings.chunk_size or 1)
    for start in range(0, len(chosen), chunk_size):
        indices = chosen[start : start + chunk_size]
        limits = (int(settings.fidelity_images or 0), int(settings.road_images or 0))
        counts = [min(max(0, limit - start), len(indices)) for limit in limits]
        images = {"images": len(indices), "of_held_out": fingerprint(indices), "fidelity_and_road_images": counts}
        jobs.append(Job(f"images-{start:05d}", made_with | images, partial(measured, indices, counts, start)))

    def finished(count: int) -> None:
        study.report(f"explained and measured {min(count * chunk_size, len(chosen))} of {len(chosen)} images")

    return Measurement.join([Measurement.unpacked(content) for content in study.run(jobs, finished=finished)])


def measure(protocol: Protocol, networks: Sequence[nn.Module], twins: Sequence[nn.Module], chunk: Chunk) -> Measurement:
    """Explain the images of a chunk by every method and measure every grouping of every map.

    Args:
        protocol: What is measured, and how.
        networks: At least one, in evaluation mode, on the chunk's device; the first one's maps are those whose fidelity
            and localization are measured.
        twins: Their randomized models, in their order, for the random-network null; none leaves it out. Such a twin has
            the same architecture, its weights drawn anew.
        chunk: The images.

    Returns:
        The values of all metrics. The random-network null of k networks is the mean over the k comparisons of a
        network's map with the twin of the next.
    """
    result = Measurement(n_images=len(chunk.inputs))
    groupers: dict[str, Grouper] = {}
    for grouping in (*protocol.groupings, *protocol.sizes):
        with result.timed(f"segmentation: {grouping.name}"):
            groupers[grouping.name], result.segments[grouping.name] = grouping.bind(chunk.inputs)
    for method in protocol.methods:
        compared = networks if protocol.stability else networks[:1]
        with result.timed(f"attribution: {method}"):
            maps = [explain(protocol, method, network, chunk, number) for number, network in enumerate(compared)]
        if len(maps) > 1:
            with result.timed(f"attribution of untrained networks: {method}"):
                numbered = enumerate(twins, start=len(networks))
                of_twins = [explain(protocol, method, twin, chunk, number) for number, twin in numbered]
            permuted = _permuted(maps, protocol.draws, derive_seed(chunk.seed, method, "permutation"))
        for grouping in protocol.groupings:
            for sign in SIGNS:
                of = (method, grouping.name, sign)
                group = groupers[grouping.name]
                if len(maps) > 1:
                    with result.timed(f"stability: {grouping.name}"):
                        _measure_stability(result, of, group, sign, maps, of_twins, permuted)
                with result.timed(f"pooling: {grouping.name}"):
                    grouped = group(maps[0], sign)
                if protocol.fidelity:
                    _measure_fidelity(result, of, networks[0], grouped, chunk, protocol)
                if chunk.object_masks is not None:
                    with result.timed("localization"):
                        for metric, function in functions("localization").items():
                            result.values[Key(*of, metric)] = function(grouped, chunk.object_masks).cpu()
        if protocol.sizes and len(maps) > 1:
            _measure_sizes(result, protocol, method, groupers, maps, derive_seed(chunk.seed, method, "sizes"))
    return result


def explain(protocol: Protocol, method: str, network: nn.Module, chunk: Chunk, number: int) -> Tensor:
    """Signed pixel maps (N, C, H, W) of a chunk's images by the network of that number, twins counted on."""
    seed = derive_seed(chunk.seed, method, number)
    return attribute_pixels(method, network, chunk.inputs, chunk.targets, protocol.method_settings, seed)


def _permuted(maps: Sequence[Tensor], draws: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Pairs of maps with permuted pixels, one pair per draw, the pairs of networks taking turns."""
    generator = torch.Generator().manual_seed(seed)
    pairs = list(combinations(range(len(maps)), 2))
    chosen = [pairs[draw % len(pairs)] for draw in range(draws)]
    return [(metrics.permute_pixels(maps[i], generator), metrics.permute_pixels(maps[j], generator)) for i, j in chosen]


def _measure_stability(
    result: Measurement,
    of: tuple[str, str, str],
    group: Grouper,
    sign: MapSign,
    maps: Sequence[Tensor],
    of_twins: Sequence[Tensor],
    permuted: Sequence[tuple[Tensor, Tensor]],
) -> None:
    grouped, grouped_twins = ([group(each, sign) for each in batches] for batches in (maps, of_twins))
    # A network's own twin may keep parameters of it, shuffled where they cannot be drawn anew; that of the next cannot.
    next_twins = grouped_twins[1:] + grouped_twins[:1]
    compared = {
        "value": list(combinations(grouped, 2)),
        PERMUTATION: [(group(a, sign), group(b, sign)) for a, b in permuted],
        RANDOM_NETWORK: list(zip(grouped, next_twins, strict=False)),
    }
    for kind, pairs in compared.items():
        for metric, function in functions("stability").items() if pairs else ():
            values = torch.stack([function(a, b) for a, b in pairs])
            result.values[Key(*of, metric, kind)] = values.mean(dim=0).cpu()
    result.values[Key(*of, "across_model_variance")] = metrics.across_model_variance(torch.stack(grouped)).cpu()


def _measure_sizes(
    result: Measurement,
    protocol: Protocol,
    method: str,
    groupers: dict[str, Grouper],
    maps: Sequence[Tensor],
    seed: int,
) -> None:
    """Variance of signed maps over models, and of maps with permuted pixels, by the size of the segments."""
    generator = torch.Generator().manual_seed(seed)
    permuted = [metrics.permute_pixels(each, generator) for each in maps]
    for name in (PIXELS, *(grouping.name for grouping in protocol.sizes)):
        key = Key(method, name, "signed", SUMMED_VARIANCE)
        for kind, of in (("value", maps), (PERMUTATION, permuted)):
            grouped = torch.stack([groupers[name](each, "signed") for each in of])
            result.values[key._replace(kind=kind)] = grouped.double().var(dim=0).flatten(1).sum(dim=1).cpu()
            if kind == "value":
                relative = metrics.across_model_variance(grouped).cpu()
                result.values[key._replace(metric="across_model_variance")] = relative


def _measure_fidelity(
    result: Measurement, of: tuple[str, str, str], network: nn.Module, grouped: Tensor, chunk: Chunk, protocol: Protocol
) -> None:
    for what, measure in FIDELITY.items():
        first = slice(chunk.road if measure.costly else chunk.fidelity)
        if first.stop:
            with result.timed(what):
                given = (chunk.inputs[first], grouped[first], chunk.targets[first])
                found = measure.function(network, *given, protocol, chunk.seed)
            for metric, values in zip(measure.metrics, found, strict=True):
                result.values[Key(*of, metric)] = values.cpu()
