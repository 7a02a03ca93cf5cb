"""The Python of tutorials/owen-values.md runs, from top to bottom, with a network, an image and its preprocessing."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from captum_superpixel import region_table

PAGE = Path(__file__).parents[1] / "tutorials" / "owen-values.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def corners(images: Tensor) -> Tensor:
    """Two logits: the first needs two opposite corners at once, and has a third one's own part."""
    first = images[:, 0, 0, 0] * images[:, 0, -1, -1] + images[:, 0, 0, -1]
    return torch.stack([first, images[:, 0, -1, 0]], dim=1)


@pytest.fixture
def names() -> dict[str, Any]:
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image[:, 0, [0, 0, -1], [0, -1, -1]] = 2.0
    return {"model": corners, "image": image, "images": image, "target": 0, "mean": 0.5, "std": 0.25}


def test_values_of_the_page_are_those_of_the_network(names: dict[str, Any]) -> None:
    exec(BLOCKS[0], names)
    assert names["maps"].shape == names["image"].shape
    change = corners(names["image"])[0, 0] - corners(names["blurred"](names["image"]))[0, 0]
    mask = names["superpixels"](names["image"])
    table = region_table(names["maps"], mask)
    assert sum(region.score for region in table) == pytest.approx(float(change), rel=1e-3)
    assert table[0].id in (int(mask[0, 0, 0, 0]), int(mask[0, 0, -1, -1]), int(mask[0, 0, 0, -1]))
    assert [len(level.unique()) for level in names["levels"]] == [8, 32]


def test_interactions_by_shapiq_are_those_of_the_network(names: dict[str, Any]) -> None:
    pytest.importorskip("shapiq")
    exec(BLOCKS[0], names)
    exec(BLOCKS[1], names)
    mask, pairs = names["mask"][0, 0], names["interactions"]
    first, second, own = (int(mask[row, column]) for row, column in ((0, 0), (-1, -1), (0, -1)))
    strongest = max((pair for pair in pairs.interaction_lookup if len(pair) == 2), key=lambda pair: abs(pairs[pair]))
    assert set(strongest) == {first, second}
    assert abs(pairs[(first, own) if first < own else (own, first)]) < 0.01 * abs(pairs[strongest])
