"""``Slic`` and ``multiscale`` on a GPU: images per second, agreement with the CPU, share of a Saliency pass.

Run it as ``python tests/benchmarks/gpu.py`` where there is one. It prints Markdown tables of wall time, each call until
the GPU is done, medians in turns within one process. With few images the host decides, which asks for every operation;
``launches.py`` counts them without a GPU. Where the CPU has machine code (``captum-superpixel compile``), it segments
what is worth copying; ``CAPTUM_SUPERPIXEL_ENGINE=torch`` leaves all to the GPU.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from captum.attr import Saliency
from masks import load_photographs, print_table, processor
from torch import Tensor, nn

from captum_superpixel import SuperpixelGrouped, pool_segments
from captum_superpixel.attr import segment_images
from captum_superpixel.masks import Slic, describe_engine, multiscale
from captum_superpixel.models.networks import resnet18


def in_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Time calls in turns, after one of each that is not counted: the median of each, in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            torch.cuda.synchronize()
            start = time.perf_counter()
            call()
            torch.cuda.synchronize()
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(taken) for name, taken in times.items()}


def batch_of(size: int, count: int, device: torch.device) -> Tensor:
    """Shift photographs, so that no two images are the same: ``(count, 3, size, size)``."""
    photographs = load_photographs(size)
    shifts = [photographs[n % len(photographs)].roll(7 * (n // len(photographs)), dims=2) for n in range(count)]
    return torch.stack(shifts).to(device)


def speed_rows(sizes: list[int], device: torch.device, rounds: int) -> Iterator[list[object]]:
    """Time both for sizes and batches, on the GPU and on the CPU beside it."""
    for size in sizes:
        for count in (1, 8, 64):
            images = batch_of(size, count, device)
            calls = {"Slic": lambda: Slic()(images), "list": lambda: segment_images(multiscale(), images)}  # noqa: B023
            taken = in_turns(calls, rounds)
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            calls["Slic"]()
            memory = (torch.cuda.max_memory_allocated() - before) / 1e6
            host = images.cpu()
            start = time.perf_counter()
            expected = Slic()(host)
            on_cpu = 1000 * (time.perf_counter() - start)
            alike = (Slic()(images).cpu() == expected).float().mean()
            yield [
                size,
                count,
                taken["Slic"],
                1000 * count / taken["Slic"],
                taken["list"],
                1000 * count / taken["list"],
                on_cpu / taken["Slic"],
                100 * float(alike),
                memory,
            ]


def large_network() -> tuple[str, nn.Module]:
    """Make torchvision's ResNet-50 where torchvision is installed, else a ResNet-18."""
    try:
        return "ResNet-50", importlib.import_module("torchvision.models").resnet50(weights=None).eval()
    except ImportError:
        return "ResNet-18", resnet18().eval()


def share_rows(device: torch.device, rounds: int) -> Iterator[list[object]]:
    """Compare with a Saliency pass of a large network at 224 pixels."""
    name, network = large_network()
    network.to(device)
    saliency = Saliency(network)
    for count in (1, 8, 64):
        images = batch_of(224, count, device).requires_grad_()
        maps, mask = saliency.attribute(images, target=0), Slic()(images)
        taken = in_turns(
            {
                "pass": lambda: saliency.attribute(images, target=0),  # noqa: B023
                "Slic": lambda: Slic()(images),  # noqa: B023
                "list": lambda: segment_images(multiscale(), images),  # noqa: B023
                "pooling": lambda: pool_segments(maps, mask),  # noqa: B023
                "grouped": lambda: SuperpixelGrouped(saliency, Slic()).attribute(images, target=0),  # noqa: B023
            },
            rounds,
        )
        own = [100 * taken[part] / taken["pass"] for part in ("Slic", "list", "pooling", "grouped")]
        yield [name, count, taken["pass"], *own]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU, which tells the GPU what to do")
    parser.add_argument("--sizes", type=int, nargs="*", default=[32, 224, 512])
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    print(f"{processor(device)}, {options.threads} threads of {processor(torch.device('cpu'))}; photographs")
    print(f"torch {torch.__version__}, Python {platform.python_version()}; engine of the CPU {describe_engine()}\n")
    print_table(
        [
            "pixels",
            "batch",
            "`Slic()`, ms",
            "images per s",
            "`multiscale()`, ms",
            "images per s",
            "CPU / GPU",
            "labels as on the CPU, %",
            "MB",
        ],
        speed_rows(options.sizes, device, options.rounds),
    )
    print("In per cent of a Saliency pass at 224 pixels\n")
    print_table(
        ["network", "batch", "pass, ms", "`Slic()`", "`multiscale()`", "pooling", "grouped pass"],
        share_rows(device, options.rounds),
    )


if __name__ == "__main__":
    main()
