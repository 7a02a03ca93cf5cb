"""The figure of a study: how stable and how faithful the maps of each grouping are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from captum_superpixel._checks import checked_number
from captum_superpixel.visualization import _figures
from captum_superpixel.visualization._label_placement import place_labels

__all__ = ["StabilityRecord", "visualize_stability"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#8A6D00", "#000000", "#666666", "#882255")
"""After Okabe and Ito, darker where their colors are too light for text."""
_MARKERS = "osD^vPX"
"""One fewer than there are colors, so that 56 groupings differ."""
_COLUMNS = 3
_REQUIRED = ("method", "grouping", "x", "y")


class StabilityRecord(TypedDict, total=False):
    """One point of the figure.

    Attributes:
        method: The attribution method, whose panel the point is in.
        grouping: How its maps were grouped.
        sign: Whether its maps are ``"signed"`` or ``"magnitude"``; any other names will do.
        x: Stability.
        x_ci95: Ends of its 95 % confidence interval.
        y: Fidelity.
        y_ci95: Ends of its 95 % confidence interval.
    """

    method: str
    grouping: str
    sign: str
    x: float
    x_ci95: tuple[float, float] | None
    y: float
    y_ci95: tuple[float, float] | None


def visualize_stability(
    report: Iterable[StabilityRecord] | Iterable[Mapping[str, Any]],
    *,
    x_label: str = "stability: similarity in excess of a random network",
    y_label: str = "fidelity: insertion minus deletion AUC",
    plt_fig_axis: tuple[Figure, npt.NDArray[Any]] | None = None,
    title: str | None = None,
    fig_size: tuple[float, float] | None = None,
    use_pyplot: bool = False,
) -> tuple[Figure, npt.NDArray[Any]]:
    """Draw fidelity against stability, with one panel per method and one point per grouping.

    A grouping has the same color and marker in all panels, and its name beside each point; markers are filled for the
    first ``sign`` of the report, hollow for the others. Panels have the same axes. Points to the right are more stable,
    points higher up more faithful.

    Args:
        report: Records with the keys of :class:`StabilityRecord`; ``sign`` and the intervals may be missing or None.
            Records without a finite ``x`` and ``y`` are left out, and the panel says how many.
        x_label: What ``x`` is.
        y_label: What ``y`` is.
        plt_fig_axis: Figure and array of axes, one per method; new ones by default.
        title: Title of the figure.
        fig_size: Width and height in inches of a new figure; by default, as large as its panels need. The names are
            placed for this size.
        use_pyplot: Whether a new figure is made by pyplot, so that a notebook shows it; otherwise the state of pyplot
            is left alone.

    Returns:
        The figure and an array of the axes, one per method in the order of the report.

    Raises:
        TypeError: If a coordinate is not a number.
        ValueError: If the report is empty, a record lacks a key, an interval does not have two ends, or there are not
            as many axes as methods.

    Examples:
        >>> report = [
        ...     {"method": "Saliency", "grouping": "pixels", "x": 0.14, "y": 0.09, "x_ci95": (0.12, 0.16)},
        ...     {"method": "Saliency", "grouping": "ensemble", "x": 0.25, "y": 0.23, "x_ci95": (0.22, 0.27)},
        ... ]
        >>> figure, axes = visualize_stability(report)
        >>> axes[0].get_title()
        'Saliency'
    """
    records = [_Record(record, place) for place, record in enumerate(report)]
    if not records:
        raise ValueError("report has no records: pass at least one")
    methods, groupings, signs = (
        list(dict.fromkeys(getattr(record, key) for record in records)) for key in ("method", "grouping", "sign")
    )
    figure, axes = _panels(plt_fig_axis, len(methods), fig_size, use_pyplot)
    styles = {name: (_COLORS[n % len(_COLORS)], _MARKERS[n % len(_MARKERS)]) for n, name in enumerate(groupings)}
    for axis, method in zip(axes, methods, strict=True):
        axis.set_title(method, fontsize=11, parse_math=False)
        _draw_points(axis, [record for record in records if record.method == method], styles, signs)
    if len(signs) > 1:
        figure.legend(handles=_sign_handles(signs), loc="outside upper right", ncols=len(signs), frameon=False)
    figure.supxlabel(x_label, fontsize=10)
    figure.supylabel(y_label, fontsize=10)
    if title is not None:
        figure.suptitle(title)
    figure.draw_without_rendering()  # labels are placed in the final layout
    for axis, method in zip(axes, methods, strict=True):
        drawn = [record for record in records if record.method == method and record.finite]
        place_labels(
            axis,
            [(record.x, record.y) for record in drawn],
            [record.grouping for record in drawn],
            [styles[record.grouping][0] for record in drawn],
            _obstacles(axis, drawn),
        )
    return figure, axes


class _Record:
    """A checked record."""

    def __init__(self, record: Mapping[str, Any] | StabilityRecord, place: int) -> None:
        missing = [key for key in _REQUIRED if key not in record]
        if missing:
            raise ValueError(f"record {place} of the report lacks {', '.join(missing)}: it has {', '.join(record)}")
        values: Mapping[str, Any] = dict(record)
        self.method, self.grouping = str(values["method"]), str(values["grouping"])
        self.sign = str(values.get("sign") or "")
        self.x, self.y = (_number(values[key], f"{key} of record {place}") for key in ("x", "y"))
        self.finite = math.isfinite(self.x) and math.isfinite(self.y)
        self.x_reach = _reach(self.x, values.get("x_ci95"), f"x_ci95 of record {place}")
        self.y_reach = _reach(self.y, values.get("y_ci95"), f"y_ci95 of record {place}")


def _number(value: Any, name: str) -> float:
    """Return a number as a float; NaN stands for None and for what is not finite."""
    if value is None or (isinstance(value, (float, np.floating)) and not math.isfinite(value)):
        return math.nan
    return checked_number(name, value, minimum=-math.inf)


def _reach(value: float, interval: Sequence[float] | None, name: str) -> tuple[float, float]:
    """Find the lengths of the error bars below and above a value."""
    if interval is None:
        return 0.0, 0.0
    if len(interval) != 2:
        raise ValueError(f"{name} is {interval!r}: pass the two ends (low, high) of the interval")
    low, high = (_number(end, name) for end in interval)
    # A bootstrap interval may lie beside the value, but a bar of negative length cannot be drawn.
    below, above = value - low, high - value
    return max(below, 0.0) if math.isfinite(below) else 0.0, max(above, 0.0) if math.isfinite(above) else 0.0


def _panels(
    plt_fig_axis: tuple[Figure, Any] | None, count: int, fig_size: tuple[float, float] | None, use_pyplot: bool
) -> tuple[Figure, npt.NDArray[Any]]:
    if plt_fig_axis is not None:
        figure, given = plt_fig_axis
        axes = np.array(given, dtype=object).ravel()
        if len(axes) != count:
            raise ValueError(
                f"plt_fig_axis has {len(axes)} axes, but the report has {count} methods: pass one per method"
            )
        return figure, axes
    columns = 2 if count == 4 else min(count, _COLUMNS)
    rows = math.ceil(count / columns)
    figure = _figures.new_figure(fig_size or (4.2 * columns + 0.4, 3.6 * rows + 0.7), use_pyplot)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _draw_points(axis: Axes, records: list[_Record], styles: Mapping[str, tuple[str, str]], signs: list[str]) -> None:
    for record in records:
        if not record.finite:
            continue
        color, marker = styles[record.grouping]
        axis.errorbar(
            [record.x],
            [record.y],
            xerr=[[end] for end in record.x_reach],
            yerr=[[end] for end in record.y_reach],
            color=color,
            marker=marker,
            markersize=7,
            markerfacecolor=color if record.sign == signs[0] else "white",
            elinewidth=1,
            capsize=0,
            linestyle="none",
            label=record.grouping,
        )
    lost = sum(not record.finite for record in records)
    if lost:
        axis.text(0.02, 0.02, f"{lost} not finite", transform=axis.transAxes, fontsize=8, color="0.35")
    axis.grid(color="0.92", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(0.15)
    axis.tick_params(labelsize=9, labelbottom=True, labelleft=True)


def _sign_handles(signs: list[str]) -> list[Artist]:
    return [
        Line2D([], [], color="0.3", marker="o", linestyle="none", markerfacecolor="white" if n else "0.3", label=sign)
        for n, sign in enumerate(signs)
    ]


def _obstacles(axis: Axes, records: list[_Record]) -> npt.NDArray[np.float64]:
    """Find the boxes around the markers and the error bars, ``(P, 4)`` in pixels."""
    boxes = []
    for record in records:
        center = axis.transData.transform((record.x, record.y))
        low = axis.transData.transform((record.x - record.x_reach[0], record.y - record.y_reach[0]))
        high = axis.transData.transform((record.x + record.x_reach[1], record.y + record.y_reach[1]))
        boxes.append([*(center - 6), *(center + 6)])
        boxes.append([low[0], center[1] - 1, high[0], center[1] + 1])
        boxes.append([center[0] - 1, low[1], center[0] + 1, high[1]])
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)
