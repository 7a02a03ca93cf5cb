"""The files of an explanation: a picture, a page, or arrays."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from captum_superpixel._files import replacing
from captum_superpixel.explain.explainer import Explanation
from captum_superpixel.explain.photographs import readable
from captum_superpixel.visualization import save_html, visualize_superpixels, visualize_top_regions

__all__ = ["draw", "save"]


def save(explanation: Explanation, path: Path, top: int) -> None:
    """Write an explanation, whole or not at all.

    Args:
        explanation: What to write.
        path: A file that ends in ``.png``, ``.html`` or ``.npz``; its folder is made if it is not there.
        top: How many regions a picture numbers and shows.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(exist_ok=True)
    kind = path.suffix.lower()
    if kind == ".png":
        figure = draw(explanation, top)
        with replacing(path) as temporary, warnings.catch_warnings():
            # Names may have letters that matplotlib's font has not; boxes stand for them.
            warnings.simplefilter("ignore", UserWarning)
            figure.savefig(temporary, format="png", dpi=120, bbox_inches="tight")
    elif kind == ".html":
        save_html(
            path,
            explanation.picture,
            {explanation.method: explanation.grouped},
            explanation.mask,
            pixel_attributions=None if explanation.pixels is None else {explanation.method: explanation.pixels},
            title=readable(f"{explanation.photograph.name}: {explanation.how}"),
            class_name=readable(explanation.target.name),
            probability=explanation.target.probability,
        )
    else:
        arrays = _arrays(explanation)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)


def draw(explanation: Explanation, top: int) -> Figure:
    """Draw the photograph, its map over the borders of its superpixels, and its top regions.

    Args:
        explanation: What to draw.
        top: How many regions are numbered, and shown.

    Returns:
        A figure that no pyplot state knows of.
    """
    height, width = explanation.picture.shape[1:]
    # Below the map its scores are listed, three in a line.
    rest = 1.4 + 0.19 * math.ceil(min(top, len(explanation.table)) / 3)
    figure = Figure(figsize=(15, 4.2 * min(2.0, height / width) + rest), layout="constrained")
    axes = figure.subplots(1, 3)
    picture, grouped, mask = explanation.picture, explanation.grouped, explanation.mask
    axes[0].imshow(picture.permute(1, 2, 0).numpy())
    axes[0].set(xticks=[], yticks=[])
    axes[0].set_title(readable(explanation.photograph.name), parse_math=False)
    visualize_superpixels(picture, grouped, mask, k=top, plt_fig_axis=(figure, axes[1]), title="map and superpixels")
    visualize_top_regions(picture, grouped, mask, k=top, plt_fig_axis=(figure, axes[2]))
    target = explanation.target
    chance = "" if target.probability is None else f" ({100 * target.probability:.1f} %)"
    figure.suptitle(f"{readable(target.name)}{chance}\n{readable(explanation.how)}", parse_math=False)
    return figure


def _arrays(explanation: Explanation) -> dict[str, Any]:
    """Name what an explanation holds; nothing of it needs pickle."""
    first = explanation.predictions[:3]
    arrays: dict[str, Any] = {
        "image": explanation.picture.numpy(),
        "map": explanation.grouped.numpy(),
        "mask": explanation.mask.numpy(),
        "target": np.array(explanation.target.index),
        "target_name": np.array(explanation.target.name),
        "prediction": np.array([prediction.index for prediction in first]),
        "prediction_name": np.array([prediction.name for prediction in first]),
        "prediction_probability": np.array([np.nan if p.probability is None else p.probability for p in first]),
        "photograph": np.array(str(explanation.photograph)),
        "method": np.array(explanation.method),
        "masks_option": np.array(explanation.masks_option),
        "reduction": np.array(explanation.reduction),
    }
    if explanation.pixels is not None:
        arrays["pixel_map"] = explanation.pixels.numpy()
    if len(explanation.masks) > 1:
        arrays["ensemble_masks"] = explanation.masks.numpy()
        arrays["ensemble_member"] = np.array(explanation.member)
    records = explanation.table.to_records()
    for column in records[0]:
        values = [record[column] for record in records]
        if column != "image" and None not in values:
            arrays[f"region_{column}"] = np.array(values)
    return arrays
