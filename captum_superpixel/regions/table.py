"""The ranked table of regions: its rows, how it is printed, and its forms for other programs."""

from __future__ import annotations

import importlib
import math
import operator
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

from captum_superpixel._checks import listed
from captum_superpixel._numbers import Unit, find_common_unit
from captum_superpixel._untyped import tabulate
from captum_superpixel.pooling import Reduction
from captum_superpixel.regions.confidence import describe_interval, describe_stays_top, write_probability

__all__ = [
    "SHARE",
    "Region",
    "RegionTable",
    "describe_ranks",
    "draw_cells",
    "name_images",
    "name_magnitude",
    "name_score",
    "show_rank",
    "sureness_cells",
    "sureness_columns",
]

SHARE = "of the summed magnitudes of all regions' scores"
"""What a share is a share of; the regions are those of the image."""

_INTERVAL = "95 % interval"
_LINE = 110
"""Letters of a line below the table, which is about as wide."""
_SHOWN = 20
"""Rows that a table shows when it is printed."""
_OPTIONAL = ("standard_error", "sign_agreement", "stays_top", "interval_low", "interval_high")
"""Columns of a record that are None where nothing says how sure the scores are."""
_AXES = {1: ("place",), 2: ("row", "column"), 3: ("slice", "row", "column")}
"""What the place along each axis of series, images and volumes is called."""


@dataclass(frozen=True, slots=True)
class Region:
    """A segment of an image: where it lies, and what the attributions say of it.

    Attributes:
        image: Index of the image in the batch.
        rank: 1 for the highest region of its image; equal scores share a rank (1, 2, 2, 4). None in an image whose
            scores are all 0, and for a region that holds a NaN or infinite value.
        id: Id of the segment in the feature mask.
        area: Number of pixels.
        area_share: Share of the image's pixels, above 0 and at most 1.
        centroid: Mean row and mean column of the pixels; of voxels mean slice, row and column.
        bounding_box: ``(min_row, min_col, max_row, max_col)``; the last two are the first row and column beyond it. In
            volumes slices stand first: ``(min_slice, min_row, …, max_col)``; series have places alone.
        score: Over all pixels and channels, what ``region_table`` was asked for; for several maps, its mean over them.
            NaN for a region that holds a NaN or infinite value, as is all else that follows from the map.
        channel_scores: Score of each of the C channels; for several maps, its mean over them.
        share: Magnitude of the score over the summed magnitudes of the scores of all regions of the image, 0 to 1.
        standard_error: Of the mean score over M maps: the standard deviation of their scores (with M - 1 in the
            denominator) over the square root of M. None for a single map.
        sign_agreement: Share of the maps whose score has the most frequent sign (+, - or 0). None for a single map.
        tied: Whether other regions of the image have the same rank.
        stays_top: Probability that the region is among the top k of an independently trained network, 0 to 1; NaN for a
            region without a rank. None where ``region_table`` was not given draws and k.
        interval: Between which bounds the score lies in an independently trained network in 95 % of cases, that
            network's scores being brought to the mean and the standard deviation of these; NaN for a region without a
            rank. None without draws.
    """

    image: int
    rank: int | None
    id: int
    area: int
    area_share: float
    centroid: tuple[float, ...]
    bounding_box: tuple[int, ...]
    score: float
    channel_scores: tuple[float, ...]
    share: float
    standard_error: float | None = None
    sign_agreement: float | None = None
    tied: bool = False
    stays_top: float | None = None
    interval: tuple[float, float] | None = None

    def to_record(self) -> dict[str, int | float | None]:
        """Return the region as named numbers, one per column; the score of channel 0 is ``score_0``."""
        axes = [name.replace("column", "col") for name in _AXES[len(self.centroid)]]
        bounds = [f"{bound}_{axis}" for bound in ("min", "max") for axis in axes]
        return {
            "image": self.image,
            "rank": self.rank,
            "id": self.id,
            "area": self.area,
            "area_share": self.area_share,
            **dict(zip((f"centroid_{axis}" for axis in axes), self.centroid, strict=True)),
            **dict(zip(bounds, self.bounding_box, strict=True)),
            "score": self.score,
            **{f"score_{channel}": score for channel, score in enumerate(self.channel_scores)},
            "share": self.share,
            "standard_error": self.standard_error,
            "sign_agreement": self.sign_agreement,
            "stays_top": self.stays_top,
            **dict(zip(("interval_low", "interval_high"), self.interval or (None, None), strict=True)),
        }


@dataclass(frozen=True, repr=False)
class RegionTable(Sequence[Region]):
    """The regions of a batch of images, image by image, each image's by rank.

    A sequence of ``Region``: an index gives one, a slice a shorter table, and ``print`` shows the first rows.

    Args:
        regions: One row per region.
        score_name: What a score is, such as ``"mean attribution"``: the heading of its column in print.
        k: Among how many top regions each stays with the probability ``stays_top``; None without that.
    """

    regions: tuple[Region, ...]
    score_name: str = "mean attribution"
    k: int | None = None

    def __len__(self) -> int:
        """Count the regions of all images."""
        return len(self.regions)

    @overload
    def __getitem__(self, index: int) -> Region: ...
    @overload
    def __getitem__(self, index: slice) -> RegionTable: ...
    def __getitem__(self, index: int | slice) -> Region | RegionTable:
        """Return a region, or for a slice the table of these rows."""
        return replace(self, regions=self.regions[index]) if isinstance(index, slice) else self.regions[index]

    def of_image(self, image: int) -> RegionTable:
        """Return the table of one image of the batch.

        Raises:
            ValueError: If the table holds no region of this image.
        """
        try:
            rows = self._by_image[operator.index(image)]
        except (KeyError, TypeError):
            known = name_images(sorted(self._by_image))
            raise ValueError(f"image={image!r} is not in this table: it holds {known}") from None
        return replace(self, regions=rows)

    @cached_property
    def _by_image(self) -> dict[int, tuple[Region, ...]]:
        """The rows of each image, found once, so that all images of a table take no longer than the table is."""
        rows: dict[int, list[Region]] = {}
        for region in self.regions:
            rows.setdefault(region.image, []).append(region)
        return {image: tuple(own) for image, own in rows.items()}

    def to_records(self) -> list[dict[str, int | float | None]]:
        """List the rows as dictionaries of named numbers, as ``csv.DictWriter`` and data frames take them."""
        return [region.to_record() for region in self.regions]

    def to_pandas(self) -> Any:
        """Make a ``pandas.DataFrame`` with one row per region and the columns of ``to_records``.

        Where regions have no rank, that column is of pandas' ``Int64``, with ``NA`` in it.

        Raises:
            ImportError: If pandas, which this package does not require, is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError(
                "to_pandas() needs pandas, which could not be imported: install it by `pip install pandas`, or take "
                "to_records()"
            ) from error
        frame = pandas.DataFrame(self.to_records())
        # A column of nothing but None would have the dtype object.
        types: dict[str, Any] = dict.fromkeys(_OPTIONAL, float)
        if any(region.rank is None for region in self.regions):
            types["rank"] = "Int64"
        return frame.astype(types) if len(frame) else frame

    def __str__(self) -> str:
        """Draw the first rows as a table, and say what shares are of and which regions have no rank of their own."""
        first = self.regions[:_SHOWN]
        unit = find_common_unit(region.score for region in first)
        rows = [_cells(region, unit) for region in first]
        axes = _AXES[len(first[0].centroid) if first else 2]
        places = [*axes, *(f"{axis}s" for axis in axes)]
        header = ["image", "rank", "id", "area", "of image", *places, unit.add_to(self.score_name)]
        if any(region.standard_error is not None for region in first):
            header += ["± error", "signs"]
        header += ["share", *(name for name, _ in sureness_columns(self))]
        rest = len(self) - _SHOWN
        lines = [f"… and {rest} more of {len(self)} regions"] if rest > 0 else []
        meanings = [
            textwrap.fill(f"{name}: {meaning}", _LINE, subsequent_indent="  ")
            for name, meaning in sureness_columns(self)
        ]
        return "\n".join(
            [draw_cells(header, rows), *lines, f"share: {SHARE}", *meanings, *describe_ranks(self.regions)]
        )

    def __repr__(self) -> str:
        """Count the regions and the images."""
        return f"RegionTable({len(self)} regions of {len({region.image for region in self.regions})} images)"


def sureness_columns(table: RegionTable) -> list[tuple[str, str]]:
    """Name the columns that say how sure the regions are, each with what it means; none without draws."""
    columns = []
    if table.k is not None:
        columns.append((f"stays top {table.k}", describe_stays_top(table.k)))
    if any(region.interval is not None for region in table):
        columns.append((_INTERVAL, describe_interval()))
    return columns


def sureness_cells(region: Region, unit: Unit) -> list[str]:
    """Write what ``sureness_columns`` names."""
    cells = [] if region.stays_top is None else [write_probability(region.stays_top)]
    if region.interval is not None:
        cells.append(_write_interval(*region.interval, unit))
    return cells


def _write_interval(low: float, high: float, unit: Unit) -> str:
    """Write both bounds to the third digit of the larger one."""
    largest = max(abs(low), abs(high))
    if math.isnan(largest):
        return "–"
    decimals = 2 - math.floor(math.log10(largest)) if largest else 0
    return " to ".join(unit.write_short(round(bound, decimals)) for bound in (low, high))


def draw_cells(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Draw cells of text in columns, two spaces apart and flush right."""
    # A header that tabulate knows of would be padded by two more spaces.
    return tabulate([header, *rows], tablefmt="plain", stralign="right", disable_numparse=True)


def name_score(score: Reduction, quantity: str = "attribution") -> str:
    """Say what a score is, from what it was reduced by and of what quantity the map is.

    Examples:
        >>> name_score("sum")
        'summed attribution'
        >>> name_score("abs_mean", "effect")
        'mean magnitude of the effect'
    """
    if score == "abs_mean":
        return f"mean {name_magnitude(quantity)}"
    return f"{ {'mean': 'mean', 'sum': 'summed', 'max': 'largest'}[score] } {quantity}"


def name_magnitude(quantity: str) -> str:
    """Name the magnitude of a quantity; that of attributions is what magnitudes are of where nothing else is said."""
    return "magnitude" if quantity in ("attribution", "magnitude") else f"magnitude of the {quantity}"


def _cells(region: Region, unit: Unit) -> list[str]:
    """Write a row of the printed table."""
    cells = [f"{region.image}", show_rank(region), f"{region.id}", f"{region.area}", f"{region.area_share:.1%}"]
    cells += [
        *(f"{mean:.2f}" for mean in region.centroid),
        *map("{}:{}".format, region.bounding_box, region.bounding_box[len(region.centroid) :]),
        unit.write_short(region.score, 4),
    ]
    if region.standard_error is not None and region.sign_agreement is not None:
        cells += [unit.write_short(region.standard_error, 2), _number(region.sign_agreement, ".0%")]
    cells = [cell.replace("%", " %") for cell in [*cells, _number(region.share, ".1%")]]
    return [*cells, *sureness_cells(region, unit)]


def _number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def show_rank(region: Region) -> str:
    """Write a rank, with ``=`` behind it if other regions share it."""
    return "–" if region.rank is None else f"{region.rank}{'=' if region.tied else ''}"


def describe_ranks(regions: Sequence[Region]) -> list[str]:
    """Say in a line each why regions share a rank or have none; no line where all have one of their own."""
    lines = []
    if any(region.tied for region in regions):
        lines.append("=: equal scores share a rank")
    zero = sorted({region.image for region in regions if region.rank is None and region.score == 0})
    if zero:
        whose = f" of {name_images(zero)}" if len({region.image for region in regions}) > 1 else ""
        lines.append(f"all scores{whose} are 0, so that no region has a rank")
    if holes := sum(math.isnan(region.score) for region in regions):
        what = "1 region holds" if holes == 1 else f"{holes} regions hold"
        lines.append(f"without score and rank: {what} NaN or infinite values")
    return lines


def name_images(images: Sequence[int]) -> str:
    """Name the first of many images in a message.

    Examples:
        >>> name_images([3, 5])
        'images 3, 5'
    """
    if not images:
        return "no image"
    return f"image{'s' if len(images) > 1 else ''} {listed(images)}"
