"""From networks and a chunk of images to a value an image for every method, grouping, sign and metric."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.study.explaining import Explainer
from captum_superpixel.study.groupings import SIGNS, Grouping, Pool, Sign

__all__ = ["FIDELITY", "LOCALIZATION", "STABILITY", "Chunk", "Key", "Measurement", "Protocol", "measure"]

STABILITY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ssim": metrics.ssim,
    "top_k_intersection": metrics.top_k_intersection,
    "top_k_iou": metrics.top_k_iou,
    "cosine_similarity": metrics.cosine_similarity,
    "rank_correlation": metrics.rank_correlation,
}
FIDELITY = (
    "insertion_auc",
    "deletion_auc",
    "insertion_minus_deletion",
    "road_most_relevant_first",
    "road_least_relevant_first",
    "road",
)
LOCALIZATION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pointing_game": metrics.pointing_game,
    "relevance_mass_accuracy": metrics.relevance_mass_accuracy,
    "relevance_rank_accuracy": metrics.relevance_rank_accuracy,
}


class Key(NamedTuple):
    """What a column of values is about.

    Attributes:
        method: Of attribution.
        grouping: Of pixels, by name.
        sign: ``"signed"`` or ``"magnitude"``.
        metric: By name.
        kind: ``"value"``, ``"permutation"`` or ``"random_network"``, the last two being the nulls.
    """

    method: str
    grouping: str
    sign: str
    metric: str
    kind: str = "value"


@dataclass(frozen=True)
class Protocol:
    """How maps are made, grouped and measured.

    Args:
        explainer: The settings of the methods.
        methods: Their names.
        groupings: What is compared.
        sizes: Groupings whose variance over models is measured in addition, and nothing else.
        draws: Permutations for the permutation null, spread over the pairs of networks; 0 leaves it out.
        stability: Whether the maps of several networks are compared.
        fidelity: Whether insertion, deletion and ROAD are measured.
        auc_steps: Steps of the insertion and the deletion curve.
        road_noise: Standard deviation of the noise of ROAD's imputation, in units of the network's input.
    """

    explainer: Explainer
    methods: tuple[str, ...]
    groupings: tuple[Grouping, ...]
    sizes: tuple[Grouping, ...] = ()
    draws: int = 2
    stability: bool = True
    fidelity: bool = True
    auc_steps: int = 20
    road_noise: float = 0.01


@dataclass(frozen=True)
class Chunk:
    """Images that are explained and measured together; what comes out does not depend on other chunks.

    Attributes:
        inputs: (N, C, H, W), what the networks are given.
        targets: (N,) int64, the classes explained.
        object_masks: (N, 1, H, W) bool, the truth about where the evidence is, or None where it is not known.
        fidelity: How many of the first images the insertion and the deletion curve are measured on.
        road: How many of the first images ROAD is measured on.
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

    Attributes:
        values: For every key a value an image, (n,) float64; n differs where a metric is measured on fewer images.
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


def measure(protocol: Protocol, networks: Sequence[nn.Module], twins: Sequence[nn.Module], chunk: Chunk) -> Measurement:
    """Explain the images of a chunk by every method and measure every grouping of every map.

    Args:
        protocol: What is measured, and how.
        networks: At least one, in evaluation mode, on the chunk's device; the first one's maps are those whose fidelity
            and localization are measured.
        twins: Untrained twins of the networks, in their order, for the random-network null; none leaves it out.
        chunk: The images.

    Returns:
        The values of all metrics. The random-network null of k networks is the mean over the k comparisons of a
        network's map with the untrained twin of the next.
    """
    result = Measurement(n_images=len(chunk.inputs))
    pools: dict[str, Pool] = {}
    for grouping in (*protocol.groupings, *protocol.sizes):
        with result.timed(f"segmentation: {grouping.name}"):
            pools[grouping.name], result.segments[grouping.name] = grouping.bind(chunk.inputs)
    for method in protocol.methods:
        compared = networks if protocol.stability else networks[:1]
        with result.timed(f"attribution: {method}"):
            maps = [_explain(protocol, method, network, chunk, number) for number, network in enumerate(compared)]
        twin_maps = []
        if protocol.stability:
            with result.timed(f"attribution of untrained networks: {method}"):
                numbers = range(len(networks), len(networks) + len(twins))
                twin_maps = [
                    _explain(protocol, method, twin, chunk, number) for number, twin in zip(numbers, twins, strict=True)
                ]
        if protocol.stability and len(maps) > 1:
            permuted = _permuted(maps, protocol.draws, derive_seed(chunk.seed, method, "permutation"))
            for grouping in protocol.groupings:
                for sign in SIGNS:
                    with result.timed(f"stability: {grouping.name}"):
                        pool = pools[grouping.name]
                        of = (method, grouping.name, sign)
                        _measure_stability(result, of, pool, sign, maps, twin_maps, permuted)
            _measure_sizes(result, protocol, method, pools, maps, derive_seed(chunk.seed, method, "sizes"))
        for grouping in protocol.groupings:
            for sign in SIGNS:
                with result.timed(f"pooling: {grouping.name}"):
                    pooled = pools[grouping.name](maps[0], sign)
                of = (method, grouping.name, sign)
                if protocol.fidelity:
                    _measure_fidelity(result, of, networks[0], pooled, chunk, protocol)
                if chunk.object_masks is not None:
                    with result.timed("localization"):
                        for metric, function in LOCALIZATION.items():
                            result.values[Key(*of, metric)] = function(pooled, chunk.object_masks).cpu()
    return result


def _explain(protocol: Protocol, method: str, network: nn.Module, chunk: Chunk, number: int) -> Tensor:
    seed = derive_seed(chunk.seed, method, number)
    return protocol.explainer.explain(method, network, chunk.inputs, chunk.targets, seed)


def _permuted(maps: Sequence[Tensor], draws: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Pairs of maps with permuted pixels, one pair a draw, the pairs of networks taking turns."""
    generator = torch.Generator().manual_seed(seed)
    pairs = list(combinations(range(len(maps)), 2))
    chosen = [pairs[draw % len(pairs)] for draw in range(draws)]
    return [(metrics.permute_pixels(maps[i], generator), metrics.permute_pixels(maps[j], generator)) for i, j in chosen]


def _measure_stability(
    result: Measurement,
    of: tuple[str, str, str],
    pool: Pool,
    sign: Sign,
    maps: Sequence[Tensor],
    twin_maps: Sequence[Tensor],
    permuted: Sequence[tuple[Tensor, Tensor]],
) -> None:
    pooled = [pool(each, sign) for each in maps]
    pooled_twins = [pool(each, sign) for each in twin_maps]
    compared = {
        "value": list(combinations(pooled, 2)),
        "permutation": [(pool(a, sign), pool(b, sign)) for a, b in permuted],
        "random_network": [
            (each, pooled_twins[(number + 1) % len(pooled_twins)])
            for number, each in enumerate(pooled[: len(twin_maps)])
        ],
    }
    for kind, pairs in compared.items():
        for metric, function in STABILITY.items() if pairs else ():
            values = torch.stack([function(a, b) for a, b in pairs])
            result.values[Key(*of, metric, kind)] = values.mean(dim=0).cpu()
    result.values[Key(*of, "across_model_variance")] = metrics.across_model_variance(torch.stack(pooled)).cpu()


def _measure_sizes(
    result: Measurement, protocol: Protocol, method: str, pools: dict[str, Pool], maps: Sequence[Tensor], seed: int
) -> None:
    """Variance of signed maps over models, and of maps with permuted pixels, by the size of the segments."""
    if not protocol.sizes:
        return
    generator = torch.Generator().manual_seed(seed)
    noise = [metrics.permute_pixels(each, generator) for each in maps]
    for grouping in (protocol.groupings[0], *protocol.sizes):
        for kind, of in (("value", maps), ("permutation", noise)):
            pooled = torch.stack([pools[grouping.name](each, "signed") for each in of]).double()
            key = Key(method, grouping.name, "signed", "summed_variance", kind)
            result.values[key] = pooled.var(dim=0).flatten(1).sum(dim=1).cpu()
        key = Key(method, grouping.name, "signed", "across_model_variance")
        pooled = torch.stack([pools[grouping.name](each, "signed") for each in maps])
        result.values[key] = metrics.across_model_variance(pooled).cpu()


def _measure_fidelity(
    result: Measurement, of: tuple[str, str, str], network: nn.Module, pooled: Tensor, chunk: Chunk, protocol: Protocol
) -> None:
    if chunk.fidelity:
        count = slice(chunk.fidelity)
        given = (network, chunk.inputs[count], pooled[count], chunk.targets[count])
        with result.timed("insertion and deletion"):
            steps, at_once = protocol.auc_steps, _images_at_once(protocol)
            insertion = metrics.insertion_auc(*given, n_steps=steps, batch_size=at_once).cpu()
            deletion = metrics.deletion_auc(*given, n_steps=steps, batch_size=at_once).cpu()
        result.values[Key(*of, "insertion_auc")] = insertion
        result.values[Key(*of, "deletion_auc")] = deletion
        result.values[Key(*of, "insertion_minus_deletion")] = insertion - deletion
    if chunk.road:
        count = slice(chunk.road)
        generator = torch.Generator().manual_seed(derive_seed(chunk.seed, "road"))
        with result.timed("ROAD"):
            road = metrics.road(
                network,
                chunk.inputs[count],
                pooled[count],
                chunk.targets[count],
                noise=protocol.road_noise,
                generator=generator,
                batch_size=_images_at_once(protocol),
            )
        result.values[Key(*of, "road")] = road.score.cpu()
        result.values[Key(*of, "road_most_relevant_first")] = road.most_relevant_first.mean(dim=1).cpu()
        result.values[Key(*of, "road_least_relevant_first")] = road.least_relevant_first.mean(dim=1).cpu()


def _images_at_once(protocol: Protocol) -> int:
    """Forward passes without a gradient need a fraction of the memory."""
    return max(16, protocol.explainer.images_at_once)
