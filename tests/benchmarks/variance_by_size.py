"""Variance over networks by the size of segments, beside 1/|S| and what the correlation of pixels predicts.

What a study of three networks measures of sizes, and nothing else of it, on any folder of images: the first of them by
name that all networks classify correctly. Parts are kept in the folder --out, and the tables and the figure made of
them; the same command takes up what was interrupted.

    python tests/benchmarks/variance_by_size.py --root FOLDER --classes FILE --network N --network N --network N

Each row: the segments, their mean size, the variance over networks of signed maps that are averaged over them relative
to that of pixel maps, with its 95 % bootstrap interval over images; 1/|S|; the mean correlation over networks of two
pixels of a segment, as the correlation of all pixels of the image that are as far apart has it; the variance that
follows from it; the measured variance over that; and the measured variance of maps whose pixels were permuted first.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from tabulate import tabulate

from captum_superpixel._store import Store
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.study.acquiring import check_outputs, common_preprocessing, load_checkpoints
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import load_data
from captum_superpixel.study.figures import draw_sizes
from captum_superpixel.study.groupings import Grouping
from captum_superpixel.study.jobs import World
from captum_superpixel.study.measuring import measure_chunks
from captum_superpixel.study.protocol import make_protocol
from captum_superpixel.study.results import Resamples, variance_by_size
from captum_superpixel.study.rows import PIXELS
from captum_superpixel.study.settings import METHOD_NAMES, StudySettings
from captum_superpixel.study.smoothing import Segments

BATCH = 20


def make_study(options):
    """The study of sizes alone, and its networks."""
    settings = StudySettings(
        dataset="imagefolder",
        root=options.root,
        classes=options.classes,
        checkpoints=tuple(options.network),
        methods=tuple(options.method or METHOD_NAMES),
        n_steps=options.steps,
        n_samples=options.samples,
        chunk_size=options.chunk,
        draws=0,
    ).resolved()
    device = torch.device(options.device)
    networks = load_checkpoints(settings, device)
    data = load_data(settings, common_preprocessing(networks, settings))
    protocol = make_protocol(settings, data)
    sizes = list(protocol.sizes)
    for count in options.larger:
        sizes.append(Grouping(f"Slic {count}", Segments((Slic(count, **options_of(data)),)), family="Slic"))
        sizes.append(Grouping(f"cells {count}", Segments((Grid(count),)), family="cells"))
    protocol = dataclasses.replace(
        protocol,
        groupings=(Grouping(PIXELS, forms=()),),
        sizes=tuple(sizes),
        compared=(),
        claims=(),
        recommended={},
        fidelity=False,
    )
    study = Study(settings, data, protocol, device, Store(Path(options.out) / "parts"), World(), print)
    check_outputs(study, networks)
    return study, [network.module for network in networks]


def options_of(data):
    """How mask generators are told of the preprocessing."""
    return {"denormalize": data.denormalize, "channel_order": data.channel_order}


def choose(study, networks, count):
    """The first images by name that all networks classify correctly: only as many are classified as it takes."""
    held_out = study.data.held_out
    indices = sorted(range(len(held_out)), key=lambda index: Path(held_out.names[index]).name)
    chosen = []
    for start in range(0, len(indices), BATCH):
        part = indices[start : start + BATCH]
        inputs, labels = held_out.batch(part).to(study.device), held_out.labels[part]
        with torch.no_grad():
            right = torch.stack([network(inputs).argmax(1).cpu() == labels for network in networks]).all(dim=0)
        chosen += [index for index, all_right in zip(part, right.tolist(), strict=True) if all_right]
        if len(chosen) >= count:
            break
    return chosen[:count]


def show(records):
    """Print a table of all methods."""
    header = ["method", "segments", "pixels", "variance, pixels' = 1", "one over pixels", "correlation", "predicted"]
    body = [
        [
            r["method"],
            r["family"],
            f"{r['mean_segment_pixels']:.1f}",
            with_interval(r, "variance_ratio", "ci95"),
            number(1 / r["mean_segment_pixels"]),
            with_interval(r, "correlation"),
            with_interval(r, "predicted_ratio"),
            with_interval(r, "measured_over_predicted", digits=2),
            number(r["shuffled_ratio"]),
        ]
        for r in records
    ]
    print(f"\n{records[0]['n']} images\n")
    print(tabulate(body, [*header, "measured / predicted", "shuffled"], tablefmt="github", disable_numparse=True))


def with_interval(record, name, interval=None, digits=4):
    low, high = record[interval or f"{name}_ci95"]
    return f"{number(record[name], digits)} ({number(low, digits)} to {number(high, digits)})"


def number(value, digits=4):
    """Without the zero before the point."""
    return f"{value:.{digits}f}".replace("0.", ".", abs(value) < 1).replace("-", "−")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of images, one folder a class")
    parser.add_argument("--classes", help="file with a class's folder name in each line")
    parser.add_argument("--network", action="append", required=True, metavar="module:factory", help="at least three")
    parser.add_argument("--method", action="append", choices=METHOD_NAMES, help="all, unless some are named")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--steps", type=int, default=20, help="of IntegratedGradients")
    parser.add_argument("--samples", type=int, default=20, help="of SmoothGrad")
    parser.add_argument("--chunk", type=int, default=4, help="images that are measured together")
    parser.add_argument("--larger", type=int, nargs="*", default=[], metavar="K", help="segments of further sizes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", default="variance-by-size", help="folder of the parts and of sizes.png")
    options = parser.parse_args()
    if len(options.network) < 3:
        parser.error(f"{len(options.network)} networks say too little of a variance: name three or more")
    study, networks = make_study(options)
    measurement = measure_chunks(study, networks, [], choose(study, networks, options.images))
    height, width = study.data.held_out.batch([0]).shape[-2:]
    records = variance_by_size(Resamples(measurement, study.settings.seed), study.protocol, height * width)
    show(records)
    draw_sizes({"variance_by_size": records}).savefig(Path(options.out) / "sizes.png", dpi=120)


if __name__ == "__main__":
    main()
