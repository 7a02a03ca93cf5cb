"""How sure regions are, on the page: a column, a slider, the numbers of a region, and the saved table."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from captum_superpixel.regions import RegionTable, region_table
from captum_superpixel.regions.confidence import CALIBRATION
from captum_superpixel.visualization.page.page import save_html

OpenPage = Callable[..., Any]
# 2 x 3 regions, each a block of 40 x 40 pixels.
MASK = np.kron(np.arange(6).reshape(2, 3), np.ones((40, 40), dtype=int))
VALUES = 6.0 - MASK
PICTURE = np.full((3, 80, 120), 0.5)


CHANCES = [0.999, 0.8, 0.4, 0.35, 0.1, 0.02]
ROWS = region_table(torch.from_numpy(VALUES)[None, None], torch.from_numpy(MASK)[None, None])
TABLE = RegionTable(
    tuple(
        replace(region, stays_top=chance, interval=(region.score - 1, region.score + 1.5))
        for region, chance in zip(ROWS, CHANCES, strict=True)
    ),
    k=2,
)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sure") / "page.html"
    maps = {"Saliency": VALUES, "Lime": VALUES}
    return save_html(path, PICTURE, maps, MASK, title="cat.jpg", confidence={"Saliency": TABLE})


@pytest.fixture
def page(open_page: OpenPage, document: Path) -> Any:
    return open_page(document)


def cells(page: Any, column: int) -> list[str]:
    return [text.strip() for text in page.locator(f"#rows td:nth-child({column})").all_inner_texts()]


def test_a_column_says_how_sure_each_region_is(page: Any) -> None:
    assert cells(page, 4) == ["> 99 %", "80 %", "40 %", "35 %", "10 %", "2 %"]
    assert "Stays top 2: 80 % means that about 8 of 10 such regions were again among the top 2" in page.inner_text(
        "#meaning"
    )
    assert CALIBRATION in page.inner_text("#meaning")
    page.get_by_role("button", name="Stays", exact=True).click()
    assert cells(page, 2) == ["0", "1", "2", "3", "4", "5"]
    page.get_by_role("button", name="Stays", exact=True).click()
    assert cells(page, 2) == ["5", "4", "3", "2", "1", "0"]


def test_a_method_without_probabilities_has_no_column(page: Any) -> None:
    page.get_by_role("button", name="Stays", exact=True).click()
    page.locator("#sure").fill("50")
    page.get_by_label("Lime", exact=True).check()
    assert page.locator("[data-column='stays']").is_hidden()
    assert page.locator("#sureness").is_hidden()
    assert page.locator("#stays-meaning").is_hidden()
    assert page.locator("#rows tr").first.locator("td").count() == 5
    assert page.locator("tr.out").count() == 0
    assert page.locator("th[aria-sort]").get_attribute("data-column") == "rank"
    page.get_by_label("Saliency", exact=True).check()
    assert page.locator("#rows tr").first.locator("td").count() == 6
    assert page.locator("tr.out").count() == 6 - sum(chance >= 0.5 for chance in CHANCES)


def test_the_slider_leaves_regions_that_are_so_sure(page: Any) -> None:
    assert page.locator("tr.out").count() == 0
    assert page.inner_text("#sure-text") == "0 % sure"
    for percentage in (10, 70, 100):
        page.locator("#sure").fill(str(percentage))
        left = [str(id_) for id_, chance in enumerate(CHANCES) if 100 * chance >= percentage]
        assert page.locator("tr:not(.out) td:nth-child(2)").all_text_contents() == left
        assert page.inner_text("#sure-text") == f"{percentage} % sure"
        assert page.locator("#veil").is_visible()
    # Both sliders count.
    page.locator("#sure").fill("10")
    page.locator("#top").fill("1")
    assert page.locator("tr:not(.out) td:nth-child(2)").all_text_contents() == ["0"]
    page.locator("#top").fill("6")
    page.locator("#sure").fill("0")
    assert page.locator("tr.out").count() == 0
    assert not page.locator("#veil").is_visible()


def test_pointing_at_a_region_says_how_sure_it_is(page: Any) -> None:
    page.locator("#rows tr").nth(1).hover()
    page.locator("#rows tr").nth(1).click()
    assert "Stays top 2 80 % 95 % interval 4.000 to 6.500" in page.locator("#tip").inner_text().replace("\n", " ")
    assert page.inner_text("#live").endswith("stays top 2: 80 %, kept")


def test_sure_regions_are_outlined_more_firmly(page: Any) -> None:
    """At the outer sides of regions 0 and 5, at the edge of the picture, where no other region is."""
    script = """(right) => {
      const canvas = document.getElementById("lines"), [w, h] = [canvas.width, canvas.height];
      const copy = document.createElement("canvas");
      Object.assign(copy, { width: w, height: h });
      const context = copy.getContext("2d", { willReadFrequently: true });
      context.drawImage(canvas, 0, 0);
      const data = context.getImageData(right ? w - 12 : 0, Math.round(h * (right ? 0.75 : 0.25)), 12, 1).data;
      return data.filter((_, i) => i % 4 === 3).reduce((total, alpha) => total + alpha, 0);
    }"""
    assert page.evaluate(script, False) > 2 * page.evaluate(script, True) > 0


def test_the_saved_table_has_the_numbers(page: Any, tmp_path: Path) -> None:
    with page.expect_download() as found:
        page.click("#save-table")
    found.value.save_as(tmp_path / "saved")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "saved").read_text(encoding="utf-8-sig"), newline="")))
    for row, region in zip(rows, TABLE, strict=True):
        assert float(row["stays_top_2"]) == region.stays_top
        assert (float(row["interval_low"]), float(row["interval_high"])) == region.interval


def test_the_slider_and_the_column_are_for_everybody(open_page: OpenPage, document: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for width in (1280, 320):
        page = open_page(document, width, 900, touch=width < 1000)
        response = axe.run(
            page, options={"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag22aa"]}}
        ).response
        assert [one["id"] for one in response["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize(
    ("confidence", "error", "message"),
    [
        ({"Lime": TABLE, "z": TABLE}, ValueError, "confidence has 'z', which attributions has not: it has 'Saliency'"),
        (TABLE, ValueError, "confidence is one table, but attributions has 'Saliency', 'Lime'"),
        ({"Lime": 0.5}, TypeError, "confidence must be a RegionTable or None, but float"),
        ({"Lime": TABLE[:3]}, ValueError, "have other regions: 3 is in one of them alone"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, confidence: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        save_html(tmp_path / "page.html", PICTURE, {"Saliency": VALUES, "Lime": VALUES}, MASK, confidence=confidence)


def test_a_single_map_takes_a_single_table(tmp_path: Path) -> None:
    page = save_html(tmp_path / "page.html", PICTURE, VALUES, MASK, confidence=TABLE).read_text(encoding="utf-8")
    assert '"stays":2' in page
    assert '"chances":' in page
