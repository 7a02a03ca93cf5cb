"""What ``recommended`` should make of a method, and how wide its controls are: the script that chose, and its rule.

The images are such as no reported table uses: at 48 pixels the validation split of DigitsOnPhotographs with two pairs
of SmallCNN; at 32, training images of CIFAR-10 with one pair of ready networks; at 224, the first of a folder of
ImageNet photographs with one pair. The rule was written down before the first run:

The score of a map is the mean of three numbers: the excess of SSIM and of top-10 % IoU over the random network, and
insertion minus deletion against a blur (10 steps). Scores are averaged over the pairs of a data set, then over the data
sets of a size (32 and 48 pixels are small, 224 large). Similarities are of the maps as they are looked at: of evidence
the positive part.

1. Signs and views. In ``multiscale()`` as it is, each method's map by its signs, its magnitudes, or its evidence with a
   weight of 1, .75, .5, .25 or 0 (large: 1, .5 or 0), over 1, 4, 8 or 16 views (large: 1 or 8) for gradients, and over
   1 or 8 for IntegratedGradients and SmoothGrad, whose steps or samples share them, so that they cost nothing. For each
   size and method: the best score; of all candidates within .01 of it those with the fewest passes, of these the best.
2. The list of segmentations. With the signs and views that were chosen: the best mean score over the three methods; of
   the lists within .01 of it the shortest, of these the best.
3. The controls. With the same signs and views: the blur and the guided filter with the best mean score.

    python tests/benchmarks/choose_recommended.py small --root CIFAR10 --network N --network N --weights W --weights W
    python tests/benchmarks/choose_recommended.py large --root FOLDER --classes FILE --network N --network N

Maps are kept in the folder, and what was measured of them is not measured again.
"""

import argparse
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from tabulate import tabulate

from captum_superpixel import metrics, pool_segments
from captum_superpixel._blur import gaussian_blur
from captum_superpixel._files import replacing
from captum_superpixel._seeds import derive_seed, seeded
from captum_superpixel._store import Store
from captum_superpixel.attr import ViewTunnel, segment_images
from captum_superpixel.attr._views import choose_views, show, shown_places, take_back
from captum_superpixel.datasets import DigitsOnPhotographs, cifar10
from captum_superpixel.masks import Felzenszwalb, Grid, Slic
from captum_superpixel.models.random_twin import random_twin
from captum_superpixel.study.acquiring import common_preprocessing, load_checkpoints, train_networks
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import load_data
from captum_superpixel.study.guided_filter import guided_filter
from captum_superpixel.study.jobs import World
from captum_superpixel.study.protocol import make_protocol
from captum_superpixel.study.settings import StudySettings

METHODS = ("Saliency", "IntegratedGradients", "SmoothGrad")
SIGNS = {
    "small": ("signed", "magnitude", "1", "0.75", "0.5", "0.25", "0"),
    "large": ("signed", "magnitude", "1", "0.5", "0"),
}
VIEWS = {"small": (1, 4, 8, 16), "large": (1, 8)}
SPREAD = 8
SIZES = {"digits": "small", "cifar10": "small", "imagenet": "large"}
LISTS = {
    "small": [
        *([(counts, (5, 15)) for counts in ((8, 16, 32, 64), (4, 8, 16, 32), (15, 30, 60), (6, 12, 24))]),
        *([(counts, (10,)) for counts in ((8, 16, 32, 64), (4, 8, 16, 32), (15, 30, 60), (20,), (30,))]),
    ],
    "large": [
        *([(counts, (5, 15)) for counts in ((8, 16, 32, 64), (16, 32, 64, 128), (25, 50, 100))]),
        *([(counts, (10,)) for counts in ((16, 32, 64, 128), (50,), (100,))]),
    ],
}
# Standard deviation, and radius with eps, both lengths in 32nds of the shorter side.
BLURS = {"small": (1, 1.5, 2, 3, 4, 5, 6), "large": (1.5, 2, 3, 4, 5)}
GUIDED = {
    "small": tuple(itertools.product((2, 4, 8), (0.001, 0.01, 0.1))),
    "large": tuple(itertools.product((2, 4, 8), (0.001, 0.01))),
}
DEFAULT = ((8, 16, 32, 64), (5, 15))
TOLERANCE = 0.01
IMAGES = {"digits": (150, 60), "cifar10": (150, 60), "imagenet": (24, 12)}  # for stability, and for fidelity
STEPS = {"digits": 20, "cifar10": 20, "imagenet": 10}  # of IntegratedGradients, and samples of SmoothGrad
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Pair:
    """Two networks, their randomized models, and the images that both classify correctly."""

    data_set: str
    name: str
    networks: tuple
    twins: tuple
    inputs: torch.Tensor
    targets: torch.Tensor
    denormalize: tuple
    channel_order: str
    noise: float
    baseline: float

    @property
    def size(self):
        return SIZES[self.data_set]


def pairs_of_digits(folder):
    settings = StudySettings(models=4, seed=100).resolved()
    data = load_data(settings)
    study = Study(settings, data, make_protocol(settings, data), CPU, Store(folder / "digits"), World(), print)
    networks = [network.module for network in train_networks(study)]
    validation = DigitsOnPhotographs("validation", length=1000, seed=100)
    return [make_pair("digits", f"digits-{i}", networks[i : i + 2], validation, data) for i in (0, 2)]


def pair_of_checkpoints(name, options):
    data_set = {"cifar10": "cifar10", "imagenet": "imagefolder"}[name]
    settings = StudySettings(
        dataset=data_set,
        root=options.root,
        classes=options.classes,
        checkpoints=tuple(options.network),
        weights=tuple(options.weights),
    ).resolved()
    networks = load_checkpoints(settings, CPU)
    data = load_data(settings, common_preprocessing(networks, settings))
    held_out = cifar10(options.root, "train") if name == "cifar10" else data.held_out
    return make_pair(name, name, [network.module.eval() for network in networks], held_out, data)


def make_pair(data_set, name, networks, held_out, data):
    count, _ = IMAGES[data_set]
    indices = range(len(held_out))
    if data_set == "imagenet":
        indices = sorted(indices, key=lambda index: Path(held_out.names[index]).name)[:300]
    indices = list(indices)[: 3 * count]
    chosen = []
    for start in range(0, len(indices), 20):
        part = indices[start : start + 20]
        inputs, labels = held_out.batch(part), held_out.labels[part]
        with torch.no_grad():
            right = torch.stack([network(inputs).argmax(1) == labels for network in networks]).all(0)
        chosen += [index for index, both in zip(part, right.tolist(), strict=True) if both]
        if len(chosen) >= count:
            break
    chosen = chosen[:count]
    inputs = held_out.batch(chosen)
    twins = [
        random_twin(network, inputs[:128], torch.Generator().manual_seed(derive_seed(7, name, number)))
        for number, network in enumerate(networks)
    ]
    return Pair(
        data_set,
        name,
        tuple(networks),
        tuple(twins),
        inputs,
        held_out.labels[chosen],
        data.denormalize,
        data.channel_order,
        data.noise(0.12),
        data.baseline,
    )


def make_maps(pair, network, inputs, targets, seed):
    """Maps of a batch by ``(method, views, "signed" or "magnitude")``; one view has no magnitudes of its own."""
    steps = STEPS[pair.data_set]
    found = view_maps(network, inputs, targets, VIEWS[pair.size])
    leaf = inputs.clone().requires_grad_()
    at_once = max(len(inputs), 200 * 32 * 32 // (inputs.shape[-1] * inputs.shape[-2]))
    path = {"target": targets, "baselines": pair.baseline, "n_steps": steps, "internal_batch_size": at_once}
    noisy = {"target": targets, "nt_samples": steps, "stdevs": pair.noise, "nt_samples_batch_size": 1}
    gradients, smooth = IntegratedGradients(network), NoiseTunnel(Saliency(network))
    spread = {"n_views": SPREAD, "spread": True}
    found["IntegratedGradients", 1, "signed"] = gradients.attribute(leaf, **path)
    found["IntegratedGradients", SPREAD, "signed"] = ViewTunnel(gradients).attribute(leaf, **path, **spread)
    for views, method, options in ((1, smooth, {}), (SPREAD, ViewTunnel(smooth), spread)):
        for sign, absolute in (("signed", False), ("magnitude", True)):
            with seeded(seed):
                made = method.attribute(leaf, abs=absolute, **noisy, **options)
            found["SmoothGrad", views, "samples" if views == 1 and absolute else sign] = made
    return {key: maps.detach() for key, maps in found.items()}


def view_maps(network, inputs, targets, counts):
    """Mean gradients, and mean magnitudes of gradients, over growing numbers of views."""
    largest = tuple(max(1, side // 16) for side in inputs.shape[-2:])
    sums, found = [0.0, 0.0, 0.0], {}
    for number, view in enumerate(choose_views(max(counts), largest, True), start=1):
        seen = show(inputs, view, largest).requires_grad_()
        back = take_back(Saliency(network).attribute(seen, target=targets, abs=False), view, largest)
        sums[0] = sums[0] + back
        sums[1] = sums[1] + back.abs()
        sums[2] = sums[2] + shown_places(view, largest, inputs.shape[-2:], inputs.device)
        if number in counts:
            found["Saliency", number, "signed"] = sums[0] / sums[2]
            if number > 1:
                found["Saliency", number, "magnitude"] = sums[1] / sums[2]
    return found


def all_maps(pair, folder):
    """The maps of both networks and of their randomized models, kept in the folder."""
    file = folder / f"maps-{pair.name}.pt"
    if file.exists():
        return torch.load(file, weights_only=False)
    collected = []
    batch = 10 if pair.size == "large" else 50
    for number, network in enumerate((*pair.networks, *pair.twins)):
        parts = defaultdict(list)
        for start in range(0, len(pair.inputs), batch):
            inputs, targets = pair.inputs[start : start + batch], pair.targets[start : start + batch]
            for key, maps in make_maps(pair, network, inputs, targets, derive_seed(7, number, start)).items():
                parts[key].append(maps)
            print(f"{pair.name}: network {number + 1}, {start + len(inputs)} images", flush=True)
        collected.append({key: torch.cat(maps) for key, maps in parts.items()})
    with replacing(file) as temporary:
        torch.save(collected, temporary)
    return collected


class Measuring:
    """Scores of rows of one pair, each measured once."""

    def __init__(self, pair, folder):
        self.pair, self.maps = pair, all_maps(pair, folder)
        self.file = folder / f"rows-{pair.name}.json"
        self.rows = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.reference = gaussian_blur(pair.inputs, min(pair.inputs.shape[-2:]) / 10)
        mean, deviation = (torch.tensor(value).view(-1, 1, 1) for value in pair.denormalize or ((0.0,), (1.0,)))
        self.picture = (pair.inputs * deviation + mean).clamp(0, 1).mean(dim=1, keepdim=True)
        self.masks = lru_cache(maxsize=2)(self.segment)

    def segment(self, how):
        options = {"denormalize": self.pair.denormalize, "channel_order": self.pair.channel_order}
        if how[0] == "cells":
            generators = [Grid(count) for count in how[1]]
        elif how[0] == "felzenszwalb":
            generators = [Felzenszwalb(**options)]
        else:
            generators = [Slic(n, compactness=weight, **options) for n in how[1] for weight in how[2]]
        return segment_images(generators, self.pair.inputs)

    def smoothing(self, how):
        """From a way of smoothing to a function of maps (N, C, H, W)."""
        kind, side = how[0], min(self.pair.inputs.shape[-2:])
        if kind == "pixels":
            return lambda maps: maps
        if kind == "blur":
            return lambda maps: gaussian_blur(maps, how[1] / 32 * side)
        if kind == "guided":
            radius = max(1, round(how[1] / 32 * side))
            return lambda maps: guided_filter(maps, self.picture, radius, how[2])
        masks = self.masks(how)
        return lambda maps: torch.stack([pool_segments(maps, mask) for mask in masks]).mean(0)

    def explanations(self, method, views, sign, smooth):
        """Of both networks and of their randomized models, and whether the positive part is looked at."""
        for maps in self.maps:
            signed = maps[method, views, "signed"]
            if sign == "signed":
                yield smooth(signed)
            elif sign == "samples":
                yield smooth(maps[method, views, "samples"])
            elif sign == "magnitude":
                magnitude = maps.get((method, views, "magnitude"))
                yield smooth(signed.abs() if magnitude is None else magnitude)
            else:
                multiplies = method == "IntegratedGradients"
                values = signed if multiplies else signed * (self.pair.inputs - self.reference)
                total = values.sum(dim=1, keepdim=True)
                yield smooth(total.clamp(min=0)) + float(sign) * smooth(total.clamp(max=0))

    def row(self, method, views, sign, how):
        """SSIM excess, IoU excess and insertion minus deletion."""
        name = " ".join(map(str, (method, views, sign, *how)))
        if name not in self.rows:
            grouped = list(self.explanations(method, views, sign, self.smoothing(how)))
            of_evidence = sign not in ("signed", "magnitude", "samples")
            shown = [each.clamp(min=0) for each in grouped] if of_evidence else grouped
            values = {}
            for metric in ("ssim", "top_k_iou"):
                function = getattr(metrics, metric)
                value = function(shown[0], shown[1]).mean()
                null = torch.stack([function(shown[0], shown[3]), function(shown[1], shown[2])]).mean()
                values[metric] = float(metrics.excess(float(value), float(null)))
            first = slice(IMAGES[self.pair.data_set][1])
            arguments = (self.pair.networks[0], self.pair.inputs[first], grouped[0][first], self.pair.targets[first])
            options = {"n_steps": 10, "batch_size": 100 if self.pair.size == "large" else 1000}
            insertion = metrics.insertion_auc(*arguments, **options).mean()
            deletion = metrics.deletion_auc(*arguments, **options).mean()
            values |= {"insertion": float(insertion), "deletion": float(deletion)}
            self.rows[name] = values
            with replacing(self.file) as temporary:
                temporary.write_text(json.dumps(self.rows, indent=1))
            print(f"{self.pair.name}: {name}: {self.score(values):.3f}", flush=True)
        return self.rows[name]

    @staticmethod
    def score(values):
        return (values["ssim"] + values["top_k_iou"] + values["insertion"] - values["deletion"]) / 3


def first_stage(method, size):
    """Signs and views, with the passes of the network that each costs."""
    views = VIEWS[size] if method == "Saliency" else (1, SPREAD)
    found = [(count, sign) for count in views for sign in SIGNS[size]]
    return [*found, (1, "samples")] if method == "SmoothGrad" else found


def passes(method, views):
    return views if method == "Saliency" else 1


def choose(measurings):
    """Apply the rule to one size, and print what came out."""
    size = measurings[0].pair.size

    def scores(method, views, sign, how):
        by_set = defaultdict(list)
        for measuring in measurings:
            by_set[measuring.pair.data_set].append(measuring.score(measuring.row(method, views, sign, how)))
        return sum(sum(found) / len(found) for found in by_set.values()) / len(by_set)

    def mean(how):
        return sum(scores(method, *chosen[method], how) for method in METHODS) / len(METHODS)

    default, chosen = ("slic", *DEFAULT), {}
    for method in METHODS:
        found = {row: scores(method, *row, default) for row in first_stage(method, size)}
        within = {row: score for row, score in found.items() if score >= max(found.values()) - TOLERANCE}
        fewest = min(passes(method, views) for views, _ in within)
        chosen[method] = max((row for row in within if passes(method, row[0]) == fewest), key=within.__getitem__)
        print(f"\n{size}, {method}, in {default}: chosen {chosen[method]}")
        report(measurings, [(method, *row, default) for row in sorted(found, key=found.get, reverse=True)])
    lists = {("slic", *each): mean(("slic", *each)) for each in LISTS[size]}
    within = {how: score for how, score in lists.items() if score >= max(lists.values()) - TOLERANCE}
    shortest = min(len(how[1]) * len(how[2]) for how in within)
    best = max((how for how in within if len(how[1]) * len(how[2]) == shortest), key=within.__getitem__)
    print(f"\n{size}: chosen {best} of {lists}")
    controls = {
        "blur": [("blur", width) for width in BLURS[size]],
        "guided": [("guided", *each) for each in GUIDED[size]],
        "others": [("pixels",), ("cells", best[1]), ("felzenszwalb",)],
    }
    for name, ways in controls.items():
        found = {how: mean(how) for how in ways}
        print(f"{size}: {name}: best {max(found, key=found.get)} of {found}")
    for method in METHODS:
        report(measurings, [(method, *chosen[method], how) for how in (*lists, *itertools.chain(*controls.values()))])


def report(measurings, rows):
    header = ["method", "views", "signs", "smoothing", "score"]
    body = []
    for method, views, sign, how in rows:
        found = [measuring.row(method, views, sign, how) for measuring in measurings]
        numbers = [f"{value:.3f}" for values in found for value in values.values()]
        score = sum(map(Measuring.score, found)) / len(found)
        body.append([method, views, sign, " ".join(map(str, how)), f"{score:.3f}", *numbers])
    columns = [f"{m.pair.name} {name}" for m in measurings for name in ("SSIM", "IoU", "insertion", "deletion")]
    print("\n" + tabulate(body, [*header, *columns], tablefmt="github"), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=list(VIEWS))
    parser.add_argument("--folder", type=Path, default=Path("choose-recommended"), help="keeps networks and maps")
    parser.add_argument("--root", required=True, help="folder of CIFAR-10, or of photographs")
    parser.add_argument("--classes", help="file with the folder's name of each class, for photographs")
    parser.add_argument("--network", action="append", default=[], help="module:factory, two of them")
    parser.add_argument("--weights", action="append", default=[], help="of each network, or none")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.size == "small":
        pairs = [*pairs_of_digits(options.folder), pair_of_checkpoints("cifar10", options)]
    else:
        pairs = [pair_of_checkpoints("imagenet", options)]
    choose([Measuring(pair, options.folder) for pair in pairs])


if __name__ == "__main__":
    main()
