"""What is printed of photographs: the table of regions, failures, and names that hold whatever they like."""

import os
from pathlib import Path

from captum_superpixel._checks import readable
from captum_superpixel._region_table import Region, RegionTable
from captum_superpixel.explain.outputs import _tabulate, list_failures


def regions(*scores: float) -> RegionTable:
    return RegionTable(
        tuple(
            Region(0, rank, rank, 5, 0.1, (3.0, 4.6), (0, 0, 9, 9), score, (score,), 0.2)
            for rank, score in enumerate(scores, start=1)
        ),
        "effect",
    )


def test_the_table_is_aligned_right_and_as_narrow_as_it_can_be() -> None:
    """In the lines of the first ten of eleven regions, all scores have three significant digits."""
    lines = _tabulate(regions(12.0, 0.5, 0.002, -0.00151, *range(7, 0, -1)), top=10).splitlines()
    assert lines[:5] == [
        "rank    area    effect   share  center (row, column)",
        "   1  10.0 %      12.0  20.0 %                  3, 5",
        "   2  10.0 %     0.500  20.0 %                  3, 5",
        "   3  10.0 %   0.00200  20.0 %                  3, 5",
        "   4  10.0 %  -0.00151  20.0 %                  3, 5",
    ]
    assert len(lines) == 11
    assert lines[-1].split()[0] == "10"


def test_photographs_that_fail_alike_are_named_together() -> None:
    failures = [(Path(f"{number}.png"), "does not exist.") for number in range(10)] + [(Path("cat.png"), "is dark.")]
    assert list_failures(failures, 20).splitlines() == [
        "11 of 20 photographs could not be explained:",
        "  0.png, 1.png, 2.png, 3.png, 4.png, 5.png, 6.png, 7.png and 2 more: does not exist.",
        "  cat.png: is dark.",
    ]
    assert list_failures(failures[-1:], 1) == "cat.png: is dark."


def test_names_with_anything_in_them_take_one_line() -> None:
    assert readable("a\x1b[31m\n\u202ecat \u732b") == "a\ufffd[31m\ufffd\ufffdcat \u732b"
    assert readable(Path(os.fsdecode(b"caf\xe9.png"))) == "caf\ufffd.png"
