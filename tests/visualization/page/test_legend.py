"""The colors of maps are those of the legend, and the words and numbers beside it are true."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captum_superpixel.visualization.page.page import save_html

OpenPage = Callable[..., Any]
MINUS = "\N{MINUS SIGN}"
# Five regions of 40 x 40 pixels side by side, one value each.
VALUES = np.array([-1.0, -0.3, 0.0, 0.5, 1.0])
MASK = np.repeat(np.repeat(np.arange(5), 40)[None], 40, axis=0)
MAP = VALUES[MASK]
CHECKED = np.tile((np.indices((40, 200)).sum(axis=0) // 4) % 2, (3, 1, 1)).astype(float)
GRAY = np.full((3, 40, 200), 0.4)


def on_screen(page: Any) -> np.ndarray:
    """The map as it is seen, ``(5, pixels, 3)``: the inside of each region."""
    stage = page.locator("#stage")
    seen = np.asarray(Image.open(io.BytesIO(stage.screenshot())).convert("RGB")).astype(float)
    height, width = seen.shape[:2]
    rows = slice(height // 5, height - height // 5)
    starts = [(10 * k + 2) * width // 50 for k in range(5)]
    return np.stack([seen[rows, start : start + width // 10].reshape(-1, 3) for start in starts])


def in_legend(page: Any, values: np.ndarray) -> np.ndarray:
    """The colors of values from -1 to 1 in the legend, ``(values, 3)``, read from the screen too."""
    bar = np.asarray(Image.open(io.BytesIO(page.locator("#bar").screenshot())).convert("RGB")).astype(float)
    middle = bar[bar.shape[0] // 2, 3:-3]  # without its border
    places = (values + 1) / 2 * (len(middle) - 1)
    return np.stack([np.interp(places, np.arange(len(middle)), middle[:, channel]) for channel in range(3)], axis=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("behind", ["color", "gray", "blank"])
@pytest.mark.parametrize("strength", [100, 60])
def test_the_colors_of_the_map_are_those_of_the_legend(
    open_page: OpenPage, tmp_path: Path, scheme: str, behind: str, strength: int
) -> None:
    page = open_page(save_html(tmp_path / "page.html", GRAY, MAP, MASK, outlier_perc=0), color_scheme=scheme)
    page.uncheck("#borders")
    page.check(f"input[name=behind][value={behind}]")
    page.locator("#strength").fill(str(strength))
    seen = on_screen(page)
    assert np.ptp(seen, axis=1).max() <= 1
    # A pixel of the legend is up to 5 in 256.
    assert np.abs(seen[:, 0] - in_legend(page, VALUES)).max() <= 8
    assert np.abs(seen[0, 0] - seen[4, 0]).max() > 60


def test_a_picture_of_black_and_white_leaves_the_colors_those_of_the_legend_in_the_mean(
    open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(save_html(tmp_path / "page.html", CHECKED, MAP, MASK, outlier_perc=0))
    page.uncheck("#borders")
    seen, legend = on_screen(page), in_legend(page, VALUES)
    assert np.abs(seen.mean(axis=1) - legend).max() < 8
    # The picture can be seen, least where the map is strong.
    contrast = np.ptp(seen, axis=1).max(axis=1)
    assert contrast[0] == pytest.approx(contrast[4], abs=2)
    assert 5 < contrast[4] < contrast[3] < contrast[2] < 110
    assert np.abs(seen[[0, 4]] - legend[[0, 4], None]).max() < 20
    page.locator("#strength").fill("0")
    assert np.ptp(on_screen(page), axis=1).min() > 230


@pytest.mark.parametrize(
    ("values", "options", "low", "high", "meaning"),
    [
        (
            MAP,
            {"class_name": "tabby"},
            f"{MINUS}1.0 against",
            "+1.0 for tabby",
            "red speaks for tabby, blue against it",
        ),
        (MAP, {}, f"{MINUS}1.0 against", "+1.0 for", "red speaks for the class, blue against it"),
        (np.abs(MAP), {"class_name": "tabby"}, "0", "1.0 magnitude", "the stronger, the larger the magnitude"),
        (np.abs(MAP), {"class_name": "tabby", "signed": True}, "0", "+1.0 for tabby", "the more it speaks for tabby"),
        # Activations explain no class.
        (MAP, {"class_name": ""}, f"{MINUS}1.0", "+1.0", "; red is positive, blue negative"),
        (np.abs(MAP), {"class_name": "", "signed": True}, "0", "+1.0", "the stronger, the larger"),
        (MAP * 0, {"class_name": "tabby"}, "0", "", "the larger the magnitude"),
        (1234 * MAP, {}, f"{MINUS}1200 against", "+1200 for", ""),
        (3e-8 * MAP, {}, f"{MINUS}30 billionths against", "+30 billionths for", ""),
        (2e7 * np.abs(MAP), {}, "0", "20 millions magnitude", ""),
        (2e-15 * np.abs(MAP), {}, "0", "2.0 × 10⁻¹⁵ magnitude", ""),
        (np.where(MASK == 4, 1e3, np.abs(MAP)), {"outlier_perc": 100}, "0", "≥ ", ""),
        # Only an end that values are beyond says so.
        (np.where(MASK == 4, 2.0, MAP * 0.6), {"outlier_perc": 60}, f"{MINUS}1.8 against", "≥ +1.8 for", ""),
        (np.where(MASK == 0, -2.0, MAP * 0.6), {"outlier_perc": 60}, f"≤ {MINUS}1.8 against", "+1.8 for", ""),
    ],
)
def test_the_ends_of_the_legend_say_what_they_stand_for(
    open_page: OpenPage,
    tmp_path: Path,
    values: np.ndarray,
    options: dict[str, Any],
    low: str,
    high: str,
    meaning: str,
) -> None:
    page = open_page(save_html(tmp_path / "page.html", GRAY, values, MASK, **{"outlier_perc": 0, **options}))
    shown = page.inner_text("#high")
    assert page.inner_text("#low") == low
    assert shown.startswith(high) if high.endswith(" ") else shown == high
    assert meaning in page.inner_text("#color-meaning")
    assert page.get_attribute("#bar", "aria-label") == f"Color scale from {low} to {shown}"


@pytest.mark.parametrize("width", [390, 320])
def test_the_upper_end_is_below_the_end_of_the_bar_on_telephones(
    open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = open_page(save_html(tmp_path / "page.html", GRAY, MAP, MASK, class_name="tabby"), width, 800)
    right = "e => e.getBoundingClientRect().right"
    assert page.locator("#high").evaluate(right) == pytest.approx(page.locator("#bar").evaluate(right), abs=1)


def test_each_method_has_the_class_that_it_explains(open_page: OpenPage, tmp_path: Path) -> None:
    names = {"IntegratedGradients": "tabby", "LayerActivation": "", "Saliency": None}
    maps = dict.fromkeys(names, MAP)
    page = open_page(save_html(tmp_path / "page.html", GRAY, maps, MASK, class_name=names, outlier_perc=0))
    assert page.inner_text(".prediction") == "Class tabby"
    seen = []
    for method in names:
        page.get_by_label(method, exact=True).check()
        meaning = page.inner_text("#color-meaning").partition("; ")[2]
        seen.append((page.inner_text("#low"), page.inner_text("#high"), meaning))
    assert seen == [
        (f"{MINUS}1.0 against", "+1.0 for tabby", "red speaks for tabby, blue against it"),
        (f"{MINUS}1.0", "+1.0", "red is positive, blue negative"),
        (f"{MINUS}1.0 against", "+1.0 for", "red speaks for the class, blue against it"),
    ]


@pytest.mark.parametrize(
    ("factor", "score", "unit"),
    [
        (1, "1.000", ""),
        (2e-4, "0.0002000", ""),
        (3e-8, "30.00", "billionths"),
        (5e7, "50.00", "millions"),
        (4e-20, "4.000", "× 10⁻²⁰"),
    ],
)
def test_scores_have_no_exponents(open_page: OpenPage, tmp_path: Path, factor: float, score: str, unit: str) -> None:
    page = open_page(save_html(tmp_path / "page.html", GRAY, factor * np.abs(MAP), MASK))
    assert page.locator("#rows tr").first.locator("td").nth(2).inner_text() == score
    assert page.inner_text("#score-unit") == unit
    page.locator("#stage").focus()
    page.keyboard.press("Home")
    assert f"score {score}{f' {unit}' if unit else ''}, share" in page.inner_text("#live")


def test_sums_are_scores_while_colors_stay_those_of_means(open_page: OpenPage, tmp_path: Path) -> None:
    maps = np.stack([MAP, MAP, MAP])
    page = open_page(save_html(tmp_path / "page.html", GRAY, maps, MASK, score="sum", outlier_perc=0))
    # 40 x 40 pixels and 3 channels, each 1.
    assert page.locator("#rows tr").first.locator("td").nth(2).inner_text() == "+4800"
    assert page.inner_text("#high") == "+1.0 for"
    assert page.inner_text("#meaning").startswith("Color: mean of the map over the region; red")
    assert "Score: summed attribution of the region." in page.inner_text("#meaning")


def test_each_method_has_its_own_mask_scale_signs_and_words(open_page: OpenPage, tmp_path: Path) -> None:
    halves = np.where(MASK < 2, 7, 9)
    path = save_html(
        tmp_path / "page.html",
        GRAY,
        {"Signed": MAP, "Magnitude": 50 * np.abs(MAP), "Halves": np.where(halves == 7, 2.0, 1.0)},
        {"Signed": MASK, "Magnitude": MASK, "Halves": halves},
        score_name={"Signed": "mean attribution", "Magnitude": "mean magnitude", "Halves": "effect"},
        signed={"Signed": True, "Magnitude": False, "Halves": True},
        class_name="cat",
        outlier_perc=0,
    )
    page = open_page(path)

    def look(method: str) -> tuple[str, str, str, int, str]:
        page.get_by_label(method, exact=True).check()
        rows = page.locator("#rows tr")
        score = rows.first.locator("td").nth(2).inner_text()
        texts = [page.inner_text(f"#{name}") for name in ("low", "high", "score-name")]
        return texts[0], texts[1], texts[2], rows.count(), score

    expected = {
        "Signed": (f"{MINUS}1.0 against", "+1.0 for cat", "mean attribution", 5, "+1.000"),
        "Magnitude": ("0", "50 magnitude", "mean magnitude", 5, "50.00"),
        "Halves": ("0", "+2.0 for cat", "effect", 2, "2.000"),
    }
    page.locator("#stage").click(position={"x": 10, "y": 10})
    assert page.locator("tr.pinned").count() == 1
    # A region is kept where the regions stay the same, and let go where they do not.
    for method, kept in [("Magnitude", "0"), ("Signed", "0"), ("Halves", ""), ("Magnitude", ""), ("Signed", "")]:
        assert look(method) == expected[method]
        assert page.get_attribute("#stage", "data-region") == kept
        assert page.locator("tr.pinned").count() == len(kept)
        assert page.locator("#tip").is_visible() == bool(kept)
    page.locator("#top").fill("3")
    look("Halves")
    assert page.inner_text("#top-text") == "all 2"
