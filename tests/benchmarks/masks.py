"""Speed and quality of the mask generators, beside scikit-image and a Saliency pass, as ratios within one process.

Run it as ``python tests/benchmarks/masks.py``. It prints Markdown tables. The engines of other libraries that are
installed get rows too (see ``other_engines.py``).
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.metadata
import mmap
import platform
import pstats
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch
from captum.attr import Saliency
from numpy.typing import NDArray
from other_engines import OPTIONAL, is_installed
from scipy.ndimage import binary_dilation
from segment_quality import compactness, explained_variation
from skimage import data
from skimage.color import rgb2lab
from skimage.io import imread
from skimage.measure import label
from skimage.segmentation import find_boundaries, slic
from skimage.transform import resize
from sklearn.datasets import load_sample_images
from torch import Tensor

from captum_superpixel.masks import Cached, Felzenszwalb, Grid, Quickshift, SkimageSlic, Slic, Watershed
from captum_superpixel.models.networks import resnet18

Labels = NDArray[np.integer]
Engine = Callable[[Tensor], Iterable[Labels]]


def load_photographs(size: int, count: int | None = None) -> Tensor:
    """Crop and resize photographs to ``(N, 3, size, size)`` in [0, 1]."""
    loaded = [
        *(getattr(data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket", "camera")),
        *(getattr(data, name)() for name in ("hubble_deep_field", "retina", "immunohistochemistry")),
        imread(Path(skimage.__file__).parent / "data" / "motorcycle_left.png")[..., :3],
        *load_sample_images().images,
    ]
    images = []
    for image in loaded[:count]:
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        color = np.atleast_3d(image)[top : top + side, left : left + side] * np.ones(3)
        images.append(resize(color / 255, (size, size), anti_aliasing=size < side).clip(0, 1))
    return torch.from_numpy(np.stack(images)).float().movedim(-1, 1).contiguous()


def for_arrays(function: Callable[[NDArray[Any]], Labels]) -> Engine:
    """Make an engine for batches of one that takes one image ``(H, W, 3)`` in [0, 1]."""
    return lambda images: [function(image) for image in images.cpu().movedim(1, -1).contiguous().numpy()]


def other_engines(n_segments: int) -> dict[str, Engine]:
    """List the engines of optional packages that are installed."""
    return {
        name: for_arrays(partial(engine.segment, n_segments=n_segments))
        for name, engine in OPTIONAL.items()
        if is_installed(engine)
    }


def skimage_defaults(image: NDArray[Any], n_segments: int) -> Labels:
    """Segment by scikit-image as it comes."""
    labels: Labels = slic(image, n_segments, start_label=0)
    return labels


def alternate(functions: dict[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Time functions in turns, so that what slows the machine slows all of them: seconds of each round."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: dict[str, list[float]], name: str, reference: str) -> float:
    """Divide two times round by round, and take the median."""
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=True))


def print_table(header: list[str], rows: Iterable[list[object]]) -> None:
    """Print a Markdown table, each row when it is there."""
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        texts = [f"{float(f'{cell:.3g}'):,g}" if isinstance(cell, float) else str(cell) for cell in row]
        print("| " + " | ".join(texts) + " |", flush=True)
    print()


def speed_rows(sizes: list[int], batches: list[int], rounds: int, device: torch.device) -> Iterable[list[object]]:
    """Compare Slic with scikit-image, one image after the other and in two threads."""
    for size in sizes:
        photographs = load_photographs(size)
        for batch in batches:
            images = photographs[torch.arange(batch) % len(photographs)]
            arrays = list(images.movedim(1, -1).contiguous().numpy())
            moved = images.to(device)
            with ThreadPoolExecutor(2) as pool:
                times = alternate(
                    {
                        "Slic": partial(Slic(), moved),
                        "loop": lambda arrays=arrays: [skimage_defaults(array, 100) for array in arrays],
                        "pool": lambda arrays=arrays: list(pool.map(partial(skimage_defaults, n_segments=100), arrays)),
                        "SkimageSlic": partial(SkimageSlic(num_threads=1), images),
                        "SkimageSlic, 2": partial(SkimageSlic(num_threads=2), images),
                    },
                    max(1, min(rounds, round(4e7 / (size * size * batch)))),
                    device,
                )
            taken = statistics.median(times["Slic"]) / batch
            yield [
                size,
                batch,
                1000 * taken,
                round(1 / taken),
                *(ratio(times, name, "Slic") for name in ("loop", "pool", "SkimageSlic", "SkimageSlic, 2")),
            ]


def saliency_rows(batches: list[int], rounds: int, device: torch.device) -> Iterable[list[object]]:
    """Compare every generator with a Saliency pass of a ResNet-18 at 224 pixels."""
    saliency = Saliency(resnet18().eval().to(device))
    for batch in batches:
        photographs = load_photographs(224)
        images = photographs[torch.arange(batch) % len(photographs)].to(device)
        differentiable = images.clone().requires_grad_()
        generators = {
            **{
                repr(generator): generator
                for generator in (Slic(), SkimageSlic(), Watershed(), Felzenszwalb(), Quickshift(), Grid())
            },
            "Cached(Slic()), known images": Cached(Slic()),
            **other_engines(100),
        }
        functions: dict[str, Callable[[], object]] = {
            name: partial(generator, images) for name, generator in generators.items()
        }
        functions["Saliency"] = partial(saliency.attribute, differentiable, target=0)
        times = alternate(functions, rounds, device)
        for name in functions:
            yield [batch, name, 1000 * statistics.median(times[name]) / batch, 100 * ratio(times, name, "Saliency")]


def boundary_recall(segments: Labels, reference: Labels) -> float:
    """Tell what share of the reference's borders has one of these within two pixels."""
    near = binary_dilation(find_boundaries(segments), np.ones((5, 5)))
    return float(near[find_boundaries(reference)].mean())


def quality_rows(sizes: list[int], n_segments: int, device: torch.device) -> Iterable[list[object]]:
    """Compare segments, each engine with Slic at the same number of them, image by image."""
    for size in sizes:
        photographs = load_photographs(size)
        colors = list(rgb2lab(photographs.movedim(1, -1).numpy()))
        reference = list(for_arrays(partial(skimage_defaults, n_segments=n_segments))(photographs))
        generators = (Slic(n_segments), SkimageSlic(n_segments), Watershed(n_segments), Felzenszwalb(), Quickshift())
        engines: dict[str, Engine] = {
            repr(g): lambda images, g=g: g(images.to(device))[:, 0].cpu().numpy()  # type: ignore[misc]
            for g in (*generators, Grid(n_segments))
        }
        engines["skimage.segmentation.slic"] = lambda images, masks=reference: masks  # type: ignore[misc]
        for name, engine in (engines | other_engines(n_segments)).items():
            segments = list(engine(photographs))
            counts = [len(np.unique(one)) for one in segments]
            components = [int(label(one, connectivity=1, background=-1).max()) for one in segments]
            same = [Slic(count)(image[None])[0, 0].numpy() for count, image in zip(counts, photographs, strict=True)]
            yield [
                size,
                name,
                f"{statistics.median(counts):.0f} ({min(counts)}-{max(counts)})",
                statistics.mean(map(explained_variation, segments, colors)),
                statistics.mean(map(explained_variation, same, colors)),
                statistics.mean(map(boundary_recall, segments, reference)),
                statistics.mean(map(compactness, segments)),
                sum(components) / sum(counts),
            ]


class PeakMemory:
    """Watches how much more memory the process holds than at first, in MB, where Linux tells."""

    def __enter__(self) -> PeakMemory:
        self.before = self.peak = self.held()
        self.done = threading.Event()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.done.set()
        self.watcher.join()

    def held(self) -> float:
        """Read the resident memory."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 1e6

    def watch(self) -> None:
        """Keep the largest."""
        while not self.done.wait(0.0005):
            self.peak = max(self.peak, self.held())


def memory_rows(device: torch.device) -> Iterable[list[object]]:
    """Measure how far the memory rises above what is there before images are segmented, the mask included."""
    for count, size in ((64, 224), (1, 4096)):
        images = torch.rand(count, 3, size, size, device=device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            Slic()(images)
            yield [f"{count} x {size} x {size}", (torch.cuda.max_memory_allocated() - before) / 1e6]
        elif Path("/proc/self/statm").exists():
            with PeakMemory() as memory:
                Slic()(images)
            yield [f"{count} x {size} x {size}", memory.peak - memory.before]


def profile_rows(rounds: int) -> Iterable[list[object]]:
    """Say where the time of Slic goes: 8 images at 224 pixels, on one thread of the CPU, which cProfile can follow."""
    stages = {
        "_segment_parts": "all",
        "_assign": "assigning every pixel once",
        "keep_largest": "making segments connected",
        "find_components": "- of which labeling the components",
        "_move_centers": "moving the centers",
        "scale_pixels": "scaling",
        "colors": "blurring, and converting to CIELAB",
    }
    images, generator = load_photographs(224)[:8], Slic()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator(images)
        profiler = cProfile.Profile()
        profiler.enable()
        for _ in range(2 * rounds):
            generator(images)
        profiler.disable()
    finally:
        torch.set_num_threads(threads)
    entries = pstats.Stats(profiler).get_stats_profile().func_profiles
    for name, stage in stages.items():
        milliseconds = 1000 * entries[name].cumtime / (2 * rounds * len(images))
        yield [stage, milliseconds, 100 * entries[name].cumtime / entries["_segment_parts"].cumtime]


def processor(device: torch.device) -> str:
    """Name what computes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="small images, small batches and few rounds")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    rounds = 3 if arguments.quick else 9
    names = ("torch", "captum", "scikit-image", "numpy", "scipy")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    print(f"{processor(device)}, {torch.get_num_threads()} threads, device {device}")
    print(", ".join([*versions, f"Python {platform.python_version()}"]))
    print(f"photographs, 100 segments; medians of up to {rounds} rounds in turns\n")

    if device.type != "cpu":
        photographs = load_photographs(224)
        alike = (Slic()(photographs.to(device)).cpu() == Slic()(photographs)).float().mean()
        print(f"{100 * alike:.4f} % of the pixels have the label that they have on the CPU\n")
    print("Where the time of Slic goes: 224 pixels, batch of 8, one thread of the CPU\n")
    print_table(["stage", "ms per image", "%"], profile_rows(rounds))
    print("Memory above that before, in MB\n")
    print_table(["images", "MB"], memory_rows(device))
    print("Speed of Slic, and how many times its time scikit-image takes\n")
    print_table(
        [
            "pixels",
            "batch",
            "ms per image",
            "images per second",
            "loop",
            "2 threads",
            "SkimageSlic",
            "SkimageSlic, 2 threads",
        ],
        speed_rows(
            [32, 224] if arguments.quick else [32, 224, 512, 1024],
            [1, 8] if arguments.quick else [1, 8, 32],
            rounds,
            device,
        ),
    )
    print("Every generator in per cent of a Saliency pass of a ResNet-18, 224 pixels\n")
    print_table(
        ["batch", "generator", "ms per image", "%"],
        saliency_rows([8] if arguments.quick else [1, 8, 32], rounds, device),
    )
    print("Quality: means over photographs\n")
    print_table(
        [
            "pixels",
            "engine",
            "segments",
            "explained variation",
            "that of Slic at as many",
            "boundary recall",
            "compactness",
            "components per segment",
        ],
        quality_rows([32, 224] if arguments.quick else [32, 224, 512], 100, device),
    )


if __name__ == "__main__":
    main()
