"""The study from its settings to its report, in one process or several."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

import captum_superpixel
from captum_superpixel import metrics
from captum_superpixel._seeds import derive_seed
from captum_superpixel.models.memory_format import use_channels_last
from captum_superpixel.models.random_twin import random_twin
from captum_superpixel.study.acquiring import (
    StudyNetwork,
    check_outputs,
    check_recipe,
    common_preprocessing,
    evaluate_networks,
    load_checkpoints,
    train_networks,
)
from captum_superpixel.study.chunks import measure_chunks
from captum_superpixel.study.data import StudyData, disjoint_parts, load_data
from captum_superpixel.study.distributed import world
from captum_superpixel.study.explaining import METHODS, Explainer
from captum_superpixel.study.groupings import standard_groupings
from captum_superpixel.study.measuring import Measurement, Protocol
from captum_superpixel.study.mege import measure_mege_reco
from captum_superpixel.study.results import SCHEMA_VERSION, comparisons, records, verdicts
from captum_superpixel.study.roar import measure_roar
from captum_superpixel.study.settings import StudySettings
from captum_superpixel.study.sizes import size_groupings, variance_by_size
from captum_superpixel.study.store import Store

__all__ = ["run_study"]

_TWIN_IMAGES = 512
# As Rong et al. have it, for pixels in [0, 1].
_ROAD_NOISE = 0.01
_LIBRARIES = ("torch", "captum", "scikit-image", "scipy", "numpy")

Report = Callable[[str], None]


def run_study(
    settings: StudySettings, out: Path, *, device: str | None = None, report: Report | None = None
) -> dict[str, Any] | None:
    """Train or load networks, explain held-out images, measure, and write the report.

    Args:
        settings: What is studied, and how.
        out: Folder for ``report.json``, ``report.md``, ``maps.png``, ``stability.png``, and the finished parts of an
            interrupted study, which is taken up where it stopped.
        device: Where to work; None for this process's GPU if there is one, else the CPU.
        report: Called with every line of what there is to say.

    Returns:
        What ``report.json`` holds, at the first of several processes; None at the others.

    Raises:
        ValueError: If the settings, the data, a network, the folder or the device cannot be used, or a part in
            ``out`` is damaged or of another study.
    """
    settings = settings.resolved()
    with world() as processes:
        report = report if report is not None and processes.first else _silent
        where = processes.device(device)
        timer = _Timer()
        networks = load_checkpoints(settings, where)
        data = load_data(settings, common_preprocessing(networks, settings))
        _check(settings, networks, data, where)
        if processes.first:
            _make_folder(out)
        _report_data(data, report)
        store = Store(out / "parts")
        timer.lap("loading data and networks")
        if not settings.checkpoints:
            networks = train_networks(settings, data, store, processes, where, report)
        timer.lap("training")
        networks = evaluate_networks(networks, data, store, processes)
        for network in networks:
            report(f"{network.name}: {network.accuracy:.1%} of {len(data.held_out)} held-out images right")
        chosen = _choose(networks, data, int(settings.images or 0))
        if len(chosen) < int(settings.images or 0):
            report(f"{len(chosen)} images are explained, not {settings.images}: no more are classified rightly by all")
        protocol = _protocol(settings, data, chosen)
        modules = [use_channels_last(network.module) for network in networks]
        twins = _twins(settings, modules, data, where) if protocol.stability else []
        timer.lap("choosing images")
        measurement = measure_chunks(settings, protocol, modules, twins, data, chosen, store, processes, where, report)
        timer.lap("explaining and measuring")
        extras: dict[str, Any] = {"mege_reco": [], "roar": []}
        if settings.folds:
            extras["mege_reco"] = measure_mege_reco(settings, protocol, data, store, processes, where, report)
            timer.lap("MeGe and ReCo")
        if settings.roar:
            extras["roar"] = measure_roar(settings, protocol, modules[0], data, store, processes, where, report)
            timer.lap("ROAR")
        if not processes.first:
            return None
        result = _result(settings, data, networks, chosen, protocol, measurement) | extras
        timer.lap("intervals")
        result["seconds"] = {
            "stages": timer.laps,
            "work": dict(measurement.seconds),
            "device": str(where),
            "processes": processes.size,
            "threads": torch.get_num_threads(),
        }
        from captum_superpixel.study.report import write_report

        write_report(result, out, networks[0].module, protocol, data, chosen, where)
        report(f"Wrote {out.resolve()}")
        return result


class _Timer:
    """Seconds between calls, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self._last
        self._last = now


def _check(settings: StudySettings, networks: list[StudyNetwork], data: StudyData, device: torch.device) -> None:
    """Raise ValueError for what would go wrong after hours of training."""
    if settings.checkpoints:
        check_outputs(networks, data, device)
    else:
        check_recipe(settings, data, device)
        for count in (settings.models, settings.folds):
            if count:
                disjoint_parts(data, count, settings)
    protocol, inputs = _protocol(settings, data, [0]), data.held_out.batch([0])
    for grouping in (*protocol.groupings, *protocol.sizes):
        grouping.bind(inputs)
    if protocol.stability:
        try:
            metrics.ssim(inputs, inputs)
        except ValueError as error:
            raise ValueError(f"the images are too small to be compared ({error}): choose a larger size") from error


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"the folder {out} cannot be made ({error}): choose another") from error
    if not os.access(out, os.W_OK):
        raise ValueError(f"the folder {out} cannot be written to: choose another")


def _protocol(settings: StudySettings, data: StudyData, chosen: Sequence[int]) -> Protocol:
    options: dict[str, Any] = {"denormalize": data.denormalize, "channel_order": data.channel_order}
    height, width = data.held_out.batch(chosen[:1]).shape[-2:]
    return Protocol(
        explainer=Explainer(
            n_steps=settings.n_steps,
            n_samples=settings.n_samples,
            noise=data.noise(settings.noise),
            baseline=data.baseline,
            images_at_once=max(1, 256 * 48 * 48 // max(48 * 48, height * width)),
        ),
        methods=METHODS,
        groupings=standard_groupings(int(settings.n_segments or 1), **options),
        sizes=size_groupings(height, width, **options) if settings.models > 2 else (),
        draws=int(settings.draws or 0),
        stability=settings.models > 1,
        auc_steps=settings.auc_steps,
        road_noise=data.noise(_ROAD_NOISE),
    )


def _choose(networks: Sequence[StudyNetwork], data: StudyData, count: int) -> list[int]:
    """The first held-out images that all networks classify rightly."""
    predictions = [network.predictions for network in networks if network.predictions is not None]
    right = torch.stack([each == data.held_out.labels for each in predictions])
    chosen: list[int] = torch.nonzero(right.all(dim=0)).flatten()[:count].tolist()
    if len(chosen) < 2:
        raise ValueError(
            f"{len(chosen)} of {len(data.held_out)} held-out images are classified rightly by all {len(networks)} "
            "networks, too few to study: train longer, or check the preprocessing and the order of the classes"
        )
    return chosen


def _twins(
    settings: StudySettings, networks: Sequence[nn.Module], data: StudyData, device: torch.device
) -> list[nn.Module]:
    """An untrained twin of every network, its statistics from held-out images."""
    inputs = data.held_out.batch(range(min(_TWIN_IMAGES, len(data.held_out)))).to(device)
    seeds = [derive_seed(settings.seed, "twin", number) for number in range(len(networks))]
    return [
        random_twin(network, inputs, torch.Generator().manual_seed(seed)).requires_grad_(False)
        for network, seed in zip(networks, seeds, strict=True)
    ]


def _result(
    settings: StudySettings,
    data: StudyData,
    networks: Sequence[StudyNetwork],
    chosen: Sequence[int],
    protocol: Protocol,
    measurement: Measurement,
) -> dict[str, Any]:
    compared = comparisons(measurement, settings.seed)
    # The variance at other sizes of segments has a table of its own.
    names = {grouping.name for grouping in protocol.groupings}
    made = [record for record in records(measurement, settings.seed) if record["grouping"] in names]
    shape = list(data.held_out.batch(chosen[:1]).shape[1:])
    return {
        "schema_version": SCHEMA_VERSION,
        "software": {
            "captum-superpixel": captum_superpixel.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
        },
        "settings": asdict(settings),
        "dataset": {
            "name": data.name,
            "classes": len(data.classes),
            "shape": shape,
            "train_images": None if data.train is None else len(data.train),
            "held_out_images": len(data.held_out),
            "explained_images": len(chosen),
            "fidelity_images": min(int(settings.fidelity_images or 0), len(chosen)),
            "road_images": min(int(settings.road_images or 0), len(chosen)),
            "skipped": list(data.skipped),
        },
        "models": [
            {
                "name": network.name,
                "parameters": sum(parameter.numel() for parameter in network.module.parameters()),
                "train_images": network.train_images,
                "accuracy": network.accuracy,
                "losses": list(network.losses),
            }
            for network in networks
        ],
        "groupings": [
            {
                "name": grouping.name,
                "averages": grouping.describe(),
                "mean_segments": measurement.segments[grouping.name],
            }
            for grouping in protocol.groupings
        ],
        "records": made,
        "comparisons": compared,
        "verdicts": verdicts(compared),
        "variance_by_size": variance_by_size(measurement, protocol, shape[-2] * shape[-1], settings.seed),
    }


def _report_data(data: StudyData, report: Report) -> None:
    train = "no training images" if data.train is None else f"{len(data.train)} training images"
    report(f"{data.name}: {train}, {len(data.held_out)} held-out images, {len(data.classes)} classes")
    for name in data.skipped:
        report(f"skipped {name}: it cannot be read")


def _silent(line: str) -> None:
    """Report nothing."""
