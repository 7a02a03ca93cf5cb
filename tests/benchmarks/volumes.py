"""Speed and memory of Slic on volumes, compiled and by torch, beside scikit-image, in turns within one process.

    python tests/benchmarks/volumes.py [--quick] [--torch]

Run ``captum-superpixel compile`` first. Memory is that of the compiled engine, or with ``--torch`` of torch.

Volumes are smooth with noise, a made-up scan: scikit-image's own are downloads. Times are CPU times of one thread.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial

import torch
from skimage.segmentation import slic
from torch import Tensor
from torch.nn.functional import interpolate

from captum_superpixel._untyped import tabulate
from captum_superpixel.masks import Slic, describe_engine
from captum_superpixel.masks.slic import compiled


def make_volume(*size: int, noise: float = 0.02) -> Tensor:
    """Make a gray volume ``(1, 1, D, H, W)`` that changes over a tenth of its sides."""
    generator = torch.Generator().manual_seed(0)
    volume = interpolate(torch.rand(1, 1, 8, 12, 12, generator=generator), size, mode="trilinear")
    return volume + noise * torch.randn(volume.shape, generator=generator)


def seconds(function: Callable[[], object]) -> float:
    """Measure the CPU time of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def by_torch(call: Callable[[], object]) -> None:
    """Call something while there is no machine code."""
    find, compiled.find_library = compiled.find_library, lambda: None
    try:
        call()
    finally:
        compiled.find_library = find


def speed_rows(size: tuple[int, int, int], counts: Iterable[int], rounds: int) -> Iterable[list[object]]:
    """Time volumes, their slices as a batch of images with segments as long, and scikit-image on the volume."""
    for noise in (0.02, 0.1):
        volume = make_volume(*size, noise=noise)
        slices = volume[0].transpose(0, 1).contiguous()
        scaled = ((volume - volume.min()) / (volume.max() - volume.min()))[0, 0].numpy()
        for count in counts:
            side = (volume.numel() / count) ** (1 / 3)
            per_slice = max(2, round(size[1] * size[2] / side**2))
            calls: dict[str, Callable[[], object]] = {
                "volume": partial(Slic(count), volume),
                "torch": partial(by_torch, partial(Slic(count), volume)),
                "spaced": partial(Slic(count, spacing=(3, 1, 1)), volume),
                "slices": partial(Slic(per_slice), slices),
                "loop": lambda count=count, scaled=scaled: slic(  # type: ignore[misc]
                    scaled, count, compactness=0.1, channel_axis=None, start_label=0
                ),
            }
            times: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(rounds):
                for name, call in calls.items():
                    times[name].append(seconds(call))
            middle = {name: statistics.median(values) for name, values in times.items()}
            yield [
                noise,
                count,
                1e9 * middle["volume"] / volume.numel(),
                1e9 * middle["torch"] / volume.numel(),
                middle["torch"] / middle["volume"],
                middle["spaced"] / middle["volume"],
                middle["volume"] / middle["slices"],
                middle["loop"] / middle["volume"],
            ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small volume, and no measure of memory")
    parser.add_argument("--torch", action="store_true", help="measure the memory of torch, and no time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.torch:
        os.environ["CAPTUM_SUPERPIXEL_ENGINE"] = "torch"
    print(describe_engine())
    header = ["noise", "segments", "compiled, ns per voxel", "torch", "torch / compiled", "spacing 3 : 1 : 1"]
    header += ["of its slices' time", "scikit-image's loop"]
    if not arguments.torch:
        rows = speed_rows((32, 128, 128) if arguments.quick else (48, 160, 160), (50, 500), 7)
        print(tabulate(list(rows), header, tablefmt="github", floatfmt=".3g"), flush=True)
    if not arguments.quick:
        for count in (100, 3000):
            volume = make_volume(128, 512, 512, noise=0.05)
            Slic(count)(volume)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            print(f"128 x 512 x 512, {count} segments: a process with the volume in it has held up to {peak:.2f} GB")


if __name__ == "__main__":
    main()
