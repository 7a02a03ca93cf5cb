"""What could tell from one network which regions stay on top in another, and how well each of these does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Content
from captum_superpixel.metrics.calibration import reliability_curve
from captum_superpixel.pooling import segment_scores
from captum_superpixel.regions.confidence import margins
from captum_superpixel.study.calibrating import (
    Cases,
    assess,
    held,
    is_top,
    of_third_networks,
    pair_cases,
    said,
    shares,
)
from captum_superpixel.study.logistic import fitted
from captum_superpixel.study.region_scores import ENSEMBLE, ChunkMaps, Scored
from captum_superpixel.study.results import Record

__all__ = [
    "ALL",
    "DRAWN",
    "FURTHER",
    "OWN_RANK",
    "OWN_TOP",
    "RegionScores",
    "chunk_scores",
    "coverage_records",
    "draw_from_errors",
    "join_scores",
    "top_records",
]

DRAWN = {
    "joint": "draws of weights and views",
    "views": "views alone",
    "weights": "weights alone",
    "noise": "input noise alone",
    "errors": "standard errors within segments",
}
"""What the report calls the kinds of draws."""
OWN_RANK, FURTHER = "own rank", "one more network"
OWN_TOP, ALL = "own top k", "all regions"
"""Which regions count: those on top in the own map, or all."""

_MOST_WEIGHTS = 10**7
"""Cases times resamples beyond which fewer of the latter are drawn."""
_FEWEST, _MOST = 200, 500


@dataclass(frozen=True)
class RegionScores:
    """Scores of K regions of N images in the maps of M networks, NaN for regions that an image lacks.

    Args:
        own: ``(M, N, K)``, of each network's regions in its own map.
        others: ``(M, M, N, K)``, of the first network's regions in the map of the second.
        draws: By kind ``(M, J, N, K)``, in draws of the own map.
    """

    own: Tensor
    others: Tensor
    draws: dict[str, Tensor]


def chunk_scores(
    chunk: ChunkMaps, drawn: Mapping[str, Sequence[Content]], n_draws: int, seed: int
) -> dict[Scored, RegionScores]:
    """Score every network's regions in all maps, and draw from standard errors beside the perturbed networks.

    Args:
        chunk: Images with the maps of all networks.
        drawn: What :meth:`~captum_superpixel.study.redrawing.Redrawing.draw` gave of them.
        n_draws: How many are drawn from standard errors.
        seed: Of these.
    """
    numbers = range(len(chunk.maps))
    averaged = [chunk.grouped(maps) for maps in chunk.maps]
    table = [[chunk.scores(i, chunk.maps[j], averaged[j]) for j in numbers] for i in numbers]
    found = {}
    for key in table[0][0]:
        draws = {kind: _stack([each["scores"][" ".join(key)] for each in contents]) for kind, contents in drawn.items()}
        # The map of an ensemble has no pixels that its regions would be means of.
        if key.regions != ENSEMBLE:
            seeds = [derive_seed(seed, "errors", chunk.start, i) for i in numbers]
            draws["errors"] = _stack([draw_from_errors(chunk, i, key, n_draws, seeds[i]) for i in numbers])
        own = _stack([table[i][i][key] for i in numbers])
        others = _stack([_stack([table[i][j][key] for j in numbers]) for i in numbers])
        found[key] = RegionScores(own, others, draws)
    return found


def join_scores(chunks: Sequence[Mapping[Scored, RegionScores]]) -> dict[Scored, RegionScores]:
    """Put the scores of chunks of images one behind the other.

    Args:
        chunks: What :func:`chunk_scores` gave of each.
    """
    return {
        key: RegionScores(
            _join([chunk[key].own for chunk in chunks]),
            _join([chunk[key].others for chunk in chunks]),
            {kind: _join([chunk[key].draws[kind] for chunk in chunks]) for kind in first.draws},
        )
        for key, first in chunks[0].items()
    }


def draw_from_errors(chunk: ChunkMaps, number: int, scored: Scored, n_draws: int, seed: int) -> Tensor:
    """Draw scores with the standard errors of means over the pixels of each segment, as independent normal numbers.

    Args:
        chunk: Images, with their maps and regions.
        number: Of the network.
        scored: Of which regions, and with which sign.
        n_draws: J.
        seed: Of the draws.

    Returns:
        ``(J, N, K)``.
    """
    maps, mask = chunk.maps[number], chunk.regions(number)[scored.regions]
    pixels = (maps.abs() if scored.sign == "magnitude" else maps).double().mean(dim=1, keepdim=True)
    mean, square = (segment_scores(each, mask, "mean")[:, 0] for each in (pixels, pixels.square()))
    size = segment_scores(torch.ones_like(pixels), mask.expand(len(maps), -1, -1, -1), "sum")[:, 0]
    error = ((square - mean.square()).clamp(min=0) / size).sqrt()
    generator = torch.Generator().manual_seed(seed)
    return mean + error * torch.randn(n_draws, *mean.shape, generator=generator, dtype=torch.float64)


def top_records(scores: RegionScores, k: int, seed: int) -> list[Record]:
    """Tell what each predictor is worth for the regions of the own top k, and for all regions.

    Args:
        scores: Of the regions of at least two networks; with fewer than three there is no other to be asked.
        k: How many regions are on top.
        seed: Of the resamples.

    Returns:
        Records with ``k``, ``which``, ``predictor``, ``n`` cases, ``base_rate``, and the figures of
        :func:`~captum_superpixel.study.calibrating.assess`; of the probability itself also its ``curve``. None where
        no image has more than k regions.
    """
    own = scores.own
    happened = is_top(scores.others, k) & ~scores.others.isnan()
    records: list[Record] = []
    for which, counted in ((OWN_TOP, is_top(own, k)), (ALL, ~own.isnan())):
        joint = pair_cases(_said(scores.draws["joint"], k), happened, counted)
        if not len(joint.images):
            continue
        found = [_record(DRAWN["joint"], joint, seed, joint)]
        found[0]["curve"] = _curve(joint)
        # Of all regions, which are several times as many, what matters most.
        if which == OWN_TOP:
            for kind in (kind for kind in scores.draws if kind != "joint"):
                cases = pair_cases(_said(scores.draws[kind], k), happened, counted)
                found.append(_record(DRAWN[kind], cases, seed, cases))
        found += _own(own, k, happened, counted, seed)
        if which == OWN_TOP and len(own) > 2:
            third = of_third_networks(_margins(scores.others, k), happened, counted)
            probable = third._replace(predicted=fitted(third.predicted[:, None], third.happened, third.images))
            found.append(_record(FURTHER, third, seed, probable))
        records += [{"k": k, "which": which, **record} for record in found]
    return records


def coverage_records(scores: RegionScores, seed: int) -> list[Record]:
    """Tell how often intervals that say 95 % held the scores of the other networks, by the draws that they are made of.

    Args:
        scores: Of the regions of at least two networks.
        seed: Of the resamples.
    """
    found = []
    for kind, drawn in scores.draws.items():
        cases = held(scores.own, drawn, scores.others)
        if len(cases.images):
            figure = shares(cases, n_resamples=_resamples(cases), seed=seed)
            found.append({"predictor": DRAWN[kind], "n": len(cases.images), "held": figure})
    return found


def _own(own: Tensor, k: int, happened: Tensor, counted: Tensor, seed: int) -> list[Record]:
    """What the own map tells, without any draws: how far a region is above or below the k-th score, and its rank."""
    rank = -own.nan_to_num(-torch.inf).argsort(dim=-1, descending=True).argsort(dim=-1).double()
    margin = _margins(own, k)
    by_margin, by_rank = (pair_cases(each, happened, counted & ~margin.isnan()) for each in (margin, rank))
    features = torch.stack([by_margin.predicted, by_rank.predicted], dim=1)
    both = by_margin._replace(predicted=fitted(features, by_margin.happened, by_margin.images))
    return [
        _record("own score, by its margin", by_margin, seed),
        _record(OWN_RANK, by_rank, seed),
        _record("own margin and rank, fitted", both, seed, both),
    ]


def _record(predictor: str, cases: Cases, seed: int, probable: Cases | None = None) -> Record:
    """What a predictor is worth by the order of the cases, and by the same cases' probabilities, where it gives any."""
    record: Record = {"predictor": predictor, "n": len(cases.images)}
    record |= {"base_rate": float(cases.happened.double().mean()), "brier_skill": None, "calibration_error": None}
    options: dict[str, Any] = {"n_resamples": _resamples(cases), "seed": seed}
    if probable is not None:
        record |= assess(probable, probabilities=True, **options)
    if probable is not cases:
        record |= assess(cases, probabilities=False, **options)
    return record | {"curve": None}


def _curve(cases: Cases) -> Record:
    curve = reliability_curve(cases.predicted, cases.happened)
    return {name: part.tolist() for name, part in curve._asdict().items()}


def _resamples(cases: Cases) -> int:
    return min(_MOST, max(_FEWEST, _MOST_WEIGHTS // len(cases.images)))


def _said(draws: Tensor, k: int) -> Tensor:
    """``(M, N, K)`` of draws ``(M, J, N, K)``."""
    return torch.stack([said(each, k) for each in draws])


def _margins(scores: Tensor, k: int) -> Tensor:
    """Of one map: the formula for draws wants at least two."""
    flat = scores.reshape(-1, scores.shape[-1])
    return margins(torch.stack([flat, flat]), k)[0].reshape(scores.shape)


def _join(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat(_padded(parts), dim=-2)


def _stack(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack(_padded(parts))


def _padded(parts: Sequence[Tensor]) -> list[Tensor]:
    """With as many regions everywhere, those that are not there NaN."""
    most = max(part.shape[-1] for part in parts)
    return [torch.nn.functional.pad(part, (0, most - part.shape[-1]), value=torch.nan) for part in parts]
