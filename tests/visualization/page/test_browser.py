"""The page in headless Chromium, used as a person would: by mouse, by keyboard, and with hostile names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captum_superpixel.visualization.page.page import save_html

OpenPage = Callable[..., Any]
MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
HOSTILE = "<img src=x onerror=document.title='owned'>"
CLOSING = "</script><script>document.title='owned'</script>"
# 4 x 6 pixels, each a block of 40: region 20 is bent around 10.
MASK = np.array(
    [[10, 10, 20, 20, 30, 30], [10, 10, 20, 20, 30, 30], [20, 20, 20, 20, 40, 40], [20, 20, 20, 20, 40, 40]]
)
BLOCKS = np.ones((40, 40), dtype=int)
FIRST = {10: 4.0, 20: -2.0, 30: 1.0, 40: 3.0}
SECOND = {10: 1.0, 20: 2.0, 30: 3.0, 40: 4.0}
TIED = {10: 1.0, 20: 3.0, 30: 1.0, 40: -1.0}
ZERO = dict.fromkeys(FIRST, 0.0)
BROKEN = {10: 1.0, 20: 2.0, 30: np.nan, 40: 4.0}


def values(scores: dict[int, float]) -> np.ndarray:
    return np.kron(np.vectorize(scores.get)(MASK), BLOCKS)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several methods with one mask, the first with a pixel map too."""
    rng = np.random.default_rng(0)
    scores = {"Saliency": FIRST, HOSTILE: SECOND, "Broken": BROKEN, "Tied": TIED, "Zero": ZERO}
    return save_html(
        tmp_path_factory.mktemp("html") / "page & <b>.html",
        rng.random((3, 160, 240)),
        {name: values(each) for name, each in scores.items()},
        np.kron(MASK, BLOCKS),
        pixel_attributions={"Saliency": rng.normal(size=(160, 240))},
        title=CLOSING,
        class_name=HOSTILE,
        probability=0.75,
        score_name={**dict.fromkeys(scores, "effect"), HOSTILE: HOSTILE, "Broken": "mean magnitude"},
    )


@pytest.fixture
def page(open_page: OpenPage, document: Path) -> Any:
    return open_page(document)


def place(page: Any, row: float, column: float) -> tuple[float, float]:
    """Coordinates on the screen of a place in the mask's rows and columns."""
    box = page.locator("#picture").bounding_box()
    return box["x"] + box["width"] * (column + 0.5) / 6, box["y"] + box["height"] * (row + 0.5) / 4


def point(page: Any, row: float, column: float) -> None:
    page.mouse.move(*place(page, row, column))


def ids(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#rows td:nth-child(2)").all_text_contents()]


def highlighted(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("#rows tr[aria-current] td:nth-child(2)").all_text_contents()]


def details(page: Any) -> str:
    return str(page.locator("#tip").inner_text()).replace("\n", " ") if page.locator("#tip").is_visible() else ""


def inked(page: Any, canvas: str, row: float, column: float) -> int:
    """The opacity that a canvas has at a place in the mask's rows and columns."""
    script = """([id, x, y]) => {
      const canvas = document.getElementById(id), picture = document.getElementById("picture").getBoundingClientRect();
      const box = canvas.getBoundingClientRect();
      const [left, top] = [picture.left + x * picture.width - box.left, picture.top + y * picture.height - box.top];
      const [w, h] = [canvas.width / box.width, canvas.height / box.height];
      const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      copy.drawImage(canvas, -Math.floor(left * w), -Math.floor(top * h));
      return copy.getImageData(0, 0, 1, 1).data[3];
    }"""
    return int(page.evaluate(script, [canvas, column / 6, row / 4]))


def slide(page: Any, name: str, value: int) -> None:
    page.locator(f"#{name}").fill(str(value))


def test_pointing_at_a_region_outlines_it_and_shows_its_numbers(page: Any) -> None:
    assert details(page) == ""
    point(page, 0.5, 4.5)
    assert details(page) == "Rank 3 of 4 Score +1.000 Share 10.0 % Region 30 Area 16.7 %"
    assert highlighted(page) == ["30"]
    # Its border to region 20 is at column 4, that to 40 at row 2; between 10 and 20 there is none of its own.
    assert inked(page, "outline", 1, 4) > 100
    assert inked(page, "outline", 2, 5) > 100
    assert inked(page, "outline", 1, 2) == inked(page, "outline", 1, 5) == 0
    point(page, 3, 0)
    assert details(page).startswith(f"Rank 4 of 4 Score {MINUS}2.000 Share 20.0 % Region 20")
    assert highlighted(page) == ["20"]
    assert inked(page, "outline", 1, 2) > 100
    page.mouse.move(2, 2)
    assert details(page) == ""
    assert highlighted(page) == []
    assert inked(page, "outline", 1, 2) == 0


def test_a_click_keeps_a_region_until_another_or_escape(page: Any) -> None:
    page.mouse.click(*place(page, 0, 0))
    page.mouse.move(2, 2)
    assert highlighted(page) == ["10"]
    assert page.locator("#live").inner_text() == "Region 10, rank 1 of 4, score +4.000, share 40.0 %, kept"
    point(page, 3, 5)
    assert highlighted(page) == ["40"]
    assert page.locator("tr.pinned td:nth-child(2)").inner_text() == "10"
    page.mouse.move(2, 2)
    assert highlighted(page) == ["10"]
    page.keyboard.press("Escape")
    assert highlighted(page) == []


def test_pointing_at_a_row_outlines_its_region(page: Any) -> None:
    page.locator("#rows tr").nth(2).hover()
    assert highlighted(page) == ["30"]
    assert page.locator("#stage").get_attribute("data-region") == "30"
    assert inked(page, "outline", 1, 4) > 100
    page.locator("#rows tr").nth(2).click()
    page.mouse.move(2, 2)
    assert inked(page, "outline", 1, 4) > 100


def test_the_page_says_what_the_scores_of_the_method_are(page: Any) -> None:
    assert page.inner_text("#meaning") == (
        f"Color: score of the region; red speaks for {HOSTILE}, blue against it. Score: effect of the region. "
        "Share: of the summed magnitudes of all regions' scores."
    )
    assert page.get_attribute("[data-column='score'] button", "title") == "effect of the region"
    page.check("input[name=method][value='2']")
    assert page.inner_text("#score-name") == "mean magnitude"
    page.check("input[name=method][value='1']")
    assert page.inner_text("#score-name") == HOSTILE


def test_the_slider_leaves_the_top_regions(page: Any) -> None:
    assert page.locator("#top-text").inner_text() == "all 4"
    assert not page.locator("#veil").is_visible()
    slide(page, "top", 2)
    assert page.locator("#top-text").inner_text() == "2 of 4, share 70.0 %"
    assert [inked(page, "veil", *at) > 0 for at in ((0.5, 0.5), (3.5, 4.5), (0.5, 4.5), (3, 1))] == [
        False,
        False,
        True,
        True,
    ]
    assert page.locator("tr:not(.out) td:nth-child(2)").all_text_contents() == ["10", "40"]
    page.locator("#top").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#top-text").inner_text() == "3 of 4, share 80.0 %"
    page.keyboard.press("End")
    assert page.locator("#top-text").inner_text() == "all 4"


def test_the_choices_switch_methods_and_maps(page: Any) -> None:
    heat = "document.getElementById('heat').toDataURL()"
    first = page.evaluate(heat)
    page.get_by_label("Pixels", exact=True).check()
    pixels = page.evaluate(heat)
    assert page.locator("#low").inner_text().startswith(f"≤ {MINUS}")
    assert page.inner_text("#color-meaning").startswith("value of each pixel before grouping; red speaks")
    page.get_by_label("Superpixels", exact=True).check()
    assert page.evaluate(heat) == first != pixels
    page.get_by_label("Pixels", exact=True).check()
    page.get_by_label(HOSTILE, exact=True).check()
    assert page.get_by_label("Pixels", exact=True).is_disabled()
    assert page.evaluate(heat) not in (first, pixels)
    assert page.locator("#low").inner_text() == "0"
    assert ids(page) == ["40", "30", "20", "10"]
    point(page, 0, 0)
    assert details(page).startswith("Rank 4 of 4 Score 1.000 Share 10.0 % Region 10")
    page.get_by_label(HOSTILE, exact=True).focus()
    page.keyboard.press("ArrowLeft")
    assert page.get_by_label("Saliency", exact=True).is_checked()
    assert page.evaluate(heat) == first


def test_regions_without_a_score_say_so(page: Any) -> None:
    page.get_by_label("Broken", exact=True).check()
    point(page, 0, 5)
    assert details(page) == "No score Region 30 Area 16.7 %"
    assert ids(page) == ["40", "20", "10", "30"]
    assert page.locator("#rows tr").last.inner_text().split() == [DASH, "30", "no", "score", DASH, "16.7", "%"]
    slide(page, "top", 1)
    assert page.locator("#top-text").inner_text() == "1 of 3, share 57.1 %"


def test_equal_scores_share_a_rank(page: Any) -> None:
    assert page.locator("#equal").is_hidden()
    page.get_by_label("Tied", exact=True).check()
    assert page.inner_text("#meaning").endswith("scores. =: equal scores share a rank.")
    assert ids(page) == ["20", "10", "30", "40"]
    assert page.locator("#rows td:first-child").all_inner_texts() == ["1", "2=", "2=", "4"]
    point(page, 0, 5)
    assert details(page).startswith("Rank 2= of 4 Score +1.000 Share 16.7 % Region 30")
    page.mouse.click(*place(page, 0, 0))
    assert "rank 2 of 4, shared by equal scores, score +1.000" in page.locator("#live").inner_text()
    slide(page, "top", 2)
    assert page.locator("tr:not(.out) td:nth-child(2)").all_text_contents() == ["20", "10"]


def test_a_map_of_zeros_has_scores_and_no_ranks(page: Any) -> None:
    page.get_by_label("Zero", exact=True).check()
    assert page.locator("#top-text").inner_text() == "all scores are 0: no ranks"
    assert page.locator("#rows td:first-child").all_inner_texts() == [DASH] * 4
    point(page, 0, 0)
    assert details(page) == "No rank Score 0 Share 0.0 % Region 10 Area 16.7 %"
    page.mouse.click(*place(page, 0, 0))
    assert page.locator("#live").inner_text() == "Region 10, no rank, score 0, share 0.0 %, kept"


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        ("Rank", ["20", "30", "40", "10"], ["10", "40", "30", "20"]),  # the table starts by rank
        ("Region", ["10", "20", "30", "40"], ["40", "30", "20", "10"]),
        ("Score", ["10", "40", "30", "20"], ["20", "30", "40", "10"]),
        ("Share", ["10", "40", "20", "30"], ["30", "20", "40", "10"]),
        ("Area", ["20", "10", "30", "40"], ["10", "30", "40", "20"]),
    ],
)
def test_the_table_sorts_by_every_column(page: Any, column: str, first: list[str], second: list[str]) -> None:
    assert ids(page) == ["10", "40", "30", "20"]
    button = page.get_by_role("button", name=column, exact=True)
    button.click()
    assert ids(page) == first
    direction = page.locator("th[aria-sort]").get_attribute("aria-sort")
    assert page.locator("th[aria-sort]").all_inner_texts()[0].startswith(column)
    button.press("Enter")
    assert ids(page) == second
    assert {direction, page.locator("th[aria-sort]").get_attribute("aria-sort")} == {"ascending", "descending"}


def test_everything_can_be_reached_and_done_by_keyboard(page: Any) -> None:
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        script = (
            "(e => e.id || e.name || e.closest('[data-column]')?.dataset.column || e.tagName)(document.activeElement)"
        )
        reached.append(page.evaluate(script))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
        if reached[-1] == "TR":
            break
    assert reached[:5] == ["theme", "method", "layer", "behind", "stage"]
    assert reached[5:10] == ["top", "strength", "borders", "save-picture", "save-table"]
    assert [name for name in reached if name in ("rank", "id", "score", "share", "area")] == reached[-6:-1]

    page.keyboard.press("ArrowDown")
    assert highlighted(page) == ["40"]
    page.keyboard.press("End")
    assert highlighted(page) == ["20"]
    page.keyboard.press("Enter")
    assert page.locator("tr.pinned").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("tr.pinned").count() == 0

    page.locator("#stage").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#live").inner_text() == "Region 10, rank 1 of 4, score +4.000, share 40.0 %"
    assert "Rank 1 of 4" in details(page)
    page.keyboard.press("ArrowRight")
    assert highlighted(page) == ["40"]
    page.keyboard.press("End")
    assert highlighted(page) == ["20"]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert page.locator("#live").inner_text().startswith("Region 30, rank 3 of 4")
    assert page.locator("tr.pinned td:nth-child(2)").inner_text() == "30"


def test_names_are_text(page: Any) -> None:
    assert page.title() == CLOSING
    assert page.locator("h1").inner_text() == CLOSING
    assert page.locator(".prediction").inner_text() == f"Class {HOSTILE}, probability 75.0\N{NO-BREAK SPACE}%"
    assert page.locator("#methods span").all_text_contents() == ["Saliency", HOSTILE, "Broken", "Tied", "Zero"]
    assert page.locator("img").count() == 1
    assert page.locator("script").count() == 2


def test_the_table_scrolls_to_the_region_that_is_pointed_at(open_page: OpenPage, tmp_path: Path) -> None:
    mask = np.arange(30 * 30).reshape(30, 30)
    page = open_page(save_html(tmp_path / "page.html", np.zeros((30, 30)), -mask.astype(float), mask))
    assert not page.locator("#methods").is_visible()
    assert not page.locator("#layers").is_visible()
    box = page.locator("#picture").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.99, box["y"] + box["height"] * 0.99)
    row = page.locator("tr[aria-current]").bounding_box()
    table = page.locator("#scroller").bounding_box()
    assert highlighted(page) == ["899"]
    assert table["y"] <= row["y"] <= table["y"] + table["height"] - row["height"] + 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen(open_page: OpenPage, document: Path, scheme: str) -> None:
    page = open_page(document, color_scheme=scheme)

    def brightness() -> int:
        # The page hears of the system's change with the next frame.
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return int(page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0])"))

    other = "dark" if scheme == "light" else "light"
    assert (brightness() > 128) == (scheme == "light")
    page.emulate_media(color_scheme=other)
    assert (brightness() > 128) == (other == "light")
    page.locator("#theme").click()
    page.emulate_media(color_scheme=scheme)
    page.emulate_media(color_scheme=other)
    assert (brightness() > 128) == (scheme == "light")
