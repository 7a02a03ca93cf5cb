"""As many regions as pixels: the page opens, and everything on it still works."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captum_superpixel.visualization.page.page import save_html

OpenPage = Callable[..., Any]
SIDE = 400
COUNT = SIDE * SIDE
ROWS = 80


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pixel has the lowest score, the last the highest, and ids that no float holds."""
    values = np.arange(float(COUNT)).reshape(SIDE, SIDE) - 1000
    mask = np.arange(COUNT).reshape(SIDE, SIDE) + 2**60
    return save_html(tmp_path_factory.mktemp("many") / "page.html", np.full((3, SIDE, SIDE), 0.5), values, mask)


@pytest.fixture
def page(open_page: OpenPage, document: Path) -> Any:
    page = open_page(document)
    page.set_default_timeout(60_000)
    return page


def shown(page: Any) -> list[int]:
    return [int(text) - 2**60 for text in page.locator("#rows td:nth-child(2)").all_text_contents()]


def in_view(page: Any, row: Any) -> bool:
    box, table = row.bounding_box(), page.locator("#scroller").bounding_box()
    return bool(table["y"] <= box["y"] <= table["y"] + table["height"] - box["height"] + 1)


def test_the_table_holds_the_rows_near_those_in_view(page: Any) -> None:
    assert shown(page) == list(range(COUNT - 1, COUNT - 1 - ROWS, -1))
    assert page.get_attribute("#table", "aria-rowcount") == str(COUNT + 1)
    assert page.evaluate("document.querySelectorAll('*').length") < 2_000
    page.evaluate("scroller.scrollTop = scroller.scrollHeight / 2")
    page.wait_for_function("!document.getElementById('above').hidden")
    places = [COUNT - 1 - k for k in shown(page)]
    assert places == list(range(places[0], places[0] + ROWS))
    assert abs(places[0] - COUNT / 2) < 2 * ROWS
    rows = page.locator("#rows tr")
    assert rows.first.get_attribute("aria-rowindex") == str(places[0] + 2)
    # The rows in the document fill the view.
    table, body = page.locator("#scroller").bounding_box(), page.locator("#rows").bounding_box()
    assert body["y"] < table["y"]
    assert body["y"] + body["height"] > table["y"] + table["height"]


def test_sorting_and_the_keyboard_reach_every_row(page: Any) -> None:
    page.get_by_role("button", name="Rank", exact=True).click()
    assert shown(page)[:2] == [0, 1]
    page.get_by_role("button", name="Share", exact=True).click()
    assert shown(page)[:2] == [COUNT - 1, COUNT - 2]
    page.locator("#rows tr").first.focus()
    page.keyboard.press("End")
    focused = page.locator("#rows tr:focus")
    assert focused.locator("td").nth(1).inner_text() == str(2**60 + 1000)  # the score 0
    assert in_view(page, focused)
    page.keyboard.press("ArrowUp")
    assert page.locator("#rows tr:focus").get_attribute("aria-rowindex") == str(COUNT)
    page.keyboard.press("Home")
    for _ in range(ROWS + 5):
        page.keyboard.press("ArrowDown")
    assert page.locator("#rows tr:focus").get_attribute("aria-rowindex") == str(ROWS + 5 + 2)
    assert in_view(page, page.locator("#rows tr:focus"))


def test_pointing_finds_the_row(page: Any) -> None:
    box = page.locator("#picture").bounding_box()
    for row, column in ((0, 0), (200, 300), (399, 399)):
        page.mouse.move(box["x"] + box["width"] * (column + 0.5) / SIDE, box["y"] + box["height"] * (row + 0.5) / SIDE)
        current = page.locator("tr[aria-current]")
        assert current.locator("td").nth(1).inner_text() == str(2**60 + SIDE * row + column)
        assert in_view(page, current)
    page.locator("#top").fill("70000")
    assert page.inner_text("#top-text").startswith("70000 of 160000, share ")
    assert "too small for borders" in page.inner_text("#note")


def test_all_rows_are_saved(page: Any, tmp_path: Path) -> None:
    with page.expect_download() as found:
        page.click("#save-table")
    found.value.save_as(tmp_path / "table.csv")
    lines = (tmp_path / "table.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == COUNT + 1
    assert lines[-1].split(",")[-6:-3] == [str(COUNT), str(2**60), "-1000"]


def test_the_size_of_the_page_is_bounded(document: Path, tmp_path: Path) -> None:
    assert document.stat().st_size < 20 * COUNT
    rng = np.random.default_rng(0)
    mask = rng.permutation(COUNT // 4).reshape(SIDE // 2, SIDE // 2) * 2**40
    maps = {name: rng.normal(size=mask.shape) for name in ("a", "b")}
    path = save_html(tmp_path / "page.html", np.zeros(mask.shape), maps, mask, pixel_attributions=maps)
    # 20 bytes per region for each of two methods and one mask, and 8 per pixel.
    assert path.stat().st_size < 200_000 + 50_000 + (3 * 20 + 8) * mask.size
