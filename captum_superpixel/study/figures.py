"""The pictures of a study's report."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from captum_superpixel._seeds import derive_seed
from captum_superpixel.study.data import StudyData
from captum_superpixel.study.measuring import Protocol
from captum_superpixel.visualization import visualize_comparison, visualize_stability

__all__ = ["draw_maps", "draw_stability"]

_DRAWN = ("pixels", "cells", "Slic", "ensemble")
_IMAGES = 4


def draw_maps(
    network: nn.Module,
    protocol: Protocol,
    data: StudyData,
    chosen: Sequence[int],
    seed: int,
    device: torch.device,
) -> Any:
    """Draw the first explained images beside the magnitudes of their maps, by pixels and in groups.

    Returns:
        A matplotlib figure, one row an image.
    """
    indices = list(chosen[:_IMAGES])
    inputs, targets = data.held_out.batch(indices).to(device), data.held_out.labels[indices].to(device)
    maps: dict[str, dict[str, Tensor]] = {}
    groupings = [grouping for grouping in protocol.groupings if grouping.name in _DRAWN]
    pools = {grouping.name: grouping.bind(inputs)[0] for grouping in groupings}
    for method in protocol.methods:
        by_pixel = protocol.explainer.explain(method, network, inputs, targets, derive_seed(seed, "picture", method))
        maps[method] = {name: pool(by_pixel, "magnitude").cpu() for name, pool in pools.items()}
    figure, _ = visualize_comparison(
        data.to_pixels(inputs),
        maps,
        labels=targets.tolist(),
        class_names=data.classes,
        scale="own",
        title="Magnitudes of the first network's maps",
    )
    return figure


def draw_stability(result: dict[str, Any]) -> Any | None:
    """Draw stability against fidelity, a point a grouping; None where stability was not measured.

    Args:
        result: What ``report.json`` holds.
    """
    of = {(r["method"], r["grouping"], r["sign"], r["metric"]): r for r in result["records"]}
    points = []
    for (method, grouping, sign, metric), record in of.items():
        fidelity = of.get((method, grouping, sign, "insertion_minus_deletion"))
        if metric != "ssim" or fidelity is None or "random_network" not in record["excess"]:
            continue
        points.append(
            {
                "method": method,
                "grouping": grouping,
                "sign": sign,
                "x": record["excess"]["random_network"],
                "x_ci95": tuple(record["excess_ci95"]["random_network"]),
                "y": fidelity["value"],
                "y_ci95": tuple(fidelity["ci95"]),
            }
        )
    if not points:
        return None
    x_label = "stability: SSIM of two networks' maps in excess of a random network's"
    return visualize_stability(points, x_label=x_label)[0]
