"""Which list of Slics ``masks.multiscale`` should return, and which reduction goes with it: the script that chose.

Every candidate is measured on images that no test figure comes from: the validation split of DigitsOnPhotographs, with
two pairs of SmallCNN trained on disjoint parts; and, where they are given, training images of CIFAR-10 with pairs of
networks that exist already. The rule was fixed before the first run: the list with the highest mean, over data sets,
pairs and methods, of three numbers for magnitudes: the excess over the random-network null of SSIM and of top-10 % IoU,
and insertion minus deletion AUC.

    python tests/benchmarks/choose_multiscale.py
    python tests/benchmarks/choose_multiscale.py --cifar10 DIR --networks 20 44 32 56 --weights A B C D
"""

import argparse
import dataclasses
import itertools
from collections import defaultdict
from pathlib import Path

import torch
from tabulate import tabulate

from captum_superpixel._seeds import derive_seed
from captum_superpixel._store import Store
from captum_superpixel.attr.methods import MethodSettings
from captum_superpixel.datasets import DigitsOnPhotographs, cifar10
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.models.random_twin import random_twin
from captum_superpixel.study.acquiring import load_checkpoints, train_networks
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import StudyData, load_data
from captum_superpixel.study.jobs import World
from captum_superpixel.study.measuring import Chunk, Measurement, measure
from captum_superpixel.study.metric_table import METRICS, RANDOM_NETWORK
from captum_superpixel.study.protocol import METHOD_NAMES, PIXELS, Grouping, Protocol, make_protocol
from captum_superpixel.study.results import Resamples, records
from captum_superpixel.study.settings import StudySettings

CPU = torch.device("cpu")
COUNTS = [(8, 16, 32, 64), (15, 30, 60), (20, 30, 45, 70), (20, 40, 80, 160), (30,)]
COMPACTNESS = [(10,), (5, 15), (1, 5, 20)]
SINGLES = (20, 30, 70)


def candidates(denormalize):
    """Pixels, one Slic, every list, and cells and blur for comparison."""
    found = [Grouping(PIXELS), Grouping("blur", blur=1.5 / 32)]
    found += [Grouping(f"one Slic, {count}", (Slic(count, denormalize=denormalize),)) for count in SINGLES]
    found += [Grouping("one Grid, 30", (Grid(30),))]
    found += [Grouping("cells 20, 30, 45, 70", tuple(Grid(count) for count in (20, 30, 45, 70)))]
    for counts, weights in itertools.product(COUNTS, COMPACTNESS):
        members = tuple(
            Slic(count, compactness=weight, denormalize=denormalize) for count in counts for weight in weights
        )
        if len(members) > 1:
            name = f"{', '.join(map(str, counts))} × {', '.join(map(str, weights))}"
            found.append(Grouping(name, members))
    return tuple(found)


def digits(folder, images):
    """Two pairs of SmallCNN, and the validation split."""
    settings = StudySettings(models=4, seed=100, images=images).resolved()
    data = load_data(settings)
    study = Study(settings, data, make_protocol(settings, data), CPU, Store(folder / "digits"), World(), print)
    validation = DigitsOnPhotographs("validation", length=1000, seed=100)
    return dataclasses.replace(data, held_out=validation), train_networks(study)


def cifar(root, depths, weights, images):
    """Pairs of ready networks, and training images."""
    specifications = tuple(f"captum_superpixel.models.networks:resnet{depth}" for depth in depths)
    settings = StudySettings(dataset="cifar10", root=root, checkpoints=specifications, weights=tuple(weights))
    data = load_data(settings.resolved())
    return dataclasses.replace(data, held_out=cifar10(root, "train")), load_checkpoints(settings, CPU)


def measure_pair(name: str, data: StudyData, pair, images: int, fidelity: int) -> Measurement:
    """Measure every candidate on the first images that both networks of a pair classify correctly."""
    indices = list(range(4 * images))
    inputs = data.held_out.batch(indices)
    labels = data.held_out.labels[indices]
    with torch.no_grad():
        right = torch.stack([network.module(inputs).argmax(1) == labels for network in pair]).all(0)
    chosen = torch.nonzero(right).flatten()[:images]
    twins = [
        random_twin(network.module, inputs[:512], torch.Generator().manual_seed(derive_seed(7, name, number)))
        for number, network in enumerate(pair)
    ]
    methods = MethodSettings(20, 20, data.noise(0.12), data.baseline, images_at_once=256, signed=True)
    protocol = Protocol(methods, METHOD_NAMES, candidates(data.denormalize), draws=0)
    parts = []
    for start in range(0, len(chosen), 50):
        part = chosen[start : start + 50]
        count = min(max(0, fidelity - start), len(part))
        chunk = Chunk(inputs[part], labels[part], None, count, 0, derive_seed(7, name, start))
        parts.append(measure(protocol, [network.module for network in pair], twins, chunk))
        print(f"{name}: {start + len(part)} of {len(chosen)} images", flush=True)
    return Measurement.join(parts)


def table(measured: dict[str, list[Measurement]]) -> None:
    """Print a row per candidate, the best first."""
    groupings = candidates(None)  # of which only the names are read
    rows: dict[str, dict[tuple[str, str, str], list[float]]] = defaultdict(lambda: defaultdict(list))
    metrics = [name for name, metric in METRICS.items() if metric.claimed]
    for name, measurement in ((name, each) for name, found in measured.items() for each in found):
        for record in records(Resamples(measurement, 0), groupings):
            if record["metric"] in metrics:
                value = record["excess"][RANDOM_NETWORK] if "excess" in record else record["value"]
                rows[record["grouping"]][name, record["sign"], record["metric"]].append(value)

    def mean(row, key):
        return sum(row[key]) / len(row[key])

    def score(row, sign="magnitude"):
        found = [mean(row, (name, sign, metric)) for name in measured for metric in metrics]
        return sum(found) / len(found)

    columns = [(name, sign, metric) for name in measured for sign in ("magnitude", "signed") for metric in metrics]
    body = [
        [grouping, score(row), score(row, "signed"), *(mean(row, column) for column in columns)]
        for grouping, row in sorted(rows.items(), key=lambda item: -score(item[1]))
    ]
    header = ["grouping", "score", "signed score", *map(" ".join, columns)]
    print("\n" + tabulate(body, header, tablefmt="github", floatfmt=".3f"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar10", metavar="DIR")
    parser.add_argument("--networks", type=int, nargs="+", default=[], metavar="DEPTH")
    parser.add_argument("--weights", nargs="+", default=[], metavar="FILE")
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--fidelity-images", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path("choose-multiscale"), help="keeps the trained networks")
    options = parser.parse_args()
    sets = {"digits": digits(options.folder, options.images)}
    if options.cifar10:
        sets["CIFAR-10"] = cifar(options.cifar10, options.networks, options.weights, options.images)
    measured = {}
    for name, (data, networks) in sets.items():
        pairs = [networks[start : start + 2] for start in range(0, len(networks), 2)]
        measured[name] = [
            measure_pair(f"{name} {number}", data, pair, options.images, options.fidelity_images)
            for number, pair in enumerate(pairs)
        ]
    table(measured)


if __name__ == "__main__":
    main()
