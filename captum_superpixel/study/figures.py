"""The figures of a study's report, and for those who cannot see them, what is seen."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from torch import Tensor, nn

from captum_superpixel._texts import joined
from captum_superpixel.attr.pixel_maps import attribute_views
from captum_superpixel.study.context import Study
from captum_superpixel.study.metric_table import METRICS, RANDOM_NETWORK
from captum_superpixel.study.protocol import Row
from captum_superpixel.study.results import Record, Report
from captum_superpixel.study.smoothing import Segmented
from captum_superpixel.study.tables import number
from captum_superpixel.visualization import visualize_comparison, visualize_stability

__all__ = ["alt_texts", "draw_differences", "draw_maps", "draw_sizes", "draw_stability"]

_IMAGES = 3
# What the picture of stability against fidelity shows.
_STABILITY, _FIDELITY = "ssim", "insertion_minus_deletion"
_LEGEND_WIDTH = 7.5
"""Inches that the legend of a figure with a single panel needs."""
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#8A6D00", "#000000")
"""After Okabe and Ito: the color-blind can tell them apart."""


def alt_texts(result: Report) -> dict[str, str]:
    """Say what each figure shows, by the name of its file.

    Args:
        result: What ``report.json`` holds.
    """
    methods = joined(dict.fromkeys(record["method"] for record in result["records"]) or ["each method"])
    return {
        "maps.png": f"The first explained images and beside them, in a block for {methods}, the magnitudes of the "
        "first network's maps, pixel by pixel and averaged over groups.",
        "stability.png": f"One panel for each of {methods}: insertion minus deletion (upwards) against "
        "chance-corrected SSIM (to the right), one point with its intervals for each grouping, filled for signed maps "
        "and hollow for magnitudes.",
        "differences.png": "Differences of the groupings of superpixels from pixels and from the controls, with 95 % "
        "intervals, in one panel for each measure; a vertical line marks no difference.",
        "sizes.png": "Variance of grouped maps over the networks, relative to that of pixel maps, against the mean "
        "number of pixels of a segment, both on logarithmic axes, beside the line 1/|S| of independent pixels.",
    }


def draw_maps(study: Study, network: nn.Module, chosen: Sequence[int]) -> Figure:
    """Draw the first explained images beside their maps: a block per method.

    Maps are drawn by pixels and in groups, as magnitudes of the image as it is, and last the one that is recommended.

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
    columns, rows = 1 + len(drawn) + bool(protocol.recommended), len(indices)
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
            plt_fig_axis=(block, block.subplots(rows, columns, squeeze=False)),
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
    x_label = "stability: chance-corrected SSIM (excess over the random network)"
    return visualize_stability(points, x_label=x_label)[0]


def draw_differences(result: Report) -> Figure | None:
    """Draw the differences that the claims are about, with their intervals: a panel per measure.

    Args:
        result: What ``report.json`` holds.

    Returns:
        The figure: a row for each grouping of superpixels against pixels and against each control, and in it a point
        for each method and sign. None where nothing was compared.
    """
    panels: dict[str, list[Record]] = {}
    candidates = {record["grouping"] for record in result["comparisons"]}
    for name, metric in METRICS.items():
        quantity = f"excess over {RANDOM_NETWORK}" if metric.has_nulls else "value"
        found = [
            record
            for record in result["comparisons"]
            if (record["metric"], record["quantity"]) == (name, quantity) and record["against"] not in candidates
        ]
        if metric.claimed and found:
            panels[f"chance-corrected {metric.title}" if metric.has_nulls else metric.title] = found
    if not panels:
        return None
    records = [record for found in panels.values() for record in found]
    rows = list(dict.fromkeys((record["grouping"], record["against"]) for record in records))
    methods, signs = (list(dict.fromkeys(record[name] for record in records)) for name in ("method", "sign"))
    figure = Figure(figsize=(max(3.0 * len(panels) + 2.2, _LEGEND_WIDTH), 0.5 * len(rows) + 1.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False).ravel()
    for axis, (title, found) in zip(axes, panels.items(), strict=True):
        _draw_differences(axis, found, rows, methods, signs)
        axis.set_title(title, fontsize=10)
    axes[0].set_yticks(range(len(rows)), [f"{grouping} − {against}" for grouping, against in rows], fontsize=9)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    handles = [
        *(Line2D([], [], color=color, marker="o", markersize=4, label=m) for m, color in _colors(methods).items()),
        *(
            Line2D([], [], color="0.3", marker="o", markersize=4, ls="none", mfc="white" if n else "0.3", label=sign)
            for n, sign in enumerate(signs)
        ),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    figure.supxlabel("difference, paired by image, with 95 % interval over images; right of 0 is better", fontsize=9)
    return figure


def _draw_differences(
    axis: Axes, records: Sequence[Record], rows: Sequence[tuple[str, str]], methods: Sequence[str], signs: Sequence[str]
) -> None:
    cases = [(method, sign) for sign in signs for method in methods]
    places = dict(zip(cases, np.linspace(-0.3, 0.3, len(cases)), strict=True))
    axis.axvline(0, color="0.4", linewidth=0.8)
    for record in records:
        if number(record["difference"]) == "–":
            continue
        low, high = (record["difference"] if number(end) == "–" else end for end in record["ci95"])
        place = rows.index((record["grouping"], record["against"])) + places[record["method"], record["sign"]]
        color = _colors(methods)[record["method"]]
        axis.plot([low, high], [place, place], color=color, linewidth=1.2)
        fill = color if record["sign"] == signs[0] else "white"
        axis.plot(record["difference"], place, "o", color=color, markerfacecolor=fill, markersize=4)
    for place in range(1, len(rows)):
        new = rows[place][0] != rows[place - 1][0]
        axis.axhline(place - 0.5, color="0.5" if new else "0.9", linewidth=0.8 if new else 0.6)
    axis.xaxis.set_major_locator(MaxNLocator(5))
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
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    figure.supxlabel("mean number of pixels of a segment, |S|", fontsize=9)
    figure.supylabel("variance over networks\n(pixel maps: 1)", fontsize=9)
    return figure


def _draw_sizes(axis: Axes, records: Sequence[Record], color: str) -> None:
    sizes = [record["mean_segment_pixels"] for record in records]
    for name, style in (("variance_ratio", "o-"), ("shuffled_ratio", ":")):
        axis.plot(sizes, [record[name] for record in records], style, color=color, markersize=4, linewidth=1.2)
    low, high = np.array([record["ci95"] for record in records], dtype=np.float64).T
    axis.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0)


def _colors(names: Sequence[str]) -> dict[str, str]:
    return {name: _COLORS[place % len(_COLORS)] for place, name in enumerate(names)}
