"""The grid pointing game of a study: mosaics of images that its first network is sure of, and where its maps point."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel import metrics
from captum_superpixel._hashes import fingerprint
from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Content
from captum_superpixel.attr.pixel_maps import attribute_views
from captum_superpixel.datasets import choose_mosaics, lay_out_mosaics
from captum_superpixel.models.classifying import classify
from captum_superpixel.study.acquiring import StudyNetwork
from captum_superpixel.study.context import Study
from captum_superpixel.study.jobs import Job
from captum_superpixel.study.measurement import Key, Measurement, chunk_bounds
from captum_superpixel.study.measuring import map_settings, measuring_settings
from captum_superpixel.study.metric_table import GRID_POINTING_GAME
from captum_superpixel.study.protocol import Protocol
from captum_superpixel.study.results import Record
from captum_superpixel.study.smoothing import Segmented

__all__ = ["SIDE", "MosaicChunk", "Mosaics", "check_mosaics", "measure_mosaic_chunk", "measure_mosaics"]

SIDE = 2
"""Images in a row and in a column of a mosaic."""

_SURE = 0.5
"""The part of the rightly classified images that mosaics are made of: that of which the network is surest."""
_AT_ONCE = 64
_NO_DECISION = ("draws", "auc_steps")
"""Settings of measures that are not taken here."""


@dataclass(frozen=True)
class Mosaics:
    """What was measured on mosaics.

    Args:
        measurement: A value per mosaic for every method and row.
        described: How the mosaics were made, and what the network makes of them, for ``report.json``.
    """

    measurement: Measurement
    described: Record


@dataclass(frozen=True)
class MosaicChunk:
    """Mosaics that are explained together; what comes out does not depend on other chunks.

    Args:
        inputs: (N, C, H, W), what the network is given.
        classes: (N, cells) int64, what the images of each mosaic show.
        cells: (N,) int64, that whose class is explained.
        seed: Of all randomness.
    """

    inputs: Tensor
    classes: Tensor
    cells: Tensor
    seed: int


def check_mosaics(study: Study, networks: Sequence[StudyNetwork]) -> None:
    """Raise ValueError for what would go wrong with mosaics after hours of training.

    Args:
        study: The study; nothing is checked where it has no mosaics.
        networks: Those that exist already.
    """
    if not study.settings.mosaics:
        return
    classes = len(torch.unique(study.data.held_out.labels))
    if classes < SIDE**2:
        raise ValueError(
            f"mosaics show {SIDE**2} images of different classes, but the held-out images are of {classes}: leave the "
            "mosaics out"
        )
    inputs = _lay_out(study, torch.zeros(1, SIDE**2, dtype=torch.int64))
    height, width = inputs.shape[2:]
    for network in networks[:1]:
        hint = f"a mosaic at full size has {height} x {width} pixels: choose the layout “scaled” for it"
        classify(network.module, inputs, name=network.name, hint=hint)


def measure_mosaics(study: Study, network: nn.Module) -> Mosaics | None:
    """Make mosaics, explain each for one of its classes, and measure how much of every row's map lies in its image.

    The images are chosen at random from the surer half of those that the network classifies rightly, and recur where
    there are too few. The mosaics do not depend on their number, so that more can be asked for later.

    Args:
        study: ``settings.mosaics`` are made of its held-out images.
        network: The study's first, on the device.

    Returns:
        What was measured; None at other processes than the first.

    Raises:
        ValueError: If the images that the network is sure of are of too few classes.

    References:
        Böhle, Fritz, Schiele, "Convolutional Dynamic Alignment Networks for Interpretable Classifications", CVPR 2021,
        https://arxiv.org/abs/2104.00032
    """
    settings = study.settings
    confidences = _confidences(study, network)
    least, places = _choose(study, confidences)
    cells = _draw_cells(len(places), study.generator("mosaics", "cells"))
    made_with = {name: of for name, of in measuring_settings(settings).items() if name not in _NO_DECISION}
    made_with |= map_settings(study) | {
        "network": fingerprint(network),
        "layout": settings.mosaic_layout,
        "groupings": [repr(grouping.smoothing) for grouping in study.protocol.groupings],
    }
    labels = study.data.held_out.labels

    def measured(start: int, stop: int) -> Content:
        chosen = places[start:stop]
        inputs = _lay_out(study, chosen)
        chunk = MosaicChunk(inputs, labels[chosen], cells[start:stop], study.seed("mosaics", start))
        found = measure_mosaic_chunk(study.protocol, network, chunk, _enlarged(study, inputs))
        probabilities, among = _judge(network, inputs, labels[chosen])
        return {"measured": found.packed(), "probabilities": probabilities, "among": among}

    jobs = []
    bounds = chunk_bounds(len(places), int(settings.chunk_size or 2))
    for start, stop in bounds:
        of = {"mosaics": fingerprint([places[start:stop].tolist(), cells[start:stop].tolist()]), "count": stop - start}
        jobs.append(Job(f"mosaics-{start:05d}", made_with | of, partial(measured, start, stop)))

    def finished(count: int) -> None:
        study.report(f"explained and measured {bounds[count - 1][1]} of {len(places)} mosaics")

    contents = study.run(jobs, finished=finished)
    if not study.world.first:
        return None
    found = Measurement.join([Measurement.unpacked(content["measured"]) for content in contents])
    judged = [torch.cat([content[name] for content in contents]) for name in ("probabilities", "among")]
    return Mosaics(found, _described(study, places, confidences, least, *judged))


def measure_mosaic_chunk(
    protocol: Protocol, network: nn.Module, chunk: MosaicChunk, enlarged: float = 1.0
) -> Measurement:
    """Explain each mosaic of a chunk by every method, and play the grid pointing game with every row of every map.

    Args:
        protocol: How maps are made and grouped.
        network: In evaluation mode, on the chunk's device.
        chunk: At least two mosaics, where the protocol holds maps against those of another image.
        enlarged: How many times the pixels of an image a mosaic has: so many fewer are explained at a time.

    Returns:
        A value per mosaic for every method and row. The segments are those of the mosaics.
    """
    result = Measurement(n_images=len(chunk.inputs))
    images = Segmented(chunk.inputs)
    groupers = {}
    for grouping in protocol.groupings:
        groupers[grouping.name], result.segments[grouping.name] = grouping.bind(images)
    targets = chunk.classes.gather(1, chunk.cells[:, None])[:, 0].to(chunk.inputs.device)
    at_once = max(1, int(protocol.method_settings.images_at_once / enlarged))
    options = replace(protocol.method_settings, images_at_once=at_once)
    for method in protocol.methods:
        weight = protocol.negative_weights.get(method, 0.5)
        rows = protocol.rows_of(method)
        for n_views in sorted({row.views for row in rows}):
            seed = derive_seed(chunk.seed, method)
            maps = attribute_views(method, network, chunk.inputs, targets, options, seed, n_views)
            for row in (row for row in rows if row.views == n_views):
                grouped = groupers[row.grouping](maps, row.sign, weight, derive_seed(seed, "grouping"))
                shares = metrics.grid_pointing_game(grouped, chunk.cells, side=SIDE)
                result.values[Key(method, row.grouping, row.sign, GRID_POINTING_GAME, views=n_views)] = shares.cpu()
    return result


def _lay_out(study: Study, places: Tensor) -> Tensor:
    """The mosaics of images (M, cells) by their places among the held-out ones, on the device."""
    images = study.data.held_out.batch(places.flatten().tolist()).to(study.device)
    images = images.view(*places.shape, *images.shape[1:])
    return lay_out_mosaics(images, scaled=study.settings.mosaic_layout == "scaled")


def _enlarged(study: Study, mosaics: Tensor) -> float:
    return mosaics[0, 0].numel() / study.data.held_out.batch([0])[0, 0].numel()


def _judge(network: nn.Module, inputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """What the network makes of images that show so many classes each, (N, cells), one by one.

    Returns:
        The probability of each class, (N, cells), and whether it is one of the most probable ones, of which there are
        as many as the image shows.
    """
    with torch.no_grad():
        probabilities = network(inputs).double().softmax(dim=1).cpu()
    first = probabilities.topk(classes.shape[1], dim=1).indices
    return probabilities.gather(1, classes), (classes[:, :, None] == first[:, None]).any(dim=2)


def _confidences(study: Study, network: nn.Module) -> Tensor:
    """The probability of the class of each held-out image, (N,), 0 where the network takes it for another one."""
    images = study.data.held_out

    def run() -> Content:
        found = []
        for part in torch.split(torch.arange(len(images)), _AT_ONCE):
            judged = _judge(network, images.batch(part).to(study.device), images.labels[part][:, None])
            found.append((judged[0] * judged[1])[:, 0])
        return {"confidences": torch.cat(found)}

    made_with = {"network": fingerprint(network), "data": study.data.fingerprint()}
    (content,) = study.run([Job("mosaic-confidences", made_with, run)], share=True)
    confidences: Tensor = content["confidences"]
    return confidences


def _choose(study: Study, confidences: Tensor) -> tuple[float, Tensor]:
    """The confidence that images need, and the numbers (M, cells) of those of each mosaic."""
    right = confidences > 0
    least = confidences[right].quantile(1 - _SURE, interpolation="lower").item() if right.any() else 1.0
    labels, sure = study.data.held_out.labels, right & (confidences >= least)
    found = len(torch.unique(labels[sure]))
    if found < SIDE**2:
        raise ValueError(
            f"mosaics show {SIDE**2} images of different classes, but the {int(sure.sum())} images that the first "
            f"network is surest of are of {found}: train longer, or leave the mosaics out"
        )
    options: dict[str, Any] = {"side": SIDE, "minimum": least, "generator": study.generator("mosaics")}
    return least, choose_mosaics(labels, confidences, study.settings.mosaics, **options)


def _draw_cells(count: int, generator: torch.Generator) -> Tensor:
    """In which cell of each mosaic the class is that is explained, (N,).

    Each is drawn by itself, so that another mosaic's map is of a class in any cell, as a null map has to be: were the
    cells to take turns, the next mosaic's would always be another one.
    """
    return torch.tensor([int(torch.randint(SIDE**2, (), generator=generator)) for _ in range(count)])


def _described(
    study: Study, places: Tensor, confidences: Tensor, least: float, probabilities: Tensor, among: Tensor
) -> Record:
    """How the mosaics were made, and what the network makes of them."""
    shape = list(_lay_out(study, places[:1]).shape[1:])
    return {
        "count": len(places),
        "side": SIDE,
        "layout": study.settings.mosaic_layout,
        "shape": shape,
        "pool": int((confidences >= least).sum()),
        "images": len(torch.unique(places)),
        "least_confidence": least,
        "confidence": confidences[places].mean().item(),
        "probability": probabilities.mean().item(),
        "among_most_probable": among.double().mean().item(),
    }
