"""How the time of a call grows with batch, size, number of segments and number of regions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from engines import batch_of, by_torch, least_times
from torch import Tensor

from captum_superpixel import pool_segments
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.masks.slic import compiled
from captum_superpixel.metrics import ssim
from captum_superpixel.regions import RegionTable, region_table

TITLE = "Growth: time by the number of pixels, segments or regions, at each number, in units of the first"

BATCHES, SIDES, SEGMENTS, REGIONS = (1, 4, 16, 64), (56, 112, 224, 448), (10, 100, 1000, 4000), (20, 80, 320, 1280)


def _maps(count: int, side: int) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


def _pool(count: int, side: int, segments: int) -> Callable[[], object]:
    maps = _maps(count, side)
    return partial(pool_segments, maps, Grid(segments)(maps))


def _pool_sparse(count: int, side: int, segments: int) -> Callable[[], object]:
    maps = _maps(count, side)
    return partial(pool_segments, maps, Grid(segments)(maps) * 2**40)


def _slic(count: int, side: int, segments: int) -> Callable[[], object]:
    return partial(Slic(segments), batch_of(side, count))


def _slic_by_torch(count: int, side: int, segments: int) -> Callable[[], object]:
    return partial(by_torch, _slic(count, side, segments))


def _ssim(count: int, side: int, _: int) -> Callable[[], object]:
    return partial(ssim, _maps(count, side), _maps(count, side).flip(0))


def _table(count: int, side: int, segments: int) -> Callable[[], object]:
    maps = _maps(count, side)
    return partial(region_table, maps, Grid(segments)(maps))


def _loop_over_images(images: int) -> Callable[[], object]:
    maps = _maps(images, 8)
    regions = region_table(maps, Grid(4)(maps)).regions

    def walk() -> None:
        table = RegionTable(regions)
        for image in range(images):
            table.of_image(image)

    return walk


Maker = Callable[[int, int, int], Callable[[], object]]


def rows(quick: bool, rounds: int) -> Iterator[list[object]]:
    """Time each call at four numbers, and divide by the number, and by what the first takes."""
    makers: dict[str, Maker] = {
        "pool_segments": _pool,
        "pool_segments, ids up to 2**40 times as large": _pool_sparse,
        "Slic": _slic,
        **({} if compiled.find_library() is None else {"Slic, by torch": _slic_by_torch}),
        "ssim": _ssim,
        "region_table": _table,
    }
    for name, make in makers.items():
        if not quick:
            yield _row(name, "batch, 112 x 112", BATCHES, [make(count, 112, 50) for count in BATCHES], rounds)
            calls = [make(1, side, 50) for side in SIDES]
            yield _row(name, "pixels", [side**2 for side in SIDES], calls, rounds)
        if make is not _ssim:
            chosen = REGIONS if make is _table else SEGMENTS
            yield _row(
                name, "segments, 224 x 224", chosen, [make(1, 224, number) for number in chosen], rounds, divide=False
            )
    calls = [_loop_over_images(4 * images) for images in BATCHES]
    yield _row("of_image of every image", "images", [4 * images for images in BATCHES], calls, rounds)


def _row(
    name: str,
    unit: str,
    numbers: Sequence[int],
    calls: Sequence[Callable[[], object]],
    rounds: int,
    divide: bool = True,
) -> list[object]:
    times = least_times({str(place): call for place, call in enumerate(calls)}, rounds)
    each = [time / (number if divide else 1) for time, number in zip(times.values(), numbers, strict=True)]
    shown = [f"{number}: {value / each[0]:.2g}" for number, value in zip(numbers, each, strict=True)]
    return [name, unit, times["0"], *shown]
