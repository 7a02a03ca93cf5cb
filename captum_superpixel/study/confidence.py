"""How sure a region is, in a study: each network in turn is a user's own, and the others show what comes true."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from captum_superpixel.masks.base import ImageMaskGenerator
from captum_superpixel.study.context import Study
from captum_superpixel.study.mean_maps import (
    COMPARED,
    mean_map_records,
    measure_mean_maps,
    shared_tops,
    top_region_records,
)
from captum_superpixel.study.predictors import chunk_scores, coverage_records, join_scores, top_records
from captum_superpixel.study.redrawing import Plan, Redrawing
from captum_superpixel.study.region_scores import ENSEMBLE
from captum_superpixel.study.results import Record
from captum_superpixel.study.settings import TOPS
from captum_superpixel.study.smoothing import Segments

__all__ = ["confidence_of_method", "measure_confidence"]

_KINDS = ("joint", "noise")
"""Draws of what the library gives, and of what perturbs the input alone."""
_FEW_SEGMENTS = 30
_TYPICAL = 32
"""Images by which the strength of the perturbation is found."""


def measure_confidence(
    study: Study, networks: Sequence[nn.Module], twins: Sequence[nn.Module], chosen: Sequence[int]
) -> Record | None:
    """Hold the probability that a region stays among the top k of another network against what other networks show.

    Args:
        study: ``settings.confidence_images`` of its images are looked at, the first ``settings.mean_map_images`` of
            them, in whole chunks, also for the mean map of the draws.
        networks: At least two, on the device; with fewer than three there is no interval over networks, and no further
            network that could be asked.
        twins: A randomized model of each, for mean maps.
        chosen: The images that the study explains.

    Returns:
        What ``report.json`` holds as ``confidence``; None at other processes than the first.

    Raises:
        ValueError: If no strength of perturbation keeps most predictions of a network.
    """
    settings = study.settings
    plan = Plan(
        images=list(chosen[: settings.confidence_images]),
        # The same ones however many are looked at, so that more can be asked for later.
        typical=list(chosen[:_TYPICAL]),
        segments=tuple(sorted({min(_FEW_SEGMENTS, settings.n_segments or 1), settings.n_segments or 1})),
        members=_members(study),
        chunk_size=int(settings.chunk_size or 2),
        # Digits mean something else in a mirror.
        flip=settings.dataset != "digits",
    )
    redrawing = Redrawing(study, networks, twins, plan)
    parts = [
        confidence_of_method(redrawing, method, _KINDS, mean_maps=settings.mean_map_images)
        for method in study.protocol.methods
    ]
    if not study.world.first:
        return None
    found: Record = {
        "images": len(plan.images),
        "networks": len(networks),
        "draws": plan.draws,
        "keep": plan.keep,
        "strengths": redrawing.strengths,
    }
    return found | {name: [record for part in parts for record in part[name]] for name in parts[0]}


def confidence_of_method(
    redrawing: Redrawing, method: str, kinds: Sequence[str], *, tops: Sequence[int] = TOPS, mean_maps: int = 0
) -> dict[str, list[Record]]:
    """Explain all images by a method, draw the maps again, and tell how well what is said of regions fits.

    Args:
        redrawing: The networks and images.
        method: Its name.
        kinds: Of draws whose probabilities are looked at, ``"joint"`` among them.
        tops: How many regions are on top.
        mean_maps: How many of the images mean maps are compared on, in whole chunks.

    Returns:
        ``records``, ``coverage``, ``mean_maps`` and ``top_regions``, all empty at other processes than the first.
    """
    study, seed = redrawing.study, redrawing.study.settings.seed
    scores, maps, shared = [], [], []
    for start, stop in redrawing.bounds:
        compared = start < mean_maps
        chunk = redrawing.explain(method, start, stop, twins=compared)
        wanted = dict.fromkeys([*kinds, *(COMPARED if compared else ())])
        drawn = redrawing.draw(chunk, wanted, share=compared)
        if compared:
            of_twins = redrawing.draw(chunk, COMPARED, twin=True, share=True)
            maps.append(measure_mean_maps(redrawing, chunk, drawn, of_twins))
        if study.world.first:
            looked_at = {kind: drawn[kind] for kind in kinds}
            scores.append(chunk_scores(chunk, looked_at, redrawing.plan.draws, seed))
            shared += [shared_tops(chunk, drawn)] if compared else []
        study.report(f"perturbed {method} on {stop} of {len(redrawing.plan.images)} images")
    found: dict[str, list[Record]] = {"records": [], "coverage": [], "mean_maps": [], "top_regions": []}
    if not study.world.first:
        return found
    for scored, of_regions in join_scores(scores).items():
        place: dict[str, Any] = {"method": method, **scored._asdict()}
        found["records"] += [place | record for k in tops for record in top_records(of_regions, k, seed)]
        found["coverage"] += [place | record for record in coverage_records(of_regions, seed)]
    if maps:
        found["mean_maps"] = [{"method": method, **record} for record in mean_map_records(maps)]
        found["top_regions"] = [{"method": method, **record} for record in top_region_records(shared)]
    return found


def _members(study: Study) -> tuple[ImageMaskGenerator, ...]:
    """The segmentations of the ensemble that the study recommends."""
    smoothing = next(grouping.smoothing for grouping in study.protocol.groupings if grouping.name == ENSEMBLE)
    if not isinstance(smoothing, Segments):
        raise ValueError(f"the {ENSEMBLE} is {smoothing.describe()}, which has no segments: leave the confidence out")
    return smoothing.generators
