"""Region tables, regions of ensembles and pictures from tensors on another device."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from foreign_device import Move
from matplotlib.backends.backend_agg import FigureCanvasAgg

from captum_superpixel import ensemble_regions, region_table, top_regions
from captum_superpixel.masks import Grid
from captum_superpixel.visualization import (
    save_html,
    visualize_comparison,
    visualize_superpixels,
    visualize_top_regions,
)

Check = Callable[..., None]

IMAGES = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(5))
MAPS = torch.randn(2, 3, 16, 12, generator=torch.Generator().manual_seed(6))
MASKS = Grid(6)(IMAGES)
DRAWS = MAPS + torch.randn(8, 2, 3, 16, 12, generator=torch.Generator().manual_seed(7)) / 4


def test_tables_say_the_same(check: Check) -> None:
    def records(on: Move) -> list[object]:
        tables = [
            region_table(on(MAPS), on(MASKS)),
            region_table(on(MAPS), MASKS, score="abs_mean", k=2, draws=on(DRAWS)),
        ]
        rows = [row for table in tables for row in table.to_records()]
        return [[value for value in row.values() if isinstance(value, int | float)] for row in rows]

    check(records, host=True)


def test_regions_stay_on_the_device(check: Check) -> None:
    check(lambda on: top_regions(on(MAPS), on(MASKS), k=2))
    check(lambda on: top_regions(on(MAPS), MASKS.numpy(), mass=0.5))
    check(lambda on: ensemble_regions(on(MAPS), [on(MASKS), on(Grid(9)(IMAGES))]))


def test_pictures_are_the_same(check: Check) -> None:
    def draw(on: Move) -> list[np.ndarray]:
        image, maps, mask = on(IMAGES), on(MAPS), on(MASKS)
        figures = [
            visualize_superpixels(image[0], maps[0], mask[0], k=2)[0],
            visualize_top_regions(image[0], maps[0], mask[0], k=2)[0],
            visualize_comparison(image, {"method": maps}, feature_mask=mask)[0],
        ]
        pictures = []
        for figure in figures:
            canvas = FigureCanvasAgg(figure)
            canvas.draw()
            pictures.append(np.asarray(canvas.buffer_rgba()).astype(float))
        return pictures

    check(draw, host=True)


def test_pages_are_the_same(check: Check, tmp_path: Path) -> None:
    def write(on: Move) -> np.ndarray:
        page = save_html(tmp_path / "page.html", on(IMAGES[0]), on(MAPS[0]), on(MASKS[0]))
        return np.frombuffer(page.read_bytes(), dtype=np.uint8).copy()

    check(write, host=True)
