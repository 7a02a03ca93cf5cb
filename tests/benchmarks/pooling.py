"""Cost of pooling beside a Saliency pass of a ResNet-18, as a ratio within one process."""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import captum
import torch
from captum.attr import Saliency

from captum_superpixel import pool_segments
from captum_superpixel.masks import Grid
from captum_superpixel.models.networks import resnet18


def seconds(function: Callable[[], object], device: torch.device) -> float:
    """Time one call, the device's queue included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="alternating measurements, of which the median is taken")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    versions = f"torch {torch.__version__}, captum {captum.__version__}, Python {platform.python_version()}"
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, device {device}, {versions}")
    print(f"medians of {arguments.rounds} alternating rounds, 224 x 224 pixels, 100 segments, float32\n")
    print("| batch | Saliency pass of a ResNet-18, ms | pooling, ms | ratio | slowest pooling / median |")
    print("|---|---|---|---|---|")
    model = resnet18().eval().to(device)
    saliency = Saliency(model)
    for batch_size in (1, 8):
        images = torch.rand(batch_size, 3, 224, 224, device=device, requires_grad=True)
        mask = Grid(100)(images)
        maps = saliency.attribute(images, target=0)

        def explain(images: torch.Tensor = images) -> object:
            return saliency.attribute(images, target=0)

        def pool(maps: torch.Tensor = maps, mask: torch.Tensor = mask) -> object:
            return pool_segments(maps, mask)

        pool()
        pairs = [(seconds(explain, device), seconds(pool, device)) for _ in range(arguments.rounds)]
        passes, pools = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
        ratio = statistics.median(pooled / explained for explained, pooled in pairs)
        worst = max(pooled for _, pooled in pairs) * 1000 / pools
        print(f"| {batch_size} | {passes:.1f} | {pools:.2f} | {ratio:.2%} | {worst:.1f} |")


if __name__ == "__main__":
    main()
