"""The figures of a study's report, and for those who cannot see them, what is seen."""

from collections.abc import Container, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from torch import Tensor, nn

from captum_superpixel._texts import joined
from captum_superpixel.attr.pixel_maps import attribute_views
from captum_superpixel.study.context import Study
from captum_superpixel.study.headline import Finding, find_headline
from captum_superpixel.study.metric_table import METRICS, RANDOM_NETWORK
from captum_superpixel.study.reliability import describe_reliability
from captum_superpixel.study.results import NULL_MAP, Record, Report
from captum_superpixel.study.rows import Row
from captum_superpixel.study.smoothing import Segmented
from captum_superpixel.study.tables import number, spelled
from captum_superpixel.visualization import visualize_comparison, visualize_stability

__all__ = ["alt_texts", "draw_differences", "draw_maps", "draw_sizes", "draw_stability"]

_IMAGES = 3
# What the picture of stability against fidelity shows.
_STABILITY, _FIDELITY = "ssim", "insertion_minus_deletion"
_FILLED = "magnitude, one view"
_LEGEND_WIDTH = 9.2
"""Inches that the legend of a figure with a single panel needs."""
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#8A6D00", "#000000")
"""After Okabe and Ito: the color-blind can tell them apart."""


def alt_texts(result: Report) -> dict[str, str]:
    """Say what each figure shows, by the name of its file.

    Args:
        result: What ``report.json`` holds.
    """
    methods = joined(dict.fromkeys(record["method"] for record in result["records"]) or ["each method"])
    confidence = result.get("confidence")
    return ({"reliability.png": describe_reliability(confidence)} if confidence else {}) | {
        "maps.png": f"The first explained images and beside them, in a block for {methods}, the first network's "
        "maps: magnitudes, pixel by pixel and averaged over groups, and last the recommended map, of evidence its "
        "positive part.",
        "stability.png": f"One panel for each of {methods}: insertion minus deletion (upwards) against "
        "chance-corrected SSIM (to the right), one point with its intervals for each grouping, filled for magnitudes "
        "of one view, and hollow with the sign and views of the recommended map.",
        "differences.png": "Differences of the recommended maps from pixels, from what was recommended before, from "
        "the controls and from null maps, with their intervals, in one panel for each measure; a vertical line marks "
        "no difference.",
        "sizes.png": "Variance of grouped maps over the networks, relative to that of pixel maps, against the mean "
        "number of pixels of a segment, both on logarithmic axes, beside the line 1/|S| of independent pixels, and "
        "crosses where the correlation of pixels predicts it.",
    }


def draw_maps(study: Study, network: nn.Module, chosen: Sequence[int]) -> Figure:
    """Draw the first explained images beside their maps: a block per method.

    Maps are drawn by pixels and in groups, as magnitudes of the image as it is, and last the one that is recommended,
    if it is another one.

    Args:
        study: The study.
        network: Whose maps are drawn.
        chosen: The explained images, of which the first few are drawn.
    """
    data, protocol = study.data, study.protocol
    indices = list(chosen[:_IMAGES])
    inputs, targets = data.held_out.batch(indices).to(study.device), data.held_out.labels[indices].to(study.device)
    segmented = Segmented(inputs)
    groupers = {grouping.name: grouping.bind(segmented)[0] for grouping in protocol.groupings}
    drawn = [Row(grouping.name, "magnitude") for grouping in protocol.groupings if "drawn" in grouping.roles]
    height = inputs.shape[-2] / inputs.shape[-1]
    columns, rows = 1 + len(drawn) + bool(set(protocol.recommended.values()) - set(drawn)), len(indices)
    size = 1.7 * columns + 1.6, len(protocol.methods) * (1.7 * height * rows + 0.9)
    figure = Figure(figsize=size, layout="constrained")
    blocks = figure.subfigures(len(protocol.methods), 1, squeeze=False).ravel()
    for method, block in zip(protocol.methods, blocks, strict=True):
        seed = study.seed("picture", method)
        recommended = [protocol.recommended[method]] if method in protocol.recommended else []
        weight = protocol.negative_weights.get(method, 0.5)
        maps: dict[str, Tensor] = {}
        by_pixel = {
            views: attribute_views(method, network, inputs, targets, protocol.method_settings, seed, views)
            for views in {1, *(row.views for row in recommended)}
        }
        for row in [*drawn, *recommended]:
            grouped = groupers[row.grouping](by_pixel[row.views], row.sign, weight).cpu()
            maps[_column(row)] = grouped.clamp(min=0) if row.sign == "evidence" else grouped
        visualize_comparison(
            data.preprocessing.to_pixels(inputs).cpu(),
            maps,
            labels=targets.tolist(),
            class_names=data.classes,
            scale="own",
            sign="absolute_value",
            title=f"{method}: maps of the first network",
            plt_fig_axis=(block, block.subplots(rows, 1 + len(maps), squeeze=False)),
        )
    return figure


def _column(row: Row) -> str:
    """Name a row above its maps; magnitudes of the image as it is are what is not named."""
    if row[1:] == ("magnitude", 1):
        return row.grouping
    return f"{row.grouping}\n{row.sign}" + (f", {row.views} views" if row.views > 1 else "")


def draw_stability(result: Report) -> Figure | None:
    """Draw stability against fidelity, a point for each grouping; None where stability was not measured.

    Args:
        result: What ``report.json`` holds.

    Returns:
        The figure: in a panel for each method, hollow, the groupings with the sign and views of the recommended map,
        and filled the same ones by magnitude with one view, and all other superpixels. More would cover each other.
    """
    forms = {(row["sign"], row["views"]) for row in result["recommended"].values()} - {("magnitude", 1)}
    hollow = "sign and views as recommended for the method"
    if len(forms) == 1:
        ((sign, views),) = forms
        hollow = f"{sign}, {spelled(views, 'view')}"
    kinds = {grouping["name"]: grouping["kind"] for grouping in result["groupings"]}
    of = {(r["method"], r["grouping"], r["sign"], r["views"], r["metric"]): r for r in result["records"]}
    points = []
    for (*row, metric), record in of.items():
        fidelity = of.get((*row, _FIDELITY))
        if metric != _STABILITY or fidelity is None or RANDOM_NETWORK not in record["excess"]:
            continue
        series = _series(record, kinds[record["grouping"]], result, of, hollow)
        if series is None:
            continue
        points.append(
            {
                "method": record["method"],
                "grouping": record["grouping"],
                "sign": series,
                "x": record["excess"][RANDOM_NETWORK],
                "x_ci95": tuple(record["excess_ci95"][RANDOM_NETWORK]),
                "y": fidelity["value"],
                "y_ci95": tuple(fidelity["ci95"]),
            }
        )
    if not points:
        return None
    points.sort(key=lambda point: point["sign"] != _FILLED)
    x_label = "stability: chance-corrected SSIM (excess over the random network)"
    return visualize_stability(points, x_label=x_label)[0]


def _series(record: Record, kind: str, result: Report, of: Container[tuple[Any, ...]], hollow: str) -> str | None:
    """As which points a row is drawn; None where it is not."""
    sign, views = record["sign"], record["views"]
    best = result["recommended"].get(record["method"], record)
    if (sign, views) == ("magnitude", 1):
        beside = record["method"], record["grouping"], best["sign"], best["views"], _STABILITY
        return _FILLED if kind == "superpixels" or beside in of else None
    return hollow if (sign, views) == (best["sign"], best["views"]) else None


def draw_differences(result: Report) -> Figure | None:
    """Draw the table in short: the recommended maps minus their rivals, with intervals, a panel per measure.

    Args:
        result: What ``report.json`` holds.

    Returns:
        The figure: a row for each rival, and in it a point for each method, filled where the interval is corrected for
        the number of claims. None where nothing was compared.
    """
    found = find_headline(result)
    if not found:
        return None
    metrics, rivals, methods = (
        list(dict.fromkeys(getattr(finding, name) for finding in found)) for name in ("metric", "rival", "method")
    )
    kinds = {finding.rival: finding.kind for finding in found}
    size = max(2.5 * len(metrics) + 2.2, _LEGEND_WIDTH), 0.42 * len(rivals) + 1.5
    figure = Figure(figsize=size, layout="constrained")
    # Wide enough between panels for the numbers at their ends.
    axes = figure.subplots(1, len(metrics), sharey=True, squeeze=False, gridspec_kw={"wspace": 0.06}).ravel()
    for axis, metric in zip(axes, metrics, strict=True):
        _draw_differences(axis, [finding for finding in found if finding.metric == metric], rivals, methods)
        for place in range(1, len(rivals)):
            new = kinds[rivals[place]] != kinds[rivals[place - 1]]
            axis.axhline(place - 0.5, color="0.5" if new else "0.9", linewidth=0.8 if new else 0.6)
        described = METRICS[metric]
        axis.set_title(f"chance-corrected {described.title}" if described.has_nulls else described.title, fontsize=10)
        if not described.higher_is_better:
            axis.invert_xaxis()
    labels = [f"− {rival}" + (f" ({NULL_MAP})" if kinds[rival] == NULL_MAP else "") for rival in rivals]
    axes[0].set_yticks(range(len(rivals)), labels, fontsize=9)
    axes[0].set_ylim(len(rivals) - 0.5, -0.5)
    handles = [Line2D([], [], color=color, marker="o", markersize=4, label=m) for m, color in _colors(methods).items()]
    handles += [
        Line2D([], [], color="0.3", marker="o", markersize=4, ls="none", mfc=fill, label=label)
        for fill, label in (("0.3", "a claim, interval corrected"), ("white", "no claim, 95 % interval"))
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    figure.supxlabel("the recommended map minus its rival, paired by image; right of the line is better", fontsize=9)
    return figure


def _draw_differences(axis: Axes, found: Sequence[Finding], rivals: Sequence[str], methods: Sequence[str]) -> None:
    places = dict(zip(methods, np.linspace(-0.25, 0.25, len(methods) + 2)[1:-1], strict=True))
    colors = _colors(methods)
    axis.axvline(0, color="0.4", linewidth=0.8)
    for finding in found:
        difference = finding.difference
        if difference is None or number(difference) == "–":
            continue
        low, high = (difference if end is None or number(end) == "–" else end for end in finding.interval)
        place, color = rivals.index(finding.rival) + places[finding.method], colors[finding.method]
        axis.plot([low, high], [place, place], color=color, linewidth=1.2)
        fill = color if finding.claimed else "white"
        axis.plot(difference, place, "o", color=color, markerfacecolor=fill, markersize=4)
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.tick_params(labelsize=8)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)


def draw_sizes(result: Report) -> Figure | None:
    """Draw the variance over networks by the size of segments, a panel per method; None where it was not measured.

    Args:
        result: What ``report.json`` holds.
    """
    records = result["variance_by_size"]
    if not records:
        return None
    methods, families = (list(dict.fromkeys(record[name] for record in records)) for name in ("method", "family"))
    figure = Figure(figsize=(max(3.2 * len(methods) + 0.6, _LEGEND_WIDTH), 3.6), layout="constrained")
    axes = figure.subplots(1, len(methods), sharex=True, sharey=True, squeeze=False).ravel()
    for axis, method in zip(axes, methods, strict=True):
        axis.set_title(method, fontsize=10, parse_math=False)
        for family, color in _colors(families).items():
            found = [r for r in records if (r["method"], r["family"]) == (method, family)]
            _draw_sizes(axis, sorted(found, key=lambda record: record["mean_segment_pixels"]), color)
        sizes = np.array(sorted(record["mean_segment_pixels"] for record in records))
        axis.plot(sizes, 1 / sizes, color="0.3", linestyle="--", linewidth=1)
        axis.set(xscale="log", yscale="log")
        axis.grid(color="0.92")
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, which="both")
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_locator(LogLocator(subs=(1, 2, 5)))
            scale.set_major_formatter(StrMethodFormatter("{x:g}"))
            scale.set_minor_formatter(NullFormatter())
    handles = [
        *(Line2D([], [], color=c, marker="o", markersize=4, label=f) for f, c in _colors(families).items()),
        Line2D([], [], color="0.3", linestyle="--", label="1/|S|: independent pixels"),
        Line2D([], [], color="0.5", linestyle=":", label="pixels shuffled first"),
    ]
    if any(number(record["predicted_ratio"]) != "–" for record in records):
        label = "predicted from correlation"
        handles.append(Line2D([], [], color="0.5", marker="x", markersize=6, linestyle="none", label=label))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    figure.supxlabel("mean number of pixels of a segment, |S|", fontsize=9)
    figure.supylabel("variance over networks\n(pixel maps: 1)", fontsize=9)
    return figure


def _draw_sizes(axis: Axes, records: Sequence[Record], color: str) -> None:
    sizes = [record["mean_segment_pixels"] for record in records]
    for name, style in (("variance_ratio", "o-"), ("shuffled_ratio", ":")):
        axis.plot(sizes, [record[name] for record in records], style, color=color, markersize=4, linewidth=1.2)
    # None where nothing was predicted, in a report that was read from a file.
    predicted = np.array([record["predicted_ratio"] for record in records], dtype=np.float64)
    axis.plot(sizes, predicted, "x", color=color, markersize=6)
    low, high = np.array([record["ci95"] for record in records], dtype=np.float64).T
    axis.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0)


def _colors(names: Sequence[str]) -> dict[str, str]:
    return {name: _COLORS[place % len(_COLORS)] for place, name in enumerate(names)}
