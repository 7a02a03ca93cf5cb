"""What is printed of photographs: the table of regions, failures, and names that hold whatever they like."""

import math
import os
import re
from pathlib import Path

import torch

from captum_superpixel._checks import readable
from captum_superpixel.explain.printing import _tabulate, list_failures
from captum_superpixel.regions import region_table
from captum_superpixel.regions.table import Region, RegionTable


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
    assert len(lines) == 12
    assert lines[-2].split()[0] == "10"
    assert lines[-1] == "share: of the summed magnitudes of all regions' scores"


def test_equal_zero_and_missing_scores_are_said() -> None:
    mask = torch.arange(6).view(1, 1, 1, 6)
    table = region_table(torch.tensor([[[[3.0, 1, 1, 0, 0, math.nan]]]]), mask)
    hole = "without score and rank: 1 region holds NaN or infinite values"
    lines = _tabulate(table, top=3).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2=", "2="]
    assert lines[5:] == ["=: equal scores share a rank", hole]
    lines = _tabulate(table, top=2).splitlines()
    assert [line.split()[0] for line in lines[1:2]] == ["1"]
    assert lines[3:] == ["2 regions have the score 1 and share rank 2", hole]
    assert _tabulate(region_table(torch.zeros(1, 1, 1, 6), mask), top=3) == (
        "all scores are 0, so that no region has a rank"
    )


def test_the_strongest_against_a_class_follow_those_for_it() -> None:
    lines = _tabulate(regions(3e-4, 2e-4, 1e-6, 0.0, -1e-5, -2.5e-4), top=4, class_name="tiger cat").splitlines()
    firsts = [line.split()[0] for line in lines]
    assert firsts == ["rank", "for", "1", "2", "3", "against", "6", "5", "effect:", "share:"]
    assert lines[1] == "for tiger cat"
    assert [line.split()[3] for line in lines[2:5] + lines[6:8]] == ["300", "200", "1.00", "-250", "-10.0"]
    assert lines[8:] == ["effect: in millionths", "share: of the summed magnitudes of all regions' scores"]
    assert "for tiger cat: no region" in _tabulate(regions(-1.0, -2.0), top=2, class_name="tiger cat")
    assert "against" not in _tabulate(regions(2.0, 1.0), top=2, class_name="tiger cat")


def test_no_number_has_an_exponent_however_far_apart_they_are() -> None:
    for scores in ((1e6, 2.5, 1.25), (5.14e-5, 1.16e-6, -3e-9), (1e12, 1.0, 1e-12), (0.25, 1e-9, -1e-9)):
        for text in (_tabulate(regions(*scores), top=3, class_name="cat"), str(regions(*scores))):
            assert not re.search(r"\de[+-]?\d", text)
    assert _tabulate(regions(1e6, 2.5, 1.25), top=3).splitlines()[1].split()[3] == "1,000,000"


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
