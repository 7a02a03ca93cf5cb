"""The page for everybody: axe-core finds nothing, on telephones too, and what can be touched is large enough."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captum_superpixel.visualization.page.page import save_html

OpenPage = Callable[..., Any]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
LONG = "n02123045_a_long_name_of_a_photograph.jpg: IntegratedGradients, mean over slic:100, the mean of 3 segmentations"
WIDTHS = [1280, 390, 320]
# The checker does not judge the contrast of what holds no letters. The colors are those of the text beside it.
SYMBOLS = ['<span aria-hidden="true">◐</span>', "<kbd>→</kbd>", "<kbd>←</kbd>"]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    mask = np.kron(np.arange(48).reshape(6, 8), np.ones((20, 20), dtype=int))
    scores = rng.normal(size=48)
    scores[3] = np.nan
    return save_html(
        tmp_path_factory.mktemp("axe") / "page.html",
        rng.random((3, 120, 160)),
        {
            "IntegratedGradients": scores[mask],
            "FeatureAblation": 1e-5 * np.abs(rng.normal(size=48))[mask],
            "SmoothGrad": 3e-4 * scores[mask],
        },
        mask,
        pixel_attributions={"IntegratedGradients": rng.normal(size=mask.shape)},
        title=LONG,
        class_name="white_stork_with_a_long_name",
        probability=0.25,
        predicted_name="black stork",
        predicted_probability=0.5,
        remarks=["The photograph is cut off: its file ends too early.", "42 samples are fewer than the 48 regions."],
    )


def violations(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    # Off by default, because few pages pass it.
    options = {"runOnly": {"type": "tag", "values": TAGS}, "rules": {"target-size": {"enabled": True}}}
    response = axe.run(page, options=options).response
    assert len(response["passes"]) > 30
    undecided = [node["html"] for one in response["incomplete"] for node in one["nodes"]]
    assert [html for html in undecided if html not in SYMBOLS] == []
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in response["violations"]]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page: OpenPage, document: Path, scheme: str, width: int) -> None:
    page = open_page(document, width, 900, touch=width < 1000, color_scheme=scheme)
    assert violations(page) == []
    page.get_by_label("Pixels", exact=True).check()
    page.locator("#top").fill("5")
    page.locator("#stage").click(position={"x": 50, "y": 50})
    assert page.locator("tr.pinned").count() == 1
    assert page.locator("#tip").is_visible()
    assert violations(page) == []
    page.get_by_label("FeatureAblation", exact=True).check()
    page.click("#theme")
    if width < 1000:
        page.click("#more")
    assert violations(page) == []


def test_axe_finds_nothing_in_a_page_of_many_regions_or_of_few_words(open_page: OpenPage, tmp_path: Path) -> None:
    mask = np.arange(900).reshape(30, 30)
    page = open_page(save_html(tmp_path / "page.html", np.zeros((30, 30)), mask.astype(float), mask))
    assert violations(page) == []
    page.evaluate("scroller.scrollTop = scroller.scrollHeight / 2")
    page.wait_for_function("!document.getElementById('above').hidden")
    assert violations(page) == []


@pytest.mark.parametrize("touch", [False, True])
@pytest.mark.parametrize("width", WIDTHS)
def test_targets_have_24_pixels(open_page: OpenPage, document: Path, width: int, touch: bool) -> None:
    page = open_page(document, width, 800, touch=touch)
    script = """() => [...document.querySelectorAll("button, input, tbody tr, #stage")].filter(
      (e) => e.checkVisibility()
    ).map((e) => {
      const target = e.closest("label") ?? e, box = target.getBoundingClientRect();
      return [e.id || e.outerHTML.slice(0, 60), box.width, box.height];
    })"""
    targets = page.evaluate(script)
    assert len(targets) > 48 + 15
    assert [target for target in targets if min(target[1:]) < 24] == []
    sliders = page.evaluate(
        "[...document.querySelectorAll('input')].filter(e => e.type !== 'radio' && e.checkVisibility())"
        ".map(e => e.clientHeight)"
    )
    assert min(sliders) >= 24


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(open_page: OpenPage, document: Path, width: int) -> None:
    page = open_page(document, width, 800)
    for method in ("IntegratedGradients", "FeatureAblation", "SmoothGrad"):
        page.get_by_label(method, exact=True).check()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("scroller.scrollWidth - scroller.clientWidth") == 0
        assert page.evaluate(
            "[...document.querySelectorAll('main *')].every(e => e.getBoundingClientRect().right <= innerWidth)"
        )


def test_long_titles_are_short_on_telephones_and_can_be_read(
    open_page: OpenPage, document: Path, tmp_path: Path
) -> None:
    page = open_page(document, 390, 800)
    title = page.locator("h1")
    short = title.bounding_box()["height"]
    assert page.inner_text("#more") == "Full title"
    page.click("#more")
    assert title.bounding_box()["height"] > 1.4 * short
    assert title.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    assert page.get_attribute("#more", "aria-expanded") == "true"
    page.click("#more")
    assert title.bounding_box()["height"] == short
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_function("document.getElementById('more').hidden")
    brief = save_html(
        tmp_path / "page.html", np.zeros((9, 9)), np.ones((9, 9)), np.zeros((9, 9), dtype=int), title="cat.jpg"
    )
    assert open_page(brief, 390, 800).locator("#more").is_hidden()


def test_a_telephone_takes_taps_and_says_so(open_page: OpenPage, document: Path) -> None:
    page = open_page(document, 390, 800, touch=True)
    assert page.inner_text("#keys") == "Tap a region to read and keep it; tap it again to let it go."
    page.locator("#stage").scroll_into_view_if_needed()
    box = page.locator("#picture").bounding_box()
    for kept in (["25"], []):
        page.touchscreen.tap(box["x"] + box["width"] * 1.5 / 8, box["y"] + box["height"] * 3.5 / 6)
        assert page.locator("tr.pinned td:nth-child(2)").all_inner_texts() == kept
    assert "Enter" in open_page(document).inner_text("#keys")


def test_headers_say_what_their_columns_are(open_page: OpenPage, document: Path) -> None:
    page = open_page(document)
    titles = page.evaluate("[...document.querySelectorAll('th button')].map(e => e.title)")
    assert titles == [
        "1 for the highest score",
        "Id of the region in the feature mask",
        "mean attribution of the region",
        "Magnitude of the score, of the summed magnitudes of all regions' scores",
        "Share of the pixels of the picture",
    ]
    page.get_by_label("FeatureAblation", exact=True).check()
    assert (
        page.get_attribute("[data-column='score'] button", "title") == "mean attribution of the region, in millionths"
    )
