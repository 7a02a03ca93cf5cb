"""The study from its settings to its report, in one process or several."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from captum_superpixel import metrics
from captum_superpixel._files import check_output_folder
from captum_superpixel._store import Store
from captum_superpixel.attr.pixel_maps import attribute_views
from captum_superpixel.models.device import choose_device
from captum_superpixel.models.memory_format import use_channels_last
from captum_superpixel.study.acquiring import (
    StudyNetwork,
    check_outputs,
    check_recipe,
    choose_images,
    common_preprocessing,
    evaluate_networks,
    load_checkpoints,
    make_twins,
    train_networks,
)
from captum_superpixel.study.confidence import measure_confidence
from captum_superpixel.study.context import Reporter, Study
from captum_superpixel.study.data import StudyData, disjoint_parts, load_data
from captum_superpixel.study.jobs import join_world
from captum_superpixel.study.measuring import measure_chunks
from captum_superpixel.study.mosaics import check_mosaics, measure_mosaics
from captum_superpixel.study.protocol import make_protocol
from captum_superpixel.study.report import make_report, write_report
from captum_superpixel.study.results import Report
from captum_superpixel.study.retraining import measure_mege_reco, measure_roar
from captum_superpixel.study.settings import METHOD_NAMES, StudySettings

__all__ = ["run_study"]


def run_study(
    settings: StudySettings, out: Path, *, device: str | None = None, report: Reporter | None = None
) -> Report | None:
    """Train or load networks, explain held-out images, measure, and write the report.

    Args:
        settings: What is studied, and how.
        out: Folder for ``report.json``, ``report.md``, its figures, and the finished parts of an interrupted study,
            which is taken up where it stopped.
        device: Where to work; None for this process's GPU if there is one, else the CPU.
        report: Called with every line of what there is to say.

    Returns:
        What ``report.json`` holds, at the first of several processes; None at the others.

    Raises:
        ValueError: If the settings, the data, a network, the folder or the device cannot be used, or a part in
            ``out`` is damaged or of another study.
    """
    settings = settings.resolved()
    with join_world() as world:
        check_output_folder(out, "out", parents=True)
        where = choose_device(device, world.local_rank)
        timer = _Timer()
        networks = load_checkpoints(settings, where)
        data = load_data(settings, common_preprocessing(networks, settings))
        study = Study(
            settings=settings,
            data=data,
            protocol=make_protocol(settings, data),
            device=where,
            store=Store(out / "parts"),
            world=world,
            report=report if report is not None and world.first else _silent,
        )
        _check(study, networks)
        _report_data(data, study.report)
        timer.lap("loading data and networks")
        if not settings.checkpoints:
            networks = train_networks(study)
        timer.lap("training")
        networks = evaluate_networks(study, networks)
        chosen = _choose(study, networks)
        modules = [use_channels_last(network.module) for network in networks]
        twins = make_twins(study, modules) if study.protocol.stability else []
        timer.lap("choosing images")
        measurement = measure_chunks(study, modules, twins, chosen)
        timer.lap("explaining and measuring")
        mosaics = None
        if settings.mosaics:
            mosaics = measure_mosaics(study, modules[0])
            timer.lap("mosaics")
        confidence = None
        if settings.confidence_images:
            confidence = measure_confidence(study, modules, twins, chosen)
            timer.lap("how sure regions are")
        retrained = _retrain(study, modules[0], timer)
        if not world.first:
            return None
        result = make_report(study, networks, chosen, measurement, mosaics) | {"confidence": confidence} | retrained
        timer.lap("intervals")
        result["seconds"] = {
            "stages": timer.laps,
            "work": dict(measurement.seconds),
            "device": str(where),
            "processes": world.size,
            "threads": torch.get_num_threads(),
        }
        write_report(study, result, out, modules[0], chosen)
        study.report(f"Wrote {out.resolve()}")
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


def _check(study: Study, networks: Sequence[StudyNetwork]) -> None:
    """Raise ValueError for what would go wrong after hours of training."""
    settings, protocol = study.settings, study.protocol
    if settings.checkpoints:
        check_outputs(study, networks)
    else:
        check_recipe(study)
        for count in (settings.models, settings.folds):
            if count:
                disjoint_parts(study.data, count, settings)
    check_mosaics(study, networks)
    inputs = study.data.held_out.batch([0])
    for grouping in (*protocol.groupings, *protocol.sizes):
        grouping.bind(inputs)
    for n_views in {row.views for row in protocol.rows}:
        # Of a network that passes its input on: small images have few views.
        first = torch.zeros(1, dtype=torch.int64)
        attribute_views("Saliency", nn.Flatten(), inputs, first, protocol.method_settings, seed=0, n_views=n_views)
    _check_spread(settings, max(row.views for row in protocol.rows))
    if protocol.stability:
        try:
            metrics.ssim(inputs, inputs)
        except ValueError as error:
            raise ValueError(f"the images are too small to be compared ({error}): choose a larger size") from error


def _check_spread(settings: StudySettings, n_views: int) -> None:
    """Raise ValueError where a map would be averaged over fewer views than its row says."""
    passes = {
        "IntegratedGradients": ("n_steps", settings.n_steps),
        "SmoothGrad": ("n_samples", settings.n_samples),
        "SparsifiedSmoothGrad": ("n_samples", settings.n_samples),
    }
    for method, (name, count) in passes.items():
        if 1 < n_views > count and method in (settings.methods or METHOD_NAMES):
            raise ValueError(
                f"n_views={n_views}, but {name}={count}, and each of these sees one view in {method}: take no more "
                f"views, or {name} of as many"
            )


def _choose(study: Study, networks: Sequence[StudyNetwork]) -> list[int]:
    """Choose the images to explain, and say how accurate the networks are and whether there are too few images."""
    held_out, wanted = study.data.held_out, int(study.settings.images or 0)
    for network in networks:
        study.report(f"{network.name}: {network.accuracy:.1%} of {len(held_out)} held-out images right")
    chosen = choose_images(networks, held_out.labels, wanted)
    if len(chosen) < wanted:
        study.report(f"{len(chosen)} images are explained, not {wanted}: no more are classified correctly by all")
    return chosen


def _retrain(study: Study, network: nn.Module, timer: _Timer) -> dict[str, Any]:
    """Take the measures for which networks are trained again, if they are wanted."""
    measured: dict[str, Any] = {"mege_reco": [], "roar": []}
    if study.settings.folds:
        measured["mege_reco"] = measure_mege_reco(study)
        timer.lap("MeGe and ReCo")
    if study.settings.roar:
        measured["roar"] = measure_roar(study, network)
        timer.lap("ROAR")
    return measured


def _report_data(data: StudyData, report: Reporter) -> None:
    train = "no training images" if data.train is None else f"{len(data.train)} training images"
    report(f"{data.name}: {train}, {len(data.held_out)} held-out images, {len(data.classes)} classes")
    for name in data.skipped:
        report(f"skipped {name}: it cannot be read")


def _silent(line: str) -> None:
    """Report nothing."""
