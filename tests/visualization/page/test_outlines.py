"""The outline of what is explained, over the map."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from captum_superpixel.visualization.page._outlines import outline_path
from captum_superpixel.visualization.page.page import save_html

OpenPage = Callable[..., Any]
MASK = np.kron(np.arange(6).reshape(2, 3), np.ones((40, 40), dtype=int))
PICTURE = np.full((3, 80, 120), 0.5)
BOX = np.zeros((80, 120), dtype=bool)
BOX[20:60, 30:90] = True


def edges_of(path: str) -> set[tuple[int, int, int, int]]:
    """Each step of one pixel along a path of horizontal and vertical lines."""
    found = set()
    for line in path.split("M")[1:]:
        start, end = line.replace("V", " V").replace("H", " H").rsplit(" ", 1)
        x, y = map(int, start.split())
        for step in range(x if end[0] == "H" else y, int(end[1:])):
            found.add((step, y, step + 1, y) if end[0] == "H" else (x, step, x, step + 1))
    return found


def test_a_path_follows_every_edge_between_inside_and_outside() -> None:
    region = torch.rand(7, 9, generator=torch.Generator().manual_seed(0)).numpy() > 0.4
    padded, expected = np.pad(region, 1), set()
    for y in range(8):
        for x in range(10):
            if y < 8 and padded[y + 1, x] != padded[y, x] and 1 <= x <= 9:
                expected.add((x - 1, y, x, y))
            if padded[y, x + 1] != padded[y, x] and 1 <= y <= 7:
                expected.add((x, y - 1, x, y))
    assert edges_of(outline_path(region)) == expected


def test_straight_edges_are_single_lines() -> None:
    assert sorted(outline_path(BOX).split("M")[1:]) == ["30 20H90", "30 20V60", "30 60H90", "90 20V60"]


@pytest.mark.parametrize("region", [np.ones((3, 4), dtype=bool), np.zeros((3, 4), dtype=bool)])
def test_all_and_nothing_have_no_outline(region: Any) -> None:
    assert outline_path(region) == ""


def colors_at(page: Any, *places: tuple[int, int]) -> list[list[int]]:
    """Of the canvas of lines, at places of the picture, read in one go."""
    script = """(places) => {
      const canvas = document.getElementById("lines"), context = canvas.getContext("2d");
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      return places.map(([x, y]) => {
        const at = context.getTransform().transformPoint(new DOMPoint(x, y));
        const first = Math.round(at.y) * canvas.width + Math.round(at.x);
        return Array.from(pixels.slice(4 * first, 4 * first + 4));
      });
    }"""
    found: list[list[int]] = page.evaluate(script, places)
    return found


@pytest.mark.parametrize("borders", [True, False])
def test_the_page_draws_it_over_the_map(open_page: OpenPage, tmp_path: Path, borders: bool) -> None:
    path = save_html(tmp_path / "page.html", PICTURE, -1.0 * MASK, MASK, outline=torch.from_numpy(BOX))
    page = open_page(path)
    page.locator("#borders").set_checked(borders)
    for red, green, blue, opacity in colors_at(page, (60, 20), (30, 50), (90, 30), (70, 60)):
        assert (red > 200, green > 180, blue < 120, opacity > 200) == (True,) * 4
    without = open_page(save_html(tmp_path / "without.html", PICTURE, -1.0 * MASK, MASK))
    assert colors_at(without, (60, 20)) == [[0, 0, 0, 0]]


def test_outlines_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with pytest.raises(TypeError, match=r"float64 was passed: pass a mask"):
        save_html(path, PICTURE, -1.0 * MASK, MASK, outline=BOX.astype(float))
    with pytest.raises(ValueError, match=r"\(80, 119\), but the picture \(80, 120\)"):
        save_html(path, PICTURE, -1.0 * MASK, MASK, outline=BOX[:, 1:])
    assert not path.exists()
