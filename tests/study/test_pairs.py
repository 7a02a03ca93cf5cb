"""Pairs of networks: figures by hand, which twin a null is of, and the worst pair beside the best."""

from typing import Any

import pytest
import torch

from captum_superpixel.study.measurement import Key, Measurement, pair_kind
from captum_superpixel.study.pairs import pair_tables, pairs
from captum_superpixel.study.results import Resamples, records
from captum_superpixel.study.rows import Row

PIXELS, BEST = Row("pixels", "magnitude"), Row("ensemble", "evidence", 8)
BLUR, GUIDED = (BEST._replace(grouping=name) for name in ("blur", "guided filter"))
ROWS = (PIXELS, BEST, BLUR, GUIDED)
NAMES = ("ada", "bo", "cy", "di")


def key_of(row: Row, kind: str = "value", metric: str = "ssim") -> Key:
    return Key("Saliency", row.grouping, row.sign, metric, kind, row.views)


def two_images(mean: float) -> torch.Tensor:
    return torch.tensor([mean - 0.125, mean + 0.125], dtype=torch.float64)


def measured(values: dict[Row, list[float]], nulls: dict[tuple[int, int], float]) -> Measurement:
    """SSIM of all pairs of networks by row, in their order, and of networks and twins, the same in every row."""
    n_networks = {3: 3, 6: 4}[len(next(iter(values.values())))]
    numbered = [(i, j) for i in range(n_networks) for j in range(i + 1, n_networks)]
    found = {}
    for row, of_pairs in values.items():
        found[key_of(row)] = two_images(sum(of_pairs) / len(of_pairs))
        found[key_of(row, "random_network")] = torch.full((2,), sum(nulls.values()) / len(nulls))
        for pair, value in zip(numbered, of_pairs, strict=True):
            found[key_of(row, pair_kind("value", *pair))] = two_images(value)
        for pair, null in nulls.items():
            found[key_of(row, pair_kind("random_network", *pair))] = torch.full((2,), null, dtype=torch.float64)
    return Measurement(found, n_images=2)


OF_THREE = measured(
    {PIXELS: [0.5, 0.25, 0.375], BEST: [0.75, 0.5, 0.875], BLUR: [0.75, 0.5, 0.5], GUIDED: [0.5, 0.75, 0.75]},
    # As it was measured: of each network and the twin of the next, so that of the last and the first it is (2, 0).
    {(0, 1): 0.0, (1, 2): 0.5, (2, 0): 0.25},
)
NO_NULL = {"null": None, "excess": None, "excess_ci95": [None, None]}


def reported(measurement: Measurement, names: tuple[str, ...]) -> dict[str, Any]:
    """What a report of it holds that the tables are made of."""
    resamples = Resamples(measurement, 0)
    return {
        "models": [{"name": name} for name in names],
        "recommended": {"Saliency": BEST._asdict()},
        "records": records(resamples, ROWS),
        "pairs": pairs(resamples, ROWS, names),
    }


def cells(lines: list[str]) -> list[list[str]]:
    rows = [line for line in "\n".join(lines).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]


def test_a_pair_by_hand() -> None:
    found = pairs(Resamples(OF_THREE, 0), [BEST], NAMES[:3])
    assert [(record["first"], record["second"]) for record in found] == [("ada", "bo"), ("ada", "cy"), ("bo", "cy")]
    assert found[1] == {
        "method": "Saliency",
        "grouping": "ensemble",
        "sign": "evidence",
        "views": 8,
        "metric": "ssim",
        "first": "ada",
        "second": "cy",
        "value": 0.5,
        "ci95": [0.375, 0.625],  # twice the first image, twice the second
        "null": 0.25,  # of cy and ada's twin
        "excess": pytest.approx(1 / 3),
        "excess_ci95": pytest.approx([1 / 6, 1 / 2]),
        "n": 2,
    }
    assert [record["null"] for record in found] == [0.0, 0.25, 0.5]
    assert [record["excess"] for record in found] == pytest.approx([0.75, 1 / 3, 0.75])


def test_only_what_was_kept_apart_and_is_compared() -> None:
    """Two networks are one pair, parts of before have the mean alone, and not all similarities are compared."""
    assert pairs(Resamples(OF_THREE, 0), ROWS, NAMES[:2]) == []
    of_all = {key: values for key, values in OF_THREE.values.items() if " " not in key.kind}
    assert pairs(Resamples(Measurement(of_all), 0), ROWS, NAMES[:3]) == []
    cosines = {key._replace(metric="cosine_similarity"): values for key, values in OF_THREE.values.items()}
    assert pairs(Resamples(Measurement(cosines), 0), ROWS, NAMES[:3]) == []
    first = {key_of(PIXELS, "value 0-1"): torch.tensor([0.5])}  # of one of two images: the other part was of before
    found = pairs(Resamples(Measurement(OF_THREE.values | first), 0), [PIXELS], NAMES[:3])
    assert [(record["first"], record["second"]) for record in found] == [("ada", "cy"), ("bo", "cy")]
    missing = {key: values for key, values in OF_THREE.values.items() if not key.kind.startswith("random")}
    found = pairs(Resamples(Measurement(missing), 0), [PIXELS], NAMES[:3])
    assert [record["value"] for record in found] == [0.5, 0.25, 0.375]
    assert all(NO_NULL.items() <= record.items() for record in found)


def test_a_null_near_one_leaves_no_excess() -> None:
    high = {key_of(BEST, "random_network 0-1"): torch.full((2,), 0.95, dtype=torch.float64)}
    result = reported(Measurement(OF_THREE.values | high), NAMES[:3])
    (record,) = [each for each in result["pairs"] if (each["grouping"], each["null"]) == ("ensemble", 0.95)]
    assert str(record["excess"]) == "nan"
    assert cells(pair_tables(result))[2][2] == "–"


def test_three_networks_have_a_column_for_each_pair() -> None:
    """Of the two controls the one with the higher mean is shown: the guided filter."""
    lines = pair_tables(reported(OF_THREE, NAMES[:3]))
    assert lines[0] == "## Pairs of networks"
    assert "The networks are 1 ada, 2 bo and 3 cy." in lines[2]
    assert lines[4] == "Saliency, SSIM:"
    header, *rows = cells(lines)
    assert header == ["row", "all pairs", "1 and 2", "1 and 3", "2 and 3"]
    assert [row[0] for row in rows] == [
        "pixels (magnitude)",
        "ensemble (evidence, 8 views)",
        "guided filter (evidence, 8 views)",
    ]
    # (.75 + .5 + .875) / 3 over a null of .25; and each pair over its own.
    assert rows[1][1:] == [
        "0.611 [0.444, 0.778]",
        "0.750 [0.625, 0.875]",
        "0.333 [0.167, 0.500]",
        "0.750 [0.500, 1.000]",
    ]


def test_of_more_networks_the_worst_pair_stands_beside_the_best() -> None:
    """Pairs without a null, which are not of networks that follow one another, are neither."""
    of_four = {PIXELS: [0.5, 0.0, 0.75, 0.625, 1.0, 0.25], BEST: [0.75, 0.0, 0.5, 0.625, 1.0, 0.875]}
    measurement = measured(of_four, {(0, 1): 0.0, (1, 2): 0.0, (2, 3): 0.0, (3, 0): 0.0})
    result = reported(measurement, NAMES)
    lacking = [record for record in result["pairs"] if record["excess"] is None]
    assert {(record["first"], record["second"]) for record in lacking} == {("ada", "cy"), ("bo", "di")}
    header, *rows = cells(pair_tables(result))
    assert header == ["row", "all pairs", "worst pair", "best pair"]
    assert [row[2:] for row in rows] == [
        ["0.250 [0.125, 0.375] (3 and 4)", "0.750 [0.625, 0.875] (1 and 4)"],
        ["0.500 [0.375, 0.625] (1 and 4)", "0.875 [0.750, 1.000] (3 and 4)"],
    ]


def test_without_pairs_there_is_no_table() -> None:
    result = reported(OF_THREE, NAMES[:3])
    assert pair_tables(result | {"pairs": []}) == []
    del result["pairs"]
    assert pair_tables(result) == []
