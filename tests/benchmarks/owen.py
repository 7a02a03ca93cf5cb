"""OwenValues beside SHAP's PartitionExplainer and ShapBPT: the same network, baseline and number of evaluations.

    python tests/benchmarks/owen.py --root FOLDER --images 24 --evaluations 100 400

Explains the probability of the class that a network finds most likely, on photographs evenly spaced among all of a
folder by name, with the blurred photograph as the baseline. Prints a table in Markdown: insertion, deletion and their
difference, each with its 95 % bootstrap interval over photographs; what OwenValues has more, paired by photograph; how
often the network was evaluated; and the CPU time per evaluation, of which so much outside the network. A peer that is
not installed (``pip install shap shap-bpt``) is skipped with a line.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from summarize_studies import number, show, with_interval

from captum_superpixel import OwenValues, metrics
from captum_superpixel._blur import gaussian_blur
from captum_superpixel.datasets.photographs import read_photograph
from captum_superpixel.masks import Grid, Slic
from captum_superpixel.models.loading import load_model
from captum_superpixel.models.memory_format import use_channels_last

BATCH = 16
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
    """OwenValues of superpixels or of square cells."""

    def __init__(self, generator):
        self.generator = generator

    def __call__(self, forward, image, baseline, target, evaluations):
        method = OwenValues(forward, self.generator)
        options = {"n_evaluations": evaluations, "perturbations_per_eval": BATCH, "per_pixel": True}
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
        "OwenValues": Ours(Slic(denormalize=denormalize)),
        "OwenValues of cells": Ours(Grid(100, denormalize=denormalize)),
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
    """Some of the photographs of a folder, evenly spaced by name."""
    files = sorted(
        (path for path in Path(root).rglob("*") if path.suffix.lower() in SUFFIXES), key=lambda path: path.name
    )
    return [files[index * len(files) // count] for index in range(count)]


def measure(name, method, network, images, targets, evaluations):
    """Insertion, deletion, evaluations and seconds, each a number per image."""
    found = []
    for image, target in zip(images, targets, strict=True):
        forward = Counted(network)
        baseline = gaussian_blur(image[None], 0.1 * min(image.shape[1:]))
        start = time.process_time()
        maps = method(forward, image[None], baseline, target, evaluations)
        seconds = time.process_time() - start
        options = {"batch_size": BATCH, "baselines": baseline}
        insertion, deletion = (
            float(measured(network, image[None], maps.float(), target, **options))
            for measured in (metrics.insertion_auc, metrics.deletion_auc)
        )
        found.append((insertion, deletion, forward.images, seconds, seconds - forward.seconds))
    print(f"{name}, {evaluations} evaluations: {len(found)} photographs", flush=True)
    return torch.tensor(found, dtype=torch.float64)


def report(found, evaluations):
    """Print the table of one number of evaluations."""
    body = []
    ours = found["OwenValues"]
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
    show(["method", "insertion", "deletion", "difference", *(f"OwenValues: {gain}" for gain in gains), *times], body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of photographs")
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[100, 400])
    parser.add_argument("--network", default="captum_superpixel.models.efficientnet_lite:lite0", help="MODULE:FACTORY")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--method", action="append", help="only these; several times for several")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = use_channels_last(load_model(options.network))
    preprocessing = network.preprocessing
    chosen = photographs(options.root, options.images)
    images = [preprocessing(read_photograph(path)) for path in chosen]
    with torch.no_grad():
        targets = [int(network(image[None]).argmax()) for image in images]
    methods = make_methods(preprocessing.denormalize)
    methods = {name: each for name, each in methods.items() if not options.method or name in options.method}
    for method in methods.values():
        # What is compiled or allocated at first use is not measured.
        measure("warming up", method, network, images[:1], targets[:1], 20)
    for evaluations in options.evaluations:
        of = {
            name: measure(name, method, network, images, targets, evaluations) for name, method in methods.items()
        }
        report(of, evaluations)


if __name__ == "__main__":
    main()
