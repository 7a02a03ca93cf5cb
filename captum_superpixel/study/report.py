"""The report of a study: what it holds, and its files, each written whole or not at all."""

import json
import math
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import nn

import captum_superpixel
from captum_superpixel._files import replacing
from captum_superpixel.study.acquiring import StudyNetwork
from captum_superpixel.study.claims import verdicts
from captum_superpixel.study.context import Study
from captum_superpixel.study.figures import alt_texts, draw_differences, draw_maps, draw_sizes, draw_stability
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.markdown import to_markdown
from captum_superpixel.study.measurement import Measurement
from captum_superpixel.study.mosaics import Mosaics
from captum_superpixel.study.pairs import pairs
from captum_superpixel.study.reliability import draw_reliability
from captum_superpixel.study.results import (
    NULL_MAP,
    SCHEMA_VERSION,
    Report,
    Resamples,
    comparisons,
    records,
    variance_by_size,
)
from captum_superpixel.study.rows import PIXELS

__all__ = ["make_report", "to_json", "write_report"]

_LIBRARIES = ("torch", "captum", "scikit-image", "scipy", "numpy")


def make_report(
    study: Study,
    networks: Sequence[StudyNetwork],
    chosen: Sequence[int],
    measurement: Measurement,
    mosaics: Mosaics | None = None,
) -> Report:
    """What ``report.json`` holds, but for what networks are retrained for, and the time.

    Args:
        study: The study.
        networks: That were compared.
        chosen: The images that were explained.
        measurement: Of these images.
        mosaics: What was measured on mosaics of images; None where there are none.
    """
    settings, data = study.settings, study.data
    on_mosaics = {} if mosaics is None else mosaics.measurement.values
    resamples = Resamples(replace(measurement, values=measurement.values | on_mosaics), settings.seed)
    protocol = study.protocol
    measured = {row.grouping for method in protocol.methods for row in protocol.rows_of(method)}
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
            "mean_color_images": min(int(settings.mean_color_images or 0), len(chosen)),
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
                "kind": _kind(grouping),
                "meaning": grouping.meaning,
                "averages": grouping.describe(),
                "mean_segments": measurement.segments[grouping.name],
            }
            for grouping in protocol.groupings
            if grouping.name in measured
        ],
        "recommended": {method: row._asdict() for method, row in protocol.recommended.items()},
        "negative_weights": dict(protocol.negative_weights),
        "records": records(resamples, protocol.rows),
        "pairs": pairs(resamples, protocol.rows, [network.name for network in networks]),
        "comparisons": comparisons(resamples, protocol.compared),
        "verdicts": verdicts(resamples, protocol.claims),
        "variance_by_size": variance_by_size(resamples, protocol, shape[-2] * shape[-1]),
        "mosaics": None if mosaics is None else mosaics.described,
    }


def write_report(study: Study, result: Report, out: Path, network: nn.Module, chosen: Sequence[int]) -> None:
    """Write ``report.json``, ``report.md``, and the figures that this study has data for into a folder.

    Args:
        study: The study.
        result: What ``report.json`` is to hold.
        out: The folder; it is made where it is not there.
        network: Whose maps are drawn.
        chosen: The explained images, of which the first few are drawn.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {"maps.png": draw_maps(study, network, chosen)}
    drawn: dict[str, Callable[[Report], Figure | None]] = {
        "stability.png": draw_stability,
        "differences.png": draw_differences,
        "sizes.png": draw_sizes,
    }
    if confidence := result.get("confidence"):
        drawn["reliability.png"] = lambda _: draw_reliability(confidence["records"])
    figures |= {name: figure for name, draw in drawn.items() if (figure := draw(result)) is not None}
    for name, figure in figures.items():
        with replacing(out / name) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    pictures = {name: text for name, text in alt_texts(result).items() if name in figures}
    for name, text in (("report.md", to_markdown(result, pictures)), ("report.json", to_json(result))):
        with replacing(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def to_json(result: Report) -> str:
    """A report as strict JSON, numbers that are not finite as null.

    Examples:
        >>> to_json({"value": float("nan"), "n": 3}).split()
        ['{', '"value":', 'null,', '"n":', '3', '}']
    """
    return json.dumps(_finite(result), indent=1, allow_nan=False) + "\n"


def _kind(grouping: Grouping) -> str:
    """What a grouping is in a comparison, for the report."""
    if grouping.name == PIXELS:
        return PIXELS
    if "null" in grouping.roles:
        return NULL_MAP
    return "superpixels" if "candidate" in grouping.roles else "control"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
