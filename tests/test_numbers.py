"""Numbers in units that have names, without exponents."""

import math
import re

import numpy as np
import pytest

from captum_superpixel._numbers import Unit, find_common_unit, find_unit, show_percentage


@pytest.mark.parametrize(
    ("largest", "words"),
    [
        (0, ""),
        (math.inf, ""),
        (0.01, ""),
        (1, ""),
        (9999, ""),
        (0.0099, "thousandths"),
        (0.001, "thousandths"),
        (0.00099, "millionths"),
        (1.16e-6, "millionths"),
        (5.14e-10, "trillionths"),
        (12345, "thousands"),
        (2e-310, "units of 10⁻³¹²"),
        (1.7e308, "units of 10³⁰⁶"),
    ],
)
def test_the_largest_number_is_from_1_to_1000_in_its_unit(largest: float, words: str) -> None:
    unit = find_unit(largest)
    assert unit.words == words
    assert unit.add_to("effect") == (f"effect, in {words}" if words else "effect")
    if words:
        assert 1 <= unit.scale(largest) * (1 + 1e-9) < 1000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14159, "3.14"),
        (123.4, "123"),
        (9.996, "10.0"),
        (999.7, "1000"),
        (12345.6, "12,346"),
        (0.000123456, "0.00012"),
        (-0.0000004, "≈0"),
        (0.0, "0"),
        (math.nan, "–"),
        (-math.inf, "-∞"),
    ],
)
def test_three_digits_but_no_more_than_five_decimals(value: float, text: str) -> None:
    assert Unit().write(value) == text


def test_numbers_are_right_whatever_their_unit() -> None:
    generator = np.random.default_rng(0)
    for value in generator.normal(size=200) * 10.0 ** generator.integers(-300, 300, size=200):
        unit = find_unit(abs(value))
        text = unit.write(value)
        assert re.fullmatch(r"-?[\d,]+(\.\d+)?", text)
        assert float(text.replace(",", "")) == pytest.approx(unit.scale(value), rel=0.006)


def test_one_number_out_of_proportion_does_not_make_the_others_nothing() -> None:
    assert find_common_unit([1e6, 3, 2, 1]) == Unit(0)
    assert find_common_unit([1e-3, 2e-9, 1e-9, 1e-9]) == Unit(-9)
    assert find_common_unit([0.25, 1e-9, 1e-9]) == Unit(0)
    assert find_common_unit([0, math.nan]) == Unit(0)


def test_small_chances_are_not_none_and_large_ones_not_certain() -> None:
    assert [show_percentage(share) for share in (0, 0.00049, 0.0006, 0.9994, 0.9996, 1)] == [
        "0.0 %", "< 0.1 %", "0.1 %", "99.9 %", "> 99.9 %", "100.0 %",
    ]  # fmt: skip
