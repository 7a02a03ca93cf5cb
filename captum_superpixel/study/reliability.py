"""The reliability figure of a study: what was said of regions, and how often it came true."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from captum_superpixel.study.predictors import DRAWN, OWN_TOP
from captum_superpixel.study.results import Record

__all__ = ["describe_reliability", "draw_reliability"]

_COLORS = {3: "#0072B2", 5: "#D55E00"}
"""After Okabe and Ito: the color-blind can tell them apart."""
_OTHER = "0.55"
"""Of what is measured but refused, a single region on top."""
_FEWEST = 10
"""Cases in a bin from which on it is drawn: a frequency of fewer says little."""


def draw_reliability(records: Sequence[Record]) -> Figure | None:
    """Draw how often regions of the own top k stayed on top in another network, against the probability that was said.

    Args:
        records: ``confidence.records`` of ``report.json``.

    Returns:
        The figure: a panel for each method and sign (in columns) and kind of regions (in rows), a line for each k,
        whose points are the larger the more cases they stand for. None where nothing was said of enough regions.
    """
    shown = [
        record
        for record in records
        if record["predictor"] == DRAWN["joint"] and record["which"] == OWN_TOP and _known(record).any()
    ]
    if not shown:
        return None
    columns = list(dict.fromkeys((record["method"], record["sign"]) for record in shown))
    rows = list(dict.fromkeys(record["regions"] for record in shown))
    size = max(2.5 * len(columns) + 0.8, 5.2), 2.55 * len(rows) + 1.1
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    for row, regions in enumerate(rows):
        for column, (method, sign) in enumerate(columns):
            wanted = (method, sign, regions)
            found = [each for each in shown if (each["method"], each["sign"], each["regions"]) == wanted]
            axis = axes[row, column]
            if not found:
                axis.set_visible(False)
                continue
            axis.set_title(f"{method}\n{sign}, {regions}", fontsize=9, parse_math=False)
            _draw_panel(axis, found)
        axes[row, 0].set_ylabel("share that stayed", fontsize=9)
    for column in axes.T:
        # Shared axes have their numbers at the bottom alone, where a column may have no panel.
        [axis for axis in column if axis.get_visible()][-1].tick_params(labelbottom=True)
    handles = [
        Line2D([], [], color=_COLORS.get(k, _OTHER), marker="o", markersize=4, label=f"top {k}")
        for k in dict.fromkeys(record["k"] for record in shown)
    ]
    handles.append(Line2D([], [], color="0.75", label="as said"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, fontsize=9)
    figure.supxlabel("probability that was said; larger points stand for more regions", fontsize=9)
    return figure


def describe_reliability(result: Record) -> str:
    """Say what the figure shows, for those who cannot see it.

    Args:
        result: ``confidence`` of ``report.json``.
    """
    errors = [
        record["calibration_error"]["value"]
        for record in result["records"]
        if record["predictor"] == DRAWN["joint"] and record["which"] == OWN_TOP
    ]
    known = [error for error in errors if error is not None]
    span = f" The expected calibration error is {min(known):.2f} to {max(known):.2f}." if known else ""
    return (
        "Share of the own top regions that stayed on top in another network, against the probability that was said, "
        "in a panel for each method and kind of regions; the diagonal is where both are the same." + span
    )


def _known(record: Record) -> np.ndarray:
    """Which bins have enough cases."""
    return np.array(record["curve"]["counts"]) >= _FEWEST


def _draw_panel(axis: Axes, records: Sequence[Record]) -> None:
    axis.plot([0, 1], [0, 1], color="0.75", linewidth=1, zorder=0)
    for record in records:
        known = _known(record)
        predicted, happened, counts = (
            np.array(record["curve"][name], dtype=np.float64)[known] for name in ("predicted", "happened", "counts")
        )
        color = _COLORS.get(record["k"], _OTHER)
        axis.plot(predicted, happened, color=color, linewidth=1.2)
        size = 4 + 90 * counts / sum(record["curve"]["counts"])
        axis.scatter(predicted, happened, s=size, color=color, zorder=2, clip_on=False)
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axis.set_xticks([0, 0.5, 1])
    axis.set_yticks([0, 0.5, 1])
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
