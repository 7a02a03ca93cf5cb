"""What remains of an explanation: a picture, a page or arrays in a file, and lines of at most 80 columns in print."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from captum_superpixel._checks import readable
from captum_superpixel._files import replacing
from captum_superpixel._numbers import find_common_unit
from captum_superpixel._texts import cut, fold
from captum_superpixel._threads import ignored_warnings
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.explain.classes import Prediction
from captum_superpixel.explain.explainer import Explanation, Outcome
from captum_superpixel.explain.meaning import (
    class_of,
    describe_methods,
    describe_none,
    find_roles,
    holds_evidence,
    holds_magnitudes,
    speaking_regions,
    write_chance,
    write_name,
)
from captum_superpixel.explain.outlines import draw_outline
from captum_superpixel.regions import RegionTable
from captum_superpixel.regions.choosing import first_regions, strongest_regions
from captum_superpixel.regions.confidence import describe_stays_top, write_probability
from captum_superpixel.regions.table import SHARE, describe_ranks, draw_cells, show_rank
from captum_superpixel.visualization import save_html, visualize_superpixels, visualize_top_regions

__all__ = ["draw", "list_failures", "save", "save_figure", "summarize"]

_COLUMNS = 80
_NAMED = 8
_CLASS = 60
"""Letters of a class in a line of its own in print."""
_TITLE = 100
"""Letters that a line of a picture's title has room for."""


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
        save_figure(draw(explanations[0], top), path)
    elif kind == ".html":
        _save_page(explanations, path)
    else:
        arrays = _arrays(explanations[0])
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)


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


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    # Names may have letters that matplotlib's font has not; boxes stand for them.
    with replacing(path) as temporary, ignored_warnings(UserWarning):
        figure.savefig(temporary, format="png", dpi=120, bbox_inches="tight")


def draw(explanation: Explanation, top: int) -> Figure:
    """Draw the photograph, its map over the borders of its superpixels, and its top regions.

    Args:
        explanation: What to draw.
        top: How many regions are numbered and shown.

    Returns:
        A figure that pyplot's state does not hold.
    """
    table, evidence, magnitudes = explanation.table, holds_evidence(explanation), holds_magnitudes(explanation)
    quantity = "evidence" if evidence else METHODS[explanation.method].quantity
    height, width = explanation.picture.shape[1:]
    # Below the map its scores are listed in three columns, one of them of those against, and lines say what they are.
    listed = min(top, len(table))
    titles = _titles(explanation)
    lines = math.ceil(listed / 3) if magnitudes or evidence else 1 + math.ceil(listed / 2)
    lines += any(math.isnan(region.score) for region in table) + 2 * any(region.tied for region in table)
    lines += table.k is not None
    rest = 1.65 + 0.19 * lines + 0.2 * (len(titles) - 2)
    side = 4.2 * min(2.0, height / width)
    figure = Figure(figsize=(15, side + rest), layout=ConstrainedLayoutEngine(wspace=0.06, compress=True))
    axes = figure.subplots(1, 3)
    picture, shown, mask = explanation.picture, explanation.shown, explanation.mask
    # What speaks against a class is in the page, which has both.
    shown = shown.clamp(min=0) if evidence else shown
    sure = table if table.k is not None else None
    axes[0].imshow(picture.permute(1, 2, 0).numpy())
    axes[0].set(xticks=[], yticks=[])
    visualize_superpixels(
        picture,
        shown,
        mask,
        k=top,
        score_name=None if evidence else table.score_name,
        quantity=quantity,
        class_name=class_of(explanation),
        sign="absolute_value" if magnitudes else "positive" if evidence else "all",
        confidence=sure,
        plt_fig_axis=(figure, axes[1]),
    )
    count = min(top, len(speaking_regions(explanation)))
    enough: dict[str, Any] = {"k": count} if count else {"fraction": 0, "title": describe_none(explanation)}
    visualize_top_regions(picture, shown, mask, **enough, confidence=sure, plt_fig_axis=(figure, axes[2]))
    draw_outline(axes[:2], explanation.region)
    # A letter takes about a twelfth of an inch.
    letters = int(12 * min(4.2, side * width / height))
    second = f"evidence for {class_of(explanation)}, and regions" if evidence else "map and regions"
    headings = (cut(readable(explanation.photograph.name), 2 * letters), second, axes[2].get_title())
    for axis, title in zip(axes, headings, strict=True):
        axis.set_title("\n".join(fold(line, letters, 4) for line in title.split("\n")), fontsize=11, parse_math=False)
    figure.suptitle("\n".join(titles), parse_math=False)
    return figure


def _titles(explanation: Explanation) -> list[str]:
    """Say what is explained, what is predicted, and how the map was made, in a line each or together."""
    lines = [f"{what}: {_heading(one)}" for what, one in find_roles(explanation).items()]
    lines = [", ".join(lines)] if sum(map(len, lines)) < _TITLE else lines
    return [*lines, readable(explanation.how)]


def _heading(prediction: Prediction) -> str:
    return f"{cut(readable(write_name(prediction)), _TITLE - 10)}{write_chance(prediction)}"


def summarize(outcome: Outcome, outputs: Sequence[Path], top: int) -> str:
    """Say what the network sees in a photograph, and where by each method.

    Args:
        outcome: What to say.
        outputs: The files that were written.
        top: How many regions to list.

    Returns:
        Several lines.
    """
    lines = [readable(outcome.photograph)]
    for remark in outcome.remarks:
        lines += _wrap(f"note: {readable(remark)}.")
    if outcome.explanations:
        lines += _list_classes(outcome.explanations[0])
    for explanation in outcome.explanations:
        lines += _wrap(f"{readable(explanation.how)} ({len(explanation.table)} regions)")
        lines += _wrap(f"baseline: {explanation.baseline}") if explanation.baseline else []
        lines += _wrap(f"confidence: {explanation.confidence}") if explanation.confidence else []
        for warning in explanation.warnings:
            lines += _wrap(f"warning: {readable(warning)}")
        name = cut(class_of(explanation), _CLASS) or None
        lines.append(textwrap.indent(_tabulate(explanation.table, top, name), "  "))
    for failure in outcome.failures:
        lines += _wrap(f"not explained: {readable(failure)}")
    return "\n".join([*lines, *(f"  wrote {readable(path)}" for path in outputs)])


def _list_classes(explanation: Explanation) -> list[str]:
    target, predictions = explanation.target, explanation.predictions
    lines = []
    for number, prediction in enumerate(predictions[:3]):
        lines.append(_cut(f"  {'' if number else prediction.role:9}  {_describe(prediction)}"))
    if predictions[0].role == "likeliest":
        likely = sum(prediction.probability is not None and prediction.probability > 0.5 for prediction in predictions)
        lines.append(f"  each class for itself: {likely} of {len(predictions)} are above 50 %")
    if target.index != predictions[0].index:
        lines.append(_cut(f"  explained  {_describe(target)}"))
    return lines


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(
        text, _COLUMNS, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=True
    )


def list_failures(failures: Sequence[tuple[Path, str]], total: int) -> str:
    """Say which photographs failed, and why; those that failed for the same reason together.

    Args:
        failures: The photographs, each with the reason.
        total: How many photographs there were.

    Returns:
        One line, or several.
    """
    alike: dict[str, list[Path]] = {}
    for path, message in failures:
        alike.setdefault(message, []).append(path)
    lines = [f"{len(failures)} of {total} photographs could not be explained:"] if total > 1 else []
    for message, paths in alike.items():
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        lines.append(f"{', '.join(map(readable, paths[:_NAMED]))}{more}: {message}")
    return "\n  ".join(lines)


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


def _describe(prediction: Prediction) -> str:
    chance = f"{prediction.figure:>8}  " if prediction.figure else ""
    if prediction.role == "target":
        return f"{chance}{readable(prediction.name)}"
    number = f"{'output' if prediction.role in ('output', 'largest') else 'class'} {prediction.index}"
    return f"{chance}{number if prediction.name == number else f'{number}, {readable(prediction.name)}'}"


def _tabulate(table: RegionTable, top: int, class_name: str | None = None) -> str:
    """Draw the first regions as a table, and say what shares are of and which regions have no rank of their own.

    Of a class, where scores have signs, these are the regions that speak for it, and half as many against it follow.
    """
    if class_name is not None and any(region.score < 0 for region in table):
        for_, against, ties = strongest_regions(table, top, math.ceil(top / 2))
        parts = {f"for {class_name}": for_, "against": against}
    else:
        first, tie = first_regions(table, top)
        parts, ties = {"": first}, [tie] if tie else []
    regions = [region for part in parts.values() for region in part]
    ranks = describe_ranks([*regions, *(region for region in table if region.rank is None)])
    unit = find_common_unit(region.score for region in regions)
    rows = [
        (
            show_rank(region),
            f"{100 * region.area_share:.1f} %",
            unit.write(region.score),
            f"{100 * region.share:.1f} %",
            f"{region.centroid[0]:.0f}, {region.centroid[1]:.0f}",
            *([] if region.stays_top is None else [write_probability(region.stays_top)]),
        )
        for region in regions
    ]
    header = ["rank", "area", table.score_name, "share", "center (row, column)"]
    # Intervals, which are in the page and the arrays, would not fit.
    sure = [] if table.k is None else [(f"stays top {table.k}", describe_stays_top(table.k))]
    header += [name for name, _ in sure]
    head, *drawn = draw_cells(header, rows).split("\n")
    lines = [head] if rows else []
    for heading, part in parts.items():
        lines += [f"{heading}{'' if part else ': no region'}"] if heading else []
        lines += drawn[: len(part)]
        drawn = drawn[len(part) :]
    units = [f"{table.score_name}: in {unit.words}"] if unit.exponent else []
    meanings = [textwrap.fill(f"{name}: {meaning}", _COLUMNS - 2) for name, meaning in sure]
    return "\n".join([*lines, *([*units, f"share: {SHARE}", *meanings] if rows else []), *ties, *ranks])


def _cut(line: str) -> str:
    return line if len(line) <= _COLUMNS else f"{line[: _COLUMNS - 3]}..."
