"""The files of a study's report, each written whole or not at all."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from captum_superpixel._files import replacing
from captum_superpixel.study.data import StudyData
from captum_superpixel.study.figures import draw_maps, draw_stability
from captum_superpixel.study.markdown import to_markdown
from captum_superpixel.study.measuring import Protocol

__all__ = ["to_json", "write_report"]


def to_json(result: dict[str, Any]) -> str:
    """A report as strict JSON, numbers that are not finite as null.

    Examples:
        >>> to_json({"value": float("nan"), "n": 3}).split()
        ['{', '"value":', 'null,', '"n":', '3', '}']
    """
    return json.dumps(_finite(result), indent=1, allow_nan=False) + "\n"


def write_report(
    result: dict[str, Any],
    out: Path,
    network: nn.Module,
    protocol: Protocol,
    data: StudyData,
    chosen: Sequence[int],
    device: torch.device,
) -> None:
    """Write ``report.json``, ``report.md``, ``maps.png`` and, for several networks, ``stability.png`` into a folder.

    Args:
        result: What ``report.json`` is to hold.
        out: The folder; it is made where it is not there.
        network: Whose maps are drawn.
        protocol: How maps are made and grouped.
        data: The images.
        chosen: The explained ones, of which the first few are drawn.
        device: Where the network is.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures = {"maps.png": draw_maps(network, protocol, data, chosen, result["settings"]["seed"], device)}
    stability = draw_stability(result)
    if stability is not None:
        figures["stability.png"] = stability
    for name, figure in figures.items():
        with replacing(out / name) as temporary:
            figure.savefig(temporary, format="png", dpi=120)
    for name, text in (("report.md", to_markdown(result)), ("report.json", to_json(result))):
        with replacing(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
