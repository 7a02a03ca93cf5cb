"""CPU time of ``Slic`` compiled and by torch, beside scikit-image, on one thread, in turns within one process.

Run it as ``python tests/benchmarks/engines.py`` after ``captum-superpixel compile``. It prints Markdown tables, of the
least time of some rounds: on a machine that does other things as well, that is what comes nearest to the work itself.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from captum.attr import Saliency
from masks import load_photographs, print_table, processor, skimage_defaults
from torch import Tensor

from captum_superpixel.masks import Slic, describe_engine
from captum_superpixel.masks.slic import compiled
from captum_superpixel.models.networks import resnet18

SIZES = ((32, 1, 0.2), (32, 32, 0.09), (224, 1, 1.0), (224, 8, 0.7), (512, 8, 2.5), (1024, 1, 5.0))
"""Pixels, batch, and how many milliseconds per image the compiled engine is meant to take on a quiet machine."""


def by_torch(call: Callable[[], object]) -> None:
    """Call something while there is no machine code."""
    find, compiled.find_library = compiled.find_library, lambda: None
    try:
        call()
    finally:
        compiled.find_library = find


def least_times(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Take the CPU time of functions in turns, each for a fiftieth of a second: the least of each, in milliseconds."""
    least = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start, calls = time.process_time(), 0
            while calls == 0 or time.process_time() - start < 0.02:
                function()
                calls += 1
            least[name] = min(least[name], 1000 * (time.process_time() - start) / calls)
    return least


def batch_of(size: int, count: int) -> Tensor:
    """Take as many photographs, over and over if need be."""
    photographs = load_photographs(size)
    return photographs[torch.arange(count) % len(photographs)].contiguous()


def rows(rounds: int) -> Iterator[list[object]]:
    """Compare the engines for each size and batch."""
    for size, count, target in SIZES:
        images = batch_of(size, count)
        arrays = list(images.movedim(1, -1).contiguous().numpy())
        functions: dict[str, Callable[[], object]] = {
            "compiled": partial(Slic(), images),
            "torch": partial(by_torch, partial(Slic(), images)),
            "scikit-image": lambda arrays=arrays: [skimage_defaults(array, 100) for array in arrays[:4]],
        }
        least = least_times(functions, rounds)
        ours, torchs = least["compiled"] / count, least["torch"] / count
        theirs = least["scikit-image"] / min(count, 4)
        yield [size, count, target, ours, torchs, theirs, torchs / ours, theirs / ours]


def share_rows(rounds: int) -> Iterator[list[object]]:
    """Compare the engines with a Saliency pass of a ResNet-18 over eight images of 224 pixels."""
    images = batch_of(224, 8)
    saliency = Saliency(resnet18().eval())
    functions: dict[str, Callable[[], object]] = {
        "compiled": partial(Slic(), images),
        "torch": partial(by_torch, partial(Slic(), images)),
        "Saliency": partial(saliency.attribute, images.clone().requires_grad_(), target=0),
    }
    least = least_times(functions, rounds)
    for name in ("compiled", "torch"):
        yield [name, 100 * least[name] / least["Saliency"]]


def seconds_to_compile() -> float:
    """Take the CPU time of ``captum-superpixel compile``, imports included, into a cache folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "captum_superpixel", "compile", "--force"]
        subprocess.run(command, check=True, env=os.environ | {"XDG_CACHE_HOME": folder}, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = ("torch", "scikit-image", "numpy", "numba")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    print(f"{processor(torch.device('cpu'))}, one thread; {', '.join(versions)}, Python {platform.python_version()}")
    print(f"{describe_engine()}; photographs, 100 segments; least of {arguments.rounds} rounds\n")
    header = ["pixels", "batch", "target", "compiled, ms per image", "torch", "scikit-image", "torch / compiled"]
    print_table([*header, "scikit-image / compiled"], rows(arguments.rounds))
    print("In per cent of a Saliency pass of a ResNet-18, 224 pixels, batch of 8; the target is 3\n")
    print_table(["engine", "%"], share_rows(arguments.rounds))
    print(f"Compiling takes {min(seconds_to_compile() for _ in range(3)):.1f} s, imports included; least of 3 times")


if __name__ == "__main__":
    main()
