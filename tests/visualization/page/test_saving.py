"""The files that the buttons save: the picture as it is seen, and the table with all digits."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel import region_table
from captum_superpixel.visualization.page.page import save_html

OpenPage = Callable[..., Any]
# 4 x 6 pixels, each a block of 20.
MASK = np.kron(
    [[10, 10, 20, 20, 30, 30], [10, 10, 20, 20, 30, 30], [20, 20, 20, 20, 40, 40], [20, 20, 20, 20, 40, 40]],
    np.ones((20, 20), dtype=int),
)
SCORES = {10: 4 / 3, 20: -2.0, 30: 1e-17, 40: np.nan}
MAP = np.vectorize(SCORES.get)(MASK)
PICTURE = np.full((3, 80, 120), 0.5)


def save(page: Any, button: str, folder: Path) -> tuple[str, bytes]:
    with page.expect_download() as found:
        page.click(f"#save-{button}")
    found.value.save_as(folder / "saved")
    return found.value.suggested_filename, (folder / "saved").read_bytes()


def read_table(page: Any, folder: Path) -> list[dict[str, str]]:
    return list(
        csv.DictReader(io.StringIO(save(page, "table", folder)[1].decode("utf-8-sig"), newline=""), strict=True)
    )


def test_the_table_is_saved_with_all_digits(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(save_html(tmp_path / "page.html", PICTURE, {"Lime": MAP}, MASK, title="cat.jpg", class_name="cat"))
    name, data = save(page, "table", tmp_path)
    assert name == "cat.jpg Lime regions.csv"
    assert data.startswith(b"\xef\xbb\xbftitle,class,method,score_name,rank,region,score,share,pixels,area_share\r\n")
    rows = read_table(page, tmp_path)
    table = region_table(torch.tensor(MAP)[None, None], torch.tensor(MASK)[None, None])
    assert [int(row["region"]) for row in rows] == [region.id for region in table]
    assert [row["rank"] for row in rows] == ["1", "2", "3", ""]
    for row, region in zip(rows[:3], table, strict=False):
        assert float(row["score"]) == region.score
        assert float(row["share"]) == pytest.approx(region.share, rel=1e-14)
        assert (int(row["pixels"]), float(row["area_share"])) == (region.area, region.area_share)
        assert [row[key] for key in ("title", "class", "method", "score_name")] == [
            "cat.jpg",
            "cat",
            "Lime",
            "mean attribution",
        ]
    assert [rows[3][key] for key in ("region", "score", "share")] == ["40", "", ""]
    page.get_by_role("button", name="Region", exact=True).click()
    assert [row["region"] for row in read_table(page, tmp_path)] == ["10", "20", "30", "40"]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1+1", "\uff1d1+1", "\u200b=1", '=cmd|"/c calc"!A1', "\r=1", "\n@x"],
)
def test_no_name_becomes_a_formula(open_page: OpenPage, tmp_path: Path, text: str) -> None:
    path = save_html(tmp_path / "page.html", PICTURE, {text: MAP}, MASK, title=text, class_name=text, score_name=text)
    rows = read_table(open_page(path), tmp_path)
    assert [row[key] for row in rows for key in ("title", "class", "method", "score_name")] == [f"'{text}"] * 16


@pytest.mark.parametrize("text", ['a "quoted", name', "two\nlines", "Käfer \N{LADY BEETLE}", "a=b", "1,5"])
def test_other_names_are_kept_as_they_are(open_page: OpenPage, tmp_path: Path, text: str) -> None:
    path = save_html(tmp_path / "page.html", PICTURE, MAP, MASK, class_name=text)
    assert {row["class"] for row in read_table(open_page(path), tmp_path)} == {text}


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("../../etc/pass:wd?.jpg", "__.._etc_pass_wd_.jpg regions.csv"),
        ("a\u202egnp.exe", "a_gnp.exe regions.csv"),
        ("x" * 300, f"{'x' * 60} regions.csv"),
        ("日本.png", "日本.png regions.csv"),
    ],
)
def test_files_have_names_that_any_disk_takes(open_page: OpenPage, tmp_path: Path, title: str, name: str) -> None:
    page = open_page(save_html(tmp_path / "page.html", PICTURE, MAP, MASK, title=title))
    assert save(page, "table", tmp_path)[0] == name


def colors(data: bytes) -> set[tuple[int, ...]]:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    found = picture.getcolors(picture.width * picture.height)
    assert found is not None
    return {color for count, color in found if count > 2_000}


def test_the_picture_is_saved_as_it_is_seen(open_page: OpenPage, tmp_path: Path) -> None:
    path = save_html(
        tmp_path / "page.html", PICTURE, {"Lime": MAP}, MASK, title="cat.jpg", class_name="cat", remarks=["few samples"]
    )
    page = open_page(path)
    name, whole = save(page, "picture", tmp_path)
    assert name == "cat.jpg Lime map.png"
    seen = np.asarray(Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")).astype(int)
    height, width = seen.shape[:2]
    middles = [
        tuple(seen[height * row // 8, width * column // 12]) for row, column in ((2, 2), (6, 2), (2, 10), (6, 10))
    ]
    assert all(any(np.abs(np.subtract(color, middle)).max() <= 1 for color in colors(whole)) for middle in middles)
    assert len({*middles}) == 3  # 30 and 40, zero and none, have no color
    size = Image.open(io.BytesIO(whole)).size
    assert size[0] >= 960
    assert size[1] > 640 + 100  # the picture, and the texts above and below

    # Other states give other pictures: fewer regions, a kept one, other colors below, another theme.
    others = []
    for change in (
        lambda: page.locator("#top").fill("1"),
        lambda: page.locator("#stage").click(position={"x": 20, "y": 20}),
        lambda: page.get_by_label("None", exact=True).check(),
        lambda: page.uncheck("#borders"),
        lambda: page.click("#theme"),
    ):
        change()
        page.mouse.move(2, 2)
        others.append(save(page, "picture", tmp_path)[1])
    assert len({whole, *others}) == 6


@pytest.mark.parametrize("shape", [(3, 400), (400, 3), (1, 1)])
def test_pictures_of_any_shape_can_be_saved(open_page: OpenPage, tmp_path: Path, shape: tuple[int, int]) -> None:
    values = np.arange(float(shape[0] * shape[1])).reshape(shape)
    path = save_html(tmp_path / "page.html", np.zeros(shape), values, values.astype(int), title="word " * 80)
    _, data = save(open_page(path), "picture", tmp_path)
    width, height = Image.open(io.BytesIO(data)).size
    assert 400 < width < 5000
    assert 100 < height < 5000
