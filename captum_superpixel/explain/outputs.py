"""The files of an explanation: a picture, a page or arrays."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from captum_superpixel._checks import readable
from captum_superpixel._files import replacing
from captum_superpixel.explain.explanation import Explanation
from captum_superpixel.explain.figure import draw
from captum_superpixel.explain.letters import paint
from captum_superpixel.explain.meaning import (
    class_of,
    describe_methods,
    find_roles,
    holds_evidence,
    holds_magnitudes,
    write_chance,
    write_name,
)
from captum_superpixel.explain.png import save_png
from captum_superpixel.explain.rendering import DPI
from captum_superpixel.visualization import save_html

__all__ = ["save"]


def save(explanations: Sequence[Explanation], path: Path, top: int) -> None:
    """Write the explanations of a photograph, whole or not at all.

    Args:
        explanations: What to write: one for a picture or arrays, those of all methods for a page.
        path: A file that ends in ``.png``, ``.html`` or ``.npz``; its folder is made if it is not there.
        top: How many regions a picture numbers and shows.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.lower()
    if kind == ".png":
        pixels = paint(draw(explanations[0], top), DPI)
        with replacing(path) as temporary:
            save_png(pixels, temporary, DPI)
    elif kind == ".html":
        _save_page(explanations, path)
    else:
        # Where the disk is full, NumPy 1 leaves an archive open, which complains when it is collected.
        packed = io.BytesIO()
        np.savez_compressed(packed, **_arrays(explanations[0]))
        with replacing(path) as temporary:
            temporary.write_bytes(packed.getbuffer())


def _save_page(explanations: Sequence[Explanation], path: Path) -> None:
    # Where others explain a class, the page is of this and not of what is predicted alone.
    first = next((each for each in explanations if class_of(each)), explanations[0])
    title, ways = (first.how, []) if len(explanations) == 1 else describe_methods(explanations)
    warnings_of = [
        f"{each.method}: {warning}" if len(explanations) > 1 else f"warning: {warning}"
        for each in explanations
        for warning in each.warnings
    ]
    save_html(
        path,
        first.picture,
        {each.method: each.shown for each in explanations},
        {each.method: each.mask for each in explanations},
        pixel_attributions={each.method: each.pixels for each in explanations if each.pixels is not None} or None,
        title=readable(f"{first.photograph.name}: {title}"),
        class_name={each.method: class_of(each) for each in explanations},
        # A line does not end between a number and its sign.
        headline={
            what.capitalize(): readable(write_name(one)) + write_chance(one).replace(" %", "\N{NO-BREAK SPACE}%")
            for what, one in find_roles(first).items()
        },
        # Of a signed method, also where this map has no negative value.
        signed={each.method: not holds_magnitudes(each) for each in explanations},
        remarks=[
            *map(readable, ways),
            *dict.fromkeys(f"confidence: {each.confidence}." for each in explanations if each.confidence),
            *(readable(f"{text}.") for text in (*(f"note: {remark}" for remark in first.remarks), *warnings_of)),
        ],
        score_name={each.method: each.table.score_name for each in explanations},
        confidence={each.method: each.table for each in explanations if each.table.k is not None},
        outline=first.region,
    )


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
        "prediction_value": np.array([np.nan if p.value is None else p.value for p in first]),
        "prediction_probability": np.array([np.nan if p.probability is None else p.probability for p in first]),
        "photograph": np.array(str(explanation.photograph)),
        "method": np.array(explanation.method),
        "masks_option": np.array(explanation.masks_option),
        "reduction": np.array(explanation.rule.reduction),
        "views": np.array(explanation.rule.views),
        "baseline": np.array(explanation.baseline),
        "confidence": np.array(explanation.confidence),
        "score_name": np.array(explanation.table.score_name),
        # Without the type, none would be an array of numbers.
        "remarks": np.array(explanation.remarks, dtype=np.str_),
        "warnings": np.array(explanation.warnings, dtype=np.str_),
    }
    if holds_evidence(explanation):
        arrays["negative_weight"] = np.array(explanation.rule.negative_weight)
    optional = {"target_region": explanation.region, "pixel_map": explanation.pixels}
    arrays |= {name: tensor.numpy() for name, tensor in optional.items() if tensor is not None}
    if len(explanation.masks) > 1:
        arrays["ensemble_masks"] = explanation.masks.numpy()
    records = explanation.table.to_records()
    for column in records[0]:
        values = [record[column] for record in records]
        if column == "rank":
            values = [rank or 0 for rank in values]  # 0 is none
        if column != "image" and None not in values:
            arrays[f"region_{column}"] = np.array(values)
    return arrays
