"""The tables of the paper, reproduced, and corrected for what any two networks' maps share.

    python tests/benchmarks/paper_tables.py --root FOLDER --classes FILE --network N --network N --out imagenet
    python tests/benchmarks/paper_tables.py --cifar CIFAR10 --models 2 --out halves

With ``--root`` photographs and trained networks are compared by SSIM and muFidelity, with ``--cifar`` networks that are
trained here, each on its own part of the training images, by SSIM and MeGe. Finished parts are kept in the folder, and
what is there is not measured again; another ``--method`` is measured of the same images. Prints Markdown.

The published figures are those of S. Gong, J. Zhang, Q. Dou and F. Farnia, "A Super-pixel-based Approach to the Stable
Interpretation of Neural Networks", BMVC 2024, arXiv:2412.14509.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from paper_measuring import CONSTANT, ENGINES, FEEDS, PIXELS, READINGS, measure_all
from summarize_studies import number, show, with_interval

from captum_superpixel import metrics
from captum_superpixel._store import Store
from captum_superpixel.attr.methods import METHODS
from captum_superpixel.models.memory_format import use_channels_last
from captum_superpixel.study.acquiring import (
    choose_images,
    common_preprocessing,
    evaluate_networks,
    load_checkpoints,
    make_twins,
    train_networks,
)
from captum_superpixel.study.context import Study
from captum_superpixel.study.data import load_data
from captum_superpixel.study.jobs import World
from captum_superpixel.study.protocol import make_protocol
from captum_superpixel.study.settings import StudySettings

PUBLISHED_METHODS = ("Saliency", "IntegratedGradients", "SmoothGrad", "SparsifiedSmoothGrad")
# By method: pixels, and the engines in the order of ENGINES. ImageNet.
PUBLISHED = {
    "ssim": {
        "Saliency": (0.337, 0.484, 0.323, 0.558, 0.564),
        "IntegratedGradients": (0.411, 0.579, 0.435, 0.612, 0.614),
        "SmoothGrad": (0.139, 0.445, 0.296, 0.513, 0.537),
        "SparsifiedSmoothGrad": (0.147, 0.492, 0.288, 0.565, 0.531),
    },
    "mu_fidelity": {
        "Saliency": (0.276, 0.294, 0.226, 0.291, 0.247),
        "IntegratedGradients": (0.300, 0.312, 0.267, 0.313, 0.275),
        "SmoothGrad": (0.328, 0.316, 0.286, 0.305, 0.288),
        "SparsifiedSmoothGrad": (0.339, 0.304, 0.268, 0.302, 0.284),
    },
}
# CIFAR-10, pixels and superpixels of an engine that is not named.
PUBLISHED_CIFAR = {
    "ssim": ((0.31, 0.52), (0.40, 0.55), (0.40, 0.72), (0.55, 0.60)),
    "mege": ((0.133, 0.250), (0.155, 0.336), (0.176, 0.488), (0.176, 0.230)),
}


def title_of(what, feed):
    return f"{what}; segments of the {'normalized pixels' if feed == 'normalized' else 'picture'}"


def rows_of(feed):
    return [PIXELS, *((engine, feed) for engine in ENGINES)]


def published(metric, method, engine):
    values = PUBLISHED[metric].get(method)
    return "–" if values is None else number(values[["pixels", *ENGINES].index(engine)])


def corrected(values):
    """SSIM (3, N) beside the permutation and the random-network null."""
    return metrics.against_null(values[0], values[1]), metrics.against_null(values[0], values[2])


def similarities(found, feed, reading, theirs):
    """How alike the maps of two networks are, raw, over both nulls, and minus pixels."""
    body = []
    for method, of in found.items():
        pixels = corrected(of["ssim"][*PIXELS, reading])[1]
        for key in rows_of(feed):
            permuted, random = corrected(of["ssim"][*key, reading])
            cells = [method if key == PIXELS else "", key[0], *([published("ssim", method, key[0])] if theirs else [])]
            cells += [number(random.value), number(permuted.excess), with_interval(random.excess, random.ci95_excess)]
            cells.append("" if key == PIXELS else with_interval(*metrics.paired_difference(random, pixels)))
            body.append(cells)
    ours = ("raw", "over permuted pixels", "over a random network", "the same minus pixels'")
    heading(title_of(f"SSIM, {reading}", feed))
    show(["method", "map", *(["published"] if theirs else []), *ours], body)


def fidelities(found, feed):
    """muFidelity of the first network's maps, beside three that explain nothing: a constant one is the third."""
    body, constant = [], next(iter(found.values()))["mu_fidelity"][*CONSTANT, "magnitude"][0]
    for method, of in found.items():
        for key in rows_of(feed):
            cells = [method if key == PIXELS else "", key[0], published("mu_fidelity", method, key[0])]
            for reading in READINGS:
                own, permuted, random = of["mu_fidelity"][*key, reading]
                cells.append(with_interval(*metrics.bootstrap_mean(own)))
                cells += [number(float(each.mean())) for each in (permuted, random)]
            cells.append(with_interval(*metrics.bootstrap_mean(own - constant)))  # of magnitudes, the last
            body.append(cells)
    body.append([CONSTANT[0], *[""] * 5, with_interval(*metrics.bootstrap_mean(constant)), "", "", ""])
    parts = ("own map", "permuted pixels", "of a random network")
    header = [f"{reading}: {part}" for reading in READINGS for part in parts]
    heading(title_of("muFidelity", feed))
    show(["method", "map", "published", *header, "magnitude minus a constant map"], body)


def generalizabilities(found, feed):
    """MeGe by the Euclidean distance, and what it is of maps that explain nothing."""
    body = []
    for method, of in found.items():
        for key in rows_of(feed):
            distances = [float(each) for reading in READINGS for each in of["l2"][*key, reading].mean(dim=1)]
            body.append([method if key == PIXELS else "", key[0], *(number(1 / (1 + each)) for each in distances)])
    parts = ("MeGe", "permuted pixels", "with a random network")
    heading(title_of("MeGe", feed))
    show(["method", "map", *(f"{reading}: {part}" for reading in READINGS for part in parts)], body)


def largeness(segments, found, pixels):
    """The sizes of segments beside what their maps have raw, of nulls, and over them, averaged over the methods."""
    body = []
    for key in dict.fromkeys(row for feed in FEEDS for row in rows_of(feed)):
        count, size = (pixels, 1.0) if key == PIXELS else segments[key].mean(dim=1).tolist()
        cells = [*key, f"{count:.0f}", f"{pixels / count:.0f}", f"{size:.0f}"]
        for reading in READINGS:
            of = [corrected(found[method]["ssim"][*key, reading])[1] for method in found]
            cells += [number(sum(getattr(each, what) for each in of) / len(of)) for what in ("value", "null", "excess")]
            alone = [of["size_map"][*key, reading].mean() for of in found.values() if key != PIXELS]
            cells.append(number(float(sum(alone) / len(alone))) if alone else "")
        body.append(cells)
    parts = ("raw", "random network", "over it", "with a map of sizes")
    header = ["segments", "of", "number", "pixels per segment", "pixels of a pixel's segment"]
    heading("Size of segments, and SSIM, mean over methods")
    show([*header, *(f"{reading}: {part}" for reading in READINGS for part in parts)], body)


def ranks(found, feed, reading):
    """The engines from the most alike maps to the least."""
    body = []
    for method, of in found.items():
        random = {name: corrected(of["ssim"][name, key, reading])[1] for name, key in rows_of(feed)}
        theirs = dict(zip(random, PUBLISHED["ssim"].get(method, ()), strict=False))
        raw, over = ({name: getattr(each, what) for name, each in random.items()} for what in ("value", "excess"))
        ordered = (" > ".join(sorted(of_one, key=of_one.get, reverse=True)) for of_one in (theirs, raw, over))
        body.append([method, *ordered])
    heading(title_of(f"Order by SSIM, {reading}", feed))
    show(["method", "published", "raw", "over a random network"], body)


def heading(text):
    print(f"\n**{text}**")


def of_cifar_published():
    body = [[number(value) for metric in PUBLISHED_CIFAR.values() for value in metric[row]] for row in range(4)]
    heading("Published, CIFAR-10")
    show(["SSIM, pixels", "SSIM, superpixels", "MeGe, pixels", "MeGe, superpixels"], body)


def settings_of(options):
    given = {"images": options.images, "n_steps": options.steps, "n_samples": options.steps, "seed": options.seed}
    if options.cifar:
        given |= {"dataset": "cifar10", "root": options.cifar, "network": options.recipe, "models": options.models}
        given |= {"epochs": options.epochs, "train_images": options.train_images}
    else:
        given |= {"dataset": "imagefolder", "root": options.root, "classes": options.classes}
        given |= {"checkpoints": tuple(options.network)}
    return StudySettings(**given).resolved()


def open_study(options):
    """The study, its networks and the images that all of them classify correctly."""
    settings = settings_of(options)
    networks = [] if options.cifar else load_checkpoints(settings, torch.device("cpu"))
    data = load_data(settings, common_preprocessing(networks, settings))
    data = replace(data, held_out=data.held_out.subset(range(min(len(data.held_out), options.candidates))))
    protocol = make_protocol(settings, data)
    study = Study(settings, data, protocol, torch.device("cpu"), Store(options.out), World(), print)
    networks = evaluate_networks(study, train_networks(study) if options.cifar else networks)
    for network in networks:
        study.report(f"{network.name}: {network.accuracy:.1%} of {len(data.held_out)} held-out images right")
    chosen = choose_images(networks, data.held_out.labels, options.images)
    return study, [use_channels_last(network.module) for network in networks], chosen


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--root", help="folder of photographs, a folder for each class")
    data.add_argument("--cifar", help="folder of CIFAR-10")
    parser.add_argument("--classes", help="file with the folder's name of each class")
    parser.add_argument("--network", action="append", default=[], help="module:factory, two or more")
    parser.add_argument("--models", type=int, default=2, help="how many networks are trained on CIFAR-10")
    parser.add_argument("--recipe", default="resnet20", help="their architecture")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--train-images", type=int, help="which the networks share; all unless given")
    parser.add_argument("--images", type=int, default=60, help="that are explained")
    parser.add_argument(
        "--candidates", type=int, default=400, help="among which they are those that all classify right"
    )
    parser.add_argument("--fidelity-images", type=int, default=0, help="the first of them, for muFidelity")
    parser.add_argument("--method", action="append", help="of attribution; several may be given")
    parser.add_argument("--steps", type=int, default=10, help="of IntegratedGradients, and noisy copies of SmoothGrad")
    parser.add_argument("--draws", type=int, default=1, help="permutations for the permutation null")
    parser.add_argument("--chunk", type=int, default=4, help="images that are measured, and kept, together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for finished parts")
    options = parser.parse_args()
    options.method = options.method or [name for name in PUBLISHED_METHODS if name in METHODS]
    if unknown := [name for name in options.method if name not in METHODS]:
        parser.error(f"--method {unknown[0]} is unknown: choose some of {', '.join(PUBLISHED_METHODS)}")
    if options.root and len(options.network) < 2:
        parser.error("--root compares networks: give --network at least twice")
    return options


def main():
    options = parse()
    study, networks, chosen = open_study(options)
    twins = make_twins(study, networks)
    segments, found = measure_all(study, networks, twins, chosen, options)
    print(f"\n{len(networks)} networks, {len(chosen)} images, {options.fidelity_images} of them for muFidelity")
    largeness(segments, found, study.data.held_out.batch([0])[0, 0].numel())
    for feed in FEEDS:
        for reading in READINGS:
            similarities(found, feed, reading, theirs=not options.cifar)
            if not options.cifar:
                ranks(found, feed, reading)
        if options.cifar:
            generalizabilities(found, feed)
        elif options.fidelity_images:
            fidelities(found, feed)
    if options.cifar:
        of_cifar_published()


if __name__ == "__main__":
    main()
