"""What a list of mask generators costs, against its members one by one, as ratios within one process.

Run it as ``python tests/benchmarks/ensembles.py``. It prints a Markdown table.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import skimage.data
import torch
from skimage.transform import resize
from torch import Tensor

from captum_superpixel.masks import Felzenszwalb, SkimageSlic, Slic, Watershed, multiscale
from captum_superpixel.masks.base import ImageMaskGenerator, segment_with_all

ENSEMBLES: dict[str, list[ImageMaskGenerator]] = {
    "multiscale()": [*multiscale()],
    "6 Slics, 6 numbers of segments": [
        Slic(count, weight) for count, weight in ((20, 10), (30, 20), (45, 5), (70, 10), (100, 15), (150, 10))
    ],
    "1 Slic, 4 by scikit-image": [Slic(30), Felzenszwalb(50), Felzenszwalb(200), SkimageSlic(30), Watershed(30)],
}


def load_photographs(size: int, count: int) -> Tensor:
    """Crop and resize photographs to ``(count, 3, size, size)`` in [0, 1]; the same ones again where there are few."""
    images = []
    for name in ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "retina", "immunohistochemistry"):
        photograph = getattr(skimage.data, name)()
        side = min(photograph.shape[:2])
        images.append(resize(photograph[:side, :side] / 255, (size, size), anti_aliasing=True).clip(0, 1))
    photographs = torch.from_numpy(np.stack(images)).float().movedim(-1, 1).contiguous()
    return photographs[torch.arange(count) % len(photographs)]


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def rows(sizes: list[int], batches: list[int], rounds: int, device: torch.device) -> Iterator[list[object]]:
    """Call the members one by one and together in turns, so that what slows the machine slows both."""
    for size in sizes:
        for batch in batches:
            images = load_photographs(size, batch).to(device)
            for name, members in ENSEMBLES.items():
                alone, together = [], []
                for turn in range(rounds + 1):
                    first = seconds(lambda: [member(images) for member in members], device)  # noqa: B023
                    second = seconds(lambda: segment_with_all(members, images), device)  # noqa: B023
                    if turn:
                        alone.append(first)
                        together.append(second)
                ratio = statistics.median(b / a for a, b in zip(alone, together, strict=True))
                yield [name, size, batch, 1000 * statistics.median(alone), 1000 * statistics.median(together), ratio]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="small images and few rounds")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    rounds = 3 if arguments.quick else 9
    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads,"
    )
    print(f"device {device}; medians of {rounds} rounds in turns\n")
    print("| ensemble | pixels | batch | one by one, ms | together, ms | ratio |\n|---|---|---|---|---|---|")
    for name, size, batch, alone, together, ratio in rows(
        [32] if arguments.quick else [32, 48, 224], [8] if arguments.quick else [8, 32], rounds, device
    ):
        print(f"| {name} | {size} | {batch} | {alone:.1f} | {together:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
