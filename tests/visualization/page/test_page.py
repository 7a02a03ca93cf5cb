"""What the page holds: the numbers of its regions, its colors, its size, and nothing that could do harm."""

import base64
import hashlib
import html
import io
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from captum_superpixel import region_table
from captum_superpixel.visualization._color_scale import ColorScale
from captum_superpixel.visualization.page import _layers
from captum_superpixel.visualization.page.page import save_html

HOSTILE = "<img src=x onerror=alert(1)></script><!--$style & \"'"
GENERATOR = np.random.default_rng(0)
MASK = np.array([[3, 3, 9, 9], [3, 3, 9, 9], [5, 5, 5, 2**60]])
VALUES = np.array([[1.0, 1, -4, -4], [1, 1, -4, -4], [2, 2, 2, 0.5]])
PICTURE = GENERATOR.random((3, 3, 4))


def read(path: Path) -> tuple[str, dict[str, Any]]:
    page = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return page, json.loads(found[1])


def picture_bytes(page: str) -> bytes:
    found = re.search(r'id="picture" src="data:image/(?:png|jpeg);base64,([^"]*)"', page)
    assert found
    return base64.b64decode(found[1])


def inflate(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))


def numbers(text: str, dtype: str) -> list[Any]:
    return list(np.frombuffer(inflate(text), dtype=dtype).tolist())


def region_ids(mask: dict[str, Any]) -> list[int]:
    """The ids, of which the page holds the differences."""
    return [int(one) for one in np.cumsum(numbers(mask["ids"], "<i8"))]


def scores(method: dict[str, Any]) -> list[float]:
    return numbers(method["scores"], "<f8")


def ranks(method: dict[str, Any]) -> list[int]:
    return numbers(method["ranks"], "<u4")


def decode_labels(mask: dict[str, Any], height: int, width: int) -> np.ndarray:
    """The page's decoder once more, pixel by pixel."""
    symbols = inflate(mask["symbols"])
    literals = iter(np.frombuffer(inflate(mask["literals"]), dtype="<u4").tolist())
    labels: np.ndarray = np.full((height, width), -1)
    for y in range(height):
        for x in range(width):
            places = {0: (y - 1, x), 1: (y, x - 1), 2: (y - 1, x + 1)}
            symbol = symbols[y * width + x]
            labels[y, x] = labels[places[symbol]] if symbol in places else next(literals)
    return labels


def decode_map(layer: dict[str, Any]) -> Image.Image:
    kind, text = layer["png"].split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGBA")


def textured(size: int) -> np.ndarray:
    """Smooth shapes with grain, which compress about as a photograph does."""
    y, x = np.mgrid[:size, :size] / size
    shapes = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * x * y + 2), np.sin(11 * y * y)], axis=-1) / 3 + 0.5
    return (shapes + GENERATOR.normal(0, 0.015, shapes.shape)).clip(0, 1)


def wavy_cells(size: int, count: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    wobble = (6 * np.sin(x / 9) + 6 * np.cos(y / 7)).astype(int)
    rows, columns = ((place + wobble).clip(0) * count // (size + 12) for place in (y, x))
    return np.asarray(100 * rows + columns)


def region_means(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    labels = np.unique(mask, return_inverse=True)[1]
    means = np.bincount(labels.ravel(), values.ravel()) / np.bincount(labels.ravel())
    result: np.ndarray = means[labels.reshape(mask.shape)]
    return result


def test_the_page_holds_the_rows_of_the_region_table(tmp_path: Path) -> None:
    path = save_html(tmp_path / "page.html", PICTURE, VALUES, MASK)
    _, data = read(path)
    assert path == tmp_path / "page.html"
    assert (data["width"], data["height"]) == (4, 3)
    ids = region_ids(data["masks"][0])
    assert ids == [3, 5, 9, 2**60]
    rows = {row.id: row for row in region_table(torch.tensor(VALUES)[None, None], torch.tensor(MASK)[None, None])}
    assert scores(data["methods"][0]) == [rows[one].score for one in ids] == [1.0, 2.0, -4.0, 0.5]
    assert ranks(data["methods"][0]) == [rows[one].rank for one in ids] == [2, 1, 4, 3]
    assert np.array_equal(decode_labels(data["masks"][0], 3, 4), [[0, 0, 2, 2], [0, 0, 2, 2], [1, 1, 1, 3]])


def test_the_page_says_what_scores_and_shares_are(tmp_path: Path) -> None:
    page, data = read(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK))
    assert data["methods"][0]["scoreName"] == "mean attribution"
    share = "of the summed magnitudes of all regions' scores"
    assert f"<b>Share</b>: {share}." in page
    assert f'title="Magnitude of the score, {share}"' in page
    _, data = read(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK, score_name=HOSTILE))
    assert data["methods"][0]["scoreName"] == HOSTILE
    names = {"b": "effect", "a": "mean magnitude"}
    _, data = read(save_html(tmp_path / "page.html", PICTURE, {"a": VALUES, "b": VALUES}, MASK, score_name=names))
    assert {method["name"]: method["scoreName"] for method in data["methods"]} == names


def test_ranks_by_magnitude_where_asked_to(tmp_path: Path) -> None:
    page, data = read(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK, by="magnitude"))
    assert 'title="1 for the score of the largest magnitude"' in page
    assert ranks(data["methods"][0]) == [3, 2, 1, 4]


def test_tensors_of_a_batch_of_one_are_averaged_over_channels_and_ids_stay_numbers(tmp_path: Path) -> None:
    maps = torch.tensor(VALUES).expand(1, 3, 3, 4)
    mask = torch.tensor([[[[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 7]]]])
    _, data = read(save_html(str(tmp_path / "page.html"), torch.rand(1, 3, 3, 4), maps, mask))
    assert region_ids(data["masks"][0]) == [0, 1, 2, 7]
    assert scores(data["methods"][0]) == [1.0, -4.0, 2.0, 0.5]


@pytest.mark.parametrize("seed", range(3))
def test_labels_survive_their_encoding(seed: int) -> None:
    labels = np.random.default_rng(seed).integers(0, [2, 70_000, 5][seed], (13, 17))
    encoded = _layers.encode_labels(labels)
    assert np.array_equal(decode_labels(encoded, 13, 17), labels)


def test_maps_that_are_one_value_a_region_are_painted_and_others_embedded(tmp_path: Path) -> None:
    bent = VALUES.copy()
    bent[0, 0] = 3
    _, data = read(save_html(tmp_path / "page.html", PICTURE, {"flat": VALUES, "bent": bent}, MASK))
    flat, other = data["methods"]
    assert "png" not in flat["regions"]
    paint = list(inflate(flat["paint"]))
    # Zero is 128; blue is below and red above.
    assert paint[2] == 1
    assert [value > 128 for value in paint] == [True, True, False, True]
    assert decode_map(other["regions"]).size == (4, 3)


def test_pixels_have_the_colors_of_the_ramp(tmp_path: Path) -> None:
    values = np.array([[np.nan, 0.0, 8.0, -8.0, 4.0]])
    mask = np.arange(5)[None]
    path = save_html(
        tmp_path / "page.html", np.zeros((3, 1, 5)), values, mask, pixel_attributions=values, outlier_perc=0
    )
    _, data = read(path)
    layer = data["methods"][0]["pixels"]
    assert (layer["limit"], layer["diverging"]) == (8.0, True)
    colors = np.asarray(decode_map(layer))[0]
    assert colors[:2, 3].tolist() == [0, 0]
    assert 0 < colors[4, 3] < colors[2, 3] == colors[3, 3] < 255
    (red, _, blue), (negative_red, _, negative_blue) = colors[2, :3], colors[3, :3]
    assert red > blue
    assert negative_blue > negative_red
    ramp = np.frombuffer(base64.b64decode(data["ramp"]), dtype=np.uint8).reshape(-1, 4)
    assert np.array_equal(ramp[list(inflate(data["methods"][0]["paint"]))], colors)


@pytest.mark.parametrize(("outlier_perc", "limit"), [(0, 8.0), (20, 3.0), (80, 1.0)])
def test_outliers_have_the_strongest_color_but_keep_their_score(
    tmp_path: Path, outlier_perc: float, limit: float
) -> None:
    values = np.repeat([8.0, 3.0, 1.0], [1, 10, 62])[None]  # 8, 30 and 62 of 100
    path = save_html(tmp_path / "page.html", np.zeros((1, 73)), values, np.arange(73)[None], outlier_perc=outlier_perc)
    method = read(path)[1]["methods"][0]
    assert method["regions"]["limit"] == limit
    assert scores(method) == values[0].tolist()
    strongest = [level == 255 for level in inflate(method["paint"])]
    assert strongest == (values[0] >= limit).tolist()


def test_a_tight_budget_costs_pixels_and_nothing_else() -> None:
    values = GENERATOR.normal(size=(96, 48))
    scale = ColorScale(2.0, diverging=True)
    whole = _layers.encode_map(values, scale, 1e6)
    small = _layers.encode_map(values, scale, 2_500)
    assert Image.open(io.BytesIO(whole)).size == (48, 96)
    width, height = Image.open(io.BytesIO(small)).size
    assert len(small) <= 2_500
    assert height == pytest.approx(2 * width, abs=2)
    assert width > 16


@pytest.mark.parametrize(("size", "count"), [(32, 4), (224, 10), (1024, 22)])
def test_pages_are_smaller_than_twice_the_picture_and_200_kb(tmp_path: Path, size: int, count: int) -> None:
    noise = {name: GENERATOR.standard_t(3, (size, size)) for name in ("Saliency", "IntegratedGradients", "SmoothGrad")}
    mask = wavy_cells(size, count)
    grouped = {name: region_means(values, mask) for name, values in noise.items()}
    path = save_html(tmp_path / "page.html", textured(size), grouped, mask, pixel_attributions=noise)
    page, data = read(path)
    assert path.stat().st_size < 2 * len(picture_bytes(page)) + 200_000
    widths = [decode_map(method["pixels"]).width for method in data["methods"]]
    assert min(widths) >= min(size, 224) // 2


def test_small_pictures_are_kept_as_they_are_and_large_ones_are_jpegs(tmp_path: Path) -> None:
    small = GENERATOR.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    page, _ = read(save_html(tmp_path / "small.html", small, np.zeros((20, 30)), np.zeros((20, 30), dtype=int)))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture_bytes(page)))), small)
    noise = GENERATOR.random((260, 260, 3))
    page, _ = read(save_html(tmp_path / "large.html", noise, np.zeros((260, 260)), np.zeros((260, 260), dtype=int)))
    assert 'src="data:image/jpeg;base64,' in page


def test_methods_may_have_masks_of_their_own_and_equal_ones_are_stored_once(tmp_path: Path) -> None:
    maps = {"a": VALUES, "b": 2 * VALUES, "c": VALUES}
    masks = {"c": np.zeros((3, 4), dtype=int), "b": MASK.copy(), "a": MASK}
    _, data = read(save_html(tmp_path / "page.html", PICTURE, maps, masks, pixel_attributions={"b": VALUES}))
    assert [method["name"] for method in data["methods"]] == ["a", "b", "c"]
    assert [data["masks"][method["mask"]]["count"] for method in data["methods"]] == [4, 4, 1]
    assert len(data["masks"]) == 2
    assert ["pixels" in method for method in data["methods"]] == [False, True, False]


def test_a_region_with_nan_has_neither_score_nor_rank(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[0, 0], values[2, 3] = np.nan, np.inf
    _, data = read(save_html(tmp_path / "page.html", PICTURE, values, MASK))
    method = data["methods"][0]
    assert np.array_equal(scores(method), [np.nan, 2.0, -4.0, np.nan], equal_nan=True)
    assert ranks(method) == [0, 1, 2, 0]


@pytest.mark.parametrize(
    ("values", "text", "ranked"),
    [(0.0, "all zero", 0), (-2.5, "constant: -2.5", 4), (np.nan, "no finite value", 0), (np.inf, "no finite value", 0)],
)
def test_maps_without_differences_are_described(tmp_path: Path, values: float, text: str, ranked: int) -> None:
    one = np.full((3, 4), values)
    _, data = read(save_html(tmp_path / "page.html", PICTURE, one, MASK, pixel_attributions=one))
    method = data["methods"][0]
    assert (method["regions"]["note"], np.count_nonzero(ranks(method))) == (text, ranked)
    assert method["pixels"]["note"] == text


def test_equal_scores_share_a_rank_and_zeros_have_none(tmp_path: Path) -> None:
    _, data = read(save_html(tmp_path / "page.html", PICTURE, np.full((3, 4), 2.5), MASK))
    assert ranks(data["methods"][0]) == [1, 1, 1, 1]
    values = np.where(MASK == 5, -4.0, VALUES)
    _, data = read(save_html(tmp_path / "page.html", PICTURE, values, MASK))
    assert ranks(data["methods"][0]) == [1, 3, 3, 2]
    _, data = read(save_html(tmp_path / "page.html", PICTURE, VALUES * 0, MASK))
    assert (scores(data["methods"][0]), ranks(data["methods"][0])) == ([0.0] * 4, [0] * 4)


def test_text_of_others_is_escaped(tmp_path: Path) -> None:
    maps = {HOSTILE: VALUES}
    page, data = read(save_html(tmp_path / "page.html", PICTURE, maps, MASK, title=HOSTILE, class_name=HOSTILE))
    assert data["methods"][0]["name"] == HOSTILE
    assert page.count(f"<h1>{html.escape(HOSTILE)}</h1>") == 1
    assert page.count(f"<title>{html.escape(HOSTILE)}</title>") == 1
    assert page.count(f"<strong>{html.escape(HOSTILE)}</strong>") == 1
    assert "<img src=x" not in page
    assert page.count("</script>") == 2


def test_names_of_files_that_are_no_text_are_shown_all_the_same(tmp_path: Path) -> None:
    page, _ = read(save_html(tmp_path / "page.html", PICTURE, {"\udcff": VALUES}, MASK, title="caf\udce9.jpg"))
    assert "<h1>caf?.jpg</h1>" in page


def test_the_page_forbids_itself_everything_but_its_own_style_and_script(tmp_path: Path) -> None:
    page, _ = read(save_html(tmp_path / "page.html", PICTURE, VALUES, MASK))
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert found
    policy = dict(part.split(" ", 1) for part in html.unescape(found[1]).split("; "))
    assert (policy["default-src"], policy["img-src"]) == ("'none'", "data:")
    for kind in ("style", "script"):
        content = re.search(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        assert content
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not re.search(r'(?:href|src)="(?!data:)|url\(|@import|\son\w+=|innerHTML', page)


def test_sums_are_those_of_the_region_table_over_pixels_and_channels(tmp_path: Path) -> None:
    maps = torch.stack([torch.tensor(VALUES), 3 * torch.tensor(VALUES), torch.ones(3, 4).double()])
    _, data = read(save_html(tmp_path / "page.html", PICTURE, maps, MASK, score="sum"))
    method, ids = data["methods"][0], region_ids(data["masks"][0])
    rows = {row.id: row for row in region_table(maps[None], torch.tensor(MASK)[None, None], score="sum")}
    assert scores(method) == [rows[one].score for one in ids] == [20.0, 27.0, -60.0, 3.0]
    assert ranks(method) == [rows[one].rank for one in ids]
    assert method["scoreName"] == "summed attribution"
    _, data = read(save_html(tmp_path / "page.html", PICTURE, maps, MASK))
    # Colors are those of the means, whichever score is listed.
    assert data["methods"][0]["paint"] == method["paint"]
    assert data["methods"][0]["regions"] == method["regions"]
    assert scores(data["methods"][0]) == pytest.approx([5 / 3, 3.0, -5.0, 1.0])


def test_methods_are_signed_where_they_are_said_to_be_or_have_negative_values(tmp_path: Path) -> None:
    maps = {"a": VALUES, "b": np.abs(VALUES), "c": np.abs(VALUES)}
    _, data = read(save_html(tmp_path / "page.html", PICTURE, maps, MASK, pixel_attributions={"c": VALUES}))
    assert [method["signed"] for method in data["methods"]] == [True, False, True]
    _, data = read(save_html(tmp_path / "page.html", PICTURE, np.abs(VALUES), MASK, signed=True))
    assert data["methods"][0]["signed"]


def test_a_failure_leaves_the_old_page_and_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_html(tmp_path / "page.html", PICTURE, VALUES, MASK)
    before = path.read_bytes()

    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(OSError, match="the disk is full"):
            save_html(path, PICTURE, 2 * VALUES, MASK)
    assert path.read_bytes() == before
    save_html(path, PICTURE, 2 * VALUES, MASK)
    assert scores(read(path)[1]["methods"][0]) == [2.0, 4.0, -8.0, 1.0]
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_equal_input_makes_an_equal_page(tmp_path: Path) -> None:
    pages = [save_html(tmp_path / name, PICTURE, VALUES, MASK, title="t").read_bytes() for name in ("a", "b")]
    assert pages[0] == pages[1]
