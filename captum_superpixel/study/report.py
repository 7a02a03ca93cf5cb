"""The report of a study: what it holds, its pictures, and its files, each written whole or not at all."""

import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor, nn

import captum_superpixel
from captum_superpixel._files import replacing
from captum_superpixel.attr.methods import attribute_pixels
from captum_superpixel.study.acquiring import StudyNetwork
from captum_superpixel.study.context import Study
from captum_superpixel.study.markdown import to_markdown
from captum_superpixel.study.measuring import Measurement
from captum_superpixel.study.metric_table import RANDOM_NETWORK
from captum_superpixel.study.results import (
    SCHEMA_VERSION,
    Report,
    Resamples,
    comparisons,
    records,
    variance_by_size,
    verdicts,
)
from captum_superpixel.visualization import visualize_comparison, visualize_stability

__all__ = ["draw_maps", "draw_stability", "make_report", "to_json", "write_report"]

_LIBRARIES = ("torch", "captum", "scikit-image", "scipy", "numpy")
_IMAGES = 4
# What the picture of stability against fidelity shows.
_STABILITY, _FIDELITY = "ssim", "insertion_minus_deletion"


def make_report(
    study: Study, networks: Sequence[StudyNetwork], chosen: Sequence[int], measurement: Measurement
) -> Report:
    """What ``report.json`` holds, but for what networks are retrained for, and the time.

    Args:
        study: The study.
        networks: That were compared.
        chosen: The images that were explained.
        measurement: Of these images.
    """
    settings, data, groupings = study.settings, study.data, study.protocol.groupings
    resamples = Resamples(measurement, settings.seed)
    compared = comparisons(resamples, groupings)
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
            for grouping in groupings
        ],
        "records": records(resamples, groupings),
        "comparisons": compared,
        "verdicts": verdicts(compared, groupings),
        "variance_by_size": variance_by_size(resamples, study.protocol, shape[-2] * shape[-1]),
    }


def write_report(study: Study, result: Report, out: Path, network: nn.Module, chosen: Sequence[int]) -> None:
    """Write ``report.json``, ``report.md``, ``maps.png`` and, for several networks, ``stability.png`` into a folder.

    Args:
        study: The study.
        result: What ``report.json`` is to hold.
        out: The folder; it is made where it is not there.
        network: Whose maps are drawn.
        chosen: The explained images, of which the first few are drawn.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {"maps.png": draw_maps(study, network, chosen)}
    stability = draw_stability(result)
    if stability is not None:
        figures["stability.png"] = stability
    for name, figure in figures.items():
        with replacing(out / name) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    for name, text in (("report.md", to_markdown(result)), ("report.json", to_json(result))):
        with replacing(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def to_json(result: Report) -> str:
    """A report as strict JSON, numbers that are not finite as null.

    Examples:
        >>> to_json({"value": float("nan"), "n": 3}).split()
        ['{', '"value":', 'null,', '"n":', '3', '}']
    """
    return json.dumps(_finite(result), indent=1, allow_nan=False) + "\n"


def draw_maps(study: Study, network: nn.Module, chosen: Sequence[int]) -> Figure:
    """Draw the first explained images beside the magnitudes of their maps, by pixels and in groups."""
    data, protocol = study.data, study.protocol
    indices = list(chosen[:_IMAGES])
    inputs, targets = data.held_out.batch(indices).to(study.device), data.held_out.labels[indices].to(study.device)
    groupers = {grouping.name: grouping.bind(inputs)[0] for grouping in protocol.groupings if "drawn" in grouping.roles}
    maps: dict[str, dict[str, Tensor]] = {}
    for method in protocol.methods:
        seed = study.seed("picture", method)
        by_pixel = attribute_pixels(method, network, inputs, targets, protocol.method_settings, seed)
        maps[method] = {name: group(by_pixel, "magnitude").cpu() for name, group in groupers.items()}
    figure, _ = visualize_comparison(
        data.preprocessing.to_pixels(inputs).cpu(),
        maps,
        labels=targets.tolist(),
        class_names=data.classes,
        scale="own",
        title="Magnitudes of the first network's maps",
    )
    return figure


def draw_stability(result: Report) -> Figure | None:
    """Draw stability against fidelity, a point for each grouping; None where stability was not measured.

    Args:
        result: What ``report.json`` holds.
    """
    of = {(r["method"], r["grouping"], r["sign"], r["metric"]): r for r in result["records"]}
    points = []
    for (method, grouping, sign, metric), record in of.items():
        fidelity = of.get((method, grouping, sign, _FIDELITY))
        if metric != _STABILITY or fidelity is None or RANDOM_NETWORK not in record["excess"]:
            continue
        points.append(
            {
                "method": method,
                "grouping": grouping,
                "sign": sign,
                "x": record["excess"][RANDOM_NETWORK],
                "x_ci95": tuple(record["excess_ci95"][RANDOM_NETWORK]),
                "y": fidelity["value"],
                "y_ci95": tuple(fidelity["ci95"]),
            }
        )
    if not points:
        return None
    x_label = "stability: SSIM of two networks' maps in excess of a random network's"
    return visualize_stability(points, x_label=x_label)[0]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
