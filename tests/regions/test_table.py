"""The table of regions as rows, as text, as records and as a data frame."""

import csv
import io
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from captum_superpixel.pooling import Reduction
from captum_superpixel.regions import region_table
from captum_superpixel.regions.choosing import first_regions, strongest_regions
from captum_superpixel.regions.confidence import describe_interval, describe_stays_top
from captum_superpixel.regions.table import Region, RegionTable

MASK = torch.tensor([[[[7, 7, 2, 2], [7, 7, 2, 9], [7, 7, 9, 9]]]])
MAPS = torch.tensor([[[[1.0, 2, 4, 4], [1, 2, 4, -5], [0, 0, -5, -5]]]])
"""Means 1, 4 and -5 of the regions 7, 2 and 9, of 6, 3 and 3 pixels."""


def test_records_are_flat_and_go_into_csv() -> None:
    records = region_table(torch.stack([MAPS, MAPS]).expand(-1, -1, 2, -1, -1), MASK).to_records()
    assert records[0] == {
        "image": 0, "rank": 1, "id": 2, "area": 3, "area_share": 0.25, "centroid_row": 1 / 3, "centroid_col": 7 / 3,
        "min_row": 0, "min_col": 2, "max_row": 2, "max_col": 4, "score": 4.0, "score_0": 4.0, "score_1": 4.0,
        "share": 0.4, "standard_error": 0.0, "sign_agreement": 1.0, "stays_top": None, "interval_low": None,
        "interval_high": None,
    }  # fmt: skip
    file = io.StringIO()
    writer = csv.DictWriter(file, records[0].keys())
    writer.writeheader()
    writer.writerows(records)
    read = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert [float(row["score"]) for row in read] == [4.0, 1.0, -5.0]


def test_to_pandas_makes_a_frame_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for pandas, so that this is tested where it is not installed."""
    taken: list[object] = []

    class Frame(list[object]):
        def astype(self, types: dict[str, type]) -> tuple[str, dict[str, type]]:
            taken.extend(self)
            return "frame", types

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=Frame))
    table = region_table(MAPS, MASK)
    optional = ("standard_error", "sign_agreement", "stays_top", "interval_low", "interval_high")
    assert table.to_pandas() == ("frame", dict.fromkeys(optional, float))
    assert taken == table.to_records()
    assert table[:0].to_pandas() == []


def test_to_pandas_with_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    table = region_table(MAPS, MASK)
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(table.to_records()[0])
    assert frame["id"].tolist() == [2, 7, 9]
    assert frame["standard_error"].dtype == float
    assert frame["standard_error"].isna().all()
    assert frame["stays_top"].dtype == float


def test_to_pandas_where_regions_have_no_rank() -> None:
    pandas = pytest.importorskip("pandas")
    frame = region_table(torch.cat([MAPS, 0 * MAPS]), MASK).to_pandas()
    assert frame["rank"].tolist() == [1, 2, 3, pandas.NA, pandas.NA, pandas.NA]
    assert frame["rank"].dtype == "Int64"


def test_to_pandas_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install pandas.*to_records"):
        region_table(MAPS, MASK).to_pandas()


def test_a_table_is_a_sequence_of_its_rows() -> None:
    table = region_table(MAPS.expand(2, -1, -1, -1), MASK)
    assert len(table) == 6
    assert isinstance(table[1:3], RegionTable)
    assert list(table[1:3]) == [table[1], table[2]]
    assert table[-1].image == 1
    assert repr(table) == "RegionTable(6 regions of 2 images)"
    assert table.of_image(1) == table[3:]
    with pytest.raises(ValueError, match=r"image=2 is not in this table: it holds images 0, 1$"):
        table.of_image(2)
    with pytest.raises(ValueError, match=r"image=0 is not in this table: it holds no image"):
        table[:0].of_image(0)


def test_the_tables_of_all_images_are_found_in_one_walk() -> None:
    walks = []

    class Watched(tuple[Region, ...]):
        def __iter__(self) -> Iterator[Region]:
            walks.append(1)
            return super().__iter__()

    whole = region_table(MAPS.expand(2, -1, -1, -1), MASK)
    table = replace(whole, regions=Watched(whole.regions))
    assert [region for image in (1, 0) for region in table.of_image(image)] == [*whole[3:], *whole[:3]]
    assert len(walks) == 1


def test_a_table_reads_well() -> None:
    lines = str(region_table(torch.stack([MAPS, 3 * MAPS, -MAPS]), MASK)).splitlines()
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines.pop() == "share: of the summed magnitudes of all regions' scores"
    assert [line.split() for line in lines] == [
        ["image", "rank", "id", "area", "of", "image", "row", "column", "rows", "columns",
         "mean", "attribution", "±", "error", "signs", "share"],
        ["0", "1", "2", "3", "25.0", "%", "0.33", "2.33", "0:2", "2:4", "4", "4.6", "67", "%", "40.0", "%"],
        ["0", "2", "7", "6", "50.0", "%", "1.00", "0.50", "0:3", "0:2", "1", "1.2", "67", "%", "10.0", "%"],
        ["0", "3", "9", "3", "25.0", "%", "1.67", "2.67", "1:3", "2:4", "-5", "5.8", "67", "%", "50.0", "%"],
    ]  # fmt: skip


def test_columns_are_right_aligned_and_two_spaces_apart() -> None:
    assert str(region_table(MAPS, MASK)).splitlines() == [
        "image  rank  id  area  of image   row  column  rows  columns  mean attribution   share",
        "    0     1   2     3    25.0 %  0.33    2.33   0:2      2:4                 4  40.0 %",
        "    0     2   7     6    50.0 %  1.00    0.50   0:3      0:2                 1  10.0 %",
        "    0     3   9     3    25.0 %  1.67    2.67   1:3      2:4                -5  50.0 %",
        "share: of the summed magnitudes of all regions' scores",
    ]


def test_a_long_table_is_cut() -> None:
    table = region_table(torch.arange(30.0).view(1, 1, 5, 6), torch.arange(30).view(1, 1, 5, 6))
    lines = str(table).splitlines()
    assert len(lines) == 23
    assert lines[-2] == "… and 10 more of 30 regions"
    assert len(str(table[:20]).splitlines()) == 22


def test_the_table_says_which_regions_have_no_rank_of_their_own() -> None:
    mask = torch.tensor([[[[0, 0, 1, 2]]]])
    maps = torch.tensor([[[[1.0, 1, 1, 2]]], [[[0, 0, 0, 0]]], [[[math.nan, 1, 1, 2]]]])
    lines = str(region_table(maps, mask)).splitlines()
    assert [line.split()[1] for line in lines[1:10]] == ["1", "2=", "2=", "–", "–", "–", "1", "2", "–"]
    assert lines[9].split()[-2:] == ["–", "–"]
    assert lines[11:] == [
        "=: equal scores share a rank",
        "all scores of image 1 are 0, so that no region has a rank",
        "without score and rank: 1 region holds NaN or infinite values",
    ]
    assert str(region_table(maps[1:2], mask)).splitlines()[-1] == "all scores are 0, so that no region has a rank"
    several = str(region_table(torch.stack([maps, maps]), mask)).splitlines()
    assert several[9].split()[-4:] == ["–", "–", "–", "–"]


@pytest.mark.parametrize(
    ("score", "name"),
    [
        ("mean", "mean attribution"),
        ("sum", "summed attribution"),
        ("abs_mean", "mean magnitude"),
        ("max", "largest attribution"),
    ],
)
def test_the_table_says_what_a_score_is(score: Reduction, name: str) -> None:
    table = region_table(MAPS, MASK, score=score)
    for part in (table, table[:1], table.of_image(0)):
        assert f"  {name}   share\n" in str(part)


def test_the_table_says_how_sure_its_regions_are_and_what_that_means() -> None:
    chances = [(0.804, (0.0001234, 2.5)), (math.nan, (math.nan, math.nan)), (0.001, (-1.0, 1000.0))]
    regions = region_table(MAPS, MASK).regions
    sure = [replace(region, stays_top=p, interval=bounds) for region, (p, bounds) in zip(regions, chances, strict=True)]
    lines = str(RegionTable(tuple(sure), k=3)).splitlines()
    assert lines[0].endswith("mean attribution   share  stays top 3  95 % interval")
    assert [line.split("%")[2:] for line in lines[1:4]] == [
        ["         80 ", "       0 to 2.5"],
        ["            –              –"],
        ["        < 1 ", "      0 to 1000"],
    ]
    text = " ".join(line.strip() for line in lines[4:])
    assert text.startswith("share: of the summed")
    assert f"stays top 3: {describe_stays_top(3)} 95 % interval: {describe_interval()}" in text
    assert max(map(len, lines)) <= 120
    assert all(f"  {name}" in lines[0] for name in ("stays top 3", "95 % interval"))
    only_intervals = str(RegionTable(tuple(replace(region, stays_top=None) for region in sure)))
    assert "stays top" not in only_intervals
    assert "95 % interval:" in only_intervals


TIED = region_table(torch.tensor([[[[3.0, 1, 1, -2, -2, 0, math.nan]]]]), torch.arange(7).view(1, 1, 1, 7))
"""Of regions 0 to 6, 1 and 2 are equal, and so are 3 and 4; 6 has no rank."""


@pytest.mark.parametrize(
    ("k", "ids", "line"),
    [
        (1, [0], ""),
        (2, [0], "2 regions have the score 1 and share rank 2"),
        (3, [0, 1, 2], ""),
        (4, [0, 1, 2, 5], ""),
        (5, [0, 1, 2, 5], "2 regions have the score -2 and share rank 5"),
        (6, [0, 1, 2, 5, 3, 4], ""),
        (9, [0, 1, 2, 5, 3, 4], ""),
    ],
)
def test_the_first_regions_hold_no_part_of_those_that_are_equal(k: int, ids: list[int], line: str) -> None:
    regions, found = first_regions(TIED, k)
    assert [region.id for region in regions] == ids
    assert found == line


@pytest.mark.parametrize(
    ("k", "k_against", "expected"),
    [
        (3, 2, ([0, 1, 2], [3, 4], [])),
        (9, 9, ([0, 1, 2], [3, 4], [])),
        (1, 0, ([0], [], [])),
        (0, 2, ([], [3, 4], [])),
        (
            2,
            1,
            ([0], [], ["2 regions have the score 1 and share rank 2", "2 regions have the score -2 and share rank 5"]),
        ),
    ],
)
def test_the_strongest_regions_of_either_sign(k: int, k_against: int, expected: tuple[object, ...]) -> None:
    for_, against, lines = strongest_regions(TIED, k, k_against)
    assert ([region.id for region in for_], sorted(region.id for region in against), lines) == expected
