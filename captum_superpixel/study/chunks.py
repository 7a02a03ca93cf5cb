"""The explained images of a study, measured chunk by chunk: each kept when it is done, and done by any process."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel._seeds import derive_seed
from captum_superpixel.study.acquiring import measuring_settings
from captum_superpixel.study.data import StudyData
from captum_superpixel.study.distributed import World
from captum_superpixel.study.jobs import Job, run_jobs
from captum_superpixel.study.measuring import Chunk, Key, Measurement, Protocol, measure
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.store import Store, fingerprint

__all__ = ["measure_chunks"]

Report = Callable[[str], None]


def measure_chunks(
    settings: StudySettings,
    protocol: Protocol,
    networks: Sequence[nn.Module],
    twins: Sequence[nn.Module],
    data: StudyData,
    chosen: Sequence[int],
    store: Store,
    processes: World,
    device: torch.device,
    report: Report,
) -> Measurement:
    """Measure all chunks, those of a round in parallel, and keep each as soon as it is there.

    Args:
        settings: The study's.
        protocol: What is measured, and how.
        networks: At least one, on the device.
        twins: An untrained twin of each, or none.
        data: Its held-out images are explained.
        chosen: Which of them, in the order of the values.
        store: Where finished chunks are kept.
        processes: Who shares the chunks.
        device: Where to work.
        report: Called with a line after every round.

    Returns:
        What was measured on all images; at other processes than the first, nothing on none.
    """
    made_with = measuring_settings(settings) | {
        "networks": [fingerprint(network) for network in networks],
        "data": data.fingerprint(),
        "groupings": [grouping.describe() for grouping in (*protocol.groupings, *protocol.sizes)],
    }
    jobs = []
    chunk_size = int(settings.chunk_size or 1)
    for start in range(0, len(chosen), chunk_size):
        indices = chosen[start : start + chunk_size]
        counts = _counts(settings, start, len(indices))
        images = {"images": len(indices), "of_held_out": fingerprint(indices), "fidelity_and_road_images": counts}
        chunk = partial(_chunk, settings, data, indices, counts, start, device)
        run = partial(_measured, protocol, networks, twins, chunk)
        jobs.append(Job(f"images-{start:05d}", made_with | images, run))

    def finished(count: int) -> None:
        report(f"explained and measured {min(count * chunk_size, len(chosen))} of {len(chosen)} images")

    return Measurement.join([_unpacked(content) for content in run_jobs(jobs, store, processes, finished=finished)])


def _counts(settings: StudySettings, start: int, length: int) -> list[int]:
    """How many images of a chunk the curves, and how many ROAD, are measured on."""
    return [min(max(0, int(limit or 0) - start), length) for limit in (settings.fidelity_images, settings.road_images)]


def _chunk(
    settings: StudySettings,
    data: StudyData,
    indices: Sequence[int],
    counts: Sequence[int],
    start: int,
    device: torch.device,
) -> Chunk:
    return Chunk(
        inputs=data.held_out.batch(indices).to(device),
        targets=data.held_out.labels[indices].to(device),
        object_masks=None if data.object_masks is None else data.object_masks[indices].to(device),
        fidelity=counts[0],
        road=counts[1],
        seed=derive_seed(settings.seed, "images", start),
    )


def _measured(
    protocol: Protocol, networks: Sequence[nn.Module], twins: Sequence[nn.Module], chunk: Callable[[], Chunk]
) -> dict[str, Any]:
    return _packed(measure(protocol, networks, twins, chunk()))


def _packed(measurement: Measurement) -> dict[str, Any]:
    return {
        "values": {"\t".join(key): values for key, values in measurement.values.items()},
        "seconds": dict(measurement.seconds),
        "segments": dict(measurement.segments),
        "n_images": measurement.n_images,
    }


def _unpacked(content: dict[str, Any]) -> Measurement:
    values: dict[Key, Tensor] = {Key(*name.split("\t")): tensor for name, tensor in content["values"].items()}
    return Measurement(values, content["seconds"], content["segments"], content["n_images"])
