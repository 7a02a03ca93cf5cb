"""Quality of mask generators on BSDS500, beside the superpixels of other libraries: tables and curves.

    python tests/benchmarks/bsds.py --root bsds500 --segments 200 --out bsds
    python tests/benchmarks/bsds.py --root bsds500 --images 60 --segments 50 100 200 400 800 --out bsds

``--root`` holds the Berkeley Segmentation Data Set as it is distributed: images/test/NAME.jpg and
groundTruth/test/NAME.mat. Every image is compared with each of its human segmentations, and the results are averaged.
What ``--out`` has of an image is not measured again, and the tables are of the images of which it has every engine:
remove it when an engine has changed. Times are those of the CPU, on one thread, one image at a time, conversions of
color included.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from other_engines import OPTIONAL, OneImage, is_installed, scikit_image
from scipy.io import loadmat
from scipy.stats import bootstrap
from segment_quality import (
    Labels,
    achievable_accuracy,
    boundaries,
    compactness,
    explained_variation,
    share_near,
    undersegmentation_error,
)
from skimage.color import rgb2lab
from skimage.io import imread
from tabulate import tabulate
from tqdm.auto import tqdm

from captum_superpixel._files import replacing
from captum_superpixel.masks import Felzenszwalb, Grid, Quickshift, SkimageSlic, Slic, Watershed
from captum_superpixel.masks.base import ImageMaskGenerator

TOLERANCE = 2
"""How many rows or columns a boundary may be away from where a person drew it, as Neubert and Protzel have it."""

MEASURES = {
    "recall": "boundary recall",
    "precision": "boundary precision",
    "ue": "undersegmentation error",
    "asa": "achievable accuracy",
    "ev": "explained variation",
    "compactness": "compactness",
    "ms": "CPU time, ms",
}


def ours(make: Any, image: Labels, n_segments: int) -> Labels:
    """Segment by a generator of this library, on the pixels as they are."""
    generator: ImageMaskGenerator = make(n_segments, denormalize=(0.0, 1.0))
    return generator(torch.from_numpy(image).movedim(-1, 0)[None])[0, 0].numpy()


def felzenszwalb(n_segments: int, **options: Any) -> Felzenszwalb:
    """Set Felzenszwalb so that it makes more segments the more are asked for: with about 200 as it comes."""
    return Felzenszwalb(scale=20_000 / n_segments, min_size=max(1, 20_000 // n_segments), num_threads=1, **options)


def quickshift(n_segments: int, **options: Any) -> Quickshift:
    """Set Quickshift so that it makes more segments the more are asked for."""
    return Quickshift(kernel_size=max(1.0, 30 / n_segments**0.5), num_threads=1, **options)


ENGINES: dict[str, OneImage] = {
    "Slic": partial(ours, Slic),
    "Slic(compactness=7)": partial(ours, partial(Slic, compactness=7)),
    "SkimageSlic": partial(ours, partial(SkimageSlic, num_threads=1)),
    "SkimageSlic(compactness=7)": partial(ours, partial(SkimageSlic, compactness=7, num_threads=1)),
    "Watershed": partial(ours, partial(Watershed, num_threads=1)),
    "Felzenszwalb": partial(ours, felzenszwalb),
    "Quickshift": partial(ours, quickshift),
    "Grid": partial(ours, Grid),
    "skimage slic": scikit_image,
    "skimage slic_zero": partial(scikit_image, zero=True),
    **{name: engine.segment for name, engine in OPTIONAL.items()},
}


Results = dict[str, list[dict[str, float]]]
"""From an engine to its measures of each image."""


class Photograph:
    """A photograph of the data set, and the segmentations that people have drawn of it."""

    def __init__(self, root: Path, split: str, name: str) -> None:
        self.pixels = imread(root / "images" / split / f"{name}.jpg").astype(np.float32) / 255
        self.lab = rgb2lab(self.pixels)
        drawn = loadmat(root / "groundTruth" / split / f"{name}.mat")["groundTruth"].ravel()
        self.regions = [one["Segmentation"][0, 0].astype(np.int64) for one in drawn]
        self.boundaries = [boundaries(regions) for regions in self.regions]

    def measure(self, engine: OneImage, n_segments: int) -> dict[str, float]:
        """Segment it by an engine, and compare."""
        start = time.process_time()
        labels = engine(self.pixels, n_segments)
        seconds = time.process_time() - start
        segments = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
        found = boundaries(segments)
        return {
            "segments": int(segments.max()) + 1,
            "recall": mean(share_near(drawn, found, TOLERANCE) for drawn in self.boundaries),
            "precision": mean(share_near(found, drawn, TOLERANCE) for drawn in self.boundaries),
            "ue": mean(undersegmentation_error(segments, regions) for regions in self.regions),
            "asa": mean(achievable_accuracy(segments, regions) for regions in self.regions),
            "ev": explained_variation(segments, self.lab),
            "compactness": compactness(segments),
            "ms": 1000 * seconds,
        }


def mean(values: Any) -> float:
    """Average numbers."""
    return float(np.mean(list(values)))


def measure_image(root: Path, split: str, name: str, engines: Sequence[str], counts: Sequence[int], kept: Path) -> None:
    """Measure what is not in the file of an image yet: from an engine and a number of segments to measures."""
    results = json.loads(kept.read_text()) if kept.exists() else {}
    missing = [(engine, count) for engine in engines for count in counts if f"{engine}, {count}" not in results]
    if not missing:
        return
    photograph = Photograph(root, split, name)
    for engine, count in missing:
        results[f"{engine}, {count}"] = photograph.measure(ENGINES[engine], count)
    with replacing(kept) as temporary:
        temporary.write_text(json.dumps(results, indent=1))


def read_results(folder: Path, engines: Sequence[str], counts: Sequence[int]) -> dict[int, Results]:
    """Read the measures of the images that have every engine at each of these numbers of segments."""
    images = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    keys = {count: {engine: f"{engine}, {count}" for engine in engines} for count in counts}
    complete = [image for image in images if all(key in image for row in keys.values() for key in row.values())]
    return {
        count: {engine: [image[key] for image in complete] for engine, key in keys[count].items()} for count in counts
    }


def brief(value: float) -> str:
    """Write a number with three digits and without the zero before the point."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.0f}"


def averages(results: list[dict[str, float]]) -> dict[str, float]:
    """Average every measure over images."""
    return {key: mean(result[key] for result in results) for key in ("segments", *MEASURES)}


def print_table(results: Results, count: int) -> None:
    """Print the means over images as a Markdown table."""
    rows = []
    for engine, measured in results.items():
        means = averages(measured)
        rows.append([engine, f"{means.pop('segments'):.0f}", *(brief(value) for value in means.values())])
    print(f"\n{count} segments asked for, {len(next(iter(results.values())))} images\n")
    print(tabulate(rows, ["engine", "segments", *MEASURES.values()], tablefmt="github", disable_numparse=True))


def print_differences(results: Results, first: str, second: str) -> None:
    """Print the mean difference of two engines over images for every measure, with a 95 % interval by the bootstrap."""
    print(f"\n{first} less {second}\n")
    for key, title in MEASURES.items():
        differences = np.array([a[key] - b[key] for a, b in zip(results[first], results[second], strict=True)])
        interval = bootstrap((differences,), np.mean, method="percentile", rng=np.random.default_rng(0))
        low, high = interval.confidence_interval
        mean, least, most = (
            np.format_float_positional(value, 2, fractional=False, trim="-", sign=True)
            for value in (differences.mean(), low, high)
        )
        print(f"- {title} {mean} ({least} to {most})")


def draw_curves(folder: Path, engines: Sequence[str], counts: Sequence[int], path: Path) -> None:
    """Draw every measure over the number of segments obtained, of the images that have all of these numbers."""
    mpl.use("agg")
    figure, panels = plt.subplots(2, 4, figsize=(15, 7.5), layout="constrained")
    found = read_results(folder, engines, counts).values()
    for number, engine in enumerate(engines):
        points = [averages(results[engine]) for results in found]
        style = {"linewidth": 2.4, "zorder": 3} if engine.startswith("Slic") else {"linewidth": 1.1}
        for panel, (key, title) in zip(panels.flat, MEASURES.items(), strict=False):
            panel.plot(
                [point["segments"] for point in points],
                [point[key] for point in points],
                label=engine,
                color=plt.get_cmap("tab20")(number),
                marker="osd^v"[number % 5],
                markersize=4,
                **style,
            )
            panel.set(title=title, xscale="log", xticks=counts, xticklabels=counts, xlabel="segments obtained")
            panel.minorticks_off()
            panel.set_yscale("log" if key == "ms" else "linear")
    panels.flat[-1].axis("off")
    panels.flat[-1].legend(*panels.flat[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of BSDS500, with images/ and groundTruth/")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--images", type=int, help="how many images, the first by name; all by default")
    parser.add_argument("--segments", type=int, nargs="+", default=[50, 100, 200, 400, 800])
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES), metavar="ENGINE")
    parser.add_argument("--out", type=Path, required=True, help="folder for the measures of each image and the curves")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    kept = options.out / options.split
    kept.mkdir(parents=True, exist_ok=True)
    engines = list(options.engines)
    for name in options.engines:
        if name in OPTIONAL and not is_installed(OPTIONAL[name]):
            print(f"{name} is left out: it needs the package {OPTIONAL[name].package}, which is not installed.")
            engines.remove(name)
    if not engines:
        parser.error("none of the engines is installed: name others after --engines")
    names = sorted(path.stem for path in (options.root / "images" / options.split).glob("*.jpg"))[: options.images]
    if not names:
        parser.error(f"there are no images in {options.root / 'images' / options.split}: pass the folder of BSDS500")
    for engine in engines:  # the first call of a library takes longer
        ENGINES[engine](np.random.default_rng(0).random((64, 64, 3), dtype=np.float32), 16)
    for name in tqdm(names):
        measure_image(options.root, options.split, name, engines, options.segments, kept / f"{name}.json")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "scikit-image", "numpy")]
    packages = {OPTIONAL[name].package for name in engines if name in OPTIONAL}
    versions += [f"{name} {importlib.metadata.version(name)}" for name in sorted(packages)]
    print(f"{', '.join([*versions, f'Python {platform.python_version()}'])}; tolerance {TOLERANCE} pixels")
    for count in options.segments:
        results = read_results(kept, engines, [count])[count]
        print_table(results, count)
        if {"Slic", "SkimageSlic"} <= results.keys() and len(results["Slic"]) > 1:
            print_differences(results, "Slic", "SkimageSlic")
    draw_curves(kept, engines, options.segments, options.out / f"curves-{options.split}.png")


if __name__ == "__main__":
    main()
