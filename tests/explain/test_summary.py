"""The table of regions on a terminal."""

from types import SimpleNamespace
from typing import Any

from captum_superpixel.explain.summary import _table


def test_all_scores_have_three_digits() -> None:
    regions = [
        SimpleNamespace(rank=rank, area_share=0.1, score=score, share=0.2, centroid=(3.0, 4.0))
        for rank, score in enumerate((12.0, 0.5, 0.002, -0.00151), start=1)
    ]
    explanation: Any = SimpleNamespace(table=regions)
    scores = [line.split()[3] for line in _table(explanation, top=4)[1:]]
    assert scores == ["12.0", "0.500", "0.00200", "-0.00151"]
