"""OwenValues beside SHAP's PartitionExplainer and ShapBPT: the same network, baseline and number of evaluations.

    python tests/benchmarks/owen.py --root FOLDER --images 24 --evaluations 100 400 --out owen.json

Explains the probability of the class that a network finds most likely, on photographs drawn from a folder, with the
blurred photograph as the baseline. What is measured is kept in the file --out: the same command takes up what was
interrupted, and --images 0 reports what is there. Prints a table in Markdown for each number of evaluations:
insertion, deletion and their difference, each with its 95 % bootstrap interval over photographs; what OwenValues of
400 superpixels has more, paired by photograph; how often the network was evaluated; and the CPU time per evaluation, of
which so much outside the network. A peer that is not installed (``pip install shap shap-bpt``) is skipped with a line.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from summarize_studies import show, with_interval

from captum_superpixel import OwenValues, metrics
from captum_superpixel._blur import gaussian_blur
from captum_superpixel.datasets.photographs import read_photograph
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.memory_format import use_channels_last

BATCH = 16
OURS = "OwenValues of 400"
"""The method that the others are held against."""

SUFFIXES = (".jpeg", ".jpg", ".png")


class Counted:
    """The probabilities that a network gives, how many images it was given, and the CPU time that it took."""

    def __init__(self, network):
        self.network, self.images, self.seconds = network, 0, 0.0

    @torch.no_grad()
    def __call__(self, inputs):
        start = time.process_time()
        found = self.network(inputs).softmax(dim=1)
        self.seconds += time.process_time() - start
        self.images += len(inputs)
        return found


class Ours:
    """OwenValues of superpixels or of square cells, in which pixels share a value by their change or by size."""

    def __init__(self, generator, shares="change"):
        self.generator, self.shares = generator, shares

    def __call__(self, forward, image, baseline, target, evaluations):
        method = OwenValues(forward, self.generator)
        options = {
            "n_evaluations": evaluations,
            "perturbations_per_eval": BATCH,
            "per_pixel": True,
            "shares": self.shares,
        }
        return method.attribute(image, baseline, target, **options)


class Partition:
    """SHAP's PartitionExplainer, whose tree halves the image along its axes."""

    def __init__(self):
        import shap

        self.shap = shap

    def __call__(self, forward, image, baseline, target, evaluations):
        def outputs(arrays):
            return forward(torch.from_numpy(arrays).movedim(-1, 1).float())[:, [target]].numpy()

        rows, background = (each.movedim(1, -1).numpy() for each in (image, baseline))
        masker = self.shap.maskers.Image(background[0], rows[0].shape)
        explainer = self.shap.explainers.PartitionExplainer(outputs, masker)
        found = explainer(rows, max_evals=evaluations, batch_size=BATCH, silent=True)
        return torch.from_numpy(found.values[..., 0]).movedim(-1, 1)


class BinaryPartition:
    """ShapBPT, whose tree merges pixels by color, area and perimeter."""

    def __init__(self, denormalize):
        import shap_bpt

        self.explainer, self.denormalize = shap_bpt.Explainer, denormalize

    def __call__(self, forward, image, baseline, target, evaluations):
        def outputs(masks):
            shown = torch.from_numpy(masks)[:, None]
            return forward(torch.where(shown, image, baseline)).numpy()

        mean, std = (torch.tensor(each).view(-1, 1, 1) for each in self.denormalize)
        pixels = ((image[0] * std + mean) * 255).round().clamp(0, 255).byte().movedim(0, -1)
        # The class that the network finds most likely is the one that it explains, the first of one.
        explainer = self.explainer(outputs, pixels.numpy(), num_explained_classes=1)
        found = explainer.explain_instance(evaluations - 2, batch_size=BATCH)
        return torch.from_numpy(np.asarray(found))[None]


def make_methods(denormalize):
    """Ours, and the peers that are there."""
    methods = {
        "OwenValues of 400": Ours(Slic(400, denormalize=denormalize)),
        "OwenValues of 100": Ours(Slic(100, denormalize=denormalize)),
        "OwenValues of 400 by size": Ours(Slic(400, denormalize=denormalize), "size"),
        "OwenValues of cells": Ours(Grid(400, denormalize=denormalize)),
    }
    for name, make in (
        ("PartitionExplainer", Partition),
        ("ShapBPT", lambda: BinaryPartition(denormalize)),
    ):
        try:
            methods[name] = make()
        except ImportError as error:
            print(f"{name} is skipped: {error}")
    return methods


def photographs(root, count):
    """Some of the photographs of a folder, drawn by seed 0: more of them begin with the same."""
    files = sorted(
        (path for path in Path(root).rglob("*") if path.suffix.lower() in SUFFIXES), key=lambda path: path.name
    )
    drawn = torch.randperm(len(files), generator=torch.Generator().manual_seed(0))
    return [files[index] for index in drawn[:count].tolist()]


def measure(method, network, image, evaluations):
    """Insertion, deletion, evaluations of the network, seconds, and of these those outside the network."""
    forward = Counted(network)
    with torch.no_grad():
        target = int(network(image).argmax())
    baseline = gaussian_blur(image, 0.1 * min(image.shape[2:]))
    start = time.process_time()
    maps = method(forward, image, baseline, target, evaluations)
    seconds = time.process_time() - start
    options = {"batch_size": BATCH, "baselines": baseline}
    insertion, deletion = (
        float(measured(network, image, maps.float(), target, **options))
        for measured in (metrics.insertion_auc, metrics.deletion_auc)
    )
    return [insertion, deletion, forward.images, seconds, seconds - forward.seconds]


def measure_all(methods, network, chosen, numbers, out):
    """Measure what is not in the file yet: numbers of evaluations first, then photographs, then methods."""
    found = json.loads(out.read_text()) if out.exists() else {}
    warm = set()
    for evaluations in numbers:
        for path in chosen:
            image = network.preprocessing(read_photograph(path))[None]
            for name, method in methods.items():
                key = f"{evaluations} {name} {path.name}"
                if key in found:
                    continue
                if name not in warm:
                    # What is compiled or allocated at first use is not measured.
                    measure(method, network, image, 20)
                    warm.add(name)
                found[key] = measure(method, network, image, evaluations)
                out.write_text(json.dumps(found))
            print(f"{evaluations} evaluations: {path.name}", flush=True)
    return found


def of_methods(found, evaluations):
    """A table ``(N, 5)`` for each method, of the photographs that all have been measured on."""
    by_name = {}
    for key, values in found.items():
        number_of, _, rest = key.partition(" ")
        name, _, photograph = rest.rpartition(" ")
        if int(number_of) == evaluations:
            by_name.setdefault(name, {})[photograph] = values
    common = set.intersection(*(set(each) for each in by_name.values())) if by_name else set()
    return {
        name: torch.tensor([each[photograph] for photograph in sorted(common)], dtype=torch.float64)
        for name, each in by_name.items()
        if common
    }


def report(found, evaluations):
    """Print the table of one number of evaluations."""
    body = []
    ours = found[OURS]
    for name, of in found.items():
        insertion, deletion, count, seconds, outside = of.unbind(dim=1)
        cells = [name, *(with_interval(*metrics.bootstrap_mean(each)) for each in (insertion, deletion))]
        cells.append(with_interval(*metrics.bootstrap_mean(insertion - deletion)))
        more = [ours[:, 0] - insertion, deletion - ours[:, 1], ours[:, 0] - ours[:, 1] - insertion + deletion]
        cells += ["" if of is ours else with_interval(*metrics.bootstrap_mean(each)) for each in more]
        per_evaluation = (1000 * float(each.sum() / count.sum()) for each in (seconds, outside))
        cells += [f"{float(count.mean()):.0f}", *(f"{each:.1f}" for each in per_evaluation)]
        body.append(cells)
    print(f"\n**{evaluations} evaluations, {len(ours)} photographs**")
    gains = ("insertion higher by", "deletion lower by", "difference higher by")
    times = ("evaluations", "ms per evaluation", "of these outside the network")
    show(["method", "insertion", "deletion", "difference", *(f"{OURS}: {gain}" for gain in gains), *times], body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of photographs")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--network", default="captum_superpixel.models.efficientnet_lite:lite0", help="MODULE:FACTORY")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--method", action="append", help="only these; several times for several")
    parser.add_argument("--out", type=Path, default=Path("owen.json"), help="file of what was measured")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = use_channels_last(load_model(options.network))
    methods = make_methods(network.preprocessing.denormalize) if options.images else {}
    methods = {name: each for name, each in methods.items() if not options.method or name in options.method}
    chosen = photographs(options.root, options.images)
    found = measure_all(methods, network, chosen, options.evaluations, options.out)
    for evaluations in options.evaluations:
        if of := of_methods(found, evaluations):
            report(of, evaluations)


if __name__ == "__main__":
    main()
