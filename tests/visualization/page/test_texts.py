"""The texts that the caller passes: the line below the heading, and remarks."""

import html
import re
from pathlib import Path
from typing import Any

import numpy as np

from captum_superpixel.visualization.page.page import save_html

HOSTILE = "<img src=x onerror=alert(1)></script><!--$style & \"'"
PICTURE, VALUES, MASK = np.zeros((3, 4)), np.ones((3, 4)), np.zeros((3, 4), dtype=int)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_line_below_the_heading_says_what_is_known(tmp_path: Path) -> None:
    def headline(**options: Any) -> list[str]:
        page = text(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK, **options))
        return re.findall(r'<p class="prediction">(.*?)</p>', page)

    assert headline() == []
    assert headline(class_name="cat") == ["Class <strong>cat</strong>"]
    assert headline(probability=0.1234) == ["probability 12.3\N{NO-BREAK SPACE}%"]
    assert headline(class_name="cat", probability=1) == [
        "Class <strong>cat</strong>, probability 100.0\N{NO-BREAK SPACE}%"
    ]


def test_the_predicted_class_stands_beside_the_explained_one_where_it_is_another(tmp_path: Path) -> None:
    def headline(**options: Any) -> list[str]:
        page = text(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK, **options))
        return [
            html.unescape(line).replace("\xa0", " ") for line in re.findall(r'<p class="prediction">(.*?)</p>', page)
        ]

    same = {"class_name": "cat", "probability": 0.5, "predicted_name": "cat", "predicted_probability": 0.5}
    assert headline(**same) == ["Class <strong>cat</strong>, probability 50.0 %"]
    assert headline(class_name="cat", predicted_name="cat") == ["Class <strong>cat</strong>"]
    assert headline(**{**same, "predicted_name": "a < b", "probability": 0.25}) == [
        "<span>Explained: <strong>cat</strong>, probability 25.0 %</span> "
        "<span>Predicted: <strong>a < b</strong>, probability 50.0 %</span>"
    ]
    # Two classes of one name, as ImageNet has them.
    assert (
        "Predicted: <strong>cat</strong>, probability 75.0 %" in headline(**{**same, "predicted_probability": 0.75})[0]
    )
    assert headline(predicted_name="cat") == [
        "<span>Explained: another class</span> <span>Predicted: <strong>cat</strong></span>"
    ]


def test_a_headline_of_its_own_stands_for_what_are_no_classes(tmp_path: Path) -> None:
    def headline(texts: dict[str, str]) -> list[str]:
        page = text(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK, class_name="output 2", headline=texts))
        return re.findall(r'<p class="prediction">(.*?)</p>', page)

    assert headline({}) == []
    assert headline({"Explained": "output 2 = -1.5", "Largest": HOSTILE}) == [
        "<span>Explained: <strong>output 2 = -1.5</strong></span> "
        f"<span>Largest: <strong>{html.escape(HOSTILE)}</strong></span>"
    ]


def test_remarks_are_listed_as_text(tmp_path: Path) -> None:
    page = text(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK, remarks=["few samples", " ", HOSTILE]))
    assert re.findall(r"<li>(.*?)</li>", page) == ["few samples", html.escape(HOSTILE)]
    page = text(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK))
    assert 'class="remarks"' not in page
