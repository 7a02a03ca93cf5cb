"""How much a GPU would be asked for, and how often the host would wait for it, counted on a simulated device.

Run it as ``python tests/benchmarks/launches.py``. It prints a Markdown table. Counted are dispatched operations that a
GPU has a kernel for, copies included, not views and allocations; the host waits for numbers, for copies to the CPU, and
for results whose shape depends on values. A launch takes a GPU and the host some microseconds whatever the size, so for
small images and batches the counts decide, and not the arithmetic. Some, such as sorts, are several launches.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from masks import load_photographs, print_table

from captum_superpixel import ensemble_regions, pool_segments, region_table
from captum_superpixel.attr import segment_images
from captum_superpixel.masks import Grid, Slic, _components, hierarchy, multiscale

sys.path.append(str(Path(__file__).parents[1] / "foreign"))

from foreign_device import Count, counted, foreign


def count_twice(call: Callable[[], object]) -> list[Count]:
    """Count for the first batch of its kind, and for the next, which finds tables that are kept."""
    counts = []
    for _ in range(2):
        with counted() as count:
            call()
        counts.append(count)
    return counts


def rows(batch: int, size: int) -> Iterable[list[object]]:
    """Count for a batch of photographs."""
    photographs = load_photographs(size)
    # Shifted copies, so that no two images are the same.
    shifts = [photographs[n % len(photographs)].roll(7 * (n // len(photographs)), dims=2) for n in range(batch)]
    images = foreign(torch.stack(shifts))
    maps, mask = images - 0.5, Slic()(images)
    calls: dict[str, Callable[[], object]] = {
        "`Slic()`": lambda: Slic()(images),
        "`multiscale()`": lambda: segment_images(multiscale(), images),
        "`Grid()`": lambda: Grid()(images),
        "`hierarchy`": lambda: hierarchy(images[:4]),
        "`pool_segments`": lambda: pool_segments(maps, mask),
        "`region_table`": lambda: region_table(maps[:4], mask[:4]),
        "`ensemble_regions`": lambda: ensemble_regions(maps[:4], [mask[:4], mask[:4]]),
    }
    for name, call in calls.items():
        for parallel in [False, True] if name in ("`Slic()`", "`multiscale()`") else [False]:
            _components._PARALLEL.difference_update({"foreign"})
            if parallel:
                _components._PARALLEL.add("foreign")
            _, count = count_twice(call)
            labeled = "on the device, as on CUDA" if parallel else "on the CPU" if "(" in name else ""
            yield [name, labeled, *(part.total() for part in (count.launches, count.reads, count.uploads))]
    _components._PARALLEL.difference_update({"foreign"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    print_table(
        ["call", "components are labeled", "launches", "the host waits", "uploads"], rows(options.batch, options.size)
    )
