"""Time and memory of this package beside others that do the same, on one thread, in turns within one process.

    python tests/benchmarks/peers.py [--only segmentation ssim insertion road kernelshap xrai growth] [--quick]

Prints Markdown tables of CPU times, the least of some rounds each, and of their ratios: above 1, this package is the
faster one. Memory is what the resident memory rises by while a call runs in a process of its own, on Linux. Nothing of
what it is compared with is needed; what is missing is left out, with a line that says so. It can be put aside by

    pip install --no-deps --target DIR quantus torchmetrics lightning-utilities grad-cam ttach lime shap slicer \
        saliency opencv-contrib-python-headless simpleitk

and found there by PYTHONPATH=DIR.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import platform

import torch
from masks import print_table, processor
from peers_timing import measure, missing_lines

from captum_superpixel.masks import describe_engine

SUBJECTS = ("segmentation", "ssim", "insertion", "road", "kernelshap", "xrai", "growth")

_PACKAGES = (
    *("torch", "captum", "numpy", "scipy", "scikit-image", "opencv-contrib-python-headless", "simpleitk"),
    *("torchmetrics", "quantus", "grad-cam", "lime", "shap", "saliency"),
)


def version_of(package: str) -> str | None:
    """Say which version of a package is installed."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=SUBJECTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small images, and no measure of memory")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # OpenMP and BLAS of other libraries read these when they are imported.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    print(f"{processor(torch.device('cpu'))}, one thread; {', '.join(filter(None, map(version_of, _PACKAGES)))},")
    print(f"Python {platform.python_version()}; {describe_engine()}; least of {options.rounds} rounds\n")
    for subject in options.only:
        module = importlib.import_module(f"peers_{subject}")
        print(f"{module.TITLE}\n", flush=True)
        if subject == "growth":
            header = ["call", "by", "ms at first", "1st", "2nd", "3rd", "4th"]
            print_table(header, module.rows(options.quick, options.rounds))
            continue
        header = ["task", "by", "theirs, ms", "ours, ms", "theirs / ours", "theirs, MB", "ours, MB"]
        memory = not options.quick
        print_table(
            header, (row for case in module.cases(options.quick) for row in measure(case, options.rounds, memory))
        )
        for line in missing_lines():
            print(f"{line}\n")


if __name__ == "__main__":
    main()
